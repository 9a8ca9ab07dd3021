"""Forks: a new run takes over what does not depend on the change, does the rest itself, and leaves the old one alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphflow import END, START, Agent, Graph, Human, Limits, Message, Store, SubAgent, node, tool
from graphflow.errors import (
    DeclarationError,
    GraphError,
    OutputInvalid,
    PlaceUnknown,
    RunExists,
)
from graphflow.events import CallFinished, ModelFinished, NodeFinished
from graphflow.kinds.step import FunctionNode
from graphflow.model.seam import Request
from graphflow.testing import ComputedModel, ScriptedModel, calls, says
from graphflow.testing.doubles import _last_text
from tests.blocks import Block, Jitter, build, nested
from tests.conftest import A, Msg
from tests.runtime.test_replay import Gate, desk, looped, up

pytestmark = pytest.mark.usefixtures("jumping_clock")


@pytest.fixture
def store() -> Store:
    return Store.open("memory:")


async def rows_of(store: Store, id: str) -> list[Any]:
    return [row async for row in store.rows(id)]


def names(shown: Sequence[str]) -> list[str]:
    """Without their numbers, which are others if others were faster."""
    return sorted(each.rpartition("#")[0] for each in shown)


# -- whatever the graph ----------------------------------------------------------------------------
def functions(
    graph: Any, path: tuple[str, ...] = ()
) -> dict[tuple[tuple[str, ...], str], FunctionNode[Any, Any]]:
    """The steps of a graph and of those in it, by the path of their frames."""
    path = path or (graph.name,)
    found: dict[tuple[tuple[str, ...], str], FunctionNode[Any, Any]] = {}
    for each in graph.nodes:
        if isinstance(each, Graph):
            found |= functions(each, (*path, each.name))
        elif isinstance(each, FunctionNode):
            found[path, each.name] = each
    return found


async def check_every_step(graph: Graph[Any, Any], run: Any, edited: Any) -> None:
    """Each step has answered what its function makes of what it was given; but for the one that was changed."""
    known = functions(graph)
    changed = 0
    for step in run.steps:
        body = known.get((step.path, step.node))
        if body is None or step.error is not None:
            continue
        given = step.input if isinstance(step.input, dict) else {body.ports[0].name: step.input}
        answer = await body.function(**given)
        if answer != step.output:
            changed += 1
            assert step.output == edited, step
    assert changed <= 1


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(nested, st.integers(0, 1000), st.integers(0, 3), st.data())
def test_a_fork_of_any_run_is_what_its_steps_make_of_the_change(
    block: Block, n: int, seed: int, data: Any
) -> None:
    graph = build(block)

    async def go() -> None:
        Jitter.random = random.Random(seed)
        store = Store.open("memory:")
        run = await graph.run(Msg(n=n), store=store, id="r")
        before = await rows_of(store, "r")
        ends = [event for event in run.facts if isinstance(event, NodeFinished)]
        chosen = data.draw(st.sampled_from(ends))
        path = run.path_of(chosen.frame)[1:]
        frame = next(
            (
                row.place
                for row in before
                if row.kind == "frame.enter" and f'"frame":{chosen.frame},' in row.body
            ),
            "",
        )
        assert frame or not path
        name = f"{frame}#{chosen.activation}"
        again = await graph.fork("r", store=store, at=name, new_id="again")
        assert again.output == run.output
        assert len(again.steps) == len(run.steps)
        report = again.fork_report
        assert len(report.taken_over) + len(report.ran) == len(run.steps)
        assert names(report.left_out) == names(report.ran)
        await graph.replay("again", store=store)
        edited = None
        if type(chosen.output) is Msg:
            edited = Msg(n=chosen.output.n + 1, tag=chosen.output.tag)
            fork = await graph.fork("r", store=store, edit={name: edited}, new_id="edited")
            await check_every_step(graph, fork, edited)
            await graph.replay("edited", store=store)
        assert await rows_of(store, "r") == before

    asyncio.run(go())


# -- what is taken over ----------------------------------------------------------------------------
class Steps:
    """Steps that tell when they run."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def step(self, name: str, add: int) -> Any:
        @node(name=name)
        async def step(n: int) -> int:
            self.ran.append(name)
            return n + add

        return step

    def total(self, name: str = "total") -> Any:
        @node(name=name)
        async def total(ns: list[int]) -> int:
            self.ran.append(name)
            return sum(ns)

        return total

    def taken(self) -> list[str]:
        ran, self.ran = self.ran, []
        return sorted(ran)


