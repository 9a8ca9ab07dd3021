"""Gemini generateContent: the model stands in the URL, and every key has two spellings."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

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
    rest,
    signed,
    text_part,
    texts_of,
    thinking_part,
    tool_call,
    tool_result,
)

CONFIG = frozenset(
    {
        *("maxOutputTokens", "temperature", "topP", "stopSequences", "thinkingConfig"),
        *("responseSchema", "responseJsonSchema", "responseMimeType"),
    }
)
KNOWN = frozenset(
    {"model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig"}
)
ASIDE = frozenset(
    {"thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"}
)
MODES = {"AUTO": "auto", "VALIDATED": "auto", "ANY": "required", "NONE": "none"}
JSON = "application/json"


def fields(entries: dict[str, Any]) -> dict[str, Any]:
    """The message's own keys in camelCase; what lies deeper is left alone."""
    return {
        re.sub(r"(?<=\w)_([a-z0-9])", lambda hit: hit[1].upper(), key): entry
        for key, entry in entries.items()
    }


def read(body: dict[str, Any], url: str) -> Neutral:
    """A request to generateContent or streamGenerateContent."""
    body = fields(body)
    found = re.search(r"/(?:models|tunedModels)/([^/:?#]+)(?::(\w+))?", unquote(url))
    model = found[1] if found else str(body.get("model") or "").removeprefix("models/") or None
    result = blank(model, found is not None and found[2] == "streamGenerateContent")
    system = body.get("systemInstruction")
    result["system"] = texts_of(system.get("parts") if isinstance(system, dict) else system)
    for content in listed(body.get("contents")):
        role = "assistant" if content.get("role") == "model" else "user"
        result["messages"].append(message(role, parts_of(content.get("parts"), read_part)))
    for tool in listed(body.get("tools")):
        read_tool(fields(tool), result)
    read_choice(fields(body.get("toolConfig") or {}), result)
    read_config(fields(body.get("generationConfig") or {}), result)
    result["extra"] |= rest(body, KNOWN)
    return result


def read_part(part: dict[str, Any]) -> Part:
    """A part with the signature that sits on it."""
    part = fields(part)
    return signed(read_bare(part), part.get("thoughtSignature"))


def read_bare(part: dict[str, Any]) -> Part:
    """The one thing a part holds; a part may be nothing but its signature."""
    if part.get("text") is not None:
        return thinking_part(part["text"]) if part.get("thought") else text_part(part["text"])
    if part.get("functionCall") is not None:
        call = fields(part["functionCall"])
        return tool_call(call.get("id"), call.get("name"), call.get("args"))
    if part.get("functionResponse") is not None:
        answer = fields(part["functionResponse"])
        inner = parts_of(answer.get("parts"), read_part) or None
        return tool_result(
            answer.get("id"), answer.get("name"), value=answer.get("response"), content=inner
        )
    if part.get("inlineData") is not None:
        blob = fields(part["inlineData"])
        return read_media(blob, data=blob.get("data"))
    if part.get("fileData") is not None:
        blob = fields(part["fileData"])
        return read_media(blob, url=blob.get("fileUri"))
    return next((other_part(key, value) for key, value in rest(part, ASIDE).items()), text_part(""))


def read_media(blob: dict[str, Any], *, url: str | None = None, data: str | None = None) -> Part:
    """Inline or linked bytes; the media type alone tells what they are, and a film is a document."""
    media_type = blob.get("mimeType")
    family = (media_type or "").partition("/")[0].lower()
    kind = family if family in ("image", "audio") else "document"
    return media_part(
        kind, url=url, data=data, media_type=media_type, filename=blob.get("displayName")
    )


def read_tool(tool: dict[str, Any], result: Neutral) -> None:
    """An entry of `tools`: declarations of functions, hosted tools, or both."""
    for spec in listed(tool.pop("functionDeclarations", None)):
        result["tools"].append(function_tool(fields(spec), "parameters", "parametersJsonSchema"))
    result["hosted_tools"] += [name for name, setting in tool.items() if setting is not None]


def read_choice(config: dict[str, Any], result: Neutral) -> None:
    """`toolConfig`: a mode; ANY with one allowed name is that tool by name."""
    calling = fields(config.pop("functionCallingConfig", None) or {})
    mode, names = (
        str(calling.get("mode") or "").upper(),
        listed(calling.get("allowedFunctionNames")),
    )
    if mode == "ANY" and len(names) == 1:
        result["tool_choice"] = {"name": names[0]}
    else:
        result["tool_choice"] = MODES.get(mode)
        if names or mode == "VALIDATED":
            config["functionCallingConfig"] = calling
    if left := rest(config, ()):
        result["extra"]["toolConfig"] = left


def read_config(config: dict[str, Any], result: Neutral) -> None:
    """`generationConfig`; its `thinkingConfig` stays as it is spelled."""
    result["max_output_tokens"] = config.get("maxOutputTokens")
    result["temperature"] = config.get("temperature")
    result["top_p"] = config.get("topP")
    result["stop"] = listed(config.get("stopSequences"))
    result["thinking"] = config.get("thinkingConfig")
    schema = first(config, "responseSchema", "responseJsonSchema")
    left = rest(config, CONFIG)
    if schema is not None:
        result["output_schema"] = output_schema(schema)
    media_type = config.get("responseMimeType")
    if media_type == JSON:
        result["json_mode"] = schema is None
    elif media_type is not None and media_type != "text/plain":
        left["responseMimeType"] = media_type
    if left:
        result["extra"]["generationConfig"] = left
