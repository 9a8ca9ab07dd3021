"""Approvals: who is asked, when, how often, and what happens if nobody agrees. No secret gets into what is told of it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from pydantic import SecretStr

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Graph,
    Policy,
    Retry,
    SubAgent,
    ToolError,
    node,
    tool,
)
from graphflow.errors import ApprovalRefused
from graphflow.events import Approved, BackgroundFinished, CallFailed, CallFinished, to_record
from graphflow.policy import Use
from graphflow.testing import ScriptedModel, both, calls
from tests.conftest import walk
from tests.toolbox import ask

pytestmark = pytest.mark.usefixtures("jumping_clock")

both_ways = pytest.mark.parametrize("observed", [False, True])
done: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


@tool(approval=True)
async def deploy(to: str) -> str:
    """Deploy."""
    done.append(f"deploy {to}")
    return f"deployed to {to}"


def granted(run: Any) -> list[tuple[bool, str]]:
    return [(event.granted, event.why) for event in run.events if isinstance(event, Approved)]


@both_ways
def test_without_anybody_to_ask_it_is_refused_and_says_how_to_change_that(observed: bool) -> None:
    run, [result] = ask([deploy], calls("deploy", to="live"), observed=observed)
    assert not result.ok
    assert "'deploy' needs approval, and it was not given" in result.text
    assert "pass run(..., approve=" in result.text
    assert done == []
    assert [ok for ok, _ in granted(run)] == [False]


async def _yes(use: Use) -> bool:
    return True


class Desk:
    async def __call__(self, use: Use) -> bool:
        await asyncio.sleep(0)
        return True


@both_ways
@pytest.mark.parametrize("hook", [_yes, lambda use: True, lambda use: _yes(use), Desk()])
def test_a_hook_may_be_async_or_plain(observed: bool, hook: Any) -> None:
    run, [result] = ask([deploy], calls("deploy", to="live"), approve=hook, observed=observed)
    assert result.text == "deployed to live"
    assert granted(run) == [(True, "")]


def test_a_plain_hook_may_block_and_the_loop_goes_on() -> None:
    ticks = 0
    tapped = threading.Event()

    @tool
    async def tick(n: int) -> str:
        """Tick, until somebody agrees."""
        nonlocal ticks
        while not tapped.is_set():
            ticks += 1
            await asyncio.sleep(0.005)
        return "ticked"

    def hook(use: Use) -> bool:
        tapped.wait(0.1)
        tapped.set()
        return True

    _, results = ask(
        [deploy, tick], both(calls("deploy", to="live"), calls("tick", n=1)), approve=hook
    )
    assert [r.ok for r in results] == [True, True]
    assert ticks >= 3


@pytest.mark.parametrize("junk", [1, None, "", "not today", [True], object(), {"ok": True}])
def test_nothing_but_true_is_a_yes_and_a_text_is_the_reason(junk: Any) -> None:
    async def hook(use: Use) -> Any:
        return junk

    run, [result] = ask([deploy], calls("deploy", to="live"), approve=hook)
    assert not result.ok
    assert done == []
    assert ("not today" in result.text) is (junk == "not today")
    assert granted(run) == [(False, junk if isinstance(junk, str) else "")]


def test_a_hook_that_breaks_refuses_and_its_words_are_not_for_the_model() -> None:
    def hook(use: Use) -> bool:
        raise ConnectionError("postgres://admin:hunter22@db")

    run, [result] = ask([deploy], calls("deploy", to="live"), approve=hook)
    assert "asking for it failed with ConnectionError" in result.text
    assert "hunter22" not in result.text
    [failed] = [e.error for e in run.events if isinstance(e, CallFailed)]
    assert isinstance(failed, ApprovalRefused)
    assert isinstance(failed.__cause__, ConnectionError)
    assert granted(run) == [(False, "asking for it failed with ConnectionError")]
    assert done == []


@both_ways
def test_a_predicate_asks_case_by_case_and_one_that_breaks_refuses(observed: bool) -> None:
    asked: list[str] = []

    @tool(approval=lambda arguments: arguments.amount > 100 or bool(1 / arguments.amount < 0))
    async def pay(amount: int) -> str:
        """Pay."""
        done.append(f"pay {amount}")
        return "paid"

    async def approve(use: Use) -> bool:
        asked.append(use.arguments.amount)
        return False

    _, results = ask(
        [pay],
        both(*(calls("pay", amount=n) for n in (50, 500, 0))),
        approve=approve,
        observed=observed,
    )
    assert [r.ok for r in results] == [True, False, False]
    assert asked == [500]
    assert done == ["pay 50"]
    assert "ZeroDivisionError" in results[2].text


@both_ways
def test_it_is_asked_once_whatever_the_retries_and_before_anything_is_charged_twice(
    observed: bool,
) -> None:
    keys: list[str] = []

    @tool(approval=True, retry=Retry(attempts=3, wait_s=0))
    async def flaky(n: int, ctx: Context) -> str:
        """Fail twice."""
        keys.append(ctx.key)
        if len(keys) < 3:
            raise OSError("again")
        return "done"

    asked: list[Use] = []

    async def approve(use: Use) -> bool:
        asked.append(use)
        return True

    run, [result] = ask([flaky], calls("flaky", n=1), approve=approve, observed=observed)
    assert result.text == "done"
    assert len(asked) == 1
    assert set(keys) == {asked[0].key}
    assert run.usage.tool_calls == 1


def test_a_kept_answer_needs_consent_like_any_other() -> None:
    @tool(approval=True, cache=True)
    async def peek(n: int) -> str:
        """Peek."""
        done.append("peek")
        return "secret"

    answers = iter([True, False, True])

    async def approve(use: Use) -> bool:
        return next(answers)

    _, results = ask([peek], *(calls("peek", n=1) for _ in range(3)), approve=approve)
    assert [r.ok for r in results] == [True, False, True]
    assert done == ["peek"]


def test_calls_of_one_turn_are_asked_for_at_the_same_time_and_each_gets_its_own_answer() -> None:
    waiting = 0
    most = 0

    async def approve(use: Use) -> bool | str:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        await asyncio.sleep(0.02)
        waiting -= 1
        return True if use.arguments.to in "ac" else f"not to {use.arguments.to}"

    _, results = ask([deploy], both(*(calls("deploy", to=x) for x in "abcd")), approve=approve)
    assert [r.ok for r in results] == [True, False, True, False]
    assert "not to b" in results[1].text
    assert "not to d" in results[3].text
    assert most == 4
    assert sorted(done) == ["deploy a", "deploy c"]


@both_ways
def test_it_is_asked_for_within_sub_agents_on_edges_and_for_agents_themselves(
    observed: bool,
) -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []

    async def approve(use: Use) -> bool:
        asked.append((use.node, use.path))
        return True

    clerk = Agent("clerk", input=str, tools=[deploy], approval=True)
    model = ScriptedModel(calls("clerk", input="x"), calls("deploy", to="live"), "c", "end")
    boss = Agent("boss", input=str, sub_agents=[clerk])
    run = walk(
        Graph("g", START >> boss >> END), "go", model=model, approve=approve, observed=observed
    )
    assert run.output == "end", run.error
    assert asked == [("clerk", ("g", "clerk")), ("deploy", ("g", "clerk"))]
    assert (
        walk(Graph("g", START >> deploy >> END), "edge", approve=approve, observed=observed).output
        == "deployed to edge"
    )
    refused = walk(Graph("g", START >> deploy >> END), "edge", observed=observed)
    assert isinstance(refused.error, ApprovalRefused)
    assert done == ["deploy live", "deploy edge"]


def test_a_background_call_waits_for_consent_while_its_caller_goes_on() -> None:
    asked: list[str] = []

    async def approve(use: Use) -> bool | str:
        asked.append(use.node)
        await asyncio.sleep(0.01)
        return "no time"

    @node
    async def work(text: str) -> str:
        done.append("work")
        return text

    worker = Graph("worker", START >> work >> END)

    @node(calls=[SubAgent(worker, background=True, approval=True)])
    async def lead(text: str, ctx: Context) -> str:
        handle = await ctx.call("worker", text)
        with pytest.raises(ToolError, match="no time"):
            await handle
        return str(handle.status)

    run = walk(Graph("g", START >> lead >> END), "x", approve=approve)
    assert run.output == "failed"
    assert asked == ["worker"]
    assert done == []
    assert [e.status for e in run.events if isinstance(e, BackgroundFinished)] == ["failed"]


@both_ways
def test_a_run_can_be_stopped_while_somebody_thinks(observed: bool) -> None:
    async def main() -> Any:
        thinking = asyncio.Event()

        async def approve(use: Use) -> bool:
            thinking.set()
            await asyncio.Event().wait()
            return True

        graph = Graph("g", START >> Agent("agent", input=str, tools=[deploy]) >> END)
        run = graph.start("go", model=ScriptedModel(calls("deploy", to="live")), approve=approve)
        await thinking.wait()
        run.cancel()
        await run.settled()
        return run

    run = asyncio.run(main())
    assert run.status == "cancelled"
    assert done == []


# -- secrets ---------------------------------------------------------------------------------------
@both_ways
def test_a_secret_argument_is_in_no_event_error_or_repr(observed: bool) -> None:
    uses: list[Use] = []

    @tool(approval=True, effects=["network"], cache=True)
    async def login(password: SecretStr, tries: int) -> SecretStr:
        """Log in."""
        done.append(password.get_secret_value())
        if tries == 2:
            raise ToolError(f"{password} is wrong")
        return password

    def check(use: Use) -> None:
        uses.append(use)

    policy = Policy(check=check)
    turn = both(
        *(calls("login", password="hunter22", tries=n) for n in (1, 2)),
        calls("login", password="hunter22", tries="x"),
    )
    run, results = ask([login], turn, policy=policy, approve=lambda use: True, observed=observed)
    assert done == ["hunter22", "hunter22"]
    assert [r.ok for r in results] == [True, False, False]
    assert results[0].text == '"**********"'
    assert len([e for e in run.events if isinstance(e, CallFinished)]) == 1
    written = (
        repr([to_record(event) for event in run.events])
        + repr(run.events)
        + repr(uses)
        + repr(policy)
        + repr(run.steps)
    )
    written += repr([r.text for r in results]) + repr([str(e) for e in run.failures])
    assert "hunter22" not in written


def test_a_key_that_a_tool_failed_with_is_not_sent_to_the_models_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "correct horse battery")

    @tool
    async def order(n: int) -> str:
        """Order."""
        raise ConnectionError("401 for https://shop/?key=correct horse battery")

    _, [result] = ask([order], calls("order", n=1))
    assert result.text == "ConnectionError: 401 for https://shop/?key=[SHOP_API_KEY]"
