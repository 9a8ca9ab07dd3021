"""What a graph file can reach, what it costs to read one, and what is said of one that is wrong."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphflow import END, MCP, START, Agent, Graph, Policy, node
from graphflow.errors import FileUnreadable, GraphError
from graphflow.files import load_graph, read_graph
from graphflow.files.loader import parse
from graphflow.files.words import KINDS, graph_shape, options
from graphflow.project import load, roots
from graphflow.testing import ScriptedModel
from tests.conftest import walk

STEPS = """
import os
import subprocess
from os import environ, system
from shutil import rmtree
from typing import Literal

from graphflow import node, tool
from trusted_words import is_long

@node
async def echo(text: str) -> str:
    return text

@tool
async def look(at: str) -> str:
    "Look."
    return at

def is_short(text: str) -> bool:
    return len(text) < 5

def rule(text: str) -> Literal["yes", "no"]:
    return "yes"

def _inner(text: str) -> bool:
    return True

class Holder:
    system = os
"""
WORDS = "def is_long(text):\n    return len(text) > 5\n"
GUARDED = """
graph: guarded
nodes:
  way: {kind: router, input: str, guards: {yes: "GUARD"}, otherwise: no}
edges:
  - START >> way
  - way['yes'] >> END
  - way['no'] >> END
"""


@pytest.fixture
def project(tmp_path: Path) -> Any:
    """A project with steps of its own; its modules are forgotten afterwards."""
    root = tmp_path / "own"
    (root / "graphs").mkdir(parents=True)
    (root / "nodes").mkdir()
    (root / "trusted_steps.py").write_text(STEPS)
    (root / "trusted_words.py").write_text(WORDS)
    before = set(sys.modules)
    yield root
    for name in set(sys.modules) - before:
        if name.startswith(("trusted_", "nodes.trusted", "graphs.trusted", "stray")):
            del sys.modules[name]


def written(folder: Path, text: str, name: str = "g.yaml") -> Path:
    file = folder / name
    file.write_text(textwrap.dedent(text))
    return file


# -- what a file can reach -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("guard", "says"),
    [
        ("os:system", "'os' is not a module of the project"),
        ("builtins:print", "'builtins' is not a module of the project"),
        ("yaml:safe_load", "'yaml' is not a module of the project"),
        ("graphflow.redaction:scrub", "name a function of the project"),
        ("graphflow.__main__:app", "not a module of the project"),
        ("trusted_steps:system", "a function; write a function"),
        ("trusted_steps:rmtree", "which trusted_steps imports from shutil"),
        ("trusted_steps:is_long", "which trusted_steps imports from trusted_words"),
        ("trusted_steps:os.system", "no 'system'"),
        ("trusted_steps:subprocess.run", "has no 'run'"),
        ("trusted_steps:Holder.system.system", "no 'system'"),
        ("trusted_steps:environ", "of type _Environ"),
        ("trusted_steps:look", "a node, tool"),
        ("trusted_steps:_inner", "write a function, def inner"),
        ("trusted_steps:Holder", "a class"),
        ("trusted_steps:__builtins__", "has no '__builtins__'"),
        ("..trusted_steps:is_short", "not a module of the project"),
        ("/etc/passwd:x", "not a module of the project"),
        ("trusted_steps:", "has no ''"),
    ],
)
@pytest.mark.parametrize("place", ["guard", "rule", "arrow"])
def test_only_functions_that_the_project_defines_are_called(
    project: Path, guard: str, says: str, place: str
) -> None:
    text = GUARDED.replace("GUARD", guard)
    if place == "rule":
        text = text.replace(f'guards: {{yes: "{guard}"}}, otherwise: no', f'rule: "{guard}"')
    if place == "arrow":
        text = f"graph: g\nnodes:\n  a: trusted_steps:echo\nedges:\n  - START >> a\n  - a.when('{guard}') >> END\n  - a.otherwise >> END\n"
    with pytest.raises(FileUnreadable) as caught:
        load_graph(written(project / "graphs", text), Graph)
    assert "os.environ" not in str(caught.value)
    assert "PATH" not in str(caught.value)
    if place == "guard":
        assert re.search(says, str(caught.value)), str(caught.value)


def test_functions_nodes_and_types_of_the_project_are_found_by_their_place(project: Path) -> None:
    """In the project's root, in `nodes`, and beside the file; what they import of each other, too."""
    (project / "nodes" / "trusted_node.py").write_text(
        "from trusted_words import is_long\nfrom trusted_steps import echo\n"
    )
    (project / "graphs" / "trusted_beside.py").write_text(
        "from trusted_words import is_long as long\ndef fine(m):\n    return True\n"
    )
    for guard in (
        "trusted_steps:is_short",
        "trusted_words:is_long",
        "trusted_beside:fine",
        "graphs.trusted_beside:fine",
    ):
        graph = load_graph(written(project / "graphs", GUARDED.replace("GUARD", guard)), Graph)
        assert walk(graph, "abcdefgh").error is None
    graph = load_graph(
        written(
            project / "graphs",
            "graph: g\nnodes:\n  a: nodes.trusted_node:echo\nedges:\n  - START >> a >> END\n",
        ),
        Graph,
    )
    assert walk(graph, "x").output == "x"
    assert str(project) not in sys.path
    assert str(project / "graphs") not in sys.path


