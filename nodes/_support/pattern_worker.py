"""Matches a regular expression in a process of its own: `nodes._support.patterns` starts it, and kills it when it takes too long.

It is run by its path with `-I -S`, so it imports nothing but the standard library.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

NEWLINE = re.compile(r"\r\n|\r|\n")
MEMORY = 1 << 30
AROUND = 150
"""Characters of a long line that are kept on either side of a match."""

FOUND = 5_000_000
"""Characters of all matches together: a group that looks ahead may hold the whole text at each of a thousand places."""


def limit(seconds: float) -> None:
    """Ends this process by itself should the one that started it be gone before it could."""
    try:
        import resource
    except ImportError:  # Windows has no such limits; the one that started it still kills it
        return
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def lines(pattern: re.Pattern[str], task: dict[str, Any]) -> list[Any]:
    """Text number, line number and line of each line that matches, up to `most`."""
    found: list[Any] = []
    for number, text in enumerate(task["texts"]):
        for place, line in enumerate(NEWLINE.split(text), 1):
            match = pattern.search(line)
            if match:
                found.append([number, place, around(line, match.start(), match.end())])
                if len(found) >= task["most"]:
                    return found
    return found


def around(line: str, start: int, end: int) -> str:
    """A line, or of a long one the part that matched."""
    first, last = max(0, start - AROUND), min(end, start + AROUND) + AROUND
    return ("..." if first else "") + line[first:last] + ("..." if last < len(line) else "")


def matches(pattern: re.Pattern[str], task: dict[str, Any]) -> list[Any]:
    """Start, end, text and groups of each match, up to `most`."""
    found: list[Any] = []
    left = FOUND
    for match in pattern.finditer(task["texts"][0]):
        left -= len(match[0]) + sum(len(group) for group in match.groups() if group)
        if left < 0:
            raise ValueError(f"its matches have more than {FOUND} characters together; ask for fewer, or shorter ones")
        found.append([match.start(), match.end(), match[0], list(match.groups())])
        if len(found) >= task["most"]:
            break
    return found


def replaced(pattern: re.Pattern[str], task: dict[str, Any]) -> list[Any]:
    """The text with every match replaced, and how many there were."""
    text, pieces, at, count, size = task["texts"][0], [], 0, 0, 0
    for match in pattern.finditer(text):
        pieces += [text[at : match.start()], match.expand(task["new"])]
        size += len(pieces[-1]) + len(pieces[-2])
        at, count = match.end(), count + 1
        if size > task["most"]:
            raise ValueError(f"the result would have more than {task['most']} characters")
    return ["".join([*pieces, text[at:]]), count]


def main() -> None:
    """One task from the standard input, its result to the standard output, both JSON."""
    task = json.loads(sys.stdin.buffer.read())
    limit(task["seconds"])
    try:
        pattern = re.compile(task["pattern"], re.IGNORECASE if task["ignore_case"] else 0)
        result: dict[str, Any] = {
            "found": {"lines": lines, "matches": matches, "replaced": replaced}[task["do"]](pattern, task)
        }
    except (re.error, ValueError, IndexError, OverflowError, RecursionError, MemoryError) as error:
        result = {"error": str(error) or type(error).__name__}
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
