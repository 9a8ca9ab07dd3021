"""What tests of stores are given: an empty one of each kind."""

from __future__ import annotations

import os
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
