"""What users import from `graphflow.claims`."""

from __future__ import annotations

from graphflow.claims.exploration import Exploration as Exploration
from graphflow.claims.verdict import ClaimVerdict as ClaimVerdict
from graphflow.claims.verdict import Counterexample as Counterexample
from graphflow.declaration.claims import Apart as Apart
from graphflow.declaration.claims import AtLeast as AtLeast
from graphflow.declaration.claims import AtMost as AtMost
from graphflow.declaration.claims import Before as Before
from graphflow.declaration.claims import Claim as Claim
from graphflow.declaration.claims import Exactly as Exactly
from graphflow.declaration.claims import Never as Never
from graphflow.declaration.claims import Only as Only
