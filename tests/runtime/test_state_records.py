"""What is recorded of writes: walked again, edited, taken over by the next attempt, and read when all is over."""

from __future__ import annotations

from typing import Any

import pytest

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Failure,
    Graph,
    Retry,
    State,
    Store,
    SubAgent,
    node,
    tool,
)
from graphflow.errors import (
    MergeFailed,
    OutputInvalid,
    PlaceUnknown,
    StateInvalid,
    StateUndeclared,
)
from graphflow.merges import extend
from graphflow.model.turns import ToolTurn
from graphflow.testing import ComputedModel, both, calls, check_crash_safety, says
from tests.looped import looped

NOTES = State("notes", list[str], start=[], merge=extend)


def writer(name: str) -> Any:
    @node(name=name, adds=[NOTES], effects=[])
    async def write(text: str, ctx: Context) -> str:
        ctx.add(NOTES, [name])
        return text

    return write


@node(reads=[NOTES], effects=[])
async def seen(text: str, ctx: Context) -> list[str]:
    return ctx.read(NOTES)


@node(effects=[])
async def gather(parts: list[str]) -> str:
    return "+".join(parts)


def lent() -> Graph[Any, Any]:
    """A graph within, with a fork whose branches write a state of the graph around."""
    branches = (writer("left"), writer("right"))
    inner = Graph(
        "inner",
        START >> writer("first") >> branches >> gather >> writer("last") >> END,
        uses=[NOTES],
    )
    return Graph("outer", START >> writer("before") >> inner >> seen >> END, state=[NOTES])


@looped
async def test_a_run_whose_frames_were_lent_a_state_is_walked_again() -> None:
    graph, store = lent(), Store.open("memory:")
    run = await graph.run("x", store=store, id="r")
    assert run.output == ["before", "first", "left", "right", "last"]
    merged = [(event.frame, event.state) for event in run.events if event.kind == "state.merge"]
    assert merged == [(1, "notes")]
    loaded = await store.load("r", graph)
    replayed = await graph.replay("r", store=store)
    resumed = await graph.resume("r", store=store)
    cut = await graph.fork("r", store=store, at="seen")
    for other in (loaded, replayed, resumed, cut):
        assert other.output == run.output
        assert other.state[NOTES] == run.output


@looped
async def test_an_edited_answer_keeps_what_its_node_has_written() -> None:
    store = Store.open("memory:")
    graph = lent()
    await graph.run("x", store=store, id="r")
    for edited in ("before", "inner > first", "inner > left", "inner > last"):
        fork = await graph.fork("r", store=store, edit={edited: "y"})
        assert fork.output == ["before", "first", "left", "right", "last"], edited


@node(effects=[])
async def lines(text: str) -> list[str]:
    return [text]


@node(effects=[])
async def constant(parts: list[str]) -> str:
    return "done"


@looped
async def test_an_arrow_writes_the_edited_answer_instead() -> None:
    store = Store.open("memory:")
    graph = Graph("g", START >> lines >> constant >> seen >> END, lines >> NOTES, state=[NOTES])
    await graph.run("x", store=store, id="r")
    fork = await graph.fork("r", store=store, edit={"lines": ["z"]})
    assert fork.output == ["z"]


@looped
async def test_an_edited_call_keeps_what_it_has_written() -> None:
    @tool(adds=[NOTES], effects=["writes"])
    async def note(text: str, ctx: Context) -> str:
        """Notes."""
        ctx.add(NOTES, [text])
        return "noted"

    def reply(request: Any) -> Any:
        answered = any(isinstance(turn, ToolTurn) for turn in request.turns)
        return says("done") if answered else calls("note", text="n1")

    agent = Agent("boss", tools=[note], input=str)
    graph = Graph("g", START >> agent >> seen >> END, state=[NOTES])
    store = Store.open("memory:")
    model = ComputedModel(reply)
    await graph.run("x", store=store, id="r", model=model)
    fork = await graph.fork("r", store=store, edit={"boss > note": "other"}, model=model)
    assert fork.output == ["n1"]


