"""The ways in which a value may be written: as it is, in JSON, in Python, in an address, in HTML.

Arguments of calls are JSON, addresses hold passwords, pages quote them: whoever looks for the raw value alone misses these.
What is encoded as a whole (base64, gzip, rot13) is not looked for: it has no spelling of its own within a larger text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

SHORTEST_SECRET = 8
"""Characters of a secret, at least: what is shorter stands in many texts by chance."""
SHORTEST_LINE = 16
"""Characters of a line of a secret that is secret by itself, at least."""


def spellings_of(secret: str) -> Iterable[str]:
    """How a secret may be written; of several lines, each."""
    spellings = [secret]
    spellings += _quoted(secret)
    spellings += _in_addresses(secret)
    spellings += _in_pages(secret)
    # Arguments that a model writes for a call hold JSON themselves now and then.
    for text in list(spellings):
        spellings += _in_json(text)
    if len(secret.splitlines()) > 1:
        spellings += secret_lines(secret)
    long_enough: dict[str, None] = {}  # a set that keeps the order
    for spelling in spellings:
        if len(spelling) >= SHORTEST_SECRET:
            long_enough[spelling] = None
    return long_enough


def secret_lines(secret: str) -> Iterator[str]:
    """The lines of a key that are secret by themselves: neither short ones nor `-----BEGIN ...-----`."""
    for line in secret.splitlines():
        text = line.strip()
        if text.startswith("-----"):
            continue
        if len(text) >= SHORTEST_LINE:
            yield text


def _quoted(secret: str) -> list[str]:
    spellings = _in_json(secret)
    python = repr(secret)
    # Without the quotation marks, which stand around a longer text if the secret is a part of one.
    spellings.append(python[1:-1])
    return spellings


def _in_json(text: str) -> list[str]:
    """As JSON writes it, with letters of all languages as they are or escaped, with slashes escaped or not."""
    ascii_only = json.dumps(text)[1:-1]
    as_it_is = json.dumps(text, ensure_ascii=False)[1:-1]
    spellings = [ascii_only, as_it_is]
    # PHP escapes slashes.
    for quoted in (ascii_only, as_it_is):
        slashes = quoted.replace("/", "\\/")
        spellings.append(slashes)
    spellings.append(_safe_in_pages(ascii_only))
    return spellings


def _safe_in_pages(quoted: str) -> str:
    """As those write JSON who fear that somebody puts it into a page: Go, and not only there."""
    for character in "&<>":
        code = ord(character)
        quoted = quoted.replace(character, f"\\u{code:04x}")
    return quoted


def _in_addresses(secret: str) -> list[str]:
    whole = quote(secret, safe="", errors="replace")
    as_path = quote(secret, errors="replace")
    as_field = quote_plus(secret, errors="replace")
    spellings = [whole, as_path, as_field]
    for address in (whole, as_path, as_field):
        lower = _lower_escapes(address)
        spellings.append(lower)
    return spellings


def _lower_escapes(text: str) -> str:
    """An address with `%2f` where it has `%2F`."""
    first, *rest = text.split("%")
    parts = [first]
    for part in rest:
        code = part[:2].lower()
        after = part[2:]
        parts.append(code + after)
    return "%".join(parts)


def _in_pages(secret: str) -> list[str]:
    """As Python escapes it, as jinja2 does, and as those do who leave quotation marks alone."""
    in_text = secret.replace("&", "&amp;")
    in_text = in_text.replace("<", "&lt;")
    in_text = in_text.replace(">", "&gt;")
    quoted = in_text.replace('"', "&quot;")
    by_python = quoted.replace("'", "&#x27;")
    numbered = in_text.replace('"', "&#34;")
    by_jinja = numbered.replace("'", "&#39;")
    return [by_python, by_jinja, quoted, in_text]
