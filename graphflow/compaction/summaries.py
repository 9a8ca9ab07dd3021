"""Summaries: what is left out as words, in pieces that a model can read, one after the other.

summary  +  piece 1  >  summary  +  piece 2  >  summary
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphflow.compaction.tokens import BYTES_PER_TOKEN
from graphflow.messages.fences import has_fence, part_of, without_tag
from graphflow.model.turns import AssistantTurn, ToolTurn, Turn, UserTurn

MAX_RESULT = 2_000
"""Characters of one result of a tool that are summed up."""
PIECE_TOKENS = 4_000
"""Tokens of a piece where nobody knows how much the model reads, and at least of those that read more."""
FENCE = 200
"""Bytes of a fence around a part, and more."""
SUMMARY = "summary"
TALK = "conversation"
"""Names of the tags around what was summed up before, and what is summed up now."""


def in_words(turns: Sequence[Turn]) -> list[str]:
    """What was said and done, a text for each of it."""
    texts: list[str] = []
    for turn in turns:
        texts += _words_of(turn)
    return texts


def _words_of(turn: Turn) -> list[str]:
    match turn:
        case UserTurn():
            return [f"User: {turn.text}"]
        case AssistantTurn():
            texts = [f"Agent: {turn.text}"] if turn.text else []
            texts += [
                f"Agent calls {call.name} with {call.arguments or '{}'}" for call in turn.calls
            ]
            return texts
        case ToolTurn():
            return [
                f"{result.name} answers: {part_of(result.text, 0, MAX_RESULT)}"
                for result in turn.results
            ]


def pieces(texts: Sequence[str], tokens: int) -> Iterator[str]:
    """The texts, joined to pieces of about so many tokens at most. A longer text is parted."""
    most = max(1, tokens * BYTES_PER_TOKEN)
    lines: list[str] = []
    size = 0
    for part in _parted(texts, most):
        length = len(part.encode(errors="surrogatepass")) + 1
        if lines and size + length > most:
            yield "\n".join(lines)
            lines = []
            size = 0
        lines.append(part)
        size += length
    if lines:
        yield "\n".join(lines)


def _parted(texts: Sequence[str], most: int) -> Iterator[str]:
    """The texts in parts of at most so many bytes: four of them are the longest character."""
    for text in texts:
        if text.isascii():
            step = most
        else:
            step = max(1, most // 4)
        if has_fence(text):
            step -= min(FENCE, step // 2)
        for start in range(0, len(text), step):
            yield part_of(text, start, start + step)


def question(instructions: str, words: int, summary: str, piece: str) -> UserTurn:
    """What a model is asked about a piece."""
    # Nothing that was said closes what it stands in, or passes for what was summed up before.
    for name in (SUMMARY, TALK):
        summary = without_tag(summary, name)
        piece = without_tag(piece, name)
    parts = [f"{instructions} Write at most {words} words, and nothing else."]
    if summary:
        parts.append(f"<{SUMMARY} so far>\n{summary}\n</{SUMMARY} so far>")
        parts.append("Go on from it: what it says stays, unless what follows has changed it.")
    parts.append(f"<{TALK}>\n{piece}\n</{TALK}>")
    return UserTurn("\n\n".join(parts))
