"""Messages that a file declares, prompts that lie in files, and files that include others."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from graphflow import Graph, Message, Store
from graphflow.errors import FileUnreadable
from graphflow.files import load_graph
from graphflow.files.includes import MAX_INCLUDED
from graphflow.testing import ScriptedModel, gives
from tests.conftest import walk

FINDER = """
graph: finder
messages:
  Question: {fields: {text: str, size: "Literal['long', 'short']"}}
  Finding:
    description: What one source says.
    fields:
      claim: {type: str, min_length: 1, description: One sentence.}
      score: {type: float, ge: 0, le: 1, default: 0.5}
      of: {type: "tuple[Question, ...]", default: []}
      note: {type: str | None, default: null}
nodes:
  finder: {kind: agent, input: Question, output: Finding | Question, prompt: "{{ text }} ({{ size }})"}
edges:
  - START >> finder
  - finder[Finding] >> END
  - finder[Question].limit(2) >> finder
"""


def written(folder: Path, **files: str) -> Path:
    """Files of a project, of which the one called `g` is returned."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder / "g.yaml"


def test_messages_of_a_file_are_frozen_models_that_walk(tmp_path: Path) -> None:
    graph = load_graph(written(tmp_path, g=FINDER), Graph)
    model = ScriptedModel(
        gives({"result": {"text": "again", "size": "short"}}), gives({"result": {"claim": "found"}})
    )
    output = walk(graph, {"text": "what?", "size": "long"}, model=model).output
    assert isinstance(output, Message)
    assert output.model_dump() == {"claim": "found", "score": 0.5, "of": (), "note": None}
    assert type(output).__doc__ == "What one source says."
    with pytest.raises(ValueError, match="frozen"):
        output.claim = "x"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="'long' or 'short'"):
        walk(graph, {"text": "what?", "size": "huge"}, model=model)


def test_messages_of_a_file_are_there_and_back(tmp_path: Path) -> None:
    graph = load_graph(written(tmp_path, g=FINDER), Graph)
    text = graph.to_yaml()
    again = load_graph(written(tmp_path, g=text), Graph)
    assert again == graph
    assert again.to_yaml() == text


