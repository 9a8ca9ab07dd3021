"""Entries: what a store holds for a run until the run has taken it, answers to questions and messages that were sent.

    editor-1f0c2d3e          the answer to a question
    editor-1f0c2d3e 2        another one, as the run has refused the first
    message 5b1c... payment  a message for the node `payment`

Rules:
1. An entry never changes, and there is one of each name. What the run has taken, and what it has refused, stands in its
   record; so nothing is taken twice, by whichever process.
2. Messages are taken in the order in which they came.
3. A model is kept with the name of its class, so that it comes back as the arm of a union that it was.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_hex

from pydantic import BaseModel

from graphflow.events import QuestionAsked
from graphflow.journal.codec.secrets import reveal
from graphflow.journal.stored import StoredAnswer
from graphflow.messages.message import to_json_value
from graphflow.messages.types import type_name

_MESSAGE = "message "
_TOKEN_LENGTH = 32
"""Characters by which a message is told from others; they stand before the name of its node."""
_ARM = "$arm"
_WITH_ARM = frozenset({_ARM, "value"})


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody has answered.

    Attributes:
        value: the answer.
        arm: the name of the class that it is of; "": nobody said.
        by: who answered; "" if nobody said.
        entry: its name in the store; "": it did not come from there.
    """

    value: object
    arm: str = ""
    by: str = ""
    entry: str = ""


def answer_entry(question: str, refused: int = 0) -> str:
    """The name of the answer to a question of which so many answers were refused."""
    if not refused:
        return question
    number = refused + 1
    return f"{question} {number}"


def message_entry(node: str, key: str = "") -> str:
    """The name of a message to a node; with a key, the same for the same message."""
    if key:
        token = _digest(key)[:_TOKEN_LENGTH]
    else:
        token = token_hex(_TOKEN_LENGTH // 2)
    return f"{_MESSAGE}{token} {node}"


def _digest(key: str) -> str:
    # A key may be any text, half a character too.
    content = key.encode(errors="surrogatepass")
    return sha256(content).hexdigest()


def is_message(entry: str) -> bool:
    """Whether it is a message, and no answer to one question."""
    return entry.startswith(_MESSAGE)


def _is_message_to(node: str, entry: str) -> bool:
    if not is_message(entry):
        return False
    token, _, name = entry.removeprefix(_MESSAGE).partition(" ")
    return name == node and len(token) == _TOKEN_LENGTH


def entries_for(
    asked: QuestionAsked, refused: int, answers: Mapping[str, StoredAnswer], taken: Container[str]
) -> Iterator[StoredAnswer]:
    """What a store holds for a question, the first one first. What came when it had answered itself came too late."""
    for answer in _candidates(asked, refused, answers):
        is_late = asked.due is not None and answer.at > asked.due
        if answer.question not in taken and not is_late:
            yield answer


def _candidates(
    asked: QuestionAsked, refused: int, answers: Mapping[str, StoredAnswer]
) -> Iterator[StoredAnswer]:
    """What may be for a question, whether it was taken already or not."""
    # An answer to this very question first, whatever lies in the box of its node.
    for number in range(refused + 1):
        name = answer_entry(asked.question, number)
        if name in answers:
            yield answers[name]
    if asked.about != "message":
        return
    for name, answer in answers.items():
        if _is_message_to(asked.node, name):
            yield answer


def entry_text(value: object, arm: str = "") -> str:
    """An answer as a store keeps it."""
    if not arm and isinstance(value, BaseModel):
        arm = type_name(type(value))
    data = to_json_value(value)
    if arm:
        data = {_ARM: arm, "value": data}
    return json.dumps(data)


def entry_value(answer: StoredAnswer) -> Given:
    """The answer that a store has kept."""
    value = json.loads(reveal(answer.value))
    arm = ""
    if isinstance(value, dict) and value.keys() == _WITH_ARM:
        arm = str(value[_ARM])
        value = value["value"]
    return Given(value, arm, answer.by, answer.question)
