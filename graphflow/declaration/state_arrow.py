"""An arrow that writes a state: `planner >> plan`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graphflow.declaration.arrows import Edge
from graphflow.declaration.node import AnyNode
from graphflow.messages.state import AnyState, WriteKind


@dataclass(frozen=True, slots=True)
class StateArrow:
    """What an answer of a node writes.

    Attributes:
        node: the node whose answers are written.
        state: where they are written.
        kind: how.
        matches: tells the answers of its arm; None: all are.
        edge: as it was written.
    """

    node: AnyNode
    state: AnyState
    kind: WriteKind
    matches: Callable[[object], bool] | None
    edge: Edge
