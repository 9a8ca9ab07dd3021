"""What agents and their models said, turn by turn, as recorded in a run's events.

An event holds a model's text, its thinking, and what it called.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from graphflow.declaration.handoffs import Handover
from graphflow.plain import to_json_value
from graphflow.render.records import AnyEvent
from graphflow.render.xml import clean, error_words, was_cancelled

MAX_TEXT = 6_000
"""Characters of one text that are shown."""
MAX_NOTE = 600
JSON_LINE = 88
"""Characters of JSON that still stand on one line."""
MAX_TALKS = 200
MAX_TURNS = 120


@dataclass(slots=True)
class TalkTurn:
    """One thing said or done: by the model, by what it called, or a note of what went wrong on the way."""

    what: Literal["model", "call", "note"]
    name: str
    text: str = ""
    given: str = ""
    how: str = "running"
    thinking: str = ""
    seconds: float | None = None
    tokens: int = 0
    calls: int = 0


@dataclass(slots=True)
class Talk:
    """One activation of a node that asked a model."""

    node: str
    path: tuple[str, ...]
    given: str
    at: float
    turns: list[TalkTurn] = field(default_factory=list)
    answer: str = ""
    how: str = "running"
    hidden: int = 0
    asked: bool = False

    def add(self, turn: TalkTurn) -> None:
        """Adds a turn, or counts it where there are too many."""
        if len(self.turns) < MAX_TURNS:
            self.turns.append(turn)
        else:
            self.hidden += 1

    def note(self, name: str, text: str) -> None:
        """Adds a note."""
        turn = TalkTurn("note", name, text)
        self.add(turn)


def message_text(value: object, limit: int = MAX_TEXT) -> str:
    """A message as a person reads it: text as it is, everything else as indented JSON."""
    if value is None:
        return ""
    text = plain_text(value)
    return clean(text, limit)


def plain_text(value: object) -> str:
    """A value as text: text as it is, everything else as JSON."""
    if isinstance(value, str):
        return value
    return json_text(value)


def json_text(value: object) -> str:
    """A value as JSON: on one line if it fits, else indented; a hand-over in words, with the message that it carries."""
    plain = to_json_value(value)
    # A run has the object, a record only what became of it.
    if isinstance(value, Handover) or _is_handover(plain):
        target = plain["target"]
        message = message_text(plain["message"])
        return f"hands over to {target}\n{message}"
    line = json.dumps(plain, ensure_ascii=False)
    if len(line) <= JSON_LINE:
        return line
    return json.dumps(plain, ensure_ascii=False, indent=1)


def _is_handover(plain: object) -> bool:
    """Whether recorded data has the form of a hand-over."""
    if not isinstance(plain, dict):
        return False
    if plain.keys() != {"target", "message", "turns"}:
        return False
    return isinstance(plain["target"], str)


def read_talks(events: Iterable[AnyEvent]) -> tuple[list[Talk], int]:
    """The talks in the order in which they began, and how many more there were than are shown."""
    reader = _TalkReader()
    for event in events:
        reader.take(event)
    # An activation that asked no model has nothing to say.
    talks = [talk for talk in reader.talks.values() if talk.asked]
    shown = talks[:MAX_TALKS]
    left = len(talks) - len(shown)
    return shown, left


class _TalkReader:
    """The talks while their events are read.

    Attributes:
        paths: the names of the frames around each frame, by its number.
        talks: by frame and activation.
        calls: calls that have not ended, by frame and number.
    """

    def __init__(self) -> None:
        self.paths: dict[int, tuple[str, ...]] = {}
        self.talks: dict[tuple[int, int], Talk] = {}
        self.calls: dict[tuple[int, int], TalkTurn] = {}

    def take(self, event: AnyEvent) -> None:
        match event.kind:
            case "run.start":
                name = str(event.graph)
                self.paths[0] = (name,)
            case "frame.enter":
                names = map(str, event.path)
                self.paths[event.frame] = tuple(names)
            case "node.start":
                node = str(event.node)
                path = self.paths.get(event.frame, ())
                given = message_text(event.input)
                key = (event.frame, event.activation)
                self.talks[key] = Talk(node, path, given, event.at)
            case _:
                # Events of the run and its frames have no activation.
                activation = getattr(event, "activation", -1)
                key = (event.frame, activation)
                begun = self.talks.get(key)
                if begun is not None:
                    self._within(begun, event)

    def _within(self, talk: Talk, event: AnyEvent) -> None:
        """What happens within an activation."""
        match event.kind:
            case "model.end":
                talk.asked = True
                answer = _model_turn(event)
                talk.add(answer)
            case "call.start":
                name = str(event.node)
                given = message_text(event.input)
                call = TalkTurn("call", name, given=given)
                self.calls[event.frame, event.call] = call
                talk.add(call)
            case "call.end" | "call.error":
                self._call_ended(event)
            case "node.end":
                talk.answer = message_text(event.output)
                talk.how = "done"
            case "node.error":
                error = error_words(event.error)
                talk.answer = clean(error, MAX_TEXT)
                talk.how = "failed"
            case "node.cancel":
                talk.how = "cancelled"
            case _:
                _add_note(talk, event)

    def _call_ended(self, event: AnyEvent) -> None:
        key = (event.frame, event.call)
        turn = self.calls.pop(key, None)
        if turn is None:
            return
        turn.seconds = event.at - event.started
        if event.kind == "call.end":
            turn.how = "done"
            turn.text = message_text(event.output)
        elif was_cancelled(event.error):
            turn.how = "cancelled"
            turn.text = "stopped by the walk"
        else:
            turn.how = "failed"
            error = error_words(event.error)
            turn.text = clean(error, MAX_TEXT)


def _model_turn(event: AnyEvent) -> TalkTurn:
    thinking = getattr(event, "thinking", "") or ""
    calls = getattr(event, "calls", 0) or 0
    read = int(event.input_tokens or 0)
    written = int(event.output_tokens or 0)
    return TalkTurn(
        "model",
        str(event.model),
        text=clean(str(event.text), MAX_TEXT),
        how=str(event.finish),
        thinking=clean(str(thinking), MAX_TEXT),
        seconds=event.at - event.started,
        tokens=read + written,
        calls=int(calls),
    )


def _reason(event: AnyEvent) -> str:
    error = str(event.error)
    return clean(error, MAX_NOTE)


def _add_note(talk: Talk, event: AnyEvent) -> None:
    """What happened on the way."""
    match event.kind:
        case "node.retry":
            talk.note("tried again", _reason(event))
        case "model.retry":
            talk.note("the model was asked again", _reason(event))
        case "model.switch":
            talk.note("another model took over", _reason(event))
        case "compaction.end":
            left_out = f"{event.turns_shown} of {event.left_out['of']} turns are still shown"
            talk.note("something was left out", f"{left_out}, about {event.tokens:,} tokens")
        case "handoff":
            talk.note("handed over", f"to {event.target}")
        case "approval":
            answer = "approved" if event.granted else "not approved"
            why = f"{event.node} {event.why}".strip()
            talk.note(answer, clean(why, MAX_NOTE))
