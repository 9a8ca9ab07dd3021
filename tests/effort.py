"""How much a test computes, held against a fixed piece of work that is done beside it: a slow or busy machine slows both."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

SOON = 4_000
"""Pieces of work that what is quick may cost: twenty seconds where a piece takes five milliseconds, and nothing like an hour."""


def _piece() -> int:
    """The piece: loops, numbers and texts of a kind that every program has."""
    total = 0
    for number in range(20_000):
        total += len(str(number)) * number % 7
    return total


def cost_of_piece() -> float:
    """Seconds of computing that the piece takes just now."""
    began = time.process_time()
    _piece()
    return time.process_time() - began


@contextmanager
def soon(pieces: float = SOON) -> Iterator[None]:
    """Fails if what is done within computes for longer than so many pieces of work.

    The piece is measured before and after, and the slower one counts.
    """
    before = cost_of_piece()
    began = time.process_time()
    yield
    took = time.process_time() - began
    piece = max(before, cost_of_piece())
    assert took <= pieces * piece, (
        f"{took:.2f} s of computing are {took / piece:.0f} times the fixed piece of work ({piece:.4f} s); at most {pieces:g}"
    )
