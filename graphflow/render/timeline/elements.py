"""The elements that a timeline is made of. What they hold must be markup already: escaped, or made here."""

from __future__ import annotations


def number(value: float) -> str:
    """A length with one decimal, if it needs one."""
    return f"{value:.1f}".removesuffix(".0")


def element(name: str, attributes: dict[str, str], inner: str = "") -> str:
    """An element with those of the attributes that have a value."""
    opening = name
    for key, value in attributes.items():
        if value:
            opening += f' {key}="{value}"'
    return f"<{opening}>{inner}</{name}>" if inner else f"<{opening}/>"


def text(kind: str, x: float, y: float, inner: str, anchor: str = "") -> str:
    """Words at a place; `anchor` says which end of them stands there."""
    attributes = {"class": kind, "x": number(x), "y": number(y), "text-anchor": anchor}
    return element("text", attributes, inner)


def path(kind: str, line: str, title: str = "") -> str:
    """A line, or a shape, with its tooltip."""
    inner = f"<title>{title}</title>" if title else ""
    return element("path", {"class": kind, "d": line}, inner)


def across(kind: str, x: float, y: float, to_x: float) -> str:
    """A level line."""
    return path(kind, f"M{number(x)} {number(y)}H{number(to_x)}")


def down(kind: str, x: float, y: float, to_y: float) -> str:
    """An upright line."""
    return path(kind, f"M{number(x)} {number(y)}V{number(to_y)}")


def bar(kind: str, x: float, y: float, width: float, height: float, title: str, radius: int = 0) -> str:
    """A rectangle with its tooltip, the corners of it rounded or not."""
    attributes = {
        "class": kind,
        "x": number(x),
        "y": number(y),
        "width": number(width),
        "height": number(height),
        "rx": str(radius or ""),
    }
    return element("rect", attributes, f"<title>{title}</title>")
