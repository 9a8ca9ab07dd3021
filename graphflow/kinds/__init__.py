"""What a node can be: one kind a file."""

from __future__ import annotations

from graphflow._faces import face

__getattr__ = face(__name__, ("code", "delegation"))
