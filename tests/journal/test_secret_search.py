"""A busy run with secrets planted everywhere, then the search for them in all that it has left behind."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Failure,
    Graph,
    Human,
    Retry,
    State,
    SubAgent,
    ToolError,
    node,
    tool,
)
from graphflow.events import SecretMasked
from graphflow.journal import Store
from graphflow.memory import NoteMemory
from graphflow.merges import extend
from graphflow.notebook import shown
from graphflow.providers.recording import record
from graphflow.render import write_report
from graphflow.security import Secrets
from graphflow.testing import ScriptedModel, calls

VALUE = 'zebra"crossing/&<7>'
LATIN = "Übermut-zebra-42"
KEY = "sk-zebra0123456789zebra"
CORE = "zebra"
"""What all of them have in common, in every spelling."""


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """Exits know secrets as long as somebody has them: those of this module are nobody else's business."""
    yield
    gc.collect()


def planted() -> Secrets:
    return Secrets(
        {"door": VALUE, "barn": lambda: LATIN}, patterns={"api_key": "sk-[A-Za-z0-9]{12,}"}
    )


class Item(BaseModel):
    text: str
    extra: dict[str, Any] = {}


notes = State("notes", list[str], start=[], merge=extend)


def busy(model: ScriptedModel, folder: Path) -> Graph[Any, Any]:
    memory = NoteMemory("notes", at=str(folder / "memory.md"))

    @node(adds=[notes])
    async def plan(item: Item, ctx: Context) -> list[Item]:
        ctx.add(notes, [VALUE])
        ctx.emit(f"saw {KEY}", {LATIN: [VALUE]})
        ctx.keep(f"{KEY}.txt", json.dumps({"door": VALUE, "barn": LATIN}))
        await ctx.once("token", lambda: KEY)
        logging.getLogger("busy").warning("planned %s", item)
        return [Item(text=VALUE, extra={KEY: LATIN}), Item(text="fails")]

    tries: list[str] = []

    @node(retry=Retry(attempts=2, on=(ValueError,), wait_s=0))
    def work(item: Item) -> Item:
        tries.append(item.text)
        if len(tries) == 1:
            raise ValueError(f"first {LATIN}")
        if item.text == "fails":
            raise RuntimeError(f"cannot use {VALUE}")
        return Item(text=repr(item) + VALUE)

    @node
    def mend(failure: Failure) -> Item:
        return Item(text=failure.error + KEY)

    @tool
    async def tail(name: str) -> AsyncIterator[str]:
        """Read a log."""
        for start in range(0, len(KEY), 5):
            yield KEY[start : start + 5]

    @tool
    def refuse(why: str) -> str:
        """Say no."""
        raise ToolError(f"no: {VALUE}")

    @node
    def gather(items: list[Item]) -> str:
        return json.dumps([item.text for item in items]) + LATIN

    scout = Agent("scout", input=str, description="Look.", prompt="{{ message }} {{ deps }}")
    clerk = Agent(
        "clerk",
        input=str,
        tools=[tail, refuse, *memory.tools],
        sub_agents=[SubAgent(scout, isolation="shared")],
        prompt="{{ message }} {{ deps }}",
    )
    person = Human("person", input=str, output=str)

    @node
    def close(text: str) -> Item:
        return Item(text=text, extra={"key": KEY})

    return Graph(
        "busy",
        START >> plan,
        plan.each >> work,
        [work, mend] >> gather,
        work[Failure] >> mend,
        gather >> clerk >> person >> close >> END,
        state=[notes],
        model=model,
    )


def replies() -> ScriptedModel:
    return ScriptedModel(
        calls("tail", name=VALUE),
        calls("refuse", why=KEY),
        calls("notes_remember", text=f"the door is {VALUE}"),
        calls("scout", input=LATIN),
        f"scouted {KEY}",
        f"all of it: {VALUE} {LATIN} {KEY}",
    )


