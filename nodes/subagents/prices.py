"""The specialist for prices."""

from __future__ import annotations

from graphflow import END, START, Graph

from ..agents.price_reader import price_reader
from ..messages import Fact, PriceQuestion, Unclear
from ..steps.add_up import add_up
from ..steps.check_prices import check_prices
from ..subagents.answer import answer

prices = Graph(
    "prices",
    START >> (price_reader, check_prices.into("mail")),
    price_reader >> check_prices.into("asked"),
    check_prices[PriceQuestion] >> add_up,
    add_up[Fact] >> answer >> END,
    [check_prices[Unclear] >> END, add_up[Unclear] >> END],
    description="Answers what things cost.",
)
