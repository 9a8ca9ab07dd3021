"""A package with plug-ins, installed as packages are: built, with its metadata, into a folder on the path."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from graphflow.plugins.choice import EVERY, SWITCH, state_choice

PACKAGE = Path(__file__).resolve().parents[1] / "plugged"


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the package is installed into: its wheel, unpacked. Nothing is fetched."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [wheel] = folder.glob("*.whl")
    with ZipFile(wheel) as packed:
        packed.extractall(folder)
    return folder


@pytest.fixture
def plugged(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package is there while a test runs, and every plug-in may be used."""
    before = dict(os.environ)
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.syspath_prepend(str(installed))
    state_choice(EVERY)
    yield installed
    state_choice(EVERY)
    for name in [name for name in sys.modules if name.partition(".")[0] == "shelf_plugs"]:
        del sys.modules[name]
    os.environ.clear()
    os.environ.update(before)
