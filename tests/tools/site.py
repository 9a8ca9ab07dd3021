"""The documentation as a site: docs/ by mkdocs.yml, built by zensical (extra `docs`).

python tests/tools/site.py          # writes site/
python tests/tools/site.py FOLDER   # writes FOLDER

It is built strictly: a broken link, or a page that the navigation does not name, fails it. Pages link to code as a code host
shows it (`../graphs/desk.py`); on the site such links lead to the repository. Pages that say what the code says anyhow are
made of it when the site is built, and stand in no folder: they cannot fall behind.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools import command_page, words_page

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<=\]\()(\.\./[^)\s#]+)")
CODE = re.compile(r"`[^`\n]+`")

MADE: dict[str, Callable[[], str]] = {
    "reference/commands.md": command_page.page,
    "reference/words.md": words_page.page,
}
"""Pages that are made of the code, and who makes them."""


def settings() -> dict[str, Any]:
    """What mkdocs.yml says."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    return found


def named(nav: Any) -> Iterator[str]:
    """The pages of a navigation, in its order."""
    if isinstance(nav, str):
        yield nav
        return
    inner = nav.values() if isinstance(nav, dict) else nav
    for each in inner:
        yield from named(each)


def unlisted() -> list[str]:
    """What is in docs/ or in the navigation, and not in both; also what the navigation names twice."""
    docs = ROOT / "docs"
    listed = list(named(settings()["nav"]))
    pages = {str(page.relative_to(docs)) for page in docs.rglob("*.md")}
    pages |= MADE.keys() & set(listed)
    twice = {page for page in listed if listed.count(page) > 1}
    return sorted((pages ^ set(listed)) | twice)


def outward(text: str, page: Path, repository: str) -> str:
    """A page whose links out of docs/ lead to the repository."""

    def led(link: re.Match[str]) -> str:
        target = (page.parent / link[0]).resolve()
        if target.is_relative_to(ROOT / "docs"):
            return link[0]
        kind = "tree" if target.is_dir() else "blob"
        return f"{repository}/{kind}/main/{target.relative_to(ROOT)}"

    return LINK.sub(led, text)


def unescaped(text: str) -> str:
    """A page for the site: in the tables of a code host a bar in code has a backslash, which the site would show."""
    return CODE.sub(lambda code: code[0].replace(r"\|", "|"), text)


def staged(folder: Path) -> None:
    """Puts what is built into a folder."""
    docs = ROOT / "docs"
    shutil.copytree(docs, folder / "docs")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    repository = settings()["repo_url"]
    for page in docs.rglob("*.md"):
        text = outward(page.read_text(encoding="utf-8"), page, repository)
        place = folder / "docs" / page.relative_to(docs)
        place.write_text(unescaped(text), encoding="utf-8")
    for name in MADE.keys() & set(named(settings()["nav"])):
        page = folder / "docs" / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(unescaped(MADE[name]()), encoding="utf-8")


def build(site: Path) -> None:
    """Writes the site, in place of what is there.

    Raises:
        SystemExit: a page is missing or not listed, or a link leads nowhere; it says which.
    """
    if wrong := unlisted():
        raise SystemExit(f"in docs/ or in the nav of mkdocs.yml, and not once in both: {wrong}")
    with tempfile.TemporaryDirectory() as folder:
        staged(Path(folder))
        done = subprocess.run(
            [sys.executable, "-m", "zensical", "build", "--strict"],
            cwd=folder,
            env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(
                f"{done.stdout}\n{done.stderr}".replace("\nTraceback", "\n\nTraceback")
            )
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(Path(folder) / "site", site)


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "site"
    build(where)
    print(f"{where}/index.html")
