"""`graphflow new`: the project that a stranger gets runs, tests itself and has a notebook, without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from graphflow.errors import InputInvalid, SettingsInvalid
from graphflow.project.case import read_case
from graphflow.project.new_project import make_project
from tests import programs
from tests.notebook.kernel import execute

ROOT = Path(__file__).resolve().parents[2]


def graphflow(
    folder: Path, *words: str, given: str = "", code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Types a command; each has a process of its own, as projects are imported by the names of their folders."""
    done = programs.run(
        "-m", "graphflow", *words, cwd=folder, input=given, text=True, env=_environment()
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def _ran(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=_environment()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def _environment() -> dict[str, str]:
    around = {name: value for name, value in os.environ.items() if "GRAPHFLOW" not in name}
    return {**around, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_project(tmp_path / "tea-shop")


def test_the_way_of_a_stranger(tmp_path: Path) -> None:
    made = graphflow(tmp_path, "new", "tea-shop")
    assert "next: cd tea-shop && graphflow run && graphflow test" in made.stdout
    shop = tmp_path / "tea-shop"
    assert graphflow(shop, "run").stdout == "Yes, we have 12 packs of tea.\n"
    tried = graphflow(shop, "test")
    assert tried.stdout.count(": ok: ") == 5
    assert "1 graph, 2 claims, 2 cases: all hold" in tried.stderr
    talk = graphflow(shop, "chat", given="Have you got sugar?\nNice to hear.\n")
    assert talk.stdout.splitlines() == ["Yes, we have 30 packs of sugar.", "Nice to hear."]
    assert "--model" not in talk.stderr, "what the project says need not be typed"
    assert "tea-shop-" in graphflow(shop, "runs").stdout
    assert graphflow(shop, "check").stdout.startswith("graph 'tea-shop': sound")


def test_its_own_test_passes(shop: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    assert "1 passed" in _ran(command, shop).stdout


def test_its_notebook_runs(shop: Path) -> None:
    file = shop / "notebooks" / "tea-shop.ipynb"
    book = execute(file, file.parent)
    assert "12 packs of tea" in str(book.cells[2].outputs)


def test_what_has_changed_is_found(shop: Path) -> None:
    stock = shop / "nodes" / "tools" / "stock.py"
    stock.write_text(stock.read_text().replace("12", "13"))
    tried = graphflow(shop, "test", code=1)
    assert (
        "case stock: FAILED: it answers 'Yes, we have 13 packs of tea.', and should" in tried.stdout
    )
    assert graphflow(shop, "test", "greeting").stdout == "case greeting: ok: completed\n"
    assert "there is no case 'stok'" in graphflow(shop, "test", "stok", code=2).stderr


def test_a_graph_that_is_broken_fails_and_hides_nothing_else(shop: Path) -> None:
    (shop / "graphs" / "other.yaml").write_text("graph: other\nnodes: 5\n")
    tried = graphflow(shop, "test", "--json", code=1)
    assert '"name": "other",\n    "holds": false' in tried.stdout
    assert '"name": "stock",\n    "holds": true' in tried.stdout


def test_a_run_is_recorded_as_a_case_and_replayed(shop: Path, tmp_path: Path) -> None:
    # What a model of a vendor has said, as far as a case is concerned.
    talk = tmp_path / "talk.py"
    talk.write_text(
        "from graphflow.project import Project\n"
        "from graphflow.providers.recording import record\n"
        "graph = Project.open().graph()\n"
        "graph.run_sync('Hello there', model=record('said.jsonl', 'mock:echo'))\n"
    )
    _ran([sys.executable, str(talk)], shop)
    recorded = graphflow(
        shop, "test", "--record", "hello", "Hello", "there", "--model", "replay:said.jsonl"
    )
    assert "wrote tests/cases/hello.toml" in recorded.stdout
    case = read_case(shop / "tests" / "cases" / "hello.toml")
    assert case.wanted.model == "replay:hello.jsonl"
    assert case.wanted.nodes == ["about", "reply"]
    assert graphflow(shop, "test", "hello").stdout == "case hello: ok: completed\n"
    (shop / "said.jsonl").unlink()
    graph = shop / "graphs" / "tea_shop.py"
    graph.write_text(graph.read_text().replace("one or two", "three"))
    assert "case hello: FAILED" in graphflow(shop, "test", "hello", code=1).stdout


OWN = """
from pathlib import Path
from graphflow import END, START, Agent, Graph
from graphflow.model import Finished, TextDelta

class Clerk:
    name = "clerk"

    async def stream(self, request):
        assert not Path("gone").exists(), "a model was asked"
        yield TextDelta("I heard " + request.turns[-1].text)
        yield Finished("stop")

own = Graph("own", START >> Agent("clerk", input=str, model=Clerk()) >> END)
"""


def test_a_case_has_what_models_say_that_nodes_name(shop: Path) -> None:
    (shop / "graphs" / "own.py").write_text(OWN)
    recorded = graphflow(shop, "test", "--record", "heard", "hello", "--graph", "own")
    assert "wrote tests/cases/heard.toml" in recorded.stdout
    (shop / "gone").touch()
    assert graphflow(shop, "test", "heard").stdout == "case heard: ok: completed\n"


@pytest.mark.parametrize("graph", ["react", "desk"])
def test_a_project_may_be_made_from_a_graph_that_is_ready(tmp_path: Path, graph: str) -> None:
    made = graphflow(tmp_path, "new", "mine", "--from", graph)
    assert "recorded mine/tests/cases/first.toml" in made.stdout
    shipped = {path.name for path in (ROOT / "nodes").rglob("*.py")}
    copied = {path.name for path in (tmp_path / "mine" / "nodes").rglob("*.py")}
    assert copied < shipped
    assert "case first: ok" in graphflow(tmp_path / "mine", "test").stdout


def test_a_graph_of_ones_own_is_copied_with_its_nodes_and_prompts(
    tmp_path: Path, shop: Path
) -> None:
    (shop / "nodes" / "tools" / "stock.md.j2").write_text("unused")
    made = make_project(tmp_path / "copy", str(shop / "graphs" / "tea_shop.py"))
    names = sorted(path.name for path in (made / "nodes").rglob("*.*") if path.is_file())
    assert names == ["about.py", "look_up.py", "stock.md.j2", "stock.py"]
    assert 'message = "Do you have tea?"' in (made / "graphflow.toml").read_text()


@pytest.mark.parametrize("name", ["1st", "a b", "class", "..", "x" * 80, "ä"])
def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputInvalid):
        make_project(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(shop: Path) -> None:
    with pytest.raises(InputInvalid, match="is there already"):
        make_project(shop)


def test_what_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    graph = tmp_path / "broken.py"
    graph.write_text("def (")
    with pytest.raises(OSError, match=r"broken\.py is not Python"):
        make_project(tmp_path / "shop", str(graph))
    assert [path.name for path in tmp_path.iterdir()] == ["broken.py"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ":1: message: this is missing"),
        ('message = "x"\nmodle = "y"', ":2: modle: unknown key; did you mean 'model' or 'nodes'?"),
        ('message = "x"\nnodes = "y"', ":2: nodes: 'y' cannot stand here; it has to be a list"),
    ],
)
def test_a_mistake_in_a_case_is_told_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "case.toml"
    file.write_text(text)
    with pytest.raises(SettingsInvalid) as raised:
        read_case(file)
    assert f"{file}{says}" in str(raised.value)


def test_the_ready_nodes_have_one_name_everywhere(tmp_path: Path) -> None:
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "messages.py").write_text("raise RuntimeError('not this one')")
    program = (
        "from graphflow.library.tools.calculator import calculate\n"
        "from graphflow.library.subagents.orders import orders\n"
        "print(calculate.name, orders.name)\n"
    )
    done = _ran([sys.executable, "-c", program], tmp_path)
    assert done.stdout == "calculate orders\n"
