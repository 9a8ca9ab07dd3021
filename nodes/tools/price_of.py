"""Looks things up in the shop's price list."""

from __future__ import annotations

import difflib
from decimal import Decimal, InvalidOperation
from pathlib import Path

from graphflow import ToolError, tool

from .._support.tables import read_table

ENDINGS = {"aves": "af", "ies": "y", "sses": "ss", "xes": "x", "s": ""}
"""Endings of plurals, with what stands there in the singular; the first that fits counts."""


@tool
def price_of(item: str, shop: str) -> dict[str, str]:
    """Find the price of a thing in the price list; an empty answer means it is not sold.

    Args:
        item: what it is called, in the singular or plural.
        shop: the folder with prices.csv.
    """
    prices = Path(shop) / "prices.csv"
    rows = {row["item"].lower(): row for row in read_table(prices, "item", "price")}
    # As it is, then word by word ("loaves of fresh bread"), then what is written nearly like it.
    whole = item.lower()
    words = whole.split()
    singulars = [singular(word) for word in words]
    for name in (whole, *words, *singulars):
        if name in rows:
            return priced(rows[name])
    near = difflib.get_close_matches(singular(whole), rows, n=1, cutoff=0.8)
    if not near:
        return {}
    nearest = near[0]
    return priced(rows[nearest])


def priced(row: dict[str, str]) -> dict[str, str]:
    """A row of the price list, its price checked."""
    item = row["item"]
    text = row["price"]
    unit = row.get("unit") or "piece"
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal(-1)  # refused below, as a price below zero is
    if not price.is_finite() or not 0 <= price < 10**9:
        raise ToolError(
            f"the price of {item} is {text!r}; mend prices.csv (a number with a point, not below 0)"
        )
    return {"item": item.lower(), "price": text, "unit": unit}


def singular(word: str) -> str:
    """An English plural without its ending, roughly: `loaves` is `loaf`, `candles` is `candle`."""
    for ending, stem in ENDINGS.items():
        beginning = word.removesuffix(ending)
        # More than a letter must be left: `s` and `is` are no plurals.
        if beginning != word and len(beginning) > 1:
            return beginning + stem
    return word
