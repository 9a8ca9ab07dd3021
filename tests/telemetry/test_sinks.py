"""Files, logs and numbers: what they hold, and what becomes of them when something goes wrong."""

from __future__ import annotations

import json
import logging
import os
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Graph, node
from graphflow.errors import DeclarationError, FileUnreadable
from graphflow.render.records import read_events
from graphflow.telemetry import (
    JsonlSink,
    LoggingSink,
    PrometheusSink,
    Sink,
    event_lines,
    flush,
    sinks_of,
)
from graphflow.telemetry.sinks import prometheus
from tests.conftest import Msg
from tests.small_disk import Disk
from tests.telemetry.office import chain, desk, loop, nested


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def kept(path: Path, graph: Any = chain, message: Any = None, **options: Any) -> JsonlSink:
    """A file of a run."""
    sink = JsonlSink(path, **options)
    with graph.subscribe(to=sink):
        graph.run_sync(message or Msg())
    return sink


# -- files -----------------------------------------------------------------------------------------
def test_a_file_has_a_header_and_a_line_for_each_fact(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    kept(path)
    header, *records = lines(path)
    assert header["format"] == "graphflow.events"
    assert header["version"] == 1
    assert [record["kind"] for record in records] == [
        "run.start",
        "node.end",
        "node.end",
        "run.end",
    ]
    assert [record["number"] for record in records] == [0, 1, 2, 3]
    assert all(record["path"] == ["chain"] for record in records)
    kept(path)
    assert [line.get("format") for line in lines(path)].count("graphflow.events") == 1


def test_a_file_is_read_back_and_one_of_a_later_version_is_not(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    kept(path)
    assert [event.kind for event in read_events(path)][1:3] == ["node.end", "node.end"]
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(FileUnreadable, match="the file is of version 2, and 1 is known here"):
        read_events(path)


def test_records_of_frames_within_say_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    kept(path, nested)
    where = {record["node"]: record["path"] for record in lines(path)[1:] if "node" in record}
    assert where["up"] == ["nested", "inner"]
    assert where["last"] == ["nested"]


def test_a_file_that_is_full_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = kept(path, loop, Msg(n=100), max_bytes=10_000, backups=2)
    assert sink.lost == 0
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["events.jsonl", "events.jsonl.1", "events.jsonl.2"]
    assert all(lines(file)[0]["format"] == "graphflow.events" for file in files)
    assert all(file.stat().st_size <= 10_000 for file in files)
    numbers = [record["number"] for file in reversed(files) for record in lines(file)[1:]]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 201


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_is_full_at_the_beginning_is_refused_then() -> None:
    with pytest.raises(FileUnreadable, match="No space left on device"):
        JsonlSink("/dev/full")


def test_a_disk_that_becomes_full_harms_no_walk_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonlSink(path, max_bytes=1_000)
    with loop.subscribe(to=sink):
        path.unlink()
        tmp_path.chmod(0o500)
        tmp_path.rmdir()  # so that the next file cannot be made: rotating fails
        assert loop.run_sync(Msg(n=100)).status == "completed"
    assert sink.lost > 100
    assert caplog.text.count("cannot be written") == 1
    assert "events are not in" in caplog.text


def test_a_disk_that_becomes_full_keeps_whole_lines_and_is_gone_on_with(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_lines, "RETRY_S", 0.0)
    filler = disk.path / "filler"
    filler.write_bytes(b"x" * (2 * 1024 * 1024 - 16_384))
    path = disk.path / "events.jsonl"
    sink = JsonlSink(path)
    with loop.subscribe(to=sink):
        assert loop.run_sync(Msg(n=1_000)).status == "completed"
        assert flush()
        assert sink.lost > 0
        assert path.read_text().endswith("}\n")
        filler.unlink()
        assert loop.run_sync(Msg(n=1)).status == "completed"
    assert caplog.text.count("No space left on device") == 1
    kinds = [event.kind for event in read_events(path)]
    assert kinds.count("run.start") == 2
    assert kinds[-1] == "run.end"


def test_half_a_line_that_a_dead_process_has_left_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    kept(path)
    whole = path.read_text()
    path.write_text(whole + '{"kind": "node.e')
    kept(path)
    *_, after = path.read_text().partition('{"kind": "node.e\n')
    assert len(after.splitlines()) == len(whole.splitlines()) - 1


def test_two_that_write_one_file_lose_nothing_when_it_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    first, second = (JsonlSink(path, max_bytes=10_000, backups=50) for _ in range(2))
    with loop.subscribe(to=first), loop.subscribe(to=second):
        loop.run_sync(Msg(n=300))
    records = [record for file in tmp_path.iterdir() for record in lines(file)]
    numbers = [record["number"] for record in records if "number" in record]
    assert first.lost == second.lost == 0
    assert sorted(numbers) == sorted(2 * list(range(602)))


def test_a_huge_text_is_cut_and_secrets_are_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "sesame-opens-2931")

    @node
    async def swells(m: Msg) -> Msg:
        return Msg(tag="sesame-opens-2931 " + "x" * 990 + "sesame-opens-2931" + "y" * 1_000_000)

    path = tmp_path / "events.jsonl"
    kept(path, Graph("g", START >> swells >> END), max_text=1_000)
    assert path.stat().st_size < 10_000
    text = path.read_text()
    assert "sesame" not in text
    assert "[SHOP_API_KEY]" in text
    assert "characters)" in text


def test_a_file_that_cannot_be_opened_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="cannot be written"):
        JsonlSink(tmp_path)


