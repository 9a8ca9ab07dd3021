"""Open questions on a terminal: what is asked is shown, and the answer is typed in by its JSON schema, field by field.

    graphflow: 'editor' (in desk) asks:
        text (str): "Bees can fly."
    1 Approved  2 Rejected
    which? [1] 2
    why (text): too short

Rules:
1. What does not fit is asked for again, with what is wrong. An empty line takes what stands in brackets.
2. Where the input ends, nobody answers, and the question stays open. An approval takes a clear yes.
3. What was typed before the question was on the screen does not answer it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias

from graphflow.cli.approvals import argument_lines, consent_of, head_of, shown
from graphflow.cli.terminal import ask_line, forget_typed, say
from graphflow.journal.entries import Given
from graphflow.journal.question import Question
from graphflow.messages.message import to_json_value
from graphflow.policy import Approval, edit

Schema: TypeAlias = Mapping[str, object]
Aside: TypeAlias = Callable[[], AbstractContextManager[object]]
MAX_DEPTH = 4
"""Models within models that are asked for field by field; what lies deeper is typed as JSON."""
_NOTHING = object()
"""No value: there is no default, or a field is left out."""


async def answer_to(question: Question, aside: Aside | None = None) -> Given | None:
    """The answer that somebody types; None: the input has ended, and nobody answers.

    Args:
        question: what is asked.
        aside: takes away what is drawn on the screen while the question stands there.
    """
    if aside is not None:
        with aside():
            return await answer_to(question)
    forget_typed()
    try:
        if question.about == "approval":
            return Given(await _approval(question))
        say(head_of(question.node, question.path, "asks:"))
        for line in argument_lines(question.message):
            say(f"    {line}")
        form = _Form(question.schema)
        arm, schema = await form.arm()
        return Given(await form.value(schema, "answer", 0), arm)
    except EOFError:
        return None


async def _approval(question: Question) -> Approval:
    """A consent, as for calls that are asked about while the walk goes on."""
    asked = question.message if isinstance(question.message, Mapping) else {}
    arguments = asked.get("arguments")
    say(head_of(question.node, question.path, "needs approval:"))
    for line in argument_lines(arguments):
        say(f"    {line}")
    return await consent_of(lambda: edited(arguments))


async def edited(arguments: object) -> Approval:
    """Other arguments, each with what it is now."""
    plain = to_json_value(arguments)
    form = _Form({})
    if not isinstance(plain, dict):
        return edit(await form.value({}, "arguments", 0, plain))
    changed: dict[str, object] = {}
    for name, value in plain.items():
        schema = {"type": "string"} if isinstance(value, str) else {}
        changed[name] = await form.value(schema, name, 0, value)
    return edit(changed)


class _Form:
    """Asks for values by their schemas.

    Args:
        whole: the schema of the answer, in which others are named.
    """

    def __init__(self, whole: Schema) -> None:
        self.whole = whole

    # -- schemas -------------------------------------------------------------------------------------------------------
    def _resolved(self, schema: Schema) -> Schema:
        """A schema, or what it names: `{"$ref": "#/$defs/Draft"}`."""
        name = schema.get("$ref")
        if not isinstance(name, str):
            return schema
        found: object = self.whole
        for part in name.removeprefix("#/").split("/"):
            found = found.get(part, {}) if isinstance(found, Mapping) else {}
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return {**found, **rest} if isinstance(found, Mapping) else rest

    def _arms(self, schema: Schema) -> list[Schema]:
        """The arms of a union, resolved."""
        arms = schema.get("anyOf") or schema.get("oneOf") or ()
        return [self._resolved(arm) for arm in arms if isinstance(arm, Mapping)] if isinstance(arms, Sequence) else []

    async def arm(self) -> tuple[str, Schema]:
        """Which arm of a union is meant: the name of its class, "" if it has none, and its schema."""
        whole = self._resolved(self.whole)
        arms = self._arms(whole)
        if len(arms) < 2:
            return "", whole
        chosen = arms[await self._choice([_name(arm) for arm in arms])]
        title = chosen.get("title")
        is_model = chosen.get("type") == "object"
        return title if is_model and isinstance(title, str) else "", chosen

    # -- values --------------------------------------------------------------------------------------------------------
    async def value(self, schema: Schema, label: str, depth: int, default: object = _NOTHING) -> object:
        """A value that somebody types.

        Raises:
            EOFError: the input has ended.
        """
        schema = self._resolved(schema)
        if default is _NOTHING:
            default = schema.get("default", _NOTHING)
        arms = self._arms(schema)
        if arms:
            return await self._of_union(arms, label, depth, default)
        choices = schema.get("enum")
        if isinstance(choices, Sequence) and choices:
            return choices[await self._choice([str(each) for each in choices], label, choices, default)]
        kind = schema.get("type")
        properties = schema.get("properties")
        if kind == "object" and isinstance(properties, Mapping) and depth < MAX_DEPTH:
            return await self._object(properties, schema, label, depth)
        if kind == "array" and default is _NOTHING and depth < MAX_DEPTH:
            return await self._items(schema, label, depth)
        return await _single(kind, label, default)

    async def _of_union(self, arms: list[Schema], label: str, depth: int, default: object) -> object:
        some = [arm for arm in arms if arm.get("type") != "null"]
        # `int | None`: an empty line is none.
        if len(some) == 1 and len(arms) == 2:
            return await self.value(some[0], label, depth, None if default is _NOTHING else default)
        say(f"{label}:")
        return await self.value(arms[await self._choice([_name(arm) for arm in arms])], label, depth, default)

    async def _object(self, properties: Mapping[str, object], schema: Schema, label: str, depth: int) -> object:
        if depth:
            say(f"{label}:")
        required = schema.get("required")
        needed = required if isinstance(required, Sequence) else ()
        value: dict[str, object] = {}
        for name, field in properties.items():
            field = self._resolved(field) if isinstance(field, Mapping) else {}
            default: object = _NOTHING
            if name not in needed:
                default = field.get("default", None)
            given = await self.value(field, name, depth + 1, default)
            if given != default or name in needed:  # what stays as it is need not be said
                value[name] = given
        return value

    async def _items(self, schema: Schema, label: str, depth: int) -> object:
        """A list, item by item, until an empty line."""
        item = schema.get("items")
        inner = self._resolved(item) if isinstance(item, Mapping) else {}
        items: list[object] = []
        while True:
            place = f"{label} {len(items) + 1}"
            if inner.get("type") in ("object", "array") or self._arms(inner):
                if not await _yes_or_no(f"{place}: another one?", False):
                    return items
                items.append(await self.value(inner, place, depth + 1))
                continue
            found = await _single(inner.get("type"), f"{place}, empty: no more", _NOTHING, ends=True)
            if found is _NOTHING:
                return items
            items.append(found)

    async def _choice(
        self, names: list[str], label: str = "which?", values: Sequence[object] = (), default: object = _NOTHING
    ) -> int:
        """The place of what somebody chooses, by number or by name."""
        listed = "  ".join(f"{number} {shown(name)}" for number, name in enumerate(names, 1))
        say(listed)
        usual = values.index(default) if default in values else None
        hint = "" if usual is None else f" [{usual + 1}]"
        while True:
            text = (await ask_line(f"{label}{hint}")).strip()
            if not text and usual is not None:
                return usual
            if text.isdecimal() and 1 <= int(text) <= len(names):
                return int(text) - 1
            if text in names:
                return names.index(text)
            say(f"type a number from 1 to {len(names)}, or one of the names")


def _name(schema: Schema) -> str:
    return str(schema.get("title") or schema.get("const") or _WORDS.get(str(schema.get("type")), "JSON"))


_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "yes or no",
    "null": "nothing",
    "array": "list",
}
"""What the types of JSON are called."""


async def _single(kind: object, label: str, default: object, *, ends: bool = False) -> object:
    """One value on one line; with `ends`, an empty line is no value."""
    if kind == "boolean" and not ends:
        return await _yes_or_no(label, default)
    word = _WORDS.get(str(kind), "JSON")
    hint = "" if default is _NOTHING else f" [{_written(default)}]"
    while True:
        text = await ask_line(f"{label} ({word}){hint}:")
        if not text.strip() and (ends or default is not _NOTHING):
            return default
        try:
            return _read(kind, text)
        except ValueError:
            say(f"that is no {word}")


def _written(value: object) -> str:
    return shown(value if isinstance(value, str) else json.dumps(to_json_value(value), ensure_ascii=False))


def _read(kind: object, text: str) -> object:
    """A line as a value of a JSON type.

    Raises:
        ValueError: it is none.
    """
    if kind == "string":
        return text
    if kind == "integer":
        return int(text)
    if kind == "number":
        return float(text)
    return json.loads(text)


async def _yes_or_no(label: str, default: object) -> bool:
    """Yes or no; without a default it is asked until one of them is typed."""
    hint = {True: "Y/n", False: "y/N"}.get(default, "y/n") if isinstance(default, bool) else "y/n"
    while True:
        text = (await ask_line(f"{label} [{hint}]")).strip().casefold()
        if not text and isinstance(default, bool):
            return default
        if text in ("y", "yes", "true"):
            return True
        if text in ("n", "no", "false"):
            return False
        say("type y or n")
