"""Typed output of a model: the schema it is shown, and how its text becomes a value again."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from graphflow.errors import OutputInvalid
from graphflow.messages.types import Type, adapter_of, type_name
from graphflow.model.reply import Reply, fenced_blocks

WRAPPER = "result"
"""The field that carries what is not a JSON object itself: providers want an object at the root of a schema."""


@lru_cache(maxsize=1024)
def output_schema(kind: Type) -> tuple[dict[str, Any] | None, bool]:
    """The JSON schema of an output type and whether it is wrapped in an object; None for free text."""
    if kind is str or kind is Any:
        return None, False
    schema = adapter_of(kind).json_schema()
    wrapped = schema.get("type") != "object"
    if wrapped:
        definitions = schema.pop("$defs", None)  # references are written from the root
        schema = {"type": "object", "properties": {WRAPPER: schema}, "required": [WRAPPER]}
        if definitions:
            schema["$defs"] = definitions
    _close(schema)
    return schema, wrapped


_VALUES = ("default", "examples", "const", "enum")
"""Keys of a schema behind which values stand, not schemas."""


def _close(schema: object) -> None:
    """Objects take no fields but their own: small models invent keys until their tokens run out otherwise."""
    todo = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo += part
        if not isinstance(part, dict):
            continue
        if part.get("type") == "object" and "properties" in part:
            part.setdefault("additionalProperties", False)
        if isinstance(part.get("title"), str):
            del part["title"]
        for key, value in part.items():
            if key not in _VALUES:
                todo.append(value)


def read_answer(reply: Reply, kind: Type, *, limited: bool, agent: str) -> Any:
    """The answer that a reply without calls is.

    Args:
        reply: the whole reply.
        kind: the output type.
        limited: whether the agent says how long an answer may be.
        agent: who asked.

    Raises:
        OutputInvalid: it is empty, does not fit the output type, or was cut off and nobody asked for a short one.
    """
    schema, wrapped = output_schema(kind)
    is_cut = reply.finish == "length"
    if not reply.text.strip() and not is_cut:
        raise OutputInvalid(_describe_silence(reply))
    if schema is None:
        limited = limited or reply.limited
        if is_cut and not (limited and reply.text.strip()):
            raise _cut_off(reply, agent)
        return reply.text
    try:
        return read_output(reply.text, kind, wrapped)
    except OutputInvalid:
        if not is_cut:
            raise
    raise OutputInvalid(
        f"the answer was cut off at the model's token limit; raise Agent({agent!r}, max_tokens=...)"
    )


def _cut_off(reply: Reply, agent: str) -> OutputInvalid:
    written = len(reply.text)
    error = OutputInvalid(
        f"agent {agent!r}: the answer was cut off at the model's token limit after {written} characters; "
        f"raise Agent({agent!r}, max_tokens=...); with a limit of your own a cut answer is taken as it is"
    )
    error.attempts = (reply.text,)
    return error


def _describe_silence(reply: Reply) -> str:
    """What is wrong with a reply that has no words."""
    if reply.thinking.strip():
        return "the answer was empty: there was reasoning, and nothing behind it"
    return "the answer was empty"


def read_output(text: str, kind: Type, wrapped: bool) -> Any:
    """The value that a model's text spells.

    Raises:
        OutputInvalid: it is not JSON, or does not fit; the text can be shown to the model.
    """
    data = _json_in(text, kind)
    # Small models leave the wrapper out; what they write is read all the same.
    if wrapped and isinstance(data, dict) and set(data) == {WRAPPER}:
        data = data[WRAPPER]
    try:
        return adapter_of(kind).validate_python(data)
    except ValidationError:
        pass
    try:
        # As JSON: a strict model takes a date as a text there.
        return adapter_of(kind).validate_json(to_json(data))
    except ValidationError as error:
        details = "; ".join(map(_describe, error.errors()))
        wanted = type_name(kind)
        raise OutputInvalid(f"the answer does not fit {wanted}: {details}") from None


def _describe(error: ErrorDetails) -> str:
    steps = map(str, error["loc"])
    place = ".".join(steps) or "answer"
    return f"{place}: {error['msg']}"


def _json_in(text: str, kind: Type) -> Any:
    """The JSON in a text: all of it, what stands between fences, or what stands between brackets."""
    candidates = [text, *fenced_blocks(text)]
    # Words before and behind it: "Here is the JSON: {...} I hope it helps."
    opening = re.search(r"[{\[]", text)
    end = max(text.rfind("}"), text.rfind("]"))
    if opening is not None and opening.start() < end:
        begin = opening.start()
        candidates.append(text[begin : end + 1])
    for candidate in candidates:
        try:
            return from_json(candidate.strip())
        except ValueError:
            continue
    wanted = type_name(kind)
    beginning = text[:200]
    raise OutputInvalid(f"the answer is not JSON, and {wanted} was asked for: {beginning!r}")
