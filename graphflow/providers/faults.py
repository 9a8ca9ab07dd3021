"""From what a provider says when it fails, to one tree of errors.

Rules:
1. Codes decide before types, types before the HTTP status: a 400 may be a wrong key (Gemini), an unknown model (Mistral)
   or an overflow of the context (OpenAI, Anthropic).
2. The text is the provider's own, cut to a sane length; what the caller sent is never in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from pydantic_core import from_json

from graphflow.errors import (
    AuthError,
    BadRequest,
    ContentFiltered,
    ContextOverflow,
    ModelError,
    ModelTimeout,
    NotFound,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    ServerError,
    ToolUseFailed,
)

LONGEST = 2000
"""Characters of a provider's text that are kept."""
CUT = "…"
"""What stands where a text was cut."""

# Codes and types as the vendors document them: platform.openai.com/docs/guides/error-codes, docs.claude.com/en/api/errors,
# ai.google.dev/gemini-api/docs/troubleshooting, console.groq.com/docs/errors, docs.mistral.ai; "1113" is MiniMax's.
BY_CODE: dict[str, type[ModelError]] = {
    "context_length_exceeded": ContextOverflow,
    "string_above_max_length": ContextOverflow,
    "exceed_context_size_error": ContextOverflow,
    "model_not_found": NotFound,
    "invalid_model": NotFound,
    "previous_response_not_found": NotFound,
    "not_found_error": NotFound,
    "not_found": NotFound,
    "invalid_api_key": AuthError,
    "authentication_error": AuthError,
    "permission_error": AuthError,
    "permission_denied": AuthError,
    "unauthenticated": AuthError,
    "insufficient_quota": QuotaExceeded,
    "billing_error": QuotaExceeded,
    "billing_hard_limit_reached": QuotaExceeded,
    "enforced_spend_limit_reached": QuotaExceeded,
    "organization_spend_limit_exceeded": QuotaExceeded,
    "project_spend_limit_exceeded": QuotaExceeded,
    "organization_usage_limit_exceeded": QuotaExceeded,
    "credit_balance_exhausted": QuotaExceeded,
    "usage_limit_reached": QuotaExceeded,
    "usage_not_included": QuotaExceeded,
    "rate_limit_exceeded": RateLimited,
    "rate_limit_error": RateLimited,
    "rate_limited": RateLimited,
    "resource_exhausted": RateLimited,
    "overloaded_error": Overloaded,
    "server_is_overloaded": Overloaded,
    "server_overloaded": Overloaded,
    "flex_unavailable": Overloaded,
    "slow_down": Overloaded,
    "unavailable": Overloaded,
    "api_error": ServerError,
    "server_error": ServerError,
    "internal": ServerError,
    "internal_server_error": ServerError,
    "timeout_error": ModelTimeout,
    "vector_store_timeout": ModelTimeout,
    "deadline_exceeded": ModelTimeout,
    "tool_use_failed": ToolUseFailed,
    "content_policy_violation": ContentFiltered,
    "content_filter": ContentFiltered,
    "moderation_blocked": ContentFiltered,
    "cyber_policy": ContentFiltered,
    "bio_policy": ContentFiltered,
    "misalignment_policy_violation": ContentFiltered,
    "image_content_policy_violation": ContentFiltered,
    "request_too_large": ContextOverflow,
}
BY_STATUS: dict[int, type[ModelError]] = {
    401: AuthError,
    402: QuotaExceeded,
    403: AuthError,
    404: NotFound,
    408: ModelTimeout,
    409: Overloaded,
    413: ContextOverflow,
    429: RateLimited,
    503: Overloaded,
    504: ModelTimeout,
    529: Overloaded,
}
ASKED_WRONG: dict[str, type[ModelError]] = {
    "invalid_prompt": BadRequest,
    "invalid_request_error": BadRequest,
    "invalid_argument": BadRequest,
    "failed_precondition": BadRequest,
    "bad_request": BadRequest,
}
"""Words for a request that cannot be answered. They are general: what else is known of it goes first."""
_WRONG_IMAGE = re.compile(r"(invalid|unsupported|empty)_.*image|image_(too|parse|file)|failed_to_download_image")
"""The codes of Responses for pictures that it cannot read."""
_OVERFLOW = re.compile(
    r"prompt (is )?too long|maximum (context|prompt) length|context (length|window|size|limit)|too many tokens|"
    r"input token count|exceeds? the (maximum|available) .{0,30}(tokens|context)|exceeded model token limit|"
    r"prompt token count .{0,40}exceeds",
    re.IGNORECASE,
)
_KEY = re.compile(r"api[ _-]?key (is )?(not valid|invalid|expired|missing)|invalid api[ _-]?key|unauthori[sz]ed", re.I)
_MISSING = re.compile(r"model .{0,120}not found|no such model", re.IGNORECASE)
_FLAGGED = re.compile(
    r"flagged (by moderation|as potentially violating)|content (policy|management policy)|usage policy", re.IGNORECASE
)
_SPENT = re.compile(
    r"enforced_spend_limit|credit balance is too low|insufficient (credits|balance|quota)|"
    r"(monthly|specified|reached your)( workspace| organization)? API usage limit|monthly API usage threshold",
    re.IGNORECASE,
)


