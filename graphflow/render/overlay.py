"""What a walk did, laid over the picture of its graph: from a live run, or from its recorded events.

Rules:
1. A run and its record give the same picture: both are read field by field, and nothing else is looked at.
2. What happened in something that is drawn folded counts for what it is folded into (tokens and cost; not its steps).
3. A record is data from somewhere: what does not fit is passed over, and names in it are only compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphflow.errors import FileUnreadable
from graphflow.events import Event
from graphflow.graph import Graph
from graphflow.nodes import Node
from graphflow.render.labels import clean, cut
from graphflow.render.picture import Area, Level, Line, Picture, Shape, callees_of, graph_within, members_of, within_of
from graphflow.run import Run

Told = Event | Mapping[str, Any]
Recorded = Run[Any] | Iterable[Told] | str | Path
"""A run, its events, its records, or the file they are in."""


@dataclass(slots=True)
class Tally:
    """What one node did."""

    started: int = 0
    done: int = 0
    failed: int = 0
    stopped: int = 0
    skipped: int = 0
    retried: int = 0
    seconds: float = 0.0
    tokens: int = 0
    usd: float = 0.0
    error: str = ""

    @property
    def ended(self) -> int:
        """Activations that have ended, however they ended."""
        return self.done + self.failed + self.stopped

    def add(self, other: Tally, *, whole: bool = True) -> None:
        """Counts what another did; without `whole`, only what it cost."""
        self.tokens += other.tokens
        self.usd += other.usd
        if whole:
            self.started += other.started
            self.done += other.done
            self.failed += other.failed
            self.stopped += other.stopped
            self.skipped += other.skipped
            self.retried += other.retried
            self.seconds += other.seconds
            self.error = self.error or other.error


@dataclass(slots=True)
class Passed:
    """What went along one edge."""

    sent: int = 0
    skipped: int = 0


@dataclass(slots=True)
class Place:
    """Where a frame is: the level it walks, or the one node it stands for."""

    level: Level
    graph: Graph[Any, Any] | None
    alone: str | None = None
    inner: str | None = None
    """The name of that node within its own frame, where it has another."""


class Overlay:
    """Reads events one by one, and knows what they add up to.

    Attributes:
        nodes: by level and name.
        edges: by level and place among the edges of the graph.
        calls: by level, caller and callee.
        status: running, or how the walk ended.
        error: what it ended with.
        at: seconds since the run began, of the last event.
        steps: activations and calls that have begun.
    """

    def __init__(self, graph: Graph[Any, Any] | None, name: str = "") -> None:
        self.name = graph.name if graph is not None else name
        self.nodes: dict[tuple[Level, str], Tally] = {}
        self.edges: dict[tuple[Level, int], Passed] = {}
        self.calls: dict[tuple[Level, str, str], int] = {}
        self.status = "running"
        self.error = ""
        self.at = 0.0
        self.steps = 0
        self._frames: dict[int, Place] = {0: Place((self.name,), graph)}
        self._members: dict[int, dict[str, Node[Any, Any]]] = {}
        self._callers: dict[tuple[int, int], str] = {}

    # -- reading -------------------------------------------------------------------------------------------------------
    def take(self, event: Told) -> None:
        """Counts one event or one record of it."""
        kind = _field(event, "kind")
        self.at = max(self.at, _number(event, "at"))
        self.steps += kind in ("node.start", "call.start")
        read = _READERS.get(kind) if isinstance(kind, str) else None
        if read is not None:
            read(self, event, self._frames.get(_whole(event, "frame"), self._frames[0]))

    def take_all(self, events: Iterable[Told]) -> Overlay:
        """Counts all of them, and is itself."""
        for event in events:
            self.take(event)
        return self

    def _tally(self, place: Place, node: str) -> Tally:
        return self.nodes.setdefault((place.level, place.alone or node), Tally())

    def _entered(self, event: Told, _: Place) -> None:
        path, number = _field(event, "path"), _whole(event, "frame")
        if number < 1:
            return  # the outermost is entered by no one
        parent = self._frames.get(_whole(event, "parent"), self._frames[0])
        name = str(path[-1]) if isinstance(path, (list, tuple)) and path else ""
        node = self._member(parent, name)
        inner = graph_within(node) if node is not None else None
        if inner is not None or parent.graph is None:
            self._frames[number] = Place((*parent.level, name), inner)
        else:
            target = node.entry()[0].name if node is not None else name
            self._frames[number] = Place(parent.level, parent.graph, name, target)

    def _member(self, place: Place, name: str) -> Node[Any, Any] | None:
        if place.graph is None:
            return None
        members = self._members.setdefault(id(place.graph), {})
        if not members:
            members.update(members_of(place.graph))
        return members.get(name)

    def _started(self, event: Told, place: Place) -> None:
        if not self._own(event, place):
            self._tally(place, _text(event, "node")).started += 1

    def _own(self, event: Told, place: Place) -> bool:
        """Whether this is a sub-agent alone in its frame: its call, or its activation outside, is what counts."""
        if place.graph is None:
            return len(place.level) > 1 and place.level[-1] == _text(event, "node")
        return place.alone is not None

    def _finished(self, event: Told, place: Place) -> None:
        if not self._own(event, place):
            self._end(event, self._tally(place, _text(event, "node")), "done")

    def _failed(self, event: Told, place: Place) -> None:
        if not self._own(event, place):
            self._end(event, self._tally(place, _text(event, "node")), "failed")

    def _cancelled(self, event: Told, place: Place) -> None:
        if not self._own(event, place):
            self._end(event, self._tally(place, _text(event, "node")), "stopped")

    def _end(self, event: Told, tally: Tally, how: str) -> None:
        setattr(tally, how, getattr(tally, how) + 1)
        tally.started = max(tally.started, tally.ended)
        tally.seconds += max(0.0, _number(event, "at") - _number(event, "started"))
        if how == "failed":
            tally.error = error_text(_field(event, "error"))

    def _skipped(self, event: Told, place: Place) -> None:
        self._tally(place, _text(event, "node")).skipped += 1

    def _retried(self, event: Told, place: Place) -> None:
        self._tally(place, self._named(_text(event, "node"), place)).retried += 1

    def _called(self, event: Told, place: Place) -> None:
        caller, node = self._named(_text(event, "caller"), place), self._callee(event, place)
        self.calls[place.level, caller, node] = self.calls.get((place.level, caller, node), 0) + 1
        self._callers[_whole(event, "frame"), _whole(event, "call")] = node
        self.nodes.setdefault((place.level, node), Tally()).started += 1

    def _callee(self, event: Told, place: Place) -> str:
        """The name that is drawn: the tools of a server are drawn as the server."""
        name = _text(event, "node")
        if place.graph is None or self._member(place, name) is not None:
            return name
        caller = self._named(_text(event, "caller"), place)
        member = self._member(place, caller)
        servers = [c.name for c in callees_of(place.graph, member) if c.source] if member is not None else []
        return servers[0] if servers else name

    def _call_ended(self, event: Told, place: Place, how: str = "done") -> None:
        node = self._callers.pop((_whole(event, "frame"), _whole(event, "call")), _text(event, "node"))
        self._end(event, self.nodes.setdefault((place.level, node), Tally()), how)

    def _call_failed(self, event: Told, place: Place) -> None:
        self._call_ended(event, place, "failed")

    def _named(self, name: str, place: Place) -> str:
        return place.alone if place.alone is not None and name == place.inner else name

    def _sent(self, event: Told, place: Place) -> None:
        if place.alone is None:
            self._passed(event, place).sent += 1

    def _edge_skipped(self, event: Told, place: Place) -> None:
        if place.alone is None:
            self._passed(event, place).skipped += 1

    def _passed(self, event: Told, place: Place) -> Passed:
        index = _whole(event, "edge", -1)
        if index < 0 and place.graph is not None:  # a record that is older than these numbers: the first that fits
            ends = _text(event, "source"), _text(event, "target")
            index = next(
                (
                    declared.index
                    for declared in place.graph._proof.edges
                    if (declared.edge.origin.node.name, declared.edge.target.name) == ends
                ),
                -1,
            )
        return self.edges.setdefault((place.level, index), Passed())

    def _asked(self, event: Told, place: Place) -> None:
        tally = self._tally(place, _text(event, "node"))
        tally.tokens += _whole(event, "input_tokens") + _whole(event, "output_tokens")
        tally.usd += _number(event, "usd")

    def _run_ended(self, event: Told, _: Place) -> None:
        self.status = _text(event, "status") or "completed"
        self.error = _text(event, "error")

    # -- telling -------------------------------------------------------------------------------------------------------
    @property
    def standing(self) -> list[str]:
        """The nodes that are at work now."""
        return [name for (_, name), tally in self.nodes.items() if tally.started > tally.ended]

    @property
    def headline(self) -> str:
        """The walk in a line."""
        tallies = self.nodes.values()
        told = [f"{self.steps} step{'s' if self.steps != 1 else ''}", duration(self.at)]
        if tokens := sum(tally.tokens for tally in tallies):
            told.append(f"{tokens:,} tokens")
        if usd := sum(tally.usd for tally in tallies):
            told.append(money(usd))
        line = f"{self.name}: {self.status}, {', '.join(told)}"
        if self.status == "running" and self.standing:
            line += f"; now at {', '.join(self.standing[:4])}"
        return f"{line}; {cut(clean(self.error), 120)}" if self.error else line

    def lay_on(self, picture: Picture) -> Picture:
        """Marks a picture of the same graph with what the walk did; the picture is changed in place."""
        picture.overlay = "walk"
        picture.headline = self.headline
        figures = self._placed(picture)
        over = self.status != "running"
        for line in picture.lines:
            _mark_line(line, self._along(line))
        for place in dict.fromkeys(picture.places.values()):
            tally = figures.get(id(place), Tally())
            if isinstance(place, Shape) and place.kind in ("start", "end"):
                reached = any(
                    line.mark == "sent" for line in picture.lines if place is line.source or place is line.target
                )
                place.mark = "done" if reached else "idle"
            else:
                _mark(place, tally, over)
        for area in picture.every_area():
            if not area.mark and not area.opens_level:
                area.mark = _area_mark(area)
        _pass_on(picture)
        return picture

    def _placed(self, picture: Picture) -> dict[int, Tally]:
        """The figures of each shape and area, what is folded into it included."""
        figures: dict[int, Tally] = {}
        for (level, name), tally in self.nodes.items():
            place = picture.places.get((level, name))
            whole = place is not None
            if place is None:
                place = _nearest(picture, level, name)
            if place is not None:
                figures.setdefault(id(place), Tally()).add(tally, whole=whole)
        return figures

    def _along(self, line: Line) -> Passed:
        if line.style == "call":
            return Passed(self.calls.get((line.level, *line.names), 0))
        found = [self.edges[line.level, index] for index in line.indexes if (line.level, index) in self.edges]
        return Passed(sum(one.sent for one in found), sum(one.skipped for one in found))


_READERS: dict[str, Any] = {
    "frame.enter": Overlay._entered,
    "node.start": Overlay._started,
    "node.end": Overlay._finished,
    "node.error": Overlay._failed,
    "node.cancel": Overlay._cancelled,
    "node.skip": Overlay._skipped,
    "node.retry": Overlay._retried,
    "edge.send": Overlay._sent,
    "edge.skip": Overlay._edge_skipped,
    "call.start": Overlay._called,
    "call.end": Overlay._call_ended,
    "call.error": Overlay._call_failed,
    "model.end": Overlay._asked,
    "run.end": Overlay._run_ended,
}


def overlay_of(recorded: Recorded, graph: Graph[Any, Any] | None) -> Overlay:
    """What a run did, or what its record tells.

    Raises:
        FileUnreadable: the file is no record of events.
    """
    return Overlay(graph).take_all(told(recorded))


def told(recorded: Recorded) -> Iterable[Told]:
    """The events of a run, of its record, or of the file it is in."""
    if isinstance(recorded, Run):
        return recorded.events
    if isinstance(recorded, (str, Path)):
        return read_events(recorded)
    return recorded


def read_events(path: str | Path) -> list[dict[str, Any]]:
    """The records in a file of JSON lines, as `graphflow run --events` writes them.

    Raises:
        FileUnreadable: there is no such file, or a line of it is no event.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(f"the events in {path} cannot be read: {error}") from None
    records: list[dict[str, Any]] = []
    for number, row in enumerate(text.split("\n"), 1):
        if not row.strip():
            continue
        try:
            record = json.loads(row)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
            raise FileUnreadable(f"{path}, line {number}, is no event; write events with `graphflow run --events FILE`")
        records.append(record)
    if not records:
        raise FileUnreadable(f"{path} holds no events; write them with `graphflow run --events FILE`")
    return records


