"""What a picture costs beside the layout program itself, on the same DOT: at most twice its time in all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from graphflow import END, START, Graph, node
from graphflow.project import load
from graphflow.render.builder import picture
from graphflow.render.forms.dot import write_dot
from graphflow.render.forms.svg import dressed
from graphflow.render.layout.program import rendered
from tests.bench.beside import assert_costs, at_once


@node
async def same(x: str) -> str:
    return x


@node
async def joined(xs: list[str]) -> str:
    return ""


def large() -> Graph[Any, Any]:
    path: Any = START
    for number in range(15):
        path = (
            path
            >> [same.named(f"part_{number}_{i}") for i in range(19)]
            >> joined.named(f"join_{number}")
        )
    return Graph("large", path >> END)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        pytest.param(lambda: load("react"), {}, id="react"),
        pytest.param(lambda: load("supervisor"), {}, id="supervisor"),
        pytest.param(lambda: load("map_reduce"), {}, id="map_reduce"),
        pytest.param(lambda: load("desk"), {}, id="desk"),
        pytest.param(lambda: load("desk"), {"open": "all", "legend": True}, id="desk-open"),
        pytest.param(large, {}, id="300-folded"),
        pytest.param(large, {"fold": False}, id="300"),
    ],
)
def test_a_picture_costs_at_most_twice_its_layout(
    make: Callable[[], Graph[Any, Any]], options: dict[str, Any]
) -> None:
    """Our own part is what this process has computed: what else the machine does is not held against it."""
    graph = make()
    drawn = picture(graph, **options)
    source = write_dot(drawn)
    laid = rendered(source, "svg").decode()

    def own() -> None:
        made = picture(graph, **options)
        dressed(laid, made, "auto", write_dot(made)[:4])

    most = (
        2 if drawn.size > len(graph.nodes) / 2 else 3
    )  # 300 nodes are read, and 32 shapes are laid out: 1.7 on a quiet machine
    assert_costs(
        at_once(own),
        at_once(lambda: rendered(source, "svg")),
        most - 1,
        time.process_time,
        time.perf_counter,
    )