def fault(provider: str, status: int | None, body: Any, headers: Mapping[str, str] | None = None) -> ModelError:
    """The typed error for a failure, read from its body (parsed JSON or text), status and headers."""
    try:
        return _fault(provider, status, body, headers)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError):  # a body like no other
        return _fault(provider, status, str(body)[:LONGEST], headers)


def _fault(provider: str, status: int | None, body: Any, headers: Mapping[str, str] | None = None) -> ModelError:
    """The same, for a body that is like those that vendors send."""
    if isinstance(body, list):  # Gemini's stream that is not asked for as server-sent events
        body = next((item for item in body if isinstance(item, dict)), body)
    message, type_, code = _said(body)
    headers = headers or {}
    kind = _kind(_meant(status, code), message, type_, code)
    text = f"{provider}: {clipped(message)}" if message else f"{provider} answered with HTTP status {status}"
    if status is not None and status >= 400:
        text += f" (HTTP {status}{', ' + code if code and code != str(status) else ''})"
    error = kind(
        text + _advice(kind),
        provider=provider,
        status=status,
        code=code,
        type=type_,
        request_id=_request_id(headers, body),
        retry_after=retry_after(headers, body),
    )
    error.said = clipped(message)
    if headers.get("x-should-retry") == "false":  # OpenAI and Anthropic: it would fail again
        error.retryable = False
    return error


def _meant(status: int | None, code: str) -> int | None:
    """The status that is meant: a failure inside a reply of status 200 may name its own as the code."""
    inside = status is None or 200 <= status < 300
    return int(code) if inside and code.isascii() and code.isdigit() and 400 <= int(code) < 600 else status


TRANSIENT: dict[str, type[ModelError]] = {
    "insufficient_system_resource": Overloaded,  # DeepSeek
    "network_error": ServerError,  # Z.AI
    "abort": ServerError,  # vLLM
    "aborted": ServerError,
    "cancelled": ServerError,
    "error": ServerError,  # Mistral, OpenRouter
    "other": ServerError,  # Gemini
}
"""Ends that no whole answer has, and that another try may well not have."""


def broken_off(provider: str, raw: str, said: str = "") -> ModelError:
    """The error of an answer that ended in a way that no whole answer ends in."""
    kind = TRANSIENT.get(raw.lower())
    words = f": {clipped(said)}" if said else ""
    error = (kind or ServerError)(
        f"{provider}: the answer broke off ({raw}){words}", provider=provider, status=None, code=raw
    )
    error.said = clipped(said)
    error.retryable = kind is not None  # what nobody knows may well be the same the next time, and is paid for again
    return error


def clipped(text: str) -> str:
    """The text at a sane length; what was cut off leaves CUT."""
    return text if len(text) <= LONGEST else text[:LONGEST] + CUT


def _said(body: Any) -> tuple[str, str, str]:
    """Message, type and code, wherever a vendor puts them."""
    if not isinstance(body, dict):
        return clipped(" ".join(str(body or "").split())), "", ""
    error = body.get("error") or _in_choice(body) or body
    if isinstance(error, str):
        return error, "", ""
    if isinstance(body.get("response"), dict):  # response.failed
        error = body["response"].get("error") or error
    if not isinstance(error, dict):
        return str(error), "", ""
    message = error.get("message") or error.get("detail") or body.get("detail") or body.get("message") or ""
    if not isinstance(message, str):
        message = _details(message)
    code = _named_in_details(error) or error.get("code")
    type_ = error.get("status") or error.get("type") or ""
    if type_ == "error":
        type_ = ""
    return message, str(type_), "" if code is None else str(code)


