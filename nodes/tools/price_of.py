"""Looks things up in the shop's price list."""

from __future__ import annotations

import difflib
from decimal import Decimal, InvalidOperation
from pathlib import Path

from graphflow import ToolError, tool
from nodes._support.tables import read_table


@tool
def price_of(item: str, shop: str) -> dict[str, str]:
    """Find the price of a thing in the price list; an empty answer means it is not sold.

    Args:
        item: what it is called, in the singular or plural.
        shop: the folder with prices.csv.
    """
    rows = {row["item"].lower(): row for row in read_table(Path(shop) / "prices.csv", "item", "price")}
    # As it is, then word by word ("loaves of fresh bread"), then what is written nearly like it.
    whole = item.lower()
    words = whole.split()
    for name in (whole, *words, *(singular(word) for word in words)):
        if name in rows:
            return priced(rows[name])
    near = difflib.get_close_matches(singular(whole), rows, n=1, cutoff=0.8)
    if not near:
        return {}
    return priced(rows[near[0]])


def priced(row: dict[str, str]) -> dict[str, str]:
    """A row of the price list, its price checked."""
    try:
        price = Decimal(row["price"])
    except InvalidOperation:
        price = Decimal(-1)
    item, text = row["item"], row["price"]
    if not price.is_finite() or not 0 <= price < 10**9:
        raise ToolError(f"the price of {item} is {text!r}; mend prices.csv (a number with a point, not below 0)")
    return {"item": item.lower(), "price": text, "unit": row.get("unit") or "piece"}


def singular(word: str) -> str:
    """An English plural without its ending, roughly: `loaves` is `loaf`, `candles` is `candle`."""
    for ending, stem in (("aves", "af"), ("ies", "y"), ("sses", "ss"), ("xes", "x"), ("s", "")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[: -len(ending)] + stem
    return word
