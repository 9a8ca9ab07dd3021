"""The command line, as a user meets it: exit codes, one clear line, tables, JSON, events."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from graphflow import errors
from graphflow.project import find_all, load, read_message
from tests import programs
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]

GRAPH = """
import asyncio
from pydantic import BaseModel
from graphflow import END, START, Graph, node

class Row(BaseModel):
    name: str
    size: int

class Ask(BaseModel):
    text: str
    times: int = 1

@node
async def rows(ask: Ask) -> list[Row]:
    await asyncio.sleep(float(ask.text) if ask.text.replace(".", "").isdigit() else 0)
    if ask.text == "fail":
        raise ValueError("as you asked")
    return [Row(name=ask.text, size=i) for i in range(ask.times)]

@node
async def same(ask: Ask) -> Ask:
    return ask

mine = Graph("mine", START >> same >> rows >> END, description="Rows.")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "mine.py").write_text(GRAPH)
    (tmp_path / "graphs" / "broken.py").write_text("from graphflow import *\nx = 1 / 0\n")
    (tmp_path / "graphs" / "wrong.py").write_text(GRAPH.replace("same >> rows", "rows >> same"))
    return tmp_path


def graphflow(project: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "120", **options.pop("env", {})}
    return programs.run(
        "-m", "graphflow", *arguments, cwd=project, text=True, env=environment, **options
    )


def test_run_prints_a_table_when_piped(project: Path) -> None:
    done = graphflow(project, "run", "mine", "hey", "--set", "times=2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["name  size", "----  ----", "hey   0", "hey   1"]
    assert "mine: completed, 2 steps" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_run_json_and_events(project: Path) -> None:
    done = graphflow(
        project, "run", "mine", '{"text": "x", "times": 1}', "--json", "--events", "out.jsonl"
    )
    answer = json.loads(done.stdout)
    assert answer["status"] == "completed"
    assert answer["output"] == [{"name": "x", "size": 0}]
    assert answer["usage"]["steps"] == 2
    _, *events = map(json.loads, (project / "out.jsonl").read_text().splitlines())
    assert events[0]["kind"] == "run.start"
    assert events[-1]["kind"] == "run.end"
    assert [e["node"] for e in events if e["kind"] == "node.end"] == ["same", "rows"]
    assert [e["number"] for e in events] == list(range(len(events)))
    assert len({e["run"] for e in events}) == 1
    assert all(datetime.fromisoformat(e["time"]).tzinfo for e in events)


def test_run_reads_standard_input_and_files(project: Path) -> None:
    assert "hello" in graphflow(project, "run", "graphs/mine.py", "-", input="hello").stdout
    assert "hello" in graphflow(project, "run", "graphs/mine.py:mine", "hello").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "mien", "x"), "no graph is named 'mien'; did you mean mine?"),
        (("run", "nothere.py", "x"), "there is no file nothere.py"),
        (("run", "mine"), "lacks text; give it as JSON"),
        (("run", "mine", '{"text": 1'), "looks like JSON, and is not"),
        (("run", "mine", '{"times": 2}'), "text"),
        (("run", "mine", "x", "--set", "tiems=2"), "has no field 'tiems'"),
        (("run", "mine", "x", "--set", "times"), "FIELD=VALUE"),
        (("run", "mine", "x", "--set", "times=many"), "times: Input should be a valid integer"),
        (("run", "broken", "x"), "broken.py:2 cannot be run: ZeroDivisionError"),
        (("check", "wrong"), "1 problem"),
        (("run", "graphs/mine.py:other", "x"), "has no graph 'other'"),
        (("run", "mine", "x", "--events", "no/such/folder.jsonl"), "cannot be written"),
        (("draw", "mine", "x.bmp"), "use .svg, .png, .pdf, .dot or .mmd"),
        (("models", "pull", "gpt9"), "no local model is named 'gpt9'"),
        (("run", "desk", "nothere.csv"), "there is no file nothere.csv"),
        (("run", "desk", "graphs/mine.csv"), "there is no file"),
        (("run", "desk", "x", "-s", "shop=nowhere"), "the shop folder nowhere does not exist"),
    ],
)
def test_one_clear_line_and_exit_code_two(
    project: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = graphflow(project, *arguments)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("graphflow: ")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.csv", b"", "holds no messages"),
        ("binary.csv", b"\x00\xff\xfe\x00", "not a text file"),
        ("cols.csv", b"a,b\n1,2\n", "has no column 'message'"),
        ("blank.txt", b"\n\n", "holds no messages"),
    ],
)
def test_bad_inboxes(project: Path, name: str, content: bytes, says: str) -> None:
    (project / name).write_bytes(content)
    done = graphflow(project, "run", "desk", name)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_walk_that_fails_tells_what_was_done(project: Path) -> None:
    done = graphflow(project, "run", "mine", "fail")
    assert done.returncode == 1
    assert "as you asked" in done.stderr
    assert "finished before that: same" in done.stderr
    assert "Traceback" not in done.stderr


