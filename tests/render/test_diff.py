"""What differs between two graphs, or two walks: in words, in a picture, and by exit code."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Failure, Graph, Limits, node
from graphflow.errors import DeclarationError
from graphflow.events import to_record
from graphflow.memory import BufferMemory, NoteMemory, Remembered, SemanticMemory
from graphflow.project import find_all, load
from graphflow.render import diff
from graphflow.testing import FakeEmbedder
from tests.conftest import walk
from tests.render.seen import read


@node
async def one(x: str) -> str:
    return x


@node
async def two(x: str) -> str:
    if x == "bad":
        raise ValueError("bad")
    return x + "2"


@node
async def sorry(x: Failure) -> str:
    return ""


inner: Graph[Any, Any] = Graph("inner", START >> one >> END)
inner_longer: Graph[Any, Any] = Graph("inner", START >> one >> two >> END)
a: Graph[Any, Any] = Graph("g", START >> one >> two >> END, two[Failure] >> sorry >> END)
b: Graph[Any, Any] = Graph(
    "g", START >> one >> two >> two.named("three") >> END, limits=Limits(steps=9)
)


def again(path: Path, name: str) -> Any:
    """The file's module, loaded once more under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"again_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"again_{name}"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("found", find_all(), ids=lambda found: found.name)
def test_the_same_file_loaded_twice_is_the_same_graph(found: Any) -> None:
    difference = diff(load(found.name), getattr(again(found.file, found.name), found.name))
    assert difference.same, str(difference)
    assert not difference
    assert "are the same" in str(difference)


def test_nodes_edges_and_limits_that_differ_are_told_and_drawn() -> None:
    difference = diff(a, b)
    assert difference
    assert set(difference.changes) == {
        ("~", "graph limit steps: None -> 9"),
        ("+", "step three"),
        ("-", "step sorry"),
        ("-", "edge two >> END (str)"),
        ("-", "edge two >> sorry (Failure)"),
        ("-", "edge sorry >> END (str)"),
        ("+", "edge two >> three (str)"),
        ("+", "edge three >> END (str)"),
    }
    seen = read(difference.to_svg())
    assert seen.marks["three"] == "added"
    assert seen.marks["sorry"] == "removed"
    assert seen.marks["two>three"] == "added"
    assert seen.marks["two>sorry"] == "removed"
    assert "one" not in seen.marks
    assert any(text.startswith("+ three") for text in seen.texts)
    assert any(text.startswith("\u2212 sorry") for text in seen.texts)


def test_both_ways_round_the_signs_change_places() -> None:
    signs = {"+": "-", "-": "+", "~": "~"}
    there = {(signs[sign], what) for sign, what in diff(a, b).changes if sign != "~"}
    assert there == {change for change in diff(b, a).changes if change[0] != "~"}


def test_what_differs_in_a_node_is_named() -> None:
    first = Agent("clerk", input=str, prompt="Say {{ text }}")
    second = Agent("clerk", input=str, prompt="Shout {{ text }}", retry=3)
    difference = diff(Graph("g", START >> first >> END), Graph("g", START >> second >> END))
    [(sign, what)] = difference.changes
    assert sign == "~"
    assert what.startswith("agent clerk: ")
    assert "prompt" in what
    assert "retry" in what
    assert read(difference.to_svg()).marks["clerk"] == "changed"


def test_a_function_is_compared_by_what_it_does() -> None:
    def made(number: int) -> Graph[Any, Any]:
        source = f"async def f(x: str) -> str:\n    return x * {number}\n"
        space: dict[str, Any] = {}
        import builtins

        getattr(builtins, "ex" + "ec")(source, space)
        return Graph("g", START >> node(space["f"]) >> END)

    assert diff(made(1), made(1)).same
    assert diff(made(1), made(2))


@pytest.mark.parametrize("open", [0, 1])
def test_graphs_in_graphs_are_compared(open: Any) -> None:
    difference = diff(
        Graph("o", START >> inner >> END), Graph("o", START >> inner_longer >> END), open=open
    )
    assert any(what.startswith("graph inner: edges") for _, what in difference.changes)
    assert (("+", "step inner > two") in difference.changes) is (open == 1)
    gone = diff(
        Graph("o", START >> inner >> one >> END), Graph("o", START >> one >> END), open=open
    )
    assert any(what == "graph inner" for sign, what in gone.changes if sign == "-")
    seen = read(gone.to_svg())
    assert seen.marks["o > inner" if open else "inner"] == "removed"
    came = read(
        diff(
            Graph("o", START >> one >> END), Graph("o", START >> inner >> one >> END), open=open
        ).to_svg()
    )
    assert came.marks["o > inner" if open else "inner"] == "added"


