"""Back to who answered last: a message of a conversation goes to the node that gave the last answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Graph,
    GraphError,
    Human,
    Router,
    Store,
    errors,
    node,
)
from graphflow.events import RouteDecided
from graphflow.files import load_graph
from graphflow.files.dump import dump_graph
from graphflow.run import Run
from graphflow.testing import ComputedModel, ScriptedModel, calls, says
from tests.journal.keeping import everywhere, within

again: Router[str, str] = Router(
    "again", input=str, back_to=["billing", "support"], otherwise="front"
)
front: Router[str, str] = Router(
    "front",
    input=str,
    guards={"billing": lambda text: "bill" in text},
    otherwise="support",
)
billing, support = Agent("billing"), Agent("support")


def desk_named(name: str) -> Graph[str, str]:
    return Graph(
        name,
        START >> again,
        again["billing"] >> billing >> END,
        again["support"] >> support >> END,
        again["front"] >> front,
        front["billing"] >> billing,
        front["support"] >> support,
    )


desk = desk_named("desk")


def ways(run: Run[Any]) -> list[str]:
    """What routers have chosen, and why."""
    return [
        f"{each.choice}: {each.reason}" for each in run.events if isinstance(each, RouteDecided)
    ]


def echoing() -> ComputedModel:
    return ComputedModel(lambda request: f"{len(request.turns)} turns")


@everywhere
def test_a_message_goes_back_to_who_answered_last(address: str) -> None:
    async def work(store: Store) -> None:
        chat = desk.chat("user:42", store=store, model=echoing())
        first = await chat.say("my bill is wrong")
        assert ways(first) == ["front: nobody has answered before", "billing: guard of 'billing'"]
        second = await chat.say("yes, do that")
        assert ways(second) == ["billing: 'billing' has answered last"]
        assert second.output == "3 turns"
        await chat.undo(2)
        third = await chat.say("it is broken")
        assert ways(third) == ["front: nobody has answered before", "support: no guard holds"]
        fourth = await chat.say("my bill is wrong")
        assert ways(fourth) == ["support: 'support' has answered last"]
        copy = await chat.fork("other", at=0)
        assert ways(await copy.say("a bill"))[0] == "front: nobody has answered before"
        assert [each.by for each in await chat.history()] == ["desk > support"] * 2

    within(address, work)


def test_who_has_answered_is_told_to_any_node() -> None:
    told: list[str | None] = []

    @node(effects=[])
    def ask(text: str, ctx: Context) -> str:
        told.append(ctx.answered_last)
        return text

    inner = Graph("inner", START >> ask >> Agent("clerk") >> END)
    outer = Graph("outer", START >> ask >> inner >> END)

    async def work(store: Store) -> None:
        chat = outer.chat("a", store=store, model=echoing())
        await chat.say("one")
        await chat.say("two")
        await outer.run("three", model=echoing())
        await outer.run("four", model=echoing(), history=[])

    within("memory:", work)
    assert told == [None, None, "inner", "clerk", None, None, None, None]


@everywhere
def test_a_run_that_goes_on_later_is_where_it_was(address: str) -> None:
    graph = Graph(
        "asks",
        START >> again,
        again["billing"] >> billing >> END,
        again["support"] >> support >> END,
        again["front"] >> Human("editor", input=str, output=str) >> front,
        front["billing"] >> billing,
        front["support"] >> support,
    )

    async def work(store: Store) -> None:
        chat = graph.chat("user:42", store=store, model=echoing())
        waits = await chat.say("hello")
        assert waits.status == "waiting"
        first = await chat.answer("my bill")
        assert ways(first) == ["front: nobody has answered before", "billing: guard of 'billing'"]
        second = await chat.say("and now?", id="second")
        await chat.say("thanks")
        stored = await store.load(second.id, graph)
        assert ways(stored) == ways(second) == ["billing: 'billing' has answered last"]
        forked = await graph.fork(second.id, store=store, model=echoing())
        assert ways(forked) == ways(second)

    within(address, work)


def test_who_has_answered_can_be_a_stage_of_a_cascade() -> None:
    stage: Router[str, str] = Router("again", input=str, back_to=["billing", "support"])
    by_words: Router[str, str] = Router(
        "words", input=str, guards={"billing": lambda text: "bill" in text}
    )
    way: Router[str, str] = Router("way", input=str, cascade=[stage, by_words], otherwise="support")
    graph = Graph(
        "desk", START >> way, way["billing"] >> billing >> END, way["support"] >> support >> END
    )

    async def work(store: Store) -> None:
        chat = graph.chat("a", store=store, model=echoing())
        first = await chat.say("my bill")
        assert ways(first) == [
            "billing: again: nobody has answered before; words: guard of 'billing'"
        ]
        second = await chat.say("yes")
        assert ways(second) == ["billing: again: 'billing' has answered last"]

    within("memory:", work)


def test_its_labels_are_proven() -> None:
    with pytest.raises(GraphError, match=r"'again'.*'support'"):
        Graph("g", START >> again, again["billing"] >> billing >> END, again["front"] >> billing)
    short: Router[str, str] = Router("short", input=str, back_to=["billing", "support"])
    with pytest.raises(GraphError, match="where none of them has answered last nothing is chosen"):
        Graph(
            "g",
            START >> short,
            short["billing"] >> billing >> END,
            short["support"] >> support >> END,
        )
    odd: Router[str, str] = Router("odd", input=str, back_to=["biling"], otherwise="support")
    with pytest.raises(GraphError, match="'biling', and no node of this graph is called so"):
        Graph("g", START >> odd, odd["biling"] >> billing >> END, odd["support"] >> support >> END)
    with pytest.raises(errors.DeclarationError, match="it decides by one of them"):
        Router("two", back_to=["a", "b"], guards={"c": bool})


def test_a_file_says_it_too(tmp_path: Path) -> None:
    plain = Graph(
        "plain",
        START >> again,
        again["billing"] >> billing >> END,
        again["support"] >> support >> END,
        again["front"] >> support,
    )
    path = tmp_path / "plain.yaml"
    text = dump_graph(plain)
    assert "back_to:\n    - billing\n    - support" in text
    path.write_text(text, encoding="utf-8")
    assert load_graph(path, Graph) == plain


def test_who_was_handed_over_to_is_who_answers() -> None:
    first = Agent("billing", handoffs=[support])
    graph = Graph(
        "desk",
        START >> again,
        [again["front"], again["billing"]] >> first >> END,
        [again["support"]] >> support >> END,
    )
    model = ScriptedModel(
        calls("transfer_to_support", input="it is broken"),
        says("I am support."),
        says("Still here."),
    )

    async def work(store: Store) -> None:
        chat = graph.chat("a", store=store, model=model)
        await chat.say("it is broken")
        second = await chat.say("yes")
        assert ways(second) == ["support: 'support' has answered last"]
        assert second.output == "Still here."

    within("memory:", work)