def test_a_program_says_where_the_modules_of_a_file_are(project: Path, tmp_path: Path) -> None:
    text = GUARDED.replace("GUARD", "trusted_words:is_long")
    with pytest.raises(FileUnreadable, match="not a module of the project"):
        Graph.from_yaml(str(written(tmp_path, text)))
    assert Graph.from_yaml(str(written(tmp_path, text)), root=str(project)).name == "guarded"


def test_a_module_beside_a_file_is_nobody_elses(tmp_path: Path) -> None:
    """Neither one that shadows a package, nor one that a package would only try to import."""
    elsewhere = tmp_path / "downloads" / "deeper"
    elsewhere.mkdir(parents=True)
    for folder in (elsewhere, elsewhere.parent):
        for name in (
            "jinja2",
            "json",
            "stray_optional",
            "brotli",
            "orjson",
            "mcp",
            "uvloop",
            "typing_extensions",
        ):
            (folder / f"{name}.py").write_text(
                "open('/dev/null')\nraise SystemExit('a stray module was imported')\n"
            )
    written(
        elsewhere,
        'graph: g\nmodel: local:smollm2\nnodes:\n  a: {kind: agent, input: str, prompt: "{{ message }}"}\nedges:\n  - START >> a >> END\n',
    )
    code = (
        "import sys, importlib\n"
        "from graphflow.project import load\n"
        f"load({str(elsewhere / 'g.yaml')!r})\n"
        "import jinja2, json\n"
        "try:\n    importlib.import_module('stray_optional')\nexcept ImportError:\n    print('not found')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=os.path.dirname(sys.executable),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "not found", done.stderr


def test_a_module_with_the_name_of_a_package_is_refused(project: Path) -> None:
    (project / "jinja2.py").write_text("def fine(m):\n    return True\n")
    (project / "json.py").write_text("def fine(m):\n    return True\n")
    for name in ("jinja2", "json"):
        with pytest.raises(
            FileUnreadable, match=f"is called like the module '{name}'.*rename the file"
        ):
            load_graph(written(project / "graphs", GUARDED.replace("GUARD", f"{name}:fine")), Graph)


def test_another_module_of_the_same_name_is_not_taken_for_it(project: Path, tmp_path: Path) -> None:
    load_graph(
        written(project / "graphs", GUARDED.replace("GUARD", "trusted_words:is_long")), Graph
    )
    other = tmp_path / "other"
    (other / "graphs").mkdir(parents=True)
    (other / "trusted_words.py").write_text(WORDS)
    with pytest.raises(FileUnreadable, match="another one of that name is loaded from"):
        load_graph(
            written(other / "graphs", GUARDED.replace("GUARD", "trusted_words:is_long")), Graph
        )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("1 / 0", r"trusted_bad.py:1\) cannot be run: ZeroDivisionError"),
        ("raise SystemExit(3)", "cannot be run: SystemExit"),
        ("def (", "cannot be run: SyntaxError"),
        ("import trusted_nothing", "cannot be imported"),
        ("raise KeyError('sk-0123456789abcdefghijklm')", r"\[secret\]"),
    ],
)
def test_a_module_that_breaks_is_told_with_its_line(project: Path, body: str, says: str) -> None:
    (project / "trusted_bad.py").write_text(body)
    with pytest.raises(FileUnreadable, match=r"g.yaml:4:\d+: .*" + says):
        load_graph(written(project / "graphs", GUARDED.replace("GUARD", "trusted_bad:fine")), Graph)


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_a_folder_above_that_everybody_may_write_to_is_no_project(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "graphs").mkdir(parents=True)
    (shared / "mine").mkdir()
    assert roots(shared / "mine")[0] == shared.resolve()
    shared.chmod(0o1777)
    assert shared.resolve() not in roots(shared / "mine")
    assert roots(shared)[0] == shared.resolve()


