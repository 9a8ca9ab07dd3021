"""Joins that wait, and the gates of forks: what the tokens of a walk can still reach.

Rules:
1. A token carries what it can still reach, the outer first; whoever is carried counts its tokens (`live`).
2. A join closes when nobody can reach it any more, or when it has all it needs. A row of them closes one after the other,
   never one inside the other.

    START >> (a, b) >> first >> last      tokens of a and b carry (last, first): `first` can bring `last` a message,
    START >> c >> last                    so `last` counts it, too, until it has closed; c carries (last)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from graphflow.events import Scope
from graphflow.proofs.program import JoinSpec, Link, Slot
from graphflow.walk.scope import Order


class Holder(Protocol):
    """An activation, as far as a join knows it."""

    @property
    def id(self) -> int:
        """Its number in the frame."""

    @property
    def joins(self) -> tuple[Waiting, ...]:
        """What its message can still reach."""


class Waiting:
    """What tokens can still reach: a join that waits for them, or the gate of the fork that they are in."""

    __slots__ = ("closed", "dead", "holders", "inner", "live", "outer", "scope", "spec")

    def __init__(self, spec: JoinSpec, scope: Scope, outer: tuple[Waiting, ...]) -> None:
        self.spec = spec
        self.scope = scope
        self.outer = outer
        """What this one keeps open until it has closed: the joins it can still bring a message to, the gates around it."""
        self.live = 0
        """Tokens that can still reach it, and inner ones that it waits for."""
        self.dead = False
        self.closed = False
        self.holders: set[Holder] | None = None
        """Activations that may have to be cancelled because of it; None where that cannot happen."""
        self.inner: set[Waiting] = set()
        """Joins and gates that are open somewhere inside of it; kept only where it has holders."""


class JoinState(Waiting):
    """One join, waiting in one scope."""

    __slots__ = ("buffer", "context", "gate", "taken")

    def __init__(
        self, spec: JoinSpec, scope: Scope, outer: tuple[Waiting, ...], gate: Gate | None, context: Any = None
    ) -> None:
        super().__init__(spec, scope, outer)
        self.gate = gate
        """The gate of its fork, if that has one."""
        self.taken = False
        """Whether the fork sent anything this way."""
        self.buffer: list[tuple[Scope, int, int, Any, Any]] = []
        """(scope, link, port, message, context of what sent it)"""
        self.context = context
        """That of its fork: what the node sees if no message came."""


class Gate(Waiting):
    """One run of a fork, as far as its policy goes.

    With `finish` the gate closes when all branches have ended. Until then no join of the fork starts: whether it does may
    not depend on which of its siblings failed first.
    """

    __slots__ = ("failures", "held", "joins", "slot")

    def __init__(self, slot: Slot, scope: Scope, outer: tuple[Waiting, ...]) -> None:
        super().__init__(GATE, scope, outer)
        self.slot = slot
        self.holders = set()
        self.joins: set[JoinState] = set()
        """The joins of its own fork that have not fired."""
        self.held: list[JoinState] = []
        """Those of them that have all they need, and wait for the gate."""
        self.failures: list[Lost] = []

    @property
    def finishes(self) -> bool:
        """Whether all branches end before a failure of one counts."""
        return self.slot.policy == "finish"


class Lost(NamedTuple):
    """A token that was lost with an error, inside a fork that finishes first."""

    order: Order
    error: BaseException
    joins: tuple[Waiting, ...]


GATE = JoinSpec(-1, frozenset(), (), None, -1, set(), set())
"""Stands where a join has its node: no link leads to it, and none leads away from it."""


def chain_of(link: Link, joins: tuple[Waiting, ...], opened: tuple[JoinState, ...]) -> tuple[Waiting, ...]:
    """The joins that a token on this link can still reach."""
    chain = tuple(j for j in joins if j.spec.node not in link.exits) if link.exits else joins
    for state in opened:
        spec = state.spec
        if link.index in spec.branches:
            state.taken = True
        if link.target in spec.region or link.target == spec.node:
            chain = (*chain, state)
    return chain


def wanted_by(join: JoinState, joins: Sequence[Waiting]) -> bool:
    """Whether a token that holds these joins is of use to this join, and to no other but through it.

    Two joins that take the first few of one fork do not touch each other: what one has enough of the other may want.
    """
    return join in joins and not any(
        isinstance(other, JoinState) and other is not join and not other.closed and other not in join.outer
        for other in joins
    )
