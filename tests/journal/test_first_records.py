"""Records of the first format are opened for ever; and they can be read with nothing but JSON and SQLite, as `docs/records.md` says."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from graphflow.journal.store import Store
from tests.conftest import Msg
from tests.journal.stored_runs import desk

DATA = Path(__file__).parents[1] / "data" / "runs"
Rows = list[tuple[int, str, str, str, int]]


@pytest.fixture(params=["jsonl:{}/jsonl", "sqlite:{}/runs.db"], ids=["jsonl", "sqlite"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a copy."""
    folder = shutil.copytree(DATA, tmp_path / "runs")
    made: str = request.param.format(folder)
    return made


def test_runs_of_the_first_format_are_loaded_replayed_and_resumed(address: str) -> None:
    async def main() -> None:
        graph = desk()
        async with Store.open(address) as store:
            loaded: Any = await store.load("done", graph)
            assert loaded.status == "completed"
            assert loaded.output == Msg(n=9)
            assert loaded.payload(loaded.artifacts[0]) == b"x" * 70_000
            assert (await graph.replay("done", store=store)).output == Msg(n=9)
            assert [question.node for question in (await store.load("waiting", graph)).pending] == [
                "person"
            ]
            resumed = await graph.resume("waiting", store=store, answers={"person": {"n": 5}})
            assert resumed.output == Msg(n=5)
            assert resumed.usage.model_calls == loaded.usage.model_calls == 3

    asyncio.run(main())


def in_lines() -> tuple[Rows, Mapping[str, bytes]]:
    rows: Rows = []
    for line in (DATA / "jsonl" / "done.jsonl").read_text().splitlines():
        data = json.loads(line)
        if "row" in data:
            rows.append((data["row"], data["kind"], data["place"], data["body"], data["checksum"]))
    large = {path.name: path.read_bytes() for path in (DATA / "jsonl" / "large").iterdir()}
    return rows, large


def in_tables() -> tuple[Rows, Mapping[str, bytes]]:
    connection = sqlite3.connect(f"file:{DATA / 'runs.db'}?mode=ro&immutable=1", uri=True)
    try:
        found = connection.execute(
            "SELECT number, kind, place, body, checksum FROM rows JOIN runs ON runs.key = run WHERE id = 'done' ORDER BY number"
        )
        rows = [
            (int(number), kind, place, body, int(checksum))
            for number, kind, place, body, checksum in found
        ]
        large = {
            digest: bytes(content)
            for digest, content in connection.execute("SELECT digest, body FROM large")
        }
    finally:
        connection.close()
    return rows, large


def answers_of(kind: str, body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What nodes have answered, by the page on records."""
    if kind == "node.end":
        yield body["node"], body["output"]
    if kind == "hops":
        columns = [iter(column) for column in body["outputs"]]
        column_of = body.get("columns") or [0] * len(body["nodes"])
        for node in body.get("order") or range(len(body["at"])):
            yield body["nodes"][node], next(columns[column_of[node]])


@pytest.mark.parametrize("read", [in_lines, in_tables])
def test_a_record_can_be_read_by_hand(read: Any) -> None:
    rows, large = read()
    assert [number for number, *_ in rows] == list(range(len(rows)))
    answers: list[tuple[str, Any]] = []
    contents: list[Any] = []
    for number, kind, place, text, checksum in rows:
        assert checksum == crc32(f"{number}\n{kind}\n{place}\n{text}".encode())
        body = json.loads(text)
        for name, digest in body.get("large", {}).items():
            body[name] = json.loads(large[digest])
        answers += answers_of(kind, body)
        if "content" in body:
            contents.append(body["content"])
    assert [node for node, _ in answers if node in ("collect", "agent", "person")] == [
        "collect",
        "agent",
        "person",
    ]
    assert answers[-1] == ("person", {"n": 9, "tag": "", "_unset": ["tag"]})
    assert contents == [{"text": "x" * 70_000}]
