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
    "code": ("[\\", "\\]"),
    "skills": (">", "]"),
}
"""What stands around a name, by kind; around any other, a box."""
BOX = ("[", "]")
ARROWS = {"flow": "-->", "trouble": "-->", "call": "-.->", "hand": "-.->"}
BOLD_KINDS = ("agent", "sub-agent", "human")
PLAIN_SIGNS = " _-.,:()|"
"""Signs that are shown as they are."""
MAX_TEXT = 112
MAX_LABELLED_LINES = 200
INDENT = "    "


def write_mermaid(picture: Picture, theme: Theme = "auto") -> str:
    """The picture as a flowchart."""
    writer = _MermaidWriter(picture, colours(theme))
    text = "\n".join(writer.lines())
    return f"{text}\n"


class _MermaidWriter:
    """Writes one picture."""

    def __init__(self, picture: Picture, look: dict[str, str]) -> None:
        self.picture = picture
        self.look = look

    def lines(self) -> list[str]:
        """The lines of the flowchart."""
        # Mermaid writes top to bottom as TD.
        direction = "LR" if self.picture.direction == "LR" else "TD"
        lines = [f"flowchart {direction}"]
        lines += self._home(self.picture, INDENT)
        for line in self.picture.lines:
            arrow = self._arrow(line)
            lines.append(f"{INDENT}{arrow}")
        lines += self._kind_styles()
        lines += self._area_styles()
        if self.picture.overlay:
            lines += self._mark_styles()
        lines += self._line_styles()
        return lines

    # -- shapes and lines --------------------------------------------------------------------------
    def _home(self, home: Picture | Area, indent: str) -> list[str]:
        """What stands in an area, or in none; the ends last, for Mermaid puts them where they are first named."""
        lines: list[str] = []
        for shape in home.shapes:
            if not shape.is_end:
                node = _shape(shape)
                lines.append(f"{indent}{node}")
        for area in home.areas:
            title = _area_words(area)
            lines.append(f'{indent}subgraph {area.key}["{title}"]')
            lines += self._home(area, indent + INDENT)
            lines.append(f"{indent}end")
        for shape in home.shapes:
            if shape.is_end:
                lines.append(f'{indent}{shape.key}(("{shape.name}"))')
        return lines

    def _arrow(self, line: Line) -> str:
        arrow = ARROWS[line.style]
        words = self._line_words(line)
        if words:
            text = _text(", ".join(words))
            arrow += f'|"{text}"|'
        source = line.source.key
        target = line.target.key
        return f"{source} {arrow} {target}"

    def _line_words(self, line: Line) -> list[str]:
        """What stands on a line: what it carries, and its figures."""
        words: list[str] = []
        few_lines = len(self.picture.lines) <= MAX_LABELLED_LINES
        if self.picture.labels or few_lines:
            # That lists are gathered is said by the node that waits for them.
            words += [part for part in line.parts if part != "collect"]
        badge = _with_sign(line.mark, line.badge)
        if badge:
            words.append(badge)
        return words

    # -- styles ------------------------------------------------------------------------------------
    def _kind_styles(self) -> list[str]:
        """Each kind in its colours, as in the other forms: a class for its shapes."""
        keys: dict[str, list[str]] = {}
        for shape in self.picture.every_shape():
            kind = self._style_kind(shape)
            shapes = keys.setdefault(kind, [])
            shapes.append(shape.key)
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
        has_colours = f"{shape.kind}-fill" in self.look
        return shape.kind if has_colours else "step"

    def _kind_style(self, kind: str) -> str:
        look = self.look
        if kind == "end":
            fill = look["end-fill"]
            return _style(fill=fill, stroke=fill, color=look["end-ink"])
        if kind == "opened":
            line = look["sub-agent-line"]
            return _style(fill=line, stroke=line)
        fill = look[f"{kind}-fill"]
        line = look[f"{kind}-line"]
        width = "2px" if kind in BOLD_KINDS else ""
        return _style(fill=fill, stroke=line, color=look["ink"], stroke_width=width)

    def _area_styles(self) -> list[str]:
        look = self.look
        lines: list[str] = []
        for area in self.picture.every_area():
            is_even = area.depth % 2 == 0
            fill = look["area-deep-fill"] if is_even else look["area-fill"]
            own_line = f"{area.kind}-line"
            line = look.get(own_line, look["area-line"])
            style = _style(fill=fill, stroke=line, color=look["ink"])
            lines.append(f"{INDENT}style {area.key} {style}")
        return lines

    def _line_styles(self) -> list[str]:
        """The colours of lines, by their numbers."""
        numbers: dict[str, list[str]] = {}
        for number, line in enumerate(self.picture.lines):
            style = self._line_style(line)
            if style:
                same = numbers.setdefault(style, [])
                same.append(str(number))
        lines: list[str] = []
        for style, found in numbers.items():
            which = ",".join(found)
            lines.append(f"{INDENT}linkStyle {which} {style}")
        return lines

    def _line_style(self, line: Line) -> str:
        look = self.look
        if line.mark in ("added", "removed", "changed"):
            return _style(stroke=look[line.mark], stroke_width="2px")
        if line.mark in ("skipped", "idle"):
            return _style(stroke=look["pale"], stroke_width="1px")
        if line.style == "flow":
            return ""
        return _style(stroke=look[line.style])

    def _mark_styles(self) -> list[str]:
        """Marks of a walk or a comparison as classes; signs show them, too."""
        look = self.look
        faint = look["faint"]
        trouble = _style(stroke=look["trouble"], stroke_width="3px")
        styles = {
            "failed": trouble,
            "stopped": trouble,
            "mixed": trouble,
            "running": _style(stroke=look["running"], stroke_width="3px"),
            "asking": _style(stroke=look["hand"], stroke_width="3px", stroke_dasharray="6 3"),
            "skipped": _style(stroke=faint, stroke_dasharray="5 4", color=faint),
            "idle": _style(stroke=look["pale"], stroke_dasharray="1 4", color=faint),
            "added": _style(stroke=look["added"], fill=look["added-fill"], stroke_width="2px"),
            "removed": _style(
                stroke=look["removed"], fill=look["removed-fill"], stroke_dasharray="5 4"
            ),
            "changed": _style(
                stroke=look["changed"], fill=look["changed-fill"], stroke_width="2px"
            ),
        }
        keys: dict[str, list[str]] = defaultdict(list)
        for shape in self.picture.every_shape():
            keys[shape.mark].append(shape.key)
        lines: list[str] = []
        for mark, style in styles.items():
            if mark in keys:
                lines += _class(mark, style, keys[mark])
        return lines


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
    words = [_with_sign(area.mark, area.name), f"depth {area.depth}"]
    words += area.figures.split("\n")
    return ", ".join(_text(part) for part in words if part)


def _with_sign(mark: str, text: str) -> str:
    sign = SIGNS.get(mark, "")
    if not sign:
        return text
    return f"{sign} {text}".strip()


def _text(text: str) -> str:
    """Text that Mermaid shows as it is."""
    shown = one_line(text)
    if len(shown) > MAX_TEXT:
        words = " ".join(wrapped(text))
        shown = clip(words, MAX_TEXT * 3)
    return "".join(map(_escaped, shown))


def _escaped(sign: str) -> str:
    if sign.isalnum() or sign in PLAIN_SIGNS:
        return sign
    number = ord(sign)
    return f"#{number};"
