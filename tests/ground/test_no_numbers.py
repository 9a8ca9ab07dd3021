"""NaN, infinities and bytes: refused where they were not asked for, and never written so that nobody can read the rest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import inf, nan
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import AllowInfNan, BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from graphflow import END, START, Agent, Graph, node, tool
from graphflow.events import to_record
from graphflow.kinds.tool import schema_of
from graphflow.messages.message import to_json_value, to_text
from graphflow.model.turns import AssistantTurn, ToolCall, ToolResult, ToolTurn
from graphflow.testing import Scripted, ScriptedModel, calls
from tests.conftest import walk
from tests.providers.reach import TARGETS, model, server
from tests.strict import Answer

PNG = b"\x89PNG\r\n\x1a\n\xff"


class Sum(BaseModel):
    usd: float
    most: float = inf


class Open(BaseModel):
    model_config = ConfigDict(allow_inf_nan=True)
    usd: float


@dataclass
class Share:
    part: float
    most: float = inf


class Row(TypedDict):
    x: float


def strictly(text: str | bytes) -> Any:
    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} stands bare")

    return json.loads(text, parse_constant=refuse)


def wrote(name: str, arguments: str) -> Scripted:
    return Scripted(calls=[(name, arguments)])


# -- arguments -------------------------------------------------------------------------------------
@tool
async def pay(usd: float, most: float = inf) -> str:
    return f"paid {usd}"


@tool
async def pay_sum(given: Sum) -> str:
    return f"paid {given.usd}"


@tool
async def pay_shares(shares: list[Share], rows: list[Row] = []) -> str:  # noqa: B006  # a default of a schema
    return f"paid {len(shares)}"


@tool
async def measure(at: Annotated[float, AllowInfNan(True)], given: Open | None = None) -> str:
    return f"measured {at}"


@tool
async def note(what: Any) -> str:
    return f"noted {what}"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", '"NaN"', '"inf"'])
@pytest.mark.parametrize(
    ("called", "arguments"),
    [
        (pay, '{"usd": %s}'),
        (pay_sum, '{"given": {"usd": %s}}'),
        (pay_shares, '{"shares": [{"part": 1}, {"part": %s}]}'),
        (pay_shares, '{"shares": [], "rows": [{"x": %s}]}'),
    ],
    ids=["plain", "model", "dataclass", "typed dict"],
)
def test_what_is_no_number_is_refused(called: Any, arguments: str, number: str) -> None:
    asked = ScriptedModel(wrote(called.name, arguments % number), "done")
    run = walk(Graph("g", START >> Agent("a", input=str, tools=[called]) >> END), "x", model=asked)
    [result] = asked.requests[1].turns[-1].results  # type: ignore[union-attr]
    assert not result.ok
    assert "ArgumentsInvalid" in result.text
    assert "finite" in result.text
    assert run.usage.tool_calls == 0


@pytest.mark.parametrize(
    ("called", "arguments"),
    [
        (measure, '{"at": NaN}'),
        (measure, '{"at": 1, "given": {"usd": Infinity}}'),
        (pay, '{"usd": 1}'),
        (pay_sum, '{"given": {"usd": 1}}'),
        (pay_shares, '{"shares": [{"part": 1}]}'),
        (note, '{"what": "NaN"}'),
    ],
)
def test_what_a_type_allows_and_what_is_a_default_pass(called: Any, arguments: str) -> None:
    asked = ScriptedModel(wrote(called.name, arguments), "done")
    walk(Graph("g", START >> Agent("a", input=str, tools=[called]) >> END), "x", model=asked)
    [result] = asked.requests[1].turns[-1].results  # type: ignore[union-attr]
    assert result.ok, result.text


def test_an_agent_that_is_called_refuses_it_too() -> None:
    clerk = Agent("clerk", input=Sum)
    asked = ScriptedModel(wrote("clerk", '{"usd": NaN}'), "done")
    walk(Graph("g", START >> Agent("a", input=str, sub_agents=[clerk]) >> END), "x", model=asked)
    assert "finite" in asked.requests[1].turns[-1].results[0].text  # type: ignore[union-attr]


def test_a_default_that_json_cannot_say_is_left_out_of_the_schema() -> None:
    schema = schema_of(pay.arguments)
    assert schema["properties"]["most"] == {"type": "number"}
    assert schema["required"] == ["usd"]


# -- bodies ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("provider", TARGETS)
def test_no_body_holds_one(provider: str) -> None:
    """Of a model's call, of a tool's answer, of a schema's default."""

    @tool
    async def look(at: Any, most: float = inf) -> Any:
        return {"price": nan, "prices": [inf, -inf], "text": '{"price": NaN}'}

    class Out(BaseModel):
        x: float = -inf

    with server(provider, [Answer(text='{"x": 1}')]) as strict:
        there = model(provider, strict)

        class Wild:
            name = "wild"
            first = ScriptedModel(wrote("look", '{"at": [NaN, Infinity]}'))

            def stream(self, request: Any) -> Any:
                return (self.first if self.first.left else there).stream(request)

        run = walk(
            Graph("g", START >> Agent("a", input=str, tools=[look], output=Out) >> END),
            "x",
            model=Wild(),
        )
        assert strict.refused == []
        assert run.output == Out(x=1)


