"""The elements that a timeline is made of. What they hold must be markup already: escaped, or made here."""

from __future__ import annotations


def number(value: float) -> str:
    """A length with one decimal, if it needs one."""
    return f"{value:.1f}".removesuffix(".0")


def text(kind: str, x: float, y: float, inner: str, anchor: str = "") -> str:
    """Words at a place; `anchor` says which end of them stands there."""
    attributes = f'x="{number(x)}" y="{number(y)}"'
    if kind:
        attributes = f'class="{kind}" {attributes}'
    if anchor:
        attributes += f' text-anchor="{anchor}"'
    return f"<text {attributes}>{inner}</text>"


def path(kind: str, line: str, title: str = "") -> str:
    """A line, or a shape, with its tooltip."""
    if title:
        return f'<path class="{kind}" d="{line}"><title>{title}</title></path>'
    return f'<path class="{kind}" d="{line}"/>'


def across(kind: str, x: float, y: float, to_x: float) -> str:
    """A level line."""
    return path(kind, f"M{number(x)} {number(y)}H{number(to_x)}")


def down(kind: str, x: float, y: float, to_y: float) -> str:
    """An upright line."""
    return path(kind, f"M{number(x)} {number(y)}V{number(to_y)}")


def bar(kind: str, x: float, y: float, width: float, height: float, title: str, radius: int = 0) -> str:
    """A rectangle with its tooltip, the corners of it rounded or not."""
    size = f'width="{number(width)}" height="{number(height)}"'
    if radius:
        size += f' rx="{radius}"'
    return f'<rect class="{kind}" x="{number(x)}" y="{number(y)}" {size}><title>{title}</title></rect>'
