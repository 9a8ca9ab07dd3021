"""Runs that a store keeps: begun once, gone on with, given back, and what stands in their rows."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from pydantic import BaseModel

from graphflow import END, START, Agent, Context, Graph, Human, Limits, Store, ToolError, node, tool
from graphflow.errors import (
    AnswerExists,
    DeclarationError,
    Diverged,
    GraphUnstorable,
    LimitExceeded,
    QuestionUnknown,
    RunExists,
    RunUnknown,
    Unreadable,
    Unstorable,
    WalkCancelled,
)
from graphflow.events import NodeFinished, Resumed, RunEnded
from graphflow.journal.weight import is_heavy
from graphflow.testing import ScriptedModel, both, calls, says
from tests.looped import looped
from tests.waiting import eventually


class Number(BaseModel):
    """A message."""

    value: int


DONE: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _forget() -> None:
    DONE.clear()


@node
async def double(number: Number) -> Number:
    DONE["double"] += 1
    return Number(value=2 * number.value)


@node(effects=[])
async def add(number: Number) -> Number:
    DONE["add"] += 1
    return Number(value=number.value + 1)


LINE = Graph("line", START >> double >> add >> END)


async def rows_of(store: Store, run: str) -> list[tuple[str, str]]:
    return [(row.kind, row.place) async for row in store.rows(run)]


@looped
async def test_the_same_id_again_gives_the_run_that_there_is(tmp_path: Path) -> None:
    address = f"sqlite:{tmp_path}/runs.db"
    first = await LINE.run(Number(value=3), store=address, id="one")
    again = await LINE.run(Number(value=3), store=address, id="one")
    assert first.output == again.output == Number(value=7)
    assert DONE == {"double": 1, "add": 1}
    assert [type(event) for event in again.events] == [type(event) for event in first.events]
    assert again.usage.steps == 2
    assert again.status == "completed"


@looped
async def test_another_message_under_the_same_id_is_refused_with_the_difference() -> None:
    store = Store.open("memory:")
    await LINE.run(Number(value=3), store=store, id="one")
    with pytest.raises(RunExists, match=r"message\.value was 3 and is 4"):
        await LINE.run(Number(value=4), store=store, id="one")


@looped
async def test_a_failed_run_fails_in_the_same_way_again() -> None:
    @node
    async def fail(number: Number) -> Number:
        DONE["fail"] += 1
        raise ToolError("no luck")

    graph = Graph("failing", START >> fail >> END)
    store = Store.open("memory:")
    for _ in range(2):
        with pytest.raises(ToolError, match="no luck") as caught:
            await graph.run(Number(value=1), store=store, id="one")
        assert caught.value.run.status == "failed"
    assert DONE == {"fail": 1}


@looped
async def test_a_cancelled_run_goes_on_where_it_was() -> None:
    gate = asyncio.Event()

    @node
    async def wait(number: Number) -> Number:
        DONE["wait"] += 1
        if DONE["wait"] == 1:
            gate.set()
            await asyncio.Event().wait()
        return number

    graph = Graph("waits", START >> double >> wait >> add >> END)
    store = Store.open("memory:")
    run = graph.start(Number(value=3), store=store, id="one")
    await gate.wait()
    run.cancel()
    with pytest.raises(WalkCancelled):
        await run
    resumed = await graph.resume("one", store=store)
    assert resumed.output == Number(value=7)
    assert DONE == {"double": 1, "wait": 2, "add": 1}
    assert resumed.usage.steps == 3
    assert [event.sitting for event in resumed.events if isinstance(event, Resumed)] == [2]
    ends = [event.status for event in resumed.events if isinstance(event, RunEnded)]
    assert ends == ["completed"]


@looped
async def test_a_raised_limit_lets_a_run_go_on() -> None:
    graph = Graph(
        "loop", START >> add, add.when(lambda n: n.value < 6).limit(10) >> add, add.otherwise >> END
    )
    store = Store.open("memory:")
    with pytest.raises(LimitExceeded, match="steps"):
        await graph.run(Number(value=0), store=store, id="one", limits=Limits(steps=3))
    assert DONE["add"] == 3
    with pytest.raises(LimitExceeded, match="steps"):  # it keeps the limit that it was begun with
        await graph.resume("one", store=store)
    run = await graph.resume("one", store=store, limits=Limits(steps=20))
    assert run.output == Number(value=6)
    assert DONE["add"] == 6
    assert run.usage.steps == 6


@looped
async def test_a_run_goes_on_in_the_middle_of_the_loop_of_an_agent() -> None:
    gate = asyncio.Event()

    @tool
    async def book(room: str, ctx: Context) -> str:
        DONE[f"book {room}"] += 1
        DONE[ctx.key] += 1
        if DONE["book b"] == 1:
            gate.set()
            await asyncio.Event().wait()
        return f"{room} is booked"

    clerk = Agent("clerk", tools=[book])
    graph = Graph("hotel", START >> clerk >> END)
    store = Store.open("memory:")
    script = (calls("book", room="a"), calls("book", room="b"), says("done"))
    model = ScriptedModel(*script)
    begun = graph.start("two rooms", store=store, id="one", model=model)
    await gate.wait()
    begun.cancel()
    await begun.settled()
    run = await graph.resume("one", store=store, model=model)
    assert run.output == "done"
    assert DONE["book a"] == 1
    assert DONE["book b"] == 2
    # The same key.
    assert sorted(count for name, count in DONE.items() if not name.startswith("book")) == [1, 2]
    model.done()
    assert run.usage.model_calls == 3


@looped
async def test_the_header_names_the_models_that_are_asked() -> None:
    store = Store.open("memory:")
    poet = Agent("poet", input=str, prompt="{{ text }}")
    critic = Agent("critic", input=str, prompt="{{ text }}", model=ScriptedModel("fine"))
    graph = Graph("poems", START >> poet >> critic >> END)
    await graph.run("bees", store=store, id="one", model=ScriptedModel("buzz"))
    header = await store.header("one")
    assert header.about["models"] == {"poet": "scripted", "critic": "scripted"}


@looped
async def test_an_unknown_run_is_refused_with_near_names() -> None:
    store = Store.open("memory:")
    await LINE.run(Number(value=1), store=store, id="order-17")
    with pytest.raises(RunUnknown, match="order-17"):
        await LINE.resume("order-71", store=store)


@looped
async def test_the_run_of_another_graph_is_refused() -> None:
    store = Store.open("memory:")
    with pytest.raises(LimitExceeded):
        await LINE.run(Number(value=1), store=store, id="one", limits=Limits(steps=1))
    other = Graph("line", START >> add.named("other") >> add >> END)
    with pytest.raises(Diverged, match="'double'"):
        await other.resume("one", store=store)


@looped
async def test_of_a_run_of_another_graph_it_is_said_whose_it_is() -> None:
    store = Store.open("memory:")
    await LINE.run(Number(value=1), store=store, id="one")

    @node
    async def shout(text: str) -> str:
        return text.upper()

    other = Graph("shouts", START >> shout >> END)
    for work in (
        other.resume("one", store=store),
        other.run("bees", store=store, id="one"),
        store.load("one", other),
    ):
        with pytest.raises(
            Unreadable,
            match=r"^run 'one' is one of the graph 'line', and not of 'shouts': a stored value",
        ):
            await work


@looped
async def test_a_graph_whose_messages_would_not_come_back_is_refused_before_anything_is_done() -> (
    None
):
    class Connection:
        """Nobody knows how to write it."""

    @node
    async def connect(number: Number) -> Connection:
        DONE["connect"] += 1
        return Connection()

    @node
    async def use(connection: Connection) -> str:
        return "used"

    graph = Graph("live", START >> connect >> use >> END)
    assert any("cannot be kept in a store" in fact for fact in graph.check().facts)
    with pytest.raises(GraphUnstorable, match="step 'connect' sends Connection"):
        await graph.run(Number(value=1), store="memory:")
    assert DONE["connect"] == 0
    assert (await graph.run(Number(value=1))).output == "used"


@looped
async def test_an_answer_that_would_not_come_back_stops_the_run_and_loses_nothing() -> None:
    class Special(Number):
        """More than was declared."""

    @node
    async def widen(number: Number) -> Number:
        return Special(value=number.value)

    graph = Graph("wide", START >> double >> widen >> add >> END)
    store = Store.open("memory:")
    with pytest.raises(Unstorable, match="Special"):
        await graph.run(Number(value=1), store=store, id="one")
    loaded = await store.load("one", graph)
    assert [event.node for event in loaded.events if isinstance(event, NodeFinished)] == ["double"]
    # Nobody who looks for runs to go on with takes it up again.
    assert (await store.header("one")).status == "failed"


@looped
async def test_an_answer_by_the_name_of_a_node_that_has_asked_twice_is_refused() -> None:
    @tool(approval=True)
    async def deploy(where: str) -> str:
        DONE[where] += 1
        return where

    graph = Graph("ops", START >> Agent("clerk", tools=[deploy]) >> END)
    store = Store.open("memory:")
    model = ScriptedModel(
        both(calls("deploy", where="staging"), calls("deploy", where="prod")), says("done")
    )
    run = await graph.run("go", store=store, id="one", model=model)
    staging, prod = run.pending
    with pytest.raises(QuestionUnknown, match=staging.id):
        await graph.resume("one", store=store, model=model, answers={"deploy": True})
    assert not DONE
    run = await graph.resume(
        "one", store=store, model=model, answers={staging.id: True, prod.id: False}
    )
    assert run.output == "done"
    assert DONE == {"staging": 1}


@looped
async def test_options_of_keeping_without_a_store_are_refused() -> None:
    with pytest.raises(DeclarationError, match="there is no store"):
        await LINE.run(Number(value=1), sync="each")
    with pytest.raises(DeclarationError, match="'effects', 'each' or 'end'"):
        await LINE.run(Number(value=1), store="memory:", sync="never")  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="resume needs store"):
        await LINE.resume("one")


@pytest.mark.parametrize("sync", ["effects", "each", "end"])
@looped
async def test_every_sync_keeps_the_whole_record(sync: str) -> None:
    store = Store.open("memory:")
    await LINE.run(Number(value=3), store=store, id="one", sync=sync)  # type: ignore[arg-type]
    loaded = await store.load("one", LINE)
    answers = [event.output for event in loaded.events if isinstance(event, NodeFinished)]
    assert answers == [Number(value=6), Number(value=7)]
    assert loaded.status == "completed"
    assert loaded.output == Number(value=7)


@looped
async def test_a_run_is_loaded_without_its_graph_as_plain_data() -> None:
    store = Store.open("memory:")
    await LINE.run(Number(value=3), store=store, id="one")
    loaded = await store.load("one")
    assert loaded.output == {"value": 7}
    assert [step.node for step in loaded.steps] == ["double", "add"]
    assert loaded.usage.steps == 2


@looped
async def test_a_large_message_is_kept_once_wherever_it_travels() -> None:
    class Page(BaseModel):
        """A message."""

        text: str

    @node
    async def first(page: Page) -> Page:
        return page

    @node
    async def second(page: Page) -> Page:
        return page

    graph = Graph("pages", START >> first >> second >> END)
    store = Store.open("memory:")
    page = Page(text="x" * 300_000)
    run = await graph.run(page, store=store, id="one")
    assert run.output == page
    stats = await store.stats()
    assert stats.large == 2  # the page, and the form of the graph
    assert (await store.load("one", graph)).output == page


@looped
async def test_the_form_of_a_graph_is_kept_once_for_all_of_its_runs() -> None:
    store = Store.open("memory:")
    for number in range(3):
        await LINE.run(Number(value=number), store=store)
    assert (await store.stats()).large == 1
    header, *_ = await store.runs(graph="line")
    first = await anext(store.rows(header.id))
    form = await store.large(header.id, json.loads(first.body)["form"])
    assert form is not None
    assert json.loads(form)["graph"] == "line"


@pytest.mark.parametrize(
    ("value", "heavy"),
    [
        ("short", False),
        ("x" * 200_000, True),
        (b"x" * 200_000, True),
        (["x"] * 10, False),
        (["x"] * 1000, True),
        ({"a": {"b": "x" * 200_000}}, True),
        (Number(value=1), False),
        (None, False),
    ],
)
def test_what_is_heavy_is_told_at_a_glance(value: object, heavy: bool) -> None:
    assert is_heavy(value) is heavy


@looped
async def test_a_second_answer_in_a_running_run_is_told_that_there_is_one() -> None:
    boss = Human("boss", input=Number, output=Number)
    gate = asyncio.Event()

    @node(effects=[])
    async def hold(number: Number) -> Number:
        await gate.wait()
        return number

    @node(effects=[])
    async def both_of(numbers: list[Number]) -> Number:
        return numbers[0]

    graph = Graph("two", START >> (boss, hold) >> both_of >> END)
    run = graph.start(Number(value=1), store=Store.open("memory:"))
    await eventually(lambda: bool(run.pending))
    await run.answer("boss", Number(value=5), by="ann")
    with pytest.raises(AnswerExists, match="by ann"):
        await run.answer("boss", Number(value=6))
    gate.set()
    await run
    assert run.output == Number(value=5)
