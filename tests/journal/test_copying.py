"""Runs that are copied from one store into another: all of a run or nothing, and what is left out is named."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from graphflow import END, START, Graph, Human, node
from graphflow.errors import RunUnknown
from graphflow.journal import CopyReport, copy_runs
from graphflow.journal.store import PAGE, Store
from graphflow.journal.stored import StoredRow
from tests.journal.keeping import KEY, all_rows, header, lasting, opened, some_rows


async def copied(source: Store, target: str) -> CopyReport:
    async with Store.open(target, key=KEY) as store:
        return await copy_runs(source, store)


@lasting
def test_a_copy_has_the_rows_large_values_answers_and_metadata(
    address: str, tmp_path: Path
) -> None:
    async def main() -> None:
        target = f"sqlite:{tmp_path / 'copy.db'}"
        rows = [*some_rows(0, PAGE + 5), StoredRow.of(PAGE + 5, "x", "", '{"large":{"a":"d1"}}')]
        async with opened(address) as source:
            about = header(metadata={"customer": "ann"}, status="waiting", began=7.0)
            first = StoredRow.of(0, "run.start", "", '{"form":"f1"}')
            large = {"d1": b"[1]", "f1": b"{}"}
            ownership = await source.create(about, "me", rows=[first], large=large)
            await source.append(ownership, rows[1:])
            await source.put_answer("order-17", "really?", "true", by="ann")
            await source.release(ownership)
            report = await copied(source, target)
            assert (report.copied, report.left_out) == (["order-17"], {})
            async with Store.open(target, key=KEY) as store:
                assert await all_rows(store, "order-17") == [first, *rows[1:]]
                assert await store.large("order-17", "d1") == b"[1]"
                assert await store.large("order-17", "f1") == b"{}"
                found = await store.header("order-17")
                assert (found.status, found.began) == ("waiting", 7.0)
                assert found.metadata == {"customer": "ann"}
                [answer] = (await store.answers("order-17")).values()
                assert (answer.question, answer.value, answer.by) == ("really?", "true", "ann")
                # Nobody owns it, so it can go on.
                await store.acquire("order-17", "me")

    asyncio.run(main())


def test_what_is_worked_on_or_there_already_or_damaged_is_left_out_and_named(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        target = f"sqlite:{tmp_path / 'copy.db'}"
        async with Store.open(f"sqlite:{tmp_path / 'runs.db'}") as source:
            for name in ("sound", "damaged", "there"):
                ownership = await source.create(header(name), "me", rows=some_rows(0, 3))
                await source.release(ownership)
            await source.create(header("owned"), "process 1 on here")
            with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as db:
                db.execute("DELETE FROM rows WHERE number = 1 AND run = 2")
            async with Store.open(target, key=KEY) as store:
                await store.create(header("there"), "me")
            report = await copied(source, target)
            assert report.copied == ["sound"]
            assert report.left_out["there"] == "it is there already"
            assert report.left_out["owned"] == "process 1 on here is working on it"
            assert "damaged at row 1" in report.left_out["damaged"]
            async with Store.open(target, key=KEY) as store:
                with pytest.raises(RunUnknown):
                    await store.header("damaged")
            # The same again takes what is missing, and that is nothing.
            assert (await copied(source, target)).copied == []

    asyncio.run(main())


def test_a_run_that_waits_goes_on_in_the_copy(tmp_path: Path) -> None:
    @node
    async def said(answer: str) -> str:
        return f"she said {answer}"

    graph = Graph("asks", START >> Human("boss", input=str) >> said >> END)

    async def main() -> None:
        clear = f"sqlite:{tmp_path / 'runs.db'}"
        run = await graph.run("May I?", store=clear, id="one")
        assert run.status == "waiting"
        async with Store.open(clear) as source:
            await copied(source, f"sqlite:{tmp_path / 'copy.db'}")
        async with Store.open(f"sqlite:{tmp_path / 'copy.db'}", key=KEY) as store:
            again = await graph.resume("one", store=store, answers={"boss": "yes"})
            assert again.output == "she said yes"

    asyncio.run(main())


def test_a_conversation_goes_on_in_the_copy_with_all_that_was_said(tmp_path: Path) -> None:
    @node
    async def said(text: str) -> str:
        return f"heard {text}"

    graph = Graph("desk", START >> said >> END)
    asks = Graph("asks", START >> Human("boss", input=str) >> END)

    async def main() -> None:
        clear = f"sqlite:{tmp_path / 'runs.db'}"
        async with Store.open(clear) as source:
            chat = graph.chat("user:42", store=source)
            for number in range(3):
                await chat.say(f"planted {number}")
            await asks.chat("user:42", store=source).say("May I?")
            target = f"sqlite:{tmp_path / 'copy.db'}"
            report = await copied(source, target)
            assert len(report.copied) == 4
            assert len(report.conversations) == 2
            assert len((await copied(source, target)).left_out) == 6
        async with Store.open(target, key=KEY) as store:
            again = graph.chat("user:42", store=store)
            assert [each.text for each in await again.history()] == [
                f"heard planted {number}" for number in range(3)
            ]
            await again.say("more")
            assert len(await again.history()) == 4
            # The run that waits in it was copied with it.
            run = await asks.chat("user:42", store=store).answer("yes")
            assert run.output == "yes"

    asyncio.run(main())
    assert b"planted" not in (tmp_path / "copy.db").read_bytes()
