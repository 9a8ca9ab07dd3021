"""Graphs in JSON and TOML: the same data as in YAML is the same graph, and what is wrong is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphflow import Graph
from graphflow.errors import FileUnreadable
from graphflow.files import load_graph
from graphflow.files.loader import MAX_BYTES, parse
from graphflow.project import load
from tests.effort import soon

YAML = """
graph: letters
limits: {depth: 3, seconds: 1.5}
nodes:
  writer: {kind: agent, input: str, prompt: "Write:\\n{{ message }}", stop: ["\\n", "."]}
  judge:
    kind: router
    input: str
    labels: {good: it is good, bad: it is not}
  later: {kind: wait, until: "2030-01-31T12:00:00+00:00"}
edges:
  - START >> writer >> judge
  - judge['bad'].limit(2) >> writer
  - judge['good'] >> later >> END
"""
JSON = """
{
  "graph": "letters",
  "limits": {"depth": 3, "seconds": 1.5},
  "nodes": {
    "writer": {"kind": "agent", "input": "str", "prompt": "Write:\\n{{ message }}", "stop": ["\\n", "."]},
    "judge": {"kind": "router", "input": "str",
              "labels": {"good": "it is good", "bad": "it is not"}},
\t"later": {"kind": "wait", "until": "2030-01-31T12:00:00+00:00"}
  },
  "edges": ["START >> writer >> judge", "judge['bad'].limit(2) >> writer",
            "judge['good'] >> later >> END"]
}
"""
TOML = '''
graph = "letters"
edges = [
  "START >> writer >> judge",  # the way there
  "judge['bad'].limit(2) >> writer",
  "judge['good'] >> later >> END",
]
limits = { depth = 3, seconds = 1.5 }

[nodes.writer]
kind = "agent"
input = "str"
prompt = """
Write:
{{ message }}"""
stop = ["\\n", '.']

[nodes]
judge = { kind = "router", input = "str", labels.good = "it is good", labels.bad = "it is not" }
later.kind = "wait"
later.until = 2030-01-31T12:00:00Z
'''
FORMS = {"yaml": YAML, "json": JSON, "toml": TOML}


@pytest.mark.parametrize("ending", ["json", "toml"])
def test_the_same_data_is_the_same_graph(tmp_path: Path, ending: str) -> None:
    for form in ("yaml", ending):
        (tmp_path / f"letters.{form}").write_text(FORMS[form], encoding="utf-8")
    graph = load_graph(tmp_path / f"letters.{ending}", Graph)
    assert graph == load_graph(tmp_path / "letters.yaml", Graph)
    assert load(str(tmp_path / f"letters.{ending}")) == graph


@pytest.mark.parametrize(
    ("ending", "old", "new", "says"),
    [
        ("yaml", "depth: 3", "dept: 3", "g.yaml:3:10: limits has no 'dept'; did you mean 'depth'"),
        ("json", '"depth"', '"dept"', "g.json:4:14: limits has no 'dept'; did you mean 'depth'"),
        ("toml", "depth = 3", "dept = 3", "g.toml:8:12: limits has no 'dept'"),
        ("json", '"kind": "wait"', '"kind": "wiat"', "g.json:9:12: .*; did you mean 'wait'"),
        ("toml", 'kind = "agent"', 'kind = "agnet"', "g.toml:11:1: .*; did you mean 'agent'"),
        ("toml", 'later.kind = "wait"', "later.kind = 1", "g.toml:20:7: node 'later' is of kind 1"),
        ("toml", "labels.good", "labls.good", "g.toml:19:43: router 'judge' has no 'labls'"),
        ("json", "\"judge['bad", "\"judg['bad", "g.json:11:41: .*did you mean 'judge'"),
        ("toml", '"START >> writer', '"START >> witer', "g.toml:4:3: .*did you mean 'writer'"),
        ("json", '"good": "it', '"bad": "it', "g.json:8:47: .*'bad' is given twice"),
        ("toml", "[nodes]", '[nodes]\ngraph = "x"\ngraph = "y"', r"g.toml:20:\d+: .*overwrite"),
        ("json", "}\n", "},\n", "g.json:10:3: this is not JSON"),
        ("json", "1.5", "NaN", "g.json:4:37: this is not JSON: it has NaN"),
        ("json", "1.5", "9" * 5000, "g.json:4:37: .*more than 4300 digits"),
        ("json", "1.5", "[" * 200, "g.json:4:135: .*nested too deep"),
        ("toml", "1.5", "[" * 200, "g.toml:8:132: .*nested too deep"),
        ("toml", "1.5", "9" * 5000, "this is not TOML"),
        ("toml", "seconds", "a." * 200 + "seconds", "a key has more than 100 parts"),
        ("toml", "edges = [", "edges = ", "g.toml:3:9: this is not TOML: Invalid value"),
        ("json", "\n{", "\n[", "g.json:3:10: this is not JSON"),
        ("yaml", "\ngraph", "\n\tgraph", "g.yaml:2:1: this is not YAML"),
        ("toml", "graph", "\0graph", r"g.toml:2:1: this is not a text: .*U\+0000"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_column(
    tmp_path: Path, ending: str, old: str, new: str, says: str
) -> None:
    assert old in FORMS[ending]
    file = tmp_path / f"g.{ending}"
    file.write_text(FORMS[ending].replace(old, new, 1), encoding="utf-8")
    with pytest.raises(FileUnreadable, match=says) as caught:
        load_graph(file, Graph)
    assert caught.value.problems
    assert all(problem.line and problem.column for problem in caught.value.problems)


def test_the_line_of_a_problem_is_shown_below_it(tmp_path: Path) -> None:
    file = tmp_path / "g.json"
    file.write_text(JSON.replace('"depth"', '"dept"'), encoding="utf-8")
    with pytest.raises(FileUnreadable) as caught:
        load_graph(file, Graph)
    row = '"limits": {"dept": 3, "seconds": 1.5},'
    space = " " * row.index('"dept')
    assert str(caught.value).splitlines()[1:] == [f"    {row}", f"    {space}^"]


@pytest.mark.parametrize(
    "line",
    [
        'extra: {promt: 1}, model: {name: "openai:x", key: hunter2}',
        'model: {name: "openai:x", "key": "hunter2"}, promt: 1',
        "promt: 1, headers: {token: hunter2 }",
        "promt: 1, password: my hunter2",
        "promt: 1, keys: [x, hunter2]",
        "promt: xoxb-123456789012-abcdefABCDEF",
    ],
)
def test_no_secret_is_shown_with_the_line_of_a_problem(tmp_path: Path, line: str) -> None:
    file = tmp_path / "g.yaml"
    file.write_text(f"graph: g\nnodes:\n  a: {{kind: agent, {line}}}\nedges: [START >> a >> END]\n")
    with pytest.raises(FileUnreadable) as caught:
        load_graph(file, Graph)
    assert "hunter2" not in str(caught.value)
    assert "abcdefABCDEF" not in str(caught.value)


HUGE = {
    "items of a list.yaml": "- a\n" * 1_000_000,
    "open brackets.yaml": "[" * 2_000_000,
    "open brackets.json": "[" * 2_000_000,
    "open brackets.toml": "a = " + "[" * 2_000_000,
    "numbers.json": "[" + "1," * 1_900_000 + "1]",
    "numbers.toml": "a = [" + "1," * 1_900_000 + "1]",
    "tables.toml": "[[a]]\n" * 600_000,
    "parts of a key.toml": "a." * 2_000_000 + "b = 1",
    "quotes.toml": '"' * 2_000_000,
    "backslashes.toml": 'a = "x\\' * 500_000,
    "quotes.json": '"' * 2_000_000,
    "dashes.yaml": "- " * 1_000_000,
    "tags.yaml": "!!str " * 600_000,
    "a comment.yaml": "#" * (MAX_BYTES - 1),
    "a text.yaml": "a: |\n" + " x\n" * 1_000_000,
}


@pytest.mark.parametrize("name", HUGE)
def test_a_file_of_megabytes_is_read_or_refused_soon(name: str) -> None:
    with soon():
        try:
            parse(HUGE[name], name)
        except FileUnreadable as error:
            assert len(str(error)) < 1_000
