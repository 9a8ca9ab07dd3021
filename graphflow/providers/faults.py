"""From what a provider says when it fails, to one tree of errors.

Rules:
1. Codes decide before types, types before the HTTP status: a 400 may be a wrong key (Gemini), an unknown model (Mistral)
   or an overflow of the context (OpenAI, Anthropic).
2. The text is the provider's own, cut to a sane length; what the caller sent is never in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
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
    SignatureInvalid,
    ToolUseFailed,
)

Json = dict[str, Any]

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
    "invalid_encrypted_content": SignatureInvalid,
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
_WRONG_IMAGE = re.compile(
    r"(invalid|unsupported|empty)_.*image|image_(too|parse|file)|failed_to_download_image"
)
"""The codes of Responses for pictures that it cannot read."""
_OVERFLOW = re.compile(
    r"prompt (is )?too long|maximum (context|prompt) length|context (length|window|size|limit)|too many tokens|"
    r"input token count|exceeds? the (maximum|available) .{0,30}(tokens|context)|exceeded model token limit|"
    r"prompt token count .{0,40}exceeds",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(
    r"invalid .?signature.? in|(corrupted|invalid) thought.?signature|thought.?signature is not valid|"
    r"missing a thought.?signature|thought.?signature.{0,40}base64|thinking.? blocks .{0,80}cannot be modified|"
    r"encrypted content .{0,200}could not be (verified|decrypted)",
    re.IGNORECASE | re.DOTALL,
)
"""What Anthropic, Google and OpenAI say of signed parts that they do not take back."""
_KEY = re.compile(
    r"api[ _-]?key (is )?(not valid|invalid|expired|missing)|invalid api[ _-]?key|unauthori[sz]ed",
    re.I,
)
_MISSING = re.compile(r"model .{0,120}not found|no such model", re.IGNORECASE)
_FLAGGED = re.compile(
    r"flagged (by moderation|as potentially violating)|content (policy|management policy)|usage policy",
    re.IGNORECASE,
)
_SPENT = re.compile(
    r"enforced_spend_limit|credit balance is too low|insufficient (credits|balance|quota)|"
    r"(monthly|specified|reached your)( workspace| organization)? API usage limit|monthly API usage threshold",
    re.IGNORECASE,
)


def fault(
    provider: str, status: int | None, body: Any, headers: Mapping[str, str] | None = None
) -> ModelError:
    """The typed error for a failure, read from its body (parsed JSON or text), status and headers."""
    try:
        return _fault(provider, status, body, headers)
    # A body like no other.
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError):
        return _fault(provider, status, str(body)[:LONGEST], headers)


def _fault(
    provider: str, status: int | None, body: Any, headers: Mapping[str, str] | None = None
) -> ModelError:
    """The same, for a body that is like those that vendors send."""
    if isinstance(body, list):  # Gemini's stream that is not asked for as server-sent events
        body = next((item for item in body if isinstance(item, dict)), body)
    failure = _failure(body)
    headers = headers or {}
    kind = _kind(_meant_status(status, failure.code), failure)
    error = kind(
        _text(status, failure) + _advice(kind),
        source=provider,
        provider=provider,
        status=status,
        provider_code=failure.code,
        type=failure.type,
        request_id=_request_id(headers, body),
        retry_after=retry_after(headers, body),
    )
    error.provider_message = clip(failure.message)
    if headers.get("x-should-retry") == "false":  # OpenAI and Anthropic: it would fail again
        error.retryable = False
    return error


@dataclass(frozen=True, slots=True)
class _Complaint:
    """What a vendor says of a failure: its words, and the type and code it gives it."""

    message: str
    type: str = ""
    code: str = ""


def _text(status: int | None, failure: _Complaint) -> str:
    text = clip(failure.message) or f"it answered with HTTP status {status}"
    if status is None or status < 400:
        return text
    if failure.code in ("", str(status)):
        return f"{text} (HTTP {status})"
    return f"{text} (HTTP {status}, {failure.code})"


def _meant_status(status: int | None, code: str) -> int | None:
    """The status that is meant: a failure inside a reply of status 200 may name its own as the code."""
    if not _is_success(status) or not (code.isascii() and code.isdigit()):
        return status
    named = int(code)
    return named if 400 <= named < 600 else status


def _is_success(status: int | None) -> bool:
    """Whether a failure came inside a reply that began well."""
    return status is None or 200 <= status < 300


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


def broken_answer(provider: str, raw: str, explanation: str = "") -> ModelError:
    """The error of an answer that ended in a way that no whole answer ends in."""
    transient = TRANSIENT.get(raw.lower())
    kind = transient or ServerError
    explanation = clip(explanation)
    text = f"the answer broke off ({raw})"
    if explanation:
        text += f": {explanation}"
    error = kind(text, source=provider, provider=provider, status=None, provider_code=raw)
    error.provider_message = explanation
    # What nobody knows may well be the same the next time, and is paid for again.
    error.retryable = transient is not None
    return error


def clip(text: str) -> str:
    """The text at a sane length; what was cut off leaves CUT."""
    if len(text) <= LONGEST:
        return text
    return text[:LONGEST] + CUT


def _failure(body: Any) -> _Complaint:
    """What a body says of a failure, wherever a vendor puts it."""
    if not isinstance(body, dict):
        words = " ".join(str(body or "").split())
        return _Complaint(clip(words))
    error = _error_in(body)
    if not isinstance(error, dict):
        return _Complaint(str(error))
    code = _named_in_details(error) or error.get("code")
    type_ = str(error.get("status") or error.get("type") or "")
    return _Complaint(
        message=_message(error, body),
        type="" if type_ == "error" else type_,
        code="" if code is None else str(code),
    )


def _error_in(body: Json) -> Any:
    """The error in a body: under "error", in a choice, in a response; else the body itself."""
    error = body.get("error") or _in_choice(body) or body
    response = body.get("response")
    if isinstance(response, dict) and not isinstance(error, str):  # response.failed
        return response.get("error") or error
    return error


def _message(error: Json, body: Json) -> str:
    """The words of a failure, in the error itself or beside it."""
    places = (error.get("message"), error.get("detail"), body.get("detail"), body.get("message"))
    message = next(filter(None, places), "")
    return message if isinstance(message, str) else _details(message)


def _in_choice(body: Json) -> Any:
    """The error that a choice of a chat completion ended with (OpenRouter)."""
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        return None
    first = choices[0]
    return first.get("error") if isinstance(first, dict) else None


def _named_in_details(error: Json) -> str:
    """The code that stands in the details of an error (Anthropic: a spent budget under the type of a rate limit)."""
    details = error.get("details")
    if not isinstance(details, dict):
        return ""
    code = details.get("error_code")
    return code if isinstance(code, str) else ""


def _details(message: object) -> str:
    """The words of a validation error (Mistral's 422: an object with a list of details)."""
    rows = message.get("detail") if isinstance(message, dict) else message
    if not isinstance(rows, list):
        return str(message)
    return "; ".join(map(_detail, rows))


def _detail(row: object) -> str:
    if not isinstance(row, dict):
        return str(row)
    place = ".".join(map(str, row.get("loc", ())))
    words = row.get("msg", "")
    return f"{place}: {words}"


def _kind(status: int | None, failure: _Complaint) -> type[ModelError]:
    """The kind of an error: by its words where vendors use one code for several things, by code and type, by status."""
    message = failure.message
    if _SPENT.search(message):
        return QuotaExceeded
    kind = _kind_by_name(status, failure) or _kind_by_words(status, message)
    if kind is not None:
        return kind
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status is None or status < 300:
        return _asked_wrong(failure.code) or _asked_wrong(failure.type) or ServerError
    if 400 <= status < 500 and _MISSING.search(message):
        return NotFound
    if status < 500:
        return BadRequest  # a redirect, too: the address is not the API's
    return ServerError


def _kind_by_words(status: int | None, message: str) -> type[ModelError] | None:
    if _KEY.search(message):
        return AuthError
    if status in _WRONG_STATUS and _SIGNATURE.search(message):
        return SignatureInvalid
    if status in _OVERFLOW_STATUS and _OVERFLOW.search(message):
        return ContextOverflow
    if status in _FLAGGED_STATUS and _FLAGGED.search(message):
        return ContentFiltered
    return None


# With these the words may mean what they say. None: the failure of a command, or one inside a stream.
_OVERFLOW_STATUS = (None, 200, 400, 413, 422, 500)
_WRONG_STATUS = (None, 200, 400, 422)
_FLAGGED_STATUS = (None, 200, 400, 403)


def _kind_by_name(status: int | None, failure: _Complaint) -> type[ModelError] | None:
    """The kind that the code or the type stands for. "server_error" is said of all 5xx: the status says more."""
    for name in (failure.code.lower(), failure.type.lower()):
        kind = BY_CODE.get(name)
        is_vague = kind is ServerError and status in BY_STATUS
        if kind is not None and not is_vague:
            return kind
    return None


def _asked_wrong(word: str) -> type[ModelError] | None:
    """The error that a code or type of a failure inside a reply stands for, if the request is at fault."""
    word = word.lower()
    if _WRONG_IMAGE.search(word):
        return BadRequest
    return ASKED_WRONG.get(word)


def _advice(kind: type[ModelError]) -> str:
    if kind is ContextOverflow:
        return "; send fewer or shorter turns, or use a model that reads more"
    return ""


def _request_id(headers: Mapping[str, str], body: Any) -> str:
    for name in _REQUEST_IDS:
        if headers.get(name):
            return headers[name]
    id = body.get("request_id") if isinstance(body, dict) else None
    return id if isinstance(id, str) else ""


_REQUEST_IDS = (
    "x-request-id",
    "request-id",
    "mistral-correlation-id",
    "x-goog-request-id",
    "cf-ray",
)
_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$"
)


