"""What is said of graphs that are wrong in ways that are easy to write and hard to see."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, Limits, SubAgent, node
from graphflow.errors import DepsInvalid, GraphError, InputInvalid, OutputInvalid
from graphflow.testing import Scripted, ScriptedModel


@node
async def extract(text: str) -> list[str]:
    return text.split()


@node
async def clean(text: str) -> str:
    return text


@node
async def left(text: str) -> str:
    return text


@node
async def right(text: str) -> str:
    return text


@node
async def third(text: str) -> str:
    return text


@node
async def gather(parts: list[str]) -> str:
    return " ".join(parts)


@node
async def pair(x: str, y: str) -> str:
    return x + y


@node
async def either(x: str, y: str | None = None) -> str:
    return x


def problems(*paths: Any) -> list[str]:
    with pytest.raises(GraphError) as caught:
        Graph("desk", *paths)
    return list(caught.value.problems)


# -- messages that come twice ----------------------------------------------------------------------
def test_a_collect_within_a_map_is_told_where_it_stands_and_how_to_go_on() -> None:
    (said,) = problems(
        START >> extract, extract.each >> clean >> (left, right), (left, right) >> gather >> END
    )
    assert "'gather' collects the fork at 'clean', so it runs once per item of extract.each" in said
    assert "gather >> a node with list[str] >> END" in said
    assert "to pair what comes of one item, give it a port for each" in said
    mended = Graph(
        "desk",
        START >> extract,
        extract.each >> clean >> (left, right),
        (left, right) >> gather >> gather.named("gather_all") >> END,
    )
    assert mended.run_sync("a b").output == "a a b b"


def test_a_pair_within_a_map_is_told_the_same() -> None:
    (said,) = problems(
        START >> extract,
        extract.each >> clean >> (left, right),
        left >> pair.into("x"),
        right >> pair.into("y"),
        pair >> END,
    )
    assert (
        "'pair' pairs what comes of the fork at 'clean', so it runs once per item of extract.each"
        in said
    )
    assert "pair >> a node with list[str] >> END" in said


def test_a_node_that_two_messages_reach_is_named_with_both_writers() -> None:
    (said,) = problems(
        START >> (left, right), left >> either.into("x"), right >> either.into("x"), either >> END
    )
    assert (
        "'either' runs once for each of left >> either.into('x') and right >> either.into('x')"
        in said
    )


# -- ports -----------------------------------------------------------------------------------------
def test_a_port_that_is_written_twice_beside_one_that_is_empty_names_both_writers() -> None:
    (said,) = problems(
        START >> (left, right), left >> pair.into("x"), right >> pair.into("x"), pair >> END
    )
    assert "port 'y' (str) of 'pair' has no edge, and 'x' has several" in said
    assert (
        "left >> pair.into('x') and right >> pair.into('x'); lead one of them to pair.into('y')"
        in said
    )


def test_a_port_that_is_written_twice_beside_one_that_is_fed_names_both_writers() -> None:
    (said,) = problems(
        START >> (left, right, third),
        left >> pair.into("x"),
        right >> pair.into("x"),
        third >> pair.into("y"),
        pair >> END,
    )
    assert "(by left >> pair.into('x') and right >> pair.into('x'))" in said


def test_equal_ports_are_all_offered() -> None:
    for said in problems(START >> (left, right), (left, right) >> pair >> END):
        assert ">> pair.into('x') or >> pair.into('y')" in said


# -- depth -----------------------------------------------------------------------------------------
def team() -> Agent[Any, str]:
    writer = Agent("writer", description="Writes.")
    editor = Agent("editor", description="Edits.", sub_agents=[writer])
    return Agent("chief", sub_agents=[editor])


def warned(graph: Graph[Any, Any]) -> list[str]:
    return [text for text in graph.check().warnings if "out of reach" in text]


@pytest.mark.parametrize(
    ("depth", "said"),
    [
        (
            0,
            "agent 'editor' is out of reach: desk > editor would be level 1, and the depth limit is 0",
        ),
        (
            1,
            "agent 'writer' is out of reach: desk > editor > writer would be level 2, and the depth limit is 1",
        ),
        (2, ""),
        (None, ""),
    ],
)
def test_a_limit_below_a_team_names_the_first_agent_out_of_reach(
    depth: int | None, said: str
) -> None:
    limits = None if depth is None else Limits(depth=depth)
    found = warned(Graph("desk", START >> team() >> END, model="local:smollm2", limits=limits))
    assert [text[: len(said)] for text in found] == ([said] if said else [])


def test_limits_of_inner_graphs_and_call_edges_count_for_what_is_out_of_reach() -> None:
    inner = Graph("inner", START >> team() >> END, model="local:smollm2")
    assert (
        "desk > inner > editor > writer would be level 3"
        in warned(Graph("desk", START >> inner >> END, limits=Limits(depth=2)))[0]
    )
    boss = Agent(
        "boss", model="local:smollm2", sub_agents=[SubAgent(inner, limits=Limits(depth=1))]
    )
    assert "desk > inner > editor > writer" in warned(Graph("desk", START >> boss >> END))[0]
    tight = Graph("tight", START >> team() >> END, model="local:smollm2", limits=Limits(depth=0))
    assert "tight > editor would be level 2" in warned(Graph("desk", START >> tight >> END))[0]


def test_what_is_out_of_reach_is_never_asked_and_what_is_not_may_be() -> None:
    model = ScriptedModel(Scripted(calls=[("editor", '{"input": "x"}')]), "edited", "done")
    graph = Graph("desk", START >> team() >> END, model=model, limits=Limits(depth=1))
    run = graph.run_sync("x")
    assert [spec.name for spec in model.requests[0].tools] == ["editor"]
    # The writer is not offered, as the warning says.
    assert [spec.name for spec in model.requests[1].tools] == []
    assert run.output == "done"
    assert "'writer'" in warned(graph)[0]


def test_a_circle_of_calls_is_no_team_out_of_reach() -> None:
    one, two = (
        Agent("one", tools=["two"], model="local:smollm2"),
        Agent("two", tools=["one"], model="local:smollm2"),
    )
    assert warned(Graph("desk", START >> one >> two >> END, limits=Limits(depth=1))) == []


# -- two classes of one name -----------------------------------------------------------------------
CELL = """
from pydantic import BaseModel
from graphflow import node

