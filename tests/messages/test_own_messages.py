"""Messages do not change after they were sent: the caller, each branch, each attempt and the record have their own."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, PrivateAttr

from graphflow import END, START, Context, Failure, Graph, Router, node, tool
from graphflow.events import (
    CallFinished,
    CallStarted,
    EdgeSent,
    NodeFinished,
    NodeStarted,
    RunEnded,
    RunStarted,
)
from graphflow.messages.copies import copy_of, mutability_of
from graphflow.run import Run
from tests.conftest import Msg, walk

both_paths = pytest.mark.parametrize("plain", [True, False], ids=["straight", "general"])


class Loose(BaseModel):
    n: int = 0


class Deep(BaseModel):
    notes: list[str] = []


class Hollow(BaseModel, frozen=True):
    """Frozen, with something in it that is not."""

    notes: list[str] = []


@dataclass
class Plain:
    notes: list[str] = field(default_factory=list)


def scribble(message: Any) -> Any:
    """Changes a message in place."""
    if isinstance(message, Loose):
        message.n += 1
    elif isinstance(message, list):
        message.append("scribbled")
    elif isinstance(message, dict):
        message["scribbled"] = "1"
    elif isinstance(message, set):
        message.add("scribbled")
    else:
        message.notes.append("scribbled")
    return message


CLEAN: dict[str, tuple[Any, Callable[[], Any]]] = {
    "list": (list[str], list),
    "dict": (dict[str, str], dict),
    "set": (set[str], set),
    "model": (Loose, Loose),
    "model with a list": (Deep, Deep),
    "frozen model with a list": (Hollow, Hollow),
    "dataclass": (Plain, Plain),
    "Any": (Any, list),
    "Any, a model": (Any, Loose),
}
kinds_of_message = pytest.mark.parametrize("what", CLEAN)
CONTAINERS = ["list", "dict", "set", "Any", "Any, a model"]


def scribbler(name: str, kind: Any, *, threaded: bool = False) -> Any:
    async def awaiting(m: Any) -> Any:
        return scribble(m)

    def blocking(m: Any) -> Any:
        return scribble(m)

    body = blocking if threaded else awaiting
    body.__annotations__ = {"m": kind, "return": kind}
    return node(name=name)(body)


def looker(name: str, kind: Any, turns: int = 0) -> Any:
    """Tells what it was given, a few turns later."""

    async def body(m: Any) -> Any:
        for _ in range(turns):
            await asyncio.sleep(0)
        return copy_of(m)

    body.__annotations__ = {"m": kind, "return": kind}
    return node(name=name)(body)


def outputs(run: Run[Any]) -> dict[str, Any]:
    return {event.node: event.output for event in run.events if isinstance(event, NodeFinished)}


@kinds_of_message
@both_paths
@pytest.mark.parametrize("observed", [True, False])
def test_a_caller_keeps_what_it_gave(what: str, plain: bool, observed: bool) -> None:
    kind, make = CLEAN[what]
    given = make()
    run = walk(
        Graph("g", START >> scribbler("a", kind) >> END), given, plain=plain, observed=observed
    )
    assert run.output == scribble(make())
    assert given == make()


@kinds_of_message
@both_paths
@pytest.mark.parametrize("observed", [True, False])
def test_a_caller_may_change_what_it_was_answered(what: str, plain: bool, observed: bool) -> None:
    kind, make = CLEAN[what]
    run = walk(
        Graph("g", START >> looker("a", kind) >> END), make(), plain=plain, observed=observed
    )
    scribble(run.output)
    assert run.output != make()
    assert outputs(run)["a"] == run.steps[0].output == make()
    [end] = [event for event in run.events if isinstance(event, RunEnded)]
    assert end.output == make()


@kinds_of_message
@pytest.mark.parametrize("turns", [0, 3])
@pytest.mark.parametrize("observed", [True, False])
def test_branches_and_record_have_their_own(what: str, turns: int, observed: bool) -> None:
    kind, make = CLEAN[what]

    branches = (scribbler("a", kind), looker("b", kind, turns), scribbler("c", kind))
    graph = Graph("g", START >> looker("src", kind) >> branches >> END, ends="all")
    run = walk(graph, make(), observed=observed)
    assert run.output == [scribble(make()), make(), scribble(make())]
    assert outputs(run)["src"] == make()
    for event in run.events:
        if isinstance(event, NodeStarted) and event.node in ("a", "b", "c"):
            assert event.input == make()
        if isinstance(event, EdgeSent) and event.source == "src":
            assert event.message == make()


@kinds_of_message
@pytest.mark.parametrize("observed", [True, False])
def test_branches_at_the_start_have_their_own(what: str, observed: bool) -> None:
    kind, make = CLEAN[what]
    graph = Graph("g", START >> (scribbler("a", kind), looker("b", kind, 3)) >> END, ends="all")
    run = walk(graph, make(), observed=observed)
    assert run.output == [scribble(make()), make()]
    [start] = [event for event in run.events if isinstance(event, RunStarted)]
    assert start.input == make()


@kinds_of_message
def test_branches_behind_routers_have_their_own(what: str) -> None:
    kind, make = CLEAN[what]

    def rule(m: Any) -> Any:
        return "on"

    rule.__annotations__ = {"m": kind, "return": Literal["on"]}
    one: Any = Router("one", rule)
    two: Any = Router("two", rule)
    graph = Graph(
        "g",
        START >> looker("src", kind) >> (one, two),
        one["on"] >> scribbler("a", kind) >> END,
        two["on"] >> looker("b", kind, 3) >> END,
        ends="all",
    )
    run = walk(graph, make())
    assert run.output == [scribble(make()), make()]
    assert outputs(run)["src"] == make()


@kinds_of_message
def test_the_items_of_a_map_are_apart_from_the_list(what: str) -> None:
    kind, make = CLEAN[what]

    async def spread(m: Msg) -> Any:
        same = make()
        return [same, same]  # one object twice

    spread.__annotations__ = {"m": Msg, "return": list[kind]}
    source = node(name="spread")(spread)
    graph = Graph("g", START >> source, source.each >> scribbler("a", kind) >> END, ends="all")
    run = walk(graph, Msg())
    assert run.output == [scribble(make())] * 2
    assert outputs(run)["spread"] == [make(), make()]


@pytest.mark.parametrize("what", CONTAINERS)
@both_paths
@pytest.mark.parametrize("observed", [True, False])
@pytest.mark.parametrize("threaded", [True, False])
def test_the_record_of_a_chain_tells_what_happened(
    what: str, plain: bool, observed: bool, threaded: bool
) -> None:
    kind, make = CLEAN[what]
    names = ["a", "b", "c"] if what not in ("dict", "set") else ["a"]
    path: Any = START >> looker("first", kind)
    for name in names:
        path = path >> scribbler(name, kind, threaded=threaded)
    run = walk(Graph("g", path >> END), make(), plain=plain, observed=observed)
    expected = make()
    for step in run.steps:
        assert step.input == expected
        if step.node != "first":
            scribble(expected)
        assert step.output == expected


@pytest.mark.parametrize("what", [kind for kind in CLEAN if "Any" not in kind])
@both_paths
def test_so_does_that_of_plain_functions(what: str, plain: bool) -> None:
    kind, make = CLEAN[what]
    path = (
        START >> scribbler("a", kind, threaded=True) >> scribbler("b", kind, threaded=True) >> END
    )
    run = walk(Graph("g", path), make(), plain=plain)
    once = scribble(make())
    assert run.steps[0].input == make()
    assert run.steps[0].output == run.steps[1].input == once
    assert run.output == scribble(copy_of(once))


@both_paths
def test_a_node_may_go_on_changing_what_it_has_returned(plain: bool) -> None:
    kept: list[str] = []

    @node
    async def a(m: Msg) -> list[str]:
        kept.append(m.tag)
        return kept

    @node
    async def b(xs: list[str]) -> list[str]:
        kept.append("later")
        xs.append("b")
        return xs

    run = walk(Graph("g", START >> a >> b >> END), Msg(tag="x"), plain=plain)
    assert run.output == ["x", "b"]
    assert [step.output for step in run.steps] == [["x"], ["x", "b"]]
    assert kept == ["x", "later"]


@both_paths
def test_each_attempt_begins_with_what_was_sent(plain: bool) -> None:
    tries: list[list[str]] = []

    @node(retry=3)
    async def flaky(xs: list[str]) -> list[str]:
        tries.append(list(xs))
        xs.append("tried")
        if len(tries) < 3:
            raise ValueError("again")
        return xs

    run = walk(Graph("g", START >> flaky >> END), ["x"], plain=plain)
    assert tries == [["x"]] * 3
    assert run.output == ["x", "tried"]


@both_paths
def test_a_failure_holds_the_message_as_it_was(plain: bool) -> None:
    @node
    async def bad(xs: list[str]) -> list[str]:
        xs.append("scribbled")
        raise ValueError("bad")

    @node
    async def mend(f: Failure) -> list[str]:
        return list(f.input)

    graph = Graph("g", START >> bad, bad >> END, bad[Failure] >> mend >> END)
    assert walk(graph, ["x"], plain=plain).output == ["x"]


@both_paths
def test_graphs_within_have_their_own(plain: bool) -> None:
    inner = Graph("inner", START >> scribbler("a", Loose) >> scribbler("b", Loose) >> END)
    graph = Graph("g", START >> looker("src", Loose) >> inner >> looker("last", Loose) >> END)
    run = walk(graph, Loose(), plain=plain)
    assert run.output == Loose(n=2)
    assert outputs(run)["src"] == Loose(n=0)


def test_calls_have_their_own() -> None:
    @tool
    async def note(lines: list[str], told: dict[str, str]) -> list[str]:
        """Note."""
        lines.append("noted")
        told["noted"] = "1"
        return lines

    @node(calls=[note])
    async def caller(m: Msg, ctx: Context) -> str:
        given: dict[str, Any] = {"lines": ["x"], "told": {}}
        answer = await ctx.call(note, given)
        answer.append("mine")
        return f"{given} {answer}"

    run = walk(Graph("g", START >> caller >> END), Msg())
    assert run.output == "{'lines': ['x'], 'told': {}} ['x', 'noted', 'mine']"
    [begun] = [event for event in run.events if isinstance(event, CallStarted)]
    [done] = [event for event in run.events if isinstance(event, CallFinished)]
    assert (begun.input.lines, begun.input.told) == (["x"], {})
    assert done.output == ["x", "noted"]


# -- what cannot be changed ------------------------------------------------------------------------
class Inside(BaseModel, frozen=True):
    pair: tuple[int, str] = (1, "a")
    next: Inside | None = None


@both_paths
@pytest.mark.parametrize(
    "value",
    [Msg(n=3), Inside(next=Inside()), "text", (1, ("a", b"b")), frozenset("ab"), 1.5],
    ids=lambda v: type(v).__name__,
)
def test_what_cannot_be_changed_travels_as_it_is(value: Any, plain: bool) -> None:
    seen: list[Any] = []

    async def body(m: Any) -> Any:
        seen.append(m)
        return m

    body.__annotations__ = {"m": type(value), "return": type(value)}
    same = node(name="same")(body)
    run = walk(Graph("g", START >> same >> same.named("b") >> END), value, plain=plain)
    assert run.output is value
    assert all(each is value for each in seen)
    many = walk(Graph("g", START >> (same, same.named("b")) >> END, ends="all"), value)
    assert all(each is value for each in many.output)


def test_chains_of_frozen_messages_are_called_directly() -> None:
    """Nothing is looked at on their way, so they cost nothing."""
    for kind in (Msg, Inside, str, int | None, Loose, Hollow):
        graph = Graph("g", START >> looker("a", kind) >> looker("b", kind) >> END)
        assert all(
            slot.direct is not None and slot.entry is None
            for slot in graph.program.slots
            if slot.node
        )
    assert (mutability_of(Msg), mutability_of(Loose), mutability_of(list[Msg])) == (
        "fixed",
        "model",
        "loose",
    )


class Own:
    """Something of the user's that nobody can copy."""

    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("not to be copied")


