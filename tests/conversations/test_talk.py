"""Runs in a conversation: what is kept of them, what the next one is shown, and who has the conversation meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, Handoff, Human, Limits, Store, errors, node, tool
from graphflow.events import RunEnded
from graphflow.journal.exchanges import ConversationChange
from graphflow.journal.stores.memory import MemoryStore
from graphflow.model.turns import AssistantTurn, ToolTurn, Turn, UserTurn
from graphflow.testing import ScriptedModel, calls, fails, gives, hangs, says
from tests.journal.keeping import everywhere, within
from tests.waiting import eventually

clerk = Agent("clerk", system="Be brief.")
desk = Graph("desk", START >> clerk >> END)


def texts(turns: tuple[Turn, ...]) -> list[str]:
    """What was said, and by whom."""
    shown: list[str] = []
    for turn in turns:
        match turn:
            case UserTurn():
                shown.append(f"user: {turn.text}")
            case AssistantTurn():
                made = [f"{call.name}({call.arguments})" for call in turn.calls]
                shown.append(" ".join(filter(None, ["agent:", turn.text, *made])))
            case ToolTurn():
                shown += [f"{result.name}: {result.text}" for result in turn.results]
    return shown


@everywhere
def test_a_run_is_shown_what_was_said_before(address: str) -> None:
    model = ScriptedModel(says("Hello Anna."), says("You are Anna."), says("Who are you?"))

    async def work(store: Store) -> None:
        options = {"model": model, "store": store}
        await desk.run("I am Anna.", conversation="user:1", **options)
        await desk.run("Who am I?", conversation="user:1", **options)
        await desk.run("Who am I?", conversation="user:2", **options)

    within(address, work)
    assert [texts(request.turns) for request in model.requests] == [
        ["user: I am Anna."],
        ["user: I am Anna.", "agent: Hello Anna.", "user: Who am I?"],
        ["user: Who am I?"],
    ]


@everywhere
def test_the_same_id_again_is_the_recorded_exchange_even_if_its_run_is_gone(address: str) -> None:
    model = ScriptedModel(says("Hello Anna."))

    async def work(store: Store) -> None:
        options = {"model": model, "store": store, "conversation": "user:1", "id": "message 1"}
        first = await desk.run("I am Anna.", **options)
        again = await desk.run("I am Anna.", **options)
        await store.delete("message 1")
        recalled = await desk.run("I am Anna.", **options)
        assert {run.output for run in (first, again, recalled)} == {"Hello Anna."}
        assert recalled.status == "completed"
        assert recalled.id == "message 1"
        assert [type(event) for event in recalled.events][-1] is RunEnded
        with pytest.raises(errors.RunExists, match="another message"):
            await desk.run("I am Berta.", **options)
        assert len(await desk.chat("user:1", store=store).history()) == 1

    within(address, work)
    model.done()


def test_an_id_belongs_to_one_conversation() -> None:
    async def work(store: Store) -> None:
        model = ScriptedModel(says("Hello."))
        await desk.run("Hi", conversation="a", id="1", model=model, store=store)
        with pytest.raises(errors.RunExists, match="none of conversation 'b'"):
            await desk.run("Hi", conversation="b", id="1", model=model, store=store)

    within("memory:", work)


def test_what_failed_was_limited_or_cancelled_leaves_the_conversation_as_it_was() -> None:
    model = ScriptedModel(
        says("Hello."),
        fails(errors.BadRequest("no")),
        says("never"),
        hangs(when="wait"),
        says("Still here."),
    )

    async def work(store: Store) -> None:
        chat = desk.chat("a", store=store, model=model)
        await chat.say("Hi")
        with pytest.raises(errors.BadRequest):
            await chat.say("fails")
        with pytest.raises(errors.LimitExceeded):
            await chat.say("limited", limits=Limits(model_calls=0))
        model.left.pop(0)
        run = chat.start("wait")
        await eventually(lambda: len(model.requests) == 3)
        run.cancel()
        with pytest.raises(errors.WalkCancelled):
            await run
        await chat.say("Are you there?")
        assert [each.text for each in await chat.history()] == ["Hello.", "Still here."]

    within("memory:", work)
    assert texts(model.requests[-1].turns) == [
        "user: Hi",
        "agent: Hello.",
        "user: Are you there?",
    ]


# -- what is kept ----------------------------------------------------------------------------------
@tool(effects=[])
def look(what: str) -> str:
    """Looks something up."""
    return f"{what}: open"


def test_who_answered_sees_its_own_turns_whole_and_others_two_texts() -> None:
    billing = Agent("billing", tools=[look], remembers="talk")
    graph = Graph("office", START >> Agent("triage", handoffs=[billing]) >> END, billing >> END)
    model = ScriptedModel(
        calls("transfer_to_billing", input="about invoice 7"),
        calls("look", what="invoice 7"),
        says("It is open."),
        calls("transfer_to_billing", input="when?"),
        says("Soon."),
    )

    async def work(store: Store) -> None:
        chat = graph.chat("a", store=store, model=model)
        await chat.say("My invoice?")
        (kept,) = await chat.history()
        assert (kept.by, kept.message, kept.answer) == (
            "office > billing",
            "My invoice?",
            "It is open.",
        )
        await chat.say("And when is it paid?")

    within("memory:", work)
    assert texts(model.requests[3].turns) == [
        "user: My invoice?",
        "agent: It is open.",
        "user: And when is it paid?",
    ]
    assert texts(model.requests[4].turns) == [
        "user: about invoice 7",
        'agent: look({"what":"invoice 7"})',
        "look: invoice 7: open",
        "agent: It is open.",
        "user: when?",
    ]


def test_prompts_examples_and_refused_answers_are_not_kept() -> None:
    counter = Agent("counter", output=int, examples=[("one", 1)], prompt="Count: {{ text }}")
    graph = Graph("counting", START >> counter >> END, input=str)
    model = ScriptedModel(says("many"), gives({"result": 2}), gives({"result": 3}))

    async def work(store: Store) -> None:
        chat = graph.chat("a", store=store, model=model)
        await chat.say("two")
        await chat.say("three")
        first, _ = await chat.history()
        assert (first.message, first.answer, first.text) == ("two", 2, "2")

    within("memory:", work)
    assert texts(model.requests[-1].turns)[-3:] == [
        "user: Count: two",
        'agent: {"result":2}',
        "user: Count: three",
    ]


def test_an_agent_behind_another_remembers_nothing_unless_it_says_so() -> None:
    def writing(**options: object) -> tuple[Graph[str, str], ScriptedModel]:
        drafter = Agent("drafter")
        polisher = Agent("polisher", input=str, **options)
        model = ScriptedModel(*map(says, ["draft 1", "final 1", "draft 2", "final 2"]))
        return Graph("writing", START >> drafter >> polisher >> END), model

    def last_request(**options: object) -> list[str]:
        graph, model = writing(**options)

        async def work(store: Store) -> None:
            chat = graph.chat("a", store=store, model=model)
            await chat.say("one")
            await chat.say("two")

        within("memory:", work)
        assert texts(model.requests[2].turns) == ["user: one", "agent: final 1", "user: two"]
        return texts(model.requests[3].turns)

    assert last_request() == ["user: draft 2"]
    assert last_request(remembers="talk") == ["user: draft 1", "agent: final 1", "user: draft 2"]


def test_the_message_reaches_agents_in_graphs_within() -> None:
    inner = Graph("inner", START >> Agent("writer") >> END)
    outer = Graph("outer", START >> inner >> END)
    model = ScriptedModel(says("a"), says("b"))

    async def work(store: Store) -> None:
        chat = outer.chat("a", store=store, model=model)
        await chat.say("one")
        await chat.say("two")
        assert (await chat.history())[0].by == "outer > inner > writer"

    within("memory:", work)
    assert texts(model.requests[-1].turns) == ["user: one", "agent: a", "user: two"]


def test_a_way_of_remembering_that_there_is_not_is_refused() -> None:
    with pytest.raises(errors.DeclarationError, match="one of 'talk', 'own', 'laps', 'nothing'"):
        Agent("clerk", remembers="everything")  # type: ignore[arg-type]


# -- one at a time ---------------------------------------------------------------------------------
@everywhere
def test_runs_at_once_come_one_after_the_other_and_see_all_before_them(address: str) -> None:
    count = 5
    model = ScriptedModel(*(says(f"answer to {n}", when=f"message {n}") for n in range(count)))

    async def work(store: Store) -> None:
        chat = desk.chat("a", store=store, model=model)
        await asyncio.gather(*(chat.say(f"message {number}") for number in range(count)))
        kept = await chat.history()
        assert [each.number for each in kept] == [1, 2, 3, 4, 5]
        assert len({each.message for each in kept}) == count
        for position, request in enumerate(model.requests):
            assert len(request.turns) == 2 * position + 1

    within(address, work)


def test_a_busy_conversation_is_refused_if_that_is_asked_for() -> None:
    model = ScriptedModel(hangs())

    async def work(store: Store) -> None:
        chat = desk.chat("a", store=store, model=model)
        run = chat.start("Hi")
        await eventually(lambda: model.requests)
        with pytest.raises(errors.ConversationBusy) as refused:
            await chat.say("me too", busy="refuse")
        assert refused.value.run_id == run.id
        assert "process" in refused.value.holder
        with pytest.raises(errors.ConversationBusy):
            await chat.undo()
        run.cancel()
        await run.settled()

    within("memory:", work)


def test_the_run_that_has_it_is_cancelled_if_that_is_asked_for() -> None:
    model = ScriptedModel(hangs(), says("Here."))

    async def work(store: Store) -> None:
        chat = desk.chat("a", store=store, model=model)
        run = chat.start("Hi")
        await eventually(lambda: model.requests)
        assert (await chat.say("Hello?", busy="cancel")).output == "Here."
        assert run.status == "cancelled"
        (kept,) = await chat.history()
        assert kept.message == "Hello?"

    within("memory:", work)


@node(effects=[])
def draft(text: str) -> str:
    return f"draft of {text}"


approval = Graph("approval", START >> draft >> Human("editor", input=str, output=str) >> END)


@everywhere
def test_while_a_run_waits_for_a_person_the_conversation_is_busy_and_says_with_what(
    address: str,
) -> None:
    async def work(store: Store) -> None:
        chat = approval.chat("a", store=store)
        run = await chat.say("a poem")
        assert run.status == "waiting"
        (question,) = await chat.pending()
        with pytest.raises(errors.ConversationBusy) as refused:
            await chat.say("another", busy="refuse")
        assert refused.value.questions == (question.id,)
        assert refused.value.run_id == run.id
        assert await chat.history() == []
        done = await chat.answer("good")
        assert (done.status, done.output) == ("completed", "good")
        (kept,) = await chat.history()
        assert (kept.message, kept.answer, kept.run) == ("a poem", "good", run.id)
        assert await chat.pending() == []

    within(address, work)


@everywhere
def test_a_run_that_waits_is_dropped(address: str) -> None:
    async def work(store: Store) -> None:
        chat = approval.chat("a", store=store)
        assert not await chat.drop()
        await chat.say("a poem")
        assert await chat.drop()
        assert await chat.pending() == []
        run = await chat.say("another", busy="refuse")
        assert run.status == "waiting"
        await chat.answer("fine")
        assert [each.message for each in await chat.history()] == ["another"]

    within(address, work)


def test_a_run_goes_on_later_only_if_the_conversation_has_not() -> None:
    model = ScriptedModel(says("one"), says("two"))

    async def work(store: Store) -> None:
        chat = desk.chat("a", store=store, model=model)
        for name in ("first", "second"):
            with pytest.raises(errors.LimitExceeded):
                await chat.say(name, id=name, limits=Limits(model_calls=0))
        resumed = await desk.resume("first", store=store, model=model, limits=None)
        assert resumed.output == "one"
        with pytest.raises(errors.ConversationMoved, match="say it again, with another id"):
            await desk.resume("second", store=store, model=model, limits=None)
        assert [each.message for each in await chat.history()] == ["first"]
        await chat.say("third")
        assert [each.message for each in await chat.history()] == ["first", "third"]

    within("memory:", work)


def test_what_is_wrong_with_a_conversation_is_said_before_anything_is_done(tmp_path: Path) -> None:
    async def work(store: Store) -> None:
        with pytest.raises(errors.DeclarationError, match="conversation=7: give a text"):
            await desk.run("Hi", store=store, conversation=7)  # type: ignore[arg-type]
        with pytest.raises(errors.DeclarationError, match="busy='maybe'"):
            await desk.run("Hi", store=store, conversation="a", busy="maybe")  # type: ignore[arg-type]
        with pytest.raises(errors.DeclarationError, match="best_effort"):
            await desk.run("Hi", store=store, conversation="a", best_effort=True)
        assert await store.conversations() == []

    within("memory:", work)
    with pytest.raises(errors.DeclarationError, match="there is no store"):
        asyncio.run(desk.run("Hi", conversation="a"))


def test_hand_overs_with_a_conversation_stand_behind_what_was_said_before() -> None:
    expert = Agent("expert", remembers="talk")
    front = Agent("front", handoffs=[Handoff(expert, conversation=True)])
    graph = Graph("help", START >> front >> END, expert >> END)
    model = ScriptedModel(
        says("Hello."), calls("transfer_to_expert", input="help Anna"), says("Done.")
    )

    async def work(store: Store) -> None:
        chat = graph.chat("a", store=store, model=model)
        await chat.say("I am Anna.")
        await chat.say("Help me.")

    within("memory:", work)
    shown = texts(model.requests[-1].turns)
    assert shown[:3] == ["user: I am Anna.", "agent: Hello.", "user: Help me."]
    assert shown[-1] == "user: help Anna"


class Noteless(MemoryStore):
    """A store whose process dies between the last rows of a run and the note of its status."""

    async def note(self, *args: Any, **options: Any) -> None:
        if "completed" in args:
            raise errors.StoreUnreadable("the process has died")
        await super().note(*args, **options)


def test_a_run_that_died_when_its_exchange_was_kept_is_that_exchange() -> None:
    model = ScriptedModel(says("Hello."), says("Yes."))

    async def work() -> None:
        store = Noteless()
        options = {"model": model, "conversation": "a", "store": store}
        with pytest.raises(errors.StoreUnreadable):
            await desk.run("Hi", id="1", **options)
        with pytest.raises(errors.StoreUnreadable):
            await desk.run("Still there?", id="2", **options)
        Noteless.note = MemoryStore.note  # type: ignore[method-assign]
        assert (await desk.run("Hi", id="1", **options)).output == "Hello."
        assert [each.run for each in await desk.chat("a", store=store).history()] == ["1", "2"]

    asyncio.run(work())
    model.done()


def test_a_graph_that_answers_with_all_that_reaches_its_end_can_have_a_conversation() -> None:
    left, right = Agent("left", input=str), Agent("right", input=str)
    both_ends = Graph("both", START >> left >> END, START >> right >> END, ends="all")
    model = ScriptedModel(says("One."), says("Two."), says("Three."), says("Four."))

    async def work(store: Store) -> None:
        chat = both_ends.chat("a", store=store, model=model)
        await chat.say("Count.")
        await chat.say("Go on.")
        first, second = await chat.history()
        assert (first.answer, second.answer) == (["One.", "Two."], ["Three.", "Four."])

    within("memory:", work)
    assert texts(model.requests[-1].turns)[:2] == ["user: Count.", 'agent: ["One.","Two."]']


# -- another key -----------------------------------------------------------------------------------
@everywhere
def test_what_had_another_key_before_is_forgotten_with_all_its_runs(address: str) -> None:
    async def work(store: Store) -> None:
        model = ScriptedModel(says("Hello Anna."), says("Hello Berta."), says("Hm."))
        first = desk.chat("a", store=store, model=model)
        await first.say("I am Anna.", id="message 1")
        second = await first.rename("b")
        await first.say("I am Berta.", id="message 2")  # the key is free for others
        third = await second.rename("c")
        await third.say("Well?", id="message 3")
        assert await third.forget() == 2
        assert [header.id for header in await store.runs()] == ["message 2"]
        assert [each.text for each in await first.history()] == ["Hello Berta."]
        copy = await first.fork("d")
        assert await copy.forget() == 0

    within(address, work)


@everywhere
def test_the_same_id_again_is_the_recorded_exchange_also_under_another_key(address: str) -> None:
    async def work(store: Store) -> None:
        model = ScriptedModel(says("Hello Anna."))
        chat = desk.chat("a", store=store, model=model)
        await chat.say("I am Anna.", id="message 1")
        renamed = await chat.rename("b")
        assert (await renamed.say("I am Anna.", id="message 1")).output == "Hello Anna."
        with pytest.raises(errors.RunExists, match="another message"):
            await renamed.say("I am Berta.", id="message 1")
        assert len(await renamed.history()) == 1

    within(address, work)


def test_what_is_said_while_a_conversation_is_renamed_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(store: Store) -> None:
        chat = desk.chat("a", store=store, model=ScriptedModel(says("Hello."), says("Yes.")))
        await chat.say("Hi")
        change = MemoryStore.change

        async def change_and_say(self: MemoryStore, wanted: ConversationChange) -> bool:
            changed = await change(self, wanted)
            if wanted.name.key == "b":  # the copy is there, and what was copied still is
                monkeypatch.undo()
                await chat.say("Are you there?")
            return changed

        monkeypatch.setattr(MemoryStore, "change", change_and_say)
        renamed = await chat.rename("b")
        assert [each.message for each in await renamed.history()] == ["Hi", "Are you there?"]
        assert await chat.history() == []

    within("memory:", work)
