"""The pictures of the README show the desk as it is, and say nothing of the machine that they were made on."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.render.seen import SVG, read
from tests.tools import concept_pictures
from tests.tools.pictures import FOLDER, RECORD, ROOT, drawn

ANEW = "make them anew: python -m tests.tools.pictures (with --walk if the desk itself has changed)"


@pytest.mark.parametrize("name", ["desk.svg", "desk_walk.svg"])
def test_a_picture_shows_the_desk_as_it_is(name: str, tmp_path: Path) -> None:
    """All but where things stand, which another version of the layout program may see otherwise."""
    drawn(tmp_path)
    shows_the_same(FOLDER / name, tmp_path / name, ANEW)


def shows_the_same(picture: Path, anew: Path, hint: str) -> None:
    kept = read(picture.read_text(encoding="utf-8"))
    now = read(anew.read_text(encoding="utf-8"))
    assert kept.lines() == now.lines(), hint
    assert sorted(kept.texts) == sorted(now.texts), hint
    assert kept.marks == now.marks, hint


def test_the_pictures_of_concepts_show_the_graphs_of_their_page(tmp_path: Path) -> None:
    page = concept_pictures.PAGE.read_text(encoding="utf-8")
    for picture in concept_pictures.drawn(tmp_path):
        shows_the_same(FOLDER / picture.name, picture, "python -m tests.tools.concept_pictures")
        assert f"](pictures/{picture.name})" in page


@pytest.mark.parametrize("name", concept_pictures.BY_HAND)
def test_a_picture_drawn_by_hand_is_on_the_page_and_fits_both_themes(name: str) -> None:
    page = concept_pictures.PAGE.read_text(encoding="utf-8")
    assert f"](pictures/concept_{name}.svg)" in page
    picture = ElementTree.parse(FOLDER / f"concept_{name}.svg").getroot()
    assert picture.find(f"{SVG}desc") is not None
    assert "prefers-color-scheme:dark" in picture.findtext(f"{SVG}style", "")


def test_the_walk_was_completed_and_touched_every_specialist() -> None:
    shown = read((FOLDER / "desk_walk.svg").read_text(encoding="utf-8"))
    done = {
        name for name, mark in shown.marks.items() if mark in ("done", "ok", "ran", "completed")
    }
    assert done >= {"orders", "prices", "questions", "small_talk", "to_table"}, shown.marks


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_nothing_of_a_machine_is_in_them(path: Path) -> None:
    assert path in (RECORD, concept_pictures.RECORD) or path.suffix == ".svg"
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/home/|/root/|/tmp/|/Users/|[A-Z]:\\\\", text)
    assert str(ROOT) not in text
