"""Waiting within calls: approvals and questions in the tool calls of agents, however deep, answered in any order."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Failure,
    Graph,
    Human,
    Limits,
    Policy,
    SubAgent,
    Wait,
    node,
    tool,
)
from graphflow.errors import ApprovalRefused, PolicyRefused, WalkCancelled
from graphflow.events import Approved, QuestionAnswered, QuestionAsked
from graphflow.messages.message import to_json_value
from graphflow.model.turns import ToolResult
from graphflow.policy import allow, always, deny, edit
from graphflow.testing import ScriptedModel, both, calls
from tests.conftest import kinds
from tests.runtime.waits import Desk
from tests.toolbox import results_of
from tests.waiting import eventually

done: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "runs.db")


@tool(approval=True, effects=["writes"])
async def deploy(to: str) -> str:
    """Deploys."""
    done.append(f"deploy {to}")
    return f"deployed to {to}"


@tool(effects=["writes"])
async def note(text: str) -> str:
    """Notes."""
    done.append(f"note {text}")
    return "noted"


boss: Human[Any, Any] = Human("boss", input=str, output=str, description="Asks the boss.")


def nested(levels: int, tools: list[Any]) -> Graph[Any, Any]:
    """An agent with these tools, that many frames deep."""
    agent: Any = Agent("agent1", input=str, prompt="{{ text }}", tools=tools)
    for level in range(2, levels + 1):
        agent = Agent(f"agent{level}", input=str, sub_agents=[agent], tools=[note])
    return Graph("desk", START >> agent >> END)


def one(tools: list[Any]) -> Graph[Any, Any]:
    return Graph("desk", START >> Agent("agent", input=str, tools=tools) >> END)


def last_results(model: ScriptedModel) -> list[ToolResult]:
    return [result for turn in results_of(model) for result in turn]


@pytest.mark.parametrize("first", ["boss", "deploy"])
def test_two_questions_in_calls_of_a_sub_agent_three_frames_deep(desk: Desk, first: str) -> None:
    graph = nested(3, [deploy, boss])
    model = ScriptedModel(
        both(calls("note", text="outer"), calls("agent2", input="go")),
        both(calls("note", text="middle"), calls("agent1", input="go on")),
        both(calls("deploy", to="live"), calls("boss", input="really?")),
        "inner end",
        "middle end",
        "outer end",
    )
    run = desk.run(graph, "start", model=model)
    assert run.status == "waiting"
    by_node = {question.node: question for question in run.pending}
    assert by_node.keys() == {"boss", "deploy"}
    assert by_node["deploy"].about == "approval"
    assert to_json_value(by_node["deploy"].message) == {
        "node": "deploy",
        "arguments": {"to": "live"},
        "effects": ["writes"],
        "target": "deploy",
    }
    assert by_node["boss"].path == ("desk", "agent2", "agent1")
    assert done == ["note outer", "note middle"]
    assert len(model.requests) == 3

    answers = {"boss": "yes", "deploy": True}
    (second,) = answers.keys() - {first}
    desk.answer(first, answers[first])
    run = desk.resume(graph, model=model)
    assert run.status == "waiting"
    assert [question.node for question in run.pending] == [second]
    assert len(model.requests) == 3
    assert desk.pending()[0].id == by_node[second].id

    desk.answer(by_node[second].id, answers[second])
    run = desk.resume(graph, model=model)
    assert run.output == "outer end", run.error
    model.done()
    assert done == ["note outer", "note middle", "deploy live"]
    assert len(model.requests) == 6
    inner = model.requests[3].turns[-1].results  # type: ignore[union-attr]
    assert [result.text for result in inner] == ["deployed to live", "yes"]
    assert run.usage.model_calls == 6
    assert kinds(run).count("question.asked") == kinds(run).count("question.answered") == 2


def test_asking_is_told_before_anybody_is_asked_and_the_answer_after(desk: Desk) -> None:
    graph = one([deploy])
    model = ScriptedModel(calls("deploy", to="live"), "end")
    desk.run(graph, "go", model=model)
    desk.answer("deploy", True, by="Anna")
    run = desk.resume(graph, model=model)
    about = [event.kind for event in run.events if event.kind.startswith(("question", "approval"))]
    assert about == ["approval.ask", "question.asked", "question.answered", "approval"]
    (answered,) = (event for event in run.events if isinstance(event, QuestionAnswered))
    assert answered.by == "Anna"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (False, "'deploy' needs approval, and it was not given; nothing was done"),
        ("deny", "nothing was done"),
        ("not on a Friday", "it was not given: not on a Friday"),
        (deny("not on a Friday"), "it was not given: not on a Friday"),
        ({"consent": "deny", "reason": "no"}, "it was not given: no"),
        (None, "nothing was done"),
        ("yes", "it was not given: yes"),
        ("True", "it was not given: True"),
    ],
)
def test_what_is_no_clear_consent_is_none(desk: Desk, answer: Any, says: str) -> None:
    graph = one([deploy])
    model = ScriptedModel(calls("deploy", to="live"), "end")
    desk.run(graph, "go", model=model)
    desk.answer("deploy", answer)
    run = desk.resume(graph, model=model)
    assert run.output == "end"
    (result,) = last_results(model)
    assert not result.ok
    assert says in result.text
    assert done == []
    assert [event.granted for event in run.events if isinstance(event, Approved)] == [False]


@pytest.mark.parametrize(
    "answer", [1, 0, [], {}, {"consent": "maybe"}, {"consent": True}, ["allow"]]
)
def test_what_is_not_an_approval_at_all_leaves_the_question_open(desk: Desk, answer: Any) -> None:
    graph = one([deploy])
    model = ScriptedModel(calls("deploy", to="live"), "end")
    desk.run(graph, "go", model=model)
    desk.answer("deploy", answer)
    run = desk.resume(graph, model=model)
    assert run.status == "waiting"
    assert done == []
    desk.answer("deploy", allow)
    assert desk.resume(graph, model=model).output == "end"
    assert done == ["deploy live"]


def test_with_other_arguments_it_is_done_with_these(desk: Desk) -> None:
    graph = one([deploy])
    model = ScriptedModel(calls("deploy", to="live"), "end")
    desk.run(graph, "go", model=model)
    desk.answer("deploy", edit({"to": "staging"}))
    assert desk.resume(graph, model=model).output == "end"
    assert done == ["deploy staging"]
    assert last_results(model)[0].text == "deployed to staging"


def test_other_arguments_have_to_fit_and_to_be_allowed(desk: Desk) -> None:
    graph = one([deploy])
    policy = Policy(check=lambda use: "never there" if use.arguments.to == "mars" else None)
    for arguments, says in (
        ({"to": 7}, "to"),
        ({"where": "x"}, "where"),
        ({"to": "mars"}, "never there"),
        (None, ""),
    ):
        model = ScriptedModel(calls("deploy", to="live"), "end")
        id = f"r{says}"
        desk.run(graph, "go", id=id, model=model, policy=policy)
        desk.answer("deploy", edit(arguments), id=id)
        assert desk.resume(graph, id=id, model=model, policy=policy).output == "end"
        (result,) = last_results(model)
        assert not result.ok
        assert says in result.text
    assert done == []


def test_always_holds_for_the_rest_of_this_run_and_no_longer(desk: Desk) -> None:
    graph = one([deploy, boss])
    model = ScriptedModel(
        calls("deploy", to="a"),
        calls("deploy", to="b"),
        calls("boss", input="?"),
        calls("deploy", to="c"),
        "end",
    )
    desk.run(graph, "go", model=model)
    desk.answer("deploy", always)
    run = desk.resume(graph, model=model)
    assert [question.node for question in run.pending] == ["boss"]
    assert done == ["deploy a", "deploy b"]
    desk.answer("boss", "ok")
    assert desk.resume(graph, model=model).output == "end"  # after a restart, too
    assert done == ["deploy a", "deploy b", "deploy c"]
    other = desk.run(graph, "go", id="other", model=ScriptedModel(calls("deploy", to="d")))
    assert other.status == "waiting"


def test_an_approval_that_nobody_gives_in_time_is_a_no(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    @tool(approval=True, approval_timeout_s=3600)
    async def pay(amount: int) -> str:
        """Pays."""
        done.append("paid")
        return "paid"

    graph = one([pay])
    model = ScriptedModel(calls("pay", amount=1), "end")
    run = desk.run(graph, "go", model=model)
    assert run.pending[0].due is not None
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 7200)
    assert desk.resume(graph, model=model).output == "end"
    assert "nobody answered within 3600 s" in last_results(model)[0].text
    assert done == []


def test_a_node_on_an_arrow_that_needs_approval_waits_too(desk: Desk) -> None:
    @node(approval=lambda n: n > 3, effects=["writes"])
    async def pay(n: int) -> int:
        done.append(f"pay {n}")
        return n

    graph = Graph("g", START >> pay >> END)
    assert desk.run(graph, 2, id="small").output == 2
    run = desk.run(graph, 5)
    assert run.status == "waiting"
    desk.answer("pay", False)
    with pytest.raises(ApprovalRefused):
        desk.resume(graph)
    desk.run(graph, 5, id="again")
    desk.answer("pay", edit(6), id="again")
    assert desk.resume(graph, id="again").output == 6
    assert done == ["pay 2", "pay 6"]
    desk.run(
        graph,
        5,
        id="policy",
        policy=Policy(check=lambda use: "too much" if use.arguments > 6 else None),
    )
    desk.answer("pay", edit(7), id="policy")
    with pytest.raises(PolicyRefused, match="too much"):
        desk.resume(
            graph,
            id="policy",
            policy=Policy(check=lambda use: "too much" if use.arguments > 6 else None),
        )


def test_nobody_is_asked_again_when_the_node_is_tried_again(desk: Desk) -> None:
    tries: list[int] = []

    @tool(approval=True, retry=3)
    async def shaky(n: int) -> str:
        """Fails twice."""
        tries.append(n)
        if len(tries) < 3:
            raise OSError("no luck")
        return "at last"

    graph = one([shaky])
    model = ScriptedModel(calls("shaky", n=1), "end")
    desk.run(graph, "go", model=model)
    desk.answer("shaky", True)
    run = desk.resume(graph, model=model)
    assert run.output == "end"
    assert len(tries) == 3
    assert kinds(run).count("question.asked") == 1


def test_a_person_is_not_asked_again_when_the_caller_is_tried_again(desk: Desk) -> None:
    failing = [True, True]

    @node(calls=[boss], retry=3, effects=[])
    async def ask(text: str, ctx: Context) -> str:
        answer: str = await ctx.call(boss, text)
        if failing:
            failing.pop()
            raise OSError("no luck")
        return answer

    graph = Graph("g", START >> ask >> END)
    desk.run(graph, "?")
    desk.answer("boss", "yes")
    run = desk.resume(graph)
    assert run.output == "yes"
    assert kinds(run).count("question.asked") == 1


# -- what waits beside others, and in turns --------------------------------------------------------
def test_each_item_of_a_map_asks_for_itself(desk: Desk) -> None:
    @node
    async def items(text: str) -> list[int]:
        return [1, 2, 3]

    @node
    async def join(answers: list[str]) -> str:
        return " ".join(answers)

    each: Human[Any, Any] = Human("each", input=int, output=str)
    graph = Graph("g", START >> items, items.each >> each >> join >> END)
    run = desk.run(graph, "go")
    assert [question.message for question in run.pending] == [1, 2, 3]
    assert len({question.id for question in run.pending}) == 3
    for question in reversed(run.pending[1:]):
        desk.answer(question.id, f"answer {question.message}")
    assert [question.message for question in desk.resume(graph).pending] == [1]
    desk.answer("each", "answer 1")
    assert desk.resume(graph).output == "answer 1 answer 2 answer 3"


def test_each_lap_of_a_loop_asks_anew(desk: Desk) -> None:
    critic: Human[Any, Any] = Human("critic", input=str, output=bool | str)

    @node
    async def mend(again: bool) -> str:
        done.append("mend")
        return "draft"

    graph = Graph("g", START >> critic, critic[bool].limit(5) >> mend >> critic, critic[str] >> END)
    ids = {desk.run(graph, "draft").pending[0].id}
    for _ in range(3):
        desk.answer("critic", True)
        run = desk.resume(graph)
        ids.add(run.pending[0].id)
    assert len(ids) == 4
    desk.answer("critic", "fine")
    assert desk.resume(graph).output == "fine"
    assert done == ["mend"] * 3


def test_at_most_so_many_at_a_time_and_nobody_hangs(desk: Desk) -> None:
    @node
    async def items(text: str) -> list[int]:
        return list(range(4))

    @node
    async def join(answers: list[str]) -> str:
        return " ".join(answers)

    each: Human[Any, Any] = Human("each", input=int, output=str)
    graph = Graph(
        "g", START >> items, items.each >> each >> join >> END, limits=Limits(concurrency=2)
    )
    run = desk.run(graph, "go")
    sittings = 0
    while run.status == "waiting":
        sittings += 1
        assert 1 <= len(run.pending) <= 2
        for question in run.pending:
            desk.answer(question.id, f"{question.message}")
        run = desk.resume(graph)
    assert run.output == "0 1 2 3"
    assert sittings == 2


def test_a_node_that_must_not_run_twice_at_a_time_asks_one_after_the_other(desk: Desk) -> None:
    @node
    async def items(text: str) -> list[int]:
        return [0, 1]

    @node
    async def join(answers: list[str]) -> str:
        return " ".join(answers)

    @tool(calls=[boss], concurrency_safe=False, effects=[])
    async def alone(n: int, ctx: Context) -> str:
        """Asks alone."""
        answer: str = await ctx.call(boss, f"{n}?")
        return answer

    graph = Graph("g", START >> items, items.each >> alone >> join >> END)
    run = desk.run(graph, "go")
    assert [question.message for question in run.pending] == ["0?"]
    desk.answer("boss", "a")
    run = desk.resume(graph)
    assert [question.message for question in run.pending] == ["1?"]
    desk.answer("boss", "b")
    assert desk.resume(graph).output == "a b"


def test_what_is_kept_for_all_who_ask_the_same_is_asked_once(desk: Desk) -> None:
    @node
    async def items(text: str) -> list[str]:
        return ["same", "same"]

    @node
    async def join(answers: list[str]) -> str:
        return " ".join(answers)

    each: Human[Any, Any] = Human("each", input=str, output=str, cache=True)
    graph = Graph("g", START >> items, items.each >> each >> join >> END)
    run = desk.run(graph, "go")
    assert len(run.pending) == 1
    desk.answer("each", "yes")
    assert desk.resume(graph).output == "yes yes"


def test_a_call_in_the_background_waits_too(desk: Desk) -> None:
    clerk = Graph("clerk", START >> boss >> END)

    @node(calls=[SubAgent(clerk, background=True), note])
    async def lead(text: str, ctx: Context) -> str:
        handle = await ctx.call("clerk", "ask him")
        await ctx.call("note", {"text": "meanwhile"})
        answer: str = await handle
        await ctx.call("note", {"text": "then"})
        return answer

    graph = Graph("desk", START >> lead >> END)
    run = desk.run(graph, "go")
    assert run.status == "waiting"
    assert [question.path for question in run.pending] == [("desk", "clerk")]
    assert done == ["note meanwhile"]
    desk.answer("boss", "yes")
    run = desk.resume(graph)
    assert run.output == "yes"
    assert done == ["note meanwhile", "note then"]


def test_those_who_share_a_conversation_speak_one_after_the_other(desk: Desk) -> None:
    one_ = Agent("one", input=str, tools=[boss])
    two = Agent("two", input=str, tools=[note])
    agent = Agent(
        "agent",
        input=str,
        sub_agents=[SubAgent(one_, isolation="shared"), SubAgent(two, isolation="shared")],
    )
    graph = Graph("desk", START >> agent >> END)
    model = ScriptedModel(
        both(calls("one", input="first"), calls("two", input="second")),
        calls("boss", input="well?"),
        "one end",
        calls("note", text="x"),
        "two end",
        "end",
    )
    run = desk.run(graph, "go", model=model)
    assert run.status == "waiting"
    assert len(model.requests) == 2
    desk.answer("boss", "yes")
    run = desk.resume(graph, model=model)
    assert run.output == "end", run.error
    model.done()
    assert len(model.requests) == 6
    assert done == ["note x"]


def test_who_is_stopped_while_it_waits_can_be_resumed_and_answered(desk: Desk) -> None:
    gate = asyncio.Event()

    @node
    async def slow(text: str) -> int:
        await gate.wait()
        return 1

    @node
    async def join(n: int, answer: str) -> str:
        return answer

    graph = Graph("g", START >> (slow, boss) >> join >> END)

    async def cancelled(store: Any) -> None:
        run = graph.start("?", store=store, id="r")
        await eventually(lambda: run.pending)
        run.cancel()
        with pytest.raises(WalkCancelled):
            await run

    desk.use(cancelled)
    desk.answer("boss", "yes")
    gate = asyncio.Event()
    gate.set()
    assert desk.resume(graph).output == "yes"


def test_a_question_of_a_branch_that_was_stopped_is_not_open(desk: Desk) -> None:
    @node
    async def fails(text: str) -> int:
        raise OSError("no luck")

    @node
    async def items(text: str) -> list[str]:
        return ["a"]

    @node
    async def mended(failure: Failure) -> str:
        return "mended"

    @node
    async def join(n: int, answer: str) -> str:
        return answer

    inner = Graph("inner", START >> (fails, boss) >> join >> END, input=str)
    graph = Graph(
        "g",
        START >> inner,
        inner[Failure] >> mended >> Human("other", input=str, output=str) >> END,
        inner[str] >> END,
    )
    run = desk.run(graph, "?")
    assert [question.node for question in run.pending] == ["other"]
    assert [question.node for question in desk.pending()] == ["other"]


def test_a_wait_rests_in_a_call(desk: Desk) -> None:
    agent = Agent(
        "agent", input=str, tools=[Wait("pause", seconds=3600, input=str, description="Waits.")]
    )
    graph = Graph("desk", START >> agent >> END)
    model = ScriptedModel(calls("pause", input="x"), "end")
    run = desk.run(graph, "go", model=model)
    assert (run.status, run.pending[0].about) == ("waiting", "time")
    assert desk.answer("pause", True) is None
    assert desk.resume(graph, model=model).output == "end"
    assert [event.kind for event in run.events if isinstance(event, QuestionAsked)] == [
        "question.asked"
    ]
