"""A monitor: one claim's automaton, stepped along a walk that is explored.

A claim per fork is judged for each branch alone. What happens outside of the fork's branches moves one state, the outer one;
a branch begins with what that was when its fork answered, and goes on by itself:

    read >> [each branch: look >> answer] >> report      Before("look", "answer", per="read"): every branch has its own
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, TypeAlias

from graphflow.claims.automata import BROKEN, Automaton, ClaimState, Role, automaton_of
from graphflow.claims.targets import Cast, Seat
from graphflow.events import Scope

ScopedState: TypeAlias = tuple[Scope, ClaimState]
ByScope: TypeAlias = tuple[ScopedState, ...]
"""States by their scopes, in order."""
StateInBranch: TypeAlias = tuple[ClaimState, Scope | None]
"""A state, and the branch that it is of; None if of none."""


class Branches(NamedTuple):
    """The state of a claim that is judged for each branch of a fork.

    Attributes:
        outer: the state outside of all branches.
        forked: what that was when each run of the fork had answered, by its scope.
        inside: the state of each branch that is under way.
        lacking: whether a branch has ended that had less than it needs in a walk that completes.
    """

    outer: ClaimState
    forked: ByScope = ()
    inside: ByScope = ()
    lacking: bool = False


MonitorState: TypeAlias = ClaimState | Branches


ArmRole: TypeAlias = tuple[Role, str]
"""As what answers count, with the arm that is meant ("" = any)."""


class Roles(NamedTuple):
    """What one node means to a claim.

    Attributes:
        beginning: as what its beginnings count.
        answering: as what its answers count, with their arms.
        sees_end: whether its end is of any interest.
        forks: whether it is the fork whose branches are judged.
        opens: whether a branch begins with it.
    """

    beginning: tuple[Role, ...] = ()
    answering: tuple[ArmRole, ...] = ()
    sees_end: bool = False
    forks: bool = False
    opens: bool = False

    def and_role(self, role: Role, automaton: Automaton, arm: str) -> Roles:
        """These, and one more."""
        beginning = self.beginning
        answering = self.answering
        sees_end = self.sees_end
        if role in automaton.beginning:
            beginning = (*beginning, role)
            sees_end = sees_end or automaton.waits_for_answers
        if role in automaton.answering:
            answering = (*answering, (role, arm))
            sees_end = True
        return Roles(beginning, answering, sees_end, self.forks, self.opens)


NO_ROLES = Roles()
"""Of a node that the claim does not see."""
SeatRoles: TypeAlias = dict[Seat, Roles]
"""What each node that is of interest means to a claim."""


class Monitor:
    """One claim, watched along walks. It has no state of its own: the states are the explorer's."""

    def __init__(self, cast: Cast) -> None:
        self.automaton = automaton_of(cast.claim)
        self.fork = -1
        self._forks_at_start = False
        self._opening: frozenset[int] = frozenset()
        """The nodes that a branch begins with, where it matters how branches end."""
        if cast.fork is not None:
            self.fork = cast.fork.index
            self._forks_at_start = cast.fork.node is None
        self.seats = self._seats_of(cast)
        """What each node that is of interest means to the claim."""
        self.seen: set[Role] = set()
        """The roles in which anything has begun so far, in any walk: a claim about what never happens is vacuous."""

    def _seats_of(self, cast: Cast) -> SeatRoles:
        automaton = self.automaton
        seats: SeatRoles = {}
        for role, targets in enumerate(cast.roles):
            for target in targets:
                if target.is_call:
                    continue
                seat = (target.frame, target.slot)
                roles = seats.get(seat, NO_ROLES)
                arm = cast.arms[role]
                seats[seat] = roles.and_role(role, automaton, arm)
        if cast.fork is not None:
            self._watch_fork(cast, seats)
        return seats

    def _watch_fork(self, cast: Cast, seats: SeatRoles) -> None:
        fork = cast.fork
        assert fork is not None
        # Only what is said of walks that complete is said of branches in which nothing else happens.
        if self.automaton.about_ends:
            links = (*fork.links, *fork.failure_links, *fork.limit_links)
            targets = [link.target for link in links]
            self._opening = frozenset(targets)
        for number in (fork.index, *self._opening):
            seat: Seat = ((), number)
            roles = seats.get(seat, NO_ROLES)
            seats[seat] = self._with_fork(roles, number)

    def _with_fork(self, roles: Roles, number: int) -> Roles:
        forks = number == self.fork
        opens = number in self._opening
        if not forks and not opens:
            return roles
        sees_end = roles.sees_end or forks
        return Roles(roles.beginning, roles.answering, sees_end, forks, opens)

    @property
    def start(self) -> MonitorState:
        """The state before anything has begun."""
        state = self.automaton.start
        if self.fork < 0:
            return state
        if self._forks_at_start:  # START does not answer
            forked = _with_state((), (), state)
            return Branches(state, forked)
        return Branches(state)

    def branch_of(self, scope: Scope) -> Scope | None:
        """The branch that something in this scope belongs to; None if it is in none."""
        for place, (region, _) in enumerate(scope):
            if region == self.fork:
                return scope[: place + 1]
        return None

    # -- steps -------------------------------------------------------------------------------------
    def begins(self, state: MonitorState, roles: Roles, scope: Scope) -> MonitorState:
        """What follows when a node begins."""
        self.seen.update(roles.beginning)
        now, branch = self._state_in(state, scope)
        for role in roles.beginning:
            if now != BROKEN:
                now = self.automaton.begins(now, role)
        return self._with(state, branch, now)

    def answers(
        self, state: MonitorState, roles: Roles, scope: Scope, unit: str | None
    ) -> MonitorState:
        """What follows when it answers with this arm."""
        now, branch = self._state_in(state, scope)
        automaton = self.automaton
        for role in roles.beginning:
            now = automaton.ends(now, role)
        for role, arm in roles.answering:
            is_meant = not arm or arm == unit
            if now == BROKEN or not is_meant:
                continue
            self.seen.add(role)
            now = automaton.answers(now, role)
        state = self._with(state, branch, now)
        if not roles.forks or not isinstance(state, Branches):
            return state
        outer = state.outer
        # A fork in a loop runs again: its branches begin with what is so now.
        forked = _with_state(state.forked, scope, outer)
        return Branches(outer, forked, state.inside, state.lacking)

    def ends(self, state: MonitorState, roles: Roles, scope: Scope) -> MonitorState:
        """What follows when it has failed or was cancelled."""
        now, branch = self._state_in(state, scope)
        for role in roles.beginning:
            now = self.automaton.ends(now, role)
        return self._with(state, branch, now)

    def completes(self, state: MonitorState) -> MonitorState:
        """What follows when the walk completes."""
        if state == BROKEN:
            return state
        is_complete = self.automaton.is_complete
        if not isinstance(state, Branches):
            return state if is_complete(state) else BROKEN
        if state.lacking:
            return BROKEN
        for _, now in state.inside:
            if not is_complete(now):
                return BROKEN
        return state

    def forgotten(self, state: MonitorState, alive: Collection[Scope | None]) -> MonitorState:
        """The state without branches that have ended; what they lacked for a walk that completes is kept."""
        if not isinstance(state, Branches):
            return state
        # Two walks that differ in branches which are over go on alike.
        kept: list[ScopedState] = []
        for each in state.inside:
            if each[0] in alive:
                kept.append(each)
        if len(kept) == len(state.inside):
            return state
        lacking = state.lacking
        for branch, now in state.inside:
            is_over = branch not in alive
            if is_over and not self.automaton.is_complete(now):
                lacking = True
        inside = tuple(kept)
        return Branches(state.outer, state.forked, inside, lacking)

    def is_settled(self, state: MonitorState) -> bool:
        """Whether nothing that may still come can break the claim."""
        if isinstance(state, Branches) or state == BROKEN:
            return False
        return self.automaton.is_settled(state)

    # -- whose state -------------------------------------------------------------------------------
    def _state_in(self, state: MonitorState, scope: Scope) -> StateInBranch:
        """The state that an event in this scope moves, and the branch that it is of."""
        if not isinstance(state, Branches):
            return state, None
        branch = self.branch_of(scope)
        if branch is None:
            return state.outer, None
        inside = dict(state.inside)
        if branch in inside:
            return inside[branch], branch
        # It has not begun yet: it goes on from what the fork has left.
        around = branch[:-1]
        forked = dict(state.forked)
        return forked.get(around, state.outer), branch

    def _with(self, state: MonitorState, branch: Scope | None, now: ClaimState) -> MonitorState:
        if now == BROKEN:
            return BROKEN
        if not isinstance(state, Branches):
            return now
        if branch is None:
            return Branches(now, state.forked, state.inside, state.lacking)
        inside = _with_state(state.inside, branch, now)
        return Branches(state.outer, state.forked, inside, state.lacking)


def _with_state(states: ByScope, scope: Scope, now: ClaimState) -> ByScope:
    """These states, with another one for this scope."""
    known = dict(states)
    known[scope] = now
    return tuple(sorted(known.items()))
