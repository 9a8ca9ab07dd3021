"""What is written for people is true: examples run, names can be imported, files are there, links lead somewhere."""

from __future__ import annotations

import asyncio
import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from graphflow import END, START, Graph, node
from graphflow.declaration.arrows import ForkPolicy
from graphflow.declaration.node import AnyNode
from graphflow.events import NodeSkipped
from tests.conftest import walk

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / ".github").rglob("*.md"), *(ROOT / "docs").rglob("*.md")]
)
PROSE = [page for page in PAGES if page.name != "CHANGELOG.md"]
"""Pages that speak of today; what has changed names what was."""
EXAMPLES = [
    page
    for page in PROSE
    if "```python" in page.read_text(encoding="utf-8") and page.name != "README.md"
]
GIVEN = ROOT / "docs" / "graphs.md"
"""Its examples come first; those of other pages go on from there."""


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", PROSE, ids=named)


# -- examples run ----------------------------------------------------------------------------------
def blocks(page: Path, language: str = "python") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def executed(page: Path, names: dict[str, Any]) -> dict[str, Any]:
    for number, block in enumerate(blocks(page)):
        code = compile(block, f"{named(page)} block {number}", "exec", dont_inherit=True)
        exec(code, names)
    return names


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is known after the examples of the first page, in a folder where pictures may be written."""
    monkeypatch.chdir(tmp_path)
    return executed(GIVEN, {"__name__": "docs"})


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 4


@pytest.mark.parametrize("page", [page for page in EXAMPLES if page != GIVEN], ids=named)
def test_the_python_of_a_page_runs(page: Path, names: dict[str, Any]) -> None:
    executed(page, names)


def test_the_first_page_walks(names: dict[str, Any]) -> None:
    assert names["run"].status == "completed"


def test_the_page_of_pictures_writes_them(names: dict[str, Any], tmp_path: Path) -> None:
    executed(ROOT / "docs" / "pictures.md", names)
    assert {path.name for path in tmp_path.iterdir()} >= {
        "desk.svg",
        "walk.svg",
        "timeline.svg",
        "walk.html",
    }


@pytest.mark.local_model
def test_the_hello_of_the_readme_runs_and_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    (hello,) = blocks(ROOT / "README.md")
    assert len([line for line in hello.splitlines() if line.strip()]) <= 8
    executed(ROOT / "README.md", {"__name__": "readme"})
    said = capsys.readouterr().out
    assert said.strip()
    assert said == said.upper()


def test_the_problems_shown_are_the_ones_that_are_raised(names: dict[str, Any]) -> None:
    from graphflow import END, START, Graph, GraphError

    with pytest.raises(GraphError) as refused:
        Graph("g", START >> names["planner"] >> names["researcher"] >> END)
    problem = str(refused.value).splitlines()[1].split(" [")[0].strip()
    for page in (README, GIVEN.read_text(encoding="utf-8")):
        assert problem in page
        assert "may send Rejected, and no edge takes it" in page


def test_ci_runs_the_readmes_test_command() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv .venv")]
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text()


# -- names are right -------------------------------------------------------------------------------
def test_every_public_name_is_on_some_page() -> None:
    import graphflow

    told = "\n".join(
        page.read_text(encoding="utf-8")
        for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    )
    assert [name for name in graphflow.__all__ if not re.search(rf"\b{name}\b", told)] == []


MODULE = re.compile(r"(?!graphflow\.toml)(?:graphflow|nodes|graphs|tests)(?:\.\w+)+")
FILE = re.compile(
    r"[\w.-]*/?(?:[\w.-]+/)*[\w.-]*\.(?:py|md|toml|json|yaml|yml|csv|svg|jsonl|ipynb|js|css|j2)|(?:[\w.-]+/)+"
)
"""What a word between backticks must look like to be a file or folder of the repository."""
FOREIGN = re.compile(
    r"\.\w+|SKILL\.md|(photo|app|service|case|prices|orders|walk|desk|timeline|hello2?|inbox)\.\w+|docs/|my/folder|.*<.*|.*/name\.py|graphflow\.toml|.*/NAME\.toml"
)
"""Files that are the reader's own, or stand for any file."""


@cache
def words(page: Path) -> frozenset[str]:
    """What stands between single backticks, outside of blocks of code."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return frozenset(re.findall(r"`([^`\n]+)`", text))


@each_page
def test_every_module_that_is_named_can_be_imported(page: Path) -> None:
    wrong = [word for word in sorted(words(page)) if MODULE.fullmatch(word) and not is_there(word)]
    assert wrong == []


@each_page
def test_every_module_that_is_to_be_run_is_there(page: Path) -> None:
    """As in "python -m tests.tools.pictures"; those of other packages are their own."""
    run = re.findall(r"python -m ((?:graphflow|tests)[.\w]*)", page.read_text(encoding="utf-8"))
    assert [name for name in run if find_spec(name.rstrip(".")) is None] == []


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or something that a module has."""
    first, *rest = name.split(".")
    found: Any = import_module(first)
    done = first
    for part in rest:
        done = f"{done}.{part}"
        if hasattr(found, part):
            found = getattr(found, part)
            continue
        if not isinstance(found, ModuleType):
            return False
        try:
            found = import_module(done)
        except ImportError:
            return False
    return True


@each_page
def test_every_file_that_is_named_is_there(page: Path) -> None:
    wrong = [
        word
        for word in sorted(words(page))
        if FILE.fullmatch(word) and not FOREIGN.fullmatch(word) and not is_a_file(word)
    ]
    assert wrong == []


def is_a_file(name: str) -> bool:
    """Whether it is there, seen from the repository or from the package."""
    return any((folder / name).exists() for folder in (ROOT, ROOT / "graphflow"))


