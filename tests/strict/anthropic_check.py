"""What the messages API refuses, in its own words."""

from __future__ import annotations

import re
from typing import Any

from tests.strict.base import TOOL_NAME, Memory, Refused, number, signature, unknown, whole
from tests.strict.schema import anthropic_strict
from tests.strict.script import Json

TOP = {
    "cache_control", "container", "diagnostics", "inference_geo", "max_tokens", "messages", "metadata", "model",
    "output_config", "service_tier", "speed", "stop_sequences", "stream", "system", "temperature", "thinking",
    "tool_choice", "tools", "top_k", "top_p", "user_profile_id",
}  # fmt: skip
LATEST = "2026-10-21"
"""The version without sampling parameters, and stricter about what a message may hold."""
SAMPLING = {"temperature", "top_p", "top_k"}
ENDPOINT_ONLY = {
    "billing_policy", "compaction", "context_management", "fallback_credit_token", "fallbacks", "mcp_servers", "thread",
    "output_format",
}  # fmt: skip
"""Only with an anthropic-beta header."""

BLOCKS: dict[str, frozenset[str]] = {
    "text": frozenset({"type", "text", "cache_control", "citations"}),
    "image": frozenset({"type", "source", "cache_control", "transformations"}),
    "document": frozenset({"type", "source", "cache_control", "citations", "context", "title"}),
    "search_result": frozenset(
        {"type", "source", "title", "content", "citations", "cache_control"}
    ),
    "thinking": frozenset({"type", "thinking", "signature"}),
    "redacted_thinking": frozenset({"type", "data"}),
    "tool_use": frozenset(
        {"type", "id", "name", "input", "cache_control", "caller", "toolset_name"}
    ),
    "tool_result": frozenset(
        {"type", "tool_use_id", "content", "is_error", "cache_control", "toolset_name"}
    ),
}
_HOSTED_BLOCK = re.compile(
    r"^(server_tool_use|container_upload|tool_reference|compaction|[a-z_]+_tool_result)$"
)
_ONLY_ASSISTANT = {"thinking", "redacted_thinking", "tool_use"}
_TOOL_KEYS = {
    "name", "description", "input_schema", "type", "cache_control", "strict", "allowed_callers", "defer_loading",
    "eager_input_streaming", "input_examples",
}  # fmt: skip

_NO_SAMPLING = re.compile(r"^claude-(opus-4-[7-9]|(opus|sonnet|haiku|fable)-[5-9])(?!\d{7})")
"""From Opus 4.7 on: no temperature, no thinking budgets, no prefill."""
_NO_PREFILL = re.compile(r"^claude-(opus|sonnet)-4-6")
_NOT_BOTH = re.compile(r"^claude-(opus-4-[1-9]|sonnet-4-[5-9]|haiku-4-[5-9])(?!\d{7})")
_THINKS_UNASKED = re.compile(r"^claude-(opus|sonnet|haiku|fable)-[5-9](?!\d{7})")


def _bad(rule: str, text: str) -> Refused:
    return Refused(rule, text)


def thinks(body: Json) -> bool:
    """True when thinking is on."""
    kind = (body.get("thinking") or {}).get("type")
    return kind in ("enabled", "adaptive", "between_tools") or (
        kind is None and bool(_THINKS_UNASKED.match(body["model"]))
    )


def display(body: Json) -> str:
    """How thoughts are shown: from Opus 4.7 on only to those who ask."""
    default = "omitted" if _NO_SAMPLING.match(body["model"]) else "summarized"
    return str((body.get("thinking") or {}).get("display") or default)


def check_body(body: Json, memory: Memory, version: str) -> None:
    """Raises for the first thing that is wrong."""
    gone = SAMPLING if version == LATEST else set()
    for key in unknown(body, (TOP | ENDPOINT_ONLY) - gone):
        raise _bad("unknown-parameter", f"{key}: Extra inputs are not permitted")
    for key in ("model", "max_tokens", "messages"):
        if key not in body:
            rule = "max-tokens" if key == "max_tokens" else key
            raise _bad(rule, f"{key}: Field required")
    if not isinstance(body["model"], str) or not body["model"]:
        raise _bad("model", "model: String should have at least 1 character")
    if "nope" in body["model"]:
        raise Refused("unknown-model", f"model: {body['model']}", kind="not_found")
    if not whole(body["max_tokens"]):
        raise _bad("max-tokens", "max_tokens: Input should be a valid integer")
    if body["max_tokens"] < 0:
        raise _bad("max-tokens", "max_tokens: must be greater than or equal to 1")
    _sampling(body)
    _thinking(body)
    _system(body.get("system"))
    _tools(body)
    _output(body.get("output_config"), body["model"])
    messages = body["messages"]
    if not isinstance(messages, list) or not messages:
        raise _bad("messages", "messages: at least one message is required")
    for index, message in enumerate(messages):
        _message(message, index, last=index == len(messages) - 1)
        if version == LATEST:
            _latest(message, index)
    if messages[0]["role"] != "user":
        raise _bad("first-role", 'messages: first message must use the "user" role')
    _pairs(messages)
    _signatures(messages)
    _thoughts_kept(body, messages, memory)
    _prefill(body, messages[-1])


