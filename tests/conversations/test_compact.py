"""Conversations that somebody has compacted: agents are shown less of them, and nothing is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphflow import END, START, Agent, Graph, HeadTail, Human, Store, Summarise, errors, node
from graphflow.chat import Chat
from graphflow.events import CompactionFinished, CompactionStarted, ModelStarted
from graphflow.model.seam import Request
from graphflow.model.turns import AssistantTurn, UserTurn
from graphflow.run import Run
from graphflow.testing import ComputedModel, says
from tests.journal.keeping import everywhere, within

desk = Graph("desk", START >> Agent("clerk") >> END)


def echoing() -> ComputedModel:
    return ComputedModel(lambda request: f"after {request.turns[-1].text}")  # type: ignore[union-attr]


def chat_of(graph: Graph[Any, Any], store: Store, model: Any = None) -> Chat[Any, Any]:
    return graph.chat("user:42", store=store, model=model or echoing())


async def say_all(chat: Chat[Any, Any], *messages: str) -> None:
    for message in messages:
        await chat.say(message)


def shown(request: Request) -> list[str]:
    """What a model was shown, as texts."""
    return [turn.text for turn in request.turns if isinstance(turn, (UserTurn, AssistantTurn))]


def whys(run: Run[Any]) -> list[str]:
    return [event.why for event in run.events if isinstance(event, CompactionStarted)]


@everywhere
def test_agents_are_shown_the_last_exchange_and_nothing_is_lost(address: str) -> None:
    async def work(store: Store) -> None:
        model = echoing()
        chat = chat_of(desk, store, model)
        await say_all(chat, "one", "two", "three")
        compacted = await chat.compact()
        assert (compacted.exchanges, compacted.shown) == (2, 1)
        [view] = compacted.views
        assert view.place == "desk > clerk"
        assert (view.before.turns, view.after.turns) == (6, 2)
        assert view.after.tokens < view.before.tokens
        assert not view.sums_up
        run = await chat.say("four")
        assert shown(model.requests[-1]) == ["three", "after three", "four"]
        assert whys(run) == ["demand"]
        run = await chat.say("five")
        assert shown(model.requests[-1]) == ["three", "after three", "four", "after four", "five"]
        assert whys(run) == ["before"]
        history = await chat.history()
        assert [each.message for each in history] == ["one", "two", "three", "four", "five"]
        assert "two" in await chat.export()
        assert (await chat.compact(5)).exchanges == 0
        assert (await chat.compact(0)).exchanges == 3
        await chat.say("six")
        assert shown(model.requests[-1]) == ["six"]

    within(address, work)


@everywhere
def test_a_cut_goes_with_the_exchanges_that_it_lies_at(address: str) -> None:
    async def work(store: Store) -> None:
        model = echoing()
        chat = chat_of(desk, store, model)
        await say_all(chat, "one", "two", "three", "four")
        await chat.compact(3)
        await chat.compact(0)
        early = await chat.fork("early", at=2)
        late = await chat.fork("late")
        await early.say("five")
        assert shown(model.requests[-1]) == ["two", "after two", "five"]
        await late.say("five")
        assert shown(model.requests[-1]) == ["five"]
        await chat.undo()
        renamed = await chat.rename("user:43")
        await renamed.say("five")
        assert shown(model.requests[-1])[:2] == ["two", "after two"]
        await renamed.undo(4)
        await say_all(renamed, "again", "and again")
        assert shown(model.requests[-1]) == ["again", "after again", "and again"]

    within(address, work)


def test_pins_and_first_exchanges_stay() -> None:
    async def work(store: Store) -> None:
        model = echoing()
        clerk = Agent("clerk", context=HeadTail(pins=["order 17"]))
        chat = chat_of(Graph("pinned", START >> clerk >> END), store, model)
        await say_all(chat, "one", "two", "it is order 17", "three", "four")
        [view] = (await chat.compact()).views
        assert (view.before.turns, view.after.turns) == (10, 6)
        await chat.say("five")
        asked = [text for text in shown(model.requests[-1]) if not text.startswith("after")]
        assert asked == ["one", "it is order 17", "four", "five"]

    within("memory:", work)


def test_a_function_chooses_from_what_is_left() -> None:
    def newest(turns: Any, room: Any) -> Any:
        return turns

    async def work(store: Store) -> None:
        model = echoing()
        clerk = Agent("clerk", context=newest, examples=[("ping", "pong")])
        chat = chat_of(Graph("chosen", START >> clerk >> END), store, model)
        await say_all(chat, "one", "two")
        await chat.compact()
        await chat.say("three")
        assert shown(model.requests[-1]) == ["ping", "pong", "two", "after two", "three"]

    within("memory:", work)


def summing_up(request: Request) -> Any:
    last = request.turns[-1]
    assert isinstance(last, UserTurn)
    if "<conversation>" in last.text:
        words = [word for word in ("one", "two", "three", "four") if f"User: {word}" in last.text]
        before = last.text.partition("<summary so far>\n")[2].partition("\n</summary")[0]
        return says(f"{before} said {words}".strip())
    return says(f"after {last.text}")


@everywhere
def test_a_model_sums_up_what_is_left_out_once(address: str) -> None:
    """As part of the next run: in its record, and counted."""
    clerk = Agent("clerk", context=Summarise(words=30))
    graph = Graph("summing", START >> clerk >> END)

    async def work(store: Store) -> None:
        model = ComputedModel(summing_up)
        chat = chat_of(graph, store, model)
        await say_all(chat, "one", "two", "three")
        assert (await chat.compact()).views[0].sums_up
        assert len(model.requests) == 3
        run = await chat.say("four")
        assert len([each for each in run.events if isinstance(each, ModelStarted)]) == 2
        assert run.usage.model_calls == 2
        assert whys(run) == ["demand"]
        [done] = [each for each in run.events if isinstance(each, CompactionFinished)]
        assert done.left_out["summary"] == "said ['one', 'two']"
        assert shown(model.requests[-1])[1:3] == ["said ['one', 'two']", "three"]
        run = await chat.say("five")
        assert run.usage.model_calls == 1
        assert shown(model.requests[-1])[1:3] == ["said ['one', 'two']", "three"]
        assert (await chat.compact()).views[0].sums_up
        await chat.say("six")
        assert shown(model.requests[-1])[1] == "said ['one', 'two'] said ['three', 'four']"
        # Undone, the summary that was made in it is gone, and the cut stays: it is made again.
        await chat.undo()
        run = await chat.say("seven")
        assert run.usage.model_calls == 2

    within(address, work)


@everywhere
def test_what_is_under_way_or_waits_is_not_compacted(address: str) -> None:
    writer = Agent("writer")
    letters = Graph("letters", START >> writer >> Human("editor", input=str, output=str) >> END)

    async def work(store: Store) -> None:
        chat = chat_of(letters, store)
        with pytest.raises(errors.ConversationUnknown):
            await chat.compact()
        await chat.say("one")
        await chat.answer("fine")
        await chat.say("two")
        with pytest.raises(errors.ConversationBusy) as busy:
            await chat.compact()
        assert busy.value.questions
        await chat.answer("fine")
        assert (await chat.compact(0)).exchanges == 2
        wrong: Any = "1"
        for keep in (wrong, -1, True):
            with pytest.raises(errors.DeclarationError, match="from 0"):
                await chat.compact(keep)

    within(address, work)


def test_a_run_goes_on_with_the_cut_that_it_began_with() -> None:
    """It is stopped behind the first of two agents; meanwhile somebody compacts."""
    stopped = asyncio.Event()
    goes_on = False

    @node(effects=[])
    async def gate(text: str) -> str:
        if text == "after three" and not goes_on:
            stopped.set()
            await asyncio.Event().wait()
        return text

    second = Agent("second", remembers="talk")
    both = Graph("both", START >> Agent("first") >> gate >> second >> END)

    async def work(store: Store) -> None:
        nonlocal goes_on
        model = echoing()
        chat = chat_of(both, store, model)
        await say_all(chat, "one", "two")
        await chat.compact()
        under_way = chat.start("three", id="third")
        await stopped.wait()
        with pytest.raises(errors.ConversationBusy):
            await chat.compact(0)
        under_way.cancel()
        await under_way.settled()
        await chat.compact(0)
        goes_on = True
        run = await chat.say("three", id="third")
        assert shown(model.requests[-1])[:2] == ["after two", "after after two"]
        fork = await both.fork(run.id, at="second", store=store, model=model)
        assert fork.output == run.output
        assert shown(model.requests[-1])[:2] == ["after two", "after after two"]
        await chat.say("four")
        assert shown(model.requests[-1])[:2] == ["after three", "after after three"]

    within("memory:", work)


@given(st.lists(st.one_of(st.sampled_from(["say", "undo"]), st.integers(0, 4)), max_size=12))
@settings(max_examples=30, deadline=None)
def test_an_agent_is_shown_what_lies_behind_the_newest_cut(steps: list[str | int]) -> None:
    async def work(store: Store) -> None:
        model = echoing()
        chat = chat_of(desk, store, model)
        said: list[str] = []
        cuts: list[int] = []

        async def say() -> None:
            message = f"message {len(said)}"
            await chat.say(message)
            asked = [text for text in shown(model.requests[-1]) if not text.startswith("after")]
            assert asked == [*said[max(cuts, default=0) :], message]
            said.append(message)

        await say()
        for step in steps:
            if step == "say":
                await say()
            elif step == "undo":
                if len(said) > 1:
                    await chat.undo()
                    said.pop()
                    cuts[:] = [cut for cut in cuts if cut <= len(said)]
            else:
                assert isinstance(step, int)
                cut = len(said) - step
                compacted = await chat.compact(step)
                left_out = max(0, cut - max(cuts, default=0))
                assert compacted.exchanges == left_out
                if left_out:
                    cuts.append(cut)
        await say()

    within("memory:", work)
