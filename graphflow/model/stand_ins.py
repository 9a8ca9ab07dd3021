"""Stand-ins: what answers in place of the models of a run, or listens to all of them. Recordings are made and replayed so.

    with standing_in(choose):           # `choose` is asked for each model that a node names, before that is opened
        await graph.run(message)

Runs that begin within the block are concerned, whichever models their nodes name, and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from graphflow.model.seam import Model

ModelChoice: TypeAlias = Callable[[Model | str], Model]
"""Gives the model that is asked, for one that a node names."""

_current: ContextVar[ModelChoice | None] = ContextVar("stand_in", default=None)


@contextmanager
def standing_in(choose: ModelChoice) -> Iterator[None]:
    """Has other models answer in all runs that begin within the block."""
    token = _current.set(choose)
    try:
        yield
    finally:
        _current.reset(token)


def stand_in_for(named: Model | str) -> Model | None:
    """The model that answers in place of one; None: it answers itself."""
    choose = _current.get()
    return None if choose is None else choose(named)
