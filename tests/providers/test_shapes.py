"""JSON schemas narrowed to what each provider takes: every value that fits the narrow one is checked against the whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from graphflow import END, START, Agent, Graph
from graphflow.kinds.output import output_schema
from graphflow.model.seam import CallDelta, Finished, Request, TextDelta, ToolSpec
from graphflow.model.turns import UserTurn
from graphflow.providers.structured_output import ANSWER, AnswerReader, as_tool, as_words, fit
from tests.conftest import walk
from tests.providers.reach import TARGETS, model, server
from tests.strict import Answer


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    name: str = Field(min_length=2, max_length=20)
    age: int = Field(ge=0, le=30, default=1)


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    friends: list[Cat] = Field(default_factory=list, max_length=3)


class Tree(BaseModel):
    leaf: str
    children: list[Tree] = []


class Open(BaseModel):
    any_keys: dict[str, int]


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


def objects(schema: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if isinstance(schema, dict):
        if "properties" in schema and isinstance(schema["properties"], dict):
            found.append(schema)
        found += [inner for value in schema.values() for inner in objects(value)]
    elif isinstance(schema, list):
        found += [inner for item in schema for inner in objects(item)]
    return found


@pytest.mark.parametrize(
    "kind", [Cat, Dog, Tree, Cat | Dog, Pet, list[Cat], Literal["a", "b"], int | None]
)
def test_strict_schemas_are_what_strict_mode_wants(kind: Any) -> None:
    whole, _ = output_schema(kind)
    assert whole is not None
    shape, strict = fit(whole, "strict")
    assert strict
    for part in objects(shape):
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])
    text = str(shape)
    assert not [
        word for word in ("'default'", "'minLength'", "'oneOf'", "'discriminator'") if word in text
    ]


def test_what_a_flavour_cannot_say_is_said_in_words() -> None:
    whole, _ = output_schema(Cat)
    assert whole is not None
    shape, _ = fit(whole, "narrow")
    assert shape["properties"]["name"]["description"] == "maxLength: 20; minLength: 2"
    assert "maximum" not in shape["properties"]["age"]
    assert fit(whole, "plain") == (whole, True)
    assert whole["properties"]["name"]["maxLength"] == 20  # what was given is not changed


def test_an_object_of_any_keys_has_no_strict_form() -> None:
    whole, _ = output_schema(Open)
    assert whole is not None
    assert fit(whole, "strict")[1] is False


class Anything(BaseModel):
    x: Any
    note: str = ""


class SomeObject(BaseModel):
    x: object = Field(description="Whatever it is.")


class Bare(BaseModel):
    x: list  # type: ignore[type-arg]


class Inside(BaseModel):
    found: list[Anything]


class Optionally(BaseModel):
    x: list[Any] | None = None


VAGUE = (Anything, SomeObject, Bare, Inside, Optionally, list, list[Any], Cat | Anything)


@pytest.mark.parametrize("kind", VAGUE, ids=str)
@pytest.mark.parametrize("flavour", ["strict", "narrow"])
def test_what_may_be_anything_has_no_strict_form(
    kind: Any, flavour: Literal["strict", "narrow"]
) -> None:
    whole, _ = output_schema(kind)
    assert whole is not None
    assert fit(whole, flavour)[1] is False


@pytest.mark.parametrize("provider", TARGETS)
def test_no_server_is_sent_a_strict_schema_that_says_nothing(provider: str) -> None:
    graph = Graph("g", START >> Agent("a", input=str, output=Anything) >> END)
    with server(provider, [Answer(text='{"x": [1, {"y": null}], "note": "n"}')]) as strict:
        run = walk(graph, "x", model=model(provider, strict))
        assert strict.refused == []
        assert run.output == Anything(x=[1, {"y": None}], note="n")


def test_a_property_named_like_a_keyword_is_left_alone() -> None:
    class Odd(BaseModel):
        default: str
        pattern: int
        properties: list[str]

    whole, _ = output_schema(Odd)
    assert whole is not None
    shape, strict = fit(whole, "narrow")
    assert strict
    assert list(shape["properties"]) == ["default", "pattern", "properties"]


def test_a_tool_stands_in_for_the_answer() -> None:
    schema = {"type": "object", "properties": {}}
    plain = Request((UserTurn("x"),), output_schema=schema)
    assert as_tool(plain).settings.tool_choice == ANSWER
    beside = as_tool(
        Request((UserTurn("x"),), output_schema=schema, tools=(ToolSpec("t", "T", schema),))
    )
    assert beside.settings.tool_choice == "required"
    assert [tool.name for tool in beside.tools] == ["t", ANSWER]
    unwrapped = AnswerReader()
    seen = unwrapped.events(
        [CallDelta(0, "c", ANSWER), CallDelta(0, arguments='{"a":1}'), Finished("tool_calls", "x")]
    )
    assert seen == [TextDelta('{"a":1}', 0), Finished("stop", "x")]
    both = AnswerReader().events([CallDelta(0, "c", "t", "{}"), Finished("tool_calls")])
    assert both == [CallDelta(0, "c", "t", "{}"), Finished("tool_calls")]


def test_words_are_the_last_resort() -> None:
    request = as_words(
        Request((UserTurn("x"),), system="Be brief.", output_schema={"type": "object"})
    )
    assert request.output_schema is None
    assert request.system_text.startswith("Be brief.")
    assert '"type": "object"' in request.system_text
