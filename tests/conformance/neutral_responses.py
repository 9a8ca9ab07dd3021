"""OpenAI Responses: a list of items that has to be cut into messages."""

from __future__ import annotations

from typing import Any

from tests.conformance.neutral_chat import read_audio
from tests.conformance.neutral_parts import (
    Neutral,
    Part,
    blank,
    first,
    function_tool,
    listed,
    media_part,
    message,
    other_part,
    output_schema,
    parts_of,
    read_choice,
    refusal_part,
    rest,
    text_part,
    texts_of,
    thinking_part,
    tool_call,
    tool_result,
)

KNOWN = frozenset(
    {
        *("model", "stream", "input", "instructions", "tools", "tool_choice", "text"),
        *("max_output_tokens", "temperature", "top_p", "reasoning"),
    }
)


def read(body: dict[str, Any], url: str) -> Neutral:
    """A request to /responses."""
    result = blank(body.get("model"), bool(body.get("stream")))
    result["system"] = texts_of(body.get("instructions"))
    for item in listed(body.get("input")):
        read_item({"role": "user", "content": item} if isinstance(item, str) else item, result)
    for tool in body.get("tools") or []:
        if tool.get("type", "function") in ("function", "custom"):
            result["tools"].append(function_tool(tool, "parameters"))
        else:
            result["hosted_tools"].append(tool["type"])
    read_choice(body.get("tool_choice"), result)
    read_format(body.get("text") or {}, result)
    for key in ("max_output_tokens", "temperature", "top_p"):
        result[key] = body.get(key)
    result["thinking"] = body.get("reasoning")
    result["extra"] |= rest(body, KNOWN)
    return result


def read_item(item: dict[str, Any], result: Neutral) -> None:
    """One item of the input, added to the message it belongs to."""
    kind = item.get("type") or ("message" if "role" in item else "item_reference")
    if kind != "message":
        read_typed(kind, item, result)
    elif item["role"] in ("system", "developer"):
        result["system"] += texts_of(item.get("content"))
    else:
        parts = parts_of(item.get("content"), read_block)
        add(item["role"], parts, result)


def add(role: str, parts: list[Part], result: Neutral) -> None:
    """Items of the model in a row are one turn, so are results in a row; each message of a user is its own."""
    messages = result["messages"]
    if role != "user" and messages and messages[-1]["role"] == role:
        messages[-1]["content"] += parts
    else:
        messages.append(message(role, parts))


def read_typed(kind: str, item: dict[str, Any], result: Neutral) -> None:
    """An item that is not a message: a thought, a call, a result, the trace of a hosted tool."""
    if kind == "reasoning":
        add("assistant", [read_reasoning(item)], result)
    elif kind == "function_call":
        add(
            "assistant",
            [tool_call(item.get("call_id"), item.get("name"), item.get("arguments"))],
            result,
        )
    elif kind == "function_call_output":
        parts = parts_of(item.get("output"), read_block)
        add("tool", [tool_result(item.get("call_id"), None, content=parts)], result)
    else:
        by_client = kind.endswith("_output") or kind == "mcp_approval_response"
        add("user" if by_client else "assistant", [other_part(kind, item)], result)


def read_reasoning(item: dict[str, Any]) -> Part:
    """A reasoning item: its summary, or the open text of models that show it."""
    shown = item.get("summary") or item.get("content") or []
    text = "\n\n".join(texts_of(shown))
    return thinking_part(text, item.get("encrypted_content"), id=item.get("id"))


def read_block(block: dict[str, Any]) -> Part:
    """A typed piece of a message or of a tool's output."""
    kind = block.get("type", "input_text")
    if kind in ("input_text", "output_text", "text"):
        return text_part(block.get("text"))
    if kind == "refusal":
        return refusal_part(block["refusal"])
    if kind == "input_image":
        names = {key: block.get(key) for key in ("file_id", "detail")}
        return media_part("image", url=block.get("image_url"), **names)
    if kind == "input_file":
        names = {key: block.get(key) for key in ("file_id", "filename")}
        return media_part(
            "document", url=block.get("file_url"), data=block.get("file_data"), **names
        )
    if kind == "input_audio":
        return read_audio(first(block, "input_audio") or block)
    return other_part(kind, block)


def read_format(text: dict[str, Any], result: Neutral) -> None:
    """The `text` object: the format of the answer, and settings without a neutral name."""
    form = text.get("format") or {}
    kind = form.get("type", "text")
    left = rest(text, ("format",))
    if kind == "json_schema":
        result["output_schema"] = output_schema(
            form.get("schema"), form.get("name"), form.get("strict")
        )
    elif kind == "json_object":
        result["json_mode"] = True
    elif kind != "text":
        left["format"] = form
    if left:
        result["extra"]["text"] = left
