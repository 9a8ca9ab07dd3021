"""The worst case of one walk, known before it runs: the answer of `bounds()`.

Rules:
1. Never too low: `tests/test_bounds.py` holds it against what random graphs really do.
2. Lengths of lists are only known at run time, so a count is a number times such lengths.

In one lap of a loop a node is activated as often as messages reach it without lap wires; each entry of the loop makes at
most one lap for each unit of its lap limits, and one more to begin with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphflow.limits import DEFAULT_DEPTH, DEFAULT_LAPS

if TYPE_CHECKING:
    from graphflow.graph import Graph
    from graphflow.proofs import Declared, Proof
    from graphflow.topology import Join


@dataclass(frozen=True, slots=True)
class Count:
    """A worst-case count: `times`, once per item of each list in `lists` (whose lengths are only known at run time)."""

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
        usd: None: the price of no model in the graph is known.
    """

    activations: Mapping[str, Count]
    steps: int | None
    depth: int
    model_calls: Mapping[str, Count]
    usd: float | None

    def __str__(self) -> str:
        lines = ["at most"]
        width = max((len(name) for name in self.activations), default=0)
        for name, count in self.activations.items():
            asked = f", model calls {self.model_calls[name]}" if name in self.model_calls else ""
            lines.append(f"  {name:<{width}}  {count}{asked}")
        steps = "as many as its lists are long" if self.steps is None else str(self.steps)
        cost = "unknown (no price known)" if self.usd is None else f"{self.usd:.4f} USD"
        return "\n".join([*lines, f"steps {steps}; depth {self.depth}; cost {cost}"])


def bound(graph: Graph[Any, Any]) -> Bounds:
    """What `bounds()` returns."""
    proof = graph._proof
    top = proof.topology
    assert top is not None
    counts = _activations(proof)
    activations = {proof.nodes[n].name: counts[n] for n in sorted(range(len(proof.nodes)), key=top.order.__getitem__)}
    calls: dict[str, Count] = {}
    depth = 0
    for node in graph.nodes:
        if getattr(node, "asks_model", False):
            count = activations[node.name]
            calls[node.name] = Count(count.times * int(getattr(node, "most_model_calls", 1)), count.lists)
        depth = max(
            depth, _depth_of(node, graph, (), DEFAULT_DEPTH if proof.limits.depth is None else proof.limits.depth)
        )
    limit = proof.limits.steps
    known = all(count.finite for count in counts[: len(proof.nodes)]) and not graph.program.callees
    total = sum(count.times for count in counts[: len(proof.nodes)]) if known else None
    steps = min((n for n in (limit, total) if n is not None), default=None)
    return Bounds(activations, steps, depth, calls, _usd(graph))


def _depth_of(node: Any, graph: Graph[Any, Any], seen: tuple[str, ...], ceiling: int) -> int:
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
    own = getattr(target, "nesting", None)
    inner = 0 if own is None else max([own, target.bounds().depth])
    return min(ceiling, below + (inner + 1 if node.enters == "always" and not seen else inner))


def _usd(graph: Graph[Any, Any]) -> float | None:
    """Nothing, where all models are local or none is asked; else unknown, as long as no prices are known."""
    models = [model for _, model in graph.models_needed(graph.model)]
    return 0.0 if all(isinstance(model, str) and model.startswith("local:") for model in models) else None


def _activations(proof: Proof) -> list[Count]:
    """For each node, how often at most."""
    counter = _Counter(proof)
    return [counter.whole(number) for number in range(counter.top.size)]


class _Counter:
    """Counts per lap, in topological order, then multiplies by the laps of the loops around."""

    def __init__(self, proof: Proof) -> None:
        assert proof.topology is not None
        self.proof = proof
        self.top = proof.topology
        self.lap: list[Count] = [Count(0)] * self.top.size
        self.entries: dict[int, Count] = {}
        self.lap[self.top.start] = Count(1)
        for number in sorted(range(self.top.size), key=self.top.order.__getitem__):
            if number != self.top.start:
                self.lap[number] = self._per_lap(number)

    def whole(self, number: int) -> Count:
        """Activations of a node in one walk."""
        count = self.lap[number]
        return Count(count.times * self._laps(self.top.loops_around(number)), count.lists)

    def _per_lap(self, number: int) -> Count:
        for loop in self.top.loops_around(number):
            if loop not in self.entries:
                self.entries[loop] = self._entering(loop)
        join = self.top.joins.get(number)
        if join is not None:
            return self._gathered(join)
        arriving = [w for w in self.proof.by_target[number] if w.lap_of is None]
        count = self._sum(arriving)
        lapped = {w.lap_of for w in self.proof.by_target[number] if w.lap_of is not None}
        # A token begins a lap in one place only, so what arrives by lap wires replaces what arrives otherwise.
        return max([count, *(self.entries[loop] for loop in lapped)], key=lambda c: (len(c.lists), c.times))

    def _gathered(self, join: Join) -> Count:
        """Once per message of the fork; a fork in a loop may send its way out in each lap."""
        count = self.lap[join.fork]
        left = [loop for loop in self.top.loops_around(join.fork) if join.node not in self.top.loops[loop].members]
        staying = [w for w in self.proof.by_source[join.fork] if w not in join.branches]
        if left and not all(self.proof.exclusive(a, b) for a in join.branches for b in staying):
            return Count(count.times * self._laps(left), count.lists)
        return count

    def _entering(self, loop: int) -> Count:
        members = self.top.loops[loop].members
        return self._sum([w for n in members for w in self.proof.by_target[n] if w.source not in members])

    def _sum(self, wires: list[Declared]) -> Count:
        by_source: dict[int, list[Declared]] = {}
        for wire in wires:
            by_source.setdefault(wire.source, []).append(wire)
        total = Count(0)
        for group in by_source.values():
            exclusive = all(self.proof.exclusive(a, b) for i, a in enumerate(group) for b in group[i + 1 :])
            counts = [self._sent(wire) for wire in group]
            total = _plus(total, max(counts, key=lambda c: (len(c.lists), c.times)) if exclusive else _plus(*counts))
        return total

    def _sent(self, wire: Declared) -> Count:
        """Messages on a wire: those of one lap, unless it leaves a loop and may be taken in each lap."""
        count = self.lap[wire.source]
        left = [loop for loop in self.top.loops_around(wire.source) if wire.target not in self.top.loops[loop].members]
        others = [w for w in self.proof.by_source[wire.source] if w is not wire]
        if left and not all(self.proof.exclusive(wire, other) for other in others):
            count = Count(count.times * self._laps(left), count.lists)
        if wire.each:
            count = Count(count.times, (*count.lists, self.proof._name(wire.source)))
        return count

    def _laps(self, loops: list[int]) -> int:
        default = self.proof.limits.laps or DEFAULT_LAPS
        factor = 1
        for loop in loops:
            factor *= 1 + sum(w.limit if w.limit is not None else default for w in self.top.loops[loop].laps)
        return factor


def _plus(*counts: Count) -> Count:
    """Together; where lists differ, the longer product stands for both."""
    return Count(sum(c.times for c in counts), max((c.lists for c in counts), key=len))
