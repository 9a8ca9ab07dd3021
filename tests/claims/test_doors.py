"""Claims at every door by which something begins: code, skills, servers, sub-agents in each isolation, tools of states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphflow import (
    END,
    MCP,
    START,
    Agent,
    Apart,
    AtMost,
    Before,
    Code,
    Context,
    Exactly,
    Graph,
    Never,
    Skills,
    State,
    SubAgent,
    node,
    tool,
)
from graphflow.errors import ClaimRefused
from graphflow.events import CallFailed
from graphflow.merges import extend
from graphflow.model.turns import ToolTurn
from graphflow.run import Run
from graphflow.testing import ScriptedModel, both, calls
from tests.conftest import walk
from tests.leftovers import children
from tests.mcp.servers import dynamic
from tests.waiting import until


@tool
async def approve(order: int) -> int:
    """Approves."""
    return order


@tool
async def refund(order: int) -> int:
    """Pays back."""
    return order


def ended(run: Run[Any], name: str) -> int:
    """How many calls of that name have answered."""
    return sum(event.kind == "call.end" and event.node == name for event in run.events)


def refused(run: Run[Any]) -> list[str]:
    """Whose calls were refused by a claim."""
    found: list[str] = []
    for event in run.events:
        if isinstance(event, CallFailed) and isinstance(event.error, ClaimRefused):
            found.append(event.node)
    return found


def results(model: ScriptedModel) -> list[str]:
    """What a model was told of its calls."""
    found: list[str] = []
    for turn in model.requests[-1].turns:
        if isinstance(turn, ToolTurn):
            found += [str(result.content) for result in turn.results]
    return found


def offered(model: ScriptedModel) -> list[list[str]]:
    return [[spec.name for spec in request.tools] for request in model.requests]


# -- code that a model writes ----------------------------------------------------------------------
def test_code_of_a_model_is_refused_and_its_model_goes_on() -> None:
    boss = Agent("boss", input=str, tools=[Code(calls=[approve, refund])])
    hasty = "refund(order=1)"
    careful = """
approve(order=1)
paid = refund(order=1)
try:
    refund(order=2)
except Exception as error:
    print(error)
