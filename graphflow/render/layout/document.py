"""DOT text that a program has laid out: what stands where, and the same text with some of it moved.

Only what carries one of our ids is looked at; the rest is handed on letter by letter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|->|[\[\]{}=,;]|[^\s\[\]{}=,;<>"]+|<|\s+', re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")

Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""


@dataclass(slots=True)
class Block:
    """The attributes of one node, edge or area, and where their values stand in the text."""

    values: dict[str, str] = field(default_factory=dict)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Our name for it, or nothing."""
        return self.values.get("id", "")


def blocks_of(text: str) -> list[Block]:
    """Every list of attributes in the text, in its order."""
    blocks: list[Block] = []
    block: Block | None = None
    key, wants = "", False
    for token, start, end in _tokens(text):
        if token == "[":
            block = Block()
        elif token == "]" and block is not None:
            blocks.append(block)
            block = None
        elif block is None or token == ",":
            continue
        elif token == "=":
            wants = True
        elif wants:
            block.values[key] = _plain(token)
            block.spans[key] = (start, end)
            wants = False
        else:
            key = token
    return blocks


def _tokens(text: str) -> list[tuple[str, int, int]]:
    tokens: list[tuple[str, int, int]] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        end = at + 1 if found is None else found.end()
        if text[at] == "<":
            end = _end_of_markup(text, at)
        if not text[at].isspace():
            tokens.append((text[at:end], at, end))
        at = end
    return tokens


def _end_of_markup(text: str, at: int) -> int:
    deep = 0
    while at < len(text):
        deep += (text[at] == "<") - (text[at] == ">")
        at += 1
        if not deep:
            break
    return at


def _plain(token: str) -> str:
    if token[:1] != '"':
        return token
    return re.sub(r"\\\r?\n", "", token[1:-1])


def numbers(text: str) -> list[float]:
    """All numbers in a value."""
    return [float(found) for found in _NUMBER.findall(text)]


def changed(text: str, changes: dict[tuple[int, int], str]) -> str:
    """The text with the values at these places replaced."""
    pieces: list[str] = []
    at = 0
    for (start, end), value in sorted(changes.items()):
        pieces += [text[at:start], f'"{value}"']
        at = end
    return "".join([*pieces, text[at:]])


@dataclass(slots=True)
class Curve:
    """The line of an edge: Bezier pieces, and the tips of arrows before its first and behind its last point."""

    points: list[Point]
    first_tip: Point | None = None
    last_tip: Point | None = None

    @classmethod
    def read(cls, value: str) -> Curve | None:
        """The line that is written so, or None where it is more than one."""
        if ";" in value:
            return None
        curve = cls([])
        for part in value.split():
            pair = numbers(part)[-2:]
            if len(pair) < 2:
                return None
            if part[0] == "e":
                curve.last_tip = pair[0], pair[1]
            elif part[0] == "s":
                curve.first_tip = pair[0], pair[1]
            else:
                curve.points.append((pair[0], pair[1]))
        return curve if len(curve.points) > 3 and len(curve.points) % 3 == 1 else None

    def written(self) -> str:
        """The line as DOT writes it."""
        tips = [(mark, tip) for mark, tip in (("s", self.first_tip), ("e", self.last_tip)) if tip is not None]
        told = [f"{mark},{x:.2f},{y:.2f}" for mark, (x, y) in tips]
        return " ".join([*told, *(f"{x:.2f},{y:.2f}" for x, y in self.points)])

    def sampled(self, steps: int = 8) -> list[Point]:
        """Points along the line, tips included."""
        found = [self.first_tip] if self.first_tip is not None else []
        for begin in range(0, len(self.points) - 1, 3):
            piece = self.points[begin : begin + 4]
            found += [_along(piece, step / steps) for step in range(steps)]
        found.append(self.points[-1])
        return [*found, self.last_tip] if self.last_tip is not None else found

    def move_end(self, at_first: bool, by: Point) -> None:
        """Moves one end sideways; its direction stays, and the rest of the line hardly notices."""
        dx, dy = by
        shares = (1.0, 1.0, 0.35) if len(self.points) > 4 else (1.0, 1.0, 0.0)
        for number, share in enumerate(shares):
            place = number if at_first else len(self.points) - 1 - number
            x, y = self.points[place]
            self.points[place] = (x + dx * share, y + dy * share)
        if at_first and self.first_tip is not None:
            self.first_tip = self.first_tip[0] + dx, self.first_tip[1] + dy
        elif not at_first and self.last_tip is not None:
            self.last_tip = self.last_tip[0] + dx, self.last_tip[1] + dy


def _along(piece: list[Point], t: float) -> Point:
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = piece
    a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
    return a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3
