"""The arrow algebra: how `a >> b`, arms, maps and fan-outs become edges.

Rules:
1. Nothing here looks at types of messages or proves anything; an arrow only records what was written, and where.
2. Everything is immutable; `a >> b >> c` keeps a link to `a >> b`, so that a chain of n arrows costs n.

    a >> b                      one edge
    a >> (b, c)   (b, c) >> d   fan-out, fan-in (tuples or lists)
    a.each >> b                 one activation of b per item of a's list
    a[Type] >> b  r["x"] >> b   one arm of a union, one label
    a[Failure] >> b             when a failed; a[LimitReached] >> b: when a limited edge of a is used up
    a.when(test) >> b           the first guard that holds, in the order written; a.otherwise >> c if none does
    a[Type].limit(3) >> b       at most three laps
    a.each.fork("isolate") >> b what a failing branch does to its siblings
    x >> d.into("port")         names the port, where the type does not tell
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, overload

from graphflow.errors import DeclarationError
from graphflow.messages.state import AnyState, State

if TYPE_CHECKING:
    from graphflow.declaration.node import AnyNode
    from graphflow.messages.types import Type

    Aim: TypeAlias = "tuple[AnyNode | Terminal, str | None]"
    """Where an arrow leads, and the port there if it names one."""

T = TypeVar("T")
In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
R = TypeVar("R")

ForkPolicy = Literal["cancel", "isolate", "finish"]
Where = tuple[str, int]
"""File and line."""
Test = Callable[[Any], bool]
"""A plain function of a message."""
EdgeGuard = Test | Literal["otherwise"]
CO_COROUTINE = 0x80
"""The flag of a code object that makes its function a coroutine function."""


class Terminal:
    """`START` or `END`: where a graph begins and where its answer leaves it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:
        return self.name


class Origin:
    """What an edge leaves: a node (or START), and which part of its output. Never changed once it is made."""

    __slots__ = ("arm", "each", "fork", "guard", "laps", "node")

    def __init__(
        self,
        node: AnyNode | Terminal,
        arm: Type = None,
        guard: EdgeGuard | None = None,
        each: bool = False,
        laps: int | None = None,
        fork: ForkPolicy | None = None,
    ) -> None:
        self.node = node
        self.arm = arm
        """A type, a label, or None for the whole output."""
        self.guard = guard
        self.each = each
        self.laps = laps
        self.fork = fork

    def but(self, **changes: object) -> Origin:
        """The same origin but for what is given."""
        parts = {name: getattr(self, name) for name in self.__slots__}
        parts |= changes
        return Origin(**parts)

    def text(self, *, laps: bool = True) -> str:
        """The origin as it is written: `critic[Rejected].limit(3)`, with the limit of its laps or without."""
        shown = self.node.name
        if self.arm is not None:
            shown += f"[{_arm_text(self.arm)}]"
        if self.guard == "otherwise":
            shown += ".otherwise"
        elif self.guard is not None:
            test = getattr(self.guard, "__name__", "...")
            shown += f".when({test})"
        if self.each:
            shown += ".each"
        if laps and self.laps is not None:
            shown += f".limit({self.laps})"
        return shown


def _arm_text(arm: object) -> str:
    """What stands in square brackets: a label as Python writes it, a type by its name."""
    # With all of pydantic, which an arrow without a type does not need.
    from graphflow.messages.types import type_name

    if isinstance(arm, (str, int)):
        return repr(arm)
    return type_name(arm)


Origins: TypeAlias = tuple[Origin, ...]


class Edge:
    """One arrow as it was written: from an origin to a node's port (None = to be told from the types)."""

    __slots__ = ("origin", "port", "target", "where")

    def __init__(
        self, origin: Origin, target: AnyNode | Terminal, port: str | None, where: Where
    ) -> None:
        self.origin = origin
        self.target = target
        self.port = port
        self.where = where

    def __repr__(self) -> str:
        origin = self.origin.text()
        shown = f"{origin} >> {self.target.name}"
        if self.port:
            shown += f".into({self.port!r})"
        return shown


