"""What a record tells, as something that can be compared: which answers were got at which places, not when."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from graphflow.journal.row_format import HOPS
from graphflow.journal.stored import StoredRow

CensusLine: TypeAlias = tuple[str, str, str]
"""What happened, where, and what came of it."""
_ENDS: Mapping[str, tuple[str, ...]] = {
    "node.end": ("node", "output"),
    "node.error": ("node", "error"),
    "call.end": ("node", "output"),
    "call.error": ("node", "error"),
    "model.end": ("node", "text", "calls"),
    "model.error": ("node", "error"),
    "node.retry": ("node", "attempt"),
    "value.kept": ("node", "name"),
    "question.asked": ("node", "question"),
    "question.answered": ("node", "question", "value"),
    "approval": ("node", "granted", "why"),
    "frame.enter": ("node", "input"),
    "frame.exit": ("status", "output"),
    "background.start": ("node",),
    "background.end": ("node", "status", "output"),
    "artifact": ("node", "artifact"),
    "emit": ("node", "name", "value"),
    "handoff": ("node", "target"),
    "limit.warning": ("limit",),
}
"""What is compared of each kind of row. Numbers of activations and calls are not: they follow the order of arrival."""
_STOPS = frozenset({"node.cancel", "node.refuse", "run.stop"})
_WITHOUT_PLACE = frozenset({"node.end", "node.error", "node.retry"})
"""Of these several may be equal, and one of them stopped in one run and not in the other."""
_OF_STOPS = frozenset({"WalkCancelled", "CancelledError"})
"""How something fails that was told to stop: nobody knows what it would have answered."""
MOST_SHOWN = 12
"""Differences that are listed; how many more there are is said."""


@dataclass(slots=True)
class Census:
    """What a record tells.

    Attributes:
        lines: how often each line stands in it.
        begun: the row, and what was begun there of nodes and models, by name.
        is_stopped: whether something was told to stop: then it is a matter of time how far it came.
    """

    lines: Counter[CensusLine] = field(default_factory=Counter)
    begun: list[tuple[int, str, int]] = field(default_factory=list)
    is_stopped: bool = False

    def begun_since(self, row: int) -> Counter[str]:
        """What was begun from a row on, by node and by model."""
        counts: Counter[str] = Counter()
        for number, name, count in self.begun:
            if number >= row:
                counts[name] += count
        return counts

    def differences(self, whole: Census, known: Census) -> list[str]:
        """What differs from the record of a run that was never cut off, in words.

        Args:
            whole: what that one tells.
            known: what was known when this one was taken up.
        """
        problems: list[str] = []
        more, less = self.lines - whole.lines, whole.lines - self.lines
        stopped = self.is_stopped or whole.is_stopped
        for line, count in more.items():
            if stopped and line[0] in _WITHOUT_PLACE:
                continue
            if line in known.lines:
                problems.append(f"known, and got again{_times(count)}: {_shown(line)}")
            elif not stopped:
                problems.append(f"got{_times(count)}, and not by the whole run: {_shown(line)}")
        if not stopped:
            problems += [
                f"never got{_times(count)}: {_shown(line)}" for line, count in less.items()
            ]
        if len(problems) > MOST_SHOWN:
            problems[MOST_SHOWN:] = [f"and {len(problems) - MOST_SHOWN} more"]
        return problems


def _times(count: int) -> str:
    return "" if count == 1 else f" ({count} times)"


def _shown(line: CensusLine) -> str:
    kind, place, what = line
    return f"{kind} at {place or 'the outermost frame'}: {what[:160]}"


def census_of(rows: Sequence[StoredRow]) -> Census:
    """What the rows of a run tell. They are read as JSON: what they mean to a graph is not asked."""
    census = Census()
    frames = {0: ""}
    for row in rows:
        for kind, body in _facts(row):
            if kind == "frame.enter":
                frames[body["frame"]] = row.place
            census.is_stopped |= kind in _STOPS
            _note_begun(census, row.number, kind, body)
            _note_line(census, kind, row.place, body, frames)
    return census


def _facts(row: StoredRow) -> Iterable[tuple[str, dict[str, Any]]]:
    body = json.loads(row.body)
    if row.kind != HOPS:
        yield row.kind, body
        return
    if "large" in body:
        yield "node.end", {"frame": body["frame"], "node": "", "output": body["large"]}
        return
    names = body["nodes"]
    column_of = body.get("columns") or [0] * len(names)
    left = [iter(column) for column in body["outputs"]]
    for place in body.get("order") or range(len(body["at"])):
        output = next(left[column_of[place]])
        yield "node.end", {"frame": body["frame"], "node": names[place], "output": output}


def _note_begun(census: Census, number: int, kind: str, body: Mapping[str, Any]) -> None:
    if kind == "model.start":
        census.begun.append((number, f"model {body['model']!r}", 1))
    elif kind in ("node.end", "node.error", "node.cancel", "call.start", "node.retry"):
        census.begun.append((number, f"node {body['node']!r}", 1))
    elif kind == "answer.kept":
        census.begun.append((number, f"node {body['node']!r}", -1))


def _note_line(
    census: Census, kind: str, place: str, body: dict[str, Any], frames: Mapping[int, str]
) -> None:
    names = _ENDS.get(kind)
    if names is None:
        return
    error = body.get("error")
    if isinstance(error, dict):
        if error.get("kind") in _OF_STOPS:
            return
        error.pop("notes", None)  # added when the run ends, for whoever reads a traceback
    if kind == "frame.exit" and body["status"] not in ("completed", "failed"):
        return
    if kind in ("node.end", "node.error", "frame.exit"):
        place = frames[body["frame"]]  # the numbers of activations follow the order of arrival
    elif "#" in place:
        place = place.rpartition("#")[0]
    large = body.get("large", {})
    what = [large.get(name, body.get(name)) for name in names]
    line = (kind, place, json.dumps(what, sort_keys=True))
    census.lines[line] += 1
