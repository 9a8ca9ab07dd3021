"""The JSON schema of an answer, as somebody sees it who asks for one: arms, fields, items, choices, defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

Data: TypeAlias = Mapping[str, object]

NOTHING = object()
"""No value: there is no default, or a field is left out."""
WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "yes or no",
    "null": "nothing",
    "array": "list",
}
"""What the types of JSON are called; of any other, JSON is typed."""


class AnswerSchema:
    """A schema, or a part of one.

    Args:
        data: what it says.
        whole: the schema that it is a part of, in which others are named.
    """

    def __init__(self, data: Data, whole: Data | None = None) -> None:
        self.whole = data if whole is None else whole
        self.data = self._resolved(data)

    def _resolved(self, data: Data) -> Data:
        """What a reference names, `{"$ref": "#/$defs/Draft"}`, with what is said beside it."""
        name = data.get("$ref")
        if not isinstance(name, str):
            return data
        # The schema may come from a server: a reference that leads nowhere is no error here, and JSON is typed then.
        found: object = self.whole
        path = name.removeprefix("#/")
        for part in path.split("/"):
            if not isinstance(found, Mapping):
                return data
            found = found.get(part)
        if not isinstance(found, Mapping):
            return data
        # What stands beside the reference is about this field: its title, its default.
        return {**found, **data}

    def part(self, data: object) -> AnswerSchema:
        """A part of it."""
        if not isinstance(data, Mapping):
            data = {}
        return AnswerSchema(data, self.whole)

    @property
    def kind(self) -> str:
        """The type of JSON that is wanted; "" if nobody says."""
        kind = self.data.get("type")
        return kind if isinstance(kind, str) else ""

    @property
    def word(self) -> str:
        """What that is called."""
        return WORDS.get(self.kind, "JSON")

    @property
    def name(self) -> str:
        """What an arm is called."""
        title = self.data.get("title")
        return title if isinstance(title, str) else self.word

    @property
    def default(self) -> object:
        """What an empty line stands for."""
        return self.data.get("default", NOTHING)

    @property
    def arms(self) -> list[AnswerSchema]:
        """The arms of a union; none if it is not a union."""
        # Pydantic writes `oneOf` where a field tells the arms apart, else `anyOf`.
        arms = self.data.get("anyOf") or self.data.get("oneOf")
        return [self.part(arm) for arm in _listed(arms)]

    @property
    def choices(self) -> Sequence[object]:
        """The values that there are, if they can be counted."""
        return _listed(self.data.get("enum"))

    @property
    def is_model(self) -> bool:
        """Whether it has fields."""
        return self.kind == "object" and isinstance(self.data.get("properties"), Mapping)

    @property
    def item(self) -> AnswerSchema:
        """Of a list, what is in it."""
        return self.part(self.data.get("items"))

    def fields(self) -> Iterator[tuple[str, AnswerSchema, bool]]:
        """The name and schema of each field, and whether it has to be there."""
        properties = self.data.get("properties")
        needed = _listed(self.data.get("required"))
        if isinstance(properties, Mapping):
            for name, data in properties.items():
                yield name, self.part(data), name in needed


def _listed(value: object) -> Sequence[object]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    return ()
