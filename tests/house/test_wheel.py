"""What is installed: one importable package, and the shipped nodes and graphs as data that `graphflow` finds."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(ROOT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


def test_only_graphflow_is_importable(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top == {"graphflow"}
    for wanted in (
        "graphflow/model/prices.json",
        "graphflow/py.typed",
        "graphflow/notebook/live.css",
        "graphflow/notebook/questions.css",
        "graphflow/notebook/form.js",
        "graphflow/notebook/questions.js",
        "graphflow/notebook/live.js",
        "graphflow/render/page.html.j2",
        "graphflow/_shipped/graphs/desk.py",
        "graphflow/_shipped/graphs/shop/orders.csv",
        "graphflow/_shipped/nodes/messages.py",
        "graphflow/project/kit/graph.py.txt",
        "graphflow/_shipped/nodes/_support/sql_worker.py",
    ):
        assert wanted in names
    assert not [name for name in names if "__pycache__" in name]


def test_the_shipped_desk_is_found_from_anywhere(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    (tmp_path / "elsewhere" / "nodes").mkdir(parents=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "graphflow", "check", "desk"]
    done = subprocess.run(
        command,
        cwd=tmp_path / "elsewhere",
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert "graph 'desk': sound" in done.stdout


def test_a_stranger_makes_a_project_with_it(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    folder = tmp_path
    for words in (["new", "shop"], ["run"], ["test"]):
        command = [sys.executable, "-m", "graphflow", *words]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == 0, done.stderr
        folder = tmp_path / "shop"
    assert "case stock: ok" in done.stdout
