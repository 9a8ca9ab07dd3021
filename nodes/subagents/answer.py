"""Says a fact in one sentence: write, check, rewrite at most once, else the fact itself."""

from __future__ import annotations

from graphflow import END, START, Graph, LimitReached

from ..messages import Answer, Rejected
from ..steps.check_answer import check_answer
from ..steps.compose import compose
from ..steps.use_template import use_template

answer: Graph[object, Answer] = Graph(
    "answer",
    START >> compose.into("work") >> check_answer,
    check_answer[Answer] >> END,
    check_answer[Rejected].limit(1) >> compose,
    check_answer[LimitReached] >> use_template >> END,
    description="Says a fact to a customer in one sentence.",
)