@pytest.mark.usefixtures("project")
def test_a_project_may_keep_its_modules_in_src_or_be_a_package_itself(tmp_path: Path) -> None:
    root = tmp_path / "trusted_package"
    for folder in ("graphs", "src"):
        (root / folder).mkdir(parents=True)
    (root / "words.py").write_text(WORDS)
    (root / "src" / "trusted_inside.py").write_text(WORDS)
    (tmp_path / "trusted_package.py").write_text(WORDS)
    for guard in ("trusted_package.words:is_long", "trusted_inside:is_long"):
        assert (
            load_graph(written(root / "graphs", GUARDED.replace("GUARD", guard)), Graph).name
            == "guarded"
        )
    # It stands beside the project.
    with pytest.raises(FileUnreadable, match="not a module of the project"):
        load_graph(
            written(root / "graphs", GUARDED.replace("GUARD", "trusted_package:is_long")), Graph
        )


# -- what it costs to read one ---------------------------------------------------------------------
def test_yaml_is_read_as_its_version_1_2_says() -> None:
    text = "[no, on, 1:30, 1:30.5, 010, 0o10, 0x1F, 1_000, 1e3, .5, 1., -.inf, ~, null, true, 2020-01-01, +12, =, 0b1, <<]"
    assert parse(text, "f").data == [
        *(
            "no",
            "on",
            "1:30",
            "1:30.5",
            10,
            8,
            31,
            "1_000",
            1000.0,
            0.5,
            1.0,
            float("-inf"),
            None,
            None,
            True,
        ),
        *("2020-01-01", 12, "=", "0b1", "<<"),
    ]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(12)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "aliases stand for"),
        ("a: &a [*a]", "leads back"),
        ("a: &a {b: &b [*a], c: *b}", "leads back"),
        ("[" * 3000, "nested too deep"),
        ("a: " + "{b: " * 3000, "nested too deep"),
        ("? [1]\n: 2", "a key must be a word"),
        ("a: 1\na: 2", "f:2:1: .*is given twice"),
        ("a: !!int x", "not a whole number"),
        ("a: !!float x", "not a number"),
        ("a: !!bool x", "neither true nor false"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: !!binary aGk=", "could not determine a constructor"),
        ("a: !own x", "could not determine a constructor"),
        ("n: " + "9" * 5000, "4300 digits"),
        ("\x01", "f:1:1: this is not a text"),
        ("a: 1\n---\nb: 2", "is not YAML"),
        ("%YAML 9.9\n--- a", "is not YAML"),
        ("a: *b", "undefined alias"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(FileUnreadable, match=f"(?s){says}"):
        parse(text, "f")


def test_an_alias_may_stand_for_the_same_twice() -> None:
    graph = read_graph(
        parse(
            "graph: g\nnodes:\n  a: &a {kind: agent, input: str}\n  b: *a\nedges:\n  - START >> a >> b >> END\n",
            "f",
        ).data,
        Graph,
    )
    assert [each.name for each in graph.nodes] == ["a", "b"]


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices as POSIX has them")
def test_only_a_file_of_reasonable_size_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "large.yaml").write_bytes(b"# " + b"x" * (5 * 1024 * 1024))
    (tmp_path / "latin.yaml").write_bytes(b"graph: caf\xe9")
    for name, says in {
        "pipe": "a pipe or device",
        "zero": "a pipe or device",
        "folder": "a folder",
        "large": "more than",
        "latin": "not UTF-8",
        "missing": "there is no file",
        "nul\0": "cannot be read",
    }.items():
        with pytest.raises(FileUnreadable, match=says):
            load(str(tmp_path / f"{name}.yaml"))
    for prompt in ("pipe.yaml", "zero.yaml"):
        text = f"graph: g\nnodes:\n  a: {{kind: agent, input: str, prompt_file: {prompt}}}\nedges:\n  - START >> a >> END\n"
        with pytest.raises(FileUnreadable, match=r"g.yaml:3:\d+: .*a pipe or device"):
            load_graph(written(tmp_path, text), Graph)


# -- what is said of one that is wrong -------------------------------------------------------------
WHOLE: dict[str, Any] = {
    "graph": "g",
    "model": "local:smollm2",
    "nodes": {
        "a": {"kind": "agent", "input": "str"},
        "r": {
            "kind": "router",
            "input": "str",
            "guards": {"yes": "trusted_steps:is_short"},
            "otherwise": "no",
        },
        "l": {"kind": "router", "input": "str", "labels": {"x": "X", "y": "Y"}},
        "s": {"kind": "sub-agent", "target": "helper"},
        "helper": {"kind": "agent", "input": "str"},
        "c": {"kind": "code"},
        "k": {"kind": "skills", "folders": ["skills"]},
        "m": {"kind": "mcp", "command": ["server"]},
        "u": {"kind": "mcp", "url": "http://host/mcp"},
        "boss": {
            "kind": "agent",
            "input": "str",
            "tools": ["c", "k"],
            "sub_agents": ["s"],
            "mcp": ["m", "u"],
        },
    },
    "edges": [
        *("START >> boss >> r", "r['yes'] >> a >> END", "r['no'] >> l"),
        *("l['x'] >> END", "l['y'] >> END"),
    ],
}


@pytest.fixture
def whole(project: Path) -> Path:
    (project / "skills" / "bread").mkdir(parents=True)
    (project / "skills" / "bread" / "SKILL.md").write_text(
        "---\nname: bread\ndescription: Baking.\n---\nBake."
    )
    (project / "g.yaml").write_text(yaml.safe_dump(WHOLE, sort_keys=False))
    return project / "g.yaml"


@pytest.mark.parametrize(
    ("where", "key", "value", "says"),
    [
        ("a", "turns", "x", "turns of agent 'a' is 'x'; it must be a whole number of at least 1"),
        ("a", "turns", True, "turns of agent 'a' is True"),
        ("a", "turns", 2.5, "turns of agent 'a' is 2.5"),
        ("a", "retry", {"atempts": 3}, "retry of 'a' has no 'atempts'; did you mean 'attempts'"),
        (
            "a",
            "retry",
            {"attempts": 0},
            "attempts of retry of 'a' is 0; it must be a whole number of at least 1",
        ),
        (
            "a",
            "retry",
            "often",
            "retry of agent 'a' is 'often'; it must be a whole number .* or a mapping",
        ),
        (
            "a",
            "timeout_s",
            "1:30",
            "timeout_s of agent 'a' is '1:30'; it must be a positive number",
        ),
        ("a", "timeout_s", float("nan"), "must be a positive number"),
        (
            "a",
            "cache",
            "yes",
            "cache of agent 'a' is 'yes'; it must be true, false or a number of seconds",
        ),
        ("a", "tools", "search", r"tools of agent 'a' is 'search'; it must be a list, \[a, b\]"),
        ("a", "tools", [1], "item 1 of tools of agent 'a' is 1; it must be the name of a node"),
        ("a", "tools", None, "tools of agent 'a' is empty; it must be a list"),
        ("a", "examples", [[1]], "a list of two: the message, the answer"),
        ("a", "prompt", 3, "it must be a text; put it in quotes, '3'"),
        ("a", "prompt", "{{ x", "node 'a': prompt line 1: unexpected end of template"),
        ("a", "input", 3, "input of agent 'a' is 3; it must be a type"),
        ("a", "input", "str[int]", "the type 'str.int.' cannot be made"),
        ("a", "input", "trusted_steps:is_short", "a function, not a type"),
        ("a", "input", "subprocess:Popen", "not a module of the project"),
        (
            "a",
            "policy",
            ["look"],
            "policy of agent 'a' is a list; it must be .* a mapping with allow, deny, effects",
        ),
        ("a", "policy", {"deny": "look"}, "deny of the policy of 'a' is 'look'; it must be a list"),
        ("a", "policy", {"effects": ["fly"]}, "it must be one of reads, writes, network, executes"),
        ("a", "thinking", [1], "it must be true, false, a number of tokens, or an effort"),
        ("a", "temperature", "hot", "temperature of agent 'a' is 'hot'; it must be a number"),
        ("a", "max_tokens", -1, "max_tokens"),
        ("a", "kind", "agnet", "did you mean 'agent'"),
        ("a", "kind", ["agent"], "node 'a' is of kind a list"),
        (
            "a",
            "handoffs",
            [{"target": 1}],
            "target of a hand-over of 'a' is 1; it must be the name of a node",
        ),
        ("r", "guards", ["x"], "guards of router 'r' is a list; it must be a mapping"),
        ("r", "guards", {True: "x:y"}, "has the key True, which must be a text: put it in quotes"),
        ("r", "threshold", "high", "threshold of router 'r' is 'high'; it must be a number"),
        (
            "l",
            "labels",
            {"x": 1, "y": "Y"},
            "'x' of labels of router 'l' is 1; it must be a text; put it in quotes, '1'",
        ),
        ("s", "isolation", "alone", "it must be one of isolated, shared, forked"),
        (
            "s",
            "limits",
            {"steps": "many"},
            "steps of the limits of 's' is 'many'; it must be a number of at least 0",
        ),
        ("s", "target", {"kind": "agent", "turns": "x"}, "turns of agent 's' is 'x'"),
        ("s", "target", 7, "target of sub-agent 's' is 7"),
        ("c", "seconds", 0, "seconds of code 'c' is 0; it must be a positive number"),
        ("k", "folders", ["nowhere"], "nowhere"),
        (
            "m",
            "env",
            {"PORT": 80},
            "'PORT' of env of mcp 'm' is 80; it must be a text; put it in quotes, '80'",
        ),
        ("m", "command", "server --x", "command of mcp 'm' is 'server --x'; it must be a list"),
        ("m", "scope", "always", "it must be one of run, conversation, process"),
        ("u", "url", "ftp://x", "mcp|address|http"),
        (None, "nodes", ["a"], "nodes of a graph is a list; it must be .* a mapping"),
        (
            None,
            "edges",
            "START >> a",
            r"edges of a graph is 'START >> a'; it must be a list, \[a, b\]",
        ),
        (
            None,
            "edges",
            [{"a": "b"}],
            "item 1 of edges of a graph is a mapping; it must be an arrow in one text",
        ),
        (None, "graph", None, "graph of a graph is empty"),
        (None, "limits", {"depth": "deep"}, "depth of limits is 'deep'"),
        (None, "ends", "any", "it must be one of one, first, all"),
        (None, "model", 3, "model of a graph is 3; it must be provider:model or a mapping"),
        (None, "deps", "os:PathLike", "not a module of the project"),
    ],
)
def test_a_wrong_value_is_told_with_its_line_and_what_is_allowed(
    whole: Path, where: str | None, key: str, value: Any, says: str
) -> None:
    declared = copy.deepcopy(WHOLE)
    (declared if where is None else declared["nodes"][where])[key] = value
    text = yaml.safe_dump(declared, sort_keys=False, width=1000)
    whole.write_text(text)
    with pytest.raises((FileUnreadable, GraphError), match=f"(?s){says}") as caught:
        load_graph(whole, Graph)
    lines = [int(line) for line in re.findall(r"g\.yaml:(\d+):\d+", str(caught.value))][-1:]
    rows = text.splitlines()
    first = next(
        n
        for n, row in enumerate(rows, 1)
        if row.strip().startswith(f"{where}:" if where else f"{key}:")
    )
    assert lines
    assert min(lines) >= first
    assert min(lines) <= first + 12


def test_all_problems_of_a_file_are_told_at_once(project: Path) -> None:
    text = """\
    graph: g
    limits: {dept: 3}
    nodes:
      a: {kind: agent, turns: x, promt: y}
      b: trusted_steps:nothing
      c: {kind: router, input: str, guards: {yes: "os:system"}, otherwise: no}
      d: trusted_steps:echo
    edges:
      - START >> a >> d
      - d >> z
      - d >>
      - c['yes'] >> END
    """
    with pytest.raises(FileUnreadable) as caught:
        load_graph(written(project, text), Graph)
    told = str(caught.value)
    assert told.splitlines()[0].endswith("g.yaml has 7 problems:")
    for line, says in (
        (2, "limits has no 'dept'; did you mean 'depth'"),
        (4, "turns of agent 'a' is 'x'"),
        (4, "agent 'a' has no 'promt'; did you mean 'prompt'"),
        (5, "has no 'nothing'"),
        (6, "'os' is not a module of the project"),
        (10, "names 'z', and there is no such node"),
        (11, "cannot be read"),
    ):
        assert any(f"g.yaml:{line}:" in row and says in row for row in told.splitlines()), (
            says,
            told,
        )


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 10**6),
        st.floats(),
        st.text(max_size=6),
        st.sampled_from(
            [
                *(
                    "a",
                    "boss",
                    "str",
                    "list[str]",
                    "str | None",
                    "m:f",
                    "os:system",
                    "trusted_steps:is_short",
                    "$NAME",
                ),
                *(
                    "trusted_steps:echo",
                    "START >> a >> END",
                    "a.each >> boss",
                    "a.limit(True)",
                    "(a, l).each >> a",
                ),
                *(
                    "START['x'] >> a",
                    "'a' >> r",
                    "a.when('os:system') >> r",
                    "a.into('x')",
                    "a >> 1",
                    "{{ x }}",
                    "{% for",
                ),
                *("local:smollm2", "nobody:m", "isolated", "1:30", "http://u:p@h", "a" * 300),
            ]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "a",
                    "kind",
                    "target",
                    "allow",
                    "deny",
                    "attempts",
                    "name",
                    "failover",
                    "depth",
                    "x",
                    "1",
                ]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_no_value_anywhere_is_a_traceback(whole: Path, data: st.DataObject) -> None:
    """Any value under any key: the graph is made, or what is wrong is said in a sentence with its place."""
    declared = copy.deepcopy(WHOLE)
    where = data.draw(st.sampled_from([None, *WHOLE["nodes"]]))
    shapes = (
        graph_shape("g").keys
        if where is None
        else {**KINDS[WHOLE["nodes"][where]["kind"]](where), **options(where)}
    )
    key = data.draw(st.sampled_from(sorted(shapes)))
    (declared if where is None else declared["nodes"][where])[key] = data.draw(values)
    whole.write_text(yaml.safe_dump(declared), encoding="utf-8", errors="replace")
    try:
        load_graph(whole, Graph)
    except GraphError:
        pass
    except FileUnreadable as error:
        assert "g.yaml" in str(error)
        assert not any(
            f"{kind}:" in str(error)
            for kind in ("TypeError", "AttributeError", "KeyError", "IndexError")
        )


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(values, st.fixed_dictionaries({"graph": values, "nodes": values, "edges": values}))
)
def test_no_data_at_all_is_a_traceback(declared: Any) -> None:
    with pytest.raises((FileUnreadable, GraphError)):
        read_graph(declared, Graph)


