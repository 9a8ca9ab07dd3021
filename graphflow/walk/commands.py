"""Commands: what the walk wants done by whoever performs it.

A command is frozen. The machine keeps what it knows of an activation in tables of its own, and so does the shell (when
it began, which task carries it out), so that a fact is the only way to change a walk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from graphflow._faces import renamed
from graphflow.events import Scope, Status
from graphflow.proofs.program import Slot
from graphflow.walk.joins import Chain, Variables
from graphflow.walk.revision import Revision


class Activation:
    """Command: activate this node, once, with these messages.

    Attributes:
        id: its number in the frame.
        slot: the node.
        message: what the node's only wired port got.
        inputs: what the ports of a join got, by name; None if the node is not a join, or has only one port.
        scope: the path of forks, laps and joins that led here.
        joins: what its message can still reach, the outer first.
        context: the context variables of what fed it first in logical order. The walk only hands them on.
        revision: what the states of the graph are for it; None if it has none.
    """

    # One is made for each hop. A frozen dataclass would set every field through `object.__setattr__`, at three times the
    # price; `Final` lets the type checker refuse what a dataclass would refuse at run time.
    __slots__ = ("context", "id", "inputs", "joins", "message", "revision", "scope", "slot")

    def __init__(
        self,
        id: int,
        slot: Slot,
        message: object,
        inputs: dict[str, Any] | None,
        scope: Scope,
        joins: Chain,
        context: Variables,
        revision: Revision | None = None,
    ) -> None:
        self.id: Final = id
        self.slot: Final = slot
        self.message: Final = message
        self.inputs: Final = inputs
        self.scope: Final = scope
        self.joins: Final = joins
        self.context: Final = context
        self.revision: Final = revision

    @property
    def input(self) -> object:
        """The message, or the messages by port."""
        return self.message if self.inputs is None else self.inputs


@dataclass(frozen=True, slots=True)
class Cancel:
    """Command: stop these activations, and report when each has ended."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """Command: the walk is over."""

    status: Status
    output: object = None
    error: BaseException | None = None


Command = Activation | Cancel | Finish
__getattr__ = renamed(__name__, {"Start": "Activation"})
