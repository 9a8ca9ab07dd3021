"""The pure machine: facts in, commands out.

No clock, no I/O, no asyncio: the same facts give the same commands, today and when a record is replayed. Scopes order
tokens without regard to time; joins count who can still reach them.
"""

from __future__ import annotations

from graphflow._faces import face

__getattr__ = face(__name__, ("machine", "commands"))
