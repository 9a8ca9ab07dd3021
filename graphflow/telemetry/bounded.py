"""Bounded texts: what leaves in records, log lines and attributes is cut to a length, after secrets were taken out of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import islice

from graphflow.messages.message import to_json_value
from graphflow.redaction import scrub, scrubbed

MARGIN = 4_096
"""Characters beyond the cut that are looked through as well: half of a secret would not be known as one."""
MAX_ITEMS = 1_000
"""Items of a list, or fields of an object, that are shown."""
MAX_DEPTH = 30


def bounded_text(text: str, limit: int) -> str:
    """A text without secrets, cut to so many characters."""
    length = len(text)
    looked_through = text[: limit + MARGIN]
    clean = scrub(looked_through)
    if length <= limit + MARGIN and len(clean) <= limit:
        return clean
    beginning = clean[:limit]
    return f"{beginning}... ({length:,} characters)"


def bounded_json(value: object, limit: int) -> str:
    """A message as JSON without secrets, cut to so many characters."""
    whole = to_json_value(value)
    clean = scrubbed(bounded_plain(whole, limit))
    text = json.dumps(clean, ensure_ascii=False)
    if len(text) <= limit:
        return text
    beginning = text[:limit]
    return f"{beginning}..."


def bounded_plain(value: object, limit: int, depth: int = 0) -> object:
    """Plain data in which no text is longer than so many characters, and no list longer than `MAX_ITEMS`.

    What was cut has no secrets in it; what was not is as it came.
    """
    if isinstance(value, str):
        # Cut afterwards: half of a secret would not be known as one.
        return value if len(value) <= limit else bounded_text(value, limit)
    if isinstance(value, dict):
        return _bounded_fields(value, limit, depth)
    if isinstance(value, (list, tuple)):
        return _bounded_items(value, limit, depth)
    return value


def _bounded_fields(value: Mapping[object, object], limit: int, depth: int) -> object:
    if depth >= MAX_DEPTH:
        return "..."
    bounded: dict[object, object] = {}
    for name, inner in islice(value.items(), MAX_ITEMS):
        bounded[name] = bounded_plain(inner, limit, depth + 1)
    return bounded


def _bounded_items(value: Sequence[object], limit: int, depth: int) -> object:
    if depth >= MAX_DEPTH:
        return "..."
    items: list[object] = []
    for inner in islice(value, MAX_ITEMS):
        item = bounded_plain(inner, limit, depth + 1)
        items.append(item)
    count = len(value)
    if count > MAX_ITEMS:
        items.append(f"... ({count:,} items)")
    return items
