"""Collects the answers into a table, in the order of the inbox."""

from __future__ import annotations

from graphflow import node

from ..messages import Answer


@node
async def to_table(answers: list[Answer]) -> list[Answer]:
    """One row a mail."""
    return answers
