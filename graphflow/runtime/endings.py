"""Endings: the status that a walk, a frame or a call in the background ends in."""

from __future__ import annotations

import asyncio

from graphflow.errors import LimitExceeded, WalkCancelled
from graphflow.events import Status


def status_of(error: BaseException) -> Status:
    """The status that a walk ends in when this is raised."""
    if isinstance(error, LimitExceeded):
        return "limited"
    if isinstance(error, (asyncio.CancelledError, WalkCancelled)):
        return "cancelled"
    return "failed"
