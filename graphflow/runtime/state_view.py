"""What one activation or call sees of the states, and what it writes.

Rules:
1. It sees what was written on the ways that led to it, and what it has written itself. What others write meanwhile it
   does not see.
2. What it writes counts when it has answered. An attempt that failed has written nothing.
3. The calls of one turn of an agent all see the beginning of the turn; their writes stand in the order of the calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from graphflow.declaration.background import Background, foreign
from graphflow.declaration.node import AnyNode
from graphflow.errors import StateInvalid, StateUndeclared, StateUnset
from graphflow.messages.copies import copy_of
from graphflow.messages.state import (
    UNSET,
    AnyState,
    State,
    StateWrite,
    StateWrites,
    WriteKind,
    after,
)
from graphflow.messages.types import type_name
from graphflow.walk.revision import Revision, WriteSet, merge_problem

States = Mapping[str, AnyState]
"""The states that a frame can see, by name."""


_VERBS = {"reads": "reads", "adds": "adds to", "sets": "sets"}


class CallWrites:
    """The place of a call among the writes of its caller: they stand there as soon as it has answered."""

    __slots__ = ("writes",)

    def __init__(self) -> None:
        self.writes: StateWrites = ()


class StateView:
    """The states as one attempt of a node sees them.

    Args:
        node: the node, which declares what it touches.
        states: those of its frame.
        base: what they were when it began.
        activation: the number of its frame, and of the activation that it is part of.
    """

    __slots__ = ("_activation", "_base", "_log", "_node", "_states", "_turn")

    def __init__(
        self, node: AnyNode, states: States, base: Revision, activation: tuple[int, int]
    ) -> None:
        self._activation = activation
        self._node = node
        self._states = states
        self._base = base
        self._log: list[StateWrite | CallWrites] = []
        self._turn: Revision | None = None

    # -- for the node ------------------------------------------------------------------------------
    def read(self, state: AnyState) -> Any:
        """The value of a state, the node's own.

        Raises:
            StateUndeclared: the node does not declare it, or nobody around owns it.
            StateUnset: it has no value yet.
        """
        node = self._node
        self._check(state, (*node.reads, *node.adds, *node.sets), "reads")
        value = self._now().value(state)
        if value is UNSET:
            raise StateUnset(
                f"{node.name!r} reads state {state.name!r}, which has no value yet; "
                "give it start=..., or have it set on every way that leads here"
            )
        return copy_of(value)

    def add(self, state: AnyState, value: object) -> None:
        """Merges something into a state.

        Raises:
            StateUndeclared: the node does not declare that it does.
            MergeFailed: it cannot be merged.
        """
        self._check(state, self._node.adds, "adds")
        if state.merge is None:
            raise StateUndeclared(
                f"{self._node.name!r} adds to state {state.name!r}, which has no merge; "
                "give it State(..., merge=...), or use ctx.set"
            )
        self._write(state, "add", value)

    def set(self, state: AnyState, value: object) -> None:
        """Replaces the value of a state.

        Raises:
            StateUndeclared: the node does not declare that it does.
        """
        self._check(state, self._node.sets, "sets")
        self._write(state, "set", value)

    def _write(self, state: AnyState, kind: WriteKind, value: object) -> None:
        if not state.accepts(value):
            raise StateInvalid(
                f"{self._node.name!r} writes {type_name(type(value))} into state {state.name!r}, "
                f"which is {type_name(state.type)}"
            )
        write = StateWrite(state, kind, copy_of(value))
        # Now, so that what cannot be merged is the failure of the code that adds it.
        before = self._now().value(state)
        after(state, before, [write])
        self._log.append(write)

    def _check(self, state: AnyState, declared: tuple[AnyState, ...], verb: str) -> None:
        node = self._node
        does = _VERBS[verb]
        if not isinstance(state, State):
            raise StateUndeclared(f"{node.name!r} {does} {state!r}, which must be a State(...)")
        if state not in declared:
            raise StateUndeclared(
                f"{node.name!r} {does} state {state.name!r}, and does not declare it; write {verb}=[{state.name}]"
            )
        known = self._states.get(state.name)
        if known is None:
            near = get_close_matches(state.name, self._states, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise StateUndeclared(
                f"{node.name!r} {does} state {state.name!r}, which no graph around it owns{hint}; "
                f"write Graph(..., state=[{state.name}])"
            )
        if known != state:
            raise StateUndeclared(
                f"{node.name!r} {does} another state {state.name!r} than the graph's, which is {known!r}"
            )

    # -- for the runtime ---------------------------------------------------------------------------
    @property
    def writes(self) -> StateWrites:
        """What it has written so far, with what its calls have, in order."""
        # Each once: who looks at the answer of a call in the background twice has its writes in two places.
        writes: dict[int, StateWrite] = {}
        for entry in self._log:
            if isinstance(entry, CallWrites):
                for write in entry.writes:
                    writes.setdefault(id(write), write)
            else:
                writes[id(entry)] = entry
        return tuple(writes.values())

    def _now(self) -> Revision:
        writes = self.writes
        return Revision(self._base, WriteSet(writes)) if writes else self._base

    @property
    def revision(self) -> Revision:
        """What a call that is made now begins with."""
        return self._now() if self._turn is None else self._turn

    def reserve(self) -> CallWrites:
        """The place of a call that is made now."""
        place = CallWrites()
        self._log.append(place)
        return place

    def collect(self, background: Background) -> None:
        """Takes what a call in the background has written, behind what was written so far.

        Raises:
            BackgroundFailed: another activation has called it.
            MergeFailed: a merge cannot make a value of it.
        """
        if background.caller != self._activation:
            raise foreign(background)
        problem = merge_problem(self._now(), background.writes)
        if problem is not None:
            raise problem
        self.reserve().writes = background.writes

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The calls that are made within it are those of one turn."""
        self._turn = self._now()
        try:
            yield
        finally:
            self._turn = None
