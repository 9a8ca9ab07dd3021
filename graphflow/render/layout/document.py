"""DOT text that a program has laid out: what stands where, and the same text with some of it moved.

Only what carries one of our ids is looked at; the rest is handed on letter by letter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|->|[\[\]{}=,;]|[^\s\[\]{}=,;<>"]+|<|\s+', re.DOTALL)
_CONTINUATION = re.compile(r"\\\r?\n")


@dataclass(frozen=True, slots=True)
class _DotToken:
    text: str
    start: int
    end: int


@dataclass(slots=True)
class AttributeList:
    """The attributes of one node, edge or area, and where their values stand in the text."""

    values: dict[str, str] = field(default_factory=dict)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Our name for it, or nothing."""
        return self.values.get("id", "")

    @property
    def is_node(self) -> bool:
        """Whether it is a shape of ours."""
        return self.id.startswith("n-")

    @property
    def is_edge(self) -> bool:
        """Whether it is a line of ours."""
        return self.id.startswith("e-")

    @property
    def is_area(self) -> bool:
        """Whether it is an area of ours."""
        return self.id.startswith("a-")

    def inches(self, name: str, default: float) -> float:
        """An attribute that is a length in inches, in points."""
        value = self.values.get(name)
        length = default if value is None else float(value)
        return 72 * length


def blocks_of(text: str) -> list[AttributeList]:
    """Every list of attributes in the text, in its order."""
    blocks: list[AttributeList] = []
    block: AttributeList | None = None
    key = ""
    wants_value = False
    for token in _tokens(text):
        if token.text == "[":
            block = AttributeList()
        elif token.text == "]" and block is not None:
            blocks.append(block)
            block = None
        elif block is None or token.text == ",":
            continue
        elif token.text == "=":
            wants_value = True
        elif wants_value:
            block.values[key] = _value(token.text)
            block.spans[key] = (token.start, token.end)
            wants_value = False
        else:
            key = token.text
    return blocks


def _tokens(text: str) -> list[_DotToken]:
    tokens: list[_DotToken] = []
    at = 0
    while at < len(text):
        sign = text[at]
        if sign == "<":
            end = _end_of_markup(text, at)
        else:
            # A sign that fits nothing is a token of its own: what we cannot read must at least not be lost.
            end = at + 1
            found = _TOKEN.match(text, at)
            if found is not None:
                end = found.end()
        if not sign.isspace():
            token = _DotToken(text[at:end], at, end)
            tokens.append(token)
        at = end
    return tokens


def _end_of_markup(text: str, at: int) -> int:
    """Where a label of markup ends: `<` and `>` come in pairs in it, those of its text are escaped."""
    depth = 0
    while at < len(text):
        if text[at] == "<":
            depth += 1
        elif text[at] == ">":
            depth -= 1
        at += 1
        if depth == 0:
            break
    return at


def _value(token: str) -> str:
    """What a token stands for: without quotes, and without the line ends that long values are broken with."""
    if not token.startswith('"'):
        return token
    inner = token[1:-1]
    return _CONTINUATION.sub("", inner)


def changed(text: str, changes: dict[tuple[int, int], str]) -> str:
    """The text with the values at these places replaced."""
    pieces: list[str] = []
    at = 0
    in_order = sorted(changes.items())
    for (start, end), value in in_order:
        pieces.append(text[at:start])
        pieces.append(f'"{value}"')
        at = end
    pieces.append(text[at:])
    return "".join(pieces)
