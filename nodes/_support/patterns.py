"""Regular expressions that end: matched in a process of their own, which is killed when the time is up.

Python's `re` backtracks, holds the interpreter's lock meanwhile and cannot be interrupted from another thread, so
`(a+)+$` would stop the whole program, not only its own walk. A child process costs about 20 ms and can be killed. A pattern
without any special character is looked for as it is, here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphflow import ToolError

from .._support.pattern_worker import NEWLINE, around
from .._support.worker import ask_worker

MAX_SECONDS = 5.0
"""Seconds that matching may take. All of a 20 MB source tree takes about one."""
WORKER = Path(__file__).with_name("pattern_worker.py")


def matching_lines(
    pattern: str,
    texts: Sequence[str],
    *,
    ignore_case: bool = False,
    most: int = 1000,
    seconds: float = MAX_SECONDS,
) -> list[tuple[int, int, str]]:
    """Text number (from 0), line number (from 1) and line of each line that matches, at most `most`.

    Raises:
        ToolError: the pattern is wrong, or takes too long.
    """
    if re.escape(pattern) == pattern and not ignore_case:
        return _literal(pattern, texts, most)
    found = _ask("lines", pattern, texts, ignore_case, most, seconds)
    return [(text, line, shown) for text, line, shown in found]


def matches(
    pattern: str,
    text: str,
    *,
    ignore_case: bool = False,
    most: int = 1000,
    seconds: float = MAX_SECONDS,
) -> list[tuple[int, int, str, list[str | None]]]:
    """Start, end, text and groups of each match, at most `most`. Raises as `matching_lines`."""
    found = _ask("matches", pattern, [text], ignore_case, most, seconds)
    return [(start, end, whole, groups) for start, end, whole, groups in found]


def replaced(
    pattern: str,
    new: str,
    text: str,
    *,
    ignore_case: bool = False,
    most: int = 1_000_000,
    seconds: float = MAX_SECONDS,
) -> tuple[str, int]:
    r"""The text with each match replaced (`\1` is a group), and how many there were. Raises as `matching_lines`."""
    result, count = _ask("replaced", pattern, [text], ignore_case, most, seconds, new=new)
    return result, count


def _literal(word: str, texts: Sequence[str], most: int) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    for number, text in enumerate(texts):
        if word not in text:  # most files of a tree end here
            continue
        for place, line in enumerate(NEWLINE.split(text), 1):
            start = line.find(word)
            if start >= 0:
                found.append((number, place, around(line, start, start + len(word))))
                if len(found) >= most:
                    return found
    return found


def _ask(
    do: str,
    pattern: str,
    texts: Sequence[str],
    ignore_case: bool,
    most: int,
    seconds: float,
    new: str = "",
) -> Any:
    task = {
        "do": do,
        "pattern": pattern,
        "texts": texts,
        "new": new,
        "ignore_case": ignore_case,
        "most": most,
        "seconds": seconds,
    }
    try:
        result = ask_worker(WORKER, task, seconds)
    except TimeoutError:
        raise ToolError(
            f"the pattern {pattern!r} took longer than {seconds:g} s; write it without nested repeats such as (a+)+, "
            "or search less"
        ) from None
    if result is None:
        raise ToolError(
            f"the pattern {pattern!r} needs too much memory or time; write a simpler one"
        )
    if "error" in result:
        raise ToolError(
            f"the pattern {pattern!r} cannot be used: {result['error']}; mend it (Python's `re` syntax)"
        )
    return result["found"]