@pytest.mark.parametrize(
    "arrow",
    [
        "START >> " + "a >> " * 3000 + "END",
        "(" * 300 + "a" + ")" * 300,
        "a" * 100_000,
        "a\0b",
        "9" * 5000,
    ],
)
def test_an_arrow_that_is_no_arrow_is_refused_in_a_sentence(project: Path, arrow: str) -> None:
    declared = {"graph": "g", "nodes": {"a": {"kind": "agent", "input": "str"}}, "edges": [arrow]}
    with pytest.raises(FileUnreadable) as caught:
        read_graph(declared, Graph)
    assert len(str(caught.value)) < 600


# -- what a file does not hold ---------------------------------------------------------------------
@pytest.mark.parametrize(
    "server",
    [
        MCP("s", ["x"], env={"DATABASE_URL": "postgres://me:Tr0ub4dor@db/x"}),
        MCP("s", ["x"], env={"PGPASS": "hunter2"}),
        MCP("s", ["x"], env={"GITHUB_PAT": "hunter2"}),
        MCP("s", ["x"], env={"WHATEVER": "xoxb-123456789012-abcdefABCDEF"}),
        MCP("s", ["x"], env={"WHATEVER": "a8F3kLm29QxZ7bT4vN1cR6"}),
        MCP("s", ["x", "--api-key", "hunter2"]),
        MCP("s", ["x", "--token=hunter2"]),
        MCP("s", ["x", "postgres://me:pw@db/x"]),
        MCP("s", "http://host/mcp?key=hunter2"),
        MCP("s", "http://host/mcp?api_key=hunter2"),
        MCP("s", "http://host/s/a8F3kLm29QxZ7bT4vN1cR6/mcp"),
    ],
    ids=lambda server: " ".join(server.command) or server.url,
)
def test_a_servers_secrets_are_not_written(server: MCP) -> None:
    with pytest.raises(
        FileUnreadable, match=r"'s' (holds the value of|has a key in its)"
    ) as caught:
        Graph("g", START >> Agent("a", input=str, mcp=[server]) >> END).to_yaml()
    assert "hunter2" not in str(caught.value)


