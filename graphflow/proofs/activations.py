"""How often each node is activated at most, counted by laps.

In one lap of a loop a node is activated as often as messages reach it without lap edges; each entry of the loop makes at
most one lap for each unit of its lap limits, and one more to begin with. Where a lap may send several messages round
again, each of them goes on alone, so the laps are those of a tree: with two for one and three laps, 2 + 4 + 8.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from graphflow.proofs.counts import NONE, ONE, Count, add, most
from graphflow.proofs.loop_proofs import lap_limit
from graphflow.proofs.tokens import is_single

if TYPE_CHECKING:
    from graphflow.proofs.edge_types import TypedEdge
    from graphflow.proofs.proof import Proof
    from graphflow.proofs.topology import GraphEdge

    GraphEdges: TypeAlias = Sequence[GraphEdge]
    TypedEdges: TypeAlias = Sequence[TypedEdge]

COUNTED_APART = 4
"""Loops around a node whose laps are counted apart, the inner ones: that makes sixteen kinds of messages."""
MAX_DIGITS = 15
"""Digits of a number of laps that is still told; what is longer stands as a length of its own: `|laps of n|`."""
MAX_LISTS = 6
"""The same for the lengths of lists that it is a product of."""

Loops: TypeAlias = list[int]
"""Numbers of loops around a node, outermost first."""
Laps: TypeAlias = tuple[bool, ...]
"""For each loop around a node, outermost first: whether this is a later lap (True) or the one by which it was entered."""


CountLists: TypeAlias = dict[Laps, list[Count]]
"""Several counts for each kind of lap."""


class LapCounts(dict[Laps, Count]):
    """Counts of a node's messages, by the kind of lap that they are in."""

    def plus(self, laps: Laps, count: Count) -> None:
        """So many more."""
        known = self.get(laps, NONE)
        self[laps] = add(known, count)

    def at_least(self, laps: Laps, count: Count) -> None:
        """So many, if there were not more before: these are the same messages, come another way."""
        known = self.get(laps, NONE)
        self[laps] = most(known, count)


def count_activations(proof: Proof) -> list[Count]:
    """For each node, how often at most; START and END behind them."""
    wiring = proof.wiring
    counter = _Counter(proof, wiring.start)
    counts: list[Count] = []
    for number in range(wiring.size):
        count = counter.whole(number)
        counts.append(count)
    return counts


def _first_laps(depth: int) -> Laps:
    """Of a message that has entered so many loops, and gone round in none."""
    return (False,) * depth


