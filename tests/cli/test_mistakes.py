"""Mistakes at the command line that used to be answered badly."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from graphflow.cli.app import run_app

HELLO = '''
from graphflow import END, START, Graph, node

@node
async def greet(name: str) -> str:
    """A greeting."""
    return f"Hello, {name}!"

hello = Graph("hello", START >> greet >> END)
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "graphs").mkdir()
    (tmp_path / "hello_file.py").write_text(HELLO)
    (tmp_path / "notes.txt").write_text("hi")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "says"),
    [("notes.txt", "notes.txt cannot hold a graph; give a .py"), ("graphs", "graphs is a folder")],
)
def test_what_is_no_graph_is_called_what_it_is(
    project: Path, capsys: pytest.CaptureFixture[str], name: str, says: str
) -> None:
    assert run_app(["check", name]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--debug", "check", "nope.py"], ["check", "nope.py", "--debug"]]
)
def test_debug_may_stand_anywhere(project: Path, arguments: list[str]) -> None:
    with pytest.raises(OSError, match=r"there is no file nope\.py"):
        run_app(arguments)


def test_what_follows_two_dashes_is_input(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["run", "hello_file.py", "--", "--debug"]) == 0
    assert "Hello, --debug!" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("rnu", "No such command 'rnu'. Did you mean 'run'?"),
        ("run --limt steps=1", "No such option: --limt"),
        ("chat --conversation", "Option '--conversation' requires an argument."),
        ("draw", "Missing argument 'GRAPH'."),
        ("runs --status waitng", "'waitng' is not one of 'running', 'interrupted', 'waiting'"),
    ],
)
def test_a_slip_is_said_like_any_other_mistake(
    project: Path, capsys: pytest.CaptureFixture[str], words: str, says: str
) -> None:
    assert run_app(words.split()) == 2
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("graphflow: ")
    assert says in first
    assert all(line.endswith("--help` shows what it takes") for line in rest)


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_there_is_not_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], port: str
) -> None:
    assert run_app(["mcp", "hello_file.py", "--http", port]) == 2
    assert "Invalid value for '--http'" in capsys.readouterr().err


def test_a_port_that_is_taken_is_said_in_a_line(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run_app(["mcp", "hello_file.py", "--http", str(port)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"graphflow: port {port} cannot be served: ")
