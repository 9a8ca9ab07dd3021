"""Delegation: sub-agents in frames of their own, what they see of the conversation, what goes down and what comes up."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Graph,
    GraphError,
    Limits,
    Policy,
    SubAgent,
    ToolError,
    node,
    tool,
)
from graphflow.errors import DeclarationError, DepthExceeded, LimitExceeded
from graphflow.events import (
    BackgroundFinished,
    CallFailed,
    CallFinished,
    FrameEntered,
    ModelFinished,
)
from graphflow.kinds.tool import spec_of
from graphflow.model.seam import Request
from graphflow.model.turns import AssistantTurn, ToolTurn, UserTurn
from graphflow.testing import Scripted, ScriptedModel, both, calls, fails, gives, hangs, says
from tests.conftest import Msg, walk

pytestmark = [
    pytest.mark.usefixtures("jumping_clock"),
    pytest.mark.filterwarnings("ignore:session=:DeprecationWarning"),
]


class Question(BaseModel, frozen=True):
    text: str
    urgent: bool = False


class Finding(BaseModel, frozen=True):
    claim: str


def texts(request: Request) -> list[str]:
    """A request's conversation in words."""
    told = []
    for turn in request.turns:
        if isinstance(turn, UserTurn):
            told.append(f"user: {turn.text}")
        elif isinstance(turn, AssistantTurn):
            told.append(f"assistant: {turn.text}" + "".join(f" <{c.name}>" for c in turn.calls))
        else:
            told += [f"tool: {r.text}" for r in turn.results]
    return told


def boss_of(child: Any, **options: Any) -> Graph[Any, Any]:
    return Graph("office", START >> Agent("boss", input=str, sub_agents=[child], **options) >> END)


researcher = Agent(
    "researcher", input=Question, output=Finding, prompt="Find: {{ text }}", system="SECRET PROMPT"
)


def test_the_task_is_the_targets_input_type_and_the_answer_its_typed_output() -> None:
    model = ScriptedModel(
        calls("researcher", text="bees", urgent=True), gives({"claim": "They fly."}), "done"
    )
    run = walk(boss_of(researcher), "go", model=model)
    assert run.output == "done"
    [answer] = [e.output for e in run.events if isinstance(e, CallFinished)]
    assert answer == Finding(claim="They fly.")
    assert texts(model.requests[1]) == ["user: Find: bees"]
    assert json.loads(model.requests[2].turns[-1].results[0].content) == {"claim": "They fly."}  # type: ignore[union-attr]
    spec = model.requests[0].tools[0]
    assert spec.parameters["properties"]["urgent"]["type"] == "boolean"
    assert "SECRET" not in spec.description


def test_a_description_is_the_given_one_and_never_the_prompt() -> None:
    assert (
        spec_of(SubAgent(researcher, description="Looks things up.")).description
        == "Looks things up."
    )
    assert spec_of(researcher).description == "Ask researcher."


def test_arguments_that_do_not_fit_come_back_as_an_error_of_that_call() -> None:
    model = ScriptedModel(calls("researcher", urgent="perhaps"), "sorry")
    walk(boss_of(researcher), "go", model=model)
    result = model.requests[1].turns[-1].results[0]  # type: ignore[union-attr]
    assert not result.ok
    assert "text: Field required" in result.content


# -- isolation -------------------------------------------------------------------------------------
clerk = Agent("clerk", input=str, prompt="Do: {{ message }}")


def test_isolated_children_see_nothing_of_the_conversation() -> None:
    model = ScriptedModel(calls("clerk", input="a"), "A", "end")
    walk(boss_of(clerk), "the story", model=model)
    assert texts(model.requests[1]) == ["user: Do: a"]


def test_forked_children_see_a_copy_as_often_as_you_like() -> None:
    fork = SubAgent(clerk, isolation="forked")
    model = ScriptedModel(calls("clerk", input="a"), "A", calls("clerk", input="b"), "B", "end")
    run = walk(boss_of(fork), "the story", model=model)
    assert run.output == "end"
    assert texts(model.requests[1]) == ["user: the story", "user: Do: a"]
    assert texts(model.requests[3]) == [
        "user: the story",
        'assistant: [calls clerk with {"input":"a"}]',
        "user: [clerk answered: A]",
        "user: Do: b",
    ]
    assert texts(model.requests[4]) == [
        "user: the story",
        "assistant:  <clerk>",
        "tool: A",
        "assistant:  <clerk>",
        "tool: B",
    ]


