"""The parts that DOT text is made of: labels of markup, attributes, names of classes. Nothing in them is read as anything else."""

from __future__ import annotations

import re
from html import escape
from typing import Protocol

from graphflow.render.labels import MAX_TOOLTIP, one_line, printable
from graphflow.render.palette import SHAPES
from graphflow.render.xml import clip

MAX_SMALL = 60
"""Characters of a small line."""
SMALL_SIZE = 8
NO_BREAK = "\u00a0"
SPACE = NO_BREAK * 2
"""Between a title and the words beside it."""
GAP = f'<BR/><FONT POINT-SIZE="2">{NO_BREAK}</FONT>'
"""A little room between a name and what stands under it: underscores reach down."""

Attributes = dict[str, str]


class Body(Protocol):
    """A graph or subgraph of the graphviz package, as far as lines are written to it."""

    body: list[str]


def put(dot: Body, what: str, attributes: Attributes) -> None:
    """Writes one node or edge: graphviz's own way looks at each of many thousand values to see whether it needs quotes."""
    written: list[str] = []
    for name, value in attributes.items():
        # Markup stands without quotes.
        if not value.startswith("<"):
            value = f'"{value}"'
        written.append(f"{name}={value}")
    line = " ".join(written)
    statement = f"\t{what} [{line}]\n"
    dot.body.append(statement)


def label(lines: list[str], size: float, ink: str, *, padding: int = 0) -> str:
    """A label of lines; the padding is the number of spaces on both sides."""
    rows = _rows(lines, "<BR/>", padding)
    text = _font(size, ink, rows)
    return f"<{text}>"


def label_over(lines: list[str], size: float, ink: str, under: list[str], faint: str) -> str:
    """A label of lines, with smaller ones under them."""
    rows = _rows(lines, "<BR/>")
    text = _font(size, ink, rows)
    # Without small lines the name stands in the middle.
    if under:
        text += GAP
    for line in under:
        small = _small(line, faint)
        text += f"<BR/>{small}"
    return f"<{text}>"


def title(lines: list[str], size: float, ink: str, aside: str, under: list[str], faint: str) -> str:
    """The title of an area: lines at the left, with some words beside the last one, and smaller lines under them."""
    turn = '<BR ALIGN="LEFT"/>'
    rows = _rows(lines, turn)
    text = _font(size, ink, rows)
    beside = escaped(aside)
    text += _font(SMALL_SIZE, faint, SPACE + beside)
    for line in under:
        small = _small(line, faint)
        text += turn
        text += small
    # A turn says where the line before it stands: the last of several, too, stands at the left.
    if under or len(lines) > 1:
        text += turn
    return f"<{text}>"


def _rows(lines: list[str], turn: str, padding: int = 0) -> str:
    pad = NO_BREAK * padding
    rows: list[str] = []
    for line in lines:
        text = escaped(line)
        row = pad + text + pad
        rows.append(row)
    return turn.join(rows)


def _small(text: str, colour: str) -> str:
    line = clip(text, MAX_SMALL)
    markup = escaped(line)
    return _font(SMALL_SIZE, colour, markup)


def _font(size: float, colour: str, text: str) -> str:
    return f'<FONT POINT-SIZE="{size:g}" COLOR="{colour}">{text}</FONT>'


def escaped(text: str) -> str:
    """A text in a label: no markup, and no escapes of graphviz's own, which are read inside of labels, too."""
    line = one_line(text)
    markup = escape(line)
    markup = markup.replace("\\", "\\\\")
    # Graphviz refuses an element without text.
    if not markup:
        return " "
    return markup


def quoted(text: str) -> str:
    """A text in a quoted attribute, also one that begins and ends as markup does."""
    shown = printable(text)
    shown = shown[:MAX_TOOLTIP]
    # Backslashes first: the others bring backslashes of their own.
    shown = shown.replace("\\", "\\\\")
    shown = shown.replace("\n", "\\n")
    shown = shown.replace('"', '\\"')
    if shown.startswith("<"):
        # `put` takes a value that begins so for markup.
        return f" {shown}"
    return shown


def css_class(kind: str, mark: str) -> str:
    """The classes of an element: what it is, and its mark in a walk or a comparison."""
    classes = f"gf-{kind}"
    if mark:
        classes += f" gf-{mark}"
    return classes


def kind_name(kind: str) -> str:
    """A kind as the name of a class; a user's own kind may be called anything."""
    if kind in SHAPES:
        return kind
    name = re.sub(r"[^\w-]", "-", kind, flags=re.ASCII)
    return name or "node"
