"""Runs that a command keeps: Ctrl-C and resume, questions and answers, lists and files, and each mistake as one clear line."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from graphflow.cli.app import run_app
from graphflow.cli.stored_runs import is_gone
from graphflow.runtime.recorder import holder
from tests import programs
from tests.cli.terminal import on_a_terminal
from tests.waiting import until

INBOX = '''
from collections.abc import AsyncIterator
from pathlib import Path
import asyncio
from pydantic import BaseModel
from graphflow import END, START, Agent, Graph, Limits, node
from graphflow.testing import ScriptedModel, says

class Answer(BaseModel):
    mail: str
    answer: str

class Clerk(ScriptedModel):
    """Answers the first three mails at once, and the others when there is a file `go`."""

    async def stream(self, request):
        mail = request.turns[-1].text
        if mail[-1] > "3" and not Path("go").exists():
            await asyncio.Event().wait()
        with Path("asked").open("a") as asked:
            asked.write(mail + "\\n")
        self.left.append(says(f"fine, {mail}"))
        async for event in super().stream(request):
            yield event

@node
async def read(count: int) -> list[str]:
    return [f"mail {number}" for number in range(1, count + 1)]

clerk = Agent("clerk", input=str, prompt="{{ text }}")

@node
async def file(text: str) -> Answer:
    with Path("filed").open("a") as filed:
        filed.write(text + "\\n")
    return Answer(mail=text.split(", ")[1], answer=text)

@node
async def table(answers: list[Answer]) -> list[Answer]:
    return answers

inbox = Graph("inbox", START >> read, read.each >> clerk >> file >> table >> END, model=Clerk())
'''
ASKER = """
from pydantic import BaseModel
from graphflow import END, START, Graph, Human, node, tool, Context

class Draft(BaseModel):
    text: str
    words: int = 3

@node(effects=[])
async def write(text: str) -> Draft:
    return Draft(text=text)

@node
async def send(ok: bool) -> str:
    return f"sent: {ok}"

boss = Human("boss", input=Draft, output=bool)
asker = Graph("asker", START >> write >> boss >> send >> END)
"""
STEPS = """
from graphflow import END, START, Graph, Limits, node
from pathlib import Path

@node(effects=["writes"])
async def first(x: str) -> str:
    with Path("done").open("a") as done:
        done.write("first\\n")
    return x

@node
async def second(x: str) -> str:
    if x == "fail":
        raise ValueError("as you asked")
    return x.upper()

steps = Graph("steps", START >> first >> second >> END)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    graphs = tmp_path / "graphs"
    graphs.mkdir()
    (graphs / "inbox.py").write_text(INBOX)
    (graphs / "questions.py").write_text(ASKER)
    (graphs / "steps.py").write_text(STEPS)
    return tmp_path


def environment(**variables: str) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if name != "GRAPHFLOW_STORE"}
    return {**known, "COLUMNS": "120", **variables}


def graphflow(
    project: Path, *arguments: str, env: dict[str, str] | None = None, **options: Any
) -> Any:
    around = environment(**(env or {}))
    return programs.run(
        "-m", "graphflow", *arguments, cwd=project, text=True, env=around, **options
    )


def started(project: Path, *arguments: str) -> Any:
    """A command that goes on."""
    return programs.start(
        "-m", "graphflow", *arguments,
        cwd=project, stdout=PIPE, stderr=PIPE, text=True, env=environment(),
    )  # fmt: skip


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def id_in(told: str) -> str:
    found = re.search(r"run (\S+) (?:is|goes on)", told)
    assert found is not None, told
    return found[1]


def interrupted(project: Path, *arguments: str) -> str:
    """What an inbox says that is stopped by Ctrl-C after its third mail."""
    with started(project, "run", "inbox", "6", *arguments) as process:
        try:
            until(lambda: len(lines(project / "filed")) == 3)
            process.send_signal(signal.SIGINT)
            said, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, told
    assert said == ""
    return told


