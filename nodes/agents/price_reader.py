"""Fills in the arguments of the price list from a mail."""

from __future__ import annotations

from graphflow import Agent

from ..messages import Item, Mail, PriceArguments


def _mail(text: str) -> Mail:
    return Mail(number=0, sender="", text=text, shop="")


def _items(*items: tuple[str, int]) -> PriceArguments:
    return PriceArguments(items=[Item(item=item, quantity=quantity) for item, quantity in items])


price_reader = Agent(
    "price_reader",
    input=Mail,
    output=PriceArguments,
    prompt="{{ text }}",
    system="List the things of the message and how many of each, as JSON.",
    examples=[
        (_mail("How much are 3 pears and 2 cakes?"), _items(("pear", 3), ("cake", 2))),
        (_mail("What does a bottle of juice cost?"), _items(("juice", 1))),
        (_mail("price of 12 onions please"), _items(("onion", 12))),
        (_mail("Hi, how much are four jars of pickles?"), _items(("pickle", 4))),
        (
            _mail("I need 4 cakes and a bag of salt. What is the price?"),
            _items(("cake", 4), ("salt", 1)),
        ),
        (
            _mail("I want two packs of flour and one salt, what is the total?"),
            _items(("flour", 2), ("salt", 1)),
        ),
    ],
    max_tokens=96,
    repairs=0,
)
