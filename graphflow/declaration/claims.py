"""Claims: properties that every walk of a graph shall have.

    Graph("desk", ..., claims=[Before("approve", "refund"), AtMost("charge", 1)])

Rules:
1. A claim is a value. What it means is decided by its automaton (`graphflow/claims/automata.py`), whether it holds is proven
   by exploring (`claims/explorer.py`), and what is not proven is enforced while the graph is walked.
2. Names are paths: "refund" is every node of that name, in the graph and in everything below it; "orders > refund" only
   those in a frame of `orders`, or that a node of that name calls. A node counts under every name that it has.
3. Where a claim speaks of an answer, the name may say which arm: "critic[Approved]".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from graphflow.errors import DeclarationError
from graphflow.keywords import strict_keywords

ANY_FORK = "fork"
"""What `per` says for the graph's only fork."""


class Claim:
    """The base of all claims. Immutable; compare by value."""

    __slots__ = ()
    per: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """The names it speaks of, as they are written."""
        raise NotImplementedError

    @property
    def words(self) -> str:
        """What it says, in words."""
        raise NotImplementedError

    def __str__(self) -> str:
        return repr(self)


def _shown(claim: Any, named: Sequence[str] = ()) -> str:
    """A claim as it is written in code; `named` are the fields that stand behind their keyword."""
    parts: list[str] = []
    for field in fields(claim):
        value = getattr(claim, field.name)
        if field.name == "per":
            if value is not None:
                parts.append(f"per={value!r}")
            continue
        # As it was written: a list of one is told as the one.
        if isinstance(value, tuple):
            value = value[0] if len(value) == 1 else list(value)
        text = repr(value)
        if field.name in named:
            text = f"{field.name}={text}"
        parts.append(text)
    kind = type(claim).__name__
    listed = ", ".join(parts)
    return f"{kind}({listed})"


def split_arm(name: str) -> tuple[str, str]:
    """The path and the arm of a name: `critic[Approved]` is ("critic", "Approved")."""
    if not name.endswith("]") or "[" not in name:
        return name, ""
    # A path has no brackets of its own, and a label may: `sort[a[b]]` is the label "a[b]".
    path, _, arm = name[:-1].partition("[")
    return path, arm


def _check_name(claim: str, name: object, *, answers: bool) -> None:
    """Refuses what is not a name, and an arm where nothing has answered yet.

    Raises:
        DeclarationError: the text says what to write.
    """
    if not isinstance(name, str) or not name.strip():
        raise DeclarationError(f"{claim}: {name!r} is not the name of a node; write its path")
    path, arm = split_arm(name)
    if arm and not answers:
        raise DeclarationError(
            f"{claim}: {name!r} names an arm, and what begins has not answered yet; write {path!r}"
        )


def _check_times(claim: str, times: object, least: int) -> None:
    # True is an int for Python, and means nothing as a number of times.
    if isinstance(times, int) and not isinstance(times, bool) and times >= least:
        return
    raise DeclarationError(f"{claim}: {times!r} is not a number of times, {least} or more")


def _check_per(claim: str, per: object) -> None:
    if per is not None and (not isinstance(per, str) or not per):
        raise DeclarationError(f"{claim}: per={per!r}; give the name of a fork, or 'fork'")


@strict_keywords
@dataclass(frozen=True, slots=True, repr=False)
class Before(Claim):
    """No `then` begins before a `first` has answered.

    Attributes:
        first: what must have answered; with an arm, with that arm.
        then: what waits for it.
        per: a fork, each of whose branches is judged alone.
    """

    first: str
    then: str
    per: str | None = None

    def __post_init__(self) -> None:
        _check_name("Before", self.first, answers=True)
        _check_name("Before", self.then, answers=False)
        _check_per("Before", self.per)

    @property
    def names(self) -> tuple[str, ...]:
        """The names it speaks of."""
        return self.first, self.then

    @property
    def words(self) -> str:
        """What it says."""
        return f"{self.then!r} begins only after {self.first!r} has answered"

    def __repr__(self) -> str:
        return _shown(self)


@strict_keywords
@dataclass(frozen=True, slots=True, repr=False)
class Never(Claim):
    """No `node` begins after an `after` has answered, and none is under way when it answers.

    Attributes:
        node: what must not happen any more.
        after: what forbids it; with an arm, that arm.
        per: a fork, each of whose branches is judged alone.
    """

    # A bound on concurrency may hold an activation back until `after` has answered. That it must not even be under way at that
    # moment makes the claim hold under every such bound.
    node: str
    after: str
    per: str | None = None

    def __post_init__(self) -> None:
        _check_name("Never", self.node, answers=False)
        _check_name("Never", self.after, answers=True)
        _check_per("Never", self.per)

    @property
    def names(self) -> tuple[str, ...]:
        """The names it speaks of."""
        return self.node, self.after

    @property
    def words(self) -> str:
        """What it says."""
        return f"{self.node!r} is over, and does not begin, once {self.after!r} has answered"

    def __repr__(self) -> str:
        return _shown(self, named=("after",))