def test_shared_children_join_one_conversation_and_leave_the_parents_messages_whole() -> None:
    share = SubAgent(clerk, isolation="shared")
    model = ScriptedModel(calls("clerk", input="a"), "A", calls("clerk", input="b"), "B", "end")
    walk(boss_of(share), "the story", model=model)
    second = texts(model.requests[3])
    assert second[0] == "user: the story"
    assert second[-3:] == ["user: Do: a", "assistant: A", "user: Do: b"]
    assert texts(model.requests[4]) == [
        "user: the story",
        "assistant:  <clerk>",
        "tool: A",
        "assistant:  <clerk>",
        "tool: B",
    ]


@pytest.mark.parametrize("isolation", ["isolated", "forked", "shared"])
def test_three_parallel_children_keep_their_own_answers(isolation: Any) -> None:
    child = SubAgent(clerk, isolation=isolation)
    model = ScriptedModel(
        both(*(calls("clerk", input=x) for x in "abc")),
        says("A", when="Do: a", wait_s=0.03),
        says("B", when="Do: b", wait_s=0.02),
        says("C", when="Do: c"),
        "end",
    )
    walk(boss_of(child), "go", model=model)
    assert [r.content for r in model.requests[4].turns[-1].results] == ["A", "B", "C"]  # type: ignore[union-attr]


def test_shared_children_go_one_at_a_time_and_in_the_order_of_the_calls() -> None:
    model = ScriptedModel(
        both(calls("clerk", input="a"), calls("clerk", input="b")),
        says("A", wait_s=0.02),
        "B",
        "end",
    )
    walk(boss_of(SubAgent(clerk, isolation="shared")), "go", model=model)
    assert texts(model.requests[2]) == ["user: go", "user: Do: a", "assistant: A", "user: Do: b"]


def test_a_shared_child_may_share_with_its_own_child() -> None:
    """Each level has its own lock, so nobody waits for itself."""
    middle = Agent("middle", input=str, sub_agents=[SubAgent(clerk, isolation="shared")])
    model = ScriptedModel(calls("middle", input="m"), calls("clerk", input="c"), "C", "M", "end")
    run = walk(
        boss_of(SubAgent(middle, isolation="shared")), "go", model=model, limits=Limits(seconds=5)
    )
    assert run.output == "end"
    assert texts(model.requests[2])[:2] == ["user: go", "user: m"]


def test_a_graph_can_share_the_conversation_too() -> None:
    inner = Graph("inner", START >> clerk >> END, description="Inner.")
    model = ScriptedModel(calls("inner", input="a"), "A", "end")
    walk(boss_of(SubAgent(inner, isolation="forked")), "the story", model=model)
    assert texts(model.requests[1]) == ["user: the story", "user: Do: a"]


# -- what goes down --------------------------------------------------------------------------------
def test_deps_session_and_limits_go_down_and_a_function_makes_the_childs_deps() -> None:
    seen: list[Any] = []

    @node
    async def look(text: str, ctx: Context) -> str:
        seen.append((ctx.deps, ctx.session, ctx.limits.steps, ctx.depth, ctx.path))
        return text

    plain = Graph("plain", START >> look >> END)
    tuned = SubAgent(plain, name="tuned", deps=lambda deps: deps * 2, limits=Limits(steps=3))
    agent = Agent("boss", input=str, sub_agents=[plain, tuned])
    model = ScriptedModel(calls("plain", input="x"), calls("tuned", input="x"), "end")
    walk(
        Graph("g", START >> agent >> END),
        "go",
        model=model,
        deps=21,
        session="s1",
        limits=Limits(steps=50),
    )
    assert [(d, s, depth, path) for d, s, _, depth, path in seen] == [
        (21, "s1", 1, ("g", "plain")),
        (42, "s1", 1, ("g", "tuned")),
    ]
    assert seen[0][2] > 40
    assert seen[1][2] == 2


