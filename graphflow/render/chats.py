"""A conversation as text: Markdown for people, or a line of JSON for each exchange."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from graphflow.journal.exchange_codec import Exchange
from graphflow.messages.message import to_json_value
from graphflow.redaction import scrub


def chat_markdown(key: str, exchanges: Sequence[Exchange]) -> str:
    """A conversation as Markdown, without what is secret."""
    title = " ".join(key.split())
    parts = [f"# {title}"]
    for exchange in exchanges:
        when = _time(exchange.at)
        who = exchange.by.rpartition(" > ")[2] or "answer"
        parts.append(f"## {exchange.number} · {when}")
        parts.append(f"**said**\n\n{_block(exchange.turn.text)}")
        parts.append(f"**{who}**\n\n{_block(exchange.text)}")
    text = "\n\n".join(parts)
    return scrub(f"{text}\n")


def _block(text: str) -> str:
    """A text between fences that are longer than any in it: whatever it holds, it is not a heading of the file."""
    runs = re.findall("`+", text)
    lengths = map(len, runs)
    longest = max(lengths, default=2)
    count = max(2, longest) + 1
    fence = "`" * count
    return f"{fence}text\n{text}\n{fence}"


def chat_jsonl(key: str, exchanges: Sequence[Exchange]) -> str:
    """A conversation as lines of JSON, without what is secret."""
    lines = [json.dumps(_record(key, exchange), ensure_ascii=False) for exchange in exchanges]
    return scrub("".join(f"{line}\n" for line in lines))


def _record(key: str, exchange: Exchange) -> dict[str, Any]:
    return {
        "conversation": key,
        "exchange": exchange.number,
        "run": exchange.run,
        "at": _time(exchange.at),
        "message": to_json_value(exchange.message),
        "answer": to_json_value(exchange.answer),
        "by": exchange.by,
        "arm": exchange.arm,
    }


def _time(seconds: float) -> str:
    try:
        when = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # a clock was wrong: no calendar goes so far
        return f"{seconds} seconds since 1970"
    return when.isoformat(timespec="seconds")
