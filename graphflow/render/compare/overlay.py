"""What a walk did, laid over the picture of its graph: from a live run, or from its recorded events.

Rules:
1. A run and its record give the same picture: both are read field by field, and nothing else is looked at.
2. What happened in something that is drawn folded counts for what it is folded into (tokens and cost; not its steps).
3. A record is data from somewhere: what makes no sense is passed over, and names in it are only compared. What makes
   sense, but speaks of a graph, a node or an edge that this graph does not have, is refused: it would be drawn as a lie.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import blake2s
from pathlib import Path
from typing import Any

from graphflow.errors import DeclarationError
from graphflow.events import Event
from graphflow.messages.message import to_json_value
from graphflow.proofs.proven import AnyGraph
from graphflow.redaction import scrubbed
from graphflow.render.compare.places import Place, Places
from graphflow.render.compare.places import Told as ToldEdge
from graphflow.render.compare.tally import Passed, Tally, badge_of, duration, mark_of, money, passed_words
from graphflow.render.labels import clean, cut
from graphflow.render.picture import Area, Level, Line, Picture, Shape, graph_within, members_of, within_of
from graphflow.render.records import read_records
from graphflow.render.xml import was_cancelled
from graphflow.runtime.run_record import RunRecord

Told = Event | Mapping[str, Any]
Recorded = RunRecord[Any] | Iterable[Told] | str | Path
"""A run, its events, its records, or the file they are in."""


class Overlay:
    """Reads events one by one, and knows what they add up to.

    Attributes:
        nodes: by level and name.
        edges: by level and place among the edges of the graph.
        calls: by level, caller and callee.
        status: running, or how the walk ended.
        error: what it ended with.
        input: what the walk was given, and
        output: what it answered.
        at: seconds since the run began, of the last event.
        steps: activations and calls that have begun.
    """

    def __init__(self, graph: AnyGraph | None, name: str = "", *, strict: bool = True, compares: bool = False) -> None:
        """`strict`: refuse what this graph does not have. `compares`: keep what was answered, by digest."""
        self.name = graph.name if graph is not None else name
        self.strict = strict
        self.compares = compares
        self.nodes: dict[tuple[Level, str], Tally] = {}
        self.edges: dict[tuple[Level, int | str], Passed] = {}
        self.calls: dict[tuple[Level, str, str], int] = {}
        self.status = "running"
        self.error = ""
        self.input: Any = None
        self.output: Any = None
        self.at = 0.0
        self.steps = 0
        self.places = Places(graph, self.name)
        self._callers: dict[tuple[int, int], str] = {}
        self._asking: dict[str, Tally] = {}

    # -- reading -------------------------------------------------------------------------------------------------------
    def take(self, event: Told) -> None:
        """Counts one event or one record of it."""
        kind = _field(event, "kind")
        self.at = max(self.at, _number(event, "at"))
        self.steps += kind in ("node.start", "call.start")
        read = _READERS.get(kind) if isinstance(kind, str) else None
        if read is not None:
            read(self, event, self.places.of(_whole(event, "frame")))

    def take_all(self, events: Iterable[Told]) -> Overlay:
        """Counts all of them, and is itself."""
        for event in events:
            self.take(event)
        return self

    def _tally(self, place: Place, node: str) -> Tally:
        if self.strict and node and place.graph is not None and place.alone is None:
            self._known(place, node)
        return self.nodes.setdefault((place.level, place.alone or node), Tally())

    def _entered(self, event: Told, _: Place) -> None:
        path, number = _field(event, "path"), _whole(event, "frame")
        name = str(path[-1]) if isinstance(path, (list, tuple)) and path else ""
        self.places.enter(number, _whole(event, "parent"), name)

    def _known(self, place: Place, node: str) -> None:
        if self.places.member(place, node) is None:
            where = " > ".join(place.level)
            raise DeclarationError(
                f"the record is of another graph: it tells of a node {clean(cut(node, 80))!r}, which {where} does not have; "
                f"say which graph was walked: graph=..."
            )

    def _began(self, event: Told, _: Place) -> None:
        name = _text(event, "graph")
        self.input = _field(event, "input")
        if self.strict and name and name != self.name:
            raise DeclarationError(
                f"the record is of the graph {clean(cut(name, 80))!r}, not of {self.name!r}; say which was walked: graph=..."
            )
        self.name = name or self.name

    def _started(self, event: Told, place: Place) -> None:
        if not place.owns(_text(event, "node")):
            self._tally(place, _text(event, "node")).started += 1

    def _finished(self, event: Told, place: Place) -> None:
        if not place.owns(_text(event, "node")):
            self._end(event, self._tally(place, _text(event, "node")), "done")

    def _failed(self, event: Told, place: Place) -> None:
        if not place.owns(_text(event, "node")):
            self._end(event, self._tally(place, _text(event, "node")), "failed")

    def _cancelled(self, event: Told, place: Place) -> None:
        if not place.owns(_text(event, "node")):
            self._end(event, self._tally(place, _text(event, "node")), "stopped")

    def _end(self, event: Told, tally: Tally, how: str) -> None:
        setattr(tally, how, getattr(tally, how) + 1)
        tally.started = max(tally.started, tally.ended)
        tally.worked(_number(event, "started"), _number(event, "at"))
        if how == "failed":
            tally.error = error_text(_field(event, "error"))
        elif how == "done" and self.compares:
            tally.answers[digest(_field(event, "output"))] += 1

    def _skipped(self, event: Told, place: Place) -> None:
        self._tally(place, _text(event, "node")).skipped += 1

    def _retried(self, event: Told, place: Place) -> None:
        self._tally(place, place.named(_text(event, "node"))).retried += 1

    def _called(self, event: Told, place: Place) -> None:
        caller = place.named(_text(event, "caller"))
        node = self.places.callee(place, _text(event, "node"), _text(event, "caller"))
        self.calls[place.level, caller, node] = self.calls.get((place.level, caller, node), 0) + 1
        self._callers[_whole(event, "frame"), _whole(event, "call")] = node
        self.nodes.setdefault((place.level, node), Tally()).started += 1

    def _call_ended(self, event: Told, place: Place, how: str = "done") -> None:
        node = self._callers.pop((_whole(event, "frame"), _whole(event, "call")), _text(event, "node"))
        self._end(event, self.nodes.setdefault((place.level, node), Tally()), how)

    def _call_failed(self, event: Told, place: Place) -> None:
        self._call_ended(event, place, "stopped" if was_cancelled(_field(event, "error")) else "failed")

    def _approval_asked(self, event: Told, place: Place) -> None:
        name = place.named(_text(event, "node"))
        tally = self.nodes.setdefault((place.level, name), Tally())
        self._asking[_text(event, "key")] = tally
        tally.asking += 1

    def _approval_given(self, event: Told, _: Place) -> None:
        tally = self._asking.pop(_text(event, "key"), None)
        if tally is not None:
            tally.asking = max(0, tally.asking - 1)

    def _sent(self, event: Told, place: Place) -> None:
        if place.alone is None:
            self._passed(event, place).sent += 1

    def _edge_skipped(self, event: Told, place: Place) -> None:
        if place.alone is None:
            self._passed(event, place).skipped += 1

    def _passed(self, event: Told, place: Place) -> Passed:
        edge = ToldEdge(*(_text(event, name) for name in ("origin", "source", "target", "port")))
        index = self.places.edge(place, edge, _whole(event, "edge", -1))
        if index is None and place.graph is not None and self.strict and edge.source and edge.target:
            raise DeclarationError(
                f"the record is of another graph: it tells of an edge {_edge_text(edge)}, which "
                f"{' > '.join(place.level)} does not have; say which graph was walked: graph=..."
            )
        return self.edges.setdefault((place.level, _edge_text(edge) if index is None else index), Passed())

    def _asked(self, event: Told, place: Place) -> None:
        tally = self._tally(place, _text(event, "node"))
        tally.tokens += _whole(event, "input_tokens") + _whole(event, "output_tokens")
        tally.usd += _number(event, "usd")

    def _run_ended(self, event: Told, _: Place) -> None:
        self.status = _text(event, "status") or "completed"
        self.error = _text(event, "error")
        self.output = _field(event, "output")

    # -- telling -------------------------------------------------------------------------------------------------------
    @property
    def standing(self) -> list[str]:
        """The nodes that are at work now."""
        return [name for (_, name), tally in self.nodes.items() if tally.started - tally.asking > tally.ended]

    @property
    def asking(self) -> list[str]:
        """The nodes that wait for an approval now."""
        return [name for (_, name), tally in self.nodes.items() if tally.asking]

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
        if self.status == "running" and self.asking:
            line += f"; waits for approval of {', '.join(self.asking[:4])}"
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
                place = nearest(picture, level, name)
            if place is not None:
                figures.setdefault(id(place), Tally()).add(tally, whole=whole)
        return figures

    def _along(self, line: Line) -> Passed:
        if line.style == "call":
            return Passed(self.calls.get((line.level, *line.names), 0))
        found = [self.edges[line.level, index] for index in line.indexes if (line.level, index) in self.edges]
        return Passed(sum(one.sent for one in found), sum(one.skipped for one in found))


_READERS: dict[str, Any] = {
    "run.start": Overlay._began,
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
    "approval.ask": Overlay._approval_asked,
    "approval": Overlay._approval_given,
    "model.end": Overlay._asked,
    "run.end": Overlay._run_ended,
}


def overlay_of(recorded: Recorded, graph: AnyGraph | None) -> Overlay:
    """What a run did, or what its record tells.

    Raises:
        FileUnreadable: the file is no record of events.
        DeclarationError: what it records is a walk of another graph.
    """
    return Overlay(graph).take_all(told(recorded))


def told(recorded: Recorded) -> Iterable[Told]:
    """The events of a run, of its record, or of the file it is in."""
    if isinstance(recorded, RunRecord):
        return recorded.events
    if isinstance(recorded, (str, Path)):
        return read_records(recorded)
    return recorded


# -- marks -----------------------------------------------------------------------------------------------------------------
def _mark(place: Shape | Area, tally: Tally, over: bool) -> None:
    place.mark = mark_of(tally, over)
    place.badge = badge_of(tally)
    if tally.error:
        place.told = tally.error


def _mark_line(line: Line, passed: Passed) -> None:
    line.count = passed.sent
    line.mark = "sent" if passed.sent else "skipped" if passed.skipped else "idle"
    line.badge = passed_words(passed)


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


def nearest(picture: Picture, level: Level, name: str) -> Shape | Area | None:
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


# -- fields ----------------------------------------------------------------------------------------------------------------
def error_text(error: Any) -> str:
    """An error of an event or of its record, in a line."""
    if isinstance(error, BaseException):
        return cut(clean(f"{type(error).__name__}: {error}"), 400)
    if isinstance(error, Mapping):
        return cut(clean(f"{error.get('type', 'Error')}: {error.get('text', '')}"), 400)
    return cut(clean(str(error)), 400) if error else ""


def digest(value: Any) -> str:
    """A short name for a message: equal messages have equal ones, whether they come from a run or from its record."""
    text = json.dumps(scrubbed(to_json_value(value)), sort_keys=True, ensure_ascii=False)  # a record holds no secrets
    return blake2s(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def _edge_text(edge: ToldEdge) -> str:
    return clean(cut(f"{edge.origin or edge.source} >> {edge.target}{f'.{edge.port}' if edge.port else ''}", 160))


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
