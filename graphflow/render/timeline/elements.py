"""The elements that a timeline is made of. What they hold must be markup already: escaped, or made here."""

from __future__ import annotations

ATTRIBUTES = {"kind": "class", "anchor": "text-anchor", "line": "d", "radius": "rx"}
"""Our words for attributes, by SVG's; the others have the same."""


def number(value: float) -> str:
    """A length with one decimal, if it needs one."""
    text = f"{value:.1f}"
    return text.removesuffix(".0")


def element(name: str, inner: str, **attributes: str) -> str:
    """An element with those of the attributes that have a value."""
    opening = name
    for word, value in attributes.items():
        if value:
            attribute = ATTRIBUTES.get(word, word)
            opening += f' {attribute}="{value}"'
    if not inner:
        return f"<{opening}/>"
    return f"<{opening}>{inner}</{name}>"


def text(kind: str, x: float, y: float, inner: str, anchor: str = "") -> str:
    """Words at a place; `anchor` says which end of them stands there."""
    left = number(x)
    base = number(y)
    return element("text", inner, kind=kind, x=left, y=base, anchor=anchor)


def path(kind: str, line: str, title: str = "") -> str:
    """A line, or a shape, with its tooltip."""
    return element("path", tooltip(title), kind=kind, line=line)


def across(kind: str, x: float, y: float, to_x: float) -> str:
    """A level line."""
    start = place(x, y)
    end = number(to_x)
    return path(kind, f"M{start}H{end}")


def down(kind: str, x: float, y: float, to_y: float) -> str:
    """An upright line."""
    start = place(x, y)
    end = number(to_y)
    return path(kind, f"M{start}V{end}")


def bar(
    kind: str, x: float, y: float, width: float, height: float, title: str, radius: str = ""
) -> str:
    """A rectangle with its tooltip, the corners of it rounded or not."""
    return element(
        "rect",
        tooltip(title),
        kind=kind,
        x=number(x),
        y=number(y),
        width=number(width),
        height=number(height),
        radius=radius,
    )


def place(x: float, y: float) -> str:
    """A place in a path."""
    left = number(x)
    top = number(y)
    return f"{left} {top}"


def tooltip(title: str) -> str:
    """What a browser shows for the element that this stands in; nothing for no text."""
    if not title:
        return ""
    return f"<title>{title}</title>"
