"""Answers from anywhere: a question of a run that is kept is answered without its graph, by its JSON schema."""

from __future__ import annotations

import json
from collections import Counter
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
    refused = Counter(
        event.question
        for event in record.events
        if isinstance(event, AnswerRefused) and not is_message(event.entry)
    )
    entry = answer_entry(asked.question, refused[asked.question])
    await store.put_answer(run, entry, entry_text(value, arm), by)


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
    entry, text = message_entry(node, key), entry_text(message, arm)
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
            raise AnswerExists(run, name, event.by, record.header.began + event.at)
    is_open = open_questions(record.events)
    found = [asked for asked in is_open if name in (asked.question, asked.node)]
    if len(found) == 1:
        return found[0]
    raise unknown_question(name, [asked.question for asked in is_open], run)


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
    problems = sorted(Draft202012Validator(schema).iter_errors(to_json_value(value)), key=str)
    if problems:
        first = problems[0]
        where = "".join(f"[{part!r}]" for part in first.absolute_path)
        raise AnswerInvalid(
            asked.question, _wanted(schema), scrub(f"{where} {first.message}").strip()
        )


def _wanted(schema: Mapping[str, Any]) -> str:
    """What a schema asks for, in a few words: the names of its types."""
    arms = schema.get("anyOf") or schema.get("oneOf")
    if arms:
        return " | ".join(map(_wanted, arms))
    if "$ref" in schema:
        name: str = schema["$ref"].rpartition("/")[2]
        return name
    named = schema.get("title") or schema.get("type")
    return named if isinstance(named, str) else json.dumps(schema)[:200]
