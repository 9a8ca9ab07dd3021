"""The READMEs of nodes/ and graphs/: they name every file that is there and no other, and what they show works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Graph
from graphflow.project import load
from tests import programs

ROOT = Path(__file__).resolve().parents[2]
NODES, GRAPHS = ROOT / "nodes", ROOT / "graphs"


def files(folder: Path) -> set[str]:
    return {file.stem for file in folder.rglob("*.py")}


def named(readme: str) -> set[str]:
    """The words in backticks before the part on how to write one's own: `name`, `name.py` or `folder/`."""
    prose = readme.partition("## Write your own")[0]
    return {
        word.removesuffix(".py").rstrip("/") for word in re.findall(r"`(\w+(?:\.py|/)?)`", prose)
    }


def blocks(readme: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", readme, flags=re.DOTALL)


@pytest.mark.parametrize("folder", [NODES, GRAPHS])
def test_a_readme_names_every_file_and_no_other(folder: Path) -> None:
    there = files(folder) | {
        each.name for each in folder.iterdir() if each.is_dir() and each.name != "__pycache__"
    }
    assert named((folder / "README.md").read_text()) == there


def test_the_nodes_that_the_readme_shows_work() -> None:
    scope: dict[str, Any] = {"__name__": __name__}
    for block in blocks((NODES / "README.md").read_text(), "python"):
        exec(compile(block, "README.md", "exec", dont_inherit=True), scope)
    shouted = Graph("loud", START >> scope["shout"] >> END).run_sync({"text": "help", "times": 2})
    assert shouted.output == "HELP!!"
    trimmed = Graph("tidy", START >> scope["trim"] >> END).run_sync(scope["Draft"](text=" a "))
    assert trimmed.output.text == "a"


def test_the_graphs_that_the_readme_shows_run(tmp_path: Path) -> None:
    readme = (GRAPHS / "README.md").read_text()
    (python,), (yaml,) = blocks(readme, "python"), blocks(readme, "yaml")
    folder = tmp_path / "graphs"
    folder.mkdir()
    (folder / "hello.py").write_text(python)
    (folder / "hello2.yaml").write_text(yaml)
    for name in ("hello", "hello2"):
        done = programs.run("-m", "graphflow", "run", name, "Anna", cwd=tmp_path, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "Hello, Anna!"


def test_every_graph_of_the_table_is_found_by_name() -> None:
    names = re.findall(r"^\| `(\w+)` \|", (GRAPHS / "README.md").read_text(), flags=re.MULTILINE)
    assert set(names) == files(GRAPHS)
    for name in names:
        assert load(name, ROOT).name == name