@pytest.mark.parametrize(
    "wire", ["anthropic", "gemini", "ollama", "openai_chat", "openai_responses"]
)
def test_no_wire_renders_one(wire: str) -> None:
    from importlib import import_module

    from graphflow.providers.body import encode
    from graphflow.providers.wires.wire import Dialect

    module = import_module(f"graphflow.providers.wires.{wire}")
    for turn in (
        ToolTurn((ToolResult("c", "t", '{"price":NaN}'),)),
        AssistantTurn("", (ToolCall("c", "t", '{"x": -Infinity}'),)),
    ):
        strictly(encode(module.render_turn(turn, None, Dialect())))


# -- files and records -----------------------------------------------------------------------------
class Picture(BaseModel):
    name: str
    raw: bytes
    size: float = nan


@node
async def load(name: str) -> bytes:
    return PNG


@node
async def wrap(raw: bytes) -> Picture:
    return Picture(name="p", raw=raw)


@node
async def weigh(picture: Picture) -> list[float]:
    return [nan, float(len(picture.raw))]


def test_a_run_with_bytes_and_nan_can_be_shown_and_written(tmp_path: Path) -> None:
    run = walk(Graph("g", START >> load >> wrap >> weigh >> END), "x", observed=True)
    assert run.error is None
    for event in run.events:
        strictly(json.dumps(to_record(event)))
    run.report(str(tmp_path / "report.html"))
    assert run._repr_mimebundle_()
    assert run.timeline()


CIRCLE: list[Any] = [nan]
CIRCLE.append(CIRCLE)
DEEP: list[Any] = []
for _ in range(5000):
    DEEP = [DEEP]


class Secretive(BaseModel):
    raw: bytes = PNG
    hidden: str = Field("hush", exclude=True)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (nan, "NaN"),
        ([inf, {"a": -inf}], ["Infinity", {"a": "-Infinity"}]),
        (b"text", "text"),
        (PNG, "iVBORw0KGgr_"),
        ({"raw": PNG, "n": 1}, {"raw": "iVBORw0KGgr_", "n": 1}),
        (Secretive(), {"raw": "iVBORw0KGgr_"}),
        (CIRCLE, ["NaN", "[the same again]"]),
    ],
    ids=str,
)
def test_a_value_is_shown_as_it_can_be(value: Any, shown: Any) -> None:
    assert to_json_value(value) == shown


def test_what_is_too_deep_is_shown_in_part() -> None:
    assert strictly(json.dumps(to_json_value(DEEP)))
    assert to_text({"a": nan}) == '{"a":"NaN"}'
    assert calls("x", a=inf).calls == [("x", '{"a":"Infinity"}')]
