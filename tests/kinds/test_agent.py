"""Agents: the model loop over call edges."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Failure,
    Graph,
    GraphflowError,
    ToolError,
    node,
    tool,
)
from graphflow.errors import (
    DeclarationError,
    ModelError,
    ModelUnset,
    OutputInvalid,
    ScriptError,
    UnknownProvider,
)
from graphflow.events import Event, ModelDelta, ModelFinished, to_record
from graphflow.model.reply import gather
from graphflow.model.resolve import open_model
from graphflow.model.seam import Finished, ModelEvent, Request, TextDelta
from graphflow.model.turns import AssistantTurn, ToolTurn, UserTurn
from graphflow.testing import ScriptedModel, both, calls, fails, gives, says
from tests.conftest import A, B, Msg, heard, kinds, walk

pytestmark = pytest.mark.usefixtures("jumping_clock")


@tool
async def divide(a: int, b: int) -> float:
    """Divide two numbers.

    Args:
        a: what is divided.
        b: by what.
    """
    return a / b


@tool
def shout(text: str) -> str:
    """Shout."""
    return text.upper()


@tool
async def slow(x: int) -> int:
    """Slow."""
    await asyncio.sleep(5)
    return x


def graph_of(agent: Agent[Any, Any]) -> Graph[Any, Any]:
    return Graph("g", START >> agent >> END)


@pytest.mark.parametrize("option", ["tools", "sub_agents", "handoffs", "mcp"])
def test_one_name_or_node_in_place_of_a_list_is_refused(option: str) -> None:
    options: Any = {option: "search"}
    with pytest.raises(DeclarationError, match=f"{option}='search'; give a list"):
        Agent("a", **options)
    with pytest.raises(DeclarationError, match="give a list"):
        Agent("a", **{**options, option: Agent("b")})


def test_a_tool_error_is_shown_to_the_model() -> None:
    model = ScriptedModel(calls("divide", a=1, b=0), says("cannot"))
    run = walk(graph_of(Agent("a", tools=[divide])), "1/0", model=model)
    assert run.output == "cannot"
    result = model.requests[1].turns[-1].results[0]  # type: ignore[union-attr]
    assert (result.ok, result.content) == (False, "ZeroDivisionError: division by zero")
    model.done()


def test_parallel_calls_stay_one_turn_and_run_at_once() -> None:
    model = ScriptedModel(both(*[calls("slow", x=i) for i in range(4)]), "done")
    took: list[float] = []

    @node
    async def clock(text: str) -> str:
        took.append(asyncio.get_running_loop().time())
        return text

    walk(Graph("g", START >> Agent("a", tools=[slow]) >> clock >> END), "go", model=model)
    assert took == [5]
    turns = model.requests[1].turns
    assert isinstance(turns[1], AssistantTurn)
    assert len(turns[1].calls) == 4
    assert isinstance(turns[2], ToolTurn)
    assert [r.content for r in turns[2].results] == ["0", "1", "2", "3"]
    assert len({r.id for r in turns[2].results}) == 4


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (calls("nothere"), "there is no tool named 'nothere'; you can call: divide, shout"),
        (calls("divide", a="x", b=1), "a: Input should be a valid integer"),
        (calls("divide", a=1), "b: Field required"),
        (calls("divide", a=1, b=2, c=3), "c: Extra inputs are not permitted"),
    ],
)
def test_wrong_calls_go_back_to_the_model(call: Any, told: str) -> None:
    model = ScriptedModel(call, "sorry")
    walk(graph_of(Agent("a", tools=[divide, shout])), "go", model=model)
    result = model.requests[1].turns[-1].results[0]  # type: ignore[union-attr]
    assert not result.ok
    assert told in result.content


def test_arguments_that_are_no_json_go_back_to_the_model() -> None:
    broken = calls("divide")
    broken.calls = [("divide", '{"a": 1,')]
    model = ScriptedModel(broken, "sorry")
    walk(graph_of(Agent("a", tools=[divide])), "go", model=model)
    assert "not valid JSON" in model.requests[1].turns[-1].results[0].content  # type: ignore[union-attr]


def test_a_tool_error_of_the_users_own_words() -> None:
    @tool
    async def closed() -> str:
        """Closed."""
        raise ToolError("come back at nine")

    model = ScriptedModel(calls("closed"), "ok")
    walk(graph_of(Agent("a", tools=[closed])), "go", model=model)
    assert model.requests[1].turns[-1].results[0].content == "ToolError: come back at nine"  # type: ignore[union-attr]


def test_what_a_model_is_shown_of_a_tool() -> None:
    model = ScriptedModel("x")
    walk(graph_of(Agent("a", tools=[divide], system="Be brief.")), "go", model=model)
    [spec] = model.requests[0].tools
    assert (spec.name, spec.description) == ("divide", "Divide two numbers.")
    assert spec.parameters == {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "description": "what is divided."},
            "b": {"type": "integer", "description": "by what."},
        },
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    assert model.requests[0].system == "Be brief."


class Verdict(BaseModel):
    good: bool
    why: str = ""


@pytest.mark.parametrize(
    ("output", "text", "value"),
    [
        (Verdict, '{"good": true}', Verdict(good=True)),
        (Verdict, 'Sure!\n```json\n{"good": false, "why": "x"}\n```', Verdict(good=False, why="x")),
        (Verdict, 'I think {"good": true} is right', Verdict(good=True)),
        (list[Verdict], '{"result": [{"good": true}]}', [Verdict(good=True)]),
        (list[int], "[1, 2]", [1, 2]),
        (A | B, '{"result": {"n": 3}}', A(n=3)),
        (int, '{"result": 5}', 5),
        (bool, '{"result": false}', False),
    ],
)
def test_typed_output(output: Any, text: str, value: Any) -> None:
    model = ScriptedModel(text)
    run = walk(graph_of(Agent("a", output=output)), "go", model=model)
    assert run.output == value
    schema = model.requests[0].output_schema
    assert schema is not None
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False


def test_an_answer_of_the_wrong_type_is_shown_its_error_and_repaired() -> None:
    model = ScriptedModel("no json", '{"good": "maybe"}', gives({"good": True}))
    run = walk(graph_of(Agent("a", output=Verdict)), "go", model=model)
    assert run.output == Verdict(good=True)
    last = model.requests[2].turns[-1]
    assert isinstance(last, UserTurn)
    assert "good: Input should be a valid boolean" in last.text


def test_repairs_are_used_up() -> None:
    run = walk(
        graph_of(Agent("a", output=Verdict, repairs=1)), "go", model=ScriptedModel("x", "y", "z")
    )
    assert isinstance(run.error, OutputInvalid)
    assert "after 1 repairs" in str(run.error)


def test_examples_are_earlier_turns() -> None:
    agent = Agent(
        "a", input=Msg, output=list[int], prompt="n={{ n }}", examples=[(Msg(n=2), [0, 1])]
    )
    model = ScriptedModel('{"result": [0]}')
    walk(graph_of(agent), Msg(n=1), model=model)
    assert model.requests[0].turns == (
        UserTurn("n=2"),
        AssistantTurn('{"result":[0,1]}'),
        UserTurn("n=1"),
    )


def test_a_message_without_a_prompt_is_shown_as_it_is() -> None:
    model = ScriptedModel("x", "y")
    walk(graph_of(Agent("a")), "plain text", model=model)
    walk(graph_of(Agent("a", input=Msg)), Msg(n=1), model=model)
    assert [r.turns[-1].text for r in model.requests] == ["plain text", '{"n":1,"tag":""}']  # type: ignore[union-attr]


def test_prompt_files_lie_beside_their_agent(tmp_path: Any) -> None:
    (tmp_path / "critic.md.j2").write_text("Criticise: {{ text }}")
    (tmp_path / "mod.py").write_text(
        "from graphflow import Agent\ncritic = Agent('critic', input=str, prompt_file='critic.md.j2')\n"
    )
    import runpy

    critic = runpy.run_path(str(tmp_path / "mod.py"))["critic"]
    model = ScriptedModel("x")
    walk(graph_of(critic), "it", model=model)
    assert model.requests[0].turns[-1] == UserTurn("Criticise: it")


def test_any_node_can_be_called() -> None:
    """A step, a graph and an agent, each with the schema of what it takes."""

    @node
    async def double(n: int) -> int:
        """Double a number."""
        return n * 2

    @node
    async def inner(m: Msg) -> str:
        return f"graph {m.n}"

    sub = Graph("sub", START >> inner >> END, description="A graph.")
    helper = Agent("helper", input=Msg, prompt="{{ n }}", description="Helps.")
    model = ScriptedModel(
        both(calls("double", input=4), calls("sub", n=5), calls("helper", n=6)),
        says("H", when="6"),
        "done",
    )
    run = walk(graph_of(Agent("a", tools=[double, sub], sub_agents=[helper])), "go", model=model)
    assert run.error is None
    assert [r.content for r in model.requests[-1].turns[-1].results] == ["8", "graph 5", "H"]  # type: ignore[union-attr]
    specs = {s.name: s for s in model.requests[0].tools}
    assert specs["double"].description == "Double a number."
    assert set(specs["sub"].parameters["properties"]) == {"n", "tag"}
    assert specs["helper"].description == "Helps."


def test_a_node_calls_along_its_edges_only() -> None:
    @node(calls=[shout])
    async def caller(m: Msg, ctx: Context) -> str:
        loud = await ctx.call(shout, {"text": "hey"})
        also = await ctx.call("shout", "you")
        try:
            await ctx.call(divide, {"a": 1, "b": 1})
        except GraphflowError as error:
            return f"{loud} {also} {error}"
        return "?"

    run = walk(graph_of(caller), Msg())
    assert run.output.startswith(
        "HEY YOU 'caller' has no call edge to 'divide'; it can reach: shout"
    )
    assert [s.node for s in run.steps] == ["shout", "shout", "caller"]
    assert run.steps[0].caller == "caller"


def test_a_tool_is_a_flow_node_too() -> None:
    assert walk(Graph("g", START >> shout >> END), "hey").output == "HEY"
    assert walk(Graph("g", START >> shout >> END), {"text": "hey"}).output == "HEY"


def test_tokens_stream_while_they_come() -> None:
    run = walk(graph_of(Agent("a")), "go", model=ScriptedModel("one two three"), observed=True)
    assert [e.text for e in heard(run) if isinstance(e, ModelDelta)] == ["one", " two", " three"]
    assert [e.text for e in run.events if isinstance(e, ModelFinished)] == ["one two three"]


def test_pieces_of_an_answer_are_told_and_not_kept() -> None:
    run = walk(graph_of(Agent("a")), "go", model=ScriptedModel("one two three"), observed=True)
    assert any(event.passing for event in heard(run))
    assert [event for event in heard(run) if not event.passing] == run.events
    assert not any(event.passing for event in run.journal if isinstance(event, Event))
    assert all("passing" not in to_record(event) for event in heard(run))
    [asked] = [event for event in run.events if event.kind == "model.start"]
    numbers = {event.question for event in heard(run) if event.kind.startswith("model.")}  # type: ignore[attr-defined]
    assert numbers == {asked.question}, "every piece says which question it answers"  # type: ignore[attr-defined]


def test_stream_yields_every_event_and_ends_with_the_terminal_one() -> None:
    async def main() -> list[str]:
        return [
            e.kind async for e in graph_of(Agent("a")).stream("go", model=ScriptedModel("hi there"))
        ]

    seen = asyncio.run(main())
    assert seen[0] == "run.start"
    assert seen[-1] == "run.end"
    assert seen.count("model.delta") == 2


def test_leaving_a_stream_early_cancels_the_walk() -> None:
    from graphflow.testing import hangs

    async def main() -> None:
        stream = graph_of(Agent("a")).stream("go", model=ScriptedModel(hangs()))
        async for event in stream:
            if event.kind == "model.start":
                break
        await stream.aclose()  # type: ignore[attr-defined]
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_a_model_that_fails_takes_the_failure_edge() -> None:
    @node
    async def mend(f: Failure) -> str:
        return f.error

    agent = Agent("a")
    graph = Graph("g", START >> agent, agent >> END, agent[Failure] >> mend >> END)
    assert walk(graph, "x", model=ScriptedModel(fails(ModelError("down")))).output == "down"


def test_a_model_error_in_a_sub_agent_is_an_error_result() -> None:
    helper = Agent("helper", input=str)
    model = ScriptedModel(calls("helper", input="x"), fails(ModelError("down"), when="x"), "done")
    walk(graph_of(Agent("a", sub_agents=[helper])), "go", model=model)
    assert model.requests[-1].turns[-1].results[0].ok is False  # type: ignore[union-attr]


def test_no_model_is_told_before_anything_runs() -> None:
    run_marks: list[int] = []

    @node
    async def first(m: str) -> str:
        run_marks.append(1)
        return m

    graph = Graph("g", START >> first >> Agent("deep") >> END)
    with pytest.raises(ModelUnset, match="'deep' names no model"):
        graph.run_sync("x")
    with pytest.raises(UnknownProvider, match="did you mean 'local'"):
        graph.run_sync("x", model="locl:smollm2")
    with pytest.raises(UnknownProvider, match="provider:model"):
        graph.run_sync("x", model="smollm2")
    assert not run_marks


def test_the_nearest_model_wins() -> None:
    own, default, outer = ScriptedModel("own"), ScriptedModel("default"), ScriptedModel("outer")
    inner = Graph(
        "inner",
        START >> Agent("a", model=own) >> Agent("b", prompt="{{ text }}") >> END,
        model=default,
    )
    graph = Graph("outer", START >> inner >> Agent("c", prompt="{{ text }}") >> END)
    assert walk(graph, "x", model=outer).output == "outer"
    for model in (own, default, outer):
        model.done()


def test_a_scripted_model_fails_on_what_is_not_in_the_script() -> None:
    run = walk(graph_of(Agent("a")), "x", model=ScriptedModel())
    assert isinstance(run.error, ScriptError)
    with pytest.raises(ScriptError, match="never asked for"):
        ScriptedModel("left over").done()


def test_a_stream_without_an_end_is_an_error() -> None:
    async def cut() -> Any:
        yield TextDelta("half an ans")

    with pytest.raises(ModelError, match="may be cut"):
        asyncio.run(gather(cut()))


def test_a_third_partys_model_is_one_method() -> None:
    class Echo:
        name = "echo"

        async def stream(self, request: Request) -> Any:
            yield TextDelta(request.turns[-1].text)  # type: ignore[union-attr]
            event: ModelEvent = Finished("stop")
            yield event

    assert walk(graph_of(Agent("a", model=Echo())), "hey").output == "hey"


def test_model_strings_are_split_at_the_first_colon() -> None:
    with pytest.raises(UnknownProvider, match="no local model is named 'x:y'"):
        open_model("local:x:y")


def test_refusals_are_errors() -> None:
    class No:
        name = "no"

        async def stream(self, request: Request) -> Any:
            yield TextDelta("I will not")
            yield Finished("refusal")

    run = walk(graph_of(Agent("a", model=No())), "x")
    assert isinstance(run.error, ModelError)
    assert "refused" in str(run.error)
    assert "run.end" in kinds(run)


def test_twice_the_same_events_from_the_journal_and_live() -> None:
    """What follows from the facts is the same whether it was told live or derived afterwards."""
    script = [calls("divide", a=4, b=2), "done"]
    live = walk(
        graph_of(Agent("a", tools=[divide])), "go", model=ScriptedModel(*script), observed=True
    )
    later = walk(
        graph_of(Agent("a", tools=[divide])),
        "go",
        model=ScriptedModel(*[calls("divide", a=4, b=2), "done"]),
    )
    assert [k for k in kinds(live) if k != "model.delta"] == kinds(later)
