"""Joins that wait, and the gates of forks: what the tokens of a walk can still reach.

Rules:
1. A token carries what it can still reach, its waypoints, the outer first; each waypoint counts the tokens that carry it
   (`live`).
2. A join closes when nobody can reach it any more, or when it has all it needs. A row of them closes one after the other,
   never one inside the other.

    START >> (a, b) >> first >> last      tokens of a and b carry (last, first): `first` can bring `last` a message,
    START >> c >> last                    so `last` counts it, too, until it has closed; c carries (last)
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Context
from typing import Any, NamedTuple, Protocol

from graphflow.declaration.ports import Port
from graphflow.events import Scope
from graphflow.proofs.program import JoinSpec, Link, Program, Slot
from graphflow.walk.revision import Revision, joined
from graphflow.walk.scope import Order, left, order_of

Variables = Context | None
"""The context variables that a message was sent with. None where facts are only replayed: then no code sees them."""


class Holder(Protocol):
    """An activation, as far as a join knows it."""

    @property
    def id(self) -> int:
        """Its number in the frame."""

    @property
    def joins(self) -> Chain:
        """What its message can still reach."""


class Arrival(NamedTuple):
    """A message that waits at a join."""

    scope: Scope
    link: int
    port: int
    message: object
    context: Variables
    """The context variables of what sent it."""
    revision: Revision | None
    """What the states were where it was sent."""


class Waypoint:
    """What tokens can still reach: a join that waits for them, or the gate of the fork that they are in."""

    __slots__ = ("closed", "dead", "holders", "inner", "live", "outer", "scope", "spec")

    def __init__(self, spec: JoinSpec, scope: Scope, outer: Chain) -> None:
        self.spec = spec
        self.scope = scope
        self.outer = outer
        """What this one keeps open until it has closed: the joins it can still bring a message to, the gates around it."""
        self.live = 0
        """Tokens that can still reach it, and inner ones that it waits for."""
        self.dead = ""
        """Why nobody wants what could come of it; empty as long as somebody does."""
        self.closed = False
        # Only where something may have to be cancelled (a join that takes the first few, a fork with a policy) it has to
        # be known who is inside. Elsewhere a hop pays nothing for it.
        self.holders: set[Holder] | None = None
        """Activations that may have to be cancelled because of it; None where that cannot happen."""
        self.inner: set[Waypoint] = set()
        """Joins and gates that are open somewhere inside it; kept only where it has holders."""


Chain = tuple[Waypoint, ...]
"""The waypoints of a token, the outer first."""


class JoinState(Waypoint):
    """One join, waiting in one scope."""

    __slots__ = ("buffer", "context", "gate", "revision", "taken")

    def __init__(
        self,
        spec: JoinSpec,
        scope: Scope,
        outer: Chain,
        gate: Gate | None,
        context: Variables = None,
        revision: Revision | None = None,
    ) -> None:
        super().__init__(spec, scope, outer)
        self.gate = gate
        """The gate of its fork, if that has one."""
        self.taken = False
        """Whether the fork sent anything this way."""
        self.buffer: list[Arrival] = []
        self.context = context
        """That of its fork: what the node sees if no message came."""
        self.revision = revision
        """What the states were at its fork."""

    @property
    def is_full(self) -> bool:
        """Whether it has all it needs, so that it need not wait for what may still come."""
        spec = self.spec
        if spec.take is not None:
            return len(self.buffer) >= spec.take
        # A port that collects is never full: only the last token of the fork tells that the list is complete.
        if spec.collects:
            return False
        ports = {arrival.port for arrival in self.buffer}
        return len(ports) == len(spec.ports)

    def state(self) -> tuple[object, ...]:
        """Its state as plain values, for comparing."""
        arrivals: list[tuple[object, ...]] = []
        for scope, link, port, message, _, _ in self.buffer:
            arrivals.append((scope, link, port, message))
        outer = [waypoint.spec.node for waypoint in self.outer]
        counts = (self.live, self.taken, self.dead)
        return self.spec.node, self.scope, counts, arrivals, outer


class Gate(Waypoint):
    """One run of a fork, as far as its policy goes.

    With `finish` the gate closes when all branches have ended. Until then no join of the fork starts: whether it does may
    not depend on which of its siblings failed first.
    """

    __slots__ = ("failures", "joins", "ready", "slot")

    def __init__(self, slot: Slot, scope: Scope, outer: Chain) -> None:
        super().__init__(GATE, scope, outer)
        self.slot = slot
        self.holders = set()
        self.joins: set[JoinState] = set()
        """The joins of its own fork that have not fired."""
        self.ready: list[JoinState] = []
        """Those of them that have all they need, and wait for the gate."""
        self.failures: list[FailedToken] = []

    @property
    def finishes(self) -> bool:
        """Whether all branches end before a failure of one counts."""
        return self.slot.policy == "finish"


class FailedToken(NamedTuple):
    """A token that was lost with an error."""

    order: Order
    """Where its activation stands, so that of several failures the logically first counts, not the fastest."""
    error: BaseException
    joins: Chain


GATE = JoinSpec(
    node=-1,
    collects=frozenset(),
    ports=(),
    take=None,
    fork=-1,
    region=set(),
    branches=set(),
)
"""Stands where a join has its node: no link leads to it, and none leads away from it."""


# -- which waypoints a token carries ---------------------------------------------------------------
def still_ahead(link: Link, joins: Chain) -> Chain:
    """The waypoints without the joins that cannot be reached any more behind this link."""
    # Gates stay: the policy of a fork holds for its tokens wherever they go.
    exits = link.exits
    ahead: list[Waypoint] = []
    for waypoint in joins:
        if waypoint.spec.node not in exits:
            ahead.append(waypoint)
    return tuple(ahead)


def chain_of(link: Link, joins: Chain, opened: Sequence[JoinState]) -> Chain:
    """The waypoints of a token on this link: those it had, and those of the joins just `opened` that lie ahead."""
    #     START >> (a, b) >> join >> END    a and b carry (join)
    #     START >> c >> END                 c carries nothing: the fork is the same, but no way leads from c to `join`
    chain = still_ahead(link, joins) if link.exits else joins
    for join in opened:
        spec = join.spec
        # A join whose fork has sent nothing its way is not part of this walk: it is dropped without a word.
        if link.index in spec.branches:
            join.taken = True
        if link.target in spec.region or link.target == spec.node:
            chain = (*chain, join)
    return chain


def is_open(spec: JoinSpec, joins: Sequence[Waypoint]) -> bool:
    """Whether a token carries a join of this node already."""
    return any(waypoint.spec is spec for waypoint in joins)


def join_of(spec: JoinSpec, joins: Chain) -> JoinState:
    """The join that waits for a token which carries it. There is one: its fork has opened it before it sent."""
    for waypoint in joins:
        if waypoint.spec is spec:
            break
    assert isinstance(waypoint, JoinState)
    return waypoint


def wanted_by(join: Waypoint, joins: Sequence[Waypoint]) -> bool:
    """Whether a token that carries these waypoints is of use to this join, and to no other but through it.

    Two joins that take the first few of one fork do not touch each other: what one has enough of the other may want.
    """
    if join not in joins:
        return False
    for other in joins:
        if other is join or not isinstance(other, JoinState):
            continue
        # An outer join gets its message through this one, and a closed one gets none at all.
        if other.closed or other in join.outer:
            continue
        return False
    return True


def unwanted_behind(join: Waypoint, why: str) -> set[Holder]:
    """The activations that could only bring a join more than it takes; joins inside it that could, too, are dead from here on.

    Args:
        join: has all it takes.
        why: is what is said of the dead ones.
    """
    #     (a, b, c) >> fastest, which takes 1     `b` has answered: `a` and `c` are cancelled
    #     a >> log >> END as well                 `a` is not: others want what it brings
    #     (d, e) >> both >> fastest               nor `d` and `e`, if `both` leads nowhere else: then it is dead, too
    unwanted: set[Holder] = set()
    todo: list[Waypoint] = [join]
    while todo:
        dead = todo.pop()
        for act in dead.holders or ():
            if wanted_by(dead, act.joins):
                unwanted.add(act)
        for inner in dead.inner:
            if wanted_by(dead, inner.outer):
                inner.dead = why
                todo.append(inner)
    return unwanted


# -- opening ---------------------------------------------------------------------------------------
def open_join(
    spec: JoinSpec,
    scope: Scope,
    joins: Sequence[Waypoint],
    gate: Gate | None,
    context: Variables,
    revision: Revision | None,
) -> JoinState:
    """A join that begins to wait, because its fork sends; `joins` are the waypoints of the token that forks.

    It counts as one token of each outer waypoint that it can bring a message to. So an outer join cannot close while an
    inner one is open, and nobody has to know how they are nested.
    """
    outer = _outer_of(spec, joins)
    join = JoinState(spec, scope, outer, gate, context, revision)
    is_in_take = False
    for waypoint in outer:
        waypoint.live += 1
        if waypoint.holders is not None:
            waypoint.inner.add(join)
            is_in_take = is_in_take or isinstance(waypoint, JoinState)
    # What is on its way to a join that takes the first few may have to be cancelled, also on its way to one inside it.
    if spec.take is not None or is_in_take:
        join.holders = set()
    if gate is not None:
        gate.joins.add(join)
    return join


def _outer_of(spec: JoinSpec, joins: Sequence[Waypoint]) -> Chain:
    """The waypoints that a join lies in: of joins those whose region has it, of gates all."""
    outer: list[Waypoint] = []
    for waypoint in joins:
        if isinstance(waypoint, Gate):  # its run of the fork is not over before this join
            outer.append(waypoint)
            continue
        around = waypoint.spec
        if spec.node in around.region or spec.node == around.node:
            outer.append(waypoint)
    return tuple(outer)


def gate_of(slot: Slot, scope: Scope, joins: Chain) -> Gate:
    """The gate of this run of a fork. A token that goes round a loop and forks again is still inside the first run."""
    for waypoint in joins:
        if isinstance(waypoint, Gate) and waypoint.slot is slot:
            return waypoint
    gate = Gate(slot, scope, joins)
    for waypoint in joins:
        # What is further out may not close before the failure of a branch has been judged.
        if gate.finishes:
            waypoint.live += 1
        if waypoint.holders is not None:
            waypoint.inner.add(gate)
    return gate


# -- firing ----------------------------------------------------------------------------------------
def in_logical_order(arrivals: Sequence[Arrival], program: Program) -> list[Arrival]:
    """What came to a join, in the order of the wiring and of the list, whoever was faster.

    Scopes sort as they are unless the graph forks inside a loop or chains joins of one fork (`program.reordered`).
    """
    if not program.reordered:
        return sorted(arrivals, key=_by_scope)

    def place(arrival: Arrival) -> tuple[Order, int]:
        # Messages of one scope have come by different links, so the wiring tells which is first.
        return order_of(arrival.scope, program), arrival.link

    return sorted(arrivals, key=place)


def _by_scope(arrival: Arrival) -> tuple[Scope, int]:
    return arrival.scope, arrival.link


def scope_behind(join: JoinState) -> Scope:
    """The scope of what a join sends: that of its fork, for it has made one token of many again."""
    spec = join.spec
    # Where other tokens of the fork are still about, the join's own must be told from theirs.
    if spec.element is not None:
        return (*join.scope, spec.element)
    if spec.leaves:
        return left(join.scope, spec.leaves)
    return join.scope


def revision_behind(join: JoinState, arrivals: Sequence[Arrival]) -> Revision | None:
    """What the states are behind a join: what its branches have written, on what they were at its fork."""
    base = join.revision
    if base is None:
        return None
    return joined(base, [arrival.revision for arrival in arrivals if arrival.revision is not None])


Messages = dict[int, list[object]]
"""What has come to a join, by the number of its port."""


def messages_by_port(spec: JoinSpec, arrivals: Sequence[Arrival]) -> Messages:
    """What each port of a join got, in the order of the arrivals."""
    messages: Messages = {number: [] for number in spec.ports}
    for arrival in arrivals:
        messages[arrival.port].append(arrival.message)
    return messages


def empty_port(spec: JoinSpec, ports: Sequence[Port], messages: Messages) -> int | None:
    """The port because of which a join must be skipped: it needs a message, and never got one."""
    for number in spec.ports:
        # A list may be empty, and an optional port has a value of its own for that.
        if messages[number] or number in spec.collects:
            continue
        if not ports[number].optional:
            return number
    # Where nothing came at all, optional ports are no reason to activate the node.
    has_any = any(messages.values())
    if spec.collects or has_any:
        return None
    return spec.ports[0]


def port_values(spec: JoinSpec, ports: Sequence[Port], messages: Messages) -> dict[str, Any]:
    """What the node of a join is given, by the names of its ports."""
    values: dict[str, Any] = {}
    for number in spec.ports:
        port = ports[number]
        here = messages[number]
        if number in spec.collects:
            values[port.name] = here
        else:
            # Of several the first in logical order counts: arms of one fork may lead to the same port.
            value = here[0] if here else port.empty
            values[port.name] = value
    return values
