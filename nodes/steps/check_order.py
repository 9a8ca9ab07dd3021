"""Guards the order table: the number that a model filled in must stand in the mail."""

from __future__ import annotations

import re

from graphflow import node

from ..messages import Mail, OrderArguments, OrderQuestion, Unclear


@node
def check_order(mail: Mail, asked: OrderArguments) -> OrderQuestion | Unclear:
    """Lets through what is in the mail; a model may not make up a number."""
    numbers = re.findall(r"\d+", mail.text)
    if asked.order_id in numbers:
        return OrderQuestion(mail=mail, order_id=asked.order_id)
    if len(numbers) == 1:  # the model misread it, and there is only one that can be meant
        return OrderQuestion(mail=mail, order_id=numbers[0])
    return Unclear(mail=mail, why=f"order number {asked.order_id} is not in the message")
