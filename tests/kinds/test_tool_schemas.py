"""Tools: the schema that a signature makes, and what a model is told of arguments that do not fit it."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from graphflow import END, START, Agent, Context, Graph, GraphError, node, tool
from graphflow.errors import DeclarationError
from graphflow.kinds.tool import Tool
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk
from tests.toolbox import told

both_ways = pytest.mark.parametrize("observed", [False, True])


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Leaf(BaseModel):
    size: int
    kids: list[Leaf] = []


@dataclasses.dataclass
class Point:
    x: int
    y: int = 2


class Wishes(TypedDict, total=False):
    floor: int


def properties(of: Any) -> dict[str, Any]:
    shown: dict[str, Any] = of.spec.parameters["properties"]
    return shown


@tool
async def everything(
    colour: Colour,
    letter: Literal["a", "b"],
    either: int | str,
    leaf: Leaf,
    point: Point,
    wishes: Wishes,
    when: datetime,
    day: date,
    long: timedelta,
    id: UUID,
    price: Decimal,
    path: Path,
    table: dict[str, list[int]],
    pair: tuple[int, str] = (1, "a"),
    chosen: Colour = Colour.RED,
    maybe: int | None = None,
    among: Annotated[int, Field(ge=1, le=9)] = 5,
) -> str:
    """Take all."""
    given = dict(locals())
    return "; ".join(f"{name}={value!r}" for name, value in given.items())


GOOD: dict[str, Any] = {
    "colour": "blue",
    "letter": "a",
    "either": "5",
    "leaf": {"size": 1, "kids": [{"size": 2}]},
    "point": {"x": 1},
    "wishes": {"floor": 3},
    "when": "2026-01-02T03:04:05Z",
    "day": "2026-01-02",
    "long": "PT90S",
    "id": "12345678-1234-5678-1234-567812345678",
    "price": "1.50",
    "path": "/tmp/x",
    "table": {"a": [1, 2]},
}


@both_ways
def test_every_type_is_in_the_schema_and_arrives_as_what_it_is(observed: bool) -> None:
    shown = properties(everything)
    assert shown["letter"]["enum"] == ["a", "b"]
    assert shown["either"]["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert shown["when"]["format"] == "date-time"
    assert shown["id"]["format"] == "uuid"
    assert shown["table"]["additionalProperties"]["items"] == {"type": "integer"}
    assert (shown["among"]["minimum"], shown["among"]["maximum"], shown["among"]["default"]) == (
        1,
        9,
        5,
    )
    assert shown["chosen"]["default"] == "red"
    schema = everything.spec.parameters
    assert schema["$defs"]["Colour"]["enum"] == ["red", "blue"]
    assert schema["$defs"]["Leaf"]["properties"]["kids"]["items"] == {"$ref": "#/$defs/Leaf"}
    assert set(schema["required"]) == set(GOOD)
    assert schema["additionalProperties"] is False
    json.dumps(schema)
    result = told(everything, json.dumps(GOOD), observed=observed)
    assert result.ok, result.content
    for piece in (
        "colour=<Colour.BLUE: 'blue'>",
        "either='5'",
        "leaf=Leaf(size=1, kids=[Leaf(size=2, kids=[])])",
        "point=Point(x=1, y=2)",
        "wishes={'floor': 3}",
        "day=datetime.date(2026, 1, 2)",
        "long=datetime.timedelta(seconds=90)",
        "id=UUID('12345678-1234-5678-1234-567812345678')",
        "price=Decimal('1.50')",
        "path=PosixPath('/tmp/x')",
        "pair=(1, 'a')",
        "chosen=<Colour.RED: 'red'>",
        "maybe=None",
        "among=5",
    ):
        assert piece in result.text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("colour", "green", "colour: Input should be 'red' or 'blue'"),
        ("letter", "c", "letter: Input should be 'a' or 'b'"),
        ("either", [], "either.int: Input should be a valid integer"),
        (
            "leaf",
            {"size": 1, "kids": [{"size": "big"}]},
            "leaf.kids.0.size: Input should be a valid integer",
        ),
        ("point", {}, "point.x: Field required"),
        ("wishes", {"roof": 1}, "wishes.roof: Extra inputs are not permitted"),
        ("when", "soon", "when: Input should be a valid datetime"),
        ("id", "1", "id: Input should be a valid UUID"),
        ("price", "much", "price: Input should be a valid decimal"),
        ("table", {"a": ["x"]}, "table.a.0: Input should be a valid integer"),
        ("among", 10, "among: Input should be less than or equal to 9"),
        ("bogus", 1, "bogus: Extra inputs are not permitted (it takes colour, letter,"),
    ],
)
def test_what_does_not_fit_is_told_by_field_and_reason(field: str, value: Any, words: str) -> None:
    result = told(everything, json.dumps({**GOOD, field: value}))
    assert not result.ok
    assert words in result.text


def test_several_faults_are_told_at_once_and_no_value_is_repeated() -> None:
    result = told(everything, json.dumps({"colour": "tr0ub4dor", "letter": "z"}))
    assert "colour: " in result.text
    assert "price: Field required" in result.text
    assert "tr0ub4dor" not in result.text
    assert "http" not in result.text


@pytest.mark.parametrize(
    "doc",
    [
        """Turn it.

        Slowly.

        Args:
            angle (float): How far: in degrees,
                counted from north.
            *name: unused
            side (str, optional): Which side.

        Returns:
            A word.
        """,
        """Turn it.

        Slowly.

        Parameters
        ----------
        angle : float
            How far: in degrees,
            counted from north.
        side : {"l", "r"}, optional
            Which side.

        Returns
        -------
        str
            A word.
        """,
        """Turn it.

        Slowly.

        :param angle: How far: in degrees,
            counted from north.
        :type angle: float
        :param str side: Which side.
        :returns: A word.
        :raises ValueError: never
        """,
    ],
    ids=["google", "numpy", "sphinx"],
)
def test_three_styles_of_docstring_say_the_same(doc: str) -> None:
    async def turn(angle: float, side: str = "l") -> str:
        return side

    turn.__doc__ = doc
    spec = tool(turn).spec
    assert spec.description == "Turn it. Slowly."
    shown = spec.parameters["properties"]
    assert shown["angle"]["description"] == "How far: in degrees, counted from north."
    assert shown["side"]["description"] == "Which side."


def test_a_fields_own_words_and_bounds_win_over_the_docstring() -> None:
    @tool
    async def pick(
        a: Annotated[int, Field(description="own words", ge=1)],
        b: int = Field(5, ge=1, description="own too"),
        c: int = Field(ge=3),
    ) -> str:
        """Pick.

        Args:
            a: of the docstring.
            b: of the docstring.
            c: of the docstring.
        """
        return f"{a} {b} {c}"

    shown = properties(pick)
    assert shown["a"] == {"description": "own words", "minimum": 1, "type": "integer"}
    assert shown["b"] == {"default": 5, "description": "own too", "minimum": 1, "type": "integer"}
    assert shown["c"] == {"description": "of the docstring.", "minimum": 3, "type": "integer"}
    assert set(pick.spec.parameters["required"]) == {"a", "c"}
    assert told(pick, '{"a": 1, "c": 3}').text == "1 5 3"
    assert (
        "b: Input should be greater than or equal to 1"
        in told(pick, '{"a": 1, "b": 0, "c": 3}').text
    )


@tool
async def early(late: Late, most: Annotated[int, Field(le=3)] = 1) -> str:
    """Name a class that stands below."""
    return repr(late)


@node
async def early_step(late: Late) -> str:
    return repr(late)


class Late(BaseModel):
    size: int


def test_a_class_may_stand_below_the_tool_or_inside_of_a_function() -> None:
    class Local(BaseModel):
        size: int

    @tool
    async def take(local: Local, most: Annotated[int, Field(le=3)] = 1) -> str:
        """Take."""
        return repr(local)

    assert told(early, '{"late": {"size": 1}}').text == "Late(size=1)"
    assert told(early_step, '{"size": 1}').text == "Late(size=1)"
    assert told(take, '{"local": {"size": 1}}').text == "Local(size=1)"
    for each, field in ((early, "late"), (take, "local")):
        assert (
            "most: Input should be less than or equal to 3"
            in told(each, json.dumps({field: {"size": 1}, "most": 4})).text
        )


class Counter:
    def __init__(self) -> None:
        self.step = 3

    def add(self, n: int) -> int:
        """Add."""
        return n + self.step

    async def __call__(self, n: int) -> int:
        """Call."""
        return n * self.step


def test_whatever_can_be_called_makes_a_tool() -> None:
    def scale(n: int, by: int) -> int:
        """Scale."""
        return n * by

    @tool
    def placed(a: int, /, b: int = 2) -> int:
        """Place."""
        return a - b

    method, thing, part = tool(Counter().add), tool(Counter()), tool(functools.partial(scale, by=4))
    assert (method.name, thing.name, part.name) == ("add", "Counter", "scale")
    assert list(properties(part)) == ["n"], "what is bound is not the model's to choose"
    assert told(method, '{"n": 1}').text == "4"
    assert told(thing, '{"n": 2}').text == "6"
    assert told(part, '{"n": 2}').text == "8"
    assert told(placed, '{"a": 5}').text == "3"


def test_arguments_may_be_called_like_methods_of_a_model() -> None:
    @tool
    async def post(json: str, schema: dict[str, int], copy: bool = True) -> str:
        """Post."""
        return f"{json} {schema} {copy}"

    assert list(properties(post)) == ["json", "schema", "copy"]
    assert told(post, '{"json": "j", "schema": {"a": 1}}').text == "j {'a': 1} True"


def test_a_default_that_only_python_knows_is_left_out_of_the_schema() -> None:
    unset: Any = object()

    @tool
    async def look(n: int, at: Any = unset) -> bool:
        """Look."""
        return at is unset

    assert "default" not in properties(look)["at"]
    assert told(look, '{"n": 1}').text == "true"


def test_the_context_is_no_argument_and_a_tool_without_arguments_has_an_empty_schema() -> None:
    @tool
    async def now(ctx: Context) -> str:
        """Tell the time."""
        return ctx.node.name

    assert now.spec.parameters == {
        "additionalProperties": False,
        "properties": {},
        "type": "object",
    }
    for written in ("{}", "", "null"):
        assert told(now, written).text == "now"
    assert (
        "zone: Extra inputs are not permitted (it takes no arguments)"
        in told(now, '{"zone": 1}').text
    )


def _hook(of: Callable[[], int]) -> str:
    return ""


def _hidden(_n: int) -> str:
    return ""


def _bare(n) -> str:  # type: ignore[no-untyped-def]
    return ""


def _mute(n: int):  # type: ignore[no-untyped-def]
    """Double."""
    return {"n": 2 * n}


def _mute_pieces(n: int):  # type: ignore[no-untyped-def]
    yield n
    yield {"n": 2 * n}


async def _mute_async_pieces(n: int):  # type: ignore[no-untyped-def]
    yield n
    yield {"n": 2 * n}


@pytest.mark.parametrize(
    ("function", "answer"),
    [(_mute, '{"n":6}'), (_mute_pieces, '[3,{"n":6}]'), (_mute_async_pieces, '[3,{"n":6}]')],
)
def test_a_tool_need_not_say_what_it_answers(function: Any, answer: str) -> None:
    made = tool(function)
    model = ScriptedModel(calls(made.name, n=3), "done")
    run = walk(Graph("g", START >> Agent("a", input=str, tools=[made]) >> END), "x", model=model)
    assert run.output == "done"
    assert model.requests[1].turns[-1].results[0].text == answer  # type: ignore[union-attr]


def test_on_an_arrow_it_has_to() -> None:
    with pytest.raises(GraphError, match="has no return annotation"):
        Graph("g", START >> tool(_mute) >> END)


def _many(*n: int) -> str:
    return ""


def _lost(n: Nowhere) -> str:  # type: ignore[name-defined]  # noqa: F821
    return ""


async def _late(n: int) -> AsyncIterator[str]:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (_late, "write `yield` in it"),
        (_hook, "its parameters make no schema"),
        (_hidden, "'_n' has a leading underscore"),
        (_bare, "parameter 'n' of '_bare' has no type"),
        (_many, r"has \*n"),
        (_lost, "name 'Nowhere', which is not defined"),
    ],
)
def test_a_bad_signature_does_not_build_and_says_why(function: Any, words: str) -> None:
    with pytest.raises(GraphError, match=words):
        Graph("g", START >> Agent("a", input=str, tools=[tool(function)]) >> END)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"output_limit": 0}, "output_limit=0 must be a number of characters"),
        ({"output_limit": True}, "output_limit=True"),
        (
            {"effects": ["flies"]},
            "'flies' is not an effect; there are: reads, writes, network, executes",
        ),
        ({"timeout_s": 0}, "timeout_s=0 must be a positive"),
        ({"retry": "often"}, "must be a number of attempts or a Retry"),
        ({"cache": -1}, "cache=-1"),
        ({"policy": ["x"]}, "give a Policy"),
        ({"approval": "yes"}, "approval='yes'"),
        ({"name": "END"}, "cannot be named 'END'"),
    ],
)
def test_a_bad_option_is_refused_where_it_is_written(options: Any, words: str) -> None:
    async def f(n: int) -> str:
        return ""

    with pytest.raises(DeclarationError, match=words):
        tool(**options)(f)
    with pytest.raises(DeclarationError, match="above a function"):
        tool(int)  # type: ignore[arg-type]


def test_a_tool_can_be_used_as_the_plain_function_it_is() -> None:
    import asyncio

    assert isinstance(everything, Tool)
    assert asyncio.run(tool(Counter().add)(2)) == 5