class Question(BaseModel, frozen=True):
    text: str
"""
NODES = """
@node
async def make(text: str) -> Question:
    return Question(text=text)

@node
async def take(question: Question) -> str:
    return question.text
"""


@pytest.fixture
def notebook() -> Any:
    """A module whose cells can be run again, as a notebook's."""
    module = ModuleType("cells")
    sys.modules["cells"] = module
    # As a notebook does.
    yield lambda *cells: [exec(cell, module.__dict__) for cell in cells] and module
    del sys.modules["cells"]


AGAIN = "these are different classes of one name: run again what was declared with the earlier one"


def test_an_edge_between_classes_of_one_name_tells_them_apart(notebook: Any) -> None:
    make = notebook(CELL, NODES).make
    take = notebook(CELL, NODES).take
    (said,) = problems(START >> make >> take >> END)
    assert (
        "'make' sends Question (declared earlier), 'take' accepts question: Question (declared last)"
        in said
    )
    assert AGAIN in said


def test_an_arm_of_an_earlier_class_is_told_apart(notebook: Any) -> None:
    earlier = notebook(CELL, NODES).Question
    cells = notebook(CELL, NODES)
    said = problems(START >> cells.make, cells.make[earlier] >> cells.take >> END)[0]
    assert (
        "it has no arm Question (declared earlier); its arms are Question (declared last)" in said
    )


def test_a_message_of_an_earlier_class_is_told_apart(notebook: Any) -> None:
    old = notebook(CELL, NODES).Question(text="x")
    graph = Graph("desk", START >> notebook(CELL, NODES).take >> END)
    with pytest.raises(InputInvalid) as caught:
        graph.run_sync(old)
    assert "takes Question (declared last), and was given Question (declared earlier)" in str(
        caught.value
    )
    assert AGAIN in str(caught.value)


def test_an_answer_and_deps_of_an_earlier_class_are_told_apart(notebook: Any) -> None:
    old = notebook(CELL, NODES).Question(text="x")
    kind = notebook(CELL, NODES).Question

    async def answers(text: str):  # type: ignore[no-untyped-def]
        return old

    answers.__annotations__ = {"text": str, "return": kind}
    with pytest.raises(OutputInvalid) as wrong:
        Graph("desk", START >> node(answers) >> END).run_sync("x")
    assert (
        "says it returns Question (declared last) and returned Question (declared earlier)"
        in str(wrong.value)
    )
    with pytest.raises(DepsInvalid) as lacking:
        Graph("desk", START >> left >> END, deps=kind).run_sync("x", deps=old)
    assert (
        "declares deps=Question (declared last), and Question (declared earlier) was given"
        in str(lacking.value)
    )


def test_classes_of_two_modules_are_told_apart_by_their_modules(tmp_path: Path) -> None:
    for name in ("shop", "bank"):
        module = ModuleType(name)
        module.__dict__["__name__"] = name
        exec(CELL + NODES, module.__dict__)  # two modules without files
        sys.modules[name] = module
    try:
        make, take = sys.modules["shop"].make, sys.modules["bank"].take
        (said,) = problems(START >> make >> take >> END)
    finally:
        del sys.modules["shop"], sys.modules["bank"]
    assert "'make' sends shop.Question, 'take' accepts question: bank.Question" in said
    assert "import the same one in both places" in said


def test_types_of_different_names_are_written_as_ever() -> None:
    @node
    async def count(text: str) -> int:
        return len(text)

    (said,) = problems(START >> count >> left >> END)
    assert "'count' sends int, 'left' accepts text: str; add a node that converts" in said
