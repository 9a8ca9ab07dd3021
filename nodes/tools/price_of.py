"""Looks things up in the shop's price list."""

from __future__ import annotations

import csv
import difflib
from pathlib import Path

from graphflow import ToolError, tool


@tool
def price_of(item: str, shop: str) -> dict[str, str]:
    """Find the price of a thing in the price list; an empty answer means it is not sold.

    Args:
        item: what it is called, in the singular or plural.
        shop: the folder with prices.csv.
    """
    path = Path(shop) / "prices.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = {row["item"].strip().lower(): row for row in csv.DictReader(file)}
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise ToolError(f"{path} cannot be read as a price list (item, price, unit): {error}") from None
    words = item.lower().split()
    for name in (item.lower(), *words, *(singular(word) for word in words)):
        if name in rows:
            return {
                "item": name,
                "price": rows[name]["price"].strip(),
                "unit": (rows[name].get("unit") or "piece").strip(),
            }
    near = difflib.get_close_matches(singular(item.lower()), rows, n=1, cutoff=0.8)
    return (
        {
            "item": near[0],
            "price": rows[near[0]]["price"].strip(),
            "unit": (rows[near[0]].get("unit") or "piece").strip(),
        }
        if near
        else {}
    )


def singular(word: str) -> str:
    """An English plural without its ending, roughly: `loaves` is `loaf`, `candles` is `candle`."""
    for ending, stem in (("aves", "af"), ("ies", "y"), ("sses", "ss"), ("xes", "x"), ("s", "")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[: -len(ending)] + stem
    return word
