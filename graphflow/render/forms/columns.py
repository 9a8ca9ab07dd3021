"""Text in columns of a terminal."""

from __future__ import annotations

import unicodedata

from graphflow.render.xml import ELLIPSIS, clip

ASCII_SIGNS = {
    "\u2713": "+",
    "\u2717": "x",
    "\u2205": "0",
    "\u25b8": ">",
    "\u2026": "~",
    "\u00d7": "x",
    "\u25cf": "*",
}
"""Signs by what stands for them in text that has only ASCII."""


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def _width(sign: str) -> int:
    if unicodedata.combining(sign):
        return 0
    # W is wide and F full-width: most of what is written in Chinese, Japanese and Korean.
    is_wide = unicodedata.east_asian_width(sign) in "WF"
    return 2 if is_wide else 1


def fitted(text: str, width: int) -> str:
    """A text cut and padded to this width."""
    text = clip(text, width * 4)  # what takes no column of its own is not endless either
    while columns(text) > width:
        if len(text) <= 1:
            text = ""
            break
        text = text[:-2] + ELLIPSIS
    room = width - columns(text)
    return text + " " * room


def line_of(text: str, width: int) -> str:
    """A text on one line, cut to this width."""
    line = text.replace("\n", " ")
    return fitted(line, width).rstrip()


def in_ascii(text: str) -> str:
    """A text with ASCII for each sign."""
    written = ""
    for sign in text:
        if not sign.isascii():
            sign = ASCII_SIGNS.get(sign, "?")
        written += sign
    return written
