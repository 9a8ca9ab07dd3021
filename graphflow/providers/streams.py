"""Streams of events, which are closed when their consumer is done, not when the garbage collector comes by."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def aclosing(events: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Hands on the stream, and closes it at the end if it can be closed (not all iterators can)."""
    try:
        yield events
    finally:
        close: Any = getattr(events, "aclose", None)
        if close is not None:
            await close()
