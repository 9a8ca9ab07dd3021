"""Arrows that mypy refuses: each line with such a mark must be one. Checked by mypy, never run."""

from graphflow import Agent
from tests.typing.right import chat, critic, desk, lengths, merge, pair, plan, research, write, Approved, Draft, Question, Rejected

plan >> research  # error: a list where an item is taken
research >> critic  # error: Finding is no Draft
critic[Approved] >> write  # error: Approved is no Rejected
plan.each >> merge  # error: questions where findings are collected
critic >> write  # error: Approved | Rejected where Rejected is taken
research.each >> research  # error: no list
(research, plan) >> pair  # error: list[Question] fits no port
plan >> 5  # error: not a node
plan >> "research"  # error: not a node
critic["Approved"] >> write  # error: a node that sends models has no labels
critic["nope"].limit(2) >> write  # error: the same
critic[str] >> chat  # error: Approved | Rejected has no arm of a plain type
lengths[Approved] >> write  # error: Approved is no Rejected

desk.start("What is new?")  # error: a text where a Question is taken
desk.run_sync(Draft(text="x"))  # error: Draft is no Question
desk.run_sync(Question(text="x"), turns=3)  # error: a run has no such option
desk.run_sync(Question(text="x")).output.claim  # error: a list has no claim

judge = Agent("judge", input=Draft, output=Approved | Rejected, prompt="{{ text }}")  # error: a union needs an annotation
either = Agent("either", input=Draft | Rejected, output=Approved, prompt="x")  # error: the same
