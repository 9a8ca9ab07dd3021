"""What the responses API refuses, in its own words."""

from __future__ import annotations

from typing import Any

from tests.strict.base import (
    TOOL_NAME,
    Memory,
    Refused,
    kind_of,
    parse_arguments,
    signature,
    unknown,
)
from tests.strict.openai_chat import (
    check_count,
    check_flag,
    check_range,
    check_strict,
    reasons,
    takes_sampling,
)
from tests.strict.script import Json

TOP = {
    "background", "context_management", "conversation", "include", "input", "instructions", "max_output_tokens",
    "max_tool_calls", "metadata", "model", "moderation", "parallel_tool_calls", "previous_response_id", "prompt",
    "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning", "safety_identifier",
    "service_tier", "store", "stream", "stream_options", "temperature", "text", "tool_choice", "tools", "top_logprobs",
    "top_p", "truncation", "user",
}  # fmt: skip
_MOVED = {
    "max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format", "reasoning_effort": "reasoning.effort", "messages": "input",
}  # fmt: skip
INCLUDABLE = (
    "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
    "message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs",
    "reasoning.encrypted_content", "message.output_text.logprobs",
)  # fmt: skip

_KEYS: dict[str, set[str]] = {
    "message": {"type", "role", "content", "id", "status", "phase"},
    "function_call": {
        "type",
        "id",
        "call_id",
        "name",
        "arguments",
        "status",
        "namespace",
        "caller",
    },
    "function_call_output": {
        "type",
        "id",
        "call_id",
        "output",
        "status",
        "name",
        "namespace",
        "caller",
    },
    "reasoning": {"type", "id", "summary", "content", "encrypted_content", "status"},
    "item_reference": {"type", "id"},
}
_HOSTED = (
    "web_search_call", "file_search_call", "computer_call", "computer_call_output", "image_generation_call",
    "code_interpreter_call", "local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output",
    "apply_patch_call", "apply_patch_call_output", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response",
    "mcp_call", "custom_tool_call", "custom_tool_call_output", "compaction", "tool_search_call", "tool_search_output",
)  # fmt: skip
_HOSTED_TOOLS = (
    "web_search", "web_search_preview", "web_search_2025_08_26", "file_search", "code_interpreter", "mcp",
    "image_generation", "computer", "computer_use_preview", "local_shell", "shell", "custom", "apply_patch",
    "namespace", "tool_search",
)  # fmt: skip
_PARTS = {
    "user": ("input_text", "input_image", "input_file", "input_audio"),
    "system": ("input_text", "input_image", "input_file"),
    "developer": ("input_text", "input_image", "input_file"),
    "assistant": ("output_text", "refusal"),
}
_TOOL_KEYS = (
    "type", "name", "description", "parameters", "strict", "allowed_callers", "async", "defer_loading", "output_schema",
)  # fmt: skip


def seal(item_id: str) -> str:
    """Encrypted content of a reasoning item."""
    return "gAAAAAB" + signature(f"reasoning {item_id}", 180).replace("+", "-").replace("/", "_")


def _bad(rule: str, text: str, param: str | None = None, code: str | None = None) -> Refused:
    return Refused(rule, text, param=param, code=code)


def conversation(body: Json, memory: Memory) -> list[Json]:
    """The whole history that a request stands on."""
    given = body.get("input") or []
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
    return [*memory.stored.get(body.get("previous_response_id") or "", []), *items]


def check_body(body: Json, memory: Memory) -> None:
    """Raises for the first thing that is wrong."""
    for key in unknown(body, TOP):
        if key in _MOVED:
            text = f"Unsupported parameter: '{key}'. In the Responses API, this parameter has moved to '{_MOVED[key]}'."
            raise _bad("unknown-parameter", text, key, "unsupported_parameter")
        raise _bad("unknown-parameter", f"Unknown parameter: '{key}'.", key, "unknown_parameter")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise _bad(
            "model", "Missing required parameter: 'model'.", "model", "missing_required_parameter"
        )
    if "nope" in model:  # HTTP 400, as recorded
        text = f"The requested model '{model}' does not exist."
        raise Refused("unknown-model", text, kind="not_found", status=400, param="model")
    _parameters(body, model)
    _tools(body)
    _format(body.get("text"))
    previous = body.get("previous_response_id")
    if previous is not None and previous not in memory.stored:
        text = f"Previous response with id '{previous}' not found."
        raise _bad("previous-response", text, "previous_response_id", "previous_response_not_found")
    given = body.get("input")
    if given is None or given == []:
        raise _bad(
            "messages",
            "Missing required parameter: 'input'.",
            "input",
            "missing_required_parameter",
        )
    if not isinstance(given, str | list):
        raise _bad(
            "messages",
            f"Invalid type for 'input': got {kind_of(given)} instead.",
            "input",
            "invalid_type",
        )
    for index, item in enumerate(given if isinstance(given, list) else []):
        _item(item, f"input[{index}]", stored=body.get("store") is not False, memory=memory)
    _pairs(conversation(body, memory))
    _reasoning_kept(conversation(body, memory), body, memory)