def _sampling(body: Json) -> None:
    model, on = body["model"], thinks(body)
    for name, high in (("temperature", 1), ("top_p", 1)):
        value = body.get(name)
        if value is None:
            continue
        if _NO_SAMPLING.match(model):
            raise _bad("sampling-model", f"`{name}` is deprecated for this model.")
        if not number(value):
            raise _bad("range", f"{name}: Input should be a valid number")
        if not 0 <= value <= high:
            text = f"less than or equal to {high}" if value > high else "greater than or equal to 0"
            raise _bad("range", f"{name}: Input should be {text}")
    if body.get("top_k") is not None and _NO_SAMPLING.match(model):
        raise _bad("sampling-model", "`top_k` is deprecated for this model.")
    if (
        body.get("temperature") is not None
        and body.get("top_p") is not None
        and _NOT_BOTH.match(model)
    ):
        text = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
        raise _bad("temperature-and-top-p", text)
    if on and body.get("temperature") not in (None, 1):
        text = "`temperature` may only be set to 1 when thinking is enabled."
        raise _bad("thinking-temperature", _see(text))
    if on and body.get("top_k") is not None:
        raise _bad("thinking-temperature", _see("`top_k` must be unset when thinking is enabled."))
    if on and body.get("top_p") is not None and body["top_p"] < 0.95:
        text = "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled."
        raise _bad("thinking-temperature", _see(text))
    stops = body.get("stop_sequences")
    if stops is not None and (
        not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops)
    ):
        raise _bad("stop", "stop_sequences: Input should be a valid list")
    for index, stop in enumerate(stops or []):
        if not stop.strip():
            raise _bad(
                "stop", f"stop_sequences.{index}: each stop sequence must contain non-whitespace"
            )
    if body.get("stream") is not None and not isinstance(body["stream"], bool):
        raise _bad("type", "stream: Input should be a valid boolean")
    for key in unknown(body.get("metadata") or {}, ("user_id",)):
        raise _bad("unknown-parameter", f"metadata.{key}: Extra inputs are not permitted")


def _see(text: str) -> str:
    return f"{text} Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking"


def _thinking(body: Json) -> None:
    thinking = body.get("thinking")
    if thinking is None:
        return
    allowed = {
        "enabled": ("type", "budget_tokens", "display"),
        "adaptive": ("type", "display"),
        "disabled": ("type",),
        "between_tools": ("type",),
    }
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in allowed:
        tags = "'enabled', 'disabled', 'adaptive', 'between_tools'"
        raise _bad(
            "thinking",
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected tags: {tags}",
        )
    for key in unknown(thinking, allowed[kind]):
        raise _bad("unknown-parameter", f"thinking.{kind}.{key}: Extra inputs are not permitted")
    if kind == "enabled":
        if _NO_SAMPLING.match(body["model"]):
            text = (
                '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
                '"output_config.effort" to control thinking behavior.'
            )
            raise _bad("thinking-model", text)
        budget = thinking.get("budget_tokens")
        if not whole(budget):
            raise _bad("thinking-budget", "thinking.enabled.budget_tokens: Field required")
        if budget < 1024:
            raise _bad(
                "thinking-budget",
                "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
            )
        if budget >= body["max_tokens"]:
            raise _bad(
                "thinking-budget",
                _see("`max_tokens` must be greater than `thinking.budget_tokens`."),
            )
    if kind in ("enabled", "adaptive") and (body.get("tool_choice") or {}).get("type") in (
        "any",
        "tool",
    ):
        raise _bad(
            "thinking-tool-choice", "Thinking may not be enabled when tool_choice forces tool use."
        )


