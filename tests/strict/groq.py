"""Groq: /openai/v1/chat/completions, the OpenAI dialect with opinions."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.strict.base import (
    CREATED,
    Dialect,
    Events,
    Memory,
    Refused,
    Reply,
    Request,
    compact,
    made_up,
    number,
    sse,
    unknown,
    uuid,
    whole,
)  # fmt: skip
from tests.strict.chat import TEXT_ONLY, Fault, Style, lint, lint_tools
from tests.strict.schema import openai_strict
from tests.strict.script import Answer, Json, Kind

TOP = {
    "citation_options", "compound_custom", "disable_tool_validation", "documents", "exclude_domains",
    "frequency_penalty", "include_domains", "include_reasoning", "max_completion_tokens", "max_tokens", "messages",
    "metadata", "model", "n", "parallel_tool_calls", "presence_penalty", "reasoning_effort", "reasoning_format",
    "response_format", "search_settings", "seed", "service_tier", "stop", "store", "stream", "stream_options",
    "temperature", "tool_choice", "tools", "top_p", "user",
}  # fmt: skip
NOT_YET = ("logprobs", "logit_bias", "top_logprobs")

_PLAIN = frozenset({"role", "content"})
STYLE = Style(
    keys={
        "system": _PLAIN,
        "developer": _PLAIN,
        "user": _PLAIN,
        "assistant": _PLAIN | {"tool_calls", "reasoning"},
        "tool": _PLAIN | {"tool_call_id"},
    },
    parts={
        "user": frozenset({"text", "image_url", "document"}),
        "tool": TEXT_ONLY,
        "assistant": TEXT_ONLY,
    },
)

FAILURES: dict[Kind, tuple[int, str, str | None, str]] = {
    "auth": (401, "invalid_request_error", "invalid_api_key", "Invalid API Key"),
    "rate_limit": (429, "tokens", "rate_limit_exceeded", (
        "Rate limit reached for model `llama-3.3-70b-versatile` in organization `org_strict` service tier `on_demand` "
        "on tokens per minute (TPM): Limit 12000, Used 11972, Requested 4351. Please try again in 5.289s. Need more "
        "tokens? Visit https://console.groq.com/docs/rate-limits"
    )),
    "quota": (429, "tokens", "rate_limit_exceeded", (
        "Rate limit reached for model `llama-3.3-70b-versatile` in organization `org_strict` service tier `on_demand` "
        "on tokens per day (TPD): Limit 100000, Used 99990, Requested 4351. Please try again in 1h2m3s. Need more "
        "tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing"
    )),
    "overloaded": (503, "internal_server_error", None, (
        "llama-3.3-70b-versatile is currently over capacity. Please try again and back off exponentially."
    )),
    "server": (500, "internal_server_error", None, "Internal Server Error"),
    "context_length": (400, "invalid_request_error", "context_length_exceeded", (
        "Please reduce the length of the messages or completion."
    )),
    "invalid_request": (400, "invalid_request_error", None, "invalid request"),
    "not_found": (404, "invalid_request_error", "model_not_found", (
        "The model `nope` does not exist or you do not have access to it."
    )),
}  # fmt: skip


def error_body(failed: Refused, *, in_stream: bool = False) -> Json:
    status, kind, code, text = FAILURES[failed.kind]
    error: Json = {"message": failed.message or text, "type": kind}
    if failed.param or failed.kind == "context_length":
        error["param"] = failed.param or "messages"
    if failed.code or code:
        error["code"] = failed.code or code
    if in_stream:
        error["status_code"] = status
    return {"error": error}


class Groq(Dialect):
    """Groq's cloud."""

    name: ClassVar[str] = "groq"

    def authorize(self, request: Request) -> None:
        if self.bearer(request) != self.key:
            rule = "wrong-key" if self.bearer(request) else "no-key"
            raise Refused(rule, "Invalid API Key", kind="auth")

    def route(self, request: Request) -> None:
        if request.path != "/openai/v1/chat/completions" or request.method != "POST":
            text = f"Unknown request URL: {request.method} {request.path}. Please check the URL for typos."
            raise Refused("path", text, kind="not_found", code="unknown_url")

    def check(self, request: Request, memory: Memory) -> None:
        body: Json = request.json
        for key in unknown(body, TOP):
            words = "is not supported" if key in NOT_YET else "is unsupported"
            raise Refused("unknown-parameter", f"property '{key}' {words}")
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise Refused("model", "'model' : property 'model' is missing")
        if "nope" in model:
            text = f"The model `{model}` does not exist or you do not have access to it."
            raise Refused("unknown-model", text, kind="not_found")
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise Refused("messages", "'messages' : minimum number of items is 1")
        self._numbers(body)
        self._tools(body)
        self._reasoning(body)
        for fault in lint(messages, STYLE):
            raise _worded(fault)

    def _numbers(self, body: Json) -> None:
        ranges = {
            "temperature": (0, 2),
            "top_p": (0, 1),
            "frequency_penalty": (-2, 2),
            "presence_penalty": (-2, 2),
        }
        for name, (low, high) in ranges.items():
            value = body.get(name)
            if value is not None and (not number(value) or not low <= value <= high):
                raise Refused(
                    "range", f"'{name}' : number must be between {low} and {high}, but got {value}"
                )
        for name in ("max_tokens", "max_completion_tokens"):
            value = body.get(name)
            if value is not None and (not whole(value) or value < 1):
                raise Refused("range", f"'{name}' : number must be at least 1")
        if body.get("n") not in (None, 1):
            raise Refused("range", "'n' : number must be at most 1")
        if isinstance(body.get("stop"), list) and len(body["stop"]) > 4:
            raise Refused("range", "'stop' : maximum number of items is 4")
        if body.get("stream_options") is not None and not body.get("stream"):
            raise Refused("stream-options", "'stream_options' : only allowed when 'stream' is true")

    def _tools(self, body: Json) -> None:
        tools = body.get("tools")
        wanted = body.get("response_format") or {}
        if tools is None:
            if body.get("tool_choice") not in (None, "none", "auto"):
                raise Refused("choice-without-tools", "'tool_choice' : no tools were provided")
            tools = []
        if not isinstance(tools, list):
            raise Refused("tool-type", "'tools' : value must be an array")
        for fault in lint_tools(tools, STYLE):
            where = f"tools.{fault.index}.{fault.where}"
            raise Refused(fault.rule, f"'{where}' : {_about_tool(fault)}")
        for index, tool in enumerate(tools):
            function = tool["function"]
            if function.get("strict"):
                _strict(function.get("parameters") or {}, f"tools.{index}.function.parameters")
        choice, names = body.get("tool_choice"), [tool["function"]["name"] for tool in tools]
        if isinstance(choice, str) and choice not in ("none", "auto", "required"):
            raise Refused(
                "tool-choice", "'tool_choice' : value must be one of 'none', 'auto', 'required'"
            )
        if isinstance(choice, dict) and choice.get("function", {}).get("name") not in names:
            raise Refused(
                "tool-choice",
                "'tool_choice' : tool choice function was not found in the tools provided",
            )
        if tools and wanted.get("type") in ("json_object", "json_schema"):
            raise Refused(
                "schema-with-tools", "json mode cannot be combined with tool/function calling"
            )
        if wanted.get("type") == "json_schema":
            inner = wanted.get("json_schema")
            if not isinstance(inner, dict) or "schema" not in inner or "name" not in inner:
                raise Refused(
                    "response-format",
                    "'response_format.json_schema' : property 'schema' is missing",
                )
            if inner.get("strict"):
                _strict(inner["schema"], "response_format.json_schema")
        elif wanted.get("type") == "json_object" and "json" not in str(body["messages"]).lower():
            text = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
            raise Refused("json-word", text)

    def _reasoning(self, body: Json) -> None:
        shape = body.get("reasoning_format")
        if shape not in (None, "hidden", "raw", "parsed"):
            raise Refused(
                "reasoning-format",
                "'reasoning_format' : value must be one of 'hidden', 'raw', 'parsed'",
            )
        if shape is not None and body.get("include_reasoning") is not None:
            raise Refused(
                "reasoning-format", "cannot specify both `include_reasoning` and `reasoning_format`"
            )
        if shape == "raw" and (
            body.get("tools") or (body.get("response_format") or {}).get("type", "text") != "text"
        ):
            text = "`reasoning_format` must be either `parsed` or `hidden` when using tool calling or JSON mode"
            raise Refused("reasoning-format", text)

    def failure(
        self, request: Request, refused: Refused, retry_after: float | None = None
    ) -> Reply:
        headers = {"x-request-id": f"req_{made_up(refused.message, 26)}"}
        if retry_after is not None:
            headers["retry-after"] = str(int(retry_after + 0.999))
        status = refused.status or FAILURES[refused.kind][0]
        body = compact(refused.body or error_body(refused)).encode() + b"\n"
        return Reply(status, "application/json", [body], headers)

    def reply(self, request: Request, answer: Answer, memory: Memory) -> Reply:
        writer = _Writer(request.json, answer, memory)
        if request.json.get("stream"):
            parts = writer.events().parts(broken=answer.mid_stream_error)
            return Reply(200, "text/event-stream", parts, stream=True)
        return Reply(200, "application/json", [compact(writer.whole()).encode()])


