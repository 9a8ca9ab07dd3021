"""Stops: what a record tells only because somebody has stopped the run. A run that goes on takes no notice of it."""

from __future__ import annotations

from asyncio import CancelledError

from graphflow.errors import WalkCancelled
from graphflow.events import Event, NodeCancelled, NodeFailed, NodeRefused, Stopped
from graphflow.walk.machine import Walk


def is_stopped(error: BaseException) -> bool:
    """Whether it is what something raises that somebody has told to stop."""
    return isinstance(
        error, (WalkCancelled, CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)
    )


def counts(fact: Event, walk: Walk) -> bool:
    """Whether a fact of an earlier sitting moves the walk: not, if it only says that somebody has stopped the run."""
    if isinstance(fact, Stopped):
        return False
    if isinstance(fact, (NodeCancelled, NodeRefused)):
        return fact.activation in walk.cancelling
    return not (isinstance(fact, NodeFailed) and is_stopped(fact.error))
