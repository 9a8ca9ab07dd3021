"""What an edge carries: which arms, labels or items of its source's output, and the port that takes them.

An edge is typed in two steps. The first looks at it alone: what its origin stands for (`critic[Rejected]`, `plan.each`),
and which port of its target takes that. The second looks at all edges that leave a node together: an arm that one of them
names goes along no other that only takes it as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from graphflow.declaration.arrows import END, START, Edge, EdgeGuard, Origin, Where
from graphflow.declaration.handoffs import HandTo
from graphflow.declaration.node import AnyNode, Node
from graphflow.declaration.ports import Port, required_ports
from graphflow.messages.message import Failure, LimitReached
from graphflow.messages.namesakes import Namesakes
from graphflow.messages.types import Type, accepts, arms, item_type
from graphflow.proofs.arms import (
    Label,
    is_label,
    kinds_text,
    label_of,
    labels_of,
    no_such_arm,
    no_such_label,
    pick_arms,
)
from graphflow.proofs.problems import Problem
from graphflow.proofs.topology import NOTHING, GraphEdge

Arms: TypeAlias = tuple[Type, ...]
"""The arms of a type, in the order in which they were written."""
PortNumbers: TypeAlias = dict[int, Port]
"""Some ports of a node, by their numbers."""
ArmNumbers: TypeAlias = frozenset[int]
"""Some arms of a type, by their numbers."""


@dataclass(frozen=True, slots=True)
class EdgeTypes:
    """What types say of an edge.

    Attributes:
        carries: the arms that go along it.
        port: the number of the port that they arrive at.
        collects: whether the port makes a list of them.
        whole: whether all that the source sends goes along it.
        exceptional: whether it is an edge for `Failure`, `LimitReached` or a hand-over.
    """

    carries: Arms
    port: int = 0
    collects: bool = False
    whole: bool = False
    exceptional: bool = False


class TypedEdge(GraphEdge):
    """One edge with what its types say."""

    __slots__ = ("arms", "carries", "collects", "edge", "exceptional", "whole")

    def __init__(self, index: int, edge: Edge, source: int, target: int, types: EdgeTypes) -> None:
        # Written out instead of asking `GraphEdge`: ten thousand edges are made in one go.
        self.index = index
        self.source = source
        self.target = target
        self.port = types.port
        self.each = edge.origin.each
        self.limit = edge.origin.laps
        self.lap_of = None
        self.exits = NOTHING
        self.edge = edge
        self.carries = types.carries
        """Arms of the source that go this way."""
        self.arms: ArmNumbers | None = None
        """Their numbers among the arms of the source; None where labels, or less than a whole arm, tell what goes."""
        self.collects = types.collects
        self.whole = types.whole
        """Whether everything the source sends goes this way."""
        self.exceptional = types.exceptional
        """Whether this is an edge for `Failure`, `LimitReached` or a hand-over."""

    @property
    def arm(self) -> Any:
        """What stands in square brackets: a type, a label, or None for the whole output."""
        return self.edge.origin.arm

    @property
    def guard(self) -> EdgeGuard | None:
        """The condition under which it is taken."""
        return self.edge.origin.guard

    @property
    def where(self) -> Where:
        """File and line."""
        return self.edge.where

    def __repr__(self) -> str:
        return repr(self.edge)


EdgeKey: TypeAlias = tuple[object, ...]
"""What the types of an edge depend on: the signatures of its ends, and the port that it names."""


# -- one edge alone --------------------------------------------------------------------------------
class EdgeTyper:
    """Says what edges carry. What depends on types alone is found once for each pair of signatures."""

    def __init__(self) -> None:
        self._known: dict[EdgeKey, EdgeTypes] = {}
        self._labels: dict[int, frozenset[Label]] = {}

    def types_of(
        self, edge: Edge, sent: Type, ports: tuple[Port, ...], key: EdgeKey
    ) -> EdgeTypes | Problem:
        """What types say of an edge whose source sends `sent` and whose target has these ports."""
        origin = edge.origin
        if origin.arm is not None or origin.each:
            # By identity: two classes may look alike, and 1 equals True. The arm lives as long as its edge.
            arm = id(origin.arm)
            key = (*key, arm, origin.each)
        known = self._known.get(key)
        if known is not None:
            return known
        types = self._read(edge, sent, ports)
        if isinstance(types, EdgeTypes):  # a problem is not kept: its text names the nodes
            self._known[key] = types
        return types

    def _read(self, edge: Edge, sent: Type, ports: tuple[Port, ...]) -> EdgeTypes | Problem:
        if isinstance(edge.origin.arm, HandTo):
            return _handoff_types(ports)
        picked = self._pick(edge.origin, sent)
        if isinstance(picked, Problem) or edge.target is END:
            return picked
        candidates: PortNumbers = {}
        fitting: PortNumbers = {}
        for number, port in enumerate(ports):
            if edge.port not in (None, port.name):
                continue
            candidates[number] = port
            if _takes_all(port, picked.carries):
                fitting[number] = port
        # A port that takes everything goes before one that takes a part, whatever the order of the ports.
        if fitting:
            return _at_port(edge, picked, fitting)
        part = _carry_part(edge.origin, picked, candidates)
        if part is not None:
            return part
        ports_meant = list(candidates.values())
        return _mismatch(edge, picked.carries, ports_meant)

    def _pick(self, origin: Origin, sent: Type) -> EdgeTypes | Problem:
        """What an origin stands for, at no port yet."""
        node = origin.node
        arm = origin.arm
        # These two are among the arms of no output: any node may fail, and any loop may use up its laps.
        if arm is Failure or arm is LimitReached:
            if node is START:
                return Problem("START cannot fail; take Failure from a node")
            return EdgeTypes((arm,), exceptional=True)
        kinds = arms(sent)
        if arm is not None:
            picked = self._pick_arm(arm, kinds, sent)
            if isinstance(picked, Problem):
                apart = Namesakes(sent, arm)
                shown = apart.name(sent)
                return Problem(f"{node.name!r} sends {shown}; {picked.text}")
            kinds = picked
        if isinstance(node, Node) and node.passes_input:
            # The label has said where; the router's own input goes there.
            kinds = arms(input_of(node))
        if origin.each:
            items = _items_of(kinds)
            if items is None:
                shown = kinds_text(kinds)
                return Problem(
                    f"{node.name!r} sends {shown}, which is not a list; .each needs a node that returns list[...]"
                )
            kinds = items
        return EdgeTypes(kinds, whole=arm is None)

    def _pick_arm(self, arm: Type, kinds: Arms, sent: Type) -> Arms | Problem:
        """The arms that stand in square brackets."""
        if not is_label(arm):
            return pick_arms(arm, kinds) or no_such_arm(arm, kinds)
        have = self._labels_of(sent, kinds)
        if arm in have:
            return (Literal[arm],)
        if Any in kinds:
            return (Any,)
        in_order = labels_of(kinds)
        return no_such_label(arm, in_order)

    def _labels_of(self, sent: Type, kinds: Arms) -> frozenset[Label]:
        # A router may have thousands, and an edge for each: they are not listed for every edge.
        key = id(sent)
        known = self._labels.get(key)
        if known is not None:
            return known
        labels = frozenset(labels_of(kinds))
        self._labels[key] = labels
        return labels


def input_of(node: AnyNode) -> Type:
    """What goes on from a router by labels: the type of its own input."""
    if not node.ports:
        return Any
    return node.ports[0].type


def _items_of(kinds: Arms) -> Arms | None:
    """The arms of the items of lists; None if one of the kinds is not a list."""
    items: list[Type] = []
    for kind in kinds:
        item = Any if kind is Any else item_type(kind)
        if item is None:
            return None
        items += arms(item)
    return tuple(items)


def _handoff_types(ports: Sequence[Port]) -> EdgeTypes:
    """A hand-over brings what its target takes: the model writes it by the target's schema."""
    target = required_ports(ports)[0]
    number = ports.index(target)
    kind = target.type
    if kind is Any:
        kind = str  # nothing says what it should be, so the model writes a text
    return EdgeTypes((kind,), number, exceptional=True)


