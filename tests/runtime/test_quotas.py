"""What nodes may use in one run: calls, seconds, tokens."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from graphflow import (
    END,
    START,
    Agent,
    Context,
    Failure,
    Graph,
    Human,
    Limits,
    Policy,
    Quota,
    SubAgent,
    node,
    tool,
)
from graphflow.errors import DeclarationError, LimitExceeded
from graphflow.journal.store import Store
from graphflow.model.seam import Request
from graphflow.plain import json_size
from graphflow.testing import ComputedModel, ScriptedModel, both, calls, says
from tests.conftest import walk

done: list[str] = []


@pytest.fixture(autouse=True)
def _empty() -> None:
    done.clear()


@tool(effects=["network"], quota=Quota(calls=2))
async def search(query: str) -> str:
    """Search."""
    done.append(query)
    if query == "bad":
        raise ValueError("no")
    return f"found {query}"


def results_of(model: Any) -> list[str]:
    return [
        result.text for turn in model.requests[-1].turns for result in getattr(turn, "results", ())
    ]


def test_a_tool_is_called_so_often_in_a_run_and_its_model_is_told() -> None:
    agent = Agent("clerk", input=str, tools=[search])
    model = ScriptedModel(
        calls("search", query="a"), calls("search", query="bad"), calls("search", query="c"), "end"
    )
    run = walk(Graph("desk", START >> agent >> END), "go", model=model)
    assert run.output == "end"
    assert done == ["a", "bad"]
    refused = results_of(model)[-1]
    assert "tool 'search' has used up its calls in this run, 2 at most" in refused
    # The next run begins anew.
    model = ScriptedModel(calls("search", query="a"), "end")
    assert walk(Graph("desk", START >> agent >> END), "go", model=model).output == "end"
    assert done == ["a", "bad", "a"]


def test_calls_of_one_turn_and_of_several_agents_count_together() -> None:
    helper = Agent("helper", input=str, tools=[search])
    boss = Agent("boss", input=str, tools=[search], sub_agents=[SubAgent(helper)])

    def answer(request: Request) -> Any:
        turns = len(request.turns)
        is_boss = len(request.tools) > 1
        if turns == 1 and is_boss:
            return calls("helper", input="look")
        if turns == 1:
            return both(calls("search", query="1"), calls("search", query="2"))
        if turns == 3 and is_boss:
            return calls("search", query="3")
        return says("end")

    model = ComputedModel(answer)
    run = walk(Graph("desk", START >> boss >> END), "go", model=model)
    assert run.output == "end"
    assert sorted(done) == ["1", "2"]


def test_what_was_refused_or_cached_or_tried_again_is_no_further_call() -> None:
    count = 0

    @tool(effects=["reads"], cache=True, retry=3, quota=Quota(calls=2))
    async def look(query: str) -> str:
        """Look."""
        nonlocal count
        count += 1
        if count < 3:
            raise ConnectionError("busy")
        return query

    @node(calls=[look])
    async def lead(text: str, ctx: Context) -> str:
        answers = [await ctx.call(look, {"query": query}) for query in "aabba"]
        return "".join(answers)

    def check(use: Any) -> str | None:
        return None

    run = walk(Graph("g", START >> lead >> END), "x", policy=Policy(check=check))
    assert (run.output, count) == ("aabba", 4)


@node(quota=Quota(calls=2))
async def step(text: str) -> str:
    done.append(text)
    return text + "."


def test_on_an_arrow_it_is_a_failure_or_the_end_of_the_walk() -> None:
    def is_short(text: str) -> bool:
        return len(text) < 9

    @node
    async def recover(failure: Failure) -> str:
        return failure.kind

    loop = Graph("loop", START >> step, step.when(is_short) >> step, step.otherwise >> END)
    run = walk(loop, "a")
    assert isinstance(run.error, LimitExceeded)
    assert (run.error.limit, run.error.value, run.status) == ("calls", 2, "limited")
    assert len(done) == 2
    mended = Graph(
        "mended",
        START >> step,
        step.when(is_short) >> step,
        step.otherwise >> END,
        step[Failure] >> recover >> END,
    )
    assert walk(mended, "a").output == "LimitExceeded"


def test_seconds_are_those_of_all_its_calls(jumping_clock: Any) -> None:
    @tool(effects=[], quota=Quota(seconds=10))
    async def slow(seconds: float) -> str:
        """Wait."""
        done.append("begun")
        await asyncio.sleep(seconds)
        done.append("ended")
        return "done"

    agent = Agent("clerk", input=str, tools=[slow])
    model = ScriptedModel(
        calls("slow", seconds=6.0), calls("slow", seconds=6.0), calls("slow", seconds=1.0), "end"
    )
    run = walk(Graph("desk", START >> agent >> END), "go", model=model)
    assert run.output == "end"
    assert done == ["begun", "ended", "begun"]
    assert [text[:8] for text in results_of(model)] == ["done", "LimitExc", "LimitExc"]
    assert "used up its seconds in this run, 10 at most" in results_of(model)[-1]


def test_tokens_are_those_of_the_models_that_it_asks() -> None:
    writer = Agent("writer", input=str, quota=Quota(tokens=20))
    again = Agent("again", input=str)
    graph = Graph("desk", START >> writer >> again >> END)
    model = ScriptedModel("one", "two")
    run = walk(graph, "go", model=model)
    assert run.output == "two"
    tight = Agent("writer", input=str, tools=[search], quota=Quota(tokens=1))
    model = ScriptedModel(calls("search", query="a"), "end")
    run = walk(Graph("desk", START >> tight >> END), "go", model=model)
    assert isinstance(run.error, LimitExceeded)
    assert run.error.limit == "tokens"
    assert len(model.requests) == 1
    # It is not a limit of the run: what else asks models goes on.
    assert walk(graph, "go", model=ScriptedModel("one", "two"), limits=Limits(steps=9)).output


def test_a_run_that_goes_on_has_used_what_earlier_sittings_have() -> None:
    editor = Human("editor", input=str, output=str)

    @node(calls=[search])
    async def lead(text: str, ctx: Context) -> str:
        answers: list[str] = []
        for query in ("a", "b"):
            try:
                answers.append(await ctx.call(search, {"query": query + text}))
            except LimitExceeded as error:
                answers.append(error.limit)
        return ",".join(answers)

    graph = Graph("desk", START >> lead >> editor >> lead.named("more") >> END)

    async def main() -> None:
        async with Store.open("memory:") as store:
            run = await graph.run("1", id="one", store=store)
            assert run.status == "waiting"
            run = await graph.resume("one", store=store, answers={"editor": "2"})
            assert run.output == "calls,calls"
            assert done == ["a1", "b1"]
            again = await graph.replay("one", store=store)
            assert again.output == "calls,calls"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Quota(calls=-1), "give a number of at least 0"),
        (lambda: Quota(calls=1.5), "give a number of at least 0"),  # type: ignore[arg-type]
        (lambda: tool(quota=3)(lambda a: a), "give a Quota"),
    ],
)
def test_what_is_no_quota_is_refused(make: Any, why: str) -> None:
    with pytest.raises(DeclarationError, match=why):
        make()


def test_files_and_pictures_have_it(tmp_path: Path) -> None:
    path = tmp_path / "desk.yaml"
    path.write_text(
        "graph: desk\nmodel: mock:echo\nnodes:\n"
        "  clerk: {kind: agent, quota: {calls: 3, tokens: 500}}\nedges:\n  - START >> clerk >> END\n"
    )
    graph = Graph.from_yaml(str(path))
    [clerk] = [each for each in graph.nodes if each.name == "clerk"]
    assert clerk.quota == Quota(calls=3, tokens=500)
    assert "quota:" in graph.to_yaml()
    assert "at most 3 calls, 500 tokens a run" in graph.to_mermaid()


# -- bytes of answers ------------------------------------------------------------------------------
@tool(effects=["reads"])
async def page(size: int) -> str:
    """A page."""
    done.append(str(size))
    return "x" * size


def test_bytes_of_answers_are_limited_with_those_of_sub_agents() -> None:
    helper = Agent("helper", input=str, tools=[page])
    boss = Agent("boss", input=str, tools=[page], sub_agents=[SubAgent(helper)])
    graph = Graph("desk", START >> boss >> END)

    def answer(request: Request) -> Any:
        is_boss = len(request.tools) > 1
        if len(request.turns) == 1:
            return calls("helper", input="look") if is_boss else calls("page", size=600)
        if len(request.turns) == 3 and is_boss:
            return calls("page", size=300)
        return says("end")

    run = walk(graph, "go", model=ComputedModel(answer), limits=Limits(output_bytes=903))
    assert (run.output, run.error) == ("end", None)  # 600, "end" of the helper, 300
    run = walk(graph, "go", model=ComputedModel(answer), limits=Limits(output_bytes=902))
    assert isinstance(run.error, LimitExceeded)
    assert (run.error.limit, run.error.value, run.status) == ("output_bytes", 902, "limited")
    assert done == ["600", "300"] * 2
    inner = Agent("boss", input=str, sub_agents=[SubAgent(helper, limits=Limits(output_bytes=10))])
    model = ComputedModel(
        lambda request: calls("page", size=600) if len(request.turns) == 1 else says("end")
    )
    outer = ScriptedModel(calls("helper", input="look"), "fine")
    boss = inner.but(model=outer)
    run = walk(Graph("desk", START >> boss >> END), "go", model=model)
    assert run.output == "fine"
    assert "output_bytes limit of 10 reached" in results_of(outer)[0]


def test_bytes_of_earlier_sittings_count() -> None:
    editor = Human("editor", input=str, output=str)

    @node(calls=[page])
    async def lead(text: str, ctx: Context) -> str:
        return str(len(await ctx.call(page, {"size": 600})))

    graph = Graph("desk", START >> lead >> editor >> lead.named("more") >> END)

    async def main() -> None:
        async with Store.open("memory:") as store:
            for most, outcome in ((1_200, "600"), (1_199, "")):
                id = f"run {most}"
                limits = Limits(output_bytes=most)
                await graph.run("1", id=id, store=store, limits=limits)
                going = graph.resume(id, store=store, answers={"editor": "2"}, limits=limits)
                if outcome:
                    assert (await going).output == outcome
                    continue
                with pytest.raises(LimitExceeded, match="output_bytes"):
                    await going

    asyncio.run(main())


def test_any_answer_has_a_size() -> None:
    deep: list[Any] = []
    deep.append(deep)
    assert json_size("ä") == 2
    assert json_size("\ud800") == 3
    assert json_size({"a": [1, None]}) == len('{"a":[1,null]}')
    assert json_size(10**5_000) > 0
    assert json_size(deep) > 0
    assert json_size(object()) > 0
