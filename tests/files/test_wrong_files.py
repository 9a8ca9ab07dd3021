"""Wrong files: each is refused with place and hint, in a sentence, by the library and by the command.

They are made from right ones by changing one thing, the same way each time; those that need a thought are written by hand.
"""

from __future__ import annotations

import copy
import json
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from graphflow import Graph
from graphflow.cli.app import run_app
from graphflow.errors import FileUnreadable, GraphError
from graphflow.files import load_graph
from graphflow.files.values import Checker, Keys, Subject, ValueShape
from graphflow.files.words import KINDS, graph_shape, node_shape
from tests.effort import cost_of_piece

SEED = 14
STEPS = """
from graphflow import node, tool

@tool
async def search(query: str) -> list[str]:
    "Search."
    return [query]

@node
async def echo(text: str) -> str:
    return text

def is_long(text) -> bool:
    return len(text) > 5
"""
RIGHT = """
graph: right
model: local:smollm2
description: Has some of everything.
limits: {depth: 3, steps: 100, seconds: 30}
messages:
  Question: {fields: {text: {type: str, min_length: 1}, size: int}}
  Answer: {description: What comes out., fields: {text: str, sure: {type: float, ge: 0, le: 1}}}
state:
  notes: {type: "list[str]", start: [], merge: extend}
memories:
  diary: {kind: notes, limit: 3}
claims: ["AtMost(writer, 5)"]
policy: {deny: [delete]}
nodes:
  asker: {kind: human, input: Question, output: str, timeout: 60}
  writer:
    kind: agent
    input: str
    output: Answer | str
    prompt: "{{ message }}"
    tools: [wrong_steps:search, helper, run_python]
    sub_agents: [deep]
    recalls: [recall_diary]
    adds: [notes]
    max_turns: 4
    temperature: 0.5
    retry: {attempts: 2, wait_s: 0}
  helper: {kind: agent, input: str, handoffs: []}
  deep: {kind: sub-agent, target: inner, isolation: forked, limits: {steps: 5}}
  inner: {kind: agent, input: str}
  run_python: {kind: code, seconds: 2, calls: [wrong_steps:search]}
  way: {kind: router, input: str, labels: {good: it is, bad: it is not}}
  pause: {kind: wait, seconds: 1, input: str}
  news: {kind: receive, type: str, timeout: 5, input: str}
  late: wrong_steps:echo
edges:
  - START >> asker
  - asker[str] >> writer
  - asker[TimedOut] >> END
  - writer[str] >> way
  - way['bad'].limit(2) >> writer
  - way['good'] >> pause >> news
  - news[str] >> late >> END
  - news[TimedOut] >> END
  - writer[Answer] >> END
"""

HINT = re.compile(
    r"did you mean|there (is|are)[: ]|must be|must not|write |give |leave |needs |lacks |add |save it|put |rename|name a"
    r"|is not one of: |a file names only code|its ports are: |it has|is named|is not a folder|there is no file|declare it|move it|expected"
    r"|this is not (YAML|JSON|TOML|a text): "
)
"""What to do about it; of a text that cannot be read, what was expected where."""


def right(project: Path) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(RIGHT)
    return data


