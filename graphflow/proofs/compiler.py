"""Turns a proven graph into the slots and links that the walk reads.

Rules:
1. Whatever the walk would have to ask of types, loops or other edges is answered here, once, and written into a slot.
2. The common case is told first: a node with one port, one edge to it and one from it costs two objects and few looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphflow.declaration.handoffs import HandTo
from graphflow.declaration.node import AnyNode
from graphflow.messages.copies import copier_of, mutability_of
from graphflow.messages.message import LimitReached
from graphflow.messages.types import (
    Type,
    accepts,
    arms,
    by_specificity,
    item_type,
    matcher,
    output_check,
)
from graphflow.proofs.arms import Label, is_label
from graphflow.proofs.edge_types import Arms, TypedEdge
from graphflow.proofs.program import JoinSpec, Link, Matcher, Program, Slot
from graphflow.proofs.proof import Proof
from graphflow.proofs.tokens import is_single
from graphflow.proofs.topology import Join, Loop, NodeSet

Numbers: TypeAlias = tuple[int, ...]
ArmTest: TypeAlias = tuple[int, Matcher]
TypedEdges: TypeAlias = Sequence[TypedEdge]
ONLY_PORT = ((0,), (1,), (2,), (3,))
"""Tuples that are shared by the many slots with one wired port."""


def compile_program(proof: Proof) -> Program:
    """The program of a graph whose proofs all held."""
    return _Compiler(proof).program()


class _Compiler:
    """One graph on its way from typed edges to links, and from nodes to slots."""

    def __init__(self, proof: Proof) -> None:
        self._proof = proof
        self._wiring = proof.wiring
        self._leaving = proof.wiring.by_source
        self._arriving = proof.wiring.by_target
        top = proof.topology
        self._top = top
        self._lap_index: dict[int, int] = {}
        """The position of each lap edge among all of the graph: where a frame counts its laps."""
        for edge in top.edges:
            if edge.lap_of is not None:
                position = len(self._lap_index)
                self._lap_index[edge.index] = position
        joins = top.joins.values()
        self._forks = {join.fork for join in joins}
        self._single: set[int] = set()
        """The loops of which at most one token of each lap goes round again."""
        for loop in top.loops:
            if is_single(top, loop, proof.exclusive):
                self._single.add(loop.index)
        self._node_types: dict[int, _NodeTypes] = {}
        """By signature."""
        self._links: list[Link] = []
        self._slots: list[Slot] = []
        self._forking: list[Slot] = []

    def program(self) -> Program:
        wiring = self._wiring
        self._links = [self._link(edge) for edge in wiring.edges]
        for number, node in enumerate(wiring.nodes):
            slot = self._slot(number, node.name, node)
            self._slots.append(slot)
        for number in (wiring.start, wiring.end):
            name = wiring.name(number)
            slot = self._slot(number, name, None)
            self._slots.append(slot)
        self._forking = [slot for slot in self._slots if slot.forks]
        self._open_joins()
        self._copy_shared_messages()
        proof = self._proof
        return Program(
            name=proof.name,
            slots=self._slots,
            links=self._links,
            ends=proof.ends,
            straight=not self._top.joins and not self._forking,
            laps=len(self._lap_index),
            callees=proof.callees,
            handoffs=proof.members.handoffs,
            input=proof.input,
            output=proof.output,
            loops_of=self._loops_of(),
        )

    def _loops_of(self) -> dict[int, Numbers]:
        """The loops around each node that lies in one, outermost first."""
        loops_of: dict[int, Numbers] = {}
        for number, loop in enumerate(self._top.loop_of):
            if loop is None:
                continue
            around = self._top.loops_around(number)
            loops_of[number] = tuple(around)
        return loops_of

    # -- links -------------------------------------------------------------------------------------
    def _link(self, edge: TypedEdge) -> Link:
        origin = edge.edge.origin
        link = Link(
            edge.index, edge.source, edge.target, edge.port, edge.each, edge.limit, edge.exits
        )
        link.origin = origin.text(laps=False)
        link.guard = origin.guard
        if not edge.whole and not edge.exceptional:
            self._say_what_goes(edge, link)
        if origin.arm is not None:
            link.group = repr(origin.arm)
        # Most edges stay in the loop that they start in, or outside of all: no lap is counted then.
        before = self._top.loop_of[edge.source]
        after = self._top.loop_of[edge.target]
        if edge.lap_of is not None or before != after:
            self._cross_loops(edge, link)
        return link

    def _say_what_goes(self, edge: TypedEdge, link: Link) -> None:
        """Says which values go along an edge that does not take all: arms by number, or what a test finds."""
        arm = edge.arm
        if is_label(arm):
            link.matches = _label_test(arm)
            return
        link.units = edge.arms
        if edge.arms is not None:
            return
        wanted = edge.carries
        if arm is not None:
            wanted = arms(arm)
        # Where all of an arm goes along the edge, its number is enough. Else a value has to be looked at: of a node that
        # sends Animal, `animal[Dog]` takes those that are dogs.
        sent = arms(self._wiring.sent(edge.source))
        whole: set[int] = set()
        for number, kind in enumerate(sent):
            if kind is Any:
                continue
            if any(accepts(each, kind) for each in wanted):
                whole.add(number)
        if whole:
            link.units = frozenset(whole)
        else:
            link.matches = _type_test(wanted)

    def _cross_loops(self, edge: TypedEdge, link: Link) -> None:
        """Says which loops an edge leaves, enters, and begins a lap of."""
        #     [outer a >> [inner b >> c >> b] >> d >> a]
        #
        # a >> b enters the inner loop, c >> d leaves it. d >> a begins a lap of the outer one. Had it led to b instead,
        # into the inner loop, it would leave that and enter it anew: a lap of the outer loop counts the inner laps
        # from 0 again, which is what `resets` is for.
        before = self._top.loops_around(edge.source)
        after = self._top.loops_around(edge.target)
        entered = _missing_in(before, after)
        left = _missing_in(after, before)
        counted = edge.lap_of
        if counted is not None:
            laps = self._loop(counted).laps
            link.lap = (counted, laps.index(edge))
            link.lap_index = self._lap_index[edge.index]
            link.single = counted in self._single
            depth = before.index(counted) + 1
            within = before[depth:]
            anew = [loop for loop in within if loop in after]
            left = left + anew
            entered = anew + entered
        link.leaves = tuple(left)
        self._enter_loops(entered, link)

    def _enter_loops(self, entered: Sequence[int], link: Link) -> None:
        """Says which loops a link enters, how many lap edges each has, and which lap counts begin at 0 again."""
        enters: list[tuple[int, int]] = []
        resets: list[int] = []
        for loop in entered:
            laps = self._loop(loop).laps
            enters.append((loop, len(laps)))
            for lap in laps:
                index = self._lap_index[lap.index]
                resets.append(index)
        link.enters = tuple(enters)
        link.resets = tuple(resets)

    def _loop(self, number: int) -> Loop:
        return self._top.loops[number]

    # -- slots -------------------------------------------------------------------------------------
    def _slot(self, number: int, name: str, node: AnyNode | None) -> Slot:
        slot = Slot(number, name, node)
        leaving = self._leaving[number]
        self._attach_links(slot, leaving)
        arriving = self._arriving[number]
        slot.wired = _wired_ports(arriving)
        join = self._top.joins.get(number)
        if join is not None:
            slot.join = self._join_spec(join)
        if node is not None:
            self._describe_node(slot, node)
        return slot

    def _attach_links(self, slot: Slot, leaving: TypedEdges) -> None:
        slot.forks = slot.index in self._forks
        if len(leaving) == 1:
            only = leaving[0]
            link = self._links[only.index]
            slot.links = (link,)
            slot.policy = only.edge.origin.fork or "cancel"
            slot.forks = only.each or slot.forks
        elif leaving:
            self._sort_links(slot, leaving)
            slot.forks = slot.forks or self._may_fork(leaving)
        if slot.forks:
            for edge in leaving:
                link = self._links[edge.index]
                link.element = (slot.index, (edge.index, 0))
        if len(slot.links) == 1 and slot.handoff_links is None:
            only_link = slot.links[0]
            if only_link.goes_untold:
                slot.alone = only_link
                return
        self._tell_apart(slot)

    def _may_fork(self, leaving: TypedEdges) -> bool:
        """Whether one message may become several tokens on these edges."""
        if any(edge.each for edge in leaving):
            return True
        return not self._proof.exclusive.all_apart(leaving)

    def _sort_links(self, slot: Slot, leaving: TypedEdges) -> None:
        """Puts the links of a slot where the walk looks for them, by what is sent on them."""
        answers: list[Link] = []
        failures: list[Link] = []
        limits: list[Link] = []
        handoffs: dict[str, Link] = {}
        for edge in leaving:
            link = self._links[edge.index]
            arm = edge.arm
            if not edge.exceptional:
                answers.append(link)
            elif isinstance(arm, HandTo):
                handoffs[edge.edge.target.name] = link
            elif arm is LimitReached:
                limits.append(link)
            else:
                failures.append(link)
        # It holds where no other guard does.
        answers.sort(key=lambda link: link.guard == "otherwise")
        # The walk asks a slot for one of four lists, by how its node has ended: it answered, it failed, its laps are used
        # up, or it handed over. So no link is looked at that its kind of end cannot take.
        slot.links = tuple(answers)
        slot.failure_links = tuple(failures)
        slot.limit_links = tuple(limits)
        slot.handoff_links = handoffs or None
        for edge in leaving:
            policy = edge.edge.origin.fork
            if policy is not None:
                slot.policy = policy
                break

    def _tell_apart(self, slot: Slot) -> None:
        """Says whether an output takes every link, and if not, how its arm is found."""
        links = slot.links
        slot.plain = all(link.plain for link in links)
        # An output is tested arm by arm only where a link goes by the number of the arm.
        if all(link.units is None for link in links):
            return
        sent = self._wiring.sent(slot.index)
        kinds = arms(sent)
        slot.arms = _arm_tests(kinds)

    def _describe_node(self, slot: Slot, node: AnyNode) -> None:
        """Writes into a slot what its node's class and types say."""
        slot.passes_input = node.passes_input
        slot.enters = node.enters == "always"
        if slot.wired:
            first = slot.wired[0]
            slot.port = node.ports[first].name
        # Ten thousand nodes have few types: what these say is read once for all nodes that share them.
        signature = self._wiring.signatures[slot.index]
        types = self._node_types.get(signature)
        if types is None:
            types = _read_types(node)
            self._node_types[signature] = types
        slot.expected = types.expected
        slot.fits = types.fits
        firm = types.firm
        join = slot.join
        if join is not None and join.collects:
            firm = types.firm_collected
        if firm:
            slot.direct = node.direct

    # -- joins -------------------------------------------------------------------------------------
    def _join_spec(self, join: Join) -> JoinSpec:
        arriving = self._arriving[join.node]
        ports = _wired_ports(arriving)
        collects = frozenset(edge.port for edge in arriving if edge.collects)
        take = self._take_of(join, collects)
        branches = {edge.index for edge in join.branches}
        spec = JoinSpec(join.node, collects, ports, take, join.fork, join.region, branches)
        # A token that comes to the join from its fork has the fork's scope and more. What loops around the fork have added
        # to it is dropped where the join lies outside of them, so that all messages of one fork find the same join.
        around_fork = self._top.loops_around(join.fork)
        around_join = self._top.loops_around(join.node)
        spec.leaves = frozenset(around_fork) - frozenset(around_join)
        if join.shares_fork:
            # Its answer stands where the fork's first branch to it stood, so that two joins of one fork send in the
            # order in which they were wired; joins of the same first branch, in the order of the graph.
            behind_nodes = self._top.size + join.node
            first_branch = min(branches)
            rank = self._top.order[join.node]
            spec.element = (behind_nodes, (first_branch, rank))
        return spec

    def _take_of(self, join: Join, collects: frozenset[int]) -> int | None:
        """How many of a fork's messages a join takes, before it leaves the rest; None if it waits for all."""
        # A port that takes the first few stands alone (`join_proofs.py`), so the first such port is the only one.
        node = self._wiring.nodes[join.node]
        for number in sorted(collects):
            take = node.ports[number].take
            if take is not None:
                return take
        return None

    def _open_joins(self) -> None:
        """Tells each fork which joins wait for it, and whether its runs need a gate."""
        for number, join in self._top.joins.items():
            spec = self._slots[number].join
            assert spec is not None
            fork = self._slots[join.fork]
            fork.joins = (*fork.joins, spec)
        # One fork that does not simply cancel is enough for every fork to need a gate.
        policies = {slot.policy for slot in self._forking}
        if policies - {"cancel"}:
            for slot in self._forking:
                slot.gated = True

    # -- whose a message is ------------------------------------------------------------------------
    def _copy_shared_messages(self) -> None:
        """Has those nodes copy their message that are called directly, and given what others are given, too."""
        # A fork sends one message to several. A router hands on what it was given, so it shares what was shared:
        #
        #     START >> fork >> (router, a)      b gets what a gets as well, and is given a copy;
        #     router["x"] >> b >> c             c gets what b has made, which is nobody else's
        sharing = [slot.index for slot in self._forking]
        shared_at: NodeSet = set()
        for number in sharing:  # grows while it is read
            leaving = self._leaving[number]
            for edge in leaving:
                target = edge.target
                if target in shared_at:
                    continue
                shared_at.add(target)
                slot = self._slots[target]
                if slot.passes_input and not slot.forks:
                    sharing.append(target)
        for number in shared_at.union(self._top.joins):
            slot = self._slots[number]
            if slot.direct is not None:
                slot.entry = _entry_of(slot)


