"""Records: what earlier sittings have left of a frame, a call, a call in the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from graphflow.declaration.node import AnyNode
from graphflow.events import (
    BackgroundFinished,
    BackgroundStarted,
    CallFailed,
    CallFinished,
    CallStarted,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRefused,
)
from graphflow.journal.detail import Detail, FrameForm
from graphflow.model.turns import Turn

Fact = NodeFinished | NodeFailed | NodeCancelled | NodeRefused
"""What moves a walk."""


@dataclass(slots=True)
class FrameRecord:
    """What is recorded of a frame that was entered and may not have been left.

    Attributes:
        number: its number in the run.
        entered: when it was entered, in seconds since the run began.
        facts: what its walk was told.
        exited: whether it was left.
    """

    number: int
    entered: float
    facts: list[Fact] = field(default_factory=list)
    exited: bool = False


@dataclass(frozen=True, slots=True)
class LeftFrame:
    """A frame that was left in an earlier sitting, and of which something goes on in the background.

    Attributes:
        number: its number in the run.
        parent: the number of the frame around it.
        form: what it walks, where it was entered.
    """

    number: int
    parent: int
    form: FrameForm


@dataclass(slots=True)
class CallRecord:
    """What is recorded of a call.

    Attributes:
        number: its number in the run.
        place: where it stands.
        lasting: whether it may have left something behind in the world.
        end: how it has ended; None: nobody knows whether it was carried out.
        detail: what is known of its end.
    """

    number: int
    place: str
    lasting: bool
    end: CallFinished | CallFailed | None = None
    detail: Detail | None = None

    def output(self, node: AnyNode) -> Any:
        """The answer, as the node declares it."""
        assert isinstance(self.end, CallFinished)
        detail = self.detail
        if detail is None or detail.raw is None:
            return self.end.output
        # Of a tool of a server nobody knew the type when the record was read.
        return _decoded(node, detail.raw)


@dataclass(slots=True)
class BackgroundRecord:
    """What is recorded of a call in the background.

    Attributes:
        started: that it was begun.
        place: of the call.
        call: what was called, with what; None if the record does not tell.
        finished: how it has ended; None: it was under way.
        detail: what is known of its end.
        turns: what its caller had said, if it was to know that.
        has_answered: whether its caller has got the handle.
    """

    started: BackgroundStarted
    place: str
    call: CallStarted | None
    turns: Sequence[Turn] = ()
    has_answered: bool = False
    finished: BackgroundFinished | None = None
    detail: Detail | None = None

    def output(self, node: AnyNode) -> Any:
        """The answer, as the node declares it."""
        assert self.finished is not None
        if self.detail is None or self.detail.raw is None:
            return self.finished.output
        return _decoded(node, self.detail.raw)


def _decoded(node: AnyNode, data: Any) -> Any:
    """An answer of a node, of which nobody knew the type when the record was read."""
    # Who never reads a record never loads it.
    from graphflow.journal.codec.value_codec import codec_of

    return codec_of(node.output).decode(data)