# -- at a port -------------------------------------------------------------------------------------
def _takes_all(port: Port, kinds: Arms) -> bool:
    return all(port.takes(kind) for kind in kinds)


def _at_port(edge: Edge, picked: EdgeTypes, fitting: PortNumbers) -> EdgeTypes | Problem:
    """What arrives at the one port that is meant, of those whose types fit."""
    kinds = picked.carries
    meant = _most_exact(kinds, fitting)
    if len(meant) > 1:
        ports = list(meant.values())
        return _which_port(edge, kinds, ports)
    [(number, port)] = meant.items()
    # Of `T | list[T]` a list port would take the one as an item, and the other as the list itself.
    collects = {port.collects(kind) for kind in kinds}
    if len(collects) > 1:
        return Problem(
            f"port {port.name!r} would get some messages as they are and collect others; use one arm an edge"
        )
    return replace(picked, port=number, collects=collects.pop())


def _most_exact(kinds: Arms, fitting: PortNumbers) -> PortNumbers:
    """Of several ports that fit, those of the very type; of these, those that cannot stay empty."""
    # A node that takes (draft: Draft, notes: Draft | None) is sent a Draft: both ports fit, `draft` is meant. If that is
    # not what was meant, `.into("notes")` says so.
    exact: PortNumbers = {}
    for number, port in fitting.items():
        if all(port.type == kind for kind in kinds):
            exact[number] = port
    closest = exact or fitting
    required: PortNumbers = {}
    for number, port in closest.items():
        if not port.optional:
            required[number] = port
    return required or closest


def _which_port(edge: Edge, kinds: Arms, ports: Sequence[Port]) -> Problem:
    target = edge.target.name
    shown = kinds_text(kinds)
    names: list[str] = []
    aims: list[str] = []
    for port in ports:
        name = repr(port.name)
        names.append(name)
        aim = f">> {target}.into({name})"
        aims.append(aim)
    either = " or ".join(names)
    ways = " or ".join(aims)
    return Problem(f"{shown} fits more than one port of {target!r} ({either}); say which: {ways}")


