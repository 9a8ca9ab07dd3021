"""Draws a timeline: its lanes with their bars, the load above them, the critical path under them."""

from __future__ import annotations

from html import escape

from graphflow.render.palette import FACES
from graphflow.render.timeline.bars import MARKS, block_words, request_words, span_words
from graphflow.render.timeline.critical import leaves, longest
from graphflow.render.timeline.elements import across, bar, down, number, path, place, text, tooltip
from graphflow.render.timeline.lanes import MAX_ROWS, Lane, blocks_of, lanes_of
from graphflow.render.timeline.load import Load, ticks
from graphflow.render.timeline.spans import Piece, Span, Story, Stretch
from graphflow.render.timeline.style import COLOURS, STYLE, with_looks
from graphflow.render.xml import clean, seconds_text, short, xml

WIDTH = 1040
LABELS = 214
"""The width of the names at the left."""
RIGHT = 18
PLOT = WIDTH - LABELS - RIGHT
"""The width of the time itself."""
TOP = 64
LOAD = 46
"""The height of the load."""
ROW = 22
BAR = 17
MAX_BLOCKS = 1500
"""Blocks of one picture: what is drawn beyond stays below 2 MB, and a browser shows it at once."""
MAX_REQUESTS = 1500
"""Model requests and calls that are drawn inside bars."""
MAX_LANES = 120
MAX_JOINS = 150
"""Times that the critical path is drawn from one bar to another."""
MAX_NOTES = 6
MAX_NAMED = 3
"""Pieces of the critical path that the heading names."""
MAX_MARKS = 20
MAX_REQUEST_MARKS = 10


