"""A fresh walk that is offered how activations have ended in another one, and takes what it comes to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from graphflow.declaration.handoffs import without_turns
from graphflow.events import Event, NodeCancelled, NodeRefused, Scope
from graphflow.places import canonical
from graphflow.runtime.spans import Moving
from graphflow.walk.commands import Activation
from graphflow.walk.machine import Walk

Position: TypeAlias = tuple[int, int]
"""Where an entry goes: behind which of the old ones, and as the how-many-eth there."""
Stand: TypeAlias = tuple[str, Scope]
"""A node, and the forks and laps on the way to it."""


@dataclass(slots=True)
class RecordedEnd:
    """How an activation has ended, for a walk that may come to the same.

    Attributes:
        number: of the entry that tells.
        act: the activation, as it was.
        event: how it ends; None: it is to be begun again.
        position: where it goes, once it was taken.
    """

    number: int
    act: Activation
    event: Moving | None
    position: Position = (0, 0)


class FreshWalk:
    """A fresh walk that takes what it comes to.

    Args:
        walk: the walk.
        begun: what it begins with.
        position: where that stands.
    """

    def __init__(self, walk: Walk, begun: Event, position: Position) -> None:
        self.walk = walk
        self.met: dict[int, Activation] = {}
        """The new activation for each old one that the walk has come to."""
        self.taken: list[RecordedEnd] = []
        self.begun_at: dict[int, Position] = {}
        """Where each new activation begins."""
        self._free: dict[Stand, list[Activation]] = {}
        """New activations that are those of no old ones yet."""
        self._last = position
        self._apply(begun, position)

    def _apply(self, event: Event, position: Position) -> None:
        for command in self.walk.apply(event):
            if isinstance(command, Activation):
                self.begun_at[command.id] = position
                stand = (command.slot.name, command.scope)
                free = self._free.setdefault(stand, [])
                free.append(command)

    def offer(self, offers: Iterable[RecordedEnd]) -> None:
        """Takes what fits, until nothing more does."""
        # One that is taken may let others begin that were offered before it: what was held back, a join.
        left = list(offers)
        taken = -1
        while taken < len(self.taken):
            taken = len(self.taken)
            left = [offer for offer in left if not self._takes(offer)]

    def _takes(self, offer: RecordedEnd) -> bool:
        """Takes an offer if the walk has come to it; whether it did."""
        act = self.met.get(offer.act.id) or self._matching(offer.act)
        if act is None:
            return False
        self.met[offer.act.id] = act
        event = offer.event
        if event is None or act.id not in self.walk.running:
            return False
        # Who stopped it may be in the cone: then it goes on.
        was_stopped = isinstance(event, (NodeCancelled, NodeRefused))
        if was_stopped and act.id not in self.walk.cancelling:
            return False
        place, count = self._last
        offer.position = max((offer.number, 0), (place, count + 1))
        self._last = offer.position
        offer.event = replace(event, activation=act.id)
        self.taken.append(offer)
        self._apply(offer.event, offer.position)
        return True

    def _matching(self, old: Activation) -> Activation | None:
        """The activation of that node, behind the same forks and laps, with the same messages and states."""
        stand = (old.slot.name, old.scope)
        free = self._free.get(stand, [])
        for act in free:
            if given_text(act) == given_text(old) and written_text(act) == written_text(old):
                free.remove(act)
                return act
        return None


def written_text(act: Activation) -> str:
    """What was written on its way, in its frame, to the states that it touches; in the same form."""
    states = act.slot.touched
    if act.revision is None or not states:
        return ""
    writes: list[tuple[str, str, object]] = []
    for chunk in act.revision.since(None):
        for write in chunk.writes:
            if write.state in states:
                writes.append((write.state.name, write.kind, write.value))
    return canonical(writes)


def given_text(act: Activation) -> str:
    """What an activation was given, as text that only its content decides."""
    return canonical(without_turns(act.input))