@looped
async def test_what_does_not_depend_on_a_change_is_not_done_again(store: Store) -> None:
    steps = Steps()
    one, two, after = steps.step("one", 1), steps.step("two", 2), steps.step("after", 10)
    graph = Graph("g", START >> (one, two), one >> after, (after, two) >> steps.total() >> END)
    run = await graph.run(0, store=store, id="r")
    assert run.output == 13
    steps.taken()
    fork = await graph.fork("r", store=store, edit={"one": 100}, new_id="f", metadata={"try": 1})
    assert fork.output == 112
    assert steps.taken() == ["after", "total"]
    report = fork.fork_report
    assert report is not None
    assert (report.parent, report.at) == ("r", ("one",))
    assert sorted(report.taken_over) == ["one#1", "two#2"]
    assert sorted(report.left_out) == ["after#3", "total#4"]
    assert sorted(report.ran) == ["after#3", "total#4"]
    assert "2 taken over" in str(report)
    header = await store.header("f")
    assert header.about["parent"] == {"run": "r", "at": ["one"]}
    assert header.metadata == {"try": 1}
    assert (await graph.replay("f", store=store)).output == 112
    assert (await graph.replay("r", store=store)).output == 13
    assert run.fork_report is None


@pytest.mark.parametrize("concurrency", [None, 1, 2])
@looped
async def test_of_a_list_only_the_items_that_have_changed_are_done_again(
    store: Store, concurrency: int | None
) -> None:
    steps = Steps()

    @node
    async def split(n: int) -> list[int]:
        return list(range(n))

    limits = Limits(concurrency=concurrency)
    graph = Graph(
        "g",
        START >> split,
        split.each >> steps.step("item", 1) >> steps.total() >> END,
        limits=limits,
    )
    run = await graph.run(5, store=store, id="r")
    assert run.output == 15
    steps.taken()
    fork = await graph.fork("r", store=store, edit={"split": [0, 1, 20, 3, 4]}, new_id="f")
    assert fork.output == 33
    assert steps.taken() == ["item", "total"]
    assert (await graph.replay("f", store=store)).output == 33
    fork = await graph.fork("r", store=store, edit={"item#3": 50}, new_id="f2")
    assert fork.output == 15 - 2 + 50
    assert steps.taken() == ["total"]
    assert (await graph.replay("f2", store=store)).output == fork.output


@looped
async def test_a_lap_of_a_loop_is_named_by_its_number(store: Store) -> None:
    steps = Steps()
    up = steps.step("up", 1)

    @node
    async def judge(n: int) -> int | A:
        return A(n=n) if n >= 4 else n

    graph = Graph("g", START >> up >> judge, judge[int] >> up, judge[A] >> END)
    run = await graph.run(0, store=store, id="r")
    assert len(run.steps) == 8
    with pytest.raises(PlaceUnknown, match="'up#1', 'up#3', 'up#5', 'up#7'"):
        await graph.fork("r", store=store, at="up")
    steps.taken()
    fork = await graph.fork("r", store=store, edit={"up#5": 10}, new_id="f")
    assert (fork.output, steps.taken()) == (A(n=10), [])


@looped
async def test_a_failure_may_be_put_in_the_place_of_an_answer(store: Store) -> None:
    steps = Steps()
    weak = steps.step("weak", 1)
    graph = Graph("g", START >> weak >> END)
    await graph.run(1, store=store, id="r")
    with pytest.raises(ValueError, match="what if"):
        await graph.fork("r", store=store, edit={"weak": ValueError("what if")}, new_id="f")
    run = await store.load("f", graph)
    assert run.status == "failed"


@looped
async def test_a_run_that_has_failed_goes_on_with_another_answer(store: Store) -> None:
    @node
    async def weak(n: int) -> int:
        raise ValueError("no")

    steps = Steps()
    graph = Graph("g", START >> weak >> steps.step("up", 1) >> END)
    with pytest.raises(ValueError, match="no"):
        await graph.run(1, store=store, id="r")
    fork = await graph.fork("r", store=store, edit={"weak": 5})
    assert fork.output == 6
    assert fork.id.startswith("r-fork-")


