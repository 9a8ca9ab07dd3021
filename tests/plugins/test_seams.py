"""The nine seams: each has a plug-in of another package, which is used through a whole walk, by its word."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, Router, connect, node, tool
from graphflow.cli.app import run_app
from graphflow.compaction.policies import POLICIES as OUR_POLICIES
from graphflow.errors import (
    DeclarationError,
    FileUnreadable,
    GuardRejected,
    PluginBroken,
    PluginOptionsInvalid,
    PluginRefused,
    PluginUnknown,
    StoreUnreadable,
    UnknownProvider,
)
from graphflow.files.guards import GUARDS as OUR_GUARDS
from graphflow.files.memories import MEMORY_KINDS
from graphflow.files.words import KINDS as OUR_KINDS
from graphflow.journal.store import Store
from graphflow.memory import SemanticMemory
from graphflow.model.resolve import EMBEDDERS as OUR_EMBEDDERS
from graphflow.model.resolve import PROVIDERS as OUR_PROVIDERS
from graphflow.model.resolve import open_embedder, open_model
from graphflow.plugins import SEAMS, plugin
from graphflow.project import Runtime
from graphflow.project.here import state_environment
from graphflow.project.settings import TelemetrySettings

FILE = """\
graph: shop
model: shout:large
nodes:
  top: {kind: shelf, size: 2, labels: [tea], retry: 2}
  front: {kind: desk, greeting: hello}
edges: ["START >> front >> top >> END"]
"""


@node
def greet(name: str) -> str:
    return f"hello {name}"


@node
def shout(name: str) -> str:
    return name.upper()


def shop(tmp_path: Path, text: str = FILE, name: str = "shop.yaml") -> Graph[Any, Any]:
    file = tmp_path / name
    file.write_text(text)
    return Graph.from_yaml(file)


def is_again(graph: Graph[Any, Any], tmp_path: Path) -> bool:
    """Whether a graph that is written into a file and read again is the same."""
    text = graph.to_yaml()
    again = shop(tmp_path, text, "again.yaml")
    return again == graph and again.to_yaml() == text


@pytest.mark.parametrize(
    ("seam", "words"),
    [
        ("kinds", OUR_KINDS),
        ("providers", OUR_PROVIDERS),
        ("embedders", OUR_EMBEDDERS),
        ("contexts", OUR_POLICIES),
        ("memories", MEMORY_KINDS),
        ("guards", OUR_GUARDS),
        ("sinks", TelemetrySettings.model_fields),
    ],
)
def test_a_seam_knows_the_names_that_are_built_in(seam: str, words: Any) -> None:
    assert set(SEAMS[seam].built_in) == set(words)


def test_no_store_of_ours_can_be_taken_over() -> None:
    for word in SEAMS["stores"].built_in:
        assert SEAMS["stores"].find(word) is None


# -- kinds -----------------------------------------------------------------------------------------
@pytest.mark.usefixtures("plugged")
def test_a_kind_is_a_word_of_files(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    run = graph.run_sync("Ann")
    assert run.output == "tea hello, Ann! tea hello, Ann!"
    assert [each.kind for each in graph.nodes] == ["desk", "shelf"]
    assert graph.nodes[1].retry is not None
    assert is_again(graph, tmp_path)


@pytest.mark.usefixtures("plugged")
def test_a_kind_can_be_asked_for_in_code(tmp_path: Path) -> None:
    top: Any = plugin("kinds", "shelf")("top", size=2)
    graph = Graph("g", START >> top >> END)
    assert graph.run_sync("tea").output == "tea tea"
    assert "kind: shelf" in graph.to_yaml()
    assert is_again(graph, tmp_path)


@pytest.mark.usefixtures("plugged")
def test_a_node_of_a_plugin_keeps_how_it_was_made_under_another_name(tmp_path: Path) -> None:
    top: Any = plugin("kinds", "shelf")("top", size=2)
    graph = Graph("g", START >> top.named("other") >> top >> END)
    assert graph.run_sync("tea").output == "tea tea tea tea"
    assert is_again(graph, tmp_path)


CALLING = """\
graph: g
nodes:
  porter: {kind: porter, calls: ["tests.plugins.test_seams:book", helper], input: str}
  helper: {kind: shelf, size: 2}
