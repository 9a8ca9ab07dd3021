"""Structured output as each provider takes it: its flavour of JSON schema, a forced tool where it has no schema, or words.

Rules:
1. A schema is narrowed, never widened: what a flavour cannot say is said in the description, and the answer is checked
   against the whole type afterwards.
2. Where a tool stands in for the answer, the caller sees text, as everywhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from graphflow.model import CallDelta, Finished, Kept, ModelEvent, Request, TextDelta, ToolSpec

Json = dict[str, Any]
Way = Literal["schema", "tool", "text"]
"""How an answer is held to a schema: by the API itself, by a tool that must be called, or by asking for it."""
Flavour = Literal["strict", "narrow", "plain"]
"""Which JSON schema an API takes: OpenAI's strict subset, Anthropic's, or nearly all of it."""

ANSWER = "final_answer"
"""The name of the tool that stands in for the answer."""

# platform.openai.com/docs/guides/structured-outputs and platform.claude.com/docs/en/build-with-claude/structured-outputs
_BEYOND: dict[Flavour, frozenset[str]] = {
    "strict": frozenset(
        {"default", "minLength", "maxLength", "uniqueItems", "minProperties", "maxProperties", "examples"}
    ),
    "narrow": frozenset(
        {
            *("default", "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "examples"),
            *(
                "exclusiveMaximum",
                "multipleOf",
                "maxItems",
                "minItems",
                "uniqueItems",
                "minProperties",
                "maxProperties",
            ),
        }
    ),
    "plain": frozenset(),
}


def fit(schema: Json, flavour: Flavour) -> tuple[Json, bool]:
    """The schema in a flavour, and whether the API can hold the model to it strictly."""
    if flavour == "plain":
        return schema, True
    strict = True

    def walk(part: Any) -> Any:
        nonlocal strict
        if isinstance(part, list):
            return [walk(item) for item in part]
        if not isinstance(part, dict):
            return part
        made = _narrowed(part, flavour)
        if "oneOf" in made:  # pydantic's spelling of a tagged union
            made["anyOf"] = made.pop("oneOf")
            made.pop("discriminator", None)
        if "$ref" in made and len(made) > 1 and flavour == "strict":
            made = {"$ref": made["$ref"]}  # siblings of a reference are refused
        properties = made.get("properties")
        if made.get("type") == "object" or properties is not None:
            if properties is None or made.get("additionalProperties", False) is not False:
                strict = False  # an object of any keys has no strict form
            else:
                made["additionalProperties"] = False
                if flavour == "strict":
                    made["required"] = list(properties)
        return {key: _children(key, value, walk) for key, value in made.items()}

    return walk(schema), strict


def _children(key: str, value: Any, walk: Any) -> Any:
    if key in ("properties", "$defs"):
        return {name: walk(part) for name, part in value.items()}
    return value if key in ("enum", "const", "required", "default", "examples") else walk(value)


def _narrowed(part: Json, flavour: Flavour) -> Json:
    beyond = _BEYOND[flavour] & part.keys()
    if not beyond:
        return dict(part)
    said = "; ".join(f"{key}: {json.dumps(part[key])}" for key in sorted(beyond) if key not in ("default", "examples"))
    made = {key: value for key, value in part.items() if key not in beyond}
    if said and "$ref" not in made:
        made["description"] = f"{made['description']} ({said})" if made.get("description") else said
    return made


def as_tool(request: Request) -> Request:
    """The request with a tool that takes the answer, in place of a schema for the text."""
    assert request.output_schema is not None
    answer = ToolSpec(
        ANSWER, "Give the final answer. Call it alone, and only when you are done.", request.output_schema
    )
    return replace(
        request,
        tools=(*request.tools, answer),
        output_schema=None,
        tool_choice="required" if request.tools else ANSWER,
    )


def as_words(request: Request) -> Request:
    """The request with the schema in the instructions: the last resort."""
    asked = f"Answer with nothing but JSON that fits this JSON schema:\n{json.dumps(request.output_schema)}"
    parts = (*request.system_parts, asked)
    system = "\n\n".join(parts) if isinstance(request.system, str) else parts  # type: ignore[arg-type]  # then texts only
    return replace(request, output_schema=None, system=system)


class Unwrapped:
    """Turns the call of the answer tool back into text."""

    def __init__(self) -> None:
        self.answers: set[int] = set()
        self.others = False

    def events(self, batch: list[ModelEvent]) -> list[ModelEvent]:
        """The events as the caller shall see them."""
        return [seen for event in batch for seen in self._seen(event)]

    def _seen(self, event: ModelEvent) -> Iterator[ModelEvent]:
        if isinstance(event, CallDelta):
            if event.name == ANSWER:
                self.answers.add(event.index)
            if event.index in self.answers:
                if event.arguments:
                    yield TextDelta(event.arguments, event.index)
                return
            self.others = True
        elif isinstance(event, Kept) and event.part == "call" and event.index in self.answers:
            return
        elif isinstance(event, Finished) and event.reason == "tool_calls" and self.answers and not self.others:
            event = Finished("stop", event.raw)
        yield event
