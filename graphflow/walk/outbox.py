"""The outbox of a walk: what follows from its facts, told to those who look on.

It is derived, never a reason for anything: a walk with an outbox and one without go the same way.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphflow.events import (
    EdgeSent,
    EdgeSkipped,
    Event,
    NodeSkipped,
    NodeStarted,
    Scope,
    StateMerged,
    StateWritten,
)
from graphflow.messages.state import StateWrites
from graphflow.proofs.program import Link, Program
from graphflow.walk.commands import Activation
from graphflow.walk.revision import JoinedRevision


class Outbox(list[Event]):
    """Events of one frame that nobody has fetched yet."""

    __slots__ = ("_frame", "_program")

    def __init__(self, program: Program, frame: int) -> None:
        super().__init__()
        self._program = program
        self._frame = frame

    def add_started(self, at: float, act: Activation) -> None:
        """A node is activated; if it is a join, with what its branches have written."""
        if isinstance(act.revision, JoinedRevision) and act.slot.join is not None:
            self._add_merged(at, act, act.revision.counts)
        started = NodeStarted(
            at,
            self._frame,
            activation=act.id,
            node=act.slot.name,
            scope=act.scope,
            input=act.input,
        )
        self.append(started)

    def add_sent(self, at: float, link: Link, scope: Scope, message: object) -> None:
        """A message goes along a link."""
        source, target, port = self._ends(link)
        sent = EdgeSent(
            at,
            self._frame,
            source=source,
            target=target,
            port=port,
            scope=scope,
            message=message,
            edge=link.index,
            origin=link.origin,
        )
        self.append(sent)

    def add_not_taken(self, at: float, link: Link, scope: Scope) -> None:
        """A tombstone goes along a link: its arm was not taken."""
        source, target, port = self._ends(link)
        skipped = EdgeSkipped(
            at,
            self._frame,
            source=source,
            target=target,
            scope=scope,
            edge=link.index,
            origin=link.origin,
            port=port,
        )
        self.append(skipped)

    def add_skipped(self, at: float, join: str, scope: Scope, port: str, why: str) -> None:
        """A join is not activated: one of its ports can never get a message, or nobody wants the join any more."""
        self.append(NodeSkipped(at, self._frame, join, scope, port, why))

    def add_written(self, at: float, act: Activation, writes: StateWrites) -> None:
        """A node has written states."""
        for write in writes:
            if write.state.hidden:
                continue
            written = StateWritten(
                at, self._frame, act.id, act.slot.name, write.state.name, write.kind, write.value
            )
            self.append(written)

    def _add_merged(self, at: float, act: Activation, counts: Mapping[str, int]) -> None:
        """A join has merged what its branches have written: so many writes to each state."""
        for state, count in counts.items():
            self.append(StateMerged(at, self._frame, act.slot.name, act.scope, state, count))

    def _ends(self, link: Link) -> tuple[str, str, str]:
        """The names of a link's source, target and port."""
        slots = self._program.slots
        source = slots[link.source]
        target = slots[link.target]
        if target.node is None:
            return source.name, target.name, ""
        port = target.node.ports[link.port]
        return source.name, target.name, port.name
