"""Which edges of one node exclude each other: at most one of them is taken for one message."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

from graphflow.declaration.arrows import Origin
from graphflow.declaration.handoffs import HandTo
from graphflow.messages.message import LimitReached
from graphflow.messages.types import disjoint
from graphflow.proofs.arms import are_apart, is_label
from graphflow.proofs.edge_types import TypedEdge
from graphflow.proofs.topology import GraphEdge
from graphflow.proofs.wiring import Wiring


class Exclusion:
    """Tells of two edges of a node whether at most one is taken: `exclusive(one, other)`."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    def __call__(self, one: GraphEdge, other: GraphEdge) -> bool:
        edges = self._wiring.edges
        first = edges[one.index]
        second = edges[other.index]
        return self._typed(first, second)

    def all_apart(self, edges: Sequence[GraphEdge]) -> bool:
        """Whether at most one of all these edges of a node is taken."""
        if self._have_labels_of_their_own(edges):
            return True
        pairs = combinations(edges, 2)
        return all(self(one, other) for one, other in pairs)

    def _have_labels_of_their_own(self, edges: Sequence[GraphEdge]) -> bool:
        # The same answer as that of all pairs, told in one pass: a router may have thousands of labels.
        labels = set()
        for edge in edges:
            typed = self._wiring.edges[edge.index]
            label = typed.arm
            if typed.exceptional or not is_label(label) or label in labels:
                return False
            labels.add(label)
        return True

    def _typed(self, one: TypedEdge, other: TypedEdge) -> bool:
        if one is other:
            return False
        if one.exceptional or other.exceptional:
            return self._exceptional(one, other)
        if _are_guards_of_one_arm(one.edge.origin, other.edge.origin):
            return True  # the first guard that holds is taken, and no other
        by_arms = _are_apart_by_arms(one, other)
        if by_arms is not None:
            return by_arms
        return self._are_apart_by_types(one, other)

    def _are_apart_by_types(self, one: TypedEdge, other: TypedEdge) -> bool:
        if self._wiring.passes_input(one.source):
            if one.arm is None or other.arm is None:
                return False
            return are_apart(one.arm, other.arm)
        if is_label(one.arm) and is_label(other.arm):
            differ = one.arm != other.arm
            return bool(differ)
        if one.each or other.each:
            # They carry items, but the list as a whole decides which of them is taken.
            sent = self._wiring.sent(one.source)
            first = one.arm or sent
            second = other.arm or sent
            return disjoint(first, second)
        return _carry_apart(one, other)

    def _exceptional(self, one: TypedEdge, other: TypedEdge) -> bool:
        """The same where one of the two is for a failure, for used-up laps, or a hand-over."""
        arm = one.arm
        other_arm = other.arm
        if isinstance(arm, HandTo) or isinstance(other_arm, HandTo):
            return True
        if arm is other_arm:
            return False
        if LimitReached not in (arm, other_arm):
            return True  # a node that has failed has not answered
        # LimitReached stands in for a lap edge, so it excludes that one and whatever excludes that one.
        answering = other if arm is LimitReached else one
        for lap in self.counted_laps(one.source):
            if lap is not answering and not self._typed(lap, answering):
                return False
        return True

    def counted_laps(self, source: int) -> list[TypedEdge]:
        """The edges of a node for whose used-up laps `LimitReached` is sent."""
        counted: list[TypedEdge] = []
        leaving = self._wiring.by_source[source]
        for edge in leaving:
            if edge.lap_of is not None and edge.arm is not LimitReached:
                counted.append(edge)
        return counted


def _are_guards_of_one_arm(one: Origin, other: Origin) -> bool:
    if one.guard is None or other.guard is None:
        return False
    if one.guard is other.guard:
        return False
    return repr(one.arm) == repr(other.arm)


def _are_apart_by_arms(one: TypedEdge, other: TypedEdge) -> bool | None:
    """Whether no arm goes along both edges; None if that is not what tells."""
    # A value is of one arm only: the most specific that it fits.
    arms = one.arms
    other_arms = other.arms
    if arms is None or other_arms is None:
        return None
    if arms == other_arms and one.arm is None:
        return None
    return arms.isdisjoint(other_arms)


def _carry_apart(one: TypedEdge, other: TypedEdge) -> bool:
    pairs = product(one.carries, other.carries)
    return all(disjoint(kind, another) for kind, another in pairs)