def test_a_child_stops_at_its_parents_deadline() -> None:
    model = ScriptedModel(calls("clerk", input="x"), hangs())
    run = walk(boss_of(clerk), "go", model=model, limits=Limits(seconds=0.1))
    assert run.status == "limited"
    assert isinstance(run.error, LimitExceeded)
    assert run.error.limit == "seconds"


def test_a_childs_own_limit_is_an_error_result_for_its_parent() -> None:
    tight = SubAgent(clerk, limits=Limits(seconds=0.05))
    model = ScriptedModel(calls("clerk", input="x"), hangs(), "went on")
    run = walk(boss_of(tight), "go", model=model)
    assert run.output == "went on"
    assert "seconds limit" in model.requests[2].turns[-1].results[0].content  # type: ignore[union-attr]


def test_what_a_child_uses_counts_for_its_parents() -> None:
    model = ScriptedModel(
        calls("researcher", text="x"), gives({"claim": "y"}), "end", tokens=(10, 5), usd=0.01
    )
    run = walk(boss_of(researcher), "go", model=model)
    assert (run.usage.model_calls, run.usage.tokens) == (3, 45)
    assert run.usage.usd == pytest.approx(0.03)
    assert run.usage_by_frame[("office", "researcher")].model_calls == 1
    run = walk(
        boss_of(researcher),
        "go",
        model=ScriptedModel(calls("researcher", text="x")),
        limits=Limits(model_calls=1),
    )
    assert run.status == "limited"


def test_artifacts_and_events_come_up_with_the_full_path() -> None:
    @tool
    async def chart(title: str, ctx: Context) -> str:
        """Draw a chart."""
        ctx.keep(f"{title}.svg", b"<svg/>", kind="image", mime="image/svg+xml")
        ctx.keep("again.svg", b"<svg/>", kind="image")
        return "drawn"

    painter = Agent("painter", input=str, tools=[chart])
    model = ScriptedModel(calls("painter", input="x"), calls("chart", title="t"), "ok", "end")
    run = walk(boss_of(painter), "go", model=model)
    first, second = run.artifacts
    assert (first.name, first.kind, first.size, first.mime) == (
        "t.svg",
        "image",
        6,
        "image/svg+xml",
    )
    assert first.digest == second.digest
    assert run.payload(first) == b"<svg/>"
    assert len(run.kept) == 1
    entered = [e.path for e in run.events if isinstance(e, FrameEntered)]
    assert entered == [("office", "painter")]


def test_a_childs_error_comes_up_typed() -> None:
    class Broken(RuntimeError):
        pass

    @node(calls=["worker"])
    async def lead(text: str, ctx: Context) -> str:
        with pytest.raises(Broken, match="no luck"):
            await ctx.call("worker", text)
        raise ToolError("as expected")

    @node
    async def fail(text: str) -> str:
        raise Broken("no luck")

    worker = Graph("worker", START >> fail >> END)

    @node(calls=[worker])
    async def start(text: str, ctx: Context) -> str:
        try:
            return str(await ctx.call(worker, text))
        except Broken as error:
            return f"came up: {error}"

    run = walk(Graph("g", START >> start >> END), "x")
    assert run.output == "came up: no luck"


# -- depth -----------------------------------------------------------------------------------------
def test_thirty_nested_calls_stop_at_depth_five_with_the_path() -> None:
    digger = Agent("digger", input=str, sub_agents=["digger"], description="Digs.")
    model = ScriptedModel(*(calls("digger", input=str(i)) for i in range(30)))
    run = walk(
        Graph("mine", START >> digger >> END), "go", model=model, limits=Limits(model_calls=7)
    )
    refused = [
        e.error
        for e in run.events
        if isinstance(e, CallFailed) and isinstance(e.error, DepthExceeded)
    ]
    assert refused
    assert refused[0].path == ("mine", *["digger"] * 6)
    assert max(e.depth for e in run.events if isinstance(e, FrameEntered)) == 5


