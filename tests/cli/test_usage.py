"""`graphflow usage`: what was spent, from the records alone, as a table, a chart and JSON."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph
from graphflow.cli.app import run_app
from graphflow.journal.store import Store
from graphflow.testing import ScriptedModel


async def _fill(address: str) -> None:
    async with Store.open(address) as store:
        for name, usd, count in (("cheap", 0.001, 1), ("dear", 1.5, 2), ("unknown", None, 1)):
            agent = Agent("writer", input=str, output=str, prompt="{{ text }}")
            model = ScriptedModel("x", "y", tokens=(1_000, 200), usd=usd)
            graph: Graph[str, str] = Graph(name, START >> agent >> END, model=model)
            for number in range(count):
                await graph.run("hi", store=store, id=f"{name}-{number}", conversation=f"c{number}")


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)  # where there is no project, so no graph
    address = f"sqlite:{tmp_path / 'runs.db'}"
    asyncio.run(_fill(address))
    return address


def shown(capsys: pytest.CaptureFixture[str], address: str, *options: str) -> tuple[list[str], str]:
    assert run_app(["usage", "--store", address, *options]) == 0
    out, err = capsys.readouterr()
    return out.splitlines(), err


def test_a_table_by_graph_has_who_spent_most_first(
    filled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, notes = shown(capsys, filled, "--by", "graph")
    assert lines[0].split() == [
        "graph",
        "runs",
        "calls",
        "tokens",
        "in",
        "tokens",
        "out",
        "usd",
        "unpriced",
    ]
    assert [line.split() for line in lines[2:]] == [
        ["dear", "2", "2", "2,000", "400", "3.0000"],
        ["cheap", "1", "1", "1,000", "200", "0.0010"],
        ["unknown", "1", "1", "1,000", "200", "0", "1"],
        ["all", "4", "4", "4,000", "800", "3.0010", "1"],
    ]
    assert "nobody knows the price of 1 model call" in notes


@pytest.mark.parametrize(
    ("by", "first"),
    [("node", "dear > writer"), ("model", "scripted"), ("conversation", "dear: c0")],
)
def test_other_groups(by: str, first: str, filled: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines, _ = shown(capsys, filled, "--by", by)
    assert lines[2].startswith(first)
    lines, _ = shown(capsys, filled, "--by", by, "--graph", "cheap")
    assert len(lines) == 3  # a single group is the sum already


def test_json_has_plain_numbers_and_all_rows(
    filled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, _ = shown(capsys, filled, "--by", "graph", "--json", "--limit", "1")
    data: dict[str, Any] = json.loads("\n".join(lines))
    assert [row["graph"] for row in data["rows"]] == ["dear", "cheap", "unknown"]
    assert data["total"] == {
        "runs": 4,
        "model_calls": 4,
        "input_tokens": 4000,
        "output_tokens": 800,
        "usd": 3.001,
        "unpriced_calls": 1,
    }


def test_a_chart_fits_the_terminal_and_shows_the_least_bar(
    filled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, _ = shown(capsys, filled, "--by", "graph", "--chart")
    assert lines[0] == "US dollars by graph"
    assert all(len(line) <= 80 for line in lines)
    marks = [line.count("█") for line in lines[1:]]
    assert marks[0] > 50
    assert marks[1:] == [1, 0]
    lines, _ = shown(capsys, filled, "--chart", "--measure", "runs")
    assert lines[0] == "runs by day"


def test_since_leaves_out_what_was_before(filled: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines, notes = shown(capsys, filled, "--since", "2999-01-01")
    assert lines == []
    assert "no runs fit" in notes


def test_rows_that_are_not_shown_are_in_the_sum(
    filled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, notes = shown(capsys, filled, "--by", "graph", "--limit", "1")
    assert [line.split()[0] for line in lines[2:]] == ["dear", "all"]
    assert "and 2 more rows" in notes


def test_a_long_name_leaves_room_for_the_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    address = f"sqlite:{tmp_path / 'runs.db'}"
    key = "user-" + "0123456789" * 12

    async def fill() -> None:
        agent = Agent("writer", input=str, output=str, prompt="{{ text }}")
        graph: Graph[str, str] = Graph("g", START >> agent >> END, model=ScriptedModel("x"))
        async with Store.open(address) as store:
            await graph.run("hi", store=store, conversation=key)

    asyncio.run(fill())
    lines, _ = shown(capsys, address, "--by", "conversation")
    assert all(len(line) <= 80 for line in lines)
    assert "..." in lines[2]
