"""What happened in a walk as rows that a browser can play: small, bounded, plain JSON.

Rules:
1. A row is `[at, op, id, home, label, ...]`. `id` is that of the element of the picture whose state it changes ("" if none
   does), `home` that under which it is listed: of the area or sub-agent that holds it, where it is not drawn itself. An id is
   the whole way to a node or edge, as the picture has it (`data-id`): two nodes of one name are two.
2. What happens within an activation or call carries its number, and what a model says the number of the question: what goes
   on side by side in one node is never mixed.
3. Text is cut, secrets are scrubbed. Beyond so many rows nothing is kept, only counted: memory is bounded.
"""

from __future__ import annotations

from typing import Any

from graphflow.events import Event
from graphflow.proofs.proven import AnyGraph
from graphflow.redaction import scrub
from graphflow.render.compare.marks import nearest
from graphflow.render.compare.places import EdgeWords, Place, Places
from graphflow.render.picture import Area, Picture, Shape, edge_id
from graphflow.render.talk import json_text
from graphflow.render.timeline import How
from graphflow.render.xml import clean, error_words, was_cancelled

Row = list[Any]
MOST_ROWS = 20_000
MOST_TEXT = 4_000_000
"""Characters of messages that are kept of one walk."""
LONGEST = 2_000
"""Characters of one message that are shown."""


def pretty(value: Any, limit: int = LONGEST) -> str:
    """A message as a person reads it: text as it is, everything else as indented JSON; cut and scrubbed."""
    text = value if isinstance(value, str) else json_text(value)
    return clean(text if len(text) > limit else scrub(text), limit)


class Rows:
    """The rows of one walk, made event by event.

    Attributes:
        kept: all rows so far, as far as they are kept.
        beyond: how many are not.
    """

    def __init__(self, graph: AnyGraph, picture: Picture) -> None:
        self.picture = picture
        self.places = Places(graph, graph.name)
        self.kept: list[Row] = []
        self.beyond = 0
        self.pending: list[Row] = []
        self.text_left = MOST_TEXT
        self._spots: dict[tuple[tuple[str, ...], str], tuple[str, str, str]] = {}
        self._called: dict[tuple[int, Any], str] = {}

    # -- where ---------------------------------------------------------------------------------------------------------
    def spot(self, place: Place, node: str) -> tuple[str, str, str]:
        """Where a node is in the picture: (id, home, label)."""
        key = place.level, place.named(node)
        found = self._spots.get(key)
        if found is None:
            found = self._spots[key] = self._find(*key)
        return found

    def _find(self, level: tuple[str, ...], node: str) -> tuple[str, str, str]:
        label = clean(" > ".join((*level[1:], node)), 120)
        drawn = self.picture.places.get((level, node))
        if drawn is not None:
            id = _id_of(drawn, level, node)
            return id, id, label
        around = nearest(self.picture, level, node)
        return "", "" if around is None else around.id, label

    # -- taking --------------------------------------------------------------------------------------------------------
    def take(self, event: Event | Any) -> None:
        """Adds what one event has to tell."""
        row = self._row(event)
        if row is None:
            return
        last = self.pending[-1] if self.pending else None
        if row[1] == "t" and last and last[1] == "t" and last[2:5] == row[2:5] and last[6:] == row[6:]:
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
        place = self.places.of(event.frame)
        match event.kind:
            case "frame.enter":
                path = [str(name) for name in event.path]
                self.places.enter(event.frame, event.parent, path[-1] if path else "")
                return None
            case "run.start":
                id = self.spot(place, "START")[0]
                return [at, "0", id, id, clean(event.graph, 120), self._text(event.input)]
            case "run.end":
                told = event.error or ("" if event.output is None else event.output)
                id = self.spot(place, "END")[0]
                return [at, "x", id, id, event.status, self._text(told)]
            case "edge.send" | "edge.skip":
                return self._edge_row(event, at, place)
            case "limit.warning":
                return [at, "w", "", "", "limit", f"{event.limit}: {event.used:g} of {event.value:g} used"]
            case "cost.unknown":
                return [at, "w", "", "", "limit", f"usd: nobody knows what {event.model} costs"]
            case _:
                return self._node_row(event, at, place) if getattr(event, "node", None) is not None else None

    def _edge_row(self, event: Any, at: float, place: Place) -> Row | None:
        """A message, or its tombstone, went along an edge: which one, and the ends of it in words."""
        if place.alone is not None:
            return None
        told = EdgeWords(getattr(event, "origin", ""), event.source, event.target, getattr(event, "port", ""))
        index = self.places.edge(place, told, getattr(event, "edge", -1))
        target = self.spot(place, event.target)[0]
        if index is None or not target:
            return None
        words = f"{clean(event.source, 60)} \u2192 {clean(event.target, 60)}"
        return [at, ">", target, "", words, edge_id(place.level, index), event.kind == "edge.skip"]

    def _node_row(self, event: Any, at: float, place: Place) -> Row | None:
        spot = self.spot(place, event.node)
        match event.kind:
            case "call.start" | "call.end" | "call.error":
                return self._call_row(event, at, place)
            case "node.start" | "node.end" | "node.error" | "node.cancel" if place.owns(event.node):
                return None  # a sub-agent alone in its frame: its call is in the picture, its own activation is not
            case "node.start":
                return [at, "+", *spot, self._text(event.input), f"{event.frame}.{event.activation}"]
            case "node.end" | "node.error" | "node.cancel":
                return self._ending(event, at, spot, f"{event.frame}.{event.activation}")
            case "node.skip":
                return [at, "s", *spot, clean(event.why, 300)]
            case "approval.ask":
                return [at, "?", *spot, "waits for approval", event.key]
            case "approval":
                said = "approved" if event.granted else f"not approved {event.why}".strip()
                return [at, "!", *spot, scrub(clean(said, 300)), event.key]
            case "model.delta" | "model.end" | "node.retry" | "model.retry" | "model.switch":
                return self._said(event, at, (spot[1], spot[1], spot[2]))
            case _:
                return None

    def _said(self, event: Any, at: float, spot: tuple[str, str, str]) -> Row:
        """What a model says, and what goes wrong meanwhile."""
        who = f"{event.frame}.{event.activation}"
        question = getattr(event, "question", 0)
        match event.kind:
            case "model.delta":
                return [at, "t", *spot, scrub(clean(event.text, LONGEST)), event.channel, who, question]
            case "model.end":
                tokens = event.input_tokens + event.output_tokens
                return [at, "m", *spot, self._text(event.text), event.model, tokens, who, question]
            case _:
                return [at, "w", *spot, scrub(clean(event.error, 300))]

    def _call_row(self, event: Any, at: float, place: Place) -> Row:
        number = f"{event.frame}c{event.call}"
        if event.kind != "call.start":
            name = self._called.pop((event.frame, event.call), event.node)
            return self._ending(event, at, self.spot(place, name), number)
        name = self.places.callee(place, event.node, event.caller)
        self._called[event.frame, event.call] = name
        edge = edge_id(place.level, (place.named(event.caller), place.named(name)))
        return [at, "+", *self.spot(place, name), self._text(event.input), number, edge]

    def _ending(self, event: Any, at: float, spot: tuple[str, str, str], number: str) -> Row:
        how: How = "done"
        told = getattr(event, "output", None)
        if event.kind in ("node.error", "call.error"):
            how, told = "failed", error_words(event.error)
        if event.kind == "node.cancel" or (how == "failed" and was_cancelled(event.error)):
            how, told = "cancelled", "stopped by the walk"
        return [at, ".", *spot, self._text(told), number, how, round(event.at - event.started, 6)]


