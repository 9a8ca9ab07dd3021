"""The timeline of a run: a self-contained SVG of who worked when.

Rules:
1. A lane for every frame path and for every node in it, indented by depth. Activations that overlap get rows of their own.
   In a bar, model requests are in its upper half and calls in its lower half: no picture is told by colour alone.
2. What is too short to be seen is drawn as one hatched block with its count; rows and lanes beyond the bounds are not
   drawn. The picture says both. So its size is bounded, however long the run, and its cost is O(n log n).
3. The heavy line under bars is the critical path (`spans.py` says what that is).
4. Colours and lines are attributes of their elements, and no element has a style of its own: where a page's policy allows no
   inline styles, the picture is as it is, and light. The style sheet only makes it follow the theme of its page.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from html import escape
from pathlib import Path
from typing import Any

from graphflow.errors import FileUnreadable
from graphflow.render.palette import FACES
from graphflow.render.timeline.lanes import MOST_ROWS, Lane, at_once, blocks_of, lanes_of, leaves, named, pack
from graphflow.render.timeline.spans import How, Span, Story, read_story
from graphflow.render.xml import check_written, clean, seconds_text, short, xml

WIDTH, LABELS, RIGHT = 1040, 214, 18
PLOT = WIDTH - LABELS - RIGHT
AREA, TOP, ROW, BAR = 46, 64, 22, 17
MOST_BLOCKS = 1500
"""Blocks of one picture: what is drawn beyond stays below 2 MB, and a browser shows it at once."""
MOST_INNER = 1500
MOST_LANES = 120
MOST_JOINS = 150

LIGHT = (
    "--ink:#1f2933;--dim:#5f6c78;--line:#d9dee3;--paper:#ffffff;--act:#dfe8f3;--edge:#6f8299;"
    "--model:#b45309;--call:#1d6f8f;--bad:#b3261e;--path:#111827;--area:#9fb3c8"
)
DARK = (
    "--ink:#e6eaee;--dim:#a3afba;--line:#39424b;--paper:#161b20;--act:#2c3b4c;--edge:#8ea3bb;"
    "--model:#f0a04b;--call:#5fb7d6;--bad:#ff8a80;--path:#ffffff;--area:#4b6075"
)
STYLE = (
    f".gf-t{{color-scheme:light dark;{LIGHT}}}@media (prefers-color-scheme:dark){{.gf-t{{{DARK}}}}}@media print{{.gf-t{{{LIGHT}}}}}"
    f'@media screen{{[data-jp-theme-light="true"] .gf-t{{{LIGHT}}}[data-jp-theme-light="false"] .gf-t{{{DARK}}}}}'  # JupyterLab
    + """