def test_json_tells_of_a_walk_that_failed(project: Path) -> None:
    done = graphflow(project, "run", "mine", "fail", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 1
    assert answer["status"] == "failed"
    assert answer["error"] == {"type": "ValueError", "text": "as you asked"}
    assert answer["failures"][0]["node"] == "rows"
    assert "raised by node 'rows' of 'mine'" in done.stderr


def test_debug_shows_the_traceback(project: Path) -> None:
    done = graphflow(project, "--debug", "run", "mine", "fail")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_ctrl_c_ends_the_walk_cleanly(project: Path) -> None:
    words = ("run", "mine", "30", "--events", "out.jsonl")
    with programs.start(
        "-m", "graphflow", *words, cwd=project, stdout=PIPE, stderr=PIPE, text=True
    ) as process:
        record = project / "out.jsonl"
        until(lambda: record.exists() and '"node": "rows"' in record.read_text())
        process.send_signal(signal.SIGINT)
        try:
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in told
    assert "mine: cancelled" in told
    assert "finished before that: same" in told


def test_check_bounds_list_and_draw(project: Path) -> None:
    assert "graph 'mine': sound" in graphflow(project, "check", "mine").stdout
    assert "rows  1" in graphflow(project, "bounds", "mine").stdout
    listed = graphflow(project, "list").stdout
    assert re.search(r"^mine +Ask -> list\[Row\]  Rows\.$", listed, re.MULTILINE)
    assert "desk" in listed
    assert re.search(r"^broken +cannot be loaded", listed, re.MULTILINE)
    assert graphflow(project, "draw", "mine").stdout.startswith("flowchart TD")
    for ending in ("svg", "png", "dot", "mmd"):
        assert graphflow(project, "draw", "mine", f"out.{ending}").returncode == 0
        assert (project / f"out.{ending}").stat().st_size > 100


def test_without_a_program_that_draws_there_is_mermaid(project: Path) -> None:
    done = graphflow(project, "draw", "mine", "out.svg", env={"GRAPHFLOW_DOT": "/nothing/here"})
    assert done.returncode == 2
    assert "graphflow-agents[dot]" in done.stderr
    assert (project / "out.mmd").read_text().startswith("flowchart TD")


def test_a_users_graph_hides_a_shipped_one(project: Path) -> None:
    (project / "graphs" / "desk.py").write_text(
        GRAPH.replace('Graph("mine"', 'Graph("desk"').replace("mine =", "desk =")
    )
    found = {each.name: each for each in find_all(project)}
    assert found["desk"].root == project


def test_messages_from_a_command_line() -> None:
    desk = load("desk", ROOT)
    assert read_message(desk, "hello") == {"source": "hello"}
    assert read_message(desk, None) == {}
    assert read_message(desk, "x", {"shop": "y"}) == {"shop": "y", "source": "x"}
    with pytest.raises(errors.InputInvalid):
        read_message(desk, "x", {"nope": "y"})


def test_missing_extra_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ImportError('no typer')")
    done = subprocess.run(
        [sys.executable, "-c", "from graphflow.cli import main; main()"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 2
    assert (
        done.stderr
        == "graphflow: the command line needs the extra 'cli': pip install 'graphflow-agents[cli]'\n"
    )


def test_a_list_is_set_as_json(project: Path) -> None:
    source = GRAPH.replace("times: int = 1", "times: int = 1\n    tags: list[str] = []").replace(
        "size=i) for i in range(ask.times)]", "size=len(ask.tags))]"
    )
    (project / "graphs" / "mine.py").write_text(source)
    done = graphflow(project, "run", "mine", "hi", "--set", 'tags=["a", "b"]', "--json")
    assert json.loads(done.stdout)["output"] == [{"name": "hi", "size": 2}]
    done = graphflow(project, "run", "mine", "hi", "--set", "tags=[a")
    assert done.returncode == 2
    assert "looks like JSON, and is not" in done.stderr


def test_a_file_from_anywhere_brings_nothing_along(tmp_path: Path) -> None:
    """Neither a module that lies beside it nor one in the working directory is what others import under that name."""
    for name in ("jinja2", "json", "brotli", "email_validator"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a stray module was imported')\n")
    text = "graph: g\nmodel: local:smollm2\nnodes:\n  a: {kind: agent, input: str, prompt: 'Do {{ message }}'}\n"
    (tmp_path / "fine.yaml").write_text(text + "edges:\n  - START >> a >> END\n")
    done = graphflow(tmp_path, "check", "fine.yaml")
    assert done.returncode == 0, done.stderr
    bad = (
        text
        + "  r: {kind: router, input: str, guards: {x: 'os:system'}, otherwise: y, explain: maybe}\nedges:\n  - START >> a >> END\n"
    )
    (tmp_path / "bad.yaml").write_text(bad + "  - START >> nobody\n")
    done = graphflow(tmp_path, "check", "bad.yaml")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert (
        "bad.yaml:5:73: explain of router 'r' is 'maybe'; it must be true or false" in done.stderr
    )
    assert (
        "bad.yaml:8:5: the arrow 'START >> nobody' names 'nobody', and there is no such node"
        in done.stderr
    )
