"""Guards the price list: things and quantities that a model filled in must stand in the mail, and none may be missing."""

from __future__ import annotations

import re

from graphflow import Context, node

from ..messages import Item, Mail, PriceArguments, PriceQuestion, Unclear, Wanted
from ..tools.price_of import singular
from ..tools.sold_in import place_of, sold_in

NUMBERS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]


@node(calls=[sold_in])
async def check_prices(mail: Mail, asked: PriceArguments, ctx: Context) -> PriceQuestion | Unclear:
    """Lets through what is in the mail, with the quantity that stands there; adds what the model overlooked."""
    words = re.findall(r"[^\W\d_]+|\d+", mail.text.lower())
    stems = [singular(word) for word in words]
    sold = await ctx.call(sold_in, {"text": mail.text, "shop": mail.shop})
    read: dict[int, Item] = {}
    for wanted in asked.items:
        place = _place(wanted.item, stems)
        if place is not None:
            read[place] = wanted
    known: dict[int, str] = {}
    for item in sold:
        place = place_of(item, stems)
        if place is not None:
            known[place] = item
    # What the price list has in the words of the mail; else what the model read in it.
    chosen = known or {place: item.item for place, item in read.items()}
    items: list[Wanted] = []
    for place, item in sorted(chosen.items()):
        # With several things, the model's number may belong to another of them.
        guess = read.get(place) if len(chosen) == 1 else None
        quantity = _quantity(words, place, guess)
        items.append(Wanted(item=item, quantity=quantity))
    if not items:
        names = ", ".join(item.item for item in asked.items)
        return Unclear(mail=mail, why=f"none of {names} is in the message")
    return PriceQuestion(mail=mail, items=tuple(items))


def _quantity(words: list[str], place: int, guess: Item | None) -> int:
    """How many are wanted: the number before the thing, the model's own if the mail has it, the one behind, else one."""
    before = quantity_before(words, place)
    if before:
        return before
    if guess is not None and _says(guess.quantity, words):
        return guess.quantity
    return quantity_after(words, place) or 1


def quantity_before(words: list[str], place: int) -> int | None:
    """The number that counts the word at `place`: the nearest before it, at most three words away ("2 loaves of bread")."""
    before = words[max(0, place - 3) : place]
    for word in reversed(before):
        number = value_of(word)
        if number is not None:
            return number
        if word in ("and", "or", "plus"):
            return None
    return None


def quantity_after(words: list[str], place: int) -> int | None:
    """The number right behind a thing ("cheese, two packs"), if it does not count the next thing."""
    for word in words[place + 1 : place + 3]:
        number = value_of(word)
        if number is not None and number > 1:
            return number
    return None


def value_of(word: str) -> int | None:
    """What a number word counts: digits, one to twelve, a, an, dozen."""
    if word.isdigit():
        number = int(word)
        return number if 0 < number < 1000 else None
    if word in NUMBERS[1:]:
        return NUMBERS.index(word)
    return {"a": 1, "an": 1, "dozen": 12}.get(word)


def _place(item: str, stems: list[str]) -> int | None:
    for word in item.split():
        stem = singular(word)
        if stem in stems:
            return stems.index(stem)
    return None


def _says(quantity: int, words: list[str]) -> bool:
    return any(value_of(word) == quantity for word in words)
