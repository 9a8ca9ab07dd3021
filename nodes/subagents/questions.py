"""The specialist for questions that the shop's documents answer."""

from __future__ import annotations

from graphflow import END, START, Graph

from ..messages import Answer, Fact
from ..steps.retrieve import retrieve
from ..subagents.answer import answer

questions = Graph(
    "questions",
    START >> retrieve,
    retrieve[Fact] >> answer >> END,
    retrieve[Answer] >> END,
    description="Answers from the shop's documents.",
)