@dataclass(frozen=True, slots=True)
class _NodeTypes:
    """What the types of a node say to its slot.

    Attributes:
        expected: the class whose very instances are right as an output.
        fits: the test for all other outputs; None if anything goes.
        firm: whether its messages need no look before and after a call (`copies.py`).
        firm_collected: the same where its port collects; the list itself was made for it.
    """

    expected: type | None
    fits: Matcher | None
    firm: bool
    firm_collected: bool


def _read_types(node: AnyNode) -> _NodeTypes:
    expected, fits = output_check(node.output)
    if len(node.ports) != 1 or not _is_firm(node.output):
        return _NodeTypes(expected, fits, firm=False, firm_collected=False)
    taken = node.ports[0].type
    item = item_type(taken)
    firm = _is_firm(taken)
    firm_collected = _is_firm(item)
    return _NodeTypes(expected, fits, firm, firm_collected)


def _is_firm(kind: Type) -> bool:
    # Only the value tells whether something of a loose type can be changed.
    return mutability_of(kind) != "loose"


def _missing_in(known: Sequence[int], loops: Sequence[int]) -> list[int]:
    """The loops that are not in `known`."""
    return [loop for loop in loops if loop not in known]


def _wired_ports(arriving: TypedEdges) -> Numbers:
    """The numbers of the ports that edges lead to, in order."""
    if len(arriving) == 1:
        only = arriving[0].port
        if only < len(ONLY_PORT):
            return ONLY_PORT[only]
    ports = {edge.port for edge in arriving}
    in_order = sorted(ports)
    return tuple(in_order)


def _arm_tests(kinds: Arms) -> tuple[ArmTest, ...]:
    """The test of each arm, by its number, the more specific first."""
    tests: list[ArmTest] = []
    for number in by_specificity(kinds):
        kind = kinds[number]
        test = matcher(kind)
        tests.append((number, test))
    return tuple(tests)


def _entry_of(slot: Slot) -> Callable[[Any], Any] | None:
    """What makes a message the own one of a node that is called directly."""
    join = slot.join
    if join is None:
        assert slot.node is not None
        only_port = slot.node.ports[0]
        return copier_of(only_port.type)
    if join.collects:
        return list
    return None


def _label_test(label: Label) -> Matcher:
    return lambda value: bool(value == label)


def _type_test(kinds: Sequence[Type]) -> Matcher:
    """A test whether a value is of one of these types."""
    tests = [matcher(kind) for kind in kinds]
    if len(tests) == 1:
        [only] = tests
        return only

    def fits(value: object) -> bool:
        return any(test(value) for test in tests)

    return fits
