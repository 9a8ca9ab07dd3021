"""The message that a command line means, for one graph.

Rules:
1. JSON is taken as it is; text goes to a graph that takes text, or into the one field of a model that can have been meant.
2. Nothing is guessed: where a text could belong to several fields, the error shows the JSON to give instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import BaseModel

from graphflow.errors import InputInvalid
from graphflow.graph import RunnableGraph
from graphflow.messages.media import Media
from graphflow.messages.types import Type, arms, type_name

MessageClass: TypeAlias = type[BaseModel]
Assignments: TypeAlias = Mapping[str, str]
"""What was given as `--set NAME=VALUE`."""


def read_message(
    graph: RunnableGraph, text: str | None, settings: Assignments | None = None
) -> object:
    """The message that a command line means: JSON, or text for a graph that takes text or has one field for it.

    Raises:
        InputInvalid: it cannot be read as what the graph takes.
    """
    kinds = arms(graph.input)
    takes_file = Media in kinds and not settings
    if takes_file and text is not None and not _looks_like_object(text):
        return Media.read(text)
    model = _only_model(kinds)
    if model is not None:
        return _read_fields(graph, model, text, settings or {})
    if settings:
        kind = type_name(graph.input)
        takes = _takes(graph, kind)
        raise InputInvalid(f"{takes}, which has no fields to set")
    return _read_plain(graph, text)


def _only_model(kinds: Sequence[Type]) -> MessageClass | None:
    """The one class of messages among these types; None if text might be meant as well, or one of several."""
    if str in kinds:
        return None
    models: list[MessageClass] = []
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            models.append(kind)
    if len(models) != 1:
        return None
    return models[0]


def _takes(graph: RunnableGraph, kind: str) -> str:
    """How every error about a message begins."""
    return f"graph {graph.name!r} takes {kind}"


def _looks_like_object(text: str) -> bool:
    start = text.lstrip()
    return start.startswith("{")


# -- a message without fields ----------------------------------------------------------------------
def _read_plain(graph: RunnableGraph, text: str | None) -> object:
    """Text for a graph that takes text, JSON for any other."""
    kind = type_name(graph.input)
    takes = _takes(graph, kind)
    if text is None:
        raise InputInvalid(f"{takes}; give it after the graph's name")
    takes_text = graph.input is Any or str in arms(graph.input)
    if takes_text:
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputInvalid(f"{takes} as JSON, and this is not JSON: {error}") from None


# -- a message with fields -------------------------------------------------------------------------
def _read_fields(
    graph: RunnableGraph, model: MessageClass, text: str | None, settings: Assignments
) -> dict[str, object]:
    """The fields of a model: what the text is read as, and those that were set."""
    fields = _read_settings(graph, model, settings)
    if text is not None and _looks_like_object(text):
        written = _read_object(graph, text)
        return written | fields
    takes = _takes(graph, model.__name__)
    if text is not None:
        name = _text_field(model, fields)
        if name is None:
            example = _example(model)
            raise InputInvalid(f"{takes} with several fields; give them as JSON: {example}")
        fields[name] = text
    missing = _missing_fields(model, fields)
    if missing:
        listed = ", ".join(missing)
        example = _example(model)
        raise InputInvalid(f"{takes} and lacks {listed}; give it as JSON: {example}")
    return fields


def _read_settings(
    graph: RunnableGraph, model: MessageClass, settings: Assignments
) -> dict[str, object]:
    known = model.model_fields
    for name in settings:
        if name in known:
            continue
        have = ", ".join(known)
        problem = f"{model.__name__} has no field {name!r}"
        raise InputInvalid(f"{problem}; graph {graph.name!r} takes: {have}")
    values: dict[str, object] = {}
    for name, text in settings.items():
        kinds = arms(known[name].annotation)
        values[name] = _read_value(name, text, kinds)
    return values


def _read_value(name: str, text: str, kinds: Sequence[Type]) -> object:
    """The value of one field: text as it is, a list or an object as JSON unless the field takes text."""
    looks_like_json = text.startswith(("[", "{"))
    if str in kinds or not looks_like_json:
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputInvalid(f"{name}={text} looks like JSON, and is not: {error}") from None


def _read_object(graph: RunnableGraph, text: str) -> dict[str, object]:
    try:
        fields: dict[str, object] = json.loads(text)
    except ValueError as error:
        whose = f"the input of graph {graph.name!r}"
        raise InputInvalid(f"{whose} looks like JSON, and is not: {error}") from None
    return fields


def _missing_fields(model: MessageClass, given: Mapping[str, object]) -> list[str]:
    """The required fields that were not given."""
    missing: list[str] = []
    for name, field in model.model_fields.items():
        if field.is_required() and name not in given:
            missing.append(name)
    return missing


def _text_field(model: MessageClass, given: Mapping[str, object]) -> str | None:
    """The field that plain text goes to: the only required text field, else the first text field."""
    texts = _text_fields(model, given)
    missing = _missing_fields(model, given)
    # Where all have defaults, the first text is what somebody would say.
    if texts and not missing:
        return texts[0]
    # With two fields missing, the text alone would not make the message, and might be meant for either.
    if len(missing) != 1:
        return None
    only = missing[0]
    if only not in texts:
        return None
    return only


def _text_fields(model: MessageClass, given: Mapping[str, object]) -> list[str]:
    """The fields that take text and nothing else, and were not given."""
    texts: list[str] = []
    for name, field in model.model_fields.items():
        if field.annotation is str and name not in given:
            texts.append(name)
    return texts


def _example(model: MessageClass) -> str:
    """What JSON for a model looks like, with the types in the places of values."""
    types: dict[str, str] = {}
    for name, field in model.model_fields.items():
        types[name] = type_name(field.annotation)
    example = json.dumps(types)
    return f"'{example}'"
