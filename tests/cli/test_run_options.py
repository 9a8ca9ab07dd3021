"""What `graphflow run` takes: input from files, recordings, approvals and limits; and what it says of a run that was stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphflow.cli.app import run_app
from tests.cli.terminal import on_a_terminal
from tests.cli.test_chat import Done, graphflow
from tests.waiting import until

GRAPHS = '''
import asyncio
from pathlib import Path
from graphflow import END, START, Agent, Context, Graph, node, tool
from graphflow.model import Finished, TextDelta
from graphflow.testing import ScriptedModel, says

class Clerk:
    """Says that it is alone, which only a recording can know after the file `gone` is there."""
    def __init__(self, name): self.name = name

    async def stream(self, request):
        assert not Path("gone").exists(), "a model was asked"
        yield TextDelta(f"{self.name} heard {request.turns[-1].text}")
        yield Finished("stop")

class Slow:
    name = "slow"

    async def stream(self, request):
        yield TextDelta("The first half, ")
        Path("asked").touch()
        await asyncio.Event().wait()
        yield Finished("stop")

first = Agent("first", input=str, prompt="{{ message }}", model=Clerk("one"))
second = Agent("second", input=str, prompt="{{ message }}")
talk = Graph("talk", START >> first >> second >> END, model=Clerk("two"))
slow = Graph("slow", START >> Agent("clerk", input=str) >> END, model=Slow())
modelless = Graph("modelless", START >> Agent("clerk", input=str) >> END)

@tool(approval=True, effects=["writes"])
def pay(to: str) -> str:
    """Pays."""
    return f"paid {to}"

@tool(approval=True, effects=["writes"])
def wipe(path: str) -> str:
    """Wipes."""
    return f"wiped {path}"

@node(calls=[pay, wipe])
async def both(name: str, ctx: Context) -> str:
    paid = await ctx.call(pay, {"to": name})
    return paid + ", " + await ctx.call(wipe, {"path": name})

desk = Graph("desk", START >> both >> END)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "g.py").write_text(GRAPHS)
    return tmp_path


def run(folder: Path, graph: str, *arguments: str, typed: str = "") -> Done:
    return graphflow(folder, "run", f"g.py:{graph}", *arguments, typed=typed)


# -- input -----------------------------------------------------------------------------------------
def test_the_input_comes_from_a_file_or_a_pipe(folder: Path) -> None:
    (folder / "mail.txt").write_text("hello\n")
    for words, typed in (
        (("--input-file", "mail.txt"), ""),
        (("--input-file", "-"), "hello\n"),
        (("-",), "hello\n"),
    ):
        done = run(folder, "talk", *words, typed=typed)
        assert done.stdout.startswith("two heard one heard hello"), done.stderr


def test_an_input_that_cannot_be_is_refused(folder: Path) -> None:
    twice = run(folder, "talk", "hello", "--input-file", "mail.txt")
    assert twice.returncode == 2
    assert "leave one of them out" in twice.stderr
    missing = run(folder, "talk", "--input-file", "mail.txt")
    assert missing.returncode == 2
    assert "there is no file mail.txt" in missing.stderr


# -- recordings ------------------------------------------------------------------------------------
def test_a_recording_has_all_models_and_needs_none(folder: Path) -> None:
    recorded = run(folder, "talk", "hello", "--record", "said.jsonl")
    assert "wrote 2 answers of models to said.jsonl" in recorded.stderr
    rows = [json.loads(line) for line in (folder / "said.jsonl").read_text().splitlines()]
    assert [row["model"] for row in rows] == ["one", "two"]
    (folder / "gone").touch()
    replayed = run(folder, "talk", "hello", "--replay", "said.jsonl")
    assert replayed.stdout == recorded.stdout == "two heard one heard hello\n"
    other = run(folder, "talk", "good bye", "--replay", "said.jsonl")
    assert other.returncode == 1
    assert "none of them is to this request" in other.stderr


def test_a_recording_is_a_model_for_nodes_that_name_none(folder: Path) -> None:
    assert run(folder, "modelless", "hi").returncode == 2
    run(folder, "modelless", "hi", "--model", "mock:echo", "--record", "said.jsonl")
    for words in (("--replay", "said.jsonl"), ("--model", "replay:said.jsonl")):
        assert run(folder, "modelless", "hi", *words).stdout == "hi\n"


def test_a_recording_that_cannot_be_is_refused_before_anything_runs(folder: Path) -> None:
    for words, says in (
        (("--replay", "nothing.jsonl"), "there is no file nothing.jsonl"),
        (("--record", "no/such/said.jsonl"), "there is no folder no/such"),
        (("--record", "a.jsonl", "--replay", "b.jsonl"), "give one of them"),
    ):
        done = run(folder, "talk", "hello", *words)
        assert done.returncode == 2, done.stderr
        assert says in done.stderr


def test_a_recording_of_a_run_without_models_says_so(folder: Path) -> None:
    done = run(folder, "desk", "Anna", "--approve", "all", "--record", "said.jsonl")
    assert "no model was asked" in done.stderr
    assert not (folder / "said.jsonl").exists()


# -- approvals -------------------------------------------------------------------------------------
@pytest.mark.parametrize("names", [["all"], ["pay", "wipe"], ["p?y", "w*"], ["*"]])
def test_what_is_approved_beforehand_is_not_asked_for(folder: Path, names: list[str]) -> None:
    options = [word for name in names for word in ("--approve", name)]
    done = run(folder, "desk", "Anna", *options)
    assert done.stdout == "paid Anna, wiped Anna\n", done.stderr


def test_what_is_not_named_is_refused_where_nobody_can_be_asked(folder: Path) -> None:
    done = run(folder, "desk", "Anna", "--approve", "pay")
    assert done.returncode == 1
    assert "'wipe' needs approval, and it was not given" in done.stderr
    assert run(folder, "desk", "Anna", "--approve", " ").returncode == 2


def test_what_is_not_named_waits_where_the_run_is_kept(folder: Path) -> None:
    store = ("--store", "sqlite:runs.db")
    done = run(folder, "desk", "Anna", "--approve", "pay", "--id", "r", *store)
    assert done.returncode == 4, done.stderr
    assert '(approval): may \'wipe\' be called with {"path": "Anna"}? It writes.' in done.stderr
    again = graphflow(folder, "resume", "r", "--approve", "all", "--graph", "g.py:desk", *store)
    assert again.stdout == "paid Anna, wiped Anna\n", again.stderr


def test_what_is_not_named_is_asked_for_on_a_terminal(folder: Path) -> None:
    with on_a_terminal(folder, "run", "g.py:desk", "Anna", "--approve", "pay") as terminal:
        terminal.wait_for("may the tool 'wipe' be called")
        terminal.wait_for("Allow it?")
        terminal.type("y\n")
        assert terminal.end() == 0
    assert "'pay'" not in terminal.text
    assert "paid Anna, wiped Anna" in terminal.text


# -- limits ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "words",
    [("--limit", "steps=1"), ("--limits", "depth=3,steps=1"), ("--limit", "depth=3", "--limit", "steps=1")],
)  # fmt: skip
def test_a_limit_that_stops_a_run_has_an_exit_code_of_its_own(
    folder: Path, words: tuple[str, ...]
) -> None:
    done = run(folder, "talk", "hello", *words)
    assert done.returncode == 3, done.stderr
    assert "steps limit of 1 reached in 'talk'; raise it with --limit steps=N" in done.stderr


# -- what was said ---------------------------------------------------------------------------------
@pytest.mark.parametrize("words", [(), ("--json",)])
def test_what_was_said_before_ctrl_c_is_shown(folder: Path, words: tuple[str, ...]) -> None:
    with on_a_terminal(folder, "run", "g.py:slow", "hello", *words) as terminal:
        until((folder / "asked").exists)
        terminal.interrupt()
        assert terminal.end() == 130
    if words:
        assert '"partial": "The first half, "' in terminal.text
    else:
        behind = terminal.text.partition("the answer, as far as it was said:\r\n")[2]
        assert behind.startswith("The first half, \r\n"), terminal.text


# -- checks ----------------------------------------------------------------------------------------
def test_a_strict_check_fails_by_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert run_app(["check", "g.py:modelless"]) == 0
    assert run_app(["check", "g.py:desk", "--strict"]) == 0
    assert run_app(["check", "g.py:modelless", "--strict"]) == 1
    assert "1 warning" in capsys.readouterr().err


def test_a_model_of_the_project_settles_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "graphflow.toml").write_text('model = "mock:echo"\n')
    monkeypatch.chdir(folder)
    assert run_app(["check", "g.py:modelless", "--strict"]) == 0
