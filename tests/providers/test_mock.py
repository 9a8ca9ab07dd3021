"""`mock:echo` and `replay:PATH`: models that a graph can be tried with where there is no network, no key and no weights."""

from __future__ import annotations

from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Gt, Le, Lt, MinLen
from pydantic import BaseModel, Field, TypeAdapter

from graphflow import END, START, Agent, Graph, Router, record, tool
from graphflow.errors import DeclarationError, FileUnreadable
from graphflow.model.resolve import open_model
from graphflow.providers.sample import sample
from graphflow.testing import ScriptedModel
from tests.conftest import walk


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Leaf(BaseModel):
    kind: Literal["leaf"]


class Tree(BaseModel):
    left: Leaf | Tree
    right: Tree | None
    twigs: Annotated[list[Leaf], MinLen(2)]


class Endless(BaseModel):
    more: Endless


@tool(effects=[])
async def find(name: str) -> str:
    """Find a city."""
    return f"{name} is in Norway"


def test_it_says_back_what_it_was_told() -> None:
    graph = Graph("g", START >> Agent("a", model="mock:echo") >> END)
    run = walk(graph, "two  words")
    assert run.output == "two  words"
    assert run.usage.usd == 0
    assert (run.usage.input_tokens, run.usage.output_tokens) == (2, 2)


def test_it_calls_a_tool_once_and_says_what_that_said() -> None:
    graph = Graph("g", START >> Agent("a", tools=[find], model="mock:echo") >> END)
    run = walk(graph, '/tool find {"name": "Oslo"}')
    assert run.output == "Oslo is in Norway"
    assert [step.node for step in run.steps] == ["find", "a"]


def test_a_router_takes_its_first_arm_and_an_agent_gives_a_typed_value() -> None:
    router = Router("where", labels={"left": "to the left", "right": "to the right"})
    left = Agent("l", input=str, output=Tree)
    graph = Graph(
        "g",
        START >> router,
        router["left"] >> left >> END,
        router["right"] >> END,
        model="mock:echo",
    )
    run = walk(graph, "go")
    assert run.output == Tree(left=Leaf(kind="leaf"), right=None, twigs=[Leaf(kind="leaf")] * 2)


@pytest.mark.parametrize(
    "wanted",
    [
        *(str, int, float, bool, type(None), date, Colour, Tree, list[int], dict[str, int]),
        *(tuple[int, str], Literal[3, 4], int | None, str | int),
        *(Annotated[int, Gt(3)], Annotated[int, Lt(-7)], Annotated[float, Gt(0.5), Lt(0.6)]),
        *(
            Annotated[int, Le(-2)],
            Annotated[str, MinLen(9)],
            Annotated[int, Field(gt=7, multiple_of=5)],
        ),
    ],
    ids=str,
)
def test_a_sample_fits_its_type(wanted: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(wanted)
    value = sample(adapter.json_schema())
    adapter.validate_python(value)


def test_a_type_without_an_end_is_refused() -> None:
    with pytest.raises(DeclarationError, match="needs itself without an end"):
        sample(Endless.model_json_schema())


def test_a_recording_is_a_model(tmp_path: Path) -> None:
    path = tmp_path / "case.jsonl"
    graph = Graph("g", START >> Agent("a") >> END)
    first = walk(graph, "hi", model=record(path, ScriptedModel("hello")))
    again = walk(graph, "hi", model=f"replay:{path}")
    assert again.output == first.output == "hello"


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(DeclarationError, match="there is one, 'mock:echo'"):
        open_model("mock:parrot")
    with pytest.raises(FileUnreadable):
        open_model("replay:none.jsonl")
