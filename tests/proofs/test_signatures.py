"""What edges carry is found once for all nodes of one signature, and nothing is mistaken for another signature."""

from __future__ import annotations

from typing import Annotated, Any

from graphflow import END, START, Graph, Message, Take, node
from graphflow.proofs.signatures import number_signatures


def make_class() -> type[Message]:
    """A message class that is called as all others which this makes."""

    class Note(Message):
        text: str

    return Note


def make_step(name: str) -> Any:
    """A step with a function of its own."""

    async def step(text: str) -> str:
        return text

    return node(step, name=name)


@node
async def plain(text: str) -> str:
    return text


@node
async def renamed(letter: str) -> str:
    return letter


@node
async def defaulted(text: str = "") -> str:
    return text


@node
async def collecting(text: list[str]) -> str:
    return "".join(text)


@node
async def taking(text: Annotated[list[str], Take(1)]) -> str:
    return "".join(text)


@node
async def counting(text: str) -> int:
    return len(text)


def test_nodes_declared_one_by_one_share_a_signature() -> None:
    nodes = [make_step("a"), make_step("b"), plain, plain.named("c")]
    assert number_signatures(nodes) == [0, 0, 0, 0]


def test_whatever_an_edge_asks_of_a_port_makes_another_signature() -> None:
    nodes = [plain, renamed, defaulted, collecting, taking, counting]
    assert number_signatures(nodes) == [0, 1, 2, 3, 4, 5]


def test_a_port_is_found_by_its_name_in_each_of_two_nodes() -> None:
    @node
    async def forth(x: str, y: str = "") -> str:
        return x + y

    @node
    async def back(y: str, x: str = "") -> str:
        return x + y

    graph = Graph("g", START >> plain >> forth.into("x"), forth >> back.into("y") >> END)
    ports = {repr(edge): edge.port for edge in graph.edges}
    assert ports["plain >> forth.into('x')"] == 0
    assert ports["forth >> back.into('y')"] == 0


def test_arms_that_look_alike_are_two_arms() -> None:
    first, second = make_class(), make_class()
    assert repr(first) == repr(second)

    def choose(text: str) -> Any:
        return first(text=text)

    choose.__annotations__["return"] = first | second

    def read(note: Any) -> str:
        return str(note.text)

    read.__annotations__["note"] = first | second
    chooser: Any = node(choose)
    reader = node(read)
    graph = Graph(
        "g",
        START >> chooser,
        chooser[first] >> reader >> END,
        chooser[second] >> reader.named("other") >> END,
    )
    carried = [edge.carries for edge in graph.edges if edge.arm is not None]
    assert carried == [(first,), (second,)]
