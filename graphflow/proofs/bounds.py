"""The worst case of one walk, known before it runs: the answer of `bounds()`.

Rules:
1. Never too low: `tests/proofs/test_bounds.py` holds it against what random graphs really do.
2. Lengths of lists are only known at run time, so a count is a number times such lengths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graphflow.declaration.node import AnyNode
from graphflow.limits import DEFAULT_DEPTH
from graphflow.model.prices import price_of
from graphflow.proofs.activations import count_activations
from graphflow.proofs.counts import Count
from graphflow.proofs.proven import AnyGraph, ProvenGraph, solo


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
        lines = ["at most", *_table(self.activations)]
        if self.model_calls:
            lines.append("model calls at most")
            lines += _table(self.model_calls)
        steps = "not bounded but by Limits(steps=...)"
        if self.steps is not None:
            steps = str(self.steps)
        cost = "unknown (no price known)"
        if self.usd is not None:
            cost = f"{self.usd:.4f} USD"
        lines.append(f"steps {steps}; depth {self.depth}; cost {cost}")
        return "\n".join(lines)


def _table(counts: Mapping[str, Count]) -> list[str]:
    """A line for each name, the counts in a column."""
    width = max(map(len, counts), default=0)
    lines: list[str] = []
    for name, count in counts.items():
        column = name.ljust(width)
        lines.append(f"  {column}  {count}")
    return lines


def bound(graph: AnyGraph) -> Bounds:
    """What `bounds()` returns."""
    counts = count_activations(graph.proof)
    order = graph.proof.topology.order
    numbers = range(len(graph.nodes))
    activations: dict[str, Count] = {}
    for number in sorted(numbers, key=order.__getitem__):
        name = graph.nodes[number].name
        activations[name] = counts[number]
    limit = graph.proof.limits.depth
    ceiling = DEFAULT_DEPTH if limit is None else limit
    depth = 0
    calls: dict[str, Count] = {}
    for node in graph.nodes:
        below = _depth_of(node, graph, (), ceiling)
        depth = max(depth, below)
        for name, count in _model_calls(node, graph, ()).items():
            calls[name] = activations[node.name] * count
    steps = _steps(graph, activations.values())
    return Bounds(activations, steps, depth, calls, _usd(graph, calls))


def _steps(graph: AnyGraph, activations: Iterable[Count]) -> int | None:
    """Steps at most: the limit, or the sum of all activations where it is known and lower."""
    limit = graph.proof.limits.steps
    entering = any(node.enters != "never" for node in graph.nodes)
    if entering or graph.program.callees:  # then there are steps in other frames, or by a model's own choice
        return limit
    total = 0
    for count in activations:
        if not count.finite:
            return limit
        total += count.times
    if limit is None:
        return total
    return min(limit, total)


def _model_calls(node: AnyNode, graph: AnyGraph, seen: tuple[str, ...]) -> dict[str, Count]:
    """Requests to models for one activation of a node: its own, those of graphs behind it, and of what it may call."""
    target, _ = node.entry()
    calls: dict[str, Count] = {}
    if target.max_model_calls:
        calls[target.name] = Count(target.max_model_calls)
    behind = _graph_behind(node)
    if behind is not None:
        for name, count in bound(behind).model_calls.items():
            way = f"{node.name} > {name}"
            calls[way] = count
    # How often a model calls something is its own choice, so that stands as a length of its own.
    times = Count(1, (f"calls of {target.name}",))
    for callee in graph.program.callees.get(target.name, ()):
        if callee.name in seen:
            continue
        path = (*seen, target.name, callee.name)
        for name, count in _model_calls(callee, graph, path).items():
            if " > " not in name:
                name = f"{target.name} > {name}"
            calls[name] = times * count
    return calls


def _graph_behind(node: AnyNode) -> AnyGraph | None:
    """The graph that an activation of a node walks, if it walks one; a sub-agent of a sub-agent is one of a single node."""
    target, _ = node.entry()
    if isinstance(target, ProvenGraph):
        return target
    is_wrapped = target is not node and target.enters == "always"
    return solo(target) if is_wrapped else None


def _depth_of(node: AnyNode, graph: AnyGraph, seen: tuple[str, ...], ceiling: int) -> int:
    """Nested frames below an activation of this node; call cycles go to the limit."""
    if len(seen) > ceiling:
        return ceiling
    target, _ = node.entry()
    called = 0
    for callee in graph.program.callees.get(target.name, ()):
        enters = callee.enters != "never"
        if callee.name not in seen:
            path = (*seen, callee.name)
            below = _depth_of(callee, graph, path, ceiling)
            called = max(called, below + enters)
        elif enters:
            called = ceiling
    inner = 0
    behind = _graph_behind(node)
    if behind is not None:
        inner = max(behind.nesting, bound(behind).depth)
    if node.enters == "always" and not seen:
        inner += 1
    return min(ceiling, called + inner)


def _usd(graph: AnyGraph, calls: Mapping[str, Count]) -> float | None:
    """Every call with a full prompt and a full answer; None where a count, a price or a length is unknown."""
    models = [model for _, model in graph.models_needed(graph.model)]
    if all(map(_is_local, models)):
        return 0.0
    # The context window bounds both what is read and what is written, at the highest rate that the price knows.
    dearest = 0.0
    for model in models:
        price = price_of(model) if isinstance(model, str) else None
        if price is None or price.context is None:
            return None
        cost = price.cost(price.context, price.context)
        dearest = max(dearest, cost)
    times = 0
    for count in calls.values():
        if not count.finite:
            return None
        times += count.times
    return dearest * times


def _is_local(model: object) -> bool:
    """Whether a model runs on this machine, and costs nothing."""
    return isinstance(model, str) and model.startswith("local:")