# -- Ctrl-C ----------------------------------------------------------------------------------------
def test_ctrl_c_in_the_middle_of_an_inbox_and_resume_finishes_the_rest(project: Path) -> None:
    told = interrupted(project)
    id = id_in(told)
    assert told.splitlines()[0] == f"graphflow: run {id} is kept in .graphflow/runs.db"
    assert (
        told.splitlines()[-1]
        == f"graphflow: `graphflow resume {id}` goes on with it; what was done is kept"
    )
    assert "Traceback" not in told
    assert lines(project / "asked") == ["mail 1", "mail 2", "mail 3"]

    (project / "go").touch()
    done = graphflow(project, "resume")
    assert done.returncode == 0, done.stderr
    assert [line.split("  ")[0] for line in done.stdout.splitlines()[2:]] == [
        f"mail {n}" for n in range(1, 7)
    ]
    assert f"run {id} goes on; it is kept in .graphflow/runs.db" in done.stderr
    assert sorted(lines(project / "asked")) == [f"mail {n}" for n in range(1, 7)], (
        "no mail is asked twice"
    )
    assert len(lines(project / "filed")) == 6
    assert "inbox: completed" in done.stderr


def test_what_is_kept_tells_of_both_sittings(project: Path) -> None:
    id = id_in(interrupted(project))
    shown = graphflow(project, "show").stdout
    assert "cancelled" in shown
    (project / "go").touch()
    whole = json.loads(
        graphflow(project, "resume", id[:8], "--json", "--events", "all.jsonl").stdout
    )
    assert whole["run"] == id
    assert whole["usage"]["model_calls"] == 6
    _, *events = map(json.loads, lines(project / "all.jsonl"))
    assert [event["kind"] for event in events if event["kind"].startswith("run.")] == [
        "run.start",
        "run.stop",
        "run.resume",
        "run.end",
    ]
    assert sum(event["kind"] == "model.end" for event in events) == 6
    again = [
        json.loads(line) for line in graphflow(project, "show", "--events").stdout.splitlines()
    ]
    assert [event["kind"] for event in again] == [event["kind"] for event in events]


@pytest.mark.skipif(
    os.name != "posix", reason="elsewhere nobody can tell whether a process is gone"
)
def test_a_process_that_is_killed_loses_nothing_that_it_was_told(project: Path) -> None:
    with started(project, "run", "inbox", "6") as process:
        try:
            until(lambda: len(lines(project / "filed")) == 3)
        finally:
            process.kill()
    (row,) = json.loads(graphflow(project, "runs", "--json", "--status", "interrupted").stdout)
    # A lease lasts for longer than a test should.
    with sqlite3.connect(project / ".graphflow" / "runs.db") as db:
        db.execute("UPDATE runs SET until = ?", (time.time() + 2,))
    (project / "go").touch()
    done = graphflow(project, "resume")
    assert done.returncode == 0, done.stderr
    assert f"run {row['id']} goes on" in done.stderr
    assert sorted(lines(project / "asked")) == [f"mail {n}" for n in range(1, 7)]
    assert len(done.stdout.splitlines()) == 8


@pytest.mark.skipif(
    os.name != "posix", reason="elsewhere nobody can tell whether a process is gone"
)
def test_the_same_command_again_goes_on_with_a_run_whose_process_was_killed(project: Path) -> None:
    words = ("run", "inbox", "6", "--id", "mails")
    with started(project, *words) as process:
        try:
            until(lambda: len(lines(project / "filed")) == 3)
        finally:
            process.kill()
    (project / "go").touch()
    with on_a_terminal(project, *words) as terminal:
        at = terminal.wait_for(f"process {process.pid} on")
        terminal.wait_for("has this run, and is gone; going on when its lease ends", at)
        # A lease lasts for longer than a test should.
        with sqlite3.connect(project / ".graphflow" / "runs.db") as db:
            db.execute("UPDATE runs SET until = 0")
        assert terminal.end() == 0, terminal.text
    assert sorted(lines(project / "asked")) == [f"mail {n}" for n in range(1, 7)]


