"""States in files: the same words as in code, there and back."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Graph, State
from graphflow.errors import FileUnreadable, GraphError
from graphflow.files import load_graph
from graphflow.merges import by_key, extend, plus
from graphflow.model.turns import ToolTurn
from graphflow.testing import ComputedModel, calls, says

STEPS = """
from pydantic import BaseModel
from graphflow import Context, State, node
from graphflow.merges import by_key, extend, plus

class Note(BaseModel, frozen=True):
    id: str
    text: str

def shorter(value: str, added: str) -> str:
    return min(value, added, key=len)

NOTES = State("notes", list[str], start=[], merge=extend)
COUNT = State("count", int, start=0, merge=plus, scope="conversation")
BEST = State("best", str, start="nothing at all", merge=shorter)
BOOK = State("book", list[Note], start=[Note(id="a", text="old")], merge=by_key("id"))
AIM = State("aim", str)

@node(effects=[])
async def plan(text: str) -> str:
    return text.upper()

@node(adds=[NOTES, COUNT, BEST, BOOK], effects=[])
async def write(text: str, ctx: Context) -> str:
    ctx.add(NOTES, [text])
    ctx.add(COUNT, 2)
    ctx.add(BEST, text)
    ctx.add(BOOK, [Note(id="a", text=text)])
    return text

@node(reads=[AIM], effects=[])
async def read(text: str, ctx: Context) -> str:
    return ctx.read(AIM)
"""
GRAPH = """
graph: notebook
state:
  notes: {type: "list[str]", start: [], merge: extend}
  count: {type: int, start: 0, merge: plus, scope: conversation}
  best:  {type: str, start: nothing at all, merge: "state_steps:shorter"}
  book:  {type: "list[state_steps:Note]", start: [{id: a, text: old}], merge: by_key('id')}
  aim:   {type: str}
nodes:
  plan: state_steps:plan
  write: state_steps:write
  read: state_steps:read
edges:
- START >> plan >> write >> read >> END
- plan >> aim
"""


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A project folder with a module of nodes and states."""
    (tmp_path / "state_steps.py").write_text(STEPS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "state_steps", raising=False)
    monkeypatch.chdir(tmp_path)
    yield importlib.import_module("state_steps")
    sys.modules.pop("state_steps", None)


def loaded(text: str) -> Graph[Any, Any]:
    path = Path("notebook.yaml")
    path.write_text(text)
    return load_graph(path, Graph)


def test_states_of_a_file_are_those_of_the_code(steps: Any) -> None:
    graph = loaded(GRAPH)
    run = graph.run_sync("abc")
    assert run.output == "ABC"
    assert dict(run.state) == {
        "notes": ["ABC"],
        "count": 2,
        "best": "ABC",
        "book": [steps.Note(id="a", text="ABC")],
        "aim": "ABC",
    }
    states = [steps.NOTES, steps.COUNT, steps.BEST, steps.BOOK, steps.AIM]
    assert [run.state[state] for state in states] == list(run.state.values())


def test_a_graph_with_states_is_written_and_read_again(steps: Any) -> None:
    paths = (START >> steps.plan >> steps.write >> steps.read >> END, steps.plan >> steps.AIM)
    states = [steps.NOTES, steps.COUNT, steps.BEST, steps.BOOK, steps.AIM]
    graph = Graph("notebook", *paths, state=states)
    text = graph.to_yaml()
    again = loaded(text)
    assert again.to_yaml() == text
    assert again == loaded(GRAPH)
    assert [state.scope for state in again.state] == [state.scope for state in states]
    assert dict(again.run_sync("abc").state) == dict(graph.run_sync("abc").state)


AGENT = """
graph: outer
uses:
  notes: {type: "list[str]", merge: extend}
nodes:
  writer: {kind: agent, input: str, prompt: "{{ text }}: {{ state.notes }}", reads: [notes], adds: [notes]}
edges:
- START >> writer >> END
"""


def test_an_agent_of_a_file_reads_and_writes_the_state_it_is_lent(steps: Any) -> None:
    inner = loaded(AGENT)
    assert inner.to_yaml() == loaded(inner.to_yaml()).to_yaml()
    assert "add_to_notes" not in inner.to_yaml()
    notes = State("notes", list[str], start=["first"], merge=extend)
    graph = Graph("around", START >> inner >> END, state=[notes])
    asked: list[str] = []

    def reply(request: Any) -> Any:
        asked.append(str(request.turns[0]))
        answered = any(isinstance(turn, ToolTurn) for turn in request.turns)
        return says("done") if answered else calls("add_to_notes", value=["second"])

    run = graph.run_sync("go", model=ComputedModel(reply))
    assert "first" in asked[0]
    assert run.state[notes] == ["first", "second"]


@pytest.mark.parametrize(
    ("part", "instead", "why"),
    [
        ("merge: plus", "merge: add", r"graph\.yaml:\d+.*there is no merge 'add'; write extend"),
        ("merge: plus", "merge: state_steps:missing", "has no 'missing'"),
        ("merge: plus", "merge: state_steps:NOTES", "write a function"),
        (
            "type: int, start: 0",
            "type: int, start: none",
            "start of state 'count' is not of its type int",
        ),
        ("scope: conversation", "scope: forever", "it must be one of frame, conversation"),
        ("type: int, start: 0", "start: 0", "state 'count' has no type"),
        ("type: int, start: 0", "type: integer", "the type 'integer' names 'integer'"),
        ("type: int", "kind: int", "a state has no 'kind'"),
        ("plan >> aim", "plan >> aims", "did you mean 'aim'"),
        ("aim:  ", "plan: ", "'plan', which is a node and a state"),
        ("edges:", "uses: {aim: {type: str}}\nedges:", "state 'aim' is declared twice"),
        (
            "read: state_steps:read",
            "read: {kind: agent, reads: [aimed]}",
            "no state 'aimed'; did you mean 'aim'",
        ),
        ("read: state_steps:read", "read: {kind: agent, reads: aim}", "it must be a list"),
        ("state:", "state: [notes]\nuses:", "it must be"),
    ],
)
def test_what_is_wrong_with_a_state_is_told(steps: Any, part: str, instead: str, why: str) -> None:
    assert part in GRAPH
    why = why.replace(r"graph\.yaml", r"notebook\.yaml")
    with pytest.raises(FileUnreadable, match=why):
        loaded(GRAPH.replace(part, instead, 1))


def test_what_is_proven_of_states_holds_for_files(steps: Any) -> None:
    with pytest.raises(GraphError, match="'read' needs a value of state 'aim'"):
        loaded(GRAPH.replace("- plan >> aim\n", ""))


def test_what_a_file_cannot_hold_is_not_written(steps: Any) -> None:
    odd = State("odd", list[str], start=[], merge=lambda value, added: value)
    with pytest.raises(FileUnreadable, match="stands in no module"):
        Graph("g", START >> steps.plan >> END, state=[odd]).to_yaml()


def test_ready_merges_are_known_by_their_names() -> None:
    assert (repr(extend), repr(plus), repr(by_key("id"))) == ("extend", "plus", "by_key('id')")
