"""Draws those pictures of docs/concepts.md that graphflow draws itself, of the graphs on that page.

    python -m tests.tools.concept_pictures           # draws them anew, the walk from its record
    python -m tests.tools.concept_pictures --walk    # walks first, and keeps the record

`tests/house/test_pictures.py` fails if they do not show these graphs. The others are drawn by hand, as nothing else draws
what they show.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from graphflow.render import draw, draw_run
from graphflow.render.counterexamples import draw_verdict
from tests.tools.pictures import FOLDER, ROOT

PAGE = ROOT / "docs" / "concepts.md"
RECORD = FOLDER / "concept_walk.jsonl"
BY_HAND = ["scopes", "frames", "journal", "conversations"]


def names_of_the_page() -> dict[str, Any]:
    """What the code of the page declares."""
    names: dict[str, Any] = {"__name__": "concepts"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(block, "concepts.py", "exec"), names)
    return names


def drawn(folder: Path) -> list[Path]:
    """The pictures, drawn into a folder."""
    names = names_of_the_page()
    walk, state, claims = (folder / f"concept_{name}.svg" for name in ("walk", "state", "claims"))
    draw_run(RECORD, walk, graph=names["trips"], direction="LR")
    draw(names["library"], state, direction="LR")
    draw_verdict(names["helpdesk"], claims, names["verdict"], direction="LR")
    return [walk, state, claims]


def keep_walk() -> None:
    """Keeps what happened in the walk of the page."""
    lines = [json.dumps(record) for record in names_of_the_page()["run"].records()]
    RECORD.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if "--walk" in sys.argv:
        keep_walk()
    for path in drawn(FOLDER):
        print(f"wrote {path.relative_to(ROOT)}")