@pytest.mark.parametrize(
    "words", [("run", "inbox", "6", "--id", "mails"), ("resume", "mails"), ("delete", "mails")]
)
def test_whose_run_is_being_worked_on_is_told_by_whom(
    project: Path, words: tuple[str, ...]
) -> None:
    with started(project, "run", "inbox", "6", "--id", "mails") as process:
        try:
            until(lambda: len(lines(project / "filed")) == 3)
            done = graphflow(project, *words)
        finally:
            process.kill()
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if " kept in " not in line]
    assert line.startswith(f"graphflow: run 'mails' is owned by process {process.pid} on ")
    assert "try again after that" in line


@pytest.mark.skipif(
    os.name != "posix", reason="elsewhere nobody can tell whether a process is gone"
)
def test_whose_process_is_gone_is_seen_on_its_own_machine_only() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = socket.gethostname()
    assert is_gone(f"process {ended.pid} on {here}")
    assert not is_gone(f"process {ended.pid} on another-{here}")
    assert not is_gone(holder())
    assert not is_gone("somebody")


def test_a_run_elsewhere_says_how_to_find_it(project: Path) -> None:
    told = interrupted(project, "--store", "sqlite:here.db", "--id", "mine")
    assert "`graphflow resume mine --store sqlite:here.db` goes on" in told
    assert not (project / ".graphflow").exists()
    (project / "go").touch()
    done = graphflow(project, "resume", env={"GRAPHFLOW_STORE": "sqlite:here.db"})
    assert done.returncode == 0, done.stderr
    assert len(lines(project / "asked")) == 6


# -- what is kept, and where -----------------------------------------------------------------------
def test_a_project_keeps_its_runs_and_git_does_not(project: Path) -> None:
    done = graphflow(project, "run", "steps", "x")
    assert done.stdout == "X\n"
    assert len(done.stderr.splitlines()) == 2, "one line tells where it is kept, one how it went"
    assert (project / ".graphflow" / ".gitignore").read_text() == "*\n"
    (row,) = json.loads(graphflow(project, "runs", "--json").stdout)
    assert row["id"] == id_in(done.stderr)
    assert row["status"] == "completed"


@pytest.mark.parametrize("where", ["option", "variable"])
def test_nothing_is_kept_if_nothing_shall_be(project: Path, where: str) -> None:
    option = ("--store", "none") if where == "option" else ()
    done = graphflow(
        project, "run", "steps", "x", *option, env={"GRAPHFLOW_STORE": "none"} if not option else {}
    )
    assert done.returncode == 0
    assert "kept" not in done.stderr
    assert not (project / ".graphflow").exists()


def test_outside_of_a_project_nothing_is_kept(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "steps.py").write_text(STEPS)
    done = graphflow(outside, "run", "steps.py", "x")
    assert done.stdout == "X\n"
    assert "kept" not in done.stderr
    assert sorted(each.name for each in outside.iterdir() if each.name != "__pycache__") == [
        "done",
        "steps.py",
    ]
    kept = graphflow(outside, "run", "steps.py", "x", "--store", "jsonl:runs", "--id", "a")
    assert "run a is kept in jsonl:runs" in kept.stderr
    assert "steps" in graphflow(outside, "runs", "--store", "jsonl:runs").stdout
    shown = graphflow(
        outside, "show", "a", "--store", "jsonl:runs", "--graph", "steps.py", "--steps"
    )
    assert "first" in shown.stdout, shown.stderr


def test_a_project_that_cannot_keep_runs_is_none_the_worse_for_it(project: Path) -> None:
    (project / ".graphflow").write_text("a file, and no folder")
    done = graphflow(project, "run", "steps", "x")
    assert done.stdout == "X\n"
    assert done.returncode == 0
    assert "the run is not kept: " in done.stderr
    asked_for = graphflow(project, "run", "steps", "x", "--store", "sqlite:no/such/folder.db")
    assert asked_for.returncode == 2
    assert "there is no folder no" in asked_for.stderr


