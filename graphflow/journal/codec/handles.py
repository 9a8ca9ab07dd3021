"""Handles: of calls in the background. Only their names are written; what goes on behind one is not a value."""

from __future__ import annotations

from graphflow.declaration.background import Background
from graphflow.journal.codec.coding import Coding
from graphflow.journal.stored import Json

_NAMES = frozenset({"handle", "node"})


class HandleCoding(Coding):
    """Handles of calls in the background."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Background)

    def encode(self, value: object, depth: int) -> Json:
        value = self.checked(value, Background)
        return {"handle": value.handle, "node": value.node}

    def decode(self, data: Json, depth: int) -> object:
        data = self.object_in(data, _NAMES)
        handle = self.text_in(data["handle"])
        node = self.text_in(data["node"])
        return Background(handle=handle, node=node)
