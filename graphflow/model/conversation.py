"""A conversation: what an agent and its model have said, as far as others may read it or join in.

Rules:
1. Its owner's turns are never touched by others: what a sub-agent says in a shared conversation is kept beside them, at the
   place where it was said.
2. Who reads it reads no call without its answer; calls of tools that the reader does not have are told in words, because
   providers refuse calls of tools that a request does not declare.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from graphflow.model.turns import AssistantTurn, ToolTurn, Turn, UserTurn


class Conversation:
    """The turns of one activation of an agent, and what was said aside.

    Attributes:
        turns: the owner's own, in order; the owner goes on appending to this very list.
        lock: held by whoever joins in: one at a time.
    """

    __slots__ = ("_asides", "lock", "turns")

    def __init__(self, turns: list[Turn]) -> None:
        self.turns = turns
        self.lock = asyncio.Lock()
        self._asides: list[tuple[int, tuple[Turn, ...]]] = []

    def settled(self) -> list[Turn]:
        """Everything that has been said, in order, answered calls only."""
        told: list[Turn] = []
        asides = list(self._asides)
        for position, turn in enumerate(self.turns):
            while asides and asides[0][0] <= position:
                told += asides.pop(0)[1]
            told.append(turn)
        for _, turns in asides:
            told += turns
        return told

    def add(self, turns: Sequence[Turn]) -> None:
        """Keeps what somebody else has said: behind the owner's present call and the result it will get."""
        self._asides.append((len(self.turns) + 2, tuple(turns)))


def without_unknown_calls(turns: Sequence[Turn], tools: Collection[str]) -> list[Turn]:
    """The turns as an agent with these tools can be shown them."""
    called = {call.name for turn in turns if isinstance(turn, AssistantTurn) for call in turn.calls}
    return list(turns) if called <= set(tools) else [_in_words(turn) for turn in turns]


def _in_words(turn: Turn) -> Turn:
    if isinstance(turn, AssistantTurn) and turn.calls:
        called = [f"[calls {call.name} with {call.arguments or '{}'}]" for call in turn.calls]
        return AssistantTurn("\n".join([*([turn.text] if turn.text else []), *called]))
    if isinstance(turn, ToolTurn):
        said = [f"[{r.name} {'answered' if r.ok else 'failed'}: {r.text}]" for r in turn.results]
        media = tuple(m for r in turn.results for m in r.media)
        return UserTurn(("\n".join(said), *media)) if media else UserTurn("\n".join(said))
    return turn
