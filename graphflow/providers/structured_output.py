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
"""The index of what is said beside an answer: a part of its own."""

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


_SAYS_WHAT = frozenset({"type", "$ref", "enum", "const", "anyOf", "oneOf", "allOf", "properties"})
"""One of these says what stands at a place of a schema."""


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
        listless = made.get("type") == "array" and not made.get("items") and "prefixItems" not in made
        if listless or not _SAYS_WHAT & made.keys():
            strict = False  # anything goes there, and a strict form has to say what does
        if "oneOf" in made:  # pydantic's spelling of a tagged union
            made["anyOf"] = made.pop("oneOf")
            made.pop("discriminator", None)
        if "$ref" in made and len(made) > 1 and flavour == "strict":
            made = {"$ref": made["$ref"]}  # siblings of a reference are refused
        if "prefixItems" in made and flavour == "strict":
            strict = False
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


def answer_name(request: Request) -> str:
    """A name for the answer tool that no tool of the user's has."""
    taken = {tool.name for tool in request.tools}
    return next(name for name in (ANSWER, *(f"{ANSWER}_{n}" for n in range(2, len(taken) + 3))) if name not in taken)


def as_tool(request: Request) -> Request:
    """The request with a tool that takes the answer, in place of a schema for the text."""
    assert request.output_schema is not None
    name = answer_name(request)
    answer = ToolSpec(name, "Give the final answer. Call it alone, and only when you are done.", request.output_schema)
    choice = request.settings.tool_choice
    if choice in (None, "auto", "required"):
        others = request.tools or request.settings.extra.get(
            "tools"
        )  # the provider's own among them: they are to be of use
        choice = "required" if others else name
    settings = replace(request.settings, tool_choice=name if choice == "none" else choice)
    return replace(request, tools=(*request.tools, answer), output_schema=None, settings=settings)


def as_words(request: Request) -> Request:
    """The request with the schema in the instructions: the last resort."""
    asked = (
        f"Answer with nothing but JSON that fits this JSON schema:\n{json.dumps(to_json_value(request.output_schema))}"
    )
    parts = (*request.system_parts, asked)
    system = "\n\n".join(parts) if isinstance(request.system, str) else parts  # type: ignore[arg-type]  # then texts only
    return replace(request, output_schema=None, system=system)


class AnswerReader:
    """Turns the call of the answer tool back into text.

    What else the model says beside it is thinking aloud; only the first of several answers counts.
    """

    def __init__(self, name: str = ANSWER) -> None:
        self.name = name
        self.clear()

    def clear(self) -> None:
        """Nothing has been said yet."""
        self.answer: int | None = None
        self.dropped: set[int] = set()
        self.others = False
        self.aside: list[str] = []
        self.nameless: dict[int, list[ModelEvent]] = {}
        self.known: set[int] = set()
        self.answered = False

    def events(self, batch: list[ModelEvent]) -> list[ModelEvent]:
        """The events as the caller shall see them."""
        return [seen for event in batch for seen in self._seen(event)]

    def _seen(self, event: ModelEvent) -> Iterator[ModelEvent]:
        match event:
            case Restarted():
                self.clear()
            case TextDelta():
                self.aside.append(event.text)
                return
            case CallDelta():
                yield from self._call(event)
                return
            case Kept(part="call") if event.index not in self.known:
                self.nameless.setdefault(event.index, []).append(event)
                return
            case Kept(part="call") if event.index == self.answer or event.index in self.dropped:
                return
            case Kept(part="text"):
                return
            case Finished():
                yield from self._end(event)
                return
        yield event

    def _call(self, event: CallDelta) -> Iterator[ModelEvent]:
        if event.index not in self.known:
            held = self.nameless.setdefault(event.index, [])
            if not event.name:  # until it is known whose call it is
                held.append(event)
                return
            self.known.add(event.index)
            first = [e for e in held if isinstance(e, CallDelta)]
            event = CallDelta(
                event.index,
                event.id or next((e.id for e in first if e.id), ""),
                event.name,
                "".join(e.arguments for e in first) + event.arguments,
            )
            yield from self._named(event)
            for kept in held:
                if isinstance(kept, Kept):
                    yield from self._seen(kept)
            return
        yield from self._named(event)

    def _named(self, event: CallDelta) -> Iterator[ModelEvent]:
        if event.name == self.name and event.index != self.answer:
            if self.answer is None:
                self.answer = event.index
            else:
                self.dropped.add(event.index)
        if event.index == self.answer:
            if event.arguments:
                self.answered = self.answered or bool(event.arguments.strip())
                yield TextDelta(event.arguments)
        elif event.index not in self.dropped:
            self.others = True
            yield event

    def _end(self, event: Finished) -> Iterator[ModelEvent]:
        aside = "".join(self.aside)
        if aside:  # a model that does not call the tool may still have written the answer
            yield ThinkingDelta(aside, ASIDE) if self.answered else TextDelta(aside)
        if event.reason == "tool_calls" and self.answer is not None and not self.others:
            event = Finished("stop", event.raw, event.limited)
        yield event
