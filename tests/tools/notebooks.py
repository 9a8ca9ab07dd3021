"""Runs the notebooks that are kept with outputs, so that they show on a code host, and writes them anew.

    python -m tests.tools.notebooks

`tests/notebook/test_notebooks.py` fails if what they show is not what they would show today. Only what a model says may
differ there, and how long things took.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from tests.notebook.kernel import FOLDER, execute
from tests.render.seen import read

KEPT = ("01_first_graph", "03_routers_and_loops", "08_reading_a_run")
"""The notebooks that are kept with outputs. The others are kept without, so that small changes are small differences."""
BY_A_MODEL = {
    "01_first_graph": {"c16"},
    "03_routers_and_loops": {"c15", "c17", "c22", "c27"},
    "08_reading_a_run": {"c4", "c7", "c18", "c24"},
}
"""Cells that print what a model has said or chosen: on another kind of CPU it may be something else."""
WIDGET = "application/vnd.jupyter.widget-view+json"
"""Means nothing without the kernel that made it; the picture beside it is what is seen."""
FIGURE = re.compile(r"\d[\d.,]*(?:e-\d+)?|0x[0-9a-f]+|[0-9a-f]{12,}")


def kept_of(book: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook that was run, as it is kept: without what belongs to this run alone."""
    for name in list(book.metadata):
        if name not in ("kernelspec", "language_info"):
            del book.metadata[name]
    book.metadata.language_info = {"name": "python"}
    for cell in book.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = list(_joined(cell.outputs))
            for output in cell.outputs:
                output.get("data", {}).pop(WIDGET, None)
                output.get("metadata", {}).clear()
    return book


def _joined(outputs: list[Any]) -> Iterator[Any]:
    """Outputs, with the pieces of one stream put together: where they were cut is chance."""
    last: Any = None
    for output in outputs:
        if output.output_type == "stream" and last is not None and output.name == last.get("name"):
            last.text += output.text
            continue
        last = output
        yield output


def view_of(name: str, book: nbformat.NotebookNode) -> list[tuple[str, str, object]]:
    """What a notebook shows, cell by cell, without what may differ from run to run: (cell, what it is, what is in it)."""
    found: list[tuple[str, str, object]] = []
    for cell in book.cells:
        if cell.cell_type != "code":
            continue
        spoken = cell.id in BY_A_MODEL[name]
        for output in cell.outputs:
            if output.output_type == "stream":
                found.append((cell.id, output.name, "" if spoken else _steady(output.text)))
                continue
            for kind, content in sorted(output.data.items()):
                found.append((cell.id, kind, _content(kind, content)))
    return found


def _content(kind: str, content: str) -> object:
    if kind == "image/svg+xml" and 'class="graphflow"' in content:
        return read(content).lines()
    if kind in ("image/svg+xml", "text/html"):
        # A timeline, whose bars are as long as things took; a table of what stands in the text beside it.
        return ""
    return _steady(content)


def _steady(text: str) -> str:
    """A text without its figures, and without the room that is left for them."""
    return " ".join(FIGURE.sub("#", text).replace("model calls", "model call").split())


def main() -> None:
    """Runs them, and writes them."""
    for name in KEPT:
        path = FOLDER / f"{name}.ipynb"
        write(kept_of(execute(path)), path)
        print(f"wrote {path.name}")


def write(book: nbformat.NotebookNode, path: Path) -> None:
    """Writes a notebook in the form in which all of them are kept."""
    path.write_text(nbformat.writes(book) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
