"""Questions to a person, as the forms of a notebook draw them.

Rules:
1. What is asked is text to the browser, scrubbed and bounded in size.
2. Of an approval it is said what would be done, with each argument; nobody agrees to what is not shown, so what is left out is
   counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TypeAlias

from graphflow.journal.question import Question
from graphflow.messages.message import to_json_value
from graphflow.policy import effect_words
from graphflow.redaction import scrub
from graphflow.render.talk import plain_text

Data: TypeAlias = dict[str, object]
"""What goes to the browser and comes from there, as JSON."""
MAX_LINE = 2_000
"""Characters of one line of a question that are shown."""
NOT_ASKED = ("time", "message")
"""Questions that no person answers."""


def shown_questions(questions: Iterable[Question]) -> list[Data]:
    """What people are asked: `id`, `about`, `title`, `lines`, `schema`; of an approval also `arguments`, JSON that may be edited."""
    shown: list[Data] = []
    for question in questions:
        if question.about == "approval":
            approval = _approval(question)
            shown.append(approval)
        elif question.about not in NOT_ASKED:
            head = _head(question)
            lines = _lines(question.message)
            drawn = _drawn(question, head, lines)
            shown.append(drawn)
    return shown


def waited_for(questions: Iterable[Question]) -> list[str]:
    """What else is waited for: the clock, messages of other programs; a line each."""
    lines: list[str] = []
    for question in questions:
        if question.about not in NOT_ASKED:
            continue
        what = "the clock" if question.about == "time" else "a message from elsewhere"
        line = f"{_head(question)} waits for {what}"
        due = question.due
        if due is not None:
            moment = due.isoformat(timespec="seconds")
            line += f", until {moment}"
        shown = bounded_line(line)
        lines.append(shown)
    return lines


def bounded_line(words: str) -> str:
    """A text as it may be shown: without secrets, and not too long; what is left out is counted."""
    # Scrubbed before it is cut: half a secret would not be known as one.
    shown = scrub(words)
    more = len(shown) - MAX_LINE
    if more <= 0:
        return shown
    return f"{shown[:MAX_LINE]}... and {more} characters that are not shown here"


def _head(question: Question) -> str:
    """Who asks."""
    graphs = " > ".join(question.path)
    return f"{question.node} (in {graphs})"


def _drawn(question: Question, title: str, lines: list[str]) -> Data:
    shown_title = bounded_line(title)
    schema = to_json_value(question.schema)
    return {
        "id": question.id,
        "about": question.about,
        "title": shown_title,
        "lines": lines,
        "schema": schema,
    }


def _approval(question: Question) -> Data:
    """What would be done, and with which arguments."""
    # As runtime/consent.py asks it.
    asked = question.message
    arguments = to_json_value(asked["arguments"])
    lines = _lines(arguments)
    words = effect_words(asked["effects"])
    if words:
        lines.insert(0, f"It {words}.")
    head = _head(question)
    shown = _drawn(question, f"{head} needs approval", lines)
    written = json.dumps(arguments, ensure_ascii=False, indent=1)
    # What is not shown as it is must not come back changed.
    if bounded_line(written) == written:
        shown["arguments"] = written
    return shown


def _lines(message: object) -> list[str]:
    plain = to_json_value(message)
    if not isinstance(plain, dict):
        words = plain_text(plain)
        return [bounded_line(words)]
    lines: list[str] = []
    for name, value in plain.items():
        words = plain_text(value)
        line = bounded_line(f"{name}: {words}")
        lines.append(line)
    return lines
