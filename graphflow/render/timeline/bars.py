"""What the bars of a timeline say: their signs, and their tooltips."""

from __future__ import annotations

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
    took = seconds_text(span.seconds)
    started = seconds_text(span.started)
    headline = f"{name}: {span.how}, {took} (from {started})"
    lines = [headline]
    if len(span.path) > 1:
        frames = [clean(frame, 40) for frame in span.path]
        way = " > ".join(frames)
        lines.append(f"in {way}")
    tokens = sum(inner.tokens for inner in span.within)
    if tokens:
        lines.append(f"{tokens:,} tokens")
    if span.detail:
        lines.append(span.detail)
    return "\n".join(lines)


def request_words(span: Span) -> str:
    """The tooltip of a model request or a call."""
    what = REQUEST_WORDS[span.what]
    name = clean(span.label, 80)
    took = seconds_text(span.seconds)
    words = f"{what} {name}: {span.how}, {took}"
    if span.tokens:
        words += f", {span.tokens:,} tokens"
    if span.detail:
        words += f"\n{span.detail}"
    return words


def block_words(block: list[Span]) -> str:
    """The tooltip of several activations in one block."""
    first = block[0]
    name = clean(first.node, 80)
    count = len(block)
    seconds = sum(span.seconds for span in block)
    work = seconds_text(seconds)
    words = f"{count:,} activations of {name}, {work} of work"
    outcomes = [span.how for span in block]
    for how in ("failed", "cancelled"):
        times = outcomes.count(how)
        if times:
            words += f", {times} {how}"
    return words
