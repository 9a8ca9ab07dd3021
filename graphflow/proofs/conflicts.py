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


_Ways = list[list[_WayOut]]
"""The ways out of each node, by the number of its slot."""


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
        self._ways = _ways_out(program)
        self._ranks = _ranks(program, self._ways)
        self._leading = _leading_to(writers, self._ways)
        self._left = BUDGET

    def found(self) -> Iterator[Conflict]:
        """Each pair of writers that conflict, with the first fork behind which they do."""
        pairs = self._pairs()
        for fork in self._program.slots:
            if not fork.forks or not pairs:
                continue
            targets = self._targets(fork)
            gates = self._gates(fork)
            apart: list[tuple[int, int]] = []
            for first, second in pairs:
                meet = self._meet(first, second, targets, gates)
                if meet:
                    yield Conflict(first, second, fork.index)
                else:
                    pair = (first, second)
                    apart.append(pair)
            pairs = apart

    def _pairs(self) -> list[tuple[int, int]]:
        """Writers that would be in each other's way."""
        numbers = sorted(self._writers)
        pairs: list[tuple[int, int]] = []
        for place, first in enumerate(numbers):
            kinds = self._writers[first]
            # With itself too: a fork that maps a list runs one node several times.
            for second in numbers[place:]:
                others = self._writers[second]
                if "set" in kinds or "set" in others:
                    pair = (first, second)
                    pairs.append(pair)
        return pairs

    def _targets(self, fork: Slot) -> _TokenPairs:
        """Where two tokens that one run of a fork sends may go."""
        targets: _TokenPairs = []
        ways = self._ways[fork.index]
        for first in ways:
            for second in ways:
                if _are_parallel(fork, first, second):
                    pair = (first.target, second.target)
                    targets.append(pair)
        return targets

    def _gates(self, fork: Slot) -> set[int]:
        """The nodes that gather tokens of a fork."""
        program = self._program
        gates: set[int] = set()
        for slot in program.slots:
            join = slot.join
            if join is None:
                continue
            is_own = join.fork == fork.index
            is_around = fork.index in join.region
            if is_own or is_around:
                gates.add(join.node)
        if program.ends == "all":
            gates.add(program.end)
        return gates

    def _meet(self, first: int, second: int, targets: _TokenPairs, gates: set[int]) -> bool:
        """Whether two lineages pass these writers, and are gathered together behind them."""
        todo = self._beginnings(first, second, targets)
        seen: set[_Lineages] = set()
        while todo:
            pair = todo.pop()
            if pair in seen:
                continue
            seen.add(pair)
            self._count()
            gate = pair.left
            is_gathered = gate == pair.right and gate in gates
            if not is_gathered:
                todo += self._moves(pair, first, second)
                continue
            have_written = pair.left_wrote and pair.right_wrote
            # What the join itself writes is one write, behind both.
            is_writer = gate in (first, second)
            if have_written and not is_writer:
                return True
        return False

    def _beginnings(self, first: int, second: int, targets: _TokenPairs) -> list[_Lineages]:
        """Where two lineages stand right behind the fork; most ways lead to no writer at all and are left out."""
        leading_left = self._leading[first]
        leading_right = self._leading[second]
        beginnings: list[_Lineages] = []
        for left, right in targets:
            if left in leading_left and right in leading_right:
                left_wrote = left == first
                right_wrote = right == second
                pair = _Lineages(left, right, left_wrote, right_wrote)
                beginnings.append(pair)
        return beginnings

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise UnprovenConflicts

    def _moves(self, pair: _Lineages, first: int, second: int) -> Iterator[_Lineages]:
        """What the two may come to next: the one that stands before the other in the order of the graph moves."""
        left, right, left_wrote, right_wrote = pair
        is_before = self._ranks[left] <= self._ranks[right]
        moves_left = is_before and left != self._program.end
        for way in self._ways[left]:
            # The next lap of a loop may begin whoever is behind.
            if moves_left or _is_lap(way):
                wrote = left_wrote or way.target == first
                yield _Lineages(way.target, right, wrote, right_wrote)
        for way in self._ways[right]:
            if not moves_left or _is_lap(way):
                wrote = right_wrote or way.target == second
                yield _Lineages(left, way.target, left_wrote, wrote)


def _is_lap(way: _WayOut) -> bool:
    link = way.link
    return link is not None and link.lap is not None


def links_of(slot: Slot) -> list[Link]:
    """All links that leave a node, each once."""
    links = [*slot.links, *slot.failure_links, *slot.limit_links]
    if slot.handoff_links is not None:
        links += slot.handoff_links.values()
    return list(dict.fromkeys(links))


def _ways_out(program: Program) -> _Ways:
    ways: _Ways = []
    for slot in program.slots:
        leaving = [_WayOut(link.target, link) for link in links_of(slot)]
        ways.append(leaving)
    for slot in program.slots:
        join = slot.join
        if join is None or not join.collects:
            continue
        empty = _WayOut(join.node, None)
        ways[join.fork].append(empty)
    return ways


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
    failures = slot.failure_links
    if (one in failures) != (other in failures):
        return True
    # Whoever hands over answers nobody else.
    if _hands_over(slot, one) or _hands_over(slot, other):
        return True
    # What is sent where laps are used up goes in the place of the lap, beside everything else.
    limits = slot.limit_links
    if (one in limits) != (other in limits):
        return one.lap is not None or other.lap is not None
    return _are_arms_apart(one, other)


def _hands_over(slot: Slot, link: Link) -> bool:
    handoffs = slot.handoff_links
    return handoffs is not None and link in handoffs.values()


def _are_arms_apart(one: Link, other: Link) -> bool:
    """Whether no output takes both links."""
    if one.units is not None and other.units is not None:
        shared = one.units & other.units
        if not shared:
            return True
    # Of the guards of one arm the first that holds is taken.
    if one.guard is None or other.guard is None:
        return False
    is_same_arm = one.group == other.group
    return is_same_arm and one.guard is not other.guard


def _ranks(program: Program, ways: _Ways) -> list[int]:
    """The order of the nodes, laps left out: a lineage never has to wait for one that stands behind it."""
    ahead = _without_laps(ways)
    waiting = [0] * program.size
    for targets in ahead:
        for target in targets:
            waiting[target] += 1
    ready = [number for number, count in enumerate(waiting) if not count]
    ranks = [0] * program.size
    rank = 0
    while ready:
        number = ready.pop()
        ranks[number] = rank
        rank += 1
        for target in ahead[number]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return ranks


def _without_laps(ways: _Ways) -> list[list[int]]:
    """The nodes that each node leads to by other ways than laps."""
    ahead: list[list[int]] = []
    for leaving in ways:
        targets = [way.target for way in leaving if not _is_lap(way)]
        ahead.append(targets)
    return ahead


def _leading_to(writers: Collection[int], ways: _Ways) -> dict[int, set[int]]:
    """For each writer the nodes that lead to it, itself included."""
    before: list[list[int]] = [[] for _ in ways]
    for source, leaving in enumerate(ways):
        for way in leaving:
            before[way.target].append(source)
    leading: dict[int, set[int]] = {}
    for writer in writers:
        leading[writer] = _all_before(writer, before)
    return leading


def _all_before(writer: int, before: list[list[int]]) -> set[int]:
    found: set[int] = set()
    todo = [writer]
    while todo:
        number = todo.pop()
        if number in found:
            continue
        found.add(number)
        todo += before[number]
    return found
