"""What tests of stores share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from graphflow import errors
from graphflow.journal.store import Store
from graphflow.journal.stored import RunHeader, StoredRow

KINDS = ["memory", "jsonl", "sqlite", "postgres"]
LASTING = ["jsonl", "sqlite", "postgres"]
"""Those that another process, or the next one, can open."""

everywhere = pytest.mark.parametrize("address", KINDS, indirect=True)
lasting = pytest.mark.parametrize("address", LASTING, indirect=True)


def within(address: str, work: Callable[[Store], Awaitable[Any]]) -> Any:
    """What is done with a store, which is closed behind it."""

    async def main() -> Any:
        async with Store.open(address) as store:
            return await work(store)

    return asyncio.run(main())


def header(id: str = "order-17", **fields: Any) -> RunHeader:
    now = time.time()
    return replace(RunHeader(id, "shop", "running", now, now), **fields)


def some_rows(first: int, count: int, body: str = '{"n":%d}') -> list[StoredRow]:
    bodies = [body % number if "%d" in body else body for number in range(first, first + count)]
    return [
        StoredRow.of(first + at, "node.end", f"0/{first + at}", text)
        for at, text in enumerate(bodies)
    ]


async def all_rows(store: Store, run: str, first: int = 0) -> list[StoredRow]:
    return [row async for row in store.rows(run, first)]


async def sound_rows(store: Store, run: str) -> tuple[list[StoredRow], errors.RunDamaged]:
    """The rows of a damaged run that can be used, and what is said of the next."""
    found: list[StoredRow] = []
    try:
        async for row in store.rows(run):
            found.append(row)
    except errors.RunDamaged as damage:
        return found, damage
    raise AssertionError("nothing was said to be damaged")
