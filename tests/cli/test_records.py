"""What the command line writes down and shows, whatever nodes answer and however it is ended."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from graphflow import END, START, Agent, Graph, replay
from graphflow.cli.serve import _written
from graphflow.cli.show import table
from graphflow.cli.watch import WalkTree
from graphflow.errors import FileUnreadable
from graphflow.events import (
    ApprovalAsked,
    Approved,
    Event,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeStarted,
)
from graphflow.render import draw_run, read_records, timeline, write_report
from graphflow.render.records import read_events
from graphflow.testing import ScriptedModel
from tests import programs
from tests.conftest import walk
from tests.effort import soon
from tests.small_disk import Disk
from tests.waiting import until

ODD = """
from typing import Any
from pydantic import BaseModel
from graphflow import END, START, Graph, node

class Row(BaseModel):
    name: str
    size: int

class Blunt:
    def __repr__(self):
        raise RuntimeError("no")

def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value

round_trip = []
round_trip.append(round_trip)

VALUES = {
    "bytes": lambda: b"\\x89PNG\\xff", "deep": lambda: deep(5_000), "cycle": lambda: round_trip, "half": lambda: "a\\ud800b",
    "nan": lambda: [float("nan"), float("inf")], "huge": lambda: 1 << 1_000_000, "key": lambda: {1 << 100_000: 1},
    "blunt": lambda: Blunt(), "row": lambda: Row(name="x", size=1 << 100_000), "rows": lambda: [Row(name="x", size=1 << 100_000)],
    "escape": lambda: "a\\x1b[2Jb\\x9b31mc", "escapes": lambda: [Row(name="x\\x1b]0;owned\\x07", size=1)],
}

@node
async def make(what: str) -> Any:
    if what == "raise":
        raise ValueError("\\x1b[31mred")
    return VALUES[what]()

@node
async def keep(value: Any) -> Any:
    return value

odd = Graph("odd", START >> make >> keep >> END)
"""

LONG = """
from graphflow import END, START, Graph, node

@node
async def swell(text: str) -> str:
    return text * 10_000

@node
async def keep(text: str) -> str:
    return text

long = Graph("long", START >> swell >> keep >> END)
"""

SLOW = """
import asyncio
from pathlib import Path
from graphflow import END, START, Graph, node

@node
async def first(x: str) -> str:
    return x

@node
async def wait(x: str) -> str:
    Path("begun").touch()
    try:
        await asyncio.sleep(600)
    finally:
        print("wound down", flush=True)
    return x

slow = Graph("slow", START >> first >> wait >> END)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "odd.py").write_text(ODD)
    (tmp_path / "graphs" / "slow.py").write_text(SLOW)
    return tmp_path


