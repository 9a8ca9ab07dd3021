"""The specialist for orders."""

from __future__ import annotations

from graphflow import END, START, Graph

from ..agents.order_reader import order_reader
from ..messages import OrderQuestion, Unclear
from ..steps.check_order import check_order
from ..steps.look_up_order import look_up_order
from ..subagents.answer import answer

orders = Graph(
    "orders",
    START >> (order_reader, check_order.into("mail")),
    order_reader >> check_order.into("asked"),
    check_order[OrderQuestion] >> look_up_order >> answer >> END,
    check_order[Unclear] >> END,
    description="Answers questions about the state of an order.",
)
