"""What stands in the picture of each ready graph, as it was looked at once: nodes, edges, areas; not where."""

from __future__ import annotations

import os
from typing import Any

import pytest

from graphflow import Graph
from graphflow.project import find_all, load
from tests.render.seen import GOLDEN, read

READY = [found.name for found in find_all()]


@pytest.mark.parametrize("name", READY)
def test_a_ready_graph_has_its_nodes_edges_and_areas(name: str) -> None:
    told = "\n".join(read(load(name).to_svg(open=1)).lines()) + "\n"
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("GRAPHFLOW_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(told)
    assert told == golden.read_text(), (
        "look at the picture; if it is right: GRAPHFLOW_GOLDEN=write pytest tests/render"
    )


def declared(graph: Graph[Any, Any]) -> set[tuple[str, str, str]]:
    return {(str(d.index), d.edge.origin.node.name, d.edge.target.name) for d in graph.edges}


@pytest.mark.parametrize("name", READY)
@pytest.mark.parametrize("open", [0, 1, "all"])
def test_every_edge_of_the_graph_is_there_by_its_number(name: str, open: Any) -> None:
    graph = load(name)
    seen = read(graph.to_svg(open=open, legend=True))
    own = {
        (number, source, target)
        for path, number, source, target in seen.edges
        if path == graph.name
    }
    assert {edge for edge in own if edge[0].isdecimal()} == declared(graph)


@pytest.mark.parametrize("name", READY)
@pytest.mark.parametrize(
    "options", [{}, {"open": "all", "legend": True}, {"direction": "LR", "theme": "dark"}]
)
def test_the_same_graph_gives_the_same_picture(
    name: str, options: dict[str, Any], tmp_path: Any
) -> None:
    graph = load(name)
    for ending in ("svg", "dot", "mmd", "txt"):
        first, second = (tmp_path / f"{number}.{ending}" for number in (1, 2))
        graph.draw(str(first), **options)
        graph.draw(str(second), **options)
        assert first.read_bytes() == second.read_bytes()


def test_two_pictures_on_a_page_share_no_id() -> None:
    graph = load("desk")
    one, other = (read(graph.to_svg()) for _ in range(2))
    assert not set(one.ids) & set(other.ids)
    assert one.lines() == other.lines()
    assert all(id.startswith("mine") for id in read(graph.to_svg(prefix="mine")).ids)
