"""Random graphs of agents with random claims about what a run of them does: claims that bite, and that no clock decides."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from graphflow import END, START, AtMost, Graph
from graphflow.declaration.claims import Claim
from graphflow.events import CallFailed, CallFinished, NodeFinished
from graphflow.run import Run
from tests.agent_shapes import Shapes
from tests.conftest import Msg
from tests.runtime.test_every_stop import settled


async def claimed_graph(seed: int, store: Any) -> Graph[Any, Any] | None:
    """The graph of agents of this number, with claims about what a run of it does too often; None if a clock would decide."""
    shapes = Shapes(seed)
    paths, tail = shapes.piece(START, 0)
    graph = Graph("agents", *paths, tail >> END, input=Msg)
    run = await settled(graph, store, seed)
    counts = _counts(run)
    # Which of two branches gets the last place is a matter of time, and so is what a call in the background meets.
    names = [*counts, *(node.name for node in graph.nodes)]
    if any(name.startswith(("split", "fork", "bg")) for name in names):
        return None
    # `deep` calls others, beside those of the same turn.
    if run.status != "completed" or "deep" in names:
        return None
    return Graph("agents", *paths, tail >> END, input=Msg, claims=_claims_about(counts, seed))


def _counts(run: Run[Any]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for event in run.events:
        if isinstance(event, CallFinished | CallFailed | NodeFinished):
            counts[event.node] += 1
    return counts


def _claims_about(counts: Counter[str], seed: int) -> list[Claim]:
    rolls = random.Random(seed)
    names = sorted(counts)
    claims: list[Claim] = []
    for name in rolls.sample(names, min(4, len(names))):
        # Less often than without it, where that is more than once.
        times = rolls.randint(1, max(1, counts[name] - 1))
        claims.append(AtMost(name, times))
    return claims
