r"""The critical path: what the run would have to do faster to end sooner.

It is read backwards from the answer. An activation is on it if it sent the answer, or caused one that is. Within it, the
call, model request or frame that ended last is, then the one that ended last before that one began, and so on:

    agent   |=================================|
    m, m     |===m1===|              |==m2==|        m2, then `long`, then m1; `quick` had ended when `long` had not
    calls              |=quick=|
                       |====long====|

Shortening what is not on the path makes no run end sooner.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from operator import attrgetter, itemgetter

from graphflow.render.timeline.spans import Interval, Piece, Span

Answers = dict[Span, Span | None]
"""The activation that sent the answer of a frame, by the span that the frame belongs to."""
PathStep = tuple[Span | None, float]
"""A step back along the path: what was waited for, and until when."""
IN_TIME = attrgetter("start", "end")


def critical_path(final: Span | None, answers: Answers) -> list[Piece]:
    """The pieces of the path that ends with the activation that sent the run's answer, in the order of time."""
    pieces = _backwards(final, answers)
    return sorted(pieces, key=IN_TIME)


def _backwards(final: Span | None, answers: Answers) -> Iterator[Piece]:
    """Back along causes, and down into what was waited for."""
    # A list of what is still to be followed, not calls within calls: a run of thousands of steps is as deep as long.
    todo: list[PathStep] = [(final, inf)]
    seen: set[Span] = set()
    while todo:
        span, until = todo.pop()
        if span is None or span in seen:
            continue
        start = span.started
        if start > until:
            continue
        seen.add(span)
        end = min(span.ended, until)
        yield Piece(span, start, end)
        cause = (span.cause, start)
        todo.append(cause)
        if _has_frame(span):
            # What a frame did is a chain of its own, which ends with its own answer.
            answer = (answers.get(span), end)
            todo.append(answer)
        else:
            todo += _waited_for(span, end)


def _has_frame(span: Span) -> bool:
    if not span.within:
        return False
    first = span.within[0]
    return first.frame != span.frame


def _waited_for(span: Span, until: float) -> Iterator[PathStep]:
    """What ended last within a span, then what ended last before that began, and so on."""
    last_first = sorted(span.within, key=attrgetter("ended"), reverse=True)
    for inner in last_first:
        if inner.frame != span.frame:
            continue
        if inner.ended <= until:
            yield inner, until
            until = inner.started


def leaves(path: Sequence[Piece]) -> list[Piece]:
    """The path without overlaps: each moment belongs to the innermost span of the path that was at work."""
    inner: dict[Span, list[Interval]] = defaultdict(list)
    for span, start, end in path:
        parent = span.parent
        if parent is None:
            continue
        interval = Interval(start, end)
        inner[parent].append(interval)
    found: list[Piece] = []
    for piece in path:
        covered = inner[piece.span]
        found += _uncovered(piece, covered)
    found.sort(key=IN_TIME)
    return found


def _uncovered(piece: Piece, covered: Iterable[Interval]) -> Iterator[Piece]:
    """What is left of a piece where these intervals are taken out of it."""
    span, start, end = piece
    at = start
    is_whole = True
    for interval in sorted(covered):
        is_whole = False
        if interval.start > at:
            yield Piece(span, at, interval.start)
        at = max(at, interval.end)
    # What took no time at all is on the path, too, but not where something within it is.
    is_moment = is_whole and start == end
    if end > at or is_moment:
        yield Piece(span, at, end)


def longest(spent: Mapping[str, float]) -> list[tuple[str, float]]:
    """What took time, and how long, the longest first; equal ones by name."""
    by_name = sorted(spent.items())
    # Sorting leaves equal ones in their order.
    return sorted(by_name, key=itemgetter(1), reverse=True)
