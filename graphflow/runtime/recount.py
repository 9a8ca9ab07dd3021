"""Recounting: what earlier sittings of a run have begun and ended, told to the guards of a frame that is walked on.

Rules:
1. What has ended counts here. What was under way when its process ended begins again in this sitting, and counts then: it is
   one and the same activation or call. What was refused before it began has not begun.
2. What has only ended because somebody has stopped the run begins again, too; unless what it was part of has ended for
   good, with the walk of a frame within that was given up. So such an end is put off until that is known.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from graphflow.claims.guard import Reservation
from graphflow.declaration.node import AnyNode
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
    NodeRefused,
    RunStarted,
    Scope,
)
from graphflow.journal.detail import FrameForm
from graphflow.proofs.program import Program
from graphflow.proofs.proven import ProvenGraph, solo
from graphflow.runtime.frame import Frame
from graphflow.runtime.past import Past, PastEvent
from graphflow.runtime.records import Fact
from graphflow.runtime.stops import counts
from graphflow.runtime.watch import ClaimWatch
from graphflow.walk.commands import Activation, Command
from graphflow.walk.machine import Walk

Part: TypeAlias = tuple[int, int]
"""An activation: the number of its frame, and its own."""
Owner: TypeAlias = Part | int
"""What something is part of: an activation, or a call by its number."""
BeginningCount: TypeAlias = Callable[[], Reservation]
"""Counts a beginning."""


def recount(frame: Frame, message: object, watch: ClaimWatch) -> None:
    """Brings the guards of a frame to where an earlier sitting has left them."""
    past = frame.shared.past
    own = watch.own()
    if past is None or own is None:
        return
    recounted = _Recount(frame, message, own, past)
    recounted.run()
    watch.kept_scopes |= recounted.scopes


class _PastFrame:
    """A frame of an earlier sitting, as far as its nodes have to be found.

    Attributes:
        program: what it walks.
        callees: what its nodes may call.
        watch: how the guards see it.
        is_alone: whether it is one node that was entered alone.
        entered_by: the activation or call that has entered it; None for the frame whose guards are brought up to date.
    """

    __slots__ = ("_scopes", "callees", "entered_by", "is_alone", "program", "walk", "watch")

    def __init__(
        self,
        program: Program,
        callees: dict[str, tuple[AnyNode, ...]],
        watch: ClaimWatch,
        walk: Walk,
        entered_by: Owner | None,
        *,
        is_alone: bool,
    ) -> None:
        self.program = program
        self.callees = callees
        self.watch = watch
        self.walk = walk
        self.entered_by = entered_by
        self.is_alone = is_alone
        self._scopes: dict[int, Scope] = {}

    def begin(self, message: object, number: int) -> None:
        """Its walk begins."""
        commands = self.walk.apply(RunStarted(0.0, number, self.program.name, message))
        self._note(commands)

    def move(self, fact: Fact) -> bool:
        """Lets a fact move its walk; whether it does, and does not only say that somebody has stopped the run."""
        if not counts(fact, self.walk):
            return False
        commands = self.walk.apply(fact)
        self._note(commands)
        return True

    def _note(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Activation):
                self._scopes[command.id] = command.scope

    def scope(self, activation: int) -> Scope:
        """The scope of an activation; what is further in has that of the frame's own activation, which its watch knows."""
        return () if self.entered_by is not None else self._scopes.get(activation, ())

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
        walk = Walk(frame.program, frame.ledger.limits, frame=frame.number, path=frame.path)
        callees = self._expanded(dict(frame.callees))
        outermost = _PastFrame(frame.program, callees, own, walk, None, is_alone=own.is_alone)
        outermost.begin(message, frame.number)
        self._frames = {frame.number: outermost}
        self._calls: dict[int, CallStarted] = {}
        self._put_off: dict[Owner, list[BeginningCount]] = {}
        """Beginnings that count if what they are part of has ended for good."""

    @property
    def scopes(self) -> dict[int, Scope]:
        """Those of the activations that have called something which goes on in the background."""
        outermost = self._frames[self._frame.number]
        scopes: dict[int, Scope] = {}
        for record in self._past.backgrounds.values():
            if record.started.frame == self._frame.number:
                activation = record.started.activation
                scopes[activation] = outermost.scope(activation)
        return scopes

    def run(self) -> None:
        """Goes through all that has happened."""
        for seen in self._past.seen:
            self._take(seen)

    def _expanded(self, callees: dict[str, tuple[AnyNode, ...]]) -> dict[str, tuple[AnyNode, ...]]:
        """What nodes may call, the tools of servers included."""
        sources = self._frame.shared.sources
        if sources is None:
            return callees
        return {name: sources.expanded(nodes) for name, nodes in callees.items()}

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
            self._end_call(frame, event, seen)
        elif isinstance(event, BackgroundFinished) and not seen.stopped:
            self._end_background(frame, event)
        elif isinstance(event, NodeFinished | NodeFailed | NodeCancelled | NodeRefused):
            self._end_activation(frame, event, seen)

    def _enter(self, event: FrameEntered, form: FrameForm | None) -> None:
        outer = self._frames.get(event.parent)
        if outer is None or form is None:
            return
        node = outer.program.nodes_by_name.get(form.node)
        entered_by: Owner = (event.parent, event.activation)
        if form.call is not None:
            entered_by = form.call
            started = self._calls.get(form.call)
            found = None if started is None else outer.callee(started.caller, form.node)
            node = None if found is None else found[1]
        if node is None:
            return
        target, _ = node.entry()
        graph = target if isinstance(target, ProvenGraph) else solo(target)
        watch = outer.watch.inner(node, target, graph, outer.scope(event.activation))
        walk = Walk(form.program, form.limits, frame=event.frame, path=form.path)
        callees = self._expanded(dict(form.callees))
        is_alone = graph is not target
        frame = _PastFrame(form.program, callees, watch, walk, entered_by, is_alone=is_alone)
        frame.begin(event.input, event.frame)
        self._frames[event.frame] = frame

    # -- what has ended ----------------------------------------------------------------------------
    def _end_call(
        self, frame: _PastFrame, event: CallFinished | CallFailed, seen: PastEvent
    ) -> None:
        count = self._call(frame, event, seen)
        if seen.stopped:
            caller = (event.frame, event.activation)
            self._put_off_until(caller, event.call, count)
            return
        self._count_what_was_put_off(event.call)
        if count is not None:
            _end(count(), event)

    def _call(
        self, frame: _PastFrame, event: CallFinished | CallFailed, seen: PastEvent
    ) -> BeginningCount | None:
        """What counts a call; None if it has not begun, or not ended yet."""
        started = self._calls.get(event.call)
        found = None if started is None else frame.callee(started.caller, event.node)
        if found is None or seen.unbegun:
            return None
        caller, node = found
        if node.in_background and isinstance(event, CallFinished):
            return None  # it has answered with its handle; how it ends is told later
        scope = frame.scope(event.activation)
        return partial(frame.watch.begin_again, caller, node, scope)

    def _end_background(self, frame: _PastFrame, event: BackgroundFinished) -> None:
        for name, callees in frame.callees.items():
            for node in callees:
                if node.name != event.node or not node.in_background:
                    continue
                found = frame.callee(name, node.name)
                assert found is not None
                scope = frame.scope(event.activation)
                _end(frame.watch.begin_again(found[0], node, scope), event)
                return

    def _end_activation(self, frame: _PastFrame, event: Fact, seen: PastEvent) -> None:
        activation = (event.frame, event.activation)
        count = self._activation(frame, event, seen)
        if frame.move(event):
            self._count_what_was_put_off(activation)
            if count is not None:
                _end(count(), event)
        else:
            self._put_off_until(frame.entered_by, activation, count)

    def _activation(self, frame: _PastFrame, event: Fact, seen: PastEvent) -> BeginningCount | None:
        """What counts an activation; None if it has not begun, or is that of the frame itself."""
        if frame.is_alone or seen.unbegun or isinstance(event, NodeRefused):
            return None
        for slot in frame.program.slots:
            if slot.node is not None and slot.name == event.node:
                scope = frame.scope(event.activation)
                return partial(frame.watch.begin_activation_again, slot, scope)
        return None

    # -- what is put off ---------------------------------------------------------------------------
    def _put_off_until(
        self, owner: Owner | None, part: Owner, count: BeginningCount | None
    ) -> None:
        """Something was stopped: it, and what was stopped in it, counts if what it is part of has ended for good."""
        found = self._put_off.pop(part, [])
        if owner is None:
            return
        if count is not None:
            found.append(count)
        waiting = self._put_off.setdefault(owner, [])
        waiting += found

    def _count_what_was_put_off(self, owner: Owner) -> None:
        for count in self._put_off.pop(owner, ()):
            count().stop()


def _end(reservation: Reservation, event: Event) -> None:
    """Counts the end of what was counted as begun."""
    if isinstance(event, CallFinished | NodeFinished) or (
        isinstance(event, BackgroundFinished) and event.error is None
    ):
        reservation.answer(event.output)
    else:
        reservation.stop()
