"""`[budgets]` of a project hold for its commands: exit code 3, which budget, when it resets, how to go on."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from graphflow.cli.app import run_app
from graphflow.cli.project_options import sitting_options
from graphflow.cli.serve import keep_if_counted
from graphflow.errors import BudgetExceeded, DeclarationError
from graphflow.journal.store import Store
from graphflow.project import Runtime
from graphflow.project.graphs import load
from graphflow.project.here import state_environment
from graphflow.server.mcp import GraphServer
from tests.looped import looped

SETTINGS = 'graph = "echo"\nmodel = "mock:echo"\n'
ECHO = """
graph: echo
nodes:
  say: {kind: agent, input: str, prompt: "{{ text }}"}
edges: [START >> say >> END]
"""
DAILY = '\n[budgets.daily]\nper = "day"\ntokens = 1\n'
EACH_USER = '\n[budgets.each_user]\nper = ["user", "day"]\ntokens = 1\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    state_environment(None)  # as in a process of its own
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "echo.yaml").write_text(ECHO)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_budget_ends_a_command_with_code_3_and_resets(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "graphflow.toml").write_text(SETTINGS + DAILY)
    assert run_app(["run", "echo", "hi there"]) == 0
    assert run_app(["run", "echo", "hi again", "--id", "second"]) == 3
    said = capsys.readouterr().err
    assert "budget 'daily'" in said
    assert "of 1 tokens are spent; no model was asked. It resets at" in said
    assert "`graphflow resume second` goes on with it once there is something left" in said
    assert run_app(["resume", "second"]) == 3
    # The day is over: its account makes place for the next one's.
    with sqlite3.connect(project / ".graphflow" / "runs.db") as db:
        db.execute("UPDATE accounts SET account = 'yesterday'")
    db.close()
    assert run_app(["resume", "second"]) == 0
    assert capsys.readouterr().out.endswith("hi again\n")


def test_users_have_budgets_of_their_own(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "graphflow.toml").write_text(SETTINGS + EACH_USER)
    assert run_app(["run", "echo", "hi"]) == 2
    assert "`--user NAME`" in capsys.readouterr().err
    assert run_app(["run", "echo", "hi", "--user", "ann"]) == 0
    assert run_app(["run", "echo", "hi", "--user", "ann"]) == 3
    assert "budget 'each_user' of user 'ann'" in capsys.readouterr().err
    monkeypatch.setenv("GRAPHFLOW_USER", "bob")
    assert run_app(["run", "echo", "hi"]) == 0


def test_budgets_are_shown_with_what_is_spent(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "graphflow.toml").write_text(SETTINGS + DAILY + EACH_USER)
    assert run_app(["run", "echo", "hi", "--user", "ann"]) == 0
    capsys.readouterr()
    assert run_app(["budgets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["budget", "account", "tokens", "usd", "resets"]
    assert "2 of 1" in lines[2]
    assert "user ann, day " in lines[3]
    assert run_app(["budgets", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["budget"], first["tokens"], first["max_tokens"]) == ("daily", 2, 1)
    assert second["per"] == ["user", "day"]


def test_what_is_kept_nowhere_cannot_be_counted(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "graphflow.toml").write_text(SETTINGS + DAILY)
    assert run_app(["run", "echo", "hi", "--store", "none"]) == 2
    assert "counted in a store, and there is none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('[budgets.daily]\nper = "week"\nusd = 1\n', "budgets.daily.per"),
        ('[budgets.daily]\nper = "day"\n', "budgets.daily: it limits nothing"),
        ('[budgets.daily]\nper = "day"\ndollars = 1\n', "budgets.daily.dollars: unknown key"),
        ("[budgets]\ndaily = 5\n", "it has to be a table"),
        ('[budgets.daily]\nper = "day"\ntokens = -1\n', "budgets.daily.tokens"),
    ],
)
def test_a_wrong_budget_is_told_with_its_place(
    project: Path, capsys: pytest.CaptureFixture[str], table: str, problem: str
) -> None:
    (project / "graphflow.toml").write_text(SETTINGS + table)
    assert run_app(["run", "echo", "hi"]) == 2
    assert problem in capsys.readouterr().err


def test_config_shows_budgets_and_where_they_come_from(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "graphflow.toml").write_text(
        SETTINGS + DAILY + "\n[env.prod.budgets.daily]\ntokens = 9\n"
    )
    assert run_app(["config", "--env", "prod"]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if "budgets.daily" in line]
    assert '"tokens": 9' in line
    assert "[env.prod]" in line


@looped
async def test_a_runtime_keeps_to_them(project: Path) -> None:
    (project / "graphflow.toml").write_text(SETTINGS + EACH_USER)
    async with Runtime.open(project, store="memory:") as runtime:
        await runtime.run("echo", "hi", user="ann")
        chat = runtime.chat("c", "echo", user="bob")
        await chat.say("hi")
        for user in ("ann", "bob"):
            with pytest.raises(BudgetExceeded):
                await runtime.run("echo", "hi", user=user)
        with pytest.raises(DeclarationError, match="the run names none"):
            await runtime.run("echo", "hi")
        spent = await runtime.spent("graph")
        assert spent.total.calls == 2
        assert spent.groups["echo"].tokens == runtime.usage()["echo"].tokens


@looped
async def test_graphs_that_are_served_keep_to_them(project: Path) -> None:
    pytest.importorskip("mcp")
    (project / "graphflow.toml").write_text(SETTINGS + DAILY)
    options = sitting_options(None, None)
    keep_if_counted(options)
    served = GraphServer([load("echo")], "mock:echo", options)

    async def hear(progress: float, total: float | None = None, message: str | None = None) -> None:
        pass

    first = await served.call("echo", {"input": "hi"}, hear)
    second = await served.call("echo", {"input": "hi"}, hear)
    assert not first.is_error
    assert second.is_error
    [block] = second.content
    assert "budget 'daily'" in getattr(block, "text", "")
    store = options["store"]
    assert isinstance(store, Store)
    assert len(await store.runs(status="limited")) == 1
    await store.aclose()
