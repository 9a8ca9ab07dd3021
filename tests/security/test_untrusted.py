"""Untrusted content: the build names each way on which it reaches what acts on the world, and none that is checked."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import (
    END,
    MCP,
    START,
    Agent,
    Before,
    Context,
    Failure,
    Graph,
    GraphError,
    Human,
    Message,
    Never,
    Policy,
    State,
    SubAgent,
    node,
    tool,
)
from graphflow.memory import BufferMemory
from graphflow.merges import extend
from graphflow.messages.untrusted import is_marked, marked_fields, without_mark
from graphflow.security import Expression, Length, Untrusted, checked, guarded
from tests.conftest import walk


class Sheet(BaseModel, frozen=True):
    title: str
    text: Untrusted[str]


@tool(effects=["network"])
async def fetch(url: str) -> Untrusted[str]:
    """Fetch."""
    return f"page of {url}"


@tool(effects=["writes"])
async def save(text: str) -> str:
    """Save."""
    return "saved"


@tool(effects=["network"])
async def send(text: str) -> str:
    """Send."""
    return "sent"


@tool(effects=["reads"])
async def look(text: str) -> str:
    """Look."""
    return "seen"


@node
async def load(url: str) -> Untrusted[str]:
    return url


@node
async def shorten(text: str) -> str:
    return text[:10]


@node(effects=["writes"])
async def store(text: str) -> str:
    return text


def ways(build: Any) -> list[str]:
    """The ways that a build names: the nodes on each."""
    try:
        build()
    except GraphError as error:
        assert all("untrusted content of" in problem for problem in error.problems), error
        return [
            problem.partition("on the way: ")[2].partition(";")[0] for problem in error.problems
        ]
    return []


def agent(name: str = "reader", **options: Any) -> Agent[str, str]:
    return Agent(name, input=str, **options)


def alone(*nodes: Any, **options: Any) -> Graph[Any, Any]:
    path: Any = START
    for each in nodes:
        path = path >> each
    return Graph("desk", path >> END, **options)


inner_save = alone(store)
notes = State("notes", list[str], start=[], merge=extend)


@node(adds=[notes])
async def jot(text: str, ctx: Context) -> str:
    ctx.add(notes, [text])
    return "done"


@node(reads=[notes], effects=["writes"])
async def publish(text: str, ctx: Context) -> str:
    return "".join(ctx.read(notes))


def keeper(memory: Any) -> Any:
    """Who remembers what it reads; its own answer is checked, what it has kept is not."""
    return checked(agent("keeper", tools=[fetch, memory.remember_node]))


def with_memory() -> Graph[Any, Any]:
    memory = BufferMemory()
    return alone(keeper(memory), agent("after", recalls=[memory.recall_node], tools=[save]))


def with_two_memories() -> Graph[Any, Any]:
    after = agent("after", recalls=[BufferMemory().recall_node], tools=[save])
    return alone(keeper(BufferMemory()), after)


def two_readers() -> Graph[Any, Any]:
    one, other = agent("one", tools=[fetch]), agent("other", tools=[look, save])
    return alone(one, other)


UNSAFE = {
    "tool to tool of one agent": (
        lambda: alone(agent(tools=[fetch, save])),
        ["fetch > reader > save"],
    ),
    "two that act": (
        lambda: alone(agent(tools=[fetch, save, send])),
        ["fetch > reader > save", "fetch > reader > send"],
    ),
    "along arrows": (lambda: alone(load, shorten, store), ["load > shorten > store"]),
    "through an agent behind": (two_readers, ["fetch > one > other > save"]),
    "through a sub-agent's answer": (
        lambda: alone(agent("boss", sub_agents=[agent("scout", tools=[fetch])], tools=[save])),
        ["fetch > scout > boss > save"],
    ),
    "into a sub-agent": (
        lambda: alone(
            agent("boss", tools=[fetch], sub_agents=[SubAgent(agent("clerk", tools=[save]))])
        ),
        ["fetch > boss > clerk > save"],
    ),
    "into a graph within": (
        lambda: alone(load, inner_save.named("inner")),
        ["load > inner > store"],
    ),
    "out of a graph within": (
        lambda: alone(alone(load).named("inner"), store),
        ["load > inner > store"],
    ),
    "through a state": (
        lambda: alone(load, checked(jot), shorten, publish, state=[notes]),
        ["load > jot > notes > publish"],
    ),
    "through a memory": (
        with_memory,
        ["fetch > keeper > remember > a memory > recall > after > save"],
    ),
    "by a failure": (
        lambda: Graph(
            "desk", START >> load >> shorten >> END, shorten[Failure] >> fails >> store >> END
        ),
        ["load > shorten > fails > store"],
    ),
    "what the graph is given": (lambda: alone(takes, store), ["takes > store"]),
    "a field of a message": (
        lambda: alone(reads_sheet, titled, store),
        ["reads_sheet > titled > store"],
    ),
    "a server": (
        lambda: alone(agent(mcp=[MCP("wiki", ["true"], effects=["reads"])], tools=[save])),
        ["wiki > reader > save"],
    ),
    "a server that acts": (
        lambda: alone(agent(tools=[fetch], mcp=[MCP("hub", ["true"], effects=["writes"])])),
        ["fetch > reader > hub", "hub > reader > hub"],
    ),
    "a guard that judges no content": (
        lambda: alone(agent(tools=[fetch, guarded(save, before=[Length(100)])])),
        ["fetch > reader > save"],
    ),
    "round a check": (
        lambda: Graph(
            "desk", START >> load >> (checked(shorten), store.named("raw")) >> gather >> END
        ),
        ["load > raw"],
    ),
}


@node
async def fails(failure: Failure) -> str:
    return failure.error


@node
async def takes(text: Untrusted[str]) -> str:
    return text


@node
async def reads_sheet(url: str) -> Sheet:
    return Sheet(title="", text=url)


@node
async def titled(sheet: Sheet) -> str:
    return sheet.title


@node
async def gather(texts: list[str]) -> str:
    return ""


@pytest.mark.parametrize("case", UNSAFE)
def test_the_build_names_each_unsafe_way(case: str) -> None:
    build, expected = UNSAFE[case]
    assert sorted(ways(build)) == sorted(expected)


SAFE = {
    "nothing that acts": lambda: alone(agent(tools=[fetch, look])),
    "nothing untrusted": lambda: alone(agent(tools=[look, save])),
    "only reading more pages": lambda: alone(agent(tools=[fetch, fetch.named("again")])),
    "an approval of what acts": lambda: alone(agent(tools=[fetch, save.twin(approval=True)])),
    "an approval on the way": lambda: alone(load, shorten.twin(approval=True), store),
    "a person on the way": lambda: alone(load, Human("anna", input=str), store),
    "a node that checks": lambda: alone(load, checked(shorten), store),
    "a guard before what acts": lambda: alone(
        agent(tools=[fetch, guarded(save, before=[Expression("text == 'yes'")])])
    ),
    "a guard after the reader": lambda: alone(
        guarded(agent(tools=[fetch]), after=[Expression("text == 'yes'")]), store
    ),
    "a policy that judges calls": lambda: alone(
        agent(tools=[fetch, save], policy=Policy(check=lambda use: None))
    ),
    "a policy that takes it away": lambda: alone(
        agent(tools=[fetch, save], policy=Policy(deny=["save"]))
    ),
    "a claim that it is over": lambda: alone(
        agent(tools=[fetch, save]), claims=[Never("save", after="fetch")]
    ),
    "a check that must come first": lambda: alone(
        agent(tools=[fetch, save, checked(look)]), claims=[Before("look", "save")]
    ),
    "another branch": lambda: Graph("desk", START >> (load, store) >> gather >> END),
    "before, not behind": lambda: alone(store, load),
    "kept in another memory": with_two_memories,
}


@pytest.mark.parametrize("case", SAFE)
def test_no_way_is_named_where_there_is_a_check(case: str) -> None:
    assert ways(SAFE[case]) == []


def test_a_graph_may_be_built_with_a_warning() -> None:
    desk = alone(agent(tools=[fetch, save]), untrusted="warn")
    assert "untrusted content of 'fetch' reaches 'save' (writes)" in str(desk.check())
    assert desk != alone(agent(tools=[fetch, save]), untrusted="warn", description="other")
    # Who places it in another graph is told nothing new.
    assert ways(lambda: alone(shorten, desk)) == []


def test_a_graph_within_is_judged_with_what_reaches_it_from_outside() -> None:
    boss = agent("boss", tools=[fetch], sub_agents=[inner_save.named("keep")])
    assert ways(lambda: alone(boss)) == ["fetch > boss > keep > store"]


def test_a_node_that_acts_on_what_it_calls_for_itself_is_named() -> None:
    @node(effects=["writes"], calls=[fetch])
    async def mirror(url: str, ctx: Context) -> str:
        return await ctx.call(fetch, {"url": url})

    assert ways(lambda: alone(mirror)) == ["fetch > mirror"]


def test_the_text_says_what_to_change() -> None:
    with pytest.raises(GraphError) as caught:
        alone(agent(tools=[fetch, save]))
    [problem] = caught.value.problems
    for words in (
        "approval=True",
        "checked(...)",
        "Never('save', after='fetch')",
        'untrusted="warn"',
    ):
        assert words in problem


def test_a_mark_changes_nothing_where_values_are_looked_at() -> None:
    assert fetch.output is str
    assert walk(alone(load, shorten), "0123456789ab").output == "0123456789"
    assert walk(alone(reads_sheet), "u").output == Sheet(title="", text="u")
    assert without_mark(Untrusted[int]) is int


class Nested(Message):
    sheets: list[Sheet]
    again: Nested | None = None


class Clean(Message):
    text: str
    again: Clean | None = None


@pytest.mark.parametrize(
    ("kind", "marked"),
    [
        (Untrusted[str], True),
        (list[Untrusted[str]], True),
        (dict[str, Untrusted[str]] | None, True),
        (Sheet, True),
        (Nested, True),
        (Clean, False),
        (str, False),
        (Any, False),
    ],
)
def test_a_mark_is_found_wherever_it_stands_in_a_type(kind: Any, marked: bool) -> None:
    assert is_marked(kind) is marked


def test_the_fields_that_are_marked_are_known() -> None:
    assert marked_fields(Sheet) == {"text"}
    assert marked_fields(Nested) == {"sheets", "again"}


def test_a_check_is_a_node() -> None:
    from graphflow.errors import DeclarationError

    with pytest.raises(DeclarationError, match="give a node"):
        checked(len)  # type: ignore[type-var]
