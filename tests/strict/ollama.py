"""Ollama: /api/chat, one JSON object per line.

The real server overlooks unknown fields, missing results and odd content types. This one does not: what Ollama overlooks
never reaches the model, and a client should know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from tests.strict.base import (
    TOOL_NAME,
    Dialect,
    Events,
    Memory,
    Refused,
    Reply,
    Request,
    compact,
    made_up,
    number,
    unknown,
    whole,
)  # fmt: skip
from tests.strict.script import Answer, Json, Kind

TOP = {
    "model", "messages", "tools", "format", "options", "stream", "keep_alive", "think", "truncate", "shift", "logprobs",
    "top_logprobs",
}  # fmt: skip
OPTIONS = {
    "numa", "num_ctx", "num_batch", "num_gpu", "main_gpu", "low_vram", "logits_all", "vocab_only", "use_mmap",
    "use_mlock", "num_thread", "num_keep", "seed", "num_predict", "top_k", "top_p", "min_p", "tfs_z", "typical_p",
    "repeat_last_n", "temperature", "repeat_penalty", "presence_penalty", "frequency_penalty", "mirostat",
    "mirostat_tau", "mirostat_eta", "penalize_newline", "stop", "draft_num_predict",
}  # fmt: skip
MESSAGE = {"role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"}

FAILURES: dict[Kind, tuple[int, str]] = {
    "auth": (401, "unauthorized"),
    "rate_limit": (429, "too many requests, please slow down"),
    "quota": (429, "you've reached your hourly usage limit, please upgrade to continue"),
    "overloaded": (503, "server busy, please try again.  maximum pending requests exceeded"),
    "server": (500, "an error was encountered while running the model"),
    "context_length": (400, "the input length exceeds the context length"),
    "invalid_request": (400, "invalid request"),
    "not_found": (404, "model 'nope' not found"),
}


def go_json(value: Any) -> bytes:
    """JSON as Go writes it: what could hurt in HTML or JavaScript is escaped."""
    text = compact(value)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode() + b"\n"


def _field(path: str, got: str, wanted: str) -> Refused:
    text = f"json: cannot unmarshal {got} into Go struct field ChatRequest.{path} of type {wanted}"
    return Refused("type", text)


def _go(value: Any) -> str:
    names = {
        bool: "bool",
        int: "number",
        float: "number",
        str: "string",
        list: "array",
        dict: "object",
    }
    return names.get(type(value), "null")


class Ollama(Dialect):
    """A server on this machine, or Ollama's cloud when a key is set."""

    name: ClassVar[str] = "ollama"

    def authorize(self, request: Request) -> None:
        if self.key is not None and self.bearer(request) != self.key:
            raise Refused(
                "wrong-key" if self.bearer(request) else "no-key", "unauthorized", kind="auth"
            )

    def route(self, request: Request) -> None:
        if request.path != "/api/chat" or request.method != "POST":
            raise Refused(
                "path", f"404 page not found: {request.method} {request.path}", kind="not_found"
            )

    def check(self, request: Request, memory: Memory) -> None:
        body: Json = request.json
        for key in unknown(body, TOP):
            raise Refused("unknown-parameter", f'json: unknown field "{key}"')
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise Refused("model", "model is required")
        if "nope" in model:
            raise Refused("unknown-model", f"model '{model}' not found", kind="not_found")
        if body.get("stream") is not None and not isinstance(body["stream"], bool):
            raise _field("stream", _go(body["stream"]), "bool")
        self._options(body)
        self._tools(body.get("tools") or [])
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise Refused("messages", "messages are required: without any the model is only loaded")
        _history(messages)

    def _options(self, body: Json) -> None:
        options = body.get("options") or {}
        for key in unknown(options, OPTIONS):
            raise Refused("unknown-option", f"invalid option provided: {key}")
        for key in ("temperature", "top_p"):
            value = options.get(key)
            if value is not None and (
                not number(value) or value < 0 or (key == "top_p" and value > 1)
            ):
                raise Refused(
                    "range", f'option "{key}" must be of type float32 and in range, got {value}'
                )
        for key in ("num_predict", "seed", "num_ctx", "top_k"):
            if options.get(key) is not None and not whole(options[key]):
                raise Refused("range", f'option "{key}" must be of type integer')
        stop = options.get("stop")
        if stop is not None and not (
            isinstance(stop, list) and all(isinstance(word, str) for word in stop)
        ):
            raise Refused("range", 'option "stop" must be of type array')
        wanted = body.get("format")
        if wanted not in (None, "", "json") and not isinstance(wanted, dict):
            text = f'invalid format: "{wanted}"; expected "json" or a valid JSON Schema object'
            raise Refused("format", text)
        if body.get("think") not in (None, True, False, "high", "medium", "low"):
            text = f'invalid think value: "{body["think"]}" (must be "high", "medium", "low", true, or false)'
            raise Refused("think", text)

    def _tools(self, tools: Any) -> None:
        seen: set[str] = set()
        for tool in tools:
            function = tool.get("function") if isinstance(tool, dict) else None
            if not isinstance(function, dict) or tool.get("type") != "function":
                raise _field("tools", _go(tool), "api.Tool")
            for key in unknown(tool, ("type", "function")) + unknown(
                function, ("name", "description", "parameters")
            ):
                raise Refused("unknown-tool-key", f'json: unknown field "{key}"')
            name = function.get("name")
            if not isinstance(name, str) or not TOOL_NAME.match(name):
                raise Refused("tool-name", f"invalid tool name: {name!r}")
            if name in seen:
                raise Refused("duplicate-tool", f"tool names must be unique: {name!r}")
            seen.add(name)
            parameters = function.get("parameters")
            if not isinstance(parameters, dict) or parameters.get("type") != "object":
                raise Refused("tool-schema", f"parameters of {name!r} must be of type object")

    def failure(
        self, request: Request, refused: Refused, retry_after: float | None = None
    ) -> Reply:
        status, text = FAILURES[refused.kind]
        headers = {} if retry_after is None else {"retry-after": str(int(retry_after + 0.999))}
        body = compact(refused.body or {"error": refused.message or text}).encode()
        return Reply(refused.status or status, "application/json; charset=utf-8", [body], headers)

    def reply(self, request: Request, answer: Answer, memory: Memory) -> Reply:
        writer = _Writer(request.json, answer, memory)
        if request.json.get("stream", True):
            parts = writer.events().parts(broken=answer.mid_stream_error)
            return Reply(200, "application/x-ndjson", parts, stream=True)
        return Reply(200, "application/json; charset=utf-8", [writer.whole().rstrip(b"\n")])


