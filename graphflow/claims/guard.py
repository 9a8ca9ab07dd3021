"""A guard: the claims of a graph that were not proven, stepped along the one walk that happens.

Rules:
1. Checking and reserving are one: `begin` either refuses and changes nothing, or has counted. Nobody awaits in between, so of
   two calls that are made at the same time only one gets the last place.
2. What was reserved and did not begin after all (a policy, a person, a limit said no) is given back. What has begun counts,
   also if it fails.
3. One guard is one frame of the graph that declares its claims, with everything below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from graphflow.claims.automata import BROKEN, Automaton, ClaimState, NeverAutomaton, Role
from graphflow.claims.monitor import Branches, Monitor, MonitorState, Roles
from graphflow.claims.targets import Cast, Way, is_arm, is_named, targets_of
from graphflow.declaration.claims import Claim, Never, Only, split_arm
from graphflow.declaration.node import AnyNode
from graphflow.events import Scope
from graphflow.proofs.program import Slot
from graphflow.proofs.proven import AnyGraph

BeginningKind: TypeAlias = Literal["activation", "call", "hand-over"]


class Sight(NamedTuple):
    """What one claim sees of a node: the claim's place in the guard, and what the node means to it."""

    claim: int
    roles: Roles


Sights: TypeAlias = tuple[Sight, ...]
BOTH: Role = 2
"""A node that is named on both sides of a `Never`."""


class NeverGuard(NeverAutomaton):
    """(whether `after` has answered, how many of `node` and of `after` are under way).

    Nobody can keep an `after` from answering once it has begun. So the two are kept apart: it does not begin while a `node` is
    under way, and no `node` begins while it is.
    """

    __slots__ = ()
    start = (0, 0, 0)
    beginning = (0, 1, BOTH)

    def begins(self, state: ClaimState, role: Role) -> ClaimState:
        """One more under way, if none of the other is."""
        assert isinstance(state, tuple)
        answered, running, forbidding = state
        if role == 1:
            return BROKEN if running else (answered, running, forbidding + 1)
        if answered or forbidding or (role == BOTH and running):
            return BROKEN
        if role == BOTH:
            return (answered, running + 1, forbidding + 1)
        return (answered, running + 1, forbidding)

    def ends(self, state: ClaimState, role: Role) -> ClaimState:
        """One less."""
        assert isinstance(state, tuple)
        answered, running, forbidding = state
        if role != 1:
            running = max(0, running - 1)
        if role != 0:
            forbidding = max(0, forbidding - 1)
        return (answered, running, forbidding)

    def answers(self, state: ClaimState, role: Role) -> ClaimState:
        """`after` has answered."""
        assert isinstance(state, tuple)
        _, running, forbidding = state
        return (1, running, forbidding)

    def refusal(self, state: ClaimState) -> str:
        """What stands against it."""
        assert isinstance(state, tuple)
        answered, running, _ = state
        claim = self.claim
        if answered:
            return f"{claim.node!r} must not begin any more: {claim.after!r} has answered"
        if running:
            return f"{claim.node!r} is under way, and must be over before {claim.after!r} begins; wait for its answer"
        return f"{claim.after!r} is under way, and after it {claim.node!r} must not begin"


class _GuardMonitor(Monitor):
    """A claim along one walk."""

    def _automaton_of(self, claim: Claim) -> Automaton:
        if isinstance(claim, Never):
            return NeverGuard(claim)
        return super()._automaton_of(claim)


@dataclass(frozen=True, slots=True)
class ClaimRefusal:
    """Why something may not begin."""

    claim: Claim
    why: str


class ClaimStep(NamedTuple):
    """How a node moves one claim about whole walks.

    Attributes:
        states: of the claims of its guard.
        claim: the place of this one among them.
        automaton: how its states follow from each other.
        role: as what the node stands in it.
    """

    states: list[MonitorState]
    claim: int
    automaton: Automaton
    role: Role


class AnswerStep(NamedTuple):
    """The same for answers, of one arm if that is said."""

    step: ClaimStep
    arm: str


class ClaimSteps(NamedTuple):
    """All that a node moves: what most calls meet, so that they need not look at branches."""

    begins: tuple[ClaimStep, ...]
    ends: tuple[ClaimStep, ...]
    answers: tuple[AnswerStep, ...]

    def begin(self) -> ClaimRefusal | None:
        """It has begun; or it may not, and nothing has changed."""
        for step in self.begins:
            states, claim, automaton, role = step
            before = states[claim]
            after = automaton.begins(before, role)  # type: ignore[arg-type]  # of no branches
            if after == BROKEN:
                self._undo(self.begins.index(step))
                return ClaimRefusal(automaton.claim, automaton.refusal(before))  # type: ignore[arg-type]
            states[claim] = after
        return None

    def _undo(self, count: int) -> None:
        """Gives back the first of them."""
        for states, claim, automaton, role in self.begins[:count]:
            states[claim] = automaton.gives_back(states[claim], role)  # type: ignore[arg-type]

    def end(self) -> None:
        """It has failed, or was cancelled."""
        for states, claim, automaton, role in self.ends:
            states[claim] = automaton.ends(states[claim], role)  # type: ignore[arg-type]

    def answer(self, node: AnyNode, output: object) -> None:
        """It has answered."""
        if self.ends:
            self.end()
        for (states, claim, automaton, role), arm in self.answers:
            if not arm or is_arm(output, node, arm):
                states[claim] = automaton.answers(states[claim], role)  # type: ignore[arg-type]

    def give_back(self) -> None:
        """It was to begin, and has not."""
        self._undo(len(self.begins))


