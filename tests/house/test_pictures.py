"""The pictures of the README show the desk as it is, and say nothing of the machine that they were made on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.render.seen import read
from tests.tools.pictures import FOLDER, RECORD, ROOT, drawn

ANEW = "make them anew: python -m tests.tools.pictures (with --walk if the desk itself has changed)"


@pytest.mark.parametrize("name", ["desk.svg", "desk_walk.svg"])
def test_a_picture_shows_the_desk_as_it_is(name: str, tmp_path: Path) -> None:
    """All but where things stand, which another version of the layout program may see otherwise."""
    kept = read((FOLDER / name).read_text(encoding="utf-8"))
    drawn(tmp_path)
    now = read((tmp_path / name).read_text(encoding="utf-8"))
    assert kept.lines() == now.lines(), ANEW
    assert sorted(kept.texts) == sorted(now.texts), ANEW
    assert kept.marks == now.marks, ANEW


def test_the_walk_was_completed_and_touched_every_specialist() -> None:
    shown = read((FOLDER / "desk_walk.svg").read_text(encoding="utf-8"))
    done = {
        name for name, mark in shown.marks.items() if mark in ("done", "ok", "ran", "completed")
    }
    assert done >= {"orders", "prices", "questions", "small_talk", "to_table"}, shown.marks


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_nothing_of_a_machine_is_in_them(path: Path) -> None:
    assert path == RECORD or path.suffix == ".svg"
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/home/|/root/|/tmp/|/Users/|[A-Z]:\\\\", text)
    assert str(ROOT) not in text
