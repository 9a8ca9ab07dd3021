"""A memory."""

from __future__ import annotations

from graphflow.memory import NoteMemory


class Drawer(NoteMemory):
    """Notes, a few of them.

    Args:
        name: tells its nodes from others.
        places: how many notes it keeps.
    """

    def __init__(self, name: str, *, places: int = 5, scope: str = "") -> None:
        super().__init__(name, scope=scope, max_notes=places)
        self.places = places
