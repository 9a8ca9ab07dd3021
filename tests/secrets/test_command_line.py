"""`--secret-env`: a variable whose value neither the screen nor any file shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

GRAPH = """
import os
from graphflow import END, START, Graph, node
from graphflow.security import Secret

@node
def leak(text: str, LOCK: Secret) -> str:
    if text == "fail":
        raise ValueError(f"cannot use {LOCK.reveal()}")
    return text + " " + LOCK.reveal() + repr(LOCK)

leaky = Graph("leaky", START >> leak >> END)
"""


def graphflow(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "graphflow", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LOCK": "hunter2-swordfish"},
        timeout=60,
    )


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
