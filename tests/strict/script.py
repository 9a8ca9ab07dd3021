"""What a server shall answer, said without any vendor's words.

Laws:
1. An `Answer` says what the model did. How it looks on the wire is the dialect's business, and so is what the request
   has to ask for to see it: thoughts, encrypted reasoning and usage chunks are sent only to those who asked.
2. Everything is deterministic: the same script and the same requests give the same bytes.
3. `finish="length"` with calls cuts the arguments of the last call short where arguments travel as text, and loses the
   last call where they travel as objects (gemini, ollama).
4. `finish="refusal"` and `"content_filter"` are spelt the vendor's way where it has one; where it has none (ollama,
   groq, mistral) the model has just said `text` and stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Json = dict[str, Any]
Call = tuple[str, Mapping[str, Any]]
Finish = Literal["length", "refusal", "content_filter"]
Kind = Literal[
    "auth", "rate_limit", "quota", "overloaded", "server", "context_length", "invalid_request", "not_found"
]  # fmt: skip

_BY_STATUS: dict[int, Kind] = {
    400: "invalid_request",
    401: "auth",
    403: "auth",
    404: "not_found",
    429: "rate_limit",
    503: "overloaded",
    529: "overloaded",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a model, or one failure.

    Attributes:
        text: what it says; the words of the refusal when `finish` is "refusal".
        thinking: what it thought before.
        calls: tool calls, (name, arguments) each.
        finish: None = as comes naturally.
        usage: tokens in (cached ones included), tokens out (thoughts included), tokens from the cache.
        status: HTTP status of a failure; alone it picks the kind, with `error` it overrides the vendor's usual one.
        error: kind of a failure.
        retry_after: seconds, said where the vendor says it.
        mid_stream_error: the failure comes in a running stream, after half of the deltas.
        pieces: characters per delta.
        delay_s: pause before each event of a stream, or before a whole reply.
        cut_at: the connection is closed after so many bytes of the body.
        raw: exact bytes of the body and its content type; status is `status` or 200.
        slices: bytes per HTTP chunk of a stream; 0 = one event per chunk.
    """

    text: str = ""
    thinking: str = ""
    calls: tuple[Call, ...] = ()
    finish: Finish | None = None
    usage: tuple[int, int, int] = (21, 13, 0)
    status: int | None = None
    error: Kind | None = None
    retry_after: float | None = None
    mid_stream_error: bool = False
    pieces: int = 7
    delay_s: float = 0.0
    cut_at: int | None = None
    raw: tuple[bytes, str] | None = None
    slices: int = 0

    @property
    def failure(self) -> Kind | None:
        """Kind of the failure, or None for an answer."""
        if self.error is not None:
            return self.error
        if self.mid_stream_error:
            return "overloaded"
        if self.status is not None and self.status >= 400:
            return _BY_STATUS.get(
                self.status, "server" if self.status >= 500 else "invalid_request"
            )
        return None

    @property
    def thought_tokens(self) -> int:
        """Tokens of the output that were thoughts."""
        return min(self.usage[1], len(self.thinking) // 4 + 1) if self.thinking else 0

    def cut(self, text: str) -> list[str]:
        """A text in the pieces in which it travels."""
        return [text[at : at + self.pieces] for at in range(0, len(text), self.pieces)]

    def arguments(self, at: int, *, spaced: bool = False) -> str:
        """Arguments of a call as JSON text, cut short where the length limit struck."""
        text = json.dumps(
            self.calls[at][1], ensure_ascii=False, separators=None if spaced else (",", ":")
        )
        if self.finish == "length" and at == len(self.calls) - 1:
            return text[: len(text) * 2 // 3]
        return text

    @property
    def whole_calls(self) -> tuple[Call, ...]:
        """The calls that arrive where arguments are objects."""
        return self.calls[:-1] if self.finish == "length" else self.calls


Script = list[Answer] | Callable[[Json], Answer]
