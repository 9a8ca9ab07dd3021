"""Workers that are killed and frozen at random moments. `python -m tests.durability.kills` does it for longer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stand_ins import postgres

KILLS = 8
FREEZES = 3
BY_LEDGER = ("--workers", "2", "--every", "25")
"""Who is disturbed has just done something: on a busy machine the time alone would choose those who have not begun."""


def tortured(store: str, *options: str) -> dict[str, int]:
    """What was counted in a go in which nothing was wrong."""
    command = [sys.executable, "-m", "tests.durability.kills", store, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counted: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counted


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_runs_survive_workers_that_are_killed(kind: str, tmp_path: Path) -> None:
    if kind == "postgres" and not postgres.is_installed():
        pytest.skip("PostgreSQL is not installed")
    store = "postgres" if kind == "postgres" else f"sqlite:{tmp_path / 'runs'}"
    counted = tortured(store, "--kills", str(KILLS), "--seed", "3", *BY_LEDGER)
    assert counted["kills"] == KILLS
    assert counted["sittings"] > counted["runs"]
    assert counted["effects"] > counted["effects done again"]


def test_of_workers_that_sleep_for_too_long_no_row_gets_in(tmp_path: Path) -> None:
    counted = tortured(
        f"jsonl:{tmp_path / 'runs'}",
        "--kills",
        "2",
        "--freezes",
        str(FREEZES),
        "--seed",
        "4",
        *BY_LEDGER,
    )
    assert counted["freezes"] == FREEZES
