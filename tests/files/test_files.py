"""The same graph in YAML: both forms build the same object."""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from graphflow import (
    END,
    MCP,
    START,
    Agent,
    Code,
    Failure,
    Graph,
    GraphError,
    Limits,
    Media,
    Policy,
    Router,
    SubAgent,
)
from graphflow.declaration import Background
from graphflow.errors import FileUnreadable
from graphflow.files import load_graph, read_graph
from graphflow.files.dump import dump_graph
from graphflow.files.loader import parse
from graphflow.kinds import Computed, Standing
from graphflow.mcp import Elicitation, close_kept
from graphflow.messages import Artifact
from graphflow.project import load
from graphflow.testing import ScriptedModel, calls, gives
from tests.conftest import walk

ROOT = Path(__file__).resolve().parents[2]

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
        gives({"result": [{"text": "a"}]}),
        calls("search", query="x", when="Answer: a"),
        gives({"claim": "found"}),
    )
    run = walk(graph, {"text": "q"}, model=model)
    assert run.output.text == "FOUND"
    assert graph.limits is not None
    assert graph.limits.depth == 3
    assert graph.description == "Finds things out."


def test_a_file_round_trips(folder: Path) -> None:
    graph = load_graph(folder / "research.yaml", Graph)
    text = dump_graph(graph)
    (folder / "again.yaml").write_text(text)
    again = load_graph(folder / "again.yaml", Graph)
    assert again == graph
    assert dump_graph(again) == text


@pytest.mark.parametrize("name", ["desk"])
def test_shipped_graphs_round_trip(name: str) -> None:
    import yaml

    graph = load(name, ROOT)
    again = read_graph(yaml.safe_load(graph.to_yaml()), Graph)
    assert again == graph


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "planner.each",
            "planer.each",
            r"research.yaml:15:5: .*names 'planer'.*did you mean 'planner'",
        ),
        (
            "merge:      yaml_steps:merge",
            "merge:      yaml_steps:merg",
            r":9:3: .*has no 'merg'; did you mean 'merge'",
        ),
        ("yaml_steps:judge", "yaml_step:judge", "'yaml_step' is not a module of the project"),
        ('kind: agent, input: "yaml', 'kind: agnt, input: "yaml', "of kind 'agnt'"),
        ('prompt: "Split', 'promt: "Split', "has no 'promt'; did you mean 'prompt'"),
        ("START >> planner", "START > planner", "has a single >; write >>"),
        ("START >> planner", "START >> (planner", "cannot be read"),
        ("START >> planner", "__import__('os').system('true') >> planner", "is not one of"),
        ("yaml_messages:Finding,", "Finding,", "write module:Name"),
        ("edges:", "egdes:", "did you mean 'edges'"),
        ("limits: {depth: 3", "limits: {dept: 3", "did you mean 'depth'"),
        (
            "  judge:      yaml_steps:judge\n",
            "  judge: yaml_steps:judge\n  judge: yaml_steps:judge\n",
            "is given twice",
        ),
        ("graph: research", "graph: [research", "is not YAML"),
    ],
)
def test_mistakes_are_told_with_file_and_line(folder: Path, old: str, new: str, says: str) -> None:
    assert old in GRAPH
    (folder / "research.yaml").write_text(GRAPH.replace(old, new, 1))
    with pytest.raises(FileUnreadable, match=f"(?s){says}"):
        load_graph(folder / "research.yaml", Graph)


def test_an_unsound_graph_in_a_file_names_its_line(folder: Path) -> None:
    (folder / "research.yaml").write_text(GRAPH.replace("  - judge[Approved] >> END\n", ""))
    with pytest.raises(GraphError, match=r"research.yaml:\d+"):
        load_graph(folder / "research.yaml", Graph)


