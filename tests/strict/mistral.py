"""Mistral: /v1/chat/completions with whole calls, nine-character ids and thoughts as parts of the content."""

from __future__ import annotations

import re
from itertools import pairwise
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
    whole,
)  # fmt: skip
from tests.strict.chat import Fault, Style, lint, lint_tools
from tests.strict.script import Answer, Json, Kind

TOP = {
    "model", "messages", "temperature", "top_p", "max_tokens", "stream", "stop", "random_seed", "metadata",
    "response_format", "tools", "tool_choice", "presence_penalty", "frequency_penalty", "min_tokens",
    "repetition_penalty", "top_k", "logprobs", "top_logprobs", "prompt_logprobs", "top_prompt_logprobs", "n",
    "prediction", "parallel_tool_calls", "reasoning_effort", "prompt_mode", "guardrails", "prompt_cache_key",
    "service_tier", "safe_prompt",
}  # fmt: skip

_PLAIN = frozenset({"role", "content"})
_PARTS = frozenset(
    {"text", "image_url", "document_url", "reference", "file", "thinking", "input_audio"}
)
STYLE = Style(
    keys={
        "system": _PLAIN,
        "user": _PLAIN,
        "assistant": _PLAIN | {"tool_calls", "prefix"},
        "tool": _PLAIN | {"tool_call_id", "name"},
    },
    parts={
        "system": frozenset({"text", "thinking"}),
        "user": _PARTS,
        "assistant": _PARTS,
        "tool": _PARTS,
    },
    call_id=re.compile(r"^[a-zA-Z0-9]{9}$"),
    call_keys=frozenset({"id", "type", "function", "index"}),
    empty_calls=True,
    empty_text=False,
    need_type=False,
)

FAILURES: dict[Kind, tuple[int, str, str | None, str]] = {
    "auth": (401, "", None, "Invalid API Key"),
    "rate_limit": (429, "rate_limited", "1300", "Rate limit exceeded"),
    "quota": (402, "", None, "Inactive subscription or usage limit reached"),
    "overloaded": (503, "unreachable_backend", "1100", "Internal server error"),
    "server": (500, "internal_server_error", "1000", "Internal server error"),
    "context_length": (400, "invalid_request_prompt", "3051", (
        "Prompt contains 131099 tokens and 0 draft tokens, too large for model with 131072 maximum context length"
    )),
    "invalid_request": (400, "invalid_request_error", None, "Invalid request"),
    "not_found": (400, "invalid_model", "1500", "Invalid model: nope"),
}  # fmt: skip


def error_body(failed: Refused) -> Json:
    status, kind, code, text = FAILURES[failed.kind]
    message = failed.message or text
    if failed.kind in ("auth", "quota"):
        return {"detail": message}
    body: Json = {
        "object": "error",
        "message": message,
        "type": kind,
        "param": failed.param,
        "code": code,
    }
    if failed.code:
        body["type"], _, body["code"] = failed.code.partition("/")
    return body | ({"raw_status_code": failed.status or status} if status == 400 else {})


def _unprocessable(rule: str, kind: str, loc: list[str | int], text: str, value: Any) -> Refused:
    """A request of the wrong shape: 422, with the list that pydantic made."""
    detail = {"type": kind, "loc": ["body", *loc], "msg": text, "input": value}
    body: Json = {
        "object": "error",
        "message": {"detail": [detail]},
        "type": "invalid_request_error",
        "param": None,
        "code": None,
        "raw_status_code": 422,
    }
    return Refused(rule, f"{'.'.join(str(step) for step in loc)}: {text}", status=422, body=body)


