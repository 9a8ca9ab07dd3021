"""The walk's cost as a ratio to bare asyncio in the same process: the goal doubled, on the fastest of several rounds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graphflow import END, START, Graph, Router, node
from tests.bench.beside import assert_costs, at_once
from tests.conftest import Msg


async def bump(m: Msg) -> Msg:
    return Msg(n=m.n + 1, tag=m.tag)


def test_a_chain_costs_at_most_five_times_its_nodes() -> None:
    step, path = node(bump), START
    chain: Any = path
    for number in range(1000):
        chain = chain >> step.named(f"n{number}")
    graph = Graph("chain", chain >> END)

    async def bare() -> None:
        m = Msg()
        for _ in range(1000):
            m = await bump(m)

    assert_costs(lambda: graph.run(Msg()), bare, 5)


def test_a_loop_costs_at_most_five_times_its_nodes() -> None:
    a = node(bump)

    @node
    async def b(m: Msg) -> Msg:
        return Msg(n=m.n, tag=m.tag)

    graph = Graph(
        "loop", START >> a >> b, b.when(lambda m: m.n < 2000).limit(2000) >> a, b.otherwise >> END
    )

    async def bare() -> None:
        m = Msg()
        while m.n < 2000:
            m = await bump(m)
            m = Msg(n=m.n, tag=m.tag)

    assert_costs(lambda: graph.run(Msg()), bare, 5)


@pytest.mark.parametrize("width", [10, 1000])
def test_a_fan_out_costs_at_most_five_times_gather(width: int) -> None:
    @node
    async def join(ms: list[Msg]) -> int:
        return len(ms)

    graph = Graph("fan", START >> [node(name=f"n{i}")(bump) for i in range(width)] >> join >> END)

    async def bare() -> None:
        await asyncio.gather(*(bump(Msg()) for _ in range(width)))

    assert_costs(lambda: graph.run(Msg()), bare, 5 if width > 10 else 8)


def test_building_is_linear() -> None:
    """Ten times the nodes take far less than a hundred times as long: nothing in the proofs is quadratic."""

    def build(count: int) -> None:
        step = node(bump)
        path: Any = START
        for number in range(count):
            path = path >> step.named(f"n{number}")
        Graph("chain", path >> END)

    assert_costs(at_once(lambda: build(5000)), at_once(lambda: build(500)), 35)


def test_proofs_of_labels_are_linear() -> None:
    """A router with ten times the labels takes far less than a hundred times as long to prove."""
    step = node(bump)

    def build(count: int) -> None:
        labels = [f"label {number}" for number in range(count)]
        choice = Router("choice", input=Msg, labels=labels)
        paths = [choice[label] >> step.named(label) >> END for label in labels]
        Graph("labels", START >> choice, *paths)

    assert_costs(at_once(lambda: build(1000)), at_once(lambda: build(100)), 35)


@pytest.mark.parametrize("shape", ["ladder", "nest", "loops"])
def test_proofs_of_joins_and_loops_are_linear(shape: str) -> None:
    small, large = (_parts(shape, size) for size in (40, 400))
    assert_costs(at_once(lambda: Graph("g", *large)), at_once(lambda: Graph("g", *small)), 30)


def _parts(shape: str, size: int) -> list[Any]:
    @node
    async def split(m: Msg) -> list[Msg]:
        return [m]

    @node
    async def gather(ms: list[Msg]) -> Msg:
        return ms[0]

    step = node(bump)
    paths: list[Any] = []
    source: Any = START
    if shape == "nest":
        for n in range(size):
            fork = split.named(f"s{n}")
            paths.append(source >> fork)
            source = fork.each
        for n in range(size):
            join = gather.named(f"g{n}")
            paths.append(source >> join)
            source = join
    for n in range(size if shape != "nest" else 0):
        if shape == "ladder":
            fork, a, b, join = (
                step.named(f"f{n}"),
                step.named(f"a{n}"),
                step.named(f"b{n}"),
                gather.named(f"g{n}"),
            )
            paths += [source >> fork >> (a, b) >> join]
            source = join
        else:
            head, back = step.named(f"h{n}"), step.named(f"b{n}")
            paths += [source >> head, head.when(lambda m: m.n < 1).limit(2) >> back >> head]
            source = head.otherwise
    return [*paths, source >> END]
