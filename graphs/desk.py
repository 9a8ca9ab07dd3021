"""A help desk that works on a tiny model, because the graph does what the model cannot.

Every mail goes its own way at the same time: a router sends it to a specialist, the specialist has the model fill in
arguments, code looks the facts up, the model says them in one sentence, code checks the sentence.
"""

from __future__ import annotations

from graphflow import END, START, AtLeast, AtMost, Before, Failure, Graph, Limits
from nodes.messages import Answer, Inbox, Unclear
from nodes.routers.sort_mail import sort_mail
from nodes.steps.apologise import apologise
from nodes.steps.read_inbox import read_inbox
from nodes.steps.to_table import to_table
from nodes.steps.unclear_mail import unclear_mail
from nodes.subagents.orders import orders
from nodes.subagents.prices import prices
from nodes.subagents.questions import questions
from nodes.subagents.small_talk import small_talk

desk: Graph[Inbox, list[Answer]] = Graph(
    "desk",
    START >> read_inbox,
    read_inbox.each >> sort_mail,
    sort_mail["order"] >> orders,
    sort_mail["price"] >> prices,
    sort_mail["question"] >> questions,
    sort_mail["chat"] >> small_talk,
    # What a specialist cannot fill in may still be answered from the documents.
    (orders[Unclear], prices[Unclear]) >> unclear_mail >> questions,
    # A specialist that fails costs its own mail a proper answer, and no other mail.
    (orders[Failure], prices[Failure], questions[Failure], small_talk[Failure]) >> apologise,
    (orders[Answer], prices[Answer], questions, small_talk, apologise) >> to_table >> END,
    claims=[
        # Nobody is told of an order, a price or a rule that was not looked up before.
        Before("orders > check_order[OrderQuestion]", "orders > answer"),
        Before("prices > check_prices", "prices > answer"),
        Before("questions > retrieve", "questions > answer"),
        AtMost("orders", 1, per="read_inbox"),
        AtLeast("to_table", 1),
        AtMost("to_table", 1),
    ],
    model="local:smollm2",
    limits=Limits(depth=3, steps=20_000, concurrency=8),
    description="Answers a shop's mail from its order table, price list and documents.",
)
