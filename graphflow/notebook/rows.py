"""What happened in a walk as rows that a browser can play: small, bounded, plain JSON.

Rules:
1. A row is `[at, op, id, home, label, ...]`. `id` is that of the element of the picture whose state it changes ("" if none
   does), `home` that under which it is listed: of the area or sub-agent that holds it, where it is not drawn itself. An id is
   the whole way to a node or edge, as the picture has it (`data-id`): two nodes of one name are two.
2. What happens within an activation or call carries its number, and what a model says the number of the question: what goes
   on side by side in one node is never mixed.
3. Text is cut, secrets are scrubbed. Beyond a number of rows they are only counted: memory is bounded.

The operations: `0` the run begins, `x` it ends, `+` something begins, `.` it ends, `s` a node is skipped, `>` a message goes
along an edge, `t` a piece of what a model says, `m` its whole answer, `?` and `!` an approval is asked for and given, `w` a
warning.
"""

from __future__ import annotations

from typing import NamedTuple

from graphflow.proofs.proven import AnyGraph
from graphflow.redaction import scrub
from graphflow.render.compare.marks import nearest
from graphflow.render.compare.overlay import CallNumber, NodeKey
from graphflow.render.compare.places import EdgeWords, FramePlace, Places
from graphflow.render.picture import Area, Level, Picture, Shape, edge_id, node_id
from graphflow.render.records import AnyEvent
from graphflow.render.talk import json_text
from graphflow.render.timeline import How
from graphflow.render.xml import clean, error_words, was_cancelled

PlayRow = list[object]
OP = 1
TEXT = 5
"""Where a row has its operation, and where a piece of what a model says."""
MAX_ROWS = 20_000
MAX_KEPT_TEXT = 4_000_000
"""Characters of messages that are kept of one walk."""
MAX_TEXT = 2_000
"""Characters of one message that are shown."""
MAX_REASON = 300
MAX_LABEL = 120
MAX_NAME = 60

Outcome = tuple[How, object]
"""How an activation or call ended, and its answer or error."""
STOPPED: Outcome = ("cancelled", "stopped by the walk")


class Spot(NamedTuple):
    """Where something is in the picture: the first fields of a row after its operation."""

    id: str
    home: str
    label: str


def pretty(value: object, limit: int = MAX_TEXT) -> str:
    """A message as a person reads it: text as it is, everything else as indented JSON; cut and scrubbed."""
    text = value if isinstance(value, str) else json_text(value)
    # A longer text is scrubbed where it is cut, with what goes on beyond the cut.
    if len(text) <= limit:
        text = scrub(text)
    return clean(text, limit)


def _reason(text: object) -> str:
    words = clean(text, MAX_REASON)
    return scrub(words)


