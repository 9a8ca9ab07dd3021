"""What claims see of a frame: its activations, calls and hand-overs, checked and counted where they begin.

A watch belongs to one frame. It holds the guards of all graphs around it that have claims to enforce, each with the way from
the guard's frame to this one. A frame that no claim looks into has none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graphflow.claims.claim_proofs import claim_proofs_of
from graphflow.claims.guard import (
    BeginningKind,
    ClaimGuard,
    ClaimRefusal,
    ClaimSteps,
    Sights,
    sees_arrows,
)
from graphflow.claims.targets import Way
from graphflow.declaration.background import Background
from graphflow.declaration.handoffs import Handover
from graphflow.declaration.node import AnyNode
from graphflow.errors import ClaimBroken, ClaimRefused
from graphflow.events import (
    Event,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRefused,
    Scope,
)
from graphflow.proofs.program import Slot
from graphflow.proofs.proven import AnyGraph
from graphflow.walk.commands import Activation


@dataclass(frozen=True, slots=True)
class FrameSight:
    """One guard, as it sees a frame.

    Attributes:
        guard: the guard.
        around: the names from the guard's frame to this one.
        scope: where the activation stands in the guard's frame that has led here; None: the frame is that one.
        sees_arrows: whether any of its claims looks at what begins by arrows.
    """

    guard: ClaimGuard
    around: Way
    scope: Scope | None
    sees_arrows: bool


class Reservation:
    """Something that has begun, or is about to, as the guards have counted it."""

    __slots__ = ("_is_open", "_node", "_parts", "_steps", "has_begun")

    def __init__(
        self,
        node: AnyNode | None,
        parts: list[tuple[ClaimGuard, Sights, Scope]],
        steps: ClaimSteps | None = None,
    ) -> None:
        self._node = node
        self._parts = parts
        self._steps = steps
        """What it moves, if no claim about branches sees it; there are no parts then."""
        self._is_open = True
        self.has_begun = False
        """Whether the node itself is at work: what was refused before may be tried again."""

    def answer(self, output: object) -> None:
        """It has answered; a call in the background with its handle, and how it ends is told later."""
        if isinstance(output, Background):
            self._follow(output)
            return
        if not self._is_open:
            return
        self._is_open = False
        assert self._node is not None
        if self._steps is not None:
            self._steps.answer(self._node, output)
        else:
            for guard, sights, scope in self._parts:
                guard.answer(sights, scope, self._node, output)

    def stop(self) -> None:
        """It has failed or was cancelled; or it has not even begun, and its place is free again."""
        if not self._is_open:
            return
        self._is_open = False
        if self._steps is not None:
            if self.has_begun:
                self._steps.end()
            else:
                self._steps.give_back()
        for guard, sights, scope in self._parts:
            if self.has_begun:
                guard.end(sights, scope)
            else:
                guard.give_back(sights, scope)

    def _follow(self, background: Background) -> None:
        task = background.task
        if task is None:
            self.stop()
            return

        def end(_: object) -> None:
            if task.cancelled() or task.exception() is not None:
                self.stop()
            else:
                self.answer(task.result())

        task.add_done_callback(end)


NO_PARTS: list[tuple[ClaimGuard, Sights, Scope]] = []
UNSEEN = ClaimSteps((), (), ())
"""Those of a node that no claim sees, and"""
NOTHING = Reservation(None, NO_PARTS)
"""what is reserved for it."""
NOTHING.stop()


class ClaimWatch:
    """The claims that see a frame.

    Args:
        sights: the guards, with the way to the frame.
        entered: the node that was entered alone; None: a graph was.
    """

    __slots__ = (
        "_due",
        "_entered",
        "_handing",
        "_known",
        "_sights",
        "_steps",
        "open",
        "sees_arrows",
    )

    def __init__(self, sights: list[FrameSight], entered: AnyNode | None) -> None:
        self._sights = sights
        self._entered = entered
        self.sees_arrows = entered is None and any(sight.sees_arrows for sight in sights)
        self._known: dict[tuple[str, int, int], tuple[object, object, list[Sights]]] = {}
        """What each guard sees of a node, by how it begins, the caller and the node; both are kept, so that their ids are."""
        self._steps: dict[tuple[str, int, int], ClaimSteps] = {}
        """What is moved by nodes that no claim about branches sees."""
        self.open: dict[int, Reservation] = {}
        """The activations under way that a claim sees, by number."""
        self._handing: dict[int, tuple[str, Reservation]] = {}
        """Hand-overs that were allowed, by the activation that hands over, with whom to."""
        self._due: dict[str, list[Reservation]] = {}
        """Those of them that have been made, by the node that is to begin."""

    def within(self, node: AnyNode, scope: Scope) -> list[FrameSight]:
        """How the guards see a frame that a node enters."""
        found: list[FrameSight] = []
        for sight in self._sights:
            at = scope if sight.scope is None else sight.scope
            way = (*sight.around, node.names)
            found.append(FrameSight(sight.guard, way, at, sight.sees_arrows))
        return found

    def own(self) -> ClaimWatch | None:
        """The same for the guards of this very frame alone; None if it has none of its own."""
        sights = [sight for sight in self._sights if sight.scope is None]
        return ClaimWatch(sights, self._entered) if sights else None

    def inner(self, node: AnyNode, target: AnyNode, graph: AnyGraph, scope: Scope) -> ClaimWatch:
        """The watch of a frame within, without that frame's own claims."""
        return ClaimWatch(self.within(node, scope), None if target is graph else target)

    @property
    def is_alone(self) -> bool:
        """Whether the frame is one node that was entered alone."""
        return self._entered is not None

    # -- activations on arrows ---------------------------------------------------------------------
    def begin_activation(self, act: Activation, *, is_direct: bool) -> None:
        """An activation begins; one that is called directly cannot be refused any more.

        Raises:
            ClaimBroken: it must not.
        """
        slot = act.slot
        node = slot.node
        assert node is not None
        due = self._due.get(slot.name)
        if due:
            self.open[act.id] = due.pop(0)
            return
        reservation = self._begin("activation", None, node, slot, act.scope)
        if isinstance(reservation, ClaimRefusal):
            raise ClaimBroken(node.name, str(reservation.claim), reservation.why)
        if reservation is not NOTHING:
            self.open[act.id] = reservation
            reservation.has_begun = is_direct

    def begin_activation_again(self, slot: Slot, scope: Scope) -> Reservation:
        """An activation that an earlier sitting has seen is counted, whatever that means."""
        assert slot.node is not None
        reservation = self._begin("activation", None, slot.node, slot, scope)
        if isinstance(reservation, ClaimRefusal):
            return NOTHING
        reservation.has_begun = True
        return reservation

    def end_activation(self, fact: Event) -> None:
        """An activation has ended so."""
        if not isinstance(fact, NodeFinished | NodeFailed | NodeCancelled | NodeRefused):
            return
        reservation = self.open.pop(fact.activation, None)
        target = ""
        if isinstance(fact, NodeFinished):
            if isinstance(fact.output, Handover):
                target = fact.output.target
            if reservation is not None:
                reservation.answer(fact.output)
        elif reservation is not None:
            reservation.stop()
        if fact.activation in self._handing:
            self._hand_on(fact.activation, target)

    def _hand_on(self, activation: int, target: str) -> None:
        """Keeps the place of whom an activation has handed over to; gives it back if it has not."""
        name, reservation = self._handing.pop(activation)
        if target == name:
            self._due.setdefault(name, []).append(reservation)
        else:
            reservation.stop()

    # -- calls and hand-overs ----------------------------------------------------------------------
    def begin_call(
        self, caller: AnyNode, node: AnyNode, scope_of: Callable[[int], Scope], activation: int
    ) -> Reservation:
        """A call begins.

        Args:
            caller, node: who calls whom.
            scope_of: tells the scope of the activation that calls; only claims about branches ask for it.
            activation: its number.

        Raises:
            ClaimRefused: it must not.
        """
        steps = self._steps.get(("call", id(caller), id(node)))
        if steps is UNSEEN:
            return NOTHING
        reservation: Reservation | ClaimRefusal
        if steps is None:
            scope = scope_of(activation)
            reservation = self._begin("call", caller, node, None, scope)
        else:
            reservation = steps.begin() or Reservation(node, NO_PARTS, steps)
        if isinstance(reservation, ClaimRefusal):
            raise ClaimRefused(node.name, str(reservation.claim), reservation.why)
        return reservation

    def begin_again(self, caller: AnyNode, node: AnyNode, scope: Scope) -> Reservation:
        """A call goes on that an earlier sitting has begun: it is counted, whatever that means."""
        reservation = self._begin("call", caller, node, None, scope)
        if isinstance(reservation, ClaimRefusal):
            return NOTHING
        reservation.has_begun = True
        return reservation

    def hand_over(self, activation: int, caller: AnyNode, node: AnyNode, scope: Scope) -> None:
        """A node is about to be handed over to: its place is kept until it begins.

        Raises:
            ClaimRefused: it must not begin.
        """
        reservation = self._begin("hand-over", caller, node, None, scope)
        if isinstance(reservation, ClaimRefusal):
            raise ClaimRefused(node.name, str(reservation.claim), reservation.why)
        if activation in self._handing:  # an earlier attempt's
            self._hand_on(activation, "")
        if reservation is not NOTHING:
            self._handing[activation] = (node.name, reservation)

    def is_closed(self, kind: BeginningKind, caller: AnyNode, node: AnyNode, scope: Scope) -> bool:
        """Whether a call or hand-over would be refused now."""
        for sight, sights in self._seen(kind, caller, node, None):
            if sights and sight.guard.refusal(sights, self._scope(sight, scope)) is not None:
                return True
        return False

    # -- the common part ---------------------------------------------------------------------------
    def _begin(
        self,
        kind: BeginningKind,
        caller: AnyNode | None,
        node: AnyNode,
        slot: Slot | None,
        scope: Scope,
    ) -> Reservation | ClaimRefusal:
        steps = self._steps.get((kind, id(caller), id(node)))
        if steps is UNSEEN:
            return NOTHING
        if steps is not None:
            return steps.begin() or Reservation(node, NO_PARTS, steps)
        parts: list[tuple[ClaimGuard, Sights, Scope]] = []
        for sight, sights in self._seen(kind, caller, node, slot):
            if not sights:
                continue
            at = self._scope(sight, scope)
            refusal = sight.guard.begin(sights, at)
            if refusal is not None:
                Reservation(node, parts).stop()
                return refusal
            parts.append((sight.guard, sights, at))
        return Reservation(node, parts) if parts else NOTHING

    def _seen(
        self, kind: BeginningKind, caller: AnyNode | None, node: AnyNode, slot: Slot | None
    ) -> list[tuple[FrameSight, Sights]]:
        """What each guard sees of a node that begins so."""
        key = (kind, id(caller), id(node))
        known = self._known.get(key)
        if known is None:
            seen = [self._look(sight, kind, caller, node, slot) for sight in self._sights]
            known = (caller, node, seen)
            self._known[key] = known
            self._keep_steps(key, seen)
        return list(zip(self._sights, known[2], strict=True))

    def _keep_steps(self, key: tuple[str, int, int], seen: list[Sights]) -> None:
        """Keeps the steps of a node that one guard alone sees: it need not be looked at again."""
        seeing = [place for place, sights in enumerate(seen) if sights]
        if not seeing:
            self._steps[key] = UNSEEN
        if len(seeing) != 1:
            return
        place = seeing[0]
        steps = self._sights[place].guard.steps(seen[place])
        if steps is not None:
            self._steps[key] = steps

    def _look(
        self,
        sight: FrameSight,
        kind: BeginningKind,
        caller: AnyNode | None,
        node: AnyNode,
        slot: Slot | None,
    ) -> Sights:
        way = sight.around
        by: Way = ()
        if caller is not None:
            # What was entered alone has the name of its frame, and what it calls stands right behind that.
            by = way if caller is self._entered else (*way, caller.names)
        if kind == "call":
            way = by
        own_slot = slot if sight.scope is None else None
        return sight.guard.sights((*way, node.names), by, kind, own_slot)

    def _scope(self, sight: FrameSight, scope: Scope) -> Scope:
        return scope if sight.scope is None else sight.scope

    def check_end(self, graph: str) -> None:
        """The walk of the frame has completed.

        Raises:
            ClaimBroken: something has begun or answered less often than was claimed.
        """
        for sight in self._sights:
            if sight.scope is not None:
                continue
            lacking = sight.guard.lacking()
            if lacking is not None:
                raise ClaimBroken(graph, str(lacking.claim), lacking.why)