# -- marks -----------------------------------------------------------------------------------------------------------------
def _mark(place: Shape | Area, tally: Tally, over: bool) -> None:
    if tally.started > tally.ended and not over:
        place.mark = "running"
    elif tally.done:
        place.mark = "done"
    elif tally.failed:
        place.mark = "failed"
    elif tally.stopped or tally.started:
        place.mark = "stopped"
    elif tally.skipped:
        place.mark = "skipped"
    else:
        place.mark = "idle"
    place.badge = badge_of(tally)
    if tally.error:
        place.told = tally.error


def badge_of(tally: Tally) -> str:
    """The figures of a node, small: how often, how long, tokens, cost, failures."""
    first = [f"{tally.started - tally.ended} running"] if tally.started > tally.ended else []
    first += [f"\u00d7{tally.ended}"] if tally.ended > 1 else []
    first += [duration(tally.seconds)] if tally.ended else []
    first += [f"\u2717 {tally.failed}"] if tally.failed and tally.done else []
    first += [f"\u2205 {tally.skipped}"] if tally.skipped and tally.ended else []
    first += [f"{tally.retried} retried"] if tally.retried else []
    second = [f"{tally.tokens:,} tok"] if tally.tokens else []
    second += [money(tally.usd)] if tally.usd else []
    third = [cut(tally.error.split("\n")[0], 40)] if tally.error else []
    return "\n".join(" \u00b7 ".join(parts) for parts in (first, second, third) if parts)