def _parameters(body: Json, model: str) -> None:
    check_range(body, "temperature", 0, 2)
    check_range(body, "top_p", 0, 1)
    check_count(body, "max_output_tokens", 16)
    check_count(body, "max_tool_calls")
    for name in ("stream", "store", "parallel_tool_calls", "background"):
        check_flag(body, name)
    if body.get("instructions") is not None and not isinstance(body["instructions"], str):
        text = "Invalid type for 'instructions': expected a string."
        raise _bad("type", text, "instructions", "invalid_type")
    if body.get("stream_options") is not None and not body.get("stream"):
        text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise _bad("stream-options", text, "stream_options")
    for key in unknown(body.get("stream_options") or {}, ("include_obfuscation",)):
        raise _bad(
            "unknown-parameter",
            f"Unknown parameter: 'stream_options.{key}'.",
            f"stream_options.{key}",
            "unknown_parameter",
        )
    reasoning = body.get("reasoning") or {}
    for index, name in enumerate(body.get("include") or []):
        if name not in INCLUDABLE:
            text = f"Invalid value: '{name}'. Supported values are: {', '.join(INCLUDABLE)}."
            raise _bad("include", text, f"include[{index}]", "invalid_value")
    for key in unknown(reasoning, ("effort", "summary", "generate_summary", "context", "mode")):
        raise _bad(
            "unknown-parameter",
            f"Unknown parameter: 'reasoning.{key}'.",
            f"reasoning.{key}",
            "unknown_parameter",
        )
    if not reasons(model):
        for key, value in reasoning.items():
            if value is not None:
                text = f"Unsupported parameter: 'reasoning.{key}' is not supported with this model."
                raise _bad("reasoning-effort", text, f"reasoning.{key}", "unsupported_parameter")
        if "reasoning.encrypted_content" in (body.get("include") or []):
            text = "Encrypted content is not supported with this model."
            raise _bad("include", text, "include")
    elif not takes_sampling(model, reasoning.get("effort")):
        for key in ("temperature", "top_p"):
            if body.get(key) is not None:
                text = f"Unsupported parameter: '{key}' is not supported with this model."
                raise _bad("reasoning-temperature", text, key, "unsupported_parameter")


def _tools(body: Json) -> None:
    tools, seen = body.get("tools") or [], set()
    for index, tool in enumerate(tools):
        at = f"tools[{index}]"
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind in _HOSTED_TOOLS:
            continue
        if kind != "function":
            text = f"Invalid value: '{kind}'. Supported values are: 'function', {', '.join(map(repr, _HOSTED_TOOLS))}."
            raise _bad("tool-type", text, f"{at}.type", "invalid_value")
        if "name" not in tool:
            raise _bad(
                "tool-type",
                f"Missing required parameter: '{at}.name'.",
                f"{at}.name",
                "missing_required_parameter",
            )
        for key in unknown(tool, _TOOL_KEYS):
            raise _bad(
                "unknown-tool-key",
                f"Unknown parameter: '{at}.{key}'.",
                f"{at}.{key}",
                "unknown_parameter",
            )
        name = tool["name"]
        if not isinstance(name, str) or not TOOL_NAME.match(name):
            text = f"Invalid '{at}.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
            raise _bad("tool-name", text, f"{at}.name", "invalid_value")
        if name in seen:
            raise _bad(
                "duplicate-tool",
                f"Invalid 'tools': function names must be unique, '{name}' occurs twice.",
                at,
            )
        seen.add(name)
        schema = tool.get("parameters")
        if schema is not None and (not isinstance(schema, dict) or schema.get("type") != "object"):
            text = f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."
            raise _bad("tool-schema", text, f"{at}.parameters", "invalid_function_parameters")
        if tool.get("strict"):
            check_strict(
                schema or {},
                f"function '{name}'",
                f"{at}.parameters",
                "invalid_function_parameters",
            )
    choice = body.get("tool_choice")
    if isinstance(choice, str) and choice not in ("none", "auto", "required"):
        text = f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'."
        raise _bad("tool-choice", text, "tool_choice", "invalid_value")
    if (
        isinstance(choice, dict)
        and choice.get("type") == "function"
        and choice.get("name") not in seen
    ):
        raise _bad(
            "tool-choice",
            f"Tool choice 'function' not found in 'tools' parameter: '{choice.get('name')}'.",
            "tool_choice",
        )
    if choice == "required" and not tools:
        raise _bad(
            "choice-without-tools",
            "Tool choice 'required' must be specified with 'tools' parameter.",
            "tool_choice",
        )


