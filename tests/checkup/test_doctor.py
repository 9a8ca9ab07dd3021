"""`graphflow doctor`: what is broken is a problem with what to type, what is only not there is none, and no key is shown."""

from __future__ import annotations

import importlib.metadata
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graphflow.checkup import distributions, names
from graphflow.checkup.distributions import missing_of, needed_by
from graphflow.checkup.extras import EXTRAS
from graphflow.cli.app import run_app
from graphflow.journal.stores.sqlite_schema import MIGRATIONS
from graphflow.project.here import state_environment
from graphflow.providers.endpoints import ENDPOINTS
from tests.providers.raw_server import RawServer, reply

CANARY = "canary-key-123456"
GRAPH = """
from graphflow import END, START, Graph, node

raise RuntimeError("the doctor loads no graph")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "shop"
    (root / "graphs").mkdir(parents=True)
    (root / "graphs" / "shop.py").write_text(GRAPH)
    (root / "graphflow.toml").write_text('model = "mock:echo"\n')
    monkeypatch.chdir(root)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.delenv("GRAPHFLOW_STORE", raising=False)
    for endpoint in ENDPOINTS.values():
        for variable in (*endpoint.key_variables, endpoint.base_variable):
            monkeypatch.delenv(variable, raising=False)
    state_environment(None)  # forgets projects of other tests
    return root


class Doctor:
    """One look."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *options: str) -> None:
        state_environment(None)
        self.code = run_app(["doctor", "--json", *options])
        self.text = capsys.readouterr().out
        self.data: dict[str, Any] = json.loads(self.text)

    def of(self, area: str, about: str) -> dict[str, str]:
        (found,) = [
            each for each in self.data["findings"] if (each["area"], each["about"]) == (area, about)
        ]
        return found  # type: ignore[no-any-return]

    def states(self) -> set[str]:
        return {each["state"] for each in self.data["findings"]}