def test_yaml_is_version_1_2() -> None:
    assert parse("[no, on, yes, true, 2020-01-01]", "f").data == [
        "no",
        "on",
        "yes",
        True,
        "2020-01-01",
    ]


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

    agent = Agent(
        "a", input=str, model="local:smollm2", retry=Retry(attempts=4, wait_s=0.1), timeout_s=3
    )
    router: Router[str, str] = Router(
        "r", input=str, labels=["x", "y"], model="local:smollm2", retry=2, timeout_s=5
    )
    graph = Graph("g", START >> agent >> router, router["x"] >> END, router["y"] >> END)
    assert read_graph(yaml.safe_load(graph.to_yaml()), Graph) == graph
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
  python: {kind: code, calls: [yaml_steps:search, shout], memory_mib: 32, seconds: 2, max_calls: 7, timeout_s: 9}
  skill:  {kind: skills, folders: [skills], runner: python, output_limit: 500}
  shout:  yaml_steps:shout
edges:
  - START >> boss >> END
"""


def test_code_and_skills_have_their_words(folder: Path) -> None:
    (folder / "skills" / "bread").mkdir(parents=True)
    (folder / "skills" / "bread" / "SKILL.md").write_text(
        "---\nname: bread\ndescription: Baking.\n---\nBake."
    )
    (folder / "coded.yaml").write_text(CODED)
    graph = load_graph(folder / "coded.yaml", Graph)
    reached = {node.name: node for node in graph.reach()}
    assert set(reached) == {"boss", "python", "skill", "search", "shout"}
    assert reached["python"].memory_mib == 32  # type: ignore[attr-defined]
    assert graph.to_mermaid().count("-.->") == 5
    text = dump_graph(graph)
    assert "kind: code" in text
    (folder / "again.yaml").write_text(text)
    again = load_graph(folder / "again.yaml", Graph)
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
        (
            "folders: [skills]",
            "folder: skills",
            "skills 'skill' has no 'folder'; did you mean 'folders'",
        ),
        ("kind: code", "kind: coed", "of kind 'coed'"),
    ],
)
def test_wrong_words_of_code_and_skills(folder: Path, old: str, new: str, says: str) -> None:
    assert old in CODED
    (folder / "coded.yaml").write_text(CODED.replace(old, new))
    with pytest.raises(FileUnreadable, match=says):
        load_graph(folder / "coded.yaml", Graph)


RICH = """
graph: rich
model: local:smollm2
nodes:
  triage:
    kind: agent
    input: str
    tools: [yaml_steps:shout]
    sub_agents: [asker]
    handoffs: [clerk, {target: boss, conversation: true, description: Angry people., laps: 2}]
    mcp: [clock]
    max_parallel_calls: 3
    timeout_s: 40
    cache: 60
    approval: true
    policy: {allow: [shout, "ask*", "now*"], deny: [delete], effects: [reads]}
    retry: {attempts: 2, wait_s: 0, factor: 2.0, max_wait_s: 30.0}
  clerk:  {kind: agent, input: str, cache: true}
  boss:   {kind: agent, input: str, handoffs: [triage]}
  helper: {kind: agent, input: str, description: Helps.}
  asker:  {kind: sub-agent, target: helper, isolation: forked, background: true, limits: {steps: 5}, description: Asks.}
  clock:
    kind: mcp
    command: [mcp-server-time, --local-timezone, UTC]
    env: {API_KEY: $SOME_KEY, LANG: C}
    include: ["get_*"]
    exclude: [convert_time]
    prefix: now_
    scope: process
    effects: [reads]
    timeout_s: 5
    handshake: true
  docs:   {kind: mcp, url: "http://127.0.0.1:9/mcp", token: $DOCS_TOKEN, trust_hints: true, approval: true}
  reader: {kind: agent, input: str, mcp: [docs]}
  first:  {kind: router, input: str, guards: {yes: "yaml_steps:is_short"}}
  second: {kind: router, input: str, labels: {yes: the first, no: the second}, probabilities: true, threshold: 0.6, explain: true}
  way:    {kind: router, cascade: [first, second], input: str, otherwise: no}
