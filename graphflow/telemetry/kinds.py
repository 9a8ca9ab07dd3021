"""Which events a subscription is about: patterns of their kinds, such as `node.*`, and of the frames around them."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import cache

from graphflow.errors import DeclarationError
from graphflow.event import Event
from graphflow.events import event_classes


@cache
def classes_of(patterns: tuple[str, ...]) -> frozenset[type[Event]]:
    """The classes of events whose kind fits one of the patterns; of no pattern, all.

    Raises:
        DeclarationError: no kind fits one of them.
    """
    found: set[type[Event]] = set()
    known = event_classes()
    if not patterns:
        return frozenset(known.values())
    for pattern in patterns:
        # A pattern that fits nothing would be a subscription that is never told anything.
        fitting = fnmatch.filter(known, pattern)
        if not fitting:
            raise _nothing_fits(pattern, known)
        for kind in fitting:
            found.add(known[kind])
    return frozenset(found)


def _nothing_fits(pattern: str, known: Iterable[str]) -> DeclarationError:
    kinds = list(known)
    near = get_close_matches(pattern, kinds, n=1)
    hint = "; docs/events.md lists them"
    if near:
        hint = f"; did you mean {near[0]!r}?"
    return DeclarationError(f"no event has the kind {pattern!r}{hint}")


def check_patterns(patterns: Sequence[object]) -> tuple[str, ...]:
    """Patterns of kinds, checked.

    Raises:
        DeclarationError: one is not text, or fits no kind.
    """
    checked: list[str] = []
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern:
            raise DeclarationError(
                f"a subscription to {pattern!r}: give kinds of events as texts, such as 'node.*'"
            )
        checked.append(pattern)
    classes_of(tuple(checked))
    return tuple(checked)


def fits_path(path: Sequence[str], pattern: str) -> bool:
    """Whether frames fit a pattern: `desk` is the outermost frame of that graph, `desk/*` what is in it, at any depth."""
    if not pattern:
        return True
    joined = "/".join(path)
    return fnmatch.fnmatchcase(joined, pattern)
