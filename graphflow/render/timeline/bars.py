"""What the bars of a timeline say: their signs, and their tooltips."""

from __future__ import annotations

from collections import Counter

from graphflow.render.timeline.spans import How, Span, What
from graphflow.render.xml import clean, seconds_text

MARKS: dict[How, str] = {"failed": "\u2717", "cancelled": "\u2298", "running": "\u2026", "done": ""}
"""Signs of how something ended, beside its bar."""
REQUEST_WORDS: dict[What, str] = {
    "model": "model",
    "call": "calls",
    "background": "in the background",
}


def span_words(span: Span) -> str:
    """The tooltip of an activation."""
    name = clean(span.node, 80)
    outcome = _outcome(span)
    started = seconds_text(span.started)
    words = f"{name}: {outcome} (from {started})"
    path = span.path
    # All that runs is in the outermost graph: only what lies deeper says where it is.
    if len(path) > 1:
        frames = [clean(frame, 40) for frame in path]
        way = " > ".join(frames)
        words += f"\nin {way}"
    tokens = 0
    for inner in span.within:
        tokens += inner.tokens
    if tokens:
        words += f"\n{tokens:,} tokens"
    if span.detail:
        words += f"\n{span.detail}"
    return words


def request_words(span: Span) -> str:
    """The tooltip of a model request or a call."""
    what = REQUEST_WORDS[span.what]
    name = clean(span.label, 80)
    outcome = _outcome(span)
    words = f"{what} {name}: {outcome}"
    tokens = span.tokens
    if tokens:
        words += f", {tokens:,} tokens"
    if span.detail:
        words += f"\n{span.detail}"
    return words


def block_words(block: list[Span]) -> str:
    """The tooltip of several activations in one block."""
    first = block[0]
    name = clean(first.node, 80)
    seconds = 0.0
    outcomes: Counter[How] = Counter()
    for span in block:
        seconds += span.seconds
        outcomes[span.how] += 1
    count = len(block)
    work = seconds_text(seconds)
    words = f"{count:,} activations of {name}, {work} of work"
    # What went well needs no word: it is the rest.
    for how in ("failed", "cancelled"):
        times = outcomes[how]
        if times:
            words += f", {times} {how}"
    return words


def _outcome(span: Span) -> str:
    """How it ended, and how long it took."""
    took = seconds_text(span.seconds)
    return f"{span.how}, {took}"
