"""Reads what a task demands that can be counted, so that no model has to judge it: words in quotes, a number of words."""

from __future__ import annotations

import re

from graphflow import Message

_QUOTED = re.compile(r'"([^"\n]{1,80})"|“([^”\n]{1,80})”')
_AT_MOST = re.compile(
    r"(?:at most|no more than|not more than|up to|within|maximum of)\s+(\d{1,4})\s+words",
    re.IGNORECASE,
)


class Demands(Message):
    """What a text must have to be what was asked for."""

    words: tuple[str, ...] = ()
    """What must stand in it, whatever the case of its letters."""
    most: int | None = None
    """How many words it has at most."""


def demands_of(task: str) -> Demands:
    """The demands in a task: `Say "fresh" and "bread" in at most 9 words.` has three."""
    words: dict[str, None] = {}
    for straight, curly in _QUOTED.findall(task):
        word = (straight or curly).strip()
        if word:
            words[word] = None
    limit = _AT_MOST.search(task)
    most = int(limit[1]) if limit else None
    return Demands(words=tuple(words), most=most)


def unmet(text: str, demands: Demands) -> tuple[str, ...]:
    """What is missing, each as a sentence that a writer understands; empty if nothing is."""
    if not text.strip():
        return ("There is no text.",)
    folded = text.casefold()  # capitals do not matter to whoever reads it
    missing: list[str] = []
    for word in demands.words:
        if word.casefold() not in folded:
            missing.append(f"It lacks {word!r}.")
    count = len(text.split())
    if demands.most is not None and count > demands.most:
        missing.append(f"It has {count} words; at most {demands.most} are allowed.")
    stripped = [line.strip() for line in text.splitlines()]
    lines = [line for line in stripped if line]
    if len(lines) > len(set(lines)):
        missing.append("It says the same line twice.")
    return tuple(missing)