def _history(messages: list[Any]) -> None:
    calls: list[Json] = []
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise _field("messages", _go(message), "api.Message")
        for key in unknown(message, MESSAGE):
            raise Refused("unknown-message-key", f'json: unknown field "{key}" in messages.{index}')
        role, content = message.get("role"), message.get("content")
        if role not in ("system", "user", "assistant", "tool"):
            raise Refused("role", f"invalid role: {role}")
        if content is not None and not isinstance(content, str):
            raise _field("messages.content", _go(content), "string")
        if role == "tool":
            _result(message, index, calls)
            continue
        if calls:
            left = ", ".join(call["function"]["name"] for call in calls)
            raise Refused(
                "missing-result", f"messages.{index}: calls without a tool message: {left}"
            )
        if role != "assistant" and content is None:
            raise Refused("empty-message", f"messages.{index}: content is missing")
        if role == "assistant":
            calls = list(_calls(message, index))
            if not calls and not content:
                raise Refused(
                    "empty-message",
                    f"messages.{index}: assistant message with neither content nor tool_calls",
                )
    if calls:
        left = ", ".join(call["function"]["name"] for call in calls)
        raise Refused(
            "missing-result", f"messages.{len(messages)}: calls without a tool message: {left}"
        )


def _calls(message: Json, index: int) -> Iterator[Json]:
    for call in message.get("tool_calls") or []:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise _field("messages.tool_calls.function", _go(function), "api.ToolCallFunction")
        for key in unknown(call, ("id", "type", "function")) + unknown(
            function, ("index", "name", "arguments")
        ):
            raise Refused(
                "unknown-message-key", f'json: unknown field "{key}" in messages.{index}.tool_calls'
            )
        arguments = function.get("arguments")
        if not isinstance(arguments, dict):
            text = (
                f"json: cannot unmarshal {_go(arguments)} into Go struct field "
                "ChatRequest.messages.tool_calls.function.arguments of type api.ToolCallFunctionArguments"
            )
            raise Refused("arguments-type", text)
        yield call


