"""Looks an order up in the shop's order table."""

from __future__ import annotations

import csv
from pathlib import Path

from graphflow import ToolError, tool


@tool
def find_order(order_id: str, shop: str) -> dict[str, str]:
    """Find an order in the order table.

    Args:
        order_id: the number of the order.
        shop: the folder with orders.csv.
    """
    path = Path(shop) / "orders.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = {row["order_id"].strip(): row for row in csv.DictReader(file)}
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise ToolError(f"{path} cannot be read as an order table (order_id, item, status, detail): {error}") from None
    row = rows.get(order_id)
    if row is None:
        return {}
    return {name: (value or "").strip() for name, value in row.items() if name}
