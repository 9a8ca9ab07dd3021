"""An excerpt: what an agent's model is shown of the turns of an activation, by a context policy.

Rules:
1. What was said is never changed: each request is made of all turns anew, and of what is left out of them.
2. What is left out stays left out for the activation, so that requests keep their beginning and prompt caches hold. With
   what was said before it, it is worked out from that alone, the same in every run of a conversation.
3. A store keeps each decision at the place of the question that it was made for: who goes on after a crash, or reads the
   record, finds the same, whatever tables and functions say by then.
4. A provider that finds a request too long all the same is asked once more, with half of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from graphflow.compaction.omission import WHOLE, Omission
from graphflow.compaction.plan import cut_off_at, standing_omission, with_room
from graphflow.compaction.policies import Window
from graphflow.compaction.room import Room, readers_of, tokens_for, window_of
from graphflow.compaction.shown import shown_turns
from graphflow.compaction.sizes import TurnSizes
from graphflow.compaction.tokens import LEAST, tokens_around, tokens_of_text
from graphflow.compaction.units import Layout
from graphflow.concurrency import in_thread
from graphflow.declaration.context import Context
from graphflow.errors import ContextFull, ContextOverflow
from graphflow.events import CompactionFinished, CompactionStarted
from graphflow.journal.detail import NO_DETAIL, Detail
from graphflow.model.digest import digest_of
from graphflow.model.reply import Reply
from graphflow.model.seam import Model, Request, ToolSpec
from graphflow.model.turns import Turn

Why = Literal["full", "overflow", "before", "demand"]
MANY_TURNS = 5_000
"""So many turns are measured in a thread, and not on the event loop: 4 microseconds each."""
MOST_TOKENS_OF_BYTES = 4.0
"""What a provider counts is taken for at most so many times an estimate: more is not about the turns."""


class Excerpt:
    """What the model of one activation is shown.

    Args:
        policy: what is left out.
        layout: which turns are what.
        model: who is asked.
        ctx: the agent's.
    """

    __slots__ = (
        "_around",
        "_counted",
        "_ratio",
        "_tools",
        "covered",
        "ctx",
        "model",
        "omission",
        "policy",
        "room",
        "sizes",
    )

    def __init__(self, policy: Window, layout: Layout, model: Model, ctx: Context) -> None:
        self.policy = policy
        self.model = model
        self.ctx = ctx
        readers = readers_of(model)
        self.sizes = TurnSizes(layout, policy.is_pinned, policy.head, readers)
        self.omission = WHOLE
        self.covered = WHOLE
        """What was left out when it was last settled."""
        self.room: Room | None = None
        self._around = 0
        self._tools: tuple[ToolSpec, ...] | None = None
        self._ratio: float | None = None
        """Tokens that the provider has counted, for one that was estimated; None: it has not counted yet."""
        self._counted = 0
        """Of how many turns it has."""

    async def fit(self, request: Request) -> Request:
        """The request with what is shown of its turns.

        Raises:
            ContextFull: what must be shown does not fit; nothing was asked.
        """
        is_first = not self.sizes.count
        is_long = len(request.turns) - self.sizes.count > MANY_TURNS
        if is_long:
            await in_thread(self._measure, request)
        else:
            self._measure(request)
        place = self._place(request)
        if self._take_known(place):
            return self._shown(request)
        before = self.omission
        room = self._room_for(request)
        why: Why = "full"
        if is_first and is_long:
            why = await in_thread(self._take_standing, request.turns, room)
        elif is_first:
            why = self._take_standing(request.turns, room)
        if self._estimate(self.omission) > room.full:
            self._leave_out(room.target)
            why = "full"
        if self.omission != before:
            await self._settle(request)
            self._tell(request, place, before, why)
        self._check(room)
        return self._shown(request)

    async def after_overflow(self, request: Request, error: ContextOverflow) -> Request:
        """The request with half of what the provider has found to be too long.

        Raises:
            ContextFull: nothing more may be left out.
        """
        place = self._place(request)
        if self._take_known(place):
            return self._shown(request)
        room = self._learn(self._room_for(request))
        before = self.omission
        size = self._estimate(before)
        half = size * self.policy.target
        self._leave_out(min(room.target, half))
        if self.omission == before:
            full = self._full(size, room)
            full.hints += (f"the provider has said: {error}",)
            raise full from error
        await self._settle(request)
        self._tell(request, place, before, "overflow")
        return self._shown(request)

    async def _settle(self, request: Request) -> None:
        """Does what has to be done before something is left out."""
        self.covered = self.omission

    def count(self, request: Request, reply: Reply) -> None:
        """Learns from what the provider has counted of a whole request."""
        end = len(request.turns)
        estimated = self._around + self.sizes.tokens(self.omission, end)
        ratio = reply.input_tokens / max(1, estimated)
        if ratio >= LEAST:  # else it has not counted all of it
            self._ratio = min(ratio, MOST_TOKENS_OF_BYTES)
            self._counted = end

    @property
    def has_masks(self) -> bool:
        """Whether something is left out of results of tools."""
        first = next(iter(self.sizes.masks), None)
        return first is not None and first < self.omission.results

    # -- numbers -----------------------------------------------------------------------------------
    def _measure(self, request: Request) -> None:
        self.sizes.extend(request.turns)
        if self._tools is not request.tools:
            self._tools = request.tools
            self._around = tokens_around(request)

    def _room_for(self, request: Request) -> Room:
        if self.room is None:
            policy = self.policy
            tokens = policy.max_tokens
            if tokens is None:
                tokens = tokens_for(window_of(self.model), request.settings.max_tokens)
            self.room = Room.of(tokens, policy.full, policy.target)
        return self.room

    def _estimate(self, omission: Omission) -> float:
        """About how many tokens a request is: what was counted as the provider has, what is new by its bytes."""
        known, new = self._parts(omission)
        return known + new

    def _parts(self, omission: Omission) -> tuple[float, float]:
        """What is known of the tokens of a request, and what is estimated."""
        sizes = self.sizes
        whole = sizes.tokens(omission, sizes.count)
        if omission.summary:
            whole += tokens_of_text(omission.summary)
        if self._ratio is None:
            return 0.0, float(self._around + whole)
        counted = sizes.tokens(omission, self._counted)
        return self._ratio * (self._around + counted), float(whole - counted)

    def _learn(self, room: Room) -> Room:
        """A request was too long: it has more tokens than the room, or the room is smaller than it."""
        size = max(1.0, self._estimate(self.omission))
        if room.tokens is None:
            policy = self.policy
            self.room = Room.of(int(size), policy.full, policy.target)
            return self.room
        if size < room.tokens:
            ratio = self._ratio or 1.0
            self._ratio = ratio * room.tokens / size
            self._counted = self.sizes.count
        return room

    # -- what is left out --------------------------------------------------------------------------
    def _take_standing(self, turns: Sequence[Turn], room: Room) -> Why:
        """Begins with what is left out already of what was said before; why that is."""
        layout = self.sizes.layout
        why: Why = "before"
        has_history = layout.message > layout.examples
        if not has_history:
            return why
        left_out = self.ctx.frame.left_out(self.ctx)
        if left_out.known:
            kept = Omission.read(left_out.known).moved(layout.examples)
            start = self.sizes.unit_from(kept.exchanges)
            self.omission = replace(kept, exchanges=start, activity=0)
            self.covered = self.omission
        if left_out.cutoff:
            place = layout.examples + left_out.cutoff
            self.omission = cut_off_at(self.sizes, self.omission, place)
            # What was cut is not summed up yet: it is not covered.
            if self.omission != self.covered:
                why = "demand"
        if self._estimate(self.omission) > room.full:
            keep = self.policy.results
            self.omission = standing_omission(
                self.sizes, turns, self._around, keep, room, self.omission
            )
            if self.omission != self.covered:
                why = "full"
        return why

    def _leave_out(self, target: float) -> None:
        sizes = self.sizes
        self.omission = with_room(
            sizes, self.omission, sizes.count, self.policy.results, target, self._estimate
        )

    def _shown(self, request: Request) -> Request:
        if self.omission == WHOLE:
            return request
        turns = shown_turns(self.sizes, request.turns, self.omission)
        return replace(request, turns=turns)

    def _check(self, room: Room) -> None:
        """Refuses a request that cannot fit, by whatever its text is made of."""
        if room.tokens is None:
            return
        known, new = self._parts(self.omission)
        least = known + LEAST * new
        if least > room.tokens:
            raise self._full(known + new, room)

    def _full(self, tokens: float, room: Room) -> ContextFull:
        size = int(tokens)
        most = room.tokens or 0
        examples = self.sizes.tokens(WHOLE, self.sizes.layout.examples)
        rest = max(0, size - self._around - examples)
        who = self.ctx.node.name
        error = ContextFull(
            f"what agent {who!r} must show to {self.model.name!r} is about {size:,} tokens (instructions, tools and "
            f"schema {self._around:,}, examples {examples:,}, the message and what else must stay {rest:,}), and a "
            f"request may have {most:,}; shorten what is largest, pin less, or use a model that reads more"
        )
        error.tokens = size
        error.room = most
        return error

    # -- the record --------------------------------------------------------------------------------
    def _place(self, request: Request) -> str:
        """Where the decision about a request is kept; "" without a store."""
        ctx = self.ctx
        if not ctx.frame.is_recorded:
            return ""
        digest = digest_of(request)
        place = ctx.asking.ask("context", digest, lasting=False)
        return place.name

    def _take_known(self, place: str) -> bool:
        """Whether an earlier sitting has decided this, and so it is."""
        if not place:
            return False
        known = self.ctx.frame.known_value(place)
        for data in known:
            self.omission = Omission.read(data).moved(self.sizes.layout.examples)
            self.covered = self.omission
        return bool(known)

    def _tell(self, request: Request, place: str, before: Omission, why: Why) -> None:
        """Tells what was shown until now, and what is from now on."""
        ctx = self.ctx
        name = ctx.node.name
        word = self.policy.word
        most = None if self.room is None else self.room.tokens
        turns, tokens = self._extent(request, before)
        started = CompactionStarted(
            *ctx.stamp, name, self.model.name, word, why, turns, tokens, most
        )
        ctx.frame.tell(started)
        turns, tokens = self._extent(request, self.omission)
        # Places are those of the history, which is longer in the next run of a conversation, and has other examples before it.
        moved = self.omission.moved(-self.sizes.layout.examples)
        left_out = {"of": len(request.turns), **moved.to_data()}
        finished = CompactionFinished(*ctx.stamp, name, word, turns, tokens, left_out)
        detail = Detail(place) if place else NO_DETAIL
        ctx.frame.tell(finished, detail)

    def _extent(self, request: Request, omission: Omission) -> tuple[int, int]:
        """How many turns are shown, and about how many tokens the request is."""
        shown = shown_turns(self.sizes, request.turns, omission)
        tokens = self._estimate(omission)
        return len(shown), int(tokens)