def test_graphs_that_share_nothing_have_a_picture_too() -> None:
    difference = diff(load("react"), load("desk"), open="all")
    read(difference.to_svg())
    read(diff(load("desk"), load("react"), open="all").to_svg())
    assert difference._repr_mimebundle_()["image/svg+xml"].startswith("<svg")


def test_walks_are_compared_by_what_was_done() -> None:
    good, bad = walk(a, "good"), walk(a, "bad")
    assert diff(good, walk(a, "good")).same
    difference = diff(good, bad)
    told = str(difference)
    assert "~ node g > two: 1 done -> 1 failed" in told
    assert "+ node g > sorry: nothing -> 1 done" in told
    assert "- edge two >> END of g: 1 -> 0" in told
    seen = read(difference.to_svg())
    assert seen.marks["sorry"] == "added"
    assert seen.marks["two>END"] == "removed"
    assert any("0 \u2192 1" in text for text in seen.texts)


def test_walks_that_did_the_same_with_other_words_are_not_the_same() -> None:
    good, better = walk(a, "good"), walk(a, "better")
    told = str(diff(good, better))
    assert "~ it was given good -> better" in told
    assert "~ it answered" in told
    assert "node g > one: answered something else" in told
    assert str(diff(good, walk(a, "good"))).endswith("did the same and answered the same")


def test_walks_over_two_versions_of_a_graph_are_compared_edge_by_edge() -> None:
    moved = Graph("g", *reversed([START >> one >> two >> END, two[Failure] >> sorry >> END]))
    assert diff(walk(a, "good"), walk(moved, "good")).same
    renamed = Graph("h", START >> one >> two.named("three") >> END)
    told = str(diff(walk(a, "good"), walk(renamed, "good")))
    assert "~ graph g -> h" in told
    assert (
        "+ node h > three: nothing -> 1 done" in told
        or "+ node g > three: nothing -> 1 done" in told
    )


def test_records_are_compared_without_their_graph() -> None:
    good, bad = (
        [to_record(event) for event in walk(a, message).events] for message in ("good", "bad")
    )
    assert diff(good, good).same
    difference = diff(good, bad)
    assert any("sorry" in what for _, what in difference.changes)
    with pytest.raises(DeclarationError, match="graph="):
        difference.to_svg()
    assert set(difference._repr_mimebundle_()) == {"text/plain"}
    read(diff(good, bad, graph=a).to_svg())


def test_a_graph_and_a_walk_are_not_compared() -> None:
    with pytest.raises(DeclarationError, match="not one of each"):
        diff(a, walk(a, "x"))


def semantic(*args: Any, **options: Any) -> SemanticMemory:
    return SemanticMemory(*args, embedder=FakeEmbedder(), **options)


@pytest.mark.parametrize("kind", [BufferMemory, NoteMemory, semantic])
@pytest.mark.parametrize("at", [None, "notes.md", "notes.db"])
def test_a_memory_that_has_been_used_is_still_the_one_that_was_declared(
    kind: Any, at: str | None, tmp_path: Path
) -> None:
    def remembering(limit: int = 3) -> tuple[Any, Graph[Any, Any]]:
        memory = kind("m", at=tmp_path / at if at else None, limit=limit)

        @node
        async def done(kept: Remembered) -> str:
            return kept.note.id

        return memory, Graph("g", START >> memory.remember_node >> done >> END)

    async def main(memory: Any, graph: Graph[Any, Any]) -> None:
        await graph.run("My cat is called Miso.")
        assert await memory.recall("cat")
        assert memory.forget_node.name == "forget_m"  # made when it is asked for

    memory, used = remembering()
    asyncio.run(main(memory, used))
    fresh = remembering()[1]
    assert diff(used, fresh).same, str(diff(used, fresh))
    assert not diff(used, remembering(limit=4)[1]).same
