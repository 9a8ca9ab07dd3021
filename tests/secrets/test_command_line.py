"""`--secret-env`: a variable whose value neither the screen nor any file shows."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests import programs

GRAPH = """
import os
from graphflow import END, START, Graph, node
from graphflow.security import Secret
from tests import programs

@node
def leak(text: str, LOCK: Secret) -> str:
    if text == "fail":
        raise ValueError(f"cannot use {LOCK.reveal()}")
    return text + " " + LOCK.reveal() + repr(LOCK)

leaky = Graph("leaky", START >> leak >> END)
"""


def graphflow(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    around = {**os.environ, "LOCK": "hunter2-swordfish"}
    return programs.run("-m", "graphflow", *arguments, cwd=folder, text=True, env=around)


def test_a_variable_named_on_the_command_line_is_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "leaky.py").write_text(GRAPH)
    options = ["--secret-env", "LOCK", "--events", "events.jsonl", "--report", "run.html"]
    options += ["--store", "sqlite:runs.db"]
    done = graphflow(tmp_path, "run", "leaky.py", "x hunter2-swordfish", *options)
    assert done.returncode == 0, done.stderr
    assert "x [LOCK] [LOCK]<secret LOCK>" in done.stdout
    failed = graphflow(tmp_path, "run", "leaky.py", "fail", "--debug", *options)
    assert failed.returncode == 1
    assert "cannot use [LOCK]" in failed.stderr
    lacking = graphflow(tmp_path, "run", "leaky.py", "x")
    assert "takes a secret" in lacking.stderr
    left = done.stdout + done.stderr + failed.stdout + failed.stderr
    for path in tmp_path.iterdir():
        if path.is_file():
            left += path.read_bytes().decode(errors="replace")
    assert "swordfish" not in left
