"""Finds which things of the price list a text names."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from graphflow import ToolError, tool
from nodes.tools.price_of import singular


@tool
def sold_in(text: str, shop: str) -> list[str]:
    """List the things of the price list that a text names, in the order of the text.

    Args:
        text: any text.
        shop: the folder with prices.csv.
    """
    path = Path(shop) / "prices.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            items = [row["item"].strip().lower() for row in csv.DictReader(file)]
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise ToolError(f"{path} cannot be read as a price list (item, price, unit): {error}") from None
    words = [singular(word) for word in re.findall(r"[a-z]+", text.lower())]
    places = {item: words.index(item) for item in items if item in words}
    return sorted(places, key=places.__getitem__)
