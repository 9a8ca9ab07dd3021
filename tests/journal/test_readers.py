"""Who watches a run: nothing that happened is lost to a slow reader, nothing piles up for it, nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import END, START, Agent, Graph, node, tool
from graphflow.events import Event, ModelDelta, ModelFinished, ModelPartial, ToolPartial
from graphflow.journal.live import MAX_PIECES
from graphflow.model.seam import Finished, ModelEvent, Request, TextDelta, ThinkingDelta
from graphflow.run import Run
from graphflow.testing import ScriptedModel, calls
from tests.conftest import heard, kinds, walk

WORDS = 3000


class Talks:
    """A model that says a great deal, and lets others have their turn after each word."""

    name = "test:talks"

    def __init__(self, words: int = WORDS, text: str = "") -> None:
        self.words = list(text) or [f"w{n} " for n in range(words)]

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        yield ThinkingDelta("hm ")
        for word in self.words:
            await asyncio.sleep(0)
            yield TextDelta(word)
        yield Finished("stop")


def talk(words: int = WORDS) -> Graph[Any, Any]:
    return Graph("talk", START >> Agent("a", input=str) >> END, model=Talks(words))


async def read_late(run: Run[Any], first: int = 1) -> list[Event]:
    """What a reader gets that takes so many events and then none until the run has ended."""
    reader = aiter(run)
    found = [await anext(reader) for _ in range(first)]
    await run.settled()
    return found + [event async for event in reader]


def facts(events: list[Event]) -> list[Event]:
    """What is kept, as the run keeps it: in the order of time."""
    return sorted((event for event in events if not event.passing), key=lambda event: event.at)


def text_of(events: list[Event], channel: str = "text") -> str:
    return "".join(
        event.text for event in events if isinstance(event, ModelDelta) and event.channel == channel
    )


# -- slow readers ----------------------------------------------------------------------------------
@pytest.mark.parametrize("first", [1, 5, 500])
def test_a_slow_reader_loses_no_fact_and_no_word(first: int) -> None:
    async def main() -> tuple[Run[Any], list[Event]]:
        run = talk().start("x")
        found = await read_late(run, first)
        return run, found

    run, found = asyncio.run(main())
    assert facts(found) == run.events
    assert text_of(found) == run.output
    assert text_of(found, "thinking") == "hm "
    assert len(found) - len(run.events) <= MAX_PIECES + first  # its words were put together
    last = max(at for at, event in enumerate(found) if isinstance(event, ModelDelta))
    assert last < next(at for at, event in enumerate(found) if isinstance(event, ModelFinished))


def test_what_waits_is_bounded_and_goes_with_the_run() -> None:
    most = 0

    async def main() -> None:
        nonlocal most
        run = talk(5 * MAX_PIECES).start("x")
        reader = aiter(run)
        await anext(reader)
        live = run._live
        assert live is not None
        while run.status == "running":
            most = max(most, len(live.pieces))
            await asyncio.sleep(0)
        assert text_of([event async for event in reader]) == run.output
        assert live.pieces == []

    asyncio.run(main())
    assert 0 < most <= MAX_PIECES + 1


def test_without_a_reader_nothing_waits_after_the_end() -> None:
    async def main() -> None:
        run = talk().start("x")
        await run
        assert run._live is not None
        assert run._live.pieces == []
        assert [event async for event in run] == run.events

    asyncio.run(main())


def test_fast_and_slow_readers_do_not_disturb_each_other() -> None:
    async def main() -> None:
        run = talk().start("x")
        slow = asyncio.ensure_future(read_late(run, 40))
        half = aiter(run)
        some = [await anext(half) for _ in range(MAX_PIECES)]
        fast = [event async for event in run]  # from the beginning, too
        slow_ones = await slow
        some += [event async for event in half]
        for found in (fast, slow_ones, some):
            assert facts(found) == run.events
            assert text_of(found) == run.output
        assert some[:100] == fast[:100]

    asyncio.run(main())


def test_of_an_object_that_grows_a_slow_reader_gets_the_newest() -> None:
    class Long(BaseModel):
        items: list[str]

    text = json.dumps({"items": [f"item {n}" for n in range(300)]})
    graph = Graph("g", START >> Agent("a", output=Long) >> END, model=Talks(text=text))

    async def main() -> tuple[list[Event], Long]:
        run = graph.start("x")
        return await read_late(run), run.output

    found, output = asyncio.run(main())
    values = [event.value for event in found if isinstance(event, ModelPartial)]
    assert values[-1] == output.model_dump()
    assert len(values) < 100
    assert text_of(found) == text


def test_texts_of_several_answers_at_once_are_kept_apart_and_before_their_ends() -> None:
    @node
    async def many(text: str) -> list[str]:
        return [f"{text}{n}" for n in range(4)]

    @node
    async def join(texts: list[str]) -> str:
        return "|".join(texts)

    agent = Agent("a", input=str)
    graph = Graph("g", START >> many, many.each >> agent >> join >> END, model=Talks(900))

    async def main() -> tuple[Run[Any], list[Event]]:
        run = graph.start("x")
        return run, await read_late(run)

    run, found = asyncio.run(main())
    said: dict[tuple[int, int], str] = defaultdict(str)
    over: set[tuple[int, int]] = set()
    for event in found:
        if isinstance(event, ModelDelta) and event.channel == "text":
            assert (event.frame, event.activation) not in over
            said[event.frame, event.activation] += event.text
        elif isinstance(event, ModelFinished):
            over.add((event.frame, event.activation))
            assert said[event.frame, event.activation] == event.text
    assert len(over) == 4
    assert facts(found) == run.events


def test_answers_of_one_activation_are_not_mixed_up() -> None:
    @tool
    async def look() -> str:
        """Look."""
        return "seen"

    turns = 300

    class Twice(Talks):
        async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
            asked = len(request.turns) // 2
            for word in ("turn", " ", str(asked), "."):
                await asyncio.sleep(0)
                yield TextDelta(word)
            if asked < turns:
                from graphflow.model.seam import CallDelta

                yield CallDelta(0, f"c{asked}", "look", "{}")
            yield Finished("tool_calls" if asked < turns else "stop")

    graph = Graph(
        "g", START >> Agent("a", input=str, tools=[look], max_turns=turns + 1) >> END, model=Twice()
    )

    async def main() -> list[Event]:
        return await read_late(graph.start("x"))

    said = ""
    answers: list[tuple[str, str]] = []
    for event in asyncio.run(main()):
        if isinstance(event, ModelDelta) and event.channel == "text":
            said += event.text
        elif isinstance(event, ModelFinished):
            answers.append((said, event.text))
            said = ""
    assert len(answers) == turns + 1
    whole = [pair for pair in answers if pair[0]]
    assert all(heard == text for heard, text in whole)  # the oldest are gone as a whole, if any
    assert answers[-1][0]


def test_pieces_of_a_tool_that_are_too_many_go_oldest_first_and_the_whole_follows() -> None:
    @tool
    def count() -> Iterator[int]:
        """Count."""
        yield from range(2 * MAX_PIECES)

    model = ScriptedModel(calls("count"), "end")
    graph = Graph("g", START >> Agent("a", input=str, tools=[count]) >> END, model=model)

    async def main() -> tuple[Run[Any], list[Event]]:
        run = graph.start("x")
        return run, await read_late(run)

    run, found = asyncio.run(main())
    pieces = [event.piece for event in found if isinstance(event, ToolPartial)]
    assert pieces == list(range(2 * MAX_PIECES))[-len(pieces) :]
    assert MAX_PIECES // 4 <= len(pieces) <= MAX_PIECES
    assert next(step.output for step in run.steps if step.node == "count") == list(
        range(2 * MAX_PIECES)
    )
    assert facts(found) == run.events


# -- leaving ---------------------------------------------------------------------------------------
def test_a_reader_that_breaks_off_leaves_nothing_behind() -> None:
    async def main() -> None:
        run = talk().start("x")
        async for event in run:
            if isinstance(event, ModelDelta):
                break
        live = run._live
        assert live is not None
        gc.collect()
        assert len(live._readers) == 0
        assert live._asleep == []
        await run  # it was only watched
        assert run.status == "completed"
        assert live.pieces == []

    asyncio.run(main())


def test_a_reader_that_waits_and_is_cancelled_leaves_nothing_behind() -> None:
    free = asyncio.Event()

    @node
    async def waits(n: int) -> int:
        await free.wait()
        return n

    async def main() -> None:
        run = Graph("g", START >> waits >> END).start(1)
        reader = aiter(run)
        waiting = asyncio.ensure_future(_last(reader))
        for _ in range(20):
            await asyncio.sleep(0)
        assert run._live is not None
        assert run._live._asleep
        waiting.cancel()
        await asyncio.wait([waiting])
        assert run._live._asleep == []
        free.set()
        assert (await _last(reader)).kind == "run.end"  # the same reader can go on
        with pytest.raises(StopAsyncIteration):
            await anext(reader)
        gone = weakref.ref(run)
        await run
        del run, reader, waiting
        await asyncio.sleep(0)  # what the loop still has to tell of the task
        gc.collect()
        assert gone() is None

    asyncio.run(main())


async def _last(reader: AsyncIterator[Event]) -> Event:
    async for event in reader:
        last = event
    return last


# -- what is kept ----------------------------------------------------------------------------------
def test_pieces_are_no_part_of_the_record_and_what_was_thought_is() -> None:
    watched = walk(talk(50), "x", observed=True)
    plain = walk(talk(50), "x")
    assert not [event for event in watched.events if event.passing]
    assert kinds(watched) == kinds(plain)
    assert len([event for event in heard(watched) if isinstance(event, ModelDelta)]) == 51
    [end] = [event for event in watched.events if isinstance(event, ModelFinished)]
    assert end.thinking == "hm "


def test_a_reader_that_comes_late_begins_at_the_beginning() -> None:
    async def main() -> None:
        run = talk(50).start("x")
        early = aiter(run)
        async for event in early:
            if isinstance(event, ModelFinished):
                break
        assert facts([event async for event in run]) == run.events
        assert facts([event async for event in run]) == run.events  # after the end, too

    asyncio.run(main())


@pytest.mark.parametrize("observed", [False, True])
def test_records_tell_whose_they_are_their_number_and_the_time(observed: bool) -> None:
    before = datetime.now(UTC)
    run = walk(talk(3), "x", observed=observed)
    records = run.records()
    assert [record["kind"] for record in records] == kinds(run)
    assert {record["run"] for record in records} == {run.id}
    assert [record["number"] for record in records] == list(range(len(records)))
    times = [datetime.fromisoformat(record["time"]) for record in records]
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= datetime.now(UTC)
    json.dumps(records, allow_nan=False)


def test_the_time_of_a_record_counts_from_when_the_walk_began() -> None:
    """Not from when it was asked for: a busy event loop may begin it much later."""

    async def main() -> tuple[Run[Any], datetime]:
        run = talk(3).start("x")
        until = datetime.now(UTC) + timedelta(milliseconds=30)
        while datetime.now(UTC) < until:
            pass
        return await run, until

    run, until = asyncio.run(main())
    assert all(datetime.fromisoformat(record["time"]) >= until for record in run.records())