def entries(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every key and item below a value, with the way to it."""
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for key, inner in pairs:
        yield (*path, key), inner
        yield from entries(inner, (*path, key))


def at(declared: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        declared = declared[step]
    return declared


FREE = {"state", "nodes", "memories", "messages", "labels", "fields"}
"""Keys below which names are free."""
WRONG: tuple[Any, ...] = (3.5, "°", True, [[]], {"x": {}}, None, [{"y": 1}], -7, "", [3])


def misspelt() -> Iterator[tuple[str, Any]]:
    """Each key with a slip of the pen."""
    base = right(Path())
    for path, value in entries(base):
        key = path[-1]
        is_free = len(path) > 1 and path[-2] in FREE
        if not isinstance(key, str) or is_free or len(key) < 3:
            continue
        declared = copy.deepcopy(base)
        around = at(declared, path[:-1])
        del around[key]
        around[f"{key[0]}{key[2]}{key[1]}{key[3:]}x"] = value
        yield f"key {' '.join(map(str, path))}", declared


def problems_of(value: Any, shape: ValueShape) -> int:
    checker = Checker()
    checker.check(value, shape, Subject((), "x"))
    return len(checker.problems)


def of_wrong_types() -> Iterator[tuple[str, Any]]:
    """A value of a wrong type at every key that there is, of the graph and of each kind."""
    chosen = random.Random(SEED)
    for kind in (None, *KINDS):
        shape: Keys = graph_shape("g") if kind is None else node_shape(kind, "x")
        for key, inner in shape.keys.items():
            wrong = [value for value in WRONG if problems_of(value, inner)]
            for value in chosen.sample(wrong, min(2, len(wrong))):
                declared = right(Path())
                place = declared
                if kind is not None:
                    place = declared["nodes"]["extra"] = {"kind": kind}
                place[key] = value
                yield f"{kind or 'graph'}.{key} = {value!r}", declared


def of_wrong_words() -> Iterator[tuple[str, Any]]:
    """Each text that means something, with a slip of the pen: kinds, types, callees, states, arrows."""
    base = right(Path())
    meaning = {"kind", "input", "output", "type", "tools", "sub_agents", "recalls", "adds", "edges"}
    meaning |= {"merge", "isolation", "claims", "target", "calls", "late"}
    for path, value in entries(base):
        if not isinstance(value, str) or not meaning & set(path):
            continue
        found = re.search(r"[a-zA-Z_]{4,}(?!.*[a-zA-Z_]{4,})", value)
        if found is None:
            continue
        word = found[0]
        declared = copy.deepcopy(base)
        at(declared, path[:-1])[path[-1]] = value.replace(word, word[:-1] + "qq")
        yield f"word {' '.join(map(str, path))}", declared


def halves() -> Iterator[tuple[str, str]]:
    """Files that were saved up to somewhere."""
    chosen = random.Random(SEED)
    last = RIGHT.index("  - START")
    texts = {
        "yaml": RIGHT,
        "json": json.dumps(right(Path()), indent=2),
    }
    for ending, text in texts.items():
        end = last if ending == "yaml" else len(text) - 2
        for position in sorted(chosen.sample(range(20, end), 20)):
            yield f"half {position}.{ending}", text[:position]


def twice() -> Iterator[tuple[str, str]]:
    """Files in which a line stands twice: a key that is given twice, or an arrow that is there already."""
    rows = RIGHT.splitlines(keepends=True)
    for number, row in enumerate(rows):
        if re.match(r" *\w+:", row) and not row.rstrip().endswith(":"):
            yield f"twice {number}.yaml", "".join([*rows[: number + 1], *rows[number:]])


HEAD = "graph: g\nnodes:\n  a: {kind: agent, input: str}\n  b: {kind: wait, seconds: 0}\n"
AGENT = "graph: g\nnodes:\n  a: {kind: agent, input: str, X}\nedges: [START >> a >> END]\n"
BY_HAND: Mapping[str, str | bytes] = {
    "empty.yaml": "",
    "empty.json": "",
    "empty.toml": "",
    "comment.yaml": "# nothing\n",
    "list.yaml": "- a\n- b\n",
    "text.yaml": "hello",
    "number.json": "3",
    "null.json": "null",
    "binary.yaml": bytes(range(256)),
    "picture.yaml": b"\x89PNG\r\n\x1a\n\x00\x00",
    "program.json": b"\x7fELF\x02\x01\x01\x00",
    "utf16.yaml": HEAD.encode("utf-16"),
    "utf16.json": '{"graph": "g"}'.encode("utf-16-le"),
    "latin.toml": 'graph = "café"'.encode("latin-1"),
    "zip.toml": b"PK\x03\x04\x14\x00",
    "bomb.yaml": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{n}: &{n} [{', '.join([f'*{p}'] * 9)}]\n"
        for p, n in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "circle.yaml": "a: &a [*a]\n",
    "deep.yaml": "[" * 500,
    "deep.json": "[" * 5000,
    "deep.toml": "a = " + "[" * 5000,
    "tab.yaml": "graph: g\nnodes:\n\ta: x\n",
    "tag.yaml": "graph: !!python/object/apply:os.system [ls]\n",
    "two documents.yaml": "graph: g\n---\ngraph: h\n",
    "quote.yaml": 'graph: "g\nedges: []\n',
    "comma.json": '{"graph": "g",}',
    "comment.json": '{"graph": "g" /* x */}',
    "quotes.json": "{'graph': 'g'}",
    "nan.json": '{"graph": NaN}',
    "twice.json": '{"graph": "g", "graph": "h"}',
    "twice.toml": 'graph = "g"\ngraph = "h"\n',
    "value.toml": "graph = g\n",
    "header.toml": "[nodes\n",
    "table.toml": 'nodes = 3\n[nodes.a]\nkind = "wait"\n',
    "python.yaml": "from graphflow import Graph\n",
    "no way out.yaml": HEAD + "edges:\n  - START >> a\n",
    "no end.yaml": HEAD + "edges:\n  - START >> a >> b >> a\n",
    "no start.yaml": HEAD + "edges:\n  - a >> END\n",
    "no edges.yaml": HEAD,
    "no arrows.yaml": HEAD + "edges: []\n",
    "arrow.yaml": HEAD + "edges: [START > a > END]\n",
    "arrow text.yaml": HEAD + "edges: START >> a >> END\n",
    "bracket.yaml": HEAD + 'edges: ["START >> (a >> END"]\n',
    "call.yaml": HEAD + "edges: [\"__import__('os').system('ls') >> a\"]\n",
    "guard.yaml": HEAD + 'edges: ["START >> a", "a.when(\'os:system\') >> END"]\n',
    "laps.yaml": HEAD + 'edges: ["START >> a", "a.limit(-1) >> END"]\n',
    "port.yaml": HEAD + "edges: [\"START >> a.into('x') >> END\"]\n",
    "label.yaml": HEAD + 'edges: ["START >> a", "a[\'x\'] >> END"]\n',
    "start.yaml": HEAD + "edges: [a >> START, START >> a >> END]\n",
    "unused.yaml": HEAD + "edges: [START >> a >> END, b >> b]\n",
    "name.yaml": "graph: ''\nedges: []\n",
    "nodes.yaml": "graph: g\nnodes: [a]\nedges: [START >> a >> END]\n",
    "node.yaml": "graph: g\nnodes: {a: 3}\nedges: [START >> a >> END]\n",
    "node text.yaml": "graph: g\nnodes: {a: agent}\nedges: [START >> a >> END]\n",
    "number key.yaml": "graph: g\nnodes: {1: {kind: agent}}\nedges: [START >> a >> END]\n",
    "no kind.yaml": "graph: g\nnodes: {a: {input: str}}\nedges: [START >> a >> END]\n",
    "module.yaml": "graph: g\nnodes: {a: 'os:system'}\nedges: [START >> a >> END]\n",
    "missing.yaml": "graph: g\nnodes: {a: 'nowhere.at_all:x'}\nedges: [START >> a >> END]\n",
    "prompt.yaml": AGENT.replace("X", "prompt: '{{ nothing }}'"),
    "template.yaml": AGENT.replace("X", "prompt: '{{ message'"),
    "prompt file.yaml": AGENT.replace("X", "prompt_file: nowhere.md"),
    "two prompts.yaml": AGENT.replace("X", "prompt: a, prompt_file: wrong_steps.py"),
    "type.yaml": AGENT.replace("input: str, X", "input: 'list[strr]'"),
    "type call.yaml": AGENT.replace("input: str, X", "input: 'print(1)'"),
    "provider.yaml": AGENT.replace("X", "model: {name: 'opnai:x'}"),
    "model.yaml": AGENT.replace("X", "model: {name: 'openai:x', rmp: 3}"),
    "key.yaml": AGENT.replace("X", "model: {name: 'openai:x', key: sk-123}"),
    "rpm.yaml": AGENT.replace("X", "model: {name: 'openai:x', rpm: soon}"),
    "failover.yaml": AGENT.replace("X", "model: {failover: []}"),
    "example.yaml": AGENT.replace("X", "examples: [[a]]"),
    "example type.yaml": AGENT.replace("X", "examples: [[3, a]]"),
    "callee.yaml": AGENT.replace("X", "tools: [serch]"),
    "handoff.yaml": AGENT.replace("X", "handoffs: [nobody]"),
    "state.yaml": AGENT.replace("X", "adds: [nothing]"),
    "retry.yaml": AGENT.replace("X", "retry: {attempts: 0}"),
    "word guard.yaml": AGENT.replace("X", "before: ['Lenght(3)']"),
    "guard value.yaml": AGENT.replace("X", "before: ['Length(x())']"),
    "claim.yaml": "claims: ['Befor(a, b)']\n" + HEAD + "edges: [START >> a >> b >> END]\n",
    "claim name.yaml": "claims: ['Before(a, c)']\n" + HEAD + "edges: [START >> a >> b >> END]\n",
    "claim code.yaml": "claims: ['open(1)']\n" + HEAD + "edges: [START >> a >> b >> END]\n",
    "start value.yaml": "state: {n: {type: int, start: x}}\n"
    + HEAD
    + "edges: [START >> a >> END]\n",
    "merge.yaml": "state: {n: {type: int, merge: extnd}}\n" + HEAD + "edges: [START >> a >> END]\n",
    "include.yaml": "include: nowhere.yaml\n" + HEAD + "edges: [START >> a >> b >> END]\n",
    "itself.yaml": "include: itself.yaml\n" + HEAD + "edges: [START >> a >> b >> END]\n",
    "outside.yaml": "include: ../../x.yaml\n" + HEAD + "edges: [START >> a >> b >> END]\n",
    "message.yaml": "messages: {A: {fields: {x: strr}}}\n" + HEAD + "edges: [START >> a >> END]\n",
    "loop message.yaml": "messages: {A: {fields: {x: A}}}\n"
    + HEAD
    + "edges: [START >> a >> END]\n",
    "both.yaml": "graph: g\nnodes: {a: {kind: wait, seconds: 1, until: 'x:y'}}\nedges: [START >> a >> END]\n",
    "when.yaml": "graph: g\nnodes: {a: {kind: wait, until: '2030-01-01T25:00'}}\nedges: [START >> a >> END]\n",
    "no zone.yaml": "graph: g\nnodes: {a: {kind: wait, input: str, until: '2030-01-01T10:00'}}\nedges: [START >> a >> END]\n",
    "server.yaml": "graph: g\nnodes: {a: {kind: mcp}}\nedges: [START >> a >> END]\n",
    "skills.yaml": "graph: g\nnodes: {a: {kind: skills, folders: nowhere}}\nedges: [START >> a >> END]\n",
    "cascade.yaml": "graph: g\nnodes: {a: {kind: router, cascade: [x]}}\nedges: [START >> a >> END]\n",
    "router.yaml": "graph: g\nnodes: {a: {kind: router, input: str}}\nedges: [START >> a >> END]\n",
    "target.yaml": "graph: g\nnodes: {a: {kind: sub-agent, target: x}}\nedges: [START >> a >> END]\n",
}


def as_files(made: Callable[[], Iterator[tuple[str, Any]]]) -> Iterator[tuple[str, str | bytes]]:
    """Data as texts, in YAML and JSON by turns."""
    for number, (name, declared) in enumerate(made()):
        if number % 3 == 2:
            yield f"{name}.json", json.dumps(declared, indent=1)
        else:
            yield f"{name}.yaml", yaml.safe_dump(declared, sort_keys=False, allow_unicode=True)


GROUPS: dict[str, Callable[[], Iterable[tuple[str, str | bytes]]]] = {
    "keys": lambda: as_files(misspelt),
    "types": lambda: as_files(of_wrong_types),
    "words": lambda: as_files(of_wrong_words),
    "halves": halves,
    "twice": twice,
    "by hand": BY_HAND.items,
}


@cache
def files_of(group: str) -> list[tuple[str, str | bytes]]:
    return list(GROUPS[group]())


def test_there_are_enough_of_them() -> None:
    assert sum(len(files_of(group)) for group in GROUPS) >= 300
    assert len(files_of("by hand")) >= 80


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: a module of another project with that name would be refused, and hide what is wrong."""
    folder = tmp_path_factory.mktemp("wrong") / "graphs"
    folder.mkdir()
    (folder / "wrong_steps.py").write_text(STEPS)
    return folder


def test_what_they_are_made_from_is_right(project: Path) -> None:
    (project / "right.yaml").write_text(RIGHT)
    load_graph(project / "right.yaml", Graph)
    (project / "right.json").write_text(json.dumps(yaml.safe_load(RIGHT)))
    load_graph(project / "right.json", Graph)


@pytest.mark.parametrize("group", GROUPS)
def test_every_wrong_file_is_refused_with_place_and_hint(project: Path, group: str) -> None:
    bad: list[str] = []
    slow_s = 1_000 * cost_of_piece()
    for name, content in files_of(group):
        ending = name.rpartition(".")[2]
        file = project / f"{'itself' if 'itself' in name else 'wrong'}.{ending}"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        begun = time.process_time()
        problem = _problem_of(file)
        if time.process_time() - begun > slow_s:
            problem += " (slow)"
        if problem:
            bad.append(f"{name}: {problem}")
    assert bad == []


def _problem_of(file: Path) -> str:
    """What is wrong with how a wrong file is refused; empty if nothing is."""
    try:
        load_graph(file, Graph)
    except (FileUnreadable, GraphError) as error:
        text = str(error)
    except Exception as error:
        return f"raises {type(error).__name__}: {error}"
    else:
        return "is taken"
    if not re.search(rf"{file.name}:\d+:\d+", text):
        return f"no place: {text}"
    if not HINT.search(text):
        return f"no hint: {text}"
    if re.search(r"\b(Type|Attribute|Key|Index|Value|Recursion|Name)Error\b|Traceback", text):
        return f"raw: {text}"
    return ""


def test_the_command_says_the_same_without_a_traceback(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = random.Random(SEED)
    every = [each for group in GROUPS for each in files_of(group)]
    for name, content in chosen.sample(every, 40):
        file = project / f"wrong.{name.rpartition('.')[2]}"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        code = run_app(["check", str(file)])
        shown = capsys.readouterr().err
        assert code == 2, name
        assert "Traceback" not in shown, name
        assert re.search(rf"{file.name}:\d+:\d+", shown), name
