"""Which plug-ins are used: what a project and a variable say, what `graphflow plugins` and `graphflow doctor` show."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graphflow.cli.app import run_app
from graphflow.errors import PluginRefused, SettingsInvalid
from graphflow.model.resolve import known_problem, open_model
from graphflow.plugins import plugin
from graphflow.plugins.choice import SWITCH
from graphflow.project import Project
from graphflow.project.here import state_environment


@pytest.fixture
def root(plugged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "graphs").mkdir()
    monkeypatch.chdir(tmp_path)
    state_environment(None)
    return tmp_path


def project(root: Path, settings: str) -> Project:
    (root / "graphflow.toml").write_text(settings)
    return Project.open(root)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ('[plugins]\ndeny = ["Shelf_Plugs"]\n', r"\[plugins\] of graphflow.toml denies them"),
        ("[plugins]\nallow = []\n", r"\[plugins\] of graphflow.toml does not allow them"),
    ],
)
def test_a_project_says_whose_plugins_are_used(root: Path, settings: str, why: str) -> None:
    project(root, settings)
    with pytest.raises(PluginRefused, match=f"'shout' .*shelf-plugs is not used: {why}"):
        open_model("shout:large")
    assert "is not used" in known_problem("shout:large")


@pytest.mark.parametrize(
    "settings",
    [
        "",
        'plugins = ["shelf-plugs"]',
        '[plugins]\nneed = ["shelf-plugs"]\nallow = ["shelf.plugs"]\ndeny = ["other"]\n',
    ],
)
def test_what_is_not_denied_is_used(root: Path, settings: str) -> None:
    project(root, settings)
    assert open_model("shout:large").name == "shout:large"


@pytest.mark.parametrize(
    ("switch", "is_used"),
    [
        ("none", False),
        ("None", False),
        ("other", False),
        ("shelf_plugs, other", True),
        ("all", True),
    ],
)
@pytest.mark.usefixtures("plugged")
def test_a_variable_stands_above_the_project(
    monkeypatch: pytest.MonkeyPatch, switch: str, is_used: bool
) -> None:
    monkeypatch.setenv(SWITCH, switch)
    if is_used:
        assert plugin("kinds", "shelf")
        return
    with pytest.raises(PluginRefused, match=rf"\${SWITCH}"):
        plugin("kinds", "shelf")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            "[telemetry]\nledgr = true",
            "graphflow.toml:2: telemetry.ledgr: unknown key; did you mean",
        ),
        ("[telemetry]\nledger = 'x.txt'", "telemetry.ledger: 'x.txt' cannot stand here; it has"),
        ("[telemetry]\nledger = true", "telemetry.ledger.path: this is missing"),
        (
            "[telemetry.ledger]\npath = 'x'\ntoken = 'abc'",
            "graphflow.toml:3: telemetry.ledger.token: what is given cannot stand here; it has to be",
        ),
        ("[policy]\nuse = ['opening_hour']", "policy.use.opening_hour: no plug-in brings a policy"),
        (
            "[policy.use]\nopening_hours = {opens = '7'}",
            "graphflow.toml:2: policy.use.opening_hours.opens: '7' cannot stand here",
        ),
        (
            "[store]\naddress = 'cellar:x'\noptions = {rom = 'y'}",
            "graphflow.toml:3: store.options.rom: unknown key; did you mean 'room'",
        ),
        ("[plugins]\nalow = []", "plugins.alow: unknown key; did you mean 'allow'"),
    ],
)
def test_slips_in_the_project_file_are_told(root: Path, settings: str, problem: str) -> None:
    with pytest.raises(SettingsInvalid) as raised:
        project(root, settings)
    assert problem in str(raised.value)
    assert "abc" not in str(raised.value)


# -- what is shown ---------------------------------------------------------------------------------
def listed(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[tuple[str, str], Any]]:
    code = run_app(["plugins", "--json"])
    rows = json.loads(capsys.readouterr().out)
    return code, {(row["seam"], row["name"]): row for row in rows}


@pytest.mark.usefixtures("root")
def test_all_plugins_are_listed_with_their_state(capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = listed(capsys)
    assert code == 1
    assert {row["distribution"] for row in rows.values()} == {"shelf-plugs"}
    assert {row["version"] for row in rows.values()} == {"1.2"}
    bad = {key: row["state"] for key, row in rows.items() if row["state"] != "ready"}
    assert bad == {("kinds", "agent"): "refused", ("sinks", "gone"): "broken"}
    assert {seam for seam, _ in rows} >= {"kinds", "providers", "embedders", "stores", "contexts"}
    assert {seam for seam, _ in rows} >= {"memories", "guards", "sinks", "policies"}
    assert run_app(["plugins"]) == 1
    shown = capsys.readouterr().out
    assert "NoShouting     guards     shelf-plugs 1.2  ready" in shown
    assert "No module named 'shelf_plugs.gone'" in shown


def test_those_that_are_denied_are_off_and_not_loaded(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "graphflow.toml").write_text('[plugins]\ndeny = ["shelf-plugs"]\n')
    code, rows = listed(capsys)
    assert code == 0
    assert {row["state"] for row in rows.values()} == {"off"}
    assert "shelf_plugs" not in sys.modules


def test_a_project_that_cannot_be_opened_does_not_hide_them(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "graphflow.toml").write_text("[telemetry]\ngone = true\n")
    assert run_app(["run", "nothing", "x"]) == 2
    assert "cannot be loaded" in capsys.readouterr().err
    assert run_app(["plugins"]) == 1
    told = capsys.readouterr()
    assert "the project cannot be opened" in told.err
    assert "ledger" in told.out


def test_the_doctor_tells_of_those_that_cannot_be_used(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_app(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    states = {each["about"]: each["state"] for each in findings if each["area"] == "plugins"}
    assert states == {"agent": "warning", "gone": "warning", "ready": "ok"}


def test_providers_of_plugins_are_among_the_models(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["models", "--json"]) == 0
    names = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert names["shout"]["ready"] is True
    assert names["shout"]["where"] == "shelf-plugs"


def test_editors_know_the_words_of_plugins(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["schema", "--plugins"]) == 0
    from jsonschema import (
        Draft202012Validator,  # takes seconds: not while tests are only being collected
    )

    checker = Draft202012Validator(json.loads(capsys.readouterr().out))
    top = {"kind": "shelf", "size": 2, "labels": ["tea"], "retry": 2}
    agent = {"kind": "agent", "context": {"policy": "last_words", "words": 9}}
    agent["policy"] = {"policy": "opening_hours", "opens": 8}
    nodes = {"top": top, "desk": {"kind": "desk", "greeting": "hi"}, "a": agent}
    memories = {"notes": {"kind": "drawer", "places": 2}}
    graph = {"graph": "g", "nodes": nodes, "memories": memories, "edges": ["START >> top >> END"]}
    assert [error.message for error in checker.iter_errors(graph)] == []
    for wrong in ({"kind": "shelf", "sise": 2}, {"kind": "shelf", "size": "2"}, {"kind": "desk"}):
        assert not checker.is_valid({**graph, "nodes": {"top": wrong}})
    agent["context"] = {"policy": "last_words", "wrds": 9}
    assert not checker.is_valid(graph)


@pytest.mark.usefixtures("root")
def test_two_of_one_name_are_refused_until_one_is_denied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = tmp_path / "other" / "other_shelves-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-shelves\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[graphflow.kinds]\nshelf = shelf_plugs.nodes:Shelf\n")
    monkeypatch.syspath_prepend(str(tmp_path / "other"))
    with pytest.raises(PluginRefused, match="other-shelves and shelf-plugs both have this name"):
        plugin("kinds", "shelf")
    _, rows = listed(capsys)
    assert rows["kinds", "shelf"]["state"] == "refused"
    project(tmp_path, '[plugins]\ndeny = ["other-shelves"]\n')
    assert plugin("kinds", "shelf").distribution == "shelf-plugs"


def test_no_plugin_is_looked_for_before_it_is_asked_for(installed: Path, tmp_path: Path) -> None:
    """A start, a graph and a run of what is built in find no entry points, and load no plug-in."""
    code = f"""
import sys
sys.path.insert(0, {str(installed)!r})
from graphflow import END, START, Agent, Graph
graph = Graph("g", START >> Agent("a", prompt="{{{{ text }}}}", input=str, model="mock:echo") >> END)
assert graph.run_sync("x").output == "x"
from graphflow.plugins import registry
assert not registry._scans
assert "shelf_plugs" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
