"""Structured output as each provider takes it: its flavour of JSON schema, a forced tool where it has no schema, or words.

Rules:
1. A schema is narrowed, never widened: what a flavour cannot say goes into the description, and the answer is checked
   against the whole type afterwards.
2. Where a tool stands in for the answer, the caller sees text, as everywhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from graphflow.messages.message import to_json_value
from graphflow.model.seam import (
    CallDelta,
    Finished,
    Kept,
    ModelEvent,
    Request,
    Restarted,
    TextDelta,
    ThinkingDelta,
    ToolSpec,
)

Json = dict[str, Any]
Way = Literal["schema", "tool", "text"]
"""How an answer is held to a schema: by the API itself, by a tool that must be called, or by asking for it."""
Flavour = Literal["strict", "narrow", "plain"]
"""Which JSON schema an API takes: OpenAI's strict subset, Anthropic's, or nearly all of it."""

ANSWER = "final_answer"
"""The name of the tool that stands in for the answer."""
ASIDE = 10_000
"""The index of text beside an answer: a part of its own."""

# platform.openai.com/docs/guides/structured-outputs and platform.claude.com/docs/en/build-with-claude/structured-outputs
_BEYOND: dict[Flavour, frozenset[str]] = {
    "strict": frozenset(
        (
            "default",
            "examples",
            "maxLength",
            "maxProperties",
            "minLength",
            "minProperties",
            "uniqueItems",
        ),
    ),
    "narrow": frozenset(
        (
            *(
                "default",
                "examples",
                "maxLength",
                "maxProperties",
                "minLength",
                "minProperties",
                "uniqueItems",
            ),
            *(
                "exclusiveMaximum",
                "exclusiveMinimum",
                "maximum",
                "minimum",
                "multipleOf",
                "pattern",
            ),
            *("maxItems", "minItems"),
        )
    ),
    "plain": frozenset(),
}
"""Keywords that a flavour does not have."""
_SAYS_WHAT = frozenset(("type", "$ref", "enum", "const", "anyOf", "oneOf", "allOf", "properties"))
"""One of these says what stands at a place of a schema."""
_MAPS = frozenset(("properties", "$defs"))
"""Keywords whose values are schemas by name."""
_VALUES = frozenset(("enum", "const", "required", "default", "examples"))
"""Keywords whose values are not schemas."""


# -- schemas ---------------------------------------------------------------------------------------
def fit(schema: Json, flavour: Flavour) -> tuple[Json, bool]:
    """The schema in a flavour, and whether the API can hold the model to it strictly."""
    if flavour == "plain":
        return schema, True
    fitting = _Fitting(flavour)
    shape: Json = fitting.walk(schema)
    return shape, fitting.is_strict


class _Fitting:
    """A walk through a schema that writes it anew in a flavour.

    Attributes:
        is_strict: whether all of it so far has a strict form: one that says of every place what stands there.
    """

    def __init__(self, flavour: Flavour) -> None:
        self.flavour = flavour
        self.is_strict = True

    def walk(self, part: Any) -> Any:
        """A part of the schema in the flavour; what is not a schema stays as it is."""
        if isinstance(part, list):
            return [self.walk(item) for item in part]
        if not isinstance(part, dict):
            return part
        shape = _narrow(part, self.flavour)
        # A schema that is open anywhere is not strict as a whole, and is still narrowed: all of it is rendered.
        if _is_open(shape):
            self.is_strict = False
        if "oneOf" in shape:  # pydantic's spelling of a tagged union
            shape["anyOf"] = shape.pop("oneOf")
            shape.pop("discriminator", None)
        if self.flavour == "strict":
            self._fit_strict(shape)
        properties = shape.get("properties")
        if properties is not None or shape.get("type") == "object":
            self._close(shape, properties)
        return {key: self._walk_value(key, value) for key, value in shape.items()}

    def _walk_value(self, key: str, value: Any) -> Any:
        if key in _MAPS:
            return {name: self.walk(part) for name, part in value.items()}
        return value if key in _VALUES else self.walk(value)

    def _fit_strict(self, shape: Json) -> None:
        reference = shape.get("$ref")
        if reference is not None and len(shape) > 1:  # siblings of a reference are refused
            shape.clear()
            shape["$ref"] = reference
        if "prefixItems" in shape:
            self.is_strict = False

    def _close(self, shape: Json, properties: Json | None) -> None:
        """Lets an object have its own properties only; one of any keys has no strict form."""
        may_have_others = shape.get("additionalProperties", False) is not False
        if properties is None or may_have_others:
            self.is_strict = False
            return
        shape["additionalProperties"] = False
        if self.flavour == "strict":
            shape["required"] = list(properties)


def _is_open(shape: Json) -> bool:
    """Whether anything may stand in a place: a strict form has to say what does."""
    if not _SAYS_WHAT & shape.keys():
        return True
    has_items = shape.get("items") or "prefixItems" in shape
    return shape.get("type") == "array" and not has_items


def _narrow(part: Json, flavour: Flavour) -> Json:
    """A part of a schema without the keywords that a flavour lacks: its description says them to the model."""
    beyond = _BEYOND[flavour] & part.keys()
    if not beyond:
        return dict(part)
    shape = {key: value for key, value in part.items() if key not in beyond}
    described = sorted(beyond - {"default", "examples"})
    if described and "$ref" not in shape:  # a reference has no description of its own
        words = "; ".join(f"{key}: {json.dumps(part[key])}" for key in described)
        description = shape.get("description")
        shape["description"] = f"{description} ({words})" if description else words
    return shape


# -- requests --------------------------------------------------------------------------------------
def answer_name(request: Request) -> str:
    """A name for the answer tool that no tool of the user's has."""
    used = {tool.name for tool in request.tools}
    name = ANSWER
    number = 1
    while name in used:
        number += 1
        name = f"{ANSWER}_{number}"
    return name


