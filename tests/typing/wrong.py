"""Arrows that mypy refuses: each line with such a mark must be one. Checked by mypy, never run."""

from tests.typing.right import critic, merge, pair, plan, research, write, Approved, Draft, Rejected

plan >> research  # error: a list where an item is taken
research >> critic  # error: Finding is no Draft
critic[Approved] >> write  # error: Approved is no Rejected
plan.each >> merge  # error: questions where findings are collected
critic >> write  # error: Approved | Rejected where Rejected is taken
research.each >> research  # error: no list
(research, plan) >> pair  # error: list[Question] fits no port
plan >> 5  # error: not a node
plan >> "research"  # error: not a node
