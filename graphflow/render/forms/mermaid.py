"""A picture as Mermaid text, as GitHub and JupyterLab draw it.

Every character that could be markup is written as its number (`#35;`). Areas become subgraphs; an open graph has dots of its own
where it is entered and left.
"""

from __future__ import annotations

from collections import defaultdict

from graphflow.render.forms.dot import SIGNS
from graphflow.render.labels import one_line, wrapped
from graphflow.render.palette import Theme, colours
from graphflow.render.picture import Area, Line, Picture, Shape
from graphflow.render.xml import clip

FORMS = {
    "router": ("{{", "}}"),
    "tool": ("[/", "/]"),
    "graph": ("[[", "]]"),
    "sub-agent": ("[[", "]]"),
    "agent": ("(", ")"),
    "human": ("([", "])"),
    "wait": ("[/", "\\]"),
    "receive": ("[\\", "/]"),
    "server": ("[(", ")]"),
    "state": ("[(", ")]"),
    "memory": ("[(", ")]"),
    "code": ("[\\", "\\]"),
    "skills": (">", "]"),
}
"""What stands around a name, by kind; around any other, a box."""
BOX = ("[", "]")
ARROWS = {"flow": "-->", "trouble": "-->", "call": "-.->", "hand": "-.->", "state": "-.->"}
MARKS = (
    "failed",
    "stopped",
    "mixed",
    "running",
    "asking",
    "skipped",
    "idle",
    "added",
    "removed",
    "changed",
)
"""Marks of shapes that are shown by a style."""
BOLD_KINDS = ("agent", "sub-agent", "human")
PLAIN_SIGNS = " _-.,:()|"
"""Signs that are shown as they are."""
MAX_TEXT = 112
MAX_LABELLED_LINES = 200
INDENT = "    "

StyleGroups = dict[str, list[str]]
"""What is drawn in one style: keys of shapes, or numbers of lines."""


def write_mermaid(picture: Picture, theme: Theme = "auto") -> str:
    """The picture as a flowchart."""
    look = colours(theme)
    writer = _MermaidWriter(picture, look)
    text = "\n".join(writer.lines())
    return f"{text}\n"


