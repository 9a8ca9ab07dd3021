"""Boxes in rows, and the lines between them."""

from __future__ import annotations

from collections import defaultdict
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
BESIDE_LINE = 2
"""Columns between the middle of a box, where its lines go down, and the place where a rail enters or leaves."""
RAIL_WIDTH = 2
"""Columns that each rail takes at the right."""
_TO_ASCII = str.maketrans("╭╮╰╯─│═║╔╗╚╝◆", "++++-|=|++++*")

TextBox = list[str]
Ends = dict[str, list[str]]
"""What is at the other end of lines, by the key of the one end that they share."""


def draw_boxes(picture: Picture, width: int, unicode: bool) -> str:
    """The drawing, or nothing if it would be wider than that, or too long."""
    drawing = _BoxDrawing(picture, unicode)
    return drawing.text(width)


class _BoxDrawing:
    """A drawing while it is made.

    Attributes:
        rails: what leads back up: to each target one rail, from all its sources.
        upright: the sign of a line that only goes down.
        centres: the column of each box's middle, and of each line that passes.
        width: the columns that the widest row takes.
        above: the row above each layer through which rails lead in, and
        below: the row below each through which they lead out.
    """

    def __init__(self, picture: Picture, unicode: bool) -> None:
        self.unicode = unicode
        if unicode:
            self.strokes = STROKES
            self.arrow = "▼"
        else:
            self.strokes = ASCII_STROKES
            self.arrow = "v"
        self.upright = self.strokes[THROUGH]
        shapes = list(picture.every_shape())
        self.boxes = {shape.key: _box(shape) for shape in shapes}
        # A line from a shape to itself has no place between two rows: it is listed only.
        lines = [line for line in picture.lines if line.source is not line.target]
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

    def _rails(self) -> Ends:
        rails: Ends = defaultdict(list)
        ranks = self.layers.ranks
        for source, target in self.layers.arrows:
            first = ranks[source]
            last = ranks[target]
            # Nothing leads back to the first row: there is no row above it in which a rail could lead in.
            if 0 < last <= first:
                rails[target].append(source)
        drawn = islice(rails.items(), MAX_RAILS)
        return dict(drawn)

    # -- places ------------------------------------------------------------------------------------
    def _width_with_rails(self) -> int:
        rail_count = len(self.rails)
        return self._rail_column(rail_count)

    def _rail_column(self, number: int) -> int:
        """Where a rail goes up: right of the boxes, each two columns after the one before."""
        first = self.width + 2
        return first + RAIL_WIDTH * number

    def _item_width(self, key: str) -> int:
        box = self.boxes.get(key)
        if box is None:  # a line that passes
            return 1
        border = box[0]
        return len(border)

    def _row_width(self, row: list[str]) -> int:
        gap_count = len(row) - 1
        width = GAP * gap_count
        for key in row:
            width += self._item_width(key)
        return width

    def _centre(self, row: list[str]) -> None:
        """Gives all that stands in a row its column; the row is in the middle."""
        row_width = self._row_width(row)
        room = self.width - row_width
        left = room // 2
        for key in row:
            width = self._item_width(key)
            half = width // 2
            self.centres[key] = left + half
            left += width
            left += GAP

    # -- rows --------------------------------------------------------------------------------------
    def _rows(self) -> list[str]:
        layers = self.layers
        entering, leaving = self._rail_ranks()
        last = len(layers.rows) - 1
        rows: list[str] = []
        for rank, layer in enumerate(layers.rows):
            links = layers.links[rank]
            sources = {source for source, _ in links}
            rows += self._layer(layer, sources)
            # A row of its own: the rail leaves beside the lines that go down.
            if rank in leaving:
                self.below[rank] = len(rows)
                row = self._passing(sources)
                rows.append(row)
            if rank < last:
                rows += self._tracks(links)
            # A row for the rails that lead in, above the heads of the arrows.
            following = rank + 1
            if following in entering:
                heads = rows.pop()
                self.above[following] = len(rows)
                targets = {target for _, target in links}
                row = self._passing(targets)
                rows.append(row)
                rows.append(heads)
            if len(rows) > MAX_ROWS:
                break
        return rows

    def _rail_ranks(self) -> tuple[set[int], set[int]]:
        """The layers above which a rail leads in, and those below which one leads out."""
        ranks = self.layers.ranks
        entering: set[int] = set()
        leaving: set[int] = set()
        for target, sources in self.rails.items():
            rank = ranks[target]
            entering.add(rank)
            for source in sources:
                rank = ranks[source]
                leaving.add(rank)
        return entering, leaving

    def _layer(self, layer: list[str], leaving: set[str]) -> list[str]:
        """The boxes of one row, side by side; the lower ones have their line below them."""
        height = 0
        for key in layer:
            box = self.boxes.get(key, ())
            height = max(height, len(box))
        rows: list[str] = []
        for number in range(height):
            row = self._layer_row(layer, number, leaving)
            if not self.unicode:
                row = row.translate(_TO_ASCII)
            rows.append(row)
        return rows

    def _layer_row(self, layer: list[str], number: int, leaving: set[str]) -> str:
        row = ""
        # Counted, and not the length of the row: some signs take two columns.
        column = 0
        for key in layer:
            width = self._item_width(key)
            half = width // 2
            left = self.centres[key] - half
            gap = left - column
            row += " " * gap
            has_line = key in leaving
            row += self._cell(key, number, has_line)
            column = left + width
        return row

    def _cell(self, key: str, number: int, has_line: bool) -> str:
        """What a box, or a line that passes, shows in one row of its layer."""
        box = self.boxes.get(key)
        if box is None:
            return self.upright
        if number < len(box):
            return box[number]
        sign = self.upright if has_line else " "
        # A box is as wide as an odd number of signs: there is a middle.
        width = self._item_width(key)
        return sign.center(width)

    def _passing(self, keys: Iterable[str]) -> str:
        """A row in which lines only go down."""
        width = self.width + 1
        row = [" "] * width
        for key in keys:
            column = self.centres[key]
            row[column] = self.upright
        return "".join(row)

    # -- lines -------------------------------------------------------------------------------------
    def _tracks(self, links: list[LayerLink]) -> list[str]:
        """The rows between two layers: each source has a track of its own if it has to go aside."""
        targets: Ends = defaultdict(list)
        for source, target in links:
            targets[source].append(target)
        # What goes straight down needs no track.
        tracks = self._ordered_tracks(targets)
        height = len(tracks)
        # The last row is that of the heads.
        empty = [""] * (height + 1)
        width = self.width + 1
        canvas = Canvas(empty, width, self.strokes)
        for source, ends in targets.items():
            start = self.centres[source]
            if source not in tracks:
                canvas.go_down(start, 0, height)
                continue
            track = tracks.index(source)
            canvas.go_down(start, 0, track)
            canvas.add(track, start, UP)
            below = track + 1
            for end in ends:
                column = self.centres[end]
                canvas.go_across(track, start, column)
                canvas.add(track, column, DOWN)
                canvas.go_down(column, below, height)
        for _, target in links:
            head = self.arrow if target in self.boxes else self.upright
            column = self.centres[target]
            canvas.put(height, column, head)
        return canvas.rows()

    def _ordered_tracks(self, targets: Ends) -> list[str]:
        """Tracks from top to bottom, so that no line runs through the stroke of another that stands in its column."""
        columns_of: dict[str, set[int]] = {}
        left: list[str] = []
        for source, ends in targets.items():
            own_column = self.centres[source]
            end_columns = {self.centres[end] for end in ends}
            columns_of[source] = end_columns
            goes_straight = end_columns == {own_column}
            if not goes_straight:
                left.append(source)
        left.sort(key=self.centres.__getitem__)
        ordered: list[str] = []
        while left:
            # One whose lines do not come down where another still has to go aside; in a knot, any.
            chosen = left[0]
            for source in left:
                others = {self.centres[other] for other in left if other != source}
                end_columns = columns_of[source]
                if end_columns.isdisjoint(others):
                    chosen = source
                    break
            left.remove(chosen)
            ordered.append(chosen)
        return ordered

    def _with_rails(self, rows: list[str]) -> list[str]:
        """The drawing with its rails."""
        width = self._width_with_rails()
        canvas = Canvas(rows, width, self.strokes)
        for number, target in enumerate(self.rails):
            column = self._rail_column(number)
            self._draw_rail(canvas, column, target)
        return canvas.rows()

    def _draw_rail(self, canvas: Canvas, rail: int, target: str) -> None:
        """Draws a rail: out under each source, up at the right, in above the target."""
        ranks = self.layers.ranks
        rank = ranks[target]
        top = self.above[rank]
        end = self.centres[target] + BESIDE_LINE
        canvas.add(top, end, DOWN)
        canvas.go_across(top, end, rail)
        canvas.add(top, rail, DOWN)
        lowest = top
        for source in self.rails[target]:
            rank = ranks[source]
            bottom = self.below[rank]
            lowest = max(lowest, bottom)
            start = self.centres[source] + BESIDE_LINE
            canvas.add(bottom, start, UP)
            canvas.go_across(bottom, start, rail)
            canvas.add(bottom, rail, UP)
        # One rail for all that lead back to a target: it begins at the lowest.
        below_top = top + 1
        canvas.go_down(rail, below_top, lowest)
        canvas.put(below_top, end, self.arrow)


def _box(shape: Shape) -> TextBox:
    if shape.is_end:
        return [f"({shape.name})"]
    name = shape.name
    sign = SIGNS.get(shape.mark)
    if sign is not None:
        name = f"{sign} {name}"
    texts = wrapped(name, BOX_WIDTH)
    # A name of many lines would make its whole row as high as itself.
    texts = texts[:MAX_NAME_LINES]
    small = list(shape.under)
    if shape.kind != "step":
        small.insert(0, shape.kind)
    for text in small:
        line = printable(text)
        line = clip(line, MAX_SMALL)
        texts.append(line)
    width = max(map(columns, texts))
    # All that stands in a row is as wide as an odd number of signs: then middles meet.
    width |= 1
    border = "─" * (width + 2)
    top = f"╭{border}╮"
    bottom = f"╰{border}╯"
    box = [top]
    for text in texts:
        line = _centred(text, width)
        row = f"│ {line} │"
        box.append(row)
    box.append(bottom)
    return box


def _centred(text: str, width: int) -> str:
    """A text in the middle of its row; `str.center` would count signs, not columns."""
    space = width - columns(text)
    left = space // 2
    right = space - left
    before = " " * left
    after = " " * right
    return before + text + after
