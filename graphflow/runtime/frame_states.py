"""The states of a frame: its own begin anew, those of the frames around are lent to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphflow.messages.state import UNSET, AnyState, StateWrites
from graphflow.proofs.program import Program
from graphflow.walk.revision import Revision, beginning_with, starting


class FrameStates:
    """The states of one frame.

    Attributes:
        visible: those that its nodes can see, by name.
        lent: those of them that belong to a frame around.
        origin: what they are when it is entered.
    """

    __slots__ = ("lent", "origin", "visible")

    def __init__(
        self,
        program: Program,
        visible: Mapping[str, AnyState],
        around: Revision | None,
    ) -> None:
        self.visible = visible
        self.lent = tuple(state for state in visible.values() if state not in program.owned)
        lent: dict[AnyState, Any] = {}
        for state in self.lent:
            value = UNSET if around is None else around.value(state)
            if value is not UNSET:
                lent[state] = value
        self.origin = starting(program, lent)

    def begin_with(self, writes: StateWrites) -> None:
        """Has states begin with what earlier runs of a conversation have left."""
        self.origin = beginning_with(self.origin, writes)

    @staticmethod
    def of(
        program: Program, around: FrameStates | None, revision: Revision | None
    ) -> FrameStates | None:
        """Those of a frame that walks a program; None if it has none.

        Args:
            program: the program.
            around: those of the frame that it is entered from.
            revision: what these are for whoever enters it.
        """
        visible = program.states
        if visible is None:  # an agent that was called: it sees what its caller sees
            visible = {} if around is None else around.visible
        if not visible:
            return None
        return FrameStates(program, visible, revision)
