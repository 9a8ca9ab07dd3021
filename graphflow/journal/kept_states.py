"""What the states of a conversation were when an exchange ended, as its row keeps it: what is new in them.

    plan    {"value": {...}}      what it was then
    notes   {"more": ["c"]}       of a list that has only grown, what has come to it

Rules:
1. What has not changed is not kept again, so a list that grows costs what has come to it.
2. An exchange that is withdrawn takes its changes with it. One that cannot be read leaves out what has come in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphflow.journal.stored import Json

VALUE = "value"
MORE = "more"
StateChanges = Mapping[str, Json]
"""What is new in states, by their names."""


def state_change(known: Mapping[str, Json], name: str, value: Json) -> Json:
    """What is new in a state, as it is kept; None: nothing is.

    Args:
        known: what states were before, by name.
        name: of the state.
        value: what it is now, as its type writes it.
    """
    if name not in known:
        return {VALUE: value}
    before = known[name]
    if _is_same(before, value):
        return None
    if isinstance(before, list) and isinstance(value, list):
        count = len(before)
        first = value[:count]
        if before and _is_same(before, first):
            return {MORE: value[count:]}
    return {VALUE: value}


def _is_same(one: Json, other: Json) -> bool:
    """Whether two values are written in the same way: `1 == True`."""
    if one != other:
        return False
    return repr(one) == repr(other)


def states_after(exchanges: Iterable[StateChanges]) -> dict[str, Json]:
    """What states are behind some exchanges, by name."""
    values: dict[str, Json] = {}
    for changes in exchanges:
        for name, change in changes.items():
            assert isinstance(change, dict)
            before = values.get(name)
            values[name] = _changed(before, change)
    return values


def _changed(before: Json, change: Mapping[str, Json]) -> Json:
    """What a state is behind a change."""
    if VALUE in change:
        return change[VALUE]
    more = change[MORE]
    assert isinstance(more, list)
    # What it has grown from may have stood in an exchange that cannot be read.
    former = before if isinstance(before, list) else []
    return [*former, *more]
