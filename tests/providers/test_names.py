"""Names as people write them, and as model APIs take them: every wire, hand-overs, histories, records."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, Handoff, Policy, SubAgent, node, tool
from graphflow.events import CallFinished, CallStarted, HandedOver
from graphflow.kinds.wire_names import WireNames
from graphflow.model.seam import Request
from graphflow.model.turns import AssistantTurn, ToolTurn
from graphflow.testing import ScriptedModel, both, calls
from tests.conftest import walk
from tests.providers.reach import TARGETS, model, server
from tests.strict import Answer

# 75 characters.
LONG = "the clerk who knows each price of each thing in each shop of the whole town"
EVERY_API = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


@tool(name="price clerk")
async def price_clerk(item: str) -> str:
    """Tell a price."""
    return f"{item} costs 3"


@tool
async def price_clerk_2(item: str) -> str:
    """Tell another price."""
    return f"{item} costs 4"


twin = price_clerk_2.named("price_clerk")
cafe = price_clerk_2.named("café")
digit = price_clerk_2.named("2nd clerk")
characters = price_clerk_2.named("价格")
longest, also_long = price_clerk_2.named(LONG), price_clerk_2.named(LONG + " and the next")
ODD = (price_clerk, twin, cafe, digit, characters, longest, also_long)


def sent_names(request: Request) -> list[str]:
    """Every name of a tool that a request has: what is offered, and what stands in the history."""
    names = [spec.name for spec in request.tools]
    for turn in request.turns:
        if isinstance(turn, AssistantTurn):
            names += [call.name for call in turn.calls] + [
                part.name for part in turn.parts if hasattr(part, "name")
            ]
        if isinstance(turn, ToolTurn):
            names += [result.name for result in turn.results]
    return names


@pytest.mark.parametrize("provider", TARGETS)
def test_every_wire_takes_every_name(provider: str) -> None:
    spelled = WireNames(each.name for each in ODD)
    asked = tuple((spelled.spelling(each.name), {"item": "tea"}) for each in ODD)
    agent = Agent(
        "café owner", tools=ODD, tool_choice="price clerk" if provider != "ollama" else None
    )
    with server(provider, [Answer(calls=asked), Answer(text="done")]) as strict:
        run = walk(
            Graph("the whole town", START >> agent >> END),
            "how much?",
            model=model(provider, strict),
        )
        assert strict.refused == []
        assert run.output == "done"
    called = [event.node for event in run.events if isinstance(event, CallFinished)]
    assert sorted(called) == sorted(each.name for each in ODD)


def test_the_record_knows_only_what_the_user_wrote() -> None:
    asked = ScriptedModel(calls("price_clerk", item="tea"), "done")
    seen: list[str] = []

    def judge(use: Any) -> None:
        seen.append(use.node)

    agent = Agent("a", tools=[price_clerk])
    run = walk(Graph("g", START >> agent >> END), "x", model=asked, policy=Policy(check=judge))
    assert run.output == "done"
    assert seen == ["price clerk"]
    assert [e.node for e in run.events if isinstance(e, (CallStarted, CallFinished))] == [
        "price clerk"
    ] * 2
    assert [step.node for step in run.steps] == ["price clerk", "a"]
    assert sent_names(asked.requests[0]) == ["price_clerk"]
    assert sent_names(asked.requests[1]) == ["price_clerk"] * 3


def test_a_policy_names_the_node_and_not_its_spelling() -> None:
    agent = Agent("a", tools=[price_clerk, cafe])
    for denied in ("price clerk", "price_clerk"):
        asked = ScriptedModel("done")
        walk(Graph("g", START >> agent >> END), "x", model=asked, policy=Policy(deny=[denied]))
        offered = ["cafe"] if denied == "price clerk" else ["price_clerk", "cafe"]
        assert sent_names(asked.requests[0]) == offered


def test_a_fitting_name_keeps_its_spelling() -> None:
    for order in (["price clerk", "price_clerk"], ["price_clerk", "price clerk"]):
        names = WireNames(order)
        assert names.spelling("price_clerk") == "price_clerk"
        assert names.name("price_clerk") == "price_clerk"
        assert names.name(names.spelling("price clerk")) == "price clerk"


@pytest.mark.parametrize("late", [True, False], ids=["one by one", "all at once"])
def test_spellings_are_unique_lasting_and_reversible(late: bool) -> None:
    odd = [
        *(
            "a b",
            "a.b",
            "a/b",
            "a_b",
            "ä b",
            "1",
            "-",
            "",
            "é",
            "e",
            "价格",
            "格价",
            "_",
            "tool",
            "\ud800",
            "a" * 64,
        ),
        *(
            LONG,
            LONG + "2",
            LONG[:64],
            "price clerk",
            "Price clerk",
            "final answer",
            "final_answer",
            "a" * 65,
        ),
    ]
    names = WireNames(() if late else odd)
    first: dict[str, str] = {}
    for name in odd:
        names.learn([name])
        first[name] = names.spelling(name)
    assert [names.spelling(name) for name in odd] == [first[name] for name in odd]
    assert len(set(first.values())) == len(odd)
    for name in odd:
        assert EVERY_API.fullmatch(first[name]), name
        assert names.name(first[name]) == name


def test_a_hand_over_is_spelled_too() -> None:
    clerk = Agent("café clerk", input=str)
    desk = Agent("the desk", handoffs=[clerk, Handoff(Agent(LONG, input=str), conversation=True)])
    asked = ScriptedModel(calls("transfer_to_cafe_clerk", input="over to you"), "mine")
    run = walk(Graph("g", START >> desk >> END), "x", model=asked)
    assert run.output == "mine"
    assert [event.target for event in run.events if isinstance(event, HandedOver)] == ["café clerk"]
    assert all(EVERY_API.fullmatch(name) for name in sent_names(asked.requests[0]))


@pytest.mark.parametrize("provider", TARGETS)
def test_a_history_that_travels_is_spelled_too(provider: str) -> None:
    """Calls of an earlier agent stand in the history of the one that takes over, or of one that joins in."""
    second = Agent("the second", input=str, tools=[price_clerk])
    first = Agent("the first", tools=[price_clerk], handoffs=[Handoff(second, conversation=True)])
    script = [
        Answer(calls=(("price_clerk", {"item": "tea"}),)),
        Answer(calls=(("transfer_to_the_second", {"input": "go on"}),)),
        Answer(calls=(("price_clerk", {"item": "oil"}),)),
        Answer(text="done"),
    ]
    with server(provider, script) as strict:
        run = walk(Graph("g", START >> first >> END), "x", model=model(provider, strict))
        assert strict.refused == []
        assert run.output == "done"


def test_a_sub_agent_that_joins_the_conversation_reads_the_same_names() -> None:
    joined = SubAgent(Agent("second eye", input=str, tools=[price_clerk]), isolation="forked")
    asked = ScriptedModel(
        calls("price_clerk", item="tea"),
        calls("second_eye", input="look"),
        calls("price_clerk", item="oil"),
        "b",
        "a",
    )
    run = walk(
        Graph("g", START >> Agent("a", tools=[price_clerk], sub_agents=[joined]) >> END),
        "x",
        model=asked,
    )
    assert run.output == "a"
    assert all(
        EVERY_API.fullmatch(name) for request in asked.requests for name in sent_names(request)
    )


@pytest.mark.parametrize("provider", TARGETS)
def test_a_name_that_a_model_has_made_up_does_not_break_the_history(provider: str) -> None:
    agent = Agent("a", tools=[price_clerk])
    with server(provider, [Answer(text="done")]) as strict:
        there = model(provider, strict)

        class Inventive:
            """The first answer names tools that nobody has, as some models do; the next ones come over the wire."""

            name = "inventive"

            def __init__(self) -> None:
                self.made_up = ScriptedModel(
                    both(
                        calls("functions.price clerk", item="tea"),
                        calls("价", item="tea"),
                        calls("price clerk", item="x"),
                    )
                )

            def stream(self, request: Request) -> Any:
                return (self.made_up if self.made_up.left else there).stream(request)

        run = walk(Graph("g", START >> agent >> END), "x", model=Inventive())
        assert strict.refused == []
        assert run.output == "done"
    # What the user wrote is understood, too.
    assert [step.node for step in run.steps] == ["price clerk", "a"]


def test_turns_are_encoded_once_although_their_names_are_spelled() -> None:
    asked = ScriptedModel(
        calls("price_clerk", item="tea"), calls("price_clerk", item="oil"), "done"
    )
    walk(Graph("g", START >> Agent("a", tools=[price_clerk]) >> END), "x", model=asked)
    second, third = (request.turns for request in asked.requests[1:])
    assert all(one is other for one, other in zip(second, third, strict=False))


@pytest.mark.parametrize("command", ["claude-code", "codex", "auggie"])
def test_a_command_line_model_reads_spelled_names(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import os

    from graphflow import connect

    stand_ins = Path(__file__).parents[1] / "stand_ins"
    monkeypatch.setenv("PATH", f"{stand_ins}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("STAND_IN_PIDS", str(tmp_path / "pids"))
    run = walk(
        Graph("g", START >> Agent("a", tools=[price_clerk]) >> END),
        "x",
        model=connect(f"{command}:default", options={"env": ["STAND_IN*"]}),
    )
    assert run.error is None
    told = json.dumps(json.loads((tmp_path / "log").read_text().splitlines()[0]))
    assert "price_clerk" in told
    assert "price clerk" not in told


def test_the_embedded_model_reads_spelled_names() -> None:
    from graphflow.providers.embedded.local_model import render_request

    asked = ScriptedModel(calls("price_clerk", item="tea"), "done")
    walk(Graph("g", START >> Agent("a", tools=[price_clerk]) >> END), "x", model=asked)
    rendered = json.dumps(render_request(asked.requests[1]))
    assert "price_clerk" in rendered
    assert "price clerk" not in rendered


def test_a_graph_is_served_under_a_spelled_name() -> None:
    pytest.importorskip("mcp")
    from graphflow.server.mcp import GraphServer

    @node
    async def same(text: str) -> str:
        return text

    graphs = [Graph(name, START >> same >> END) for name in ("price clerk", "price.clerk", "desk")]
    served = GraphServer(graphs).graphs
    assert list(served.values()) == graphs
    assert all(EVERY_API.fullmatch(name) for name in served)
