"""Workers that are killed and frozen at random moments. `python -m tests.durability.kills` does it for longer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stand_ins import postgres

KILLS = 12
FREEZES = 5


def tortured(store: str, *options: str) -> dict[str, int]:
    """What was counted in a go in which nothing was wrong."""
    command = [sys.executable, "-m", "tests.durability.kills", store, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counted: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counted


@pytest.fixture(params=["sqlite", "jsonl", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a store for many processes."""
    if request.param == "postgres":
        if not postgres.is_installed():
            pytest.skip("PostgreSQL is not installed")
        return "postgres"
    return f"{request.param}:{tmp_path / 'runs'}"


def test_runs_survive_workers_that_are_killed(store: str) -> None:
    counted = tortured(store, "--kills", str(KILLS), "--seed", "3")
    assert counted["kills"] == KILLS
    assert counted["sittings"] > counted["runs"]
    assert counted["effects"] > counted["effects done again"]


def test_of_workers_that_sleep_for_too_long_no_row_gets_in(store: str) -> None:
    counted = tortured(store, "--kills", "0", "--freezes", str(FREEZES), "--seed", "4")
    assert counted["freezes"] == FREEZES