def _mark_line(line: Line, passed: Passed) -> None:
    line.count = passed.sent
    line.mark = "sent" if passed.sent else "skipped" if passed.skipped else "idle"
    said = [f"\u00d7{passed.sent}"] if passed.sent > 1 else []
    said += [f"\u2205 {passed.skipped}"] if passed.skipped and passed.sent else []
    line.badge = " ".join(said)


def _area_mark(area: Area) -> str:
    own = [shape for shape in area.shapes if shape.name == area.name]
    return own[0].mark if own else ""


def _pass_on(picture: Picture) -> None:
    """A tombstone goes on: what only skipped edges lead to is skipped, and so is what it would have sent."""
    into: dict[int, list[Line]] = {}
    out: dict[int, list[Line]] = {}
    for line in picture.lines:
        if line.style != "call":
            into.setdefault(id(line.to_area or line.target), []).append(line)
            out.setdefault(id(line.from_area or line.source), []).append(line)
    places = list(dict.fromkeys(picture.places.values()))
    changed = True
    while changed:
        changed = False
        for place in places:
            ways = into.get(id(place), [])
            dead = (
                place.mark == "idle" and any(w.mark == "skipped" for w in ways) and all(w.mark != "sent" for w in ways)
            )
            if dead and not (isinstance(place, Shape) and place.kind in ("start", "end")):
                place.mark = "skipped"
                changed = True
            if place.mark == "skipped":
                for line in out.get(id(place), []):
                    if line.mark == "idle" and line.style == "flow":
                        line.mark = "skipped"
                        changed = True