def _system(system: Any) -> None:
    if system is None or isinstance(system, str):
        return
    if not isinstance(system, list):
        raise _bad("system", "system: Input should be a valid list")
    for index, block in enumerate(system):
        if not isinstance(block, dict) or block.get("type") != "text":
            raise _bad("system", f"system.{index}.type: Input should be 'text'")
        for key in unknown(block, BLOCKS["text"]):
            raise _bad("unknown-parameter", f"system.{index}.{key}: Extra inputs are not permitted")
        if not block.get("text"):
            raise _bad("empty-text", "system: text content blocks must be non-empty")


def _tools(body: Json) -> None:
    tools = body.get("tools") or []
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        name = tool.get("name")
        if name in seen:
            raise _bad("duplicate-tool", "tools: Tool names must be unique.")
        seen.add(name)
        if tool.get("type", "custom") not in ("custom", None):
            continue
        at = f"tools.{index}.custom"
        for key in unknown(tool, _TOOL_KEYS):
            raise _bad("unknown-tool-key", f"{at}.{key}: Extra inputs are not permitted")
        if not isinstance(name, str) or not TOOL_NAME.match(name):
            raise _bad(
                "tool-name", f"{at}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'"
            )
        if "description" in tool and not isinstance(tool["description"], str):
            raise _bad("tool-type", f"{at}.description: Input should be a valid string")
        schema = tool.get("input_schema")
        if not isinstance(schema, dict):
            raise _bad("tool-schema", f"{at}.input_schema: Field required")
        if schema.get("type") != "object":
            given = "Field required" if "type" not in schema else "Input should be 'object'"
            raise _bad("tool-schema", f"{at}.input_schema.type: {given}")
        if {"oneOf", "allOf", "anyOf"} & set(schema):
            text = "input_schema does not support oneOf, allOf, or anyOf at the top level"
            raise _bad("tool-schema", f"{at}.input_schema: {text}")
        fault = anthropic_strict(schema) if tool.get("strict") else None
        if fault:
            raise _bad("strict-schema", f"{at}: {fault}")
    choice = body.get("tool_choice")
    if choice is None:
        return
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind not in ("auto", "any", "tool", "none"):
        raise _bad(
            "tool-choice",
            f"tool_choice: Input tag '{kind}' does not match any of the expected tags",
        )
    keys = {"none": {"type"}, "tool": {"type", "name", "disable_parallel_tool_use"}}.get(
        kind, {"type", "disable_parallel_tool_use"}
    )
    for key in unknown(choice, keys):
        raise _bad("unknown-parameter", f"tool_choice.{kind}.{key}: Extra inputs are not permitted")
    if not tools and kind != "none":
        raise _bad(
            "choice-without-tools", "tool_choice: may only be specified while providing tools"
        )
    if kind == "tool" and choice.get("name") not in seen:
        raise _bad("tool-choice", f"Tool '{choice.get('name')}' not found in provided tools")


def _efforts(model: str) -> tuple[str, ...]:
    """Effort levels of a model, in the order in which the API lists them."""
    if _NO_SAMPLING.match(model):
        return ("high", "low", "max", "medium", "xhigh")
    if _NO_PREFILL.match(model):
        return ("high", "low", "max", "medium")
    return ("high", "low", "medium") if model.startswith("claude-opus-4-5") else ()


def _output(config: Any, model: str) -> None:
    if config is None:
        return
    for key in unknown(config, ("effort", "format")):
        raise _bad("unknown-parameter", f"output_config.{key}: Extra inputs are not permitted")
    effort, levels = config.get("effort"), _efforts(model)
    if effort is not None and not levels:
        raise _bad("effort", "This model does not support the effort parameter.")
    if effort is not None and effort not in levels:
        text = f"This model does not support effort level '{effort}'. Supported levels: {', '.join(levels)}."
        raise _bad("effort", text)
    wanted = config.get("format")
    if wanted is None:
        return
    for key in unknown(wanted, ("type", "schema")):
        raise _bad(
            "unknown-parameter", f"output_config.format.{key}: Extra inputs are not permitted"
        )
    if wanted.get("type") != "json_schema" or not isinstance(wanted.get("schema"), dict):
        raise _bad("response-format", "output_config.format.schema: Field required")
    fault = anthropic_strict(wanted["schema"])
    if fault:
        raise _bad("strict-schema", f"output_config.format.schema: {fault}")