@looped
async def test_a_fork_sets_a_state_to_another_value_behind_a_node() -> None:
    store = Store.open("memory:")
    graph = lent()
    await graph.run("x", store=store, id="r")
    fork = await graph.fork("r", store=store, edit={"before.notes": ["other"]})
    assert fork.output == ["other", "first", "left", "right", "last"]
    fork = await graph.fork("r", store=store, edit={"inner > first.notes": ["other"]})
    assert fork.output == ["other", "left", "right", "last"]
    lines_graph = Graph(
        "g", START >> lines >> constant >> seen >> END, lines >> NOTES, state=[NOTES]
    )
    await lines_graph.run("x", store=store, id="l")
    both_edited = {"lines.notes": ["state"], "lines": ["answer"]}
    fork = await lines_graph.fork("l", store=store, edit=both_edited)
    assert fork.output == ["state"]
    replayed = await lines_graph.replay(fork.id, store=store)
    assert replayed.output == ["state"]


@looped
async def test_a_state_of_a_fork_must_be_one_and_fit() -> None:
    store = Store.open("memory:")
    graph = lent()
    await graph.run("x", store=store, id="r")
    with pytest.raises(PlaceUnknown, match="can see no state 'note'; did you mean 'notes'"):
        await graph.fork("r", store=store, edit={"before.note": []})
    with pytest.raises(OutputInvalid, match=r"must be list\[str\]"):
        await graph.fork("r", store=store, edit={"before.notes": 3})
    with pytest.raises(PlaceUnknown, match=r"tells of no 'befor\.notes'"):
        await graph.fork("r", store=store, edit={"befor.notes": []})


# -- what must not be done twice -------------------------------------------------------------------
def retried(sent: list[str], *, fails: int) -> Graph[Any, Any]:
    """A graph within that is tried again, after a tool on one of its arrows has changed the world."""
    tries: list[int] = []

    @tool(effects=["writes"], adds=[NOTES])
    async def send(text: str, ctx: Context) -> str:
        """Sends."""
        sent.append(text)
        ctx.add(NOTES, ["sent"])
        return text

    @node(effects=[])
    async def flaky(text: str) -> str:
        tries.append(1)
        if len(tries) <= fails:
            raise ValueError("not yet")
        return text

    inner = Graph("inner", START >> send >> flaky >> END, uses=[NOTES], retry=Retry(3, wait_s=0))
    return Graph("outer", START >> inner >> seen >> END, state=[NOTES])


def test_who_takes_over_an_answer_takes_over_what_was_written() -> None:
    sent: list[str] = []
    run = retried(sent, fails=2).run_sync("x")
    assert run.output == ["sent"]
    assert sent == ["x"]


@looped
async def test_a_frame_that_is_walked_again_after_a_crash_does_nothing_twice() -> None:
    sent: list[str] = []
    graph = retried(sent, fails=99)
    # It counts, among all else, which answers were taken over: one fewer was got from the world again.
    report = await check_crash_safety(graph, "x", seeds=(0,))
    assert report.cuts > 10
    store = Store.open("memory:")
    sent.clear()
    with pytest.raises(ValueError, match="not yet"):
        await graph.run("x", store=store, id="r")
    assert sent == ["x"]


# -- what cannot be merged -------------------------------------------------------------------------
def failing(value: list[str], added: list[str]) -> list[str]:
    if value and added:
        raise ValueError("two are too many")
    return value + added


BROKEN = State("broken", list[str], start=[], merge=failing)


def breaker(name: str) -> Any:
    @node(name=name, adds=[BROKEN], effects=[])
    async def write(text: str, ctx: Context) -> str:
        ctx.add(BROKEN, [name])
        return name

    return write


@node(effects=[])
async def start(text: str) -> str:
    return text


def test_outputs_whose_writes_cannot_be_merged_fail_the_graph() -> None:
    graph = Graph(
        "g", START >> start >> (breaker("a"), breaker("b")) >> END, ends="all", state=[BROKEN]
    )
    with pytest.raises(MergeFailed, match="two are too many") as caught:
        graph.run_sync("x")
    assert caught.value.run.status == "failed"


