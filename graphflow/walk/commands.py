"""Commands: what the walk wants done by whoever performs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphflow.events import Scope, Status
from graphflow.proofs.program import Slot
from graphflow.walk.joins import Waiting


class Start:
    """Command: activate this node. It is the activation, too."""

    __slots__ = ("begun", "context", "id", "inputs", "joins", "message", "scope", "slot", "started")

    def __init__(
        self,
        id: int,
        slot: Slot,
        message: Any,
        inputs: dict[str, Any] | None,
        scope: Scope,
        joins: tuple[Waiting, ...],
        context: Any,
    ) -> None:
        self.id = id
        self.slot = slot
        self.message = message
        """What the node's only wired port got."""
        self.inputs = inputs
        """What the ports of a join got, by name; None if the node is no join."""
        self.scope = scope
        self.joins = joins
        self.context = context
        """That of what fed it first in logical order; its own, once it has ended. The walk only hands it on."""
        self.started = 0.0
        self.begun = False

    @property
    def input(self) -> Any:
        """The message, or the messages by port."""
        return self.message if self.inputs is None else self.inputs


class Cancel:
    """Command: stop these activations, and say when each has ended."""

    __slots__ = ("ids",)

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = tuple(ids)


class Finish:
    """Command: the walk is over."""

    __slots__ = ("error", "output", "status")

    def __init__(self, status: Status, output: Any = None, error: BaseException | None = None) -> None:
        self.status = status
        self.output = output
        self.error = error


Command = Start | Cancel | Finish
