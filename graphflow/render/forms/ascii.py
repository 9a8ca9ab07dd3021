"""A picture as text: boxes in rows, lines between them, and under the boxes what each edge carries.

Rules:
1. Every node is there once; what leads back up goes up on rails at the right, as far as there is room for them.
2. Nothing is wider than asked: a row that does not fit is written as a list instead.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from graphflow.render.forms.dot import SIGNS
from graphflow.render.labels import clean, cut, wrapped
from graphflow.render.picture import Line, Picture, Shape

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
STROKES = dict(enumerate(" ╵╷│╴┘┐┤╶└┌├─┴┬┼"))
PLAIN_STROKES = dict(enumerate(" |||-+++-+++-+++"))
ARROWS = {"flow": "──>", "call": "-->", "hand": "··>", "trouble": "o─>"}
PLAIN_ARROWS = {"flow": "-->", "call": "- >", "hand": "..>", "trouble": "o->"}
GAP = 3
"""Columns between two boxes."""
BOX = 22
"""Columns of a name before it is wrapped."""
MOST_RAILS = 8
"""Lines that lead back which are drawn; more are only listed."""
MOST_ROWS = 400
"""Rows of boxes and tracks that a drawing may have before it is a list."""


def write_ascii(picture: Picture, *, width: int = 100, unicode: bool = True) -> str:
    """The picture as text."""
    width = max(24, width)
    drawn = _Drawing(picture, unicode).text(width) if picture.size <= 60 else ""
    listed = _listed(picture, width, unicode, alone=not drawn)
    head = [fitted(clean(picture.headline).replace("\n", " "), width).rstrip(), ""] if picture.headline else []
    text = "\n".join([*head, *([drawn, ""] if drawn else []), *listed]) + "\n"
    return text if unicode else "".join(c if c.isascii() else PLAIN.get(c, "?") for c in text)


PLAIN = {"\u2713": "+", "\u2717": "x", "\u2205": "0", "\u25b8": ">", "\u2026": "~", "\u00d7": "x", "\u25cf": "*"}
"""Signs in text that has only ASCII."""


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def fitted(text: str, width: int) -> str:
    """A text cut and filled to so many columns."""
    text = cut(text, width * 4)  # what takes no column of its own is not endless either
    while columns(text) > width:
        text = text[:-2] + "\u2026" if len(text) > 1 else ""
    return text + " " * (width - columns(text))


class _Drawing:
    """Boxes in layers, and the lines between them."""

    def __init__(self, picture: Picture, unicode: bool) -> None:
        self.strokes = STROKES if unicode else PLAIN_STROKES
        self.arrow = "▼" if unicode else "v"
        self.shapes = list(picture.every_shape())
        self.lines = [line for line in picture.lines if line.source is not line.target]
        self.ranks = _ranks(self.shapes, self.lines)
        self.boxes = {shape.key: _box(shape) for shape in self.shapes}

    def text(self, width: int) -> str:
        """The drawing, or nothing if it is wider than that."""
        layers, links = self._layers()
        rails = self._rails()
        spans = [sum(self._wide(item) + GAP for item in layer) - GAP for layer in layers]
        if max(spans) > width:
            return ""
        whole = max(spans)
        if whole + 2 + 2 * len(rails) > width:
            rails = {}
        centres: dict[str, int] = {}
        rows: list[str] = []
        for layer, span in zip(layers, spans, strict=True):
            left = (whole - span) // 2
            for item in layer:
                centres[item] = left + self._wide(item) // 2
                left += self._wide(item) + GAP
        leaving = {self.ranks[source] for sources in rails.values() for source in sources}
        entering = {self.ranks[target] for target in rails}
        above: dict[int, int] = {}
        below: dict[int, int] = {}
        for number, layer in enumerate(layers):
            rows += self._row(layer, centres, {source for source, _ in links[number]})
            if number in leaving:
                below[number] = len(rows)
                rows.append(self._passing(dict.fromkeys(source for source, _ in links[number]), centres, whole))
            if number + 1 < len(layers):
                rows += self._tracks(links[number], centres, whole)
            if number + 1 in entering:
                heads = rows.pop()
                above[number + 1] = len(rows)
                rows += [self._passing(dict.fromkeys(target for _, target in links[number]), centres, whole), heads]
            if len(rows) > MOST_ROWS:
                return ""
        if rails:
            rows = self._with_rails(rows, rails, centres, whole, above, below)
        return "\n".join(row.rstrip() for row in rows)

    def _rails(self) -> dict[str, list[str]]:
        """What leads back up: to each target one rail, from all its sources."""
        rails: dict[str, list[str]] = {}
        for source, target in dict.fromkeys((line.source.key, line.target.key) for line in self.lines):
            if 0 < self.ranks[target] <= self.ranks[source]:
                rails.setdefault(target, []).append(source)
        return dict(list(rails.items())[:MOST_RAILS])

    def _passing(self, items: Iterable[str], centres: dict[str, int], whole: int) -> str:
        """A row in which lines only go down."""
        row = [" "] * (whole + 1)
        for item in items:
            row[centres[item]] = self.strokes[UP | DOWN]
        return "".join(row)

    def _with_rails(
        self,
        rows: list[str],
        rails: dict[str, list[str]],
        centres: dict[str, int],
        whole: int,
        above: dict[int, int],
        below: dict[int, int],
    ) -> list[str]:
        """The drawing with its rails: out under each source, up at the right, in above the target."""
        wide = whole + 2 + 2 * len(rails)
        grid = [list(row.ljust(wide)) for row in rows]
        known = {sign: bits for bits, sign in reversed(self.strokes.items())}

        def stroke(row: int, column: int, bits: int) -> None:
            grid[row][column] = self.strokes[known.get(grid[row][column], 0) | bits]

        def across(row: int, first: int, last: int) -> None:
            for column in range(first + 1, last):
                stroke(row, column, LEFT | RIGHT)

        for number, (target, sources) in enumerate(rails.items()):
            high, end, rail = above[self.ranks[target]], centres[target] + 2, whole + 2 + 2 * number
            stroke(high, end, DOWN | RIGHT)
            across(high, end, rail)
            stroke(high, rail, LEFT | DOWN)
            lows = {source: below[self.ranks[source]] for source in sources}
            for source, low in lows.items():
                stroke(low, centres[source] + 2, UP | RIGHT)
                across(low, centres[source] + 2, rail)
                stroke(low, rail, LEFT | UP)
            for row in range(high + 1, max(lows.values())):
                stroke(row, rail, UP | DOWN)
            grid[high + 1][end] = self.arrow
        return ["".join(row) for row in grid]

    def _wide(self, item: str) -> int:
        return len(self.boxes[item][0]) if item in self.boxes else 1

    def _layers(self) -> tuple[list[list[str]], list[list[tuple[str, str]]]]:
        """Who stands in which row, with a place for each line that only passes; and the lines from each row to the next."""
        layers: list[list[str]] = [[] for _ in range(max(self.ranks.values()) + 1)]
        for shape in self.shapes:
            layers[self.ranks[shape.key]].append(shape.key)
        links: list[list[tuple[str, str]]] = [[] for _ in layers]
        for source, target in dict.fromkeys((line.source.key, line.target.key) for line in self.lines):
            begin, end = self.ranks[source], self.ranks[target]
            if end <= begin:
                continue
            last = source
            for rank in range(begin + 1, end):
                passing = f"{source}.{rank}"  # what leaves one shape goes down in one line
                if passing not in layers[rank]:
                    layers[rank].append(passing)
                if (last, passing) not in links[rank - 1]:
                    links[rank - 1].append((last, passing))
                last = passing
            links[end - 1].append((last, target))
        for _ in range(3):  # each under the middle of what leads to it, then each above what it leads to
            for number in range(1, len(layers)):
                _settle(layers[number], layers[number - 1], [(b, a) for a, b in links[number - 1]])
            for number in range(len(layers) - 2, -1, -1):
                _settle(layers[number], layers[number + 1], links[number])
        return layers, links

    def _row(self, layer: list[str], centres: dict[str, int], leaving: set[str]) -> list[str]:
        tall = max(len(self.boxes.get(item, ())) for item in layer)
        rows: list[str] = []
        for part in range(tall):
            row, at = "", 0
            for item in layer:
                left = centres[item] - self._wide(item) // 2
                box = self.boxes.get(item)
                cell = self.strokes[UP | DOWN]
                if box is not None:
                    cell = box[part] if part < len(box) else self._below(box, item in leaving)
                row += " " * (left - at) + cell
                at = left + self._wide(item)
            rows.append(row)
        if self.strokes is PLAIN_STROKES:
            rows = [row.translate(_TO_PLAIN) for row in rows]
        return rows

    def _below(self, box: list[str], leaving: bool) -> str:
        middle = len(box[0]) // 2
        return " " * middle + (self.strokes[UP | DOWN] if leaving else " ") + " " * (len(box[0]) - middle - 1)

    def _tracks(self, links: list[tuple[str, str]], centres: dict[str, int], whole: int) -> list[str]:
        """The rows between two layers: each source has a track of its own if it has to go aside."""
        targets: dict[str, list[str]] = {}
        for source, target in links:
            targets.setdefault(source, []).append(target)
        aside = [s for s in targets if any(centres[t] != centres[s] for t in targets[s])]
        track = {source: place for place, source in enumerate(_ordered(aside, targets, centres))}
        height = len(track)
        grid = [[0] * (whole + 1) for _ in range(height + 1)]
        for source, ends in targets.items():
            at = centres[source]
            if source not in track:
                for row in grid[:height]:
                    row[at] |= UP | DOWN
                continue
            mine = track[source]
            for row in grid[:mine]:
                row[at] |= UP | DOWN
            grid[mine][at] |= UP
            for end in ends:
                to = centres[end]
                low, high = sorted((at, to))
                for column in range(low, high):
                    grid[mine][column] |= RIGHT
                    grid[mine][column + 1] |= LEFT
                grid[mine][to] |= DOWN
                for row in grid[mine + 1 : height]:
                    row[to] |= UP | DOWN
        rows = ["".join(self.strokes[cell] for cell in row) for row in grid[:height]]
        heads = [" "] * (whole + 1)
        for _, target in links:
            heads[centres[target]] = self.arrow if target in self.boxes else self.strokes[UP | DOWN]
        return [*rows, "".join(heads)]


_TO_PLAIN = str.maketrans("╭╮╰╯─│═║╔╗╚╝◆", "++++-|=|++++*")


def _box(shape: Shape) -> list[str]:
    if shape.kind in ("start", "end"):
        return [f"({shape.name})"]
    sign = SIGNS.get(shape.mark, "")
    names = wrapped(f"{sign} {shape.name}" if sign else shape.name, BOX)[:3]
    under = [shape.kind if shape.kind != "step" else "", *shape.under]
    rows = [*names, *(cut(clean(part), BOX + 10) for part in under if part)]
    width = max(map(columns, rows)) | 1  # odd, as all that stands in a row: then middles meet
    middle = [f"│ {' ' * ((width - columns(row)) // 2)}{row}" for row in rows]
    filled = [row + " " * (width + 3 - columns(row)) + "│" for row in middle]
    return [f"╭{'─' * (width + 2)}╮", *filled, f"╰{'─' * (width + 2)}╯"]


def _ranks(shapes: list[Shape], lines: list[Line]) -> dict[str, int]:
    """How far down each stands: below all that leads to it, lines that close a circle aside."""
    out: dict[str, list[str]] = {shape.key: [] for shape in shapes}
    for line in lines:
        if not line.back:
            out[line.source.key].append(line.target.key)
    waits = dict.fromkeys(out, 0)
    for followers in out.values():
        for key in followers:
            waits[key] += 1
    ranks = dict.fromkeys(out, 0)
    todo = [key for key, count in waits.items() if not count]
    while todo:
        key = todo.pop()
        for following in out[key]:
            ranks[following] = max(ranks[following], ranks[key] + 1)
            waits[following] -= 1
            if not waits[following]:
                todo.append(following)
    last = max(ranks.values())
    ranks.update({shape.key: last for shape in shapes if shape.kind == "end" and len(shape.level) == 1})
    return ranks


def _settle(layer: list[str], beside: list[str], links: list[tuple[str, str]]) -> None:
    """Orders a row by the middle of what it is linked to."""
    places = {item: number for number, item in enumerate(beside)}
    wanted: dict[str, float] = {}
    for number, item in enumerate(layer):
        near = [places[b] for a, b in links if a == item]
        wanted[item] = sum(near) / len(near) if near else number
    layer.sort(key=wanted.__getitem__)


def _ordered(aside: list[str], targets: dict[str, list[str]], centres: dict[str, int]) -> list[str]:
    """Tracks from top to bottom, so that no line runs through the stroke of another that stands in its column."""
    done: list[str] = []
    left = sorted(aside, key=lambda source: centres[source])
    while left:
        free = [
            source
            for source in left
            if not any(
                other is not source and centres[other] in {centres[t] for t in targets[source]} for other in left
            )
        ]
        chosen = (free or left)[0]
        left.remove(chosen)
        done.append(chosen)
    return done


def _listed(picture: Picture, width: int, unicode: bool, *, alone: bool) -> list[str]:
    """Every edge with what it carries, by the node that it leaves."""
    arrows = ARROWS if unicode else PLAIN_ARROWS
    rows: list[str] = []
    wide = min(36, max((columns(clean(line.names[1])) for line in picture.lines), default=1))
    for shape in picture.every_shape():
        leaving = [line for line in picture.lines if line.source is shape]
        if not leaving and not alone:
            continue
        sign = SIGNS.get(shape.mark, "")
        told = ", ".join(part for part in (shape.kind, shape.note, *shape.options, shape.waits) if part)
        about = f" ({told})" if shape.kind not in ("start", "end") else ""
        where = "".join(f"{name} > " for name in shape.level[1:])
        badge = f"  {shape.badge.replace(chr(10), ', ')}" if shape.badge else ""
        rows.append(
            fitted(f"{sign} {where}{clean(shape.name)}{about}{badge}".strip().replace("\n", " "), width).rstrip()
        )
        for line in leaving:
            said = "call" if line.style == "call" else ", ".join(line.parts)
            skipped = "skipped" if line.mark == "skipped" else ""
            sign = SIGNS.get(line.mark, "") if picture.overlay == "difference" else skipped
            mark = " ".join(part for part in (sign, line.badge) if part)
            back = " (back)" if line.back else ""
            target = fitted(clean(line.target.name if alone else line.names[1]).replace("\n", " "), wide)
            text = f"  {arrows[line.style]} {target}  {clean(said)}{back}{'  ' + mark if mark else ''}".replace(
                "\n", " "
            )
            rows.append(fitted(text, width).rstrip())
    return rows
