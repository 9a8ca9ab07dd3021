"""What has reached END, and what a walk answers with it."""

from __future__ import annotations

from typing import NamedTuple

from graphflow.events import Scope
from graphflow.proofs.program import Program
from graphflow.walk.revision import Revision, joined
from graphflow.walk.scope import Order, order_of


class Output(NamedTuple):
    """A message that has reached END.

    Attributes:
        scope: of its token.
        message: the message.
        revision: what the states were for it; None where the graph has none.
    """

    scope: Scope
    message: object
    revision: Revision | None


class Outputs(list[Output]):
    """Those of one walk, in the order of their arrival."""

    def answer(self, program: Program) -> object:
        """What the walk answers: all of them in logical order where the graph wants that, else the first."""
        if program.ends != "all":
            return self[0].message
        return [output.message for output in self._in_order(program)]

    def final(self, program: Program, origin: Revision) -> Revision | None:
        """What the states are at the end, a `BrokenRevision` if they cannot be merged; None if nothing has reached END.

        Args:
            program: the graph.
            origin: what they were at the start.
        """
        if not self:
            return None
        if program.ends != "all":
            return self[0].revision
        revisions = [output.revision for output in self._in_order(program)]
        return joined(origin, [revision for revision in revisions if revision is not None])

    def _in_order(self, program: Program) -> list[Output]:
        def place(output: Output) -> Order:
            return order_of(output.scope, program)

        return sorted(self, key=place)
