"""Two pieces of work beside each other: how many times what one costs the other costs, on a machine that does more."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from typing import Any

ROUNDS = 5
TRIES = 8
"""What is too slow is measured again, so many times: noise only ever adds."""

Work = Callable[[], Awaitable[Any]]
Clock = Callable[[], float]


def assert_costs(ours: Work, bare: Work, most: float, *clocks: Clock) -> None:
    """Fails if the fastest round of ours costs `most` times the fastest of theirs or more; they take turns.

    Both are measured by what this thread computes, unless a clock for each is given: waiting is held against nobody.
    """
    ours_by, bare_by = clocks or (time.thread_time, time.thread_time)
    asyncio.run(_assert_costs(ours, bare, most, ours_by, bare_by))


async def _assert_costs(
    ours: Work, bare: Work, most: float, ours_by: Clock, bare_by: Clock
) -> None:
    best = [float("inf"), float("inf")]
    await ours()
    await bare()
    for _ in range(TRIES):
        gc.collect()
        gc.disable()  # a collection looks at every object of every other test, too
        try:
            for _ in range(ROUNDS):
                for side, (work, clock) in enumerate(((ours, ours_by), (bare, bare_by))):
                    begun = clock()
                    await work()
                    best[side] = min(best[side], clock() - begun)
        finally:
            gc.enable()
        if best[0] < most * best[1]:
            return
    raise AssertionError(
        f"{best[0] / best[1]:.2f} times as much as the other, which took {best[1]:.6f} s; at most {most}"
    )


def at_once(work: Callable[[], Any]) -> Work:
    """Work that waits for nothing."""

    async def main() -> None:
        work()

    return main
