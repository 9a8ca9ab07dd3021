"""The messages of the help desk: what its edges carry."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from graphflow import Message

Topic = Literal["order", "price", "question", "chat", "failed"]


class Inbox(Message):
    """What the desk is given."""

    source: str = ""
    """A .csv or .txt file of messages, or one message; empty = the inbox.csv of the shop."""
    shop: str = ""
    """The folder with orders.csv, prices.csv and docs/; empty = the shop that is shipped."""


class Mail(Message):
    """One message of a customer."""

    number: int
    sender: str
    text: str
    shop: str


class OrderArguments(Message):
    """What the order table has to be asked."""

    order_id: str = Field(pattern=r"^[0-9]{1,6}$")


class Item(Message):
    """So many of one thing."""

    item: str = Field(max_length=24, pattern=r"^[a-z ]+$")
    quantity: int = Field(ge=1, le=999)


class PriceArguments(Message):
    """What the price list has to be asked."""

    items: list[Item] = Field(min_length=1, max_length=5)


class OrderQuestion(Message):
    """A mail and the order that it is about."""

    mail: Mail
    order_id: str


class Wanted(Message):
    """So many of something that the mail names, in the words of the price list."""

    item: str
    quantity: int


class PriceQuestion(Message):
    """A mail and the things whose price it asks."""

    mail: Mail
    items: tuple[Wanted, ...]


class Unclear(Message):
    """The arguments that were filled in are not in the mail: somebody else should read it."""

    mail: Mail
    why: str


class Fact(Message):
    """What is true, found by code, and what an answer must contain to be true as well."""

    mail: Mail
    topic: Topic
    text: str
    must: tuple[str, ...]


class Draft(Message):
    """A fact and the sentence that a model made of it."""

    fact: Fact
    sentence: str


class Rejected(Message):
    """A draft that must not go out, and why."""

    draft: Draft
    why: str


class Answer(Message):
    """A reply as it goes out: a row of the table."""

    number: int
    sender: str
    message: str
    topic: Topic
    reply: str
    by: Literal["model", "template"]
