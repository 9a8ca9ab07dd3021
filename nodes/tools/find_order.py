"""Looks an order up in the shop's order table."""

from __future__ import annotations

from pathlib import Path

from graphflow import tool

from .._support.tables import read_table


@tool
def find_order(order_id: str, shop: str) -> dict[str, str]:
    """Find an order in the order table.

    Args:
        order_id: the number of the order.
        shop: the folder with orders.csv.
    """
    table = read_table(Path(shop) / "orders.csv", "order_id", "item", "status", "detail")
    rows = {row["order_id"]: row for row in table}
    return rows.get(order_id, {})
