"""Guards the price list: things and quantities that a model filled in must stand in the mail."""

from __future__ import annotations

import re

from graphflow import node
from nodes.messages import Item, Mail, PriceArguments, PriceQuestion, Unclear
from nodes.tools.price_of import singular

NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()


@node
def check_prices(mail: Mail, asked: PriceArguments) -> PriceQuestion | Unclear:
    """Lets through the items whose words are in the mail, with the quantity that stands before them there."""
    words = re.findall(r"[a-z]+|\d+", mail.text.lower())
    stems = [singular(word) for word in words]
    items: list[Item] = []
    for item in asked.items:
        place = next((stems.index(singular(w)) for w in item.item.split() if singular(w) in stems), None)
        if place is not None and all(singular(item.item) != singular(known.item) for known in items):
            items.append(Item(item=item.item, quantity=quantity_before(words, place) or 1))
    if not items:
        return Unclear(mail=mail, why=f"none of {', '.join(i.item for i in asked.items)} is in the message")
    return PriceQuestion(mail=mail, items=tuple(items))


def quantity_before(words: list[str], place: int) -> int | None:
    """The number that counts the word at `place`: the nearest before it, at most three words away ("2 loaves of bread")."""
    for word in reversed(words[max(0, place - 3) : place]):
        if word.isdigit() and 0 < int(word) < 1000:
            return int(word)
        if word in NUMBERS[1:]:
            return NUMBERS.index(word)
        if word in ("a", "an"):
            return 1
        if word == "dozen":
            return 12
        if word == "and":
            return None
    return None
