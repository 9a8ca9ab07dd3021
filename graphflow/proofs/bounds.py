"""The worst case of one walk, known before it runs: the answer of `bounds()`.

Rules:
1. Never too low: `tests/proofs/test_bounds.py` holds it against what random graphs really do.
2. Lengths of lists are only known at run time, so a count is a number times such lengths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from graphflow.declaration.node import AnyNode
from graphflow.limits import DEFAULT_DEPTH
from graphflow.model.prices import price_of
from graphflow.proofs.activations import count_activations
from graphflow.proofs.counts import Count
from graphflow.proofs.proven import AnyGraph, ProvenGraph, solo

Counts: TypeAlias = Mapping[str, Count]
"""How often at most, by the names of nodes."""
CallChain: TypeAlias = tuple[str, ...]
"""The names of the nodes that call each other, from the first to the one that is looked at."""


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

    activations: Counts
    steps: int | None
    depth: int
    model_calls: Counts
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
        last = f"steps {steps}; depth {self.depth}; cost {cost}"
        lines.append(last)
        return "\n".join(lines)


def _table(counts: Counts) -> list[str]:
    """A line for each name, the counts in a column."""
    widths = map(len, counts)
    width = max(widths, default=0)
    lines: list[str] = []
    for name, count in counts.items():
        column = name.ljust(width)
        lines.append(f"  {column}  {count}")
    return lines


def bound(graph: AnyGraph) -> Bounds:
    """What `bounds()` returns."""
    activations = _activations(graph)
    limit = graph.proof.limits.depth
    ceiling = DEFAULT_DEPTH if limit is None else limit
    depth = 0
    calls: dict[str, Count] = {}
    for node in graph.nodes:
        below = _depth_of(node, graph, (), ceiling)
        depth = max(depth, below)
        times = activations[node.name]
        asked = _model_calls(node, graph, ())
        for name, count in asked.items():
            calls[name] = times * count
    steps = _steps(graph, activations.values())
    usd = _usd(graph, calls)
    return Bounds(activations, steps, depth, calls, usd)


def _activations(graph: AnyGraph) -> Counts:
    """How often each node is activated at most, in the order in which messages reach them."""
    counts = count_activations(graph.proof)
    rank = graph.proof.topology.order.__getitem__
    numbers = range(len(graph.nodes))
    activations: dict[str, Count] = {}
    for number in sorted(numbers, key=rank):
        node = graph.nodes[number]
        activations[node.name] = counts[number]
    return activations


def _steps(graph: AnyGraph, activations: Iterable[Count]) -> int | None:
    """Steps at most: the limit, or the sum of all activations where it is known and lower."""
    limit = graph.proof.limits.steps
    entering = any(node.enters != "never" for node in graph.nodes)
    # Then there are steps in other frames, or by a model's own choice.
    if entering or graph.program.callees:
        return limit
    total = 0
    for count in activations:
        if not count.finite:
            return limit
        total += count.times
    if limit is None:
        return total
    return min(limit, total)


def _calls_of_guards(node: AnyNode) -> int:
    """Requests to models by the guards around a node."""
    return sum(guard.max_model_calls for guard in (*node.before, *node.after))


def _model_calls(node: AnyNode, graph: AnyGraph, seen: CallChain) -> dict[str, Count]:
    """Requests to models for one activation of a node: its own, those of graphs behind it, and of what it may call."""
    target, _ = node.entry()
    caller = target.name
    calls: dict[str, Count] = {}
    questions = target.max_model_calls + _calls_of_guards(target)
    if target is not node:
        questions += _calls_of_guards(node)
    if questions:
        calls[caller] = Count(questions)
    behind = _graph_behind(node)
    if behind is not None:
        inner = bound(behind)
        for name, count in inner.model_calls.items():
            way = f"{node.name} > {name}"
            calls[way] = count
    # How often a model calls something is its own choice, so that stands as a length of its own.
    times = Count(1, (f"calls of {caller}",))
    callees = graph.program.callees.get(caller, ())
    for callee in callees:
        if callee.name in seen:
            continue
        path = (*seen, caller, callee.name)
        asked = _model_calls(callee, graph, path)
        for name, count in asked.items():
            if " > " not in name:
                name = f"{caller} > {name}"
            calls[name] = times * count
    return calls


def _graph_behind(node: AnyNode) -> AnyGraph | None:
    """The graph that an activation of a node walks, if it walks one; a sub-agent of a sub-agent is one of a single node."""
    target, _ = node.entry()
    if isinstance(target, ProvenGraph):
        return target
    is_wrapped = target is not node
    if is_wrapped and target.enters == "always":
        return solo(target)
    return None


def _depth_of(node: AnyNode, graph: AnyGraph, seen: CallChain, ceiling: int) -> int:
    """Nested frames below an activation of this node; call cycles go to the limit."""
    if len(seen) > ceiling:
        return ceiling
    target, _ = node.entry()
    called = 0
    callees = graph.program.callees.get(target.name, ())
    for callee in callees:
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
        bounds = bound(behind)
        inner = max(behind.nesting, bounds.depth)
    if node.enters == "always" and not seen:
        inner += 1
    return min(ceiling, called + inner)


def _usd(graph: AnyGraph, calls: Counts) -> float | None:
    """Every call with a full prompt and a full answer; None where a count, a price or a length is unknown."""
    needed = graph.models_needed(graph.model)
    models = [model for _, model in needed]
    if all(map(_is_local, models)):
        return 0.0
    dearest = 0.0
    for model in models:
        cost = _dearest_call(model)
        if cost is None:
            return None
        dearest = max(dearest, cost)
    times = 0
    for count in calls.values():
        if not count.finite:
            return None
        times += count.times
    return dearest * times


def _dearest_call(model: object) -> float | None:
    """What one call costs at most; None if nobody knows."""
    if not isinstance(model, str):
        return None
    price = price_of(model)
    if price is None or price.context is None:
        return None
    # The context window bounds both what is read and what is written, at the highest rate that the price knows.
    return price.cost(price.context, price.context)


def _is_local(model: object) -> bool:
    """Whether a model runs on this machine, and costs nothing."""
    if not isinstance(model, str):
        return False
    return model.startswith("local:")