def _strict(schema: Any, where: str) -> None:
    fault = openai_strict(schema)
    if fault is not None:
        at = "/".join(("", *fault[0]))
        raise Refused("strict-schema", f"invalid JSON schema for {where}: '{at}': {fault[1]}")


def _about_tool(fault: Fault) -> str:
    return {
        "tool-name": f"function name {fault.what!r} does not match pattern '^[a-zA-Z0-9_-]{{1,64}}$'",
        "duplicate-tool": f"tool names must be unique, {fault.what!r} occurs twice",
        "unknown-tool-key": f"property '{fault.what}' is unsupported",
        "tool-schema": "schema must be of type 'object'",
    }.get(fault.rule, f"value {fault.what} is not allowed")


def _worded(fault: Fault) -> Refused:
    at = f"messages.{fault.index}"
    inner = f"'{at}.{fault.where}' : " if fault.where else f"'{at}' : "
    if fault.rule == "unknown-message-key":
        return Refused(
            fault.rule,
            f"'{at}' : for 'role:{fault.role}' the following must be satisfied[('{at}' : property '{fault.what}' is unsupported)]",
        )
    if fault.rule == "missing-result":
        return Refused(
            fault.rule, f"'{at}' : tool_call_ids without response messages: {fault.what}"
        )
    if fault.rule == "orphan-result":
        return Refused(
            fault.rule, f"'{at}' : tool_call_id '{fault.what}' has no call in the message before"
        )
    if fault.rule == "empty-message":
        text = f"'{at}' : for 'role:{fault.role}' the following must be satisfied[('{at}.content' : value must be a string)]"
        return Refused(fault.rule, text)
    if fault.rule == "role":
        text = f"'{at}' : discriminator property 'role' has invalid value"
        return Refused(fault.rule, text)
    return Refused(fault.rule, f"{inner}value {fault.what} is not allowed")