class _Counter:
    """Counts messages per kind of lap, in topological order; the laps are multiplied in at the end."""

    # Why by kind of lap: of a >> [b >> c >> b] >> d, d gets one message however often b and c run, since only the last
    # lap leaves the loop. So the message that entered the loop and those of its laps are counted apart, and whoever
    # leaves is counted once for each that entered. The laps are a factor only for what stays inside.

    def __init__(
        self, proof: Proof, start: int, loop: int | None = None, around: _Counter | None = None
    ) -> None:
        self.proof = proof
        self.wiring = proof.wiring
        self.top = proof.topology
        self.counts: dict[int, LapCounts] = defaultdict(LapCounts)
        self.entries: dict[int, LapCounts] = {}
        """What enters each loop from outside."""
        self.laps: dict[int, Count] = {}
        """How often a lap of a loop begins for each message that enters it."""
        self.singles: dict[int, bool] = {}
        """Of each loop that was asked about, whether it is single (`tokens.is_single`)."""
        if around is not None:
            self.laps = around.laps
            self.singles = around.singles
        self.start = start
        """Where the one message is that is counted."""
        top = proof.topology
        chain = top.loops_around(start)
        inside: Iterable[int] = range(top.size)
        self.depth = len(chain)
        """How many loops that message does not enter, being in them already."""
        if loop is not None:
            inside = top.loops[loop].members
            self.depth = chain.index(loop) + 1
        # In order, so that what leads to a node is counted before it.
        rank = top.order.__getitem__
        for number in sorted(inside, key=rank):
            self.counts[number] = self._counted(number)

    def whole(self, number: int) -> Count:
        """Activations of a node in one walk."""
        loops = self.top.loops_around(number)
        by_laps = self.counts[number]
        counts: list[Count] = []
        for laps, count in by_laps.items():
            whole = self._times_laps(laps, count, loops)
            counts.append(whole)
        return add(*counts)

    def _counted(self, number: int) -> LapCounts:
        around = self.top.loops_around(number)
        for depth, loop in enumerate(around):
            if loop not in self.entries:
                outer = around[:depth]
                self.entries[loop] = self._entering(loop, outer)
        join = self.top.joins.get(number)
        if join is not None:
            # It gets one message for each run of its fork, whatever the branches do.
            fork = join.fork
            counts = self.counts[fork]
            return self._moved(fork, counts, around, join.branches)
        arriving = self.wiring.by_target[number]
        starts_here = number == self.start
        return self._arriving(arriving, around, here=starts_here)

    def _entering(self, loop: int, around: Loops) -> LapCounts:
        members = self.top.loops[loop].members
        edges: list[TypedEdge] = []
        for number in members:
            arriving = self.wiring.by_target[number]
            for edge in arriving:
                if edge.source not in members:
                    edges.append(edge)
        # The counted message enters the loops around its own place, but for those that it is counted within.
        is_within = len(around) < self.depth
        is_here = self.start in members
        return self._arriving(edges, around, here=is_here and not is_within)

    def _arriving(self, edges: TypedEdges, around: Loops, *, here: bool) -> LapCounts:
        """What comes on these edges, by the laps of the loops around; and the first message, if it is `here`."""
        onward: list[TypedEdge] = []
        begun: set[int] = set()
        for edge in edges:
            if edge.lap_of is None:
                onward.append(edge)
            else:
                begun.add(edge.lap_of)
        counts = self._sum(onward, around)
        depth = len(around)
        if here:
            first = _first_laps(depth)
            counts.plus(first, ONE)
        for loop in begun:
            entered = self.entries[loop]
            place = around.index(loop) + 1
            inner = _first_laps(depth - place)
            for outer, count in entered.items():
                laps = (*outer, True, *inner)
                counts.at_least(laps, count)  # a token begins a lap in one place only
        return self._folded(counts, around)

    def _folded(self, counts: LapCounts, around: Loops) -> LapCounts:
        """The same counts, with the laps of all but the inner loops multiplied in: else their kinds double at each."""
        depth = len(around) - COUNTED_APART
        if depth <= 0:
            return counts
        outer = around[:depth]
        without = _first_laps(depth)
        folded = LapCounts()
        for laps, count in counts.items():
            outer_laps = laps[:depth]
            inner_laps = laps[depth:]
            whole = self._times_laps(outer_laps, count, outer)
            folded.plus(without + inner_laps, whole)
        return folded

    def _sum(self, edges: TypedEdges, around: Loops) -> LapCounts:
        """What arrives on these edges together; of edges that exclude each other, only the larger count."""
        by_source: dict[int, list[TypedEdge]] = defaultdict(list)
        for edge in edges:
            group = by_source[edge.source]
            group.append(edge)
        exclusive = self.proof.exclusive
        total = LapCounts()
        for group in by_source.values():
            together = most if exclusive.all_apart(group) else add
            arriving = self._counts_of_each(group, around)
            for laps, counts in arriving.items():
                count = together(*counts)
                total.plus(laps, count)
        return total

    def _counts_of_each(self, edges: TypedEdges, around: Loops) -> CountLists:
        """What arrives on each of these edges, by the kind of lap that it arrives in."""
        arriving: CountLists = defaultdict(list)
        for edge in edges:
            sent = self._sent(edge)
            moved = self._moved(edge.source, sent, around, [edge])
            for laps, count in moved.items():
                alike = arriving[laps]
                alike.append(count)
        return arriving

    def _sent(self, edge: TypedEdge) -> LapCounts:
        counts = self.counts[edge.source]
        if not edge.each:
            return counts
        plan = self.wiring.name(edge.source)
        items = Count(1, (plan,))
        sent = LapCounts()
        for laps, count in counts.items():
            sent[laps] = count * items
        return sent

    def _moved(self, source: int, counts: LapCounts, around: Loops, edges: GraphEdges) -> LapCounts:
        """Counts at a node as counts where its edges lead: without the laps of loops that are left, with those entered."""
        before = self.top.loops_around(source)
        kept = [loop for loop in before if loop in around]
        depth = len(kept)
        left = before[depth:]
        deeper = len(around) - depth
        entered = _first_laps(deeper)
        once = self._sends_once(source, edges, left)
        moved = LapCounts()
        for laps, count in counts.items():
            outer = laps[:depth]
            inner = laps[depth:]
            there = outer + entered
            if once:
                moved.at_least(there, count)
            else:
                whole = self._times_laps(inner, count, left)
                moved.plus(there, whole)
        return moved

    def _sends_once(self, source: int, edges: GraphEdges, left: Loops) -> bool:
        """Whether these edges leave loops, with one message for each that entered: who leaves does not go round again."""
        if not left:
            return False
        if not self._leaves_for_good(source, edges):
            return False
        return all(map(self._is_single, left))

    def _leaves_for_good(self, source: int, edges: GraphEdges) -> bool:
        """Whether what is sent on these edges is sent on no other."""
        exclusive = self.proof.exclusive
        leaving = self.wiring.by_source[source]
        for staying in leaving:
            if staying in edges:
                continue
            for edge in edges:
                if not exclusive(edge, staying):
                    return False
        return True

    def _times_laps(self, laps: Laps, count: Count, loops: Loops) -> Count:
        for later, loop in zip(laps, loops, strict=True):
            if later:
                factor = self._laps_of(loop)
                count = count * factor
        return count

    def _laps_of(self, loop: int) -> Count:
        known = self.laps.get(loop)
        if known is not None:
            return known
        limits = self.proof.limits
        longest = 0
        for edge in self.top.loops[loop].laps:
            longest += lap_limit(edge, limits)
        laps = Count(longest)
        if not self._is_single(loop):
            laps = self._branching(loop, longest)
        self.laps[loop] = laps
        return laps

    def _is_single(self, loop: int) -> bool:
        known = self.singles.get(loop)
        if known is not None:
            return known
        exclusive = self.proof.exclusive
        single = is_single(self.top, self.top.loops[loop], exclusive)
        self.singles[loop] = single
        return single

    def _branching(self, loop: int, longest: int) -> Count:
        """All laps that follow from one message, where each lap may send several round again."""
        known = self.top.loops[loop]
        again = ONE
        targets = {lap.target for lap in known.laps}
        for target in targets:
            # Nobody knows which of them a message will reach, so the worst one counts.
            sent = self._sent_again(loop, target)
            again = most(again, sent)
        digits = longest * math.log10(again.times)
        factors = longest * len(again.lists)
        if digits > MAX_DIGITS or factors > MAX_LISTS:
            header = self.wiring.name(known.header)
            return Count(1, (f"laps of {header}",))
        # n for one in each of three laps: n + n^2 + n^3.
        times = 0
        in_lap = 1
        for _ in range(longest):
            in_lap *= again.times
            times += in_lap
        lists = again.lists * longest
        return Count(times, lists)

    def _sent_again(self, loop: int, target: int) -> Count:
        """How many messages one that begins a lap at this node sends round again."""
        within = _Counter(self.proof, target, loop, self)
        laps: list[TypedEdge] = []
        for lap in self.top.loops[loop].laps:
            edge = self.wiring.edges[lap.index]
            laps.append(edge)
        around = self.top.loops_around(target)
        depth = around.index(loop) + 1
        up_to_it = around[:depth]
        sent = within._sum(laps, up_to_it)
        counts = sent.values()
        return add(*counts)
