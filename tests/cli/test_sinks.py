"""Commands send what they run to the sinks of `[telemetry]`, and no sink harms them."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

import pytest

from tests import programs
from tests.telemetry.collector import collecting

SETTINGS = 'graph = "talk"\nmodel = "mock:echo"\n\n[telemetry]\n'
TALK = """
graph: talk
nodes:
  ask: {kind: human, input: str, output: str}
  say: {kind: agent, input: str, prompt: "{{ text }}"}
edges: [START >> ask >> say >> END]
"""
ECHO = """
graph: echo
nodes:
  say: {kind: agent, input: str, prompt: "{{ text }}"}
edges: [START >> say >> END]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "talk.yaml").write_text(TALK)
    (tmp_path / "graphs" / "echo.yaml").write_text(ECHO)
    return tmp_path


def graphflow(project: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return programs.run("-m", "graphflow", *arguments, cwd=project, text=True, input=typed)


def kinds(file: Path) -> list[str]:
    records = map(json.loads, file.read_text().splitlines())
    return [record["kind"] for record in records if "kind" in record]


def test_every_command_that_walks_tells_the_same_file(project: Path) -> None:
    (project / "graphflow.toml").write_text(SETTINGS + 'jsonl = "events.jsonl"\n')
    file = project / "events.jsonl"
    below = project / "graphs"  # files are below the project's folder, wherever a command is typed
    assert graphflow(below, "run", "talk", "hi", "--id", "r").returncode == 4
    assert kinds(file).count("run.end") == 1
    assert graphflow(below, "answer", "r", "ask", '"yes"', "--resume").stdout == "yes\n"
    assert kinds(file).count("run.resume") == 1
    assert graphflow(project, "chat", "echo", typed="one\ntwo\n").stdout == "one\ntwo\n"
    assert kinds(file).count("run.start") == 3
    forked = graphflow(project, "fork", "r", "--at", "say")
    assert forked.returncode == 0, forked.stderr
    assert kinds(file).count("run.end") == 5


def test_spans_of_a_command_arrive(project: Path) -> None:
    with collecting() as collector:
        settings = SETTINGS + f'otlp = {{endpoint = "{collector.endpoint}", service = "shop"}}\n'
        (project / "graphflow.toml").write_text(settings)
        done = graphflow(project, "run", "echo", "hi")
        assert (done.returncode, done.stdout) == (0, "hi\n")
        assert "telemetry" not in done.stderr
    [root] = collector.roots()
    assert root.tree() == ("invoke_workflow echo", ("invoke_agent say", "chat mock:echo")) or (
        root.name == "invoke_workflow echo"
    )
    assert {resource["service.name"] for resource in collector.resources} == {"shop"}


def test_a_collector_that_is_down_harms_no_command_and_is_said_once(project: Path) -> None:
    (project / "graphflow.toml").write_text(SETTINGS + 'otlp = "http://127.0.0.1:9"\n')
    done = graphflow(project, "run", "echo", "hi")
    assert (done.returncode, done.stdout) == (0, "hi\n")
    lines = [line for line in done.stderr.splitlines() if "echo" not in line]
    assert len(lines) == 1
    assert "lost" in lines[0] or "not reached" in lines[0]


def test_a_collector_that_never_answers_is_not_waited_for(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        (project / "graphflow.toml").write_text(SETTINGS + f'otlp = "http://127.0.0.1:{port}"\n')
        done = graphflow(project, "run", "echo", "hi")
    assert (done.returncode, done.stdout) == (0, "hi\n")
    assert "telemetry was not all sent within 3 s" in done.stderr


def test_a_port_that_another_command_has_ends_nothing(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (project / "graphflow.toml").write_text(SETTINGS + f"prometheus = {port}\n")
        done = graphflow(project, "run", "echo", "hi")
    assert (done.returncode, done.stdout) == (0, "hi\n")
    assert "no numbers of this command are served" in done.stderr


def test_what_is_logged_is_seen(project: Path) -> None:
    (project / "graphflow.toml").write_text(SETTINGS + 'logging = "info"\n')
    done = graphflow(project, "run", "echo", "hi")
    assert done.stdout == "hi\n"
    assert " INFO echo: ended run=" in done.stderr
    (project / "graphflow.toml").write_text(SETTINGS + "logging = true\n")
    done = graphflow(project, "run", "echo", "hi")
    assert "node.end" not in done.stderr


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("jsonl = true", "say which file"),
        ('otlp = "nowhere"', "give an address such as"),
        ("jsonl = {path = 'e.jsonl', max_bites = 5}", "did you mean 'max_bytes'"),
        ('jsonl = "no/such/folder.jsonl"', "cannot be written"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(
    project: Path, line: str, problem: str
) -> None:
    (project / "graphflow.toml").write_text(SETTINGS + line + "\n")
    done = graphflow(project, "run", "echo", "hi")
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