def test_at_the_limit_sub_agents_are_not_offered_and_a_call_is_refused_before_any_work() -> None:
    digger = Agent("digger", input=str, sub_agents=["digger"])
    model = ScriptedModel(calls("digger", input="a"), calls("digger", input="b"), "deep", "top")
    run = walk(Graph("mine", START >> digger >> END), "go", model=model, limits=Limits(depth=1))
    assert [len(request.tools) for request in model.requests] == [1, 0, 0, 1]
    assert len([e for e in run.events if isinstance(e, ModelFinished)]) == 4
    assert "depth limit of 1 reached" in model.requests[2].turns[-1].results[0].content  # type: ignore[union-attr]


def test_legal_recursion_between_two_is_bounded_listed_and_drawn() -> None:
    a = Agent("a", input=str, sub_agents=["b"])
    b = Agent("b", input=str, sub_agents=["a"])

    @node
    async def pick(text: str) -> str:
        return text

    graph = Graph("g", START >> pick >> a >> b >> END)
    assert any("call cycle a > b > a: bounded by depth 5" in fact for fact in graph.check().facts)
    assert graph.to_mermaid().count("-.->") == 2
    assert graph.bounds().depth == 5


def test_names_are_unique_or_a_build_error() -> None:
    boss = Agent("boss", input=str, sub_agents=[clerk, Agent("clerk", input=int)])
    with pytest.raises(GraphError, match="two different nodes are named 'clerk'"):
        Graph("g", START >> boss >> END)
    boss = Agent("boss", input=str, sub_agents=[clerk, SubAgent(clerk)])
    with pytest.raises(GraphError, match="two call edges to nodes named 'clerk'"):
        Graph("g", START >> boss >> END)
    named = Agent("boss", input=str, sub_agents=[clerk, SubAgent(clerk, name="clerk_2")])
    assert Graph("g", START >> named >> END).nodes


# -- in the background -----------------------------------------------------------------------------
slow_clerk = SubAgent(clerk, background=True)


def test_a_background_call_is_awaited_by_the_model() -> None:
    model = ScriptedModel(
        calls("clerk", input="x"),
        says("X", when="Do: x", wait_s=0.02),
        calls("background", when="running", handle="clerk-1", action="await"),
        "end",
    )
    run = walk(boss_of(slow_clerk), "go", model=model)
    assert run.output == "end"
    first = json.loads(
        next(r for r in model.requests if len(r.turns) == 3).turns[-1].results[0].content
    )  # type: ignore[union-attr]
    assert first == {"handle": "clerk-1", "node": "clerk", "status": "running"}
    last = json.loads(model.requests[-1].turns[-1].results[0].content)  # type: ignore[union-attr]
    assert last == {"handle": "clerk-1", "status": "completed", "answer": "X", "error": ""}


def test_a_background_call_that_fails_is_a_failure() -> None:
    model = ScriptedModel(
        calls("clerk", input="x"),
        fails(RuntimeError("no paper"), when="Do: x"),
        calls("background", when="running", handle="clerk-1", action="await"),
        "end",
    )
    run = walk(boss_of(slow_clerk), "go", model=model)
    result = model.requests[-1].turns[-1].results[0]  # type: ignore[union-attr]
    assert not result.ok
    assert "background call 'clerk-1' failed: RuntimeError: no paper" in result.content
    [ended] = [e for e in run.events if isinstance(e, BackgroundFinished)]
    assert ended.status == "failed"
    assert [str(f.error) for f in run.failures] == ["no paper"]


def test_a_background_call_can_be_looked_at_and_cancelled() -> None:
    model = ScriptedModel(
        calls("clerk", input="x"),
        hangs(when="Do: x"),
        calls("background", when="running", handle="clerk-1", action="poll"),
        calls("background", handle="clerk-1", action="cancel"),
        calls("background", handle="nope", action="poll"),
        "end",
    )
    run = walk(boss_of(slow_clerk), "go", model=model)
    assert run.output == "end"
    told = [
        r.turns[-1].results[0].content for r in model.requests if isinstance(r.turns[-1], ToolTurn)
    ]
    assert json.loads(told[1])["status"] == "running"
    assert json.loads(told[2])["status"] == "cancelled"
    assert "no background call 'nope'" in told[3]