@each_page
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        place, _, heading = link.partition("#")
        target = (page.parent / place) if place else page
        if not target.exists() or (heading and heading not in anchors(target)):
            wrong.append(link)
    assert wrong == []


def anchors(page: Path) -> set[str]:
    """Headings, as a code host makes links of them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


# -- what ARCHITECTURE draws is there --------------------------------------------------------------
def test_every_place_on_the_drawn_ways_is_there() -> None:
    drawn = "\n".join(blocks(ROOT / "ARCHITECTURE.md", "text"))
    rooms = {
        path.name
        for path in (ROOT / "graphflow").iterdir()
        if path.is_dir() and path.name[0] not in "_."
    }
    places = re.findall(rf"\b((?:{'|'.join(sorted(rooms))})/\w+)", drawn)
    assert len(places) > 20
    package = ROOT / "graphflow"
    assert [
        place
        for place in places
        if not ((package / place).is_dir() or (package / f"{place}.py").is_file())
    ] == []
    assert [room for room in sorted(rooms) if not re.search(rf"\b{room}\b", drawn)] == []


STEP = re.compile(r"^ *[<>] ([\w.]+) +([a-z_]+(?:/\w+)?)", re.MULTILINE)
"""One step of a drawn way: what is called, and where it stands."""


def test_every_step_of_a_drawn_way_is_where_it_is_drawn() -> None:
    package = ROOT / "graphflow"
    steps = STEP.findall("\n".join(blocks(ROOT / "ARCHITECTURE.md", "text")))
    assert len(steps) > 30
    wrong = []
    for name, place in steps:
        sources = (
            [package / f"{place}.py"]
            if (package / f"{place}.py").is_file()
            else (package / place).rglob("*.py")
        )
        last = name.rsplit(".", 1)[-1]
        if not any(
            re.search(rf"\b{last}\b", source.read_text(encoding="utf-8")) for source in sources
        ):
            wrong.append((name, place))
    assert wrong == []


@each_page
def test_what_is_said_to_be_in_a_file_is_in_it(page: Path) -> None:
    """As in "`Ledger`, in `limits.py`"."""
    said = re.findall(r"`(\w+)`,? in `([\w/]+\.py)`", page.read_text(encoding="utf-8"))
    wrong = []
    for name, place in said:
        file = ROOT / place if (ROOT / place).is_file() else ROOT / "graphflow" / place
        if not re.search(rf"\b{name}\b", file.read_text(encoding="utf-8")):
            wrong.append((name, place))
    assert wrong == []


def test_where_to_look_names_what_is_there() -> None:
    """Each function in a row of that table stands in a file of the same row."""
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    _, table = page.split("## Where to look when")
    wrong = []
    names = 0
    for row in table.splitlines():
        files = re.findall(r"`([\w/]+\.py)`", row)
        text = "\n".join((ROOT / "graphflow" / file).read_text(encoding="utf-8") for file in files)
        for name in re.findall(r"`([a-z_]+)`", row):
            names += 1
            if not re.search(rf"\bdef {name}\b", text):
                wrong.append((name, files))
    assert names > 5
    assert wrong == []


@pytest.mark.usefixtures("jumping_clock")
def test_the_skips_shown_are_those_that_are_told() -> None:
    @node
    async def one(n: int) -> int:
        return n

    @node
    async def items(n: int) -> list[int]:
        return [n]

    @node
    async def sound(n: int) -> float:
        return float(n)

    @node
    async def broken(n: int) -> str:
        await asyncio.sleep(0.01)
        raise ValueError("broken")

    @node
    async def maybe(n: int) -> str | int:
        return n

    @node
    async def pair(a: float, b: str) -> int:
        return 1

    @node
    async def count(ns: list[int]) -> int:
        return len(ns)

    def dropped(join: AnyNode, policy: ForkPolicy) -> Graph[Any, Any]:
        each = START >> items.each.fork("isolate") >> one
        return Graph("g", each, one.fork(policy) >> (sound, broken) >> join >> count >> END)

    graphs = [
        Graph(
            "g",
            START >> (sound, maybe),
            sound >> pair,
            maybe[str] >> pair >> END,
            maybe[int] >> END,
            ends="all",
        ),
        dropped(pair, "cancel"),
        dropped(pair.named("best"), "finish"),
    ]
    told = []
    for graph in graphs:
        run = walk(graph, 1)
        [skip] = [event for event in run.events if isinstance(event, NodeSkipped)]
        told.append(f"{skip.node} {skip.port} {skip.why}")
    assert told == blocks(GIVEN, "text")[0].splitlines()


def test_the_glossary_is_in_order_and_has_each_word_once() -> None:
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| ([^|]+?) \|", page, re.MULTILINE)[1:]
    wrong = [
        f"{word!r} must stand before {before!r}"
        for before, word in pairwise(found)
        if word < before
    ]
    wrong += [f"{word!r} is there twice" for before, word in pairwise(found) if word == before]
    assert wrong == []


def test_nothing_in_the_package_runs_data() -> None:
    """What SECURITY.md and the tenth decision say."""
    calls = re.compile(
        r"^\s*(?:import|from) (?:pickle|marshal|shelve|dill)\b|(?<![\w.])(?:eval|exec)\(",
        re.MULTILINE,
    )
    sources = [*(ROOT / "graphflow").rglob("*.py"), *(ROOT / "nodes").rglob("*.py")]
    assert [named(path) for path in sources if calls.search(path.read_text(encoding="utf-8"))] == []


# -- events ----------------------------------------------------------------------------------------
def test_the_page_of_events_is_what_their_classes_say() -> None:
    from tests.tools.events_page import PAGE, with_table

    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page), "run python tests/tools/events_page.py --write"
