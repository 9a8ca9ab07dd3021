"""What claims mean: for each kind an automaton that steps with what begins, answers and ends.

Rules:
1. An activation or call begins once, however often it is tried again; then it answers, fails or is cancelled.
2. An automaton has no memory besides its state, and a state is a number or a tuple of numbers: so states can be compared,
   kept by the thousand, and rebuilt from what has happened.
3. `BROKEN` is the end: no later event repairs a claim.
"""

from __future__ import annotations

from typing import ClassVar, Final, TypeAlias

from graphflow.declaration.claims import (
    Apart,
    AtLeast,
    AtMost,
    Before,
    Claim,
    Exactly,
    Never,
    Only,
)

ClaimState: TypeAlias = int | tuple[int, ...]
BROKEN: Final = -1
"""The state of a claim that does not hold any more."""
Role: TypeAlias = int
"""As what a node stands in its claim: the place of its name among `Claim.names`."""


class Automaton:
    """One claim at work. The states are the caller's; this only knows how one follows from another."""

    __slots__ = ("claim",)

    start: ClassVar[ClaimState] = 0
    waits_for_answers: ClassVar[bool] = False
    """Whether an answer, failure or cancellation can change its state, besides of the roles in `answering`."""
    answering: ClassVar[tuple[Role, ...]] = ()
    """The roles whose answers it looks at, with their arms."""
    beginning: ClassVar[tuple[Role, ...]] = ()
    """The roles whose beginnings it looks at."""
    about_ends: ClassVar[bool] = False
    """Whether it says something of walks that have completed."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim

    def begins(self, state: ClaimState, role: Role) -> ClaimState:
        """What follows when a node in this role begins."""
        return state

    def ends(self, state: ClaimState, role: Role) -> ClaimState:
        """What follows when a node in this role is not under way any more, however it has ended."""
        return state

    def answers(self, state: ClaimState, role: Role) -> ClaimState:
        """What follows from its answer, after `ends`."""
        return state

    def is_complete(self, state: ClaimState) -> bool:
        """Whether a walk may complete in this state."""
        return True

    def is_settled(self, state: ClaimState) -> bool:
        """Whether nothing that may still come can break it."""
        return False


class BeforeAutomaton(Automaton):
    """0: `first` has not answered yet. 1: it has."""

    __slots__ = ()
    answering = (0,)
    beginning = (1,)
    claim: Before

    def begins(self, state: ClaimState, role: Role) -> ClaimState:
        """`then` must not begin yet."""
        return state or BROKEN

    def answers(self, state: ClaimState, role: Role) -> ClaimState:
        """`first` has answered."""
        return 1

    def is_settled(self, state: ClaimState) -> bool:
        """Once it has answered it has."""
        return state == 1


class NeverAutomaton(Automaton):
    """(whether `after` has answered, how many of `node` are under way)."""

    __slots__ = ()
    start: ClassVar[ClaimState] = (0, 0)
    answering = (1,)
    beginning: ClassVar[tuple[Role, ...]] = (0,)
    waits_for_answers = True
    claim: Never

    def begins(self, state: ClaimState, role: Role) -> ClaimState:
        """One more under way, unless it is too late."""
        assert isinstance(state, tuple)
        answered, running = state
        return BROKEN if answered else (0, running + 1)

    def ends(self, state: ClaimState, role: Role) -> ClaimState:
        """One less."""
        if role != 0:
            return state
        assert isinstance(state, tuple)
        answered, running = state
        return (answered, max(0, running - 1))

    def answers(self, state: ClaimState, role: Role) -> ClaimState:
        """`after` has answered: no `node` may be under way."""
        assert isinstance(state, tuple)
        _, running = state
        return BROKEN if running else (1, 0)


class AtMostAutomaton(Automaton):
    """How many have begun."""

    __slots__ = ()
    beginning = (0,)
    claim: AtMost | Exactly

    def begins(self, state: ClaimState, role: Role) -> ClaimState:
        """One more."""
        assert isinstance(state, int)
        return BROKEN if state >= self.claim.times else state + 1


class ExactlyAutomaton(AtMostAutomaton):
    """The same, and at the end it is just so many."""

    __slots__ = ()
    about_ends = True
    claim: Exactly

    def is_complete(self, state: ClaimState) -> bool:
        """All of them have begun."""
        return state == self.claim.times


class AtLeastAutomaton(Automaton):
    """How many have answered, up to what is wanted."""

    __slots__ = ()
    answering = (0,)
    about_ends = True
    claim: AtLeast

    def answers(self, state: ClaimState, role: Role) -> ClaimState:
        """One more."""
        assert isinstance(state, int)
        return min(self.claim.times, state + 1)

    def is_complete(self, state: ClaimState) -> bool:
        """All of them have answered."""
        return state == self.claim.times

    def is_settled(self, state: ClaimState) -> bool:
        """What has answered stays answered."""
        return state == self.claim.times


class ApartAutomaton(Automaton):
    """(how many of `one`, how many of `other` are under way)."""

    __slots__ = ()
    start = (0, 0)
    beginning = (0, 1)
    waits_for_answers = True
    claim: Apart

    def begins(self, state: ClaimState, role: Role) -> ClaimState:
        """One more, unless one of the other kind is under way."""
        assert isinstance(state, tuple)
        if state[1 - role]:
            return BROKEN
        counts = list(state)
        counts[role] += 1
        return tuple(counts)

    def ends(self, state: ClaimState, role: Role) -> ClaimState:
        """One less."""
        assert isinstance(state, tuple)
        counts = list(state)
        counts[role] = max(0, counts[role] - 1)
        return tuple(counts)


class OnlyAutomaton(Automaton):
    """No state: each call is judged by who makes it. Those of `caller` have no role in it at all."""

    __slots__ = ()
    claim: Only

    def begins(self, state: ClaimState, role: Role) -> ClaimState:
        """Somebody else calls."""
        return BROKEN


_KINDS: dict[type[Claim], type[Automaton]] = {
    Before: BeforeAutomaton,
    Never: NeverAutomaton,
    AtMost: AtMostAutomaton,
    AtLeast: AtLeastAutomaton,
    Exactly: ExactlyAutomaton,
    Apart: ApartAutomaton,
    Only: OnlyAutomaton,
}


def automaton_of(claim: Claim) -> Automaton:
    """The automaton of a claim."""
    return _KINDS[type(claim)](claim)
