"""Small random graphs, of every shape that a walk can take: forks with policies, maps, joins, routes, guards, loops, frames."""

from __future__ import annotations

import random
from typing import Annotated, Any

from pydantic import BaseModel

from graphflow import END, START, Failure, Graph, LimitReached, Take, node

SHAPES = ("step", "seq", "fan", "pair", "map", "route", "loop", "mend", "take", "guard", "frame")
POLICIES = ("cancel", "cancel", "isolate", "finish")


class M(BaseModel, frozen=True):
    """What goes from block to block."""


class A(BaseModel, frozen=True):
    """One arm."""


class B(BaseModel, frozen=True):
    """The other."""


def step(name: str) -> Any:
    async def body(m: M) -> M:
        return m

    return node(name=name)(body)


def mend(name: str) -> Any:
    async def body(failure: Failure) -> M:
        return M()

    return node(name=name)(body)


def collect(name: str) -> Any:
    async def body(ms: list[M]) -> M:
        return M()

    return node(name=name)(body)


def first(name: str) -> Any:
    async def body(ms: Annotated[list[M], Take(1)]) -> M:
        return M()

    return node(name=name)(body)


def split(name: str) -> Any:
    async def body(m: M) -> list[M]:
        return [m]

    return node(name=name)(body)


def two(name: str) -> Any:
    async def body(m: M) -> A | B:
        return A()

    return node(name=name)(body)


def any_in(name: str) -> Any:
    async def body(m: A | B) -> M:
        return M()

    return node(name=name)(body)


def again(name: str) -> Any:
    async def body(m: M) -> M | A:
        return m

    return node(name=name)(body)


def over(name: str) -> Any:
    async def body(m: A | LimitReached) -> M:
        return M()

    return node(name=name)(body)


def pair(name: str) -> Any:
    async def body(a: A, b: B) -> M:
        return M()

    return node(name=name)(body)


def to_a(name: str) -> Any:
    async def body(m: M) -> A:
        return A()

    return node(name=name)(body)


def to_b(name: str) -> Any:
    async def body(m: M) -> B:
        return B()

    return node(name=name)(body)


class Builder:
    """Wires blocks behind each other, from a seed."""

    def __init__(self, seed: int, leaves: int) -> None:
        self.random = random.Random(seed)
        self.left = leaves
        self.count = 0
        self.paths: list[Any] = []

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def block(self, source: Any, depth: int) -> Any:
        shapes = SHAPES if depth < 3 and self.left > 0 else ("step", "mend")
        self.left -= 1
        shape = self.random.choice(shapes)
        wire = getattr(self, f"_{shape}")
        return wire(source, depth + 1)

    def _step(self, source: Any, depth: int) -> Any:
        one = step(self.name("s"))
        self.paths.append(source >> one)
        return one

    def _mend(self, source: Any, depth: int) -> Any:
        work, other, behind = step(self.name("w")), mend(self.name("m")), step(self.name("j"))
        self.paths += [source >> work, work[Failure] >> other, (work, other) >> behind]
        return behind

    def _seq(self, source: Any, depth: int) -> Any:
        for _ in range(2):
            source = self.block(source, depth)
        return source

    def _fan(self, source: Any, depth: int) -> Any:
        return self._fork(source, depth, collect(self.name("c")))

    def _take(self, source: Any, depth: int) -> Any:
        return self._fork(source, depth, first(self.name("c")))

    def _fork(self, source: Any, depth: int, join: Any) -> Any:
        policy = self.random.choice(POLICIES)
        fork = step(self.name("f"))
        self.paths.append(source >> fork)
        for _ in range(2):
            branch = self.block(fork if policy == "cancel" else fork.fork(policy), depth)
            self.paths.append(branch >> join)
        return join

    def _pair(self, source: Any, depth: int) -> Any:
        fork, join = step(self.name("f")), pair(self.name("p"))
        one, other = to_a(self.name("a")), to_b(self.name("b"))
        self.paths.append(source >> fork)
        self.paths.append(self.block(fork, depth) >> one)
        self.paths.append(self.block(fork, depth) >> other)
        self.paths.append((one, other) >> join)
        return join

    def _map(self, source: Any, depth: int) -> Any:
        fork, join = split(self.name("l")), collect(self.name("c"))
        self.paths.append(source >> fork)
        each = self.random.choice([fork.each, fork.each.fork("isolate")])
        self.paths.append(self.block(each, depth) >> join)
        return join

    def _route(self, source: Any, depth: int) -> Any:
        route, one, other = two(self.name("r")), any_in(self.name("x")), any_in(self.name("y"))
        behind = step(self.name("j"))
        self.paths += [source >> route, route[A] >> one, route[B] >> other]
        self.paths.append((self.block(one, depth), self.block(other, depth)) >> behind)
        return behind

    def _guard(self, source: Any, depth: int) -> Any:
        guard, one, other = step(self.name("g")), step(self.name("x")), step(self.name("y"))
        behind = step(self.name("j"))
        self.paths += [source >> guard, guard.when(lambda m: True) >> one, guard.otherwise >> other]
        self.paths.append((one, other) >> behind)
        return behind

    def _loop(self, source: Any, depth: int) -> Any:
        head, last, out = step(self.name("h")), again(self.name("e")), over(self.name("o"))
        self.paths.append(source >> head)
        laps = self.random.choice([1, 2])
        self.paths.append(self.block(head, depth) >> last)
        self.paths += [last[M].limit(laps) >> head, last[A] >> out, last[LimitReached] >> out]
        return out

    def _frame(self, source: Any, depth: int) -> Any:
        inner = Builder(self.random.randrange(10**6), 1)
        inner.count = 100 * self.count  # names tell where something stands
        tail = inner.block(START, 2)
        graph: Any = Graph(self.name("g"), *inner.paths, tail >> END, input=M)
        self.paths.append(source >> graph)
        return graph


def random_graph(seed: int, leaves: int = 4) -> Any:
    """A graph of that seed."""
    builder = Builder(seed, leaves)
    tail = builder.block(START, 0)
    return Graph(f"g{seed}", *builder.paths, tail >> END, input=M)
