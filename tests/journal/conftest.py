"""What tests of stores are given: an empty one of each kind."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal.keeping import KeyedAddress
from tests.stand_ins import postgres


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Postgres]:
    if not postgres.is_installed():
        assert "GRAPHFLOW_NEEDS_POSTGRES" not in os.environ
        pytest.skip("PostgreSQL is not installed")
    with postgres.running() as running:
        yield running


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store; of one that is encrypted, with its key."""
    kind, _, sealed = request.param.partition(" ")
    found = _address_of(kind, request, tmp_path)
    return KeyedAddress(found) if sealed else found


def _address_of(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "postgres":
        running: postgres.Postgres = request.getfixturevalue("server")
        return running.new_database()
    return {
        "memory": "memory:",
        "jsonl": f"jsonl:{tmp_path / 'runs'}",
        "sqlite": f"sqlite:{tmp_path / 'runs.db'}",
    }[kind]


class Disk:
    """A small disk of our own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def remount(self, options: str) -> None:
        """Changes it: "ro", "rw", or "size=8m"."""
        subprocess.run(
            ["mount", "-o", f"remount,{options}", str(self.path)], check=True, capture_output=True
        )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 2 MB. Only root may mount one, and not in every container."""
    path = tmp_path / "disk"
    path.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(path)]
    if os.getuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount a disk")
    if subprocess.run(mounting, check=False, capture_output=True).returncode != 0:
        pytest.skip("no disk may be mounted here")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True, capture_output=True)
