"""What an agent is reminded of before it answers: its `recalls=` are asked, and their notes stand in the user's turn.

Rules:
1. They are asked along call edges, once an activation, before the model is: drawn, limited, told and journaled as all calls.
2. What they have found stands between fences in the turn that is answered, in every request of this activation; it never
   becomes part of what was said, so nobody finds it in a history.
3. The model is not offered them, unless they are among its `tools=` as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphflow.declaration.context import Context
from graphflow.declaration.node import Callee
from graphflow.messages.message import to_text
from graphflow.messages.notes import Recalled, fenced
from graphflow.model.turns import Turn, UserTurn


async def recollect(sources: Sequence[Callee], turn: UserTurn, ctx: Context) -> str:
    """What these know of a turn, between fences; "" if they know nothing."""
    lines: list[str] = []
    question = turn.text
    # One after the other: their order in the turn, and in the journal, is that of the declaration.
    for source in sources:
        answer = await ctx.call(source, question)
        lines += _lines_of(answer)
    return fenced(lines)


def _lines_of(answer: object) -> list[str]:
    """An answer line by line: the notes of a memory, the texts of a list, the text of anything else."""
    if answer is None:
        return []
    if isinstance(answer, Recalled):
        return [note.line for note in answer.notes]
    if isinstance(answer, list):
        return list(map(to_text, answer))
    text = to_text(answer)
    return text.splitlines()


def with_notes(turns: Sequence[Turn], place: int, notes: str) -> tuple[Turn, ...]:
    """The turns with notes before the text of the user's turn at a place."""
    turn = turns[place]
    assert isinstance(turn, UserTurn)
    content = turn.content
    if isinstance(content, str):
        shown = UserTurn(f"{notes}\n\n{content}")
    else:
        shown = UserTurn((notes, *content))
    copy = list(turns)
    copy[place] = shown
    return tuple(copy)


def names_unoffered(recalls: Sequence[Callee], tools: Sequence[Callee]) -> frozenset[str]:
    """The names of what is only recalled from."""
    asked = frozenset(map(_name_of, recalls))
    offered = frozenset(map(_name_of, tools))
    return asked - offered


def _name_of(callee: Callee) -> str:
    if isinstance(callee, str):
        return callee
    return callee.name