class TimelineDrawing:
    """One picture while it is drawn."""

    def __init__(self, story: Story) -> None:
        self.story = story
        last_end = max((span.ended for span in story.spans), default=0.0)
        # A run of no time at all is still drawn: everything else is divided by this.
        self.whole = max(story.seconds, last_end, 1e-6)
        # What is beyond the bound is dropped before it is packed: that is what would take long.
        lanes = lanes_of(story)
        self.lanes = lanes[:MAX_LANES]
        self.lanes_left = len(lanes) - len(self.lanes)
        for lane in self.lanes:
            lane.pack()
        self.least = self._least()
        self.notes: list[str] = []
        self.requests_drawn = 0
        self.requests_left = 0
        self.edges: dict[Span, float] = {}
        """Where the lower edge of each span's bar is."""

    def _least(self) -> float:
        """The shortest time that is drawn as a bar of its own: three quarters of a point, or more if there are too many."""
        least = self.whole / PLOT * 0.75
        while self._count_blocks(least) > MAX_BLOCKS:
            # Doubling ends after a few rounds, however many spans there are.
            least *= 2
        return least

    def _count_blocks(self, least: float) -> int:
        count = 0
        for lane in self.lanes:
            for row in lane.rows:
                count += len(blocks_of(row, least))
        return count

    def x(self, at: float) -> float:
        """Where a moment is, from left to right."""
        return LABELS + PLOT * at / self.whole

    def width(self, start: float, end: float, least: float) -> float:
        """The width of a stretch of time, but at least `least`."""
        width = self.x(end) - self.x(start)
        return max(least, width)

    def svg(self) -> str:
        """The text of the picture."""
        body: list[str] = []
        y = float(TOP + LOAD + 24)
        for lane in self.lanes:
            lane.top = y
            body += self._lane(lane)
            y += ROW * max(1, len(lane.rows))
            y += 4 if lane.is_frame else 2
        bottom = y + 4
        # After the lanes, for the path runs under their bars, and before the notes, for it may add one.
        body += self._path()
        self._add_notes()
        foot = bottom + 36
        height = foot + 22 + 14 * len(self.notes)
        lines = [self._frame(height), *self._heading(), *self._load(bottom), *body, *self._legend(foot)]
        for row, note in enumerate(self.notes):
            y = foot + 20 + 14 * row
            lines.append(text("dim small", 12, y, xml(note)))
        lines.append("</svg>\n")
        return with_looks("\n".join(lines))

    def _frame(self, height: float) -> str:
        title = xml(f"Timeline of {self.story.title}")
        return (
            f'<svg class="gf-t" xmlns="http://www.w3.org/2000/svg" '
            f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}" '
            f'role="img" aria-label="{title}" '
            f'font-family="{FACES}" font-size="11" fill="{COLOURS["ink"]}">'
            f"<style>{STYLE}</style>"
            '<defs><pattern id="gf-t-many" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<rect class="act bare" width="5" height="5"/><path class="many" d="M0 0V5"/></pattern></defs>'
            f'<rect class="paper" width="{WIDTH}" height="{height:.0f}" rx="6"/>'
        )

    # -- above the lanes -----------------------------------------------------------------------------------------------
    def _heading(self) -> list[str]:
        story = self.story
        activations = len(story.activations)
        requests = sum(span.what == "model" for span in story.spans)
        took = seconds_text(story.seconds)
        counts = _counted(activations, "activation")
        words = f"{story.status} after {took}, {counts}"
        if requests:
            words += f", {_counted(requests, 'model request')}"
        title = xml(short(story.title, 60))
        title += f'<tspan class="dim light" dx="10">{xml(words)}</tspan>'
        lines = [text("head", 12, 24, title)]
        if story.critical:
            path_words = xml(self._path_words())
            lines.append(text("dim", 12, 43, path_words))
        return lines

    def _path_words(self) -> str:
        """Where the time of the critical path went."""
        total = 0.0
        spent: dict[str, float] = {}
        for piece in leaves(self.story.critical):
            name = short(piece.span.words, 44)
            before = spent.get(name, 0.0)
            spent[name] = before + piece.end - piece.start
            total += piece.seconds
        words: list[str] = []
        for name, seconds in longest(spent)[:MAX_NAMED]:
            words.append(f"{name} {seconds_text(seconds)}")
        pieces = ", ".join(words)
        return f"critical path {seconds_text(total)}: {pieces}"

    def _load(self, bottom: float) -> list[str]:
        """How many activations were at work at each moment, and the marks of time."""
        base = TOP + LOAD
        load = Load(self.story, self.whole, PLOT)
        # A little lower than its room, so that the peak does not touch the heading.
        shape = load.shape(LABELS, base, LOAD - 4)
        side = LABELS - 8
        lines = [
            path("area", shape, f"at most {load.peak} activations at once"),
            text("dim small", side, TOP + 8, f"{load.peak} at once", "end"),
            text("dim small", side, base, "0", "end"),
            across("grid", LABELS, base, LABELS + PLOT),
        ]
        for at in ticks(self.whole):
            x = self.x(at)
            words = seconds_text(at) if at else "0"
            anchor = _anchor(x) if at else "start"
            upper = text("dim small", x, base + 15, words, anchor)
            lower = text("dim small", x, bottom + 12, words, anchor)
            lines += [down("grid", x, base, bottom), upper, lower]
        return lines

    # -- lanes ---------------------------------------------------------------------------------------------------------
    def _lane(self, lane: Lane) -> list[str]:
        above = lane.top - 1.5
        border = across("grid", 12, above, LABELS + PLOT)
        lines = [border, self._lane_label(lane)]
        for index, row in enumerate(lane.rows):
            y = lane.top + 1 + ROW * index
            for block in blocks_of(row, self.least):
                if len(block) == 1:
                    lines += self._bar(block[0], y)
                else:
                    lines += self._block(block, y)
                self.edges |= dict.fromkeys(block, y + BAR)
        if lane.hidden:
            name = clean(lane.label, 60)
            self.notes.append(
                f"{name}: {lane.hidden:,} more activations at the same time as those in {MAX_ROWS} rows are not drawn."
            )
        return lines

    def _lane_label(self, lane: Lane) -> str:
        indent = 12 + 13 * min(lane.depth, 8)
        spans = len(lane.spans)
        count = f" \u00d7{spans:,}" if spans > 1 else ""
        room = int((LABELS - indent - 8) / 6.4)
        letters = max(8, room) - len(count)
        kind = ""
        sign = ""
        if lane.is_frame:
            kind = "frame"
            sign = "\u25be "
            letters -= 2
        name = escape(short(lane.label, max(4, letters)))
        whole = escape(clean(lane.label, 200))
        label = tooltip(whole) + sign + name
        label += f'<tspan class="dim small">{count}</tspan>'
        return text(kind, indent, lane.top + 13, label)

    def _block(self, block: list[Span], y: float) -> list[str]:
        """Several activations that are too short to be seen alone."""
        start = block[0].started
        end = block[-1].ended
        x = self.x(start)
        width = self.width(start, end, least=2.0)
        failed = any(span.how == "failed" for span in block)
        stopped = any(span.how == "cancelled" for span in block)
        kind = "act failed hatched" if failed else "act hatched"
        words = xml(block_words(block))
        when = f"{seconds_text(start)} to {seconds_text(end)}"
        title = f"{words} ({when})"
        lines = [bar(kind, x, y, width, BAR, title)]
        if failed or stopped:
            sign = MARKS["failed"] if failed else MARKS["cancelled"]
            lines.append(_mark(x + width, y, sign))
        return lines

    def _bar(self, span: Span, y: float) -> list[str]:
        """One activation, and what it waited for within it."""
        x = self.x(span.started)
        width = self.width(span.started, span.ended, least=1.5)
        kind = "act" if span.how == "done" else f"act {span.how}"
        title = xml(span_words(span), 800)
        lines = [bar(kind, x, y, width, BAR, title, radius="2")]
        for inner in span.within:
            if inner.what != "node":
                lines += self._request(inner, y)
        lines += self._retries(span, y + 13, MAX_MARKS)
        sign = MARKS[span.how]
        if sign:
            lines.append(_mark(x + width, y, sign))
        return lines

    def _request(self, span: Span, y: float) -> list[str]:
        """What an activation waited for: model requests above, calls below."""
        # The bars themselves are bounded already; what is in them could be any number.
        if self.requests_drawn == MAX_REQUESTS:
            self.requests_left += 1
            return []
        self.requests_drawn += 1
        self.edges[span] = y + BAR
        x = self.x(span.started)
        width = self.width(span.started, span.ended, least=1.0)
        kind = "call"
        top = y + 9.5
        if span.what == "model":
            kind = "model"
            top = y + 2.5
        if span.how != "done":
            kind = "lost"
        title = xml(request_words(span), 800)
        lines = [bar(kind, x, top, width, 5, title, radius="1")]
        lines += self._retries(span, y + 16, MAX_REQUEST_MARKS)
        return lines

    def _retries(self, span: Span, y: float, limit: int) -> list[str]:
        lines: list[str] = []
        for at, why in span.marks[:limit]:
            x = self.x(at) - 4
            sign = tooltip(xml(why)) + "\u21bb"
            lines.append(text("mark small", x, y, sign))
        return lines

    # -- the critical path ---------------------------------------------------------------------------------------------
    def _path(self) -> list[str]:
        """The critical path: heavy under the bars, with dotted lines from bar to bar."""
        rows: dict[float, list[Stretch]] = {}
        joins: list[str] = []
        before: tuple[float, float] | None = None
        for piece, edge in self._drawn_pieces():
            y = edge + 1.6
            left = self.x(piece.start)
            right = max(self.x(piece.end), left + 1)
            if before is not None:
                x0, y0 = before
                # A piece that begins before the last one ended is within it: there is nothing to join.
                goes_on = left >= x0 - 1.5
                if goes_on and abs(y0 - y) > 1:
                    joins.append(_join(before, left, y))
            # Strokes of one height become one path: a long run has thousands of them.
            row = rows.setdefault(y, [])
            _append(row, left, right)
            before = (right, y)
        if len(joins) > MAX_JOINS:
            self.notes.append(f"The critical path goes from bar to bar {len(joins):,} times: more than can be drawn.")
            joins = []
        heavy = ""
        for y, row in rows.items():
            for left, right in row:
                start = place(left, y)
                heavy += f"M{start}H{number(right)}"
        if not heavy:
            return []
        return [*joins, path("path", heavy)]

    def _drawn_pieces(self) -> list[tuple[Piece, float]]:
        """The pieces of the path that have a bar, each with the lower edge of it."""
        found: list[tuple[Piece, float]] = []
        for piece in leaves(self.story.critical):
            edge = self._edge(piece.span)
            if edge is not None:
                found.append((piece, edge))
        return found

    def _edge(self, span: Span | None) -> float | None:
        """The lower edge of the bar that a span is drawn as, or is drawn in."""
        while span is not None:
            if span in self.edges:
                return self.edges[span]
            span = span.parent
        return None

    # -- below the lanes -----------------------------------------------------------------------------------------------
    def _add_notes(self) -> None:
        """What the picture leaves out, in words."""
        blocks = 0
        activations = 0
        for lane in self.lanes:
            for row in lane.rows:
                for block in blocks_of(row, self.least):
                    if len(block) > 1:
                        blocks += 1
                        activations += len(block)
        if blocks:
            least = seconds_text(self.least)
            what = f"{activations:,} activations shorter than {least}"
            self.notes.insert(0, f"{what} are drawn as {blocks:,} hatched blocks.")
        if self.requests_left:
            self.notes.append(f"{self.requests_left:,} model requests and calls are not drawn inside their bars.")
        if self.lanes_left:
            self.notes.append(f"{self.lanes_left:,} more lanes are not drawn.")
        if len(self.notes) > MAX_NOTES:
            # Each lane may add a note: a page of them would say less than a few.
            self.notes[MAX_NOTES:] = ["..."]

    def _legend(self, y: float) -> list[str]:
        x = float(LABELS)
        lines = [f'<g transform="translate(0 {y:.0f})">']
        for sign, word in LEGEND:
            label = f'<text class="dim small" x="21">{word}</text>'
            inner = sign + label
            lines.append(f'<g transform="translate({x:.0f} 0)">{inner}</g>')
            x += 38 + 6.0 * len(word)
        lines.append("</g>")
        return lines


