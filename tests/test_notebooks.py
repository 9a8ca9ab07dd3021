"""The notebooks run, cell by cell, under a running event loop; a graph shows itself there."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import types
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Graph, node
from tests.conftest import Msg

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs(path: Path) -> None:
    cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    assert cells
    assert not any(c["outputs"] for c in cells), "notebooks are kept without outputs"
    module = types.ModuleType("notebook")
    import sys

    sys.modules["notebook"] = module

    async def main() -> None:
        for cell in cells:
            code = compile("".join(cell["source"]), path.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            outcome = eval(code, module.__dict__)
            if inspect.isawaitable(outcome):
                await outcome

    asyncio.run(main())


@node
async def same(m: Msg) -> Msg:
    return m


graph: Graph[Any, Any] = Graph("g", START >> same >> END)


def test_a_graph_shows_itself_as_a_picture() -> None:
    bundle = graph._repr_mimebundle_()
    assert bundle["image/svg+xml"].count("<svg") == 1
    assert "text/vnd.mermaid" not in bundle
    assert bundle["text/plain"] == "<graph g(Msg) -> Msg: 1 nodes, 2 edges>"


def test_without_a_program_that_draws_it_shows_itself_as_mermaid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHFLOW_DOT", "/nothing/here")
    bundle = graph._repr_mimebundle_()
    assert bundle["text/vnd.mermaid"].startswith("flowchart TD")
    assert "image/svg+xml" not in bundle


def test_run_sync_works_under_a_running_loop() -> None:
    async def main() -> Msg:
        return graph.run_sync(Msg(n=5)).output

    assert asyncio.run(main()) == Msg(n=5)


def test_runs_of_one_graph_may_overlap() -> None:
    async def main() -> list[int]:
        runs = await asyncio.gather(*(graph.run(Msg(n=n)) for n in range(100)))
        return [run.output.n for run in runs]

    assert asyncio.run(main()) == list(range(100))


@pytest.mark.parametrize(
    "name",
    ['<script>alert("x")</script>', 'quo"te\\', "new\nline", "émoji 🐙", "שלום", "x" * 10_000, "[]{}()|", "%%{init}%%"],
)
def test_hostile_names_render_harmlessly(name: str) -> None:
    hostile = Graph("g", START >> same.named(name) >> END)
    svg = hostile._repr_mimebundle_()["image/svg+xml"]
    assert "<script" not in svg
    assert "<script" not in hostile.to_mermaid()
    assert hostile.to_mermaid().count("\n") == 6