def _id_of(drawn: Shape | Area, level: tuple[str, ...], node: str) -> str:
    """The id of what a node is drawn as: its own, or that of the row that it is folded into."""
    return drawn.id if isinstance(drawn, Area) or len(drawn.members) > 1 else " > ".join((*level, node))


def states(rows: list[Row]) -> dict[str, tuple[str, str]]:
    """How each node of the picture stands after these rows, and how often it has ended."""
    running: dict[str, int] = {}
    asking: dict[str, int] = {}
    ended: dict[str, dict[str, int]] = {}
    for row in rows:
        key = row[2]
        if not key:
            continue
        if row[1] == "+":
            running[key] = running.get(key, 0) + 1
        elif row[1] in ("?", "!"):
            asking[key] = asking.get(key, 0) + (1 if row[1] == "?" else -1)
        elif row[1] == "." or row[1] == "s":
            running[key] = max(0, running.get(key, 0) - (row[1] == "."))
            how = row[7] if row[1] == "." else "skipped"
            ended.setdefault(key, {})[how] = ended.get(key, {}).get(how, 0) + 1
    told: dict[str, tuple[str, str]] = {key: ("running", "") for key, count in running.items() if count}
    told |= {key: ("asking", "") for key, count in asking.items() if count > 0}
    for key, hows in ended.items():
        if key not in told:
            how = next(h for h in ("mixed", "failed", "done", "cancelled", "skipped") if h in _with_mixed(hows))
            told[key] = (how, str(sum(hows.values())) if sum(hows.values()) > 1 else "")
    return told


def _with_mixed(hows: dict[str, int]) -> set[str]:
    """How activations ended, "mixed" among it where some failed and others did not."""
    return {*hows, "mixed"} if "failed" in hows and "done" in hows else set(hows)
