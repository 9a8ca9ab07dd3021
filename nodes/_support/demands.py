"""Reads what a task demands that can be counted, so that no model has to judge it: words in quotes, a number of words."""

from __future__ import annotations

import re

from graphflow import Message

_QUOTED = re.compile(r'"([^"\n]{1,80})"|“([^”\n]{1,80})”')
_AT_MOST = re.compile(
    r"(?:at most|no more than|not more than|up to|within|maximum of)\s+(\d{1,4})\s+words", re.IGNORECASE
)


class Demands(Message):
    """What a text must have to be what was asked for."""

    words: tuple[str, ...] = ()
    """What must stand in it, whatever the case of its letters."""
    most: int | None = None
    """How many words it has at most."""


def demands_of(task: str) -> Demands:
    """The demands in a task: `Say "fresh" and "bread" in at most 9 words.` has three."""
    words = dict.fromkeys((straight or curly).strip() for straight, curly in _QUOTED.findall(task))
    most = _AT_MOST.search(task)
    return Demands(words=tuple(word for word in words if word), most=int(most[1]) if most else None)


def unmet(text: str, demands: Demands) -> tuple[str, ...]:
    """What is missing, each as a sentence that a writer understands; empty if nothing is."""
    if not text.strip():
        return ("There is no text.",)
    told = [f"It lacks {word!r}." for word in demands.words if word.casefold() not in text.casefold()]
    count = len(text.split())
    if demands.most is not None and count > demands.most:
        told.append(f"It has {count} words; at most {demands.most} are allowed.")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > len(set(lines)):
        told.append("It says the same line twice.")
    return tuple(told)
