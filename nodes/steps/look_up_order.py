"""Makes a fact of an order, along the call edge to the order table."""

from __future__ import annotations

from graphflow import Context, node
from nodes.messages import Fact, OrderQuestion
from nodes.tools.find_order import find_order

DATED = {
    "delivered": "was delivered on {}",
    "returned": "was returned on {}",
    "being packed": "is being packed and will be sent on {}",
    "on its way": "is on its way and arrives on {}",
}

KEY = {"on its way": "way", "being packed": "packed", "waiting for payment": "payment"}
"""The word of a status that a retelling must keep; else all of it."""


@node(calls=[find_order])
async def look_up_order(question: OrderQuestion, ctx: Context) -> Fact:
    """What the order table says, as a sentence that is true."""
    row = await ctx.call(find_order, {"order_id": question.order_id, "shop": question.mail.shop})
    number = question.order_id
    if not row:
        text, must = f"There is no order {number} in our books.", ("no order", number)
    else:
        status, detail = row.get("status", ""), row.get("detail", "")
        text = f"Order {number} ({row.get('item') or 'goods'}) {state_of(status, detail)}."
        must = (KEY.get(status, status), *([detail] if detail else []))
    return Fact(mail=question.mail, topic="order", text=text, must=must)


def state_of(status: str, detail: str) -> str:
    """What can be said of an order. A date is an arrival only where the status says so: what is cancelled never arrives."""
    if not status:
        return "is in our books"
    if not detail:
        return f"is {status}"
    if status in DATED:
        return DATED[status].format(detail)
    return f"is {status} and arrives on {detail}" if status.startswith("delayed") else f"is {status}, {detail}"
