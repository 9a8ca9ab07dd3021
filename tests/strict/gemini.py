"""Gemini: models/M:generateContent and :streamGenerateContent. What is refused is in `gemini_check`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, ClassVar

from tests.strict.base import (
    Dialect,
    Events,
    Issued,
    Memory,
    Refused,
    Reply,
    Request,
    made_up,
    pretty,
)  # fmt: skip
from tests.strict.gemini_check import check_body, sign_call, sign_text
from tests.strict.schema import camel
from tests.strict.script import Answer, Json, Kind

ROUTE = re.compile(
    r"^/(v1|v1beta|v1alpha)/models/([^:/]+):(generateContent|streamGenerateContent)$"
)

FAILURES: dict[Kind, tuple[int, str, str]] = {
    "auth": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "rate_limit": (429, "RESOURCE_EXHAUSTED", (
        "Resource exhausted. Please try again later. Please refer to "
        "https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details."
    )),
    "quota": (429, "RESOURCE_EXHAUSTED", (
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
    )),
    "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "server": (500, "INTERNAL", (
        "An internal error has occurred. Please retry or report in "
        "https://developers.generativeai.google/guide/troubleshooting"
    )),
    "context_length": (400, "INVALID_ARGUMENT", (
        "The input token count (1203310) exceeds the maximum number of tokens allowed (1048576)."
    )),
    "invalid_request": (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "not_found": (404, "NOT_FOUND", (
        "models/nope is not found for API version v1beta, or is not supported for generateContent. "
        "Call ModelService.ListModels to see the list of available models and their supported methods."
    )),
}  # fmt: skip
_RPC = "type.googleapis.com/google.rpc."


def error_body(failed: Refused, retry_after: float | None = None) -> Json:
    code, status, text = FAILURES[failed.kind]
    error: Json = {
        "code": failed.status or code,
        "message": failed.message or text,
        "status": failed.code or status,
    }
    details: list[Json] = []
    if failed.kind == "auth" and not failed.code:
        info = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        metadata = {"service": "generativelanguage.googleapis.com"}
        details = [
            {"@type": f"{_RPC}ErrorInfo", **info, "metadata": metadata},
            {"@type": f"{_RPC}LocalizedMessage", "locale": "en-US", "message": error["message"]},
        ]
    if failed.kind == "quota":
        quota = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "50"}
        details = [{"@type": f"{_RPC}QuotaFailure", "violations": [quota]}]
    if failed.param:
        violation = {"field": failed.param, "description": error["message"]}
        details = [{"@type": f"{_RPC}BadRequest", "fieldViolations": [violation]}]
    if retry_after is not None:
        details.append({"@type": f"{_RPC}RetryInfo", "retryDelay": f"{retry_after:g}s"})
    return {"error": error | ({"details": details} if details else {})}


class Gemini(Dialect):
    """The Gemini developer API."""

    name: ClassVar[str] = "gemini"

    def authorize(self, request: Request) -> None:
        shown = request.headers.get("x-goog-api-key")
        if shown is None:
            text = (
                "Method doesn't allow unregistered callers (callers without established identity). Please use API Key "
                "or other form of API consumer identity to call this API."
            )
            raise Refused("no-key", text, kind="auth", status=403, code="PERMISSION_DENIED")
        if shown != self.key:
            raise Refused("wrong-key", FAILURES["auth"][2], kind="auth")

    def route(self, request: Request) -> None:
        found = ROUTE.match(request.path)
        if not found or request.method != "POST":
            raise Refused(
                "path",
                f"Requested entity was not found: {request.method} {request.path}",
                kind="not_found",
            )
        for name in set(request.query) - {"alt", "prettyPrint"}:
            text = f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. Field not found.'
            raise Refused("unknown-parameter", text, param=name)
        if request.query.get("alt", "json") not in ("json", "sse"):
            raise Refused(
                "unknown-parameter", f"Invalid value for alt: {request.query['alt']}", param="alt"
            )
        version, model, method = found.groups()
        if "nope" in model:
            text = (
                f"models/{model} is not found for API version {version}, or is not supported for {method}. "
                "Call ModelService.ListModels to see the list of available models and their supported methods."
            )
            raise Refused("unknown-model", text, kind="not_found")

    def check(self, request: Request, memory: Memory) -> None:
        check_body(request.json, _model(request))

    def failure(
        self, request: Request, refused: Refused, retry_after: float | None = None
    ) -> Reply:
        """A failed event stream keeps the content type of the stream, though its body is plain JSON."""
        status = refused.status or FAILURES[refused.kind][0]
        kind = (
            "text/event-stream"
            if request.query.get("alt") == "sse"
            else "application/json; charset=UTF-8"
        )
        return Reply(status, kind, [pretty(refused.body or error_body(refused, retry_after))])

    def reply(self, request: Request, answer: Answer, memory: Memory) -> Reply:
        writer = _Writer(request.json, _model(request), answer, memory)
        if not request.path.endswith(":streamGenerateContent"):
            return Reply(200, "application/json; charset=UTF-8", [pretty(writer.whole())])
        sse = request.query.get("alt") == "sse"
        chunks = writer.chunks()
        failed = error_body(Refused("scripted", "", kind=answer.failure or "server"))
        if sse:
            parts = Events([], [_sse(chunk) for chunk in chunks], [], [_sse(failed)])
            return Reply(
                200, "text/event-stream", parts.parts(broken=answer.mid_stream_error), stream=True
            )
        deltas = [(b",\r\n" if at else b"[") + pretty(chunk) for at, chunk in enumerate(chunks)]
        parts = Events([], deltas, [b"]"], [b",\r\n" + pretty(failed) + b"]"])
        content_type = "application/json; charset=UTF-8"
        return Reply(200, content_type, parts.parts(broken=answer.mid_stream_error), stream=True)


def _model(request: Request) -> str:
    found = ROUTE.match(request.path)
    assert found is not None
    return found.group(2)


def _sse(value: Json) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ': '))}\r\n\r\n".encode()


class _Writer:
    """One answer, whole or in chunks."""

    def __init__(self, body: Json, model: str, answer: Answer, memory: Memory) -> None:
        self.answer, self.model = answer, model
        self.seed = f"gemini/{memory.answers}"
        self.third = model.startswith("gemini-3")
        config = {camel(key): value for key, value in body.items()}.get("generationConfig") or {}
        options = {camel(key): value for key, value in config.items()}.get("thinkingConfig") or {}
        shown = {camel(key): value for key, value in options.items()}.get("includeThoughts")
        self.thinking = answer.thinking if shown else ""
        for part in self._calls():
            if "id" in part["functionCall"]:
                memory.calls[part["functionCall"]["id"]] = Issued(part["functionCall"]["name"])

    @property
    def finish(self) -> str:
        names = {
            "length": "MAX_TOKENS",
            "content_filter": "SAFETY",
            "refusal": "PROHIBITED_CONTENT",
        }
        return names.get(self.answer.finish or "", "STOP")

    @property
    def blocked(self) -> bool:
        return self.answer.finish in ("content_filter", "refusal")

    def _calls(self) -> list[Json]:
        """Calls are whole; the first of a turn carries the signature."""
        parts: list[Json] = []
        for at, (name, arguments) in enumerate(self.answer.whole_calls):
            call: Json = {"name": name, "args": dict(arguments)}
            if self.third:
                call["id"] = made_up(f"{self.seed}/{at}", 8, "0123456789abcdefghijklmnopqrstuvwxyz")
            part: Json = {"functionCall": call}
            if at == 0:
                part["thoughtSignature"] = sign_call(name, dict(arguments))
            parts.append(part)
        return parts

    def _usage(self, share: float) -> Json:
        """Token counts when so much of the output is out."""
        tokens_in, tokens_out, cached = self.answer.usage
        thoughts = self.answer.thought_tokens
        candidates = round((tokens_out - thoughts) * share)
        usage: Json = {"promptTokenCount": tokens_in}
        if candidates:
            usage["candidatesTokenCount"] = candidates
        usage["totalTokenCount"] = tokens_in + candidates + thoughts
        if cached:
            usage["cachedContentTokenCount"] = cached
        usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": tokens_in}]
        if thoughts:
            usage["thoughtsTokenCount"] = thoughts
        return usage | {"serviceTier": "standard"}

    def _response(self, parts: list[Json], share: float, finish: str | None) -> Json:
        content: Json = {"parts": parts, "role": "model"} if parts else {"role": "model"}
        candidate: Json = {"content": content}
        if finish:
            candidate["finishReason"] = finish
        candidate["index"] = 0
        if finish == "STOP" and self.answer.calls and not self.third:
            candidate["finishMessage"] = "Model generated function call(s)."
        response: Json = {"candidates": [candidate], "usageMetadata": self._usage(share)}
        if finish == "SAFETY":
            rating = {
                "category": "HARM_CATEGORY_DANGEROUS_CONTENT",
                "probability": "HIGH",
                "blocked": True,
            }
            response["candidates"] = [
                {"content": {}, "finishReason": finish, "safetyRatings": [rating]}
            ]
        if finish == "PROHIBITED_CONTENT":
            del response["candidates"]
            response = {"promptFeedback": {"blockReason": finish}} | response
        return response | {"modelVersion": self.model, "responseId": made_up(self.seed, 23)}

    def whole(self) -> Json:
        if self.blocked:
            return self._response([], 0, self.finish)
        parts: list[Json] = []
        if self.thinking:
            parts.append({"text": self.thinking, "thought": True})
        if self.answer.text:
            part: Json = {"text": self.answer.text}
            if self.answer.thinking and not self.answer.calls:
                part["thoughtSignature"] = sign_text()
            parts.append(part)
        return self._response(parts + self._calls(), 1, self.finish)

    def _parts(self) -> Iterator[Json]:
        for piece in self.answer.cut(self.thinking):
            yield {"text": piece, "thought": True}
        for piece in self.answer.cut(self.answer.text):
            yield {"text": piece}
        yield from self._calls()

    def chunks(self) -> list[Json]:
        """The third generation ends with an empty text, which carries the signature when there was no call."""
        if self.blocked:
            return [self._response([], 0, self.finish)]
        parts: list[Json] = list(self._parts())
        last: Json | None = None
        if self.third or (self.answer.thinking and not self.answer.calls):
            last = {"text": ""}
            if self.answer.thinking and not self.answer.calls:
                last["thoughtSignature"] = sign_text()
        outs: list[Any] = [*parts, last] if last or not parts else parts
        spoken = [at for at, part in enumerate(outs) if part and not part.get("thought")] or [0]
        chunks = []
        for at, part in enumerate(outs):
            share = 0.0 if at < spoken[0] else (at - spoken[0] + 1) / max(1, len(outs) - spoken[0])
            chunks.append(
                self._response(
                    [part] if part else [], share, self.finish if at == len(outs) - 1 else None
                )
            )
        return chunks
