"""What the bars of a timeline say: their signs, and their tooltips."""

from __future__ import annotations

from graphflow.render.timeline.spans import How, Span, What
from graphflow.render.xml import clean, seconds_text

MARKS: dict[How, str] = {"failed": "\u2717", "cancelled": "\u2298", "running": "\u2026", "done": ""}
REQUEST_WORDS: dict[What, str] = {"model": "model", "call": "calls", "background": "in the background"}


def span_words(span: Span) -> str:
    """The tooltip of an activation."""
    name = clean(span.node, 80)
    words = f"{name}: {span.how}, {seconds_text(span.seconds)} (from {seconds_text(span.started)})"
    if len(span.path) > 1:
        frames = [clean(frame, 40) for frame in span.path]
        words += f"\nin {' > '.join(frames)}"
    tokens = sum(inner.tokens for inner in span.within)
    if tokens:
        words += f"\n{tokens:,} tokens"
    if span.detail:
        words += f"\n{span.detail}"
    return words


def request_words(span: Span) -> str:
    """The tooltip of a model request or a call."""
    name = clean(span.label, 80)
    words = f"{REQUEST_WORDS[span.what]} {name}: {span.how}, {seconds_text(span.seconds)}"
    if span.tokens:
        words += f", {span.tokens:,} tokens"
    if span.detail:
        words += f"\n{span.detail}"
    return words


def block_words(block: list[Span]) -> str:
    """The tooltip of several activations in one block."""
    name = clean(block[0].node, 80)
    work = sum(span.seconds for span in block)
    words = f"{len(block):,} activations of {name}, {seconds_text(work)} of work"
    failed = sum(span.how == "failed" for span in block)
    if failed:
        words += f", {failed} failed"
    stopped = sum(span.how == "cancelled" for span in block)
    if stopped:
        words += f", {stopped} cancelled"
    return words