# -- inside of agents, graphs and calls ------------------------------------------------------------
@looped
async def test_a_change_deep_inside_opens_what_lies_around_it_and_nothing_else(
    store: Store,
) -> None:
    graph, model = desk()
    await graph.run("one two", model=model, store=store, id="r")
    run = await graph.resume("r", store=store, model=model, answers={"editor": {"n": 7}})
    before = await rows_of(store, "r")
    look = next(
        row.place
        for row in before
        if row.kind == "call.start" and "look" in row.body and '"one"' in row.body
    )
    model.requests.clear()
    fork = await graph.fork("r", store=store, model=model, edit={look: "found bees"}, new_id="f")
    assert fork.status == "waiting"
    # The helper reads what was found; the boss notes it, and is done.
    assert len(model.requests) == 3
    report = fork.fork_report
    assert report is not None
    assert names(report.ran) == ["boss", "boss > helper", "boss > note", "collect"]
    fork = await graph.resume("f", store=store, model=model, answers={"editor": {"n": 8}})
    assert fork.output == Msg(n=8)
    assert collected(fork) == "done 10 + done 9"
    assert (await graph.replay("f", store=store)).output == Msg(n=8)
    assert await rows_of(store, "r") == before
    assert run.output == Msg(n=7)


def collected(run: Any) -> str:
    """What `collect` has answered."""
    [answer] = [
        event.output
        for event in run.facts
        if isinstance(event, NodeFinished) and event.node == "collect"
    ]
    assert isinstance(answer, str)
    return answer


@looped
async def test_whatever_is_done_again_comes_to_the_same(store: Store) -> None:
    graph, model = desk()
    run = await graph.run("one two", model=model, store=store, id="r")
    rows = await rows_of(store, "r")
    begins = ("call.start", "model.start", "question.asked")
    places = {row.place for row in rows if row.kind in begins or row.kind == "node.end"}
    assert len(places) > 20
    for count, place in enumerate(sorted(places)):
        fork = await graph.fork("r", store=store, model=desk()[1], at=place, new_id=f"f{count}")
        assert fork.status == "waiting"
        assert collected(fork) == collected(run)
        await graph.replay(fork.id, store=store)
        done = await graph.resume(fork.id, store=store, model=model, answers={"editor": {"n": 1}})
        assert done.output == Msg(n=1)
        await graph.replay(fork.id, store=store)


@looped
async def test_a_reply_of_a_model_may_be_another_one(store: Store) -> None:
    graph, model = desk()
    await graph.run("one two", model=model, store=store, id="r")
    rows = await rows_of(store, "r")
    last = [row.place for row in rows if row.kind == "model.end" and "done" in row.body]
    model.requests.clear()
    fork = await graph.fork(
        "r", store=store, model=model, edit={last[0]: "all is well"}, new_id="f"
    )
    assert model.requests == []
    assert "all is well" in collected(fork)
    assert (await graph.replay("f", store=store)).status == "waiting"


@looped
async def test_a_person_may_have_answered_something_else(store: Store) -> None:
    steps = Steps()
    editor: Any = Human("editor", input=int, output=int)
    graph = Graph("g", START >> steps.step("up", 1) >> editor >> steps.step("down", -1) >> END)
    run = await graph.run(1, store=store, id="r")
    [question] = run.pending
    fork = await graph.fork("r", store=store, edit={question.id: 50}, new_id="early")
    assert fork.output == 49
    await graph.resume("r", store=store, answers={"editor": 5})
    steps.taken()
    fork = await graph.fork("r", store=store, edit={question.id: "70"}, new_id="late")
    assert (fork.output, steps.taken()) == (69, ["down"])
    fork = await graph.fork("r", store=store, edit={"editor": 90}, new_id="node")
    assert (fork.output, steps.taken()) == (89, ["down"])
    fork = await graph.fork("r", store=store, at="editor", new_id="again")
    assert (fork.status, [each.node for each in fork.pending]) == ("waiting", ["editor"])


@looped
async def test_a_call_is_done_again_with_what_came_after_it_and_what_came_before_is_given_back(
    store: Store,
) -> None:
    asked: list[int] = []

    @tool(effects=["writes"])
    async def pay(amount: int) -> str:
        """Pays."""
        asked.append(amount)
        return f"paid {amount}"

    boss = Agent("boss", input=str, tools=[pay])
    graph = Graph("g", START >> boss >> END)

    def model() -> ScriptedModel:
        return ScriptedModel(
            calls("pay", amount=1, when="go"),
            calls("pay", amount=2, when="paid 1"),
            says("done", when="paid 2"),
        )

    await graph.run("go", store=store, id="r", model=model())
    assert asked == [1, 2]
    again = model()
    again.left.pop(0)
    again.left.pop(0)
    fork = await graph.fork("r", store=store, at="boss > pay#2", new_id="f", model=again)
    assert fork.output == "done"
    assert asked == [1, 2, 2]
    finished = [event.output for event in fork.facts if isinstance(event, CallFinished)]
    assert finished == ["paid 1", "paid 2"]
    assert len([event for event in fork.facts if isinstance(event, ModelFinished)]) == 3
    assert fork.usage.model_calls == 3


