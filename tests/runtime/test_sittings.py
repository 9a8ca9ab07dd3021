"""What goes wrong around a sitting: calls that are stopped while they begin, answers that come late, names that are none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import END, START, Context, Graph, Human, Store, node
from graphflow.errors import (
    AnswerExists,
    AnswerInvalid,
    DeclarationError,
    QuestionUnknown,
    RunExists,
    Unstorable,
    WalkCancelled,
)
from graphflow.journal.question import Question, question_id
from graphflow.journal.store import Ownership
from graphflow.journal.stores.memory import MemoryStore
from graphflow.runtime.sitting import QuestionRecord, Sitting
from tests.looped import looped
from tests.waiting import eventually

SECRET = "Xq7ZZrTwoKp9"


@pytest.fixture
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_KEY", SECRET)


@node
async def same(text: str) -> str:
    return text


editor: Human[Any, Any] = Human("editor", input=str, output=str)
DESK = Graph("desk", START >> same >> editor >> END)


# -- answers ---------------------------------------------------------------------------------------
@looped
async def test_the_first_answer_counts_also_before_one_that_comes_with_a_resume() -> None:
    store = Store.open("memory:")
    run = await DESK.run("a", store=store, id="r")
    await run.answer("editor", "first")
    run = await DESK.resume("r", store=store, answers={"editor": "second"})
    assert run.output == "first"


@looped
async def test_an_answer_that_came_too_late_is_told_while_the_run_waits() -> None:
    twice = Graph("twice", START >> editor >> Human("boss", input=str, output=str) >> END)
    store = Store.open("memory:")
    run = await twice.run("a", store=store, id="r")
    await run.answer("editor", "first", by="Anna")
    with pytest.raises(AnswerExists, match="by Anna"):
        await twice.resume("r", store=store, answers={"editor": "second"})


@looped
async def test_an_answer_that_nobody_asked_for_is_refused_with_the_open_questions() -> None:
    store = Store.open("memory:")
    run = await DESK.run("a", store=store, id="r")
    (question,) = run.pending
    with pytest.raises(QuestionUnknown, match=question.id):
        await DESK.resume("r", store=store, answers={"edtor": "a typo"})
    assert (await DESK.resume("r", store=store, answers={"editor": "b"})).output == "b"


def test_questions_whose_short_names_are_the_same_have_long_ones() -> None:
    names: dict[str, str] = {}
    for number in range(1_000_000):  # 32 bits: two of some 80,000 are the same
        place = f"/editor {number}"
        name = question_id("editor", place)
        if name in names:
            break
        names[name] = place
    sitting = Sitting(lambda: None, lambda: None)
    assert sitting.question_at("editor", names[name]) == name
    sitting.asked[name] = QuestionRecord(_asked(name), names[name])
    assert sitting.question_at("editor", names[name]) == name
    assert len(sitting.question_at("editor", place)) == len("editor-") + 64


def _asked(name: str) -> Any:
    return name


@looped
async def test_of_many_open_questions_an_error_names_a_few() -> None:
    @node
    async def split(text: str) -> list[str]:
        return [f"{text}{number}" for number in range(30)]

    @node
    async def joined(texts: list[str]) -> str:
        return "".join(texts)

    wide = Graph("wide", START >> split, split.each >> editor >> joined >> END)
    run = await wide.run("a")
    with pytest.raises(QuestionUnknown, match="and 20 more"):
        await run.answer("editor", "b")


@looped
async def test_others_have_their_turns_while_a_long_record_is_read() -> None:
    @node
    async def split(text: str) -> list[str]:
        return [f"{text}{number}" for number in range(600)]

    wide = Graph("wide", START >> split, split.each >> editor >> END, ends="all")
    store = Store.open("memory:")
    run = await wide.run("a", store=store, id="r")
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    await store.load(run.id)
    other.cancel()
    assert turns > 1


# -- beginnings and ends ---------------------------------------------------------------------------
class _SlowStore(MemoryStore):
    """A store that needs a while to create and to acquire."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def create(self, *args: Any, **options: Any) -> Ownership:
        ownership = await super().create(*args, **options)
        await self._wait()
        return ownership

    async def acquire(self, *args: Any, **options: Any) -> Ownership:
        ownership = await super().acquire(*args, **options)
        await self._wait()
        return ownership

    async def _wait(self) -> None:
        self.asked.set()
        await self.goes_on.wait()