def test_a_run_with_messages_of_a_file_is_kept_and_replayed(tmp_path: Path) -> None:
    graph: Graph[Any, Any] = load_graph(written(tmp_path, g=FINDER), Graph)
    again: Graph[Any, Any] = load_graph(tmp_path / "g.yaml", Graph)
    model = ScriptedModel(gives({"result": {"claim": "found"}}))

    async def both() -> tuple[Any, Any]:
        async with Store.open(f"sqlite:{tmp_path / 'runs.db'}") as store:
            asked = {"text": "?", "size": "long"}
            run = await graph.run(asked, model=model, store=store, id="one")
            return run.output, (await again.replay("one", store=store)).output

    first, second = asyncio.run(both())
    assert first == second


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("text: str,", "text: strr,", r":4:23: .*did you mean 'str'"),
        ("min_length: 1", "min_lenght: 1", r":8:26: a field has no 'min_lenght'; did you mean"),
        ("min_length: 1", "min_length: -1", r":8:26: .*a whole number of at least 0"),
        ("min_length: 1", "ge: 1", r":8:26: ge of 'claim' means nothing for the type str"),
        ("min_length: 1", "pattern: '('", r":8:7: 'claim' of 'Finding' cannot be: .*unclosed"),
        ("default: 0.5", "default: 2", r":9:7: the default of 'score' .* less than or equal to 1"),
        ("type: float, ", "", r":9:7: field 'score' of 'Finding' has no type"),
        ("tuple[Question", "tuple[Finding", r":10:12: message 'Finding' contains itself"),
        ("tuple[Question", "tuple[Qestion", r":10:12: .*did you mean 'Question'"),
        ("      claim:", "      copy:", r":8:7: a field of 'Finding' cannot be named 'copy'"),
        ("      claim:", "      a-b:", r":8:7: a field of 'Finding' cannot be named 'a-b'"),
        ("  Question:", "  a-b:", r":4:3: a message cannot be named 'a-b'"),
        ("'short'", "x()", r":4:34: the type .* has x\(\); in Literal"),
        ("input: Question", "input: Finding2", r":13:25: .*did you mean 'Finding'"),
        ("  Finding:\n", "  Finding: 3\n  Other:\n", r":5:3: a message is declared by a mapping"),
    ],
)
def test_wrong_messages_are_told_with_their_place(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    assert old in FINDER
    with pytest.raises(FileUnreadable, match=f"(?s)g.yaml{says}"):
        load_graph(written(tmp_path, g=FINDER.replace(old, new, 1)), Graph)


# -- prompts ---------------------------------------------------------------------------------------
PROMPTED = """
graph: prompted
nodes:
  writer: {kind: agent, input: str, prompt_file: prompts/writer.md.j2, system_file: prompts/system.md}
  way: {kind: router, input: str, labels: {good: '', bad: ''}, prompt_file: prompts/way.md}
edges: [START >> writer >> way, "way['good'] >> END", "way['bad'].limit(1) >> writer"]
"""


def test_prompts_lie_in_files(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    for name in ("writer.md.j2", "system.md", "way.md"):
        (tmp_path / "prompts" / name).write_text(f"{name} says {{{{ message }}}}\n")
    graph = load_graph(written(tmp_path, g=PROMPTED), Graph)
    text = graph.to_yaml()
    for name in ("writer.md.j2", "system.md", "way.md"):
        assert f"{name} says" in text
    (tmp_path / "prompts" / "system.md").unlink()
    with pytest.raises(FileUnreadable, match=r"g.yaml:4:72: there is no file .*system.md"):
        load_graph(tmp_path / "g.yaml", Graph)


def test_a_prompt_is_given_once(tmp_path: Path) -> None:
    text = PROMPTED.replace("labels:", "prompt: x, labels:")
    (tmp_path / "prompts").mkdir()
    for name in ("writer.md.j2", "system.md", "way.md"):
        (tmp_path / "prompts" / name).write_text("x")
    with pytest.raises(FileUnreadable, match=r":5:75: prompt is given, too"):
        load_graph(written(tmp_path, g=text), Graph)


# -- includes --------------------------------------------------------------------------------------
WHOLE = """
include: [words.yaml, parts/agents.toml]
graph: whole
nodes:
  last: {kind: wait, seconds: 0}
edges:
  - START >> first >> second >> last >> END
"""
WORDS = """
messages:
  Question: {fields: {text: str}}
"""
AGENTS = """
include = "../words.yaml"
edges = ["first[Failure] >> last"]

[nodes.first]
kind = "agent"
input = "Question"
prompt_file = "first.md"

[nodes.second]
kind = "agent"
input = "str"
"""


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    (tmp_path / "graphs").mkdir()
    folder = tmp_path / "graphs"
    (folder / "parts").mkdir()
    (folder / "parts" / "agents.toml").write_text(AGENTS)
    (folder / "parts" / "first.md").write_text("Say {{ text }}")
    return written(folder, g=WHOLE, words=WORDS)


def test_a_file_includes_others_of_any_kind(whole: Path) -> None:
    graph = load_graph(whole, Graph)
    assert [node.name for node in graph.nodes] == ["first", "second", "last"]
    assert "Say {{ text }}" in graph.to_yaml()


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("parts/agents.toml", 'kind = "agent"', 'kind = "agnet"', r"agents.toml:6:1: .*'agent'"),
        ("parts/agents.toml", "first[F", "frst[F", r"agents.toml:3:10: .*did you mean 'first'"),
        ("parts/agents.toml", "[nodes.second]", "[nodes.last]", r"toml:10:8: .*declared in .*g.ya"),
        ("parts/agents.toml", "include", "model = 'x'\ninclude", r"toml:2:1: .*has no 'model'"),
        ("parts/agents.toml", "edges = [", "edges = ", r"agents.toml:3:33: this is not TOML"),
        ("parts/agents.toml", 'edges = ["', 'edges = "', r"agents.toml:3:\d+: this is not TOML"),
        ("words.yaml", "text: str", "text: srt", r"words.yaml:3:23: .*did you mean 'str'"),
        ("words.yaml", "messages:", "nodes: [a]\nmessages:", r"words.yaml:2:1: nodes is a list"),
        ("words.yaml", "messages:", "include: g.yaml\nmessages:", r"words.yaml:2:1: .*itself"),
        ("words.yaml", "messages:", "include: [3]\nmessages:", r"words.yaml:2:11: an include is 3"),
        ("words.yaml", WORDS, "- a", r"words.yaml:1:1: this does not hold parts of a graph"),
        ("g.yaml", "words.yaml,", "wrds.yaml,", r"g.yaml:2:11: there is no file .*wrds.yaml"),
        ("g.yaml", "words.yaml,", "../../x.yaml,", r"g.yaml:2:11: .*does not lie in the project"),
        ("g.yaml", "words.yaml,", "/etc/passwd,", r"g.yaml:2:11: /etc/passwd cannot be included"),
        ("g.yaml", "words.yaml,", "g.yaml,", r"g.yaml:2:11: g.yaml includes itself \(g.yaml > g."),
    ],
)
def test_what_is_wrong_in_an_included_file_is_told_with_that_file(
    whole: Path, file: str, old: str, new: str, says: str
) -> None:
    changed = whole.parent / file
    text = changed.read_text()
    assert old in text
    changed.write_text(text.replace(old, new, 1))
    with pytest.raises(FileUnreadable, match=f"(?s){says}") as caught:
        load_graph(whole, Graph)
    assert all(problem.line for problem in caught.value.problems)


def test_includes_are_bounded_in_depth_number_and_size(whole: Path) -> None:
    folder = whole.parent
    for number in range(MAX_INCLUDED + 10):
        (folder / f"deep{number}.yaml").write_text(f"include: deep{number + 1}.yaml\n")
        (folder / f"flat{number}.yaml").write_text(f"claims: []\n# {number}\n")
        (folder / f"large{number}.yaml").write_text("# " + "x" * 400_000)
    for name, says in (
        ("[deep0.yaml]", r"deep4.yaml:1:1: .*more than 5 files deep"),
        (str([f"flat{n}.yaml" for n in range(MAX_INCLUDED + 5)]), "more than 50 files"),
        (str([f"large{n}.yaml" for n in range(12)]), "more than 4,194,304 characters"),
    ):
        whole.write_text(WHOLE.replace("[words.yaml, ", f"{name} #"))
        with pytest.raises(FileUnreadable, match=f"(?s){says}"):
            load_graph(whole, Graph)


@pytest.mark.skipif(sys.platform == "win32", reason="links as POSIX has them")
def test_a_link_does_not_lead_out_of_the_project(whole: Path, tmp_path: Path) -> None:
    (tmp_path.parent / "outside.yaml").write_text(WORDS)
    (whole.parent / "words.yaml").unlink()
    (whole.parent / "words.yaml").symlink_to(tmp_path.parent / "outside.yaml")
    with pytest.raises(FileUnreadable, match="does not lie in the project"):
        load_graph(whole, Graph)
