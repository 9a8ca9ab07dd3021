"""The same graph in YAML: both forms build the same object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphflow import Graph, GraphError
from graphflow.dump import dump_graph
from graphflow.errors import FileUnreadable
from graphflow.files import load_graph, read_graph
from graphflow.project import load
from graphflow.testing import ScriptedModel, calls, gives
from tests.conftest import walk

ROOT = Path(__file__).resolve().parents[1]

MESSAGES = """
from pydantic import BaseModel
class Question(BaseModel):
    text: str
class Finding(BaseModel):
    claim: str
class Approved(BaseModel):
    text: str
class Rejected(BaseModel):
    why: str
"""
STEPS = """
from graphflow import LimitReached, node, tool
from yaml_messages import Approved, Finding, Rejected

@node
async def merge(findings: list[Finding]) -> str:
    return " ".join(f.claim for f in findings)

@node
async def judge(text: str) -> Approved | Rejected:
    return Approved(text=text) if text.isupper() else Rejected(why=text)

@node
async def shout(r: Rejected) -> str:
    return r.why.upper()

@node
async def give_up(reached: LimitReached) -> Approved:
    return Approved(text="")

@tool
async def search(query: str) -> list[str]:
    "Search."
    return [query * 2]

def is_long(m) -> bool:
    return len(m) > 5
"""
GRAPH = """
graph: research
model: local:smollm2
limits: {depth: 3, steps: 100}
description: Finds things out.
nodes:
  planner:    {kind: agent, input: "yaml_messages:Question", output: "list[yaml_messages:Question]", prompt: "Split: {{ text }}"}
  researcher: {kind: agent, input: yaml_messages:Question, output: yaml_messages:Finding, tools: [yaml_steps:search], prompt: "Answer: {{ text }}"}
  merge:      yaml_steps:merge
  judge:      yaml_steps:judge
  shout:      yaml_steps:shout
  give_up:    yaml_steps:give_up
edges:
  - START >> planner
  - planner.each >> researcher >> merge >> judge
  - judge[Rejected].limit(2) >> shout >> judge
  - judge[LimitReached] >> give_up >> END
  - judge[Approved] >> END
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "yaml_messages.py").write_text(MESSAGES)
    (tmp_path / "yaml_steps.py").write_text(STEPS)
    (tmp_path / "research.yaml").write_text(GRAPH)
    import sys

    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in ("yaml_messages", "yaml_steps"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_a_file_walks_as_code_does(folder: Path) -> None:
    graph = Graph.from_yaml(str(folder / "research.yaml"))
    model = ScriptedModel(
        gives({"result": [{"text": "a"}]}), calls("search", query="x", when="Answer: a"), gives({"claim": "found"})
    )
    run = walk(graph, {"text": "q"}, model=model)
    assert run.output.text == "FOUND"
    assert graph.limits is not None
    assert graph.limits.depth == 3
    assert graph.description == "Finds things out."


def test_a_file_round_trips(folder: Path) -> None:
    graph = load_graph(folder / "research.yaml")
    text = dump_graph(graph)
    (folder / "again.yaml").write_text(text)
    again = load_graph(folder / "again.yaml")
    assert again == graph
    assert dump_graph(again) == text


@pytest.mark.parametrize("name", ["desk"])
def test_shipped_graphs_round_trip(name: str) -> None:
    import yaml

    graph = load(name, ROOT)
    again = read_graph(yaml.safe_load(graph.to_yaml()))
    assert again == graph


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("planner.each", "planer.each", r"research.yaml:15: .*names 'planer'.*did you mean 'planner'"),
        ("merge:      yaml_steps:merge", "merge:      yaml_steps:merg", r":9: .*has no 'merg'; did you mean 'merge'"),
        ("yaml_steps:judge", "yaml_step:judge", "cannot be imported"),
        ('kind: agent, input: "yaml', 'kind: agnt, input: "yaml', "of kind 'agnt'"),
        ('prompt: "Split', 'promt: "Split', "has no 'promt'; did you mean 'prompt'"),
        ("START >> planner", "START > planner", "is none of"),
        ("START >> planner", "START >> (planner", "cannot be read"),
        ("START >> planner", "__import__('os').system('true') >> planner", "is none of"),
        ("yaml_messages:Finding,", "Finding,", "write module:Name"),
        ("edges:", "egdes:", "did you mean 'edges'"),
        ("limits: {depth: 3", "limits: {dept: 3", "did you mean 'depth'"),
        (
            "  judge:      yaml_steps:judge\n",
            "  judge: yaml_steps:judge\n  judge: yaml_steps:judge\n",
            "stands here twice",
        ),
        ("graph: research", "graph: [research", "is no YAML"),
    ],
)
def test_mistakes_are_told_with_file_and_line(folder: Path, old: str, new: str, says: str) -> None:
    assert old in GRAPH
    (folder / "research.yaml").write_text(GRAPH.replace(old, new, 1))
    with pytest.raises(FileUnreadable, match=f"(?s){says}"):
        load_graph(folder / "research.yaml")


