"""Searches the web by whatever engine is given; without one, a folder of pages that were kept.

Rules:
1. An engine is anything with `search(query, most)`: a service that is paid for, a server of one's own, a stand-in for tests.
   Its key is its own affair (`Secrets`, a header): it stands in no argument, and no model sees it.
2. What it finds is from outside, and marked so: a model reads it between fences, and a graph in which it reaches what acts on
   the world needs a check.
3. How much there is of it is bounded here, whatever the engine says.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol, runtime_checkable

from pydantic import Field

from graphflow import Message, Tool, ToolError, tool
from graphflow.errors import DeclarationError
from graphflow.security import Untrusted

from .page import page_text, page_title

MAX_HITS = 20
MAX_SNIPPET = 500
"""Characters of a snippet; titles and addresses have bounds of their own."""
MAX_TITLE = 200
MAX_URL = 2_000
MAX_PAGES = 20_000
"""Pages of a folder that are looked at."""
MAX_PAGE = 1_000_000
"""Bytes of one page that are read."""
ENDINGS = frozenset({".md", ".txt", ".html", ".htm"})
SATURATION, LENGTH_WEIGHT = 1.2, 0.75
"""k1 and b of Okapi BM25, as Robertson and Zaragoza give them (The Probabilistic Relevance Framework, 2009)."""
Question = Annotated[str, Field(min_length=1, max_length=400)]


class Hit(Message):
    """A page that was found: its title, where it is, and what of it is about the question."""

    title: str
    url: str
    snippet: str


@runtime_checkable
class SearchEngine(Protocol):
    """What searches. It may raise a `ToolError`, whose words a model is told."""

    async def search(self, query: str, most: int) -> Sequence[Hit]:
        """At most so many hits, the best first."""
        ...


class _Page(NamedTuple):
    title: str
    url: str
    text: str
    words: Counter[str]


class LocalIndex:
    """Finds pages of a folder (.md, .txt, .html) by their words (Okapi BM25); it asks nobody, and needs no network.

    Args:
        folder: where the pages are; it is read when somebody asks first, and again when a file has changed.

    Raises:
        DeclarationError: there is no such folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise DeclarationError(
                f"LocalIndex({str(folder)!r}): there is no such folder; give one with pages, or an engine"
            )
        self._state: tuple[tuple[str, int, int], ...] = ()
        self._pages: list[_Page] = []

    async def search(self, query: str, most: int) -> Sequence[Hit]:
        """The pages that have most of what the question asks, rare words counting more."""
        self._read()
        asked = set(_words(query))
        # Where two are as good, by their names, so that a question has the same answer each time.
        scored = sorted(self._scores(asked), key=lambda each: (-each[0], each[1].url))
        return [
            Hit(title=page.title, url=page.url, snippet=_about(page.text, asked))
            for _, page in scored[:most]
        ]

    def _scores(self, asked: set[str]) -> list[tuple[float, _Page]]:
        lengths = [page.words.total() for page in self._pages]
        average = sum(lengths) / len(lengths) if lengths else 1.0
        count = len(self._pages)
        rarity: dict[str, float] = {}
        for word in asked:
            having = sum(word in page.words for page in self._pages)
            rarity[word] = math.log(1 + (count - having + 0.5) / (having + 0.5))
        scored: list[tuple[float, _Page]] = []
        for page, length in zip(self._pages, lengths, strict=True):
            # A long page has any word more often, and is no better for it.
            share = 1 - LENGTH_WEIGHT + LENGTH_WEIGHT * length / (average or 1.0)
            score = 0.0
            for word in asked & page.words.keys():
                often = page.words[word]
                score += rarity[word] * often * (SATURATION + 1) / (often + SATURATION * share)
            if score > 0:
                scored.append((score, page))
        return scored

    def _read(self) -> None:
        files = _pages_below(self.folder)
        state = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
        if state == self._state:
            return
        self._pages = [_page(file, self.folder) for file in files]
        self._state = state


def web_search(engine: SearchEngine | str | Path) -> Tool[Any, Any]:
    """The tool `search_web`.

    Args:
        engine: what searches, or a folder of pages that a `LocalIndex` is made of.

    Raises:
        DeclarationError: it is neither.
    """
    is_folder = isinstance(engine, (str, Path))
    searching = LocalIndex(engine) if isinstance(engine, (str, Path)) else engine
    if not isinstance(searching, SearchEngine):
        raise DeclarationError(
            f"web_search({engine!r}): give a folder, or an object with `async def search(query, most)`"
        )

    @tool(
        effects=["reads"] if is_folder else ["network"],
        paths=(lambda _: [str(engine)]) if is_folder else None,
        timeout_s=30,
    )
    async def search_web(
        query: Question, most: Annotated[int, Field(ge=1, le=MAX_HITS)] = 5
    ) -> Untrusted[list[Hit]]:
        """Search the web; answers with titles, addresses and snippets, the best first.

        Args:
            query: what to search for, in a few words.
            most: how many hits at most.
        """
        found = await searching.search(query, most)
        hits = [_bounded(hit) for hit in list(found)[:most]]
        if not hits:
            raise ToolError(f"nothing was found for {query!r}; ask in other words")
        return hits

    return search_web


def _bounded(hit: object) -> Hit:
    if not isinstance(hit, Hit):
        raise ToolError("the search engine has answered with something else than hits")
    return Hit(
        title=hit.title[:MAX_TITLE], url=hit.url[:MAX_URL], snippet=hit.snippet[:MAX_SNIPPET]
    )


def _pages_below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in sorted(folder.rglob("*")):
        # A link may lead out of the folder.
        if path.suffix.lower() in ENDINGS and path.is_file() and not path.is_symlink():
            found.append(path)
            if len(found) == MAX_PAGES:
                break
    return found


def _page(path: Path, folder: Path) -> _Page:
    with path.open("rb") as file:
        text = file.read(MAX_PAGE).decode("utf-8", errors="replace")
    title = ""
    if path.suffix.lower() in (".html", ".htm"):
        title, text = page_title(text), page_text(text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    title = title or (lines[0].lstrip("# ") if lines else path.stem)
    return _Page(
        title[:MAX_TITLE], path.relative_to(folder).as_posix(), text, Counter(_words(text))
    )


def _words(text: str) -> list[str]:
    return re.findall(r"\w{2,}", text.lower())


def _about(text: str, asked: set[str]) -> str:
    """The part of a text that has most of the words that were asked for."""
    plain = " ".join(text.split())
    best, most = 0, -1
    for start in range(0, max(1, len(plain)), MAX_SNIPPET // 2):
        here = len(asked.intersection(_words(plain[start : start + MAX_SNIPPET])))
        if here > most:
            best, most = start, here
    return plain[best : best + MAX_SNIPPET].strip()