paid
"""
    model = ScriptedModel(
        calls("run_python", code=hasty), calls("run_python", code=careful), "paid"
    )
    claims = [Before("approve", "refund"), AtMost("run_python > refund", 1)]
    run = walk(Graph("g", START >> boss >> END, claims=claims), "go", model=model)
    assert run.output == "paid", run.error
    first, second = results(model)
    assert "call it first, then 'refund'" in first
    assert "used up" in second
    assert (ended(run, "refund"), refused(run)) == (1, ["refund", "refund"])
    until(lambda: not children())


def test_code_on_an_arrow_is_held_to_claims_as_well() -> None:
    code = Code("code", calls=[refund])
    graph = Graph("g", START >> code >> END, claims=[AtMost("refund", 2)])
    run = walk(graph, "for number in range(3):\n    refund(order=number)")
    assert run.status == "failed"
    assert (ended(run, "refund"), refused(run)) == (2, ["refund"])
    until(lambda: not children())


# -- skills ----------------------------------------------------------------------------------------
def test_scripts_of_skills_count(tmp_path: Path) -> None:
    folder = tmp_path / "weigh"
    (folder / "scripts").mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: weigh\ndescription: How to weigh.\n---\nWeigh.")
    (folder / "scripts" / "go.py").write_text("6 * 7")

    @tool
    async def runner(code: str, arguments: list[str]) -> str:
        """Runs a script."""
        return code

    skills = Skills(folder, runner=runner)
    agent = Agent("baker", input=str, tools=[skills, approve])
    script = calls("skill", skill="weigh", file="scripts/go.py", run=True)
    model = ScriptedModel(script, calls("approve", order=1), script, script, "end")
    claims = [Before("approve", "runner"), AtMost("skill > runner", 1)]
    run = walk(Graph("g", START >> agent >> END, claims=claims), "go", model=model)
    assert run.output == "end", run.error
    assert refused(run) == ["runner", "skill", "runner", "skill"]
    assert ended(run, "runner") == 1
    assert "call it first" in results(model)[0]


# -- servers ---------------------------------------------------------------------------------------
def test_tools_of_a_server_are_held_to_claims_under_each_of_their_names() -> None:
    server = MCP("dynamic", dynamic(), prefix="srv_")
    agent = Agent("agent", input=str, mcp=[server], tools=[approve])
    claims = [Before("approve", "ask"), AtMost("srv_ask", 1), Never("dynamic", after="srv_ask")]
    graph = Graph("g", START >> agent >> END, claims=claims)
    ask = calls("srv_ask", q="what")
    model = ScriptedModel(ask, calls("approve", order=1), ask, ask, calls("srv_whoami"), "end")
    run = walk(graph, "go", model=model)
    assert run.output == "end", run.error
    assert ended(run, "srv_ask") == 1, results(model)
    assert refused(run) == ["srv_ask", "srv_ask", "srv_whoami"]
    assert ["srv_ask" in names for names in offered(model)] == [
        False,
        False,
        True,
        False,
        False,
        False,
    ]
    until(lambda: not children())


# -- sub-agents ------------------------------------------------------------------------------------
WAIT = {
    "isolated": False,
    "shared": False,
    "forked": False,
    "isolated in the background": True,
    "forked in the background": True,
}


@pytest.mark.parametrize("way", WAIT)
def test_sub_agents_count_in_each_isolation(way: str) -> None:
    """The helper pays first: what its caller pays then is the second refund, and it approves for its caller."""
    in_background = WAIT[way]
    helper = Agent(
        "helper",
        input=str,
        tools=[refund, approve],
        model=ScriptedModel(
            calls("refund", order=1),
            calls("approve", order=1),
            calls("refund", order=2),
            "approved",
        ),
    )
    isolation: Any = way.split()[0]
    boss = Agent(
        "boss",
        input=str,
        tools=[refund],
        sub_agents=[SubAgent(helper, isolation=isolation, background=in_background)],
    )
    awaits = [calls("background", handle="helper-1", action="await")] if in_background else []
    model = ScriptedModel(
        calls("refund", order=3),
        calls("helper", input="approve"),
        *awaits,
        calls("refund", order=4),
        calls("refund", order=5),
        "end",
    )
    claims = [
        Before("helper > approve", "refund"),
        AtMost("refund", 2),
        Apart("helper", "boss > refund"),
    ]
    run = walk(Graph("g", START >> boss >> END, claims=claims), "go", model=model)
    assert run.output == "end", run.error
    assert (ended(run, "refund"), ended(run, "approve")) == (2, 1)
    assert refused(run) == ["refund", "refund", "refund"]
    assert "refund" not in offered(model)[0]
    assert "refund" in offered(model)[-3]
    assert "refund" not in offered(model)[-1]


def test_what_an_agent_within_a_graph_that_is_called_does_counts() -> None:
    clerk = Agent(
        "clerk", input=str, tools=[refund], model=ScriptedModel(calls("refund", order=1), "paid")
    )
    office = Graph("office", START >> clerk >> END)
    boss = Agent("boss", input=str, tools=[refund], sub_agents=[office])
    model = ScriptedModel(calls("office", input="x"), calls("refund", order=2), "end")
    claims = [AtMost("refund", 1), Exactly("office > clerk", 1)]
    run = walk(Graph("g", START >> boss >> END, claims=claims), "go", model=model)
    assert run.output == "end", run.error
    assert (ended(run, "refund"), refused(run)) == (1, ["refund"])


# -- tools of states -------------------------------------------------------------------------------
def test_tools_that_write_a_state_are_held_to_claims() -> None:
    notes = State("notes", list[str], start=[], merge=extend)
    agent = Agent("agent", input=str, adds=[notes])
    write = calls("add_to_notes", value=["x"])
    model = ScriptedModel(write, both(write, write), "end")
    graph = Graph("g", START >> agent >> END, state=[notes], claims=[AtMost("add_to_notes", 2)])
    run = walk(graph, "go", model=model)
    assert run.output == "end", run.error
    assert run.state[notes] == ["x", "x"]
    assert refused(run) == ["add_to_notes"]


def test_a_write_of_a_call_that_was_refused_is_none() -> None:
    notes = State("notes", list[int], start=[], merge=extend)

    @tool(adds=[notes])
    async def note(order: int, ctx: Context) -> int:
        """Notes."""
        ctx.add(notes, [order])
        return order

    @node(calls=[note, approve], reads=[notes])
    async def work(text: str, ctx: Context) -> str:
        with pytest.raises(ClaimRefused):
            await ctx.call(note, {"order": 1})
        await ctx.call(approve, {"order": 1})
        await ctx.call(note, {"order": 2})
        return str(ctx.read(notes))

    graph = Graph("g", START >> work >> END, state=[notes], claims=[Before("approve", "note")])
    run = graph.run_sync("x")
    assert (run.output, run.state[notes]) == ("[2]", [2])
