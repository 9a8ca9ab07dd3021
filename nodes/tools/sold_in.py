"""Finds which things of the price list a text names."""

from __future__ import annotations

import re
from pathlib import Path

from graphflow import tool

from .._support.tables import read_table
from ..tools.price_of import singular


@tool
def sold_in(text: str, shop: str) -> list[str]:
    """List the things of the price list that a text names, in the order of the text.

    Args:
        text: any text.
        shop: the folder with prices.csv.
    """
    prices = Path(shop) / "prices.csv"
    items = [row["item"].lower() for row in read_table(prices, "item", "price")]
    written = re.findall(r"[^\W\d_]+", text.lower())
    words = [singular(word) for word in written]
    places: dict[str, int] = {}
    for item in items:
        place = place_of(item, words)
        if place is not None:
            places[item] = place
    return sorted(places, key=places.__getitem__)


def place_of(item: str, words: list[str]) -> int | None:
    """Where a thing of one or more words stands among singular words, or None."""
    wanted = [singular(word) for word in re.findall(r"[^\W\d_]+", item)]
    size = len(wanted)  # 0 for a thing whose name has no letters: it stands nowhere
    for place in range(len(words)):
        if size and words[place : place + size] == wanted:
            return place
    return None