class Office(ScriptedModel):
    """A boss that has a child work in the background, which pays; and awaits it."""

    def _next(self, request: Request) -> Any:
        last = _last_text(request)
        if last == "go":
            return calls("child", input="work")
        if last == "work":
            return calls("pay", amount=1)
        if last.startswith("paid"):
            return says(f"worked: {last}")
        if "worked" in last:
            return says(f"done, {last[last.index('worked') :][:14]}")
        return calls("background", action="await", handle="child-1")


@looped
async def test_a_change_in_the_background_reaches_who_awaits_it(store: Store) -> None:
    @tool(effects=["writes"])
    async def pay(amount: int) -> str:
        """Pays."""
        return f"paid {amount}"

    child = Agent("child", input=str, tools=[pay])
    boss = Agent("boss", input=str, sub_agents=[SubAgent(child, background=True)])
    graph = Graph("g", START >> boss >> END)
    run = await graph.run("go", store=store, id="r", model=Office())
    assert run.output == "done, worked: paid 1"
    fork = await graph.fork("r", store=store, edit={"pay": "paid 9"}, new_id="f", model=Office())
    assert fork.output == "done, worked: paid 9"
    assert (await graph.replay("f", store=store)).output == fork.output
    rows = await rows_of(store, "r")
    places = {row.place for row in rows if row.kind in ("call.start", "model.start")}
    for count, place in enumerate(sorted(places)):
        fork = await graph.fork("r", store=store, at=place, new_id=f"f{count}", model=Office())
        assert fork.output == run.output
        await graph.replay(fork.id, store=store)


@looped
async def test_a_call_in_the_background_goes_on_after_any_row_and_is_replayed(store: Store) -> None:
    @tool(effects=["writes"])
    async def pay(amount: int) -> str:
        """Pays."""
        return f"paid {amount}"

    child = Agent("child", input=str, tools=[pay])
    graph = Graph(
        "g", START >> Agent("boss", input=str, sub_agents=[SubAgent(child, background=True)]) >> END
    )
    await graph.run("go", store=store, id="r", model=Office())
    header = replace(await store.header("r"), status="running", rows=0, lease=None)
    rows = await rows_of(store, "r")
    for count in range(1, len(rows)):
        other = Store.open("memory:")
        ownership = await other.create(header, "somebody")
        await other.append(ownership, rows[:count])
        await other.release(ownership)
        run = await graph.resume("r", store=other, model=Office())
        assert run.output == "done, worked: paid 1"
        assert (await graph.replay("r", store=other)).output == run.output


@looped
async def test_a_run_of_several_sittings_is_forked_as_one(store: Store) -> None:
    gate = Gate()
    inner = Graph("inner", START >> up >> gate.step() >> up.named("late") >> END)

    @node(effects=[])
    async def both(ms: list[Msg]) -> Msg:
        return Msg(n=sum(m.n for m in ms))

    graph = Graph("g", START >> (up.named("left"), inner) >> both >> END)
    run = graph.start(Msg(n=1), store=store, id="r")
    await gate.reached.wait()
    run.cancel()
    await run.settled()
    gate.opened.set()
    early = await graph.fork("r", store=store, new_id="early")
    assert early.output == Msg(n=6)
    await graph.replay("early", store=store)
    await graph.resume("r", store=store)
    for count, at in enumerate(
        ["inner > up", "inner > wait", "inner > late", "left", "inner", "both"]
    ):
        fork = await graph.fork("r", store=store, at=at, new_id=f"f{count}")
        assert fork.output == Msg(n=6)
        await graph.replay(fork.id, store=store)
        second = await graph.fork(fork.id, store=store, edit={at: Msg(n=50)})
        await graph.replay(second.id, store=store)
        assert second.output is not None
        assert second.output.n >= 50


# -- what is refused -------------------------------------------------------------------------------
@looped
async def test_names_that_stand_for_nothing_or_for_several_are_refused(store: Store) -> None:
    steps = Steps()
    inner = Graph("inner", START >> steps.step("up", 1) >> END)
    graph = Graph("g", START >> steps.step("first", 1) >> inner >> inner.named("other") >> END)
    await graph.run(1, store=store, id="r")
    with pytest.raises(PlaceUnknown, match="did you mean 'first'"):
        await graph.fork("r", store=store, at="frist")
    with pytest.raises(PlaceUnknown, match="several: 'inner > up#1', 'other > up#1'"):
        await graph.fork("r", store=store, at="up")
    fork = await graph.fork("r", store=store, edit={"inner > up": 10}, new_id="f")
    assert fork.output == 11
    with pytest.raises(OutputInvalid, match="must be int"):
        await graph.fork("r", store=store, edit={"first": "no number"})
    with pytest.raises(RunExists):
        await graph.fork("r", store=store, new_id="r")


