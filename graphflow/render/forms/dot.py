"""A picture as DOT text, for graphviz to lay out.

Rules:
1. Names and types are data: they stand in labels with every sign escaped, and nowhere else.
2. Shapes and lines carry ids and classes, by which an SVG finds them again.
3. What a walk or a comparison says is said by line style and sign first, by colour second.
"""

from __future__ import annotations

import math
import re
from html import escape
from itertools import pairwise
from typing import Any

from graphflow.render.labels import LONGEST, clean, cut, wrapped
from graphflow.render.palette import FONT, SHAPES, Theme, colours
from graphflow.render.picture import Area, Line, Picture, Shape

SIGNS = {
    "done": "\u2713",
    "failed": "\u2717",
    "skipped": "\u2205",
    "mixed": "!",
    "running": "\u25cf",
    "asking": "?",
    "stopped": "\u25a0",
    "added": "+",
    "removed": "\u2212",
    "changed": "~",
}
"""The signs of what a walk did with a node, and of what differs."""
STYLES = {
    "flow": {"style": "solid", "arrowhead": "normal"},
    "call": {"style": "dashed", "arrowhead": "vee"},
    "hand": {"style": "dotted", "arrowhead": "normal", "penwidth": "1.8"},
    "trouble": {"style": "solid", "arrowhead": "normal", "dir": "both", "arrowtail": "odot"},
}
LINE_COLOUR = {"flow": "line", "call": "call", "hand": "hand", "trouble": "trouble"}
LINE_WORDS = {"flow": "message", "call": "call", "hand": "hand-over", "trouble": "failure, limit"}
ROOMY = 16
"""Lines up to which each says for itself what it carries."""
LABEL = 30
"""Characters of a line's label before it is wrapped, and"""
LABEL_LINES = 4
"""lines of it that are shown."""


def write_dot(picture: Picture, theme: Theme = "auto", *, tooltips: bool = False, ticks: bool = True) -> str:
    """The picture as DOT text; without ticks where fonts may lack them: what is done then just looks as ever."""
    return _Writer(picture, colours(theme), tooltips, ticks).text()


