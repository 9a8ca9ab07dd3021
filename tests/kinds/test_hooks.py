"""Hooks: what changes messages and answers of nodes, and what their models are asked and say."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graphflow import (
    END,
    START,
    Agent,
    Code,
    Context,
    Failure,
    Graph,
    Message,
    Policy,
    Store,
    node,
    tool,
)
from graphflow.errors import (
    DeclarationError,
    FileUnreadable,
    InputInvalid,
)
from graphflow.events import CallStarted, MessageChanged, ModelDelta, ModelFinished
from graphflow.hooks import hooked
from graphflow.model.reply import Reply
from graphflow.model.seam import Request
from graphflow.model.turns import UserTurn
from graphflow.policy import Use
from graphflow.security import Secrets, guarded
from graphflow.testing import ScriptedModel, calls, check_crash_safety, says
from tests.conftest import heard, walk

seen: list[Any] = []


@pytest.fixture(autouse=True)
def _empty() -> None:
    seen.clear()


@tool(effects=["writes"])
async def search(query: str, limit: int = 5) -> list[str]:
    """Search."""
    seen.append((query, limit))
    return [f"{query} {number}" for number in range(limit)]


def smaller(given: Any) -> Any:
    return {"query": given.query.lower(), "limit": 2}


async def first(answer: list[str]) -> list[str]:
    return answer[:1]


def same(given: Any) -> None:
    return None


def asked(called: Any, model: ScriptedModel, **options: Any) -> Any:
    graph = Graph("desk", START >> Agent("clerk", input=str, tools=[called]) >> END)
    return walk(graph, "go", model=model, **options)


def told(called: Any, **options: Any) -> tuple[Any, str]:
    """The run of an agent that has called a tool once, and what it has read."""
    model = ScriptedModel(calls("search", query="BEES"), "end")
    run = asked(called, model, **options)
    return run, model.requests[-1].turns[-1].results[0].text  # type: ignore[union-attr]


def changes(run: Any) -> list[tuple[str, str, str]]:
    return [(e.node, e.stage, e.hook) for e in run.events if isinstance(e, MessageChanged)]


def test_a_tool_is_given_and_answers_what_hooks_make_of_it() -> None:
    run, text = told(hooked(search, before=[same, smaller], after=[first, same]))
    assert run.error is None
    assert seen == [("bees", 2)]
    assert text == '["bees 0"]'
    assert changes(run) == [("search", "before", "smaller"), ("search", "after", "first")]
    assert [spec.name for spec in hooked(search, before=[same]).calls] == []  # type: ignore[union-attr]


def test_what_hooks_have_made_is_judged() -> None:
    def check(use: Use) -> str | None:
        return "bees are not allowed" if use.arguments.query == "bees" else None

    _, text = told(hooked(search, before=[smaller]), policy=Policy(check=check))
    assert "bees are not allowed" in text
    guards = guarded(hooked(search, before=[smaller]), before=[lambda given: given.query == "BEES"])
    _, text = told(guards)
    assert "GuardRejected" in text
    guards = guarded(hooked(search, after=[first]), after=[lambda answer: len(answer) > 1])
    _, text = told(guards)
    assert "GuardRejected" in text
    assert seen == [("BEES", 5)]


def test_what_does_not_fit_is_told_and_fails_the_node() -> None:
    def wrong(given: Any) -> Any:
        return {"queries": 1}

    def raising(given: Any) -> Any:
        raise ValueError("not today")

    _, text = told(hooked(search, before=[wrong]))
    assert "arguments of 'search' do not fit" in text
    _, text = told(hooked(search, before=[raising]))
    assert "ValueError: not today" in text
    _, text = told(hooked(search, after=[lambda answer: 7]))
    assert "says it returns list[str] and returned int" in text
    assert len(seen) == 1


class Letter(Message):
    text: str


@node
async def write(text: str) -> Letter:
    return Letter(text=text)


@node
async def recover(failure: Failure) -> Letter:
    return Letter(text=failure.kind)


def test_steps_and_graphs_on_arrows_have_hooks() -> None:
    signed = hooked(write, after=[lambda letter: Letter(text=letter.text + " A.")])
    inner = Graph("inner", START >> signed >> END)
    outer = Graph("outer", START >> hooked(inner, before=[lambda text: text * 2]) >> END)
    assert walk(outer, "Hi.").output.text == "Hi.Hi. A."
    broken = hooked(write, before=[lambda text: 7])
    run = walk(Graph("g", START >> broken >> END, broken[Failure] >> recover >> END), "Hi.")
    assert run.output.text == InputInvalid.__name__


@node(effects=[])
async def shout(text: str) -> str:
    return text.upper()


def test_a_node_is_a_hook_and_a_step_of_its_own() -> None:
    clerk = hooked(Agent("clerk", input=str), before=[shout], after=[shout])
    model = ScriptedModel("fine")
    run = walk(Graph("desk", START >> clerk >> END), "hello", model=model)
    assert run.output == "FINE"
    [turn] = model.requests[0].turns
    assert isinstance(turn, UserTurn)
    assert turn.text == "HELLO"
    assert model.requests[0].tools == ()
    assert [e.node for e in run.events if isinstance(e, CallStarted)] == ["shout", "shout"]


def test_pictures_name_them() -> None:
    clerk = hooked(Agent("clerk", input=str), before=[same], after_model=[without_smalltalk])
    picture = Graph("desk", START >> clerk >> END).to_mermaid()
    assert "before: same" in picture
    assert "after its model: without_smalltalk" in picture


def test_a_context_is_given_to_who_takes_it() -> None:
    async def noting(text: str, ctx: Context) -> str:
        ctx.emit("noted", text)
        return f"{text} of {ctx.node.name} at {ctx.deps}"

    run = walk(Graph("g", START >> hooked(write, before=[noting]) >> END), "a", deps="noon")
    assert run.output.text == "a of write at noon"


# -- models ----------------------------------------------------------------------------------------
def dated(request: Request) -> Request:
    return replace(request, system=f"{request.system_text} It is May.")


def without_smalltalk(reply: Reply, ctx: Context) -> Reply:
    return replace(reply, text=reply.text.removeprefix("Sure! "))


def no_deletes(reply: Reply) -> Reply:
    kept = tuple(call for call in reply.calls if call.name != "delete")
    return replace(reply, calls=kept, text=reply.text or "I may not delete.")


def test_a_model_is_asked_and_says_what_hooks_make_of_it() -> None:
    clerk = hooked(
        Agent("clerk", input=str, system="Be kind."),
        before_model=[dated],
        after_model=[without_smalltalk],
    )
    model = ScriptedModel("Sure! Here you are.")
    run = walk(Graph("desk", START >> clerk >> END), "hi", model=model, observed=True)
    assert run.output == "Here you are."
    assert model.requests[0].system_text == "Be kind. It is May."
    [finished] = [e for e in run.events if isinstance(e, ModelFinished)]
    assert finished.text == "Here you are."
    assert finished.output_tokens
    assert not [e for e in heard(run) if isinstance(e, ModelDelta)]


def test_calls_that_a_hook_takes_out_are_not_made() -> None:
    @tool(effects=["writes"])
    async def delete(path: str) -> str:
        """Delete."""
        seen.append(path)
        return "deleted"

    clerk = hooked(Agent("clerk", input=str, tools=[delete]), after_model=[no_deletes])
    model = ScriptedModel(calls("delete", path="all"))
    run = walk(Graph("desk", START >> clerk >> END), "hi", model=model)
    assert run.output == "I may not delete."
    assert seen == []


def test_a_run_that_goes_on_asks_no_hook_again_for_what_it_has() -> None:
    count = 0

    def fickle(request: Request) -> Request:
        nonlocal count
        count += 1
        return replace(request, system=f"Number {count}.")

    clerk = hooked(
        Agent("clerk", input=str, tools=[hooked(search, before=[smaller], after=[first])]),
        before_model=[fickle],
        after_model=[without_smalltalk],
    )
    graph = Graph("desk", START >> clerk >> END)

    def answer(request: Request) -> Any:
        return calls("search", query="BEES") if len(request.turns) == 1 else says("Sure! Done.")

    from graphflow.testing import ComputedModel

    checking = check_crash_safety(graph, "go", model=ComputedModel(answer), most=20, seeds=(0,))
    assert asyncio.run(checking).cuts > 5

    async def twice() -> None:
        async with Store.open("memory:") as store:
            model = ComputedModel(answer)
            run = await graph.run("go", id="one", store=store, model=model)
            again = await graph.replay("one", store=store)
            assert (run.output, again.output) == ("Done.", "Done.")

    asyncio.run(twice())


def test_no_hook_brings_a_secret_back() -> None:
    key = "sk-9f8e7d6c5b4a39281706"
    clerk = hooked(
        Agent("clerk", input=str),
        before=[lambda text: f"{text} {key}"],
        before_model=[lambda request: replace(request, system=key)],
        after_model=[lambda reply: replace(reply, text=f"{reply.text} {key}")],
    )
    model = ScriptedModel("fine")
    graph = Graph("desk", START >> clerk >> END)
    run = walk(graph, "hi", model=model, secrets=Secrets({"vendor": key}))
    assert run.output == "fine [vendor]"
    assert model.requests[0].system_text == "[vendor]"
    assert model.requests[0].turns[0].text == "hi [vendor]"  # type: ignore[union-attr]


def test_a_hook_that_answers_with_something_else_is_told() -> None:
    clerk = hooked(Agent("clerk", input=str), before_model=[lambda request: "hi"])
    run = walk(Graph("desk", START >> clerk >> END), "hi", model=ScriptedModel("x"))
    assert isinstance(run.error, DeclarationError)
    assert "returned str; return the Request" in str(run.error)
    clerk = hooked(Agent("clerk", input=str), after_model=[lambda reply: 7])
    run = walk(Graph("desk", START >> clerk >> END), "hi", model=ScriptedModel("x"))
    assert "returned int; return the Reply" in str(run.error)
    assert run.usage.model_calls == 1


@node
async def both(a: int, b: str) -> str:
    return b


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: hooked(search, before_model=[dated]), "it asks no model"),
        (lambda: hooked(both, before=[same]), "it has 2 ports"),
        (lambda: hooked("search", before=[same]), "give a node"),
        (lambda: hooked(search, before=same), "give a list"),
        (lambda: hooked(search, before=[7]), "7 is not a function or a node"),
        (lambda: hooked(Agent("a"), before_model=[shout]), "is not a function"),
        (lambda: hooked(Code(calls=[search]), before=[shout]), "a code cannot call 'shout'"),
    ],
)
def test_what_could_not_work_is_refused(make: Any, why: str) -> None:
    with pytest.raises(DeclarationError, match=why):
        make()


def test_files_name_functions(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text("def louder(text):\n    return text.upper()\n")
    path = tmp_path / "desk.yaml"
    path.write_text(
        "graph: desk\nmodel: mock:echo\nnodes:\n"
        "  clerk: {kind: agent, hooks: {before: ['words:louder']}}\n"
        "edges:\n  - START >> clerk >> END\n"
    )
    graph = Graph.from_yaml(str(path))
    assert "words:louder" in graph.to_yaml()
    assert "HELLO" in str(walk(graph, "hello").output)
    with pytest.raises(FileUnreadable, match="hook"):
        Graph("g", START >> hooked(Agent("a"), before=[shout]) >> END).to_yaml()
