"""The notebooks run from a clean kernel, cell by cell, and three are kept as they then look; a graph shows itself there."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest

from graphflow import END, START, Graph, GraphError, node
from graphflow.providers.embedded import weights
from tests.conftest import Msg
from tests.notebook.kernel import FOLDER, ROOT, execute
from tests.tools.notebooks import KEPT, kept_of, view_of

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
ANEW = "look at what has changed; if it is right: python -m tests.tools.notebooks"


@pytest.fixture
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of whoever runs the tests, no keys, and the code of this checkout."""
    weights.pull("smollm2", say=print)
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_there_are_notebooks_and_they_are_numbered() -> None:
    assert len(NOTEBOOKS) >= 8
    assert [path.name[:3] for path in NOTEBOOKS] == [
        f"{number:02}_" for number in range(1, len(NOTEBOOKS) + 1)
    ]


@each_notebook
def test_a_notebook_is_kept_clean(path: Path) -> None:
    """Nothing of the machine it was written on, no outputs but in those that are to show them, small differences small."""
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert book.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in book.cells:
        assert cell.metadata == {}
        if path.stem not in KEPT:
            assert cell.cell_type == "markdown" or (cell.outputs, cell.execution_count) == (
                [],
                None,
            )
        assert cell.source.strip() == cell.source != ""
        assert not re.search(r"/home/|/root/|/tmp/|/Users/|[A-Z]:\\", cell.source)
    assert len({cell.id for cell in book.cells}) == len(book.cells)


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept_of_a_run_is_of_one_run_from_top_to_bottom(name: str) -> None:
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    cells = [cell for cell in nbformat.reads(text, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any(cell.outputs for cell in cells)
    assert not re.search(r"/home/|/root/|/tmp/|/Users/|[A-Z]:\\\\", text)
    assert str(ROOT) not in text
    assert len(text) < 300_000


@each_notebook
def test_a_notebook_begins_and_ends_as_a_story(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    assert book.cells[0].source.startswith("# ")
    assert "## What to try" in book.cells[-1].source
    for link in re.findall(
        r"\]\(([^)]+)\)", "".join(c.source for c in book.cells if c.cell_type == "markdown")
    ):
        assert (FOLDER / link).is_file(), link


@pytest.mark.local_model
@pytest.mark.slow
@pytest.mark.usefixtures("_clean")
@each_notebook
def test_a_notebook_runs(path: Path) -> None:
    """From top to bottom, in a kernel of its own; whatever a cell expects to fail, it catches and looks at itself."""
    begun = time.perf_counter()
    book = execute(path)
    print(f"{path.stem}: {time.perf_counter() - begun:.1f} s")
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    shown = {kind for output in outputs for kind in output.get("data", {})}
    assert "image/svg+xml" in shown
    told = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "ipykernel_" not in told, "a place in the source is shown as a file that nobody has seen"
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    if path.stem in KEPT:
        kept = nbformat.read(path, as_version=4)
        assert view_of(path.stem, kept) == view_of(path.stem, kept_of(book)), ANEW


def test_a_mistake_in_a_notebook_is_told_by_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = SimpleNamespace(
        format_code_name=lambda name: ("Cell", "In[4]") if name == __file__ else None
    )
    shell = SimpleNamespace(compile=compiler)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    with pytest.raises(GraphError, match=r"graph 'g' has 1 problem \(In\[4\]:\d+\)"):
        Graph("g", START >> same >> same.named("b"))


@node
async def same(m: Msg) -> Msg:
    return m


graph: Graph[Any, Any] = Graph("g", START >> same >> END)


def test_a_graph_shows_itself_as_a_picture() -> None:
    bundle = graph._repr_mimebundle_()
    assert bundle["image/svg+xml"].count("<svg") == 1
    assert "text/vnd.mermaid" not in bundle
    assert bundle["text/plain"] == "<graph g(Msg) -> Msg: 1 nodes, 2 edges>"


def test_without_a_program_that_draws_it_shows_itself_as_mermaid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRAPHFLOW_DOT", "/nothing/here")
    bundle = graph._repr_mimebundle_()
    assert bundle["text/vnd.mermaid"].startswith("flowchart TD")
    assert "image/svg+xml" not in bundle


def test_run_sync_works_under_a_running_loop() -> None:
    async def main() -> Msg:
        return graph.run_sync(Msg(n=5)).output

    assert asyncio.run(main()) == Msg(n=5)


def test_runs_of_one_graph_may_overlap() -> None:
    async def main() -> list[int]:
        runs = await asyncio.gather(*(graph.run(Msg(n=n)) for n in range(100)))
        return [run.output.n for run in runs]

    assert asyncio.run(main()) == list(range(100))


@pytest.mark.parametrize(
    "name",
    [
        '<script>alert("x")</script>',
        'quo"te\\',
        "new\nline",
        "émoji 🐙",
        "שלום",
        "x" * 10_000,
        "[]{}()|",
        "%%{init}%%",
    ],
)
def test_hostile_names_render_harmlessly(name: str) -> None:
    hostile = Graph("g", START >> same.named(name) >> END)
    svg = hostile._repr_mimebundle_()["image/svg+xml"]
    assert "<script" not in svg
    assert "<script" not in hostile.to_mermaid()
    rows = hostile.to_mermaid().splitlines()
    assert len([row for row in rows if not row.startswith(("    classDef ", "    class "))]) == 6
    assert len(rows) == 10, "two kinds have a class each"
