"""Fills in the argument of the order table from a mail."""

from __future__ import annotations

from graphflow import Agent

from ..messages import Mail, OrderArguments

_SHOP = ""


def _mail(text: str) -> Mail:
    return Mail(number=0, sender="", text=text, shop=_SHOP)


order_reader = Agent(
    "order_reader",
    input=Mail,
    output=OrderArguments,
    prompt="{{ text }}",
    system="Write the order number of the message as JSON.",
    examples=[
        (_mail("Where is my order 3312? It has not arrived."), OrderArguments(order_id="3312")),
        (
            _mail("I bought 2 cups, number 871, and wait since 3 weeks"),
            OrderArguments(order_id="871"),
        ),
        (_mail("parcel 24601 still not here"), OrderArguments(order_id="24601")),
    ],
    max_tokens=24,
    repairs=0,
)
