"""Graphs that stand in the place of a node in a file: on arrows, among tools, as targets of sub-agents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, SubAgent, node
from graphflow.errors import FileUnreadable, GuardRejected, LimitExceeded

OUTER = """\
graph: outer
model: mock:echo
messages:
  Question: {fields: {text: str}}
nodes:
  desk:
    kind: graph
    nodes:
      say: {kind: agent, input: str, prompt: "{{ text }} there"}
    edges: ["START >> say >> END"]
  lead: {kind: agent, input: str, prompt: "{{ text }}", tools: [helper, deep]}
  helper:
    kind: sub-agent
    isolation: shared
    target:
      kind: graph
      description: Helps.
      limits: {steps: 5}
      nodes:
        say: {kind: agent, input: Question, prompt: "{{ text }}?"}
      edges: ["START >> say >> END"]
  deep:
    kind: graph
    description: Deep.
    retry: 2
    nodes:
      inner:
        kind: graph
        nodes:
          say: {kind: agent, input: str, prompt: "{{ text }}!"}
        edges: ["START >> say >> END"]
    edges: ["START >> inner >> END"]
edges: ["START >> lead >> desk >> END"]
"""


def loaded(folder: Path, text: str = OUTER, name: str = "outer.yaml") -> Graph[Any, Any]:
    file = folder / name
    file.write_text(text)
    return Graph.from_yaml(file)


@node
def shorten(text: str) -> str:
    return text[:3]


held = Graph("held", START >> shorten >> END)


@pytest.mark.parametrize(
    ("message", "output", "frame"),
    [
        ("hello", "hello there", ("outer", "desk")),
        ('/tool helper {"text": "tea"}', "tea? there", ("outer", "helper")),
        ('/tool deep {"input": "tea"}', "tea! there", ("outer", "deep", "inner")),
    ],
)
def test_a_graph_in_its_place_is_walked(
    tmp_path: Path, message: str, output: str, frame: tuple[str, ...]
) -> None:
    run = loaded(tmp_path).run_sync(message)
    assert run.output == output
    frames = {tuple(event.path) for event in run.events if hasattr(event, "path")}
    assert frame in {path[: len(frame)] for path in frames}


def test_it_is_written_and_read_again(tmp_path: Path) -> None:
    graph = loaded(tmp_path)
    text = graph.to_yaml()
    again = loaded(tmp_path, text, "again.yaml")
    assert again == graph
    assert again.to_yaml() == text
    assert text.count("kind: graph") == 4
    # A message is declared once, for all graphs of the file.
    assert text.count("Question:") == 1


@pytest.mark.parametrize("ending", ["json", "toml"])
def test_other_forms_have_it_too(tmp_path: Path, ending: str) -> None:
    agent = {"kind": "agent", "input": "str", "prompt": "{{ text }}"}
    inner = {"kind": "graph", "nodes": {"say": agent}, "edges": ["START >> say >> END"]}
    whole = {
        "graph": "g",
        "model": "mock:echo",
        "nodes": {"in": inner},
        "edges": ["START >> 'in' >> END"],
    }
    text = json.dumps(whole)
    if ending == "toml":
        text = """
graph = "g"
model = "mock:echo"
edges = ["START >> 'in' >> END"]
[nodes.in]
kind = "graph"
edges = ["START >> say >> END"]
nodes.say = {kind = "agent", input = "str", prompt = "{{ text }}"}
"""
    graph = loaded(tmp_path, text, f"g.{ending}")
    assert graph.run_sync("tea").output == "tea"


def test_what_no_module_holds_is_written_in_its_place(tmp_path: Path) -> None:
    say = Agent("say", prompt="{{ text }}", input=str, model="mock:echo")
    inner = Graph("inner", START >> say >> END)
    helper = SubAgent(Graph("behind", START >> say >> END), name="helper", isolation="shared")
    lead = Agent("lead", prompt="{{ text }}", input=str, model="mock:echo", tools=[helper, held])
    graph = Graph("g", START >> inner >> lead >> END)
    text = graph.to_yaml()
    assert "- tests.files.test_nested:held" in text
    assert "target: behind" in text
    file = tmp_path / "g.yaml"
    file.write_text(text)
    again = Graph.from_yaml(file, root=Path(__file__).resolve().parents[2])
    assert again == graph
    assert again.to_yaml() == text


def test_guards_and_limits_stand_around_it(tmp_path: Path) -> None:
    text = OUTER.replace("    kind: graph\n    nodes:\n      say", GUARDED, 1)
    graph = loaded(tmp_path, text)
    with pytest.raises(GuardRejected, match="characters"):
        graph.run_sync("a long message")
    assert loaded(tmp_path, graph.to_yaml(), "again.yaml") == graph
    tight = loaded(tmp_path, OUTER.replace("{steps: 5}", "{steps: 0}"))
    run = tight.run_sync('/tool helper {"text": "tea"}')
    assert "steps" in run.output or isinstance(run.error, LimitExceeded)


GUARDED = '    kind: graph\n    before: ["Length(8)"]\n    nodes:\n      say'

STATED = """\
graph: outer
model: mock:echo
state:
  notes: {type: "list[str]", start: [], merge: extend}
