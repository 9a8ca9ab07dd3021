"""How one walk is run: the keywords of `Graph.run`, `start`, `stream` and `run_sync`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from graphflow.limits import Limits
from graphflow.policy import Approve, Policy

if TYPE_CHECKING:
    from graphflow.model.seam import Model


class RunOptions(TypedDict, total=False):
    """How one walk is run; `Graph.run` says what each means."""

    deps: Any
    model: Model | str | None
    limits: Limits | None
    session: str | None
    policy: Policy | None
    approve: Approve | None
    keep_steps: int
