"""Amounts on a terminal: a table of numbers, and bars."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graphflow.cli.visible import visible

MAX_WIDTH = 120
"""Columns that are used of a wide terminal: a bar that is longer tells no more."""
MIN_NAME = 16
"""Columns that a name gets at least, whatever the numbers take."""
MIN_BAR = 8
GAP = "  "
_DOTS = "..."


@dataclass(frozen=True, slots=True)
class NamedAmounts:
    """A row of a table.

    Attributes:
        name: what it is about.
        amounts: a text for each column.
    """

    name: str
    amounts: Sequence[str]


def amount_table(head: NamedAmounts, rows: Sequence[NamedAmounts]) -> str:
    """A table with names on the left and numbers set to the right; columns in which nothing stands are left out."""
    columns: list[list[str]] = []
    taken = 0
    for number, title in enumerate(head.amounts):
        cells = [row.amounts[number] for row in rows]
        if not any(cells):
            continue
        cells.insert(0, title)
        column = _to_the_right(cells)
        columns.append(column)
        taken += len(GAP)
        taken += len(column[0])
    # The names get what the numbers leave.
    names = [row.name for row in rows]
    names.insert(0, head.name)
    first = _of_one_width(names, taken)
    columns.insert(0, first)
    return _lined_up(columns)


def _lined_up(columns: Sequence[Sequence[str]]) -> str:
    """Columns beside each other, with a rule below their heads."""
    lines: list[str] = []
    for cells in zip(*columns, strict=True):
        line = GAP.join(cells)
        lines.append(line.rstrip())
    rules: list[str] = []
    for column in columns:
        width = len(column[0])
        rules.append("-" * width)
    rule = GAP.join(rules)
    lines.insert(1, rule)
    return "\n".join(lines)


def bar_chart(rows: Sequence[tuple[str, float]], shown: Callable[[float], str]) -> str:
    """A bar a row, with its name before it and its amount behind it.

    Args:
        rows: names and amounts, none below 0.
        shown: how an amount is written.
    """
    names: list[str] = []
    texts: list[str] = []
    most = 0.0
    for name, amount in rows:
        text = shown(amount)
        names.append(name)
        texts.append(text)
        most = max(most, amount)
    texts = _to_the_right(texts)
    behind = len(texts[0])
    gaps = 2 * len(GAP)
    taken = behind + gaps
    # Beside a long name there is still a bar.
    names = _of_one_width(names, taken + MIN_BAR)
    taken += len(names[0])
    room = _room() - taken
    bars: list[str] = []
    for _, amount in rows:
        share = amount / most if most else 0.0
        bar = _bar(share, room)
        bars.append(bar)
    lines = zip(names, bars, texts, strict=True)
    return "\n".join(map(GAP.join, lines))


def _bar(share: float, room: int) -> str:
    length = round(share * room)
    # What is there at all is seen, however little it is.
    if share and not length:
        length = 1
    bar = _mark() * length
    return bar.ljust(room)


def _to_the_right(cells: Sequence[str]) -> list[str]:
    width = max(map(len, cells))
    return [cell.rjust(width) for cell in cells]


def _of_one_width(names: Sequence[str], taken: int) -> list[str]:
    """Names of one width, which leaves so many columns to others."""
    room = _room() - taken
    room = max(room, MIN_NAME)
    lines: list[str] = []
    for name in names:
        line = _one_line(name)
        line = _shortened(line, room)
        lines.append(line)
    width = max(map(len, lines))
    return [line.ljust(width) for line in lines]


def _one_line(name: str) -> str:
    shown = visible(name)
    return shown.replace("\n", " ")


def _shortened(name: str, width: int) -> str:
    """A name without its middle, if it is too long: its ends tell most."""
    if len(name) <= width:
        return name
    kept = width - len(_DOTS)
    head = kept // 2
    tail = kept - head
    beginning = name[:head]
    end = name[-tail:]
    return f"{beginning}{_DOTS}{end}"


def _room() -> int:
    terminal = shutil.get_terminal_size((80, 24))
    return min(MAX_WIDTH, terminal.columns)


def _mark() -> str:
    """What bars are made of: a block, where the terminal can write one."""
    block = "█"
    encoding = sys.stdout.encoding or "ascii"
    try:
        block.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return "#"
    return block
