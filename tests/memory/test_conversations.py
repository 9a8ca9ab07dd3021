"""Memories in conversations: each has its own notes, and what is withdrawn or forgotten takes its notes with it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, SubAgent, node
from graphflow.errors import MemoryUnavailable
from graphflow.journal.exchanges import ConversationChange, ConversationName
from graphflow.memory import FactMemory, NoteMemory, Remembered, forget_exchanges, memories_of
from graphflow.testing import ScriptedModel, calls, says
from graphs.companion import companion_with


@node
async def said(kept: Remembered) -> str:
    return f"kept {kept.note.text}"


def keeper(memory: NoteMemory) -> Graph[str, str]:
    return Graph("keeper", START >> memory.remember_node >> said >> END)


async def texts(memory: NoteMemory, **options: Any) -> list[str]:
    return sorted(note.text for note in await memory.recall("word", limit=50, **options))


def files_with(content: bytes, folder: Path) -> list[str]:
    """The names of the files that have it in them, logs too."""
    return [path.name for path in folder.iterdir() if content in path.read_bytes()]


def test_each_conversation_has_notes_of_its_own_which_are_marked_with_it() -> None:
    memory = NoteMemory()
    graph = keeper(memory)

    async def main() -> None:
        await graph.run("word of Anna", conversation="anna", store="memory:")
        run = await graph.run("word of Ben", conversation="ben", store="memory:")
        await graph.run("word of nobody")
        assert await texts(memory, scope="anna") == ["word of Anna"]
        assert await texts(memory, scope="") == ["word of nobody"]
        [note] = await memory.recall("word", scope="ben")
        assert (note.conversation, note.exchange) == ("ben", run.id)

    asyncio.run(main())


def test_an_undone_exchange_that_cannot_be_read_takes_its_notes_with_it() -> None:
    memory = NoteMemory()
    graph = keeper(memory)

    async def main() -> None:
        chat = graph.chat("anna")
        await chat.say("word 0")
        await chat.say("word 1")
        name = ConversationName(graph.name, "anna")
        header = await chat.store.find_conversation(name)
        assert header is not None
        first, second = await chat.store.exchanges(name)
        shorter = header.next(header.changed, head=1)
        assert await chat.store.change(ConversationChange(name, header.version, shorter))
        damaged = replace(second, checksum=7)
        again = shorter.next(header.changed, head=2)
        assert await chat.store.change(ConversationChange(name, shorter.version, again, [damaged]))
        assert len(await chat.problems()) == 1
        assert await texts(memory, scope="anna") == ["word 0", "word 1"]
        assert await chat.undo() == []
        assert await texts(memory, scope="anna") == ["word 0"]
        assert [each.run for each in await chat.store.exchanges(name)] == [first.run]

    asyncio.run(main())


def test_an_undone_exchange_takes_its_notes_with_it_and_no_others() -> None:
    memory = NoteMemory()
    graph = keeper(memory)

    async def main() -> None:
        chat = graph.chat("anna")
        other = graph.chat("ben", store=chat.store)
        for number in range(4):
            await chat.say(f"word {number}")
        await other.say("word of Ben")
        await chat.undo(2)
        assert await texts(memory, scope="anna") == ["word 0", "word 1"]
        assert await texts(memory, scope="ben") == ["word of Ben"]
        await chat.say("word 4")
        assert await texts(memory, scope="anna") == ["word 0", "word 1", "word 4"]

    asyncio.run(main())


def test_a_forgotten_conversation_is_gone_from_memories_and_from_every_file(
    tmp_path: Path,
) -> None:
    planted = "word zanzibar"

    async def main() -> None:
        memory = NoteMemory(at=tmp_path / "memory.db")
        graph = keeper(memory)
        chat = graph.chat("anna", store=f"sqlite:{tmp_path / 'chats.db'}")
        other = graph.chat("ben", store=chat.store)
        await chat.say(planted)
        await other.say("word of Ben")
        assert files_with(b"zanzibar", tmp_path) != []
        await chat.forget()
        assert await texts(memory, scope="anna") == []
        assert await texts(memory, scope="ben") == ["word of Ben"]
        assert files_with(b"zanzibar", tmp_path) == []
        await chat.store.aclose()

    asyncio.run(main())


def test_the_memories_of_a_graph_are_found_wherever_they_are_asked() -> None:
    on_arrow, as_tool, recalled, deep = (FactMemory(name) for name in ("a", "b", "c", "d"))
    inner = Agent("inner", input=str, tools=[deep.remember_node])
    agent = Agent(
        "outer",
        input=Remembered,
        tools=[*as_tool.tools],
        recalls=[recalled.recall_node],
        sub_agents=[SubAgent(Graph("within", START >> inner >> END))],
    )
    graph = Graph("g", START >> on_arrow.remember_node >> agent >> END)
    names = sorted(memory.name for memory in memories_of(graph))
    assert names == ["a", "b", "c", "d"]
    assert memories_of(Graph("plain", START >> said >> END)) == []


def test_what_a_model_has_remembered_is_undone_as_well() -> None:
    memory = FactMemory()
    model = ScriptedModel(calls("remember", text="Vegetarian.", key="diet"), says("Noted."))
    agent = Agent("helper", model=model, tools=[*memory.tools])

    async def main() -> None:
        chat = Graph("g", START >> agent >> END).chat("anna")
        await chat.say("I am a vegetarian.")
        assert len(await memory.recall("diet", scope="anna")) == 1
        await chat.undo()
        assert await memory.recall("diet", scope="anna") == []

    asyncio.run(main())


def test_a_memory_that_is_down_is_told_when_something_is_withdrawn() -> None:
    class Stuck(NoteMemory):
        """A memory that cannot forget."""

        async def forget(self, **which: Any) -> int:
            raise MemoryUnavailable("no route to memory.example")

    memory = Stuck()

    async def main() -> None:
        chat = keeper(memory).chat("anna")
        run = await chat.say("word")
        with pytest.raises(MemoryUnavailable, match="no route"):
            await chat.undo()
        assert await chat.history() == []
        # Later, when it is there again.
        Stuck.forget = NoteMemory.forget  # type: ignore[method-assign]
        assert await forget_exchanges(chat.graph, "anna", [run.id]) == 1

    asyncio.run(main())


def test_a_companion_talks_in_a_chat_and_forgets_what_is_undone() -> None:
    memory = NoteMemory()
    model = ScriptedModel(says("Your cat is called Miso."))

    async def main() -> None:
        chat = companion_with(memory).chat("anna", model=model)
        await chat.say("My cat is called Miso.")
        assert (await chat.say("What is my cat called?")).output == "Your cat is called Miso."
        # The writer is shown nothing of what was said before, however long the talk is.
        assert [len(request.turns) for request in model.requests] == [9]
        await chat.undo(2)
        asked = await chat.say("What is my cat called?")
        assert asked.output == "You have not told me anything yet."

    asyncio.run(main())
