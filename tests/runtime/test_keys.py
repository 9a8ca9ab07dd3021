"""Keys and retries: what has been done is not done again, and what is done again has the key that it had."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Failure,
    Graph,
    Retry,
    Run,
    SubAgent,
    ToolError,
    node,
    tool,
)
from graphflow.events import AnswerKept, Approved, CallFinished, NodeRetried
from graphflow.kinds.code import Code
from graphflow.places import canonical
from graphflow.policy import Use
from graphflow.runtime.executor import begin, drive
from graphflow.testing import Scripted, ScriptedModel, both, calls
from tests.conftest import Msg, kinds, walk
from tests.toolbox import results_of, wrote

pytestmark = pytest.mark.usefixtures("jumping_clock")

both_ways = pytest.mark.parametrize("observed", [False, True])
AT_ONCE = Retry(3, wait_s=0)
charged: list[tuple[int, str]] = []
"""What was charged, and under which key."""


class Flaky(Exception):
    """What goes wrong the first time."""


class Trouble:
    """Raises as often as it is told to."""

    def __init__(self, times: int = 1) -> None:
        self.left = times

    def __call__(self) -> None:
        if self.left:
            self.left -= 1
            raise Flaky


@pytest.fixture(autouse=True)
def _nothing_charged() -> None:
    charged.clear()


@tool(effects=["writes"])
async def charge(euros: int, ctx: Context) -> str:
    """Charge."""
    charged.append((euros, ctx.key))
    return f"charged {euros}"


@tool
async def book(euros: int, ctx: Context) -> str:
    """Nobody says what it does."""
    charged.append((euros, ctx.key))
    return f"booked {euros}"


@node
async def pay(euros: int, ctx: Context) -> str:
    charged.append((euros, ctx.key))
    return f"paid {euros}"


def alone(step: Any, **options: Any) -> Graph[Any, Any]:
    return Graph("shop", START >> step >> END, **options)


# -- what is taken over ----------------------------------------------------------------------------
@both_ways
@pytest.mark.parametrize("target", [charge, book, pay], ids=lambda each: each.name)
def test_a_retried_step_does_not_charge_again(target: Any, observed: bool) -> None:
    trouble = Trouble(2)

    @node(calls=[target], retry=AT_ONCE)
    async def shop(euros: int, ctx: Context) -> str:
        answer: str = await ctx.call(target, euros)
        trouble()
        return answer

    run = walk(alone(shop), 7, observed=observed)
    assert run.output.endswith("7")
    assert [euros for euros, _ in charged] == [7]
    kept = [event.key for event in run.events if isinstance(event, AnswerKept)]
    assert kept == [charged[0][1]] * 2
    assert sum(isinstance(event, NodeRetried) for event in run.events) == 2
    assert len([event for event in run.events if isinstance(event, CallFinished)]) == 3


@both_ways
def test_a_retried_agent_asks_its_model_anew_and_charges_and_asks_for_approval_once(
    observed: bool,
) -> None:
    asked: list[str] = []

    @tool(effects=["writes"], approval=True)
    async def transfer(euros: int, ctx: Context) -> str:
        """Transfer."""
        charged.append((euros, ctx.key))
        return f"transferred {euros}"

    def approve(use: Use) -> bool:
        asked.append(use.key)
        return True

    model = ScriptedModel(
        calls("transfer", euros=9), Scripted(error=Flaky()), calls("transfer", euros=9), "done"
    )
    graph = alone(Agent("clerk", input=str, tools=[transfer], retry=AT_ONCE))
    run = walk(graph, "go", model=model, approve=approve, observed=observed)
    assert run.output == "done"
    model.done()
    assert [euros for euros, _ in charged] == [9]
    assert asked == [charged[0][1]]
    assert [event.key for event in run.events if isinstance(event, Approved)] == asked
    assert [result.text for result in results_of(model)[-1]] == ["transferred 9"]
    assert run.usage.tool_calls == 1


@both_ways
def test_a_parent_that_is_tried_again_does_not_repeat_what_its_sub_agents_did(
    observed: bool,
) -> None:
    """Two levels down, the first of which had finished: its model is asked again, its call is not made again."""
    clerk = Agent("clerk", input=str, tools=[charge])
    desk = Agent("desk", input=str, sub_agents=[clerk])
    boss = Agent("boss", input=str, sub_agents=[SubAgent(desk)], retry=AT_ONCE)
    turns = [
        calls("desk", input="pay"),
        calls("clerk", input="pay"),
        calls("charge", euros=5),
        "paid",
        "paid",
    ]
    model = ScriptedModel(*turns, Scripted(error=Flaky()), *turns, "end")
    run = walk(alone(boss), "go", model=model, observed=observed)
    assert run.output == "end"
    model.done()
    assert [euros for euros, _ in charged] == [5]


def test_a_sub_agent_that_is_tried_again_does_not_repeat_its_own_calls() -> None:
    clerk = Agent("clerk", input=str, tools=[charge], retry=AT_ONCE)
    boss = Agent("boss", input=str, sub_agents=[clerk])
    again = [calls("charge", euros=5), Scripted(error=Flaky()), calls("charge", euros=5), "paid"]
    model = ScriptedModel(calls("clerk", input="pay"), *again, "end")
    assert walk(alone(boss), "go", model=model).output == "end"
    assert [euros for euros, _ in charged] == [5]


def test_code_that_is_run_again_does_not_repeat_its_calls() -> None:
    pytest.importorskip("pydantic_monty")
    trouble = Trouble()

    @tool(effects=["reads"])
    async def check() -> str:
        """Break once."""
        trouble()
        return "fine"

    code = Code("code", calls=[charge, check], retry=AT_ONCE)
    run = walk(alone(code), "charge(3)\ncharge(4)\ncheck()")
    assert run.output.value == "fine"
    assert [euros for euros, _ in charged] == [3, 4]


@both_ways
def test_a_graph_that_is_walked_again_runs_its_steps_again_and_not_its_tools(
    observed: bool,
) -> None:
    trouble, walked = Trouble(), []

    @node
    async def look(euros: int) -> int:
        walked.append(euros)
        return euros

    @node
    async def end(text: str) -> str:
        trouble()
        return text

    inner = Graph("inner", START >> look >> charge >> end >> END, retry=AT_ONCE)
    run = walk(alone(inner), 8, observed=observed)
    assert run.output == "charged 8"
    assert walked == [8, 8]
    assert [euros for euros, _ in charged] == [8]


def test_a_tool_that_asks_for_its_own_retry_keeps_its_key_and_what_it_has_called() -> None:
    keys: list[str] = []

    @tool(calls=[charge], effects=["network"])
    async def order(euros: int, ctx: Context) -> str:
        """Order."""
        keys.append(ctx.key)
        answer: str = await ctx.call(charge, euros)
        if len(keys) < 3:
            raise ToolError("busy", retry=AT_ONCE)
        return answer

    model = ScriptedModel(calls("order", euros=2), "end")
    walk(alone(Agent("clerk", input=str, tools=[order])), "go", model=model)
    assert len(set(keys)) == 1
    assert len(keys) == 3
    assert [euros for euros, _ in charged] == [2]


def test_an_attempt_that_ran_out_of_time_leaves_its_answers_to_the_next() -> None:
    tries = Counter[str]()

    @node(calls=[charge], retry=AT_ONCE, timeout_s=0.05)
    async def shop(euros: int, ctx: Context) -> str:
        answer: str = await ctx.call(charge, euros)
        tries["shop"] += 1
        if tries["shop"] == 1:
            await asyncio.Event().wait()
        return answer

    assert walk(alone(shop), 7).output == "charged 7"
    assert [euros for euros, _ in charged] == [7]


@pytest.mark.parametrize("effects", [[], ["reads"]])
def test_what_only_reads_is_asked_anew(effects: list[Any]) -> None:
    looks: list[str] = []

    @tool(effects=effects)
    async def status(job: str, ctx: Context) -> str:
        """Look."""
        looks.append(ctx.key)
        return "done" if len(looks) == 3 else "busy"

    @node(calls=[status], retry=Retry(5, wait_s=0))
    async def wait(job: str, ctx: Context) -> str:
        said: str = await ctx.call(status, job)
        if said != "done":
            raise Flaky
        return said

    assert walk(alone(wait), "j").output == "done"
    assert len(looks) == 3
    assert len(set(looks)) == 1


# -- what is not taken over ------------------------------------------------------------------------
def sends_at_the_second_call(keys: list[str]) -> Any:
    """A tool that does something, fails at first, and notes its keys."""

    @tool(effects=["writes"])
    async def send(text: str, ctx: Context) -> str:
        """Send."""
        keys.append(ctx.key)
        if len(keys) == 1:
            raise Flaky
        return "sent"

    return send


def test_a_call_that_failed_is_made_again_under_its_key() -> None:
    keys: list[str] = []
    send = sends_at_the_second_call(keys)

    @node(calls=[send], retry=AT_ONCE)
    async def shop(text: str, ctx: Context) -> str:
        return await ctx.call(send, text)

    assert walk(alone(shop), "x").output == "sent"
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_of_equal_calls_the_one_that_succeeded_answers_the_next_try() -> None:
    """The first fails, the caller asks again, and that one counts: the next try asks once, and must not pay twice."""
    keys: list[str] = []
    send = sends_at_the_second_call(keys)

    model = ScriptedModel(
        calls("send", text="x"),
        calls("send", text="x"),
        Scripted(error=Flaky()),
        calls("send", text="x"),
        "end",
    )
    agent = Agent("clerk", input=str, tools=[send], retry=AT_ONCE)
    assert walk(alone(agent), "go", model=model).output == "end"
    assert len(keys) == 2
    assert len(set(keys)) == 2


@both_ways
def test_equal_calls_of_one_try_are_all_made_and_each_is_taken_over(observed: bool) -> None:
    trouble = Trouble()

    @node(calls=[charge], retry=AT_ONCE)
    async def shop(euros: int, ctx: Context) -> list[str]:
        said = [await ctx.call(charge, euros) for _ in range(3)]
        trouble()
        return [*said, await ctx.call(charge, euros)]

    assert len(walk(alone(shop), 4, observed=observed).output) == 4
    assert len(charged) == 4
    assert len(set(charged)) == 4


def test_other_arguments_in_the_next_try_are_another_call_with_another_key() -> None:
    model = ScriptedModel(
        calls("charge", euros=1), Scripted(error=Flaky()), calls("charge", euros=2), "end"
    )
    agent = Agent("clerk", input=str, tools=[charge], retry=AT_ONCE)
    assert walk(alone(agent), "go", model=model).output == "end"
    assert [euros for euros, _ in charged] == [1, 2]
    assert charged[0][1] != charged[1][1]


def test_a_tool_on_an_arrow_that_gets_something_else_in_the_next_walk_has_another_key() -> None:
    trouble = Trouble()

    @node
    async def end(text: str) -> str:
        trouble()
        return text

    guess = Agent("guess", input=str, output=int)
    inner = Graph("inner", START >> guess >> charge >> end >> END, retry=AT_ONCE)
    assert walk(alone(inner), "go", model=ScriptedModel("1", "2")).output == "charged 2"
    assert [euros for euros, _ in charged] == [1, 2]
    assert charged[0][1] != charged[1][1]


def test_a_call_of_an_earlier_try_that_is_still_under_way_is_waited_for() -> None:
    """`gather` lets the others go on when one fails: the next try finds them there."""
    trouble, begun = Trouble(), asyncio.Event()

    @tool(effects=["writes"])
    async def slow(euros: int) -> str:
        """Charge, and take some time."""
        charged.append((euros, ""))
        begun.set()
        for _ in range(20):
            await asyncio.sleep(0)
        return f"charged {euros}"

    @tool(effects=["reads"])
    async def look() -> str:
        """Break once, while the other is under way."""
        await begun.wait()
        trouble()
        return "fine"

    @node(calls=[slow, look], retry=AT_ONCE)
    async def shop(euros: int, ctx: Context) -> list[str]:
        return list(await asyncio.gather(ctx.call(slow, euros), ctx.call(look, {})))

    assert walk(alone(shop), 6).output == ["charged 6", "fine"]
    assert charged == [(6, "")]


def test_secrets_are_in_no_key_and_are_told_apart_all_the_same() -> None:
    seen: list[tuple[str, str]] = []
    trouble = Trouble()

    @tool(effects=["writes"])
    async def enter(pin: SecretStr, ctx: Context) -> str:
        """Enter."""
        seen.append((pin.get_secret_value(), ctx.key))
        return pin.get_secret_value()[::-1]

    @node(calls=[enter], retry=AT_ONCE)
    async def shop(text: str, ctx: Context) -> list[str]:
        pins = ["1234", "5678"] if trouble.left else ["5678", "1234"]
        said = [await ctx.call(enter, {"pin": pin}) for pin in pins]
        trouble()
        return said

    assert walk(alone(shop), "x").output == ["8765", "4321"]
    assert [pin for pin, _ in seen] == ["1234", "5678"]
    assert seen[0][1] != seen[1][1]
    assert canonical({"pin": SecretStr("1234")}) == canonical({"pin": SecretStr("5678")})


# -- consent ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("answer", [True, False, "not today"])
def test_nobody_is_asked_twice_for_the_same_call(answer: bool | str) -> None:
    """Also if the call then failed, or was refused: the decision stands for all tries."""
    asked: list[Use] = []
    trouble = Trouble(2)

    @tool(approval=True, effects=["writes"])
    async def send(text: str) -> str:
        """Send."""
        trouble()
        return "sent"

    @node(calls=[send], retry=AT_ONCE)
    async def shop(text: str, ctx: Context) -> str:
        return await ctx.call(send, text)

    def approve(use: Use) -> bool | str:
        asked.append(use)
        return answer

    run = walk(alone(shop), "x", approve=approve)
    assert run.output == ("sent" if answer is True else None)
    assert len(asked) == 1


def test_a_hook_that_broke_is_asked_again() -> None:
    trouble = Trouble()

    @tool(approval=True)
    async def send(text: str) -> str:
        """Send."""
        return "sent"

    @node(calls=[send], retry=AT_ONCE)
    async def shop(text: str, ctx: Context) -> str:
        return await ctx.call(send, text)

    def approve(use: Use) -> bool:
        trouble()
        return True

    assert walk(alone(shop), "x", approve=approve).output == "sent"


# -- background ------------------------------------------------------------------------------------
def test_what_was_begun_in_the_background_is_not_begun_again() -> None:
    trouble = Trouble()
    worker = Graph("worker", START >> charge >> END)

    @node(calls=[SubAgent(worker, background=True)], retry=AT_ONCE)
    async def shop(euros: int, ctx: Context) -> str:
        begun: Any = await ctx.call("worker", euros)
        trouble()
        answer: str = await begun
        return answer

    run = walk(alone(shop), 3)
    assert run.output == "charged 3"
    assert kinds(run).count("background.start") == 1
    assert [euros for euros, _ in charged] == [3]


# -- the same keys, however it went ----------------------------------------------------------------
def keys_of(
    graph: Graph[Any, Any], message: Any, *, observed: bool = False, **options: Any
) -> list[tuple[int, str]]:
    """What was charged under which keys, in a run of a known name."""

    async def main() -> None:
        run, frame, checked = begin(graph, message, Run, observed=observed, **options)
        run._id = "run"
        await drive(run, frame, checked)

    charged.clear()
    asyncio.run(main())
    return sorted(charged)


@pytest.mark.parametrize("turns", [(0, 0, 0), (9, 4, 1), (1, 4, 9), (4, 9, 1)])
def test_calls_at_once_keep_their_keys_whatever_the_latency(turns: tuple[int, ...]) -> None:
    def shop_of(waits: tuple[int, ...]) -> Graph[Any, Any]:
        @node(calls=[charge], name="shop")
        async def shop(euros: int, ctx: Context) -> list[str]:
            async def one(n: int) -> str:
                for _ in range(waits[n]):
                    await asyncio.sleep(0)
                return await ctx.call(charge, euros + n)

            return list(await asyncio.gather(*map(one, range(3))))

        return alone(shop)

    assert keys_of(shop_of(turns), 10) == keys_of(shop_of((0, 0, 0)), 10)
    assert len({key for _, key in charged}) == 3


@pytest.mark.parametrize("turns", [(0, 0), (5, 1), (1, 5)])
def test_branches_keep_their_keys_whatever_the_latency(turns: tuple[int, int]) -> None:
    """The second node of a branch gets its number when it starts, and which one starts first is chance."""

    def shop_of(waits: tuple[int, int]) -> Graph[Any, Any]:
        def slow(name: str, wait: int) -> Any:
            async def run(euros: int) -> int:
                for _ in range(wait):
                    await asyncio.sleep(0)
                return euros

            return node(name=name)(run)

        @node
        async def total(said: list[str]) -> str:
            return ", ".join(said)

        a, b = slow("a", waits[0]), slow("b", waits[1])
        return Graph(
            "shop",
            START >> (a, b),
            a >> pay,
            b >> pay.named("pay2"),
            (pay, pay.named("pay2")) >> total >> END,
        )

    def named(waits: tuple[int, int]) -> list[tuple[int, str]]:
        return keys_of(shop_of(waits), 10)

    assert named(turns) == named((0, 0))
    assert len({key for _, key in charged}) == 2


@pytest.mark.parametrize("forked", [False, True])
def test_keys_are_the_same_on_both_paths(forked: bool) -> None:
    @node
    async def split(euros: int) -> list[int]:
        return [euros, euros, euros + 1]

    @node
    async def total(said: list[str]) -> str:
        return ", ".join(said)

    clerk = Agent("clerk", input=int, tools=[charge], prompt="{{ message }}")
    inner = Graph("inner", START >> clerk >> pay_text >> END)
    graph = (
        Graph("shop", START >> split, split.each >> inner >> total >> END)
        if forked
        else alone(inner)
    )

    def model() -> ScriptedModel:
        return ScriptedModel(
            *[calls("charge", euros=3)] * (3 if forked else 1), *["done"] * (3 if forked else 1)
        )

    plain = keys_of(graph, 5, model=model())
    assert plain == keys_of(graph, 5, model=model(), observed=True)
    assert len(set(plain)) == (6 if forked else 2)


@node
async def pay_text(text: str, ctx: Context) -> str:
    charged.append((0, ctx.key))
    return text


def test_each_lap_has_a_key_of_its_own() -> None:
    @node
    async def more(said: str) -> int | str:
        return 1 if len(charged) < 3 else said

    graph = Graph("shop", START >> pay >> more, more[int].limit(9) >> pay, more[str] >> END)
    first, second = keys_of(graph, 1), keys_of(graph, 1, observed=True)
    assert len(set(first)) == 3
    assert first == second


SCRIPT = """
import asyncio
from graphflow import END, START, Context, Graph, Run, node, tool
from graphflow.runtime.executor import begin, drive

