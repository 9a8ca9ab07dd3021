"""Signatures: what a model has signed (thinking, calls, blocks of its own) goes back to that model alone.

Rules:
1. Signatures hold for a model, not for a wire format: another model of the same provider refuses them. So it gets the turn
   as one of another provider's would be sent: the words and the calls.
2. A turn that a provider has refused to take back is never sent as signed again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeGuard

from graphflow.errors import SignatureInvalid
from graphflow.model.seam import Request
from graphflow.model.turns import AssistantTurn, Turn

MAX_KNOWN = 10_000
"""Turns that are remembered in their other form, so that they are encoded once; a long run must not fill memory."""


class SignedTurns:
    """The signed turns of others, and those that were refused, as one model can be sent them.

    Args:
        model: that model, "provider:model".
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self._bare: dict[int, tuple[AssistantTurn, AssistantTurn]] = {}
        """By the id of the turn: itself, so that the id stays its own, and what is sent of it."""

    def readable(self, request: Request) -> Request:
        """The request without what this model cannot read."""
        others = {id(turn) for turn in request.turns if self._is_foreign(turn)}
        return self._without(request, others)

    def distrust(self, request: Request, error: SignatureInvalid) -> Request:
        """The request without anything that is signed, now and from now on: its provider has refused it.

        Raises:
            SignatureInvalid: nothing in it is signed, so the same would be refused again.
        """
        signed = {id(turn) for turn in request.turns if _is_signed(turn)}
        if not signed:
            raise error
        return self._without(request, signed)

    def _is_foreign(self, turn: Turn) -> bool:
        if not _is_signed(turn):
            return False
        if id(turn) in self._bare:
            return True
        return turn.model not in ("", self.model)

    def _without(self, request: Request, signed: set[int]) -> Request:
        if not signed:
            return request
        turns: list[Turn] = []
        for turn in request.turns:
            if isinstance(turn, AssistantTurn) and id(turn) in signed:
                turn = self._bare_form(turn)
            turns.append(turn)
        return replace(request, turns=tuple(turns))

    def _bare_form(self, turn: AssistantTurn) -> AssistantTurn:
        known = self._bare.get(id(turn))
        if known is not None:
            return known[1]
        if len(self._bare) >= MAX_KNOWN:
            self._bare.clear()
        # What is of no wire format is sent by each as another's: without thinking, blocks and signatures.
        bare = replace(turn, wire="")
        self._bare[id(turn)] = (turn, bare)
        return bare


def _is_signed(turn: Turn) -> TypeGuard[AssistantTurn]:
    return isinstance(turn, AssistantTurn) and bool(turn.wire) and bool(turn.parts)