def as_tool(request: Request) -> Request:
    """The request with a tool that takes the answer, in place of a schema for the text."""
    assert request.output_schema is not None
    name = answer_name(request)
    answer = ToolSpec(
        name,
        "Give the final answer. Call it alone, and only when you are done.",
        request.output_schema,
    )
    # The provider's own tools are among the others: a model that has any is to be able to use them first.
    has_others = request.tools or request.settings.extra.get("tools")
    choice = request.settings.tool_choice
    if choice in (None, "auto", "required"):
        choice = "required" if has_others else name
    elif choice == "none":
        choice = name
    settings = replace(request.settings, tool_choice=choice)
    return replace(request, tools=(*request.tools, answer), output_schema=None, settings=settings)


def as_words(request: Request) -> Request:
    """The request with the schema in the instructions: the last resort."""
    instruction = schema_instruction(request.output_schema)
    if not isinstance(request.system, str):
        return replace(request, output_schema=None, system=(*request.system, instruction))
    system = f"{request.system}\n\n{instruction}" if request.system else instruction
    return replace(request, output_schema=None, system=system)


def schema_instruction(schema: Json | None) -> str:
    """A schema as an instruction, for models that take none; empty if there is none to follow."""
    if schema is None:
        return ""
    text = json.dumps(to_json_value(schema))
    return f"Answer with nothing but JSON that fits this JSON schema:\n{text}"


# -- answers ---------------------------------------------------------------------------------------
class AnswerReader:
    """Turns the call of the answer tool back into text.

    What else the model says beside it is thinking aloud; only the first of several answers counts.
    """

    def __init__(self, name: str = ANSWER) -> None:
        self.name = name
        self.clear()

    def clear(self) -> None:
        """Forgets all that has come: the answer begins again."""
        self.answer: int | None = None
        """The index of the call that is the answer."""
        self.repeats: set[int] = set()
        """Indices of further answers."""
        self.has_other_calls = False
        self.has_answer = False
        self.asides: list[str] = []
        self.known: set[int] = set()
        """Indices of calls whose names have come."""
        self.nameless: dict[int, list[ModelEvent]] = {}
        """What has come of calls whose names have not."""

    def events(self, batch: list[ModelEvent]) -> list[ModelEvent]:
        """The events as the caller shall see them."""
        return [shown for event in batch for shown in self._shown(event)]

    def _shown(self, event: ModelEvent) -> Iterator[ModelEvent]:
        match event:
            case Restarted():
                self.clear()
                yield event
            case TextDelta():
                self.asides.append(event.text)
            case CallDelta() if event.index in self.known:
                yield from self._call(event)
            case CallDelta():
                yield from self._new_call(event)
            case Kept(part="text"):
                pass
            case Kept(part="call"):
                yield from self._kept(event)
            case Finished():
                yield from self._end(event)
            case _:
                yield event

    def _kept(self, event: Kept) -> Iterator[ModelEvent]:
        if event.index not in self.known:
            self.nameless.setdefault(event.index, []).append(event)
        elif event.index != self.answer and event.index not in self.repeats:
            yield event

    def _new_call(self, event: CallDelta) -> Iterator[ModelEvent]:
        """A piece of a call that has no name yet: until it has one, nobody knows whether it is the answer."""
        before = self.nameless.setdefault(event.index, [])
        if not event.name:
            before.append(event)
            return
        self.known.add(event.index)
        whole = CallDelta(event.index, event.id, event.name)
        for piece in (*before, event):
            if isinstance(piece, CallDelta):
                whole.id = whole.id or piece.id
                whole.arguments += piece.arguments
        yield from self._call(whole)
        for piece in before:
            if isinstance(piece, Kept):
                yield from self._kept(piece)

    def _call(self, event: CallDelta) -> Iterator[ModelEvent]:
        if event.name == self.name and event.index != self.answer:
            if self.answer is None:
                self.answer = event.index
            else:
                self.repeats.add(event.index)
        if event.index == self.answer:
            if event.arguments:
                self.has_answer = self.has_answer or bool(event.arguments.strip())
                yield TextDelta(event.arguments)
        elif event.index not in self.repeats:
            self.has_other_calls = True
            yield event

    def _end(self, event: Finished) -> Iterator[ModelEvent]:
        aside = "".join(self.asides)
        if aside:  # a model that does not call the tool may still have written the answer
            yield ThinkingDelta(aside, ASIDE) if self.has_answer else TextDelta(aside)
        was_answered = self.answer is not None and not self.has_other_calls
        if was_answered and event.reason == "tool_calls":
            event = Finished("stop", event.raw, event.limited)
        yield event
