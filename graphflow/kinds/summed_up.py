"""An excerpt in which a summary stands for what is left out: a model is asked for it, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphflow.compaction.policies import Summarise
from graphflow.compaction.room import window_of
from graphflow.compaction.summaries import PIECE_TOKENS, in_words, pieces, question
from graphflow.compaction.units import Layout
from graphflow.declaration.context import Context
from graphflow.kinds.excerpt import Excerpt
from graphflow.kinds.model_call import ask
from graphflow.model.seam import Model, Request
from graphflow.model.turns import Turn

TOKENS_A_WORD = 2
"""Tokens of a word of a summary, at most: names and numbers are dearer than prose."""


class SummedUp(Excerpt):
    """What the model of one activation is shown, with a summary of what is left out.

    Args:
        policy: what is left out, and who sums it up.
        layout: which turns are what.
        model: who is asked.
        ctx: the agent's.
    """

    __slots__ = ("_summary",)

    def __init__(self, policy: Summarise, layout: Layout, model: Model, ctx: Context) -> None:
        super().__init__(policy, layout, model, ctx)
        self._summary = policy

    def _leave_out(self, target: float) -> None:
        # Its own room is kept free.
        size = self._summary.words * TOKENS_A_WORD
        super()._leave_out(max(0.0, target - size))

    async def _settle(self, request: Request) -> None:
        turns = list(self._newly_left_out(request))
        if turns:
            summary = await self._summed_up(turns)
            self.omission = replace(self.omission, summary=summary)
        await super()._settle(request)

    def _newly_left_out(self, request: Request) -> Iterator[Turn]:
        """What no summary covers so far, and is shown no more."""
        layout = self.sizes.layout
        covered = self.covered
        omission = self.omission
        first = max(covered.exchanges, layout.examples)
        yield from self._unpinned(request, range(first, omission.exchanges))
        first = max(covered.activity, layout.message + 1)
        yield from self._unpinned(request, range(first, omission.activity))

    def _unpinned(self, request: Request, places: range) -> Iterator[Turn]:
        for place in places:
            if place not in self.sizes.pins:
                yield request.turns[place]

    async def _summed_up(self, turns: list[Turn]) -> str:
        """The summary so far, gone on with."""
        policy = self._summary
        model = self._asked()
        summary = self.omission.summary
        texts = in_words(turns)
        for piece in pieces(texts, self._piece_tokens(model)):
            asked = question(policy.instructions, policy.words, summary, piece)
            reply = await ask(model, Request((asked,)), self.ctx, quiet=True)
            summary = reply.text.strip() or summary
        return summary

    def _asked(self) -> Model:
        if self._summary.model is None:
            return self.model
        twin = self.ctx.node.twin(model=self._summary.model)
        return self.ctx.frame.model(twin)

    def _piece_tokens(self, model: Model) -> int:
        """A third of what the model reads: the summary so far is read with it, and an estimate may be wrong."""
        window = window_of(model)
        if window is None:
            return PIECE_TOKENS
        return min(PIECE_TOKENS, window // 3)