edges: ["START >> porter >> END"]
"""


@pytest.mark.usefixtures("plugged")
def test_a_kind_may_call_other_nodes_of_the_file(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    file = tmp_path / "g.yaml"
    file.write_text(CALLING)
    graph: Graph[Any, Any] = Graph.from_yaml(file, root=root)
    assert graph.run_sync("tea").output == "done, tea tea"
    text = graph.to_yaml()
    file.write_text(text)
    again: Graph[Any, Any] = Graph.from_yaml(file, root=root)
    assert again == graph
    assert again.to_yaml() == text


@pytest.mark.usefixtures("plugged")
def test_objects_that_code_gives_a_kind_are_written_by_name(tmp_path: Path) -> None:
    top: Any = plugin("kinds", "shelf")("top", size=2)
    porter: Any = plugin("kinds", "porter")("porter", calls=[top, book], input=str)
    graph = Graph("g", START >> porter >> END)
    text = graph.to_yaml()
    assert "    - top\n    - tests.plugins.test_seams:book\n    input: str" in text
    file = tmp_path / "g.yaml"
    file.write_text(text)
    assert Graph.from_yaml(file, root=Path(__file__).resolve().parents[2]) == graph


@pytest.mark.parametrize(
    ("written", "place", "problem"),
    [
        ('{kind: shelf, size: "2"}', "3:22", "'2' cannot stand here; it has to be a whole number"),
        ("{kind: shelf, sise: 2}", "3:22", "did you mean 'size'?"),
        ("{kind: shlef}", "3:9", "did you mean 'shelf'?"),
        ("{kind: desk}", "3:3", "'greeting': this is missing"),
        ("{kind: desk, greeting: a, chair: 2}", "3:34", "did you mean 'chairs'?"),
        ("{kind: shelf, retry: 0}", "3:22", "retry of shelf 'top' is 0"),
        ("{kind: shelf, labels: [1]}", "3:31", "1 cannot stand here; it has to be a text"),
    ],
)
@pytest.mark.usefixtures("plugged")
def test_options_of_a_kind_are_checked_with_their_place(
    tmp_path: Path, written: str, place: str, problem: str
) -> None:
    text = f'graph: g\nnodes:\n  top: {written}\nedges: ["START >> top >> END"]\n'
    with pytest.raises(FileUnreadable) as raised:
        shop(tmp_path, text)
    assert problem in str(raised.value)
    line, column = map(int, place.split(":"))
    assert [(each.line, each.column) for each in raised.value.problems] == [(line, column)]


# -- models ----------------------------------------------------------------------------------------
@pytest.mark.usefixtures("plugged")
def test_a_provider_is_a_prefix_of_model_strings() -> None:
    graph = Graph("g", START >> Agent("a", model="shout:large") >> END)
    assert graph.run_sync("hello").output == "HELLO!"
    louder = Graph(
        "g", START >> Agent("a", model=connect("shout:large", options={"marks": 3})) >> END
    )
    assert louder.run_sync("hello").output == "HELLO!!!"


@pytest.mark.usefixtures("plugged")
def test_options_of_a_provider_are_checked(tmp_path: Path) -> None:
    with pytest.raises(PluginOptionsInvalid, match=r"mark: unknown key; did you mean 'marks'"):
        open_model("shout:large", mark=3)
    text = FILE.replace("shout:large", "{name: shout:large, marks: many}")
    with pytest.raises(FileUnreadable, match=r":2:\d+: .*'many' cannot stand here"):
        shop(tmp_path, text)


@pytest.mark.usefixtures("plugged")
def test_a_slip_in_a_prefix_is_told() -> None:
    with pytest.raises(UnknownProvider, match="did you mean 'shout'"):
        open_model("shuot:large")


@pytest.mark.usefixtures("plugged")
def test_what_a_provider_opens_has_to_be_a_model() -> None:
    with pytest.raises(PluginBroken, match=r"'mute'.*of shelf-plugs is broken"):
        open_model("mute:x")


@pytest.mark.usefixtures("plugged")
def test_an_embedder_is_found_by_its_prefix() -> None:
    memory = SemanticMemory("m", embedder="letters:small", scope="")

    async def recalled() -> list[str]:
        await memory.remember("zzz zzz")
        await memory.remember("aaa aaa")
        return [note.text for note in await memory.recall("zz", limit=1)]

    assert asyncio.run(recalled()) == ["zzz zzz"]
    examples = {"sleep": ["zzz", "zz zz"], "scream": ["aaa", "aa aa"]}
    choice: Any = Router("choice", examples=examples, embedder="letters:small", input=str)
    graph = Graph(
        "g", START >> choice, choice["sleep"] >> greet >> END, choice["scream"] >> shout >> END
    )
    assert graph.run_sync("zzzz").output == "hello zzzz"
    assert graph.run_sync("aaaa").output == "AAAA"
    with pytest.raises(UnknownProvider, match="did you mean 'letters'"):
        open_embedder("leters:small")


# -- stores ----------------------------------------------------------------------------------------
@pytest.mark.usefixtures("plugged")
def test_a_store_is_opened_by_its_scheme(tmp_path: Path) -> None:
    graph = Graph("g", START >> greet >> END)
    address = f"cellar:{tmp_path}"
    run = graph.run_sync("Ann", store=address, id="one")
    assert run.output == "hello Ann"

    async def kept() -> list[str]:
        async with Store.open(address) as store:
            return [header.id for header in await store.runs()]

    assert asyncio.run(kept()) == ["one"]
    assert (tmp_path / "cellar").is_dir()


@pytest.mark.usefixtures("plugged")
def test_a_store_that_knows_no_keys_is_given_none() -> None:
    with pytest.raises(PluginOptionsInvalid, match="key: unknown key") as raised:
        Store.open("cellar:runs", key="a-key-that-nobody-sees-00000000000")
    assert "nobody-sees" not in str(raised.value)


@pytest.mark.usefixtures("plugged")
def test_options_of_a_store_are_checked() -> None:
    with pytest.raises(PluginOptionsInvalid, match="rom: unknown key; did you mean 'room'"):
        Store.open("cellar:runs", rom="north")
    with pytest.raises(DeclarationError, match="sqlite: takes no options but key=; leave out room"):
        Store.open("sqlite:runs.db", room="north")


@pytest.mark.usefixtures("plugged")
def test_a_slip_in_a_scheme_is_told() -> None:
    with pytest.raises(StoreUnreadable, match="did you mean 'cellar'"):
        Store.open("celar:runs")


# -- what agents have ------------------------------------------------------------------------------
AGENT = """\
graph: g
model: mock:echo
memories:
  notes: {kind: drawer, places: 2, scope: shop}
