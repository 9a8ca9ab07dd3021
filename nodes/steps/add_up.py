"""Makes a fact of prices, along the call edge to the price list. Code adds, not a model."""

from __future__ import annotations

from decimal import Decimal

from graphflow import Context, node
from nodes.messages import Fact, PriceQuestion, Unclear
from nodes.tools.price_of import price_of


@node(calls=[price_of])
async def add_up(question: PriceQuestion, ctx: Context) -> Fact | Unclear:
    """The total of what is asked, as a sentence that is true."""
    total = Decimal(0)
    parts: list[str] = []
    missing: list[str] = []
    for item in question.items:
        row = await ctx.call(price_of, {"item": item.item, "shop": question.mail.shop})
        if not row:
            missing.append(item.item)
            continue
        total += Decimal(row["price"]) * item.quantity
        parts.append(f"{item.quantity} {counted(item.quantity, row)}")
    # With one price known, the answer names what it is for; with none, there is no answer.
    if not parts:
        return Unclear(mail=question.mail, why=f"we have no price for {', '.join(missing)}")
    is_one = len(parts) == 1 and question.items[0].quantity <= 1
    verb = "costs" if is_one else "cost"
    text = f"{' and '.join(parts)} {verb} {total:.2f} euros."
    return Fact(mail=question.mail, topic="price", text=text, must=(f"{total:.2f}",))


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