@tool
async def tag(words: set[str], by: dict[str, int], ctx: Context) -> str:
    '''Tag.'''
    return ctx.key

@node(calls=[tag])
async def shop(text: str, ctx: Context) -> str:
    words = set(text.split())
    return await ctx.call(tag, {"words": words, "by": {word: len(word) for word in words}})

async def main():
    run, frame, message = begin(Graph("shop", START >> shop >> END), "one two three four five six", Run)
    run._id = "run"
    print((await drive(run, frame, message)).output)

asyncio.run(main())
"""


def test_a_key_is_the_same_in_every_process() -> None:
    """Sets and dicts come in another order in each: texts are hashed with another seed."""
    said = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1


class Deep(BaseModel):
    words: set[str]
    more: dict[str, Any] = {}


def ring() -> list[Any]:
    made: list[Any] = []
    made += [made, made]
    return made


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, "1"),
        (1, True),
        ({"a": 1}, {"a": 2}),
        (Deep(words={"a"}), Deep(words={"b"})),
        ({1: "a", "b": 2}, {1: "a", "b": 3}),
        ([10**5000], [10**5000 + 1]),
        (b"a", b"b"),
        ([1, [2]], [1, 2]),
        ("\ud800", "\ud801"),
        (object(), 1),
    ],
    ids=lambda each: type(each).__name__,
)
def test_digests_tell_contents_apart(one: Any, other: Any) -> None:
    assert canonical(one) != canonical(other)
    assert canonical(one) == canonical(one)


def test_digests_do_not_depend_on_order_or_address_and_come_to_an_end() -> None:
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})
    assert canonical(Deep(words={"a", "b"}, more={"x": {3, 1}})) == canonical(
        Deep(words={"b", "a"}, more={"x": {1, 3}})
    )
    assert canonical([object()]) == canonical([object()])
    assert canonical(ring()) == canonical(ring())


def test_a_long_loop_remembers_no_places() -> None:
    """What is known of an activation is forgotten with it: nobody could try it again."""
    graph = Graph("shop", START >> pay >> back, back[int].limit(200) >> pay, back[str] >> END)

    async def main() -> None:
        run, frame, checked = begin(graph, 0, Run)
        await drive(run, frame, checked)
        assert frame.places == {}
        assert frame.asking is not None
        assert frame.asking._counts == {}

    asyncio.run(main())
    assert len(set(charged)) == 100


@node
async def back(said: str) -> int | str:
    return len(charged) if len(charged) < 100 else said


def test_a_failure_edge_that_leads_back_is_another_activation() -> None:
    """It is the graph that asks again, not a retry: the node is asked anew, for its message is another."""
    trouble = Trouble()

    @node(calls=[charge])
    async def shop(msg: Msg, ctx: Context) -> str:
        answer: str = await ctx.call(charge, msg.n)
        trouble()
        return answer

    @node
    async def mend(failure: Failure) -> Msg:
        return Msg(n=2)

    graph = Graph("g", START >> shop >> END, shop[Failure].limit(3) >> mend >> shop)
    assert walk(graph, Msg(n=1)).output == "charged 2"
    assert [euros for euros, _ in charged] == [1, 2]


def test_calls_of_one_turn_have_their_own_keys_in_any_order() -> None:
    turn = both(calls("charge", euros=1), calls("charge", euros=2), calls("charge", euros=1))
    graph = alone(Agent("clerk", input=str, tools=[charge]))
    one = keys_of(graph, "go", model=ScriptedModel(turn, "end"))
    other = both(calls("charge", euros=2), calls("charge", euros=1), calls("charge", euros=1))
    assert one == keys_of(graph, "go", model=ScriptedModel(other, "end"))
    assert len(set(one)) == 3


def test_arguments_written_otherwise_are_the_same_call() -> None:
    """The digest is of what the arguments say, not of how the model spelled them."""
    spelled = [wrote(("charge", '{"euros": 4}')), wrote(("charge", ' {"euros":"4"} '))]
    model = ScriptedModel(spelled[0], Scripted(error=Flaky()), spelled[1], "end")
    assert (
        walk(
            alone(Agent("clerk", input=str, tools=[charge], retry=AT_ONCE)), "go", model=model
        ).output
        == "end"
    )
    assert [euros for euros, _ in charged] == [4]


@pytest.mark.parametrize("seed", range(12))
def test_keys_of_a_whole_tree_do_not_depend_on_who_was_faster(seed: int) -> None:
    """A map of graphs with a loop, each lap calling two tools at once, one of them through a step: same keys, all distinct."""
    found = [dict(_keys_under(random.Random(number))) for number in (seed, -1)]
    assert found[0] == found[1]
    assert len(found[0]) == len(set(found[0].values())) == 4 * 3 * 3


@pytest.mark.parametrize("seed", range(12))
def test_whatever_fails_on_the_way_each_thing_is_done_once_under_the_key_it_always_has(
    seed: int,
) -> None:
    """Steps, the graphs in the map and the one around them fail at random and are tried again."""
    smooth = [told for told in _keys_under(random.Random(-1)) if told[0].startswith("send")]
    rough = [
        told for told in _keys_under(random.Random(seed), breaks=12) if told[0].startswith("send")
    ]
    assert sorted(rough) == sorted(smooth)


def _keys_under(chance: random.Random, breaks: int = 0) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    trouble = Trouble(breaks)
    again = Retry(breaks + 1, wait_s=0)

    async def dawdle() -> None:
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)

    def perhaps_break() -> None:
        if chance.random() < 0.4:
            trouble()

    @tool(name="send", effects=["network"])
    async def send(text: str, ctx: Context) -> str:
        """Send."""
        await dawdle()
        told.append((f"send {text}", ctx.key))
        return text

    @node(name="between", calls=[send])
    async def between(text: str, ctx: Context) -> str:
        await dawdle()
        perhaps_break()
        return await ctx.call(send, {"text": f"{text} between"})

    @node(name="lap", calls=[send, between], retry=again if chance.random() < 0.5 else None)
    async def lap(msg: Msg, ctx: Context) -> Msg:
        await dawdle()
        told.append((f"lap {msg}", ctx.key))
        await asyncio.gather(
            ctx.call(between, msg.tag + str(msg.n)), ctx.call(send, {"text": msg.tag + str(msg.n)})
        )
        perhaps_break()
        return Msg(n=msg.n + 1, tag=msg.tag)

    @node(name="judge")
    async def judge(msg: Msg) -> Msg | str:
        perhaps_break()
        return msg if msg.n < 3 else msg.tag

    @node(name="many")
    async def many(text: str) -> list[Msg]:
        return [Msg(tag=f"{text}{n}-") for n in range(4)]

    @node(name="join")
    async def join(texts: list[str]) -> str:
        perhaps_break()
        return "".join(texts)

    inner = Graph(
        "inner", START >> lap >> judge, judge[Msg].limit(9) >> lap, judge[str] >> END, retry=again
    )
    outer = Graph("outer", START >> many, many.each >> inner >> join >> END, retry=again)
    keys_of(Graph("whole", START >> outer >> END), "x", observed=chance.random() < 0.5)
    return told


@pytest.mark.parametrize("wait", [0, 5])
def test_equal_messages_from_two_joins_of_one_fork_have_keys_of_their_own(wait: int) -> None:
    def shop_of(wait: int) -> Graph[Any, Any]:
        @node(name="a")
        async def a(euros: int) -> int:
            return euros

        async def gather(found: list[int]) -> int:
            return sum(found)

        async def later(found: list[int]) -> int:
            for _ in range(wait):
                await asyncio.sleep(0)
            return sum(found)

        b, first, second = a.named("b"), node(name="j1")(later), node(name="j2")(gather)
        return Graph(
            "g",
            START >> (a, b),
            (a, b) >> first,
            (a, b) >> second,
            (first, second) >> pay >> END,
            ends="all",
        )

    keys = keys_of(shop_of(wait), 5)
    assert keys == keys_of(shop_of(0), 5)
    assert len(set(keys)) == 2


def test_laps_of_a_loop_with_a_fork_have_keys_of_their_own() -> None:
    @node
    async def more(found: list[str]) -> int | str:
        return 1 if len(charged) < 6 else "end"

    left, right = pay.named("left"), pay.named("right")
    graph = Graph(
        "g",
        START >> start >> (left, right),
        (left, right) >> more,
        more[int].limit(9) >> start,
        more[str] >> END,
    )
    assert len(set(keys_of(graph, 1))) == 6


@node
async def start(euros: int) -> int:
    return euros


def test_hand_overs_there_and_back_have_keys_of_their_own() -> None:
    one = Agent("one", input=str, tools=[charge], handoffs=["two"])
    two = Agent("two", input=str, tools=[charge], handoffs=["one"])
    turns = [
        (calls("charge", euros=1), calls(f"transfer_to_{other}", input="x"))
        for other in ("two", "one", "two")
    ]
    model = ScriptedModel(*(reply for turn in turns for reply in turn), "end")
    graph = Graph("g", START >> one >> END, two >> END)
    keys = keys_of(graph, "x", model=model)
    assert len(keys) == len(set(keys)) == 3