def _message(message: Any, index: int, *, last: bool) -> None:
    at = f"messages.{index}"
    if not isinstance(message, dict):
        raise _bad("message-type", f"{at}: Input should be a valid dictionary")
    for key in unknown(message, ("role", "content")):
        raise _bad("unknown-message-key", f"{at}.{key}: Extra inputs are not permitted")
    role, content = message.get("role"), message.get("content")
    if role == "system":  # From Opus 4.8 on it may follow a user message; nobody here needs that.
        text = 'Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" as an input message role.'
        raise _bad("system-role", f"messages: {text}")
    if role not in ("user", "assistant"):
        raise _bad("role", f"{at}.role: Input should be 'user' or 'assistant'")
    if content is None:
        raise _bad("empty-message", f"{at}.content: Field required")
    if not content:
        if role == "user":
            raise _bad("empty-message", f"{at}: user messages must have non-empty content")
        if not last:
            text = "all messages must have non-empty content except for the optional final assistant message"
            raise _bad("empty-message", f"{at}: {text}")
    blocks = (
        [{"type": "text", "text": content}] if isinstance(content, str) and content else content
    )
    if not isinstance(content, str | list):
        raise _bad("content-type-of", f"{at}.content: Input should be a valid list")
    for number_, block in enumerate(blocks):
        _block(block, f"{at}.content.{number_}", role)
    if last and role == "assistant" and blocks:
        final = blocks[-1]
        if (
            isinstance(final, dict)
            and final.get("type") == "text"
            and final["text"] != final["text"].rstrip()
        ):
            raise _bad(
                "trailing-space",
                "messages: final assistant content cannot end with trailing whitespace",
            )


def _latest(message: Json, index: int) -> None:
    """What the latest version forbids on top."""
    for at, block in enumerate(message["content"] if isinstance(message["content"], list) else []):
        where = f"messages.{index}.content.{at}"
        if block["type"] == "document" and message["role"] == "assistant":
            raise _bad("block-role", f"{where}: `document` blocks can only be in `user` messages")
        if block.get("citations") and block["type"] == "text" and message["role"] == "user":
            raise _bad(
                "content-part",
                f"{where}.text.citations: citations are not allowed in `user` messages",
            )


def _block(block: Any, at: str, role: str) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in BLOCKS:
        if isinstance(kind, str) and _HOSTED_BLOCK.match(kind):
            return
        tags = ", ".join(f"'{tag}'" for tag in BLOCKS)
        raise _bad(
            "content-part",
            f"{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {tags}",
        )
    for key in unknown(block, BLOCKS[kind]):
        raise _bad("unknown-message-key", f"{at}.{kind}.{key}: Extra inputs are not permitted")
    if kind in _ONLY_ASSISTANT and role != "assistant":
        raise _bad("block-role", f"{at}: `{kind}` blocks can only be in `assistant` messages")
    if kind == "tool_result" and role != "user":
        raise _bad("block-role", f"{at}: `tool_result` blocks can only be in `user` messages")
    if kind == "text":
        if not isinstance(block.get("text"), str):
            raise _bad("content-part", f"{at}.text.text: Field required")
        if not block["text"]:
            raise _bad("empty-text", "messages: text content blocks must be non-empty")
        if not block["text"].strip():
            raise _bad(
                "empty-text", "messages: text content blocks must contain non-whitespace text"
            )
    elif kind == "tool_use":
        if not isinstance(block.get("input"), dict):
            raise _bad("arguments-type", f"{at}.tool_use.input: Input should be a valid dictionary")
        if not re.match(r"^[a-zA-Z0-9_-]+$", str(block.get("id", ""))):
            raise _bad(
                "call-id", f"{at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
            )
        if not TOOL_NAME.match(str(block.get("name", ""))):
            raise _bad(
                "tool-name",
                f"{at}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'",
            )
    elif kind == "tool_result":
        _tool_result(block, at)
    elif kind == "thinking":
        for key in ("thinking", "signature"):
            if not isinstance(block.get(key), str):
                raise _bad("thinking-signature", f"{at}.thinking.{key}: Field required")


def _tool_result(block: Json, at: str) -> None:
    content = block.get("content")
    if not isinstance(block.get("tool_use_id"), str):
        raise _bad("missing-call-id", f"{at}.tool_result.tool_use_id: Field required")
    if block.get("is_error") is not None and not isinstance(block["is_error"], bool):
        raise _bad("type", f"{at}.tool_result.is_error: Input should be a valid boolean")
    if content is not None and not isinstance(content, str | list):
        raise _bad("content-type-of", f"{at}.tool_result.content: Input should be a valid list")
    for index, part in enumerate(content if isinstance(content, list) else []):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in (
            "text",
            "image",
            "document",
            "search_result",
            "tool_reference",
            "browser_state",
        ):
            raise _bad(
                "content-part",
                f"{at}.tool_result.content.{index}: Input tag '{kind}' is not allowed here",
            )
        if kind == "text" and not part.get("text"):
            raise _bad("empty-text", "messages: text content blocks must be non-empty")


