"""Chat completions: OpenAI, Groq and Mistral; Ollama's messages and tools are read here too."""

from __future__ import annotations

from typing import Any

from tests.conformance.neutral_parts import (
    Neutral,
    Part,
    blank,
    compact,
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

THINKING = ("reasoning_effort", "reasoning_format", "include_reasoning", "prompt_mode")
AUDIO = {"mp3": "audio/mpeg"}  # where the format is not the media subtype
KNOWN = frozenset(
    {
        *(
            "model",
            "stream",
            "messages",
            "tools",
            "functions",
            "tool_choice",
            "function_call",
            "response_format",
        ),
        *("max_tokens", "max_completion_tokens", "temperature", "top_p", "stop"),
        *THINKING,
    }
)


def read(body: dict[str, Any], url: str) -> Neutral:
    """A chat completions request."""
    result = blank(body.get("model"), bool(body.get("stream")))
    read_messages(body, result)
    read_tools(body, result)
    read_format(body.get("response_format"), result)
    read_choice(first(body, "tool_choice", "function_call"), result)
    result["max_output_tokens"] = first(body, "max_completion_tokens", "max_tokens")
    result["temperature"] = body.get("temperature")
    result["top_p"] = body.get("top_p")
    result["stop"] = listed(body.get("stop"))
    result["thinking"] = compact(**{key: body.get(key) for key in THINKING}) or None
    result["extra"] |= rest(body, KNOWN)
    return result


def read_messages(body: dict[str, Any], result: Neutral) -> None:
    """Messages, those of the system apart from the others."""
    for entry in body.get("messages") or []:
        role = entry.get("role", "user")
        if role in ("system", "developer"):
            result["system"] += texts_of(entry.get("content"))
        elif role in ("tool", "function"):
            result["messages"].append(message("tool", [read_result(entry)]))
        else:
            result["messages"].append(message(role, read_turn(entry)))


def read_result(entry: dict[str, Any]) -> Part:
    """A message of a tool; Ollama and the old functions know it by name alone."""
    parts = parts_of(entry.get("content"), read_block) + read_images(entry)
    return tool_result(entry.get("tool_call_id"), first(entry, "tool_name", "name"), content=parts)


def read_turn(entry: dict[str, Any]) -> list[Part]:
    """What a user or the model said: thoughts, content, refusal, calls."""
    thoughts = first(entry, "reasoning", "reasoning_content", "thinking")
    parts = [thinking_part(thoughts)] if isinstance(thoughts, str) and thoughts else []
    parts += parts_of(entry.get("content"), read_block) + read_images(entry)
    if entry.get("refusal"):
        parts.append(refusal_part(entry["refusal"]))
    if entry.get("audio"):
        parts.append(other_part("audio", entry["audio"]))
    parts += [read_call(call) for call in entry.get("tool_calls") or []]
    if entry.get("function_call"):
        call = entry["function_call"]
        parts.append(tool_call(None, call.get("name"), call.get("arguments")))
    return parts


def read_call(call: dict[str, Any]) -> Part:
    """One of `tool_calls`; its type may be left out."""
    function = call.get("function")
    if not isinstance(function, dict):
        return other_part(call.get("type", "tool_call"), call)
    return tool_call(call.get("id"), function.get("name"), function.get("arguments"))


def read_images(entry: dict[str, Any]) -> list[Part]:
    """Ollama's pictures: base64 text beside the content, without a media type."""
    return [media_part("image", data=image) for image in entry.get("images") or []]


def read_block(block: dict[str, Any]) -> Part:
    """A typed piece of content."""
    kind = block.get("type", "text")
    if kind == "text":
        return text_part(block.get("text"), cache_control=block.get("cache_control"))
    if kind == "refusal":
        return refusal_part(block["refusal"])
    if kind == "thinking":
        texts = [
            part["text"]
            for part in parts_of(block.get("thinking"), read_block)
            if part["type"] == "text"
        ]
        return thinking_part("".join(texts), block.get("signature"))
    if kind == "image_url":
        image = block["image_url"]  # Mistral takes the bare link as well
        image = {"url": image} if isinstance(image, str) else image
        return media_part("image", url=image["url"], detail=image.get("detail"))
    return read_attachment(kind, block)


def read_attachment(kind: str, block: dict[str, Any]) -> Part:
    """A file, a linked document or sound."""
    if kind == "document_url":
        return media_part(
            "document", url=block["document_url"], filename=block.get("document_name")
        )
    if kind == "file":
        file = block.get("file", block)  # Mistral has the id in the block itself
        return media_part(
            "document",
            data=file.get("file_data"),
            file_id=file.get("file_id"),
            filename=file.get("filename"),
        )
    if kind == "input_audio":
        return read_audio(block["input_audio"])
    return other_part(kind, block)


def read_audio(audio: Any) -> Part:
    """Sound: `data` and `format`, or (Mistral) one string that is a link or base64 text."""
    if isinstance(audio, dict):
        form = audio.get("format")
        media_type = AUDIO.get(form, f"audio/{form}") if form else None
        return media_part("audio", data=audio.get("data"), media_type=media_type)
    linked = audio.startswith(("http://", "https://"))
    return media_part("audio", url=audio) if linked else media_part("audio", data=audio)


def read_tools(body: dict[str, Any], result: Neutral) -> None:
    """Tools of the client (nested, or the old flat functions) and those the provider runs."""
    for tool in body.get("tools") or []:
        spec = first(tool, "function", "custom")
        if isinstance(spec, dict):
            cached = {key: tool[key] for key in ("cache_control",) if tool.get(key) is not None}
            result["tools"].append(function_tool({**cached, **spec}, "parameters"))
        else:
            result["hosted_tools"].append(tool.get("type"))
    result["tools"] += [function_tool(spec, "parameters") for spec in body.get("functions") or []]


def read_format(form: dict[str, Any] | None, result: Neutral) -> None:
    """`response_format`; plain text is the default and says nothing."""
    kind = (form or {}).get("type")
    if form and kind == "json_schema":
        spec = form["json_schema"]
        schema = first(spec, "schema", "schema_definition")
        result["output_schema"] = output_schema(schema, spec.get("name"), spec.get("strict"))
    elif kind == "json_object":
        result["json_mode"] = True
    elif form and kind != "text":
        result["extra"]["response_format"] = form
