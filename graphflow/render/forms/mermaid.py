"""A picture as Mermaid text, as GitHub and JupyterLab draw it.

Every sign that could be markup is written as its number (`#35;`). Areas become subgraphs; an open graph has dots of its own
where it is entered and left.
"""

from __future__ import annotations

from graphflow.render.forms.dot import SIGNS
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
LONGEST = 112


def write_mermaid(picture: Picture, theme: Theme = "auto") -> str:
    """The picture as a flowchart."""
    lines = [f"flowchart {'LR' if picture.direction == 'LR' else 'TD'}"]
    _fill(lines, picture, 1)
    for line in picture.lines:
        lines.append(f"    {_arrow(line, picture)}")
    lines += _kinds(picture, theme)
    if picture.overlay:
        lines += _marks(picture, theme)
    lines += _lines(picture, theme)
    return "\n".join(lines) + "\n"


def _fill(lines: list[str], home: Picture | Area, depth: int) -> None:
    indent = "    " * depth
    ends = [shape for shape in home.shapes if shape.kind in ("start", "end")]
    for shape in home.shapes:
        if shape not in ends:
            left, right = ("((", "))") if shape.opened else FORMS.get(shape.kind, ("[", "]"))
            name = " " if shape.opened else _named(shape)
            lines.append(f'{indent}{shape.key}{left}"{name}"{right}')
    for area in home.areas:
        sign = SIGNS.get(area.mark, "")
        figures = area.badge or (area.own.badge if area.own is not None else "")
        told = [
            " ".join([sign, area.name]).strip(),
            f"depth {area.depth}",
            *figures.split("\n"),
        ]  # one line is all it has
        lines.append(f'{indent}subgraph {area.key}["{", ".join(_text(part) for part in told if part)}"]')
        _fill(lines, area, depth + 1)
        lines.append(f"{indent}end")
    for shape in ends:
        lines.append(f'{indent}{shape.key}(("{shape.name}"))')


def _named(shape: Shape) -> str:
    sign = SIGNS.get(shape.mark, "")
    name = f"{sign} {shape.name}" if sign else shape.name
    return "<br/>".join(_text(part) for part in (name, *shape.under))


def _arrow(line: Line, picture: Picture) -> str:
    arrow = ARROWS[line.style]
    said = (
        ", ".join(part for part in line.parts if part != "collect")
        if picture.labels or len(picture.lines) <= 200
        else ""
    )
    badge = " ".join(part for part in (SIGNS.get(line.mark, ""), line.badge) if part)
    text = ", ".join(part for part in (said, badge) if part)
    label = f'|"{_text(text)}"|' if text else ""
    return f"{line.source.key} {arrow}{label} {line.target.key}"


def _kinds(picture: Picture, theme: Theme) -> list[str]:
    """Each kind in its colours, as in the other forms: a class for its shapes, a style for its areas."""
    look = DARK if theme == "dark" else LIGHT
    found: dict[str, list[str]] = {}
    for shape in picture.every_shape():
        kind = "end" if shape.kind == "start" else shape.kind if f"{shape.kind}-fill" in look else "step"
        found.setdefault("opened" if shape.opened else kind, []).append(shape.key)
    lines: list[str] = []
    for kind, keys in found.items():
        name = f"kind_{kind.replace('-', '_')}"
        lines += [f"    classDef {name} {_form(kind, look)}", f"    class {','.join(keys)} {name}"]
    for area in picture.every_area():
        fill = look["area-deep-fill" if area.depth % 2 == 0 else "area-fill"]
        line = look.get(f"{area.kind}-line", look["area-line"])
        lines.append(f"    style {area.key} fill:{fill},stroke:{line},color:{look['ink']}")
    return lines


def _form(kind: str, look: dict[str, str]) -> str:
    if kind == "end":
        return f"fill:{look['end-fill']},stroke:{look['end-fill']},color:{look['end-ink']}"
    if kind == "opened":
        return f"fill:{look['sub-agent-line']},stroke:{look['sub-agent-line']}"
    width = ",stroke-width:2px" if kind in ("agent", "sub-agent", "human") else ""
    return f"fill:{look[f'{kind}-fill']},stroke:{look[f'{kind}-line']},color:{look['ink']}{width}"


def _lines(picture: Picture, theme: Theme) -> list[str]:
    """The colours of lines, by their numbers."""
    look = DARK if theme == "dark" else LIGHT
    found: dict[str, list[str]] = {}
    for number, line in enumerate(picture.lines):
        if line.mark in ("added", "removed", "changed"):
            form = f"stroke:{look[line.mark]},stroke-width:2px"
        elif line.mark in ("skipped", "idle"):
            form = f"stroke:{look['pale']},stroke-width:1px"
        elif line.style != "flow":
            form = f"stroke:{look[line.style]}"
        else:
            continue
        found.setdefault(form, []).append(str(number))
    return [f"    linkStyle {','.join(numbers)} {form}" for form, numbers in found.items()]


def _marks(picture: Picture, theme: Theme) -> list[str]:
    """What a walk or a comparison says, as classes: signs say it, too."""
    look = DARK if theme == "dark" else LIGHT
    forms = {
        "failed": f"stroke:{look['trouble']},stroke-width:3px",
        "stopped": f"stroke:{look['trouble']},stroke-width:3px",
        "mixed": f"stroke:{look['trouble']},stroke-width:3px",
        "running": f"stroke:{look['running']},stroke-width:3px",
        "asking": f"stroke:{look['hand']},stroke-width:3px,stroke-dasharray:6 3",
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
