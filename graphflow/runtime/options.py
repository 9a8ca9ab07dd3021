"""How one walk is run: the keywords of `Graph.run`, `start`, `stream` and `run_sync`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from graphflow.limits import Limits
from graphflow.policy import Approve, Policy

Sync = Literal["effects", "each", "end"]
"""When a run waits until what it has done is kept: before effects and after models, before each step, only at the end."""

if TYPE_CHECKING:
    from graphflow.journal.store import Store
    from graphflow.model.seam import Model


class ForkOptions(TypedDict, total=False):
    """How the sitting of a fork is run; `Graph.run` says what each means."""

    deps: Any
    model: Model | str | None
    limits: Limits | None
    session: str | None
    policy: Policy | None
    approve: Approve | None
    keep_steps: int
    sync: Sync
    lease_s: float
    best_effort: bool
    answers: Mapping[str, Any]


class SittingOptions(ForkOptions, total=False):
    """How one sitting of a walk is run; `Graph.run` says what each means."""

    store: Store | str | None


class RunOptions(SittingOptions, total=False):
    """How one walk is run; `Graph.run` says what each means."""

    id: str
    metadata: Mapping[str, Any]


KEEPING = frozenset({"store", "sync", "metadata", "lease_s", "best_effort"})
"""Those of them that say how a run is kept."""
