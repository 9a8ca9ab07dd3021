"""Cuts a text into statements: sentences that can be understood, and judged, each by itself."""

from __future__ import annotations

import re

_END = re.compile(r"(?<=[.!?])[\"'\u201d\u2019)\]]*\s+")
_LIST_ITEM = re.compile(r"\s*(?:[-*>\u2022]\s|#|\||\d{1,3}[.)]\s)")
_SHORT = "approx e.g i.e no nr ca max min tel st mr mrs ms dr prof vs etc vol ext fig art"
_SHORTENED = frozenset(_SHORT.split())
"""What ends in a full stop that does not end a sentence."""
_POINTERS = "it they them this that these those he she its their such"
_POINTS_BACK = frozenset(_POINTERS.split())
"""First words of sentences that speak of what the sentence before them named."""
_OPENING = re.compile(
    r"\W{0,3}(?:yes|yeah|yep|no|nope|sure|certainly|of course|absolutely|indeed|sorry|hello|hi)"
    r"(?:\s*[,.!:;]+|\s+[-\u2013\u2014]+)(?:\s+|$)",
    re.IGNORECASE,
)


def statements(text: str, lists: bool = True) -> list[str]:
    """The sentences of a text, nothing left out.

    A sentence that begins with "It" or "This" means nothing, or something else, without the one before it: the two
    are one statement. So are a line that ends in a colon and the list behind it, as long as `lists` is true.
    """
    found: list[str] = []
    for block in _blocks(text, lists):
        first = len(found)
        is_list = "\n" in block
        for sentence in [block] if is_list else sentences_of(block):
            if len(found) > first and points_back(sentence):
                found[-1] += f" {sentence}"
            else:
                found.append(" ".join(sentence.split()))
    return found


def sentences_of(line: str) -> list[str]:
    """The sentences of one paragraph; `approx. 4 euros` and `9 a.m. on weekdays` are not cut in two."""
    found: list[str] = []
    at = 0
    for end in _END.finditer(line):
        start = max(at, end.start() - 12)  # no shortened word is longer
        before = line[start : end.start()]
        behind = end.end()
        following = line[behind : behind + 1]
        if _goes_on(before, following):
            continue
        found.append(line[at:behind].strip())
        at = behind
    found.append(line[at:].strip())
    return [part for part in found if part]


def without_opening(sentence: str) -> str:
    """A sentence without a "Yes," or "No," before it: whether that is true depends on how the question was put."""
    rest = sentence.strip()
    for _ in range(3):
        opening = _OPENING.match(rest)
        if opening is None:
            break
        rest = rest[opening.end() :]
    if rest == sentence.strip():
        return rest
    return rest[:1].upper() + rest[1:]


def points_back(sentence: str) -> bool:
    """Whether a sentence speaks of something that the sentence before it named."""
    first = re.match(r"\W*([^\W\d_]+)", sentence)
    return first is not None and first[1].lower() in _POINTS_BACK


def _goes_on(before: str, after: str) -> bool:
    """Whether a full stop ends a shortened word, and not its sentence."""
    if after.islower():
        return True
    words = before.lower().split()
    if not before.endswith(".") or not words:
        return False
    last = words[-1].strip("([\"'")
    return last.rstrip(".") in _SHORTENED


def _blocks(text: str, lists: bool) -> list[str]:
    """Paragraphs and list items, each on one line; a list with the line that leads to it is one block of many lines."""
    blocks: list[str] = []
    is_apart = True
    is_in_list = False
    for line in text.splitlines():
        mark = _LIST_ITEM.match(line)
        start = mark.end() if mark else 0
        words = line[start:].strip()
        if not words:
            is_apart = True
            continue
        before = blocks[-1] if blocks else ""
        leads_on = is_in_list or before.endswith(":")
        if lists and mark is not None and leads_on:
            is_in_list = True
            blocks[-1] += f"\n{words}"
        elif is_apart or mark is not None:
            is_in_list = False
            blocks.append(words)
        else:
            blocks[-1] += f" {words}"
        is_apart = False
    return blocks
