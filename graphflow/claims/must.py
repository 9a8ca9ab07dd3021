"""What must have answered: for each node, which roles of claims have answered before it begins, in every walk.

    START >> look >> (a, b) >> join          before `join`: look, a and b

Along an edge: what holds at its source, and the source itself. Where several edges lead to a node, what all of them bring.
At a join more is known: each required port has its message, and so has the fork which opened it. One pass for each nesting
of loops, over bit sets; a frame within is looked at once, from its START to its END, and put where it is entered.

It proves, and never refutes: what is not in a set may still have answered whenever it matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_
from typing import Final, TypeAlias

from graphflow.claims.outcomes import links_of
from graphflow.claims.targets import Cast, FramePath, Seat, Targets, unit_name
from graphflow.proofs.arms import units_of
from graphflow.proofs.edge_types import covers
from graphflow.proofs.program import JoinSpec, Link, Program, Slot
from graphflow.proofs.proven import AnyGraph

Bits: TypeAlias = int
ArmBits: TypeAlias = tuple[str, Bits]
"""The bit of a role, and the arm that it means ("" = any)."""
SentBits: TypeAlias = dict[int, Bits]
"""What holds along each link, beside what holds at its source."""
EVERYTHING: Final = -1
"""What is known of a node that was not reached yet: all bits, so that it takes nothing away from what others bring."""


class MustSets:
    """What must have answered before each node of a graph begins, for the roles of some claims."""

    def __init__(self, targets: Targets, casts: Sequence[Cast]) -> None:
        self._targets = targets
        self._bits: dict[tuple[int, int], Bits] = {}
        """The bit of a claim's role, by the claim's place and the role."""
        self._answering: dict[Seat, list[ArmBits]] = {}
        self._relative: dict[FramePath, list[Bits]] = {}
        for place, cast in enumerate(casts):
            for role, found in enumerate(cast.roles):
                bit = 1 << len(self._bits)
                self._bits[place, role] = bit
                for target in found:
                    if target.is_call:
                        continue
                    seat = (target.frame, target.slot)
                    answering = self._answering.setdefault(seat, [])
                    answering.append((cast.arms[role], bit))
        self._look_at((), targets.graph)

    def holds_before(self, claim: int, role: int, frame: FramePath, slot: int) -> bool:
        """Whether that role of the claim at that place has answered before the node begins."""
        wanted = self._bits[claim, role]
        return bool(self._before(frame, slot) & wanted)

    def holds_at_end(self, claim: int, role: int) -> bool:
        """Whether it has answered in every walk that completes."""
        graph = self._targets.graph
        if graph.ends == "all":  # a list of outputs may be empty
            return False
        return self.holds_before(claim, role, (), graph.program.end)

    def _before(self, frame: FramePath, slot: int) -> Bits:
        bits = self._relative[frame][slot]
        while frame:
            *around, name = frame
            frame = tuple(around)
            graph = self._targets.frames[frame]
            for each in graph.program.slots:
                if each.name == name and each.node is not None:
                    bits |= self._relative[frame][each.index]
        return bits

    # -- one frame ---------------------------------------------------------------------------------
    def _look_at(self, path: FramePath, graph: AnyGraph) -> list[Bits]:
        """The sets of a frame, counted from its START."""
        known = self._relative.get(path)
        if known is not None:
            return known
        program = graph.program
        sent: SentBits = {}
        for slot in program.slots[:-1]:
            self._send(path, graph, slot, sent)
        order = graph.proof.topology.order
        sets = _fixed_point(program, order, sent)
        self._relative[path] = sets
        return sets

    def _send(self, path: FramePath, graph: AnyGraph, slot: Slot, sent: SentBits) -> None:
        """What a node adds to what is known along its links."""
        seat = (path, slot.index)
        roles = self._answering.get(seat, ())
        added = self._known_within(path, slot)
        names_arms = False
        for arm, bit in roles:
            if arm:
                names_arms = True
            else:
                added |= bit
        for link in links_of(slot):
            sent[link.index] = added
        # Who has failed has not answered.
        for link in slot.failure_links:
            sent[link.index] = 0
        if not names_arms:
            return
        for link in slot.links:
            only = _only_arm(graph, slot, link)
            for arm, bit in roles:
                if arm and arm == only:
                    sent[link.index] |= bit

    def _known_within(self, path: FramePath, slot: Slot) -> Bits:
        """What has answered within a node on an arrow when it answers itself."""
        inner_path = (*path, slot.name)
        inner = self._targets.frames.get(inner_path)
        if slot.node is None or inner is None:
            return 0
        sets = self._look_at(inner_path, inner)
        at_end = sets[inner.program.end]
        if inner.ends == "all" or at_end == EVERYTHING:
            return 0
        return at_end


def _only_arm(graph: AnyGraph, slot: Slot, link: Link) -> str:
    """The one arm that goes along a link; empty if several do, or if that is not known."""
    if slot.node is None or link not in slot.links:
        return ""
    edge = graph.edges[link.index]
    arms: set[str] = set()
    for unit in units_of(slot.node.output, labels=True):
        if covers(edge, unit, slot.passes_input):
            arms.add(unit_name(unit))
    if len(arms) == 1:
        return arms.pop()
    return ""


def _fixed_point(program: Program, order: Sequence[int], sent: SentBits) -> list[Bits]:
    """The largest sets that agree with each other."""
    into: list[list[Link]] = [[] for _ in program.slots]
    for link in program.links:
        into[link.target].append(link)
    # From above: sets only lose bits, so the loop ends, and what is left is the most that agrees with itself.
    sets: list[Bits] = [EVERYTHING] * program.size
    sets[program.start] = 0
    in_order = sorted(range(program.size), key=order.__getitem__)
    changed = True
    while changed:
        changed = False
        for number in in_order:
            if number == program.start:
                continue
            join = program.slots[number].join
            links = into[number]
            if join is None:
                bits = _brought(links, sets, sent)
            else:
                bits = _joined(program, join, links, sets, sent)
            if bits != sets[number]:
                sets[number] = bits
                changed = True
    return sets


def _brought(links: Sequence[Link], sets: Sequence[Bits], sent: SentBits) -> Bits:
    """What all of these links bring."""
    bits = EVERYTHING
    for link in links:
        before = sets[link.source]
        if before != EVERYTHING:
            bits &= before | sent[link.index]
    return bits


def _joined(
    program: Program,
    join: JoinSpec,
    links: Sequence[Link],
    sets: Sequence[Bits],
    sent: SentBits,
) -> Bits:
    """What a join knows: what its fork knew, and what each port that it needs was brought."""
    bits = sets[join.fork]
    if bits == EVERYTHING:
        return EVERYTHING
    opened: list[Bits] = []
    for link in links_of(program.slots[join.fork]):
        if link.index in join.branches:
            opened.append(sent[link.index])
    if opened:
        bits |= reduce(and_, opened)
    for port in _needed_ports(program, join):
        to_port = [link for link in links if link.port == port]
        brought = _brought(to_port, sets, sent)
        if brought == EVERYTHING:
            return EVERYTHING
        bits |= brought
    return bits


def _needed_ports(program: Program, join: JoinSpec) -> list[int]:
    """The ports of a join that cannot stay empty."""
    node = program.slots[join.node].node
    assert node is not None
    needed: list[int] = []
    for port in join.ports:
        can_stay_empty = port in join.collects or node.ports[port].optional
        if not can_stay_empty:
            needed.append(port)
    return needed