.gf-t text{font:11px system-ui,Helvetica,Arial,sans-serif;fill:var(--ink);unicode-bidi:isolate}
.gf-t .dim{fill:var(--dim)}.gf-t .small{font-size:10px}.gf-t .head{font-weight:600;font-size:13px}.gf-t .frame{font-weight:600}
.gf-t .paper{fill:var(--paper)}.gf-t .grid{stroke:var(--line);fill:none}.gf-t .area{fill:var(--area);stroke:none}
.gf-t .act{fill:var(--act);stroke:var(--edge);stroke-width:1}.gf-t .failed{stroke:var(--bad);stroke-width:2}
.gf-t .cancelled{stroke-dasharray:2 2}.gf-t .running{stroke-dasharray:6 3}
.gf-t .model{fill:var(--model)}.gf-t .call{fill:var(--call)}.gf-t .lost{fill:none;stroke:var(--bad);stroke-width:1.5}
.gf-t .many{stroke:var(--edge);stroke-width:1}.gf-t .bare{stroke:none}.gf-t .hatched{fill:url(#gf-t-many)}
.gf-t .light{font-weight:400;font-size:11px}.gf-t .mark{fill:var(--bad);font-weight:700}
.gf-t .path{stroke:var(--path);stroke-width:2.6;fill:none}.gf-t .thin{stroke:var(--path);stroke-width:1;stroke-dasharray:1.5 2.5;fill:none}
""".rstrip()
)
_COLOURS = dict(part.removeprefix("--").split(":") for part in LIGHT.split(";"))
_CLASS = re.compile(r' class="([a-z ]+)"')
_LOOKS: dict[str, dict[str, str]] = {
    "dim": {"fill": _COLOURS["dim"]},
    "small": {"font-size": "10"},
    "head": {"font-weight": "600", "font-size": "13"},
    "light": {"font-weight": "400", "font-size": "11"},
    "frame": {"font-weight": "600"},
    "paper": {"fill": _COLOURS["paper"]},
    "grid": {"stroke": _COLOURS["line"], "fill": "none"},
    "area": {"fill": _COLOURS["area"]},
    "act": {"fill": _COLOURS["act"], "stroke": _COLOURS["edge"]},
    "bare": {"stroke": "none"},
    "hatched": {"fill": "url(#gf-t-many)"},
    "failed": {"stroke": _COLOURS["bad"], "stroke-width": "2"},
    "cancelled": {"stroke-dasharray": "2 2"},
    "running": {"stroke-dasharray": "6 3"},
    "model": {"fill": _COLOURS["model"]},
    "call": {"fill": _COLOURS["call"]},
    "lost": {"fill": "none", "stroke": _COLOURS["bad"], "stroke-width": "1.5"},
    "many": {"stroke": _COLOURS["edge"]},
    "mark": {"fill": _COLOURS["bad"], "font-weight": "700"},
    "path": {"stroke": _COLOURS["path"], "stroke-width": "2.6", "fill": "none"},
    "thin": {"stroke": _COLOURS["path"], "stroke-dasharray": "1.5 2.5", "fill": "none"},
}
"""What each class looks like where no style sheet is read."""


def _with_looks(found: re.Match[str]) -> str:
    looks: dict[str, str] = {}
    for name in found[1].split():
        looks |= _LOOKS.get(name, {})
    return found[0] + "".join(f' {name}="{value}"' for name, value in looks.items())


MARKS: dict[How, str] = {"failed": "\u2717", "cancelled": "\u2298", "running": "\u2026", "done": ""}


class Timeline:
    """Who worked when in a run. Shows itself in a notebook; `save` writes it, `svg` is the text of the picture.

    Attributes:
        story: the spans behind it.
    """

    def __init__(self, source: Any) -> None:
        self.story = source if isinstance(source, Story) else read_story(source)
        self._svg: str | None = None

    @property
    def svg(self) -> str:
        """The picture: SVG that needs nothing else."""
        if self._svg is None:
            self._svg = _Drawing(self.story).svg()
        return self._svg

    @property
    def critical(self) -> list[tuple[str, float]]:
        """The critical path: what was worked on ("node", "node > callee", "node > model") and for how long, in order."""
        return [(named(span), end - start) for span, start, end in leaves(self.story.critical)]

    def save(self, path: str) -> str:
        """Writes the picture as .svg, and returns the path.

        Raises:
            DeclarationError: the ending names another kind of file.
            FileUnreadable: it cannot be written.
        """
        check_written(path, (".svg",), "a timeline is an SVG; a browser prints it")
        try:
            Path(path).write_text(self.svg, encoding="utf-8")
        except OSError as error:
            raise FileUnreadable(f"{path} cannot be written: {error.strerror}") from None
        return path

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": repr(self)}

    def __repr__(self) -> str:
        acts = sum(span.what == "node" for span in self.story.spans)
        return f"<timeline of {self.story.title}: {acts} activations in {seconds_text(self.story.seconds)}>"


class _Drawing:
    """One picture while it is drawn."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.whole = max(story.seconds, max((s.ended for s in story.spans), default=0.0), 1e-6)
        self.lanes = lanes_of(story)
        self.dropped = max(0, len(self.lanes) - MOST_LANES)
        self.lanes = self.lanes[:MOST_LANES]
        for lane in self.lanes:
            pack(lane)
        self.least = self.whole / PLOT * 0.75
        while sum(len(blocks_of(r, self.least)) for lane in self.lanes for r in lane.rows) > MOST_BLOCKS:
            self.least *= 2
        self.notes: list[str] = []
        self.inner_left = MOST_INNER
        self.inner_hidden = 0
        self.places: dict[int, float] = {}
        """Where the lower edge of each span's bar is, by its identity."""

    def x(self, at: float) -> float:
        return LABELS + PLOT * at / self.whole

    def svg(self) -> str:
        body: list[str] = []
        y = float(TOP + AREA + 24)
        for lane in self.lanes:
            lane.top = y
            body += self.lane(lane)
            y += ROW * max(1, len(lane.rows)) + (4 if lane.is_frame else 2)
        bottom = y + 4
        body += self.path()
        self.tell()
        foot = bottom + 36
        height = foot + 22 + 14 * len(self.notes)
        kinds = [self.frame(height), *self.heading(), *self.area(bottom), *body, *self.legend(foot)]
        for number, note in enumerate(self.notes):
            kinds.append(f'<text class="dim small" x="12" y="{foot + 20 + 14 * number:.0f}">{xml(note)}</text>')
        return _CLASS.sub(_with_looks, "\n".join([*kinds, "</svg>"])) + "\n"

    def frame(self, height: float) -> str:
        about = f"Timeline of {self.story.title}"
        return (
            f'<svg class="gf-t" xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
            f'viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{xml(about)}" '
            f'font-family="{FACES}" font-size="11" fill="{_COLOURS["ink"]}">'
            f"<style>{STYLE}</style>"
            '<defs><pattern id="gf-t-many" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<rect class="act bare" width="5" height="5"/><path class="many" d="M0 0V5"/></pattern></defs>'
            f'<rect class="paper" width="{WIDTH}" height="{height:.0f}" rx="6"/>'
        )

    def heading(self) -> list[str]:
        story = self.story
        acts = sum(span.what == "node" for span in story.spans)
        models = [span for span in story.spans if span.what == "model"]
        told = f"{story.status} after {seconds_text(story.seconds)}, {acts:,} activation{'s' * (acts != 1)}"
        if models:
            told += f", {len(models):,} model request{'s' * (len(models) != 1)}"
        lines = [
            f'<text class="head" x="12" y="24">{xml(short(story.title, 60))}'
            f'<tspan class="dim light" dx="10">{xml(told)}</tspan></text>',
        ]
        if story.critical:
            lines.append(f'<text class="dim" x="12" y="43">{xml(self.worst())}</text>')
        return lines

    def worst(self) -> str:
        """Where the time of the critical path went."""
        spent: dict[str, float] = {}
        total = 0.0
        for span, start, end in leaves(self.story.critical):
            name = short(named(span), 44)
            spent[name] = spent.get(name, 0.0) + end - start
            total += end - start
        most = sorted(spent.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
        return f"critical path {seconds_text(total)}: " + ", ".join(f"{n} {seconds_text(s)}" for n, s in most)

    def area(self, bottom: float) -> list[str]:
        steps = at_once(self.story)
        peak = max((count for _, count in steps), default=0)
        columns = [0] * (PLOT + 1)
        for (at, count), (until, _) in zip(steps, [*steps[1:], (self.whole, 0)], strict=False):
            first, last = (min(PLOT, max(0, int(PLOT * t / self.whole))) for t in (at, until))
            for column in range(first, last + 1):
                columns[column] = max(columns[column], count)
        base = TOP + AREA
        scale = (AREA - 4) / max(peak, 1)
        points = [f"M{LABELS} {base}"]
        for column, count in enumerate(columns):
            if not column or count != columns[column - 1]:
                points.append(
                    f"V{base - count * scale:.1f}" if not column else f"H{LABELS + column}V{base - count * scale:.1f}"
                )
        shape = "".join([*points, f"H{LABELS + PLOT}V{base}Z"])
        lines = [
            f'<path class="area" d="{shape}"><title>{xml(f"at most {peak} activations at once")}</title></path>',
            f'<text class="dim small" x="{LABELS - 8}" y="{TOP + 8}" text-anchor="end">{peak} at once</text>',
            f'<text class="dim small" x="{LABELS - 8}" y="{base}" text-anchor="end">0</text>',
            f'<path class="grid" d="M{LABELS} {base}H{LABELS + PLOT}"/>',
        ]
        for at in _ticks(self.whole):
            x = self.x(at)
            lines.append(f'<path class="grid" d="M{x:.1f} {base}V{bottom:.0f}"/>')
            for y in (base + 15, bottom + 12):
                anchor = "start" if not at else "middle" if x < WIDTH - 40 else "end"
                text = "0" if not at else seconds_text(at)
                lines.append(f'<text class="dim small" x="{x:.1f}" y="{y:.0f}" text-anchor="{anchor}">{text}</text>')
        return lines

    def lane(self, lane: Lane) -> list[str]:
        indent = 12 + 13 * min(lane.depth, 8)
        room = max(8, int((LABELS - indent - 8) / 6.4))
        shown = clean(lane.label, 200)
        count = f" \u00d7{len(lane.spans):,}" if len(lane.spans) > 1 else ""
        label = short(lane.label, max(4, room - len(count) - 2 * lane.is_frame))
        tree = "\u25be " if lane.is_frame else ""
        kind = ' class="frame"' if lane.is_frame else ""
        lines = [
            f'<path class="grid" d="M12 {lane.top - 1.5:.1f}H{LABELS + PLOT}"/>',
            f'<text{kind} x="{indent}" y="{lane.top + 13:.1f}"><title>{escape(shown)}</title>{tree}{escape(label)}'
            f'<tspan class="dim small">{count}</tspan></text>',
        ]
        for number, row in enumerate(lane.rows):
            y = lane.top + 1 + ROW * number
            for block in blocks_of(row, self.least):
                lines += self.bar(block[0], y) if len(block) == 1 else self.many(block, y)
                for span in block:
                    self.places[id(span)] = y + BAR
        if lane.hidden:
            self.notes.append(
                f"{clean(lane.label, 60)}: {lane.hidden:,} more activations at the same time as those in {MOST_ROWS} rows are not drawn."
            )
        return lines

    def many(self, block: list[Span], y: float) -> list[str]:
        start, end = block[0].started, block[-1].ended
        bad = sum(span.how == "failed" for span in block)
        stopped = sum(span.how == "cancelled" for span in block)
        told = f"{len(block):,} activations of {clean(block[0].node, 80)}, {seconds_text(sum(s.seconds for s in block))} of work"
        told += f", {bad} failed" * bool(bad) + f", {stopped} cancelled" * bool(stopped)
        x, wide = self.x(start), max(2.0, self.x(end) - self.x(start))
        kind = "act failed" if bad else "act"
        lines = [
            f'<rect class="{kind} hatched" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{BAR}">'
            f"<title>{xml(told)} ({seconds_text(start)} to {seconds_text(end)})</title></rect>"
        ]
        if bad or stopped:
            lines.append(self.mark(x + wide, y, MARKS["failed" if bad else "cancelled"]))
        return lines

    def mark(self, x: float, y: float, sign: str) -> str:
        return f'<text class="mark" x="{min(x + 3, WIDTH - 12):.1f}" y="{y + 13:.1f}">{sign}</text>'

    def bar(self, span: Span, y: float) -> list[str]:
        x, wide = self.x(span.started), max(1.5, self.x(span.ended) - self.x(span.started))
        told = f"{clean(span.node, 80)}: {span.how}, {seconds_text(span.seconds)} (from {seconds_text(span.started)})"
        if len(span.path) > 1:
            told += "\nin " + " > ".join(clean(name, 40) for name in span.path)
        tokens = sum(inner.tokens for inner in span.within)
        told += f"\n{tokens:,} tokens" if tokens else ""
        told += f"\n{span.detail}" if span.detail else ""
        kind = "act" if span.how == "done" else f"act {span.how}"
        lines = [
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{BAR}" rx="2">'
            f"<title>{xml(told, 800)}</title></rect>"
        ]
        lines += self.inner(span, y)
        for at, what in span.marks[:20]:
            lines.append(
                f'<text class="mark small" x="{self.x(at) - 4:.1f}" y="{y + 13:.1f}"><title>{xml(what)}</title>\u21bb</text>'
            )
        if MARKS[span.how]:
            lines.append(self.mark(x + wide, y, MARKS[span.how]))
        return lines

    def inner(self, span: Span, y: float) -> list[str]:
        """What an activation waited for: model requests above, calls below."""
        lines: list[str] = []
        for inner in span.within:
            if inner.what == "node":
                continue
            if not self.inner_left:
                self.inner_hidden += 1
                continue
            self.inner_left -= 1
            x, wide = self.x(inner.started), max(1.0, self.x(inner.ended) - self.x(inner.started))
            model = inner.what == "model"
            top = y + (2.5 if model else 9.5)
            self.places[id(inner)] = y + BAR
            what = {"model": "model", "call": "calls", "background": "in the background"}[inner.what]
            told = f"{what} {clean(inner.label, 80)}: {inner.how}, {seconds_text(inner.seconds)}"
            told += f", {inner.tokens:,} tokens" if inner.tokens else ""
            told += f"\n{inner.detail}" if inner.detail else ""
            kind = ("model" if model else "call") if inner.how == "done" else "lost"
            lines.append(
                f'<rect class="{kind}" x="{x:.1f}" y="{top:.1f}" width="{wide:.1f}" height="5" rx="1">'
                f"<title>{xml(told, 800)}</title></rect>"
            )
            for at, why in inner.marks[:10]:
                lines.append(
                    f'<text class="mark small" x="{self.x(at) - 4:.1f}" y="{y + 16:.1f}"><title>{xml(why)}</title>\u21bb</text>'
                )
        return lines

    def path(self) -> list[str]:
        """The critical path: heavy under the bars, with dotted lines from bar to bar."""
        pieces = [p for p in leaves(self.story.critical) if self.place(p[0]) is not None]
        rows: dict[float, list[tuple[float, float]]] = {}
        joins: list[str] = []
        before: tuple[float, float] | None = None
        for span, start, end in pieces:
            y = (self.place(span) or 0.0) + 1.6
            left, right = self.x(start), max(self.x(end), self.x(start) + 1)
            if before is not None and abs(before[1] - y) > 1 and left >= before[0] - 1.5:
                joins.append(f'<path class="thin" d="M{before[0]:.1f} {before[1]:.1f}L{left:.1f} {y:.1f}"/>')
            row = rows.setdefault(y, [])
            if row and left - row[-1][1] < 1.5:
                row[-1] = (row[-1][0], max(right, row[-1][1]))
            else:
                row.append((left, right))
            before = (right, y)
        if len(joins) > MOST_JOINS:
            self.notes.append(f"The critical path goes from bar to bar {len(joins):,} times: more than can be drawn.")
            joins = []
        heavy = [f"M{left:.1f} {y:.1f}H{right:.1f}" for y, row in rows.items() for left, right in row]
        return [*joins, f'<path class="path" d="{"".join(heavy)}"/>'] if heavy else []

    def place(self, span: Span | None) -> float | None:
        while span is not None:
            if id(span) in self.places:
                return self.places[id(span)]
            span = span.parent
        return None

    def tell(self) -> None:
        """What the picture leaves out, in words."""
        blocks = [b for lane in self.lanes for row in lane.rows for b in blocks_of(row, self.least) if len(b) > 1]
        if blocks:
            count = sum(map(len, blocks))
            self.notes.insert(
                0,
                f"{count:,} activations shorter than {seconds_text(self.least)} are drawn as {len(blocks):,} hatched blocks.",
            )
        if self.inner_hidden:
            self.notes.append(f"{self.inner_hidden:,} model requests and calls are not drawn inside their bars.")
        if self.dropped:
            self.notes.append(f"{self.dropped:,} more lanes are not drawn.")
        self.notes = [*self.notes[:6], *(["..."] if len(self.notes) > 6 else [])]

    def legend(self, y: float) -> list[str]:
        x = float(LABELS)
        lines = [f'<g transform="translate(0 {y:.0f})">']
        entries = (
            ('<rect class="act" width="16" height="11" y="-9" rx="2"/>', "activation"),
            (
                '<rect class="act" width="16" height="11" y="-9" rx="2"/><rect class="model" x="2" width="12" height="4" y="-7.5"/>',
                "model",
            ),
            (
                '<rect class="act" width="16" height="11" y="-9" rx="2"/><rect class="call" x="2" width="12" height="4" y="-3.5"/>',
                "call",
            ),
            ('<path class="path" d="M0 -3H16"/>', "critical path"),
            (f'<text class="mark" x="3">{MARKS["failed"]}</text>', "failed"),
            (f'<text class="mark" x="3">{MARKS["cancelled"]}</text>', "cancelled"),
            (f'<text class="mark" x="3">{MARKS["running"]}</text>', "not ended"),
            ('<text class="mark" x="3">\u21bb</text>', "tried again"),
        )
        for sign, word in entries:
            lines.append(f'<g transform="translate({x:.0f} 0)">{sign}<text class="dim small" x="21">{word}</text></g>')
            x += 38 + 6.0 * len(word)
        return [*lines, "</g>"]


def _ticks(whole: float) -> list[float]:
    """Round moments, at most ten."""
    steps = [base * 10.0**power for power in range(-7, 7) for base in (1, 2, 5)]
    step = steps[min(bisect_right(steps, whole / 10), len(steps) - 1)]
    return [step * number for number in range(int(whole / step * 1.0000001) + 1)]


def timeline(source: Any) -> Timeline:
    """The timeline of a run, of its events, or of a file that `--events` has written."""
    return Timeline(source)
