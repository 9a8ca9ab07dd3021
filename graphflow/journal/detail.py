"""Details: what the record of a run holds beside what is told to those who listen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphflow.limits import Limits
from graphflow.messages.state import AnyState
from graphflow.messages.types import Type

if TYPE_CHECKING:
    from graphflow.declaration.node import AnyNode
    from graphflow.model.reply import Reply
    from graphflow.model.turns import Turn
    from graphflow.proofs.program import Program


@dataclass(slots=True)
class FrameForm:
    """What has to be known of a frame to write and read its messages.

    Attributes:
        place: where it was entered; "" for the outermost.
        program: what it walks.
        callees: what the nodes in it may call.
        path: names of the frames from the outermost to this one.
        limits: of its walk.
        node: the node that was entered; "" for the outermost.
        call: the number of the call that entered it; None if it stands on an arrow.
        around: the form of the frame that it was entered from.
    """

    place: str
    program: Program
    callees: Mapping[str, tuple[AnyNode, ...]]
    path: tuple[str, ...]
    limits: Limits
    node: str = ""
    call: int | None = None
    around: FrameForm | None = None
    columns: Any = None
    """How what its nodes answer is written, once that is known."""

    @property
    def message_types(self) -> tuple[Type, ...]:
        """The types of messages of its graph, and of those around it, outermost first."""
        around = () if self.around is None else self.around.message_types
        return (*around, *self.program.message_types)

    @property
    def states(self) -> Mapping[str, AnyState]:
        """The states that its nodes can see, by name."""
        own = self.program.states
        if own is not None:
            return own
        return {} if self.around is None else self.around.states


@dataclass(frozen=True, slots=True)
class KeptForm:
    """The form of a graph as a store keeps it: JSON in UTF-8, and the SHA-256 of that."""

    digest: str
    content: bytes


@dataclass(slots=True)
class Detail:
    """What a row holds of a fact beside what is told of it.

    Attributes:
        place: where in the run it belongs, if the fact does not tell.
        node: the node that was called.
        reply: the whole reply of a model.
        turns: what a sub-agent has said in the conversation of its caller.
        raw: what was read, where nobody could say of which type it is.
        lasting: of a call, whether it may have left something behind in the world.
        effect: of the answer of an activation that may have, the place of the question; "" for any other.
        metered: what a call was charged as, beside a step; "" if nothing was.
        unbegun: of something that has failed, whether it was refused before its node did anything; told where claims count.
        error: what ended a run.
        form: the form of the graph that a run walks, kept once by its digest.
        content: the bytes of an artifact, where they are kept for the first time.
    """

    place: str = ""
    node: AnyNode | None = None
    reply: Reply | None = None
    turns: Sequence[Turn] = ()
    raw: Any = None
    lasting: bool = False
    effect: str = ""
    metered: str = ""
    unbegun: bool = False
    error: BaseException | None = None
    form: KeptForm | None = None
    content: bytes | None = None


NO_DETAIL = Detail()
