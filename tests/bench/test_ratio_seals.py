"""What encryption costs: a step in a store with a key against the same step in a store without one, in turns."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from graphflow.journal import new_key
from graphflow.journal.store import Store
from tests.bench.appends import begun, step
from tests.bench.beside import Work, assert_costs

STEPS = 50


def steps_of(store: Store) -> Work:
    """Some rows of 1 KB, each with its commit."""
    ownership = asyncio.run(begun(store, "one"))

    async def work() -> None:
        for _ in range(STEPS):
            await step(store, ownership)

    return work


@pytest.mark.parametrize(("kind", "most"), [("sqlite", 1.5), ("jsonl", 1.5)])
def test_a_step_with_a_key_costs_little_more_than_one_without(
    kind: str, most: float, tmp_path: Path
) -> None:
    clear = Store.open(f"{kind}:{tmp_path / 'clear'}")
    sealed = Store.open(f"{kind}:{tmp_path / 'sealed'}", key=new_key())
    assert_costs(steps_of(sealed), steps_of(clear), most, time.perf_counter, time.perf_counter)
    for store in (clear, sealed):
        asyncio.run(store.aclose())