class Rows:
    """The rows of one walk, made event by event.

    Attributes:
        kept: all rows so far, as far as they are kept.
        beyond: how many are not.
        pending: the rows since the last flush.
        text_left: how many more characters of messages are kept.
    """

    def __init__(self, graph: AnyGraph, picture: Picture) -> None:
        self.picture = picture
        self.places = Places(graph, graph.name)
        self.kept: list[PlayRow] = []
        self.beyond = 0
        self.pending: list[PlayRow] = []
        self.text_left = MAX_KEPT_TEXT
        self._spots: dict[NodeKey, Spot] = {}
        self._callees: dict[CallNumber, str] = {}
        """The name under which each open call is drawn."""

    # -- where -------------------------------------------------------------------------------------
    def spot(self, place: FramePlace, node: str) -> Spot:
        """Where a node is in the picture."""
        key = (place.level, place.named(node))
        spot = self._spots.get(key)
        if spot is None:
            spot = self._find(*key)
            self._spots[key] = spot
        return spot

    def _find(self, level: Level, node: str) -> Spot:
        names = (*level[1:], node)
        way = " > ".join(names)
        label = clean(way, MAX_LABEL)
        key = (level, node)
        drawn = self.picture.places.get(key)
        if drawn is not None:
            id = _id_of(drawn, level, node)
            return Spot(id, id, label)
        around = nearest(self.picture, level, node)
        if around is None:
            return Spot("", "", label)
        return Spot("", around.id, label)

    # -- taking ------------------------------------------------------------------------------------
    def take(self, event: AnyEvent) -> None:
        """Adds what one event has to tell."""
        row = self._row(event)
        if row is None:
            return
        pending = self.pending
        if pending:
            before = pending[-1]
            if _continues(before, row):
                text = f"{before[TEXT]}{row[TEXT]}"
                # The end of a long answer: the browser shows what is being said now.
                before[TEXT] = text[-MAX_TEXT:]
                return
        pending.append(row)

    def flush(self) -> list[PlayRow]:
        """The rows since the last flush; those that fit are kept."""
        batch = self.pending
        self.pending = []
        room = MAX_ROWS - len(self.kept)
        fitting = batch[:room]
        rest = batch[room:]
        self.kept += fitting
        self.beyond += len(rest)
        return batch

    def _text(self, value: object) -> str:
        if self.text_left <= 0:
            return "(not kept: the walk has too much text)"
        text = pretty(value)
        # Counted as shown: a message of a gigabyte takes no more than its beginning.
        self.text_left -= len(text)
        return text

    # -- rows --------------------------------------------------------------------------------------
    def _row(self, event: AnyEvent) -> PlayRow | None:
        at = round(event.at, 6)
        place = self.places.of(event.frame)
        match event.kind:
            case "frame.enter":
                self._enter(event)
                return None
            case "run.start":
                id = self.spot(place, "START").id
                name = clean(event.graph, MAX_LABEL)
                text = self._text(event.input)
                return [at, "0", id, id, name, text]
            case "run.end":
                id = self.spot(place, "END").id
                result = _result(event)
                text = self._text(result)
                return [at, "x", id, id, event.status, text]
            case "edge.send" | "edge.skip":
                return self._edge_row(event, at, place)
            case "limit.warning" | "cost.unknown":
                warning = _limit_warning(event)
                return [at, "w", "", "", "limit", warning]
            case "call.start":
                return self._call_row(event, at, place)
            case "call.end" | "call.error":
                return self._call_end_row(event, at, place)
        if getattr(event, "node", None) is None:
            return None
        return self._node_row(event, at, place)

    def _enter(self, event: AnyEvent) -> None:
        """A node of a frame entered one of its own: what happens there has its place from now on."""
        name = ""
        if event.path:
            innermost = event.path[-1]
            name = str(innermost)
        self.places.enter(event.frame, event.parent, name)

    def _edge_row(self, event: AnyEvent, at: float, place: FramePlace) -> PlayRow | None:
        """A message, or its tombstone, went along an edge: which one, and the ends of it in words."""
        if place.alone is not None:
            return None
        origin = getattr(event, "origin", "")
        port = getattr(event, "port", "")
        words = EdgeWords(origin, event.source, event.target, port)
        number = getattr(event, "edge", -1)
        index = self.places.edge(place, words, number)
        target = self.spot(place, event.target).id
        # What is drawn folded has no line of its own that a message could go along.
        if index is None or not target:
            return None
        source_name = clean(event.source, MAX_NAME)
        target_name = clean(event.target, MAX_NAME)
        label = f"{source_name} \u2192 {target_name}"
        edge = edge_id(place.level, index)
        is_skipped = event.kind == "edge.skip"
        return [at, ">", target, "", label, edge, is_skipped]

    def _node_row(self, event: AnyEvent, at: float, place: FramePlace) -> PlayRow | None:
        spot = self.spot(place, event.node)
        match event.kind:
            case "node.start" | "node.end" | "node.error" | "node.cancel" if place.owns(event.node):
                # A sub-agent alone in its frame: its call is in the picture, its own activation is not.
                return None
            case "node.start":
                text = self._text(event.input)
                number = _activation(event)
                return [at, "+", *spot, text, number]
            case "node.end" | "node.error" | "node.cancel":
                number = _activation(event)
                return self._end_row(event, at, spot, number)
            case "node.skip":
                reason = clean(event.why, MAX_REASON)
                return [at, "s", *spot, reason]
            case "approval.ask":
                return [at, "?", *spot, "waits for approval", event.key]
            case "approval":
                decision = "approved"
                if not event.granted:
                    refusal = f"not approved {event.why}"
                    decision = _reason(refusal.strip())
                return [at, "!", *spot, decision, event.key]
        home = Spot(spot.home, spot.home, spot.label)
        return self._model_row(event, at, home)

    def _model_row(self, event: AnyEvent, at: float, spot: Spot) -> PlayRow | None:
        """What a model says, and failures meanwhile: shown at its node, or at what that is folded into."""
        question = getattr(event, "question", 0)
        match event.kind:
            case "model.delta":
                words = clean(event.text, MAX_TEXT)
                text = scrub(words)
                number = _activation(event)
                return [at, "t", *spot, text, event.channel, number, question]
            case "model.end":
                tokens = event.input_tokens + event.output_tokens
                text = self._text(event.text)
                number = _activation(event)
                return [at, "m", *spot, text, event.model, tokens, number, question]
            case "node.retry" | "model.retry" | "model.switch":
                reason = _reason(event.error)
                return [at, "w", *spot, reason]
        return None

    def _call_row(self, event: AnyEvent, at: float, place: FramePlace) -> PlayRow:
        callee = self.places.callee(place, event.node, event.caller)
        key = (event.frame, event.call)
        self._callees[key] = callee
        drawn_caller = place.named(event.caller)
        drawn_callee = place.named(callee)
        edge = edge_id(place.level, (drawn_caller, drawn_callee))
        spot = self.spot(place, callee)
        text = self._text(event.input)
        number = _call(event)
        return [at, "+", *spot, text, number, edge]

    def _call_end_row(self, event: AnyEvent, at: float, place: FramePlace) -> PlayRow:
        key = (event.frame, event.call)
        callee = self._callees.pop(key, event.node)
        spot = self.spot(place, callee)
        number = _call(event)
        return self._end_row(event, at, spot, number)

    def _end_row(self, event: AnyEvent, at: float, spot: Spot, number: str) -> PlayRow:
        how, answer = _outcome(event)
        took = event.at - event.started
        seconds = round(took, 6)
        text = self._text(answer)
        # The number says which of several activations of one node this is.
        return [at, ".", *spot, text, number, how, seconds]