class ClaimGuard:
    """The claims of one frame at work."""

    __slots__ = ("_monitors", "_names", "_states", "graph")

    def __init__(self, graph: AnyGraph, claims: Sequence[Claim]) -> None:
        self.graph = graph
        targets = targets_of(graph)
        casts = [Cast(claim, targets) for claim in claims]
        self._monitors = [_GuardMonitor(cast) for cast in casts]
        self._names = [[split_arm(name) for name in claim.names] for claim in claims]
        self._states: list[MonitorState] = [monitor.start for monitor in self._monitors]

    # -- what is of interest -----------------------------------------------------------------------
    def sights(self, way: Way, caller: Way, kind: BeginningKind, slot: Slot | None) -> Sights:
        """What the claims see of a node.

        Args:
            way: its names, from the frame of this guard on.
            caller: those of who calls it.
            kind: how it begins.
            slot: its slot, if it stands on an arrow of that frame.
        """
        found: list[Sight] = []
        for number, monitor in enumerate(self._monitors):
            roles = self._roles(number, way, caller, kind)
            if slot is not None:
                roles = monitor.with_fork(roles, slot)
            if roles != Roles():
                found.append(Sight(number, roles))
        return tuple(found)

    def _roles(self, number: int, way: Way, caller: Way, kind: BeginningKind) -> Roles:
        automaton = self._monitors[number].automaton
        claim = automaton.claim
        roles = Roles()
        if isinstance(claim, Only):
            is_meant = any(is_named(way, name) for name in claim.calls)
            if kind == "activation" or not is_meant or is_named(caller, claim.caller):
                return roles
            return Roles(beginning=(0,))
        for role, (path, arm) in enumerate(self._names[number]):
            if is_named(way, path):
                roles = roles.and_role(role, automaton, arm)
        if isinstance(automaton, NeverGuard) and roles.beginning == (0, 1):
            roles = Roles((BOTH,), roles.answering, True, roles.forks, roles.opens)
        return roles

    # -- steps -------------------------------------------------------------------------------------
    def refusal(self, sights: Sights, scope: Scope) -> ClaimRefusal | None:
        """Why a node may not begin now; None if it may."""
        for number, roles in sights:
            monitor = self._monitors[number]
            state = self._states[number]
            if monitor.begins(state, roles, scope) == BROKEN:
                why = monitor.automaton.refusal(monitor.state_in(state, scope))
                return ClaimRefusal(monitor.automaton.claim, why)
        return None

    def begin(self, sights: Sights, scope: Scope) -> ClaimRefusal | None:
        """The same, and if it may it has begun."""
        refusal = self.refusal(sights, scope)
        if refusal is None:
            for number, roles in sights:
                state = self._states[number]
                self._states[number] = self._monitors[number].begins(state, roles, scope)
        return refusal

    def answer(self, sights: Sights, scope: Scope, node: AnyNode, output: object) -> None:
        """A node has answered."""
        for number, roles in sights:
            unit = None
            for _, arm in roles.answering:
                if arm and is_arm(output, node, arm):
                    unit = arm
            state = self._states[number]
            self._states[number] = self._monitors[number].answers(state, roles, scope, unit)

    def end(self, sights: Sights, scope: Scope) -> None:
        """A node has failed, or was cancelled."""
        for number, roles in sights:
            state = self._states[number]
            self._states[number] = self._monitors[number].ends(state, roles, scope)

    def give_back(self, sights: Sights, scope: Scope) -> None:
        """A node that was to begin has not."""
        for number, roles in sights:
            state = self._states[number]
            self._states[number] = self._monitors[number].gives_back(state, roles, scope)

    def lacking(self) -> ClaimRefusal | None:
        """What the walk has too little of to complete."""
        for monitor, state in zip(self._monitors, self._states, strict=True):
            if monitor.completes(state) == BROKEN:
                inner = state.outer if isinstance(state, Branches) else state
                why = monitor.automaton.refusal(inner)
                return ClaimRefusal(monitor.automaton.claim, why)
        return None

    def steps(self, sights: Sights) -> ClaimSteps | None:
        """The steps of what these sights see, for claims about whole walks; None if one is about branches."""
        begins: list[ClaimStep] = []
        ends: list[ClaimStep] = []
        answers: list[AnswerStep] = []
        for number, roles in sights:
            monitor = self._monitors[number]
            automaton = monitor.automaton
            # Two roles of one claim are stepped one after the other, and so not here.
            if monitor.fork >= 0 or len(roles.beginning) > 1 or len(roles.answering) > 1:
                return None
            for role in roles.beginning:
                begins.append(ClaimStep(self._states, number, automaton, role))
                if automaton.waits_for_answers:
                    ends.append(ClaimStep(self._states, number, automaton, role))
            for role, arm in roles.answering:
                answers.append(AnswerStep(ClaimStep(self._states, number, automaton, role), arm))
        return ClaimSteps(tuple(begins), tuple(ends), tuple(answers))

    @property
    def states(self) -> tuple[MonitorState, ...]:
        """The state of each claim, for comparing."""
        return tuple(self._states)


def sees_arrows(graph: AnyGraph, claims: Sequence[Claim]) -> bool:
    """Whether one of the claims looks at nodes on arrows, or at how a walk ends."""
    targets = targets_of(graph)
    for claim in claims:
        cast = Cast(claim, targets)
        if cast.fork is not None:
            return True
        if any(not target.is_call for role in cast.roles for target in role):
            return True
    return False