def search(told: dict[str, str]) -> list[str]:
    return [
        f"{name}: ...{text[max(0, text.lower().find(CORE) - 80) :][:160]}"
        for name, text in told.items()
        if CORE in text.lower()
    ]


async def rows_of(address: str) -> dict[str, str]:
    """All that a PostgreSQL database holds, table by table."""
    import asyncpg

    connection = await asyncpg.connect(address)
    try:
        tables = await connection.fetch(
            "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
        )
        found = {}
        for schema, name in tables:
            rows = await connection.fetch(f'select t::text from "{schema}"."{name}" t')
            text = "\n".join(row[0] for row in rows)
            # Bytes are shown in hexadecimal digits.
            found[f"table {name}"] = text.replace(CORE.encode().hex(), CORE)
        return found
    finally:
        await connection.close()


@pytest.mark.parametrize("address", ["jsonl", "sqlite", "postgres"], indirect=True)
def test_planted_secrets_are_nowhere_in_what_a_busy_run_leaves(
    address: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "left"
    folder.mkdir()
    told: dict[str, str] = {}

    async def walk() -> None:
        model = record(folder / "recorded.jsonl", replies())
        graph = busy(model, folder)  # type: ignore[arg-type]  # a recorder is a model, too
        options: dict[str, Any] = {"id": "busy-1", "deps": {"key": KEY}}
        async with Store.open(address) as store:
            message = Item(text=VALUE, extra={LATIN: KEY})
            begun = graph.start(message, store=store, secrets=planted(), **options)
            said = [repr(event) async for event in begun]
            await begun.settled()
            assert begun.status == "waiting", begun.error
            told["waiting"] = repr(begun.pending) + repr(said)
            # It goes on in what might be another process, with the secrets found anew.
            answers = {"person": f"yes, {VALUE}"}
            run = await graph.run(
                message, store=store, secrets=planted(), answers=answers, **options
            )
            assert run.status == "completed"
            loaded = await store.load("busy-1", graph=graph)
            told["loaded"] = repr(loaded.events) + repr(loaded.output)
            headers = await store.runs()
            told["headers"] = repr(headers)
        assert run.output == Item(text="yes, [door]", extra={"key": "[api_key]"})
        told["output"] = repr(run.output) + repr(run) + repr(run.state[notes])
        told["events"] = repr(run.events) + json.dumps(run.records())
        told["payloads"] = repr([run.payload(artifact) for artifact in run.artifacts])
        told["steps"] = repr(run.steps) + repr(run.failures)
        told["errors"] = "".join(
            "".join(
                traceback.TracebackException.from_exception(
                    failure.error, capture_locals=True
                ).format()
            )
            for failure in run.failures
            if failure.error is not None
        )
        told["why"] = str(run.explain("work")) + str(run.explain("clerk"))
        told["frames"] = run.to_frame().to_csv() + run.to_frame(events=True).to_csv()
        told["notebook"] = str(shown(run)) + str(shown(run.events)) + str(shown(run.output))
        lines = [json.dumps(each) for each in run.records()]
        (folder / "events.jsonl").write_text("\n".join(lines))
        run.report(str(folder / "run.html"))
        write_report(folder / "events.jsonl", folder / "file.html", graph)
        for ending in ("svg", "dot", "mmd", "txt"):
            run.draw(str(folder / f"run.{ending}"))
        run.timeline().save(str(folder / "time.svg"))
        names = {
            name for event in run.events if isinstance(event, SecretMasked) for name in event.names
        }
        assert names == {"door", "barn", "api_key"}

    asyncio.run(walk())
    if address.startswith("postgres"):
        told |= asyncio.run(rows_of(address))
    for path in sorted(tmp_path.rglob("*")):
        told[f"file name {path.name}"] = path.name
        if path.is_file():
            told[f"file {path.name}"] = path.read_bytes().decode(errors="replace")
    printed = capsys.readouterr()
    told |= {"screen": printed.out + printed.err, "log": caplog.text}
    assert search(told) == []
    assert len(told) > 20