def test_the_same_id_again_gives_back_the_run_that_there_is(project: Path) -> None:
    for _ in range(2):
        done = graphflow(project, "run", "steps", "x", "--id", "one")
        assert done.stdout == "X\n", done.stderr
    assert lines(project / "done") == ["first"]
    other = graphflow(project, "run", "steps", "y", "--id", "one")
    assert other.returncode == 2
    assert "was begun with another message" in other.stderr


# -- questions -------------------------------------------------------------------------------------
def test_a_question_waits_for_its_answer_from_any_process(project: Path) -> None:
    asked = graphflow(project, "run", "questions", "hello")
    id = id_in(asked.stderr)
    assert asked.returncode == 4
    assert asked.stdout == ""
    assert "it waits for boss-" in asked.stderr
    assert f"`graphflow answer {id}` answers" in asked.stderr
    assert "boss-" in graphflow(project, "runs", "--status", "waiting").stdout
    assert "waits for  boss-" in graphflow(project, "show").stdout

    wrong = graphflow(project, "answer", id, "boss", "perhaps")
    assert wrong.returncode == 2
    assert "wants" in wrong.stderr
    given = graphflow(project, "answer", id, "boss", "true", "--by", "ann")
    assert given.returncode == 0, given.stderr
    assert f"`graphflow resume {id}` goes on with the run" in given.stderr
    again = graphflow(project, "answer", id, "boss", "false")
    assert again.returncode == 2
    assert "by ann" in again.stderr
    done = graphflow(project, "resume")
    assert done.stdout == "sent: True\n"
    assert done.returncode == 0


def test_a_graph_of_the_project_comes_before_a_shipped_one_of_its_name(project: Path) -> None:
    source = (project / "graphs" / "questions.py").read_text()
    (project / "graphs" / "letters.py").write_text(source.replace('Graph("asker"', 'Graph("desk"'))
    assert graphflow(project, "run", "letters", "hello", "--id", "d").returncode == 4
    done = graphflow(project, "answer", "d", "boss", "true", "--resume")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "sent: True\n"


def test_a_run_is_not_read_by_a_graph_of_its_name_that_comes_with_graphflow(project: Path) -> None:
    source = (project / "graphs" / "questions.py").read_text()
    (project / "graphs" / "questions.py").unlink()
    (project / "mail.py").write_text(source.replace('Graph("asker"', 'Graph("desk"'))
    assert graphflow(project, "run", "mail.py", "hello", "--id", "d").returncode == 4
    plain = graphflow(project, "show", "d")
    assert re.search(r"^input +hello$", plain.stdout, re.MULTILINE), plain.stderr
    assert plain.stderr == ""
    other = graphflow(project, "resume", "d")
    assert other.returncode == 2
    assert "'desk' is not among those of the project; say where it is" in other.stderr
    # The graph of a project is one of its own, wherever it stands.
    (project / "graphflow.toml").write_text('graph = "mail.py"\n')
    done = graphflow(project, "answer", "d", "boss", "true", "--resume")
    assert done.stdout == "sent: True\n", done.stderr


def test_a_graph_that_is_broken_is_no_reason_to_take_another(project: Path) -> None:
    file = project / "graphs" / "desk.py"
    source = (project / "graphs" / "questions.py").read_text()
    file.write_text(source.replace('Graph("asker"', 'Graph("desk"'))
    assert graphflow(project, "run", "desk:asker", "hello", "--id", "d").returncode == 4
    file.write_text("1 / 0\n")
    shown = graphflow(project, "show", "d")
    assert re.search(r"^input +hello$", shown.stdout, re.MULTILINE)
    assert "desk.py:1 cannot be run: ZeroDivisionError" in shown.stderr
    assert "shown as plain data" in shown.stderr
    assert graphflow(project, "resume", "d").returncode == 2