class Entry(Generic[In, Out]):
    """Anything an arrow may point at and go on from. The type parameters are what it takes and what it then sends."""

    __slots__ = ()

    def _entry(self) -> Aim:
        raise NotImplementedError

    def _exits(self) -> Origins:
        raise NotImplementedError

    def _heads(self) -> Entries:
        return (self,)

    def _edges(self) -> Sequence[Edge]:
        return ()

    @overload
    def __rshift__(self, other: End, /) -> Path[In, Out]: ...
    @overload
    def __rshift__(self, other: State[Out], /) -> Path[In, Out]: ...
    @overload
    def __rshift__(self, other: Entry[Out, R], /) -> Path[In, R]: ...
    @overload
    def __rshift__(self, other: Entry[list[Out], R], /) -> Path[In, R]: ...
    @overload
    def __rshift__(self, other: tuple[Entry[Out, A], Entry[Out, B]], /) -> Path[In, A | B]: ...
    @overload
    def __rshift__(
        self, other: tuple[Entry[Out, A], Entry[Out, B], Entry[Out, C]], /
    ) -> Path[In, A | B | C]: ...
    @overload
    def __rshift__(self, other: Sequence[Entry[Out, R]], /) -> Path[In, R]: ...
    def __rshift__(self, other: object, /) -> AnyPath:
        return connect(self, other, _where())

    # `(a, b) >> c`: a tuple has no such operator, so Python asks what stands on its right.
    @overload
    def __rrshift__(self: Entry[list[T], R], other: Sequence[Entry[A, T]], /) -> Path[A, R]: ...
    @overload
    def __rrshift__(
        self: Entry[T, R], other: tuple[Entry[A, T], Entry[B, T]], /
    ) -> Path[A | B, R]: ...
    @overload
    def __rrshift__(
        self: Entry[T, R], other: tuple[Entry[A, T], Entry[B, T], Entry[C, T]], /
    ) -> Path[A | B | C, R]: ...
    @overload
    def __rrshift__(self: Entry[T, R], other: Sequence[Entry[A, T]], /) -> Path[A, R]: ...
    def __rrshift__(self, other: object, /) -> AnyPath:
        return connect(other, self, _where())


AnyEntry: TypeAlias = Entry[Any, Any]
"""Whatever may stand in an arrow."""
Entries: TypeAlias = tuple[AnyEntry, ...]


class Path(Entry[In, Out]):
    """A piece of a graph: edges, where they enter, where they leave."""

    __slots__ = ("before", "heads", "new", "tails", "within")

    def __init__(
        self,
        heads: Entries,
        new: tuple[Edge, ...],
        tails: Origins,
        before: AnyEntry | None,
        within: Entries = (),
    ) -> None:
        self.heads = heads
        self.new = new
        self.tails = tails
        self.before = before
        self.within = within

    def _entry(self) -> Aim:
        return self.heads[0]._entry()

    def _exits(self) -> Origins:
        return self.tails

    def _heads(self) -> Entries:
        return self.heads

    def _edges(self) -> Sequence[Edge]:
        # From the end to the beginning and back: a path of 10,000 arrows is a chain of as many, and Python's stack is not.
        parts: list[AnyPath] = []
        part: AnyEntry | None = self
        while isinstance(part, Path):
            parts.append(part)
            part = part.before
        edges: list[Edge] = []
        for each in reversed(parts):
            for inner in each.within:
                edges += inner._edges()
            edges += each.new
        return edges

    def limit(self, laps: int) -> Path[In, Out]:
        """The same path whose last edges may be taken at most `laps` times within one entry of their loop."""
        _check_laps(laps)
        limited: list[Edge] = []
        for edge in self.new:
            origin = edge.origin.but(laps=laps)
            twin = Edge(origin, edge.target, edge.port, edge.where)
            limited.append(twin)
        new = tuple(limited)
        return Path(self.heads, new, self.tails, self.before, self.within)

    def __repr__(self) -> str:
        written = map(repr, self._edges())
        edges = "; ".join(written)
        return f"<path {edges}>"


AnyPath: TypeAlias = Path[Any, Any]


class _Arrow(Path[In, Out]):
    """The most common path: one arrow from what is before it to a node. There are as many of them as a graph has arrows."""

    __slots__ = ("_edge", "_target")

    # What a path keeps in tuples is made when it is asked for: Python's collector looks at each of them again and again.
    def __init__(self, before: AnyEntry, edge: Edge, target: AnyEntry) -> None:
        self.heads = before._heads()
        self.before = before
        self.within = ()
        self._edge = edge
        self._target = target

    @property
    def new(self) -> tuple[Edge, ...]:  # type: ignore[override]  # read only, as all of a path is
        return (self._edge,)

    def _exits(self) -> Origins:
        # Nothing goes on from END, so that whatever is put right of it finds no exits, and is refused.
        target = self._target
        return () if target is END else target._exits()

    @property
    def tails(self) -> Origins:  # type: ignore[override]  # read only, as above
        return self._exits()


