"""Draws a timeline: its lanes with their bars, the load above them, the critical path under them."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from graphflow.render.palette import FACES
from graphflow.render.timeline.bars import MARKS, block_words, request_words, span_words
from graphflow.render.timeline.critical import leaves, longest
from graphflow.render.timeline.elements import across, bar, down, path, text, tooltip
from graphflow.render.timeline.lanes import MAX_ROWS, Lane, blocks_of, lanes_of
from graphflow.render.timeline.load import Load, ticks
from graphflow.render.timeline.spans import Span, Story
from graphflow.render.timeline.strokes import Stroke, Strokes
from graphflow.render.timeline.style import COLOURS, STYLE, with_looks
from graphflow.render.xml import clean, seconds_text, short, xml

WIDTH = 1040
LABELS = 214
"""The width of the names at the left."""
RIGHT = 18
PLOT = WIDTH - LABELS - RIGHT
"""The width of the time itself, and"""
PLOT_RIGHT = LABELS + PLOT
"""where it ends."""
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
AGAIN = "\u21bb"
"""The sign of a retry."""


class TimelineDrawing:
    """One picture while it is drawn."""

    def __init__(self, story: Story) -> None:
        self.story = story
        # A run of no time at all is still drawn: everything else is divided by this.
        self.whole = max(story.seconds, 1e-6)
        for span in story.spans:
            self.whole = max(self.whole, span.ended)
        lanes = lanes_of(story)
        # What is beyond the bound is dropped before it is packed: that is what would take long.
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
        point = self.whole / PLOT
        least = point * 0.75
        while self._count_blocks(least) > MAX_BLOCKS:
            # Doubling ends after a few rounds, however many spans there are.
            least *= 2
        return least

    def _count_blocks(self, least: float) -> int:
        return sum(1 for _ in self._blocks(least))

    def _blocks(self, least: float) -> Iterator[list[Span]]:
        """The blocks of all lanes."""
        for lane in self.lanes:
            for row in lane.rows:
                yield from blocks_of(row, least)

    def x(self, at: float) -> float:
        """Where a moment is, from left to right."""
        offset = PLOT * at / self.whole
        return LABELS + offset

    def width(self, start: float, end: float, least: float) -> float:
        """The width of an interval of time, but at least `least`."""
        left = self.x(start)
        right = self.x(end)
        width = right - left
        return max(least, width)

    def svg(self) -> str:
        """The text of the picture."""
        body: list[str] = []
        y = float(TOP + LOAD + 24)
        for lane in self.lanes:
            lane.top = y
            body += self._lane(lane)
            row_count = len(lane.rows)
            rows = max(1, row_count)
            y += ROW * rows
            y += 4 if lane.is_frame else 2
        bottom = y + 4
        # After the lanes, for the path runs under their bars, and before the notes, for it may add one.
        body += self._path()
        self._add_notes()
        foot = bottom + 36
        notes_height = 14 * len(self.notes)
        height = foot + 22 + notes_height
        opening = self._frame(height)
        lines = [opening]
        lines += self._heading()
        lines += self._load(bottom)
        lines += body
        lines += self._legend(foot)
        baseline = foot + 20
        for note in self.notes:
            inner = xml(note)
            words = text("dim small", 12, baseline, inner)
            lines.append(words)
            baseline += 14
        lines.append("</svg>\n")
        svg = "\n".join(lines)
        return with_looks(svg)

    def _frame(self, height: float) -> str:
        title = xml(f"Timeline of {self.story.title}")
        size = f'width="{WIDTH}" height="{height:.0f}"'
        view = f'viewBox="0 0 {WIDTH} {height:.0f}"'
        ink = COLOURS["ink"]
        return (
            f'<svg class="gf-t" xmlns="http://www.w3.org/2000/svg" {size} {view} '
            f'role="img" aria-label="{title}" '
            f'font-family="{FACES}" font-size="11" fill="{ink}">'
            f"<style>{STYLE}</style>"
            '<defs><pattern id="gf-t-many" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<rect class="act bare" width="5" height="5"/><path class="many" d="M0 0V5"/></pattern></defs>'
            f'<rect class="paper" width="{WIDTH}" height="{height:.0f}" rx="6"/>'
        )

    # -- above the lanes ---------------------------------------------------------------------------
    def _heading(self) -> list[str]:
        story = self.story
        took = seconds_text(story.seconds)
        activations = len(story.activations)
        counts = _counted(activations, "activation")
        words = f"{story.status} after {took}, {counts}"
        requests = 0
        for span in story.spans:
            if span.what == "model":
                requests += 1
        if requests:
            asked = _counted(requests, "model request")
            words += f", {asked}"
        summary = xml(words)
        title = short(story.title, 60)
        name = xml(title)
        inner = f'{name}<tspan class="dim light" dx="10">{summary}</tspan>'
        heading = text("head", 12, 24, inner)
        lines = [heading]
        if story.critical:
            words = self._path_words()
            path_words = xml(words)
            second = text("dim", 12, 43, path_words)
            lines.append(second)
        return lines

    def _path_words(self) -> str:
        """Where the time of the critical path went."""
        total = 0.0
        spent: dict[str, float] = {}
        for piece in leaves(self.story.critical):
            seconds = piece.seconds
            name = short(piece.span.words, 44)
            before = spent.get(name, 0.0)
            spent[name] = before + seconds
            total += seconds
        words: list[str] = []
        longest_first = longest(spent)
        for name, seconds in longest_first[:MAX_NAMED]:
            took = seconds_text(seconds)
            words.append(f"{name} {took}")
        pieces = ", ".join(words)
        whole = seconds_text(total)
        return f"critical path {whole}: {pieces}"

    def _load(self, bottom: float) -> list[str]:
        """How many activations were at work at each moment, and the marks of time."""
        base = TOP + LOAD
        load = Load(self.story, self.whole, PLOT)
        # A little lower than its room, so that the peak does not touch the heading.
        shape = load.shape(LABELS, base, LOAD - 4)
        side = LABELS - 8
        top = TOP + 8
        title = f"at most {load.peak} activations at once"
        peak = f"{load.peak} at once"
        lines = [
            path("area", shape, title),
            text("dim small", side, top, peak, "end"),
            text("dim small", side, base, "0", "end"),
            across("grid", LABELS, base, PLOT_RIGHT),
        ]
        for at in ticks(self.whole):
            lines += self._tick(at, base, bottom)
        return lines

    def _tick(self, at: float, base: float, bottom: float) -> list[str]:
        """A mark of time: a line through all lanes, with its words above and below them."""
        x = self.x(at)
        words = "0"
        anchor = "start"
        if at:
            words = seconds_text(at)
            anchor = _anchor(x)
        line = down("grid", x, base, bottom)
        above = base + 15
        below = bottom + 12
        upper = text("dim small", x, above, words, anchor)
        lower = text("dim small", x, below, words, anchor)
        return [line, upper, lower]

    # -- lanes -------------------------------------------------------------------------------------
    def _lane(self, lane: Lane) -> list[str]:
        above = lane.top - 1.5
        border = across("grid", 12, above, PLOT_RIGHT)
        label = self._lane_label(lane)
        lines = [border, label]
        y = lane.top + 1
        for row in lane.rows:
            edge = y + BAR
            for block in blocks_of(row, self.least):
                if len(block) == 1:
                    (span,) = block
                    lines += self._bar(span, y)
                else:
                    lines += self._block(block, y)
                for span in block:
                    self.edges[span] = edge
            y += ROW
        if lane.hidden:
            name = clean(lane.label, 60)
            self.notes.append(
                f"{name}: {lane.hidden:,} more activations at the same time as those in {MAX_ROWS} rows are not drawn."
            )
        return lines

    def _lane_label(self, lane: Lane) -> str:
        steps = min(lane.depth, 8)
        indent = 12 + 13 * steps
        spans = len(lane.spans)
        count = f" \u00d7{spans:,}" if spans > 1 else ""
        width = LABELS - indent - 8
        room = int(width / 6.4)
        letters = max(8, room)
        letters -= len(count)
        kind = ""
        sign = ""
        if lane.is_frame:
            kind = "frame"
            sign = "\u25be "
            letters -= 2
        letters = max(4, letters)
        # The tooltip has the whole name.
        whole = clean(lane.label, 200)
        label = tooltip(escape(whole))
        name = short(lane.label, letters)
        label += sign
        label += escape(name)
        label += f'<tspan class="dim small">{count}</tspan>'
        baseline = lane.top + 13
        return text(kind, indent, baseline, label)

    def _block(self, block: list[Span], y: float) -> list[str]:
        """Several activations that are too short to be seen alone."""
        start = block[0].started
        end = block[-1].ended
        x = self.x(start)
        width = self.width(start, end, least=2.0)
        # A block has one sign: a failure matters more than what was stopped.
        outcomes = {span.how for span in block}
        kind = "act hatched"
        sign = ""
        if "failed" in outcomes:
            kind = "act failed hatched"
            sign = MARKS["failed"]
        elif "cancelled" in outcomes:
            sign = MARKS["cancelled"]
        words = block_words(block)
        inner = xml(words)
        begin = seconds_text(start)
        finish = seconds_text(end)
        title = f"{inner} ({begin} to {finish})"
        shape = bar(kind, x, y, width, BAR, title)
        lines = [shape]
        if sign:
            right = x + width
            mark = _mark(right, y, sign)
            lines.append(mark)
        return lines

    def _bar(self, span: Span, y: float) -> list[str]:
        """One activation, and what it waited for within it."""
        x = self.x(span.started)
        width = self.width(span.started, span.ended, least=1.5)
        kind = "act"
        if span.how != "done":
            kind = f"act {span.how}"
        words = span_words(span)
        title = xml(words, 800)
        shape = bar(kind, x, y, width, BAR, title, radius="2")
        lines = [shape]
        for inner in span.within:
            if inner.what != "node":
                lines += self._request(inner, y)
        baseline = y + 13
        lines += self._retries(span, baseline, MAX_MARKS)
        sign = MARKS[span.how]
        if sign:
            right = x + width
            mark = _mark(right, y, sign)
            lines.append(mark)
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
            # Hollow: there was no answer, whatever was asked.
            kind = "lost"
        words = request_words(span)
        title = xml(words, 800)
        shape = bar(kind, x, top, width, 5, title, radius="1")
        lines = [shape]
        baseline = y + 16
        lines += self._retries(span, baseline, MAX_REQUEST_MARKS)
        return lines

    def _retries(self, span: Span, y: float, limit: int) -> list[str]:
        lines: list[str] = []
        for at, why in span.marks[:limit]:
            moment = self.x(at)
            left = moment - 4
            reason = xml(why)
            sign = tooltip(reason)
            sign += AGAIN
            mark = text("mark small", left, y, sign)
            lines.append(mark)
        return lines

    # -- the critical path -------------------------------------------------------------------------
    def _path(self) -> list[str]:
        """The critical path: heavy under the bars, with dotted lines from bar to bar."""
        strokes = Strokes()
        for stroke in self._strokes():
            strokes.add(stroke)
        heavy = strokes.heavy()
        if not heavy:
            return []
        count = len(strokes.joins)
        if count <= MAX_JOINS:
            return [*strokes.joins, heavy]
        self.notes.append(
            f"The critical path goes from bar to bar {count:,} times: more than can be drawn."
        )
        return [heavy]

    def _strokes(self) -> Iterator[Stroke]:
        """A stroke under the bar of each piece of the path that has one."""
        for piece in leaves(self.story.critical):
            edge = self._edge(piece.span)
            if edge is None:
                continue
            left = self.x(piece.start)
            right = self.x(piece.end)
            # A moment is still a dot.
            right = max(right, left + 1)
            below = edge + 1.6
            yield Stroke(left, right, below)

    def _edge(self, span: Span | None) -> float | None:
        """The lower edge of the bar that a span is drawn as, or is drawn in."""
        while span is not None:
            if span in self.edges:
                return self.edges[span]
            span = span.parent
        return None

    # -- below the lanes ---------------------------------------------------------------------------
    def _add_notes(self) -> None:
        """What the picture leaves out, in words."""
        activations = 0
        blocks = 0
        for block in self._blocks(self.least):
            if len(block) > 1:
                activations += len(block)
                blocks += 1
        if blocks:
            least = seconds_text(self.least)
            what = f"{activations:,} activations shorter than {least}"
            # First: it concerns the whole picture, and is not dropped when there are too many notes.
            self.notes.insert(0, f"{what} are drawn as {blocks:,} hatched blocks.")
        if self.requests_left:
            self.notes.append(
                f"{self.requests_left:,} model requests and calls are not drawn inside their bars."
            )
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
            letters = len(word)
            x += 38 + 6.0 * letters
        lines.append("</g>")
        return lines


def _legend_mark(sign: str) -> str:
    return f'<text class="mark" x="3">{sign}</text>'


_LEGEND_BAR = '<rect class="act" width="16" height="11" y="-9" rx="2"/>'
LEGEND = (
    (_LEGEND_BAR, "activation"),
    (f'{_LEGEND_BAR}<rect class="model" x="2" width="12" height="4" y="-7.5"/>', "model"),
    (f'{_LEGEND_BAR}<rect class="call" x="2" width="12" height="4" y="-3.5"/>', "call"),
    ('<path class="path" d="M0 -3H16"/>', "critical path"),
    (_legend_mark(MARKS["failed"]), "failed"),
    (_legend_mark(MARKS["cancelled"]), "cancelled"),
    (_legend_mark(MARKS["running"]), "not ended"),
    (_legend_mark(AGAIN), "tried again"),
)
"""Signs and what they mean."""


def _mark(right: float, y: float, sign: str) -> str:
    """A sign beside the right end of a bar, but within the picture."""
    beside = right + 3
    last = WIDTH - 12
    x = min(beside, last)
    baseline = y + 13
    return text("mark", x, baseline, sign)


def _anchor(x: float) -> str:
    """How the words of a mark stand to it: the last ones must not leave the picture."""
    if x < WIDTH - 40:
        return "middle"
    return "end"


def _counted(count: int, word: str) -> str:
    noun = word if count == 1 else f"{word}s"
    return f"{count:,} {noun}"
