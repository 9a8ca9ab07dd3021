"""Completion: what a shell is told of a line, and what bash makes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from graphflow.cli.app import app, run_app
from graphflow.cli.completion import complete

ROOT = Path(__file__).resolve().parents[2]
GRAPH = """
from graphflow import END, START, Graph, node

@node(effects=[])
async def same(text: str) -> str:
    return text

mine = Graph("mine", START >> same >> END)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "mine.py").write_text(GRAPH)
    (tmp_path / "graphs" / "x$(touch pwned).py").write_text(GRAPH)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRAPHFLOW_STORE", raising=False)
    return tmp_path


@pytest.fixture
def kept(project: Path) -> Path:
    for id in ("mine-1", "mine-2"):
        assert run_app(["run", "mine", "hello", "--id", id, "--conversation", f"of-{id}"]) == 0
    return project


def texts(line: str) -> list[str]:
    root: Any = get_command(app)
    return [each.text for each in complete(root, line)]


@pytest.mark.parametrize(
    ("line", "among"),
    [
        ("graphflow ", "resume"),
        ("graphflow ch", "chat"),
        ("graphflow models ", "pull"),
        ("graphflow run ", "mine"),
        ("graphflow run mi", "mine"),
        ("graphflow --debug run --json mi", "mine"),
        ("graphflow run mine --lim", "--limit"),
        ("graphflow run mine --limit us", "usd="),
        ("graphflow run mine --model mock:", "mock:echo"),
        ("graphflow run mine --model=mock:", "--model=mock:echo"),
        ("graphflow run mine --sync ea", "each"),
        ("graphflow runs --status wai", "waiting"),
        ("graphflow usage --by=mo", "--by=model"),
        ("graphflow mcp desk mi", "mine"),
        ("graphflow diff mine mi", "mine"),
        ("graphflow chat mine 'mine' --mod", "--model"),
        ("graphflow completion z", "zsh"),
    ],
)
def test_what_may_come_next(project: Path, line: str, among: str) -> None:
    assert among in texts(line)


@pytest.mark.parametrize(
    "line",
    ["graphflow", "graphflow nonsense ", "graphflow run mine 'still ", "graphflow run mine -- --",
     "graphflow run mine --store jsonl:", "graphflow show unknown-"],
)  # fmt: skip
def test_where_nothing_is_known_files_are_left_to_the_shell(project: Path, line: str) -> None:
    assert texts(line) in ([], ["jsonl:"])


def test_runs_and_conversations_are_those_of_the_project(kept: Path) -> None:
    assert texts("graphflow show ") == ["mine-2", "mine-1"]
    assert texts("graphflow resume mine-1") == ["mine-1"]
    assert texts("graphflow chat mine --conversation of-") == ["of-mine-2", "of-mine-1"]
    (kept / "graphflow.toml").write_text('store = "sqlite:elsewhere.db"')
    assert texts("graphflow show ") == []
    (kept / ".graphflow" / "runs.db").rename(kept / "elsewhere.db")
    assert len(texts("graphflow show ")) == 2


def test_a_broken_project_completes_what_it_can(project: Path) -> None:
    (project / "graphflow.toml").write_text("store = [")
    (project / ".graphflow").mkdir()
    (project / ".graphflow" / "runs.db").write_text("not a database")
    assert texts("graphflow show ") == []
    assert "mine" in texts("graphflow run ")


def test_a_shell_does_not_wait_for_what_it_does_not_need(kept: Path) -> None:
    program = (
        "import sys; from graphflow.cli.completion import print_completion\n"
        "print_completion(['bash', '', 'graphflow run '])\n"
        "print_completion(['bash', '', 'graphflow show '])\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "mine-1\t" in done.stdout
    loaded = set(done.stderr.split())
    assert loaded & {"pydantic", "networkx", "httpx", "jinja2", "yaml", "asyncio"} == set()


# -- shells ----------------------------------------------------------------------------------------
def on_path(folder: Path) -> dict[str, str]:
    """An environment in which `graphflow` is this one."""
    commands = folder / "bin"
    commands.mkdir(exist_ok=True)
    program = commands / "graphflow"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m graphflow "$@"\n')
    program.chmod(0o755)
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


def in_bash(project: Path, line: str) -> list[str]:
    """What bash makes of a line, asked as it asks itself: by its own function and its own words."""
    script = """
        source <(graphflow completion bash)
        COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
        [[ $(complete -p graphflow) == *'-F _graphflow'* ]] || exit 3
        _graphflow graphflow
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", line],
        cwd=project, env=on_path(project), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_graphs_and_runs(kept: Path) -> None:
    assert in_bash(kept, "graphflow res") == ["resume"]
    assert in_bash(kept, "graphflow run mi") == ["mine"]
    assert in_bash(kept, "graphflow show mine-") == ["mine-2", "mine-1"]
    assert in_bash(kept, "graphflow run mine --conversation of-mine-1") == ["of-mine-1"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_breaks_words_at_colons(kept: Path) -> None:
    """It replaces what stands behind the last one."""
    assert in_bash(kept, "graphflow run mine --model mock:") == ["echo"]
    assert in_bash(kept, "graphflow run mine --model=mock:e") == ["echo"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_name_is_never_run(kept: Path) -> None:
    assert "mine" in in_bash(kept, "graphflow run ")
    in_bash(kept, "graphflow run x")
    assert not (kept / "pwned").exists()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh_takes_the_script(kept: Path) -> None:
    script = """
        autoload -Uz compinit && compinit -u -D
        source <(graphflow completion zsh)
        _describe() { shift 2; print -l -- ${(P)1} }
        words=(graphflow show mine-); CURRENT=3; PREFIX=mine-
        _graphflow
    """
    done = subprocess.run(
        ["zsh", "-f", "-c", script],
        cwd=kept, env=on_path(kept), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["mine-2:mine, completed", "mine-1:mine, completed"], done


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish_completes(kept: Path) -> None:
    script = "graphflow completion fish | source; complete -C 'graphflow show mine-'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=kept, env=on_path(kept), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["mine-2\tmine, completed", "mine-1\tmine, completed"], done


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["completion", shell]) == 0
    assert f"__complete {shell}" in capsys.readouterr().out


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["completion", "tcsh"]) == 2
    assert "'tcsh' is not one of" in capsys.readouterr().err