def _limit_warning(event: AnyEvent) -> str:
    """A warning of the whole run, in words."""
    if event.kind == "cost.unknown":
        return f"usd: the price of {event.model} is unknown"
    used = f"{event.used:g}"
    allowed = f"{event.value:g}"
    return f"{event.limit}: {used} of {allowed} used"


def _continues(before: PlayRow, row: PlayRow) -> bool:
    """Whether both are pieces of one answer, in one batch: all but the time and the text is the same."""
    if before[OP] != "t":
        return False
    if row[OP] != "t":
        return False
    where = slice(OP + 1, TEXT)
    if before[where] != row[where]:
        return False
    rest = slice(TEXT + 1, None)
    return before[rest] == row[rest]


def _result(event: AnyEvent) -> object:
    if event.error:
        return event.error
    if event.output is None:
        return ""
    return event.output


def _outcome(event: AnyEvent) -> Outcome:
    """How an activation or call ended, and its answer."""
    match event.kind:
        case "node.cancel":
            return STOPPED
        case "node.error" | "call.error":
            error = event.error
            if was_cancelled(error):
                return STOPPED
            return "failed", error_words(error)
    output = getattr(event, "output", None)
    return "done", output


def _activation(event: AnyEvent) -> str:
    return f"{event.frame}.{event.activation}"


def _call(event: AnyEvent) -> str:
    return f"{event.frame}c{event.call}"


def _id_of(drawn: Shape | Area, level: Level, node: str) -> str:
    """The id of what a node is drawn as: its own, or that of the row that it is folded into."""
    if isinstance(drawn, Area):
        return drawn.id
    if len(drawn.members) > 1:
        return drawn.id
    return node_id(level, node)
