"""OpenAI chat completions: /v1/chat/completions.

The deprecated `functions` and `function_call`, which the real API still takes, are refused: nothing new should say them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from tests.strict.base import (
    CREATED,
    Dialect,
    Events,
    Memory,
    Refused,
    Reply,
    Request,
    kind_of,
    made_up,
    number,
    pretty,
    sse,
    unknown,
    whole,
)  # fmt: skip
from tests.strict.chat import TEXT_ONLY, Fault, Style, lint, lint_tools, usage
from tests.strict.schema import openai_strict
from tests.strict.script import Answer, Json, Kind

TOP = {
    "audio", "frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens", "messages",
    "metadata", "modalities", "model", "moderation", "n", "parallel_tool_calls", "prediction", "presence_penalty",
    "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning_effort", "response_format",
    "safety_identifier", "seed", "service_tier", "stop", "store", "stream", "stream_options", "temperature",
    "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
}  # fmt: skip

_NAMED = frozenset({"role", "content", "name"})
STYLE = Style(
    keys={
        "system": _NAMED,
        "developer": _NAMED,
        "user": _NAMED,
        "assistant": _NAMED | {"audio", "refusal", "tool_calls", "annotations"},
        "tool": frozenset({"role", "content", "tool_call_id"}),
    },
    parts={
        "user": frozenset({"text", "image_url", "input_audio", "file"}),
        "assistant": frozenset({"text", "refusal"}),
        "tool": TEXT_ONLY,
    },
)
_REASONS = re.compile(r"^(o\d|gpt-[5-9])")
_LATER_GPT5 = re.compile(r"^gpt-(5\.\d|[6-9])")

FAILURES: dict[Kind, tuple[int, str, str | None, str]] = {
    "auth": (401, "invalid_request_error", "invalid_api_key", (
        "Incorrect API key provided: sk-wrong. You can find your API key at https://platform.openai.com/account/api-keys."
    )),
    "rate_limit": (429, "tokens", "rate_limit_exceeded", (
        "Rate limit reached for gpt-4o in organization org-strict on tokens per min (TPM): Limit 30000, Used 30000, "
        "Requested 890. Please try again in 1.78s. Visit https://platform.openai.com/account/rate-limits to learn more."
    )),
    "quota": (429, "insufficient_quota", "insufficient_quota", (
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
    )),
    "overloaded": (503, "server_error", None, (
        "The engine is currently overloaded, please try again later."
    )),
    "server": (500, "server_error", None, (
        "The server had an error while processing your request. Sorry about that!"
    )),
    "context_length": (400, "invalid_request_error", "context_length_exceeded", (
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130012 tokens. "
        "Please reduce the length of the messages."
    )),
    "invalid_request": (400, "invalid_request_error", None, "Invalid request."),
    "not_found": (404, "invalid_request_error", "model_not_found", (
        "The model `gpt-nope` does not exist or you do not have access to it."
    )),
}  # fmt: skip


def reasons(model: str) -> bool:
    """True for models that think before they answer."""
    return bool(_REASONS.match(model))


def takes_sampling(model: str, effort: Any) -> bool:
    """True where temperature and top_p may be said: gpt-5.1 and later take them when they do not reason."""
    return not reasons(model) or (bool(_LATER_GPT5.match(model)) and effort == "none")


def error_body(failed: Refused) -> Json:
    _, kind, code, text = FAILURES[failed.kind]
    message = failed.message or text
    param = failed.param or ("messages" if failed.kind == "context_length" else None)
    return {
        "error": {"message": message, "type": kind, "param": param, "code": failed.code or code}
    }


def openai_failure(failed: Refused, retry_after: float | None) -> Reply:
    """An error as OpenAI sends it."""
    headers = {"x-request-id": f"req_{made_up(failed.message, 32, '0123456789abcdef')}"}
    if retry_after is not None:
        headers |= {
            "retry-after": str(int(retry_after + 0.999)),
            "retry-after-ms": str(round(retry_after * 1000)),
        }
    status = failed.status or FAILURES[failed.kind][0]
    return Reply(status, "application/json", [pretty(failed.body or error_body(failed))], headers)


def check_model(body: Json) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Refused("model", "you must provide a model parameter")
    if "nope" in model:
        text = f"The model `{model}` does not exist or you do not have access to it."
        raise Refused("unknown-model", text, kind="not_found")
    return model


def check_range(body: Json, name: str, low: float, high: float) -> None:
    """Refuses a decimal that is none or lies outside."""
    value = body.get(name)
    if value is None:
        return
    if not number(value):
        text = f"Invalid type for '{name}': expected a decimal, but got {kind_of(value)} instead."
        raise Refused("range", text, param=name, code="invalid_type")
    if value > high or value < low:
        edge, sign, bound = ("maximum", "<=", high) if value > high else ("minimum", ">=", low)
        word = "above" if value > high else "below"
        text = f"Invalid '{name}': decimal {word} {edge} value. Expected a value {sign} {bound:g}, but got {value} instead."
        raise Refused("range", text, param=name, code=f"decimal_{word}_{edge[:3]}_value")


def check_count(body: Json, name: str, least: int = 1) -> None:
    """Refuses an integer that is none or too small."""
    value = body.get(name)
    if value is None:
        return
    if not whole(value):
        text = f"Invalid type for '{name}': expected an integer, but got {kind_of(value)} instead."
        raise Refused("range", text, param=name, code="invalid_type")
    if value < least:
        text = f"Invalid '{name}': integer below minimum value. Expected a value >= {least}, but got {value} instead."
        raise Refused("range", text, param=name, code="integer_below_min_value")


def check_flag(body: Json, name: str) -> None:
    if body.get(name) is not None and not isinstance(body[name], bool):
        text = (
            f"Invalid type for '{name}': expected a boolean, but got {kind_of(body[name])} instead."
        )
        raise Refused("type", text, param=name, code="invalid_type")


def check_stop(body: Json) -> None:
    stop = body.get("stop")
    if stop is None or isinstance(stop, str):
        return
    if not isinstance(stop, list) or not all(isinstance(word, str) for word in stop):
        raise Refused(
            "type",
            "Invalid type for 'stop': expected a string or an array of strings.",
            param="stop",
        )
    if len(stop) > 4:
        text = f"Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length {len(stop)} instead."
        raise Refused("range", text, param="stop", code="array_above_max_length")


class OpenAIChat(Dialect):
    """The dialect that all others copy."""

    name: ClassVar[str] = "openai-chat"

    def authorize(self, request: Request) -> None:
        token = self.bearer(request)
        if not token:
            text = (
                "You didn't provide an API key. You need to provide your API key in an Authorization header using "
                "Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
            )
            body = {
                "error": {
                    "message": text,
                    "type": "invalid_request_error",
                    "param": None,
                    "code": None,
                }
            }
            raise Refused("no-key", text, kind="auth", body=body)
        if token != self.key:
            raise Refused("wrong-key", FAILURES["auth"][3], kind="auth")

    def route(self, request: Request) -> None:
        if request.path != "/v1/chat/completions" or request.method != "POST":
            text = f"Invalid URL ({request.method} {request.path})"
            body = {
                "error": {
                    "message": text,
                    "type": "invalid_request_error",
                    "param": None,
                    "code": None,
                }
            }
            raise Refused("path", text, kind="not_found", body=body)

    def check(self, request: Request, memory: Memory) -> None:
        body: Json = request.json
        extra = unknown(body, TOP)
        if extra:
            s = "s" if len(extra) > 1 else ""
            raise Refused(
                "unknown-parameter",
                f"Unrecognized request argument{s} supplied: {', '.join(extra)}",
            )
        model = check_model(body)
        messages = body.get("messages")
        if messages is None:
            text = "Missing required parameter: 'messages'."
            raise Refused("messages", text, param="messages", code="missing_required_parameter")
        if not isinstance(messages, list) or not messages:
            text = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
            raise Refused("messages", text, param="messages", code="empty_array")
        self._parameters(body)
        self._for_model(body, model)
        _check_tools(body)
        _check_format(body)
        for fault in lint(messages, STYLE):
            raise _worded(fault)

    def _parameters(self, body: Json) -> None:
        check_range(body, "temperature", 0, 2)
        check_range(body, "top_p", 0, 1)
        check_range(body, "frequency_penalty", -2, 2)
        check_range(body, "presence_penalty", -2, 2)
        for name in ("max_tokens", "max_completion_tokens", "n"):
            check_count(body, name)
        for name in ("stream", "parallel_tool_calls", "store", "logprobs"):
            check_flag(body, name)
        check_stop(body)
        if body.get("seed") is not None and not whole(body["seed"]):
            raise Refused(
                "type",
                "Invalid type for 'seed': expected an integer.",
                param="seed",
                code="invalid_type",
            )
        options = body.get("stream_options")
        if options is not None and not body.get("stream"):
            text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise Refused("stream-options", text, param="stream_options")
        for key in unknown(options or {}, ("include_usage", "include_obfuscation")):
            text = f"Unknown parameter: 'stream_options.{key}'."
            raise Refused(
                "unknown-parameter", text, param=f"stream_options.{key}", code="unknown_parameter"
            )
        if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
            text = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
            raise Refused("max-tokens-twice", text)

    def _for_model(self, body: Json, model: str) -> None:
        if not reasons(model):
            if "reasoning_effort" in body:
                raise Refused(
                    "reasoning-effort", "Unrecognized request argument supplied: reasoning_effort"
                )
            return
        if body.get("max_tokens") is not None:
            text = (
                "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead."
            )
            raise Refused(
                "reasoning-max-tokens", text, param="max_tokens", code="unsupported_parameter"
            )
        if body.get("stop") is not None:
            text = "Unsupported parameter: 'stop' is not supported with this model."
            raise Refused("reasoning-stop", text, param="stop", code="unsupported_parameter")
        if takes_sampling(model, body.get("reasoning_effort")):
            return
        for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
            value = body.get(name)
            if value is None:
                continue
            if name == "temperature" and model.startswith("gpt-5"):
                if value == 1:
                    continue
                text = (
                    f"Unsupported value: 'temperature' does not support {value} with this model. "
                    "Only the default (1) value is supported."
                )
                raise Refused("reasoning-temperature", text, param=name, code="unsupported_value")
            text = f"Unsupported parameter: '{name}' is not supported with this model."
            raise Refused("reasoning-temperature", text, param=name, code="unsupported_parameter")

    def failure(
        self, request: Request, refused: Refused, retry_after: float | None = None
    ) -> Reply:
        return openai_failure(refused, retry_after)

    def reply(self, request: Request, answer: Answer, memory: Memory) -> Reply:
        body: Json = request.json
        writer = _Writer(body, answer, memory)
        headers = {
            "openai-processing-ms": "290",
            "openai-version": "2020-10-01",
            "x-request-id": f"req_{writer.id[9:]}",
        }
        if body.get("stream"):
            parts = writer.events().parts(broken=answer.mid_stream_error)
            return Reply(200, "text/event-stream; charset=utf-8", parts, headers, stream=True)
        return Reply(200, "application/json", [pretty(writer.whole())], headers)


def _check_tools(body: Json) -> None:
    tools = body.get("tools")
    if tools is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            if body.get(name) is not None:
                text = f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
                raise Refused("choice-without-tools", text, param=name)
        return
    if not isinstance(tools, list) or not tools:
        text = "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead."
        raise Refused("empty-tools", text, param="tools", code="empty_array")
    for fault in lint_tools(tools, STYLE):
        raise _worded_tool(fault)
    for index, tool in enumerate(tools):
        function = tool["function"]
        if function.get("strict"):
            check_strict(
                function.get("parameters") or {},
                f"function '{function['name']}'",
                f"tools[{index}].function.parameters",
                "invalid_function_parameters",
            )
    choice = body.get("tool_choice")
    if isinstance(choice, str) and choice not in ("none", "auto", "required"):
        text = f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'."
        raise Refused("tool-choice", text, param="tool_choice", code="invalid_value")
    if isinstance(choice, dict) and choice.get("type") == "function":
        name = choice.get("function", {}).get("name")
        if name not in [tool["function"]["name"] for tool in tools]:
            text = (
                f"Tool choice 'tool_choice.function.name' names '{name}', which is not in 'tools'."
            )
            raise Refused("tool-choice", text, param="tool_choice")


def check_strict(schema: Any, what: str, param: str, code: str | None) -> None:
    """Refuses a strict schema that is not strict enough."""
    fault = openai_strict(schema)
    if fault is not None:
        at, text = fault
        context = "(" + ", ".join(f"'{word}'" for word in at) + (",)" if len(at) == 1 else ")")
        raise Refused(
            "strict-schema",
            f"Invalid schema for {what}: In context={context}, {text}",
            param=param,
            code=code,
        )


def _check_format(body: Json) -> None:
    wanted = body.get("response_format")
    if wanted is None:
        return
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_object":
        if "json" not in str(body["messages"]).lower():
            text = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
            raise Refused("json-word", text, param="messages")
    elif kind == "json_schema":
        check_json_schema(wanted.get("json_schema"))
    elif kind != "text":
        text = f"Invalid value: '{kind}'. Supported values are: 'json_object', 'json_schema', and 'text'."
        raise Refused("response-format", text, param="response_format.type", code="invalid_value")


def check_json_schema(inner: Any) -> None:
    param = "response_format.json_schema"
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        text = f"Missing required parameter: '{param}.name'."
        raise Refused(
            "response-format", text, param=f"{param}.name", code="missing_required_parameter"
        )
    for key in unknown(inner, ("name", "description", "schema", "strict")):
        raise Refused(
            "unknown-parameter",
            f"Unknown parameter: '{param}.{key}'.",
            param=f"{param}.{key}",
            code="unknown_parameter",
        )
    if not re.match(r"^[a-zA-Z0-9_-]{1,64}$", inner["name"]):
        text = f"Invalid '{param}.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        raise Refused("response-format", text, param=f"{param}.name", code="invalid_value")
    if inner.get("strict"):
        check_strict(
            inner.get("schema"), f"response_format '{inner['name']}'", "response_format", None
        )


def _worded(fault: Fault) -> Refused:
    at = f"messages[{fault.index}]"
    param: str = f"{at}.{fault.where}" if fault.where else at
    dotted = f"messages.[{fault.index}].{fault.where}"
    code: str | None = None
    if fault.rule == "missing-result":
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
            f"The following tool_call_ids did not have response messages: {fault.what}"
        )
        param = dotted
    elif fault.rule == "orphan-result":
        text = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
        param = dotted
    elif fault.rule == "unknown-message-key":
        text, code = f"Unknown parameter: '{param}'.", "unknown_parameter"
    elif fault.rule in ("missing-call-id", "call-id"):
        text, code = f"Missing required parameter: '{param}'.", "missing_required_parameter"
    elif fault.rule == "empty-message":
        text = f"Invalid value for 'content': expected a string, got {fault.what}."
        param = dotted
    elif fault.rule == "tool-name":
        text, code = _pattern(param), "invalid_value"
    elif fault.rule == "arguments":
        text, code = f"Invalid '{param}': expected the text of a JSON object.", "invalid_value"
    elif fault.rule == "empty-calls":
        text = f"Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead."
        code = "empty_array"
    elif fault.rule in ("role", "content-part", "call-kind"):
        text, code = f"Invalid value: '{fault.what}'.", "invalid_value"
    else:
        text, code = f"Invalid type for '{param}': got {fault.what} instead.", "invalid_type"
    return Refused(fault.rule, text, param=param, code=code)


def _pattern(param: str) -> str:
    return f"Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."


def _worded_tool(fault: Fault) -> Refused:
    param = f"tools[{fault.index}].{fault.where}"
    if fault.rule == "tool-schema":
        text = f"Invalid schema for function '{fault.what}': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."
        return Refused(fault.rule, text, param=param, code="invalid_function_parameters")
    if fault.rule == "duplicate-tool":
        return Refused(
            fault.rule,
            f"Invalid 'tools': function names must be unique, '{fault.what}' occurs twice.",
            param=param,
        )
    if fault.rule == "unknown-tool-key":
        return Refused(
            fault.rule, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter"
        )
    if fault.rule == "tool-name":
        return Refused(fault.rule, _pattern(param), param=param, code="invalid_value")
    return Refused(
        fault.rule,
        f"Missing required parameter: '{param}'.",
        param=param,
        code="missing_required_parameter",
    )


def dated(model: str, date: str) -> str:
    """The snapshot behind a model's alias."""
    return model if re.search(r"\d{4}-?\d\d-?\d\d$", model) else model + date


