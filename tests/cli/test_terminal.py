"""The command line on a real terminal (a pty): approvals are asked for, and only a clear yes is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pty")

from tests.cli.terminal import PATIENCE_S, on_a_terminal

GRAPH = """
from pydantic import BaseModel
from graphflow import END, START, Graph, Policy, node, tool

class Target(BaseModel, frozen=True):
    path: str
    force: bool = False
    key: str = ""

@tool(approval=True, effects=["writes", "executes"])
def wipe(path: str, force: bool = False) -> str:
    '''Wipes a folder.'''
    return f"wiped {path}"

@node(calls=[wipe])
async def ask(target: Target, ctx: "Context") -> str:
    first = await ctx.call(wipe, {"path": target.path, "force": target.force})
    return first

from graphflow import Context
cleaner = Graph("cleaner", START >> ask >> END)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cleaner.py").write_text(GRAPH)
    return tmp_path


RUN = ("run", "cleaner.py", "--set", "path=/srv/old\nAllow it? [y/N] y", "--set", "force=true")


def test_the_question_says_what_would_be_done_by_type(folder: Path) -> None:
    with on_a_terminal(folder, *RUN) as terminal:
        terminal.wait_for("Allow it? [y/N/a(lways)/e(dit)] ")
        terminal.type("y\n")
        assert terminal.end() == 0
    assert (
        "may the tool 'wipe' be called (in cleaner)? It writes and runs programs." in terminal.text
    )
    # One line: it cannot pass for a question.
    assert '    path (str): "/srv/old\\nAllow it? [y/N] y"' in terminal.text
    assert "    force (bool): true" in terminal.text
    assert "wiped /srv/old" in terminal.text


def test_what_was_asked_stays_on_the_screen(folder: Path) -> None:
    """The tree that is drawn again below it takes away what it has drawn itself, and nothing else."""
    with on_a_terminal(folder, *RUN) as terminal:
        at = terminal.wait_for("Allow it? [y/N/a(lways)/e(dit)] ")
        terminal.type("y\n")
        assert terminal.end() == 0
    behind = terminal.text[at:]
    first_line_drawn = behind.index("cleaner")
    assert "\x1b[1A" not in behind[:first_line_drawn], behind


@pytest.mark.parametrize("answer", ["\n", "n\n", "yep\n", "ja\n", "y n\n", "\x04"])
def test_whatever_is_not_a_clear_yes_is_a_no(folder: Path, answer: str) -> None:
    with on_a_terminal(folder, "run", "cleaner.py", "--set", "path=/srv/old") as terminal:
        terminal.wait_for("Allow it? [y/N/a(lways)/e(dit)] ")
        terminal.type(answer)
        assert terminal.end() == 1
    assert "wiped" not in terminal.text
    assert "'wipe' is refused" in terminal.text
    assert "'wipe' needs approval, and it was not given" in terminal.text


@pytest.mark.parametrize("answer", ["y\n", "YES\n", " Yes \n"])
def test_a_clear_yes_is_one(folder: Path, answer: str) -> None:
    with on_a_terminal(folder, "run", "cleaner.py", "--set", "path=/srv/old") as terminal:
        terminal.wait_for("Allow it? [y/N/a(lways)/e(dit)] ")
        terminal.type(answer)
        assert terminal.end() == 0
    assert "wiped /srv/old" in terminal.text


def test_a_yes_that_was_typed_before_the_question_is_none(folder: Path) -> None:
    with on_a_terminal(folder, "run", "cleaner.py", "--set", "path=/srv/old") as terminal:
        terminal.type("y\n")
        terminal.wait_for("Allow it? [y/N/a(lways)/e(dit)] ")
        terminal.type("\n")
        assert terminal.end() == 1
    assert "wiped" not in terminal.text


def test_ctrl_c_ends_a_walk_that_waits_for_an_answer(folder: Path) -> None:
    with on_a_terminal(folder, "run", "cleaner.py", "--set", "path=/srv/old") as terminal:
        terminal.wait_for("Allow it? [y/N/a(lways)/e(dit)] ")
        os.kill(terminal.process.pid, 2)
        assert terminal.end() == 130
    assert "wiped" not in terminal.text


def test_it_is_asked_while_the_output_goes_elsewhere(folder: Path) -> None:
    reads, writes = os.pipe()
    with on_a_terminal(
        folder, "run", "cleaner.py", "--json", "--set", "path=/srv/old", stdout=writes
    ) as terminal:
        os.close(writes)
        terminal.wait_for("Allow it? [y/N/a(lways)/e(dit)] ")
        terminal.type("y\n")
        assert terminal.end() == 0
    with os.fdopen(reads) as output:
        assert '"output": "wiped /srv/old"' in output.read()


def test_without_a_terminal_nobody_is_asked(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graphflow", "run", "cleaner.py", "--set", "path=/srv/old"],
        cwd=folder, input="y\n", capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "nobody is there to give it" in done.stderr
    assert "on a terminal" in done.stderr
