"""What travels: messages and their types, media, artifacts.

A message never changes on its way: what could be changed is copied where several would share it. A type says where a message
may go, and whether one type fits another is decided here alone. Nothing here knows a node, a graph or a model.
"""

from __future__ import annotations

from graphflow._faces import face

__getattr__ = face(__name__, ("message", "types", "media", "artifacts"))
