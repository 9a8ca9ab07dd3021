"""What claims see of a frame: its activations, calls and hand-overs, checked and counted where they begin.

A watch belongs to one frame. It holds the guards of all graphs around it that have claims to enforce, each with the way from
the guard's frame to this one. A frame that no claim looks into has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from graphflow.claims.claim_proofs import claim_proofs_of
from graphflow.claims.guard import (
    BeginningKind,
    ClaimGuard,
    GroupStates,
    NodeMoves,
    Reservation,
    Stake,
)
from graphflow.claims.targets import Way
from graphflow.declaration.handoffs import Handoff, Handover
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

ScopeOf: TypeAlias = Callable[[int], Scope]
"""The scope of an activation, by its number."""


def _no_scope(activation: int) -> Scope:
    return ()


@dataclass(frozen=True, slots=True)
class FrameSight:
    """One guard, as it sees a frame.

    Attributes:
        guard: the guard.
        around: the names from the guard's frame to this one.
        scope: where the activation stands in the guard's frame that has led here; None: the frame is that one.
    """

    guard: ClaimGuard
    around: Way
    scope: Scope | None

    @property
    def looks_at_arrows(self) -> bool:
        """Whether it may look at nodes on arrows of the frame."""
        rules = self.guard.rules
        return rules.sees_arrows or (self.scope is not None and rules.sees_walked)


SightPart: TypeAlias = tuple[FrameSight, GroupStates, NodeMoves]
"""How a guard sees the frame, the numbers of one of its groups, and what the node does to them."""


class NodeSight:
    """What the guards see of a node that begins in one way.

    Attributes:
        parts: what it means to each group of claims, with how its guard sees the frame.
        stake: the same wherever it begins; None if no claim sees it, or one about branches.
        caller: who begins it; it is kept, as the node is, so that nothing else gets their ids.
        node: what begins.
    """

    __slots__ = ("caller", "node", "parts", "stake")

    def __init__(self, parts: Sequence[SightPart], caller: AnyNode | None, node: AnyNode) -> None:
        self.parts = parts
        self.caller = caller
        self.node = node
        self.stake: Stake | None = None
        if not any(counts.group.fork >= 0 for _, counts, _ in parts):
            self.stake = self.stake_at(())

    def stake_at(self, scope: Scope) -> Stake | None:
        """What it means if it begins in this scope of its frame."""
        if self.stake is not None:
            return self.stake
        stakes: list[Stake] = []
        for frame, counts, moves in self.parts:
            at = scope if frame.scope is None else frame.scope
            stakes.append(Stake(counts.at(at), moves, counts, self.node, at))
        if not stakes:
            return None
        return stakes[0].beside(stakes[1:])


class ClaimWatch:
    """The claims that see a frame.

    Args:
        sights: the guards, with the way to the frame.
        entered: the node that was entered alone; None: a graph was.
    """

    __slots__ = (
        *("_due", "_entered", "_handing", "_known", "_sights"),
        *("calls", "kept_scopes", "open", "scope_of", "sees_arrows"),
    )

    def __init__(self, sights: list[FrameSight], entered: AnyNode | None) -> None:
        self._sights = sights
        self._entered = entered
        looks_at_arrows = any(sight.looks_at_arrows for sight in sights)
        self.sees_arrows = entered is None and looks_at_arrows
        self._known: dict[tuple[BeginningKind, int, int], NodeSight] = {}
        """What is seen of a node, by how it begins, the caller and the node."""
        self.calls: dict[str, dict[str, Stake | None]] = {}
        """What calls mean to claims wherever they are made, by the names of the caller and of the node."""
        self.scope_of: ScopeOf = _no_scope
        """The scopes of the activations of the frame; its frame sets it."""
        self.kept_scopes: dict[int, Scope] = {}
        """Those of activations that have called something in the background, which may outlast them."""
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
            found.append(FrameSight(sight.guard, way, at))
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
        sight = self._sight("activation", None, node, slot)
        stake = sight.stake_at(act.scope)
        if stake is None:
            return
        reservation = Reservation()
        refused = reservation.begin(stake)
        if refused is not None:
            raise ClaimBroken(node.name, str(refused.claim), refused.why)
        reservation.has_begun = is_direct
        self.open[act.id] = reservation

    def begin_activation_again(self, slot: Slot, scope: Scope) -> Reservation:
        """An activation that an earlier sitting has seen is counted, whatever that means."""
        assert slot.node is not None
        sight = self._sight("activation", None, slot.node, slot)
        return _counted_again(sight.stake_at(scope))

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
    def stake_of_call(self, caller: AnyNode, node: AnyNode, activation: int) -> Stake | None:
        """What a call means to claims; None if none sees it. `activation`: the number of the one that calls."""
        sight = self._sight("call", caller, node)
        if sight.stake is not None or not sight.parts:
            # Within a frame a name is that of one node, and names are looked up faster than anything else.
            known = self.calls.setdefault(caller.name, {})
            known[node.name] = sight.stake
            return sight.stake
        return sight.stake_at(self.scope_of(activation))

    def begin_again(self, caller: AnyNode, node: AnyNode, scope: Scope) -> Reservation:
        """A call goes on that an earlier sitting has begun: it is counted, whatever that means."""
        sight = self._sight("call", caller, node)
        return _counted_again(sight.stake_at(scope))

    def hand_over(self, activation: int, caller: AnyNode, node: AnyNode, scope: Scope) -> None:
        """A node is about to be handed over to: its place is kept until it begins.

        Raises:
            ClaimRefused: it must not begin.
        """
        if activation in self._handing:  # an earlier attempt's
            self._hand_on(activation, "")
        sight = self._sight("hand-over", caller, node)
        stake = sight.stake_at(scope)
        if stake is None:
            return
        reservation = Reservation()
        refused = reservation.begin(stake)
        if refused is not None:
            raise ClaimRefused(node.name, str(refused.claim), refused.why)
        self._handing[activation] = (node.name, reservation)

    def closed(
        self,
        caller: AnyNode,
        nodes: Iterable[AnyNode],
        handoffs: Iterable[tuple[Handoff, AnyNode]],
        scope: Scope,
    ) -> frozenset[str]:
        """The names of the tools whose call would be refused now, those for handing over included."""
        closed: set[str] = set()
        for node in nodes:
            if self._is_closed("call", caller, node, scope):
                closed.add(node.name)
        for handoff, target in handoffs:
            if self._is_closed("hand-over", caller, target, scope):
                closed.add(handoff.tool)
        return frozenset(closed)

    def _is_closed(self, kind: BeginningKind, caller: AnyNode, node: AnyNode, scope: Scope) -> bool:
        sight = self._sight(kind, caller, node)
        stake = sight.stake_at(scope)
        return stake is not None and not stake.is_open

    # -- the common part ---------------------------------------------------------------------------
    def _sight(
        self, kind: BeginningKind, caller: AnyNode | None, node: AnyNode, slot: Slot | None = None
    ) -> NodeSight:
        """What the guards see of a node that begins so."""
        key = (kind, id(caller), id(node))
        known = self._known.get(key)
        if known is None:
            known = self._look(kind, caller, node, slot)
            self._known[key] = known
        return known

    def _look(
        self, kind: BeginningKind, caller: AnyNode | None, node: AnyNode, slot: Slot | None
    ) -> NodeSight:
        parts: list[SightPart] = []
        for sight in self._sights:
            way = sight.around
            by: Way = ()
            if caller is not None:
                # What was entered alone has the name of its frame, and what it calls stands right behind that.
                by = way if caller is self._entered else (*way, caller.names)
            if kind == "call":
                way = by
            own_slot = slot if sight.scope is None else None
            for counts in sight.guard.groups:
                moves = counts.group.moves((*way, node.names), by, kind, own_slot)
                if moves is not None:
                    parts.append((sight, counts, moves))
        return NodeSight(parts, caller, node)

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


REFUSALS = (
    ApprovalRefused,
    ArgumentsInvalid,
    ClaimBroken,
    ClaimRefused,
    DepthExceeded,
    PolicyRefused,
)
"""Errors of what was refused before it began; or of what has called, and did not expect that."""


def was_refused(
    watch: ClaimWatch | None, reservation: Reservation | None, error: BaseException
) -> bool:
    """Whether something has failed with this error before its node did anything; False where no claim asks."""
    if watch is None:
        return False
    if reservation is None or reservation.stake is None:
        return isinstance(error, REFUSALS)
    return not reservation.has_begun


def _counted_again(stake: Stake | None) -> Reservation:
    """Something that has begun in an earlier sitting."""
    reservation = Reservation()
    if stake is not None:
        stake.count()
    reservation.stake = stake
    reservation.has_begun = True
    return reservation


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
    rules = claim_proofs_of(graph).rules
    if rules is None:
        return None
    return FrameSight(ClaimGuard(rules), (), None)