@strict_keywords
@dataclass(frozen=True, slots=True, repr=False)
class AtMost(Claim):
    """At most so many of `node` begin.

    Attributes:
        node: what is counted.
        times: how many.
        per: a fork, each of whose branches is judged alone.
    """

    node: str
    times: int
    per: str | None = None

    def __post_init__(self) -> None:
        _check_name("AtMost", self.node, answers=False)
        _check_times("AtMost", self.times, 0)
        _check_per("AtMost", self.per)

    @property
    def names(self) -> tuple[str, ...]:
        """The name it speaks of."""
        return (self.node,)

    @property
    def words(self) -> str:
        """What it says."""
        return f"{self.node!r} begins at most {_times(self.times)}"

    def __repr__(self) -> str:
        return _shown(self)


@strict_keywords
@dataclass(frozen=True, slots=True, repr=False)
class AtLeast(Claim):
    """In a walk that has completed, at least so many of `node` have answered.

    Attributes:
        node: what is counted; with an arm, only answers of that arm.
        times: how many.
        per: a fork, each of whose branches is judged alone.
    """

    node: str
    times: int
    per: str | None = None

    def __post_init__(self) -> None:
        _check_name("AtLeast", self.node, answers=True)
        _check_times("AtLeast", self.times, 1)
        _check_per("AtLeast", self.per)

    @property
    def names(self) -> tuple[str, ...]:
        """The name it speaks of."""
        return (self.node,)

    @property
    def words(self) -> str:
        """What it says."""
        return f"no walk completes before {self.node!r} has answered {_times(self.times)}"

    def __repr__(self) -> str:
        return _shown(self)


@strict_keywords
@dataclass(frozen=True, slots=True, repr=False)
class Exactly(Claim):
    """Never more than so many of `node` begin, and in a walk that has completed just so many have begun.

    Attributes:
        node: what is counted.
        times: how many.
        per: a fork, each of whose branches is judged alone.
    """

    node: str
    times: int
    per: str | None = None

    def __post_init__(self) -> None:
        _check_name("Exactly", self.node, answers=False)
        _check_times("Exactly", self.times, 0)
        _check_per("Exactly", self.per)

    @property
    def names(self) -> tuple[str, ...]:
        """The name it speaks of."""
        return (self.node,)

    @property
    def words(self) -> str:
        """What it says."""
        return f"{self.node!r} begins exactly {_times(self.times)} in a walk that completes"

    def __repr__(self) -> str:
        return _shown(self)


@strict_keywords
@dataclass(frozen=True, slots=True, repr=False)
class Apart(Claim):
    """`one` and `other` are never under way at the same time.

    Attributes:
        one, other: the two.
        per: a fork, each of whose branches is judged alone.
    """

    one: str
    other: str
    per: str | None = None

    def __post_init__(self) -> None:
        _check_name("Apart", self.one, answers=False)
        _check_name("Apart", self.other, answers=False)
        _check_per("Apart", self.per)
        if self.one == self.other:
            raise DeclarationError(f"Apart({self.one!r}, {self.other!r}): give two different nodes")

    @property
    def names(self) -> tuple[str, ...]:
        """The names it speaks of."""
        return self.one, self.other

    @property
    def words(self) -> str:
        """What it says."""
        return f"{self.one!r} and {self.other!r} are never under way at the same time"

    def __repr__(self) -> str:
        return _shown(self)


@strict_keywords
@dataclass(frozen=True, slots=True, repr=False)
class Only(Claim):
    """Nobody but `caller` calls, or hands over to, what is named in `calls`.

    Attributes:
        caller: who may.
        calls: a name, or a list of names.
        per: a fork, each of whose branches is judged alone.
    """

    caller: str
    calls: str | Sequence[str]
    per: str | None = None

    def __post_init__(self) -> None:
        _check_name("Only", self.caller, answers=False)
        calls = (self.calls,) if isinstance(self.calls, str) else tuple(self.calls)
        if not calls:
            raise DeclarationError(f"Only({self.caller!r}, calls=[]): name what it calls")
        for name in calls:
            _check_name("Only", name, answers=False)
        _check_per("Only", self.per)
        # A list of the caller's could be changed later.
        object.__setattr__(self, "calls", calls)

    @property
    def names(self) -> tuple[str, ...]:
        """The names it speaks of."""
        return (self.caller, *self.calls)

    @property
    def words(self) -> str:
        """What it says."""
        listed = " and ".join(map(repr, self.calls))
        return f"only {self.caller!r} calls {listed}"

    def __repr__(self) -> str:
        return _shown(self, named=("calls",))


def _times(times: int) -> str:
    if times == 1:
        return "once"
    return f"{times} times"


Claims: TypeAlias = tuple[Claim, ...]


def read_claims(whose: str, given: Sequence[object]) -> Claims:
    """The claims of a graph, each once.

    Raises:
        DeclarationError: something in the list is not a claim.
    """
    if isinstance(given, (str, Claim)) or not isinstance(given, Sequence):
        raise DeclarationError(f"{whose}: claims={given!r}; give a list of claims")
    read: dict[Claim, None] = {}  # a set that keeps the order
    for claim in given:
        if not isinstance(claim, Claim):
            raise DeclarationError(
                f"{whose}: {claim!r} is not a claim; write Before(...), AtMost(...) or another one"
            )
        read[claim] = None
    return tuple(read)
