"""OpenAI responses: /v1/responses. What is refused is in `responses_check`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from tests.strict.base import (
    CREATED,
    Events,
    Issued,
    Memory,
    Refused,
    Reply,
    Request,
    compact,
    made_up,
    pretty,
)  # fmt: skip
from tests.strict.openai_chat import FAILURES, OpenAIChat, dated
from tests.strict.responses_check import check_body, conversation, seal
from tests.strict.script import Answer, Json


class OpenAIResponses(OpenAIChat):
    """The responses API: same keys and errors, another body."""

    name: ClassVar[str] = "openai-responses"

    def route(self, request: Request) -> None:
        if request.path != "/v1/responses" or request.method != "POST":
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
        check_body(request.json, memory)

    def failure(
        self, request: Request, refused: Refused, retry_after: float | None = None
    ) -> Reply:
        """An unknown model is HTTP 400 here, as recorded."""
        if refused.kind == "not_found" and not refused.message:
            text = "The requested model 'gpt-nope' does not exist."
            status = refused.status or 400
            refused = Refused(refused.rule, text, kind="not_found", status=status, param="model")
        return super().failure(request, refused, retry_after)

    def reply(self, request: Request, answer: Answer, memory: Memory) -> Reply:
        writer = _Writer(request.json, answer, memory)
        headers = {
            "openai-processing-ms": "290",
            "openai-version": "2020-10-01",
            "x-request-id": f"req_{writer.tail}",
        }
        if request.json.get("stream"):
            parts = writer.events().parts(broken=answer.mid_stream_error)
            return Reply(200, "text/event-stream; charset=utf-8", parts, headers, stream=True)
        return Reply(200, "application/json", [pretty(writer.response(writer.final))], headers)


def _sse(event: Json) -> bytes:
    return f"event: {event['type']}\ndata: {compact(event)}\n\n".encode()


class _Writer:
    """One answer, whole or in events."""

    def __init__(self, body: Json, answer: Answer, memory: Memory) -> None:
        self.body, self.answer = body, answer
        self.seed = f"responses/{memory.answers}"
        self.tail = made_up(self.seed, 48, "0123456789abcdef")
        self.id = f"resp_{self.tail}"
        self.sequence = 0
        self.asks_seal = "reasoning.encrypted_content" in (body.get("include") or [])
        self.final = {"length": "incomplete", "content_filter": "incomplete"}.get(
            answer.finish or "", "completed"
        )
        self.items = list(self._items())
        self._remember(memory)

    def _made(self, prefix: str, at: int) -> str:
        return f"{prefix}_{made_up(f'{self.seed}/{prefix}/{at}', 50, '0123456789abcdef')}"

    def _items(self) -> Iterator[Json]:
        answer = self.answer
        last = "incomplete" if self.final == "incomplete" else "completed"
        if answer.thinking:
            item: Json = {"id": self._made("rs", 0), "type": "reasoning", "summary": []}
            if (self.body.get("reasoning") or {}).get("summary"):
                item["summary"] = [{"type": "summary_text", "text": answer.thinking}]
            if self.asks_seal:
                item |= {"content": [], "encrypted_content": seal(item["id"])}
            yield item
        if answer.text or not answer.calls:
            part: Json = {
                "type": "output_text",
                "annotations": [],
                "logprobs": [],
                "text": answer.text,
            }
            if answer.finish == "refusal":
                part = {"type": "refusal", "refusal": answer.text}
            message: Json = {
                "id": self._made("msg", 0),
                "type": "message",
                "status": "completed",
                "content": [part],
            }
            if not answer.calls:
                message["status"] = last
            if self.body["model"].startswith("gpt-5."):
                message["phase"] = "commentary" if answer.calls else "final_answer"
            yield message | {"role": "assistant"}
        for at, (name, _) in enumerate(answer.calls):
            yield {
                "id": self._made("fc", at),
                "type": "function_call",
                "status": last if at == len(answer.calls) - 1 else "completed",
                "arguments": answer.arguments(at),
                "call_id": f"call_{made_up(f'{self.seed}/{at}', 24)}",
                "name": name,
            }

    def _remember(self, memory: Memory) -> None:
        reasoning = next((item["id"] for item in self.items if item["type"] == "reasoning"), "")
        if reasoning and self.asks_seal:
            memory.sealed[reasoning] = seal(reasoning)
        for item in self.items:
            if item["type"] == "function_call":
                sealed = bool(reasoning) and self.asks_seal
                memory.calls[item["call_id"]] = Issued(
                    item["name"], bool(reasoning), reasoning, sealed
                )
        if self.body.get("store") is not False and not self.answer.mid_stream_error:
            memory.stored[self.id] = [*conversation(self.body, memory), *self.items]

    @property
    def usage(self) -> Json:
        tokens_in, tokens_out, cached = self.answer.usage
        return {
            "input_tokens": tokens_in,
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": cached},
            "output_tokens": tokens_out,
            "output_tokens_details": {"reasoning_tokens": self.answer.thought_tokens},
            "total_tokens": tokens_in + tokens_out,
        }

    def response(self, status: str, error: Json | None = None) -> Json:
        """The response object, which repeats the request."""
        body, done = self.body, status in ("completed", "incomplete")
        reason = "content_filter" if self.answer.finish == "content_filter" else "max_output_tokens"
        text = body.get("text") or {}
        tools = [{"strict": True, "description": None} | tool for tool in body.get("tools") or []]
        reasoning: Json = {"effort": None, "summary": None} | (body.get("reasoning") or {})
        return {
            "id": self.id,
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "background": False,
            "completed_at": CREATED + 1 if status == "completed" else None,
            "error": error,
            "frequency_penalty": 0.0,
            "incomplete_details": {"reason": reason} if status == "incomplete" else None,
            "instructions": body.get("instructions"),
            "max_output_tokens": body.get("max_output_tokens"),
            "max_tool_calls": None,
            "model": dated(body["model"], "-2026-04-23"),
            "moderation": None,
            "output": self.items if done else [],
            "parallel_tool_calls": body.get("parallel_tool_calls", True),
            "presence_penalty": 0.0,
            "previous_response_id": body.get("previous_response_id"),
            "prompt_cache_key": body.get("prompt_cache_key"),
            "prompt_cache_retention": None,
            "reasoning": reasoning,
            "safety_identifier": None,
            "service_tier": "default" if done else "auto",
            "store": body.get("store") is not False,
            "temperature": body.get("temperature", 1.0),
            "text": {"format": {"type": "text"}, "verbosity": "medium"} | text,
            "tool_choice": body.get("tool_choice", "auto"),
            "tools": tools,
            "top_logprobs": 0,
            "top_p": body.get("top_p", 1.0),
            "truncation": "disabled",
            "usage": self.usage if done else None,
            "user": None,
            "metadata": body.get("metadata") or {},
        }

    def _event(self, kind: str, **more: Any) -> bytes:
        event = {"type": kind, **more, "sequence_number": self.sequence}
        if "delta" in more and (self.body.get("stream_options") or {}).get(
            "include_obfuscation", True
        ):
            event["obfuscation"] = made_up(
                f"{self.seed}/{self.sequence}", 16 - len(more["delta"]) % 12
            )
        self.sequence += 1
        return _sse(event)

    def _reasoning(self, at: int, item: Json) -> Iterator[bytes]:
        for index, part in enumerate(item["summary"]):
            where = {"item_id": item["id"], "output_index": at, "summary_index": index}
            kind = "response.reasoning_summary"
            yield self._event(
                f"{kind}_part.added", part={"type": "summary_text", "text": ""}, **where
            )
            for piece in self.answer.cut(part["text"]):
                yield self._event(f"{kind}_text.delta", delta=piece, **where)
            yield self._event(f"{kind}_text.done", text=part["text"], **where)
            yield self._event(f"{kind}_part.done", part=part, **where)

    def _spoken(self, at: int, item: Json) -> Iterator[bytes]:
        part = item["content"][0]
        where = {"content_index": 0, "item_id": item["id"], "output_index": at}
        field = "refusal" if part["type"] == "refusal" else "text"
        kind = "response.refusal" if field == "refusal" else "response.output_text"
        more: Json = {} if field == "refusal" else {"logprobs": []}
        yield self._event("response.content_part.added", part=part | {field: ""}, **where)
        for piece in self.answer.cut(part[field]):
            yield self._event(f"{kind}.delta", delta=piece, **where, **more)
        yield self._event(f"{kind}.done", **{field: part[field]}, **where, **more)
        yield self._event("response.content_part.done", part=part, **where)

    def _called(self, at: int, item: Json) -> Iterator[bytes]:
        where = {"item_id": item["id"], "output_index": at}
        for piece in self.answer.cut(item["arguments"]):
            yield self._event("response.function_call_arguments.delta", delta=piece, **where)
        yield self._event(
            "response.function_call_arguments.done", arguments=item["arguments"], **where
        )

    def _item(self, at: int, item: Json) -> Iterator[bytes]:
        blanks: dict[str, Json] = {
            "message": {"content": [], "status": "in_progress"},
            "reasoning": {"summary": []},
            "function_call": {"arguments": "", "status": "in_progress"},
        }
        blank = blanks[item["type"]]
        yield self._event("response.output_item.added", item=item | blank, output_index=at)
        inside = {"message": self._spoken, "reasoning": self._reasoning}.get(
            item["type"], self._called
        )
        yield from inside(at, item)
        yield self._event("response.output_item.done", item=item, output_index=at)

    def events(self) -> Events:
        head = [
            self._event(f"response.{kind}", response=self.response("in_progress"))
            for kind in ("created", "in_progress")
        ]
        deltas = [event for at, item in enumerate(self.items) for event in self._item(at, item)]
        tail = [self._event(f"response.{self.final}", response=self.response(self.final))]
        self.sequence = len(head) + (len(deltas) + 1) // 2
        _, kind, code, message = FAILURES[self.answer.failure or "server"]
        code = code or "server_error"
        error = {"type": kind, "code": code, "message": message, "param": None}
        broken = [
            self._event("error", error=error),
            self._event(
                "response.failed",
                response=self.response("failed", {"code": code, "message": message}),
            ),
        ]
        return Events(head, deltas, tail, broken)
