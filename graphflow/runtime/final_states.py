"""What the states of a graph were at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from graphflow.errors import StateUndeclared, StateUnset
from graphflow.messages.copies import copy_of
from graphflow.messages.state import UNSET, AnyState, State
from graphflow.walk.revision import Revision

V = TypeVar("V")


class FinalStates(Mapping[str, Any]):
    """The values of the states of a graph, by state or by name.

    Args:
        graph: the graph's name.
        states: its states, by name.
        final: what they were; None if nothing has reached END.
    """

    def __init__(self, graph: str, states: Mapping[str, AnyState], final: Revision | None) -> None:
        self._graph = graph
        self._states = states
        self._final = final

    def __getitem__(self, state: State[V] | str) -> V | Any:
        """The value of a state, the caller's own.

        Raises:
            StateUndeclared: the graph has no such state.
            StateUnset: it has no value, or nothing has reached END.
        """
        known = self._known(state)
        if self._final is None:
            raise self._unset(known, "nothing has reached END")
        value = self._final.value(known)
        if value is UNSET:
            raise self._unset(known, "nobody has set it")
        return copy_of(value)

    def get(self, state: State[V] | str, default: Any = None) -> V | Any:
        """The value of a state; `default` if it has none.

        Raises:
            StateUndeclared: the graph has no such state.
        """
        try:
            return self[state]
        except StateUnset:
            return default

    def __contains__(self, state: object) -> bool:
        """Whether a state has a value."""
        if isinstance(state, str):
            return state in list(self)
        if isinstance(state, State):
            return self._states.get(state.name) == state and state.name in list(self)
        return False

    def _known(self, state: AnyState | str) -> AnyState:
        if not isinstance(state, (str, State)):
            raise StateUndeclared(f"run.state[{state!r}]: give a state, or its name")
        name = state if isinstance(state, str) else state.name
        known = self._states.get(name)
        is_meant = isinstance(state, str) or known == state
        if known is not None and is_meant:
            return known
        if known is not None:
            raise StateUndeclared(
                f"the state {name!r} of graph {self._graph!r} is another one; ask for it by its name"
            )
        near = get_close_matches(name, self._states, n=3)
        candidates = near or list(self._states)
        listed = ", ".join(map(repr, candidates))
        raise StateUndeclared(
            f"graph {self._graph!r} has no state {name!r}; it has {listed or 'none'}"
        )

    def _unset(self, state: AnyState, why: str) -> StateUnset:
        return StateUnset(f"state {state.name!r} of graph {self._graph!r} has no value: {why}")

    def __iter__(self) -> Iterator[str]:
        if self._final is None:
            return
        for name, state in self._states.items():
            if self._final.value(state) is not UNSET:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))
