"""Whoever withdraws or forgets something may die at any step: who does the same again has it done."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graphflow import END, START, Context, Graph, State, errors, node
from graphflow.journal.exchanges import ConversationChange
from graphflow.journal.stores.memory import MemoryStore
from graphflow.memory import BufferMemory, Remembered
from graphflow.merges import extend
from tests.conversations.test_chat import bytes_at
from tests.journal.keeping import lasting, opened

likes = State("likes", list[str], start=[], merge=extend, scope="conversation")
SECRETLY = "the cat sleeps in the piano"


class Killed(BaseException):
    """The process has died."""


class DyingStore(MemoryStore):
    """A store whose process dies before one of its steps."""

    left: float = float("inf")
    erased = 0

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    async def change(self, change: ConversationChange) -> bool:
        self._step()
        return await super().change(change)

    async def remove_run(self, run: str) -> None:
        self._step()
        await super().remove_run(run)

    async def erase(self) -> None:
        self._step()
        self.erased += 1
        await super().erase()


def graph_with(memory: Any) -> Graph[Any, Any]:
    @node(adds=[likes])
    async def take(text: str, ctx: Context) -> str:
        ctx.add(likes, [text])
        return text

    @node
    async def said(kept: Remembered) -> str:
        return kept.note.text

    return Graph("keeper", START >> take >> memory.remember_node >> said >> END, state=[likes])


async def begun(store: MemoryStore) -> tuple[Any, Any]:
    """A chat of three exchanges, and the memory of its graph."""
    memory = BufferMemory()
    chat = graph_with(memory).chat("anna", store=store)
    for text in ("tea", "milk", "honey"):
        await chat.say(text)
    return chat, memory


async def texts_in(memory: Any) -> list[str]:
    return sorted(note.text for note in await memory.recall("", limit=9, scope="anna"))


async def is_killed(store: DyingStore, steps: int, work: Any) -> bool:
    """Does something in a process that dies after so many steps; whether it has died. Its hold is over then."""
    store.left = steps
    try:
        await work
    except Killed:
        return True
    finally:
        store.left = float("inf")
        for name, header in list(store._conversations.items()):
            store._conversations[name] = header.next(header.changed, until=0.0)
    return False


def test_what_is_withdrawn_goes_with_its_notes_wherever_somebody_dies() -> None:
    async def main(steps: int) -> bool:
        store = DyingStore()
        chat, memory = await begun(store)
        died = await is_killed(store, steps, chat.undo(2))
        while len(await chat.history()) > 1:
            await chat.undo(len(await chat.history()) - 1)
        assert await texts_in(memory) == ["tea"]
        run = await chat.say("lemon")
        assert run.state[likes] == ["tea", "lemon"]
        return died

    deaths = [asyncio.run(main(steps)) for steps in range(6)]
    assert deaths.count(True) >= 2


def test_what_is_forgotten_is_gone_with_all_of_it_wherever_somebody_dies() -> None:
    async def main(steps: int) -> bool:
        store = DyingStore()
        chat, memory = await begun(store)
        died = await is_killed(store, steps, chat.forget())
        if died:
            erased = store.erased
            try:
                await chat.forget()
            except errors.ConversationUnknown:
                assert steps > 3
            assert store.erased > erased
        assert await texts_in(memory) == []
        assert await store.runs() == []
        assert await store.conversations() == []
        return died

    deaths = [asyncio.run(main(steps)) for steps in range(9)]
    assert deaths.count(True) >= 5


def test_nothing_is_said_while_it_is_forgotten() -> None:
    """A run that would begin in between would leave its journal behind."""

    async def main() -> None:
        said: list[BaseException | None] = []

        class BusyStore(MemoryStore):
            async def remove_run(self, run: str) -> None:
                if not said:
                    say = chat.say("sugar", busy="refuse")
                    said.extend(await asyncio.gather(say, return_exceptions=True))
                await super().remove_run(run)

        store = BusyStore()
        chat, _ = await begun(store)
        assert await chat.forget() == 3
        assert isinstance(said[0], errors.ConversationBusy)
        assert await store.runs() == []
        assert (await chat.say("sugar")).state[likes] == ["sugar"]

    asyncio.run(main())


def test_a_wrong_count_leaves_it_free() -> None:
    async def main() -> None:
        chat, _ = await begun(MemoryStore())
        with pytest.raises(errors.DeclarationError, match="a number from 1 to that"):
            await chat.undo(4)
        run = await chat.say("lemon", busy="refuse")
        assert run.state[likes] == ["tea", "milk", "honey", "lemon"]

    asyncio.run(main())


@lasting
def test_what_states_held_is_forgotten_with_the_conversation(address: str) -> None:
    async def work() -> None:
        async with opened(address) as store:
            chat = graph_with(BufferMemory()).chat("anna", store=store)
            await chat.say(SECRETLY)
            run = await chat.say("milk")
            assert run.state[likes] == [SECRETLY, "milk"]
            assert await chat.forget() == 2

    asyncio.run(work())
    if not address.startswith("postgres"):
        assert SECRETLY.encode() not in bytes_at(address)