def test_where_all_is_well_nothing_is_a_problem(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    looked = Doctor(capsys)
    assert looked.code == 0
    assert looked.data["ok"] is True
    assert "problem" not in looked.states()
    assert looked.of("models", "project")["text"] == "mock:echo"
    assert looked.of("store", "runs")["text"] == "nothing is kept in .graphflow/runs.db yet"
    assert not (project / ".graphflow").exists()  # it has only looked


def test_lines_fit_the_terminal_and_say_what_to_type(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "graphflow.toml").write_text('model = "openai:gpt-5-mini"\n')
    assert run_app(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert "PROBLEM  project" in out
    assert "> export OPENAI_API_KEY=..." in out
    texts = [line for line in out.splitlines() if "/" not in line]  # a path is not broken
    assert max(map(len, texts)) <= 80
    assert "1 problem" in err


def test_a_broken_project_file_is_told_and_the_rest_is_looked_at(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "graphflow.toml").write_text("modle = 'x'\n")
    looked = Doctor(capsys)
    assert looked.code == 1
    assert "model" in looked.of("project", "settings")["text"]
    assert looked.of("store", "runs")["state"] == "absent"
    assert looked.of("environment", "Python")["state"] == "ok"


def test_a_key_is_seen_and_never_shown(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "graphflow.toml").write_text('model = "openai:gpt-5-mini"\n')
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    looked = Doctor(capsys)
    assert looked.code == 0
    assert looked.of("models", "openai")["text"] == "OPENAI_API_KEY is set"
    assert CANARY not in looked.text


@pytest.mark.parametrize(("status", "code"), [(401, 1), (200, 0)])
def test_online_a_provider_is_asked_whether_it_takes_the_key(
    status: int,
    code: int,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    body = b'{"data":[{"id":"m"}],"error":{"message":"bad key Bearer canary-key-123456"}}'
    with RawServer(reply(body, status)) as raw:
        monkeypatch.setenv("OPENAI_BASE_URL", raw.url)
        looked = Doctor(capsys, "--online")
    assert looked.code == code
    assert looked.of("models", "openai, asked")["state"] == ("problem" if code else "ok")
    assert CANARY not in looked.text


def test_a_server_is_not_asked_unless_online(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"postgresql://me:{CANARY}@127.0.0.1:1/runs"
    looked = Doctor(capsys, "--store", address)
    assert looked.of("store", "runs")["state"] == "absent"
    asked = Doctor(capsys, "--store", address, "--online")
    assert asked.of("store", "runs")["state"] == "problem"
    assert CANARY not in looked.text + asked.text


def test_a_missing_extra_is_a_problem_only_where_the_project_needs_it(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = distributions.version_of
    monkeypatch.setattr(
        distributions, "version_of", lambda name: None if name == "asyncpg" else real(name)
    )
    looked = Doctor(capsys)
    assert looked.of("extras", "postgres")["state"] == "absent"
    assert looked.code == 0
    looked = Doctor(capsys, "--store", "postgresql://127.0.0.1:1/runs")
    found = looked.of("extras", "postgres")
    assert (found["state"], looked.code) == ("problem", 1)
    assert found["advice"] == "pip install 'graphflow-agents[postgres]'"


def test_what_an_extra_is_for_is_said_of_each() -> None:
    stated = importlib.metadata.metadata("graphflow-agents").get_all("Provides-Extra") or []
    assert set(EXTRAS) == set(stated) - {
        "all",
        "browser",
        "docs",
        "test",
    }  # the others are for work on graphflow itself
    assert all(needed_by(extra) for extra in EXTRAS)


@pytest.mark.parametrize(
    ("version", "least", "missing"),
    [("1.40", "1.40.0", False), ("1.9", "1.40", True), ("2026.5", "2026.5", False), ("2rc1", "2", False)],
)  # fmt: skip
def test_a_version_that_is_too_old_is_as_good_as_none(
    version: str, least: str, missing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributions, "version_of", lambda name: version)
    needed = [distributions.NeededPackage("x", least, "")]
    assert bool(missing_of(needed)) is missing


def test_a_store_of_a_newer_version_and_one_that_is_none(
    project: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    newer = tmp_path / "newer.db"
    with sqlite3.connect(newer) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    looked = Doctor(capsys, "--store", f"sqlite:{newer}")
    assert looked.code == 1
    assert looked.of("store", "schema")["advice"] == "pip install -U graphflow-agents"
    text = tmp_path / "text.db"
    text.write_text("no database" * 100)
    looked = Doctor(capsys, "--store", f"sqlite:{text}")
    assert looked.of("store", "schema")["state"] == "problem"
    looked = Doctor(capsys, "--store", "sqlight:runs.db")
    assert looked.of("store", "runs")["state"] == "problem"


def test_names_that_mean_two_things(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "json.py").write_text("")
    (project / "pydantic").mkdir()
    (project / "pydantic" / "__init__.py").write_text("")
    (project / "prices.py").write_text("")
    (project / "graphs" / "react.py").write_text("")
    (project / "graphs" / "shop.yaml").write_text("")
    looked = Doctor(capsys)
    assert looked.code == 0
    found = {each["about"]: each for each in looked.data["findings"] if each["area"] == "names"}
    assert set(found) == {"json.py", "pydantic", "graphs/react.py", "graphs/shop.yaml"}
    assert {each["state"] for each in found.values()} == {"warning"}
    assert "the module json of Python" in found["json.py"]["text"]
    assert "the installed package pydantic" in found["pydantic"]["text"]


def test_another_package_of_the_same_name(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = {"graphflow": ["graphflow-agents", "graphflow"]}
    monkeypatch.setattr(names.importlib.metadata, "packages_distributions", lambda: owners)
    looked = Doctor(capsys)
    assert looked.code == 1
    assert looked.of("names", "graphflow")["advice"].startswith("pip uninstall graphflow;")


def test_another_graphflow_on_the_path(
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tmp_path / "other" / "graphflow"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    found = Doctor(capsys).of("programs", "graphflow")
    assert found["state"] == "warning"
    assert found["advice"] == f"{sys.executable} -m graphflow"


def test_a_file_of_variables_that_everybody_may_read(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project / ".env"
    file.write_text(f"SHOP_KEY={CANARY}\n")
    file.chmod(0o644)
    looked = Doctor(capsys)
    assert looked.of("project", ".env")["advice"] == "chmod 600 .env"
    assert CANARY not in looked.text
    file.chmod(0o600)
    assert Doctor(capsys).of("project", ".env")["state"] == "ok"


def test_outside_of_a_project(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "graphflow", "doctor"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    assert "graphflow new NAME" in ran.stdout
