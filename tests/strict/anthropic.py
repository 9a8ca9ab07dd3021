"""Anthropic messages: /v1/messages. What is refused is in `anthropic_check`."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.strict.anthropic_check import ENDPOINT_ONLY, LATEST, check_body, display, thinks
from tests.strict.base import (
    Dialect,
    Events,
    Issued,
    Memory,
    Refused,
    Reply,
    Request,
    compact,
    made_up,
    signature,
)  # fmt: skip
from tests.strict.openai_chat import dated
from tests.strict.script import Answer, Json, Kind

FAILURES: dict[Kind, tuple[int, str, str]] = {
    "auth": (401, "authentication_error", "invalid x-api-key"),
    "rate_limit": (429, "rate_limit_error", (
        "This request would exceed your organization's rate limit of 40,000 input tokens per minute."
    )),
    "quota": (429, "rate_limit_error", (
        "Your organization has reached its monthly API usage limit. API usage resumes on the first day of next month."
    )),
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "server": (500, "api_error", "Internal server error"),
    "context_length": (400, "invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"),
    "invalid_request": (400, "invalid_request_error", "Invalid request"),
    "not_found": (404, "not_found_error", "model: nope"),
}  # fmt: skip


def error_body(failed: Refused, request_id: str | None) -> Json:
    kind, text = FAILURES[failed.kind][1:]
    error: Json = {"type": kind, "message": failed.message or text}
    if failed.kind == "quota":
        error["details"] = {"error_code": "enforced_spend_limit_reached"}
    body: Json = {"type": "error", "error": error}
    return body | ({"request_id": request_id} if request_id else {})


class Anthropic(Dialect):
    """The messages API."""

    name: ClassVar[str] = "anthropic"

    def authorize(self, request: Request) -> None:
        """Older clients show the key in x-api-key, newer ones as a bearer; the former wins."""
        shown = request.headers.get("x-api-key") or self.bearer(request)
        if not shown:
            raise Refused("no-key", "x-api-key header is required", kind="auth")
        if shown != self.key:
            raise Refused("wrong-key", "invalid x-api-key", kind="auth")

    def route(self, request: Request) -> None:
        if request.path != "/v1/messages" or request.method != "POST":
            raise Refused("path", f"Not Found: {request.method} {request.path}", kind="not_found")
        if "anthropic-version" not in request.headers:
            raise Refused("no-version", "anthropic-version: header is required")
        if request.headers["anthropic-version"] not in ("2023-06-01", LATEST):
            given = request.headers["anthropic-version"]
            raise Refused("no-version", f'anthropic-version: "{given}" is not a valid version')

    def check(self, request: Request, memory: Memory) -> None:
        beta = "anthropic-beta" in request.headers
        for key in request.json:
            if key in ENDPOINT_ONLY and not beta:
                raise Refused("unknown-parameter", f"{key}: Extra inputs are not permitted")
        check_body(request.json, memory, request.headers["anthropic-version"])

    def failure(
        self, request: Request, refused: Refused, retry_after: float | None = None
    ) -> Reply:
        request_id = f"req_011{made_up(refused.message or refused.kind, 21)}"
        headers = {"request-id": request_id}
        if retry_after is not None and refused.kind != "quota":
            headers["retry-after"] = str(int(retry_after + 0.999))
        if refused.kind == "auth":
            headers["x-should-retry"] = "false"
        status = refused.status or FAILURES[refused.kind][0]
        body = compact(refused.body or error_body(refused, request_id)).encode()
        return Reply(status, "application/json", [body], headers)

    def reply(self, request: Request, answer: Answer, memory: Memory) -> Reply:
        writer = _Writer(request.json, answer, memory)
        headers = {"request-id": f"req_011{made_up(writer.seed, 21)}"}
        if request.json.get("stream"):
            parts = writer.events().parts(broken=answer.mid_stream_error)
            return Reply(200, "text/event-stream; charset=utf-8", parts, headers, stream=True)
        return Reply(200, "application/json", [compact(writer.whole()).encode()], headers)


class _Writer:
    """One answer, whole or in events."""

    def __init__(self, body: Json, answer: Answer, memory: Memory) -> None:
        self.answer, self.body = answer, body
        self.seed = f"anthropic/{memory.answers}"
        self.thinking = answer.thinking if thinks(body) else ""
        self.visible = "" if display(body) == "omitted" else self.thinking
        self.ids = [
            f"toolu_01{made_up(f'{self.seed}/{at}', 22)}" for at in range(len(answer.calls))
        ]
        for call_id, (name, _) in zip(self.ids, answer.calls, strict=True):
            memory.calls[call_id] = Issued(name, thinking=bool(self.thinking))

    @property
    def stop(self) -> Json:
        reason = {"length": "max_tokens", "refusal": "refusal", "content_filter": "refusal"}.get(
            self.answer.finish or "", "tool_use" if self.answer.calls else "end_turn"
        )
        details = None
        if reason == "refusal":
            details = {"type": "refusal", "category": None, "explanation": None}
        return {"stop_reason": reason, "stop_sequence": None, "stop_details": details}

    def _usage(self, out: int) -> Json:
        tokens_in, _, cached = self.answer.usage
        return {
            "input_tokens": tokens_in - cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": cached,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": out,
            "service_tier": "standard",
            "inference_geo": "not_available",
        }

    def _message(self, content: list[Json], stop: Json, usage: Json) -> Json:
        return {
            "model": dated(self.body["model"], "-20250929"),
            "id": f"msg_01{made_up(self.seed, 22)}",
            "type": "message",
            "role": "assistant",
            "content": content,
            **stop,
            "usage": usage,
        }

    @property
    def _speaks(self) -> bool:
        """A refusal that says nothing has no blocks."""
        return bool(self.answer.text)

    def whole(self) -> Json:
        content: list[Json] = []
        if self.thinking:
            content.append(
                {"type": "thinking", "thinking": self.visible, "signature": signature(self.visible)}
            )
        if self._speaks:
            content.append({"type": "text", "text": self.answer.text})
        for at, (name, arguments) in enumerate(self.answer.calls):
            cut = self.answer.finish == "length" and at == len(self.answer.calls) - 1
            content.append(self._tool(at, name) | {"input": {} if cut else dict(arguments)})
        return self._message(content, self.stop, self._usage(self.answer.usage[1]))

    def _tool(self, at: int, name: str) -> Json:
        return {
            "type": "tool_use",
            "id": self.ids[at],
            "name": name,
            "input": {},
            "caller": {"type": "direct"},
        }

    def _event(self, event: Json) -> bytes:
        """One event, padded with blanks before its closing brace."""
        kind = event["type"]
        if kind == "ping":
            return b'event: ping\ndata: {"type": "ping"}\n\n'
        text = compact(event)
        pad = " " * (len(text) * 7 % 16)
        return f"event: {kind}\ndata: {text[:-1]}{pad}}}\n\n".encode()

    def _block(self, index: int, start: Json, deltas: list[Json]) -> list[bytes]:
        events: list[Json] = [
            {"type": "content_block_start", "index": index, "content_block": start}
        ]
        if index == 0:
            events.append({"type": "ping"})
        events += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        events.append({"type": "content_block_stop", "index": index})
        return [self._event(event) for event in events]

    def _blocks(self) -> list[tuple[Json, list[Json]]]:
        blocks: list[tuple[Json, list[Json]]] = []
        if self.thinking:
            deltas: list[Json] = [
                {"type": "thinking_delta", "thinking": piece}
                for piece in (*self.answer.cut(self.visible), "")
            ]
            deltas.append({"type": "signature_delta", "signature": signature(self.visible)})
            blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
        if self._speaks:
            deltas = [
                {"type": "text_delta", "text": piece} for piece in self.answer.cut(self.answer.text)
            ]
            blocks.append(({"type": "text", "text": ""}, deltas))
        for at, (name, arguments) in enumerate(self.answer.calls):
            pieces = self.answer.cut(self.answer.arguments(at, spaced=True)) if arguments else []
            deltas = [
                {"type": "input_json_delta", "partial_json": piece} for piece in ("", *pieces)
            ]
            blocks.append((self._tool(at, name), deltas))
        return blocks

    def events(self) -> Events:
        nothing: Json = {"stop_reason": None, "stop_sequence": None, "stop_details": None}
        start = {"type": "message_start", "message": self._message([], nothing, self._usage(1))}
        deltas: list[bytes] = []
        for index, (block, inside) in enumerate(self._blocks()):
            deltas += self._block(index, block, inside)
        tokens: dict[str, Any] = self._usage(self.answer.usage[1])
        for name in ("cache_creation", "service_tier", "inference_geo"):
            del tokens[name]
        if self.thinking:
            tokens["output_tokens_details"] = {"thinking_tokens": self.answer.thought_tokens}
        tail: list[Json] = [
            {"type": "message_delta", "delta": self.stop, "usage": tokens},
            {"type": "message_stop"},
        ]
        failed = Refused("scripted", "", kind=self.answer.failure or "server")
        error = f"event: error\ndata: {compact(error_body(failed, None))}\n\n".encode()
        return Events([self._event(start)], deltas, [self._event(event) for event in tail], [error])