def test_what_is_plain_about_a_server_is_written() -> None:
    server = MCP(
        "s",
        ["npx", "-y", "@modelcontextprotocol/server-filesystem@2025.1.14", "/usr/share/doc"],
        env={"LANG": "C"},
    )
    other = MCP("t", "https://host.example.com/v1/mcp?version=2&page=1")
    text = Graph("g", START >> Agent("a", input=str, mcp=[server, other]) >> END).to_yaml()
    assert "LANG: C" in text


def test_a_secret_anywhere_in_a_graph_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "canary-7f3a9c51")
    for agent in (
        Agent("a", prompt="Use canary-7f3a9c51."),
        Agent("a", description="glpat-abcdefghij0123456789"),
        Agent("a", extra={"user": {"api_key": "hunter2"}}),
    ):
        with pytest.raises(FileUnreadable, match=r"holds (a secret|the value of)"):
            Graph("g", START >> agent >> END).to_yaml()


@node
async def plain(text: str) -> str:
    return text


@pytest.mark.parametrize("name", ["price clerk", "café", "class", "a-b", "it's", "1st", "START_2"])
def test_a_name_that_is_no_word_of_python_is_there_and_back(name: str) -> None:
    graph = Graph("g", START >> Agent(name, input=str, policy=Policy(deny=["x"])) >> plain >> END)
    again = read_graph(yaml.safe_load(graph.to_yaml()), Graph)
    assert again == graph
    assert walk(again, "x", model=ScriptedModel("y")).output == "y"
