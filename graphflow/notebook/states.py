"""How the nodes of a picture stand after some rows: what the script in the browser shows, in Python."""

from __future__ import annotations

from collections import Counter

from graphflow.notebook.rows import PlayRow

WORST_FIRST = ("mixed", "failed", "done", "cancelled", "skipped")
"""Ways to have ended: a node that has ended in several is shown by the first of them."""


def states(rows: list[PlayRow]) -> dict[str, tuple[str, str]]:
    """How each node of the picture stands after these rows, and how often it has ended, where that was more than once."""
    counts: dict[str, _NodeCounts] = {}
    for row in rows:
        key = str(row[2])
        if key:
            counts.setdefault(key, _NodeCounts()).take(row)
    found: dict[str, tuple[str, str]] = {}
    for key, each in counts.items():
        state = each.state()
        if state:
            found[key] = (state, each.ended_text(state))
    return found


class _NodeCounts:
    """What one node does, counted."""

    def __init__(self) -> None:
        self.running = 0
        self.asking = 0
        self.ended: Counter[str] = Counter()

    def take(self, row: PlayRow) -> None:
        match row[1]:
            case "+":
                self.running += 1
            case ".":
                self.running = max(0, self.running - 1)
                self.ended[str(row[7])] += 1
            case "s":
                self.ended["skipped"] += 1
            case "?":
                self.asking += 1
            case "!":
                self.asking -= 1

    def state(self) -> str:
        """What the picture shows: what a node is doing now before what it has done."""
        if self.asking > 0:
            return "asking"
        if self.running:
            return "running"
        ways = set(self.ended)
        # As in a still picture: what failed is never covered by what went well.
        if {"failed", "done"} <= ways:
            ways.add("mixed")
        for way in WORST_FIRST:
            if way in ways:
                return way
        return ""

    def ended_text(self, state: str) -> str:
        count = self.ended.total()
        if state in ("running", "asking") or count < 2:
            return ""
        return str(count)
