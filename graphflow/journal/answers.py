"""Answers from anywhere: a question of a run that is kept is answered without its graph, by its JSON schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from graphflow.errors import AnswerExists, AnswerInvalid, QuestionUnknown
from graphflow.events import AnswerRefused, QuestionAnswered, QuestionAsked
from graphflow.journal.entries import answer_entry, entry_text, is_message, message_entry
from graphflow.journal.question import open_questions, unknown_question
from graphflow.journal.record import StoredRecord, read_record
from graphflow.journal.store import Store
from graphflow.messages.message import to_json_value
from graphflow.redaction import scrub

_OVER = ("completed", "failed")


async def answer_question(
    store: Store, run: str, name: str, value: object, arm: str, by: str
) -> None:
    """Puts down the answer to a question, for the next sitting of its run, or for the one that goes on.

    Raises:
        QuestionUnknown: no such question is open.
        AnswerExists: somebody has answered it already.
        AnswerInvalid: it does not fit the question's schema.
    """
    record = await _record(store, run)
    asked = _open_question(record, name)
    _check(asked, value)
    if asked.due is not None and asked.due < await store.now():
        raise QuestionUnknown(
            f"question {asked.question!r} of run {run!r} has answered itself: it was due before now"
        )
    refused = _refused_answers(record, asked.question)
    entry = answer_entry(asked.question, refused)
    text = entry_text(value, arm)
    await store.put_answer(run, entry, text, by)


def _refused_answers(record: StoredRecord, question: str) -> int:
    """How many answers to a question its run has refused. Messages are counted by nobody: each has a name of its own."""
    count = 0
    for event in record.events:
        if not isinstance(event, AnswerRefused) or event.question != question:
            continue
        if not is_message(event.entry):
            count += 1
    return count


async def send_message(
    store: Store, run: str, node: str, message: object, key: str, arm: str, by: str
) -> None:
    """Puts down a message for a node that receives it, now or later.

    Raises:
        QuestionUnknown: the run has ended.
        AnswerInvalid: the node waits for something else.
    """
    record = await _record(store, run)
    # Of one that is not asked yet nobody can tell what it is to be: the branch that asks for it reads it.
    for asked in open_questions(record.events):
        if asked.node == node and asked.about == "message":
            _check(asked, message)
    entry = message_entry(node, key)
    text = entry_text(message, arm)
    with suppress(AnswerExists):  # the very same message was sent before
        await store.put_answer(run, entry, text, by)


async def _record(store: Store, run: str) -> StoredRecord:
    """What is kept of a run that has not ended.

    Raises:
        QuestionUnknown: it has.
    """
    header = await store.header(run)
    if header.status in _OVER:
        raise QuestionUnknown(
            f"run {run!r} has ended ({header.status}); nobody waits for an answer any more"
        )
    return await read_record(store, header, None)


def _open_question(record: StoredRecord, name: str) -> QuestionAsked:
    """The question of that id, or the only open one of a node of that name."""
    run = record.header.id
    for event in record.events:
        if isinstance(event, QuestionAnswered) and event.question == name:
            moment = record.header.began + event.at
            raise AnswerExists(run, name, event.by, moment)
    still_open = open_questions(record.events)
    found = [asked for asked in still_open if name in (asked.question, asked.node)]
    if len(found) == 1:
        return found[0]
    questions = [asked.question for asked in still_open]
    raise unknown_question(name, questions, run)


def _check(asked: QuestionAsked, value: object) -> None:
    """Refuses a value that does not fit a question's schema, where something can tell: the branch reads it by its type."""
    if asked.about == "approval":  # of which a plain word is an answer, too
        return
    # Somebody does not want to answer.
    if asked.about == "elicitation" and (value is None or value is False):
        return
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        return
    schema = dict(asked.schema)
    data = to_json_value(value)
    problems = Draft202012Validator(schema).iter_errors(data)
    # In an order of our own, so that the same answer is refused with the same words.
    first = min(problems, key=str, default=None)
    if first is not None:
        where = "".join(f"[{part!r}]" for part in first.absolute_path)
        problem = scrub(f"{where} {first.message}")
        raise AnswerInvalid(asked.question, _wanted(schema), problem.strip())


def _wanted(schema: Mapping[str, Any]) -> str:
    """What a schema asks for, in a few words: the names of its types."""
    arms = schema.get("anyOf") or schema.get("oneOf")
    if arms:
        return " | ".join(map(_wanted, arms))
    if "$ref" in schema:
        name: str = schema["$ref"].rpartition("/")[2]
        return name
    named = schema.get("title") or schema.get("type")
    if isinstance(named, str):
        return named
    text = json.dumps(schema)
    return text[:200]
