"""The documentation is a site: each page has its place, and it builds without a warning."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml

import graphflow
from tests.tools import command_page, words_page
from tests.tools.site import MADE, ROOT, build, outward, unescaped, unlisted

REPOSITORY = "https://example.org/repository"
DESCRIBED = re.compile(r"^::: (\S+)\n((?: {4}.*\n)*)", re.MULTILINE)
OPTIONS = {
    name: yaml.safe_load(options) or {}
    for page in sorted((ROOT / "docs" / "reference").glob("*.md"))
    for name, options in DESCRIBED.findall(page.read_text(encoding="utf-8"))
}
REFERENCE = list(OPTIONS)
"""What the reference of the API describes, each by the name that it is imported by."""


def test_every_page_has_its_place_in_the_navigation() -> None:
    assert unlisted() == []


def test_links_out_of_the_pages_lead_to_the_repository() -> None:
    page = ROOT / "docs" / "decisions" / "README.md"
    text = "[a](../graphs.md#state) [b](../../graphs/desk.py) [c](../../notebooks) [d](#here)"
    assert outward(text, page, REPOSITORY) == (
        f"[a](../graphs.md#state) [b]({REPOSITORY}/blob/main/graphs/desk.py)"
        f" [c]({REPOSITORY}/tree/main/notebooks) [d](#here)"
    )


def test_a_bar_in_the_code_of_a_table_is_a_bar_on_the_site() -> None:
    row = r"| `x: T \| None` | one \| the other |"
    assert unescaped(row) == r"| `x: T | None` | one \| the other |"


def test_every_public_name_is_in_the_reference() -> None:
    public = {f"graphflow.{name}" for name in graphflow.__all__}
    assert public - set(REFERENCE) == set()


@pytest.mark.parametrize("name", REFERENCE)
def test_what_the_reference_names_is_there(name: str) -> None:
    module, _, last = name.rpartition(".")
    found = getattr(import_module(module), last)
    members = OPTIONS[name].get("options", {}).get("members") or []
    assert [member for member in members if not hasattr(found, member)] == []


def test_the_page_of_commands_has_every_option() -> None:
    page = command_page.page()
    assert "\n## graphflow run\n" in page
    assert "\n## graphflow models pull\n" in page
    assert "```sh\ngraphflow run desk inbox.csv\n" in page
    assert "| `--conversation ID` | Which conversation the message is said in. |" in page


def test_the_page_of_words_has_those_of_every_kind() -> None:
    page = words_page.page()
    sections = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert sections[0] == "The file"
    assert {"kind: agent", "kind: router", "kind: human", "kind: mcp"} <= set(sections)
    assert "| `max_turns` | a whole number | model calls of one activation at most. |" in page


@pytest.mark.slow
def test_it_builds_strictly(tmp_path: Path) -> None:
    pytest.importorskip("zensical", reason="needs the extra `docs`")
    pytest.importorskip("mkdocstrings_handlers.python", reason="needs the extra `docs`")
    site = tmp_path / "site"
    build(site)
    pages = [page.relative_to(ROOT / "docs") for page in (ROOT / "docs").rglob("*.md")]
    for page in [*pages, *map(Path, MADE)]:
        place = page.with_suffix("")
        folder = place.parent if place.name in ("index", "README") else place
        assert (site / folder / "index.html").is_file(), page
    described = "".join(
        page.read_text(encoding="utf-8") for page in (site / "reference").rglob("*.html")
    )
    every = [*REFERENCE]
    for name, options in OPTIONS.items():
        members = options.get("options", {}).get("members") or []
        every += [f"{name}.{member}" for member in members]
    assert len(every) > 150
    assert [name for name in every if f'id="{name}"' not in described] == []
    for told in ("model calls of one activation at most", "graphflow models pull"):
        assert told in described


def test_a_link_that_leads_nowhere_fails_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("zensical", reason="needs the extra `docs`")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Here\n\n[there](nowhere.md)\n", encoding="utf-8")
    (tmp_path / "mkdocs.yml").write_text(
        f"site_name: s\nrepo_url: {REPOSITORY}\nnav:\n  - index.md\n", encoding="utf-8"
    )
    monkeypatch.setattr("tests.tools.site.ROOT", tmp_path)
    with pytest.raises(SystemExit, match=r"index\.md:3"):
        build(tmp_path / "site")
