"""The worst case of one walk, known before it runs: the answer of `bounds()`.

Rules:
1. Never too low: `tests/proofs/test_bounds.py` holds it against what random graphs really do.
2. Lengths of lists are only known at run time, so a count is a number times such lengths.

In one lap of a loop a node is activated as often as messages reach it without lap wires; each entry of the loop makes at
most one lap for each unit of its lap limits, and one more to begin with. Where a lap may send several messages round
again, each of them goes on alone, so the laps are those of a tree: with two for one and three laps, 2 + 4 + 8.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from graphflow.declaration.node import AnyNode
from graphflow.limits import DEFAULT_DEPTH, DEFAULT_LAPS
from graphflow.model.prices import price_of
from graphflow.proofs.proven import AnyGraph, ProvenGraph, solo
from graphflow.proofs.tokens import is_single

if TYPE_CHECKING:
    from graphflow.proofs.edge_types import TypedEdge
    from graphflow.proofs.proof import Proof
    from graphflow.proofs.topology import GraphEdge


KEPT_APART = 4
"""Loops around a node whose laps are counted apart, the inner ones: that makes sixteen kinds of messages."""
TOLD_DIGITS = 15
"""Digits of a number of laps that is still told; what is longer stands as a length of its own: `|laps of n|`."""
TOLD_LISTS = 6
"""The same for the lengths of lists that it is a product of."""


@dataclass(frozen=True, slots=True)
class Count:
    """A worst-case count: `times`, once per item of each list in `lists` (whose lengths are only known at run time).

    `a or b` is the longer of two lists; a list without items counts as one of a single item.
    """

    times: int
    lists: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " x ".join(
            [*([str(self.times)] if self.times != 1 or not self.lists else []), *(f"|{name}|" for name in self.lists)]
        )

    @property
    def finite(self) -> bool:
        """Whether the number is known before the run."""
        return not self.lists


@dataclass(frozen=True, slots=True)
class Bounds:
    """The worst case of one walk.

    Attributes:
        activations: for each node, how often at most.
        steps: in all, or the `steps` limit if that is lower; None if it depends on lengths of lists and no limit is set.
        depth: nested frames at most.
        model_calls: for each node that asks a model, how often at most.
        usd: US dollars, if every call had a prompt and an answer as long as its model allows; None if that is not known.
    """

    activations: Mapping[str, Count]
    steps: int | None
    depth: int
    model_calls: Mapping[str, Count]
    usd: float | None

    def __str__(self) -> str:
        lines = ["at most"]
        width = max((len(name) for name in self.activations), default=0)
        lines += [f"  {name:<{width}}  {count}" for name, count in self.activations.items()]
        if self.model_calls:
            lines.append("model calls at most")
            wide = max(len(name) for name in self.model_calls)
            lines += [f"  {name:<{wide}}  {count}" for name, count in self.model_calls.items()]
        steps = "not bounded but by Limits(steps=...)" if self.steps is None else str(self.steps)
        cost = "unknown (no price known)" if self.usd is None else f"{self.usd:.4f} USD"
        return "\n".join([*lines, f"steps {steps}; depth {self.depth}; cost {cost}"])


def bound(graph: AnyGraph) -> Bounds:
    """What `bounds()` returns."""
    proof = graph.proof
    top = proof.topology
    counts = _activations(proof)
    activations = {proof.nodes[n].name: counts[n] for n in sorted(range(len(proof.nodes)), key=top.order.__getitem__)}
    calls: dict[str, Count] = {}
    depth = 0
    for node in graph.nodes:
        for name, count in _model_calls(node, graph, ()):
            outer = activations[node.name]
            calls[name] = Count(outer.times * count.times, (*outer.lists, *count.lists))
        depth = max(
            depth, _depth_of(node, graph, (), DEFAULT_DEPTH if proof.limits.depth is None else proof.limits.depth)
        )
    limit = proof.limits.steps
    simple = not graph.program.callees and all(node.enters == "never" for node in graph.nodes)
    known = simple and all(count.finite for count in counts[: len(proof.nodes)])
    total = sum(count.times for count in counts[: len(proof.nodes)]) if known else None
    steps = min((n for n in (limit, total) if n is not None), default=None)
    return Bounds(activations, steps, depth, calls, _usd(graph, calls))


def _model_calls(node: Any, graph: AnyGraph, seen: tuple[str, ...]) -> list[tuple[str, Count]]:
    """Requests to models for one activation of a node: its own, those of graphs behind it, and of what it may call.

    How often a model calls something is its own choice, so that stands as a length of its own: `|calls of boss|`.
    """
    target, _ = node.entry()
    found: list[tuple[str, Count]] = []
    if most := target.max_model_calls:
        found.append((target.name, Count(most)))
    behind = _graph_behind(node)
    if behind is not None:
        inner = bound(behind).model_calls
        found += [(f"{node.name} > {name}", count) for name, count in inner.items()]
    for callee in graph.program.callees.get(target.name, ()):
        if callee.name not in seen:
            times = (f"calls of {target.name}",)
            below = _model_calls(callee, graph, (*seen, target.name, callee.name))
            found += [
                (name if " > " in name else f"{target.name} > {name}", Count(c.times, (*times, *c.lists)))
                for name, c in below
            ]
    return found


def _graph_behind(node: AnyNode) -> AnyGraph | None:
    """The graph that an activation of a node walks, if it walks one; a sub-agent of a sub-agent is one of a single node."""
    target, _ = node.entry()
    if isinstance(target, ProvenGraph):
        return target
    is_wrapped = target is not node and target.enters == "always"
    return solo(target) if is_wrapped else None


def _depth_of(node: Any, graph: AnyGraph, seen: tuple[str, ...], ceiling: int) -> int:
    """Nested frames below an activation of this node; call cycles go to the limit."""
    if len(seen) > ceiling:
        return ceiling
    below = 0
    target, _ = node.entry()
    for callee in graph.program.callees.get(target.name, ()):
        if callee.enters != "never":
            below = (
                ceiling
                if callee.name in seen
                else max(below, 1 + _depth_of(callee, graph, (*seen, callee.name), ceiling))
            )
        elif callee.name not in seen:
            below = max(below, _depth_of(callee, graph, (*seen, callee.name), ceiling))
    behind = _graph_behind(node)
    inner = 0 if behind is None else max(behind.nesting, bound(behind).depth)
    return min(ceiling, below + (inner + 1 if node.enters == "always" and not seen else inner))


def _usd(graph: AnyGraph, calls: Mapping[str, Count]) -> float | None:
    """Every call with a full prompt and a full answer; None where a count, a price or a length is unknown.

    Local models cost nothing. Of the others the context window bounds both what is read and what is written, at the
    highest rate that the price knows.
    """
    needed = graph.models_needed(graph.model)
    if all(isinstance(model, str) and model.startswith("local:") for _, model in needed):
        return 0.0
    worst = 0.0
    for _, model in needed:
        price = price_of(model) if isinstance(model, str) else None
        if price is None or price.context is None:
            return None
        worst = max(worst, price.cost(price.context, price.context))
    if not all(count.finite for count in calls.values()):
        return None
    return worst * sum(count.times for count in calls.values())


def _activations(proof: Proof) -> list[Count]:
    """For each node, how often at most."""
    counter = _Counter(proof, proof.wiring.start)
    return [counter.whole(number) for number in range(counter.top.size)]


Laps = tuple[bool, ...]
"""For each loop around a node, outermost first: whether this is a later lap (True) or the one by which it was entered."""
Counts = dict[Laps, Count]


class _Counter:
    """Counts messages per kind of lap, in topological order; the laps are multiplied in at the end."""

    def __init__(self, proof: Proof, start: int, loop: int | None = None, around: _Counter | None = None) -> None:
        self.proof = proof
        self.top = proof.topology
        self.counts: dict[int, Counts] = defaultdict(dict)
        self.entries: dict[int, Counts] = {}
        self.laps: dict[int, Count] = {} if around is None else around.laps
        """How often a lap of a loop begins for each message that enters it."""
        self.singles: dict[int, bool] = {} if around is None else around.singles
        chain = self.top.loops_around(start)
        self.start, self.depth = start, len(chain) if loop is None else chain.index(loop) + 1
        """Where the one message is that is counted, and how many loops it does not enter, being in them already."""
        inside = range(self.top.size) if loop is None else self.top.loops[loop].members
        for number in sorted(inside, key=self.top.order.__getitem__):
            self.counts[number] = self._counted(number)

    def whole(self, number: int) -> Count:
        """Activations of a node in one walk."""
        loops = self.top.loops_around(number)
        return _plus(*(self._lapped(laps, count, loops) for laps, count in self.counts[number].items()))

    def _counted(self, number: int) -> Counts:
        around = self.top.loops_around(number)
        for depth, loop in enumerate(around):
            if loop not in self.entries:
                self.entries[loop] = self._entering(loop, around[:depth])
        join = self.top.joins.get(number)
        if join is not None:
            return self._moved(join.fork, self.counts[join.fork], around, join.branches)
        return self._arriving(self.proof.wiring.by_target[number], around, here=number == self.start)

    def _entering(self, loop: int, around: list[int]) -> Counts:
        members = self.top.loops[loop].members
        wires = [w for n in members for w in self.proof.wiring.by_target[n] if w.source not in members]
        return self._arriving(wires, around, here=self.start in members and len(around) >= self.depth)

    def _arriving(self, wires: Sequence[TypedEdge], around: list[int], *, here: bool) -> Counts:
        """What comes on these wires, by the laps of the loops around; and the first message, if it is `here`."""
        counts = self._sum([w for w in wires if w.lap_of is None], around)
        if here:
            first = tuple(False for _ in around)
            counts[first] = _plus(counts.get(first, Count(0)), Count(1))
        for loop in {w.lap_of for w in wires if w.lap_of is not None}:
            depth = around.index(loop)
            for outer, count in self.entries[loop].items():
                laps = (*outer, True, *[False] * (len(around) - depth - 1))
                counts[laps] = _most(counts.get(laps, Count(0)), count)  # a token begins a lap in one place only
        return self._folded(counts, around)

    def _folded(self, counts: Counts, around: list[int]) -> Counts:
        """The same counts, with the laps of all but the inner loops multiplied in: else their kinds double at each."""
        cut = max(0, len(around) - KEPT_APART)
        if not cut:
            return counts
        fewer: Counts = {}
        for laps, count in counts.items():
            key = (*[False] * cut, *laps[cut:])
            fewer[key] = _plus(fewer.get(key, Count(0)), self._lapped(laps[:cut], count, around[:cut]))
        return fewer

    def _sum(self, wires: list[TypedEdge], around: list[int]) -> Counts:
        """What arrives on these wires together; of wires that exclude each other, only the larger count."""
        by_source: dict[int, list[TypedEdge]] = {}
        for wire in wires:
            by_source.setdefault(wire.source, []).append(wire)
        total: Counts = {}
        for group in by_source.values():
            exclusive = self.proof.exclusive.all_apart(group)
            sent = [self._moved(w.source, self._sent(w), around, [w]) for w in group]
            for laps in {laps for counts in sent for laps in counts}:
                counts = [c[laps] for c in sent if laps in c]
                together = _most(*counts) if exclusive else _plus(*counts)
                total[laps] = _plus(total.get(laps, Count(0)), together)
        return total

    def _sent(self, wire: TypedEdge) -> Counts:
        counts = self.counts[wire.source]
        if not wire.each:
            return counts
        name = self.proof.wiring.name(wire.source)
        return {laps: Count(count.times, (*count.lists, name)) for laps, count in counts.items()}

    def _moved(self, source: int, counts: Counts, around: list[int], wires: Sequence[GraphEdge]) -> Counts:
        """Counts at a node as counts where its wires lead: without the laps of loops that are left, with those entered."""
        before = self.top.loops_around(source)
        kept = [loop for loop in before if loop in around]
        left = before[len(kept) :]
        once = bool(left) and all(map(self._is_single, left)) and self._leaves_for_good(source, wires)
        moved: Counts = {}
        for laps, count in counts.items():
            key = (*laps[: len(kept)], *[False] * (len(around) - len(kept)))
            known = moved.get(key, Count(0))
            if once:  # who leaves does not go round again: one message for each that entered
                moved[key] = _most(known, count)
            else:
                moved[key] = _plus(known, self._lapped(laps[len(kept) :], count, left))
        return moved

    def _leaves_for_good(self, source: int, wires: Sequence[GraphEdge]) -> bool:
        """Whether what is sent on these wires is sent on no other."""
        staying = [w for w in self.proof.wiring.by_source[source] if w not in wires]
        return all(self.proof.exclusive(a, b) for a in wires for b in staying)

    def _lapped(self, laps: Laps, count: Count, loops: list[int]) -> Count:
        for later, loop in zip(laps, loops, strict=True):
            if later:
                more = self._laps_of(loop)
                count = Count(count.times * more.times, (*count.lists, *more.lists))
        return count

    def _laps_of(self, loop: int) -> Count:
        if loop not in self.laps:
            default = self.proof.limits.laps or DEFAULT_LAPS
            longest = sum(w.limit if w.limit is not None else default for w in self.top.loops[loop].laps)
            self.laps[loop] = Count(longest) if self._is_single(loop) else self._branching(loop, longest)
        return self.laps[loop]

    def _is_single(self, loop: int) -> bool:
        if loop not in self.singles:
            self.singles[loop] = is_single(self.top, self.top.loops[loop], self.proof.exclusive)
        return self.singles[loop]

    def _branching(self, loop: int, longest: int) -> Count:
        """All laps that follow from one message, where each lap may send several round again."""
        laps = self.top.loops[loop].laps
        header = self.proof.wiring.name(self.top.loops[loop].header)
        again = _most(Count(1), *(self._sent_again(loop, target) for target in {w.target for w in laps}))
        digits = longest * math.log10(again.times)
        if digits > TOLD_DIGITS or longest * len(again.lists) > TOLD_LISTS:
            return Count(1, (f"laps of {header}",))
        return Count(sum(again.times**lap for lap in range(1, longest + 1)), again.lists * longest)

    def _sent_again(self, loop: int, target: int) -> Count:
        """How many messages one that begins a lap at this node sends round again."""
        within = _Counter(self.proof, target, loop, self)
        laps = [within.proof.edges[w.index] for w in self.top.loops[loop].laps]
        around = self.top.loops_around(target)
        depth = around.index(loop) + 1
        return _plus(*within._sum(laps, around[:depth]).values())


def _plus(*counts: Count) -> Count:
    """All of them together."""
    return Count(sum(count.times for count in counts), _longest(counts))


def _most(*counts: Count) -> Count:
    """What none of them is more than."""
    return Count(max(count.times for count in counts), _longest(counts))


def _longest(counts: Iterable[Count]) -> tuple[str, ...]:
    """The lists of a product that is no shorter than that of any count: of |a| x |b| and |a| x |c|, |a| x |b or c|."""
    longest: tuple[str, ...] = ()
    for lists in {count.lists: None for count in counts}:
        longest = _longer(longest, lists)
    return longest


def _longer(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    shared: list[str] = []
    rest, more = list(one), list(other)
    for name in one:
        if name in more:
            shared.append(name)
            rest.remove(name)
            more.remove(name)
    return (*shared, *(_either(*pair) for pair in zip_longest(rest, more, fillvalue="")))


def _either(one: str, other: str) -> str:
    return " or ".join(dict.fromkeys(name for text in (one, other) if text for name in text.split(" or ")))