def test_one_that_is_cancelled_before_it_begins_is_told_to_have_ended() -> None:
    @node(calls=[slow_clerk])
    async def asks(text: str, ctx: Context) -> str:
        handle: Any = await ctx.call("clerk", text)
        handle.cancel()
        handle.cancel()
        return str(await handle.wait())

    run = walk(Graph("g", START >> asks >> END), "x", model=ScriptedModel())
    assert run.output == "cancelled"
    assert [e.status for e in run.events if isinstance(e, BackgroundFinished)] == ["cancelled"]


def test_a_handle_is_of_use_to_those_only_who_could_have_made_the_call() -> None:
    """Handles are easy to guess, and who has no edge to a node has none to its answer either."""
    model = ScriptedModel(
        calls("clerk", when="mine", input="x"),
        says("secret", when="Do: x"),
        says("kept", when="running", wait_s=0.2),
        Scripted(
            calls=[("background", '{"handle": "clerk-1", "action": "await"}')],
            when="theirs",
            wait_s=0.05,
        ),
        says("nothing", when="no background call 'clerk-1'"),
    )
    other = Agent(
        "other",
        input=str,
        prompt="theirs",
        sub_agents=[SubAgent(clerk, name="own", background=True)],
    )
    owner = Agent("owner", input=str, prompt="mine", sub_agents=[slow_clerk])

    @node
    async def begin(text: str) -> str:
        return text

    @node
    async def both_of(answers: list[str]) -> str:
        return " and ".join(answers)

    run = walk(Graph("g", START >> begin >> (owner, other) >> both_of >> END), "x", model=model)
    assert run.output == "kept and nothing"


@pytest.mark.parametrize("isolation", ["forked", "shared"])
def test_who_is_called_through_a_tool_sees_the_agents_conversation_too(isolation: Any) -> None:
    @tool(calls=[SubAgent(clerk, isolation=isolation)])
    async def ask_the_clerk(task: str, ctx: Context) -> str:
        """Ask the clerk."""
        answer: str = await ctx.call("clerk", task)
        return answer

    model = ScriptedModel(calls("ask_the_clerk", task="a"), "A", "end")
    walk(
        Graph("g", START >> Agent("boss", input=str, tools=[ask_the_clerk]) >> END),
        "the story",
        model=model,
    )
    assert texts(model.requests[1]) == ["user: the story", "user: Do: a"]


def test_it_survives_its_parents_turn_but_not_the_run() -> None:
    model = ScriptedModel(
        calls("clerk", input="x"), hangs(when="Do: x"), says("end", when="running")
    )
    run = walk(boss_of(slow_clerk), "go", model=model)
    assert run.output == "end"
    [ended] = [e for e in run.events if isinstance(e, BackgroundFinished)]
    assert ended.status == "cancelled"
    assert run.events[-1].kind == "run.end"


def test_code_awaits_polls_and_cancels_a_handle() -> None:
    @node
    async def work(text: str) -> str:
        await asyncio.sleep(0.01 if text != "for ever" else 60)
        if text == "bad":
            raise ValueError("bad text")
        return text.upper()

    worker = Graph("worker", START >> work >> END)

    @node(calls=[SubAgent(worker, background=True)])
    async def lead(text: str, ctx: Context) -> list[str]:
        handles = [await ctx.call("worker", each) for each in ("a", "bad", "for ever")]
        assert [h.status for h in handles] == ["running"] * 3
        assert [h.handle for h in handles] == ["worker-1", "worker-2", "worker-3"]
        told = [await handles[0]]
        try:
            await handles[1]
        except ToolError as error:
            told.append(f"{type(error.__cause__).__name__}: {error}")
        assert await handles[2].wait(0.01) == "running"
        handles[2].cancel()
        told.append(await handles[2].wait())
        return told

    run = walk(Graph("g", START >> lead >> END), "go")
    assert run.output == [
        "A",
        "ValueError: background call 'worker-2' of 'worker': failed; ValueError: bad text",
        "cancelled",
    ]


