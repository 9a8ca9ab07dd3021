"""Ollama's own chat: messages as in chat completions, limits in `options`, a stream unless told otherwise."""

from __future__ import annotations

from typing import Any

from tests.conformance.neutral_chat import read_messages, read_tools
from tests.conformance.neutral_parts import Neutral, blank, listed, output_schema, rest

OPTIONS = frozenset({"num_predict", "temperature", "top_p", "stop"})
KNOWN = frozenset({"model", "stream", "messages", "tools", "format", "options", "think"})


def read(body: dict[str, Any], url: str) -> Neutral:
    """A request to /api/chat."""
    result = blank(body.get("model"), body.get("stream") is not False)
    read_messages(body, result)
    read_tools(body, result)
    form = body.get("format")
    if form == "json":
        result["json_mode"] = True
    elif form:
        result["output_schema"] = output_schema(form)
    options = body.get("options") or {}
    result["max_output_tokens"] = options.get("num_predict")
    result["temperature"] = options.get("temperature")
    result["top_p"] = options.get("top_p")
    result["stop"] = listed(options.get("stop"))
    result["thinking"] = None if body.get("think") is None else {"think": body["think"]}
    result["extra"] = rest(body, KNOWN)
    if left := rest(options, OPTIONS):
        result["extra"]["options"] = left
    return result
