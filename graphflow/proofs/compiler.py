"""Turns a proven graph into the slots and links that the walk reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphflow.declaration.handoffs import HandTo
from graphflow.declaration.node import Node
from graphflow.messages.copies import copier_of, mutability_of
from graphflow.messages.message import LimitReached, Type, arms, by_specificity, item_type, matcher, output_check
from graphflow.proofs.edge_types import Declared, link_units
from graphflow.proofs.program import JoinSpec, Link, Program, Slot
from graphflow.proofs.proof import Proof
from graphflow.proofs.tokens import is_single
from graphflow.proofs.topology import Topology

ONLY = ((0,), (1,), (2,), (3,))


def compile_program(proof: Proof) -> Program:
    """The program of a graph whose proofs all held."""
    top = proof.topology
    assert top is not None
    laps = {wire.index: number for number, wire in enumerate(w for w in top.edges if w.lap_of is not None)}
    forks = {join.fork for join in top.joins.values()}
    single: set[int | None] = {loop.index for loop in top.loops if is_single(top, loop, proof.exclusive)}
    leaving = [
        tuple([_link(top, declared, laps, single, _sent(proof, number)) for declared in out])
        for number, out in enumerate(proof.by_source)
    ]
    links: list[Link] = [link for group in leaving for link in group]
    if len(proof.edges) > 1:
        links.sort(key=lambda link: link.index)
    slots = [_slot(proof, top, number, leaving[number], number in forks) for number in range(top.size)]
    for join in top.joins.values():
        spec = slots[join.node].join
        assert spec is not None
        slots[join.fork].joins = (*slots[join.fork].joins, spec)
    if any(slot.forks and slot.policy != "cancel" for slot in slots):
        for slot in slots:
            slot.gated = slot.forks
    _give_own(proof, slots)
    straight = not top.joins and not any(slot.forks for slot in slots)
    return Program(
        name=proof.name,
        slots=slots,
        links=links,
        ends=proof.ends,
        straight=straight,
        laps=len(laps),
        callees=proof.callees,
        handoffs=proof.handoffs,
        input=proof.input,
        output=proof.output,
        loops_of={
            number: tuple(top.loops_around(number)) for number in range(top.size) if top.loop_of[number] is not None
        },
    )


def _sent(proof: Proof, number: int) -> tuple[Type, ...]:
    """The arms of what a node sends."""
    return arms(proof.nodes[number].output if number < proof.start else proof.input)


def _link(
    top: Topology, wire: Declared, laps: dict[int, int], single: set[int | None], units: tuple[Type, ...]
) -> Link:
    origin = wire.edge.origin
    link = Link()
    link.index, link.source, link.target, link.port = wire.index, wire.source, wire.target, wire.port
    link.units, link.matches = link_units(wire, units)
    link.origin = origin.but(laps=None).text()
    link.guard = origin.guard
    link.group = None if origin.arm is None else repr(origin.arm)
    link.each = origin.each
    link.limit = wire.limit
    link.lap = None
    link.lap_index = laps.get(wire.index, -1)
    link.enters = link.leaves = link.resets = ()
    link.exits = wire.exits
    link.single = False
    if top.loops:
        _cross_loops(top, wire, link, laps)
        link.single = wire.lap_of in single
    return link


def _cross_loops(top: Topology, wire: Declared, link: Link, laps: dict[int, int]) -> None:
    before, after = top.loops_around(wire.source), top.loops_around(wire.target)
    link.enters = tuple((loop, len(top.loops[loop].laps)) for loop in after if loop not in before)
    link.leaves = tuple(loop for loop in before if loop not in after)
    if wire.lap_of is not None:
        link.lap = (wire.lap_of, top.loops[wire.lap_of].laps.index(wire))
        around = before[before.index(wire.lap_of) + 1 :]
        kept = [loop for loop in around if loop in after]
        link.leaves = (*link.leaves, *kept)  # a lap of the outer loop enters the inner one anew
        link.enters = (*((loop, len(top.loops[loop].laps)) for loop in kept), *link.enters)
    link.resets = tuple(laps[w.index] for loop, _ in link.enters for w in top.loops[loop].laps)


def _slot(proof: Proof, top: Topology, number: int, links: tuple[Link, ...], gathered: bool) -> Slot:
    node = proof.nodes[number] if number < proof.start else None
    slot = Slot()
    slot.index = number
    slot.node = node
    slot.name = node.name if node is not None else "START" if number == proof.start else "END"
    slot.passes_input = node is not None and node.passes_input
    slot.enters = node is not None and node.enters == "always"
    _attach_links(proof, slot, links)
    slot.forks = gathered or _forks(proof, top, number)
    if slot.forks:
        for link in links:
            link.element = (number, (link.index, 0))
    told_apart = any(link.units is not None for link in slot.links)
    slot.arms = _arms(_sent(proof, number)) if told_apart else ()
    slot.gated = False
    slot.joins = ()
    slot.join = _join_spec(proof, top, number) if number in top.joins else None
    arriving = proof.by_target[number]
    slot.wired = (
        ONLY[arriving[0].port]
        if len(arriving) == 1 and arriving[0].port < 4
        else tuple(sorted({d.port for d in arriving}))
    )
    slot.port = node.ports[slot.wired[0]].name if node is not None and slot.wired else ""
    slot.direct = node.direct if node is not None and len(node.ports) == 1 and not _is_loose(node, slot.join) else None
    slot.entry = None
    slot.expected, slot.fits = (None, None) if node is None else output_check(node.output)
    return slot


def _arms(kinds: tuple[Type, ...]) -> tuple[tuple[int, Callable[[Any], bool]], ...]:
    return tuple([(number, matcher(kinds[number])) for number in by_specificity(kinds)])


def _attach_links(proof: Proof, slot: Slot, links: tuple[Link, ...]) -> None:
    slot.policy = "cancel"
    slot.failure_links = slot.limit_links = ()
    slot.handoff_links = None
    if (
        len(links) == 1 and links[0].matches is None and links[0].units is None and links[0].guard is None
    ):  # the common case, told quickly
        only = links[0]
        slot.links = links
        slot.plain = True
        slot.alone = None if only.each or only.lap is not None or only.resets else only
        slot.policy = proof.edges[only.index].edge.origin.fork or "cancel"
        return
    normal: list[Link] = []
    failures: list[Link] = []
    limits: list[Link] = []
    handoffs: dict[str, Link] = {}
    for link in links:
        declared = proof.edges[link.index]
        if not declared.exceptional:
            normal.append(link)
        elif isinstance(declared.edge.origin.arm, HandTo):
            handoffs[declared.edge.target.name] = link
        elif declared.edge.origin.arm is LimitReached:
            limits.append(link)
        else:
            failures.append(link)
    if any(link.guard is not None for link in normal):
        normal.sort(key=lambda link: link.guard == "otherwise")
    slot.links = tuple(normal)
    slot.failure_links = tuple(failures)
    slot.limit_links = tuple(limits)
    slot.handoff_links = handoffs or None
    slot.plain = all(link.matches is None and link.units is None and link.guard is None for link in normal)
    one = normal[0] if len(normal) == 1 else None
    plain = one is not None and slot.plain and not (one.each or one.resets or handoffs) and one.lap is None
    slot.alone = one if plain else None
    slot.policy = next((p for link in links if (p := proof.edges[link.index].edge.origin.fork)), "cancel")


def _forks(proof: Proof, top: Topology, number: int) -> bool:
    """Whether one message of this node may become several tokens."""
    wires = top.out[number]
    if len(wires) < 2:
        return bool(wires) and wires[0].each
    return any(w.each for w in wires) or any(
        not proof.exclusive(a, b) for i, a in enumerate(wires) for b in wires[i + 1 :]
    )


def _join_spec(proof: Proof, top: Topology, number: int) -> JoinSpec | None:
    join = top.joins.get(number)
    if join is None:
        return None
    node = proof.nodes[number]
    arriving = proof.by_target[number]
    collects = frozenset(d.port for d in arriving if d.collects)
    ports = tuple(sorted({d.port for d in arriving}))
    take = next((node.ports[port].take for port in sorted(collects) if node.ports[port].take is not None), None)
    spec = JoinSpec(number, collects, ports, take, join.fork, join.region, {w.index for w in join.branches})
    spec.leaves = frozenset(top.loops_around(join.fork)) - frozenset(top.loops_around(number))
    if join.shares_fork:
        spec.element = (top.size + number, (min(spec.branches), top.order[number]))
    return spec


# -- whose a message is ----------------------------------------------------------------------------------------------------
def _is_loose(node: Node[Any, Any], join: JoinSpec | None) -> bool:
    """Whether each message to or from the node has to be looked at, and maybe copied (`copies.py`).

    The list that a port collects was made for it.
    """
    taken = node.ports[0].type
    if join is not None and join.collects:
        taken = item_type(taken)
    return mutability_of(node.output) == "loose" or mutability_of(taken) == "loose"


def _give_own(proof: Proof, slots: Sequence[Slot]) -> None:
    """Has those nodes copy their message that are called directly, and given what others are given, too."""
    shared = [slot.forks for slot in slots]
    passing = [slot for slot in slots if slot.passes_input]
    for _ in passing:  # a router hands on what it was given
        for slot in passing:
            shared[slot.index] = shared[slot.index] or any(shared[d.source] for d in proof.by_target[slot.index])
    for slot in slots:
        if slot.direct is None or slot.node is None:
            continue
        if slot.join is not None:
            slot.entry = list if slot.join.collects else None
        elif any(shared[declared.source] for declared in proof.by_target[slot.index]):
            slot.entry = copier_of(slot.node.ports[0].type)
