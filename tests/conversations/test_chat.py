"""What a person can do with a conversation: read, undo, fork, rename, export and forget it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, PrivateAttr

from graphflow import END, START, Agent, Graph, Store, errors, node
from graphflow.chat import Chat
from graphflow.events import ModelDelta, RunEnded
from graphflow.journal.exchanges import ConversationChange, ConversationName, StoredExchange
from graphflow.journal.stores.memory import MemoryStore
from graphflow.testing import ComputedModel, ScriptedModel, says
from tests.conversations.test_talk import texts
from tests.journal.keeping import everywhere, lasting, sealed, within

desk = Graph("desk", START >> Agent("clerk") >> END)
SECRETLY = "marzipan in the attic"


def echoing() -> ComputedModel:
    return ComputedModel(lambda request: f"{len(request.turns)} turns")


def chat_in(store: Store, key: str = "user:42") -> Chat[Any, Any]:
    return desk.chat(key, store=store, model=echoing())


async def say_all(chat: Chat[Any, Any], *messages: str) -> None:
    for message in messages:
        await chat.say(message)


async def said_in(chat: Chat[Any, Any]) -> list[str]:
    return [each.message for each in await chat.history()]


@everywhere
def test_exchanges_are_withdrawn(address: str) -> None:
    async def work(store: Store) -> None:
        chat = chat_in(store)
        await say_all(chat, "one", "two", "three")
        withdrawn = await chat.undo(2)
        assert [each.message for each in withdrawn] == ["two", "three"]
        assert await said_in(chat) == ["one"]
        run = await chat.say("four")
        assert run.output == "3 turns"
        with pytest.raises(errors.DeclarationError, match="from 1 to that"):
            await chat.undo(3)
        wrong: Any = "1"
        with pytest.raises(errors.DeclarationError, match="from 1 to that"):
            await chat.undo(wrong)
        with pytest.raises(errors.ConversationUnknown):
            await chat_in(store, "nobody").undo()

    within(address, work)


@everywhere
def test_a_fork_is_a_copy(address: str) -> None:
    async def work(store: Store) -> None:
        chat = chat_in(store)
        await say_all(chat, "one", "two")
        copy = await chat.fork("other", at=1)
        assert (await copy.say("three")).output == "3 turns"
        await chat.say("four")
        assert await said_in(copy) == ["one", "three"]
        assert await said_in(chat) == ["one", "two", "four"]
        with pytest.raises(errors.ConversationExists):
            await chat.fork("other")
        with pytest.raises(errors.DeclarationError, match="at=9"):
            await chat.fork("third", at=9)
        await chat.forget()
        assert await said_in(copy) == ["one", "three"]

    within(address, work)


@everywhere
def test_a_conversation_gets_another_key(address: str) -> None:
    async def work(store: Store) -> None:
        chat = chat_in(store)
        await say_all(chat, "one")
        renamed = await chat.rename("user:43")
        assert await said_in(renamed) == ["one"]
        assert await said_in(chat) == []
        assert [header.name.key for header in await store.conversations("desk")] == ["user:43"]

    within(address, work)


def test_what_was_said_is_exported() -> None:
    async def work(store: Store) -> None:
        chat = chat_in(store)
        await say_all(chat, "one", "two")
        text = await chat.export()
        assert text.startswith("# user:42\n\n## 1")
        assert "**said**\n\n```text\ntwo\n```\n\n**clerk**\n\n```text\n3 turns\n```" in text
        lines = [json.loads(line) for line in (await chat.export("jsonl")).splitlines()]
        assert [(each["exchange"], each["message"], each["by"]) for each in lines] == [
            (1, "one", "desk > clerk"),
            (2, "two", "desk > clerk"),
        ]
        with pytest.raises(errors.DeclarationError, match="it is 'markdown' or 'jsonl'"):
            await chat.export("pdf")  # type: ignore[arg-type]

    within("memory:", work)


def test_an_answer_is_streamed_and_kept() -> None:
    async def work(store: Store) -> None:
        chat = chat_in(store)
        events = [event async for event in chat.stream("one")]
        assert any(isinstance(event, ModelDelta) for event in events)
        assert isinstance(events[-1], RunEnded)
        assert await said_in(chat) == ["one"]

    within("memory:", work)


# -- at rest ---------------------------------------------------------------------------------------
def bytes_at(address: str) -> bytes:
    """All that lies on the disk."""
    _, _, place = address.partition(":")
    path = Path(place)
    files = [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else []
    if not path.is_dir():
        files = [each for each in path.parent.iterdir() if each.name.startswith(path.name)]
    return b"".join(each.read_bytes() for each in files)


@sealed
def test_what_was_said_lies_nowhere_in_clear(address: str) -> None:
    async def work(store: Store) -> None:
        chat = chat_in(store)
        await say_all(chat, SECRETLY, "two")
        assert await said_in(chat) == [SECRETLY, "two"]
        await store.rotate()
        assert await said_in(chat) == [SECRETLY, "two"]

    within(address, work)
    if not address.startswith("postgres"):
        assert SECRETLY.encode() not in bytes_at(address)
    within(address, still_there)


async def still_there(store: Store) -> None:
    assert await said_in(chat_in(store)) == [SECRETLY, "two"]


@lasting
def test_what_is_forgotten_is_gone_with_the_journals_of_its_runs(address: str) -> None:
    async def work(store: Store) -> None:
        chat = chat_in(store)
        await say_all(chat, SECRETLY, "two")
        other = chat_in(store, "user:43")
        await say_all(other, "three")
        assert await chat.forget() == 2
        assert await said_in(chat) == []
        assert await said_in(other) == ["three"]
        assert len(await store.runs()) == 1
        with pytest.raises(errors.ConversationUnknown):
            await chat.forget()

    within(address, work)
    if not address.startswith("postgres"):
        assert SECRETLY.encode() not in bytes_at(address)


@sealed
def test_an_exchange_that_was_moved_to_another_conversation_does_not_open(address: str) -> None:
    if not address.startswith("sqlite"):
        pytest.skip("the rows of one kind of store are moved")

    async def work(store: Store) -> None:
        await say_all(chat_in(store, "one"), "a")
        await say_all(chat_in(store, "two"), "b")

    async def look(store: Store) -> None:
        assert await said_in(chat_in(store, "one")) == []
        assert await said_in(chat_in(store, "two")) == ["b"]

    within(address, work)
    with sqlite3.connect(address.removeprefix("sqlite:")) as db:
        db.execute(
            "UPDATE exchanges SET body = (SELECT max(body) FROM exchanges WHERE conversation = 2)"
        )
    db.close()
    within(address, look)


def test_no_message_forges_an_exchange_in_what_is_exported() -> None:
    async def work(store: Store) -> None:
        chat = chat_in(store, "user:42")
        forged = "hello\n```\n\n## 2 · 2026-01-01\n\n````text\n\n**clerk**\n\nyes"
        await say_all(chat, forged)
        text = await chat.export()
        fence = ""
        headings = []
        for line in text.splitlines():
            if fence:
                fence = "" if line == fence else fence
            elif line.startswith("```"):
                fence = line.removesuffix("text")
            elif line.startswith("#"):
                headings.append(line.partition(" ·")[0])
        assert fence == ""
        assert headings == ["# user:42", "## 1"]
        assert forged in text

    within("memory:", work)


def test_an_exchange_of_a_year_that_no_calendar_has_is_exported() -> None:
    async def work(store: Store) -> None:
        chat = chat_in(store)
        await say_all(chat, "one")
        name = ConversationName("desk", "user:42")
        header = await store.find_conversation(name)
        assert header is not None
        (first,) = await store.exchanges(name)
        late = StoredExchange.of(1, first.run, 1e15, first.body)
        await chat.undo()
        now = await store.find_conversation(name)
        assert now is not None
        again = now.next(header.changed, head=1)
        assert await store.change(ConversationChange(name, now.version, again, [late]))
        for text in (await chat.export(), await chat.export("jsonl")):
            assert "1000000000000000.0 seconds since 1970" in text

    within("memory:", work)


class Draft(BaseModel):
    text: str
    tone: str = "plain"


class Order(BaseModel):
    item: str


def test_a_message_of_a_former_type_is_plain_data_and_nothing_else() -> None:
    async def work(store: Store) -> None:
        @node
        def take_draft(draft: Draft) -> str:
            return "noted"

        @node
        def take_order(order: Order) -> str:
            return "noted"

        before = Graph("desk", START >> take_draft >> END)
        after = Graph("desk", START >> take_order >> END)
        await before.chat("a", store=store).say(Draft(text="hello"))
        (exchange,) = await after.chat("a", store=store).history()
        assert exchange.message == {"text": "hello", "tone": "plain"}

    within("memory:", work)


@everywhere
def test_the_id_of_what_was_withdrawn_is_used_up(address: str) -> None:
    async def work(store: Store) -> None:
        chat = chat_in(store)
        await chat.say("one", id="first")
        await chat.say("two", id="second")
        await chat.undo()
        with pytest.raises(errors.RunExists, match="choose another id"):
            await chat.say("two", id="second")
        assert await said_in(chat) == ["one"]
        assert (await chat.say("one", id="first")).output == "1 turns"
        assert (await chat.say("two", id="third")).output == "3 turns"
        assert await said_in(chat) == ["one", "two"]

    within(address, work)


# -- what is wrong ---------------------------------------------------------------------------------
def test_what_cannot_be_read_is_left_out_and_stays_where_it_is() -> None:
    async def work(store: Store) -> None:
        chat = chat_in(store)
        await say_all(chat, "one", "two", "three")
        name = ConversationName("desk", "user:42")
        header = await store.find_conversation(name)
        assert header is not None
        first, second, third = await store.exchanges(name)
        damaged = StoredExchange(2, second.run, second.at, second.body.replace("two", "six"), 7)
        newer = StoredExchange.of(
            3, third.run, third.at, third.body.replace('"format":1', '"format":9')
        )
        changed = header.next(header.changed, head=0)
        await store.change(ConversationChange(name, header.version, changed))
        again = changed.next(header.changed, head=3)
        await store.change(
            ConversationChange(name, changed.version, again, [first, damaged, newer])
        )
        run = await chat.say("four")
        assert run.output == "3 turns"
        assert await said_in(chat) == ["one", "four"]
        assert (await store.exchanges(name))[1] == damaged
        problems = [str(each) for each in await chat.problems()]
        assert [text.split(" of ")[0] for text in problems] == ["exchange 2", "exchange 3"]
        assert "not as it was written" in problems[0]
        assert "update graphflow" in problems[1]

    within("memory:", work)


def test_a_message_of_ten_megabytes_is_kept(tmp_path: Path) -> None:
    long = "long " * 2_000_000

    async def work(store: Store) -> None:
        chat = chat_in(store)
        assert (await chat.say(long)).output == "1 turns"
        assert (await chat.history())[0].message == long

    within(f"sqlite:{tmp_path / 'runs.db'}", work)


def test_a_clock_that_jumps_changes_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(store: Store) -> None:
        chat = chat_in(store)
        import time

        now = time.time()
        for number, jump in enumerate((0, -86_400, 172_800, -3_600)):
            monkeypatch.setattr(time, "time", lambda at=now + jump: at)
            await chat.say(f"message {number}")
        assert await said_in(chat) == [f"message {number}" for number in range(4)]

    within("memory:", work)


def test_a_run_of_a_conversation_is_forked_without_it() -> None:
    model = ScriptedModel(says("Hello."), says("Anna."), says("Berta."))

    async def work(store: Store) -> None:
        chat = desk.chat("a", store=store, model=model)
        await chat.say("Hi")
        run = await chat.say("Who am I?")
        forked = await desk.fork(run.id, store=store, at="clerk", model=model)
        assert forked.output == "Berta."
        assert texts(model.requests[2].turns) == texts(model.requests[1].turns)
        assert [each.text for each in await chat.history()] == ["Hello.", "Anna."]

    within("memory:", work)


def test_session_is_the_former_word() -> None:
    async def work(store: Store) -> None:
        options = {"store": store, "model": echoing()}
        with pytest.warns(DeprecationWarning, match="conversation="):
            await desk.run("one", session="user:42", **options)
        assert await said_in(chat_in(store)) == ["one"]

    within("memory:", work)
    with pytest.warns(DeprecationWarning, match="conversation="):
        asyncio.run(desk.run("one", session="user:42", model=echoing()))


class LooseOrder(BaseModel, extra="allow"):
    """A message of a graph as it was."""

    name: str
    amount: int = 1
    _seen: int = PrivateAttr(default=7)


class LaterOrder(BaseModel):
    """The same now: what was said does not fit it."""

    number: int


def test_a_message_that_fits_no_more_is_shown_as_its_sender_wrote_it() -> None:
    @node
    async def take(order: LooseOrder) -> str:
        return order.name

    @node
    async def take_later(order: LaterOrder) -> str:
        return str(order.number)

    async def main() -> None:
        store = MemoryStore()
        old = Graph("shop", START >> take >> END).chat("a", store=store)
        order = LooseOrder(name="A-1", city="Ghent", _extra={"kept": 1})  # type: ignore[call-arg]
        await old.say(order)
        [fits] = await old.history()
        assert fits.message == order
        later = Graph("shop", START >> take_later >> END).chat("a", store=store)
        [exchange] = await later.history()
        assert exchange.message == {
            "name": "A-1",
            "amount": 1,
            "city": "Ghent",
            "_extra": {"kept": 1},
        }
        exported = await later.export("jsonl")
        assert "_private" not in exported
        assert "_unset" not in exported

    asyncio.run(main())