class Mistral(Dialect):
    """La Plateforme."""

    name: ClassVar[str] = "mistral"

    def authorize(self, request: Request) -> None:
        token = self.bearer(request)
        if token != self.key:
            raise Refused(
                "wrong-key" if token else "no-key",
                "Invalid API Key" if token else "Unauthorized",
                kind="auth",
            )

    def route(self, request: Request) -> None:
        if request.path != "/v1/chat/completions" or request.method != "POST":
            text = "no Route matched with those values"
            raise Refused(
                "path",
                f"{text}: {request.method} {request.path}",
                status=404,
                body={"message": text},
            )

    def check(self, request: Request, memory: Memory) -> None:
        body: Json = request.json
        for key in unknown(body, TOP):
            raise _unprocessable(
                "unknown-parameter",
                "extra_forbidden",
                [key],
                "Extra inputs are not permitted",
                body[key],
            )
        for key in ("model", "messages"):
            if key not in body:
                raise _unprocessable(key, "missing", [key], "Field required", body)
        model, messages = body["model"], body["messages"]
        if not isinstance(model, str) or not model or "nope" in model:
            raise Refused("unknown-model", f"Invalid model: {model}", kind="not_found")
        if not isinstance(messages, list) or not messages:
            text = "List should have at least 1 item after validation, not 0"
            raise _unprocessable("messages", "too_short", ["messages"], text, messages)
        self._numbers(body)
        self._tools(body)
        for fault in lint(messages, STYLE):
            raise _worded(fault, messages)
        self._order(messages)

    def _numbers(self, body: Json) -> None:
        ranges = {
            "temperature": (0, 1.5), "top_p": (0, 1), "presence_penalty": (-2, 2), "frequency_penalty": (-2, 2),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            value = body.get(name)
            if value is None:
                continue
            if not number(value):
                raise _unprocessable(
                    "range", "float_type", [name], "Input should be a valid number", value
                )
            if value > high or value < low:
                word, bound = ("less", high) if value > high else ("greater", low)
                text = f"Input should be {word} than or equal to {bound}"
                raise _unprocessable("range", f"{word}_than_equal", [name], text, value)
        for name, least in (("max_tokens", 0), ("random_seed", 0), ("n", 1)):
            value = body.get(name)
            if value is not None and not whole(value):
                raise _unprocessable(
                    "range", "int_type", [name], "Input should be a valid integer", value
                )
            if value is not None and value < least:
                text = f"Input should be greater than or equal to {least}"
                raise _unprocessable("range", "greater_than_equal", [name], text, value)
        if body.get("temperature") == 0 and body.get("top_p") not in (None, 1):
            raise Refused(
                "greedy",
                "top_p must be 1 when using greedy sampling.",
                code="invalid_request_invalid_args/3051",
            )
        if body.get("stream") is not None and not isinstance(body["stream"], bool):
            raise _unprocessable(
                "type", "bool_type", ["stream"], "Input should be a valid boolean", body["stream"]
            )

    def _tools(self, body: Json) -> None:
        tools = body.get("tools") or []
        for fault in lint_tools(tools, STYLE):
            if fault.rule == "tool-name":
                raise _bad_name(fault)
            if fault.rule == "duplicate-tool":
                raise Refused(
                    fault.rule,
                    f"Duplicate function name: {fault.what}",
                    code="invalid_function_call/3280",
                )
            loc: list[str | int] = ["tools", fault.index, *fault.where.split(".")]
            raise _unprocessable(
                fault.rule, "extra_forbidden", loc, "Extra inputs are not permitted", fault.what
            )
        for index, tool in enumerate(tools):
            if not isinstance(tool["function"].get("parameters"), dict):
                loc = ["tools", index, "function", "parameters"]
                raise _unprocessable(
                    "tool-schema", "missing", loc, "Field required", tool["function"]
                )
        choice = body.get("tool_choice")
        if isinstance(choice, str) and choice not in ("auto", "none", "any", "required"):
            text = "Input should be 'auto', 'none', 'any' or 'required'"
            raise _unprocessable("tool-choice", "enum", ["tool_choice"], text, choice)
        if isinstance(choice, dict) and choice.get("function", {}).get("name") not in [
            tool["function"]["name"] for tool in tools
        ]:
            raise Refused(
                "tool-choice",
                "Tool choice names no tool of the request",
                code="invalid_request_invalid_args/3051",
            )
        if choice is not None and choice not in ("auto", "none") and not tools:
            text = "Cannot use tool_choice without tools"
            raise Refused("choice-without-tools", text, code="invalid_request_invalid_args/3051")
        wanted = body.get("response_format")
        if wanted is not None:
            kind = wanted.get("type") if isinstance(wanted, dict) else None
            if kind not in ("text", "json_object", "json_schema"):
                text = "Input should be 'text', 'json_object' or 'json_schema'"
                raise _unprocessable(
                    "response-format", "enum", ["response_format", "type"], text, kind
                )
            inner = wanted.get("json_schema")
            if kind == "json_schema" and (
                not isinstance(inner, dict) or not {"name", "schema"} <= set(inner)
            ):
                loc = ["response_format", "json_schema", "schema"]
                raise _unprocessable("response-format", "missing", loc, "Field required", inner)

    def _order(self, messages: list[Json]) -> None:
        for before, message in pairwise(messages):
            if before["role"] == "tool" and message["role"] in ("user", "system"):
                raise _bad_order(
                    f"Unexpected role '{message['role']}' after role 'tool'", "user-after-tool"
                )
        last = messages[-1]
        if last["role"] == "assistant" and not last.get("prefix"):
            text = "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"
            raise _bad_order(text, "last-role")
        for index, message in enumerate(messages):
            content = message.get("content")
            if message["role"] == "assistant" and isinstance(content, list):
                thoughts = [at for at, part in enumerate(content) if part["type"] == "thinking"]
                if len(thoughts) > 1 or thoughts not in ([], [0]):
                    text = f"Expected at most one leading ThinkChunk, got {len(thoughts)}"
                    raise Refused(
                        "thinking-order",
                        f"messages[{index}]: {text}",
                        code="invalid_request_assistant_message/3240",
                    )

    def failure(
        self, request: Request, refused: Refused, retry_after: float | None = None
    ) -> Reply:
        headers = {"mistral-correlation-id": made_up(refused.message, 32, "0123456789abcdef")}
        if retry_after is not None:
            headers["retry-after"] = str(int(retry_after + 0.999))
        status = refused.status or FAILURES[refused.kind][0]
        body = compact(refused.body or error_body(refused)).encode()
        return Reply(status, "application/json", [body], headers)

    def reply(self, request: Request, answer: Answer, memory: Memory) -> Reply:
        writer = _Writer(request.json, answer, memory)
        headers = {"mistral-correlation-id": writer.id}
        if request.json.get("stream"):
            parts = writer.events().parts(broken=answer.mid_stream_error)
            return Reply(200, "text/event-stream; charset=utf-8", parts, headers, stream=True)
        return Reply(200, "application/json", [compact(writer.whole()).encode()], headers)


def _bad_order(text: str, rule: str) -> Refused:
    return Refused(rule, text, code="invalid_request_message_order/3230")


def _bad_name(fault: Fault) -> Refused:
    text = (
        f"Function name was {fault.what} but must be a-z, A-Z, 0-9, or contain underscores and dashes, "
        "with a maximum length of 64."
    )
    return Refused("tool-name", text, code="invalid_function_call/3280")


def _worded(fault: Fault, messages: list[Any]) -> Refused:
    if fault.rule == "missing-result":
        return _bad_order("Not the same number of function calls and responses", fault.rule)
    if fault.rule == "orphan-result":
        before = messages[fault.index - 1].get("role") if fault.index else None
        if before in ("assistant", "tool"):
            return _bad_order(
                "Unexpected tool call id " + fault.what + " in tool results", fault.rule
            )
        return _bad_order(f"Unexpected role 'tool' after role '{before}'", fault.rule)
    if fault.rule == "empty-message":
        text = f"{fault.role.title()} message must have content."
        if fault.role == "assistant":
            text = "Assistant message must have either content or tool_calls, but not none."
        return Refused(fault.rule, text, code="invalid_request_assistant_message/3240")
    if fault.rule == "call-id":
        text = f"Tool call id was {fault.what} but must be a-z, A-Z, 0-9, with a length of 9."
        return Refused(fault.rule, text, code="invalid_function_call/3280")
    if fault.rule == "tool-name":
        return _bad_name(fault)
    if fault.rule == "arguments":
        text = f"Function arguments must be the text of a JSON object, got {fault.what}"
        return Refused(fault.rule, text, code="invalid_function_call/3280")
    loc: list[str | int] = ["messages", fault.index, *fault.where.split(".")]
    if fault.rule == "unknown-message-key":
        return _unprocessable(
            fault.rule, "extra_forbidden", loc, "Extra inputs are not permitted", fault.what
        )
    return _unprocessable(fault.rule, "value_error", loc, "Input should be valid", fault.what)


class _Writer:
    """One answer, whole or in chunks."""

    def __init__(self, body: Json, answer: Answer, memory: Memory) -> None:
        self.answer, self.body = answer, body
        self.seed = f"mistral/{memory.answers}"
        self.id = made_up(self.seed, 32, "0123456789abcdef")

    @property
    def finish(self) -> str:
        if self.answer.finish == "length":
            return "length"
        return "tool_calls" if self.answer.calls else "stop"

    @property
    def usage(self) -> Json:
        tokens_in, tokens_out, cached = self.answer.usage
        return {
            "prompt_tokens": tokens_in,
            "total_tokens": tokens_in + tokens_out,
            "completion_tokens": tokens_out,
            "prompt_tokens_details": {"cached_tokens": cached},
            "service_tier": "standard",
        }

    @property
    def thinking(self) -> str:
        return "" if self.body.get("reasoning_effort") == "none" else self.answer.thinking

    def _calls(self) -> list[Json]:
        return [
            {
                "id": made_up(f"{self.seed}/{at}", 9),
                "type": "function",
                "function": {"name": name, "arguments": self.answer.arguments(at, spaced=True)},
                "index": at,
            }
            for at, (name, _) in enumerate(self.answer.calls)
        ]

    def whole(self) -> Json:
        content: Any = self.answer.text
        if self.thinking:
            content = [_thought(self.thinking, closed=True)]
            if self.answer.text:
                content.append({"type": "text", "text": self.answer.text})
        message = {"role": "assistant", "tool_calls": self._calls() or None, "content": content}
        return {
            "id": self.id,
            "created": CREATED,
            "model": self.body["model"],
            "usage": self.usage,
            "object": "chat.completion",
            "choices": [{"index": 0, "finish_reason": self.finish, "message": message}],
        }

    def _delta(self, delta: Json, finish: str | None = None) -> bytes:
        chunk: Json = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": self.body["model"],
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }
        if finish:
            chunk["usage"] = self.usage
        if "role" not in delta:
            chunk["p"] = "abcdefghijklmnopqrstuvwxyz0123456789"[: 10 + len(str(delta)) % 26]
        return sse(chunk)

    def events(self) -> Events:
        """The last delta is also the finish chunk."""
        pieces: list[Json] = [{"content": piece} for piece in self.answer.cut(self.answer.text)]
        if self.thinking:
            first = pieces.pop(0)["content"] if pieces else ""
            closing: list[Json] = [_thought("", closed=True)]
            if first:
                closing.append({"type": "text", "text": first})
            thoughts = [
                {"content": [_thought(piece, closed=False)]}
                for piece in self.answer.cut(self.thinking)
            ]
            pieces = [*thoughts, {"content": closing}, *pieces]
        pieces += [{"tool_calls": [call]} for call in self._calls()]
        last = pieces.pop() if pieces else {"content": ""}
        head = [self._delta({"role": "assistant", "content": ""})]
        deltas = [self._delta(piece) for piece in pieces]
        tail = [self._delta(last, self.finish), b"data: [DONE]\n\n"]
        failed = Refused("scripted", "", kind=self.answer.failure or "server")
        return Events(head, deltas, tail, [sse(error_body(failed))])


def _thought(text: str, *, closed: bool) -> Json:
    part: Json = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
    return part | ({"closed": True} if closed else {})
