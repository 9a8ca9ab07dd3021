"""What is known of a graph before it runs: the report of `check()`, the worst case of `bounds()`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphflow.limits import DEFAULT_DEPTH, DEFAULT_LAPS
from graphflow.messages import type_name

if TYPE_CHECKING:
    from graphflow.graph import Graph
    from graphflow.proofs import Proof


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of the proofs.

    Attributes:
        graph: its name.
        errors: what is wrong; empty for every graph that could be built.
        warnings: what is allowed, and probably not meant.
        facts: what was proven, in words.
    """

    graph: str
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.errors

    def __str__(self) -> str:
        lines = [f"graph {self.graph!r}: {'sound' if self.ok else 'unsound'}"]
        for mark, texts in (("error", self.errors), ("warning", self.warnings), ("fact", self.facts)):
            lines += [f"  {mark}: {text}" for text in texts]
        return "\n".join(lines)


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


def report(graph: Graph[Any, Any]) -> Report:
    """What `check()` returns."""
    proof = graph._proof
    facts = [
        f"takes {type_name(graph.input)}, answers {type_name(graph.output)}",
        f"{len(proof.nodes)} nodes and {len(proof.edges)} edges, all reachable, all leading to END",
        *proof.facts,
        *_join_facts(proof),
    ]
    if graph.program.straight:
        facts.append("straight: one token at a time, walked by plain awaits")
    if proof.nesting:
        facts.append(f"graphs nested {proof.nesting} deep")
    return Report(graph.name, (), tuple([*proof.warnings, *_warnings(graph)]), tuple(facts))


def _join_facts(proof: Proof) -> list[str]:
    top = proof.topology
    assert top is not None
    return [
        f"join {proof.nodes[join.node].name}: {'collects' if join.collect else 'one message a port'} "
        f"of the fork at {proof._name(join.fork)}"
        for join in sorted(top.joins.values(), key=lambda j: top.order[j.node])
    ]


def _warnings(graph: Graph[Any, Any]) -> list[str]:
    warnings = []
    for name, model in graph.models_needed(graph.model):
        if model is None:
            warnings.append(
                f"{name!r} names no model and the graph gives no default; pass one: run(..., model='provider:model')"
            )
    for node in graph.nodes:
        if type_name(node.output) == "Any":
            warnings.append(f"{node.name!r} returns Any, so its arrows are only checked when messages arrive")
    return warnings


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
    return Bounds(activations, steps, depth, calls, None)


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


def _activations(proof: Proof) -> list[Count]:
    """For each node: messages of its wires together, times laps of its loops; once per message of the fork for a join."""
    top = proof.topology
    assert top is not None
    counts = [Count(0)] * top.size
    counts[top.start] = Count(1)
    for number in sorted(range(top.size), key=top.order.__getitem__):
        if number == top.start:
            continue
        join = top.joins.get(number)
        if join is not None:
            counts[number] = counts[join.fork]
            continue
        counts[number] = _scaled(proof, number, _arriving(proof, number, counts))
    return counts


def _arriving(proof: Proof, number: int, counts: list[Count]) -> Count:
    top = proof.topology
    assert top is not None
    wires = [w for w in top.into[number] if w.lap_of is None]
    best: dict[int, list[Count]] = {}
    for wire in wires:
        count = counts[wire.source]
        if wire.each:
            count = Count(count.times, (*count.lists, proof._name(wire.source)))
        best.setdefault(wire.source, []).append(count)
    together = [max(group, key=lambda c: (len(c.lists), c.times)) for group in best.values()]
    lists = max((c.lists for c in together), key=len, default=())
    return Count(sum(c.times for c in together), lists)


def _scaled(proof: Proof, number: int, count: Count) -> Count:
    """Laps multiply once, where a loop is entered from a node outside of it."""
    top = proof.topology
    assert top is not None
    times = max(count.times, 1) if top.loop_of[number] is not None else count.times
    lists = count.lists
    loop = top.loop_of[number]
    if loop is None:
        return Count(times, lists)
    entered = [w for w in top.into[number] if w.lap_of is None and w.source not in top.loops[loop].members]
    lapped = [w for w in top.into[number] if w.lap_of == loop]
    if not entered and not lapped:
        return Count(times, lists)
    laps = sum(w.limit if w.limit is not None else (proof.limits.laps or DEFAULT_LAPS) for w in top.loops[loop].laps)
    if entered:
        return Count(times * (laps + 1), lists)
    return Count(laps, lists)
