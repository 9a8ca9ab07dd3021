"""Answers in all stores: whoever answers does not own the run, and the first answer counts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from subprocess import PIPE

import pytest

from graphflow import errors
from graphflow.journal.store import Store
from graphflow.journal.stored import StoredAnswer
from graphflow.journal.stores import postgres as postgres_store
from graphflow.journal.stores import sqlite as sqlite_store
from tests import programs
from tests.journal.keeping import (
    all_rows,
    as_argument,
    everywhere,
    header,
    lasting,
    some_rows,
    within,
)
from tests.stand_ins import postgres

MB = 1024 * 1024

ANSWERING = """
import asyncio, sys
from graphflow.errors import AnswerExists
from tests.journal.keeping import given_address, opened

async def main(address, name):
    async with opened(given_address(address)) as store:
        await store.find("order-17")
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(20):
            try:
                await store.put_answer("order-17", f"q{number}", f'"{name}"', name)
            except AnswerExists:
                continue
            print(number, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""
"""Another process, which answers twenty questions and says which of them it was the first to answer."""


@everywhere
def test_an_answer_is_found_by_the_owner_of_the_run(address: str) -> None:
    async def work(store: Store) -> None:
        ownership = await store.create(header(), "me")
        assert await store.answers("order-17") == {}
        before = await store.now()
        await store.put_answer("order-17", "0/3:approve", '{"text":"ä€😀","ok":true}', "Anna")
        await store.put_answer("order-17", "0/1:name", '"line\\nbreak \\u0000"')
        found = await store.answers("order-17")
        assert list(found) == ["0/3:approve", "0/1:name"]
        first = found["0/3:approve"]
        assert first == StoredAnswer(
            "order-17", "0/3:approve", '{"text":"ä€😀","ok":true}', "Anna", first.at
        )
        assert before <= first.at <= await store.now()
        assert found["0/1:name"].value == '"line\\nbreak \\u0000"'
        assert found["0/1:name"].by == ""
        await store.append(ownership, some_rows(0, 2))  # the owner goes on as if nobody had written
        assert await all_rows(store, "order-17") == some_rows(0, 2)

    within(address, work)


@everywhere
def test_the_first_answer_counts_and_the_second_is_told_whose_it_was(address: str) -> None:
    async def work(store: Store) -> None:
        await store.create(header(), "me")
        await store.put_answer("order-17", "q", "1", "Anna")
        first = (await store.answers("order-17"))["q"]
        with pytest.raises(
            errors.AnswerExists, match=r"'q' of run 'order-17' was answered by Anna"
        ) as caught:
            await store.put_answer("order-17", "q", "2", "Bert")
        assert (caught.value.by, caught.value.at) == ("Anna", first.at)
        assert await store.answers("order-17") == {"q": first}

    within(address, work)


@everywhere
def test_of_many_who_answer_at_once_one_is_the_first(address: str) -> None:
    async def work(store: Store) -> None:
        await store.create(header(), "me")
        for question in ("q1", "q2", "q3"):
            putting = [
                store.put_answer("order-17", question, str(number), f"p{number}")
                for number in range(8)
            ]
            ends = await asyncio.gather(*putting, return_exceptions=True)
            won = [number for number, end in enumerate(ends) if end is None]
            assert len(won) == 1
            assert sum(isinstance(end, errors.AnswerExists) for end in ends) == 7
            answer = (await store.answers("order-17"))[question]
            assert (answer.value, answer.by) == (str(won[0]), f"p{won[0]}")

    within(address, work)


@lasting
def test_of_two_processes_that_answer_at_once_one_is_the_first(address: str) -> None:
    within(address, lambda store: store.create(header(), "me"))
    answering = [
        programs.start(
            "-c", ANSWERING, as_argument(address), name, stdin=PIPE, stdout=PIPE, text=True
        )
        for name in ("Anna", "Bert")
    ]
    for process in answering:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in answering:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    won = {}
    for name, process in zip(("Anna", "Bert"), answering, strict=True):
        told, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        won[name] = {f"q{number}" for number in told.split()}
    assert not won["Anna"] & won["Bert"]
    found = within(address, lambda store: store.answers("order-17"))
    assert len(found) == 20
    for question, answer in found.items():
        assert question in won[answer.by]
        assert answer.value == f'"{answer.by}"'


@everywhere
def test_nobody_answers_a_run_that_is_not_there(address: str) -> None:
    async def work(store: Store) -> None:
        await store.create(header(), "me")
        with pytest.raises(errors.RunUnknown, match=r"did you mean 'order-17'"):
            await store.put_answer("order-71", "q", "1")
        with pytest.raises(errors.RunUnknown, match=r"did you mean 'order-17'"):
            await store.answers("order-71")

    within(address, work)


@everywhere
def test_answers_go_with_their_run(address: str) -> None:
    async def work(store: Store) -> None:
        for id in ("first", "second", "third"):
            ownership = await store.create(header(id), "me")
            await store.put_answer(id, "q", f'"{id}"')
            await store.note(ownership, "completed")
            await store.release(ownership)
        await store.delete("first")
        await store.create(header("first"), "me")
        assert await store.answers("first") == {}
        assert await store.prune(older_than=-1, keep=1) == 1
        assert (await store.answers("third"))["q"].value == '"third"'
        await store.create(header("second"), "me")
        assert await store.answers("second") == {}

    within(address, work)


@everywhere
def test_a_very_long_answer_comes_back_as_it_was_given(address: str) -> None:
    value = json.dumps("ä" * (25 * MB), ensure_ascii=False)

    async def put(store: Store) -> None:
        await store.create(header(), "me")
        await store.put_answer("order-17", "q", value, "Anna")
        assert (await store.answers("order-17"))["q"].value == value

    within(address, put)


@everywhere
def test_a_note_replaces_what_a_run_is_about(address: str) -> None:
    async def work(store: Store) -> None:
        ownership = await store.create(
            header(about={"model": "a"}, metadata={"customer": "Anna"}), "me"
        )
        await store.note(ownership, "waiting", about={"model": "a", "pending": ["0/3:approve"]})
        found = await store.header("order-17")
        assert found.status == "waiting"
        assert found.about == {"model": "a", "pending": ["0/3:approve"]}
        assert found.metadata == {"customer": "Anna"}
        await store.note(ownership, "running", metadata={})
        found = await store.header("order-17")
        assert (found.about, found.metadata) == ({"model": "a", "pending": ["0/3:approve"]}, {})

    within(address, work)


@pytest.mark.parametrize("cut", [1, 9, 40])
def test_an_answer_that_was_torn_is_as_if_it_had_never_been_given(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "order-17.answers"

    async def put(store: Store) -> None:
        await store.create(header(), "me")
        await store.put_answer("order-17", "q1", "1", "Anna")
        await store.put_answer("order-17", "q2", "2", "Anna")

    async def again(store: Store) -> None:
        assert list(await store.answers("order-17")) == ["q1"]
        await store.put_answer("order-17", "q2", "3", "Bert")
        found = await store.answers("order-17")
        assert [answer.value for answer in found.values()] == ["1", "3"]

    within(f"jsonl:{tmp_path}", put)
    path.write_bytes(path.read_bytes()[:-cut])
    within(f"jsonl:{tmp_path}", again)


def test_a_line_that_is_no_answer_is_named(tmp_path: Path) -> None:
    path = tmp_path / "order-17.answers"

    async def put(store: Store) -> None:
        await store.create(header(), "me")
        await store.put_answer("order-17", "q1", "1")

    within(f"jsonl:{tmp_path}", put)
    for spoiled in ("not JSON", "[1]", '{"question":"q2"}'):
        with path.open("a") as lines:
            lines.write(spoiled + "\n")
        with pytest.raises(errors.StoreUnreadable, match=r"line 2 of .*order-17\.answers"):
            within(f"jsonl:{tmp_path}", lambda store: store.answers("order-17"))
        path.write_text(path.read_text().replace(spoiled + "\n", ""))


@pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)
def test_a_store_of_an_older_schema_gets_a_table_of_answers(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write(store: Store) -> None:
        ownership = await store.create(header(), "me")
        await store.append(ownership, some_rows(0, 3))

    async def read(store: Store) -> None:
        assert await all_rows(store, "order-17") == some_rows(0, 3)
        await store.put_answer("order-17", "q", "1")
        assert list(await store.answers("order-17")) == ["q"]

    with monkeypatch.context() as older:
        for module in (sqlite_store, postgres_store):
            older.setattr(module, "MIGRATIONS", module.MIGRATIONS[:1])
        within(address, write)
    within(address, read)


def test_an_answer_that_was_put_while_the_database_was_away_is_told_to_be_unknown(
    server: postgres.Postgres,
) -> None:
    address = server.new_database()

    async def work(store: Store) -> None:
        await store.create(header(), "me")
        await asyncio.to_thread(server.stop)
        with pytest.raises(errors.StoreUnreachable):
            await store.put_answer("order-17", "q", "1")
        await asyncio.to_thread(server.start)
        await store.put_answer("order-17", "q", "1")
        assert list(await store.answers("order-17")) == ["q"]

    within(address, work)
