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
LinkNumbers: TypeAlias = set[int]
LinksByGuard: TypeAlias = dict[object, LinkNumbers]


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
OutcomesOfNode: TypeAlias = tuple[NodeOutcome, ...]


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
        self.of: dict[int, OutcomesOfNode] = {}
        self.maps = _is_any_mapped(graph.program.links)
        self.within = within
        """The graphs that nodes on its arrows enter, by the names of these."""
        survivable = _survivable(graph.program)
        for slot in graph.program.slots[:-1]:
            outcomes = list(_outcomes_of(graph, slot, sizes))
            # Where a failure ends the walk, nothing begins any more: such a walk is the beginning of one without it.
            goes_on = bool(slot.failure_links) or slot.index in survivable
            if slot.node is not None and (goes_on or all_failures):
                outcomes.append(FAILS)
            self.of[slot.index] = tuple(outcomes)

    @property
    def beginnings(self) -> OutcomesOfNode:
        """What START may take."""
        return self.of[self.program.start]


def _is_any_mapped(links: Iterable[Link]) -> bool:
    """Whether a list is mapped along one of these links."""
    return any(link.each for link in links)


def _survivable(program: Program) -> set[int]:
    """The slots behind a fork that does not simply cancel: the walk may go on when one of them has failed."""
    todo: list[int] = []
    for slot in program.slots:
        if slot.forks and slot.policy != "cancel":
            todo += _targets(slot.links)
    reached: set[int] = set()
    while todo:
        number = todo.pop()
        if number in reached or number == program.end:
            continue
        reached.add(number)
        slot = program.slots[number]
        todo += _targets(links_of(slot))
    return reached


def _targets(links: Iterable[Link]) -> list[int]:
    return [link.target for link in links]


def links_of(slot: Slot) -> Iterator[Link]:
    """All links that leave a slot, however its node ends."""
    yield from slot.links
    yield from slot.failure_links
    yield from slot.limit_links
    if slot.handoff_links is not None:
        yield from slot.handoff_links.values()


# -- the outcomes of one node ----------------------------------------------------------------------
def _outcomes_of(graph: AnyGraph, slot: Slot, sizes: Sequence[int]) -> Iterator[NodeOutcome]:
    sent: Type = graph.input
    if slot.node is not None:
        sent = slot.node.output
    arms = [graph.edges[link.index].arm for link in slot.links]
    has_labels = any(map(is_label, arms))
    units = units_of(sent, has_labels) or [sent]
    for unit in units:
        for outcome in _outcomes_of_unit(graph, slot, unit, sizes):
            if slot.passes_input and isinstance(outcome.output, AbstractMessage):
                outcome.output.unit = None  # what travels on is its input
            yield outcome
    # To whom it hands over decides the link; of what it sends nothing is known.
    for target in slot.handoff_links or ():
        handover = Handover(target, AbstractMessage.of(None))
        yield NodeOutcome(f"hands over to {target}", handover)


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
            if _is_chosen(slot, unit, taken):
                does += f" for {_takers_text(graph, taken)}"
            yield from _of_each_length(does, name, taken, sizes)


def _takers_text(graph: AnyGraph, taken: Links) -> str:
    """The names of who takes an answer."""
    names: list[str] = []
    for link in taken:
        edge = graph.edges[link.index].edge
        names.append(edge.target.name)
    return ", ".join(names) or "nobody"


def _of_each_length(
    does: str, unit: str, taken: Links, sizes: Sequence[int]
) -> Iterator[NodeOutcome]:
    """The same answer as lists of these lengths, if one of its links maps it."""
    indices = [link.index for link in taken]
    numbers = tuple(indices)
    if not _is_any_mapped(taken):
        message = AbstractMessage.of(unit, numbers)
        yield NodeOutcome(does, message, unit, numbers)
        return
    for length in sizes:
        message = AbstractMessage.of(unit, numbers, length)
        does_so = f"{does} of {length}"
        yield NodeOutcome(does_so, message, unit, numbers)


def _is_chosen(slot: Slot, unit: Type, taken: Links) -> bool:
    """Whether more than the arm has decided which links are taken."""
    if slot.plain or len(taken) == len(slot.links):
        return False
    if unit is Any:
        return True
    for link in slot.links:
        if link.guard is not None:
            return True
    for link in taken:
        if _takes_part(link, None, unit):
            return True
    return False


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
    counts = range(len(possible) + 1)
    for count in counts:
        for extra in combinations(possible, count):
            takers = [*sure, *extra]
            yield [link for link in slot.links if link in takers]


def _guarded(takers: list[Link]) -> Iterator[Links]:
    """The links that are taken, for each way in which the guards may come out."""
    # Guards of different arms look at different things, so that each combination may come out.
    choices = _choices(takers)
    for chosen in product(*choices):
        through = set().union(*chosen)
        taken: list[Link] = []
        for link in takers:
            if link.guard is None or link.index in through:
                taken.append(link)
        yield tuple(taken)


def _choices(takers: list[Link]) -> list[list[LinkNumbers]]:
    """For each guarded arm the links that its guards let through: those of the first that holds, or none."""
    groups: dict[object, LinksByGuard] = {}
    for link in takers:
        guard = link.guard
        if guard is None:
            continue
        by_guard = groups.setdefault(link.group, {})
        through = by_guard.setdefault(guard, set())
        through.add(link.index)
    choices: list[list[LinkNumbers]] = []
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
    twin.links = _twins(slot.links, links)
    twin.failure_links = _twins(slot.failure_links, links)
    twin.limit_links = _twins(slot.limit_links, links)
    if slot.handoff_links is not None:
        twin.handoff_links = {}
        for name, link in slot.handoff_links.items():
            twin.handoff_links[name] = links[link.index]
    return twin


def _twins(links: Links, twins: Sequence[Link]) -> Links:
    """The abstract links in the places of these."""
    found = [twins[link.index] for link in links]
    return tuple(found)
