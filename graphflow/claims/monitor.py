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
from graphflow.declaration.claims import Claim
from graphflow.events import Scope
from graphflow.proofs.program import Slot


class Branches(NamedTuple):
    """The state of a claim that is judged for each branch of a fork.

    Attributes:
        outer: the state outside of all branches.
        forked: what that was when each run of the fork had answered, by its scope.
        inside: the state of each branch that is under way.
        lacking: whether a branch has ended that had less than it needs in a walk that completes.
    """

    outer: ClaimState
    forked: tuple[tuple[Scope, ClaimState], ...] = ()
    inside: tuple[tuple[Scope, ClaimState], ...] = ()
    lacking: bool = False


MonitorState: TypeAlias = ClaimState | Branches


class Roles(NamedTuple):
    """What one node means to a claim.

    Attributes:
        beginning: as what its beginnings count.
        answering: as what its answers count, with the arm that is meant ("" = any).
        sees_end: whether its end is of any interest.
        forks: whether it is the fork whose branches are judged.
        opens: whether a branch begins with it.
    """

    beginning: tuple[Role, ...] = ()
    answering: tuple[tuple[Role, str], ...] = ()
    sees_end: bool = False
    forks: bool = False
    opens: bool = False

    def and_role(self, role: Role, automaton: Automaton, arm: str) -> Roles:
        """These, and one more."""
        beginning, answering, sees_end = self.beginning, self.answering, self.sees_end
        if role in automaton.beginning:
            beginning = (*beginning, role)
            sees_end = sees_end or automaton.waits_for_answers
        if role in automaton.answering:
            answering = (*answering, (role, arm))
            sees_end = True
        return Roles(beginning, answering, sees_end, self.forks, self.opens)


class Monitor:
    """One claim, watched along walks. It has no state of its own: the states are the explorer's."""

    def __init__(self, cast: Cast) -> None:
        self.automaton = self._automaton_of(cast.claim)
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

    def _automaton_of(self, claim: Claim) -> Automaton:
        return automaton_of(claim)

    def _seats_of(self, cast: Cast) -> dict[Seat, Roles]:
        automaton = self.automaton
        seats: dict[Seat, Roles] = {}
        for role, targets in enumerate(cast.roles):
            for target in targets:
                if target.is_call:
                    continue
                seat = (target.frame, target.slot)
                roles = seats.get(seat, Roles())
                seats[seat] = roles.and_role(role, automaton, cast.arms[role])
        if cast.fork is not None:
            self._watch_fork(cast, seats)
        return seats

    def _watch_fork(self, cast: Cast, seats: dict[Seat, Roles]) -> None:
        fork = cast.fork
        assert fork is not None
        if self.automaton.about_ends:
            links = (*fork.links, *fork.failure_links, *fork.limit_links)
            self._opening = frozenset(link.target for link in links)
        for number in (fork.index, *self._opening):
            seat: Seat = ((), number)
            seats[seat] = self._with_fork(seats.get(seat, Roles()), number)

    def with_fork(self, roles: Roles, slot: Slot) -> Roles:
        """The same, if this is the fork whose branches are judged, or a branch begins with it."""
        return roles if self.fork < 0 else self._with_fork(roles, slot.index)

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
        forked: tuple[tuple[Scope, ClaimState], ...] = ()
        if self._forks_at_start:  # START does not answer
            forked = (((), state),)
        return Branches(state, forked)

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
            if now != BROKEN and arm in ("", unit):
                self.seen.add(role)
                now = automaton.answers(now, role)
        state = self._with(state, branch, now)
        if roles.forks and isinstance(state, Branches):
            known = dict(state.forked)
            known[scope] = state.outer
            forked = tuple(sorted(known.items()))
            state = Branches(state.outer, forked, state.inside, state.lacking)
        return state

    def ends(self, state: MonitorState, roles: Roles, scope: Scope) -> MonitorState:
        """What follows when it has failed or was cancelled."""
        now, branch = self._state_in(state, scope)
        for role in roles.beginning:
            now = self.automaton.ends(now, role)
        return self._with(state, branch, now)

    def gives_back(self, state: MonitorState, roles: Roles, scope: Scope) -> MonitorState:
        """The state as if a node that was to begin had not."""
        now, branch = self._state_in(state, scope)
        for role in roles.beginning:
            now = self.automaton.gives_back(now, role)
        return self._with(state, branch, now)

    def state_in(self, state: MonitorState, scope: Scope) -> ClaimState:
        """The state of the automaton itself, in the branch of this scope."""
        now, _ = self._state_in(state, scope)
        return now

    def completes(self, state: MonitorState) -> MonitorState:
        """What follows when the walk completes."""
        if state == BROKEN:
            return state
        is_complete = self.automaton.is_complete
        if not isinstance(state, Branches):
            return state if is_complete(state) else BROKEN
        if state.lacking or not all(is_complete(now) for _, now in state.inside):
            return BROKEN
        return state

    def forgotten(self, state: MonitorState, alive: Collection[Scope | None]) -> MonitorState:
        """The state without branches that have ended; what they lacked for a walk that completes is kept."""
        if not isinstance(state, Branches) or not state.inside:
            return state
        kept: list[tuple[Scope, ClaimState]] = []
        lacking = state.lacking
        for branch, now in state.inside:
            if branch in alive:
                kept.append((branch, now))
            elif not self.automaton.is_complete(now):
                lacking = True
        return Branches(state.outer, state.forked, tuple(kept), lacking)

    def is_settled(self, state: MonitorState) -> bool:
        """Whether nothing that may still come can break the claim."""
        if isinstance(state, Branches) or state == BROKEN:
            return False
        return self.automaton.is_settled(state)

    # -- whose state -------------------------------------------------------------------------------
    def _state_in(self, state: MonitorState, scope: Scope) -> tuple[ClaimState, Scope | None]:
        """The state that an event in this scope moves, and the branch that it is of."""
        if not isinstance(state, Branches):
            return state, None
        branch = self.branch_of(scope)
        if branch is None:
            return state.outer, None
        for known, now in state.inside:
            if known == branch:
                return now, branch
        for fork, now in state.forked:
            if fork == branch[:-1]:
                return now, branch
        return state.outer, branch

    def _with(self, state: MonitorState, branch: Scope | None, now: ClaimState) -> MonitorState:
        if now == BROKEN:
            return BROKEN
        if not isinstance(state, Branches):
            return now
        if branch is None:
            return Branches(now, state.forked, state.inside, state.lacking)
        inside = dict(state.inside)
        inside[branch] = now
        in_order = tuple(sorted(inside.items()))
        return Branches(state.outer, state.forked, in_order, state.lacking)
