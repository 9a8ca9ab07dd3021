"""States in pictures: cylinders, with dotted arrows from those who write and to those who read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Context, Graph, State, node
from graphflow.merges import plus
from graphflow.render.builder import picture
from graphflow.render.picture import Picture
from graphflow.render.writing import walked

COUNT = State("count", int, start=0, merge=plus)
LAST = State("last", str)


def adder(name: str) -> Any:
    @node(name=name, adds=[COUNT], effects=[])
    async def add(text: str, ctx: Context) -> str:
        ctx.add(COUNT, 1)
        return text

    return add


@node(reads=[COUNT], effects=[])
async def total(parts: list[str], ctx: Context) -> str:
    return f"{len(parts)} {ctx.read(COUNT)}"


@node(effects=[])
async def never(text: str) -> str:
    return text


def office() -> Graph[str, Any]:
    inner = Graph("inner", START >> adder("i1") >> END, uses=[COUNT])
    first = adder("first")
    return Graph(
        "office",
        START >> first,
        first.when(lambda text: text == "skip") >> never >> END,
        first.otherwise >> (adder("a"), inner) >> total >> END,
        total >> LAST,
        state=[COUNT, LAST],
    )


def touches(drawn: Picture) -> set[tuple[str, str, str]]:
    return {(*line.names, *line.parts) for line in drawn.lines if line.style == "state"}


def test_who_reads_and_who_writes_is_drawn() -> None:
    drawn = picture(office())
    assert touches(drawn) == {
        ("first", "count", "adds"),
        ("a", "count", "adds"),
        ("i1", "count", "adds"),
        ("count", "total", "reads"),
        ("total", "last", "writes"),
    }
    kinds = {shape.name: shape.kind for shape in drawn.every_shape()}
    assert (kinds["count"], kinds["last"]) == ("state", "state")


def test_a_graph_that_is_drawn_closed_stands_for_its_nodes() -> None:
    assert ("inner", "count", "adds") in touches(picture(office(), open=0))


def test_a_walk_shows_what_was_touched() -> None:
    drawn = walked(office().run_sync("x"))
    marks = {line.names: line.mark for line in drawn.lines if line.style == "state"}
    assert set(marks.values()) == {"sent"}
    skipping = walked(office().run_sync("skip"))
    marks = {line.names: line.mark for line in skipping.lines if line.style == "state"}
    assert marks[("first", "count")] == "sent"
    assert marks[("count", "total")] == "idle"


@pytest.mark.parametrize("ending", [".svg", ".dot", ".mmd", ".txt"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_form_draws_states(ending: str, theme: Any, tmp_path: Path) -> None:
    path = office().draw(str(tmp_path / f"office{ending}"), theme=theme, legend=True)
    text = Path(path).read_text()
    assert "count" in text
    assert "adds" in text
