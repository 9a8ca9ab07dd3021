"""A guard: the claims of a graph that were not proven, seen to along the one walk that happens.

Rules:
1. Checking and reserving are one: a beginning is either refused, and nothing changes, or it is counted. Nobody awaits in
   between, so of two calls that are made at the same time only one gets the last place.
2. What was reserved and did not begin after all (a policy, a person, a limit said no) is given back. What has begun counts,
   also if it fails.
3. One guard is one frame of the graph that declares its claims, with everything below it.
4. A claim per fork has numbers of its own for each branch: they begin as what those outside of all branches were when the
   fork answered, and go on by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Literal, NamedTuple, TypeAlias

from graphflow.claims.bounds import Bound, Demand, WalkCount, bounds_of, demand_of, paths_of
from graphflow.claims.targets import ARROW, Cast, Way, is_arm, is_named, targets_of
from graphflow.declaration.claims import Claim, Only
from graphflow.declaration.node import AnyNode
from graphflow.events import Scope
from graphflow.proofs.program import Slot
from graphflow.proofs.proven import AnyGraph

LastName: TypeAlias = str
"""The last name of a path."""
ClaimRole: TypeAlias = tuple[str, Claim, int]
"""A path, the claim that bounds what it stands for, and the role in that."""
BeginningKind: TypeAlias = Literal["activation", "call", "hand-over"]
Bits: TypeAlias = int
"""The fields of all claims that are judged together, side by side in one number."""
ArmBits: TypeAlias = tuple[Bits, str]
"""What is added when an answer is of this arm."""
NO_SLOT: Final = -2
"""The number of what stands on no arrow of the frame."""
# 2 ** 40 of something is more than a walk can hold, so no field runs over into the next.
WIDTH: Final = 42
TOP: Final = 1 << 40
"""The bit of a field that is set while its bound is not kept; counting goes on above it, and never leaves the field."""


@dataclass(frozen=True, slots=True)
class ClaimRefusal:
    """Why something may not begin, or a walk not complete."""

    claim: Claim
    why: str


class NodeMoves(NamedTuple):
    """What a node does to the bits of a group of claims.

    Attributes:
        forbidden: the bits of which none may be set if it is to begin.
        begins: what is added when it begins.
        ends: what is added when it has failed or was cancelled.
        answers: what is added when it has answered.
        arms: what is added besides, if it has answered with this arm.
        forks: whether it is the fork whose branches are judged alone.
        bounds: what the forbidden bits stand for, with their places.
    """

    forbidden: Bits
    begins: Bits
    ends: Bits
    answers: Bits
    arms: tuple[ArmBits, ...]
    forks: bool
    bounds: tuple[tuple[Bound, int], ...]


class Field(NamedTuple):
    """One number among the bits.

    Attributes:
        counter: what is counted.
        shift: its place.
        step: what one more of it adds to the bits.
    """

    counter: WalkCount
    shift: int
    step: Bits


class ClaimGroup:
    """The claims of a graph that are judged together: of whole walks, or for each branch of one fork.

    A field begins so that its `TOP` is set just as long as its bound is not kept. So a beginning is one look at some bits
    and one addition, however many claims see it:

        at most 2        TOP - 2,  TOP - 1,  TOP        one more each time; the third must not begin
        none under way   TOP - 1,  TOP,  TOP - 1        one more when it begins, one less when it ends
        has answered     TOP,  TOP - 1,  TOP - 2        one less with each answer

    Attributes:
        fork: the number of the fork; -1 if there is none.
        forks_at_start: whether that is START, which does not answer.
        start: the bits before anything has begun.
        demands: what must have been reached in a walk that completes, with the fields.
    """

    def __init__(self, fork: Slot | None, claims: Sequence[Claim]) -> None:
        self.fork = -1
        self.forks_at_start = False
        self.start: Bits = 0
        self.demands: list[tuple[Demand, Field]] = []
        self._opening: frozenset[int] = frozenset()
        self._fields: dict[tuple[WalkCount, int | None], Field] = {}
        """By what is counted, and with which number they begin."""
        self._counted: dict[LastName, list[Field]] = {}
        """The fields that nodes of a name move."""
        self._bounded: dict[LastName, list[ClaimRole]] = {}
        """The claims that bound their beginnings."""
        for claim in claims:
            self._add(claim)
        if fork is not None:
            self._watch(fork)

    def _add(self, claim: Claim) -> None:
        for role, path in enumerate(paths_of(claim)):
            name = _last_name(path)
            bounded = self._bounded.setdefault(name, [])
            bounded.append((path, claim, role))
            for bound in bounds_of(claim, role):
                self._field_of(bound)
        demand = demand_of(claim)
        if demand is not None:
            field = self._field(demand.counter, 0, 1)
            self.demands.append((demand, field))

    def _field_of(self, bound: Bound) -> Field:
        if bound.most is None:
            return self._field(bound.counter, TOP, -1)
        # What is more than ever happens needs no exact bound.
        times = min(bound.most + 1, TOP)
        return self._field(bound.counter, TOP - times, 1)

    def _field(self, counter: WalkCount, start: int, step: int) -> Field:
        """The field that counts this from there; claims about the same share it."""
        key = (counter, start)
        known = self._fields.get(key)
        if known is not None:
            return known
        # Side by side: the first field stands lowest.
        shift = WIDTH * len(self._fields)
        field = Field(counter, shift, step << shift)
        self._fields[key] = field
        self.start |= start << shift
        name = _last_name(counter.path)
        counted = self._counted.setdefault(name, [])
        counted.append(field)
        return field

    def _watch(self, fork: Slot) -> None:
        self.fork = fork.index
        self.forks_at_start = fork.node is None
        if self.demands:
            # A branch that nothing of interest happens in has less than is demanded, too.
            links = (*fork.links, *fork.failure_links, *fork.limit_links)
            targets = [link.target for link in links]
            self._opening = frozenset(targets)

    # -- nodes -------------------------------------------------------------------------------------
    def moves(
        self, way: Way, caller: Way, kind: BeginningKind, slot: Slot | None
    ) -> NodeMoves | None:
        """What a node does; None if it does nothing.

        Args:
            way: its names, from the frame of the guard on.
            caller: those of who calls it.
            kind: how it begins.
            slot: its slot, if it stands on an arrow of that frame.
        """
        number = NO_SLOT if slot is None else slot.index
        forks = number == self.fork
        opens = number in self._opening
        fields = self._fields_of(way)
        bounds: dict[Bound, int] = {}
        for path, claim, role in self._roles_of(way):
            if is_named(way, path) and not _is_allowed(claim, caller, kind):
                for bound in bounds_of(claim, role):
                    field = self._field_of(bound)
                    bounds[bound] = field.shift
        if not (fields or bounds or forks or opens):
            return None
        return _moves_of(fields, bounds, forks=forks)

    def _fields_of(self, way: Way) -> list[Field]:
        """The fields that a node moves."""
        found: list[Field] = []
        for name in way[-1]:
            for field in self._counted.get(name, ()):
                if is_named(way, field.counter.path):
                    found.append(field)
        return found

    def _roles_of(self, way: Way) -> Iterator[ClaimRole]:
        """The claims that may bound the beginnings of a node."""
        for name in way[-1]:
            yield from self._bounded.get(name, ())


def _moves_of(fields: Iterable[Field], bounds: Mapping[Bound, int], *, forks: bool) -> NodeMoves:
    forbidden = begins = ends = answers = 0
    arms: list[ArmBits] = []
    for shift in bounds.values():
        forbidden |= TOP << shift
    for counter, _, step in fields:
        if counter.arm:
            arms.append((step, counter.arm))
        elif counter.measure == "answered":
            answers += step
        else:
            begins += step
        if counter.measure == "running":
            ends -= step
    named = tuple(bounds.items())
    return NodeMoves(forbidden, begins, ends, ends + answers, tuple(arms), forks, named)


def _last_name(path: str) -> str:
    return path.rpartition(ARROW)[2]


def _is_allowed(claim: Claim, caller: Way, kind: BeginningKind) -> bool:
    """Whether an `Only` says nothing of a beginning: the arrows have decided it, or the one who may."""
    if not isinstance(claim, Only):
        return False
    if kind == "activation":
        return True
    return is_named(caller, claim.caller)


class ClaimRules:
    """What has to be seen to in every frame of a graph, found once.

    Attributes:
        groups: its claims, in groups.
        sees_arrows: whether one of them looks at nodes on arrows, or at branches.
        sees_walked: whether one of them looks at nodes on arrows of graphs that are called.
    """

    def __init__(self, graph: AnyGraph, claims: Sequence[Claim]) -> None:
        targets = targets_of(graph)
        by_fork: dict[Slot | None, list[Claim]] = {}
        for claim in claims:
            fork = targets.fork(claim)
            together = by_fork.setdefault(fork, [])
            together.append(claim)
        self.groups = [ClaimGroup(fork, together) for fork, together in by_fork.items()]
        self.sees_arrows = False
        self.sees_walked = False
        for claim in claims:
            cast = Cast(claim, targets)
            seen = list(chain(*cast.roles))
            if cast.fork is not None or not all(target.is_call for target in seen):
                self.sees_arrows = True
            if any(target.is_walked for target in seen):
                self.sees_walked = True


class BranchBits:
    """The bits of a walk, or of one branch."""

    __slots__ = ("bits",)

    def __init__(self, bits: Bits) -> None:
        self.bits = bits

    def count_in(self, field: Field) -> int:
        """The number in a field."""
        behind = self.bits >> field.shift
        return behind % (1 << WIDTH)


class GroupStates:
    """The bits of one group, in one frame."""

    __slots__ = ("_forked", "_inside", "_outer", "group")

    def __init__(self, group: ClaimGroup) -> None:
        self.group = group
        self._outer = BranchBits(group.start)
        self._forked: dict[Scope, Bits] = {}
        """What the bits were when each run of the fork had answered, by its scope."""
        self._inside: dict[Scope, BranchBits] = {}
        """Those of each branch."""
        if group.forks_at_start:
            self.fork(())

    def fork(self, scope: Scope) -> None:
        """The fork has answered: its branches begin with what the bits are now."""
        self._forked[scope] = self._outer.bits

    def at(self, scope: Scope) -> BranchBits:
        """The bits that something in this scope moves."""
        branch = self._branch_of(scope)
        if branch is None:
            return self._outer
        state = self._inside.get(branch)
        if state is None:
            # What stands before the branch in its scope is the scope in which the fork itself has run.
            bits = self._forked.get(branch[:-1], self._outer.bits)
            state = self._inside[branch] = BranchBits(bits)
        return state

    def _branch_of(self, scope: Scope) -> Scope | None:
        """The branch that a scope lies in; None if in none."""
        fork = self.group.fork
        if fork < 0:
            return None
        # Of forks within forks the scope has the outermost first: what comes behind ours lies in the same branch.
        for place, (region, _) in enumerate(scope):
            if region == fork:
                return scope[: place + 1]
        return None

    def lacking(self) -> ClaimRefusal | None:
        """What the walk has too little of to complete."""
        # What is outside of all branches completes nothing: each branch has to reach what is demanded.
        judged: Iterable[BranchBits] = (self._outer,)
        if self.group.fork >= 0:
            judged = self._inside.values()
        for state in judged:
            for demand, field in self.group.demands:
                count = state.count_in(field)
                if count < demand.times:
                    why = demand.why(count)
                    return ClaimRefusal(demand.claim, why)
        return None


class Stake:
    """What something that begins has to do with one group of claims.

    Attributes:
        state: the bits that it moves.
        moves: how.
        forbidden, begins, answers: the same, at hand for every call.
        group: whose bits they are.
        node: what begins.
        scope: where it begins in the frame of the guard.
        others: what it has to do with other groups; these have no others.
        sees_end: whether it matters to any of them how it ends.
        is_plain: whether `answers` is all that its answer adds, whatever it has answered.
    """

    __slots__ = (
        *("answers", "begins", "forbidden", "group", "is_plain", "moves"),
        *("node", "others", "scope", "sees_end", "state"),
    )

    def __init__(
        self, state: BranchBits, moves: NodeMoves, group: GroupStates, node: AnyNode, scope: Scope
    ) -> None:
        self.state = state
        self.moves = moves
        self.forbidden = moves.forbidden
        self.begins = moves.begins
        self.answers = moves.answers
        self.group = group
        self.node = node
        self.scope = scope
        self.others: tuple[Stake, ...] = ()
        # A call in the background may turn out not to have begun long after its handle was given.
        self.is_plain = not (moves.arms or moves.forks or node.in_background)
        self.sees_end = bool(moves.answers) or not self.is_plain

    def beside(self, others: Sequence[Stake]) -> Stake:
        """The same, with what it has to do with other groups."""
        self.others = tuple(others)
        self.sees_end = self.sees_end or any(other.sees_end for other in others)
        self.is_plain = self.is_plain and not others
        return self

    @property
    def is_open(self) -> bool:
        """Whether it may begin now."""
        if self.state.bits & self.forbidden:
            return False
        return all(other.is_open for other in self.others)

    def refusal(self) -> ClaimRefusal | None:
        """Why it may not begin now; None if it may."""
        for stake in (self, *self.others):
            bits = stake.state.bits
            for bound, shift in stake.moves.bounds:
                top = TOP << shift
                if bits & top:
                    return ClaimRefusal(bound.claim, bound.why)
        return None

    def count(self) -> None:
        """It has begun, whatever the claims say."""
        for each in (self, *self.others):
            each.state.bits += each.begins

    def answer(self, output: object) -> None:
        """It has answered."""
        moves = self.moves
        added = moves.answers
        for bits, arm in moves.arms:
            if is_arm(output, self.node, arm):
                added += bits
        self.state.bits += added
        if moves.forks:
            self.group.fork(self.scope)
        for other in self.others:
            other.answer(output)


class ClaimGuard:
    """The claims of one frame at work."""

    __slots__ = ("groups", "rules")

    def __init__(self, rules: ClaimRules) -> None:
        self.rules = rules
        self.groups = [GroupStates(group) for group in rules.groups]

    def lacking(self) -> ClaimRefusal | None:
        """What the walk has too little of to complete."""
        for group in self.groups:
            lacking = group.lacking()
            if lacking is not None:
                return lacking
        return None


class Reservation:
    """Something that has begun, or is about to, as the guards have counted it.

    Attributes:
        stake: what it has to do with claims; None: nothing, or it has ended.
        has_begun: whether the node itself is at work: what was refused before may be tried again.
    """

    __slots__ = ("has_begun", "stake")

    def __init__(self) -> None:
        self.stake: Stake | None = None
        self.has_begun = False

    def begin(self, stake: Stake) -> ClaimRefusal | None:
        """Counts a beginning; or tells why it may not be, and then nothing has changed."""
        state = stake.state
        bits = state.bits
        if bits & stake.forbidden:
            return stake.refusal()
        # Two graphs around each other may both have claims: all are asked before one of them counts.
        if stake.others:
            refusal = stake.refusal()
            if refusal is not None:
                return refusal
            stake.count()
        else:
            # Nearly every call that a claim sees comes through here, so it is written out.
            state.bits = bits + stake.begins
        self.stake = stake
        self.has_begun = False
        return None

    def answer(self, output: object) -> None:
        """It has answered."""
        stake = self.stake
        self.stake = None
        if stake is not None and stake.sees_end:
            stake.answer(output)

    def stop(self) -> None:
        """It has failed or was cancelled; or it has not even begun, and its place is free again."""
        stake = self.stake
        self.stake = None
        if stake is None:
            return
        for each in (stake, *stake.others):
            # What has begun counts, also if it fails.
            if self.has_begun:
                each.state.bits += each.moves.ends
            else:
                each.state.bits -= each.begins
