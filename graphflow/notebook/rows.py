"""What happened in a walk as rows that a browser can play: small, bounded, plain JSON.

Rules:
1. A row is `[at, op, key, home, label, ...]`. `key` is the name of the element of the picture whose state it changes ("" if
   none does), `home` the element under which it is listed: that of the sub-agent that is not opened in the picture.
2. Text is cut, secrets are scrubbed. Beyond so many rows nothing is kept, only counted: memory is bounded.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from graphflow.events import Event
from graphflow.render.spans import How
from graphflow.render.talk import json_text
from graphflow.render.xml import clean, error_words, was_cancelled
from graphflow.scrub import scrub

Row = list[Any]
MOST_ROWS = 20_000
MOST_TEXT = 4_000_000
"""Characters of messages that are kept of one walk."""
LONGEST = 2_000
"""Characters of one message that are shown."""


def pretty(value: Any, limit: int = LONGEST) -> str:
    """A message as a person reads it: text as it is, everything else as indented JSON; cut and scrubbed."""
    text = value if isinstance(value, str) else json_text(value)
    return clean(scrub(text[: limit * 2]), limit) if len(text) > limit * 2 else clean(scrub(text), limit)


class Rows:
    """The rows of one walk, made event by event.

    Attributes:
        kept: all rows so far, as far as they are kept.
        beyond: how many are not.
    """

    def __init__(self, title: str, svg: str) -> None:
        self.names = {unescape(name) for name in re.findall(r'data-node="([^"]*)"', svg)}
        self.title = title
        self.kept: list[Row] = []
        self.beyond = 0
        self.pending: list[Row] = []
        self.text_left = MOST_TEXT
        self.paths: dict[int, tuple[str, ...]] = {0: (title,)}
        self.places: dict[tuple[tuple[str, ...], str], tuple[str, str, str]] = {}

    def place(self, frame: int, node: str) -> tuple[str, str, str]:
        """Where a node of a frame is in the picture: (key, home, label)."""
        path = self.paths.get(frame, (self.title,))
        found = self.places.get((path, node))
        if found is None:
            found = self.places[path, node] = self._find(path, node)
        return found

    def _find(self, path: tuple[str, ...], node: str) -> tuple[str, str, str]:
        inner = (*path[1:], node)
        label = clean(" > ".join(inner), 120)
        for name in (" > ".join(inner), " > ".join((*path, node))):
            if name in self.names:
                return name, name, label
        for depth in range(len(path) - 1, 0, -1):  # the nearest that is drawn of what is around it
            name = " > ".join(path[1 : depth + 1])
            home = name if name in self.names else path[depth]
            if home in self.names:
                return "", home, label
        return "", "", label

    def take(self, event: Event | Any) -> None:
        """Adds what one event has to tell."""
        row = self._row(event)
        if row is None:
            return
        last = self.pending[-1] if self.pending else None
        if row[1] == "t" and last and last[1] == "t" and last[2:5] == row[2:5] and last[6] == row[6]:
            last[5] = (last[5] + row[5])[-LONGEST:]  # pieces of one answer, in one batch
            return
        self.pending.append(row)

    def flush(self) -> list[Row]:
        """The rows since the last flush; those that fit are kept."""
        batch, self.pending = self.pending, []
        room = MOST_ROWS - len(self.kept)
        self.kept += batch[:room]
        self.beyond += max(0, len(batch) - room)
        return batch

    def _text(self, value: Any) -> str:
        if self.text_left <= 0:
            return "(not kept: the walk has said too much)"
        text = pretty(value)
        self.text_left -= len(text)
        return text

    def _row(self, event: Any) -> Row | None:
        at = round(event.at, 6)
        match event.kind:
            case "frame.enter":
                self.paths[event.frame] = tuple(str(name) for name in event.path)
                return None
            case "run.start":
                return [at, "0", "START", "START", clean(event.graph, 120), self._text(event.input)]
            case "run.end":
                told = event.error or ("" if event.output is None else event.output)
                return [at, "x", "END", "END", event.status, self._text(told)]
            case "edge.send" | "edge.skip":
                source, target = self.place(event.frame, event.source)[0], self.place(event.frame, event.target)[0]
                return [at, ">", target, "", "", source, event.kind == "edge.skip"] if source and target else None
            case "limit.warning":
                return [at, "w", "", "", "limit", f"{event.limit}: {event.used:g} of {event.value:g} used"]
            case "cost.unknown":
                return [at, "w", "", "", "limit", f"usd: nobody knows what {event.model} costs"]
            case _:
                return self._node_row(event, at)

    def _node_row(self, event: Any, at: float) -> Row | None:
        node = getattr(event, "node", None)
        if node is None:
            return None
        place = self.place(event.frame, node)
        path = self.paths.get(event.frame, ())
        alone = event.frame > 0 and path[-1:] == (node,)
        if alone:  # a sub-agent alone in its frame: its call is in the picture, its own activation is not
            place = ("", *self._around(path))
        match event.kind:
            case "node.start" if not alone:
                return [at, "+", *place, self._text(event.input), f"{event.frame}.{event.activation}"]
            case "call.start":
                caller = self.place(event.frame, event.caller)[0] or self._around(path)[0]
                return [at, "+", *place, self._text(event.input), f"{event.frame}c{event.call}", caller]
            case "node.end" | "node.error" | "node.cancel" | "call.end" | "call.error" if not (
                alone and event.kind.startswith("node")
            ):
                return self._ending(event, at, place)
            case "node.skip":
                return [at, "s", *place, clean(event.why, 300)]
            case "model.delta":
                return [at, "t", *self._speaker(place), scrub(clean(event.text, LONGEST)), event.channel]
            case "model.end":
                return [
                    at,
                    "m",
                    *self._speaker(place),
                    self._text(event.text),
                    event.model,
                    event.input_tokens + event.output_tokens,
                ]
            case "node.retry" | "model.retry" | "model.switch":
                return [at, "w", *self._speaker(place), scrub(clean(event.error, 300))]
            case _:
                return None

    def _around(self, path: tuple[str, ...]) -> tuple[str, str]:
        """The element and the label of what is around: the sub-agent whose frame this is."""
        if len(path) < 2:
            return "", ""
        key, home, label = self._find(path[:-1], path[-1])
        return key or home, label

    def _speaker(self, place: tuple[str, str, str]) -> tuple[str, str, str]:
        return place[1], place[1], place[2]

    def _ending(self, event: Any, at: float, place: tuple[str, str, str]) -> Row:
        how: How = "done"
        told = getattr(event, "output", None)
        if event.kind in ("node.error", "call.error"):
            how, told = "failed", error_words(event.error)
            if was_cancelled(event.error):
                how, told = "cancelled", "stopped by the walk"
        elif event.kind == "node.cancel":
            how, told = "cancelled", "stopped by the walk"
        number = f"c{event.call}" if event.kind.startswith("call") else f".{event.activation}"
        return [at, ".", *place, self._text(told), f"{event.frame}{number}", how, round(event.at - event.started, 6)]


def states(rows: list[Row]) -> dict[str, tuple[str, str]]:
    """How each node of the picture stands after these rows, and how often it has ended."""
    running: dict[str, int] = {}
    ended: dict[str, dict[str, int]] = {}
    for row in rows:
        key = row[2]
        if not key:
            continue
        if row[1] == "+":
            running[key] = running.get(key, 0) + 1
        elif row[1] == "." or row[1] == "s":
            running[key] = max(0, running.get(key, 0) - (row[1] == "."))
            how = row[7] if row[1] == "." else "skipped"
            ended.setdefault(key, {})[how] = ended.get(key, {}).get(how, 0) + 1
    told: dict[str, tuple[str, str]] = {key: ("running", "") for key, count in running.items() if count}
    for key, hows in ended.items():
        if key not in told:
            how = next(h for h in ("failed", "done", "cancelled", "skipped") if h in hows)
            told[key] = (how, str(sum(hows.values())) if sum(hows.values()) > 1 else "")
    return told
