"""Makes the pictures of the README: the desk, and a walk on it.

    python -m tests.tools.pictures            # draws both anew, the walk from its record
    python -m tests.tools.pictures --walk     # walks first, on the embedded model, and keeps the record

`tests/house/test_pictures.py` fails if they do not show the desk as it is.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from graphflow import Graph
from graphflow.render import draw, draw_run

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "pictures"
RECORD = FOLDER / "desk_walk.jsonl"
MESSAGES = (
    "Where is my order 1187?",
    "How much are 2 melons and 4 eggs?",
    "What do three jars of honey cost, please?",
    "Do you deliver to Norway?",
    "Good morning",
)


def the_desk() -> Graph[object, object]:
    """The graph that is shown."""
    from graphs.desk import desk

    return desk


def drawn(folder: Path) -> list[Path]:
    """The two pictures, drawn into a folder: the desk with its parts closed, and the recorded walk on the same picture."""
    desk = the_desk()
    declared = folder / "desk.svg"
    walked = folder / "desk_walk.svg"
    draw(desk, declared, open=0)
    draw_run(RECORD, walked, graph=desk, open=0)
    return [declared, walked]


def walk() -> None:
    """Walks the desk on a few messages, and keeps what happened without the places of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder) / "inbox.txt"
        inbox.write_text("\n".join(MESSAGES))
        run = the_desk().run_sync({"source": str(inbox)})
        lines = [json.dumps(record) for record in run.records()]
        text = "\n".join(lines) + "\n"
        text = text.replace(str(inbox), "inbox.txt").replace(str(ROOT) + "/", "")
    RECORD.write_text(text)


def main() -> None:
    """Does what the command line says."""
    parser = argparse.ArgumentParser(description="Make the pictures of the README.")
    parser.add_argument("--walk", action="store_true", help="walk first, and keep the record")
    if parser.parse_args().walk:
        walk()
    for path in drawn(FOLDER):
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
