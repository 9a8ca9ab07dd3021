"""The history of a chat-completions dialect: what is wrong with it, before any vendor words it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.strict.base import TOOL_NAME, kind_of, parse_arguments, unknown
from tests.strict.script import Answer, Json

TEXT_ONLY = frozenset({"text"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        rule: its name.
        index: of the message.
        where: inside the message, "" for the message itself.
        what: the offending value, as text.
        role: of the message.
    """

    rule: str
    index: int
    where: str = ""
    what: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class Style:
    """What differs between the dialects.

    Attributes:
        keys: keys of a message by role; a role that is missing does not exist.
        parts: types of content parts by role.
        call_id: what ids of calls look like.
        call_keys: keys of a tool call.
        empty_calls: an empty list of calls means none.
        empty_text: an assistant message may be an empty text.
    """

    keys: Mapping[str, frozenset[str]]
    parts: Mapping[str, frozenset[str]]
    call_id: re.Pattern[str] = re.compile(r"^.+$", re.S)
    call_keys: frozenset[str] = frozenset({"id", "type", "function"})
    empty_calls: bool = False
    empty_text: bool = True
    tool_keys: frozenset[str] = frozenset({"description", "name", "parameters", "strict"})
    need_type: bool = True


@dataclass(slots=True)
class _Open:
    """Calls that have no result yet."""

    index: int = 0
    ids: list[str] = field(default_factory=list)


def lint(messages: list[Any], style: Style) -> Iterator[Fault]:
    """Everything that is wrong with a history, in order."""
    waiting = _Open()
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            yield Fault("message-type", index, what=kind_of(message))
            return
        role = str(message.get("role"))
        if role not in style.keys:
            yield Fault("role", index, "role", role)
            return
        for key in unknown(message, style.keys[role]):
            yield Fault("unknown-message-key", index, key, key, role)
        if role == "tool":
            yield from _result(message, index, waiting)
        elif waiting.ids:
            yield Fault("missing-result", index, "role", ", ".join(waiting.ids), role)
            waiting.ids = []
        calls = message.get("tool_calls") if role == "assistant" else None
        yield from _content(message, index, role, style, bool(calls))
        if role == "assistant" and calls is not None:
            yield from _calls(calls, index, style)
            waiting = _Open(
                index, [str(call.get("id")) for call in calls if isinstance(call, dict)]
            )
    if waiting.ids:
        yield Fault("missing-result", len(messages), "role", ", ".join(waiting.ids), "")


def _result(message: Json, index: int, waiting: _Open) -> Iterator[Fault]:
    call = message.get("tool_call_id")
    if not isinstance(call, str) or not call:
        yield Fault("missing-call-id", index, "tool_call_id", str(call), "tool")
    elif call not in waiting.ids:
        yield Fault("orphan-result", index, "role", call, "tool")
    else:
        waiting.ids.remove(call)


def _content(message: Json, index: int, role: str, style: Style, calls: bool) -> Iterator[Fault]:
    content = message.get("content")
    if content is None:
        if not calls and not (role == "assistant" and message.get("refusal")):
            yield Fault("empty-message", index, "content", "null", role)
    elif isinstance(content, str):
        if not content and role == "assistant" and not calls and not style.empty_text:
            yield Fault("empty-message", index, "content", "''", role)
    elif isinstance(content, list):
        if not content and not calls:
            yield Fault("empty-message", index, "content", "[]", role)
        for at, part in enumerate(content):
            kind = part.get("type") if isinstance(part, dict) else None
            if kind not in style.parts.get(role, TEXT_ONLY):
                yield Fault("content-part", index, f"content[{at}].type", str(kind), role)
            elif kind == "text" and not isinstance(part.get("text"), str):
                yield Fault("content-part", index, f"content[{at}].text", "missing", role)
    else:
        yield Fault("content-type-of", index, "content", kind_of(content), role)


def _calls(calls: Any, index: int, style: Style) -> Iterator[Fault]:
    if not isinstance(calls, list):
        yield Fault("calls-type", index, "tool_calls", kind_of(calls), "assistant")
        return
    if not calls and not style.empty_calls:
        yield Fault("empty-calls", index, "tool_calls", "[]", "assistant")
    seen: set[str] = set()
    for at, call in enumerate(calls):
        where = f"tool_calls[{at}]"
        if not isinstance(call, dict) or not isinstance(call.get("function"), dict):
            yield Fault("calls-type", index, where, kind_of(call), "assistant")
            continue
        for key in unknown(call, style.call_keys):
            yield Fault("unknown-message-key", index, f"{where}.{key}", key, "assistant")
        call_id, name = call.get("id"), call["function"].get("name")
        if not isinstance(call_id, str) or not style.call_id.match(call_id) or call_id in seen:
            yield Fault("call-id", index, f"{where}.id", str(call_id), "assistant")
        seen.add(str(call_id))
        if call.get("type") != "function" and (style.need_type or "type" in call):
            yield Fault("call-kind", index, f"{where}.type", str(call.get("type")), "assistant")
        if not isinstance(name, str) or not TOOL_NAME.match(name):
            yield Fault("tool-name", index, f"{where}.function.name", str(name), "assistant")
        arguments = call["function"].get("arguments")
        if not isinstance(arguments, str):
            yield Fault(
                "arguments-type",
                index,
                f"{where}.function.arguments",
                kind_of(arguments),
                "assistant",
            )
        elif parse_arguments(arguments) is None:
            yield Fault("arguments", index, f"{where}.function.arguments", arguments, "assistant")


def lint_tools(tools: list[Any], style: Style) -> Iterator[Fault]:
    """Everything that is wrong with the tools, but for their schemas."""
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict):
            yield Fault("tool-type", index, "function", kind_of(function))
            continue
        if tool.get("type") != "function" and (style.need_type or "type" in tool):
            yield Fault("tool-type", index, "type", str(tool.get("type")))
        for key in unknown(tool, ("type", "function")):
            yield Fault("unknown-tool-key", index, key, key)
        for key in unknown(function, style.tool_keys):
            yield Fault("unknown-tool-key", index, f"function.{key}", key)
        name = function.get("name")
        if not isinstance(name, str) or not TOOL_NAME.match(name):
            yield Fault("tool-name", index, "function.name", str(name))
        if name in seen:
            yield Fault("duplicate-tool", index, "function.name", str(name))
        seen.add(str(name))
        parameters = function.get("parameters")
        if parameters is not None and (
            not isinstance(parameters, dict) or parameters.get("type") != "object"
        ):
            yield Fault("tool-schema", index, "function.parameters", str(name))


def usage(answer: Answer) -> Json:
    """Token counts as OpenAI names them."""
    tokens_in, tokens_out, cached = answer.usage
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": answer.thought_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
