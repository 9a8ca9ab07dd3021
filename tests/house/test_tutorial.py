"""The tutorial and the recipes do what they say: each page runs on its own, and prints what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.tools import peers
from tests.waiting import until

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted((DOCS / "tutorial").glob("*.md"))
RECIPES = sorted((DOCS / "recipes").glob("*.md"))
SHOWING = [DOCS / "index.md", DOCS / "comparison.md", *PAGES, *RECIPES]
WIDEST = 88
BLOCK = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", SHOWING, ids=[page.stem for page in SHOWING])
def test_a_page_runs_and_prints_what_it_shows(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A block of text behind one of code is what that code prints, all code of a page being one file."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": page.stem}
    source = ""
    said = ""
    for language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            assert said == "", "the page does not show what its code prints"
            lines_before = "\n" * source.count("\n")
            code = compile(
                lines_before + block, str(tmp_path / "desk.py"), "exec", dont_inherit=True
            )
            exec(code, names)
            source += block
            said = capsys.readouterr().out.replace(f"{tmp_path}/", "")
        elif said:
            assert block == said
            said = ""
    assert said == "", "the page does not show what its code prints"


def test_code_is_as_wide_as_a_page() -> None:
    """On the site, what is wider is cut off until a reader scrolls."""
    wide = [
        (page.stem, line)
        for page in SHOWING
        for language, block in BLOCK.findall(page.read_text(encoding="utf-8"))
        for line in block.splitlines()
        if language == "python" and len(line) > WIDEST
    ]
    assert wide == []


def test_what_the_comparison_shows_of_others_is_code_and_prints_what_ours_prints() -> None:
    """None of them is installed here; `tests.tools.peers` runs them where they are."""
    blocks = BLOCK.findall(peers.PAGE.read_text(encoding="utf-8"))
    ours = {text for (before, _), (_, text) in pairwise(blocks) if before == "python"}
    programs = peers.programs()
    assert {name for name, _, _ in programs} == set(peers.IMPORTS)
    assert {shown for _, _, shown in programs} == ours
    for name, code, _ in programs:
        compile(code, name, "exec")


def test_each_page_leads_to_the_next() -> None:
    assert [page.stem.split("-")[0] for page in PAGES] == [str(n + 1) for n in range(len(PAGES))]
    for page, following in pairwise(PAGES):
        assert f"]({following.name})" in page.read_text(encoding="utf-8").splitlines()[-1], page


def test_the_desk_survives_kill_9(tmp_path: Path) -> None:
    """What a reader of the last page does, with real processes: three starts of the same command, and one kill."""
    found = BLOCK.findall(PAGES[-1].read_text(encoding="utf-8"))
    [desk] = [block for language, block in found if language == "python"]
    inbox, killed, second, third = [block for language, block in found if language == "text"]
    (tmp_path / "desk.py").write_text(desk, encoding="utf-8")
    (tmp_path / "inbox.txt").write_text(inbox, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent)}
    command = [sys.executable, "desk.py"]

    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as victim:
        assert victim.stdout is not None
        said = victim.stdout.readline() + victim.stdout.readline()
        victim.kill()
    assert said + "Killed\n" == killed

    def start() -> str:
        """What it prints; nothing while the lease of the one that was killed lasts."""
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0 or "RunOwned" in done.stderr, done.stderr
        return done.stdout

    assert until(start) == second
    assert start() == third
    assert len(list((tmp_path / "outbox").iterdir())) == len(inbox.splitlines())
