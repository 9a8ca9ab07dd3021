"""Answers from anywhere: a question of a run that is kept is answered without its graph, by its JSON schema."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from graphflow.errors import AnswerExists, AnswerInvalid, QuestionUnknown
from graphflow.events import QuestionAnswered, QuestionAsked, RunEnded
from graphflow.journal.record import read_record
from graphflow.journal.store import Store
from graphflow.messages.message import to_json_value


async def answer_question(store: Store, run: str, name: str, value: object, by: str) -> None:
    """Puts down the answer to a question, for the next sitting of its run, or for the one that goes on.

    Raises:
        QuestionUnknown: no such question is open.
        AnswerExists: somebody has answered it already.
        AnswerInvalid: it does not fit the question's schema.
    """
    asked = await _open_question(store, run, name)
    plain = to_json_value(value)
    if asked.about != "approval":  # of which a plain word is an answer, too
        _check(asked.question, asked.schema, plain)
    await store.put_answer(run, asked.question, json.dumps(plain), by)


async def _open_question(store: Store, run: str, name: str) -> QuestionAsked:
    """The question of that id, or the only open one of a node of that name."""
    header = await store.header(run)
    record = await read_record(store, header, None)
    asked: dict[str, QuestionAsked] = {}
    answered: dict[str, QuestionAnswered] = {}
    for event in record.events:
        if isinstance(event, QuestionAsked):
            asked[event.question] = event
        elif isinstance(event, QuestionAnswered):
            answered[event.question] = event
    if name in answered:
        answer = answered[name]
        raise AnswerExists(run, name, answer.by, header.began + answer.at)
    given = await store.answers(run)
    found = [
        event for event in asked.values() if event.question not in answered and name in (event.question, event.node)
    ]
    if len(found) == 1:
        return found[0]
    is_open = [
        event.question for event in asked.values() if event.question not in answered and event.question not in given
    ]
    last = record.events[-1] if record.entries else None
    if isinstance(last, RunEnded) and last.status in ("completed", "failed"):
        raise QuestionUnknown(f"run {run!r} has ended ({last.status}); nobody waits for an answer any more")
    names = ", ".join(map(repr, is_open)) or "none"
    raise QuestionUnknown(f"run {run!r} has no open question {name!r}; those that are open: {names}")


def _check(question: str, schema: Mapping[str, Any], value: object) -> None:
    """Refuses a value that does not fit a schema, where something can tell: the branch that asked reads it by its type."""
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        return
    problems: Sequence[Any] = sorted(Draft202012Validator(dict(schema)).iter_errors(value), key=str)
    if problems:
        first = problems[0]
        where = "".join(f"[{part!r}]" for part in first.absolute_path)
        raise AnswerInvalid(question, json.dumps(schema)[:200], f"{where} {first.message}".strip())
