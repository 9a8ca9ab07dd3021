"""`graphflow usage`: what the runs that are kept have spent, as a table, a chart, or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from graphflow.cli.amounts import NamedAmounts, amount_table, bar_chart
from graphflow.cli.options import Measure
from graphflow.cli.printing import note, out, out_json
from graphflow.project.spent import NO_CONVERSATION, Spent, UsageOfStore
from graphflow.proofs.report import counted

MAX_FILLED_DAYS = 92
"""Days without a run are shown in a chart, too, as long as it has no more days than these."""
MAX_DAMAGED = 3
"""So many damaged runs are named."""
CENTS_FROM = 100
"""Dollars from which on no more than cents are shown."""
_DAY = timedelta(1)
_UNITS: Mapping[Measure, str] = {
    "usd": "US dollars",
    "tokens": "tokens",
    "calls": "model calls",
    "runs": "runs",
}
_COLUMNS = ("runs", "calls", "tokens in", "tokens out", "usd", "unpriced")


def show_usage_table(found: UsageOfStore) -> None:
    """Prints a table: a row a group, and one for all."""
    rows = found.shown()
    if not rows:
        note("no runs fit")
        return
    # A single group is the sum already.
    if len(found.groups) > 1:
        rows.append(found.total)
    head = NamedAmounts(found.wanted.by, _COLUMNS)
    lines = [_line(row) for row in rows]
    out(amount_table(head, lines))
    _say_the_rest(found)


def show_usage_chart(found: UsageOfStore, measure: Measure | None) -> None:
    """Prints a bar a group: of dollars where some were spent, else of tokens, else of runs."""
    rows = found.shown()
    if not rows:
        note("no runs fit")
        return
    chosen = measure or _telling(found.total)
    if found.wanted.by == "day":
        rows = _with_empty_days(rows)
    bars: list[tuple[str, float]] = []
    for row in rows:
        amount: float = getattr(row, chosen)
        bars.append((row.name, amount))
    unit = _UNITS[chosen]
    shown = _money if chosen == "usd" else _number
    out(f"{unit} by {found.wanted.by}")
    out(bar_chart(bars, shown))
    _say_the_rest(found)


def show_usage_json(found: UsageOfStore) -> None:
    """Prints all groups as JSON, whatever is the limit."""
    by = found.wanted.by
    rows: list[dict[str, object]] = []
    for row in found.ordered():
        name = None if row.name == NO_CONVERSATION else row.name
        rows.append({by: name, **_plain(row)})
    total = _plain(found.total)
    data = {"by": by, "rows": rows, "total": total}
    out_json({**data, "damaged": found.damaged})


def _say_the_rest(found: UsageOfStore) -> None:
    """Says what the rows do not show."""
    more = len(found.groups) - len(found.shown())
    if more:
        rows = counted(more, "more row")
        note(f"and {rows}; --limit shows more, and the sum is of all")
    unpriced = found.total.unpriced
    if unpriced:
        calls = counted(unpriced, "model call")
        note(f"nobody knows the price of {calls}: they stand under `unpriced`, not under `usd`")
    if found.damaged:
        runs = counted(len(found.damaged), "run")
        names = ", ".join(found.damaged[:MAX_DAMAGED])
        note(f"{runs} could not be read to the end, and may have spent more: {names}")


def _telling(total: Spent) -> Measure:
    """The number that tells most."""
    if total.usd:
        return "usd"
    if total.tokens:
        return "tokens"
    return "runs"


def _with_empty_days(rows: list[Spent]) -> list[Spent]:
    """The same with the days between on which nothing ran, so that the bars are a time line."""
    day = date.fromisoformat(rows[0].name)
    last = date.fromisoformat(rows[-1].name)
    span = last - day
    if span.days >= MAX_FILLED_DAYS:
        return rows
    known = {row.name: row for row in rows}
    filled: list[Spent] = []
    while day <= last:
        name = day.isoformat()
        row = known.get(name)
        if row is None:
            row = Spent(name)
        filled.append(row)
        day += _DAY
    return filled


def _plain(spent: Spent) -> dict[str, object]:
    return {
        "runs": spent.runs,
        "model_calls": spent.calls,
        "input_tokens": spent.input_tokens,
        "output_tokens": spent.output_tokens,
        # Sums of fractions have digits that mean nothing.
        "usd": round(spent.usd, 9),
        "unpriced_calls": spent.unpriced,
    }


def _line(spent: Spent) -> NamedAmounts:
    unpriced = ""
    if spent.unpriced:
        unpriced = _number(spent.unpriced)
    amounts = [
        _number(spent.runs),
        _number(spent.calls),
        _number(spent.input_tokens),
        _number(spent.output_tokens),
        _money(spent.usd),
        unpriced,
    ]
    return NamedAmounts(spent.name, amounts)


def _number(amount: float) -> str:
    return f"{amount:,.0f}"


def _money(amount: float) -> str:
    """Dollars as people read them: cents where there are many, more digits where there are few."""
    if amount >= CENTS_FROM:
        return f"{amount:,.2f}"
    return f"{amount:.4f}" if amount else "0"
