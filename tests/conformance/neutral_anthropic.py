"""Anthropic messages: everything is a block, results of tools travel as the user."""

from __future__ import annotations

import base64
from typing import Any

from tests.conformance.neutral_parts import (
    Neutral,
    Part,
    blank,
    function_tool,
    listed,
    media_part,
    message,
    other_part,
    output_schema,
    parts_of,
    rest,
    text_part,
    texts_of,
    thinking_part,
    tool_call,
    tool_result,
)

MODES = {"auto": "auto", "any": "required", "none": "none"}
KNOWN = frozenset(
    {
        *(
            "model",
            "stream",
            "messages",
            "system",
            "tools",
            "tool_choice",
            "output_format",
            "output_config",
        ),
        *("max_tokens", "temperature", "top_p", "stop_sequences", "thinking"),
    }
)


def read(body: dict[str, Any], url: str) -> Neutral:
    """A request to /v1/messages."""
    result = blank(body.get("model"), bool(body.get("stream")))
    read_system(body.get("system"), result)
    for entry in body.get("messages") or []:
        role = entry.get("role", "user")
        if role == "system":
            result["system"] += texts_of(entry.get("content"))
        else:
            result["messages"].append(message(role, parts_of(entry.get("content"), read_block)))
    for tool in body.get("tools") or []:
        if (tool.get("type") or "custom") == "custom":
            result["tools"].append(function_tool(tool, "input_schema"))
        else:
            result["hosted_tools"].append(tool["type"])
    read_choice(body.get("tool_choice") or {}, result)
    read_output(body, result)
    result["max_output_tokens"] = body.get("max_tokens")
    result["temperature"] = body.get("temperature")
    result["top_p"] = body.get("top_p")
    result["stop"] = listed(body.get("stop_sequences"))
    result["thinking"] = body.get("thinking")
    result["extra"] |= rest(body, KNOWN)
    return result


def read_system(system: Any, result: Neutral) -> None:
    """The system prompt, a string or blocks; marks of the cache stand in a list of the same length."""
    parts = parts_of(system, read_block)
    result["system"] = [part["text"] for part in parts]
    marks = [part.get("cache_control") for part in parts]
    if any(mark is not None for mark in marks):
        result["extra"]["system_cache_control"] = marks


def read_choice(choice: dict[str, Any], result: Neutral) -> None:
    """`tool_choice`; the switch for parallel calls lives inside it and has no neutral name."""
    kind = choice.get("type", "")
    result["tool_choice"] = {"name": choice.get("name")} if kind == "tool" else MODES.get(kind)
    if left := rest(choice, ("type", "name")):
        result["extra"]["tool_choice"] = left


def read_output(body: dict[str, Any], result: Neutral) -> None:
    """`output_config`, which stays in `extra` as a whole; the older `output_format` is its `format`."""
    config = dict(body.get("output_config") or {})
    if body.get("output_format"):
        config.setdefault("format", body["output_format"])
    form = config.get("format") or {}
    if form.get("type") == "json_schema":
        result["output_schema"] = output_schema(form.get("schema"), form.get("name"))
    if config:
        result["extra"]["output_config"] = config


def read_block(block: dict[str, Any]) -> Part:
    """A block, with its mark of the cache where it has one."""
    part = read_bare(block)
    mark = block.get("cache_control")
    return part if mark is None or part["type"] == "other" else {**part, "cache_control": mark}


def read_bare(block: dict[str, Any]) -> Part:
    """A block of a message, of the system prompt or of a result."""
    kind = block.get("type", "text")
    if kind == "text":
        return text_part(block.get("text"))
    if kind == "thinking":
        return thinking_part(block.get("thinking"), block.get("signature"))
    if kind == "redacted_thinking":
        return thinking_part(None, block.get("data"), redacted=True)
    if kind == "tool_use":
        return tool_call(block.get("id"), block.get("name"), block.get("input"))
    if kind == "tool_result":
        parts = parts_of(block.get("content"), read_block)
        return tool_result(
            block.get("tool_use_id"), None, content=parts, is_error=block.get("is_error")
        )
    if kind in ("image", "document"):
        return read_media(kind, block)
    return other_part(kind, block)


def read_media(kind: str, block: dict[str, Any]) -> Part:
    """A picture or document; one given as plain text counts as that text in base64."""
    source = block.get("source") or {}
    more = {key: block.get(key) for key in ("title", "context", "citations")}
    media_type, data = source.get("media_type"), source.get("data")
    if source.get("type") == "text":
        media_type, data = (
            media_type or "text/plain",
            base64.b64encode((data or "").encode()).decode(),
        )
    if source.get("type") == "content":
        more["content"] = parts_of(source.get("content"), read_block)
    return media_part(
        kind,
        url=source.get("url"),
        data=data,
        media_type=media_type,
        file_id=source.get("file_id"),
        **more,
    )