class _Writer:
    """Writes one picture."""

    def __init__(self, picture: Picture, look: dict[str, str], tooltips: bool, ticks: bool) -> None:
        self.picture = picture
        self.look = look
        self.tooltips = tooltips
        self.signs = SIGNS if ticks else {mark: sign for mark, sign in SIGNS.items() if mark != "done"}
        self.crowded = picture.size > 100

    def text(self) -> str:
        from graphviz import Digraph, nohtml

        picture, look = self.picture, self.look
        dot = Digraph(nohtml(clean(picture.name)[:LONGEST].replace("\\", "\\\\")))
        dot.attr(
            rankdir=picture.direction,
            bgcolor=look["paper"],
            fontname=FONT,
            fontsize="11",
            fontcolor=look["ink"],
            compound="true",
            pad="0.15",
            nodesep="0.18" if self.crowded else "0.28",
            ranksep="0.5" if picture.direction == "LR" else "0.38",
        )
        dot.attr("node", fontname=FONT, fontsize="11", fontcolor=look["ink"], margin="0.16,0.07", height="0.4")
        dot.attr("edge", fontname=FONT, fontsize="8.5", arrowsize="0.65", penwidth="1.1")
        if picture.headline:
            dot.attr(labelloc="t", label=_html([picture.headline], 10, look["ink"]))
        self._fill(dot, picture.shapes, picture.areas, 0)
        unsaid = self._unsaid()
        for number, line in enumerate(picture.lines):
            self._line(dot, line, number, id(line) in unsaid)
        if picture.legend:
            self._legend(dot)
        source: str = dot.source
        return source

    # -- shapes --------------------------------------------------------------------------------------------------------
    def _fill(self, dot: Any, shapes: list[Shape], areas: list[Area], depth: int) -> None:
        start = [shape for shape in shapes if shape.kind == "start"]
        for shape in start:
            self._terminal(dot, shape, small=depth > 0)
        for shape in shapes:
            if shape.opened:
                self._dot(dot, shape)
            elif shape.kind not in ("start", "end"):
                self._shape(dot, shape)
        for area in areas:
            self._area(dot, area)
        for shape in shapes:
            if shape.kind == "end":
                self._terminal(dot, shape, small=depth > 0)

    def _terminal(self, dot: Any, shape: Shape, *, small: bool) -> None:
        look, end = self.look, shape.kind == "end"
        reached = shape.mark in ("", "done", "changed")
        given = {
            "id": shape.key.replace("n", "n-", 1),
            "class": f"gf-{shape.kind}{_marked(shape.mark)}",
            "shape": "doublecircle" if end else "circle",
            "style": "filled",
            "color": look["end-fill"] if reached else look["pale"],
            "fillcolor": look["end-fill"] if reached else look["idle-fill"],
            "fixedsize": "true",
        }
        if small:
            given |= {"label": "", "width": "0.1" if end else "0.12", "height": "0.1" if end else "0.12"}
        else:
            given |= {
                "label": shape.name,
                "fontsize": "6" if end else "6.5",
                "width": "0.34" if end else "0.42",
                "height": "0.34" if end else "0.42",
                "fontcolor": look["end-ink"] if reached else look["faint"],
            }
        if self.tooltips:
            given["tooltip"] = shape.name
        rank = "source" if shape.kind == "start" else "sink"
        if small:
            _put(dot, shape.key, given)
            return
        with dot.subgraph() as alone:
            alone.attr(rank=rank)
            _put(alone, shape.key, given)

    def _dot(self, dot: Any, shape: Shape) -> None:
        """A sub-agent in its own area: the area's title names it, this is where it is asked and asks."""
        line = self.look[f"{shape.kind}-line"] if f"{shape.kind}-line" in self.look else self.look["step-line"]
        colour = _MARKED.get(shape.mark, "")
        given = {
            "id": shape.key.replace("n", "n-", 1),
            "class": f"gf-{_class(shape.kind)}{_marked(shape.mark)}",
            "label": "",
            "shape": "circle",
            "style": "filled",
            "fixedsize": "true",
            "width": "0.14",
            "height": "0.14",
            "color": self.look[colour] if colour else line,
            "fillcolor": self.look[colour] if colour else line,
        }
        if self.tooltips:
            given["tooltip"] = _plain(shape.about)
        _put(dot, shape.key, given)

    def _shape(self, dot: Any, shape: Shape) -> None:
        look = self.look
        form = SHAPES.get(shape.kind, "box")
        kind = shape.kind if f"{shape.kind}-fill" in look else "step"
        fill, line, ink = look[f"{kind}-fill"], look[f"{kind}-line"], look["ink"]
        style = ["filled", "rounded"] if form == "box" else ["filled"]
        width = 2.0 if kind in ("agent", "human") else 1.2
        if shape.mark in ("skipped", "idle"):
            fill, line, ink = look["idle-fill"], look["pale"], look["faint"]
            style.append("dashed" if shape.mark == "skipped" else "dotted")
            width = 1.2
            line = look["faint"] if shape.mark == "skipped" else line
        elif shape.mark in _MARKED:
            line, width = look[_MARKED[shape.mark]], 3.0
            style += ["dashed"] if shape.mark == "asking" else []
        elif shape.mark in ("added", "removed", "changed"):
            line, fill, width = look[shape.mark], look[f"{shape.mark}-fill"], 2.4
            style += ["dashed"] if shape.mark == "removed" else []
        elif self.picture.overlay == "difference":
            fill, line = look["idle-fill"], look["faint"]
        given = {
            "id": shape.key.replace("n", "n-", 1),
            "class": f"gf-{_class(shape.kind)}{_marked(shape.mark)}",
            "label": self._name(shape, ink),
            "shape": form,
            "style": ",".join(style),
            "fillcolor": fill,
            "color": line,
            "penwidth": f"{width:g}",
        }
        if kind == "sub-agent":
            given["peripheries"] = "2"
        if form == "diamond":
            given |= {"margin": "0.03,0.03"}
        if self.tooltips:
            given["tooltip"] = _plain(shape.about)
        _put(dot, shape.key, given)

    def _name(self, shape: Shape, ink: str) -> str:
        lines = wrapped(shape.name, 16 if shape.kind == "router" else 24)
        lines[0] = f"{self.signs.get(shape.mark, '')} {lines[0]}".strip()
        return _html(lines, 11, ink, shape.under, self.look["faint"])

    def _area(self, dot: Any, area: Area) -> None:
        look = self.look
        line = look.get(f"{area.kind}-line", look["area-line"])
        style = "rounded,filled"
        width = "1.2"
        if area.mark in ("added", "removed", "changed") or area.mark in _MARKED:
            line = look[_MARKED.get(area.mark, area.mark)]
            width = "2.6"
            style += ",dashed" if area.mark == "removed" else ""
        elif area.mark in ("skipped", "idle"):
            line = look["faint"] if area.mark == "skipped" else look["pale"]
            style += ",dashed" if area.mark == "skipped" else ",dotted"
        sign = self.signs.get(area.mark, "")
        names = wrapped(area.name, 32)
        names[0] = f"{sign} {names[0]}" if sign else names[0]
        aside = f"{area.kind}, depth {area.depth}"
        with dot.subgraph(name=f"cluster_{area.key}") as inner:
            inner.attr(
                id=area.key.replace("a", "a-", 1),
                label=_html(names, 10, look["ink"], area.under, look["faint"], aside=aside),
                labeljust="l",
                labelloc="t",
                style=style,
                color=line,
                penwidth=width,
                fillcolor=look["area-deep-fill" if area.depth % 2 == 0 else "area-fill"],
                margin="10",
                **{"class": f"gf-{_class(area.kind)}{_marked(area.mark)}"},
            )
            if self.tooltips:
                inner.attr(tooltip=_plain(area.about))
            self._fill(inner, area.shapes, area.areas, area.depth if area.opens_level else 0)

    # -- lines ---------------------------------------------------------------------------------------------------------
    def _unsaid(self) -> set[int]:
        """Lines whose label one of their neighbours says for all: three or more equal ones from or to one shape."""
        unsaid: set[int] = set()
        if len(self.picture.lines) <= ROOMY:
            return unsaid
        for side in ("source", "target"):
            groups: dict[object, list[Line]] = {}
            for line in self.picture.lines:
                if line.plain and line.style == "flow" and not line.badge and id(line) not in unsaid:
                    groups.setdefault((getattr(line, side).key, line.parts), []).append(line)
            for group in groups.values():
                if len(group) > 2:
                    said = group[len(group) // 2]
                    unsaid |= {id(line) for line in group if line is not said}
        return unsaid

    def _line(self, dot: Any, line: Line, number: int, unsaid: bool) -> None:
        look = self.look
        given = dict(STYLES[line.style])
        colour = look[LINE_COLOUR[line.style]]
        if line.mark == "sent":
            most = 0.4 if line.style == "call" else 2.2  # a broad dashed line is a row of blots
            given["penwidth"] = f"{1.6 + min(most, 0.6 * math.log2(max(1, line.count))):.3g}"
            colour = look["done"] if line.style == "flow" else colour
        elif line.mark == "skipped":  # it was closed: a bar where its head would be, and no dashes, which are calls
            colour = look["faint"]
            given |= {"penwidth": "0.8", "arrowhead": "tee"}
        elif line.mark == "idle":
            colour = look["faint"] if line.style == "hand" else look["pale"]  # dots need more ink to be seen
            given["penwidth"] = "1.4" if line.style == "hand" else "0.9"
        elif line.mark in ("added", "removed", "changed"):
            colour = look[line.mark]
            given |= {"penwidth": "2.2", "style": "dashed" if line.mark == "removed" else given["style"]}
        elif self.picture.overlay == "difference":
            colour = look["pale"]
        given["color"] = colour
        given["id"] = f"e-{number}"
        given["class"] = f"gf-{line.style}{_marked(line.mark)}"
        words = self._words(line, unsaid)
        if words:
            quiet = line.mark in ("idle", "skipped") or line.style in ("flow", "call") or colour == look["pale"]
            told = look["faint"] if quiet else colour
            given["label"] = _html(words, 8.5, told, room=2 if line.count > 3 else 1)
        if line.style == "flow" and not line.back:
            given["weight"] = "3"
        if line.from_area is not None and not _lies_in(line.target, line.from_area):
            given["ltail"] = f"cluster_{line.from_area.key}"
        if line.to_area is not None and not _lies_in(line.source, line.to_area):
            given["lhead"] = f"cluster_{line.to_area.key}"
        if self.tooltips:
            given |= dict.fromkeys(("edgetooltip", "labeltooltip"), _plain(line.about))
        ends = line.source.key, line.target.key
        if line.back:  # laid out the other way round, so that what begins a lap does not turn the picture over
            ends = ends[1], ends[0]
            given = _turned(given)
        _put(dot, f"{ends[0]} -> {ends[1]}", given)

    def _words(self, line: Line, unsaid: bool) -> list[str]:
        sign = SIGNS.get(line.mark, "") if self.picture.overlay == "difference" else ""
        said = [part for part in line.parts if part != "collect"] if self.picture.labels and not unsaid else []
        if len(said) > 1 and said[0] == "each":
            said[:2] = [f"each {said[1]}"]
        words = [row for part in said for row in wrapped(part, LABEL)]
        if len(words) > LABEL_LINES:
            words = [*words[: LABEL_LINES - 1], "\u2026"]
        more = " ".join(part for part in (sign, line.badge) if part)
        return [*words, *([more] if more else [])]

    # -- legend --------------------------------------------------------------------------------------------------------
    def _legend(self, dot: Any) -> None:
        look = self.look
        used = {shape.kind for shape in self.picture.every_shape()} | {area.kind for area in self.picture.every_area()}
        kinds = [kind for kind in SHAPES if kind in used]
        styles = [s for s in STYLES if any(line.style == s for line in self.picture.lines)]
        with dot.subgraph(name="cluster_legend") as box:
            box.attr(
                label=_html(["Legend"], 9, look["faint"]), color=look["pale"], style="rounded", margin="8", id="legend"
            )
            firsts: list[str] = []
            for begin in range(0, len(kinds), 3):
                with box.subgraph() as row:
                    row.attr(rank="same")
                    for number, kind in enumerate(kinds[begin : begin + 3], begin):
                        self._shape(row, Shape(f"k{number}", kind, kind, ()))
                firsts.append(f"k{begin}")
            for begin in range(0, len(styles), 2):
                with box.subgraph() as row:
                    row.attr(rank="same")
                    for number, style in enumerate(styles[begin : begin + 2], begin):
                        self._sample(row, number, style)
                firsts.append(f"l{begin}")
            for above, below in pairwise(firsts):
                dot.edge(above, below, style="invis")

    def _sample(self, row: Any, number: int, style: str) -> None:
        left, right = f"l{number}", f"r{number}"
        row.node(left, label="", shape="point", width="0.03", color=self.look["paper"], id=f"legend-{left}")
        word = _html([LINE_WORDS[style]], 9, self.look["ink"], room=1)
        row.node(right, label=word, shape="plain", id=f"legend-{right}")
        row.edge(left, right, color=self.look[LINE_COLOUR[style]], **STYLES[style])


_MARKED = {
    "failed": "trouble",
    "mixed": "trouble",
    "stopped": "trouble",
    "running": "running",
    "asking": "hand",
}
"""Colours of the lines around what a walk says something special of."""


def _put(dot: Any, what: str, given: dict[str, str]) -> None:
    """Writes one node or edge: graphviz's own way looks at each of many thousand values to see whether it needs quotes."""
    said = " ".join(f"{key}={value}" if value[:1] == "<" else f'{key}="{value}"' for key, value in given.items())
    dot.body.append(f"\t{what} [{said}]\n")


def _turned(given: dict[str, str]) -> dict[str, str]:
    """The same line for an edge that is written from its head to its tail."""
    turned = {key: value for key, value in given.items() if key not in ("ltail", "lhead", "arrowhead", "arrowtail")}
    turned |= {"dir": given.get("dir", "back"), "arrowtail": given["arrowhead"]}
    for key, other in (("ltail", "lhead"), ("lhead", "ltail"), ("arrowtail", "arrowhead")):
        if key in given:
            turned[other] = given[key]
    return turned


def _lies_in(shape: Shape, area: Area) -> bool:
    return any(s is shape for s in area.shapes) or any(_lies_in(shape, inner) for inner in area.areas)


def _class(kind: str) -> str:
    """A kind as the name of a class; a user's own kind may be called anything."""
    return kind if kind in SHAPES else re.sub(r"[^\w-]", "-", kind, flags=re.ASCII) or "node"


def _marked(mark: str) -> str:
    return f" gf-{mark}" if mark else ""


SPACE = '<BR/><FONT POINT-SIZE="2">\u00a0</FONT>'
"""A little room between a name and what stands under it: underscores reach down."""


def _html(
    lines: list[str],
    size: float,
    ink: str,
    under: list[str] | None = None,
    faint: str = "",
    room: int = 0,
    aside: str = "",
) -> str:
    """A label of lines, with smaller ones under them; nothing in them is markup."""
    pad = "\u00a0" * room
    turn = '<BR ALIGN="LEFT"/>' if aside else "<BR/>"
    body = turn.join(f"{pad}{_text(line)}{pad}" for line in lines)
    label = f'<FONT POINT-SIZE="{size:g}" COLOR="{ink}">{body}</FONT>'
    if aside:
        label += f'<FONT POINT-SIZE="8" COLOR="{faint}">\u00a0\u00a0{_text(aside)}</FONT>'
    if under and not aside:
        label += SPACE
    for text in under or ():
        label += f'{turn}<FONT POINT-SIZE="8" COLOR="{faint}">{_text(cut(text, 60))}</FONT>'
    if aside and (under or len(lines) > 1):
        label += turn
    return f"<{label}>"


def _text(text: str) -> str:
    """A text in a label: no markup, and no escapes of graphviz's own, which are read inside of labels, too."""
    return escape(clean(text).replace("\n", " ")).replace("\\", "\\\\") or " "


def _plain(text: str) -> str:
    """A text in a quoted attribute, also one that begins and ends as markup does."""
    told = clean(text)[:LONGEST].replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return f" {told}" if told[:1] == "<" else told
