"""A selection: what an agent's model is shown of its turns, by a function of the user's.

Rules:
1. What the function has chosen for a question is kept in the record of the run, if a store keeps one, and it is not asked again
   when the run goes on: it may have looked at the clock, and with other turns the model would have to be asked once more.
2. Kept are the places of the turns that are shown, and as they are those that the function has made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from inspect import isawaitable
from typing import TypeAlias

from graphflow.compaction.policies import DEFAULT, ContextFunction
from graphflow.compaction.room import Room, tokens_for, window_of
from graphflow.compaction.tokens import tokens_around
from graphflow.compaction.units import Layout, orphan_in
from graphflow.declaration.context import Context
from graphflow.errors import ContextOverflow, DeclarationError
from graphflow.events import CompactionFinished, CompactionStarted
from graphflow.journal.codec.replies import decode_turns, encode_turns
from graphflow.journal.detail import NO_DETAIL, Detail
from graphflow.journal.stored import Json
from graphflow.model.digest import digest_of
from graphflow.model.reply import Reply
from graphflow.model.seam import Model, Request
from graphflow.model.turns import Turn

WORD = "function"
ChoicePart: TypeAlias = dict[str, Json]
"""A stretch of turns that are shown, or one that the function has made."""
KEPT_AS = "context"
"""What the kept choice is called among the values of an activation."""


class Selection:
    """What the model of one activation is shown.

    Args:
        choose: says which of all turns are shown.
        layout: which turns are what.
        model: who is asked.
        ctx: the agent's.
    """

    __slots__ = ("_choose", "_ctx", "_layout", "_left_out", "_model")

    def __init__(self, choose: ContextFunction, layout: Layout, model: Model, ctx: Context) -> None:
        self._choose = choose
        self._layout = layout
        self._model = model
        self._ctx = ctx
        self._left_out = 0

    async def fit(self, request: Request) -> Request:
        """The request with the turns that are shown of it.

        Raises:
            DeclarationError: the function has chosen what no model can be shown.
        """
        around = tokens_around(request)
        answer = request.settings.max_tokens
        tokens = tokens_for(window_of(self._model), answer)
        return await self._chosen(request, _room(tokens, around))

    async def after_overflow(self, request: Request, error: ContextOverflow) -> Request:
        """The request with what is shown where there is half as much room.

        Raises:
            ContextOverflow: the function leaves out no more than before.
        """
        left_out = self._left_out
        shown = len(request.turns) - left_out
        room = _room(None, 0)
        size = room.count(request.turns)
        again = await self._chosen(request, _room(size * shown // (2 * len(request.turns)), 0))
        if self._left_out <= left_out:
            raise error
        return again

    @property
    def has_masks(self) -> bool:
        """It leaves out whole turns."""
        return False

    def count(self, request: Request, reply: Reply) -> None:
        """What the provider has counted is of no use to it."""

    async def _chosen(self, request: Request, room: Room) -> Request:
        turns = await self._decided(request, room)
        left_out = len(request.turns) - len(turns)
        if left_out != self._left_out:
            self._tell(request, turns, room)
        self._left_out = left_out
        return replace(request, turns=turns)

    async def _decided(self, request: Request, room: Room) -> tuple[Turn, ...]:
        """What the function chooses, or has chosen in an earlier sitting."""
        frame = self._ctx.frame
        place = self._place(request, "context")
        if place:
            for kept in frame.known_value(place):
                return _turns_of(kept, request.turns)
        chosen = self._choose(self._to_choose_from(request), room)
        if isawaitable(chosen):
            chosen = await chosen
        turns = tuple(chosen)
        self._check(request, turns)
        if place:
            choice = _choice_of(turns, request.turns)
            frame.keep_value(self._ctx, place, KEPT_AS, choice)
        return turns

    def _place(self, request: Request, what: str) -> str:
        """Where the choice for a request is kept, or what is told of it; "" without a store."""
        ctx = self._ctx
        if not ctx.frame.is_recorded:
            return ""
        digest = digest_of(request)
        place = ctx.asking.ask(what, digest, lasting=False)
        return place.name

    def _to_choose_from(self, request: Request) -> Sequence[Turn]:
        """All turns, but for those that somebody has had cut from the conversation."""
        turns = request.turns
        cutoff = self._ctx.frame.left_out(self._ctx).cutoff
        if not cutoff:
            return turns
        examples = self._layout.examples
        return (*turns[:examples], *turns[examples + cutoff :])

    def _check(self, request: Request, turns: Sequence[Turn]) -> None:
        who = f"the context function of agent {self._ctx.node.name!r}"
        orphan = orphan_in(turns)
        if orphan:
            raise DeclarationError(f"{who} parts what belongs together: {orphan}")
        if not turns or turns[-1] is not request.turns[-1]:
            raise DeclarationError(f"{who} leaves out the last turn, which has to be answered")

    def _tell(self, request: Request, turns: Sequence[Turn], room: Room) -> None:
        """Tells what is left out from now on, unless that was told before a crash."""
        ctx = self._ctx
        place = self._place(request, "compaction")
        if place and ctx.frame.known_value(place):
            return
        name = ctx.node.name
        count = len(request.turns)
        before = count - self._left_out
        size = room.count(request.turns)
        started = CompactionStarted(
            *ctx.stamp, name, self._model.name, WORD, "full", before, size, room.tokens
        )
        shown = len(turns)
        left_out = {"of": count, "turns": count - shown}
        finished = CompactionFinished(*ctx.stamp, name, WORD, shown, room.count(turns), left_out)
        ctx.frame.tell(started)
        ctx.frame.tell(finished, Detail(place) if place else NO_DETAIL)


def _room(tokens: int | None, around: int) -> Room:
    """The room for turns alone."""
    if tokens is not None:
        tokens = max(0, tokens - around)
    return Room.of(tokens, DEFAULT.full, DEFAULT.target)


def _choice_of(shown: Sequence[Turn], turns: Sequence[Turn]) -> list[ChoicePart]:
    """A choice as JSON: `from` and `to` of turns that stand one behind the other, and turns that are none of these as they are.

    all turns    U0 A1 U2 A3 U4
    shown        U0 S  A3 U4         [{"from": 0, "to": 1}, {"made": [S]}, {"from": 3, "to": 5}]
    """
    places = {id(turn): place for place, turn in enumerate(turns)}
    choice: list[ChoicePart] = []
    end: int | None = None
    for turn in shown:
        place = places.get(id(turn))
        if place is None:
            # It has been made for this: a summary, say.
            made = encode_turns([turn])
            choice.append({"made": made})
            end = None
            continue
        if place != end:
            choice.append({"from": place})
        end = place + 1
        choice[-1]["to"] = end
    return choice


def _turns_of(choice: Sequence[ChoicePart], turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns of a choice that was kept."""
    shown: list[Turn] = []
    for part in choice:
        if "made" in part:
            shown += decode_turns(part["made"])
            continue
        begin, end = part["from"], part["to"]
        assert isinstance(begin, int)
        assert isinstance(end, int)
        shown += turns[begin:end]
    return tuple(shown)