class Arm(Entry[In, Out]):
    """One part of a node's output: an arm of its type, a label, a guard, its items one by one."""

    __slots__ = ("origin",)

    def __init__(self, origin: Origin) -> None:
        self.origin = origin

    def _entry(self) -> Aim:
        return self.origin.node, None

    def _exits(self) -> Origins:
        return (self.origin,)

    def limit(self, laps: int) -> Arm[In, Out]:
        """This arm, taken at most `laps` times within one entry of its loop."""
        _check_laps(laps)
        origin = self.origin.but(laps=laps)
        return Arm(origin)

    def when(self, test: Test) -> Arm[In, Out]:
        """This arm, if `test(message)` holds and no guard written before it did."""
        guard = _check_guard(test)
        origin = self.origin.but(guard=guard)
        return Arm(origin)

    @property
    def otherwise(self) -> Arm[In, Out]:
        """This arm, if none of its guards holds."""
        origin = self.origin.but(guard="otherwise")
        return Arm(origin)

    def fork(self, policy: ForkPolicy) -> Arm[In, Out]:
        """What a failing branch of this fork does: cancel its siblings, be left out (`isolate`), or let them finish."""
        fork = _check_policy(policy)
        origin = self.origin.but(fork=fork)
        return Arm(origin)

    @property
    def each(self: Arm[In, list[A]]) -> Arm[In, A]:
        """The items of this arm's list, one activation each."""
        origin = self.origin.but(each=True)
        return Arm(origin)

    def __repr__(self) -> str:
        return self.origin.text()


AnyArm: TypeAlias = Arm[Any, Any]


class NoArm:
    """What `node["label"]` is to a type checker where the node sends models, which have no labels: no arrow takes it."""


class Into(Entry[In, Out]):
    """A node, entered at a named port."""

    __slots__ = ("node", "port")

    def __init__(self, node: AnyNode, port: str) -> None:
        self.node = node
        self.port = port

    def _entry(self) -> Aim:
        return self.node, self.port

    def _exits(self) -> Origins:
        origin = Origin(self.node)
        return (origin,)


class Start(Terminal):
    """Where the message given to `run` enters the graph."""

    __slots__ = ()

    @overload
    def __rshift__(self, other: Entry[A, R], /) -> Path[A, R]: ...
    @overload
    def __rshift__(self, other: tuple[Entry[T, A], Entry[T, B]], /) -> Path[T, A | B]: ...
    @overload
    def __rshift__(
        self, other: tuple[Entry[T, A], Entry[T, B], Entry[T, C]], /
    ) -> Path[T, A | B | C]: ...
    @overload
    def __rshift__(self, other: Sequence[Entry[A, R]], /) -> Path[A, R]: ...
    def __rshift__(self, other: object, /) -> AnyPath:
        whole: AnyArm = Arm(Origin(self))
        return connect(whole, other, _where())

    def __getitem__(self, arm: type[A]) -> Arm[Any, A]:
        origin = Origin(self, arm=arm)
        return Arm(origin)

    @property
    def each(self) -> AnyArm:
        """The items of the list that the graph is given, one activation each."""
        origin = Origin(self, each=True)
        return Arm(origin)

    def fork(self, policy: ForkPolicy) -> AnyArm:
        """What a failing branch of the first fork does to its siblings."""
        fork = _check_policy(policy)
        origin = Origin(self, fork=fork)
        return Arm(origin)


class End(Terminal, AnyEntry):
    """Where a message leaves the graph as its answer."""

    __slots__ = ()

    def _entry(self) -> Aim:
        return self, None

    def _exits(self) -> Origins:
        raise DeclarationError("END sends nothing: nothing can stand right of END in an arrow")


START = Start("START")
END = End("END")


class StateEnd(Terminal, AnyEntry):
    """A state at the end of an arrow: what its source sends is written there, and goes nowhere from it."""

    __slots__ = ("state",)

    def __init__(self, state: AnyState) -> None:
        super().__init__(state.name)
        self.state = state

    def _entry(self) -> Aim:
        return self, None

    def _exits(self) -> Origins:
        return ()


