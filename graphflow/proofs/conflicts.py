"""Conflicts: two nodes on ways that meet, of which one sets a state and the other sets it or adds to it.

Behind the join only one of them would count, and which one would be for the order of the wiring to say.

    fork >> a ~> plan, fork >> b ~> plan, (a, b) >> join      refused: a and b both set the plan
    fork[X] >> a,      fork[Y] >> b,      (a, b) >> last      fine: only one of the arms is taken

For each fork two lineages are followed at a time, one to each writer. The one behind in the order of the graph moves. They
conflict where both have passed their writer and are gathered by the same join, and not by an earlier one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from graphflow.messages.state import WriteKind
from graphflow.proofs.program import Link, Program, Slot

Writers = Mapping[int, Collection[WriteKind]]
"""How each node writes one state, by the number of its slot."""
BUDGET = 200_000
"""Pairs of places that are looked at for one state; a graph that needs more is refused, as nothing is proven of it."""


class Conflict(NamedTuple):
    """Two nodes that write beside each other.

    Attributes:
        first: the number of one's slot.
        second: of the other's, or of the same where its fork maps a list.
        fork: of the fork that the two ways part at.
    """

    first: int
    second: int
    fork: int


class _WayOut(NamedTuple):
    """One way out of a node, as far as this proof goes."""

    target: int
    link: Link | None
    """None: a collect that starts although nothing came to it, beside whatever its fork has sent."""


class _Lineages(NamedTuple):
    """Where two lineages stand, and whether each has passed its writer."""

    left: int
    right: int
    left_wrote: bool
    right_wrote: bool


_TokenPairs = list[tuple[int, int]]
"""Where two tokens of one run of a fork may go."""


class UnprovenConflicts(Exception):
    """The budget is used up."""


def conflicts(program: Program, writers: Writers) -> list[Conflict]:
    """The conflicts of one state.

    Raises:
        UnprovenConflicts: the graph is too large for the proof.
    """
    search = _Search(program, writers)
    return list(search.found())


class _Search:
    def __init__(self, program: Program, writers: Writers) -> None:
        self._program = program
        self._writers = writers
        self._steps = _steps_of(program)
        self._ranks = _ranks(program, self._steps)
        self._leading = _leading_to(writers, self._steps)
        self._left = BUDGET

    def found(self) -> Iterator[Conflict]:
        pairs = self._pairs()
        for slot in self._program.slots:
            if not slot.forks or not pairs:
                continue
            targets = self._targets(slot)
            gates = self._gates(slot)
            apart: list[tuple[int, int]] = []
            for pair in pairs:
                first, second = pair
                if self._meet(first, second, targets, gates):
                    yield Conflict(first, second, slot.index)
                else:
                    apart.append(pair)
            pairs = apart

    def _pairs(self) -> list[tuple[int, int]]:
        """Writers that would be in each other's way."""
        numbers = sorted(self._writers)
        pairs: list[tuple[int, int]] = []
        for place, first in enumerate(numbers):
            for second in numbers[place:]:
                kinds = {*self._writers[first], *self._writers[second]}
                if "set" in kinds:
                    pairs.append((first, second))
        return pairs

    def _targets(self, slot: Slot) -> _TokenPairs:
        """Where two tokens that one run of a fork sends may go."""
        targets: _TokenPairs = []
        ways = self._steps[slot.index]
        for first in ways:
            for second in ways:
                if _are_parallel(slot, first, second):
                    pair = (first.target, second.target)
                    targets.append(pair)
        return targets

    def _gates(self, slot: Slot) -> set[int]:
        """The nodes that gather tokens of a fork."""
        gates: set[int] = set()
        for other in self._program.slots:
            join = other.join
            if join is None:
                continue
            is_around = slot.index in join.region
            if is_around or join.fork == slot.index:
                gates.add(join.node)
        if self._program.ends == "all":
            gates.add(self._program.end)
        return gates

    def _meet(self, first: int, second: int, targets: _TokenPairs, gates: set[int]) -> bool:
        """Whether two lineages pass these writers, and are gathered together behind them."""
        todo: list[_Lineages] = []
        for left, right in targets:
            # Most ways lead to no writer at all.
            if left in self._leading[first] and right in self._leading[second]:
                todo.append(_Lineages(left, right, left == first, right == second))
        seen: set[_Lineages] = set()
        while todo:
            pair = todo.pop()
            if pair in seen:
                continue
            seen.add(pair)
            self._count()
            is_gathered = pair.left == pair.right and pair.left in gates
            if not is_gathered:
                todo += self._moves(pair, first, second)
                continue
            # What the join itself writes is one write, behind both.
            is_writer = pair.left in (first, second)
            if pair.left_wrote and pair.right_wrote and not is_writer:
                return True
        return False

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise UnprovenConflicts

    def _moves(self, pair: _Lineages, first: int, second: int) -> Iterator[_Lineages]:
        """What the two may come to next: the one that stands before the other in the order of the graph moves."""
        left, right, left_wrote, right_wrote = pair
        is_before = self._ranks[left] <= self._ranks[right]
        moves_left = is_before and left != self._program.end
        for way in self._steps[left]:
            # The next lap of a loop may begin whoever is behind.
            if moves_left or _is_lap(way):
                wrote = left_wrote or way.target == first
                yield _Lineages(way.target, right, wrote, right_wrote)
        for way in self._steps[right]:
            if not moves_left or _is_lap(way):
                wrote = right_wrote or way.target == second
                yield _Lineages(left, way.target, left_wrote, wrote)


