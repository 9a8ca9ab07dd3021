"""Searching: a seam for engines, and a folder of pages without one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from graphflow import END, START, Agent, Graph, GraphError, ToolError, tool
from graphflow.errors import DeclarationError
from nodes.tools.web_search import MAX_SNIPPET, Hit, LocalIndex, web_search
from tests.library.using import asked, refusal, use


class Engine:
    def __init__(self, *hits: object) -> None:
        self.hits = hits
        self.asked: list[tuple[str, int]] = []

    async def search(self, query: str, most: int) -> Sequence[Hit]:
        self.asked.append((query, most))
        if query == "busy":
            raise ToolError("the engine is busy; try again later")
        return self.hits  # type: ignore[return-value]


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    (tmp_path / "birds.md").write_text(
        "# Birds\n\nThe heron stands in the pond and waits for fish.\n"
    )
    (tmp_path / "boats.html").write_text(
        "<html><title>Boats</title><script>heron heron heron</script><p>Boats on a pond.</p></html>"
    )
    (tmp_path / "notes.bin").write_bytes(b"heron")
    deep = tmp_path / "deep"
    deep.mkdir()
    (deep / "fish.txt").write_text(
        "Fish\n" + "water " * 400 + " the heron eats fish " + "water " * 400
    )
    return tmp_path


def test_a_model_finds_pages_of_a_folder(pages: Path) -> None:
    ok, text = asked(web_search(pages), "search_web", query="heron pond")
    assert ok
    found = json.loads(text)
    assert [hit["url"] for hit in found] == ["birds.md", "boats.html", "deep/fish.txt"]
    assert found[0]["title"] == "Birds"
    assert found[1]["title"] == "Boats"
    assert "heron" not in found[1]["snippet"]


def test_a_snippet_is_about_the_question(pages: Path) -> None:
    [hit] = use(web_search(pages), query="eats", most=1)
    assert "the heron eats fish" in hit.snippet
    assert len(hit.snippet) <= MAX_SNIPPET


def test_a_page_that_has_changed_is_read_again(pages: Path) -> None:
    search = web_search(pages)
    assert "nothing was found" in refusal(search, query="otter")
    (pages / "otter.md").write_text("# Otter\nAn otter.")
    assert use(search, query="otter")[0].title == "Otter"


def test_a_link_out_of_the_folder_is_not_followed(
    pages: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "diary.md"
    outside.write_text("unicorn")
    (pages / "diary.md").symlink_to(outside)
    (pages / "more").symlink_to(outside.parent, target_is_directory=True)
    assert "nothing was found" in refusal(web_search(pages), query="unicorn")


def test_a_hostile_page_takes_no_longer_than_another(pages: Path) -> None:
    (pages / "bad.html").write_text("<script>" * 100_000 + "<" * 100_000)
    assert use(web_search(pages), query="heron")


def test_an_engine_is_asked_and_bounded() -> None:
    engine = Engine(*[Hit(title="t" * 999, url="u" * 9_999, snippet="s" * 9_999)] * 50)
    hits = use(web_search(engine), query="x", most=3)
    assert engine.asked == [("x", 3)]
    assert [len(hit.snippet) for hit in hits] == [MAX_SNIPPET] * 3


def test_what_an_engine_says_goes_to_the_model() -> None:
    ok, text = asked(web_search(Engine()), "search_web", query="busy")
    assert (ok, "the engine is busy" in text) == (False, True)
    assert "something else than hits" in refusal(web_search(Engine("x")), query="y")


def test_its_effects_are_those_of_what_searches(pages: Path) -> None:
    assert web_search(Engine()).effects == frozenset({"network"})
    assert web_search(pages).effects == frozenset({"reads"})


def test_what_was_found_is_untrusted() -> None:
    @tool(effects=["writes"])
    async def order(what: str) -> str:
        """Order something."""
        return what

    buyer = Agent("buyer", input=str, tools=[web_search(Engine()), order])
    with pytest.raises(GraphError, match="untrusted"):
        Graph("g", START >> buyer >> END)


@pytest.mark.parametrize("engine", [7, object(), "/no/such/folder"])
def test_what_cannot_search_is_refused(engine: object) -> None:
    with pytest.raises(DeclarationError, match="folder"):
        web_search(engine)  # type: ignore[arg-type]


def test_an_empty_folder_finds_nothing(tmp_path: Path) -> None:
    assert "nothing was found" in refusal(web_search(LocalIndex(tmp_path)), query="heron")