nodes:
  a: {kind: agent, input: str, prompt: "{{ text }}", context: {policy: last_words, words: 9000}}
edges: ["START >> remember_notes", "START >> a >> END"]
"""


@pytest.mark.usefixtures("plugged")
def test_a_context_policy_and_a_memory_are_words_of_files(tmp_path: Path) -> None:
    text = AGENT.replace('"START >> remember_notes", ', "")
    graph = shop(tmp_path, text)
    agent: Any = graph.nodes[0]
    assert (agent.context.results, agent.context.max_tokens) == (1, 18_000)
    assert graph.run_sync("tea").output == "tea"
    assert is_again(graph, tmp_path)


@pytest.mark.usefixtures("plugged")
def test_a_context_policy_says_what_is_shown(tmp_path: Path) -> None:
    text = AGENT.replace("kind: agent,", "kind: agent, remembers: talk,").replace("9000", "60")
    text = text.replace('"START >> remember_notes", ', "")
    graph = shop(tmp_path, text)

    async def talk() -> Any:
        chat = graph.chat("ann")
        for number in range(10):
            run = await chat.say(f"question {number} about tea and all other goods of the shop")
        return run

    run = asyncio.run(talk())
    [begun] = [event for event in run.events if event.kind == "compaction.start"]
    assert begun.room == 120


@pytest.mark.usefixtures("plugged")
def test_a_memory_remembers_and_recalls(tmp_path: Path) -> None:
    text = AGENT.replace("kind: agent,", "kind: agent, recalls: [recall_notes],")
    graph = shop(tmp_path, text.replace('"START >> remember_notes", ', ""))
    agent: Any = graph.nodes[0]
    [recalling] = agent.recalls
    memory = recalling.memory
    assert memory.places == 2
    asyncio.run(memory.remember("we have tea"))
    # The model that says back what it is told has been told.
    assert "- we have tea" in graph.run_sync("tea").output
    assert "kind: drawer\n    places: 2" in graph.to_yaml()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("policy: last_words", "policy: last_word", "did you mean 'last_words'?"),
        ("words: 9000", "word: 9000", ":6:84: .*'word': unknown key; did you mean 'words'"),
        ("kind: drawer", "kind: drawr", "did you mean 'drawer'?"),
        ("places: 2", "places: two", ":4:25: .*'two' cannot stand here"),
    ],
)
@pytest.mark.usefixtures("plugged")
def test_slips_in_what_agents_have_are_told(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    with pytest.raises(FileUnreadable, match=problem):
        shop(tmp_path, AGENT.replace(old, new))


GUARDED = """\
graph: g
nodes:
  top: {kind: shelf, size: 1, before: ["NoShouting(2)"]}
