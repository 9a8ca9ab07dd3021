"""What agents are shown of what they have said themselves: in earlier laps of a run, and in earlier runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from graphflow import (
    END,
    START,
    Agent,
    Graph,
    GraphError,
    Limits,
    Message,
    Store,
    Summarise,
    errors,
    node,
)
from graphflow.events import CompactionFinished
from graphflow.model.seam import Request
from graphflow.testing import ComputedModel, ScriptedModel, calls, check_crash_safety, says
from tests.conversations.test_talk import texts


class Draft(Message):
    text: str


class Done(Message):
    text: str


def writing(remembers: Any, enough: int = 3, **options: Any) -> Graph[str, str]:
    """A writer that writes again until its text has three letters."""
    writer = Agent("writer", input=str, remembers=remembers, **options)

    @node(effects=[])
    def judge(text: str) -> Draft | Done:
        return Done(text=text) if len(text) >= enough else Draft(text=text)

    @node(effects=[])
    def again(draft: Draft) -> str:
        return f"longer than {draft.text}"

    @node(effects=[])
    def finish(done: Done) -> str:
        return done.text

    return Graph(
        "writing",
        START >> writer >> judge,
        judge[Draft] >> again >> writer,
        judge[Done] >> finish >> END,
    )


def three_laps() -> ScriptedModel:
    return ScriptedModel(says("a"), says("ab"), says("abc"))


@pytest.mark.parametrize("remembers", ["laps", "own"])
def test_in_a_loop_an_agent_goes_on_from_what_it_said(remembers: str) -> None:
    model = three_laps()
    run = writing(remembers).run_sync("write", model=model)
    assert run.output == "abc"
    assert texts(model.requests[-1].turns) == [
        "user: write",
        "agent: a",
        "user: longer than a",
        "agent: ab",
        "user: longer than ab",
    ]
    assert list(run.state) == []
    assert not any(event.kind == "state.write" for event in run.events)


def test_nothing_is_remembered_unless_it_is_asked_for() -> None:
    model = three_laps()
    writing("nothing").run_sync("write", model=model)
    assert texts(model.requests[-1].turns) == ["user: longer than ab"]


def test_laps_are_those_of_one_run_and_own_turns_those_of_all() -> None:
    def last_request(remembers: str) -> list[str]:
        model = ScriptedModel(says("abc"), says("x"), says("xyz"))

        async def work() -> None:
            chat = writing(remembers).chat("a", model=model)
            await chat.say("first")
            await chat.say("second")

        asyncio.run(work())
        return texts(model.requests[-1].turns)

    second = ["user: second", "agent: x", "user: longer than x"]
    assert last_request("laps") == second
    assert last_request("own") == ["user: first", "agent: abc", *second]


def test_what_was_left_out_of_the_laps_of_one_run_is_not_left_out_of_those_of_the_next() -> None:
    """Nor is their summary shown there."""
    policy = Summarise(max_tokens=1_000, words=20)
    graph = writing("laps", enough=2_000, context=policy)

    def answer(request: Request) -> Any:
        """Writes more with each lap, until it is enough; of what is not about cats always the same."""
        text = request.turns[-1].text  # type: ignore[union-attr]
        if "<conversation>" in text:
            return says("It was about cats.")
        if "cat" not in text:
            return says("dog")
        return says("cat " * (text.count("cat ") + 40))

    async def work() -> None:
        model = ComputedModel(answer)
        chat = graph.chat("a", model=model, limits=Limits(laps=30))
        run = await chat.say("cats")
        assert any("It was about cats." in text for text in texts(model.requests[-1].turns))
        assert any(isinstance(event, CompactionFinished) for event in run.events)
        with pytest.raises(errors.LimitExceeded):
            await chat.say("other", limits=Limits(model_calls=3))
        shown = texts(model.requests[-1].turns)
        assert shown[:2] == ["user: other", "agent: dog"]
        assert not any("about cats" in text for text in shown)

    asyncio.run(work())


def test_parallel_branches_see_the_units_of_the_fork_and_their_own() -> None:
    @node(effects=[])
    def split(text: str) -> list[str]:
        return [f"{text} 1", f"{text} 2"]

    @node(effects=[])
    def first(text: str) -> str:
        return f"{text} once"

    @node(effects=[])
    def together(texts: list[str]) -> str:
        return " and ".join(texts)

    agent = Agent("speaker", input=str, remembers="laps")
    other = agent.named("again")
    graph = Graph(
        "branches", START >> split, split.each >> agent, agent >> first >> other >> together >> END
    )

    def answer(request: Request) -> str:
        *_, last = texts(request.turns)
        return f"<{last.removeprefix('user: ')}>"

    model = ComputedModel(answer)
    assert graph.run_sync("item", model=model).output
    shown = {texts(request.turns)[-1]: texts(request.turns) for request in model.requests}
    assert shown["user: item 1"] == ["user: item 1"]
    assert shown["user: item 2"] == ["user: item 2"]


def test_an_agent_that_is_called_again_remembers_the_first_call() -> None:
    clerk = Agent("clerk", input=str, remembers="laps", description="Knows.")
    boss = Agent("boss", sub_agents=[clerk])
    graph = Graph("office", START >> boss >> END)
    model = ScriptedModel(
        calls("clerk", input="one"), says("1"), calls("clerk", input="two"), says("2"), says("done")
    )
    graph.run_sync("go", model=model)
    assert texts(model.requests[3].turns) == ["user: one", "agent: 1", "user: two"]


def test_what_a_failed_attempt_has_said_is_not_remembered() -> None:
    attempts: list[int] = []
    speaker = Agent("speaker", input=str, remembers="laps")

    @node(effects=[])
    def shaky(text: str) -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("not yet")
        return text

    inner = Graph("inner", START >> speaker >> shaky >> END, retry=2)
    model = ScriptedModel(says("one"), says("two"))
    graph = Graph("outer", START >> inner >> END)

    async def work() -> None:
        chat = graph.chat("a", model=model)
        await chat.say("go")
        (kept,) = await chat.history()
        assert [texts(turns) for _, turns in kept.units] == [["user: go", "agent: two"]]

    asyncio.run(work())
    assert [texts(request.turns) for request in model.requests] == [["user: go"], ["user: go"]]


def test_laps_survive_a_crash_at_every_row() -> None:
    def answer(request: Request) -> str:
        said = [line for line in texts(request.turns) if line.startswith("agent: ")]
        return "abc"[: len(said) + 1]

    report = asyncio.run(check_crash_safety(writing("laps"), "write", model=ComputedModel(answer)))
    assert report.cuts > 5


def test_a_file_has_the_word_and_not_the_state(tmp_path: Path) -> None:
    text = Graph("g", START >> Agent("writer", input=str, remembers="own") >> END).to_yaml()
    assert "remembers: own" in text
    assert "turns_of" not in text
    path = tmp_path / "g.yaml"
    path.write_text(text)
    assert Graph.from_yaml(str(path)).to_yaml() == text


def test_a_conversation_of_an_older_graph_is_shown_to_the_new_one() -> None:
    async def work() -> None:
        store = Store.open("memory:")
        old = Graph("desk", START >> Agent("clerk", input=str) >> END)
        await old.chat("a", store=store, model=ScriptedModel(says("Hello."))).say("Hi")
        adviser = Agent("adviser", input=Draft, output=Done)
        new = Graph("desk", START >> adviser >> END)
        model = ScriptedModel(says('{"text": "Yes."}'))
        chat = new.chat("a", store=store, model=model)
        await chat.say(Draft(text="Still there?"))
        assert texts(model.requests[-1].turns)[:2] == ["user: Hi", "agent: Hello."]
        first, second = await chat.history()
        assert (first.message, first.answer) == ("Hi", "Hello.")
        assert second.answer == Done(text="Yes.")

    asyncio.run(work())


def test_an_agent_without_an_owner_for_its_turns_says_so() -> None:
    assert issubclass(errors.StateUndeclared, errors.GraphflowError)
    with pytest.raises((GraphError, errors.DeclarationError)):
        Agent("writer", remembers="laps", adds="notes")  # type: ignore[arg-type]
