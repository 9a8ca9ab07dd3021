"""Random well-typed graphs, each with an oracle: what plain Python makes of the same input.

A block is wired behind a source and knows what it computes. Composed blocks give every shape: chains, fan-outs, joins,
maps, routers, loops, nested graphs. Nodes wait a random number of turns of the event loop, so that each seed of `Jitter`
is another interleaving of the same walk.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from hypothesis import strategies as st

from graphflow import END, START, Failure, Graph, Router, Take, node
from tests.conftest import A, B, Msg

Done = A
"""The arm by which a loop ends."""


way: ContextVar[tuple[str, ...]] = ContextVar("way", default=())
"""The steps on the way to where we are: as context variables tell it."""


class Jitter:
    """Makes nodes wait 0 to 4 turns, differently for each seed."""

    random = random.Random(0)
    ways: ClassVar[list[tuple[str, ...]]] = []
    """What every step that was made saw as its way, the step itself included."""

    @classmethod
    async def wait(cls) -> None:
        for _ in range(cls.random.randrange(5)):
            await asyncio.sleep(0)


@dataclass
class Names:
    """Fresh node names."""

    count: int = 0

    def new(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"


@dataclass
class Wired:
    """Arrows of a block, and what leaves it."""

    paths: list[Any] = field(default_factory=list)
    tail: Any = None


def mix(values: Sequence[int]) -> int:
    """Depends on the order of the values."""
    total = 7
    for value in values:
        total = (total * 31 + value) % 100_003
    return total


class Block:
    """One piece of a graph from Msg to Msg."""

    def wire(self, source: Any, names: Names) -> Wired:
        raise NotImplementedError

    def value(self, n: int) -> int:
        raise NotImplementedError


@dataclass
class StepBlock(Block):
    factor: int
    add: int

    def wire(self, source: Any, names: Names) -> Wired:
        factor, add, name = self.factor, self.add, names.new("step")

        async def body(m: Msg) -> Msg:
            way.set((*way.get(), f"{name}({m.n})"))
            await Jitter.wait()
            Jitter.ways.append(way.get())
            return Msg(n=(m.n * factor + add) % 1009)

        step = node(name=name)(body)
        return Wired([source >> step], step)

    def value(self, n: int) -> int:
        return (n * self.factor + self.add) % 1009


@dataclass
class SequenceBlock(Block):
    parts: list[Block]

    def wire(self, source: Any, names: Names) -> Wired:
        paths: list[Any] = []
        for part in self.parts:
            wired = part.wire(source, names)
            paths += wired.paths
            source = wired.tail
        return Wired(paths, source)

    def value(self, n: int) -> int:
        for part in self.parts:
            n = part.value(n)
        return n


@dataclass
class FanBlock(Block):
    parts: list[Block]

    def wire(self, source: Any, names: Names) -> Wired:
        async def spread(m: Msg) -> Msg:
            await Jitter.wait()
            return m

        async def collect(ms: list[Msg]) -> Msg:
            return Msg(n=mix([m.n for m in ms]))

        fork, join = node(name=names.new("fork"))(spread), node(name=names.new("collect"))(collect)
        paths: list[Any] = [source >> fork]
        for part in self.parts:
            wired = part.wire(fork, names)
            paths += [*wired.paths, wired.tail >> join]
        return Wired(paths, join)

    def value(self, n: int) -> int:
        return mix([part.value(n) for part in self.parts])


@dataclass
class PairBlock(Block):
    left: Block
    right: Block

    def wire(self, source: Any, names: Names) -> Wired:
        async def same(m: Msg) -> Msg:
            return m

        async def as_a(m: Msg) -> A:
            await Jitter.wait()
            return A(n=m.n)

        async def as_b(m: Msg) -> B:
            await Jitter.wait()
            return B(n=m.n)

        async def pair(a: A, b: B) -> Msg:
            return Msg(n=mix([a.n, b.n]))

        fork = node(name=names.new("fork"))(same)
        a, b, join = (
            node(name=names.new("a"))(as_a),
            node(name=names.new("b"))(as_b),
            node(name=names.new("pair"))(pair),
        )
        left, right = self.left.wire(fork, names), self.right.wire(fork, names)
        paths = [
            source >> fork,
            *left.paths,
            left.tail >> a,
            *right.paths,
            right.tail >> b,
            (a, b) >> join,
        ]
        return Wired(paths, join)

    def value(self, n: int) -> int:
        return mix([self.left.value(n), self.right.value(n)])


@dataclass
class MapBlock(Block):
    size: int
    part: Block
    dying: bool

    def wire(self, source: Any, names: Names) -> Wired:
        size = self.size

        async def split(m: Msg) -> list[Msg]:
            await Jitter.wait()
            return [Msg(n=m.n + i) for i in range((m.n + size) % 5)]

        async def sieve(m: Msg) -> Msg:
            await Jitter.wait()
            if m.n % 3 == 0:
                raise ValueError("sieved out")
            return m

        async def collect(ms: list[Msg]) -> Msg:
            return Msg(n=mix([m.n for m in ms]))

        fork, join = node(name=names.new("split"))(split), node(name=names.new("collect"))(collect)
        paths: list[Any] = [source >> fork]
        each = fork.each.fork("isolate") if self.dying else fork.each
        if self.dying:
            gate = node(name=names.new("sieve"))(sieve)
            paths.append(each >> gate)
            wired = self.part.wire(gate, names)
        else:
            wired = self.part.wire(each, names)
        return Wired([*paths, *wired.paths, wired.tail >> join], join)

    def value(self, n: int) -> int:
        items = [n + i for i in range((n + self.size) % 5)]
        if self.dying:
            items = [i for i in items if i % 3]
        return mix([self.part.value(i) for i in items])


@dataclass
class RouteBlock(Block):
    left: Block
    right: Block

    def wire(self, source: Any, names: Names) -> Wired:
        def rule(m: Msg) -> Literal["left", "right"]:
            return "left" if m.n % 2 else "right"

        async def merge(m: Msg) -> Msg:
            await Jitter.wait()
            return m

        router: Router[Msg, Msg] = Router(names.new("route"), rule)
        end = node(name=names.new("merge"))(merge)
        left, right = self.left.wire(router["left"], names), self.right.wire(router["right"], names)
        return Wired(
            [source >> router, *left.paths, *right.paths, (left.tail, right.tail) >> end], end
        )

    def value(self, n: int) -> int:
        return self.left.value(n) if n % 2 else self.right.value(n)


@dataclass
class LoopBlock(Block):
    laps: int
    part: Block

    def wire(self, source: Any, names: Names) -> Wired:
        async def enter(m: Msg) -> Msg:
            return m

        async def judge(m: Msg) -> Msg | Done:
            await Jitter.wait()
            return Done(n=m.n) if m.n % 4 == 0 else m

        async def stop(reached: Any) -> Msg:
            return Msg(n=reached.message.n if hasattr(reached, "message") else reached.n)

        from graphflow import LimitReached

        head = node(name=names.new("enter"))(enter)
        exit_node = node(name=names.new("judge"))(judge)
        leave = node(name=names.new("leave"))(stop)
        wired = self.part.wire(head, names)
        paths = [
            source >> head,
            *wired.paths,
            wired.tail >> exit_node,
            exit_node[Msg].limit(self.laps) >> head,
        ]
        return Wired([*paths, exit_node[Done] >> leave, exit_node[LimitReached] >> leave], leave)

    def value(self, n: int) -> int:
        n = self.part.value(n)
        for _ in range(self.laps):
            if n % 4 == 0:
                break
            n = self.part.value(n)
        return n


@dataclass
class MendBlock(Block):
    """A node that sometimes fails, with a failure edge."""

    def wire(self, source: Any, names: Names) -> Wired:
        async def fragile(m: Msg) -> Msg:
            await Jitter.wait()
            if m.n % 5 == 0:
                raise ValueError("five")
            return m

        async def mend(f: Failure) -> Msg:
            return Msg(n=f.input.n + 1)

        async def merge(m: Msg) -> Msg:
            return m

        weak, fix, end = (
            node(name=names.new("weak"))(fragile),
            node(name=names.new("fix"))(mend),
            node(name=names.new("merge"))(merge),
        )
        return Wired([source >> weak, weak[Failure] >> fix, (weak, fix) >> end], end)

    def value(self, n: int) -> int:
        return n + 1 if n % 5 == 0 else n


@dataclass
class StubbornBlock(Block):
    """A node that fails until it has been asked often enough, or its laps are used up."""

    laps: int

    def wire(self, source: Any, names: Names) -> Wired:
        from graphflow import LimitReached

        async def enter(m: Msg) -> Msg:
            return m

        async def stubborn(m: Msg | Failure) -> Msg:
            await Jitter.wait()
            n = m.input.n + 1 if isinstance(m, Failure) else m.n
            if n % 4:
                raise Refused(n)
            return Msg(n=n)

        async def again(f: Failure) -> Msg:
            return Msg(n=int(f.error))

        async def give_up(r: LimitReached) -> Msg:
            return Msg(n=int(r.message.error) + 100)

        async def merge(m: Msg) -> Msg:
            return m

        head = node(name=names.new("enter"))(enter)
        weak, back = (
            node(name=names.new("stubborn"))(stubborn),
            node(name=names.new("again"))(again),
        )
        over, end = node(name=names.new("give_up"))(give_up), node(name=names.new("merge"))(merge)
        add = node(name=names.new("add"))(_plus_one)
        paths = [source >> head >> weak, weak[Failure].limit(self.laps) >> back >> add >> weak]
        return Wired([*paths, weak[LimitReached] >> over, (weak, over) >> end], end)

    def value(self, n: int) -> int:
        for _ in range(self.laps):
            if n % 4 == 0:
                break
            n += 1
        return n if n % 4 == 0 else n + 100


class Refused(ValueError):
    """A failure that tells a number."""


async def _plus_one(m: Msg) -> Msg:
    return Msg(n=m.n + 1)


@dataclass
class TwiceBlock(Block):
    """Two joins of one fork, whose answers go through one node and are collected: their order is that of the wiring."""

    left: Block
    right: Block
    policy: Literal["cancel", "finish", "isolate"]

    def wire(self, source: Any, names: Names) -> Wired:
        async def same(m: Msg) -> Msg:
            await Jitter.wait()
            return m

        async def forward(ms: list[Msg]) -> Msg:
            await Jitter.wait()
            return Msg(n=mix([m.n for m in ms]))

        async def backward(ms: list[Msg]) -> Msg:
            await Jitter.wait()
            return Msg(n=mix([m.n for m in reversed(ms)]))

        fork, through = node(name=names.new("fork"))(same), node(name=names.new("through"))(same)
        one, two = (
            node(name=names.new("forward"))(forward),
            node(name=names.new("backward"))(backward),
        )
        last = node(name=names.new("last"))(forward)
        stated: Any = fork if self.policy == "cancel" else fork.fork(self.policy)
        left, right = self.left.wire(stated, names), self.right.wire(stated, names)
        tails = (left.tail, right.tail)
        paths = [
            source >> fork,
            *left.paths,
            *right.paths,
            tails >> one,
            tails >> two,
            (one, two) >> through >> last,
        ]
        return Wired(paths, last)

    def value(self, n: int) -> int:
        values = [self.left.value(n), self.right.value(n)]
        return mix([mix(values), mix(values[::-1])])


@dataclass
class TakeBlock(Block):
    """Takes as many messages as there are, in a fork that others join, too; nobody is stopped."""

    size: int
    part: Block

    def wire(self, source: Any, names: Names) -> Wired:
        size = self.size

        async def same(m: Msg) -> Msg:
            return m

        async def split(m: Msg) -> list[Msg]:
            await Jitter.wait()
            return [Msg(n=m.n + i) for i in range(size)]

        async def take(ms: list[Msg]) -> A:
            return A(n=mix(sorted(m.n for m in ms)))

        async def beside(m: Msg) -> B:
            await Jitter.wait()
            return B(n=m.n)

        async def both(a: A, b: B) -> Msg:
            return Msg(n=mix([a.n, b.n]))

        take.__annotations__["ms"] = Annotated[list[Msg], Take(size)]
        head, items = node(name=names.new("head"))(same), node(name=names.new("split"))(split)
        some, other = node(name=names.new("take"))(take), node(name=names.new("beside"))(beside)
        end = node(name=names.new("both"))(both)
        wired = self.part.wire(items.each, names)
        paths = [
            source >> head >> (items, other),
            *wired.paths,
            wired.tail >> some,
            (some, other) >> end,
        ]
        return Wired(paths, end)

    def value(self, n: int) -> int:
        return mix([mix(sorted(self.part.value(n + i) for i in range(self.size))), n])


@dataclass
class LogBlock(Block):
    """A loop each lap of which sends something out, which is collected lap by lap."""

    laps: int
    part: Block
    log_first: bool

    def wire(self, source: Any, names: Names) -> Wired:
        laps = self.laps

        async def start(m: Msg) -> Msg:
            return Msg(n=m.n, tag="0")

        async def log(m: Msg) -> Msg:
            await Jitter.wait()
            return m

        async def judge(m: Msg) -> Msg | Done:
            await Jitter.wait()
            lap = int(m.tag) + 1
            return Msg(n=m.n + 1, tag=str(lap)) if lap < laps else Done(n=m.n)

        async def stop(a: Done) -> Msg:
            return Msg(n=a.n)

        async def beside(m: Msg) -> Msg:
            await Jitter.wait()
            return m

        async def collect(ms: list[Msg]) -> Msg:
            return Msg(n=mix([m.n for m in ms]))

        head, loop = node(name=names.new("start"))(start), node(name=names.new("loop"))(log)
        out, verdict = node(name=names.new("log"))(log), node(name=names.new("judge"))(judge)
        end, other = node(name=names.new("stop"))(stop), node(name=names.new("beside"))(beside)
        join = node(name=names.new("collect"))(collect)
        wired = self.part.wire(out, names)
        fan = loop >> ((out, verdict) if self.log_first else (verdict, out))
        paths = [
            source >> head >> (loop, other),
            fan,
            *wired.paths,
            verdict[Msg].limit(9) >> loop,
            verdict[Done] >> end,
        ]
        return Wired([*paths, (wired.tail, end, other) >> join], join)

    def value(self, n: int) -> int:
        logged = [self.part.value(n + lap) for lap in range(self.laps)]
        last = n + self.laps - 1
        stop_at = len(logged) if self.log_first else len(logged) - 1
        return mix([*logged[:stop_at], last, *logged[stop_at:], n])


@dataclass
class GraphBlock(Block):
    """A graph inside the graph."""

    part: Block

    def wire(self, source: Any, names: Names) -> Wired:
        inner = build(self.part, names.new("graph"))
        return Wired([source >> inner], inner)

    def value(self, n: int) -> int:
        return self.part.value(n)


def build(block: Block, name: str = "random") -> Graph[Any, Any]:
    wired = block.wire(START, Names())
    return Graph(name, *wired.paths, wired.tail >> END, input=Msg)


steps = st.builds(StepBlock, st.integers(0, 9), st.integers(0, 9))


def _grow(children: st.SearchStrategy[Block]) -> st.SearchStrategy[Block]:
    return st.one_of(
        st.builds(SequenceBlock, st.lists(children, min_size=1, max_size=3)),
        st.builds(FanBlock, st.lists(children, min_size=2, max_size=3)),
        st.builds(PairBlock, children, children),
        st.builds(MapBlock, st.integers(0, 4), children, st.booleans()),
        st.builds(RouteBlock, children, children),
        st.builds(LoopBlock, st.integers(1, 3), children),
        st.builds(TwiceBlock, children, children, st.sampled_from(["cancel", "finish", "isolate"])),
        st.builds(TakeBlock, st.integers(1, 3), children),
        st.builds(LogBlock, st.integers(1, 3), children, st.booleans()),
    )


blocks: st.SearchStrategy[Block] = st.recursive(
    st.one_of(steps, st.builds(MendBlock), st.builds(StubbornBlock, st.integers(1, 3))),
    _grow,
    max_leaves=8,
)
nested: st.SearchStrategy[Block] = st.one_of(
    blocks,
    st.builds(GraphBlock, blocks),
    st.builds(
        lambda a, b: SequenceBlock([GraphBlock(FanBlock([a, GraphBlock(b)])), a]), blocks, blocks
    ),
)