def _of(message: Json, kind: str) -> list[Json]:
    content = message["content"]
    return (
        [block for block in content if block["type"] == kind] if isinstance(content, list) else []
    )


def _pairs(messages: list[Json]) -> None:
    """Every call has its result at the head of the very next message, and every result its call just before."""
    seen: set[str] = set()
    for index, message in enumerate(messages):
        calls = [block["id"] for block in _of(message, "tool_use")]
        for call in calls:
            if call in seen:
                raise _bad("call-id", "messages: `tool_use` ids must be unique")
            seen.add(call)
        before = [block["id"] for block in _of(messages[index - 1], "tool_use")] if index else []
        results = [block["tool_use_id"] for block in _of(message, "tool_result")]
        for number_, block in enumerate(
            message["content"] if isinstance(message["content"], list) else []
        ):
            if block["type"] == "tool_result" and block["tool_use_id"] not in before:
                text = (
                    f"unexpected `tool_use_id` found in `tool_result` blocks: {block['tool_use_id']}. Each `tool_result` "
                    "block must have a corresponding `tool_use` block in the previous message."
                )
                raise _bad("orphan-result", f"messages.{index}.content.{number_}: {text}")
        if len(set(results)) < len(results):
            text = "each tool_use must have a single result. Found multiple `tool_result` blocks with id"
            raise _bad("duplicate-result", f"messages.{index}: {text}: {results[0]}")
        if not calls:
            continue
        after = messages[index + 1] if index + 1 < len(messages) else {"content": []}
        first = after["content"] if isinstance(after["content"], list) else []
        heads = [
            block["tool_use_id"] for block in first[: len(calls)] if block["type"] == "tool_result"
        ]
        left = [call for call in calls if call not in heads]
        if left:
            rule = (
                "results-first"
                if set(left) <= {block["tool_use_id"] for block in _of(after, "tool_result")}
                else "missing-result"
            )
            text = (
                f"`tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(left)}. Each "
                "`tool_use` block must have a corresponding `tool_result` block in the next message."
            )
            raise _bad(rule, f"messages.{index}: {text}")


def _signatures(messages: list[Json]) -> None:
    for index, message in enumerate(messages):
        for at, block in enumerate(
            message["content"] if isinstance(message["content"], list) else []
        ):
            if block["type"] == "thinking" and block["signature"] != signature(block["thinking"]):
                text = "Invalid `signature` in `thinking` block"
                raise _bad("thinking-signature", f"messages.{index}.content.{at}: {text}")


def _thoughts_kept(body: Json, messages: list[Json], memory: Memory) -> None:
    """In the tool loop that is still open, what was thought before a call has to come back before it."""
    if not thinks(body):
        return
    start = max(
        (
            at
            for at, message in enumerate(messages)
            if message["role"] == "user" and not _of(message, "tool_result")
        ),
        default=-1,
    )
    budgeted = (body.get("thinking") or {}).get("type") == "enabled"
    for index in range(start + 1, len(messages)):
        message = messages[index]
        calls = _of(message, "tool_use")
        if message["role"] != "assistant" or not calls:
            continue
        known = memory.calls.get(calls[0]["id"])
        # The API asks it of the first message of the loop; later ones need not have thoughts. What this server made
        # up it remembers: a call that came without thoughts cannot bring any back.
        needed = known.thinking if known else budgeted and index == start + 1
        kinds = [block["type"] for block in message["content"]]
        if needed and kinds[0] not in ("thinking", "redacted_thinking"):
            text = (
                f"Expected `thinking` or `redacted_thinking`, but found `{kinds[0]}`. When `thinking` is enabled, a final "
                "`assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and "
                "`tool_result` blocks). We recommend you include thinking blocks from previous turns. To avoid this "
                "requirement, disable `thinking`."
            )
            raise _bad("thinking-missing", f"messages.{index}.content.0.type: {_see(text)}")


def _prefill(body: Json, final: Json) -> None:
    if final["role"] != "assistant":
        return
    model = body["model"]
    if _NO_SAMPLING.match(model) or _NO_PREFILL.match(model):
        text = "This model does not support assistant message prefill. The conversation must end with a user message."
        raise _bad("last-role", text)
    if not thinks(body) and _of(final, "thinking"):
        text = (
            "When thinking is disabled, an `assistant` message in the final position cannot contain `thinking`. To use "
            "thinking blocks, enable `thinking` in your request."
        )
        raise _bad("thinking-missing", f"messages: {text}")
