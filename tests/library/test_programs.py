"""Allowed programs in a folder that a model writes: what lies there is data, and no program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from graphflow import END, START, Agent, Graph
from graphflow.testing import ScriptedModel, calls
from nodes._support.programs import runs_more
from nodes.tools.files import files
from nodes.tools.shell import shell
from tests.conftest import walk
from tests.library.using import refusal, use

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")

PLANTED = {
    "HEAD": "ref: refs/heads/main\n",
    "objects/info/x": "",
    "refs/heads/x": "",
    "config": "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n\tfsmonitor = touch pwned\n",
}
"""A folder that git takes for a repository, and that names a program."""


def git(folder: Path, *arguments: str) -> str:
    about = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    done = subprocess.run(
        ["git", *who, *arguments],
        cwd=folder,
        env=about,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@needs_git
def test_a_planted_repository_runs_nothing(tmp_path: Path) -> None:
    """Through a whole walk, as a model would do it: it writes the files, and then asks for the status."""
    tools = [*files(tmp_path, write=True), shell([("git", "status")], cwd=tmp_path)]
    script = [calls("write_file", path=path, content=content) for path, content in PLANTED.items()]
    model = ScriptedModel(*script, calls("run_command", command=["git", "status"]), "done")
    coder = Agent("coder", input=str, tools=tools, max_turns=10)
    run = walk(
        Graph("g", START >> coder >> END, untrusted="warn"),
        "go",
        model=model,
    )
    assert run.output == "done", run.error
    assert not (tmp_path / "pwned").exists()
    assert (tmp_path / "config").read_text() == PLANTED["config"]
    git(tmp_path, "status")
    assert (tmp_path / "pwned").exists(), "the attack is one: without the guard, git runs it"


@needs_git
def test_hooks_among_the_files_are_not_run(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "core.hooksPath", "hooks")
    git(tmp_path, "config", "user.name", "a")
    git(tmp_path, "config", "user.email", "a@example.com")
    hook = tmp_path / "hooks" / "pre-commit"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\ntouch pwned\n")
    hook.chmod(0o755)
    commit = ["git", "commit", "-q", "--allow-empty", "-m", "x"]
    done = use(shell([("git", "commit")], cwd=tmp_path), command=commit)
    assert done.exit_code == 0, done.stderr
    assert not (tmp_path / "pwned").exists()
    own = {"GIT_CONFIG_COUNT": "0"}
    assert use(shell([("git", "commit")], cwd=tmp_path, env=own), command=commit).exit_code == 0
    assert (tmp_path / "pwned").exists(), "whoever wants hooks says so in env"


@needs_git
def test_a_real_repository_is_read_as_before(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a.txt").write_text("one\n")
    git(tmp_path, "add", "a.txt")
    git(tmp_path, "commit", "-q", "-m", "first")
    (tmp_path / "a.txt").write_text("two\n")
    tool = shell(
        [("git", "status"), ("git", "diff"), ("git", "log"), ("git", "grep")], cwd=tmp_path
    )
    assert " M a.txt" in use(tool, command=["git", "status", "--short"]).stdout
    assert "first" in use(tool, command=["git", "log", "--oneline", "-c"]).stdout
    assert "a.txt:two" in use(tool, command=["git", "grep", "-e", "two"]).stdout


@pytest.mark.parametrize(
    "command",
    [
        ["git", "log", "--format=[core]", "--output=.git/config"],
        ["git", "log", "--outp", "x"],
        ["git", "grep", "--open-files-in-pager=sh", "x"],
        ["git", "grep", "-Osh", "x"],
        ["git", "grep", "-nOsh", "x"],
        ["git", "diff", "--ext-diff"],
        ["git", "show", "--textconv"],
        ["git", "clone", "-c", "core.fsmonitor=sh", "a", "b"],
        ["git", "clone", "--config=core.fsmonitor=sh", "a", "b"],
        ["git", "clone", "-u", "sh", "a", "b"],
        ["git", "clone", "--template=planted", "a", "b"],
        ["git", "fetch", "--upload-pack=sh", "."],
        ["git", "rebase", "-x", "sh"],
        ["git", "archive", "--exec=sh", "HEAD"],
    ],
)
def test_an_option_that_runs_or_writes_something_else_is_refused(
    command: list[str], tmp_path: Path
) -> None:
    tool = shell([tuple(command[:2])], cwd=tmp_path)
    assert "would run another program" in refusal(tool, command=command)
    assert runs_more(("git",), command) == "", "whoever allows all of git has allowed that, too"


@pytest.mark.parametrize(
    "command",
    [
        ["git", "diff", "--text", "--stat"],
        ["git", "log", "-c", "--oneline", "-O"],
        ["git", "grep", "-n", "-e", "x"],
        ["git", "add", "-u"],
        ["git", "log", "--", "--output=x"],
        ["grep", "-O", "--output=x"],
    ],
)
def test_other_options_are_let_through(command: list[str]) -> None:
    assert runs_more(tuple(command[:2]), command) == ""


def test_a_module_of_the_folder_does_not_pass_for_the_installed_one(tmp_path: Path) -> None:
    (tmp_path / "calendar.py").write_text("open('pwned', 'w')\n")
    tool = shell([(sys.executable, "-m", "calendar")], cwd=tmp_path)
    assert "2024" in use(tool, command=[sys.executable, "-m", "calendar", "2024"]).stdout
    assert not (tmp_path / "pwned").exists()