def graphflow(project: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return programs.run("-m", "graphflow", *arguments, cwd=project, stdin=subprocess.DEVNULL)


def strictly(line: str) -> Any:
    return json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


@pytest.mark.parametrize(
    "what",
    [
        "bytes",
        "deep",
        "cycle",
        "half",
        "nan",
        "huge",
        "key",
        "blunt",
        "row",
        "rows",
        "escape",
        "escapes",
    ],
)
def test_no_answer_ends_a_walk_by_being_written_down(project: Path, what: str) -> None:
    done = graphflow(project, "run", "odd", what, "--events", "e.jsonl", "--report", "r.html")
    assert done.returncode == 0, done.stderr
    records = [
        strictly(line) for line in (project / "e.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert records[-1]["kind"] == "run.end"
    assert records[-1]["status"] == "completed"
    assert (project / "r.html").stat().st_size < 5_000_000
    assert read_records(project / "e.jsonl")
    shown = graphflow(project, "run", "odd", what, "--json")
    assert shown.returncode == 0, shown.stderr
    assert strictly(shown.stdout.decode())["status"] == "completed"


@pytest.mark.parametrize("what", ["escape", "escapes", "raise"])
def test_what_a_terminal_would_obey_is_shown(project: Path, what: str) -> None:
    done = graphflow(project, "run", "odd", what)
    told = (done.stdout + done.stderr).decode()
    assert "\\x1b" in told
    assert not {"\x1b", "\x9b", "\x07"} & set(told)
    as_json = graphflow(project, "run", "odd", what, "--json").stdout.decode()
    assert not {"\x1b", "\x9b", "\x07"} & set(as_json)
    if what == "escape":
        assert json.loads(as_json)["output"] == "a\x1b[2Jb\x9b31mc", (
            "as JSON it is still the same text"
        )


def test_the_live_tree_shows_escapes_too() -> None:
    graph: Graph[Any, Any] = Graph("g", START >> Agent("clerk", input=str) >> END)
    run = walk(graph, "x", model=ScriptedModel("fine \x1b]0;owned\x07"))
    told = tree_of("g", run.events)
    assert "\\x1b]0;owned\\x07" in told
    assert "\x1b" not in told


def tree_of(name: str, events: list[Event]) -> str:
    from rich.console import Console

    picture = WalkTree(name)
    for event in events:
        picture.take(event)
    console = Console(record=True, force_terminal=False, width=100, file=StringIO())
    console.print(picture.tree())
    return console.export_text()


def test_the_live_tree_tells_failures_cancellations_and_waiting_apart() -> None:
    begun: list[Event] = [NodeStarted(0.0, 0, number, "a", (), "x") for number in range(3)]
    asked = [*begun, ApprovalAsked(0.1, 0, 0, "a", "key")]
    assert "? a" in tree_of("g", asked)
    assert "waits for approval" in tree_of("g", asked)
    given: list[Event] = [
        *asked,
        Approved(0.2, 0, 0, "a", "key", True),
        NodeFinished(1.0, 0, 0, "a", "y", 0.0),
    ]
    ended = [
        *given,
        NodeFailed(1.0, 0, 1, "a", ValueError("no"), 0.0),
        NodeCancelled(1.0, 0, 2, "a", 0.0),
    ]
    told = tree_of("g", ended)
    assert "! a" in told, "what failed is not covered by what went well"
    assert "1 failed, 1 cancelled" in told
    assert "waits" not in told
    assert "\u25a0 a" in tree_of("g", [begun[0], NodeCancelled(1.0, 0, 0, "a", 0.0)])


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="a disk that is full is made by /dev/full"
)
def test_a_disk_that_is_full_at_the_beginning_is_said_before_anything_runs(project: Path) -> None:
    done = graphflow(project, "run", "odd", "nan", "--events", "/dev/full")
    assert done.returncode == 2
    assert b"/dev/full cannot be written: No space left on device" in done.stderr


def test_a_disk_that_becomes_full_ends_the_record_and_not_the_walk(
    project: Path, disk: Disk
) -> None:
    filler = disk.path / "filler"
    filler.write_bytes(b"x" * (2 * 1024 * 1024 - 16_384))
    events = disk.path / "out.jsonl"
    # An answer of 10,000 characters stands in several events.
    graph = project / "graphs" / "long.py"
    graph.write_text(LONG)
    done = graphflow(project, "run", "long", "x", "--events", str(events), "--store", "none")
    assert done.returncode == 0, done.stderr
    said = done.stderr.decode()
    assert said.count("cannot be written: No space left on device") == 1
    assert "events are not in" in said
    written = events.read_text()
    assert written.endswith("\n")
    first, *_ = read_events(events)
    assert first.kind == "run.start"


def test_a_file_of_events_says_what_it_is_and_is_made_anew(project: Path) -> None:
    for _ in range(2):
        assert graphflow(project, "run", "odd", "row", "--events", "out.jsonl").returncode == 0
    header, *records = map(json.loads, (project / "out.jsonl").read_text().splitlines())
    assert (header["format"], header["version"]) == ("graphflow.events", 1)
    kinds = [record["kind"] for record in records]
    assert kinds.count("run.start") == kinds.count("run.end") == 1
    assert graphflow(project, "diff", "out.jsonl", "out.jsonl").returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM that can be handled")
@pytest.mark.parametrize("record", [True, False])
def test_sigterm_ends_a_walk_as_ctrl_c_does(project: Path, record: bool) -> None:
    words = ["run", "slow", "x", *(["--events", "out.jsonl"] if record else [])]
    pipe = subprocess.PIPE
    with programs.start(
        "-m", "graphflow", *words, cwd=project, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            until((project / "begun").exists)
            if record:
                until(lambda: "wait" in lines_of(project / "out.jsonl"))
            process.send_signal(signal.SIGTERM)
            said, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 143, told
    assert "Traceback" not in told
    assert "slow: cancelled" in told
    assert "finished before that: first" in told
    assert "wound down" in said
    if record:
        assert read_records(project / "out.jsonl")[-1]["status"] == "cancelled"


def lines_of(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def test_a_cell_of_megabytes_is_cut_before_it_is_wrapped() -> None:
    class Row(BaseModel):
        text: str

    with soon():
        shown = table([Row(text="x" * 5_000_000), Row(text="y")], width=80)
    assert "4995000 more characters" in " ".join(shown.split())
    assert len(shown) < 20_000


# -- the file of a token ---------------------------------------------------------------------------
@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
@pytest.mark.parametrize("there", ["nothing", "open", "link", "pipe"])
def test_a_token_is_in_a_file_of_its_owner_whatever_was_there(tmp_path: Path, there: str) -> None:
    path = tmp_path / "token"
    other = tmp_path / "other"
    other.write_text("mine")
    if there == "open":
        path.write_text("old and longer than the token")
        path.chmod(0o666)
    elif there == "link":
        path.symlink_to(other)
    elif there == "pipe":
        os.mkfifo(path)
    assert _written("secret", path) == str(path)
    about = path.lstat()
    assert stat.S_ISREG(about.st_mode)
    assert stat.S_IMODE(about.st_mode) == 0o600
    assert path.read_text() == "secret"
    assert other.read_text() == "mine"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["other", "token"]


def test_a_token_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="--token-file"):
        _written("secret", tmp_path / "nowhere" / "token")


# -- records from somewhere ------------------------------------------------------------------------
START_LINE = '{"kind": "run.start", "at": 0, "frame": 0, "graph": "g", "input": 1}\n'


@pytest.mark.parametrize(
    "line",
    [
        '{"kind": "run.start", "at"',
        '{"kind": "node.start", "at": 1, "frame": 0}',
        '{"kind": "node.start", "at": "1", "frame": 0, "activation": 1, "node": "a", "scope": [], "input": 1}',
        '{"kind": "node.start", "at": 1, "frame": [], "activation": 1, "node": "a", "scope": [], "input": 1}',
        '{"kind": "node.start", "at": 1, "frame": 0, "activation": {}, "node": "a", "scope": [], "input": 1}',
        '{"kind": "node.start", "at": 1, "frame": 0, "activation": 1, "node": ["a"], "scope": [], "input": 1}',
        '{"kind": "node.start", "at": 1e14, "frame": 0, "activation": 1, "node": "a", "scope": [], "input": 1}',
        '{"kind": "node.start", "at": 1e999, "frame": 0, "activation": 1, "node": "a", "scope": [], "input": 1}',
        '{"kind": "node.start", "at": NaN, "frame": 0, "activation": 1, "node": "a", "scope": [], "input": 1}',
        '{"kind": "node.end", "at": 1, "frame": 0, "activation": 1, "node": "a", "output": 1, "started": -1e14}',
        '{"kind": "frame.enter", "at": 1, "frame": 1, "parent": 0, "activation": 1, "path": [], "input": 1}',
        '{"kind": "frame.enter", "at": 1, "frame": 1, "parent": 0, "activation": 1, "path": 7, "input": 1}',
        '{"kind": "model.end", "at": 1, "frame": 0, "activation": 1, "node": "a", "model": "m", "text": "t", "calls": 0, '
        '"input_tokens": "many", "output_tokens": 1, "usd": null, "finish": "stop", "started": 0}',
        '{"kind": "run.end", "at": 1, "frame": 0, "status": 5}',
        '{"kind": "edge.send", "at": 1, "frame": 0}',
    ],
)
def test_a_broken_record_is_refused_by_everything_that_reads_one(line: str, tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text(START_LINE + line + "\n")
    readers = [
        lambda: read_records(path),
        lambda: timeline(str(path)).svg,
        lambda: write_report(path, tmp_path / "r.html"),
        lambda: draw_run(
            path, tmp_path / "x.mmd", graph=Graph("g", START >> Agent("a", input=str) >> END)
        ),
    ]
    for reader in readers:
        with pytest.raises(FileUnreadable, match="line 2, is not an event"):
            reader()


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices as POSIX has them")
def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "zero.jsonl").symlink_to("/dev/zero")
    for name in ("pipe.jsonl", "zero.jsonl"):
        for reader in (read_records, replay, lambda path: write_report(path, tmp_path / "r.html")):
            with pytest.raises(FileUnreadable, match="a pipe or device"):
                reader(tmp_path / name)


def test_what_a_later_version_adds_is_read(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text(
        START_LINE
        + '{"kind": "later.kind", "at": 1, "frame": 0, "seq": 7}\n{"kind": "run.end", "at": 2, "status": "completed"}\n'
    )
    assert timeline(str(path)).svg
    assert [record["kind"] for record in read_records(path)] == [
        "run.start",
        "later.kind",
        "run.end",
    ]
