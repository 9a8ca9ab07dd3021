"""Encrypted stores on the command line: a key is made, a store is encrypted and its key is changed, and no key is shown."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from graphflow.cli.app import run_app
from graphflow.errors import StoreLocked
from graphflow.journal import new_key
from graphflow.memory import NoteMemory
from graphflow.project import runs as project_runs

HELLO = """
from graphflow import END, START, Graph, node

@node
async def greet(name: str) -> str:
    return f"Hello, {name}!"

hello = Graph("hello", START >> greet >> END)
"""
PLANTED = "zanzibar"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a graph, in which nobody has named a store or a key."""
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "hello.py").write_text(HELLO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRAPHFLOW_STORE", raising=False)
    monkeypatch.delenv("GRAPHFLOW_KEY", raising=False)
    monkeypatch.setattr(project_runs, "_stated_key", None)
    return tmp_path


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*.db*"))


def test_a_project_with_a_key_keeps_its_runs_encrypted(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRAPHFLOW_KEY", new_key())
    assert run_app(["run", "hello", PLANTED, "--id", "one"]) == 0
    assert PLANTED.encode() not in files(project)
    assert run_app(["show", "one"]) == 0
    assert PLANTED in capsys.readouterr().out
    monkeypatch.delenv("GRAPHFLOW_KEY")
    assert run_app(["show", "one"]) == 2
    assert "is encrypted; open it with its key" in capsys.readouterr().err
    monkeypatch.setenv("GRAPHFLOW_KEY", new_key())
    assert run_app(["show", "one"]) == 2
    assert "none of the keys" in capsys.readouterr().err


def test_a_key_may_stand_in_a_file_or_in_another_variable_and_be_named_behind_a_command(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = new_key()
    (project / "key.txt").write_text(f"{key}\n")
    monkeypatch.setenv("OTHER_KEY", key)
    assert run_app(["run", "hello", PLANTED, "--id", "one", "--key", "file:key.txt"]) == 0
    assert run_app(["runs", "--key=env:OTHER_KEY"]) == 0
    assert "one" in capsys.readouterr().out
    for given, says in (("file:none.txt", "cannot be read"), ("env:NOT_SET", "is not set")):
        assert run_app(["runs", "--key", given]) == 2
        assert says in capsys.readouterr().err


def test_a_key_on_the_command_line_is_refused_and_not_shown(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = new_key()
    for line in (["runs", "--key", key], ["keys", "rotate", "--to", key]):
        assert run_app(line) == 2
        told = capsys.readouterr()
        assert "say where the key stands" in told.err
        assert key not in told.err + told.out


def test_a_new_key_is_one_and_another_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["keys", "new"]) == 0
    first = capsys.readouterr()
    assert "without it nobody reads" in first.err
    assert run_app(["keys", "new"]) == 0
    assert capsys.readouterr().out != first.out
    assert len(first.out.strip()) == 44


def test_a_store_in_clear_is_encrypted_and_its_key_is_changed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["run", "hello", PLANTED, "--id", "one"]) == 0
    assert run_app(["keys", "encrypt", "--into", "sqlite:safe.db"]) == 2
    assert "no key to encrypt with" in capsys.readouterr().err
    monkeypatch.setenv("GRAPHFLOW_KEY", new_key())
    # What a project keeps by itself must not stop a walk; what is in clear is not mixed with what is not.
    assert run_app(["run", "hello", "Ann", "--id", "two"]) == 0
    assert "the run is not kept" in capsys.readouterr().err
    assert run_app(["keys", "encrypt", "--into", "sqlite:safe.db"]) == 0
    assert "encrypted 1 run and 0 conversations" in capsys.readouterr().out
    assert PLANTED.encode() not in (project / "safe.db").read_bytes()
    assert run_app(["keys", "encrypt", "--into", "sqlite:safe.db"]) == 1
    assert "one is left out: it is there already" in capsys.readouterr().err

    monkeypatch.setenv("NEXT_KEY", new_key())
    rotate = ["keys", "rotate", "--to", "env:NEXT_KEY", "--store", "sqlite:safe.db"]
    assert run_app(rotate) == 0
    assert "2 data keys locked anew" in capsys.readouterr().out
    assert run_app(["runs", "--store", "sqlite:safe.db"]) == 2
    monkeypatch.setattr(project_runs, "_stated_key", "env:NEXT_KEY")
    assert run_app(["replay", "one", "--store", "sqlite:safe.db"]) == 0


def test_a_run_is_deleted_and_nothing_of_it_is_left(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["run", "hello", PLANTED, "--id", "one"]) == 0
    assert PLANTED.encode() in files(project)
    assert run_app(["delete", "one"]) == 0
    assert "removed run one" in capsys.readouterr().out
    assert PLANTED.encode() not in files(project)
    assert run_app(["delete", "one"]) == 2
    with sqlite3.connect(project / ".graphflow" / "runs.db") as db:
        assert db.execute("SELECT count(*) FROM runs").fetchone() == (0,)
    db.close()


def test_the_key_of_a_file_of_notes_is_changed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = new_key()
    asyncio.run(NoteMemory(at="memory.db", key=key).remember(PLANTED))
    monkeypatch.setenv("GRAPHFLOW_KEY", key)
    monkeypatch.setenv("NEXT_KEY", new_key())
    rotate = ["keys", "rotate", "--to", "env:NEXT_KEY", "--memory"]
    assert run_app([*rotate, "none.db"]) == 2
    assert run_app([*rotate, "memory.db"]) == 0
    with pytest.raises(StoreLocked):
        asyncio.run(NoteMemory(at="memory.db", key=key).recall(PLANTED))
    assert len(asyncio.run(NoteMemory(at="memory.db", key="env:NEXT_KEY").recall(PLANTED))) == 1
