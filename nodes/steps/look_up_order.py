"""Makes a fact of an order, along the call edge to the order table."""

from __future__ import annotations

from graphflow import Context, node

from ..messages import Fact, OrderQuestion
from ..tools.find_order import find_order

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
    number, mail = question.order_id, question.mail
    row = await ctx.call(find_order, {"order_id": number, "shop": mail.shop})
    if not row:
        text = f"There is no order {number} in our books."
        return Fact(mail=mail, topic="order", text=text, must=("no order", number))
    item = row.get("item") or "goods"
    status = row.get("status", "")
    detail = row.get("detail", "")
    state = state_of(status, detail)
    text = f"Order {number} ({item}) {state}."
    # What the reply has to keep, whatever words the model finds for the rest.
    must = [KEY.get(status, status)]
    if detail:
        must.append(detail)
    return Fact(mail=mail, topic="order", text=text, must=tuple(must))


def state_of(status: str, detail: str) -> str:
    """What can be said of an order. A date is an arrival only where the status says so: what is cancelled never arrives."""
    if not status:
        return "is in our books"
    if not detail:
        return f"is {status}"
    if status in DATED:
        return DATED[status].format(detail)
    if status.startswith("delayed"):
        return f"is {status} and arrives on {detail}"
    return f"is {status}, {detail}"
