"""Which words of a text say what it is about."""

from __future__ import annotations

import re

_SMALL = """about and are but can did does for from had has have how its long many may much not our than that the their them
there these they this was were what when where which who why will with would you your"""
SMALL_WORDS = frozenset(_SMALL.split())
"""Words that say nothing of what a question is about."""


def content_words(text: str) -> list[str]:
    """The words of three letters and more that matter, in order."""
    words = re.findall(r"[^\W_]{3,}", text.lower())
    return [word for word in words if word not in SMALL_WORDS]


def stems(text: str) -> set[str]:
    """The beginnings of the words that matter: `open`, `opened` and `opens` are one."""
    return {word[:5].rstrip("s") for word in content_words(text)}