def _nearest(picture: Picture, level: Level, name: str) -> Shape | Area | None:
    """What holds a node that is not drawn itself."""
    graph = picture.graph
    for step in level[1:]:
        node = members_of(graph).get(step) if graph is not None else None
        graph = graph_within(node) if node is not None else None
    if graph is not None:
        for holder in reversed(within_of(graph, name)):
            if (level, holder) in picture.places:
                return picture.places[level, holder]
    while len(level) > 1:
        level, name = level[:-1], level[-1]
        if (level, name) in picture.places:
            return picture.places[level, name]
    return None


# -- figures ---------------------------------------------------------------------------------------------------------------
def duration(seconds: float) -> str:
    """A time as people read it."""
    if seconds < 0.001:
        return "<1 ms" if seconds > 0 else "0 ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


def money(usd: float) -> str:
    """A cost as people read it."""
    return f"${usd:.2f}" if usd >= 1 else f"${usd:.4f}"


def error_text(error: Any) -> str:
    """An error of an event or of its record, in a line."""
    if isinstance(error, BaseException):
        return cut(clean(f"{type(error).__name__}: {error}"), 400)
    if isinstance(error, Mapping):
        return cut(clean(f"{error.get('type', 'Error')}: {error.get('text', '')}"), 400)
    return cut(clean(str(error)), 400) if error else ""


def _field(event: Told, name: str) -> Any:
    return event.get(name) if isinstance(event, Mapping) else getattr(event, name, None)


def _number(event: Told, name: str) -> float:
    value = _field(event, name)
    return float(value) if isinstance(value, (int, float)) and abs(value) < 1e15 else 0.0


def _whole(event: Told, name: str, default: int = 0) -> int:
    value = _field(event, name)
    return value if isinstance(value, int) else default


def _text(event: Told, name: str) -> str:
    value = _field(event, name)
    return value if isinstance(value, str) else ""
