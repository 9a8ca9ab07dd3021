"""Outcomes: what a node may answer, as far as the arrows can tell, and a program that walks on such answers.

An abstract message says which arm it is, which links it takes and how long it is as a list, and nothing else. A node's
outcomes are all that its arms, its guards, its hand-overs, its lists and its failures allow. Guards are code: that two of
them look at the same message is not known, so a refuted claim means that the arrows allow it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import combinations, product
from typing import Any, NamedTuple, TypeAlias

from graphflow.claims.targets import unit_name
from graphflow.declaration.handoffs import Handover
from graphflow.messages.types import Type, disjoint
from graphflow.proofs.arms import is_label, units_of
from graphflow.proofs.edge_types import covers
from graphflow.proofs.program import Link, Program, Slot
from graphflow.proofs.proven import AnyGraph

Links: TypeAlias = tuple[Link, ...]


class AbstractMessage(tuple[Any, ...]):
    """A message as an arm, the links that it takes, and so many items."""

    unit: str | None
    links: frozenset[int]

    @classmethod
    def of(cls, unit: str | None, links: Iterable[int] = (), items: int = 0) -> AbstractMessage:
        """A message of that arm, of so many items."""
        message = cls((None,) * items)
        message.unit = unit
        message.links = frozenset(links)
        return message

    def __repr__(self) -> str:
        return f"<{self.unit}>"


class NodeOutcome(NamedTuple):
    """One way in which a node may end.

    Attributes:
        name: what it does, in words; no two outcomes of a node have the same.
        output: what it answers with; None if it fails.
        unit: the arm.
        links: the numbers of the links that are taken, as far as the answer says so.
    """

    name: str
    output: AbstractMessage | Handover | None
    unit: str | None = None
    links: tuple[int, ...] = ()


FAILS = NodeOutcome("fails", None)


class Outcomes:
    """What each node of a graph may do, and its program for abstract messages.

    Attributes:
        graph: whose.
        program: the same slots and links; which links a message takes it says itself.
        of: the outcomes of each slot, by its number.
        maps: whether a list is mapped anywhere in it.
    """

    def __init__(
        self,
        graph: AnyGraph,
        sizes: Sequence[int],
        *,
        all_failures: bool,
        within: Mapping[str, AnyGraph],
    ) -> None:
        self.graph = graph
        self.program = abstract_program(graph.program)
        self.of: dict[int, tuple[NodeOutcome, ...]] = {}
        self.maps = any(link.each for link in graph.program.links)
        survivable = _survivable(graph.program)
        for slot in graph.program.slots[:-1]:
            fails = slot.node is not None
            if not all_failures:
                # Where a failure ends the walk, nothing begins any more: such a walk is the beginning of one without it.
                fails = fails and (bool(slot.failure_links) or slot.index in survivable)
            outcomes = list(_outcomes_of(graph, slot, sizes))
            if fails:
                outcomes.append(FAILS)
            self.of[slot.index] = tuple(outcomes)
        self.within = within
        """The graphs that nodes on its arrows enter, by the names of these."""


def _survivable(program: Program) -> set[int]:
    """The slots behind a fork that does not simply cancel: the walk may go on when one of them has failed."""
    reached: set[int] = set()
    todo: list[int] = []
    for slot in program.slots:
        if slot.forks and slot.policy != "cancel":
            todo += [link.target for link in slot.links]
    while todo:
        number = todo.pop()
        if number in reached or number == program.end:
            continue
        reached.add(number)
        todo += [link.target for link in links_of(program.slots[number])]
    return reached


def links_of(slot: Slot) -> Iterator[Link]:
    """All links that leave a slot, however its node ends."""
    yield from slot.links
    yield from slot.failure_links
    yield from slot.limit_links
    if slot.handoff_links is not None:
        yield from slot.handoff_links.values()


# -- the outcomes of one node ----------------------------------------------------------------------
def _outcomes_of(graph: AnyGraph, slot: Slot, sizes: Sequence[int]) -> Iterator[NodeOutcome]:
    node = slot.node
    sent: Type = graph.input if node is None else node.output
    has_labels = any(is_label(graph.edges[link.index].arm) for link in slot.links)
    for unit in units_of(sent, has_labels) or [sent]:
        for outcome in _outcomes_of_unit(graph, slot, unit, sizes):
            if slot.passes_input and isinstance(outcome.output, AbstractMessage):
                outcome.output.unit = None  # what travels on is its input
            yield outcome
    for target in slot.handoff_links or ():
        message = AbstractMessage.of(None)
        yield NodeOutcome(f"hands over to {target}", Handover(target, message), None)


def _takes_part(link: Link, arm: Any, unit: Type) -> bool:
    """Whether only a look at the value tells whether a link is taken: `animal[Dog]` where `Animal` is sent."""
    if link.matches is None or link.units is not None:
        return False
    if unit is Any:
        return True
    if arm is None or is_label(arm):
        return False
    return not disjoint(arm, unit)


def _outcomes_of_unit(
    graph: AnyGraph, slot: Slot, unit: Type, sizes: Sequence[int]
) -> Iterator[NodeOutcome]:
    """What may come of an answer that is this arm."""
    name = unit_name(unit)
    for takers in _takers(graph, slot, unit):
        for taken in _guarded(takers):
            does = f"answers {name}"
            numbers = tuple([link.index for link in taken])
            if len(numbers) < len(slot.links) and not slot.plain and _is_chosen(slot, unit, taken):
                listed = ", ".join(graph.edges[number].edge.target.name for number in numbers)
                does += f" for {listed or 'nobody'}"
            yield from _of_each_length(does, name, taken, sizes)


def _of_each_length(
    does: str, unit: str, taken: Links, sizes: Sequence[int]
) -> Iterator[NodeOutcome]:
    """The same answer as lists of these lengths, if one of its links maps it."""
    numbers = tuple([link.index for link in taken])
    if not any(link.each for link in taken):
        yield NodeOutcome(does, AbstractMessage.of(unit, numbers), unit, numbers)
        return
    for length in sizes:
        message = AbstractMessage.of(unit, numbers, length)
        yield NodeOutcome(f"{does} of {length}", message, unit, numbers)


def _is_chosen(slot: Slot, unit: Type, taken: Links) -> bool:
    """Whether more than the arm has decided which links are taken."""
    if any(link.guard is not None for link in slot.links):
        return True
    return any(_takes_part(link, None, unit) for link in taken) or unit is Any


def _takers(graph: AnyGraph, slot: Slot, unit: Type) -> Iterator[list[Link]]:
    """The links that take an arm; where only a look at the value tells, each way in which that may come out."""
    sure: list[Link] = []
    possible: list[Link] = []
    for link in slot.links:
        edge = graph.edges[link.index]
        if _takes_part(link, edge.arm, unit):
            possible.append(link)
        elif covers(edge, unit, slot.passes_input):
            sure.append(link)
    for count in range(len(possible) + 1):
        for extra in combinations(possible, count):
            yield [link for link in slot.links if link in sure or link in extra]


def _guarded(takers: list[Link]) -> Iterator[Links]:
    """The links that are taken, for each way in which the guards may come out."""
    unguarded = {link.index for link in takers if link.guard is None}
    for chosen in product(*_choices(takers)):
        taken = unguarded.union(*chosen)
        yield tuple([link for link in takers if link.index in taken])


def _choices(takers: list[Link]) -> list[list[set[int]]]:
    """For each guarded arm the links that its guards let through: those of the first that holds, or none."""
    groups: dict[Any, dict[Any, set[int]]] = {}
    for link in takers:
        if link.guard is not None:
            by_guard = groups.setdefault(link.group, {})
            by_guard.setdefault(link.guard, set()).add(link.index)
    choices: list[list[set[int]]] = []
    for by_guard in groups.values():
        ways = list(by_guard.values())
        if "otherwise" not in by_guard:
            ways.append(set())
        choices.append(ways)
    return choices


# -- the program for them --------------------------------------------------------------------------
def abstract_program(program: Program) -> Program:
    """The same graph for abstract messages: which links one takes stands in it, and no guard is asked."""
    twin = copy(program)
    links = [_abstract_link(link) for link in program.links]
    slots = [_abstract_slot(slot, links) for slot in program.slots]
    twin.links = tuple(links)
    twin.slots = tuple(slots)
    return twin


def _abstract_link(link: Link) -> Link:
    twin = copy(link)
    number = link.index

    def is_taken(message: AbstractMessage) -> bool:
        return number in message.links

    twin.matches = is_taken
    twin.units = None
    twin.guard = None
    return twin


def _abstract_slot(slot: Slot, links: Sequence[Link]) -> Slot:
    twin = copy(slot)
    twin.arms = ()
    twin.passes_input = False
    twin.plain = False
    twin.alone = None
    if slot.alone is not None:
        twin.alone = links[slot.alone.index]
    twin.links = tuple([links[link.index] for link in slot.links])
    twin.failure_links = tuple([links[link.index] for link in slot.failure_links])
    twin.limit_links = tuple([links[link.index] for link in slot.limit_links])
    if slot.handoff_links is not None:
        twin.handoff_links = {name: links[link.index] for name, link in slot.handoff_links.items()}
    return twin
