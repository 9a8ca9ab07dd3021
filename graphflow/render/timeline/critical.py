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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter, itemgetter

from graphflow.render.timeline.spans import Interval, Piece, Span

Answers = dict[Span, Span | None]
"""The activation that sent the answer of a frame, by the span that the frame belongs to."""


def critical_path(final: Span | None, answers: Answers) -> list[Piece]:
    """The pieces of the path that ends with the activation that sent the run's answer, in the order of time."""
    pieces = list(_backwards(final, answers))
    pieces.sort(key=attrgetter("start", "end"))
    return pieces


def _backwards(final: Span | None, answers: Answers) -> Iterator[Piece]:
    """Back along causes, and down into what was waited for."""
    # A list of what is still to be followed, not calls within calls: a run of thousands of steps is as deep as long.
    todo = [(final, float("inf"))]
    seen: set[Span] = set()
    while todo:
        span, until = todo.pop()
        if span is None or span in seen:
            continue
        if span.started > until:
            continue
        seen.add(span)
        end = min(span.ended, until)
        yield Piece(span, span.started, end)
        todo.append((span.cause, span.started))
        if _has_frame(span):  # its own chain, from its own answer
            todo.append((answers.get(span), end))
        else:
            todo += _waited_for(span, end)


def _has_frame(span: Span) -> bool:
    if not span.within:
        return False
    first = span.within[0]
    return first.frame != span.frame


def _waited_for(span: Span, until: float) -> Iterator[tuple[Span, float]]:
    """What ended last within a span, then what ended last before that began, and so on."""
    for inner in sorted(span.within, key=attrgetter("ended"), reverse=True):
        if inner.ended <= until and inner.frame == span.frame:
            yield inner, until
            until = inner.started


def leaves(path: Sequence[Piece]) -> list[Piece]:
    """The path without overlaps: each moment belongs to the innermost span of the path that was at work."""
    inner: dict[Span, list[Interval]] = {}
    for piece in path:
        parent = piece.span.parent
        if parent is not None:
            intervals = inner.setdefault(parent, [])
            interval = Interval(piece.start, piece.end)
            intervals.append(interval)
    found: list[Piece] = []
    for piece in path:
        covered = inner.get(piece.span, [])
        found += _uncovered(piece, covered)
    found.sort(key=attrgetter("start", "end"))
    return found


def _uncovered(piece: Piece, covered: Iterable[Interval]) -> Iterator[Piece]:
    """What is left of a piece where these intervals are taken out of it."""
    at = piece.start
    is_whole = True
    for interval in sorted(covered):
        is_whole = False
        if interval.start > at:
            yield Piece(piece.span, at, interval.start)
        at = max(at, interval.end)
    is_moment = piece.start == piece.end and is_whole
    if piece.end > at or is_moment:
        yield Piece(piece.span, at, piece.end)


def longest(spent: Mapping[str, float]) -> list[tuple[str, float]]:
    """What took time, and how long, the longest first; equal ones by name."""
    by_name = sorted(spent.items())
    # Sorting leaves equal ones in their order.
    return sorted(by_name, key=itemgetter(1), reverse=True)