def _in_choice(body: Any) -> Any:
    """The error that a choice of a chat completion ended with (OpenRouter)."""
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first.get("error") if isinstance(first, dict) else None


def _named_in_details(error: Any) -> str:
    """The code that stands in the details of an error (Anthropic: a spent budget under the type of a rate limit)."""
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    return code if isinstance(code, str) else ""


def _details(message: Any) -> str:
    """The words of a validation error (Mistral's 422: an object with a list of details)."""
    rows = message.get("detail") if isinstance(message, dict) else message
    if not isinstance(rows, list):
        return str(message)
    return "; ".join(
        f"{'.'.join(map(str, row.get('loc', ())))}: {row.get('msg', '')}" if isinstance(row, dict) else str(row)
        for row in rows
    )


def _kind(status: int | None, message: str, type_: str, code: str) -> type[ModelError]:
    if _SPENT.search(message):
        return QuotaExceeded
    for word in (code.lower(), type_.lower()):
        kind = BY_CODE.get(word)
        if kind is not None and (
            kind is not ServerError or status not in BY_STATUS
        ):  # "server_error" is said of all 5xx
            return kind
    if _KEY.search(message):
        return AuthError
    if (status is None or status in (200, 400, 413, 422, 500)) and _OVERFLOW.search(message):
        return ContextOverflow
    if (status is None or status in (200, 400, 403)) and _FLAGGED.search(message):
        return ContentFiltered
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status is None or status < 300:
        return _asked_wrong(code) or _asked_wrong(type_) or ServerError
    if status is not None and 400 <= status < 500:
        return NotFound if _MISSING.search(message) else BadRequest
    if status is not None and 300 <= status < 400:
        return BadRequest  # a redirect: the address is not the API's
    return ServerError


def _asked_wrong(word: str) -> type[ModelError] | None:
    """The error that a code or type of a failure inside a reply stands for, if the request is at fault."""
    word = word.lower()
    return BadRequest if _WRONG_IMAGE.search(word) else ASKED_WRONG.get(word)


def _advice(kind: type[ModelError]) -> str:
    if kind is ContextOverflow:
        return "; send fewer or shorter turns, or use a model that reads more"
    return ""


def _request_id(headers: Mapping[str, str], body: Any) -> str:
    for name in ("x-request-id", "request-id", "mistral-correlation-id", "x-goog-request-id", "cf-ray"):
        if headers.get(name):
            return headers[name]
    found = body.get("request_id") if isinstance(body, dict) else None
    return found if isinstance(found, str) else ""


_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$")


def retry_after(headers: Mapping[str, str], body: Any = None, now: datetime | None = None) -> float | None:
    """Seconds that the provider asks to wait, or None.

    `retry-after-ms` (OpenAI) goes before `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), that before Gemini's
    `RetryInfo` in the body (google.rpc.RetryInfo) and before ChatGPT's `resets_in_seconds`.
    """
    exact = _number(headers.get("retry-after-ms"))
    if exact is not None:
        return exact / 1000
    stated = headers.get("retry-after")
    if stated:
        seconds = _number(stated)
        if seconds is not None:
            return seconds
        try:
            when = parsedate_to_datetime(stated)
        except (ValueError, OverflowError):
            when = None
        if when is not None:
            when = when if when.tzinfo else when.replace(tzinfo=UTC)
            return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    for detail in error.get("details") or ():
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith("RetryInfo"):
            return seconds_of(str(detail.get("retryDelay", "")))
    return _number(error.get("resets_in_seconds"))


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < float("inf") else None


def seconds_of(text: str) -> float | None:
    """A duration such as "34.4s", "1m2.5s" or "120ms" in seconds."""
    found = _DURATION.match(text)
    if not text or not found:
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def read_body(body: bytes) -> Any:
    """The body of a failure: JSON if it is any, else its text (a gateway's HTML loses its tags)."""
    try:
        return from_json(body)
    except ValueError:
        text = body.decode("utf-8", "replace").strip()
    if text.startswith(("data:", "event:")):
        for line in text.splitlines():
            if line.startswith("data:"):
                try:
                    return from_json(line[5:].strip())
                except ValueError:
                    continue
    text = text[: 4 * LONGEST]  # tags are taken out of what may be shown, not of what may be sent
    if "<html" in text[:500].lower() or text.startswith("<"):
        text = re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", text, flags=re.S | re.I)
    return clipped(" ".join(text.split()))