def _result(message: Json, index: int, calls: list[Json]) -> None:
    """Takes the call that a result answers out of the open ones."""
    name, call_id = message.get("tool_name"), message.get("tool_call_id")
    if not isinstance(message.get("content"), str):
        raise _field("messages.content", _go(message.get("content")), "string")
    if name is None and call_id is None:
        raise Refused("missing-call-id", f"messages.{index}: a tool message needs tool_name")
    for at, call in enumerate(calls):
        if name in (None, call["function"]["name"]) and call_id in (None, call.get("id")):
            del calls[at]
            return
    raise Refused("orphan-result", f"messages.{index}: no open call of {name or call_id!r}")


class _Writer:
    """One answer, whole or in lines."""

    def __init__(self, body: Json, answer: Answer, memory: Memory) -> None:
        self.answer, self.body = answer, body
        self.seed = f"ollama/{memory.answers}"
        self.ticks = 0

    @property
    def thinking(self) -> str:
        return "" if self.body.get("think") is False else self.answer.thinking

    @property
    def counts(self) -> Json:
        tokens_in, tokens_out, _ = self.answer.usage
        return {
            "done": True,
            "done_reason": "length" if self.answer.finish == "length" else "stop",
            "total_duration": 8625649709,
            "load_duration": 142828459,
            "prompt_eval_count": tokens_in,
            "prompt_eval_duration": 59321000,
            "eval_count": tokens_out,
            "eval_duration": 8419494000,
        }

    def _line(self, message: Json, more: Json | None = None) -> bytes:
        self.ticks += 1
        head = {"model": self.body["model"], "created_at": f"2026-01-02T03:04:05.{self.ticks:06d}Z"}
        return go_json(
            head | {"message": {"role": "assistant", **message}} | (more or {"done": False})
        )

    def _calls(self) -> list[Json]:
        return [
            {
                "id": f"call_{made_up(f'{self.seed}/{at}', 8, '0123456789abcdefghijklmnopqrstuvwxyz')}",
                "function": {"index": at, "name": name, "arguments": dict(arguments)},
            }
            for at, (name, arguments) in enumerate(self.answer.whole_calls)
        ]

    def whole(self) -> bytes:
        message: Json = {"content": self.answer.text}
        if self.thinking:
            message["thinking"] = self.thinking
        if self.answer.whole_calls:
            message["tool_calls"] = self._calls()
        return self._line(message, self.counts)

    def events(self) -> Events:
        lines = [
            self._line({"content": "", "thinking": piece})
            for piece in self.answer.cut(self.thinking)
        ]
        lines += [self._line({"content": piece}) for piece in self.answer.cut(self.answer.text)]
        lines += [self._line({"content": "", "tool_calls": [call]}) for call in self._calls()]
        failed = FAILURES[self.answer.failure or "server"][1]
        return Events(
            [], lines, [self._line({"content": ""}, self.counts)], [go_json({"error": failed})]
        )