edges: ["START >> top >> END"]
"""


@pytest.mark.usefixtures("plugged")
def test_a_guard_is_a_word_of_files(tmp_path: Path) -> None:
    graph = shop(tmp_path, GUARDED)
    assert graph.run_sync("tea").output == "tea"
    with pytest.raises(GuardRejected, match="it has 3 capitals"):
        graph.run_sync("TEA")
    assert "NoShouting(most=2)" in graph.to_yaml()
    assert is_again(graph, tmp_path)


@pytest.mark.parametrize(
    ("guard", "problem"),
    [
        ("NoShoutin(2)", "did you mean 'NoShouting'"),
        ("NoShouting(mots=2)", "mots: unknown key; did you mean 'most'"),
        ("NoShouting(1, 2)", "it has 1 options, and was given 2 values"),
        ("NoShouting('2')", "'2' cannot stand here"),
    ],
)
@pytest.mark.usefixtures("plugged")
def test_slips_in_a_guard_are_told(tmp_path: Path, guard: str, problem: str) -> None:
    with pytest.raises(FileUnreadable, match=problem):
        shop(tmp_path, GUARDED.replace("NoShouting(2)", guard))


# -- policies --------------------------------------------------------------------------------------
LOG: list[str] = []


@tool(effects=["writes"])
def book(text: str) -> str:
    """Write it down."""
    LOG.append(text)
    return "done"


POLICED = """\
graph: g
model: mock:echo
policy: {policy: opening_hours, opens: 9, now: 12}
nodes:
  a: {kind: agent, input: str, prompt: "{{ text }}", tools: ["tests.plugins.test_seams:book"]}