class _MermaidWriter:
    """Writes one picture."""

    def __init__(self, picture: Picture, look: dict[str, str]) -> None:
        self.picture = picture
        self.look = look

    def lines(self) -> list[str]:
        """The lines of the flowchart."""
        picture = self.picture
        # Mermaid writes top to bottom as TD.
        direction = "LR" if picture.direction == "LR" else "TD"
        lines = [f"flowchart {direction}"]
        lines += self._home(picture, INDENT)
        for line in picture.lines:
            arrow = self._arrow(line)
            lines.append(INDENT + arrow)
        lines += self._kind_styles()
        lines += self._area_styles()
        if picture.overlay:
            lines += self._mark_styles()
        lines += self._line_styles()
        return lines

    # -- shapes and lines --------------------------------------------------------------------------
    def _home(self, home: Picture | Area, indent: str) -> list[str]:
        """What stands in an area, or in none; the ends last, for Mermaid puts them where they are first named."""
        lines: list[str] = []
        for shape in home.shapes:
            if shape.is_end:
                continue
            node = _shape(shape)
            lines.append(indent + node)
        deeper = indent + INDENT
        for area in home.areas:
            title = _area_words(area)
            lines.append(f'{indent}subgraph {area.key}["{title}"]')
            lines += self._home(area, deeper)
            lines.append(f"{indent}end")
        for shape in home.shapes:
            if shape.is_end:
                lines.append(f'{indent}{shape.key}(("{shape.name}"))')
        return lines

    def _arrow(self, line: Line) -> str:
        arrow = ARROWS[line.style]
        words = self._line_words(line)
        if words:
            text = ", ".join(words)
            label = _text(text)
            arrow += f'|"{label}"|'
        source = line.source.key
        target = line.target.key
        return f"{source} {arrow} {target}"

    def _line_words(self, line: Line) -> list[str]:
        """What stands on a line: what it carries, and its figures."""
        words: list[str] = []
        line_count = len(self.picture.lines)
        if self.picture.labels or line_count <= MAX_LABELLED_LINES:
            for part in line.parts:
                # That lists are gathered is said by the node that waits for them.
                if part != "collect":
                    words.append(part)
        badge = _with_sign(line.mark, line.badge)
        if badge:
            words.append(badge)
        return words

    # -- styles ------------------------------------------------------------------------------------
    def _kind_styles(self) -> list[str]:
        """Each kind in its colours, as in the other forms: a class for its shapes."""
        keys: StyleGroups = defaultdict(list)
        for shape in self.picture.every_shape():
            kind = self._style_kind(shape)
            keys[kind].append(shape.key)
        lines: list[str] = []
        for kind, shapes in keys.items():
            # With a prefix, for `end` and `class` are words of Mermaid's own.
            word = kind.replace("-", "_")
            name = f"kind_{word}"
            style = self._kind_style(kind)
            lines += _class(name, style, shapes)
        return lines

    def _style_kind(self, shape: Shape) -> str:
        if shape.opened:
            return "opened"
        if shape.is_end:
            return "end"
        # A kind of a user's own has no colours of its own.
        fill = f"{shape.kind}-fill"
        if fill not in self.look:
            return "step"
        return shape.kind

    def _kind_style(self, kind: str) -> str:
        look = self.look
        if kind == "end":
            fill = look["end-fill"]
            ink = look["end-ink"]
            return _style(fill=fill, stroke=fill, color=ink)
        if kind == "opened":
            line = look["sub-agent-line"]
            return _style(fill=line, stroke=line)
        fill = look[f"{kind}-fill"]
        line = look[f"{kind}-line"]
        ink = look["ink"]
        width = "2px" if kind in BOLD_KINDS else ""
        return _style(fill=fill, stroke=line, color=ink, stroke_width=width)

    def _area_styles(self) -> list[str]:
        look = self.look
        ink = look["ink"]
        lines: list[str] = []
        for area in self.picture.every_area():
            # Areas within areas are told apart by two colours in turn.
            is_even = area.depth % 2 == 0
            fill = look["area-deep-fill"] if is_even else look["area-fill"]
            line = look.get(f"{area.kind}-line")
            if line is None:
                line = look["area-line"]
            style = _style(fill=fill, stroke=line, color=ink)
            lines.append(f"{INDENT}style {area.key} {style}")
        return lines

    def _line_styles(self) -> list[str]:
        """The colours of lines, by their numbers."""
        numbers: StyleGroups = defaultdict(list)
        for place, line in enumerate(self.picture.lines):
            style = self._line_style(line)
            if style:
                number = str(place)
                numbers[style].append(number)
        lines: list[str] = []
        for style, same in numbers.items():
            which = ",".join(same)
            lines.append(f"{INDENT}linkStyle {which} {style}")
        return lines

    def _line_style(self, line: Line) -> str:
        look = self.look
        mark = line.mark
        if mark in ("added", "removed", "changed"):
            stroke = look[mark]
            return _style(stroke=stroke, stroke_width="2px")
        if mark in ("skipped", "idle"):
            stroke = look["pale"]
            return _style(stroke=stroke, stroke_width="1px")
        if line.style == "flow":
            return ""
        stroke = look[line.style]
        return _style(stroke=stroke)

    def _mark_styles(self) -> list[str]:
        """Marks of a walk or a comparison as classes; signs show them, too."""
        keys: StyleGroups = defaultdict(list)
        for shape in self.picture.every_shape():
            keys[shape.mark].append(shape.key)
        lines: list[str] = []
        for mark in MARKS:
            if mark in keys:
                style = self._mark_style(mark)
                lines += _class(mark, style, keys[mark])
        return lines

    def _mark_style(self, mark: str) -> str:
        look = self.look
        faint = look["faint"]
        match mark:
            case "running":
                stroke = look["running"]
                return _style(stroke=stroke, stroke_width="3px")
            case "asking":
                stroke = look["hand"]
                return _style(stroke=stroke, stroke_width="3px", stroke_dasharray="6 3")
            case "skipped":
                return _style(stroke=faint, stroke_dasharray="5 4", color=faint)
            case "idle":
                stroke = look["pale"]
                return _style(stroke=stroke, stroke_dasharray="1 4", color=faint)
            case "added" | "changed":
                stroke = look[mark]
                fill = look[f"{mark}-fill"]
                return _style(stroke=stroke, fill=fill, stroke_width="2px")
            case "removed":
                stroke = look["removed"]
                fill = look["removed-fill"]
                return _style(stroke=stroke, fill=fill, stroke_dasharray="5 4")
            case _:
                stroke = look["trouble"]
                return _style(stroke=stroke, stroke_width="3px")


def _style(**properties: str) -> str:
    """A style of those properties that have a value."""
    values: list[str] = []
    for name, value in properties.items():
        if value:
            property_name = name.replace("_", "-")
            values.append(f"{property_name}:{value}")
    return ",".join(values)


def _class(name: str, style: str, shapes: list[str]) -> list[str]:
    members = ",".join(shapes)
    definition = f"{INDENT}classDef {name} {style}"
    use = f"{INDENT}class {members} {name}"
    return [definition, use]


def _shape(shape: Shape) -> str:
    if shape.opened:
        return f'{shape.key}((" "))'
    left, right = FORMS.get(shape.kind, BOX)
    words = [_with_sign(shape.mark, shape.name), *shape.under]
    name = "<br/>".join(map(_text, words))
    return f'{shape.key}{left}"{name}"{right}'


def _area_words(area: Area) -> str:
    """The title of an area: one line is all it has."""
    name = _with_sign(area.mark, area.name)
    depth = f"depth {area.depth}"
    figures = area.figures.split("\n")
    words: list[str] = []
    for part in (name, depth, *figures):
        if part:
            word = _text(part)
            words.append(word)
    return ", ".join(words)


def _with_sign(mark: str, text: str) -> str:
    sign = SIGNS.get(mark, "")
    if not sign:
        return text
    words = f"{sign} {text}"
    return words.strip()


def _text(text: str) -> str:
    """Text that Mermaid shows as it is."""
    shown = one_line(text)
    if len(shown) > MAX_TEXT:
        lines = wrapped(text)
        words = " ".join(lines)
        shown = clip(words, MAX_TEXT * 3)
    signs = map(_escaped, shown)
    return "".join(signs)


def _escaped(sign: str) -> str:
    if sign.isalnum() or sign in PLAIN_SIGNS:
        return sign
    number = ord(sign)
    return f"#{number};"
