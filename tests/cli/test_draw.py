"""`graphflow draw` and `graphflow diff`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import programs
from tests.render.seen import read

GRAPH = """
from graphflow import END, START, Failure, Graph, node

@node
async def first(x: str) -> str:
    if x == "bad":
        raise ValueError("a bad one")
    return x

@node
async def second(x: str) -> str:
    return x + "!"

inner = Graph("inner", START >> second >> END)
mine = Graph("mine", START >> first >> inner >> END)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "graphs").mkdir()
    (folder / "graphs" / "mine.py").write_text(GRAPH)
    (folder / "graphs" / "other.py").write_text(
        GRAPH.replace("mine", "other").replace("first >> inner", "first >> second >> inner")
    )
    for name, message in (("good", "x"), ("again", "x"), ("bad", "bad")):
        graphflow(folder, "run", "mine", message, "--events", f"{name}.jsonl")
    return folder


def graphflow(
    project: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[2]
    around = {
        **os.environ,
        "COLUMNS": "80",
        "PYTHONPATH": str(root),
        **environment,
    }
    return programs.run("-m", "graphflow", *arguments, cwd=project, text=True, env=around)


def test_draw_takes_its_options(project: Path) -> None:
    done = graphflow(
        project,
        "draw",
        "mine",
        "a.svg",
        "--open",
        "1",
        "--direction",
        "LR",
        "--legend",
        "--theme",
        "dark",
    )
    assert done.returncode == 0, done.stderr
    seen = read((project / "a.svg").read_text())
    assert seen.areas == ["mine > inner"]
    assert "Legend" in seen.texts
    assert graphflow(project, "draw", "mine", "b.svg", "--open", "0", "--no-labels").returncode == 0
    assert read((project / "b.svg").read_text()).areas == []


def test_draw_prints_boxes(project: Path) -> None:
    done = graphflow(project, "draw", "mine", "--ascii")
    assert done.returncode == 0
    assert "╭" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    plain = graphflow(project, "draw", "mine", "--ascii", PYTHONIOENCODING="ascii")
    assert plain.stdout.isascii()
    assert "+--" in plain.stdout


def test_draw_lays_a_walk_over_the_graph(project: Path) -> None:
    done = graphflow(project, "draw", "mine", "walk.svg", "--events", "good.jsonl")
    assert done.returncode == 0, done.stderr
    seen = read((project / "walk.svg").read_text())
    assert seen.marks["first"] == "done"
    assert seen.marks["second"] == "done"
    assert any("mine: completed" in text for text in seen.texts)
    boxes = graphflow(project, "draw", "mine", "--ascii", "--events", "bad.jsonl").stdout
    assert "✗ first" in boxes
    assert "mine: failed" in boxes
    assert graphflow(project, "draw", "mine", "--events", "good.jsonl").stdout.startswith(
        "flowchart TD"
    )


def test_diff_tells_by_its_exit_code(project: Path) -> None:
    same = graphflow(project, "diff", "mine", "graphs/mine.py")
    assert (same.returncode, same.stdout) == (0, "mine and graphs/mine.py are the same\n")
    other = graphflow(project, "diff", "mine", "other", "--draw", "d.svg")
    assert other.returncode == 1
    assert other.stdout.startswith("--- mine\n+++ other\n")
    assert "+ step second" in other.stdout
    assert read((project / "d.svg").read_text()).marks["second"] == "added"
    assert graphflow(project, "diff", "good.jsonl", "again.jsonl").returncode == 0
    walks = graphflow(project, "diff", "good.jsonl", "bad.jsonl", "--draw", "w.svg")
    assert walks.returncode == 1
    assert "it completed -> failed (ValueError: a bad one)" in walks.stdout
    assert "- node mine > inner: 1 done -> nothing" in walks.stdout
    assert read((project / "w.svg").read_text()).marks["mine > inner"] == "removed"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("draw", "mine", "--open", "deep"), "give a number of levels, or all"),
        (("draw", "mine", "x.svg", "--direction", "up"), "is not one of 'TB', 'LR'"),
        (("draw", "mine", "x.svg", "--theme", "red"), "is not one of 'auto', 'light', 'dark'"),
        (("draw", "mine", "x.svg", "--events", "none.jsonl"), "there is no file"),
        (("draw", "mine", "x.svg", "--events", "graphs/mine.py"), "is not an event"),
        (
            ("draw", "other", "x.svg", "--events", "good.jsonl"),
            "is of the graph 'mine', not of 'other'",
        ),
        (("report", "good.jsonl", "--graph", "other"), "is of the graph 'mine', not of 'other'"),
        (("report", "good.jsonl", "-o", "x.pdf"), "a report is a page of HTML"),
        (("draw", "mine", "x.bmp", "--events", "good.jsonl"), "use .svg, .png"),
        (("diff", "mine", "good.jsonl"), "not one of each"),
        (("diff", "mine", "nothing"), "no graph is named 'nothing'"),
        (("diff", "good.jsonl", "none.jsonl"), "there is no file"),
        (("diff", "mine", "other", "--draw", "x.bmp"), "use .svg, .png"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    project: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = graphflow(project, *arguments)
    assert done.returncode == 2, done.stdout
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_program_a_walk_is_drawn_as_mermaid(project: Path) -> None:
    done = graphflow(
        project, "draw", "mine", "n.png", "--events", "good.jsonl", GRAPHFLOW_DOT="/nothing/here"
    )
    assert done.returncode == 2
    assert "wrote Mermaid to n.mmd" in done.stderr
    assert (project / "n.mmd").read_text().startswith("flowchart TD")


def test_records_of_an_unknown_graph_are_compared_in_words(project: Path) -> None:
    for name in ("good", "bad"):
        rows: list[Any] = [
            json.loads(row) for row in (project / f"{name}.jsonl").read_text().splitlines()
        ]
        rows[0]["graph"] = "../unknown"
        (project / f"{name}_unknown.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = graphflow(project, "diff", "good_unknown.jsonl", "bad_unknown.jsonl")
    assert done.returncode == 1
    assert "first: 1 done -> 1 failed" in done.stdout
