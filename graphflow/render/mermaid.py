"""A picture as Mermaid text, as GitHub and JupyterLab draw it.

Every sign that could be markup is written as its number (`#35;`). Areas become subgraphs; an open graph has dots of its own
where it is entered and left.
"""

from __future__ import annotations

from graphflow.render.dot import SIGNS
from graphflow.render.labels import clean, cut, wrapped
from graphflow.render.palette import DARK, LIGHT, Theme
from graphflow.render.picture import Area, Line, Picture, Shape

FORMS = {
    "router": ("{{", "}}"),
    "tool": ("[/", "/]"),
    "graph": ("[[", "]]"),
    "sub-agent": ("[[", "]]"),
    "agent": ("(", ")"),
    "human": ("([", "])"),
    "server": ("[(", ")]"),
    "code": ("[\\", "\\]"),
    "skills": (">", "]"),
}
ARROWS = {"flow": "-->", "trouble": "-->", "call": "-.->", "hand": "-.->"}
PLAIN = " _-.,:()|"
"""Signs that are shown as they are."""
COLOURS = ("agent", "sub-agent", "graph", "router", "tool", "code", "skills", "human", "server")
LONGEST = 112


def write_mermaid(picture: Picture, theme: Theme = "auto") -> str:
    """The picture as a flowchart."""
    lines = [f"flowchart {'LR' if picture.direction == 'LR' else 'TD'}"]
    _fill(lines, picture, 1)
    for line in picture.lines:
        lines.append(f"    {_arrow(line, picture)}")
    if picture.overlay:
        lines += _marks(picture, theme)
    return "\n".join(lines) + "\n"


def _fill(lines: list[str], home: Picture | Area, depth: int) -> None:
    indent = "    " * depth
    ends = [shape for shape in home.shapes if shape.kind in ("start", "end")]
    for shape in home.shapes:
        if shape not in ends:
            left, right = FORMS.get(shape.kind, ("[", "]"))
            lines.append(f'{indent}{shape.key}{left}"{_named(shape)}"{right}')
    for area in home.areas:
        sign = SIGNS.get(area.mark, "")
        lines.append(f'{indent}subgraph {area.key}["{_text(" ".join([sign, area.name]).strip())}, depth {area.depth}"]')
        _fill(lines, area, depth + 1)
        lines.append(f"{indent}end")
    for shape in ends:
        lines.append(f'{indent}{shape.key}(("{shape.name}"))')


def _named(shape: Shape) -> str:
    sign = SIGNS.get(shape.mark, "")
    name = f"{sign} {shape.name}" if sign else shape.name
    under = [part for part in (shape.note, *shape.badge.split("\n")) if part]
    return "<br/>".join(_text(part) for part in (name, *under))


def _arrow(line: Line, picture: Picture) -> str:
    arrow = ARROWS[line.style]
    said = ", ".join(line.parts) if picture.labels or len(picture.lines) <= 200 else ""
    badge = " ".join(part for part in (SIGNS.get(line.mark, ""), line.badge) if part)
    text = ", ".join(part for part in (said, badge) if part)
    label = f'|"{_text(text)}"|' if text else ""
    return f"{line.source.key} {arrow}{label} {line.target.key}"


def _marks(picture: Picture, theme: Theme) -> list[str]:
    """What a walk or a comparison says, as classes: signs say it, too."""
    look = DARK if theme == "dark" else LIGHT
    forms = {
        "failed": f"stroke:{look['trouble']},stroke-width:3px",
        "stopped": f"stroke:{look['trouble']},stroke-width:3px",
        "running": f"stroke:{look['running']},stroke-width:3px",
        "skipped": f"stroke:{look['faint']},stroke-dasharray:5 4,color:{look['faint']}",
        "idle": f"stroke:{look['pale']},stroke-dasharray:1 4,color:{look['faint']}",
        "added": f"stroke:{look['added']},fill:{look['added-fill']},stroke-width:2px",
        "removed": f"stroke:{look['removed']},fill:{look['removed-fill']},stroke-dasharray:5 4",
        "changed": f"stroke:{look['changed']},fill:{look['changed-fill']},stroke-width:2px",
    }
    lines: list[str] = []
    for mark, form in forms.items():
        keys = [shape.key for shape in picture.every_shape() if shape.mark == mark]
        if keys:
            lines += [f"    classDef {mark} {form}", f"    class {','.join(keys)} {mark}"]
    return lines


def _text(text: str) -> str:
    """Text that Mermaid shows as it is."""
    text = clean(text)
    shown = cut(" ".join(wrapped(text)), LONGEST * 3) if len(text) > LONGEST else text
    return "".join(_sign(c) for c in shown.replace("\n", " "))


def _sign(c: str) -> str:
    return c if c.isalnum() or c in PLAIN else f"#{ord(c)};"
