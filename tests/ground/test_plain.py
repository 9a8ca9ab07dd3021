"""Values as plain data: what is shown never fails, what is handed over is refused rather than changed or written for hours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import END, START, Agent, Graph, node, tool
from graphflow.errors import IntegerTooLong
from graphflow.events import NodeFinished, to_record
from graphflow.kinds.code import Code
from graphflow.messages.media import Media
from graphflow.messages.message import to_text
from graphflow.plain import DIGITS, check_integers, is_huge, to_json_value
from graphflow.testing import ScriptedModel, calls
from tests.conftest import walk
from tests.effort import soon

HUGE = 1 << 100_000_000
"""30 million digits: written as text it would take a machine hours."""


class Box(BaseModel):
    inner: Any = None


@dataclass
class Plain:
    inner: Any


class Blunt:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def endless() -> Any:
    value: dict[str, Any] = {"n": 1}
    value["again"] = [value]
    return value


ODD = {
    "huge": HUGE,
    "minus": -HUGE,
    "listed": [1, (2, HUGE)],
    "key": {HUGE: 1},
    "model": Box(inner={"a": HUGE}),
    "dataclass": Plain(HUGE),
    "bytes": b"\xff",
    "model of bytes": Box(inner=b"\xff"),
    "nan": [float("nan"), Box(inner=float("-inf"))],
    "half": "\ud800",
    "deep": deep(100_000),
    "cycle": endless(),
    "blunt": Blunt(),
    "blunt key": {Blunt(): Blunt()},
    "odd keys": {None: 1, (1, 2): 2, b"\xff": 3, 1.5: 4},
}


@pytest.mark.parametrize("name", ODD)
def test_everything_is_shown_as_json_and_soon(name: str) -> None:
    with soon():
        shown = json.dumps(to_json_value(ODD[name]), allow_nan=False, ensure_ascii=False)
        shown.encode()
        json.dumps(to_record(NodeFinished(0.0, 0, 1, "n", ODD[name], 0.0)), allow_nan=False)
    assert len(shown) < 10_000


def test_what_stands_for_what_cannot_be_written() -> None:
    assert to_json_value(HUGE) == f"[an integer of more than {DIGITS} digits]"
    assert to_json_value([float("nan"), float("inf"), float("-inf")]) == [
        "NaN",
        "Infinity",
        "-Infinity",
    ]
    assert to_json_value({"a": b"\x89PNG\xff"}) == {"a": "iVBOR_8="}
    assert to_json_value(endless()) == {"n": 1, "again": ["[the same again]"]}
    assert to_json_value("a\ud800b") == "a\ufffdb"
    assert to_json_value(["\ud83d\ude00"]) == ["\U0001f600"]
    assert to_json_value(Blunt()) == "<Blunt without a repr>"
    twice = [1]
    assert to_json_value([twice, twice, 10**5000]) == [
        [1],
        [1],
        f"[an integer of more than {DIGITS} digits]",
    ]


def test_an_integer_is_too_long_beyond_what_python_writes() -> None:
    assert not is_huge(10**DIGITS - 1)
    assert not is_huge(-(10**DIGITS - 1))
    assert is_huge(10**DIGITS)
    assert is_huge(-(10**DIGITS))
    str(10**DIGITS - 1)
    assert to_json_value(10**DIGITS - 1) == 10**DIGITS - 1
    with pytest.raises(IntegerTooLong, match="4300 digits"):
        check_integers(Box(inner=[{"a": {HUGE}}]))
    check_integers(endless())


# -- through whole walks ---------------------------------------------------------------------------
@tool
async def power(n: int) -> Any:
    """Two to the n-th."""
    return {"value": 1 << n}


@node
async def make(n: int) -> Any:
    return [1 << n]


@pytest.mark.parametrize(
    "shape", ["tool", "code", "argument of code", "message", "prompt", "beside a picture"]
)
def test_a_huge_integer_is_refused_before_it_is_written(shape: str) -> None:
    """A walk that would write it would not end: the time limit is hours away from that."""
    with soon():
        if shape == "tool":
            model = ScriptedModel(calls("power", n=100_000_000), "done")
            run = walk(
                Graph("g", START >> Agent("a", input=str, tools=[power]) >> END), "x", model=model
            )
            told = model.requests[1].turns[-1].results[0]  # type: ignore[union-attr]
            assert not told.ok
            assert "4300 digits" in told.text
            assert run.output == "done"
        else:
            agent: Agent[Any, Any] = Agent(
                "a", input=Any, prompt="{{ message }}" if shape == "prompt" else None
            )
            graphs: dict[str, tuple[Graph[Any, Any], Any]] = {
                "code": (Graph("g", START >> Code() >> END), "[1 << 100_000_000]"),
                "argument of code": (
                    Graph("g", START >> Code(calls=[power]) >> END),
                    "power(1 << 100_000_000)",
                ),
                "message": (Graph("g", START >> make >> agent >> END), 100_000_000),
                "prompt": (Graph("g", START >> make >> agent >> END), 100_000_000),
                "beside a picture": (
                    Graph("g", START >> agent >> END),
                    [Media(mime="image/png", data=b"x"), HUGE],
                ),
            }
            graph, message = graphs[shape]
            run = walk(graph, message, model=ScriptedModel("done"))
            assert run.status == "failed"
            assert "digits" in str(run.error)


def test_a_huge_integer_travels_between_nodes_and_is_shown() -> None:
    @node
    async def size(numbers: Any) -> int:
        return int(numbers[0].bit_length())

    run = walk(Graph("g", START >> make >> size >> END), 100_000_000, observed=True)
    assert run.output == 100_000_001, (
        "between nodes it is a number like any other: nothing writes it"
    )
    assert "digits]" in json.dumps([to_record(event) for event in run.events])
    assert run._repr_mimebundle_()
    assert "[an integer of more than" in str(run.to_frame())


def test_a_text_of_a_message_is_typed_when_it_is_refused() -> None:
    with pytest.raises(IntegerTooLong):
        to_text({"a": HUGE})
    assert to_text({"a": 1}) == '{"a":1}'
