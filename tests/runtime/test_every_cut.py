"""Every beginning of a record goes on to the same end: random graphs, cut off after each of their rows."""

from __future__ import annotations

import asyncio
import random

import pytest

from graphflow.errors import Unstorable
from graphflow.testing import check_crash_safety
from tests.agent_shapes import agent_graph, answer
from tests.blocks import Jitter
from tests.conftest import Msg
from tests.shapes import graph_of


@pytest.mark.parametrize("first", range(0, 360, 60))
def test_graphs_without_a_plan_go_on_from_every_row(first: int) -> None:
    tried = 0
    for seed in range(first, first + 60):
        graph = graph_of(seed)
        if graph is None:
            continue
        sync = ("each", "effects")[seed % 2]
        Jitter.random = random.Random(seed)
        try:
            report = asyncio.run(
                check_crash_safety(graph, Msg(n=seed % 7), sync=sync, seeds=range(4))
            )
        except Unstorable:
            # A `Failure` that leaves the graph holds what its node was given, of which nobody knows the type.
            continue
        tried += report.cuts
    assert tried


@pytest.mark.parametrize("seed", range(16))
def test_graphs_of_agents_go_on_from_every_row(seed: int) -> None:
    sync = ("each", "effects")[seed % 2]
    graph = agent_graph(seed)
    report = asyncio.run(
        check_crash_safety(
            graph, Msg(n=seed % 7), answers=answer, sync=sync, seeds=(seed,), most=25
        )
    )
    assert report.cuts
