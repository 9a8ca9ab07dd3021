"""What a walk did, laid over the picture of its graph: from a live run, or from its recorded events.

Rules:
1. A run and its record give the same picture: both are read field by field, and nothing else is looked at.
2. What happened in something that is drawn folded counts for what it is folded into (tokens and cost; not its steps).
3. A record is data from somewhere: what makes no sense is ignored, and names in it are only compared. What
   refers to another graph, or to a node or an edge that this graph does not have, is refused: the picture would be wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2s

from graphflow.errors import DeclarationError
from graphflow.plain import to_json_value
from graphflow.proofs.proven import AnyGraph
from graphflow.redaction import scrubbed
from graphflow.render.compare.marks import lay_on, nearest
from graphflow.render.compare.places import EdgeWords, FramePlace, Places
from graphflow.render.compare.tally import Tally, Traffic, duration, money
from graphflow.render.labels import printable
from graphflow.render.picture import Drawn, Level, Line, Picture
from graphflow.render.records import AnyEvent, EventSource, recorded_events
from graphflow.render.xml import clip, was_cancelled

MAX_NUMBER = 1e15
"""A number in a record that is larger makes no sense."""
MAX_NAMES = 4
"""Names in a headline."""
NodeKey = tuple[Level, str]
EdgeKey = tuple[Level, int | str]
"""An edge by its place among those of its graph; by its words, where no graph is known."""
CallKey = tuple[Level, str, str]
CallNumber = tuple[int, int]
"""The number of a frame, and that of a call in it."""


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

    def __init__(
        self, graph: AnyGraph | None, name: str = "", *, strict: bool = True, compares: bool = False
    ) -> None:
        """`strict`: refuse what this graph does not have. `compares`: keep what was answered, by digest."""
        self.name = name if graph is None else graph.name
        self.strict = strict
        self.compares = compares
        self.nodes: dict[NodeKey, Tally] = {}
        self.edges: dict[EdgeKey, Traffic] = {}
        self.calls: dict[CallKey, int] = {}
        self.status = "running"
        self.error = ""
        self.input: object = None
        self.output: object = None
        self.at = 0.0
        self.steps = 0
        self.places = Places(graph, self.name)
        self._callees: dict[CallNumber, str] = {}
        """The name under which each open call is drawn, by frame and number."""
        self._asking: dict[str, Tally] = {}
        """Who waits for each approval that is open, by its key."""

    # -- reading -----------------------------------------------------------------------------------
    def take(self, event: AnyEvent) -> None:
        """Counts one event or one record of it."""
        kind = _text(event, "kind")
        at = _number(event, "at")
        self.at = max(self.at, at)
        if kind in ("node.start", "call.start"):
            self.steps += 1
        read = _READERS.get(kind)
        if read is not None:
            frame = _whole(event, "frame")
            place = self.places.of(frame)
            read(self, event, place)

    def take_all(self, events: Iterable[AnyEvent]) -> Overlay:
        """Counts all of them, and is itself."""
        for event in events:
            self.take(event)
        return self

    def _run_started(self, event: AnyEvent, _: FramePlace) -> None:
        name = _text(event, "graph")
        self.input = _field(event, "input")
        if not name or name == self.name:
            return
        if self.strict:
            other = printable(clip(name, 80))
            raise DeclarationError(
                f"the record is of the graph {other!r}, not of {self.name!r}; say which was walked: graph=..."
            )
        self.name = name

    def _run_ended(self, event: AnyEvent, _: FramePlace) -> None:
        status = _text(event, "status")
        self.status = status or "completed"
        self.error = _text(event, "error")
        self.output = _field(event, "output")

    def _frame_entered(self, event: AnyEvent, _: FramePlace) -> None:
        path = _field(event, "path")
        name = ""
        if isinstance(path, (list, tuple)) and path:
            innermost = path[-1]
            name = str(innermost)
        frame = _whole(event, "frame")
        parent = _whole(event, "parent")
        self.places.enter(frame, parent, name)

    # -- nodes -------------------------------------------------------------------------------------
    def _tally(self, place: FramePlace, node: str) -> Tally:
        """The figures of the node that an event belongs to.

        Raises:
            DeclarationError: the graph has no such node.
        """
        # In the frame of a single agent there is only that agent.
        if place.alone is not None:
            return self._figures(place, place.alone or node)
        # Without a graph nothing can be checked.
        is_checked = self.strict and place.graph is not None
        if is_checked and node:
            member = self.places.member(place, node)
            if member is None:
                name = printable(clip(node, 80))
                raise _another_graph(f"a node {name!r}", place)
        return self._figures(place, node)

    def _figures(self, place: FramePlace, name: str) -> Tally:
        key = (place.level, name)
        return self.nodes.setdefault(key, Tally())

    def _node_started(self, event: AnyEvent, place: FramePlace) -> None:
        node = _text(event, "node")
        # A sub-agent alone in its frame was counted when it was called.
        if not place.owns(node):
            self._tally(place, node).started += 1

    def _node_ended(self, event: AnyEvent, place: FramePlace) -> None:
        node = _text(event, "node")
        if place.owns(node):
            return
        tally = self._tally(place, node)
        match _text(event, "kind"):
            case "node.end":
                self._count_done(event, tally)
            case "node.error":
                self._count_failed(event, tally)
            case _:
                tally.stopped += 1
        self._count_interval(event, tally)

    def _count_done(self, event: AnyEvent, tally: Tally) -> None:
        tally.done += 1
        if self.compares:
            output = _field(event, "output")
            answer = digest(output)
            tally.answers[answer] += 1

    def _count_failed(self, event: AnyEvent, tally: Tally) -> None:
        tally.failed += 1
        error = _field(event, "error")
        tally.error = error_text(error)

    def _count_interval(self, event: AnyEvent, tally: Tally) -> None:
        # A record of facts alone tells of no starts.
        tally.started = max(tally.started, tally.ended)
        started = _number(event, "started")
        at = _number(event, "at")
        tally.add_interval(started, at)

    def _node_skipped(self, event: AnyEvent, place: FramePlace) -> None:
        node = _text(event, "node")
        tally = self._tally(place, node)
        tally.skipped += 1

    def _node_retried(self, event: AnyEvent, place: FramePlace) -> None:
        name = _text(event, "node")
        node = place.named(name)
        tally = self._tally(place, node)
        tally.retried += 1

    def _model_answered(self, event: AnyEvent, place: FramePlace) -> None:
        node = _text(event, "node")
        tally = self._tally(place, node)
        tally.tokens += _whole(event, "input_tokens")
        tally.tokens += _whole(event, "output_tokens")
        tally.usd += _number(event, "usd")

    # -- calls and approvals -----------------------------------------------------------------------
    def _call_started(self, event: AnyEvent, place: FramePlace) -> None:
        caller = _text(event, "caller")
        node = _text(event, "node")
        callee = self.places.callee(place, node, caller)
        drawn_caller = place.named(caller)
        key = (place.level, drawn_caller, callee)
        count = self.calls.get(key, 0)
        self.calls[key] = count + 1
        number = _call(event)
        self._callees[number] = callee
        tally = self._figures(place, callee)
        tally.started += 1

    def _call_ended(self, event: AnyEvent, place: FramePlace) -> None:
        node = _text(event, "node")
        number = _call(event)
        callee = self._callees.pop(number, node)
        tally = self._figures(place, callee)
        if _text(event, "kind") == "call.end":
            self._count_done(event, tally)
        elif was_cancelled(_field(event, "error")):
            tally.stopped += 1
        else:
            self._count_failed(event, tally)
        self._count_interval(event, tally)

    def _approval_asked(self, event: AnyEvent, place: FramePlace) -> None:
        name = _text(event, "node")
        node = place.named(name)
        tally = self._figures(place, node)
        tally.asking += 1
        key = _text(event, "key")
        self._asking[key] = tally

    def _approval_given(self, event: AnyEvent, _: FramePlace) -> None:
        key = _text(event, "key")
        tally = self._asking.pop(key, None)
        if tally is not None and tally.asking > 0:
            tally.asking -= 1

    # -- edges -------------------------------------------------------------------------------------
    def _message_sent(self, event: AnyEvent, place: FramePlace) -> None:
        if place.alone is None:
            traffic = self._traffic(event, place)
            traffic.sent += 1

    def _edge_skipped(self, event: AnyEvent, place: FramePlace) -> None:
        if place.alone is None:
            traffic = self._traffic(event, place)
            traffic.skipped += 1

    def _traffic(self, event: AnyEvent, place: FramePlace) -> Traffic:
        """The figures of the edge that an event belongs to.

        Raises:
            DeclarationError: the graph has no such edge.
        """
        words = EdgeWords(
            origin=_text(event, "origin"),
            source=_text(event, "source"),
            target=_text(event, "target"),
            port=_text(event, "port"),
        )
        number = _whole(event, "edge", -1)
        index = self.places.edge(place, words, number)
        key: EdgeKey
        if index is not None:
            key = (place.level, index)
        else:
            is_checked = self.strict and place.graph is not None
            # A record without the ends of its edges is damaged, and not of another graph.
            if is_checked and words.source and words.target:
                raise _another_graph(f"an edge {words}", place)
            key = (place.level, str(words))
        return self.edges.setdefault(key, Traffic())

    # -- what it adds up to ------------------------------------------------------------------------
    @property
    def standing(self) -> list[str]:
        """The nodes that are at work now."""
        found: list[str] = []
        for key, tally in self.nodes.items():
            _, name = key
            open_activations = tally.started - tally.ended
            # Who waits for an approval has begun, but is not at work.
            if open_activations > tally.asking:
                found.append(name)
        return found

    @property
    def asking(self) -> list[str]:
        """The nodes that wait for an approval now."""
        found: list[str] = []
        for key, tally in self.nodes.items():
            if tally.asking:
                _, name = key
                found.append(name)
        return found

    @property
    def headline(self) -> str:
        """The walk in a line."""
        total = Tally()
        for tally in self.nodes.values():
            total.tokens += tally.tokens
            total.usd += tally.usd
        noun = "step" if self.steps == 1 else "steps"
        took = duration(self.at)
        summary = f"{self.name}: {self.status}, {self.steps} {noun}, {took}"
        if total.tokens:
            summary += f", {total.tokens:,} tokens"
        if total.usd:
            usd = money(total.usd)
            summary += f", {usd}"
        parts = [summary]
        if self.status == "running":
            parts += self._now()
        if self.error:
            error = printable(self.error)
            error = clip(error, 120)
            parts.append(error)
        return "; ".join(parts)

    def _now(self) -> list[str]:
        words: list[str] = []
        standing = self.standing[:MAX_NAMES]
        if standing:
            names = ", ".join(standing)
            words.append(f"now at {names}")
        asking = self.asking[:MAX_NAMES]
        if asking:
            names = ", ".join(asking)
            words.append(f"waits for approval of {names}")
        return words

    def lay_on(self, picture: Picture) -> Picture:
        """Marks a picture of the same graph with what the walk did; the picture is changed in place."""
        picture.headline = self.headline
        figures = self._placed(picture)
        traffic: dict[Line, Traffic] = {}
        for line in picture.lines:
            traffic[line] = self.traffic_on(line)
        is_over = self.status != "running"
        lay_on(picture, figures, traffic, over=is_over)
        return picture

    def _placed(self, picture: Picture) -> dict[Drawn, Tally]:
        """The figures of each shape and area, what is folded into it included."""
        figures: dict[Drawn, Tally] = {}
        for key, tally in self.nodes.items():
            place = picture.places.get(key)
            is_drawn = place is not None
            if place is None:
                level, name = key
                place = nearest(picture, level, name)
            if place is not None:
                total = figures.setdefault(place, Tally())
                total.add(tally, whole=is_drawn)
        return figures

    def traffic_on(self, line: Line) -> Traffic:
        """What went along a line of the picture, which may stand for several edges."""
        if line.style == "call":
            call = (line.level, *line.names)
            count = self.calls.get(call, 0)
            return Traffic(sent=count)
        traffic = Traffic()
        for index in line.indexes:
            key = (line.level, index)
            edge = self.edges.get(key)
            if edge is not None:
                traffic.add(edge)
        return traffic


_EventReader = Callable[[Overlay, AnyEvent, FramePlace], None]
_READERS: dict[str, _EventReader] = {
    "run.start": Overlay._run_started,
    "run.end": Overlay._run_ended,
    "frame.enter": Overlay._frame_entered,
    "node.start": Overlay._node_started,
    "node.end": Overlay._node_ended,
    "node.error": Overlay._node_ended,
    "node.cancel": Overlay._node_ended,
    "node.skip": Overlay._node_skipped,
    "node.retry": Overlay._node_retried,
    "model.end": Overlay._model_answered,
    "edge.send": Overlay._message_sent,
    "edge.skip": Overlay._edge_skipped,
    "call.start": Overlay._call_started,
    "call.end": Overlay._call_ended,
    "call.error": Overlay._call_ended,
    "approval.ask": Overlay._approval_asked,
    "approval": Overlay._approval_given,
}


def overlay_of(source: EventSource, graph: AnyGraph | None) -> Overlay:
    """What a run did, from the run itself or its record.

    Raises:
        FileUnreadable: the file is not a record of events.
        DeclarationError: it records a walk of another graph.
    """
    events = recorded_events(source)
    overlay = Overlay(graph)
    return overlay.take_all(events)


# -- fields ----------------------------------------------------------------------------------------
def error_text(error: object) -> str:
    """An error of an event or of its record, in a line."""
    if isinstance(error, BaseException):
        kind = type(error).__name__
        text = f"{kind}: {error}"
    elif isinstance(error, Mapping):
        kind = error.get("type", "Error")
        words = error.get("text", "")
        text = f"{kind}: {words}"
    elif error:
        text = str(error)
    else:
        return ""
    shown = printable(text)
    return clip(shown, 400)


def digest(value: object) -> str:
    """A short name for a message: equal messages have equal ones, whether they come from a run or from its record."""
    plain = to_json_value(value)
    # A record holds no secrets: what is compared with one must not, either.
    plain = scrubbed(plain)
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
    raw = text.encode(errors="surrogatepass")
    hashed = blake2s(raw, digest_size=8)
    return hashed.hexdigest()


def _another_graph(what: str, place: FramePlace) -> DeclarationError:
    where = " > ".join(place.level)
    return DeclarationError(
        f"the record is of another graph: it tells of {what}, which {where} does not have; "
        f"say which graph was walked: graph=..."
    )


def _field(event: AnyEvent, name: str) -> object:
    if isinstance(event, Mapping):
        return event.get(name)
    return getattr(event, name, None)


def _number(event: AnyEvent, name: str) -> float:
    value = _field(event, name)
    if isinstance(value, (int, float)) and abs(value) < MAX_NUMBER:
        return float(value)
    return 0.0


def _whole(event: AnyEvent, name: str, default: int = 0) -> int:
    value = _field(event, name)
    if isinstance(value, int):
        return value
    return default


def _text(event: AnyEvent, name: str) -> str:
    value = _field(event, name)
    if isinstance(value, str):
        return value
    return ""


def _call(event: AnyEvent) -> CallNumber:
    frame = _whole(event, "frame")
    call = _whole(event, "call")
    return frame, call
