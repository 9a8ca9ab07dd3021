"""Answers: what somebody has said, read by the type that a question asks for.

Rules:
1. What does not fit is not an answer, and the text says why.
2. Of a union the arm that was named counts. Where nobody has named one, and plain data fits several models equally well, it
   is not an answer either: an approval and a refusal may have the same fields.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from graphflow.errors import AnswerInvalid
from graphflow.journal.entries import Given
from graphflow.messages.types import Type, adapter_of, arms, output_check, type_name
from graphflow.redaction import scrub


def read_answer(id: str, given: Given, kind: Type) -> Any:
    """An answer as its type wants it.

    Args:
        id: the question's.
        given: what somebody has said.
        kind: the type.

    Raises:
        AnswerInvalid: it does not fit; the text names each field.
    """
    value = given.value
    if given.arm:
        kind = _arm(id, given.arm, kind)
    else:
        expected, fits = output_check(kind)
        if type(value) is expected or fits is None or fits(value):
            return value
        if isinstance(value, dict):
            kind = _only_arm(id, value, kind)
    try:
        return _validated(given, kind)
    except ValueError as error:
        raise AnswerInvalid(id, type_name(kind), _reason(error)) from None


def _validated(given: Given, kind: Type) -> Any:
    adapter = adapter_of(kind)
    # What a store has kept is JSON: a strict model takes a time as text from there, and from nowhere else.
    if given.entry:
        return adapter.validate_json(json.dumps(given.value))
    return adapter.validate_python(given.value)


def _arm(id: str, name: str, kind: Type) -> Type:
    """The arm of that name; a type that is not a union is its own, whatever it is called."""
    kinds = arms(kind)
    if len(kinds) == 1:
        return kind
    for member in kinds:
        if type_name(member) == name:
            return member
    names = ", ".join(map(type_name, kinds))
    problem = f"it has no arm {name!r}; its arms are {names}"
    raise AnswerInvalid(id, type_name(kind), problem)


def _only_arm(id: str, data: dict[str, Any], kind: Type) -> Type:
    """The model of a union that plain data is meant for; the union itself, if there is no doubt."""
    fitting = _models_for(data, kind)
    if len(fitting) < 2:
        return kind
    best: list[type[BaseModel]] = []
    most = 0
    for model in fitting:
        count = _fields_in(model, data)
        if count > most:
            best.clear()
            most = count
        if count == most:
            best.append(model)
    if len(best) == 1:
        return best[0]
    names = [type_name(model) for model in best]
    alike = " and ".join(names)
    example = f"arm={names[0]!r}"
    problem = f"it fits {alike} alike; say which is meant: {example}"
    raise AnswerInvalid(id, type_name(kind), problem)


def _models_for(data: dict[str, Any], kind: Type) -> list[type[BaseModel]]:
    """The models of a union that data would be taken for."""
    fitting: list[type[BaseModel]] = []
    text = json.dumps(data, default=str)  # as JSON, which strict models take, too
    for member in arms(kind):
        if not isinstance(member, type) or not issubclass(member, BaseModel):
            continue
        try:
            adapter_of(member).validate_json(text)
        except ValueError:
            continue
        fitting.append(member)
    return fitting


def _fields_in(model: type[BaseModel], data: dict[str, Any]) -> int:
    """How many keys of the data are fields of a model."""
    count = 0
    for name, field in model.model_fields.items():
        is_given = name in data or field.alias in data
        if is_given:
            count += 1
    return count


def _reason(error: ValueError) -> str:
    """What is wrong, in a line."""
    text = scrub(str(error))
    lines: list[str] = []
    for line in text.splitlines()[1:]:  # the first one counts the others
        if not line.startswith("    For further"):
            lines.append(line.strip())
    return "; ".join(lines) or text
