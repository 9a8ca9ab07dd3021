"""States that live as long as a conversation."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from graphflow import END, START, Agent, Context, Graph, Human, State, Store, errors, node
from graphflow.chat import Chat
from graphflow.journal.kept_states import state_change, states_after
from graphflow.journal.stored import RunHeader, StoredRow
from graphflow.journal.stores.memory import MemoryStore
from graphflow.merges import extend, plus
from graphflow.testing import ScriptedModel, calls, says
from tests.journal.keeping import all_rows, everywhere, lasting, within


class Plan(BaseModel):
    goal: str
    steps: int = 0


notes = State("notes", list[str], start=[], merge=extend, scope="conversation")
count = State("count", int, start=0, merge=plus, scope="conversation")
plan = State("plan", Plan, start=Plan(goal="none"), scope="conversation")
seen = State("seen", int, start=0, merge=plus)


@node(adds=[notes, count, seen], sets=[plan])
def take(text: str, ctx: Context) -> str:
    if text == "fail":
        raise ValueError("no")
    ctx.add(notes, [text])
    ctx.add(count, 1)
    ctx.add(seen, 1)
    ctx.set(plan, Plan(goal=text, steps=ctx.read(plan).steps + 1))
    return text


@node(reads=[seen])
def tell(
    text: str,
    ctx: Context,
    notes: Annotated[list[str], notes],
    count: Annotated[int, count],
    plan: Annotated[Plan, plan],
) -> str:
    return f"{','.join(notes)} {count} {plan.goal} {plan.steps} {ctx.read(seen)}"


def graph_of(**options: Any) -> Graph[Any, Any]:
    return Graph(
        "keeper", START >> take >> tell >> END, state=[notes, count, plan, seen], **options
    )


keeper = graph_of()


def chat_in(store: Store, key: str = "user:42") -> Chat[Any, Any]:
    return keeper.chat(key, store=store)


async def answers(chat: Chat[Any, Any], *messages: str) -> list[Any]:
    return [(await chat.say(message)).output for message in messages]


@everywhere
def test_each_run_begins_with_what_the_one_before_has_left(address: str) -> None:
    async def work(store: Store) -> None:
        chat = chat_in(store)
        assert await answers(chat, "a", "b") == ["a 1 a 1 1", "a,b 2 b 2 1"]
        with pytest.raises(ValueError, match="no"):
            await chat.say("fail")
        copy = await chat.fork("other")
        early = await chat.fork("early", at=1)
        run = await chat.say("c")
        assert run.output == "a,b,c 3 c 3 1"
        assert (run.state[notes], run.state[plan]) == (["a", "b", "c"], Plan(goal="c", steps=3))
        assert await answers(copy, "x") == ["a,b,x 3 x 3 1"]
        assert await answers(early, "x") == ["a,x 2 x 2 1"]
        await chat.undo(2)
        renamed = await chat.rename("user:43")
        assert await answers(renamed, "d") == ["a,d 2 d 2 1"]
        assert await answers(chat, "again") == ["again 1 again 1 1"]
        await renamed.forget()
        assert await answers(renamed, "again") == ["again 1 again 1 1"]

    within(address, work)


def test_without_a_conversation_they_begin_anew() -> None:
    async def main() -> None:
        for _ in range(2):
            assert (await keeper.run("a")).output == "a 1 a 1 1"
            run = await keeper.run("a", history=[])
            assert run.output == "a 1 a 1 1"

    asyncio.run(main())


@lasting
def test_the_record_of_a_run_knows_what_it_began_with(address: str) -> None:
    """Whatever has become of the conversation since."""

    async def work(store: Store) -> None:
        chat = chat_in(store)
        await answers(chat, "a", "b")
        run = await chat.say("c")
        fork = await keeper.fork(run.id, edit={"take.notes": ["z"]}, store=store)
        assert fork.output == "z 3 c 3 1"
        await chat.undo(3)
        loaded: Any = await store.load(run.id, keeper)
        assert loaded.state[notes] == ["a", "b", "c"]
        replayed: Any = await keeper.replay(run.id, store=store)
        assert replayed.output == run.output

    within(address, work)


@everywhere
def test_one_message_at_a_time_adds_to_them(address: str) -> None:
    async def work(store: Store) -> None:
        chats = [chat_in(store) for _ in range(8)]
        await asyncio.gather(*(chat.say(f"{number}") for number, chat in enumerate(chats)))
        last = (await chats[0].say("last")).state
        assert last[count] == 9
        assert sorted(last[notes]) == sorted([*map(str, range(8)), "last"])

    within(address, work)


def test_a_run_that_waits_goes_on_with_them() -> None:
    @node(adds=[notes])
    def add(text: str, ctx: Context) -> str:
        ctx.add(notes, [text])
        return text

    @node
    def show(text: str, notes: Annotated[list[str], notes]) -> str:
        return ",".join([*notes, text])

    editor = Human("editor", input=str, output=str)
    letters = Graph("letters", START >> add >> editor >> show >> END, state=[notes])

    async def work(store: Store) -> None:
        chat = letters.chat("user:42", store=store)
        await chat.say("a")
        assert (await chat.answer("fine")).output == "a,fine"
        await chat.say("b")
        with pytest.raises(errors.ConversationBusy):
            await chat.undo()
        assert (await chat.answer("good")).output == "a,b,good"
        await chat.say("c")
        await chat.drop()
        await chat.say("d")
        assert (await chat.answer("good")).state[notes] == ["a", "b", "d"]

    within("memory:", work)


async def begun_again(rows: list[StoredRow], header: RunHeader) -> None:
    """A run of which only these rows are known goes on, and the one behind it sees what it has left."""
    store = MemoryStore()
    chat = chat_in(store)
    await chat.say("a", id="first")
    await chat.say("b", id="second")
    ownership = await store.create(header, "a process that is gone")
    await store.append(ownership, rows, {})
    await store.release(ownership)
    run = await chat.say("c", id="third")
    assert run.output == "a,b,c 3 c 3 1"
    assert run.state[notes] == ["a", "b", "c"]
    assert await answers(chat, "d") == ["a,b,c,d 4 d 4 1"]


@pytest.mark.parametrize("sync", ["each", "effects"])
def test_no_crash_loses_or_doubles_a_write(sync: Any) -> None:
    """At every row of its record: taken up there, a run adds its exchange once, and the next begins with it."""

    async def main() -> None:
        whole = MemoryStore()
        chat = chat_in(whole)
        await chat.say("a", id="first")
        await chat.say("b", id="second")
        await chat.say("c", id="third", sync=sync)
        header = replace(await whole.header("third"), status="running", rows=0, lease=None)
        rows = await all_rows(whole, "third")
        assert '"writes"' in rows[0].body
        for known in range(len(rows)):
            await begun_again(rows[:known], header)

    asyncio.run(main())


def test_agents_write_and_read_them() -> None:
    """Over runs: what a model has noted in one stands in the prompt of the next."""
    clerk = Agent(
        "clerk",
        input=str,
        adds=[notes],
        reads=[notes],
        remembers="nothing",
        prompt="Known: {{ state.notes | join(', ') }}. {{ text }}",
    )
    desk = Graph("desk", START >> clerk >> END, state=[notes])

    async def work(store: Store) -> None:
        model = ScriptedModel(
            calls("add_to_notes", value=["likes tea"]), says("Noted."), says("Tea, then.")
        )
        chat = desk.chat("user:42", store=store, model=model)
        await chat.say("I like tea.")
        await chat.say("What do I like?")
        assert "Known: likes tea." in str(model.requests[-1].turns[0])

    within("memory:", work)


def test_a_graph_within_may_not_own_one() -> None:
    inner = graph_of()
    with pytest.raises(errors.GraphError) as raised:
        Graph("outer", START >> inner >> END)
    text = str(raised.value)
    assert "graph 'keeper' owns state 'notes' of scope 'conversation'" in text
    assert "Graph('outer', ..., state=[notes]) and Graph('keeper', ..., uses=[notes])" in text

    @node(adds=[notes])
    def add(text: str, ctx: Context) -> str:
        ctx.add(notes, [text])
        return text

    lent = Graph("lent", START >> add >> END, uses=[notes])
    outer = Graph("outer", START >> lent >> END, state=[notes])

    async def work(store: Store) -> None:
        chat = outer.chat("user:42", store=store)
        await chat.say("a")
        assert (await chat.say("b")).state[notes] == ["a", "b"]

    within("memory:", work)


def test_a_wrong_scope_is_refused() -> None:
    with pytest.raises(errors.DeclarationError, match="scope='forever' must be one of"):
        State("notes", str, scope="forever")  # type: ignore[arg-type]


@lasting
def test_what_does_not_fit_its_type_any_more_is_refused_before_anything_is_spent(
    address: str,
) -> None:
    other = State("count", dict[str, int], start={}, scope="conversation")

    @node(sets=[other])
    def put(text: str, ctx: Context) -> str:
        ctx.set(other, {text: 1})
        return text

    changed = Graph("keeper", START >> put >> END, state=[other])

    async def work(store: Store) -> None:
        await chat_in(store).say("a")
        chat = changed.chat("user:42", store=store)
        with pytest.raises(errors.StateInvalid, match=r"state 'count' of conversation 'user:42'"):
            await chat.say("b")
        # It has let go of the conversation.
        assert (await chat_in(store).say("c", busy="refuse")).output == "a,c 2 c 2 1"

    within(address, work)


# -- what is kept ----------------------------------------------------------------------------------
def test_a_list_that_grows_costs_what_has_come_to_it() -> None:
    known: dict[str, Any] = {"notes": ["a"], "count": 1}
    assert state_change(known, "notes", ["a"]) is None
    assert state_change(known, "notes", ["a", "b"]) == {"more": ["b"]}
    assert state_change(known, "notes", ["b"]) == {"value": ["b"]}
    assert state_change(known, "count", True) == {"value": True}
    assert state_change(known, "new", None) == {"value": None}
    changes: list[Any] = [{"n": {"value": ["a"]}}, {"n": {"more": ["b"]}}, {"n": {"more": ["c"]}}]
    assert states_after(changes) == {"n": ["a", "b", "c"]}
    assert states_after([changes[0], changes[2]]) == {"n": ["a", "c"]}