nodes:
  inner:
    kind: graph
    uses:
      notes: {type: "list[str]", start: [], merge: extend}
    nodes:
      say: {kind: agent, input: str, prompt: "{{ text }} {{ state.notes }}", reads: [notes]}
    edges: ["START >> say >> END"]
edges: ["START >> inner >> END"]
"""


def test_a_state_of_the_graph_around_is_lent(tmp_path: Path) -> None:
    graph = loaded(tmp_path, STATED)
    assert graph.run_sync("tea").output == "tea []"
    assert loaded(tmp_path, graph.to_yaml(), "again.yaml") == graph


# -- what is wrong ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("old", "new", "place", "problem"),
    [
        ("input: Question", "input: Quest", (20, 28), "did you mean 'Question'"),
        ("limits: {steps: 5}", "limits: {stps: 5}", (18, 16), "did you mean 'steps'"),
        (
            "START >> inner",
            "START >> iner",
            (32, 13),
            "there is no such node; did you mean 'inner'",
        ),
        ('    edges: ["START >> inner >> END"]\n', "", (22, 3), "the key 'edges' is missing"),
        ("    retry: 2\n", "    retry: 0\n", (25, 5), "retry of graph 'deep' is 0"),
        ("    retry: 2\n", "    messages: {}\n", (25, 5), "move it to the top of the file"),
        ('kind: agent, input: str, prompt: "{{ text }}!"', "kind: agnt", (30, 17), "did you mean"),
        ("{{ text }}!", "{{ txt }}!", (27, 7), "txt"),
        (
            '["START >> inner >> END"]',
            '["START >> inner"]',
            (22, 3),
            "nothing reaches END",
        ),
    ],
)
def test_what_is_wrong_inside_is_told_with_its_place(
    tmp_path: Path, old: str, new: str, place: tuple[int, int], problem: str
) -> None:
    assert old in OUTER
    with pytest.raises(FileUnreadable, match=problem) as raised:
        loaded(tmp_path, OUTER.replace(old, new, 1))
    assert place in [(each.line, each.column) for each in raised.value.problems]


def test_all_problems_of_all_graphs_are_told_at_once(tmp_path: Path) -> None:
    text = OUTER.replace("{{ text }}!", "{{ txt }}!").replace("START >> say >> END", "START >> sy")
    with pytest.raises(FileUnreadable) as raised:
        loaded(tmp_path, text)
    assert [each.line for each in raised.value.problems] == [10, 21, 31]


def test_its_nodes_are_its_own(tmp_path: Path) -> None:
    text = OUTER.replace('prompt: "{{ text }} there"', 'prompt: "{{ text }}", tools: [helper]')
    with pytest.raises(FileUnreadable, match="'helper' is called, and there is no such node"):
        loaded(tmp_path, text)


def test_graphs_may_stand_in_each_other_as_deep_as_files_go(tmp_path: Path) -> None:
    node_in = {"s": "tests.files.test_nested:shorten"}
    declared: dict[str, Any] = {"nodes": node_in, "edges": ["START >> s >> END"]}
    for _ in range(25):
        inner = {"kind": "graph", **declared}
        declared = {
            "limits": {"depth": 30},
            "nodes": {"in": inner},
            "edges": ["START >> 'in' >> END"],
        }
    file = tmp_path / "deep.json"
    file.write_text(json.dumps({"graph": "deep", **declared}))
    graph: Graph[Any, Any] = Graph.from_yaml(file, root=Path(__file__).resolve().parents[2])
    assert graph.run_sync("coffee").output == "cof"
    text = graph.to_yaml()
    again = tmp_path / "again.yaml"
    again.write_text(text)
    assert Graph.from_yaml(again, root=Path(__file__).resolve().parents[2]) == graph
