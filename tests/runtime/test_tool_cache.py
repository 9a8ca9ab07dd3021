"""Answers that are kept: one asker at a time, nothing of one reader's for another, nothing that failed."""

from __future__ import annotations

import asyncio
import dataclasses
import time
import uuid
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Graph,
    Limits,
    Policy,
    SubAgent,
    ToolError,
    node,
    tool,
)
from graphflow.events import CacheHit
from graphflow.testing import ScriptedModel, both, calls
from tests.conftest import walk
from tests.toolbox import ask

pytestmark = [
    pytest.mark.usefixtures("jumping_clock"),
    pytest.mark.filterwarnings("ignore:session=:DeprecationWarning"),
]
both_ways = pytest.mark.parametrize("observed", [False, True])


def hits(run: Any) -> list[str]:
    return [event.node for event in run.events if isinstance(event, CacheHit)]


def led(calls: Any, lead: Any, **options: Any) -> Any:
    """The run of a step that calls these."""
    return walk(Graph("g", START >> node(calls=calls)(lead) >> END), "go", **options)


@both_ways
def test_equal_calls_of_one_turn_are_one_and_a_new_run_asks_again(observed: bool) -> None:
    asked: list[int] = []

    @tool(cache=True)
    async def slow(n: int, by: int = 2) -> int:
        """Multiply."""
        asked.append(n)
        await asyncio.sleep(0.02)
        return n * by

    for times in (1, 2):
        turn = both(
            *(calls("slow", n=1) for _ in range(5)), calls("slow", n=2), calls("slow", n=1, by=3)
        )
        run, results = ask([slow], turn, calls("slow", n=1, by=2), observed=observed)
        assert [r.text for r in results] == ["2"] * 5 + ["4", "3", "2"]
        assert len(asked) == 3 * times
        assert hits(run) == ["slow"] * 5
        assert run.usage.tool_calls == 8


def test_seconds_hold_over_the_runs_of_a_process_until_they_are_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = time.monotonic()
    monkeypatch.setattr("graphflow.runtime.cache.time", SimpleNamespace(monotonic=lambda: now))
    asked: list[str] = []

    @tool(cache=0.15)
    async def today(who: str) -> str:
        """Say the day."""
        asked.append(who)
        return f"{who} {len(asked)}"

    who = uuid.uuid4().hex
    assert [ask([today], calls("today", who=who))[1][0].text for _ in range(3)] == [f"{who} 1"] * 3
    now += 0.2
    assert ask([today], calls("today", who=who))[1][0].text == f"{who} 2"


@both_ways
def test_a_failure_is_not_kept_and_those_who_waited_ask_for_themselves(observed: bool) -> None:
    asked: list[int] = []

    @tool(cache=True)
    async def moody(n: int) -> int:
        """Fail twice."""
        asked.append(n)
        await asyncio.sleep(0.01)
        if len(asked) < 3:
            raise ToolError(f"not now {len(asked)}")
        return n

    turn = both(*(calls("moody", n=7) for _ in range(4)))
    run, results = ask([moody], turn, observed=observed)
    assert sorted(r.text for r in results) == [
        "7",
        "7",
        "ToolError: not now 1",
        "ToolError: not now 2",
    ]
    assert len(asked) == 3
    assert len(hits(run)) == 1


def test_when_the_first_asker_is_cancelled_the_next_one_takes_over() -> None:
    asked: list[int] = []

    @tool(cache=True)
    async def slow(n: int) -> int:
        """Be slow."""
        asked.append(n)
        await asyncio.sleep(0.05)
        return n

    async def lead(text: str, ctx: Context) -> list[str]:
        first, *others = [asyncio.ensure_future(ctx.call(slow, {"n": 1})) for _ in range(3)]
        await asyncio.sleep(0.01)
        first.cancel()
        answers = await asyncio.gather(first, *others, return_exceptions=True)
        return [type(a).__name__ if isinstance(a, BaseException) else str(a) for a in answers]

    run = led([slow], lead)
    assert run.output == ["CancelledError", "1", "1"]
    assert len(asked) == 2


def test_when_one_who_waits_is_cancelled_the_first_asker_goes_on() -> None:
    asked: list[int] = []

    @tool(cache=True)
    async def slow(n: int) -> int:
        """Be slow."""
        asked.append(n)
        await asyncio.sleep(0.03)
        return n

    async def lead(text: str, ctx: Context) -> list[str]:
        first, second = [asyncio.ensure_future(ctx.call(slow, {"n": 1})) for _ in range(2)]
        await asyncio.sleep(0.01)
        second.cancel()
        answers = await asyncio.gather(first, second, return_exceptions=True)
        return [type(a).__name__ if isinstance(a, BaseException) else str(a) for a in answers]

    assert led([slow], lead).output == ["1", "CancelledError"]
    assert len(asked) == 1


