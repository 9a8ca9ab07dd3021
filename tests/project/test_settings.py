"""The project file: what it may say, what holds, where that comes from, and how a mistake in it is answered."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphflow.cli.app import run_app
from graphflow.errors import FileUnreadable, ProjectUnknown, SettingsInvalid
from graphflow.limits import Limits
from graphflow.project import Project
from graphflow.project.settings import LimitSettings
from graphflow.project.toml_lines import TomlLines
from graphflow.variables import Expansion, escaped

HELLO = """
from graphflow import END, START, Agent, Graph

say = Agent("say", prompt="Say: {{ text }}", input=str)
hello = Graph("hello", START >> say >> END)
"""
SETTINGS = """
graph = "hello"
message = "Do you have tea?"
model = "${SHOP_MODEL:-mock:echo}"

[limits]
steps = "${STEPS:-50}"

[env.prod]
store = "sqlite:prod.db"
limits.usd = 3
"""


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """What a `.env` file puts into the environment is taken out again."""
    before = dict(os.environ)
    for name in [name for name in before if name.startswith("GRAPHFLOW_")]:
        del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "hello.py").write_text(HELLO)
    (tmp_path / "graphflow.toml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def origins(project: Project) -> dict[str, str]:
    return {each.key: each.origin for each in project.explain()}


def problems(root: Path, text: str, env: str = "") -> str:
    (root / "graphflow.toml").write_text(text)
    with pytest.raises(SettingsInvalid) as raised:
        Project.open(root, env=env)
    return str(raised.value)


# -- what holds ------------------------------------------------------------------------------------
def test_a_setting_tells_where_it_comes_from(root: Path) -> None:
    project = Project.open(root, env="prod")
    assert project.model == "mock:echo"
    assert project.limits == Limits(steps=50, usd=3.0)
    assert project.store_address == f"sqlite:{root / 'prod.db'}"
    found = origins(project)
    assert found["graph"] == "graphflow.toml:2"
    assert found["model"] == "graphflow.toml:4, $SHOP_MODEL is not set"
    assert found["store.address"] == "graphflow.toml:10 [env.prod]"
    assert found["limits.usd"] == "graphflow.toml:11 [env.prod]"
    assert found["sync"] == "default"


def test_variables_stand_above_the_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHFLOW_MODEL", "openai:gpt-5")
    monkeypatch.setenv("GRAPHFLOW_ENV", "prod")
    project = Project.open(root)
    assert (project.model, project.environment) == ("openai:gpt-5", "prod")
    assert origins(project)["model"] == "$GRAPHFLOW_MODEL"


def test_settings_may_stand_in_a_pyproject(root: Path) -> None:
    (root / "graphflow.toml").unlink()
    (root / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.graphflow]\nmodel = "mock:echo"\n'
    )
    project = Project.open(root)
    assert project.model == "mock:echo"
    assert origins(project)["model"] == "pyproject.toml:4"


def test_two_project_files_are_one_too_many(root: Path) -> None:
    (root / "pyproject.toml").write_text('[tool.graphflow]\nmodel = "mock:echo"\n')
    with pytest.raises(SettingsInvalid, match="keep one of them"):
        Project.open(root)


def test_a_file_alone_makes_a_project(tmp_path: Path) -> None:
    (tmp_path / "graphflow.toml").touch()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    project = Project.open(below)
    assert project.root == tmp_path.resolve()
    assert project.graphs() == []


def test_where_there_is_no_project_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(ProjectUnknown, match="graphflow new NAME"):
        Project.open(tmp_path)


def test_the_names_of_limits_are_those_of_limits() -> None:
    assert list(LimitSettings.model_fields) == [field.name for field in fields(Limits)]


# -- .env ------------------------------------------------------------------------------------------
def test_an_env_file_gives_variables_and_the_process_wins(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / ".env").write_text(
        "# keys\nexport SHOP_MODEL='mock:echo'\nSTEPS=7\nOPENAI_API_KEY=sk-of-the-file\n"
    )
    (root / ".env.prod").write_text("STEPS=8\n")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-process")
    project = Project.open(root, env="prod")
    assert project.limits == Limits(steps=8, usd=3.0)
    assert origins(project)["limits.steps"] == "graphflow.toml:7, $STEPS of .env.prod:1"
    assert os.environ["OPENAI_API_KEY"] == "sk-of-the-process"
    assert os.environ["SHOP_MODEL"] == "mock:echo"


def test_a_line_of_an_env_file_that_is_none_is_refused_and_not_shown(root: Path) -> None:
    (root / ".env").write_text("GOOD=1\nhalf-a-secret-4711\nTWO WORDS=x\n")
    with pytest.raises(SettingsInvalid) as raised:
        Project.open(root)
    assert f"{root / '.env'}:2: this is not a variable" in str(raised.value)
    assert "4711" not in str(raised.value)


def test_what_a_variable_brings_counts_as_a_secret(root: Path) -> None:
    (root / ".env").write_text("DSN=postgresql://shop@host/db-4711-tea\n")
    (root / "graphflow.toml").write_text('store = "${DSN}"\n')
    project = Project.open(root)
    assert project.store_address == "postgresql://shop@host/db-4711-tea"
    shown = {each.key: each.value for each in project.explain()}
    assert "4711" not in str(shown)
    assert project.secrets is not None
    assert project.secrets.names() == ("DSN",)


# -- mistakes --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('modle = "x"', "graphflow.toml:1: modle: unknown key; did you mean 'model'?"),
        ("model = 5", "graphflow.toml:1: model: 5 cannot stand here; it has to be a text"),
        (
            "[limits]\n\nstep = 5",
            "graphflow.toml:3: limits.step: unknown key; did you mean 'steps'",
        ),
        (
            '[limits]\nsteps = "5"',
            "limits.steps: '5' cannot stand here; it has to be a whole number",
        ),
        ("[limits]\nsteps = true", "limits.steps: True cannot stand here"),
        ("[limits]\nsteps = -1", "limits.steps: -1 cannot stand here; it has to be greater than"),
        ("[limits]\nusd = nan", "limits.usd: nan cannot stand here"),
        (
            'sync = "always"',
            "sync: 'always' cannot stand here; it has to be 'effects', 'each' or 'end'",
        ),
        ("store = 5", "store: 5 cannot stand here; it has to be a table"),
        ('[store]\nkey = "1234"', "store.key: '1234' cannot stand here"),
        ("secrets = []", "secrets: [] cannot stand here; it has to be a table"),
        ("[secrets]\nenv = 5", "secrets.env: 5 cannot stand here; it has to be a list or a table"),
        ('[policy]\neffects = ["fly"]', "policy.effects.0: 'fly' cannot stand here"),
        ("[telemetry]\njson = true", "telemetry.json: unknown key; did you mean 'jsonl'?"),
        ("env = 5", "env: this has to be tables: [env.NAME]"),
        ("[env]\nprod = 5", "graphflow.toml:2: env.prod: this has to be a table: [env.prod]"),
        ("[env.prod]\nmodle = 5", "graphflow.toml:2: env.prod.modle: unknown key; did you mean"),
        ("[env.prod.limits]\nsteps = []", "graphflow.toml:2: env.prod.limits.steps: [] cannot"),
        ('model = "${NOT_THERE}"', "graphflow.toml:1: model: the variable NOT_THERE is not set"),
        ('model = "${a b}"', "model: '${a b}' names no variable; write ${NAME}"),
        (
            'plugins = ["graphflow-nope"]',
            "graphflow.toml:1: plugins: 'graphflow-nope' is not installed",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_key(root: Path, text: str, says: str) -> None:
    assert says in problems(root, text)


def test_all_mistakes_are_told_at_once(root: Path) -> None:
    text = 'modle = "x"\n[limits]\nsteps = "x"\n[env.prod]\nstore = 5\n'
    assert "graphflow.toml has 3 problems:" in problems(root, text)


def test_an_overlay_that_there_is_not_is_refused(root: Path) -> None:
    assert "there is no [env.prdo]; did you mean 'prod'?" in problems(root, SETTINGS, env="prdo")


def test_an_overlay_that_is_not_chosen_may_need_variables_that_are_not_set(root: Path) -> None:
    (root / "graphflow.toml").write_text('[env.prod.limits]\nsteps = "${PROD_STEPS}"\n')
    assert Project.open(root).limits is None
    assert "env.prod.limits.steps: the variable PROD_STEPS" in problems(
        root, '[env.prod.limits]\nsteps = "${PROD_STEPS}"\n', env="prod"
    )


def test_a_variable_that_does_not_fit_is_named_and_not_shown(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPS", "five-secret-words")
    text = problems(root, SETTINGS)
    assert "what STEPS holds does not fit here: it has to be a whole number" in text
    assert "five" not in text


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"model = ", b"a = [" * 3_000, b"\x00", b"model = 'x'\nmodel = 'y'"]
)
def test_what_is_no_toml_is_refused_in_one_line(root: Path, content: bytes) -> None:
    (root / "graphflow.toml").write_bytes(content)
    with pytest.raises(FileUnreadable, match=r"graphflow\.toml"):
        Project.open(root)


def test_a_pipe_in_place_of_the_file_is_not_waited_for(root: Path) -> None:
    (root / "graphflow.toml").unlink()
    os.mkfifo(root / "graphflow.toml")
    with pytest.raises(FileUnreadable, match="pipe"):
        Project.open(root)


# -- variables -------------------------------------------------------------------------------------
@given(
    st.recursive(
        st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_what_is_escaped_comes_back(value: object) -> None:
    expansion = Expansion({})
    assert expansion.expanded(escaped(value)) == value
    assert not expansion.problems


@given(st.text(min_size=1))
def test_a_value_is_put_in_as_it_is(value: str) -> None:
    expansion = Expansion({"NAME": value})
    assert expansion.expanded({"a": ["<${NAME}>"]}) == {"a": [f"<{value}>"]}


def test_values_cannot_grow_without_bound() -> None:
    expansion = Expansion({"NAME": "x" * 100_000})
    expansion.expanded(["${NAME}"] * 50)
    assert "more than 1,000,000" in expansion.problems[0][1]


def test_a_line_within_a_long_text_is_no_key() -> None:
    lines = TomlLines('a = """\nb = 1\n[c]\n"""\nb = 2\n["x.y".z]\n"q q" = 1\n')
    assert lines.line(("b",)) == 5
    assert lines.line(("x.y", "z", "q q")) == 7
    assert lines.line(("nope",)) is None


# -- the command line ------------------------------------------------------------------------------
def test_commands_take_what_the_project_says(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["run"]) == 0
    assert "Say: Do you have tea?" in capsys.readouterr().out
    assert run_app(["run", "hello", "Other", "--limits", "steps=0"]) == 3
    assert run_app(["check"]) == 0


def test_the_limits_of_the_project_hold(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "graphflow.toml").write_text('model = "mock:echo"\n[limits]\nmodel_calls = 0\n')
    assert run_app(["run", "hello", "Hi"]) == 3
    assert "model_calls" in capsys.readouterr().err


def test_runs_are_kept_where_the_project_says(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["run", "--env", "prod"]) == 0
    assert (root / "prod.db").exists()
    assert not (root / ".graphflow").exists()
    assert run_app(["runs", "--env=prod", "--json"]) == 0
    assert "hello-" in capsys.readouterr().out


def test_secrets_of_the_project_are_hidden_in_runs(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / ".env").write_text("CODEWORD=marzipan-moon-77\n")
    (root / "graphflow.toml").write_text('model = "mock:echo"\n[secrets]\nenv = ["CODEWORD"]\n')
    assert run_app(["run", "hello", "It is marzipan-moon-77."]) == 0
    assert "marzipan" not in capsys.readouterr().out
    assert b"marzipan" not in (root / ".graphflow" / "runs.db").read_bytes()


def test_config_prints_what_holds(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["config", "--env", "prod", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["environment"] == "prod"
    assert shown["settings"]["limits.usd"] == {"value": 3.0, "from": "graphflow.toml:11 [env.prod]"}
    assert run_app(["config"]) == 0
    assert "graphflow.toml:4, $SHOP_MODEL is not set" in capsys.readouterr().out


def test_a_broken_project_file_is_told_in_one_line(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "graphflow.toml").write_text("modle = 5")
    assert run_app(["run"]) == 2
    assert capsys.readouterr().err.startswith("graphflow: graphflow.toml:1: modle: unknown key")


# -- variables in graphs ---------------------------------------------------------------------------
GRAPH = """
graph: shop
model: ${SHOP_MODEL:-mock:echo}
nodes:
  say: {kind: agent, input: str, prompt: "${GREETING} {{ text }} $${x}"}
edges: [START >> say >> END]
"""


def test_a_graph_file_may_refer_to_variables(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / ".env").write_text("GREETING='\"}] #: {{ text }}'\n")
    (root / "graphs" / "shop.yaml").write_text(GRAPH)
    assert run_app(["run", "shop", "Hi"]) == 0
    assert '"}] #: Hi Hi ${x}' in capsys.readouterr().out


def test_a_variable_that_a_graph_file_needs_is_told_with_its_line(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "graphs" / "shop.yaml").write_text(GRAPH)
    assert run_app(["check", "shop"]) == 2
    error = capsys.readouterr().err
    assert "shop.yaml:5:" in error
    assert "the variable GREETING is not set" in error


def test_what_looks_like_a_reference_survives_the_way_through_a_file(root: Path) -> None:
    from graphflow import END, START, Agent, Graph

    graph = Graph("g", START >> Agent("a", input=str, prompt="cost ${PRICE}") >> END)
    file = root / "g.yaml"
    file.write_text(graph.to_yaml())
    assert Graph.from_yaml(str(file)) == graph
