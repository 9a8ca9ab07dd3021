"""How one walk is run: the keywords of `Graph.run`, `start`, `stream` and `run_sync`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from graphflow.budgets import Budget
from graphflow.limits import Limits
from graphflow.policy import Approve, Policy

Sync = Literal["effects", "each", "end"]
"""When a run waits until what it has done is kept: before effects and after models, before each step, only at the end."""

if TYPE_CHECKING:
    from graphflow.journal.store import Store
    from graphflow.model.history import GivenTurn
    from graphflow.model.seam import Model
    from graphflow.secrets.declared import Secrets


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
    secrets: Secrets | None
    traceparent: str
    budgets: Sequence[Budget]
    user: str


class SayOptions(ForkOptions, total=False):
    """How one message of a chat is answered; `Graph.run` says what each means."""

    id: str
    busy: Literal["wait", "refuse", "cancel"]
    metadata: Mapping[str, Any]


class SittingOptions(ForkOptions, total=False):
    """How one sitting of a walk is run; `Graph.run` says what each means."""

    store: Store | str | None
    busy: Literal["wait", "refuse", "cancel"]


class RunOptions(SittingOptions, total=False):
    """How one walk is run; `Graph.run` says what each means."""

    id: str
    conversation: str
    history: Sequence[GivenTurn]
    metadata: Mapping[str, Any]


KEEPING = frozenset(
    {
        *("store", "sync", "metadata", "lease_s", "best_effort", "conversation", "busy"),
        *("budgets", "user"),
    }
)
"""Those of them that say how a run is kept."""
LONGEST_ID = 500
"""Characters of a run's name: an index of PostgreSQL takes no more than about 2,700 bytes."""


def text_problem(name: object) -> str | None:
    """What is wrong with the name of a run or a conversation: not every store can keep it; None: nothing is."""
    if not isinstance(name, str) or not name:
        return "give a text, or leave it out"
    if len(name) > LONGEST_ID:
        return f"it has {len(name):,} characters; {LONGEST_ID} are the most"
    if "\0" in name or not _is_unicode(name):
        return "it must not have a NUL, or half a character, in it"
    return None


def _is_unicode(text: str) -> bool:
    """Whether it has no half of a character in it, which UTF-8 cannot write."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