class _Writer:
    """One answer, whole or in chunks."""

    def __init__(self, body: Json, answer: Answer, memory: Memory) -> None:
        self.answer, self.body = answer, body
        self.seed = f"openai-chat/{memory.answers}"
        self.id = f"chatcmpl-{made_up(self.seed, 29)}"
        self.model = dated(body["model"], "-2024-07-18")
        self.ids = [f"call_{made_up(f'{self.seed}/{at}', 24)}" for at in range(len(answer.calls))]
        self.choices = body.get("n") or 1

    @property
    def finish(self) -> str:
        if self.answer.finish in ("length", "content_filter"):
            return str(self.answer.finish)
        if not self.answer.calls:
            return "stop"
        return "stop" if isinstance(self.body.get("tool_choice"), dict) else "tool_calls"

    def _call(self, at: int) -> Json:
        function = {"name": self.answer.calls[at][0], "arguments": self.answer.arguments(at)}
        return {"id": self.ids[at], "type": "function", "function": function}

    def whole(self) -> Json:
        refused = self.answer.finish == "refusal"
        text = None if refused or (self.answer.calls and not self.answer.text) else self.answer.text
        message: Json = {"role": "assistant", "content": text}
        if self.answer.calls:
            message["tool_calls"] = [self._call(at) for at in range(len(self.answer.calls))]
        message |= {"refusal": self.answer.text if refused else None, "annotations": []}
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": CREATED,
            "model": self.model,
            "choices": [
                {"index": at, "message": message, "logprobs": None, "finish_reason": self.finish}
                for at in range(self.choices)
            ],
            "usage": usage(self.answer),
            "service_tier": "default",
            "system_fingerprint": "fp_d0469e1700",
        }

    def _chunk(self, choices: list[Json], tokens: Json | None = None) -> bytes:
        options = self.body.get("stream_options") or {}
        chunk = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": "fp_d0469e1700",
            "choices": choices,
        }
        if options.get("include_usage"):
            chunk["usage"] = tokens
        if options.get("include_obfuscation", True):
            chunk["obfuscation"] = made_up(f"{self.seed}{choices}", 4 + len(str(choices)) % 12)
        return sse(chunk)

    def _deltas(self, delta: Json, finish: str | None = None) -> Iterator[bytes]:
        for at in range(self.choices):
            yield self._chunk(
                [{"index": at, "delta": delta, "logprobs": None, "finish_reason": finish}]
            )

    def _call_deltas(self) -> Iterator[bytes]:
        for at in range(len(self.answer.calls)):
            call = self._call(at)
            arguments = call["function"]["arguments"]
            first = {"index": at, **call, "function": {**call["function"], "arguments": ""}}
            if at == 0 and not self.answer.text:
                yield from self._deltas(
                    {"role": "assistant", "content": None, "tool_calls": [first], "refusal": None}
                )
            else:
                yield from self._deltas({"tool_calls": [first]})
            for piece in self.answer.cut(arguments):
                yield from self._deltas(
                    {"tool_calls": [{"index": at, "function": {"arguments": piece}}]}
                )

    def events(self) -> Events:
        answer = self.answer
        head: list[bytes] = []
        if answer.text or not answer.calls:
            head = list(self._deltas({"role": "assistant", "content": "", "refusal": None}))
        field = "refusal" if answer.finish == "refusal" else "content"
        deltas = [
            chunk for piece in answer.cut(answer.text) for chunk in self._deltas({field: piece})
        ]
        deltas += self._call_deltas()
        tail = list(self._deltas({}, self.finish))
        if (self.body.get("stream_options") or {}).get("include_usage"):
            tail.append(self._chunk([], usage(answer)))
        tail.append(b"data: [DONE]\n\n")
        error = sse(error_body(Refused("scripted", "", kind=answer.failure or "server")))
        return Events(head, deltas, tail, [error])
