"""Neutral words: the pieces that the readers of all dialects put together."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

Part = dict[str, Any]
Neutral = dict[str, Any]

RAW = ("signature", "data")  # what stands beside a hash, and only with keep=True


def blank(model: Any, stream: bool) -> Neutral:
    """A request that says nothing but its model."""
    return {
        "model": model,
        "stream": stream,
        "system": [],
        "messages": [],
        "tools": [],
        "hosted_tools": [],
        "tool_choice": None,
        "output_schema": None,
        "json_mode": False,
        "max_output_tokens": None,
        "temperature": None,
        "top_p": None,
        "stop": [],
        "thinking": None,
        "extra": {},
    }


def compact(**entries: Any) -> dict[str, Any]:
    """The entries that say something: null and absent are the same."""
    return {key: value for key, value in entries.items() if value is not None}


def first(entries: Mapping[str, Any], *names: str) -> Any:
    """The first of several spellings that is there and not null."""
    return next((entries[name] for name in names if entries.get(name) is not None), None)


def listed(value: Any) -> list[Any]:
    """A value that may be absent, single or a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def rest(body: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """What has no neutral name; null says nothing."""
    return {key: value for key, value in body.items() if key not in known and value is not None}


def digest(text: str) -> str:
    """The first 16 hex digits of SHA-256 of the characters as they stand on the wire."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def signed(part: Part, signature: str | None) -> Part:
    """The part with the opaque blob that has to travel with it."""
    return (
        {**part, "signature_sha256_16": digest(signature), "signature": signature}
        if signature
        else part
    )


def text_part(text: str | None, **more: Any) -> Part:
    """Visible text."""
    return {"type": "text", "text": text or "", **compact(**more)}


def thinking_part(text: str | None, signature: str | None = None, **more: Any) -> Part:
    """Reasoning; the text is null when none is shown."""
    return signed({"type": "thinking", "text": text or None, **compact(**more)}, signature)


def tool_call(ident: str | None, name: str | None, raw: Any) -> Part:
    """A call the model made."""
    return {"type": "tool_call", "id": ident or None, "name": name, **arguments(raw)}


def tool_result(ident: str | None, name: str | None, **more: Any) -> Part:
    """The answer to a call: `content` is a list of parts, Gemini's `value` is JSON."""
    return {"type": "tool_result", "id": ident or None, "name": name, **compact(**more)}


def refusal_part(text: str) -> Part:
    """Words with which the model declined."""
    return {"type": "refusal", "text": text}


def other_part(kind: str, value: Any) -> Part:
    """What has no neutral name, with the dialect's own name and JSON."""
    return {"type": "other", "kind": kind, "value": value}


def media_part(
    kind: str,
    *,
    url: str | None = None,
    data: str | None = None,
    media_type: str | None = None,
    **more: Any,
) -> Part:
    """An image, document or audio clip by link, by base64 text or by a name in `more`; a data URL is base64 text."""
    inline = next(
        (source for source in (url, data) if source and source[:5].lower() == "data:"), None
    )
    if inline:
        url = None
        media_type, data = split_data_url(inline)
    part = {"type": kind, **compact(media_type=media_type, url=url, **more)}
    if data is not None:
        part |= {"data_sha256_16": digest(data), "data_chars": len(data), "data": data}
    return part


def split_data_url(url: str) -> tuple[str, str]:
    """Media type and base64 text of a data URL (RFC 2397)."""
    header, _, content = url[5:].partition(",")
    media_type, *settings = header.split(";")
    if "base64" in (setting.strip().lower() for setting in settings):
        return media_type or "text/plain", unquote(content)
    return media_type or "text/plain", base64.b64encode(unquote_to_bytes(content)).decode()


def arguments(raw: Any) -> dict[str, Any]:
    """Arguments of a call, parsed; what does not parse stays beside a null."""
    if not isinstance(raw, str):
        return {"arguments": {} if raw is None else raw}
    try:
        parsed = json.loads(raw) if raw.strip() else None
    except ValueError:
        return {"arguments": None, "arguments_raw": raw}
    return {"arguments": {} if parsed is None else parsed}


def parts_of(content: Any, read: Callable[[dict[str, Any]], Part]) -> list[Part]:
    """Content as parts, whether it is absent, a string, one block or a list of blocks; empty text is no part."""
    blocks = [
        text_part(block) if isinstance(block, str) else read(block) for block in listed(content)
    ]
    return [
        part
        for part in blocks
        if part not in ({"type": "text", "text": ""}, {"type": "thinking", "text": None})
    ]


def texts_of(content: Any) -> list[str]:
    """The texts of a system prompt, one for each block."""
    parts = parts_of(content, lambda block: text_part(block.get("text")))
    return [part["text"] for part in parts]


def message(role: str, parts: list[Part]) -> dict[str, Any]:
    """A message; tool results alone make it the tool's, whatever the dialect calls the role."""
    only_results = bool(parts) and all(part["type"] == "tool_result" for part in parts)
    return {"role": "tool" if only_results else role, "content": parts}


def function_tool(spec: Mapping[str, Any], *schema: str) -> dict[str, Any]:
    """A tool the client runs; `schema` names the key of its parameters."""
    return compact(
        name=spec.get("name"),
        description=spec.get("description"),
        parameters=first(spec, *schema),
        strict=spec.get("strict"),
        cache_control=spec.get("cache_control"),
    )


def output_schema(
    schema: Any, name: str | None = None, strict: bool | None = None
) -> dict[str, Any]:
    """The shape an answer has to have."""
    return {"name": name, "schema": schema, "strict": strict}


def read_choice(choice: Any, result: Neutral) -> None:
    """The `tool_choice` of both OpenAI dialects and their kin; what it says beyond mode and name goes to `extra`."""
    if choice is None or isinstance(choice, str):
        result["tool_choice"] = "required" if choice == "any" else choice
        return
    kind = choice.get("type", "function")
    inner = choice.get(kind)
    entry = inner if isinstance(inner, dict) else choice
    if kind in ("function", "custom"):
        result["tool_choice"] = {"name": entry.get("name")}
        return
    result["tool_choice"] = entry.get("mode") if kind == "allowed_tools" else None
    result["extra"]["tool_choice"] = choice


def without_raw(result: Neutral) -> Neutral:
    """The same request without what stands beside the hashes."""
    messages = [
        {**entry, "content": [bare(part) for part in entry["content"]]}
        for entry in result["messages"]
    ]
    return {**result, "messages": messages}


def bare(part: Part) -> Part:
    """A part, and the parts in it, without the raw blobs."""
    kept = {key: value for key, value in part.items() if key not in RAW}
    if "content" in kept:
        kept["content"] = [bare(inner) for inner in kept["content"]]
    return kept
