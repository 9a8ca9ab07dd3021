"""A run that was kept in a file is a test."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from graphflow import END, START, Agent, Graph, node
from graphflow.errors import Diverged, FileUnreadable
from graphflow.testing import ScriptedModel, recorded, says


@node
async def shout(line: str) -> str:
    raise AssertionError("no node runs when a case is replayed")


@node(name="shout")
async def shout_for_real(line: str) -> str:
    return line.upper()


poet = Agent("poet")


def kept(folder: Path) -> Path:
    graph = Graph("poem", START >> poet >> shout_for_real >> END)
    asyncio.run(
        graph.run(
            "bees", store=f"jsonl:{folder}", id="bees/1", model=ScriptedModel(says("they hum"))
        )
    )
    (file,) = folder.glob("*.jsonl")
    return file


def test_a_kept_run_is_a_test_that_asks_nobody(tmp_path: Path) -> None:
    seen: list[str] = []
    case = recorded(
        kept(tmp_path),
        Graph("poem", START >> poet >> shout >> END),
        lambda run: seen.append(run.output),
    )
    case()
    assert seen == ["THEY HUM"]
    assert "replayed" in (case.__doc__ or "")


def test_it_fails_where_the_graph_goes_another_way(tmp_path: Path) -> None:
    other = Graph("poem", START >> poet >> shout.named("cry") >> END)
    with pytest.raises(Diverged, match="'shout'"):
        recorded(kept(tmp_path), other)()


def test_a_file_that_is_not_there_is_told_when_the_test_is_made() -> None:
    with pytest.raises(FileUnreadable, match="--store jsonl:FOLDER"):
        recorded("no such case.jsonl", Graph("poem", START >> poet >> shout >> END))
