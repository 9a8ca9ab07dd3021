"""Masks: what stands for an old result of a tool, whose call stays."""

from __future__ import annotations

import re
from hashlib import sha256

from graphflow.messages.fences import fenced_text, has_fence
from graphflow.model.turns import ToolResult, ToolTurn

SMALL_RESULT = 300
"""Characters of a result that is not worth masking."""
HANDLE_LENGTH = 12
"""Digits of the handle of a result: two of a million results have the same once in 600."""
MOST_HANDLES = 8
"""Artifacts of one masked result that are still named."""
_HANDLE = re.compile(r"\{[^{}]{0,500}\"digest\": ?\"[0-9a-f]{64}\"[^{}]{0,500}\}")
"""An artifact in the JSON of a result: its name and its digest."""


def masked(turn: ToolTurn) -> ToolTurn:
    """The turn with what is long among its results left out; what is an artifact keeps its handle."""
    results = tuple(map(_masked_result, turn.results))
    pairs = zip(results, turn.results, strict=True)
    if all(one is other for one, other in pairs):
        return turn
    return ToolTurn(results)


def handle_of(result: ToolResult) -> str:
    """By which a result that was left out can be read again: the beginning of the SHA-256 of its text, and of its media."""
    digest = sha256(result.text.encode(errors="surrogatepass"))
    for part in result.media:
        source = part.url or part.file_id
        digest.update(part.data or source.encode(errors="surrogatepass"))
    return digest.hexdigest()[:HANDLE_LENGTH]


def _masked_result(result: ToolResult) -> ToolResult:
    text = result.text
    if len(text) <= SMALL_RESULT and not result.media:
        return result
    handle = handle_of(result)
    mask = f"[left out to save room: {len(text)} characters; handle {handle}]"
    beside = _named_beside(result)
    if beside:
        mask += f"\n{beside}"
    if len(mask) >= len(text) and not result.media:
        return result
    return ToolResult(result.id, result.name, mask, result.ok, result.cache)


def _named_beside(result: ToolResult) -> str:
    """What is still named of a result: its artifacts and media, a line each."""
    text = result.text
    artifacts: list[str] = _HANDLE.findall(text)
    lines = artifacts[:MOST_HANDLES]
    lines += [part.label for part in result.media]
    beside = "\n".join(lines)
    # What looks like an artifact in a text from outside may say anything.
    if has_fence(text):
        return fenced_text(beside)
    return beside
