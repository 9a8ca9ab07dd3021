"""How wide a text is in Helvetica: the face that layout programs measure by."""

from __future__ import annotations

_CHARACTERS = "".join(map(chr, range(32, 127)))
_THOUSANDTHS = """
278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278
556 556 556 556 556 556 556 556 556 556
278 278 584 584 584 556 1015
667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778
722 667 611 722 667 944 667 667 611 278 278 278 469 556 333
556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556
333 500 278 556 500 722 500 500 500 334 260 334 584
"""
_WIDTHS = dict(zip(_CHARACTERS, map(int, _THOUSANDTHS.split()), strict=True))
"""Helvetica's widths of ASCII, in thousandths of the size."""
OTHER_WIDTH = 278
"""The width of what is not ASCII: that of a space, as graphviz-pure counts it."""


def width_of(text: str, size: float) -> float:
    """The width of a line of text in points."""
    width = 0
    for character in text:
        width += _WIDTHS.get(character, OTHER_WIDTH)
    return width * size / 1000
