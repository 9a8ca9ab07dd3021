"""Who waits for whom: answers that several wait for, and turns that nodes hold, so that nobody waits for itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_within: ContextVar[tuple[object, ...]] = ContextVar("graphflow_within", default=())
"""The answers being worked out and the turns being held above: who waited for one of these would wait for itself."""
_waiting: dict[object, list[object]] = {}
"""What those who work out an answer, or hold a turn, are waiting for at the moment."""


def is_for_us(thing: object) -> bool:
    """Whether who works on it is above us, or waits in the end for somebody above us."""
    #     a works on x and waits for y; b works on y and asks for x: it would wait for a, which waits for b
    above = _within.get()
    seen: set[object] = set()
    todo = [thing]
    while todo and above:
        each = todo.pop()
        if each in above:
            return True
        if each not in seen:
            seen.add(each)
            todo += _waiting.get(each, ())
    return False


@contextmanager
def waiting_for(thing: object) -> Iterator[None]:
    """While we, and with us everything above, wait for it."""
    above = _within.get()
    for each in above:
        _waiting.setdefault(each, []).append(thing)
    try:
        yield
    finally:
        for each in above:
            _waiting[each].remove(thing)
            if not _waiting[each]:
                del _waiting[each]


@contextmanager
def working_on(thing: object) -> Iterator[None]:
    """While we work on it, and others may wait for us."""
    token = _within.set((*_within.get(), thing))
    try:
        yield
    finally:
        _within.reset(token)
