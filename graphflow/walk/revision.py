"""Revisions: what the states of a graph are at a token, kept as the writes on its way.

    fork  (notes: [])
      a adds 1      a revision with one chunk on that of the fork
      b adds 2      another one
    join            the chunks of a, then those of b, on that of the fork: [1, 2], whoever was faster

Rules:
1. A revision never changes. It is the writes of one activation (a chunk) on the revision before.
2. A join puts the chunks that came to it onto the revision of its fork, branch after branch in logical order, each once:
   a chunk that came by two ways is the same object.
3. Where no join lies ahead nobody will ask which writes made a value, so only values are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from graphflow.messages.state import (
    UNKNOWN,
    UNSET,
    AnyState,
    StateWrite,
    StateWrites,
    after,
    check_fits,
)
from graphflow.proofs.program import Program


class WriteSet:
    """The writes of one activation, in their order. It is known by identity."""

    __slots__ = ("writes",)

    def __init__(self, writes: StateWrites) -> None:
        self.writes = writes


class Revision:
    """What the states are at one place of a walk.

    Args:
        parent: the revision before; None: the values are all that is known.
        chunk: what was written since.
        values: of the states that have one, by state.
    """

    __slots__ = ("_values", "chunk", "parent")

    def __init__(
        self,
        parent: Revision | None = None,
        chunk: WriteSet | None = None,
        values: dict[AnyState, Any] | None = None,
    ) -> None:
        self.parent = parent
        self.chunk = chunk
        self._values = {} if values is None else values

    def value(self, state: AnyState) -> Any:
        """The value of a state; its start if nobody has written, `UNSET` if it has none.

        Raises:
            MergeFailed: its merge cannot make one of what was added.
        """
        found = self._values.get(state, _MISSING)
        if found is not _MISSING:
            return found
        pending: list[WriteSet] = []
        revision = self
        while True:
            value = revision._values.get(state, _MISSING)
            if value is not _MISSING:
                break
            if revision.chunk is not None:
                pending.append(revision.chunk)
            if revision.parent is None:
                value = UNSET
                break
            revision = revision.parent
        pending.reverse()
        writes = [write for chunk in pending for write in chunk.writes if write.state == state]
        value = after(state, value, writes)
        self._values[state] = value
        return value

    @property
    def sound(self) -> Revision:
        """What whoever takes a failure sees: itself, or where it could not be made the one before."""
        return self

    def values(self) -> dict[AnyState, Any]:
        """The values of all states that are known here."""
        states: dict[AnyState, None] = {}
        revision: Revision | None = self
        while revision is not None:
            states |= dict.fromkeys(revision._values)
            if revision.chunk is not None:
                states |= dict.fromkeys(write.state for write in revision.chunk.writes)
            revision = revision.parent
        return {state: self.value(state) for state in states}

    def since(self, base: Revision | None) -> list[WriteSet]:
        """What was written since an earlier revision, in order; since the start if none is given."""
        chunks: list[WriteSet] = []
        revision: Revision | None = self
        while revision is not None and revision is not base:
            if revision.chunk is not None:
                chunks.append(revision.chunk)
            revision = revision.parent
        chunks.reverse()
        return chunks


_MISSING = object()


def starting(program: Program, lent: Mapping[AnyState, Any] | None = None) -> Revision:
    """What the states of a frame are when it is entered: its own begin anew, those it was lent are what they are.

    Args:
        program: of the frame.
        lent: the values of the states that it was lent; None: nobody knows, as in a walk that only replays facts.
    """
    values = dict(lent or {})
    if lent is None:
        visible = program.states or {}
        values = dict.fromkeys(visible.values(), UNKNOWN)
    for state in program.owned:
        values.pop(state, None)
        if state.start is not UNSET:
            values[state] = state.start
    return Revision(values=values)


def beginning_with(origin: Revision, writes: StateWrites) -> Revision:
    """What the states of a run are at its start where earlier runs have left values: these."""
    values = origin.values()
    values.update({write.state: write.value for write in writes})
    return Revision(values=values)


class BrokenRevision(Revision):
    """Stands for a revision that could not be made: the merge of a state failed, and the join's node fails with that.

    Whoever takes the failure sees what the states were at the fork.
    """

    __slots__ = ("_base", "error")

    def __init__(self, base: Revision, error: Exception) -> None:
        super().__init__(base)
        self._base = base
        self.error = error

    @property
    def sound(self) -> Revision:
        """What the states were at the fork."""
        return self._base


class JoinedRevision(Revision):
    """What the states are behind a join.

    Attributes:
        counts: how many writes its branches have brought for each state, by name.
    """

    __slots__ = ("counts",)

    def __init__(self, parent: Revision, counts: Mapping[str, int]) -> None:
        super().__init__(parent)
        self.counts = counts


def grown(before: Revision | None, writes: StateWrites, *, keeps: bool) -> Revision:
    """The revision after what an activation has written.

    Args:
        before: what the states were for it; None where it is not known, as for an agent whose caller sees them.
        writes: what it has written.
        keeps: whether a join ahead, or whoever has lent the states, will ask for the writes themselves.

    Raises:
        MergeFailed: a merge cannot make a value of them.
    """
    revision = Revision(before or Revision(), WriteSet(writes))
    return revision if keeps else Revision(values=revision.values())


def merge_problem(before: Revision | None, writes: StateWrites) -> Exception | None:
    """Why what an activation writes cannot be: no value of its state, or nothing that a merge can take; None if all can.

    Asked before the writes become a fact: who wrote what cannot be merged has failed.
    """
    if not writes:
        return None
    revision = before or Revision()
    touched = dict.fromkeys(write.state for write in writes)
    try:
        for state in touched:
            # Asked of the revision before, which remembers it: a chain of many is not gone through again at each.
            value = revision.value(state)
            own = [write for write in writes if write.state == state]
            for write in own:
                check_fits(state, write.value)
            after(state, value, own)
    except Exception as error:
        return error
    return None


def joined(base: Revision, revisions: Iterable[Revision]) -> Revision:
    """What the branches of a fork have made of its revision, in the order that is given.

    Args:
        base: at the fork.
        revisions: at the ends of the branches.
    """
    result = base
    touched: dict[AnyState, int] = {}
    for chunk in _each_once(base, revisions):
        result = Revision(result, chunk)
        for write in chunk.writes:
            touched[write.state] = touched.get(write.state, 0) + 1
    if not touched:
        return base
    # Here, so that a merge that raises is this join's failure, and not that of whoever reads the state one day.
    try:
        for state in touched:
            result.value(state)
    except Exception as error:
        return BrokenRevision(base, error)
    counts = {state.name: count for state, count in touched.items()}
    return JoinedRevision(result, counts)


def _each_once(base: Revision, revisions: Iterable[Revision]) -> Iterator[WriteSet]:
    seen: set[int] = set()
    for revision in revisions:
        for chunk in revision.since(base):
            if id(chunk) not in seen:
                seen.add(id(chunk))
                yield chunk


def lent_writes(revision: Revision, base: Revision, lent: Sequence[AnyState]) -> StateWrites:
    """What was written since a frame was entered, to the states that it was lent."""
    writes: list[StateWrite] = []
    for chunk in revision.since(base):
        writes += [write for write in chunk.writes if write.state in lent]
    return tuple(writes)