def test_limits_hold_in_the_background() -> None:
    model = ScriptedModel(calls("clerk", input="x"), hangs(when="Do: x"), hangs())
    run = walk(boss_of(slow_clerk), "go", model=model, limits=Limits(seconds=0.1))
    assert run.status == "limited"
    with_depth = walk(
        boss_of(slow_clerk),
        "go",
        model=ScriptedModel(calls("clerk", input="x"), "end"),
        limits=Limits(depth=0),
    )
    assert [type(e.error) for e in with_depth.events if isinstance(e, CallFailed)] == [
        DepthExceeded
    ]
    assert not [e for e in with_depth.events if e.kind == "background.start"]


def test_a_background_child_stops_at_the_deadline_of_the_frame_that_began_it() -> None:
    """The frame is over by then; its time was the child's ceiling all the same."""
    inner = Agent("inner", input=str, sub_agents=[SubAgent(clerk, background=True)])
    model = ScriptedModel(
        calls("inner", input="i"),
        calls("clerk", input="x", when="i"),
        hangs(when="Do: x"),
        says("left", when="running"),
        calls("wait", seconds=0.3, when="left"),
        "end",
    )

    @tool
    async def wait(seconds: float) -> str:
        """Wait."""
        await asyncio.sleep(seconds)
        return "waited"

    boss = Agent(
        "boss", input=str, tools=[wait], sub_agents=[SubAgent(inner, limits=Limits(seconds=0.15))]
    )
    run = walk(Graph("office", START >> boss >> END), "go", model=model)
    assert run.output == "end", run.error
    [ended] = [e for e in run.events if isinstance(e, BackgroundFinished)]
    assert ended.status == "limited"
    [waited] = [e for e in run.events if isinstance(e, CallFinished) and e.node == "wait"]
    assert run.events.index(ended) < run.events.index(waited)


def test_a_background_child_cannot_share_the_conversation_nor_stand_on_an_arrow() -> None:
    with pytest.raises(DeclarationError, match="use 'forked'"):
        SubAgent(clerk, background=True, isolation="shared")
    with pytest.raises(GraphError, match="give it to an agent or step as a call edge"):
        Graph("g", START >> slow_clerk >> END)
    with pytest.raises(DeclarationError, match="isolation='own'"):
        SubAgent(clerk, isolation="own")  # type: ignore[arg-type]


def test_cancelling_the_run_cancels_children_in_the_background() -> None:
    async def main() -> Any:
        model = ScriptedModel(calls("clerk", input="x"), hangs(when="Do: x"), hangs())
        run = boss_of(slow_clerk).start("go", model=model)
        await asyncio.sleep(0.05)
        run.cancel()
        await run.settled()
        left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        return run, left

    run, left = asyncio.run(main())
    assert run.status == "cancelled"
    assert not left
    assert [e.kind for e in run.events].count("run.end") == 1


def test_a_message_of_another_type_is_refused_before_a_background_call_begins() -> None:
    inner = Graph("inner", START >> node(name="n")(_takes_msg) >> END)

    @node(calls=[SubAgent(inner, background=True)])
    async def lead(text: str, ctx: Context) -> str:
        await ctx.call("inner", "no message")
        return "unreached"

    run = walk(Graph("g", START >> lead >> END), "go")
    assert run.status == "failed"
    assert "takes Msg" in str(run.error)


async def _takes_msg(m: Msg) -> str:
    return "x"


def test_an_agents_policy_holds_for_what_its_tools_call_in_turn() -> None:
    deleted: list[str] = []

    @tool
    async def delete(x: str) -> str:
        """Delete."""
        deleted.append(x)
        return "gone"

    @tool(calls=[delete])
    async def helper(x: str, ctx: Context) -> str:
        """Help."""
        return str(await ctx.call(delete, {"x": x}))

    boss = Agent("boss", input=str, tools=[helper], policy=Policy(deny=["delete"]))
    model = ScriptedModel(calls("helper", x="1"), "end")
    run = walk(Graph("g", START >> boss >> END), "go", model=model)
    assert run.output == "end"
    assert deleted == []
    assert "the policy denies 'delete'" in model.requests[1].turns[-1].results[0].content  # type: ignore[union-attr]