# -- logs ------------------------------------------------------------------------------------------
def test_events_are_logged_with_levels_of_their_kinds(caplog: pytest.LogCaptureFixture) -> None:
    @node
    async def breaks(m: Msg) -> Msg:
        raise ValueError("no way")

    caplog.set_level(logging.DEBUG, "graphflow.runs")
    graph = Graph("g", START >> breaks >> END)
    with graph.subscribe(to=LoggingSink()), pytest.raises(ValueError, match="no way"):
        graph.run_sync(Msg())
    records = [record for record in caplog.records if record.name == "graphflow.runs"]
    assert [(record.levelname, record.graphflow["kind"]) for record in records] == [  # type: ignore[attr-defined]
        ("INFO", "run.start"),
        ("ERROR", "node.error"),
        ("INFO", "run.end"),
    ]
    assert "g: breaks failed" in records[1].message
    assert "ValueError: no way" in records[1].message


def test_no_message_stands_in_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "graphflow.runs")
    graph = desk()
    with graph.subscribe(to=LoggingSink()):
        graph.run_sync(Msg(tag="for nobody's eyes"))
    assert "model.end" in caplog.text
    assert "nobody's eyes" not in caplog.text
    assert "the answer is" not in caplog.text


def test_levels_are_the_programs_choice(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "shop.flow")
    sink = LoggingSink("shop.flow", levels={"node.end": "warning"})
    with chain.subscribe(to=sink):
        chain.run_sync(Msg())
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "WARNING", "INFO"]
    with pytest.raises(DeclarationError, match="give a level of logging"):
        LoggingSink(levels={"node.end": "loud"})
    with pytest.raises(DeclarationError, match="no event has the kind"):
        LoggingSink(levels={"nodes": "info"})


# -- numbers ---------------------------------------------------------------------------------------
def test_numbers_are_served_from_a_registry_of_their_own() -> None:
    sink = PrometheusSink(port=0)
    graph = desk()
    with graph.subscribe(to=sink) as subscription:
        graph.run_sync(Msg())
        assert subscription.sink is sink
        assert flush(30)
        address = f"http://127.0.0.1:{sink.port}/metrics"
        with urllib.request.urlopen(address, timeout=30) as answer:
            page = answer.read().decode()
    assert 'graphflow_run_seconds_count{graph="desk",outcome="completed"} 1.0' in page
    assert 'graphflow_call_seconds_count{graph="desk",node="look",outcome="completed"} 1.0' in page
    assert 'graphflow_tokens_total{model="scripted",type="input"}' in page
    assert 'graphflow_first_token_seconds_count{model="scripted"} 4.0' in page
    assert "python_info" not in page
    assert "graphflow:prometheus" not in [thread.name for thread in threading.enumerate()]


def test_a_port_that_is_taken_is_said() -> None:
    first = PrometheusSink(port=0)
    try:
        with pytest.raises(DeclarationError, match="cannot be listened at"):
            PrometheusSink(port=first.port)
    finally:
        first.close()


def test_series_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "MAX_SERIES", 1)
    sink = PrometheusSink()
    with nested.subscribe(to=sink):
        nested.run_sync(Msg())
    text = sink.text()
    assert 'node="first"' in text
    assert 'node="other"' in text
    assert 'node="last"' not in text


# -- a table of settings ---------------------------------------------------------------------------
def test_a_table_makes_sinks(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sinks = sinks_of(
        {
            "jsonl": {"path": str(path), "kinds": ["run.*"]},
            "logging": "debug",
            "otlp": False,
            "prometheus": {"port": 0},
        }
    )
    assert [type(sink).__name__ for sink in sinks] == ["JsonlSink", "LoggingSink", "PrometheusSink"]
    assert all(isinstance(sink, Sink) for sink in sinks)
    subscriptions = [chain.subscribe(to=sink) for sink in sinks]
    chain.run_sync(Msg())
    for subscription in subscriptions:
        subscription.close()
    assert [line.get("kind") for line in lines(path)] == [None, "run.start", "run.end"]


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"jsnol": "x"}, r"\[telemetry\] jsnol is not known; did you mean 'jsonl'"),
        ({"jsonl": 3}, r"\[telemetry\] jsonl is int; give a text"),
        ({"jsonl": True}, "say which file"),
        ({"jsonl": {"backups": 2}}, "names no file"),
        ({"jsonl": {"path": "x", "bakups": 2}}, "did you mean 'backups'"),
        ({"otlp": {"endpoint": "x:1"}}, "give an address"),
        ({"otlp": {"content": "yes"}}, r"otlp.content is str; give true or false"),
        ({"logging": "loud"}, "give a level"),
        ({"prometheus": "9464"}, r"prometheus is str; give a number"),
        ({"prometheus": {"port": True}}, r"prometheus.port is bool; give a number"),
    ],
)
def test_a_wrong_table_is_refused(table: dict[str, object], problem: str) -> None:
    with pytest.raises(DeclarationError, match=problem):
        sinks_of(table)