def watch_of(graph: AnyGraph) -> ClaimWatch | None:
    """The watch of an outermost frame; None if no claim sees it."""
    own = _own_sight(graph)
    return None if own is None else ClaimWatch([own], None)


def watch_within(
    outer: ClaimWatch | None, node: AnyNode, graph: AnyGraph, target: AnyNode, scope: Scope
) -> ClaimWatch | None:
    """The watch of a frame within another one; None if no claim sees it.

    Args:
        outer: the watch of the frame around it.
        node: the node that is entered.
        graph: what is walked.
        target: what stands behind the node: the graph, or what is alone in it.
        scope: where the activation stands in the frame around that enters it.
    """
    sights: list[FrameSight] = []
    if outer is not None:
        sights = outer.within(node, scope)
    own = _own_sight(graph)
    if own is not None:
        sights.append(own)
    if not sights:
        return None
    return ClaimWatch(sights, None if target is graph else target)


def _own_sight(graph: AnyGraph) -> FrameSight | None:
    """How a frame of the graph is seen by its own claims, if any have to be enforced."""
    if not graph.claims:
        return None
    enforced = claim_proofs_of(graph).enforced
    if not enforced:
        return None
    guard = ClaimGuard(graph, enforced)
    return FrameSight(guard, (), None, sees_arrows(graph, enforced))