edges:
  - START >> way
  - way['yes'] >> triage >> END
  - way['no'] >> reader >> END
"""


def test_everything_has_its_words_there_and_back(folder: Path) -> None:
    (folder / "yaml_steps.py").write_text(
        (folder / "yaml_steps.py").read_text()
        + "\n\ndef is_short(text: str) -> bool:\n    return len(text) < 9\n"
    )
    sys.modules.pop("yaml_steps", None)
    (folder / "rich.yaml").write_text(RICH)
    graph = load_graph(folder / "rich.yaml", Graph)
    reached = {node.name: node for node in graph.reach()}
    triage, asker, clock = reached["triage"], reached["asker"], reached["clock"]
    assert isinstance(triage, Agent)
    assert [(h.name, h.conversation, h.laps) for h in triage.handoffs] == [
        ("clerk", False, None),
        ("boss", True, 2),
    ]
    assert (triage.max_parallel_calls, triage.cache, triage.approval, triage.timeout_s) == (
        3,
        60,
        True,
        40,
    )
    assert triage.policy is not None
    assert triage.policy.effects == ("reads",)
    assert isinstance(asker, SubAgent)
    assert (asker.isolation, asker.in_background, asker.limits) == ("forked", True, Limits(steps=5))
    assert isinstance(clock, MCP)
    assert (clock.command[0], clock.prefix, clock.scope, clock.timeout_s) == (
        "mcp-server-time",
        "now_",
        "process",
        5,
    )
    way = reached["way"]
    assert isinstance(way, Router)
    assert [stage.name for stage in way.cascade] == ["first", "second"]
    assert (way.cascade[1].probabilities, way.cascade[1].threshold) == (True, 0.6)
    text = dump_graph(graph)
    (folder / "again.yaml").write_text(text)
    again = load_graph(folder / "again.yaml", Graph)
    assert again == graph
    assert dump_graph(again) == text
    run = walk(graph, "hi", model=ScriptedModel())
    assert "needs the variable $SOME_KEY, and it is not set" in str(
        run.error
    )  # looked for when it is opened, not before
    asyncio.run(close_kept())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "conversation: true",
            "conversatoin: true",
            "a hand-over of 'triage' has no 'conversatoin'; did you mean",
        ),
        ("{target: boss,", "{", "a hand-over of 'triage' has no target"),
        (
            "isolation: forked",
            "isolaton: forked",
            "sub-agent 'asker' has no 'isolaton'; did you mean 'isolation'",
        ),
        (
            "deny: [delete]",
            "denies: [delete]",
            "the policy of 'triage' has no 'denies'; did you mean 'deny'",
        ),
        ("token: $DOCS_TOKEN", "token: abc", "a file must not hold a token"),
        ('url: "http://127.0.0.1:9/mcp", ', "", "mcp 'docs' needs either a command"),
        (
            "cascade: [first, second]",
            "cascade: [first, helper]",
            "'helper' in the cascade of 'way' is not a router",
        ),
        ("limits: {steps: 5}", "limits: {stepz: 5}", "the limits of 'asker' has no 'stepz'"),
    ],
)
def test_wrong_words_are_told_with_the_line(folder: Path, old: str, new: str, says: str) -> None:
    assert old in RICH
    (folder / "rich.yaml").write_text(
        RICH.replace(old, new).replace("yaml_steps:is_short", "yaml_steps:is_long")
    )
    with pytest.raises(FileUnreadable, match=says):
        load_graph(folder / "rich.yaml", Graph)


def test_policies_and_options_of_a_graph_are_there_and_back(folder: Path) -> None:
    """A rule that allows nothing is no missing rule, and who calls a graph has rules of his own."""
    (folder / "within.py").write_text(
        "from graphflow import END, START, Agent, Graph\n"
        "inner = Graph('inner', START >> Agent('a', input=str) >> END, retry=2, timeout_s=7)\n"
    )
    inner: Any = importlib.import_module("within").inner
    narrow = SubAgent(inner, policy=Policy(deny=["x"]), timeout_s=3)
    agent = Agent("boss", input=str, sub_agents=[narrow], policy=Policy(effects=()))
    graph: Graph[Any, Any] = Graph(
        "g",
        START >> agent >> END,
        policy=Policy(allow=(), deny=["pay"]),
        retry=3,
        timeout_s=9,
        approval=True,
        deps=str,
    )
    (folder / "g.yaml").write_text(graph.to_yaml())
    again = load_graph(folder / "g.yaml", Graph)
    assert again.to_yaml() == graph.to_yaml()
    assert again.policy == Policy(allow=(), deny=["pay"])
    assert (again.timeout_s, again.approval, again.deps) == (9, True, str)
    reached = {node.name: node for node in again.reach()}
    assert reached["boss"].policy == Policy(effects=())
    [edge] = [node for node in again.reach() if isinstance(node, SubAgent)]
    assert (edge.policy, edge.timeout_s, edge.retry) == (Policy(deny=["x"]), 3, inner.retry)
    with pytest.raises(FileUnreadable, match="a policy with a check"):
        Graph("g", START >> agent >> END, policy=Policy(check=lambda use: None)).to_yaml()


def test_what_a_file_cannot_hold_is_refused_not_left_out() -> None:
    async def ask(name: str, question: Any) -> bool:
        return True

    for node, told in (
        (Agent("a", approval=lambda message: True), "approval=.*which a file cannot hold"),
        (Agent("a", policy=Policy(check=lambda use: None)), "a policy with a check"),
        (Code("a", approval=lambda message: True), "which a file cannot hold"),
        (Agent("a", mcp=[MCP("s", ["x"], ask=ask)]), "a function that asks a person"),
        (
            Agent("a", mcp=[MCP("s", ["x"], env={"API_KEY": "the key itself"})]),
            "holds the value of API_KEY",
        ),
        (
            Agent("a", mcp=[MCP("s", "http://h/mcp", token="the token itself")]),
            "holds the value of Authorization",
        ),
        (
            Agent("a", mcp=[MCP("s", ["x", "--key=sk-0123456789abcdefghij"])]),
            "has a key in its command",
        ),
        (
            Agent("a", mcp=[MCP("s", "http://h/mcp?key=sk-0123456789abcdefghij")]),
            "has a key in its url",
        ),
        (
            Agent("a", sub_agents=[SubAgent(Agent("b", input=str), deps=3)]),
            "dependencies of its own",
        ),
        (
            Router("a", guards={"x": lambda m: True, "y": lambda m: True}, otherwise="y"),
            "stands in no module",
        ),
    ):
        arms = [node["x"] >> END, node["y"] >> END] if isinstance(node, Router) else [node >> END]
        with pytest.raises(FileUnreadable, match=told):
            Graph("g", START >> node, *arms, input=str).to_yaml()


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (Failure, "graphflow:Failure"),
        (Media, "graphflow:Media"),
        (Artifact, "graphflow.messages:Artifact"),
        (Computed, "graphflow.kinds:Computed"),
        (Standing, "graphflow.kinds:Standing"),
        (Background, "graphflow.declaration:Background"),
        (Elicitation, "graphflow.mcp:Elicitation"),
    ],
)
def test_a_file_names_public_paths_and_reads_those_within_rooms_too(
    kind: type, written: str
) -> None:
    def read(text: str) -> Graph:
        reader = {"kind": "agent", "input": text, "prompt": "Say what this is."}
        declared = {"graph": "g", "nodes": {"reader": reader}, "edges": ["START >> reader >> END"]}
        return read_graph(declared, Graph)

    graph = read(written)
    assert graph.input is kind
    assert f"input: {written}\n" in graph.to_yaml()
    assert read(f"{kind.__module__}:{kind.__name__}") == graph