@looped
async def test_a_change_that_another_one_makes_impossible_is_refused(store: Store) -> None:
    steps = Steps()
    graph = Graph("g", START >> steps.step("first", 1) >> steps.step("second", 1) >> END)
    await graph.run(1, store=store, id="r")
    with pytest.raises(DeclarationError, match="depends on another change"):
        await graph.fork("r", store=store, edit={"first": 5, "second": 9})


class Word(Message):
    """A message."""

    text: str


class Recited:
    """A model that says what it was asked, and remembers it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.model = ComputedModel(self.reply)

    def reply(self, request: Request) -> str:
        self.asked.append(_last_text(request))
        return f"re {_last_text(request)}"


def drafting() -> tuple[Graph[str, Any], Agent[Any, Any]]:
    draft = Agent("draft", input=Word, prompt="old {{ text }}")

    @node(effects=[])
    async def split(text: str) -> list[Word]:
        return [Word(text=each) for each in text]

    @node(effects=[])
    async def join(parts: list[str]) -> str:
        return "|".join(parts)

    inner = Graph("inner", START >> draft >> END)
    return Graph("outer", START >> split, split.each >> inner >> join >> END), draft


@looped
async def test_a_variant_does_its_own_nodes_anew_and_what_follows() -> None:
    graph, draft = drafting()
    recited = Recited()
    store = Store.open("memory:")
    await graph.run("ab", store=store, id="one", model=recited.model)
    recited.asked.clear()
    other = graph.variant({"inner > draft": draft.but(prompt="new {{ text }}")})
    forked = await other.fork("one", store=store, model=recited.model)
    assert forked.output == "re new a|re new b"
    assert sorted(recited.asked) == ["new a", "new b"]
    assert forked.fork_report is not None
    assert "split#1" in forked.fork_report.taken_over


@looped
@pytest.mark.parametrize(
    "prompt", [{"inner > draft": "new {{ text }}"}, {"draft": "new {{ text }}"}, "new {{ text }}"]
)
async def test_a_prompt_in_other_words_is_a_variant(prompt: Any) -> None:
    graph, _ = drafting()
    recited = Recited()
    store = Store.open("memory:")
    await graph.run("ab", store=store, id="one", model=recited.model)
    recited.asked.clear()
    forked = await graph.fork("one", store=store, model=recited.model, prompt=prompt)
    assert forked.output == "re new a|re new b"
    assert sorted(recited.asked) == ["new a", "new b"]
    assert forked.fork_report is not None
    assert "split#1" in forked.fork_report.taken_over
    first = await store.load("one", graph)
    assert first.output == "re old a|re old b"


@looped
@pytest.mark.parametrize(
    ("prompt", "refused", "why"),
    [
        ({"split": "x"}, DeclarationError, "'split' is a step and has no prompt"),
        (
            {"drafts": "x"},
            DeclarationError,
            "'drafts' does not stand in it; there are .*'inner > draft'",
        ),
        ({"draft": "{{ txt }}"}, GraphError, r"has 1 problem:.*txt.*test_fork.py:\d+"),
        ({"draft": "{{ text"}, GraphError, "unexpected end of template"),
    ],
)
async def test_a_prompt_that_cannot_be_is_refused_before_anything_is_kept(
    prompt: Any, refused: type[Exception], why: str
) -> None:
    graph, _ = drafting()
    recited = Recited()
    store = Store.open("memory:")
    await graph.run("ab", store=store, id="one", model=recited.model)
    recited.asked.clear()
    with pytest.raises(refused, match=f"(?s){why}"):
        await graph.fork("one", store=store, model=recited.model, prompt=prompt)
    assert recited.asked == []
    assert [header.id for header in await store.runs()] == ["one"]


@looped
async def test_a_prompt_alone_is_for_a_graph_with_one_agent() -> None:
    first, second = Agent("first", input=str, prompt="1"), Agent("second", input=str, prompt="2")
    graph = Graph("two", START >> first >> second >> END)
    store = Store.open("memory:")
    await graph.run("a", store=store, id="one", model=Recited().model)
    with pytest.raises(DeclarationError, match="has first, second; say whose it is"):
        await graph.fork("one", store=store, model=Recited().model, prompt="3")
