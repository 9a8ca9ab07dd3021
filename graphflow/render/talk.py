"""What agents and their models said, turn by turn, as far as a run's events tell it.

An event tells a model's text, its thinking, and what it called.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from graphflow.declaration.handoffs import Handover
from graphflow.messages.message import to_json_value
from graphflow.render.xml import clean, error_words, was_cancelled

LONGEST = 6_000
"""Characters of one text that are told."""
LINE = 88
"""Characters of JSON that still stand on one line."""
MOST_TALKS, MOST_TURNS = 200, 120


@dataclass(slots=True)
class Turn:
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
    turns: list[Turn] = field(default_factory=list)
    answer: str = ""
    how: str = "running"
    hidden: int = 0
    asked: bool = False


def spelled(value: Any, limit: int = LONGEST) -> str:
    """A message as a person reads it: text as it is, everything else as indented JSON."""
    if value is None:
        return ""
    return clean(value if isinstance(value, str) else json_text(value), limit)


def json_text(value: Any) -> str:
    """A value as JSON: on one line if it fits, else indented; a hand-over in words, with the message that it carries."""
    plain = to_json_value(value)
    if isinstance(value, Handover) or _is_handover(plain):
        return f"hands over to {plain['target']}\n{spelled(plain['message'])}"
    line = json.dumps(plain, ensure_ascii=False)
    return line if len(line) <= LINE else json.dumps(plain, ensure_ascii=False, indent=1)


def _is_handover(plain: Any) -> bool:
    """Whether recorded data has the form of a hand-over."""
    return (
        isinstance(plain, dict) and plain.keys() == {"target", "message", "turns"} and isinstance(plain["target"], str)
    )


class _Listening:
    """The talks while their events are read."""

    def __init__(self) -> None:
        self.paths: dict[int, tuple[str, ...]] = {}
        self.talks: dict[tuple[int, int], Talk] = {}
        self.calls: dict[tuple[int, int], Turn] = {}

    def take(self, event: Any) -> None:
        kind = event.kind
        if kind == "run.start":
            self.paths[0] = (str(event.graph),)
        elif kind == "frame.enter":
            self.paths[event.frame] = tuple(str(name) for name in event.path)
        elif kind == "node.start":
            path = self.paths.get(event.frame, ())
            self.talks[event.frame, event.activation] = Talk(str(event.node), path, spelled(event.input), event.at)
        elif (talk := self.talks.get((event.frame, getattr(event, "activation", -1)))) is not None:
            self.within(talk, event)

    def within(self, talk: Talk, event: Any) -> None:
        match event.kind:
            case "model.end":
                talk.asked = True
                thought = clean(str(getattr(event, "thinking", "") or ""), LONGEST)
                tokens = int(event.input_tokens or 0) + int(event.output_tokens or 0)
                text = clean(str(event.text), LONGEST)
                took = event.at - event.started
                calls = int(getattr(event, "calls", 0) or 0)
                self.add(
                    talk, Turn("model", str(event.model), text, "", str(event.finish), thought, took, tokens, calls)
                )
            case "call.start":
                turn = self.calls[event.frame, event.call] = Turn("call", str(event.node), given=spelled(event.input))
                self.add(talk, turn)
            case "call.end" | "call.error":
                self.answer(event)
            case "node.end":
                talk.answer, talk.how = spelled(event.output), "done"
            case "node.error":
                talk.answer, talk.how = clean(error_words(event.error), LONGEST), "failed"
            case "node.cancel":
                talk.how = "cancelled"
            case _:
                self.aside(talk, event)

    def aside(self, talk: Talk, event: Any) -> None:
        """What happened on the way."""
        match event.kind:
            case "node.retry" | "model.retry" | "model.switch":
                words = {"model.switch": "another model took over", "model.retry": "the model was asked again"}
                self.add(talk, Turn("note", words.get(event.kind, "tried again"), clean(str(event.error), 600)))
            case "handoff":
                self.add(talk, Turn("note", "handed over", f"to {event.target}"))
            case "approval":
                granted = "approved" if event.granted else "not approved"
                self.add(talk, Turn("note", granted, clean(f"{event.node} {event.why}".strip(), 600)))
            case _:
                pass

    def answer(self, event: Any) -> None:
        turn = self.calls.pop((event.frame, event.call), None)
        if turn is None:
            return
        turn.seconds = event.at - event.started
        done = event.kind == "call.end"
        if done:
            turn.how, turn.text = "done", spelled(event.output)
        elif was_cancelled(event.error):
            turn.how, turn.text = "cancelled", "stopped by the walk"
        else:
            turn.how, turn.text = "failed", clean(error_words(event.error), LONGEST)

    def add(self, talk: Talk, turn: Turn) -> None:
        if len(talk.turns) < MOST_TURNS:
            talk.turns.append(turn)
        else:
            talk.hidden += 1


def read_talks(events: Iterable[Any]) -> tuple[list[Talk], int]:
    """The talks in the order in which they began, and how many more there were than are told."""
    listening = _Listening()
    for event in events:
        listening.take(event)
    talks = [talk for talk in listening.talks.values() if talk.asked]
    return talks[:MOST_TALKS], max(0, len(talks) - MOST_TALKS)