def connect(left: object, right: object, where: Where) -> AnyPath:
    """The path from everything on the left to everything on the right of an arrow."""
    if isinstance(left, Entry) and isinstance(right, Entry):
        exits = left._exits()
        # By far the most common arrow: one node behind another.
        if len(exits) == 1 and not isinstance(right, Path):
            target, port = right._entry()
            edge = Edge(exits[0], target, port, where)
            return _Arrow(left, edge, right)
    if isinstance(right, State):
        return connect(left, StateEnd(right), where)
    sources = _entries(left, "left")
    targets = _entries(right, "right")
    before = left if isinstance(left, Path) else None
    return _connect_each(sources, targets, before, where)


def _connect_each(
    sources: Sequence[AnyEntry], targets: Sequence[AnyEntry], before: AnyPath | None, where: Where
) -> AnyPath:
    """The path of all edges from every source to every target."""
    heads: list[AnyEntry] = []
    origins: list[Origin] = []
    for source in sources:
        exits = source._exits()
        if not exits:
            raise DeclarationError(
                "END and states send nothing: nothing can stand right of them in an arrow"
            )
        heads += source._heads()
        origins += exits
    aims: list[AnyEntry] = []
    tails: list[Origin] = []
    for target in targets:
        aims += target._heads()
        if target is not END:
            tails += target._exits()
    # (a, b) >> (c, d) is all four edges, in the order of the sources: that is the order of the wiring, in which a list
    # is collected, whatever comes first.
    edges: list[Edge] = []
    for origin in origins:
        for aim in aims:
            node, port = aim._entry()
            edge = Edge(origin, node, port, where)
            edges.append(edge)
    # What `before` holds is walked to from there; any other path that stands in the arrow is kept in this one.
    parts = list(targets)
    if before is None:
        parts[:0] = sources
    within = [part for part in parts if isinstance(part, Path)]
    return Path(tuple(heads), tuple(edges), tuple(tails), before, tuple(within))


def edges_of(path: AnyEntry) -> Sequence[Edge]:
    """The edges of a path, in the order they were written; a node by itself has none."""
    return path._edges()


def _entries(side: object, name: str) -> Entries:
    if isinstance(side, Entry):
        return (side,)
    if isinstance(side, State):
        return (StateEnd(side),)
    if isinstance(side, Start):
        origin = Origin(side)
        return (Arm(origin),)
    if isinstance(side, (tuple, list)):
        if not side:
            raise DeclarationError(f"the {name} side of an arrow is empty; name at least one node")
        entries: list[AnyEntry] = []
        for member in side:
            entries += _entries(member, name)
        return tuple(entries)
    raise DeclarationError(_not_a_node(side, name))


def _not_a_node(side: object, name: str) -> str:
    shown = getattr(side, "__name__", None) or repr(side)
    kind = type(side).__name__
    hint = ""
    if callable(side) and not isinstance(side, type):
        # A function whose decorator was forgotten.
        hint = "; put @node above it"
    return f"{shown} stands on the {name} side of an arrow, but it is {kind}, not a node{hint}"


def _where() -> Where:
    frame = sys._getframe(2)  # this function, the operator that asks, the line on which it stands
    return frame.f_code.co_filename, frame.f_lineno


def _check_laps(laps: int) -> None:
    is_truth = isinstance(laps, bool)  # to Python, True is an int
    is_count = isinstance(laps, int) and laps >= 1
    if is_truth or not is_count:
        raise DeclarationError(f".limit({laps!r}): a lap limit is a whole number of at least 1")


def _check_guard(test: object) -> Test:
    if not callable(test):
        raise DeclarationError(
            f".when({test!r}): give a function that takes the message and returns True or False"
        )
    name = getattr(test, "__name__", "")
    if name != "<lambda>" and _is_async(test):
        raise DeclarationError(
            f".when({name}): a guard is a plain function; put waiting into a node before it"
        )
    guard: Test = test
    return guard


def _is_async(test: object) -> bool:
    # What `inspect.iscoroutinefunction` does; `inspect` takes longer to load than all arrows of a graph to draw.
    code = getattr(test, "__code__", None)
    flags: int = getattr(code, "co_flags", 0)
    flag = flags & CO_COROUTINE
    return flag != 0


def _check_policy(policy: ForkPolicy) -> ForkPolicy:
    if policy not in ("cancel", "isolate", "finish"):
        raise DeclarationError(
            f".fork({policy!r}): the policies of a fork are 'cancel', 'isolate' and 'finish'"
        )
    return policy
