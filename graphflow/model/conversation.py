"""A conversation: the turns of an agent and its model, as far as others may read them or join in.

Rules:
1. Its owner's turns are never touched by others: what a sub-agent says in a shared conversation is kept beside them, at the
   place where it was said.
2. A reader finds no call without its answer; calls of tools that the reader does not have are put into words, because
   providers refuse calls of tools that a request does not declare.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from graphflow.model.turns import AssistantTurn, ToolCall, ToolResult, ToolTurn, Turn, UserTurn

if TYPE_CHECKING:
    from graphflow.messages.media import Media


Remembers: TypeAlias = Literal["talk", "own", "laps", "nothing"]
"""What an agent is shown of what was said before: all of the conversation of its run, what it has said itself at its place, only
in this run, or nothing."""


@dataclass(frozen=True, slots=True)
class _Aside:
    """What somebody else has said, and before which of the owner's turns it belongs."""

    place: int
    turns: tuple[Turn, ...]


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
        self._asides: list[_Aside] = []

    def all_turns(self) -> list[Turn]:
        """Everything that has been said, in order, answered calls only."""
        turns: list[Turn] = []
        asides = list(self._asides)
        for position, turn in enumerate(self.turns):
            while asides and asides[0].place <= position:
                aside = asides.pop(0)
                turns += aside.turns
            turns.append(turn)
        # The owner may not have come to the places of the others yet: they stand at the end until it has.
        for aside in asides:
            turns += aside.turns
        return turns

    @property
    def count(self) -> int:
        """How often somebody else has said something."""
        return len(self._asides)

    def added_since(self, count: int) -> tuple[Turn, ...]:
        """What others have said since they had spoken so often."""
        turns: list[Turn] = []
        for aside in self._asides[count:]:
            turns += aside.turns
        return tuple(turns)

    def add(self, turns: Sequence[Turn]) -> None:
        """Keeps what somebody else has said: behind the owner's present call and the result it will get."""
        # The call and its result are the next two turns: what is said during the call must not come between them.
        behind_result = len(self.turns) + 2
        aside = _Aside(behind_result, tuple(turns))
        self._asides.append(aside)


def without_unknown_calls(turns: Sequence[Turn], tools: Collection[str]) -> list[Turn]:
    """The turns as an agent with these tools can be shown them: calls of other tools are put into words."""
    called: set[str] = set()
    for turn in turns:
        if isinstance(turn, AssistantTurn):
            called |= {call.name for call in turn.calls}
    if called <= set(tools):
        return list(turns)
    return [_in_words(turn) for turn in turns]


def _in_words(turn: Turn) -> Turn:
    if isinstance(turn, AssistantTurn) and turn.calls:
        lines = [turn.text] if turn.text else []
        lines += map(_call_in_words, turn.calls)
        return AssistantTurn("\n".join(lines))
    if isinstance(turn, ToolTurn):
        text = "\n".join(map(_result_in_words, turn.results))
        media: list[Media] = []
        for result in turn.results:
            media += result.media
        if media:
            return UserTurn((text, *media))
        return UserTurn(text)
    return turn


def _call_in_words(call: ToolCall) -> str:
    arguments = call.arguments or "{}"
    return f"[calls {call.name} with {arguments}]"


def _result_in_words(result: ToolResult) -> str:
    outcome = "answered" if result.ok else "failed"
    return f"[{result.name} {outcome}: {result.text}]"
