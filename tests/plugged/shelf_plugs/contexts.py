"""A context policy."""

from __future__ import annotations

from graphflow import Window


def last_words(*, results: int = 1, words: int = 50) -> Window:
    """A small window."""
    return Window(results=results, max_tokens=words * 2)