def test_a_graph_within_fails_alike_and_its_failure_is_caught() -> None:
    inner = Graph(
        "inner", START >> start >> (breaker("a"), breaker("b")) >> END, ends="all", uses=[BROKEN]
    )

    @node(effects=[])
    async def mend(failure: Failure) -> str:
        return failure.kind

    @node(effects=[])
    async def whole(outputs: list[str]) -> str:
        return "whole"

    outer = Graph(
        "outer",
        START >> inner,
        inner >> whole >> END,
        inner[Failure] >> mend >> END,
        state=[BROKEN],
    )
    run = outer.run_sync("x")
    assert run.output == "MergeFailed"
    assert run.state[BROKEN] == []


def changing(value: list[str], added: list[str]) -> list[str]:
    value.extend(added)
    added.clear()
    return value


def test_a_merge_that_changes_what_it_is_given_changes_nothing_that_was() -> None:
    state = State("changed", list[str], start=[], merge=changing)

    def adding(name: str) -> Any:
        @node(name=name, adds=[state], effects=[])
        async def write(text: str, ctx: Context) -> str:
            ctx.add(state, [name])
            return f"{name}{ctx.read(state)}"

        return write

    graph = Graph("g", START >> start >> (adding("a"), adding("b")) >> gather >> END, state=[state])
    for _ in range(2):
        run = graph.run_sync("x")
        assert run.output == "a['a']+b['b']"
        assert run.state[state] == ["a", "b"]
    assert state.start == []


def test_an_arrow_writes_only_what_is_of_the_states_type() -> None:
    @node(effects=[])
    async def anything(text: str) -> Any:
        return 5

    @node(effects=[])
    async def after(value: Any) -> str:
        return "went on"

    graph = Graph("g", START >> anything >> after >> END, anything >> NOTES, state=[NOTES])
    with pytest.raises(
        StateInvalid, match=r"int was written into state 'notes', which is list\[str\]"
    ):
        graph.run_sync("x")


# -- what is asked of a run ------------------------------------------------------------------------
def test_guards_are_not_asked_again_for_the_states_of_a_run() -> None:
    asked: list[str] = []

    def is_short(text: str) -> bool:
        asked.append(text)
        return len(text) < 5

    first = writer("first")
    graph = Graph(
        "g",
        START >> first,
        first.when(is_short) >> seen,
        first.otherwise >> writer("long") >> seen,
        seen >> END,
        state=[NOTES],
    )
    run = graph.run_sync("x")
    assert run.state[NOTES] == ["first"]
    assert asked == ["x"]


def test_states_of_a_run_are_asked_for_as_in_a_mapping() -> None:
    other = State("other", int)
    unset = State("unset", int)
    graph = Graph("g", START >> seen >> END, state=[NOTES, unset])
    state = graph.run_sync("x").state
    asked: list[object] = [NOTES, "notes", unset, "unset", other, 3]
    assert [each in state for each in asked] == [True, True, False, False, False, False]
    assert state.get(unset) is None
    assert state.get("unset", 7) == 7
    for wrong in (3, other, "note", State("notes", list[str], start=[])):
        with pytest.raises(StateUndeclared):
            state[wrong]  # type: ignore[index]  # what users may try


def test_what_is_read_must_be_a_state() -> None:
    @node(reads=[NOTES], effects=[])
    async def wrong(text: str, ctx: Context) -> str:
        return str(ctx.read("notes"))  # type: ignore[arg-type]  # what users may try

    graph = Graph("g", START >> wrong >> END, state=[NOTES])
    with pytest.raises(StateUndeclared, match="must be a State"):
        graph.run_sync("x")


def test_two_agents_write_one_state_by_one_tool() -> None:
    def reply(request: Any) -> Any:
        answered = any(isinstance(turn, ToolTurn) for turn in request.turns)
        if answered:
            return says("done")
        names = {tool.name for tool in request.tools}
        name = "helper" if "helper" in names else "first"
        note = calls("add_to_notes", value=[name])
        return both(note, calls("helper", input="go")) if name == "helper" else note

    helper = Agent("helper", input=str, adds=[NOTES])
    boss = Agent("boss", input=str, adds=[NOTES], sub_agents=[SubAgent(helper)])
    graph = Graph("g", START >> boss >> seen >> END, state=[NOTES])
    assert graph.run_sync("x", model=ComputedModel(reply)).output == ["helper", "first"]