def test_what_cannot_be_copied_travels_as_it_is() -> None:
    own = Own()
    assert copy_of(own) is own
    assert copy_of([own])[0] is own
    ring: list[Any] = []
    ring.append(ring)
    copy_of(ring)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    copy_of(deep)


def test_copies_are_of_the_same_kind_and_share_nothing() -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")
        xs: list[int] = []
        _mine: list[int] = PrivateAttr(default_factory=list)

    @dataclass(frozen=True)
    class Sealed:
        xs: list[int]

    old = Open(xs=[1], more=[2])  # type: ignore[call-arg]  # what extra="allow" is for
    new = copy_of(old)
    assert new == old
    assert new.model_fields_set == old.model_fields_set
    assert new.xs is not old.xs
    assert new.more is not old.more
    counts = defaultdict(list, a=[1])
    assert copy_of(counts) == counts
    assert type(copy_of(counts)) is defaultdict
    assert copy_of(counts)["a"] is not counts["a"]
    assert copy_of(Sealed([1])) == Sealed([1])
    assert copy_of((1, [2]))[1] == [2]
    assert copy_of(Loose(n=1)).model_fields_set == {"n"}


# -- what check() says -----------------------------------------------------------------------------
def test_check_names_the_classes_that_are_not_frozen() -> None:
    @node
    async def a(m: Msg) -> list[Loose]:
        return []

    @node
    async def b(xs: list[Loose]) -> Plain | Hollow:
        return Hollow()

    [warning] = Graph("g", START >> a >> b >> END).check().warnings
    assert "Loose, Plain" in warning
    assert "class Loose(BaseModel, frozen=True)" in warning
    assert "ConfigDict(frozen=True)" in warning
    assert "Hollow" not in warning
    assert Graph("g", START >> looker("a", Msg) >> END).check().warnings == ()