def test_what_a_reader_does_with_an_answer_stays_with_that_reader() -> None:
    class Box(BaseModel):
        items: list[int]

    @tool(cache=True)
    async def rows(n: int) -> list[int]:
        """List."""
        return [n]

    @tool(cache=True)
    async def box(n: int) -> Box:
        """Box."""
        return Box(items=[n])

    async def lead(text: str, ctx: Context) -> list[Any]:
        seen: list[Any] = []
        for _ in range(3):
            got, boxed = await ctx.call(rows, {"n": 1}), await ctx.call(box, {"n": 1})
            got.append(99)
            boxed.items.append(99)
            seen += [got, boxed.items]
        return seen

    assert led([rows, box], lead).output == [[1, 99]] * 6


# -- what is the same question ---------------------------------------------------------------------
class A(BaseModel, frozen=True):
    n: int


class B(BaseModel, frozen=True):
    n: int


@dataclasses.dataclass
class User:
    name: str


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (A(n=1), B(n=1)),
        (SecretStr("hunter22"), SecretStr("letmein!")),
        (1, True),
        (1, 1.0),
        ("a", b"a"),
        ((1, 2), [1, 2]),
        (
            datetime(2026, 1, 1, 10, tzinfo=UTC),
            datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))),
        ),
        ({"a": 1, "b": None}, {"a": 1}),
    ],
    ids=repr,
)
def test_what_json_cannot_tell_apart_is_told_apart(one: Any, other: Any) -> None:
    asked: list[Any] = []

    @node(cache=True)
    async def show(given: Any) -> str:
        asked.append(given)
        return repr(given.get_secret_value() if isinstance(given, SecretStr) else given)

    async def lead(text: str, ctx: Context) -> list[str]:
        return [await ctx.call(show, each) for each in (one, other, one)]

    first, second, third = led([show], lead).output
    assert first == third != second
    assert len(asked) == 2


def test_what_cannot_be_compared_is_asked_each_time() -> None:
    asked: list[Any] = []

    @node(cache=True)
    async def show(given: Any) -> int:
        asked.append(given)
        return len(asked)

    circle: list[Any] = []
    circle.append(circle)

    async def lead(text: str, ctx: Context) -> list[int]:
        return [await ctx.call(show, each) for each in (circle, circle, lead, lead)]

    assert led([show], lead).output == [1, 2, 3, 4]


@pytest.mark.parametrize("cache", [True, 60.0])
def test_dependencies_and_session_belong_to_the_question_of_who_can_see_them(cache: Any) -> None:
    own, everybodys = uuid.uuid4().hex, uuid.uuid4().hex
    asked: list[str] = []

    @tool(cache=cache)
    async def orders(of: str, ctx: Context) -> str:
        """List the user's orders."""
        asked.append(of)
        return f"{ctx.deps and ctx.deps.name}'s in {ctx.session}"

    @tool(cache=60.0)
    async def page(of: str) -> int:
        """Fetch what is the same for all."""
        asked.append(of)
        return len(asked)

    said, pages = [], []
    for name, session in (("ida", "s"), ("ida", "s"), ("bob", "s"), ("bob", "t"), ("ida", "s")):
        _, [mine, all_s] = ask(
            [orders, page],
            both(calls("orders", of=own), calls("page", of=everybodys)),
            deps=User(name),
            session=session,
        )
        said.append(mine.text)
        pages.append(all_s.text)
    assert said == ["ida's in s", "ida's in s", "bob's in s", "bob's in t", "ida's in s"]
    assert len(set(pages)) == 1
    assert asked.count(everybodys) == 1
    assert asked.count(own) == (5 if cache is True else 3)


def test_a_childs_own_dependencies_are_its_own_question_within_one_run() -> None:
    @tool(cache=True)
    async def whose(ctx: Context) -> str:
        """Tell."""
        return str(ctx.deps)

    clerk = Agent("clerk", input=str, tools=[whose])
    model = ScriptedModel(
        calls("clerk", input="x"),
        calls("whose"),
        "c",
        calls("other", input="x"),
        calls("whose"),
        "c",
        "end",
    )
    boss = Agent(
        "boss", input=str, sub_agents=[clerk, SubAgent(clerk, name="other", deps="theirs")]
    )
    walk(Graph("g", START >> boss >> END), "go", model=model, deps="mine")
    told = [
        r.turns[-1].results[0].text
        for r in model.requests
        if r.turns[-1].__class__.__name__ == "ToolTurn"
    ]
    assert told[0] == "mine"
    assert told[2] == "theirs"