edges: ["START >> a >> END"]
"""


@pytest.mark.parametrize(("now", "booked"), [(12, ["tea"]), (7, [])])
@pytest.mark.usefixtures("plugged")
def test_a_policy_is_a_word_of_files(tmp_path: Path, now: int, booked: list[str]) -> None:
    LOG.clear()
    file = tmp_path / "shop.yaml"
    file.write_text(POLICED.replace("now: 12", f"now: {now}"))
    graph = Graph.from_yaml(file, root=Path(__file__).resolve().parents[2])
    graph.run_sync('/tool book {"text": "tea"}')
    assert booked == LOG
    text = graph.to_yaml()
    assert f"policy: opening_hours\n  opens: 9\n  now: {now}" in text
    file.write_text(text)
    assert Graph.from_yaml(file, root=Path(__file__).resolve().parents[2]) == graph


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("opening_hour", "policy of a graph is 'opening_hour'; .*did you mean 'opening_hours'"),
        ("{policy: opening_hour}", "did you mean 'opening_hours'"),
        ("{policy: opening_hours, open: 8}", "'open': unknown key; did you mean 'opens'"),
        ("{policy: opening_hours, opens: 8.5}", "8.5 cannot stand here"),
    ],
)
@pytest.mark.usefixtures("plugged")
def test_slips_in_a_policy_are_told(tmp_path: Path, written: str, problem: str) -> None:
    text = 'graph: g\npolicy: WRITTEN\nnodes: {a: {kind: shelf}}\nedges: ["START >> a >> END"]\n'
    with pytest.raises(FileUnreadable, match=problem):
        shop(tmp_path, text.replace("WRITTEN", written))


# -- a project -------------------------------------------------------------------------------------
SETTINGS = """\
graph = "shop"

[store]
address = "cellar:runs"
options = {room = "north"}

[policy.use]
opening_hours = {opens = 7}

[telemetry]
ledger = {path = "ledger.txt"}
"""


@pytest.fixture
def root(plugged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "shop.yaml").write_text(FILE)
    (tmp_path / "graphflow.toml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_project_uses_plugins_of_all_seams_that_it_names(root: Path) -> None:
    async def main() -> Any:
        async with Runtime.open(root) as runtime:
            run = await runtime.run("shop", "Ann")
            kept = await runtime.runs()
            return run.output, [header.graph for header in kept], runtime.project.policy

    output, graphs, policy = asyncio.run(main())
    assert output == "tea hello, Ann! tea hello, Ann!"
    assert graphs == ["shop"]
    assert (root / "ledger.txt").read_text().splitlines()[-1] == "closed"
    assert (root / "ledger.txt").read_text().startswith("run.start\n")
    assert policy.check is not None


def test_a_command_uses_them_too(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state_environment(None)
    assert run_app(["run", "shop", "Ann"]) == 0
    told = capsys.readouterr()
    assert told.out.strip() == "tea hello, Ann! tea hello, Ann!"
    assert "is kept in cellar:runs" in told.err
    assert (root / "ledger.txt").read_text().startswith("run.start\n")
    assert (root / "runs" / "north").is_dir()


# -- names -----------------------------------------------------------------------------------------
@pytest.mark.usefixtures("plugged")
def test_what_is_built_in_stays_what_it_is(tmp_path: Path) -> None:
    text = (
        'graph: g\nnodes:\n  a: {kind: agent, input: str, prompt: hi}\nedges: ["START >> a >> END"]'
    )
    assert type(shop(tmp_path, text).nodes[0]) is Agent
    with pytest.raises(PluginRefused, match="'agent' is a kind of node that is built in"):
        plugin("kinds", "agent")


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize(
    ("seam", "name", "hint"),
    [
        ("kinds", "shel", "did you mean 'shelf'"),
        ("kind", "shelf", "did you mean 'kinds'"),
        ("embedders", "zzzzz", "there is: letters"),
    ],
)
def test_an_unknown_plugin_is_told_with_a_near_one(seam: str, name: str, hint: str) -> None:
    with pytest.raises(PluginUnknown, match=hint) as raised:
        plugin(seam, name)
    assert (raised.value.seam, raised.value.plugin) == (seam, name)


@pytest.mark.usefixtures("plugged")
def test_one_that_cannot_be_loaded_is_told_with_its_package() -> None:
    with pytest.raises(PluginBroken, match=r"'gone' \(sinks\) of shelf-plugs 1.2 cannot be loaded"):
        plugin("sinks", "gone")
    plugin("sinks", "ledger")
