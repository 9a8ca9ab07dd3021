"""Recounting: what earlier sittings of a run have begun and ended, told to the guards of a frame that is walked on.

Only what has ended counts here. What was under way when its process ended begins again in this sitting, and counts then: it is
one and the same activation or call. What was refused before it began has not begun.
"""

from __future__ import annotations

from graphflow.claims.guard import Reservation
from graphflow.declaration.node import AnyNode
from graphflow.errors import (
    ApprovalRefused,
    ArgumentsInvalid,
    ClaimBroken,
    ClaimRefused,
    DepthExceeded,
    PolicyRefused,
)
from graphflow.events import (
    BackgroundFinished,
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    FrameEntered,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    RunStarted,
    Scope,
)
from graphflow.journal.detail import FrameForm
from graphflow.proofs.program import Program
from graphflow.proofs.proven import ProvenGraph, solo
from graphflow.runtime.frame import Frame
from graphflow.runtime.past import Past, PastEvent
from graphflow.runtime.watch import ClaimWatch
from graphflow.walk.commands import Activation
from graphflow.walk.machine import Walk

NOT_BEGUN = (
    ApprovalRefused,
    ArgumentsInvalid,
    ClaimBroken,
    ClaimRefused,
    DepthExceeded,
    PolicyRefused,
)
"""Errors of what was refused before it began."""


def recount(frame: Frame, message: object, watch: ClaimWatch) -> None:
    """Brings the guards of a frame to where an earlier sitting has left them."""
    past = frame.shared.past
    own = watch.own()
    if past is None or own is None:
        return
    _Recount(frame, message, own, past).run()


class _PastFrame:
    """A frame of an earlier sitting, as far as its nodes have to be found."""

    __slots__ = ("callees", "is_alone", "program", "watch")

    def __init__(
        self,
        program: Program,
        callees: dict[str, tuple[AnyNode, ...]],
        watch: ClaimWatch,
        *,
        is_alone: bool,
    ) -> None:
        self.program = program
        self.callees = callees
        self.watch = watch
        self.is_alone = is_alone

    def callee(self, caller: str, name: str) -> tuple[AnyNode, AnyNode] | None:
        """The node that one of that name has called, and the caller."""
        for node in self.callees.get(caller, ()):
            if node.name == name:
                return self._caller(caller), node
        return None

    def _caller(self, name: str) -> AnyNode:
        known = self.program.nodes_by_name.get(name)
        if known is not None:
            return known
        for callees in self.callees.values():
            for node in callees:
                if node.name == name:
                    return node
        raise LookupError(name)


class _Recount:
    def __init__(self, frame: Frame, message: object, own: ClaimWatch, past: Past) -> None:
        self._frame = frame
        self._past = past
        self._frames = {
            frame.number: _PastFrame(frame.program, dict(frame.callees), own, is_alone=own.is_alone)
        }
        self._calls: dict[int, CallStarted] = {}
        self._scopes = self._scopes_of(message)

    def run(self) -> None:
        """Goes through all that has happened."""
        for seen in self._past.seen:
            self._take(seen)

    def _scopes_of(self, message: object) -> dict[int, Scope]:
        """The scope of each activation that has ended."""
        frame, record = self._frame, self._frame.record
        assert record is not None
        walk = Walk(frame.program, frame.ledger.limits, frame=frame.number, path=frame.path)
        scopes: dict[int, Scope] = {}
        facts: list[Event] = [RunStarted(0.0, frame.number, frame.program.name, message)]
        facts += record.facts
        for fact in facts:
            for command in walk.apply(fact):
                if isinstance(command, Activation):
                    scopes[command.id] = command.scope
        return scopes

    def _take(self, seen: PastEvent) -> None:
        event = seen.event
        if isinstance(event, FrameEntered):
            self._enter(event, seen.form)
            return
        frame = self._frames.get(event.frame)
        if frame is None:
            return
        if isinstance(event, CallStarted):
            self._calls[event.call] = event
        elif isinstance(event, CallFinished | CallFailed):
            self._count_call(frame, event)
        elif isinstance(event, BackgroundFinished):
            self._count_background(frame, event)
        elif isinstance(event, NodeFinished | NodeFailed | NodeCancelled) and not frame.is_alone:
            self._count_activation(frame, event)

    def _enter(self, event: FrameEntered, form: FrameForm | None) -> None:
        outer = self._frames.get(event.parent)
        if outer is None or form is None:
            return
        node = outer.program.nodes_by_name.get(form.node)
        if form.call is not None:
            started = self._calls.get(form.call)
            found = None if started is None else outer.callee(started.caller, form.node)
            node = None if found is None else found[1]
        if node is None:
            return
        target, _ = node.entry()
        graph = target if isinstance(target, ProvenGraph) else solo(target)
        watch = outer.watch.inner(node, target, graph, self._scope(event.parent, event.activation))
        self._frames[event.frame] = _PastFrame(
            form.program, dict(form.callees), watch, is_alone=graph is not target
        )

    def _scope(self, frame: int, activation: int) -> Scope:
        if frame != self._frame.number:
            return ()  # further in the scope is that of the frame's own activation, which its watch has
        return self._scopes.get(activation, ())

    # -- counting ----------------------------------------------------------------------------------
    def _count_call(self, frame: _PastFrame, event: CallFinished | CallFailed) -> None:
        started = self._calls.get(event.call)
        if started is None:
            return
        found = frame.callee(started.caller, event.node)
        if found is None:
            return
        caller, node = found
        if isinstance(event, CallFailed) and isinstance(event.error, NOT_BEGUN):
            return
        if node.in_background and isinstance(event, CallFinished):
            return  # it has answered with its handle; how it ends is told later
        scope = self._scope(event.frame, event.activation)
        reservation = frame.watch.begin_again(caller, node, scope)
        _end(reservation, event)

    def _count_background(self, frame: _PastFrame, event: BackgroundFinished) -> None:
        for name, callees in frame.callees.items():
            for node in callees:
                if node.name != event.node or not node.in_background:
                    continue
                found = frame.callee(name, node.name)
                assert found is not None
                scope = self._scope(event.frame, event.activation)
                reservation = frame.watch.begin_again(found[0], node, scope)
                _end(reservation, event)
                return

    def _count_activation(
        self, frame: _PastFrame, event: NodeFinished | NodeFailed | NodeCancelled
    ) -> None:
        if isinstance(event, NodeFailed) and isinstance(event.error, NOT_BEGUN):
            return
        for slot in frame.program.slots:
            if slot.node is None or slot.name != event.node:
                continue
            scope = self._scope(event.frame, event.activation)
            _end(frame.watch.begin_activation_again(slot, scope), event)
            return


def _end(reservation: Reservation, event: Event) -> None:
    """Counts the end of what was counted as begun."""
    if isinstance(event, CallFinished | NodeFinished) or (
        isinstance(event, BackgroundFinished) and event.error is None
    ):
        reservation.answer(event.output)
    else:
        reservation.stop()
