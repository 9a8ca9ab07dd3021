"""The specialist for orders."""

from __future__ import annotations

from graphflow import END, START, Graph
from nodes.agents.order_reader import order_reader
from nodes.messages import OrderQuestion, Unclear
from nodes.steps.check_order import check_order
from nodes.steps.look_up_order import look_up_order
from nodes.subagents.answer import answer

orders = Graph(
    "orders",
    START >> (order_reader, check_order.into("mail")),
    order_reader >> check_order.into("asked"),
    check_order[OrderQuestion] >> look_up_order >> answer >> END,
    check_order[Unclear] >> END,
    description="Answers questions about the state of an order.",
)
