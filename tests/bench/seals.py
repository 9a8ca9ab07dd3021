"""What encryption costs, beside what the same takes without a key, in turns on the same machine.

python -m tests.bench.seals [ROUNDS]

seal      microseconds for 1.5 KB, sealed and opened again, and how many bytes it adds
step      a row of 1 KB and its commit in an encrypted store, as a multiple of the same in a store in clear
rotation  microseconds for each data key that is wrapped anew
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

from graphflow.journal.key_ring import KeyRing, new_key
from graphflow.journal.seal import run_owner
from graphflow.journal.store import Store
from tests.bench.appends import begun, step

ROUNDS = 20
TURN = 20
MANY = 5_000


def seal_figures() -> tuple[float, float, int]:
    """Microseconds to seal and to open 1.5 KB, and the bytes that a seal adds."""
    seal, _ = KeyRing({"now": new_key()}).new(run_owner("g", "r"))
    content = b"x" * 1_500
    begin = time.perf_counter()
    for number in range(MANY):
        sealed = seal.seal(content, f"rows {number} row")
    middle = time.perf_counter()
    for _ in range(MANY):
        seal.open(sealed, f"rows {MANY - 1} row")
    end = time.perf_counter()
    each = 1e6 / MANY
    return (middle - begin) * each, (end - middle) * each, len(sealed) - len(content)


def rotation_figure() -> float:
    """Microseconds for a data key."""
    older = KeyRing({"2025": new_key()})
    newer = older.joined(KeyRing({"2026": new_key()}))
    _, wrapped = older.new(run_owner("g", "r"))
    begin = time.perf_counter()
    for _ in range(MANY):
        newer.rewrapped(wrapped)
    return (time.perf_counter() - begin) / MANY * 1e6


async def ratio(
    ours: Callable[[], Awaitable[object]], theirs: Callable[[], Awaitable[object]], rounds: int
) -> float:
    """The median of what the one takes of the other, by turns."""
    found: list[float] = []
    for _ in range(rounds):
        taken: list[float] = []
        for work in (ours, theirs):
            begin = time.perf_counter()
            for _ in range(TURN):
                await work()
            taken.append(time.perf_counter() - begin)
        found.append(taken[0] / taken[1])
    return median(found)


async def step_figure(kind: str, folder: Path, rounds: int) -> float:
    clear = Store.open(f"{kind}:{folder / kind}-clear")
    sealed = Store.open(f"{kind}:{folder / kind}-sealed", key=new_key())
    ownerships = await begun(sealed, "one"), await begun(clear, "one")
    try:
        return await ratio(
            lambda: step(sealed, ownerships[0]), lambda: step(clear, ownerships[1]), rounds
        )
    finally:
        await sealed.aclose()
        await clear.aclose()


async def main(rounds: int) -> None:
    seal, opened, bytes_more = seal_figures()
    print(f"1.5 KB: sealed in {seal:.1f} us, opened in {opened:.1f} us, {bytes_more} bytes more")
    with tempfile.TemporaryDirectory() as name:
        for kind in ("sqlite", "jsonl"):
            figure = await step_figure(kind, Path(name), rounds)
            print(f"a step in {kind}: {figure:.2f} x a step in clear")
    each = rotation_figure()
    print(f"rotation: {each:.1f} us a data key, {each / 10:.1f} s for 100,000 without their commit")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
