"""HTML that a notebook shows for a value: tables and trees. Everything in a value is text: escaped, cut, and scrubbed.

Rules:
1. Colours are those of the page around, with half-transparent lines, so that light and dark need no guess.
2. Every table is bounded, and says what it leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphflow.redaction import scrub
from graphflow.render.talk import plain_text
from graphflow.render.xml import clean, xml

MAX_ROWS = 60
MAX_ITEMS = 40
"""Items of a list or an object that are shown."""
MAX_SHORT_LIST = 6
"""Items of a list that stands on one line."""
MAX_DEPTH = 8
MAX_TEXT = 600
MAX_CELL = 160
"""Characters of a message in a cell."""
ESCAPES = 60
"""Characters that a text may get longer by when it is scrubbed: they must not be cut off again."""

STYLE = (
    "<style>.gf-v{font:13px/1.45 system-ui,sans-serif;max-width:1000px}.gf-v table{border-collapse:collapse;margin:2px 0;text-align:left}"
    ".gf-v td,.gf-v th{border:1px solid rgba(128,128,128,.35);padding:2px 8px;vertical-align:top;text-align:left!important;"
    "overflow-wrap:anywhere;white-space:pre-wrap;max-width:520px;unicode-bidi:isolate}"
    ".gf-v th{font-weight:600;background:rgba(128,128,128,.12);white-space:nowrap}"
    ".gf-v .d{opacity:.68}.gf-v .n{text-align:right!important;font-variant-numeric:tabular-nums}"
    ".gf-v pre{white-space:pre-wrap;border:1px solid rgba(128,128,128,.35);border-radius:5px;padding:6px 9px;margin:4px 0}"
    ".gf-v .var{background:rgba(29,111,143,.2);border-radius:3px;font-weight:600}.gf-v .blk{background:rgba(180,83,9,.2);border-radius:3px}"
    ".gf-v .cmt{opacity:.55;font-style:italic}.gf-v summary{cursor:pointer}"
    ".gf-v .pic svg{max-width:100%;max-height:520px;width:auto;height:auto}.gf-v .head{font-weight:600;font-size:14px}</style>"
)


def text(value: object, limit: int = MAX_TEXT) -> str:
    """A value as text in HTML."""
    short = scrub(clean(value, limit))
    return xml(short, limit + ESCAPES)


def cell(value: object) -> str:
    """A message as text in a cell."""
    words = plain_text(value)
    return text(words, MAX_CELL)


def head(inner: str) -> str:
    """A heading."""
    return f'<div class="head">{inner}</div>'


def dim(inner: str) -> str:
    """A line that is not so important."""
    return f'<div class="d">{inner}</div>'


def details(title: str, inner: str, *, is_open: bool = False) -> str:
    """What may be opened and closed."""
    opening = "<details open>" if is_open else "<details>"
    return f"{opening}<summary>{title}</summary>{inner}</details>"


def more(count: int, limit: int) -> str:
    """A note of how many rows or items are left out, if any are."""
    left = count - limit
    if left <= 0:
        return ""
    verb = "is" if left == 1 else "are"
    return dim(f"{left:,} more {verb} not shown")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already; the head of a column of numbers begins with '#'."""
    names = [head.removeprefix("#") for head in heads]
    # Without quotes, as a long table has thousands of them.
    tags = ["<td class=n>" if head.startswith("#") else "<td>" for head in heads]
    cells = [f"<th>{xml(name)}</th>" for name in names]
    lines = ["".join(cells)]
    for row in rows:
        line = ""
        for tag, inner in zip(tags, row, strict=True):
            line += f"{tag}{inner}</td>"
        lines.append(line)
    body = "</tr><tr>".join(lines)
    return f"<table><tr>{body}</tr></table>"


def tree(data: object, depth: int = 0) -> str:
    """Plain data as nested tables."""
    if data is None:
        return ""
    if depth < MAX_DEPTH:
        if isinstance(data, dict) and data:
            return _object(data, depth)
        if isinstance(data, list) and data:
            return _list(data, depth)
    return text(data)


def _object(data: dict[str, object], depth: int) -> str:
    rows = ""
    for key, value in list(data.items())[:MAX_ITEMS]:
        name = text(key, 120)
        inner = tree(value, depth + 1)
        rows += f"<tr><th>{name}</th><td>{inner}</td></tr>"
    return f"<table>{rows}</table>{more(len(data), MAX_ITEMS)}"


def _list(data: list[object], depth: int) -> str:
    is_plain = all(isinstance(item, (str, int, float, bool)) for item in data)
    if is_plain and len(data) <= MAX_SHORT_LIST:
        return text(", ".join(map(str, data)))
    rows = ""
    for number, item in enumerate(data[:MAX_ITEMS]):
        inner = tree(item, depth + 1)
        rows += f'<tr><th class="n">{number}</th><td>{inner}</td></tr>'
    return f"<table>{rows}</table>{more(len(data), MAX_ITEMS)}"