@pytest.mark.parametrize("begun", [False, True])
@looped
async def test_a_run_that_is_stopped_while_it_is_acquired_is_given_back(begun: bool) -> None:
    store = _SlowStore()
    if begun:
        store.goes_on.set()
        await DESK.run("a", store=store, id="r")
        store.goes_on.clear()
        store.asked.clear()
    task = asyncio.create_task(DESK.run("a", store=store, id="r"))
    await store.asked.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # one that is cancelled twice has to end in order, too
    store.goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await DESK.resume("r", store=store, answers={"editor": "b"})).output == "b"


@looped
async def test_who_has_heard_the_end_of_a_run_may_resume_it_at_once(tmp_path: Path) -> None:
    async with Store.open(f"sqlite:{tmp_path}/runs.db") as store:
        run = DESK.start("a", store=store, id="r")
        heard = [event.kind async for event in run]
        assert heard.count("run.end") == 1
        assert heard[-1] == "run.end"
        assert (await DESK.resume("r", store=store, answers={"editor": "b"})).output == "b"


# -- what is kept ----------------------------------------------------------------------------------
class Handed(BaseModel):
    """A message that looks like what is written of a hand-over."""

    handover: str


@pytest.mark.parametrize("sync", ["effects", "each"])
@looped
async def test_a_message_with_a_field_named_handover_comes_back(sync: Any) -> None:
    @node
    async def hand(text: str) -> Handed:
        return Handed(handover=text)

    @node
    async def both(handed: Handed, text: str) -> str:
        return handed.handover + text

    graph = Graph("g", START >> (hand, same) >> both >> END)
    store = Store.open("memory:")
    await graph.run("a", store=store, id="r", sync=sync)
    assert (await graph.run("a", store=store, id="r")).output == "aa"
    assert (await store.load("r")).output == "aa"


@pytest.mark.parametrize("value", [(1, 2), {1, 2}, b"bytes", {1: 2}, object()])
@looped
async def test_what_is_done_once_has_to_come_back_as_it_is(value: object) -> None:
    @node
    async def ask(text: str, ctx: Context) -> str:
        await ctx.once("value", lambda: value)
        return text

    graph = Graph("g", START >> ask >> END)
    with pytest.raises(Unstorable):
        await graph.run("a", store="memory:")
    assert (await graph.run("a")).output == "a"


@pytest.mark.parametrize("value", [float("inf"), "\ud800", {"float": "nan"}, [1, None, {"a": 0.5}]])
@looped
async def test_what_was_done_once_is_the_same_after_a_restart(value: object) -> None:
    seen: list[object] = []

    @node
    async def ask(text: str, ctx: Context) -> str:
        seen.append(await ctx.once("value", lambda: value))
        if len(seen) == 1:
            await asyncio.Event().wait()
        return text

    graph = Graph("g", START >> ask >> END)
    store = Store.open("memory:")
    run = graph.start("a", store=store, id="r")
    await eventually(lambda: seen)
    run.cancel()
    with pytest.raises(WalkCancelled):
        await run
    await graph.resume("r", store=store)
    assert seen == [value, value]


@pytest.mark.parametrize("metadata", ["text", [1], {1: 2}, {"a": object()}, {"a": float("nan")}])
@looped
async def test_metadata_is_json_by_name(metadata: Any) -> None:
    store = Store.open("memory:")
    with pytest.raises(DeclarationError, match="metadata"):
        await DESK.run("a", store=store, metadata=metadata)
    assert await store.runs() == []


@pytest.mark.parametrize("id", ["", 5, "a\0b", "\ud800", "x" * 501])
@looped
async def test_an_id_that_not_every_store_can_keep_is_refused(id: Any) -> None:
    store = Store.open("memory:")
    with pytest.raises(DeclarationError, match="id="):
        await DESK.run("a", store=store, id=id)
    with pytest.raises(DeclarationError, match="id="):
        await DESK.resume(id, store=store)


