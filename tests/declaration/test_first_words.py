"""The first words of somebody who comes from elsewhere: wrong keywords, wrong values, things in the wrong place."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any, Unpack

import pytest
from pydantic import BaseModel

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Graph,
    Handoff,
    Limits,
    Router,
    SubAgent,
    Tool,
    node,
    tool,
)
from graphflow.cli.app import run_app
from graphflow.declaration.node import Node
from graphflow.declaration.options import NO_OPTIONS, NodeOptions, Retry
from graphflow.errors import DeclarationError, FileUnreadable, GraphflowError, PromptError
from graphflow.keywords import ELSEWHERE, NOTES, keywords_of
from graphflow.kinds.code import Code
from graphflow.kinds.human import Human
from graphflow.kinds.skills import Skills
from graphflow.kinds.step import FunctionNode
from graphflow.kinds.wait import Receive, Wait
from graphflow.mcp import MCP
from graphflow.memory import MemoryNode, NoteMemory
from graphflow.policy import Policy
from graphflow.project import load
from graphflow.providers.http import Timeouts
from graphflow.providers.retry import RetryPolicy
from graphflow.testing import Scripted, ScriptedModel


@node
async def up(text: str) -> str:
    return text.upper()


def plain(text: str) -> str:
    """Says it again."""
    return text


def simple() -> Graph[Any, Any]:
    return Graph("desk", START >> up >> END)


MAKERS: dict[type, Callable[..., Any]] = {
    Agent: lambda **given: Agent(**{"name": "clerk", **given}),
    Router: lambda **given: Router(**{"name": "ways", "labels": ["a", "b"], **given}),
    Graph: lambda **given: Graph("desk", START >> up >> END, **given),
    SubAgent: lambda **given: SubAgent(**{"target": Agent("clerk"), **given}),
    Human: lambda **given: Human(**{"name": "boss", "ask": plain, **given}),
    Wait: lambda **given: Wait(**{"name": "pause", "seconds": 1, **given}),
    Receive: lambda **given: Receive(**{"name": "payment", "type": int, **given}),
    Code: lambda **given: Code(**given),
    FunctionNode: lambda **given: node(**given)(plain),
    Tool: lambda **given: tool(**given)(plain),
    MCP: lambda **given: MCP(**{"name": "files", "at": ["program"], **given}),
    Skills: lambda **given: Skills("no such folder", **given),
    MemoryNode: lambda **given: MemoryNode(
        plain, **{"memory": NoteMemory(), "verb": "recall", "effects": ["reads"], **given}
    ),
    Limits: Limits,
    Retry: Retry,
    Policy: Policy,
    RetryPolicy: RetryPolicy,
    Timeouts: Timeouts,
    Handoff: lambda **given: Handoff(**{"target": up, **given}),
}


@pytest.mark.parametrize(
    ("kind", "word", "says"),
    [
        (Agent, "system_prompt", "agent 'clerk' has no option 'system_prompt'; write system=..."),
        (Agent, "instructions", "write system=..."),
        (Agent, "output_type", "write output=..."),
        (Agent, "response_format", "write output=..."),
        (Agent, "modle", "did you mean model=?"),
        (Agent, "llm", "write model=..."),
        (Agent, "calls", "write tools=[...]"),
        (Agent, "max_iterations", "write max_turns=..."),
        (Agent, "timeout", "write timeout_s=..."),
        (Agent, "max_retries", "write retry=..."),
        (Agent, "recursion_limit", "write max_turns=..."),
        (Agent, "ports", "there are: name, model,"),
        (Graph, "edges", "write arrows behind the name: Graph('name', START >> a >> b, b >> END)"),
        (Graph, "nodes", "write arrows behind the name"),
        (Graph, "recursion_limit", "write limits=Limits(steps=...)"),
        (Graph, "context_schema", "write deps=..."),
        (Graph, "temperature", "write Agent(temperature=...)"),
        (Router, "choices", "write labels=[...]"),
        (Router, "fallback", "write otherwise='label'"),
        (Router, "calls", "there are:"),
        (SubAgent, "max_depth", "write limits=Limits(depth=...)"),
        (FunctionNode, "nmae", "did you mean name=?"),
        (FunctionNode, "retries", "write retry=..."),
        (Tool, "args_schema", "annotate the parameters of the function"),
        (Human, "question", "write ask=..."),
        (Wait, "secnds", "did you mean seconds="),
        (Receive, "timeuot", "did you mean timeout= or timeout_s=?"),
        (MCP, "command", "give the command or the address behind the name"),
        (Code, "timeout", "write timeout_s=..."),
        (Skills, "descripton", "did you mean description="),
        (Limits, "max_steps", "Limits has no option 'max_steps'; write steps=..."),
        (Retry, "max_attempts", "write attempts=..."),
        (Policy, "disallowed_tools", "write deny=[...]"),
        (Handoff, "descripton", "did you mean description="),
        (RetryPolicy, "attemps", "did you mean"),
        (Timeouts, "conect", "did you mean"),
    ],
)
def test_a_keyword_from_elsewhere_names_what_was_meant(kind: type, word: str, says: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        MAKERS[kind](**{word: "x"})
    assert says in str(caught.value)


@pytest.mark.parametrize("kind", MAKERS)
def test_no_constructor_takes_a_word_it_does_not_know(kind: type) -> None:
    with pytest.raises(DeclarationError, match="has no option 'zzyzx'; there are: ") as caught:
        MAKERS[kind](zzyzx=1)
    assert " _" not in str(caught.value)  # no option of ours that nobody shall use


def test_all_unknown_keywords_are_told_at_once() -> None:
    with pytest.raises(DeclarationError) as caught:
        Agent("clerk", instructions="x", output_type=str, modle="y")  # type: ignore[call-overload]
    told = str(caught.value).splitlines()
    assert [line.partition("; ")[2] for line in told] == [
        "write system=...",
        "write output=...",
        "did you mean model=?",
    ]


def test_an_unknown_keyword_is_told_before_what_is_missing() -> None:
    for make in (
        lambda: Graph(edges=[]),
        lambda: Router("ways", choices=["a", "b"]),
        lambda: Human("boss", question="?"),
    ):  # type: ignore[call-overload,call-arg]
        with pytest.raises(DeclarationError, match="has no option"):
            make()


def test_what_every_translation_says_is_there() -> None:
    every = {word for kind in MAKERS for word in keywords_of(kind.__init__, NO_OPTIONS).named}  # type: ignore[misc]
    every |= {
        "limits",
        "session",
        "approve",
        "deps",
        "key",
        "base_url",
        "rpm",
        "tpm",
        "timeouts",
        "on",
    }
    for word, meanings in ELSEWHERE.items():
        for meant in meanings:
            assert meant.partition("=")[0] in every, (
                f"{word} is translated to {meant}, which nothing has"
            )
    assert set(NOTES) == {"agent", "graph", "run", "tool", "server"}


def test_values_without_a_keyword_are_told() -> None:
    with pytest.raises(
        DeclarationError,
        match=r"agent 'clerk' was given 'Be kind\.' without a keyword; say what it is",
    ):
        Agent("clerk", "Be kind.")  # type: ignore[call-overload]
    with pytest.raises(DeclarationError, match=r"Retry was given 9 without a keyword"):
        Retry(1, 1, 1, 1, (Exception,), 1, 9)  # type: ignore[call-arg]
    with pytest.raises(DeclarationError, match=r"Handoff lacks 'target'"):
        Handoff()  # type: ignore[call-arg]
    with pytest.raises(DeclarationError, match=r"lacks 'name'"):
        Agent(model="local:smollm2")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("modle", "the run of 'desk' has no option 'modle'; did you mean model=?"),
        ("max_turns", "write limits=Limits(steps=...)"),
        ("thread_id", "write conversation=..."),
        ("context", "write deps=..."),
        ("timeout", "write limits=Limits(seconds=...)"),
        ("input", "give the message first"),
        ("callbacks", "iterate over graph.start(message)"),
    ],
)
def test_a_run_names_what_was_meant(word: str, says: str) -> None:
    graph = simple()

    async def streamed() -> None:
        async for _ in graph.stream("x", **{word: 1}):
            pass

    async def started() -> None:
        graph.start("x", **{word: 1})

    async def ran() -> None:
        await graph.run("x", **{word: 1})

    for way in (streamed, started, ran):
        with pytest.raises(DeclarationError) as caught:
            asyncio.run(way())
        assert says in str(caught.value)
    with pytest.raises(DeclarationError) as caught:
        graph.run_sync("x", **{word: 1})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ({"bill": "about money", "help": "anything else"}, "labels are given as labels={...}"),
        (["bill", "help"], "labels are given as labels=[...]"),
        (
            {"bill": ["my invoice"], "help": ["how do I"]},
            "texts by label are given as examples={...}",
        ),
        ({"bill": lambda m: True}, "tests of the message by label are given as guards={...}"),
        ("openai:gpt-5-mini", "a model is given as model=..."),
        (3, "router 'ways': rule=3; give a function of the message"),
    ],
)
def test_what_stands_in_the_place_of_a_rule_is_told(second: Any, says: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        Router("ways", second)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: Agent("clerk", output="Answer"),
            "output='Answer'; give a type (write Answer without quotes)",
        ),
        (lambda: Agent("clerk", output=[int]), "write list[int]"),
        (lambda: Agent("clerk", input={"text": "str"}), "declare a pydantic model"),
        (lambda: Agent("clerk", max_turns="3"), "max_turns='3'; give a whole number"),
        (lambda: Agent("clerk", tools=up), "tools=<step up(text: str) -> str>; give a list"),
        (lambda: Agent("clerk", examples=["a", "b"]), "give a list of pairs (message, answer)"),
        (lambda: Router("ways", labels=["a", 1]), "give a list of labels"),
        (lambda: Router("ways", guards=[len]), "give a mapping by name"),
        (lambda: Retry(attempts="3"), "Retry: attempts='3'; give a whole number"),
        (lambda: Policy(deny="wipe"), "give a list"),
        (lambda: MCP("files", 42), "at=42; give an address, or a command as a list of texts"),
        (lambda: tool("search"), "@tool('search'): write @tool(name='search') above the function"),
        (lambda: node("search"), "write @node(name='search')"),
        (lambda: node(up), "is a node already"),
        (lambda: simple().run_sync("x", limits=5), "limits=5; give Limits(...)"),
        (lambda: simple().run_sync("x", session=5), "session=5; give a text"),
    ],
)
def test_a_wrong_value_says_what_can_stand_there(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        make()
    assert says in str(caught.value)


VALUES: list[Any] = [
    42,
    -1,
    1.5,
    True,
    float("nan"),
    "x",
    b"x",
    [],
    [1],
    [[1]],
    ("a", "b"),
    {},
    {"a": 1},
    {1: "a"},
]
VALUES += [object(), lambda message: True, int]


@pytest.mark.parametrize(
    "kind", [kind for kind in MAKERS if issubclass(kind, Node) or kind in (Limits, Retry, Policy)]
)
@pytest.mark.filterwarnings("ignore")
def test_no_value_gets_through_to_an_error_of_pythons_own(kind: type) -> None:
    for word in keywords_of(kind.__init__, NO_OPTIONS).named:  # type: ignore[misc]
        for value in [] if word.startswith("_") else VALUES:
            try:
                MAKERS[kind](**{word: value})
            except GraphflowError:
                pass
            except Exception as error:
                pytest.fail(f"{kind.__name__}({word}={value!r}): {type(error).__name__}: {error}")


def test_a_value_that_may_be_secret_is_not_shown() -> None:
    with pytest.raises(DeclarationError) as caught:
        MCP("files", "https://example.org", headers={"Authorization": b"very secret"})  # type: ignore[dict-item]
    assert "very secret" not in str(caught.value)


def test_nodes_are_copied_and_pickled_as_before() -> None:
    agent = Agent("clerk", system="Be kind.")
    assert copy.copy(agent) == agent
    assert pickle.loads(pickle.dumps(Limits(steps=3))) == Limits(steps=3)
    assert copy.deepcopy(Retry(attempts=2)) == Retry(attempts=2)


def test_a_kind_of_ones_own_may_have_words_of_its_own() -> None:
    class Own(Node[str, str]):
        kind = "own"

        def __init__(self, name: str, **anything: Any) -> None:
            self._declare(name, ports=up.ports, output=str)
            self.__dict__["anything"] = anything

        async def activate(self, inputs: Any, ctx: Any) -> str:
            return f"{inputs['text']} {self.__dict__['anything']['zzyzx']}"

    assert Graph("desk", START >> Own("own", zzyzx="y") >> END).run_sync("x").output == "x y"


class Delay(Node[str, str]):
    kind = "delay"

    def __init__(self, name: str, *, delay_s: float, **options: Unpack[NodeOptions]) -> None:
        self._declare(name, ports=up.ports, output=str, **options)


class Pause(Node[str, str]):
    kind = "pause"

    def __init__(self, name: str, *, seconds: float, **options: Unpack[NodeOptions]) -> None:
        self._declare(name, ports=up.ports, output=str, **options)


def test_words_of_ones_own_come_before_translations() -> None:
    with pytest.raises(DeclarationError) as near:
        Delay("x", delay=3)  # type: ignore[call-arg]
    assert str(near.value) == "delay 'x' has no option 'delay'; did you mean delay_s=?"
    with pytest.raises(
        DeclarationError, match=r"has no option 'delay'; .*\npause 'x' lacks 'seconds'; add it"
    ):
        Pause("x", delay=3)  # type: ignore[call-arg]


def test_an_option_of_every_node_is_refused_by_the_name_of_the_kind() -> None:
    with pytest.raises(
        DeclarationError, match=r"^delay 'x': timeout_s=-1 must be a positive number of seconds$"
    ):
        Delay("x", delay_s=3, timeout_s=-1)


def test_the_kind_drawn_where_nodes_are_declared_works() -> None:
    from graphflow.declaration import node as module

    _, _, example = (module.__doc__ or "").partition("A kind of one's own is a class:\n")
    names = {**vars(module), "__name__": __name__}
    exec(dedent(example), names)
    assert (
        Graph("desk", START >> names["Suffix"]("mark", suffix="!") >> END).run_sync("x").output
        == "x!"
    )


# -- runs ------------------------------------------------------------------------------------------
class Clinic(BaseModel, frozen=True):
    town: str


@node
async def by_attribute(text: str, ctx: Context) -> str:
    return str(ctx.deps.town)


@node
async def by_key(text: str, ctx: Context) -> str:
    return str(ctx.deps["town"])


@node
async def of_its_own(text: str, ctx: Context) -> str:
    nothing: Any = None
    return str(nothing.town)


@pytest.mark.parametrize("lacking", [by_attribute, by_key])
def test_a_node_that_lacks_its_deps_is_told_apart_from_one_with_a_fault_of_its_own(
    lacking: Node[Any, Any],
) -> None:
    with pytest.raises((AttributeError, TypeError)) as caught:
        Graph("desk", START >> lacking >> END).run_sync("x")
    assert any(
        "the run was given none; pass run(..., deps=...)" in note for note in caught.value.__notes__
    )
    with pytest.raises(AttributeError) as other:
        Graph("desk", START >> of_its_own >> END).run_sync("x")
    assert not any("deps" in note for note in other.value.__notes__)


def test_a_prompt_that_lacks_its_deps_says_so() -> None:
    agent = Agent("clerk", prompt="In {{ deps.town }}: {{ text }}", model=ScriptedModel("x"))
    with pytest.raises(PromptError, match=r"deps is None: pass run\(\.\.\., deps=\.\.\.\)"):
        Graph("desk", START >> agent >> END).run_sync("x")


@pytest.mark.parametrize("given", ["", "{}", '{"text": "x"}'])
def test_a_model_that_hands_over_without_a_message_is_told_what_is_missing(given: str) -> None:
    back = Agent("back", model=ScriptedModel("done"))
    model = ScriptedModel(
        Scripted(calls=[("transfer_to_back", given)]),
        Scripted(calls=[("transfer_to_back", '{"input": "x"}')]),
    )
    front = Agent("front", handoffs=[back], model=model)
    assert Graph("desk", START >> front >> END).run_sync("x").output == "done"
    told = model.requests[1].turns[-1].results[0].content  # type: ignore[union-attr]
    assert "arguments of 'back' lack \"input\"" in told
    assert "of type str" in told


# -- the command line ------------------------------------------------------------------------------
DECLARED = """
from graphflow import END, START, Agent, Graph
class Clinic: ...
etl2 = Graph("etl2", START >> Agent("clerk") >> END)
wants = Graph("wants", START >> Agent("clerk", model="local:smollm2") >> END, deps=Clinic)
"""


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "etl2.py").write_text(DECLARED)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("run", "etl2", "x"),
            "no graph is named 'etl2', but there is a file etl2.py; name the file: etl2.py",
        ),
        (("check", "etl2:wants"), "name the file: etl2.py:wants"),
        (("draw", "etl2.yaml"), "there is no file etl2.yaml; did you mean etl2.py?"),
        (("run", "etl3.py", "x"), "there is no file etl3.py; did you mean etl2.py?"),
        (("run", "etl2.py", "x"), "graph 'etl2' has no default; give one: --model provider:model"),
        (
            ("run", "etl2.py:wants", "x"),
            "a command line cannot give them: run the graph in a program of yours",
        ),
        (("run", "etl2.py", "x", "--modle", "m"), "--model"),
    ],
)
def test_a_command_says_what_to_type(
    there: Path, arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(list(arguments)) == 2
    assert says in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_file_translates_words_as_constructors_do_and_tells_all_at_once(tmp_path: Path) -> None:
    file = tmp_path / "desk.yaml"
    file.write_text(
        "graph: desk\nmax_steps: 3\nnodes:\n  clerk: {kind: agent, instructions: Be kind., output_type: str, modle: x}\n"
        "  other: nowhere.at.all:thing\nedges:\n  - START >> clrk >> END\n"
    )
    with pytest.raises(FileUnreadable) as caught:
        load(str(file))
    told = str(caught.value)
    assert "desk.yaml:2:1: a graph has no 'max_steps'; did you mean 'limits'?" in told
    assert "desk.yaml:4:24: agent 'clerk' has no 'instructions'; did you mean 'system'?" in told
    assert "agent 'clerk' has no 'output_type'; did you mean 'output'?" in told
    assert "agent 'clerk' has no 'modle'; did you mean 'model'?" in told
    assert "desk.yaml:5:" in told
    assert "desk.yaml:7:5: the arrow 'START >> clrk >> END' names 'clrk'" in told
