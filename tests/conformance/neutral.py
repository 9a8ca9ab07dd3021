"""Requests to model APIs in neutral words: the oracle that rendered bodies are held against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.conformance import (
    neutral_anthropic,
    neutral_chat,
    neutral_gemini,
    neutral_ollama,
    neutral_responses,
)
from tests.conformance.neutral_parts import Neutral, without_raw

READERS: dict[str, Callable[[dict[str, Any], str], Neutral]] = {
    "openai-chat": neutral_chat.read,
    "openai-responses": neutral_responses.read,
    "anthropic": neutral_anthropic.read,
    "gemini": neutral_gemini.read,
    "groq": neutral_chat.read,
    "mistral": neutral_chat.read,
    "ollama": neutral_ollama.read,
}


def read_request(
    provider: str, body: dict[str, Any], url: str = "", *, keep: bool = False
) -> dict[str, Any]:
    """A rendered request body (any of the seven dialects) in neutral words, as expect/ spells them.

    With `keep` the raw text stands beside every hash: `signature` and `data`.
    """
    result = READERS[provider](body, url)
    return result if keep else without_raw(result)
