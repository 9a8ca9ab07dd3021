"""The README's Python runs as it is written, and its commands are the ones that CI runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # it writes pictures
    names: dict[str, Any] = {"__name__": "readme"}
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 2
    for number, block in enumerate(blocks):
        exec(compile(block, f"README block {number}", "exec"), names)
    assert names["run"].status == "completed"
    assert {path.name for path in tmp_path.iterdir()} >= {"desk.svg", "walk.svg", "timeline.svg", "walk.html"}


def test_the_problems_shown_are_the_ones_that_are_raised() -> None:
    for text in (
        "to send the items one by one write planner.each >> researcher",
        "may send Rejected, and no edge takes it",
    ):
        assert text in README
        assert text.split(" write ")[0].split(", and")[0] in README
    from graphflow import END, START, Graph, GraphError

    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0], "README", "exec"), names)
    try:
        Graph("g", START >> names["planner"] >> names["researcher"] >> END)
    except GraphError as error:
        assert str(error).splitlines()[1].split(" [")[0].strip() in README
    else:
        raise AssertionError("it was accepted")


def test_ci_runs_the_readmes_test_command() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv .venv")]
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text()


def test_every_public_name_is_in_the_readme() -> None:
    import graphflow

    missing = [name for name in graphflow.__all__ if not re.search(rf"\b{name}\b", README)]
    assert missing == []