def test_an_answer_from_standard_input_and_on_at_once(project: Path) -> None:
    waiting = json.loads(graphflow(project, "run", "questions", "hello", "--json").stdout)
    assert waiting["status"] == "waiting"
    assert waiting["pending"][0]["schema"] == {"type": "boolean"}
    done = graphflow(project, "answer", "--resume", input="false")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "sent: False\n"


def test_resume_without_an_answer_waits_on(project: Path) -> None:
    graphflow(project, "run", "questions", "hello", "--id", "q")
    again = graphflow(project, "resume", "q")
    assert again.returncode == 4
    assert "it waits for boss-" in again.stderr


# -- limits and failures ---------------------------------------------------------------------------
def test_a_limit_is_raised_when_a_run_goes_on(project: Path) -> None:
    stopped = graphflow(project, "run", "steps", "x", "--limits", "steps=1")
    assert stopped.returncode == 3
    assert "goes on with it once the limit is raised" in stopped.stderr
    again = graphflow(project, "resume", "--limit", "steps=1")
    assert again.returncode == 3
    done = graphflow(project, "resume", "--limit", "steps=9", "--limit", "depth=2")
    assert done.stdout == "X\n", done.stderr
    assert lines(project / "done") == ["first"]


def test_a_run_that_failed_is_what_it_was(project: Path) -> None:
    failed = graphflow(project, "run", "steps", "fail", "--id", "f")
    assert failed.returncode == 1
    assert "resume" not in failed.stderr
    again = graphflow(project, "resume", "f")
    assert again.returncode == 1
    assert "has ended already (failed)" in again.stderr
    assert "as you asked" in again.stderr
    assert lines(project / "done") == ["first"]
    assert "failed: ValueError: as you asked" in graphflow(project, "show", "f").stdout


# -- looking at runs -------------------------------------------------------------------------------
@pytest.fixture
def kept(project: Path) -> Path:
    graphflow(project, "run", "steps", "one", "--id", "alpha")
    graphflow(project, "run", "steps", "fail", "--id", "beta")
    graphflow(project, "run", "questions", "two", "--id", "gamma")
    return project


def test_the_list_takes_what_it_is_told_to(kept: Path) -> None:
    def ids(*options: str) -> list[str]:
        return [row["id"] for row in json.loads(graphflow(kept, "runs", "--json", *options).stdout)]

    assert ids() == ["gamma", "beta", "alpha"]
    assert ids("--graph", "steps") == ["beta", "alpha"]
    assert ids("--status", "failed") == ["beta"]
    assert ids("--limit", "1") == ["gamma"]
    assert ids("--since", "1h") == ["gamma", "beta", "alpha"]
    assert ids("--since", "2999-01-01") == []
    listed = graphflow(kept, "runs", "--limit", "2")
    assert listed.stdout.splitlines()[0].split() == [
        "id",
        "graph",
        "status",
        "rows",
        "began",
        "changed",
        "waits_for",
    ]
    assert "and 1 more run" in listed.stderr


