"""What all stores keep of conversations: changes by compare-and-set, exchanges that come with rows or not at all."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from graphflow import errors
from graphflow.journal.exchanges import (
    ConversationChange,
    ConversationHeader,
    ConversationName,
    StoredExchange,
)
from graphflow.journal.store import Store
from tests.journal.keeping import everywhere, header, lasting, some_rows, within

NAME = ConversationName("shop", "user:42")


def first(**fields: object) -> ConversationHeader:
    return ConversationHeader(NAME, version=1, run="order-17", began=5.0, changed=5.0, **fields)  # type: ignore[arg-type]


def exchange(number: int, body: str = '{"said":"ä€😀"}') -> StoredExchange:
    return StoredExchange.of(number, f"run {number}", float(number), body)


async def begin(store: Store, count: int = 0) -> ConversationHeader:
    """A conversation with so many exchanges."""
    head = first(head=count, last=f"run {count}", about={"title": "Anna"})
    added = [exchange(number + 1) for number in range(count)]
    assert await store.change(ConversationChange(NAME, 0, head, added))
    return head


@everywhere
def test_a_conversation_comes_back_as_it_was_written(address: str) -> None:
    async def work(store: Store) -> None:
        assert await store.find_conversation(NAME) is None
        assert await store.exchanges(NAME) == []
        head = await begin(store, 3)
        assert await store.find_conversation(NAME) == head
        assert await store.exchanges(NAME) == [exchange(1), exchange(2), exchange(3)]
        assert await store.exchanges(NAME, 3) == [exchange(3)]
        assert await store.exchanges(NAME, run="run 2") == [exchange(2)]
        assert await store.find_conversation(ConversationName("desk", "user:42")) is None

    within(address, work)


@everywhere
def test_of_two_changes_of_one_version_the_first_is_made(address: str) -> None:
    async def work(store: Store) -> None:
        head = await begin(store)
        assert not await store.change(ConversationChange(NAME, 0, head))
        later = head.next(6.0, run="order-18")
        results = await asyncio.gather(
            *(store.change(ConversationChange(NAME, 1, later)) for _ in range(5))
        )
        assert sorted(results) == [False, False, False, False, True]
        assert await store.find_conversation(NAME) == later

    within(address, work)


@everywhere
def test_an_exchange_comes_with_the_rows_of_its_run(address: str) -> None:
    async def work(store: Store) -> None:
        head = await begin(store)
        ownership = await store.create(header(), "me", rows=some_rows(0, 1))
        after = head.next(6.0, head=1, last="order-17", run="")
        change = ConversationChange(NAME, 1, after, [exchange(1)])
        await store.append(ownership, some_rows(1, 2), None, change)
        assert (await store.header("order-17")).rows == 3
        assert await store.find_conversation(NAME) == after
        assert await store.exchanges(NAME) == [exchange(1)]

    within(address, work)


@everywhere
def test_neither_comes_if_the_conversation_has_moved(address: str) -> None:
    async def work(store: Store) -> None:
        head = await begin(store)
        ownership = await store.create(header(), "me", rows=some_rows(0, 1))
        await store.change(ConversationChange(NAME, 1, head.next(6.0, run="order-18")))
        late = ConversationChange(NAME, 1, head.next(7.0, head=1), [exchange(1)])
        with pytest.raises(errors.ConversationMoved, match="'user:42' of 'shop'"):
            await store.append(ownership, some_rows(1, 1), None, late)
        assert (await store.header("order-17")).rows == 1
        assert await store.exchanges(NAME) == []
        await store.append(ownership, some_rows(1, 1))  # the run itself can go on

    within(address, work)


@everywhere
def test_neither_comes_if_the_run_is_somebody_elses(address: str) -> None:
    async def work(store: Store) -> None:
        head = await begin(store)
        ownership = await store.create(header(), "me", rows=some_rows(0, 1))
        taken = await store.acquire("order-17", "another", by_force=True)
        assert taken.epoch == ownership.epoch + 1
        change = ConversationChange(NAME, 1, head.next(7.0, head=1), [exchange(1)])
        with pytest.raises(errors.LeaseLost):
            await store.append(ownership, some_rows(1, 1), None, change)
        assert await store.find_conversation(NAME) == head
        assert await store.exchanges(NAME) == []

    within(address, work)


@everywhere
def test_many_runs_add_to_many_conversations_at_once(address: str) -> None:
    async def one(store: Store, number: int) -> None:
        name = ConversationName("shop", f"user:{number}")
        begun = replace(first(), name=name)
        assert await store.change(ConversationChange(name, 0, begun))
        ownership = await store.create(header(f"run {number}"), "me")
        await store.append(ownership, some_rows(0, 1))
        after = begun.next(6.0, head=1, run="")
        change = ConversationChange(name, 1, after, [exchange(1, f'"{number}"')])
        await store.append(ownership, some_rows(1, 1), None, change)

    async def work(store: Store) -> None:
        await asyncio.gather(*(one(store, number) for number in range(20)))
        assert len(await store.conversations("shop")) == 20
        assert await store.conversations("desk") == []
        for number in range(20):
            kept = await store.exchanges(ConversationName("shop", f"user:{number}"))
            assert [each.body for each in kept] == [f'"{number}"']

    within(address, work)


@everywhere
def test_exchanges_are_withdrawn_and_others_take_their_place(address: str) -> None:
    async def work(store: Store) -> None:
        head = await begin(store, 3)
        undone = head.next(6.0, head=1, last="run 1")
        assert await store.change(ConversationChange(NAME, 1, undone))
        assert await store.exchanges(NAME) == [exchange(1)]
        again = undone.next(7.0, head=2)
        assert await store.change(ConversationChange(NAME, 2, again, [exchange(2, '"other"')]))
        assert await store.exchanges(NAME) == [exchange(1), exchange(2, '"other"')]

    within(address, work)


@everywhere
def test_a_conversation_that_was_removed_can_begin_anew(address: str) -> None:
    async def work(store: Store) -> None:
        await begin(store, 2)
        assert await store.change(ConversationChange(NAME, 1, None))
        assert await store.find_conversation(NAME) is None
        assert await store.exchanges(NAME) == []
        assert await store.conversations() == []
        await begin(store, 1)
        assert await store.exchanges(NAME) == [exchange(1)]

    within(address, work)


@lasting
def test_exchanges_are_there_for_the_next_one_who_opens_it_when_all_runs_are_gone(
    address: str,
) -> None:
    async def write(store: Store) -> None:
        head = await begin(store)
        ownership = await store.create(header(), "me", rows=some_rows(0, 1))
        change = ConversationChange(NAME, 1, head.next(6.0, head=1, last="order-17"), [exchange(1)])
        await store.append(ownership, some_rows(1, 1), None, change)
        await store.note(ownership, "completed")
        await store.release(ownership)
        assert await store.prune(older_than=-60) == 1

    async def read(store: Store) -> None:
        assert await store.runs() == []
        assert await store.exchanges(NAME) == [exchange(1)]
        kept = await store.find_conversation(NAME)
        assert kept is not None
        assert (kept.head, kept.about) == (1, {"title": "Anna"})

    within(address, write)
    within(address, read)
