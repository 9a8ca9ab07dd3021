"""Verdicts against brute force: the full exploration, the reduced one and the linear proof say what all traces say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from graphflow.claims.explorer import Explorer
from tests.claims.brute_force import Model, TooMany, traces
from tests.claims.compare import SIZES, compare
from tests.claims.random_graphs import random_graph


def over_small_graphs(first: int, count: int, look: Callable[[int], None]) -> None:
    """Looks at so many graphs, from this seed on, that have few enough traces to look at them all."""
    seed = first
    while count:
        try:
            look(seed)
            count -= 1
        except TooMany:
            pass
        seed += 1


@pytest.mark.parametrize("first", range(0, 400, 50))
def test_full_and_reduced_explorations_and_linear_proofs_agree_with_every_trace(first: int) -> None:
    wrong: list[str] = []
    over_small_graphs(
        first, 3, lambda seed: wrong.extend(compare(seed, count=12, most=150, tally=Counter()))
    )
    assert wrong == []


@pytest.mark.parametrize("first", range(1000, 1200, 50))
def test_the_ways_to_end_are_those_of_all_traces(first: int) -> None:
    over_small_graphs(first, 3, check_endings)


def check_endings(seed: int) -> None:
    graph = random_graph(seed)
    model = Model(graph, SIZES, all_failures=True)
    endings = {status for _, status in traces(model, 300)}
    for reduced in (False, True):
        explorer = Explorer(
            graph,
            None,
            frames=None,
            sizes=SIZES,
            budget=100_000,
            all_failures=True,
            reduced=reduced,
        ).run()
        assert {ending.status for ending in explorer.endings} == endings, (seed, reduced)
