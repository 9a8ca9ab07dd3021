"""Matches a regular expression in a process of its own: `nodes._support.patterns` starts it, and kills it when it takes too long.

It is run by its path with `-I -S`, so it imports nothing but the standard library.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

NEWLINE = re.compile(r"\r\n|\r|\n")
MAX_MEMORY = 1 << 30
AROUND = 150
"""Characters of a long line that are kept on either side of a match."""
MAX_FOUND = 5_000_000
"""Characters of all matches together: a group that looks ahead may hold the whole text at each of a thousand places."""

Task = dict[str, Any]
Found = list[Any]
"""What goes into JSON; `nodes._support.patterns` gives it its types."""


def limit(seconds: float) -> None:
    """Ends this process by itself should the one that started it be gone before it could."""
    try:
        import resource
    except ImportError:  # Windows has no such limits; the one that started it still kills it
        return
    whole = int(seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (whole + 1, whole + 2))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))


def lines(pattern: re.Pattern[str], task: Task) -> Found:
    """Text number, line number and line of each line that matches, up to `most`."""
    found: Found = []
    for number, text in enumerate(task["texts"]):
        for place, line in enumerate(NEWLINE.split(text), 1):
            match = pattern.search(line)
            if match:
                shown = around(line, match.start(), match.end())
                found.append([number, place, shown])
                if len(found) >= task["most"]:
                    return found
    return found


def around(line: str, start: int, end: int) -> str:
    """A line, or of a long one the part that matched."""
    first = max(0, start - AROUND)
    last = min(end, start + AROUND) + AROUND
    before = "..." if first else ""
    after = "..." if last < len(line) else ""
    return f"{before}{line[first:last]}{after}"


def matches(pattern: re.Pattern[str], task: Task) -> Found:
    """Start, end, text and groups of each match, up to `most`."""
    found: Found = []
    left = MAX_FOUND
    # Counted while they are found: all at once they might not fit into memory.
    for match in pattern.finditer(task["texts"][0]):
        whole = match[0]
        groups = match.groups()
        left -= len(whole)
        for group in groups:
            left -= len(group or "")
        if left < 0:
            raise ValueError(
                f"its matches have more than {MAX_FOUND} characters together; ask for fewer, or shorter ones"
            )
        found.append([match.start(), match.end(), whole, list(groups)])
        if len(found) >= task["most"]:
            break
    return found


def replaced(pattern: re.Pattern[str], task: Task) -> Found:
    """The text with every match replaced, and how many there were."""
    text: str = task["texts"][0]
    pieces: list[str] = []
    at = count = size = 0
    for match in pattern.finditer(text):
        before = text[at : match.start()]
        new = match.expand(task["new"])
        pieces += [before, new]
        size += len(before) + len(new)
        at = match.end()
        count += 1
        if size > task["most"]:
            raise ValueError(f"the result would have more than {task['most']} characters")
    pieces.append(text[at:])
    return ["".join(pieces), count]


def main() -> None:
    """One task from the standard input, its result to the standard output, both JSON."""
    task: Task = json.loads(sys.stdin.buffer.read())
    limit(task["seconds"])
    do = {"lines": lines, "matches": matches, "replaced": replaced}[task["do"]]
    flags = re.IGNORECASE if task["ignore_case"] else 0
    result: dict[str, object]
    try:
        pattern = re.compile(task["pattern"], flags)
        result = {"found": do(pattern, task)}
    except (re.error, ValueError, IndexError, OverflowError, RecursionError, MemoryError) as error:
        result = {"error": str(error) or type(error).__name__}
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
