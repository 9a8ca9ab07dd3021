"""Boxes in rows, and the lines between them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from graphflow.render.forms.columns import columns
from graphflow.render.forms.dot import SIGNS
from graphflow.render.forms.layers import LayerLink, Layers
from graphflow.render.forms.strokes import ASCII_STROKES, DOWN, STROKES, THROUGH, UP, Canvas
from graphflow.render.labels import printable, wrapped
from graphflow.render.picture import Picture, Shape
from graphflow.render.xml import clip

GAP = 3
"""Columns between two boxes."""
BOX_WIDTH = 22
"""Columns of a name before it is wrapped."""
MAX_NAME_LINES = 3
MAX_RAILS = 8
"""Lines that lead back which are drawn; more are only listed."""
MAX_ROWS = 400
"""Rows of boxes and tracks that a drawing may have before it is a list."""
MAX_SMALL = BOX_WIDTH + 10
"""Columns of a small line in a box."""
RAIL_WIDTH = 2
"""Columns that each rail takes at the right."""
_TO_ASCII = str.maketrans("╭╮╰╯─│═║╔╗╚╝◆", "++++-|=|++++*")

TextBox = list[str]


def draw_boxes(picture: Picture, width: int, unicode: bool) -> str:
    """The drawing, or nothing if it would be wider than that, or too long."""
    return _BoxDrawing(picture, unicode).text(width)


class _BoxDrawing:
    """A drawing while it is made.

    Attributes:
        rails: what leads back up: to each target one rail, from all its sources.
        centres: the column of each box's middle, and of each line that passes.
        width: the columns that the widest row takes.
        above: the row above each layer through which rails lead in, and
        below: the row below each through which they lead out.
    """

    def __init__(self, picture: Picture, unicode: bool) -> None:
        shapes = list(picture.every_shape())
        # A line from a shape to itself has no place between two rows: it is listed only.
        lines = [line for line in picture.lines if line.source is not line.target]
        self.unicode = unicode
        self.strokes = STROKES if unicode else ASCII_STROKES
        self.arrow = "▼" if unicode else "v"
        self.boxes = {shape.key: _box(shape) for shape in shapes}
        self.layers = Layers(shapes, lines)
        self.rails = self._rails()
        self.centres: dict[str, int] = {}
        self.width = 0
        self.above: dict[int, int] = {}
        self.below: dict[int, int] = {}

    def text(self, width: int) -> str:
        """The drawing, or nothing if it does not fit."""
        widths = map(self._row_width, self.layers.rows)
        self.width = max(widths)
        if self.width > width:
            return ""
        if self._width_with_rails() > width:
            # Without rails the drawing may fit; what leads back is listed with the edges.
            self.rails = {}
        for row in self.layers.rows:
            self._centre(row)
        rows = self._rows()
        if len(rows) > MAX_ROWS:
            return ""
        if self.rails:
            rows = self._with_rails(rows)
        return "\n".join(row.rstrip() for row in rows)

    def _rails(self) -> dict[str, list[str]]:
        rails: dict[str, list[str]] = {}
        ranks = self.layers.ranks
        for source, target in self.layers.arrows:
            # Nothing leads back to the first row: there is no row above it in which a rail could lead in.
            leads_back = 0 < ranks[target] <= ranks[source]
            if leads_back:
                sources = rails.setdefault(target, [])
                sources.append(source)
        drawn = islice(rails.items(), MAX_RAILS)
        return dict(drawn)

    # -- places ------------------------------------------------------------------------------------
    def _width_with_rails(self) -> int:
        return self._rail_column(len(self.rails))

    def _rail_column(self, number: int) -> int:
        """Where a rail goes up: right of the boxes, each two columns after the one before."""
        first = self.width + 2
        return first + RAIL_WIDTH * number

    def _item_width(self, key: str) -> int:
        if key not in self.boxes:
            return 1  # a line that passes
        top = self.boxes[key][0]
        return len(top)

    def _row_width(self, row: list[str]) -> int:
        gaps = len(row) - 1
        items = sum(map(self._item_width, row))
        return items + GAP * gaps

    def _centre(self, row: list[str]) -> None:
        """Gives all that stands in a row its column; the row is in the middle."""
        room = self.width - self._row_width(row)
        left = room // 2
        for key in row:
            width = self._item_width(key)
            self.centres[key] = left + width // 2
            left += width + GAP

    # -- rows --------------------------------------------------------------------------------------
    def _rows(self) -> list[str]:
        ranks = self.layers.ranks
        leaving: set[int] = set()
        entering: set[int] = set()
        for target, feeders in self.rails.items():
            entering.add(ranks[target])
            for feeder in feeders:
                leaving.add(ranks[feeder])
        last = len(self.layers.rows) - 1
        rows: list[str] = []
        for rank, layer in enumerate(self.layers.rows):
            links = self.layers.links[rank]
            sources = {source for source, _ in links}
            rows += self._layer(layer, sources)
            if rank in leaving:
                # A row of its own: the rail leaves beside the lines that go down.
                self.below[rank] = len(rows)
                rows.append(self._passing(sources))
            if rank < last:
                rows += self._tracks(links)
            following = rank + 1
            if following in entering:  # a row for the rails, above the heads of the arrows
                heads = rows.pop()
                self.above[following] = len(rows)
                targets = {target for _, target in links}
                rows.append(self._passing(targets))
                rows.append(heads)
            if len(rows) > MAX_ROWS:
                break
        return rows

    def _layer(self, layer: list[str], leaving: set[str]) -> list[str]:
        """The boxes of one row, side by side; the lower ones have their line below them."""
        boxes = [self.boxes[key] for key in layer if key in self.boxes]
        height = max(map(len, boxes), default=0)
        rows: list[str] = []
        for number in range(height):
            row = ""
            column = 0
            for key in layer:
                width = self._item_width(key)
                left = self.centres[key] - width // 2
                gap = left - column
                row += " " * gap
                has_line = key in leaving
                row += self._cell(key, number, has_line)
                column = left + width  # not the length of the row: some signs take two columns
            rows.append(row)
        if not self.unicode:
            rows = [row.translate(_TO_ASCII) for row in rows]
        return rows

    def _cell(self, key: str, number: int, has_line: bool) -> str:
        """What a box, or a line that passes, shows in one row of its layer."""
        line = self.strokes[THROUGH]
        box = self.boxes.get(key)
        if box is None:
            return line
        if number < len(box):
            return box[number]
        sign = line if has_line else " "
        width = len(box[0])
        return sign.center(width)  # it is odd: the sign is in the middle

    def _passing(self, keys: Iterable[str]) -> str:
        """A row in which lines only go down."""
        line = self.strokes[THROUGH]
        row = [" "] * (self.width + 1)
        for key in keys:
            column = self.centres[key]
            row[column] = line
        return "".join(row)

    # -- lines -------------------------------------------------------------------------------------
    def _tracks(self, links: list[LayerLink]) -> list[str]:
        """The rows between two layers: each source has a track of its own if it has to go aside."""
        targets: dict[str, list[str]] = {}
        for source, target in links:
            ends = targets.setdefault(source, [])
            ends.append(target)
        # What goes straight down needs no track.
        tracks = self._ordered_tracks(targets)
        height = len(tracks)
        empty = [""] * (height + 1)
        canvas = Canvas(empty, self.width + 1, self.strokes)
        for source, ends in targets.items():
            start = self.centres[source]
            if source not in tracks:
                canvas.go_down(start, 0, height)
                continue
            track = tracks.index(source)
            canvas.go_down(start, 0, track)
            canvas.add(track, start, UP)
            for end in ends:
                column = self.centres[end]
                canvas.go_across(track, start, column)
                canvas.add(track, column, DOWN)
                canvas.go_down(column, track + 1, height)
        line = self.strokes[THROUGH]
        for _, target in links:
            head = self.arrow if target in self.boxes else line
            column = self.centres[target]
            canvas.put(height, column, head)
        return canvas.rows()

    def _ordered_tracks(self, targets: dict[str, list[str]]) -> list[str]:
        """Tracks from top to bottom, so that no line runs through the stroke of another that stands in its column."""
        columns_of: dict[str, set[int]] = {}
        left: list[str] = []
        for source, ends in targets.items():
            own_column = self.centres[source]
            columns_of[source] = {self.centres[end] for end in ends}
            goes_aside = columns_of[source] != {own_column}
            if goes_aside:
                left.append(source)
        left.sort(key=self.centres.__getitem__)
        ordered: list[str] = []
        while left:
            # One whose lines do not come down where another still has to go aside; in a knot, any.
            chosen = left[0]
            for source in left:
                others = {self.centres[other] for other in left if other != source}
                if columns_of[source].isdisjoint(others):
                    chosen = source
                    break
            left.remove(chosen)
            ordered.append(chosen)
        return ordered

    def _with_rails(self, rows: list[str]) -> list[str]:
        """The drawing with its rails: out under each source, up at the right, in above the target."""
        ranks = self.layers.ranks
        canvas = Canvas(rows, self._width_with_rails(), self.strokes)
        for number, (target, sources) in enumerate(self.rails.items()):
            rail = self._rail_column(number)
            top = self.above[ranks[target]]
            end = self.centres[target] + 2
            canvas.add(top, end, DOWN)
            canvas.go_across(top, end, rail)
            canvas.add(top, rail, DOWN)
            lowest = top
            for source in sources:
                rank = ranks[source]
                bottom = self.below[rank]
                lowest = max(lowest, bottom)
                start = self.centres[source] + 2
                canvas.add(bottom, start, UP)
                canvas.go_across(bottom, start, rail)
                canvas.add(bottom, rail, UP)
            # One rail for all that lead back to a target: it begins at the lowest.
            canvas.go_down(rail, top + 1, lowest)
            canvas.put(top + 1, end, self.arrow)
        return canvas.rows()


def _box(shape: Shape) -> TextBox:
    if shape.is_end:
        return [f"({shape.name})"]
    name = shape.name
    sign = SIGNS.get(shape.mark)
    if sign is not None:
        name = f"{sign} {name}"
    # A name of many lines would make its whole row as high as itself.
    texts = wrapped(name, BOX_WIDTH)[:MAX_NAME_LINES]
    small = list(shape.under)
    if shape.kind != "step":
        small.insert(0, shape.kind)
    for text in small:
        line = printable(text)
        texts.append(clip(line, MAX_SMALL))
    width = max(map(columns, texts)) | 1  # odd, as all that stands in a row: then middles meet
    border = "─" * (width + 2)
    box = [f"╭{border}╮"]
    for text in texts:
        line = _centred(text, width)
        box.append(f"│ {line} │")
    box.append(f"╰{border}╯")
    return box


def _centred(text: str, width: int) -> str:
    """A text in the middle of its row; `str.center` would count signs, not columns."""
    space = width - columns(text)
    left = space // 2
    right = space - left
    return " " * left + text + " " * right