_LEGEND_BAR = '<rect class="act" width="16" height="11" y="-9" rx="2"/>'
LEGEND = (
    (_LEGEND_BAR, "activation"),
    (f'{_LEGEND_BAR}<rect class="model" x="2" width="12" height="4" y="-7.5"/>', "model"),
    (f'{_LEGEND_BAR}<rect class="call" x="2" width="12" height="4" y="-3.5"/>', "call"),
    ('<path class="path" d="M0 -3H16"/>', "critical path"),
    (f'<text class="mark" x="3">{MARKS["failed"]}</text>', "failed"),
    (f'<text class="mark" x="3">{MARKS["cancelled"]}</text>', "cancelled"),
    (f'<text class="mark" x="3">{MARKS["running"]}</text>', "not ended"),
    ('<text class="mark" x="3">\u21bb</text>', "tried again"),
)
"""Signs and what they mean."""


def _mark(x: float, y: float, sign: str) -> str:
    x = min(x + 3, WIDTH - 12)
    return text("mark", x, y + 13, sign)


def _join(before: tuple[float, float], x: float, y: float) -> str:
    """The dotted line from the end of one bar to the begin of the next on the critical path."""
    start = place(*before)
    end = place(x, y)
    return path("thin", f"M{start}L{end}")


def _anchor(x: float) -> str:
    """How the words of a mark stand to it: the last ones must not leave the picture."""
    return "middle" if x < WIDTH - 40 else "end"


def _append(row: list[Stretch], left: float, right: float) -> None:
    """Adds a stroke to a row, or makes its last one longer where the two touch."""
    if row and left - row[-1][1] < 1.5:
        first, last = row.pop()
        row.append((first, max(right, last)))
    else:
        row.append((left, right))


def _counted(count: int, word: str) -> str:
    noun = word if count == 1 else f"{word}s"
    return f"{count:,} {noun}"