def retry_after(
    headers: Mapping[str, str], body: Any = None, now: datetime | None = None
) -> float | None:
    """Seconds that the provider asks to wait, or None.

    `retry-after-ms` (OpenAI) goes before `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), that before Gemini's
    `RetryInfo` in the body (google.rpc.RetryInfo) and before ChatGPT's `resets_in_seconds`.
    """
    asked = _wait_in_headers(headers, now or datetime.now(UTC))
    return _wait_in_body(body) if asked is None else asked


def _wait_in_headers(headers: Mapping[str, str], now: datetime) -> float | None:
    exact_ms = _number(headers.get("retry-after-ms"))
    if exact_ms is not None:
        return exact_ms / 1000
    header = headers.get("retry-after")
    if not header:
        return None
    seconds = _number(header)
    return _seconds_until(header, now) if seconds is None else seconds


def _wait_in_body(body: object) -> float | None:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    for detail in error.get("details") or ():
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith("RetryInfo"):
            return seconds_of(str(detail.get("retryDelay", "")))
    return _number(error.get("resets_in_seconds"))


def _seconds_until(date: str, now: datetime) -> float | None:
    """The seconds until a date of HTTP, 0 if it is past; None if it is not a date."""
    try:
        when = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < float("inf") else None


def seconds_of(text: str) -> float | None:
    """A duration such as "34.4s", "1m2.5s" or "120ms" in seconds."""
    match = _DURATION.match(text)
    if not text or not match:
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def read_body(body: bytes) -> Any:
    """The body of a failure: JSON if it is any, else its text (a gateway's HTML loses its tags)."""
    try:
        return from_json(body)
    except ValueError:
        text = body.decode("utf-8", "replace").strip()
    if text.startswith(("data:", "event:")):
        event = _first_event(text)
        if event is not None:
            return event
    text = text[: 4 * LONGEST]  # tags are taken out of what may be shown, not of what may be sent
    is_html = text.startswith("<") or "<html" in text[:500].lower()
    if is_html:
        text = _TAG.sub(" ", text)
    words = " ".join(text.split())
    return clip(words)


_TAG = re.compile(r"<(style|script).*?</\1>|<[^>]+>", flags=re.S | re.I)


def _first_event(text: str) -> Any:
    """The first event of a stream in which a failure came; None if there is none that is JSON."""
    for line in text.splitlines():
        if not line.startswith("data:"):
            continue
        try:
            return from_json(line[5:].strip())
        except ValueError:
            continue
    return None