def test_a_run_is_shown_from_all_sides(
    kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(kept)
    monkeypatch.delenv("GRAPHFLOW_STORE", raising=False)

    def said(*options: str) -> str:
        assert run_app(["show", "alpha", *options]) == 0
        return capsys.readouterr().out

    shown = said()
    assert re.search(r"^status +completed$", shown, re.MULTILINE)
    assert re.search(r"^output +ONE$", shown, re.MULTILINE)
    assert "second" in said("--steps")
    assert "steps > second" in said("--usage")
    assert "second" in said("--why", "second")
    for option, name in (
        ("--picture", "run.svg"),
        ("--timeline", "time.svg"),
        ("--report", "run.html"),
    ):
        assert said(option, name) == f"wrote {name}\n"
        assert (kept / name).stat().st_size > 500
    assert said("--why", "second", "--picture", "why.mmd") == "wrote why.mmd\n"
    assert "it got" in (kept / "why.mmd").read_text()
    assert json.loads(said("--json"))["input"] == "one"


def test_a_run_whose_graph_is_gone_is_shown_as_plain_data(kept: Path) -> None:
    (kept / "graphs" / "steps.py").unlink()
    assert "ONE" in graphflow(kept, "show", "alpha").stdout
    assert "second" in graphflow(kept, "show", "alpha", "--steps").stdout
    drawn = graphflow(kept, "show", "alpha", "--picture", "x.svg")
    assert drawn.returncode == 2
    assert "--graph FILE.py" in drawn.stderr


def test_two_runs_are_compared(kept: Path) -> None:
    graphflow(kept, "run", "steps", "one", "--id", "alpha2")
    same = graphflow(kept, "diff", "alpha", "alpha2")
    assert same.returncode == 0, same.stderr
    assert "did the same and answered the same" in same.stdout
    other = graphflow(kept, "diff", "alpha", "beta", "--draw", "d.svg")
    assert other.returncode == 1
    assert "~ it was given one -> fail" in other.stdout
    assert "node steps > second" in other.stdout
    assert (kept / "d.svg").exists()
    graphflow(kept, "show", "alpha", "--events")
    (kept / "a.jsonl").write_text(graphflow(kept, "show", "alpha", "--events").stdout)
    assert graphflow(kept, "diff", "alpha", "a.jsonl").returncode == 0, "a run and its file"
    wrong = graphflow(kept, "diff", "alpha", "aplha")
    assert wrong.returncode == 2
    assert "no graph is named 'aplha', and no run in" in wrong.stderr
    assert "did you mean alpha" in wrong.stderr
    assert "not one of each" in graphflow(kept, "diff", "alpha", "steps").stderr


def test_a_run_is_replayed_and_asks_nobody(kept: Path) -> None:
    before = lines(kept / "done")
    done = graphflow(kept, "replay", "alpha")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"run alpha: \d+ rows, all the same\n", done.stdout)
    assert lines(kept / "done") == before
    source = (kept / "graphs" / "steps.py").read_text()
    (kept / "graphs" / "steps.py").write_text(source.replace("first >> second", "second >> first"))
    changed = graphflow(kept, "replay", "alpha")
    assert changed.returncode == 1
    assert changed.stderr.startswith("graphflow: ")


def test_a_fork_takes_over_what_does_not_depend_on_the_cut(kept: Path) -> None:
    done = graphflow(kept, "fork", "alpha", "--edit", "first=other", "--id", "delta")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "OTHER\n"
    assert "run delta is kept in .graphflow/runs.db: a fork of alpha at first" in done.stderr
    assert lines(kept / "done") == ["first", "first"], "of alpha and beta; the fork takes over"
    assert re.search(r"^output +ONE$", graphflow(kept, "show", "alpha").stdout, re.MULTILINE), (
        "it is not touched"
    )
    again = graphflow(kept, "fork", "alpha", "--at", "second")
    assert again.stdout == "ONE\n", again.stderr
    assert graphflow(kept, "diff", "alpha", "delta").returncode == 1
    wrong = graphflow(kept, "fork", "alpha", "--at", "secnd")
    assert wrong.returncode == 2
    assert "second" in wrong.stderr
    for option, form in (("--edit", "PLACE=VALUE"), ("--prompt", "AGENT=TEXT")):
        unread = graphflow(kept, "fork", "alpha", option, "first")
        assert unread.returncode == 2
        assert f"write {form}" in unread.stderr
    no_agent = graphflow(kept, "fork", "alpha", "--prompt", "first=x")
    assert no_agent.returncode == 2
    assert "is a step and has no prompt" in no_agent.stderr


def test_the_list_tells_which_runs_can_go_on_with_a_graph_that_has_changed(kept: Path) -> None:
    assert graphflow(kept, "runs", "--check").returncode == 0
    file = kept / "graphs" / "questions.py"
    source = file.read_text()
    file.write_text(
        source.replace("write >> boss", "send >> boss").replace(
            "async def send(ok: bool)", "async def send(ok: str)"
        )
    )
    checked = graphflow(kept, "runs", "--check", "--json")
    assert checked.returncode == 1, checked.stdout
    rows = {row["id"]: row for row in json.loads(checked.stdout)}
    assert rows["gamma"]["check"].startswith("refused: ")
    assert "check" not in rows["alpha"], "what has ended needs no graph"