def _format(text: Any) -> None:
    for key in unknown(text or {}, ("format", "verbosity")):
        raise _bad(
            "unknown-parameter",
            f"Unknown parameter: 'text.{key}'.",
            f"text.{key}",
            "unknown_parameter",
        )
    wanted = (text or {}).get("format")
    if wanted is None:
        return
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind not in ("text", "json_object", "json_schema"):
        message = f"Invalid value: '{kind}'. Supported values are: 'json_object', 'json_schema', and 'text'."
        raise _bad("response-format", message, "text.format.type", "invalid_value")
    if kind != "json_schema":
        return
    for key in ("name", "schema"):
        if key not in wanted:
            param = f"text.format.{key}"
            raise _bad(
                "response-format",
                f"Missing required parameter: '{param}'.",
                param,
                "missing_required_parameter",
            )
    for key in unknown(wanted, ("type", "name", "schema", "strict", "description")):
        param = f"text.format.{key}"
        raise _bad(
            "unknown-parameter", f"Unknown parameter: '{param}'.", param, "unknown_parameter"
        )
    if not isinstance(wanted["name"], str) or not TOOL_NAME.match(wanted["name"]):
        message = "Invalid 'text.format.name': string does not match pattern '^[a-zA-Z0-9_-]+$'."
        raise _bad("response-format", message, "text.format.name", "invalid_value")
    if wanted.get("strict"):
        check_strict(
            wanted["schema"],
            f"response_format '{wanted['name']}'",
            "text.format.schema",
            "invalid_json_schema",
        )


def _item(item: Any, at: str, *, stored: bool, memory: Memory) -> None:
    if not isinstance(item, dict):
        raise _bad(
            "message-type",
            f"Invalid type for '{at}': expected an object, but got {kind_of(item)} instead.",
            at,
            "invalid_type",
        )
    kind = item.get("type", "message" if "role" in item else None)
    if kind in _HOSTED:
        return
    if kind not in _KEYS:
        known = ", ".join(f"'{name}'" for name in (*_KEYS, *_HOSTED))
        raise _bad(
            "content-part",
            f"Invalid value: '{kind}'. Supported values are: {known}.",
            f"{at}.type",
            "invalid_value",
        )
    for key in unknown(item, _KEYS[kind]):
        raise _bad(
            "unknown-message-key",
            f"Unknown parameter: '{at}.{key}'.",
            f"{at}.{key}",
            "unknown_parameter",
        )
    prefix = {"function_call": "fc", "reasoning": "rs", "message": "msg"}.get(kind)
    if prefix and item.get("id") is not None and not str(item["id"]).startswith(prefix):
        text = f"Invalid '{at}.id': '{item['id']}'. Expected an ID that begins with '{prefix}'."
        raise _bad("item-id", text, f"{at}.id", "invalid_value")
    if kind == "message":
        _said(item, at)
    elif kind == "function_call":
        _called(item, at)
    elif kind == "function_call_output":
        if not isinstance(item.get("call_id"), str) or not item["call_id"]:
            param = f"{at}.call_id"
            raise _bad(
                "missing-call-id",
                f"Missing required parameter: '{param}'.",
                param,
                "missing_required_parameter",
            )
        if not isinstance(item.get("output"), str | list):
            text = f"Invalid type for '{at}.output': expected a string or an array, but got {kind_of(item.get('output'))} instead."
            raise _bad("content-type-of", text, f"{at}.output", "invalid_type")
    elif kind == "reasoning":
        _reasoned(item, at, stored=stored, memory=memory)


def _said(item: Json, at: str) -> None:
    role, content = item.get("role"), item.get("content")
    if role not in _PARTS:
        text = f"Invalid value: '{role}'. Supported values are: 'assistant', 'system', 'developer', and 'user'."
        raise _bad("role", text, f"{at}.role", "invalid_value")
    if content is None or content == []:
        param = f"{at}.content"
        raise _bad(
            "empty-message",
            f"Missing required parameter: '{param}'.",
            param,
            "missing_required_parameter",
        )
    for index, part in enumerate(content if isinstance(content, list) else []):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in _PARTS[role]:
            known = ", ".join(f"'{name}'" for name in _PARTS[role])
            param = f"{at}.content[{index}].type"
            raise _bad(
                "content-part",
                f"Invalid value: '{kind}'. Supported values are: {known}.",
                param,
                "invalid_value",
            )