def _is_lap(step: _WayOut) -> bool:
    return step.link is not None and step.link.lap is not None


def links_of(slot: Slot) -> list[Link]:
    """All links that leave a node, each once."""
    links = [*slot.links, *slot.failure_links, *slot.limit_links]
    if slot.handoff_links is not None:
        links += slot.handoff_links.values()
    return list(dict.fromkeys(links))


def _steps_of(program: Program) -> list[list[_WayOut]]:
    steps: list[list[_WayOut]] = []
    for slot in program.slots:
        steps.append([_WayOut(link.target, link) for link in links_of(slot)])
    for slot in program.slots:
        join = slot.join
        if join is not None and join.collects:
            steps[join.fork].append(_WayOut(join.node, None))
    return steps


def _are_parallel(slot: Slot, first: _WayOut, second: _WayOut) -> bool:
    """Whether one run of a node may send tokens both ways."""
    one, other = first.link, second.link
    if one is None or other is None:
        return first is not second
    if one is other:
        return one.each
    return not _are_exclusive(slot, one, other)


def _are_exclusive(slot: Slot, one: Link, other: Link) -> bool:
    """Whether a node that sends along one link does not send along the other."""
    # It answers, or it fails.
    if (one in slot.failure_links) != (other in slot.failure_links):
        return True
    # Whoever hands over answers nobody else.
    if _hands_over(slot, one) or _hands_over(slot, other):
        return True
    # What is sent where laps are used up goes in the place of the lap, beside everything else.
    if (one in slot.limit_links) != (other in slot.limit_links):
        return one.lap is not None or other.lap is not None
    return _are_arms_apart(one, other)


def _hands_over(slot: Slot, link: Link) -> bool:
    return slot.handoff_links is not None and link in slot.handoff_links.values()


def _are_arms_apart(one: Link, other: Link) -> bool:
    """Whether no output takes both links."""
    if one.units is not None and other.units is not None and not one.units & other.units:
        return True
    # Of the guards of one arm the first that holds is taken.
    if one.guard is None or other.guard is None:
        return False
    return one.group == other.group and one.guard is not other.guard


def _ranks(program: Program, steps: list[list[_WayOut]]) -> list[int]:
    """The order of the nodes, laps left out: a lineage never has to wait for one that stands behind it."""
    waiting = [0] * program.size
    for leaving in steps:
        for step in leaving:
            if not _is_lap(step):
                waiting[step.target] += 1
    ready = [number for number, count in enumerate(waiting) if not count]
    ranks = [0] * program.size
    place = 0
    while ready:
        number = ready.pop()
        ranks[number] = place
        place += 1
        for step in steps[number]:
            if _is_lap(step):
                continue
            waiting[step.target] -= 1
            if not waiting[step.target]:
                ready.append(step.target)
    return ranks


def _leading_to(writers: Collection[int], steps: list[list[_WayOut]]) -> dict[int, set[int]]:
    """For each writer the nodes that lead to it, itself included."""
    before: list[list[int]] = [[] for _ in steps]
    for source, leaving in enumerate(steps):
        for way in leaving:
            before[way.target].append(source)
    leading: dict[int, set[int]] = {}
    for writer in writers:
        found: set[int] = set()
        todo = [writer]
        while todo:
            number = todo.pop()
            if number not in found:
                found.add(number)
                todo += before[number]
        leading[writer] = found
    return leading
