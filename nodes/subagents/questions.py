"""The specialist for questions that the shop's documents answer."""

from __future__ import annotations

from graphflow import END, START, Graph
from nodes.messages import Answer, Fact
from nodes.steps.retrieve import retrieve
from nodes.subagents.answer import answer

questions = Graph(
    "questions",
    START >> retrieve,
    retrieve[Fact] >> answer >> END,
    retrieve[Answer] >> END,
    description="Answers from the shop's documents.",
)