def test_an_agents_kept_answer_is_of_its_model_and_of_what_it_was_allowed() -> None:
    word = uuid.uuid4().hex
    agent = Agent("agent", input=str, cache=60)
    graph = Graph("g", START >> agent >> END)
    first = ScriptedModel("A")
    assert walk(graph, word, model=first).output == "A"
    assert walk(graph, word, model=first).output == "A"
    assert walk(graph, word, model=ScriptedModel("B")).output == "B"
    first.left.append(ScriptedModel("C").left[0])
    assert walk(graph, word, model=first, policy=Policy(deny=["x"])).output == "C"


# -- waiting for oneself ---------------------------------------------------------------------------
@both_ways
def test_who_asks_for_what_it_is_itself_working_out_is_stopped_by_depth_and_not_for_ever(
    observed: bool,
) -> None:
    digger = Agent("digger", input=str, sub_agents=["digger"], cache=True)
    model = ScriptedModel(
        *(calls("digger", input="a") for _ in range(5)), *("up" for _ in range(6))
    )
    run = walk(
        Graph("mine", START >> digger >> END),
        "a",
        model=model,
        observed=observed,
        limits=Limits(seconds=20, depth=5),
    )
    assert run.output == "up", run.error
    assert max(len(path) for _, path, _ in run.frames) == 6


@both_ways
def test_who_holds_a_turn_may_call_itself(observed: bool) -> None:
    @tool(concurrency_safe=False, calls=["again"])
    async def build(n: int, ctx: Context) -> str:
        """Build."""
        return "built" if n == 0 else await ctx.call("again", "build")

    again = Agent("again", input=str, tools=[build])
    model = ScriptedModel(calls("build", n=1), calls("build", n=0), "inner", "outer")
    boss = Agent("boss", input=str, tools=[build], sub_agents=[again])
    run = walk(
        Graph("g", START >> boss >> END),
        "go",
        model=model,
        observed=observed,
        limits=Limits(seconds=20),
    )
    assert run.output == "outer", run.error


@both_ways
def test_two_who_ask_for_each_others_answer_do_not_wait_for_ever(observed: bool) -> None:
    @tool(cache=True, calls=["there"])
    async def there(n: int, ctx: Context) -> str:
        """Ask the other way round."""
        await asyncio.sleep(0.01)
        return "bottom" if (ctx.limits.steps or 0) < 40 else await ctx.call("there", {"n": 3 - n})

    turn = both(calls("there", n=1), calls("there", n=2))
    _, results = ask([there], turn, observed=observed, limits=Limits(seconds=20, steps=60))
    assert [r.text for r in results] == ["bottom", "bottom"]


@both_ways
def test_two_who_hold_each_others_turn_do_not_wait_for_ever(observed: bool) -> None:
    @tool(concurrency_safe=False, calls=["right"])
    async def left(n: int, ctx: Context) -> str:
        """Ask right."""
        await asyncio.sleep(0.01)
        return str(await ctx.call("right", {"n": n - 1})) if n else "left"

    @tool(concurrency_safe=False, calls=["left"])
    async def right(n: int, ctx: Context) -> str:
        """Ask left."""
        await asyncio.sleep(0.01)
        return str(await ctx.call("left", {"n": n - 1})) if n else "right"

    one, other = Agent("one", input=str, tools=[left]), Agent("other", input=str, tools=[right])
    model = ScriptedModel(
        both(calls("one", input="x"), calls("other", input="y")),
        calls("left", n=1, when="x"),
        calls("right", n=1, when="y"),
        "c",
        "c",
        "end",
    )
    boss = Agent("boss", input=str, sub_agents=[one, other])
    run = walk(
        Graph("g", START >> boss >> END),
        "go",
        model=model,
        observed=observed,
        limits=Limits(seconds=20),
    )
    assert run.output == "end", run.error


def test_run_sync_in_several_threads_shares_the_process_table() -> None:
    from concurrent.futures import ThreadPoolExecutor

    @tool(cache=0.001)
    async def f(n: int) -> int:
        """Answer."""
        return n

    graph = Graph("g", START >> f >> END)
    with ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(lambda n: graph.run_sync(n % 3).output, range(200)))
    assert outputs == [n % 3 for n in range(200)]