def _carry_part(origin: Origin, picked: EdgeTypes, candidates: PortNumbers) -> EdgeTypes | None:
    """An edge may carry some arms only, if its target takes no others: that something takes the rest is proven later."""
    # plan >> write, where plan sends Plan | Refusal and write takes Plan: the edge carries Plan alone.
    if origin.arm is not None or origin.each:
        return None
    for number, port in candidates.items():
        part = tuple(kind for kind in picked.carries if port.takes(kind))
        ways = {port.collects(kind) for kind in part}
        # As in `_at_port`: either all of it is collected, or all of it is taken as it is.
        if len(ways) == 1:
            collects = ways.pop()
            return replace(picked, carries=part, port=number, collects=collects, whole=False)
    return None


def _mismatch(edge: Edge, kinds: Arms, candidates: Sequence[Port]) -> Problem:
    source = edge.origin.node.name
    target = edge.target.name
    wanted = [port.type for port in candidates]
    apart = Namesakes(*kinds, *wanted)
    sent = apart.names(kinds)
    accepted: list[str] = []
    for port in candidates:
        kind = apart.name(port.type)
        accepted.append(f"{port.name}: {kind}")
    taken = " or ".join(accepted) or "nothing"
    hint = "; add a node that converts, or change one type"
    if apart.hint:
        # The two have one name, and are different types: that is the whole mistake.
        hint = apart.hint
    elif not edge.origin.each and _take_an_item(candidates, kinds):
        hint = f"; to send the items one by one write {source}.each >> {target}"
    return Problem(f"{source!r} sends {sent}, {target!r} accepts {taken}{hint}")


def _take_an_item(candidates: Sequence[Port], kinds: Arms) -> bool:
    """Whether a port takes the items of a list that it does not take whole."""
    for kind in kinds:
        item = item_type(kind)
        if item is None:
            continue
        if any(port.takes(item) for port in candidates):
            return True
    return False


# -- all edges that leave a node -------------------------------------------------------------------
def share_arms(leaving: Sequence[TypedEdge], kinds: Sequence[Type], passes_input: bool) -> None:
    """Says of each edge which arms go along it."""
    # An arm that one edge names goes along no edge that names a wider type, or none:
    #
    #     critic[Rejected] >> draft     takes Rejected
    #     critic >> log                 takes the rest: the arms of critic without Rejected
    #
    # Hence a value takes one way, the most specific, however the union and the edges were written.
    named: list[Type] = []
    if len(kinds) > 1:
        for edge in leaving:
            named += _named_arms(edge, kinds)
    for edge in leaving:
        numbers = _arm_numbers(edge, kinds, named)
        edge.arms = numbers
        if numbers is None or edge.each or passes_input:
            continue
        own = [kinds[number] for number in numbers]
        elsewhere = [kind for kind in kinds if kind not in own]
        _leave_out(elsewhere, edge)


def _leave_out(elsewhere: Sequence[Type], edge: TypedEdge) -> None:
    """Takes the arms that go elsewhere out of what an edge carries."""
    rest = [kind for kind in edge.carries if kind not in elsewhere]
    edge.carries = tuple(rest)


def _named_arms(edge: TypedEdge, kinds: Sequence[Type]) -> list[Type]:
    """The arms that an edge names exactly, in square brackets."""
    arm = edge.arm
    if arm is None or edge.exceptional or is_label(arm):
        return []
    return [kind for kind in arms(arm) if kind in kinds]


def _arm_numbers(
    edge: TypedEdge, kinds: Sequence[Type], named: Sequence[Type]
) -> ArmNumbers | None:
    """Which of a source's arms go along an edge whole; None where that is not what tells."""
    arm = edge.arm
    if edge.exceptional or is_label(arm) or Any in kinds:
        return None
    # Numbers, since at run time an output is tested arm by arm, once, and each edge then only looks the number up.
    numbers: set[int] = set()
    own = _named_arms(edge, kinds)
    for number, kind in enumerate(kinds):
        if arm is None:
            taken = edge.whole or kind in edge.carries
        elif kind in named:
            taken = kind in own
        else:
            taken = accepts(arm, kind)
        if taken:
            numbers.add(number)
    return frozenset(numbers) or None


def covers(edge: TypedEdge, unit: Type, passes_input: bool) -> bool:
    """Whether an edge takes one arm or label of an output, its guards aside."""
    arm = edge.arm
    if is_label(arm):
        return unit is Any or label_of(unit) == arm
    if arm is not None and not accepts(arm, unit):
        return False
    if edge.each or passes_input:  # then what it carries is not what its source puts out
        return True
    # `animal[Dog]` of a node that sends Animal carries less than an arm, and a look at the value tells what.
    if arm is not None and edge.arms is None:
        return True
    return any(accepts(kind, unit) for kind in edge.carries)
