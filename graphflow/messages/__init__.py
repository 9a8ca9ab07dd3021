"""What travels: messages and their types, media, artifacts.

A message never changes on its way. A type says where it may go. Nothing here knows a node.
"""

from __future__ import annotations

from graphflow._faces import face

__getattr__ = face(__name__, ("message", "types", "media", "artifacts"))