def _called(item: Json, at: str) -> None:
    for key in ("call_id", "name", "arguments"):
        if not isinstance(item.get(key), str) or (not item[key] and key != "arguments"):
            rule = "arguments-type" if key == "arguments" else "call-id"
            text = f"Invalid type for '{at}.{key}': expected a string, but got {kind_of(item.get(key))} instead."
            raise _bad(rule, text, f"{at}.{key}", "invalid_type")
    if not TOOL_NAME.match(item["name"]):
        text = f"Invalid '{at}.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        raise _bad("tool-name", text, f"{at}.name", "invalid_value")
    if parse_arguments(item["arguments"]) is None:
        text = f"Invalid '{at}.arguments': expected the text of a JSON object."
        raise _bad("arguments", text, f"{at}.arguments", "invalid_value")


def _reasoned(item: Json, at: str, *, stored: bool, memory: Memory) -> None:
    item_id, sealed = item.get("id"), item.get("encrypted_content")
    for key in ("id", "summary"):
        if key not in item:
            raise _bad(
                "reasoning-item",
                f"Missing required parameter: '{at}.{key}'.",
                f"{at}.{key}",
                "missing_required_parameter",
            )
    if sealed is None:
        known = stored and any(
            kept.get("id") == item_id for items in memory.stored.values() for kept in items
        )
        if not known:
            text = (
                f"Item with id '{item_id}' not found. Items are not persisted when `store` is set to false. Try again with "
                "`store` set to true, or remove this item from your input."
            )
            body = {
                "error": {
                    "message": text,
                    "type": "invalid_request_error",
                    "param": "input",
                    "code": None,
                }
            }
            raise Refused("reasoning-item", text, kind="not_found", body=body)
    elif sealed != seal(str(item_id)):
        text = f"The encrypted content for item {item_id} could not be verified."
        raise _bad("reasoning-seal", text, "input", "invalid_encrypted_content")


def _kind(item: Json) -> str:
    return str(item.get("type", "message"))


def _pairs(items: list[Json]) -> None:
    """Calls have outputs, outputs have calls, and nothing is said in between."""
    waiting: list[str] = []
    seen: set[str] = set()
    for item in items:
        kind = _kind(item)
        if kind == "function_call":
            if item["call_id"] in seen:
                raise _bad(
                    "call-id", f"Duplicate function call with call_id {item['call_id']}.", "input"
                )
            seen.add(item["call_id"])
            waiting.append(item["call_id"])
        elif kind == "function_call_output":
            if item["call_id"] not in waiting:
                text = (
                    f"No tool call found for function call output with call_id {item['call_id']}."
                )
                raise _bad("orphan-result", text, "input")
            waiting.remove(item["call_id"])
        elif kind == "message" and waiting and item.get("role") != "assistant":
            break
    if waiting:
        raise _bad(
            "missing-result", f"No tool output found for function call {waiting[0]}.", "input"
        )


def _reasoning_kept(items: list[Json], body: Json, memory: Memory) -> None:
    """Reasoning comes back before the calls it led to, and never without what it led to."""
    seen: set[str] = set()
    for at, item in enumerate(items):
        kind = _kind(item)
        if kind == "reasoning":
            seen.add(str(item["id"]))
            after = items[at + 1] if at + 1 < len(items) else {"type": "none"}
            if (
                _kind(after) in ("none", "function_call_output")
                or after.get("role", "assistant") != "assistant"
            ):
                text = f"Item '{item['id']}' of type 'reasoning' was provided without its required following item."
                raise _bad("reasoning-alone", text, "input")
        issued = memory.calls.get(item["call_id"]) if kind == "function_call" else None
        if issued is None or not issued.reasoning or issued.reasoning in seen:
            continue
        # Without its id the API does not know whose call it is; but sealed reasoning that was asked for and handed
        # out is meant to come back, so a client that drops it is refused here all the same.
        if item.get("id") is not None or (body.get("store") is False and issued.sealed):
            text = (
                f"Item '{item.get('id') or item['call_id']}' of type 'function_call' was provided without its required "
                f"'reasoning' item: '{issued.reasoning}'."
            )
            raise _bad("reasoning-missing", text, "input")