class _Writer:
    """One answer, whole or in chunks."""

    def __init__(self, body: Json, answer: Answer, memory: Memory) -> None:
        self.answer, self.body = answer, body
        self.seed = f"groq/{memory.answers}"
        self.id = f"chatcmpl-{uuid(self.seed)}"
        self.request = f"req_{made_up(self.seed, 26, '0123456789abcdefghjkmnpqrstvwxyz')}"

    @property
    def finish(self) -> str:
        if self.answer.finish == "length":
            return "length"
        return "tool_calls" if self.answer.calls else "stop"

    @property
    def thoughts(self) -> tuple[str, str]:
        """Thoughts in their own field, and thoughts inside the text."""
        shape = self.body.get("reasoning_format")
        if (
            not self.answer.thinking
            or shape == "hidden"
            or self.body.get("include_reasoning") is False
        ):
            return "", ""
        if shape == "raw":
            return "", f"<think>\n{self.answer.thinking}\n</think>\n\n"
        return self.answer.thinking, ""

    @property
    def usage(self) -> Json:
        tokens_in, tokens_out, cached = self.answer.usage
        usage: Json = {
            "queue_time": 0.018265729,
            "prompt_tokens": tokens_in,
            "prompt_time": 0.001803869,
            "completion_tokens": tokens_out,
            "completion_time": 0.021666667,
            "total_tokens": tokens_in + tokens_out,
            "total_time": 0.023470536,
        }
        if cached:
            usage["prompt_tokens_details"] = {"cached_tokens": cached}
        if self.answer.thinking:
            usage["completion_tokens_details"] = {"reasoning_tokens": self.answer.thought_tokens}
        return usage

    def _calls(self) -> list[Json]:
        return [
            {
                "id": f"fc_{uuid(f'{self.seed}/{at}')}",
                "type": "function",
                "function": {"name": name, "arguments": self.answer.arguments(at)},
            }
            for at, (name, _) in enumerate(self.answer.calls)
        ]

    def whole(self) -> Json:
        thoughts, inside = self.thoughts
        message: Json = {"role": "assistant"}
        if self.answer.text or inside or not self.answer.calls:
            message["content"] = inside + self.answer.text
        if thoughts:
            message["reasoning"] = thoughts
        if self.answer.calls:
            message["tool_calls"] = self._calls()
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": CREATED,
            "model": self.body["model"],
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish}
            ],
            "usage": self.usage,
            "usage_breakdown": None,
            "system_fingerprint": "fp_a97cfe35ae",
            "x_groq": {"id": self.request, "seed": 27718886},
            "service_tier": "on_demand",
        }

    def _chunk(self, choices: list[Json], **more: Any) -> bytes:
        return sse(
            {
                "id": self.id,
                "object": "chat.completion.chunk",
                "created": CREATED,
                "model": self.body["model"],
                "system_fingerprint": "fp_a97cfe35ae",
                "choices": choices,
                **more,
            }
        )

    def _delta(self, delta: Json, finish: str | None = None, **more: Any) -> bytes:
        return self._chunk(
            [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], **more
        )

    def events(self) -> Events:
        thoughts, inside = self.thoughts
        head = [
            self._delta(
                {"role": "assistant", "content": ""}, x_groq={"id": self.request, "seed": 27718886}
            )
        ]
        deltas = [
            self._delta({"reasoning": piece, "channel": "analysis"})
            for piece in self.answer.cut(thoughts)
        ]
        deltas += [
            self._delta({"content": piece}) for piece in self.answer.cut(inside + self.answer.text)
        ]
        deltas += [
            self._delta({"tool_calls": [{**call, "index": at}]})
            for at, call in enumerate(self._calls())
        ]
        tail = [self._delta({}, self.finish, x_groq={"id": self.request, "usage": self.usage})]
        if (self.body.get("stream_options") or {}).get("include_usage"):
            tail.append(self._chunk([], usage=self.usage))
        tail.append(b"data: [DONE]\n\n")
        failed = Refused("scripted", "", kind=self.answer.failure or "server")
        return Events(head, deltas, tail, [sse(error_body(failed, in_stream=True), "error")])
