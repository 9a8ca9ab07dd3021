"""Verdicts: whether a run that is kept can go on with a graph as it is now, judged before it is tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Judgement: TypeAlias = Literal["same", "compatible", "migrated", "refused"]
"""The graph is what it was; it has changed, and the record fits; values of older types are read through migrations; the run
cannot go on with it."""


@dataclass(frozen=True, slots=True)
class Misplacement:
    """Where a record and a graph part.

    Attributes:
        path: names of the frames from the outermost to the one where they part; empty if it is about the whole run.
        node: the node there; "" if it is about none.
        recorded: what the record tells.
        found: what the graph has there now.
    """

    path: tuple[str, ...]
    node: str
    recorded: str
    found: str

    def __str__(self) -> str:
        names = list(self.path)
        if self.node:
            names.append(self.node)
        parted = f"recorded {self.recorded}, found {self.found}"
        if not names:
            return parted
        where = " > ".join(names)
        return f"{where}: {parted}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a run if its graph is the new one.

    Attributes:
        id: the run.
        status: how it stands.
        judgement: "same", "compatible", "migrated" or "refused".
        reasons: why it is refused, or through which migrations it is read.
    """

    id: str
    status: str
    judgement: Judgement
    reasons: tuple[Misplacement | str, ...] = ()

    @property
    def may_go_on(self) -> bool:
        """Whether the run can be resumed with the graph."""
        return self.judgement != "refused"

    def __str__(self) -> str:
        outcome = f"{self.id} ({self.status}): {self.judgement}"
        if not self.reasons:
            return outcome
        why = "; ".join(map(str, self.reasons))
        return f"{outcome}: {why}"


class Verdicts(list[Verdict]):
    """Verdicts on several runs."""

    __slots__ = ()

    @property
    def refused(self) -> Sequence[Verdict]:
        """Those on runs that cannot go on."""
        return [verdict for verdict in self if not verdict.may_go_on]

    def __str__(self) -> str:
        lines = map(str, self)
        return "\n".join(lines) or "no runs to judge"
