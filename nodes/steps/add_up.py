"""Makes a fact of prices, along the call edge to the price list. Code adds, not a model."""

from __future__ import annotations

from decimal import Decimal

from graphflow import Context, node

from ..messages import Fact, PriceQuestion, Unclear
from ..tools.price_of import price_of


@node(calls=[price_of])
async def add_up(question: PriceQuestion, ctx: Context) -> Fact | Unclear:
    """The total of what is asked, as a sentence that is true."""
    total = Decimal(0)
    parts: list[str] = []
    missing: list[str] = []
    mail = question.mail
    for item in question.items:
        row = await ctx.call(price_of, {"item": item.item, "shop": mail.shop})
        if not row:
            missing.append(item.item)
            continue
        quantity = item.quantity
        total += Decimal(row["price"]) * quantity
        thing = counted(quantity, row)
        parts.append(f"{quantity} {thing}")
    # With one price known, the answer names what it is for; with none, there is no answer.
    if not parts:
        names = ", ".join(missing)
        return Unclear(mail=mail, why=f"we have no price for {names}")
    first = question.items[0]
    is_one = len(parts) == 1 and first.quantity <= 1
    verb = "costs" if is_one else "cost"
    things = " and ".join(parts)
    price = f"{total:.2f}"
    return Fact(mail=mail, topic="price", text=f"{things} {verb} {price} euros.", must=(price,))


def counted(quantity: int, row: dict[str, str]) -> str:
    """A thing as it is counted: `egg`, `eggs`, `loaves of bread`."""
    is_piece = row["unit"] == "piece"
    word = row["item"] if is_piece else row["unit"]
    if quantity > 1:
        word = plural(word)
    return word if is_piece else f"{word} of {row['item']}"


def plural(word: str) -> str:
    """An English noun in the plural, roughly."""
    if word.endswith("f"):
        return f"{word[:-1]}ves"
    if word.endswith(("x", "s", "ch")):
        return f"{word}es"
    return f"{word}s"
