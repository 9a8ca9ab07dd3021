"""Answers of tools: what of them a model reads, pieces that are told as they come, artifacts beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from hashlib import sha256
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr, field_serializer

from graphflow import END, START, Agent, Context, Graph, ToolError, node, tool
from graphflow.errors import ResultInvalid
from graphflow.events import RunEnded, ToolPartial, to_record
from graphflow.kinds.tool import OUTPUT_LIMIT
from graphflow.testing import ScriptedModel, both, calls
from tests.conftest import heard, walk
from tests.toolbox import ask, told

pytestmark = pytest.mark.usefixtures("jumping_clock")

both_ways = pytest.mark.parametrize("observed", [False, True])


class Shown(BaseModel):
    name: str
    key: SecretStr = SecretStr("hunter22")
    inner: str = Field("private", exclude=True)


class Awkward(BaseModel):
    n: int = 1

    @field_serializer("n")
    def _spell(self, n: int) -> int:
        raise KeyError("no spelling")


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
DEEP: list[Any] = []
for _ in range(5000):
    DEEP = [DEEP]


@both_ways
@pytest.mark.parametrize(
    ("answer", "fine", "text"),
    [
        (None, True, ""),
        ("as it is\n", True, "as it is\n"),
        ([1, {"a": None}], True, '[1,{"a":null}]'),
        (Shown(name="x"), True, '{"name":"x","key":"**********"}'),
        (SecretStr("hunter22"), True, '"**********"'),
        (float("nan"), True, '"NaN"'),
        ([float("inf"), -float("inf")], True, '["Infinity","-Infinity"]'),
        (b"text", True, '"text"'),
        (b"\xff\xfe", False, "answered with bytes, which cannot be written as JSON"),
        (["\ud800"], False, "which cannot be written as JSON"),
        (
            ValueError("as a value"),
            False,
            "answered with ValueError, which cannot be written as JSON",
        ),
        (object, False, "which cannot be written as JSON"),
        (CIRCLE, False, "which cannot be written as JSON"),
        (DEEP, False, "which cannot be written as JSON"),
        (Awkward(), False, "which cannot be written as JSON"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_model_reads_of_an_answer(
    observed: bool, answer: Any, fine: bool, text: str
) -> None:
    @tool
    async def give(n: int) -> Any:
        """Give."""
        return answer

    _, results = ask([give], both(calls("give", n=1), calls("give", n=2)), observed=observed)
    assert [r.ok for r in results] == [fine, fine]
    assert (results[0].text == text) if fine else (text in results[0].text)
    if not fine:
        assert results[0].text.startswith(ResultInvalid.__name__)


@both_ways
def test_half_a_character_does_not_end_the_run_nor_its_record(observed: bool) -> None:
    @tool
    async def name_of(n: int) -> str:
        """Give a file name that is not UTF-8."""
        return b"caf\xe9".decode(errors="surrogateescape")

    run, [result] = ask([name_of], calls("name_of", n=1), observed=observed)
    assert result.ok
    assert [to_record(event) for event in run.events]


@pytest.mark.parametrize("length", [0, 9, 10, 11, 1_000_000])
def test_an_answer_or_error_is_cut_where_the_tool_says_and_says_so(length: int) -> None:
    @tool(output_limit=10)
    async def give(fail: bool) -> str:
        """Give much."""
        if fail:
            raise ToolError("x" * length)
        return "x" * length

    told_of = told(give, '{"fail": false}').text
    assert (
        told_of == "x" * length
        if length <= 10
        else told_of.startswith("x" * 10 + f"\n[cut: the first 10 of {length}")
    )
    error = told(give, '{"fail": true}')
    assert not error.ok
    assert error.text.startswith("ToolError:")
    assert len(error.text) < 100


def test_what_nobody_limits_is_limited_all_the_same_but_code_gets_all_of_it() -> None:
    @tool
    async def flood(n: int) -> list[int]:
        """Flood."""
        return list(range(n))

    @node(calls=[flood])
    async def lead(text: str, ctx: Context) -> int:
        return len(await ctx.call(flood, 100_000))

    assert len(told(flood, '{"n": 100000}').text) < OUTPUT_LIMIT + 100
    assert walk(Graph("g", START >> lead >> END), "x").output == 100_000


@both_ways
@pytest.mark.parametrize("answer", ["five", None, [1]])
def test_an_answer_of_another_type_than_declared_is_the_tools_fault(
    observed: bool, answer: Any
) -> None:
    @tool
    async def count(n: int) -> int:
        """Count."""
        wrong: int = answer
        return wrong

    result = told(count, '{"n": 1}', observed=observed)
    assert not result.ok
    assert "'count' says it returns int and returned" in result.text


# -- piece by piece --------------------------------------------------------------------------------
def _plain_words(n: int) -> Iterator[str]:
    """Say."""
    for i in range(n):
        yield f"w{i} "


async def _async_words(n: int) -> AsyncIterator[str]:
    """Say."""
    for i in range(n):
        await asyncio.sleep(0)
        yield f"w{i} "


def _plain_iterable(n: int) -> Iterable[str]:
    """Say."""
    for i in range(n):
        yield f"w{i} "


async def _async_iterable(n: int) -> AsyncIterable[str]:
    """Say."""
    for i in range(n):
        yield f"w{i} "


async def _rows(n: int, ctx: Context) -> AsyncIterator[dict[str, int]]:
    """List."""
    for i in range(n):
        yield {"depth": ctx.depth, "row": i}


@both_ways
@pytest.mark.parametrize(
    ("function", "whole", "text"),
    [
        (_plain_words, "w0 w1 w2 ", "w0 w1 w2 "),
        (_async_words, "w0 w1 w2 ", "w0 w1 w2 "),
        (_plain_iterable, "w0 w1 w2 ", "w0 w1 w2 "),
        (_async_iterable, "w0 w1 w2 ", "w0 w1 w2 "),
        (
            _rows,
            [{"depth": 0, "row": i} for i in range(3)],
            '[{"depth":0,"row":0},{"depth":0,"row":1},{"depth":0,"row":2}]',
        ),
    ],
)
def test_what_yields_is_told_as_it_comes_and_answers_with_the_whole(
    observed: bool, function: Any, whole: Any, text: str
) -> None:
    say = tool(name="say")(function)
    run, [result] = ask([say], calls("say", n=3), observed=observed)
    assert result.text == text
    pieces = [
        e.piece for e in (heard(run) if observed else run.events) if isinstance(e, ToolPartial)
    ]
    assert len(pieces) == (3 if observed else 0)
    assert walk(Graph("g", START >> say >> END), 3, observed=observed).output == whole
    assert told(say, '{"n": 0}', observed=observed).text == ("" if isinstance(whole, str) else "[]")


@both_ways
def test_a_generator_that_raises_or_is_too_slow_is_closed(observed: bool) -> None:
    closed: list[str] = []

    @tool(timeout_s=0.05)
    async def say(how: str) -> AsyncIterator[str]:
        """Say."""
        try:
            yield "a"
            if how == "raise":
                raise ToolError("voice lost")
            await asyncio.sleep(60)
        finally:
            closed.append(how)

    run, results = ask(
        [say], both(calls("say", how="raise"), calls("say", how="hang")), observed=observed
    )
    assert results[0].text == "ToolError: voice lost"
    assert results[1].text.startswith("NodeTimeout")
    assert sorted(closed) == ["hang", "raise"]
    assert isinstance(run.events[-1], RunEnded)


# -- artifacts -------------------------------------------------------------------------------------
@both_ways
def test_artifacts_are_kept_by_content_from_however_deep(observed: bool) -> None:
    @tool
    async def draw(title: str, ctx: Context) -> str:
        """Draw."""
        one = ctx.keep(f"{title}.svg", b"<svg/>", kind="image", mime="image/svg+xml")
        ctx.keep(f"{title}.txt", "Grüße", kind="text")
        ctx.keep(f"{title}.json", {"a": [1]}, kind="table")
        return one.digest

    inner = Agent("inner", input=str, tools=[draw])
    middle = Agent("middle", input=str, sub_agents=[inner])
    boss = Agent("boss", input=str, tools=[draw], sub_agents=[middle])
    model = ScriptedModel(
        calls("draw", title="top"),
        calls("middle", input="m"),
        calls("inner", input="i"),
        calls("draw", title="deep"),
        "i",
        "m",
        "end",
    )
    run = walk(Graph("g", START >> boss >> END), "go", model=model, observed=observed)
    assert [(a.name, a.kind, a.size, a.mime) for a in run.artifacts] == [
        ("top.svg", "image", 6, "image/svg+xml"),
        ("top.txt", "text", 7, ""),
        ("top.json", "table", 9, ""),
        ("deep.svg", "image", 6, "image/svg+xml"),
        ("deep.txt", "text", 7, ""),
        ("deep.json", "table", 9, ""),
    ]
    assert [run.payload(a) for a in run.artifacts[:3]] == [
        b"<svg/>",
        "Grüße".encode(),
        b'{"a":[1]}',
    ]
    assert run.artifacts[0].digest == sha256(b"<svg/>").hexdigest() == run.artifacts[3].digest
    assert len(run.kept) == 3
    other, _ = ask([draw], calls("draw", title="x"))
    assert other.payload(other.artifacts[0].digest) == b"<svg/>"
    with pytest.raises(KeyError):
        run.payload("0" * 64)