@pytest.mark.usefixtures("_secret")
@looped
async def test_no_secret_stands_in_errors_answers_and_metadata(tmp_path: Path) -> None:
    count: Human[Any, Any] = Human("count", input=str, output=int | str)
    number: Human[Any, Any] = Human("number", input=str, output=int)
    graph = Graph("g", START >> count, count[str] >> number >> END, count[int] >> END)
    async with Store.open(f"jsonl:{tmp_path}") as store:
        run = await graph.run(SECRET, store=store, id="r", metadata={"for": SECRET})
        with pytest.raises(RunExists) as exists:
            await graph.run("another", store=store, id="r")
        await store.answer("r", "count", SECRET, by=SECRET)
        run = await graph.resume("r", store=store)
        question: Question = run.pending[0]
        assert question.message == SECRET
        errors: list[BaseException] = [exists.value]
        for attempt in (
            run.answer("number", SECRET),
            graph.resume("r", store=store, answers={"number": SECRET}),
        ):
            with pytest.raises(AnswerInvalid) as invalid:
                await attempt
            errors.append(invalid.value)
        assert [error for error in errors if SECRET in str(error)] == []
    assert _texts_in(tmp_path) > []
    assert [text for text in _texts_in(tmp_path) if SECRET in text] == []


def _texts_in(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.rglob("*") if path.is_file()]


# -- nodes that stand in the way -------------------------------------------------------------------
def _swallows() -> Any:
    @node(calls=[editor])
    async def swallow(text: str, ctx: Context) -> str:
        try:
            return await ctx.call(editor, text)
        except asyncio.CancelledError:
            return "stopped"

    return swallow


def _fails() -> Any:
    @node(calls=[editor])
    async def fail(text: str, ctx: Context) -> str:
        try:
            return await ctx.call(editor, text)
        except BaseException:
            raise ValueError("cleaning up has failed") from None

    return fail


@pytest.mark.parametrize("make", [_swallows, _fails])
@pytest.mark.parametrize("observed", [False, True])
@looped
async def test_a_node_that_does_not_stop_with_its_sitting_begins_again_and_nothing_follows(
    make: Any, observed: bool
) -> None:
    done: list[str] = []

    @node(effects=["writes"])
    async def write(text: str) -> str:
        done.append(text)
        return text

    graph = Graph("g", START >> make() >> write >> END)
    store = Store.open("memory:")
    run = await graph.start("a", store=store, id="r", observed=observed)
    assert (run.status, run.output, done) == ("waiting", None, [])
    run = await graph.resume("r", store=store, answers={"editor": "b"})
    assert (run.output, done) == ("b", ["b"])


@looped
async def test_tasks_of_a_node_s_own_end_with_the_sitting() -> None:
    tasks: list[asyncio.Task[Any]] = []

    @node(calls=[editor])
    async def ask_twice(text: str, ctx: Context) -> str:
        tasks[:] = [asyncio.create_task(ctx.call(editor, text + end)) for end in "12"]
        return "".join(await asyncio.gather(*tasks))

    graph = Graph("g", START >> ask_twice >> END)
    store = Store.open("memory:")
    run = await graph.run("a", store=store, id="r")
    await asyncio.wait(tasks)
    one, two = run.pending
    run = await graph.resume("r", store=store, answers={one.id: one.message, two.id: two.message})
    assert run.output == "a1a2"


@pytest.mark.parametrize("within", [False, True])
@looped
async def test_a_graph_that_answers_with_all_of_its_ends_comes_back(within: bool) -> None:
    @node
    async def other(text: str) -> str:
        return text + text

    graph: Any = Graph("inner", START >> (same, other), same >> END, other >> END, ends="all")
    if within:
        graph = Graph("g", START >> graph >> END)
    store = Store.open("memory:")
    await graph.run("a", store=store, id="r")
    assert (await graph.run("a", store=store, id="r")).output == ["a", "aa"]