def test_an_unsound_graph_in_a_file_names_its_line(folder: Path) -> None:
    (folder / "research.yaml").write_text(GRAPH.replace("  - judge[Approved] >> END\n", ""))
    with pytest.raises(GraphError, match=r"research.yaml:\d+"):
        load_graph(folder / "research.yaml")


def test_yaml_is_version_1_2() -> None:
    graph: Any = {"graph": "g", "nodes": {}, "edges": []}
    assert graph
    import yaml

    from graphflow.files import _Loader

    assert yaml.load("[no, on, yes, true, 2020-01-01]", Loader=_Loader) == ["no", "on", "yes", True, "2020-01-01"]


def test_what_has_no_name_cannot_be_dumped() -> None:
    from graphflow import END, START, node

    @node
    async def local(n: int) -> int:
        return n

    with pytest.raises(FileUnreadable, match="move it to a module"):
        Graph("g", START >> local >> END).to_yaml()


def test_nothing_is_left_out_of_a_dump_in_silence() -> None:
    import yaml

    from graphflow import END, START, Agent, Graph, Retry, Router

    agent = Agent("a", input=str, model="local:smollm2", retry=Retry(attempts=4, wait_s=0.1), timeout_s=3)
    router: Router[str, str] = Router("r", input=str, labels=["x", "y"], model="local:smollm2", retry=2, timeout_s=5)
    graph = Graph("g", START >> agent >> router, router["x"] >> END, router["y"] >> END)
    assert read_graph(yaml.safe_load(graph.to_yaml())) == graph
    with pytest.raises(FileUnreadable, match="model object"):
        Graph("g", START >> Agent("a", model=ScriptedModel()) >> END).to_yaml()
    with pytest.raises(FileUnreadable, match="model object"):
        Graph("g", START >> Agent("a") >> END, model=ScriptedModel()).to_yaml()
    with pytest.raises(FileUnreadable, match="certain exceptions"):
        Graph("g", START >> Agent("a", retry=Retry(on=(ValueError,))) >> END).to_yaml()


CODED = """
graph: coded
model: local:smollm2
nodes:
  boss:   {kind: agent, input: str, tools: [python, skill]}
  python: {kind: code, calls: [yaml_steps:search, shout], memory_mib: 32, seconds: 2, most_calls: 7, timeout_s: 9}
  skill:  {kind: skills, folders: [skills], runner: python, output_limit: 500}
  shout:  yaml_steps:shout
edges:
  - START >> boss >> END
"""


def test_code_and_skills_have_their_words(folder: Path) -> None:
    (folder / "skills" / "bread").mkdir(parents=True)
    (folder / "skills" / "bread" / "SKILL.md").write_text("---\nname: bread\ndescription: Baking.\n---\nBake.")
    (folder / "coded.yaml").write_text(CODED)
    graph = load_graph(folder / "coded.yaml")
    reached = {node.name: node for node in graph.reach()}
    assert set(reached) == {"boss", "python", "skill", "search", "shout"}
    assert reached["python"].memory_mib == 32  # type: ignore[attr-defined]
    assert graph.to_mermaid().count("-.->") == 5
    text = dump_graph(graph)
    assert "kind: code" in text
    (folder / "again.yaml").write_text(text)
    again = load_graph(folder / "again.yaml")
    assert again == graph
    assert dump_graph(again) == text
    model = ScriptedModel(calls("python", code="search('a')"), calls("skill", skill="bread"), "end")
    assert walk(graph, "go", model=model).output == "end"
    results = [request.turns[-1].results[0].content for request in model.requests[1:]]  # type: ignore[union-attr]
    assert results == ['{"value":["aa"]}', "Bake."]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seconds: 2", "secnods: 2", "code 'python' has no 'secnods'; did you mean 'seconds'"),
        ("folders: [skills]", "folder: skills", "skills 'skill' has no 'folder'; did you mean 'folders'"),
        ("kind: code", "kind: coed", "of kind 'coed'"),
    ],
)
def test_wrong_words_of_code_and_skills(folder: Path, old: str, new: str, says: str) -> None:
    assert old in CODED
    (folder / "coded.yaml").write_text(CODED.replace(old, new))
    with pytest.raises(FileUnreadable, match=says):
        load_graph(folder / "coded.yaml")


def test_what_a_file_cannot_hold_of_code_is_refused() -> None:
    from graphflow import END, START, Code, Policy

    for options in ({"approval": True}, {"cache": True}, {"policy": Policy()}):
        with pytest.raises(FileUnreadable, match="which a file cannot hold"):
            Graph("g", START >> Code(**options) >> END).to_yaml()  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["handoffs", "cache", "approval", "policy"])
def test_what_a_file_cannot_hold_is_refused_not_left_out(option: str) -> None:
    from graphflow import END, START, Agent, Policy

    values = {"handoffs": [Agent("b", input=str)], "cache": True, "approval": True, "policy": Policy(deny=["x"])}
    graph = Graph("g", START >> Agent("a", **{option: values[option]}) >> END)
    with pytest.raises(FileUnreadable, match=f"agent 'a' has {option}, which a file cannot hold"):
        graph.to_yaml()
