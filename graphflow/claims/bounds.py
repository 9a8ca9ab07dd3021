"""Bounds: what an enforced claim asks of a walk when something begins, and when it completes.

What claims see of a walk are numbers: how often what a name stands for has begun, is under way, has answered.

    Before(a, b)          b begins:  a has answered
    AtMost(x, n)          x begins:  x has begun less than n times
    Apart(a, b)           a begins:  no b is under way; and the other way round
    Never(x, after=y)     x begins:  no y has answered, and none is under way
                          y begins:  no x is under way, since nobody can keep a y that has begun from answering
    Only(c, calls=x)      x is called by somebody else:  never
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from graphflow.declaration.claims import (
    Apart,
    AtLeast,
    AtMost,
    Before,
    Claim,
    Exactly,
    Never,
    Only,
    split_arm,
)

Measure: TypeAlias = Literal["begun", "running", "answered"]


class WalkCount(NamedTuple):
    """A number of a walk.

    Attributes:
        measure: what is counted.
        path: of the nodes that it stands for.
        arm: of answers, the arm that is meant ("" = any).
    """

    measure: Measure
    path: str
    arm: str = ""


class Bound(NamedTuple):
    """What a number must be for a node to begin.

    Attributes:
        claim: whose bound it is.
        counter: the number.
        most: what it may be at most; None: it must be one or more.
        why: what is said if it is not kept, in words that a model can act on.
    """

    claim: Claim
    counter: WalkCount
    most: int | None
    why: str


class Demand(NamedTuple):
    """What a number must have come to in a walk that completes.

    Attributes:
        claim: whose demand it is.
        counter: the number.
        times: what it must be at least; more than an `Exactly` allows has not begun.
    """

    claim: Claim
    counter: WalkCount
    times: int

    def why(self, count: int) -> str:
        """What is said if it has only come to this."""
        path = repr(self.counter.path)
        has = f"has {self.counter.measure}"
        return f"{path} {has} {count} of {self.times} times"


def paths_of(claim: Claim) -> tuple[str, ...]:
    """The paths of what may not begin at all times, role by role."""
    # Its caller may always begin.
    if isinstance(claim, Only):
        return tuple(claim.calls)
    paths: list[str] = []
    for name in claim.names:
        path, _ = split_arm(name)
        paths.append(path)
    return tuple(paths)


def bounds_of(claim: Claim, role: int) -> Iterator[Bound]:
    """What must be so for the node in this role of a claim to begin."""
    if isinstance(claim, Before):
        if role == 1:
            yield _must_come_first(claim)
    elif isinstance(claim, Never):
        yield from _bounds_of_never(claim, role)
    elif isinstance(claim, (AtMost, Exactly)):
        begun = WalkCount("begun", claim.node)
        most = claim.times - 1
        yield Bound(claim, begun, most, _used_up(claim))
    elif isinstance(claim, Apart):
        waiting = claim.names[role]
        other = claim.names[1 - role]
        yield _must_be_over(claim, other, waiting)
    elif isinstance(claim, Only):
        yield _must_not_be(claim)


def _must_come_first(claim: Before) -> Bound:
    path, arm = split_arm(claim.first)
    answered = WalkCount("answered", path, arm)
    why = f"{claim.first!r} must have answered before; call it first, then {claim.then!r}"
    return Bound(claim, answered, None, why)


def _must_be_over(claim: Apart, other: str, waiting: str) -> Bound:
    running = WalkCount("running", other)
    why = f"{other!r} is under way, and {waiting!r} must not be at the same time"
    why += "; wait for its answer"
    return Bound(claim, running, 0, why)


def _must_not_be(claim: Only) -> Bound:
    names = [repr(name) for name in claim.calls]
    listed = " and ".join(names)
    why = f"only {claim.caller!r} may call {listed}"
    # The number of nothing is never less than none.
    return Bound(claim, WalkCount("begun", ""), -1, why)


def _bounds_of_never(claim: Never, role: int) -> Iterator[Bound]:
    path, arm = split_arm(claim.after)
    node = repr(claim.node)
    after = repr(claim.after)
    if role == 1:
        running = WalkCount("running", claim.node)
        why = f"{node} is under way, and must be over before {after} begins; wait for its answer"
        yield Bound(claim, running, 0, why)
        return
    answered = WalkCount("answered", path, arm)
    why = f"{node} must not begin any more: {after} has answered"
    yield Bound(claim, answered, 0, why)
    # Whether it will answer with the arm that is meant nobody knows before it has.
    running = WalkCount("running", path)
    why = f"{after} is under way, and after it {node} must not begin"
    yield Bound(claim, running, 0, why)


def _used_up(claim: AtMost | Exactly) -> str:
    node = repr(claim.node)
    if claim.times == 0:
        return f"{node} may not begin at all; go on without it"
    if claim.times == 1:
        return f"{node} may begin once, and that is used up; go on without it"
    return f"{node} may begin {claim.times} times, and that is used up; go on without it"


def demand_of(claim: Claim) -> Demand | None:
    """What a claim asks of walks that complete; None if nothing."""
    if isinstance(claim, AtLeast):
        path, arm = split_arm(claim.node)
        answered = WalkCount("answered", path, arm)
        return Demand(claim, answered, claim.times)
    if isinstance(claim, Exactly):
        begun = WalkCount("begun", claim.node)
        return Demand(claim, begun, claim.times)
    return None