def test_an_export_needs_a_reader_of_json_and_nothing_else(kept: Path) -> None:
    header, *rest = [
        json.loads(line) for line in graphflow(kept, "export", "alpha").stdout.splitlines()
    ]
    assert header["run"] == "alpha"
    assert header["status"] == "completed"
    rows = [line for line in rest if "number" in line]
    assert [row["number"] for row in rows] == list(range(header["rows"]))
    assert rows[0]["kind"] == "run.start"
    assert rows[-1]["body"]["output"] == "ONE"
    written = graphflow(kept, "export", "alpha", "a.jsonl")
    assert written.stdout == f"wrote {len(rest) + 1} lines to a.jsonl\n"
    assert len(lines(kept / "a.jsonl")) == len(rest) + 1


def test_old_runs_go_and_those_that_wait_stay(kept: Path) -> None:
    assert graphflow(kept, "prune", "--older-than", "1h").stdout == "removed 0 runs\n"
    assert graphflow(kept, "prune", "--older-than", "0s", "--keep", "1").stdout == "removed 1 run\n"
    assert graphflow(kept, "prune", "--older-than", "0s").stdout == "removed 1 run\n"
    (left,) = json.loads(graphflow(kept, "runs", "--json").stdout)
    assert left["id"] == "gamma"


def mistakes() -> Iterator[tuple[tuple[str, ...], str]]:
    yield ("show", "alhpa"), "no run 'alhpa' is in"
    yield ("show", "alhpa"), "did you mean 'alpha'?"
    yield ("resume", "nothing"), "no run 'nothing' is in"
    yield ("runs", "--since", "soon"), "--since soon: give a span such as 2h"
    yield ("prune", "--older-than", "30"), "--older-than 30: give a number and a unit"
    yield ("resume", "gamma", "--limits", "stepps=1"), "'stepps=1' is not a limit"
    yield ("resume", "gamma", "--limits", "steps=many"), "steps must be a whole number"
    yield ("answer", "alpha", "boss", "true"), "has no open question"
    yield (
        ("answer", "gamma", "bos", "true"),
        "has no open question 'bos'; those that are open: 'boss-",
    )
    yield ("run", "steps", "x", "--store", "none", "--id", "a"), "this run is kept nowhere"
    yield ("runs", "--store", "mysql:x"), "is not the address of a store"
    yield ("resume", "alpha", "--graph", "questions"), "run alpha is one of the graph 'steps'"
    yield ("show", "alpha", "--graph", "nowhere"), "no graph is named 'nowhere'"


def test_each_mistake_is_one_clear_line(
    kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(kept)
    monkeypatch.delenv("GRAPHFLOW_STORE", raising=False)
    for arguments, says in mistakes():
        code = run_app(list(arguments))
        told = capsys.readouterr().err
        assert code == 2, (arguments, told)
        assert says in told, arguments
        assert told.startswith("graphflow: "), arguments


def test_beginnings_of_ids(kept: Path) -> None:
    graphflow(kept, "run", "steps", "one", "--id", "alphabet")
    assert "alphabet" in graphflow(kept, "show", "alphab").stdout
    assert re.search(r"^run +alpha$", graphflow(kept, "show", "alpha").stdout, re.MULTILINE), (
        "a whole id is meant itself"
    )
    several = graphflow(kept, "show", "alp")
    assert several.returncode == 2
    assert "2 runs begin with 'alp': alphabet, alpha; give more of the id" in several.stderr


def test_where_nothing_is_kept_that_is_said(tmp_path: Path, project: Path) -> None:
    none = graphflow(project, "resume")
    assert none.returncode == 2
    assert "no runs are kept in .graphflow/runs.db yet" in none.stderr
    assert not (project / ".graphflow").exists()
