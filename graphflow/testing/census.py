"""What a record tells, as something that can be compared: which answers were got at which places, not when."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from graphflow.journal.row_format import HOPS, RowBody, hop_nodes, node_columns
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
    "answer.kept": ("node", "key"),
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
    "compaction.end": ("node", "left_out"),
}
"""What is compared of each kind of row. Numbers of activations and calls are not: they follow the order of arrival."""
_STOPS = frozenset({"node.cancel", "node.refuse", "run.stop"})
_WITHOUT_PLACE = frozenset({"node.end", "node.error", "node.retry", "answer.kept"})
"""Of these several may be equal, and one of them stopped in one run and not in the other."""
_REPEATED = frozenset({"answer.kept"})
"""Cut off before it could do anything with an answer, an attempt takes it over once more."""
_OF_FRAMES = frozenset({"node.end", "node.error", "frame.exit"})
"""Of these it is compared in which frame they are, and not behind what."""
_BEGUN = frozenset({"node.end", "node.error", "node.cancel", "call.start", "node.retry"})
"""Each of these tells that a node was asked once more."""
_OF_STOPS = frozenset({"WalkCancelled", "CancelledError"})
"""How something fails that was told to stop."""
_COMPLETE = frozenset({"completed", "failed"})
"""How a frame ends that was not."""
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
        is_stopped = self.is_stopped or whole.is_stopped
        problems: list[str] = []
        surplus = self.lines - whole.lines
        for line, count in surplus.items():
            kind, _, _ = line
            if kind in (_WITHOUT_PLACE if is_stopped else _REPEATED):
                continue
            shown = _shown(line)
            times = _times(count)
            if line in known.lines:
                problems.append(f"known, and got again{times}: {shown}")
            elif not is_stopped:
                problems.append(f"got{times}, and not by the whole run: {shown}")
        # Whoever was told to stop need not have come so far.
        if not is_stopped:
            lacking = whole.lines - self.lines
            for line, count in lacking.items():
                shown = _shown(line)
                times = _times(count)
                problems.append(f"never got{times}: {shown}")
        more = len(problems) - MOST_SHOWN
        if more > 0:
            del problems[MOST_SHOWN:]
            problems.append(f"and {more} more")
        return problems


def _times(count: int) -> str:
    if count == 1:
        return ""
    return f" ({count} times)"


def _shown(line: CensusLine) -> str:
    kind, place, what = line
    where = place or "the outermost frame"
    return f"{kind} at {where}: {what[:160]}"


def census_of(rows: Sequence[StoredRow]) -> Census:
    """What the rows of a run tell. They are read as JSON: what they mean to a graph is not asked."""
    census = Census()
    frames = {0: ""}
    for row in rows:
        for kind, body in _facts(row):
            if kind == "frame.enter":
                frames[body["frame"]] = row.place
            if kind in _STOPS:
                census.is_stopped = True
            _note_begun(census, row.number, kind, body)
            line = _line(kind, row.place, body, frames)
            if line is not None:
                census.lines[line] += 1
    return census


def _facts(row: StoredRow) -> Iterable[tuple[str, RowBody]]:
    """The kind and the fields of each fact in a row."""
    body = json.loads(row.body)
    if row.kind != HOPS:
        yield row.kind, body
        return
    frame = body["frame"]
    # Which digest the columns have is all that can be compared.
    if "large" in body:
        yield "node.end", {"frame": frame, "node": "", "output": body["large"]}
        return
    names = body["nodes"]
    column_of = node_columns(body)
    columns = [iter(column) for column in body["outputs"]]
    for node in hop_nodes(body):
        column = column_of[node]
        output = next(columns[column])
        yield "node.end", {"frame": frame, "node": names[node], "output": output}


def _note_begun(census: Census, number: int, kind: str, body: RowBody) -> None:
    count = 1
    if kind == "model.start":
        name = f"model {body['model']!r}"
    elif kind in _BEGUN:
        name = f"node {body['node']!r}"
    elif kind == "answer.kept":
        # The call that has begun found the answer of an earlier attempt, and nobody was asked.
        name = f"node {body['node']!r}"
        count = -1
    else:
        return
    census.begun.append((number, name, count))


def _line(kind: str, place: str, body: RowBody, frames: Mapping[int, str]) -> CensusLine | None:
    """What is compared of a fact; None if nothing is."""
    names = _ENDS.get(kind)
    if names is None or _is_stop(kind, body):
        return None
    # The numbers of activations follow the order of arrival.
    if kind in _OF_FRAMES:
        where = frames[body["frame"]]
    else:
        where = _without_number(place)
    what = [_compared(name, body) for name in names]
    text = json.dumps(what, sort_keys=True)
    return kind, where, text


def _is_stop(kind: str, body: RowBody) -> bool:
    """Whether something ended as it was told to stop: nobody knows what it would have answered."""
    error = body.get("error")
    if isinstance(error, dict) and error.get("kind") in _OF_STOPS:
        return True
    return kind == "frame.exit" and body["status"] not in _COMPLETE


def _without_number(place: str) -> str:
    """A place without the number of its activation."""
    before, numbered, last = place.rpartition("#")
    return before if numbered else last


def _compared(name: str, body: RowBody) -> object:
    """What is compared of a field: of a large one the digest."""
    large = body.get("large", {})
    value = large.get(name, body.get(name))
    if name == "error" and isinstance(value, dict):
        # Added when the run ends, for whoever reads a traceback.
        value.pop("notes", None)
    return value
