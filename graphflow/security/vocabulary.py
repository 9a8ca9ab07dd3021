"""The public names of the room that stand further down."""

from __future__ import annotations

from graphflow.declaration.guards import Guard as Guard
from graphflow.declaration.guards import StreamJudge as StreamJudge
from graphflow.errors import GuardRejected as GuardRejected
from graphflow.messages.untrusted import Untrusted as Untrusted
from graphflow.secrets.declared import Secrets as Secrets
from graphflow.secrets.secret import Secret as Secret
