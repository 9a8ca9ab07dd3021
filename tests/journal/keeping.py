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

SEALED = ["jsonl sealed", "sqlite sealed", "postgres sealed"]
"""The same with a key."""
KEY = bytes(range(32))

everywhere = pytest.mark.parametrize("address", [*KINDS, *SEALED], indirect=True)
lasting = pytest.mark.parametrize("address", [*LASTING, *SEALED], indirect=True)
sealed = pytest.mark.parametrize("address", SEALED, indirect=True)


class KeyedAddress(str):
    """The address of a store that is opened with the key of these tests."""

    __slots__ = ()


def as_argument(address: str) -> str:
    """An address for another process, which reads it by `given_address`."""
    return f"{address} sealed" if isinstance(address, KeyedAddress) else address


def given_address(argument: str) -> str:
    """The address in an argument."""
    address = argument.removesuffix(" sealed")
    return address if address == argument else KeyedAddress(address)


def opened(address: str) -> Store:
    """The store at an address, with its key if it has one."""
    return Store.open(address, key=KEY if isinstance(address, KeyedAddress) else None)


def within(address: str, work: Callable[[Store], Awaitable[Any]]) -> Any:
    """What is done with a store, which is closed behind it."""

    async def main() -> Any:
        async with opened(address) as store:
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
