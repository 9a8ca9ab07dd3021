"""The specialist for prices."""

from __future__ import annotations

from graphflow import END, START, Graph
from nodes.agents.price_reader import price_reader
from nodes.messages import Fact, PriceQuestion, Unclear
from nodes.steps.add_up import add_up
from nodes.steps.check_prices import check_prices
from nodes.subagents.answer import answer

prices = Graph(
    "prices",
    START >> (price_reader, check_prices.into("mail")),
    price_reader >> check_prices.into("asked"),
    check_prices[PriceQuestion] >> add_up,
    add_up[Fact] >> answer >> END,
    [check_prices[Unclear] >> END, add_up[Unclear] >> END],
    description="Answers what things cost.",
)
