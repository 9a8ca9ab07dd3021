"""States in whole walks: nodes, calls, agents, graphs within, retries, failures, records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import pytest

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Failure,
    Graph,
    GraphError,
    Human,
    Message,
    Retry,
    State,
    Store,
    SubAgent,
    Take,
    node,
    tool,
)
from graphflow.errors import (
    DeclarationError,
    MergeFailed,
    StateInvalid,
    StateUndeclared,
    StateUnset,
)
from graphflow.merges import by_key, extend, largest, last, plus, smallest, union
from graphflow.model.turns import ToolTurn
from graphflow.testing import ComputedModel, ScriptedModel, both, calls, check_crash_safety, says
from tests.blocks import Jitter
from tests.looped import looped

NOTES = State("notes", list[str], start=[], merge=extend)
PLAN = State("plan", list[str])
COUNT = State("count", int, start=0, merge=plus)


def shuffled(
    graph: Graph[Any, Any], message: Any, read: Callable[[Any], Any], **options: Any
) -> Any:
    """What a run gives under twelve latencies, which must be one and the same."""
    found = []
    for seed in range(12):
        Jitter.random.seed(seed)
        found.append(read(graph.run_sync(message, **options)))
    assert all(each == found[0] for each in found)
    return found[0]


def adder(name: str, amount: int) -> Any:
    @node(name=name, adds=[COUNT], effects=[])
    async def add(text: str, ctx: Context) -> str:
        await Jitter.wait()
        ctx.add(COUNT, amount)
        return f"{name}:{ctx.read(COUNT)}"

    return add


@node(adds=[COUNT], effects=[])
async def fan(text: str, ctx: Context) -> str:
    ctx.add(COUNT, 1)
    return text


@node(reads=[COUNT], effects=[])
async def total(parts: list[str], ctx: Context) -> str:
    return f"{parts} {ctx.read(COUNT)}"


@node(effects=[])
async def topics(text: str) -> list[str]:
    return [f"{text}{number}" for number in range(5)]


@node(adds=[NOTES], effects=[])
async def research(topic: str, ctx: Context) -> str:
    seen = len(ctx.read(NOTES))
    ctx.add(NOTES, [f"{topic} first"])
    await Jitter.wait()
    if topic.endswith("3"):
        raise ValueError(topic)
    ctx.add(NOTES, [f"{topic} second"])
    return f"{topic} saw {seen}, sees {len(ctx.read(NOTES))}"


@node(reads=[NOTES], effects=[])
async def report(found: list[str], ctx: Context) -> str:
    return " | ".join([*found, *ctx.read(NOTES)])


# -- the walk --------------------------------------------------------------------------------------
def test_the_items_of_a_list_write_in_their_order_and_those_that_are_lost_lose_their_writes() -> (
    None
):
    mapped = topics.each.fork("isolate") >> research >> report >> END
    graph = Graph("notes", START >> topics, mapped, state=[NOTES])
    output, notes = shuffled(graph, "t", lambda run: (run.output, run.state[NOTES]))
    items = ["t0", "t1", "t2", "t4"]
    assert notes == [f"{item} {which}" for item in items for which in ("first", "second")]
    seen = [f"{item} saw 0, sees 2" for item in items]
    assert output == " | ".join([*seen, *notes])


def test_a_loop_goes_on_from_what_its_last_lap_has_set() -> None:
    @node(sets=[PLAN], effects=[])
    async def plan(text: str, ctx: Context) -> str:
        ctx.set(PLAN, ["draft"])
        return text

    @node(reads=[PLAN], effects=[])
    async def judge(text: str, ctx: Context) -> int:
        return len(ctx.read(PLAN))

    @node(sets=[PLAN], effects=[])
    async def revise(length: int, ctx: Context) -> str:
        ctx.set(PLAN, [*ctx.read(PLAN), f"better than {length}"])
        return "again"

    @node(reads=[PLAN], effects=[])
    async def done(length: int, ctx: Context) -> list[str]:
        return ctx.read(PLAN)

    graph = Graph(
        "plan",
        START >> plan >> judge,
        judge.when(lambda length: length < 4).limit(9) >> revise >> judge,
        judge.otherwise >> done >> END,
        state=[PLAN],
    )
    run = graph.run_sync("x")
    assert run.output == ["draft", "better than 1", "better than 2", "better than 3"]
    assert run.state["plan"] == run.output
    assert dict(run.state) == {"plan": run.output}


def test_a_graph_within_is_lent_the_state_of_the_one_around() -> None:
    inner = Graph("inner", START >> adder("i1", 10) >> adder("i2", 100) >> END, uses=[COUNT])
    graph = Graph(
        "outer",
        START >> fan >> (adder("a", 2), adder("b", 3), inner) >> total >> END,
        state=[COUNT],
    )
    output, count = shuffled(graph, "x", lambda run: (run.output, run.state[COUNT]))
    assert output == "['a:3', 'b:4', 'i2:111'] 116"
    assert count == 116


def test_a_graph_that_owns_a_state_of_that_name_has_its_own() -> None:
    inner = Graph("inner", START >> adder("i1", 10) >> END, state=[COUNT])
    graph = Graph("outer", START >> fan >> inner >> adder("a", 2) >> END, state=[COUNT])
    run = graph.run_sync("x")
    assert run.output == "a:3"
    assert run.state[COUNT] == 3


def test_what_failed_has_written_nothing_and_its_failure_edge_sees_what_was_before() -> None:
    @node(adds=[COUNT], effects=[])
    async def breaks(text: str, ctx: Context) -> str:
        ctx.add(COUNT, 1000)
        raise ValueError("no")

    @node(adds=[COUNT], effects=[])
    async def mend(failure: Failure, ctx: Context) -> str:
        ctx.add(COUNT, 7)
        return failure.node

    graph = Graph(
        "mended", START >> fan >> breaks >> END, breaks[Failure] >> mend >> END, state=[COUNT]
    )
    run = graph.run_sync("x")
    assert (run.output, run.state[COUNT]) == ("breaks", 8)


def test_each_attempt_begins_with_nothing_written() -> None:
    attempts: list[int] = []

    @node(adds=[COUNT], effects=[], retry=Retry(3, wait_s=0))
    async def tries(text: str, ctx: Context) -> str:
        attempts.append(ctx.read(COUNT))
        ctx.add(COUNT, 5)
        if len(attempts) < 3:
            raise ValueError("again")
        return text

    run = Graph("tries", START >> fan >> tries >> END, state=[COUNT]).run_sync("x")
    assert attempts == [1, 1, 1]
    assert run.state[COUNT] == 6


def test_of_what_comes_too_late_for_a_join_nothing_is_merged() -> None:
    @node(effects=[], reads=[COUNT])
    async def quickest(found: Annotated[list[str], Take(1)], ctx: Context) -> int:
        return ctx.read(COUNT)

    @node(adds=[COUNT], effects=[])
    async def never(text: str, ctx: Context) -> str:
        ctx.add(COUNT, 500)
        await asyncio.Event().wait()
        return text

    graph = Graph("race", START >> fan >> (adder("a", 2), never) >> quickest >> END, state=[COUNT])
    run = graph.run_sync("x")
    assert run.output == 3


def test_outputs_that_never_meet_are_gathered_at_the_end() -> None:
    graph = Graph(
        "all", START >> fan >> (adder("a", 2), adder("b", 3)) >> END, ends="all", state=[COUNT]
    )
    run = graph.run_sync("x")
    assert run.output == ["a:3", "b:4"]
    assert run.state[COUNT] == 6


def test_what_is_read_and_written_is_everybodys_own() -> None:
    given: list[str] = ["a"]
    outside: list[list[str]] = []

    @node(adds=[NOTES], effects=[])
    async def writes(text: str, ctx: Context) -> str:
        ctx.add(NOTES, given)
        given.append("changed later")
        seen = ctx.read(NOTES)
        seen.append("mine alone")
        outside.append(seen)
        return text

    run = Graph("own", START >> writes >> END, state=[NOTES]).run_sync("x")
    assert run.state[NOTES] == ["a"]
    run.state[NOTES].append("mine, too")
    assert run.state[NOTES] == ["a"]
    assert NOTES.start == []


# -- calls -----------------------------------------------------------------------------------------
@tool(adds=[NOTES])
async def note(text: str, ctx: Context) -> str:
    """Notes something."""
    seen = len(ctx.read(NOTES))
    await Jitter.wait()
    ctx.add(NOTES, [text])
    return f"saw {seen}"


@node(reads=[NOTES], effects=[])
async def after(text: str, ctx: Context) -> list[str]:
    return ctx.read(NOTES)


def noted(*turns: Any) -> tuple[Graph[Any, Any], Any]:
    writer = Agent("writer", tools=[note], input=str)
    model = ScriptedModel(*turns, says("done"))
    return Graph("agent", START >> writer >> after >> END, state=[NOTES]), model


def test_calls_of_one_turn_see_its_beginning_and_write_in_their_order() -> None:
    turns = [
        both(calls("note", text="one"), calls("note", text="two"), calls("note", text="three")),
        calls("note", text="four"),
    ]
    for seed in range(8):
        Jitter.random.seed(seed)
        graph, model = noted(*turns)
        run = graph.run_sync("x", model=model)
        assert run.output == ["one", "two", "three", "four"]
        answers = [event.output for event in run.events if event.kind == "call.end"]
        assert sorted(answers) == ["saw 0", "saw 0", "saw 0", "saw 3"]


def test_a_sub_agent_and_its_tools_write_for_their_caller() -> None:
    helper = Agent("helper", tools=[note], input=str)
    boss = Agent("boss", tools=[note], sub_agents=[SubAgent(helper)], input=str)
    model = ScriptedModel(
        calls("note", text="boss first"),
        calls("helper", input="go"),
        calls("note", text="helper"),
        says("helped"),
        calls("note", text="boss last"),
        says("done"),
    )
    graph = Graph("team", START >> boss >> after >> END, state=[NOTES])
    run = graph.run_sync("x", model=model)
    assert run.output == ["boss first", "helper", "boss last"]


def test_a_call_that_failed_has_written_nothing() -> None:
    @tool(adds=[NOTES])
    async def breaks(text: str, ctx: Context) -> str:
        """Breaks."""
        ctx.add(NOTES, [text])
        raise ValueError("no")

    writer = Agent("writer", tools=[note, breaks], input=str)
    model = ScriptedModel(calls("breaks", text="lost"), calls("note", text="kept"), says("done"))
    graph = Graph("agent", START >> writer >> after >> END, state=[NOTES])
    assert graph.run_sync("x", model=model).output == ["kept"]


# -- what is refused -------------------------------------------------------------------------------
def test_a_state_that_nobody_owns_is_refused_when_the_graph_is_built() -> None:
    with pytest.raises(GraphError, match=r"'fan' touches state 'count'.*state=\[count\]"):
        Graph("g", START >> fan >> END)
    inner = Graph("inner", START >> fan >> END, uses=[COUNT])
    with pytest.raises(GraphError, match="'inner' touches state 'count'"):
        Graph("g", START >> inner >> END)
    with pytest.raises(StateUndeclared, match="no graph around it owns"):
        inner.run_sync("x")
    another = State("count", str, start="")
    with pytest.raises(
        GraphError, match="another state 'count' than that of graph 'g': it is int, not str"
    ):
        Graph("g", START >> fan >> END, state=[another])


def test_two_that_set_a_state_on_ways_that_meet_are_refused() -> None:
    def setter(name: str) -> Any:
        @node(name=name, sets=[PLAN], effects=[])
        async def sets(text: str, ctx: Context) -> str:
            ctx.set(PLAN, [name])
            return text

        return sets

    @node(effects=[])
    async def start(text: str) -> str:
        return text

    @node(effects=[])
    async def join(parts: list[str]) -> str:
        return parts[0]

    with pytest.raises(
        GraphError, match=r"'a' sets state 'plan' and 'b' sets it.*part at 'start'.*merge=last"
    ):
        Graph("g", START >> start >> (setter("a"), setter("b")) >> join >> END, state=[PLAN])
    with pytest.raises(GraphError, match="'each' sets state 'plan' in several branches"):
        Graph("g", START >> topics, topics.each >> setter("each") >> join >> END, state=[PLAN])
    Graph("g", START >> start >> setter("a") >> setter("b") >> END, state=[PLAN])
    guarded = [
        start.when(lambda text: text == "a") >> setter("a"),
        start.otherwise >> setter("b"),
    ]
    Graph("g", START >> start, *[path >> END for path in guarded], state=[PLAN])


def test_a_state_without_a_start_is_set_before_it_is_read() -> None:
    @node(reads=[PLAN], effects=[])
    async def reads(text: str, ctx: Context) -> str:
        return str(ctx.read(PLAN))

    @node(sets=[PLAN], effects=[])
    async def maybe(text: str, ctx: Context) -> str:
        if text == "yes":
            ctx.set(PLAN, [])
        return text

    with pytest.raises(GraphError, match="'reads' needs a value of state 'plan'"):
        Graph("g", START >> reads >> END, state=[PLAN])
    graph = Graph("g", START >> maybe >> reads >> END, state=[PLAN])
    assert graph.run_sync("yes").output == "[]"
    with pytest.raises(StateUnset, match="'reads' reads state 'plan', which has no value yet"):
        graph.run_sync("no")


def test_what_a_node_does_not_declare_it_may_not_touch() -> None:
    @node(effects=[])
    async def sneaks(text: str, ctx: Context) -> str:
        ctx.add(COUNT, 1)
        return text

    graph = Graph("g", START >> sneaks >> END, state=[COUNT])
    with pytest.raises(StateUndeclared, match=r"'sneaks' adds to state 'count'.*adds=\[count\]"):
        graph.run_sync("x")

    @node(adds=[COUNT], effects=[])
    async def wrong(text: str, ctx: Context) -> str:
        ctx.add(COUNT, "1")
        return text

    with pytest.raises(StateInvalid, match="'wrong' writes str into state 'count', which is int"):
        Graph("g", START >> wrong >> END, state=[COUNT]).run_sync("x")


def test_a_merge_that_cannot_fails_its_join_and_names_the_state() -> None:
    most = State(
        "most", int, start=0, merge=lambda value, added: value + added if value + added < 5 else "x"
    )

    def part(name: str) -> Any:
        @node(name=name, adds=[most], effects=[])
        async def adds(text: str, ctx: Context) -> str:
            ctx.add(most, 3)
            return text

        return adds

    @node(effects=[])
    async def start(text: str) -> str:
        return text

    @node(effects=[])
    async def join(parts: list[str]) -> str:
        return parts[0]

    @node(effects=[])
    async def mend(failure: Failure) -> str:
        return f"{failure.node} {failure.kind}"

    arrows = [START >> start >> (part("a"), part("b")) >> join >> END]
    with pytest.raises(MergeFailed, match="state 'most': its merge made str of it, not int") as why:
        Graph("g", *arrows, state=[most]).run_sync("x")
    assert why.value.branches == ("a", "b")
    assert "on the ways by 'a', 'b'" in str(why.value)
    mended = Graph("g", *arrows, join[Failure] >> mend >> END, state=[most])
    run = mended.run_sync("x")
    assert (run.output, run.state[most]) == ("join MergeFailed", 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: State("not a name", int),
        lambda: State("count", int, start="x"),
        lambda: State("count", int, merge="plus"),  # type: ignore[arg-type]
        lambda: Graph("g", START >> topics, topics >> END, state=COUNT),  # type: ignore[arg-type]
        lambda: Graph("g", START >> topics, topics >> END, state=[COUNT, State("count", str)]),
        lambda: node(adds=[COUNT], cache=True)(lambda text: text),
        lambda: node(adds=["count"])(lambda text: text),
    ],
)
def test_what_is_no_state_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(DeclarationError):
        make()


# -- merges ----------------------------------------------------------------------------------------
class Item(Message):
    """Something with a key."""

    id: int
    text: str


@pytest.mark.parametrize(
    ("merge", "value", "added", "after"),
    [
        (extend, [1], [[2], [3, 4]], [1, 2, 3, 4]),
        (extend, (1,), [(2,)], (1, 2)),
        (union, {1}, [{2}, {1, 3}], {1, 2, 3}),
        (union, {"a": 1}, [{"b": 2}, {"a": 3}], {"a": 3, "b": 2}),
        (plus, 1, [2, 3], 6),
        (largest, 4, [2, 9, 3], 9),
        (smallest, 4, [2, 9, 3], 2),
        (last, "a", ["b", "c"], "c"),
        (
            by_key("id"),
            [Item(id=1, text="a"), Item(id=2, text="b")],
            [[Item(id=2, text="c")], [Item(id=3, text="d")]],
            [Item(id=1, text="a"), Item(id=2, text="c"), Item(id=3, text="d")],
        ),
    ],
)
def test_ready_merges_do_the_same_one_by_one_and_in_bulk(
    merge: Any, value: Any, added: list[Any], after: Any
) -> None:
    assert merge.bulk(value, added) == after
    for each in added:
        value = merge(value, each)
    assert value == after


# -- records ---------------------------------------------------------------------------------------
@looped
async def test_graphs_with_states_go_on_from_every_row() -> None:
    inner = Graph("inner", START >> adder("i1", 10) >> adder("i2", 100) >> END, uses=[COUNT])
    lent = Graph(
        "outer",
        START >> fan >> (adder("a", 2), adder("b", 3), inner) >> total >> END,
        state=[COUNT],
    )
    mapped = topics.each.fork("isolate") >> research >> report >> END
    notes = Graph("notes", START >> topics, mapped, state=[NOTES])
    for graph, message in ((lent, "x"), (notes, "t")):
        tried = await check_crash_safety(graph, message, seeds=(0, 1, 2))
        assert tried.cuts > 5


@looped
async def test_an_agent_that_writes_goes_on_from_every_row() -> None:
    def reply(request: Any) -> Any:
        done = sum(isinstance(turn, ToolTurn) for turn in request.turns)
        if done == 0:
            return both(calls("note", text="one"), calls("note", text="two"))
        return calls("note", text="three") if done == 1 else says("done")

    writer = Agent("writer", tools=[note], input=str)
    editor = Human("editor", input=str, output=str)
    graph = Graph("agent", START >> writer >> editor >> after >> END, state=[NOTES])
    tried = await check_crash_safety(
        graph, "x", model=ComputedModel(reply), answers={"editor": "fine"}
    )
    assert tried.cuts > 5


@looped
async def test_a_run_with_states_is_resumed_loaded_replayed_and_forked() -> None:
    editor = Human("editor", input=str, output=str)

    @node(adds=[NOTES], effects=[])
    async def first(text: str, ctx: Context) -> str:
        ctx.add(NOTES, [text])
        return text

    @node(adds=[NOTES], effects=[])
    async def second(text: str, ctx: Context) -> list[str]:
        ctx.add(NOTES, [text])
        return ctx.read(NOTES)

    graph = Graph("kept", START >> first >> editor >> second >> END, state=[NOTES])
    store = Store.open("memory:")
    waiting = await graph.run("a", store=store, id="r")
    assert waiting.status == "waiting"
    done = await graph.resume("r", store=store, answers={"editor": "b"})
    assert done.output == ["a", "b"]
    assert done.state[NOTES] == ["a", "b"]
    loaded = await store.load("r", graph)
    assert loaded.state[NOTES] == ["a", "b"]
    replayed = await graph.replay("r", store=store)
    assert replayed.state["notes"] == ["a", "b"]
    forked = await graph.fork("r", store=store, edit={"editor": "c"})
    assert forked.output == ["a", "c"]
    assert forked.state[NOTES] == ["a", "c"]
    with pytest.raises(StateUndeclared, match="has no state 'note'; it has 'notes'"):
        done.state["note"]


# -- arrows, parameters, prompts, agents -----------------------------------------------------------
class Aim(Message):
    """What is aimed at."""

    goal: str


class Again(Message):
    """It has to be better."""

    why: str


AIM = State("aim", Aim)


@node(effects=[])
async def aims(text: str) -> Aim:
    return Aim(goal=text)


@node(effects=[])
async def judges(aim: Aim, known: Annotated[Aim, AIM]) -> Aim | Again:
    return aim if len(aim.goal) > 6 else Again(why=f"short {known.goal}")


@node(effects=[])
async def revises(again: Again) -> Aim:
    return Aim(goal=again.why)


@node(effects=[])
async def logs(aim: Aim) -> list[str]:
    return [aim.goal]


def arrows() -> list[Any]:
    return [
        START >> aims >> judges,
        judges[Again].limit(3) >> revises >> judges,
        judges[Aim] >> logs >> END,
        aims >> AIM,
        revises >> AIM,
        logs >> NOTES,
    ]


def test_an_arrow_writes_and_a_parameter_reads() -> None:
    run = Graph("arrows", *arrows(), state=[AIM, NOTES]).run_sync("abc")
    assert run.output == ["short abc"]
    assert dict(run.state) == {"aim": Aim(goal="short abc"), "notes": ["short abc"]}


@looped
async def test_what_arrows_write_is_recorded_and_replaced_by_a_variant() -> None:
    graph = Graph("arrows", *arrows(), state=[AIM, NOTES])
    tried = await check_crash_safety(graph, "abc", seeds=(0,))
    assert tried.cuts > 3

    @node(name="logs", effects=[])
    async def shouts(aim: Aim) -> list[str]:
        return [aim.goal.upper()]

    other = graph.variant({"logs": shouts})
    run = await other.run("abc")
    assert run.state[NOTES] == ["SHORT ABC"]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: [judges >> AIM], "'judges' answers Again, and the state is Aim"),
        (lambda: [judges[Again] >> AIM], "it writes Again, and the state is Aim"),
        (lambda: [aims >> NOTES], r"'aims' answers Aim, and the state is list\[str\]"),
        (lambda: [aims[Again] >> AIM], "'aims' never answers that"),
        (lambda: [START >> NOTES], "the input of a graph is written by no arrow"),
        (lambda: [aims.when(lambda aim: True) >> AIM], "no .when"),
        (lambda: [revises >> State("other", Aim)], "neither owns nor uses that state"),
        (lambda: [topics >> NOTES], "'topics' writes a state, and is on no arrow"),
    ],
)
def test_an_arrow_that_cannot_write_is_refused(make: Callable[[], list[Any]], why: str) -> None:
    with pytest.raises(GraphError, match=why):
        Graph("arrows", *arrows(), *make(), state=[AIM, NOTES])


def test_nothing_goes_on_from_a_state() -> None:
    with pytest.raises(DeclarationError, match="nothing can stand right of them"):
        aims >> AIM >> judges  # type: ignore[operator]


def test_prompts_name_states_that_are_proven() -> None:
    asked: list[Any] = []

    def reply(request: Any) -> Any:
        asked.append(request.turns[-1].content)
        return says("done")

    writer = Agent(
        "writer", input=Aim, prompt="{{ state.aim.goal }}, {{ goal }}, {{ state.notes | length }}",
        reads=[AIM, NOTES],
    )  # fmt: skip
    arrows = [START >> aims >> writer >> END, aims >> AIM]
    Graph("g", *arrows, state=[AIM, NOTES]).run_sync("abc", model=ComputedModel(reply))
    assert asked == ["abc, abc, 0"]

    def refused(prompt: str, reads: list[Any]) -> str:
        wrong = Agent("writer", input=Aim, prompt=prompt, reads=reads)
        with pytest.raises(GraphError) as caught:
            Graph("g", START >> aims >> wrong >> END, aims >> AIM, state=[AIM, NOTES])
        return str(caught.value)

    assert "uses state.aim, and its node does not read such a state" in refused(
        "{{ state.aim }}", []
    )
    assert "(did you mean 'goal'?)" in refused("{{ state.aim.gaol }}", [AIM])


class Stateful(Message):
    """A message with a field of that name."""

    state: str


def test_a_field_named_state_is_the_messages_own() -> None:
    @node(effects=[])
    async def sends(text: str) -> Stateful:
        return Stateful(state=text)

    asked: list[Any] = []

    def reply(request: Any) -> Any:
        asked.append(request.turns[-1].content)
        return says("done")

    writer = Agent("writer", input=Stateful, prompt="is {{ state }}", reads=[NOTES])
    graph = Graph("g", START >> sends >> writer >> END, state=[NOTES])
    graph.run_sync("open", model=ComputedModel(reply))
    assert asked == ["is open"]


def test_an_agent_is_given_tools_for_the_states_that_it_writes() -> None:
    writer = Agent("writer", input=str, adds=[NOTES], sets=[AIM])
    model = ScriptedModel(
        both(calls("add_to_notes", value=["one"]), calls("set_aim", value={"goal": "far"})),
        calls("add_to_notes", value=3),
        calls("add_to_notes", value=["two"]),
        says("done"),
    )
    run = Graph("g", START >> writer >> END, state=[NOTES, AIM]).run_sync("x", model=model)
    assert run.state[NOTES] == ["one", "two"]
    assert run.state[AIM] == Aim(goal="far")
    with pytest.raises(DeclarationError, match="adds to state 'aim', which has no merge"):
        Agent("writer", input=str, adds=[AIM])


def test_what_was_written_and_merged_is_told() -> None:
    inner = Graph("inner", START >> adder("i1", 10) >> END, uses=[COUNT])
    graph = Graph("outer", START >> fan >> (adder("a", 2), inner) >> total >> END, state=[COUNT])
    run = graph.run_sync("x")
    written = [
        (event.node, event.way, event.value) for event in run.events if event.kind == "state.write"
    ]
    assert sorted(written) == [
        ("a", "add", 2),
        ("fan", "add", 1),
        ("i1", "add", 10),
        ("inner", "add", 10),
    ]
    (merged,) = [event for event in run.events if event.kind == "state.merge"]
    assert (merged.node, merged.state, merged.writes) == ("total", "count", 2)


def test_an_explanation_says_what_was_written() -> None:
    run = Graph("arrows", *arrows(), state=[AIM, NOTES]).run_sync("abc")
    assert "it set aim: Aim(goal='abc')" in str(run.explain("aims"))
    assert "it added to notes: ['short abc']" in str(run.explain("logs"))
