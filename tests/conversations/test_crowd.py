"""Two processes and 50 runs at once in one conversation, one of them killed: nothing is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from graphflow import Store
from tests import programs
from tests.conversations.crowd import chat_in
from tests.journal.keeping import as_argument, opened
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
RUNS = 50
HALF = RUNS // 2
EACH = ["sqlite", "postgres", "sqlite sealed"]


def talking(address: str, first: int, count: int) -> Any:
    words = ("-m", "tests.conversations.crowd", as_argument(address), str(first), str(count))
    return programs.start(*words, cwd=ROOT)


async def count_of(store: Store) -> int:
    found = await store.conversations("crowded")
    return found[0].head if found else 0


async def at_least(store: Store, count: int) -> None:
    """Waits until so much was said."""
    heads = [0]

    async def look() -> None:
        while heads[-1] < count:
            heads.append(await count_of(store))
            await asyncio.sleep(0.01)

    looking = asyncio.create_task(look())
    await eventually(looking.done, because=lambda: heads[-1])
    await looking


@pytest.mark.slow
@pytest.mark.parametrize("address", EACH, indirect=True)
def test_whatever_is_killed_each_message_is_kept_once_and_saw_all_before_it(address: str) -> None:
    async def work() -> None:
        async with opened(address) as store:
            victim, survivor = talking(address, 0, HALF), talking(address, HALF, HALF)
            processes = [victim, survivor]
            try:
                for number, count in enumerate((6, 16)):
                    await at_least(store, count)
                    victim.kill()
                    victim.wait()
                    victim = talking(address, 0, HALF)
                    processes.append(victim)
                    assert len(processes) == 3 + number
                ends = [asyncio.to_thread(each.wait) for each in (victim, survivor)]
                assert await asyncio.gather(*ends) == [0, 0]
            finally:
                for each in processes:
                    each.kill()
                    each.wait()
            exchanges = await chat_in(store).history()
        assert [each.number for each in exchanges] == list(range(1, RUNS + 1))
        messages = [each.message for each in exchanges]
        assert sorted(messages) == sorted(f"message {number}" for number in range(RUNS))
        for position, each in enumerate(exchanges):
            assert json.loads(each.answer) == messages[:position]

    asyncio.run(work())
