"""Results that were left out to save room, and artifacts, are read again by their handles."""

from __future__ import annotations

import asyncio
import re
from hashlib import sha256
from typing import Any

import pytest

from graphflow import END, START, Agent, Context, Graph, Message, Store, Window, node, tool
from graphflow.compaction.masks import handle_of
from graphflow.events import ModelStarted
from graphflow.messages.artifacts import Artifact
from graphflow.messages.media import Media
from graphflow.messages.untrusted import Untrusted
from graphflow.model.digest import digest_of
from graphflow.model.seam import Request
from graphflow.model.turns import AssistantTurn, ToolCall, ToolResult, ToolTurn, UserTurn
from graphflow.security import Secrets
from graphflow.testing import ComputedModel, ScriptedModel, calls, check_crash_safety, says
from tests.conftest import walk
from tests.journal.keeping import lasting, within

LINE = "All work and no play makes Jack a dull boy. "
SPOT = "the key is under the mat"


class Drawn(Message):
    """What was drawn."""

    what: Artifact
    about: str


HANDLE = re.compile(r"handle ([0-9a-f]+)\]")


@tool(effects=[])
async def read_page(number: int) -> str:
    """Read a page."""
    spot = SPOT if number == 1 else ""
    return f"page {number}: {LINE * 33}{spot}{LINE * 33}"


@tool(effects=["network"])
async def read_mail(number: int) -> Untrusted[str]:
    """Read a mail."""
    return f"mail {number}: {LINE * 33}{SPOT}{LINE * 33}"


@tool(effects=[])
async def draw(name: str, ctx: Context) -> Drawn:
    """Draw something."""
    content: Any = b"\x89PNG\xff" if name == "picture" else f"{name}: {LINE * 200}{SPOT}"
    return Drawn(what=ctx.keep(name, content), about=LINE * 20)


def results_of(request: Request) -> list[str]:
    return [
        result.text
        for turn in request.turns
        if isinstance(turn, ToolTurn)
        for result in turn.results
    ]


def reading(last: int, tool: str = "read_page") -> Any:
    """Reads pages; then fetches the first one that was left out, piece by piece, until it has the spot."""

    def answer(request: Request) -> Any:
        results = results_of(request)
        offered = [spec.name for spec in request.tools]
        if any(SPOT in text for text in results) and len(results) > last:
            return says("found")
        if len(results) < last:
            return calls(tool, number=len(results) + 1)
        assert "read_result" in offered
        found = HANDLE.search(results[0])
        assert found is not None
        goes_on = re.findall(r"offset=(\d+) goes on", results[-1])
        offset = int(goes_on[0]) if goes_on else 0
        return calls("read_result", handle=found[1], offset=offset, limit=1200)

    return answer


def model_of(answer: Any, window: int = 6000) -> Any:
    model = ComputedModel(answer)
    model.context_window = window  # type: ignore[attr-defined]
    return model


def graph_of(*tools: Any, **options: Any) -> Graph[Any, Any]:
    agent = Agent("clerk", input=str, tools=tools, context=Window(results=2), **options)
    return Graph("desk", START >> agent >> END)


def test_a_model_fetches_what_was_left_out() -> None:
    model = model_of(reading(5))
    run = walk(graph_of(read_page), "find the key", model=model)
    assert (run.output, run.error) == ("found", None)
    # Offered as soon as there is something to fetch, and no sooner.
    offers = ["read_result" in [spec.name for spec in request.tools] for request in model.requests]
    masked = [any("left out" in text for text in results_of(each)) for each in model.requests]
    assert offers == masked
    assert offers == sorted(offers)
    pieces = [text for text in results_of(model.requests[-1]) if text.startswith("[characters ")]
    assert pieces[-1].startswith("[characters 1200 to 2400 of ")
    assert any("read_result" in step.node for step in run.steps)


def test_what_came_from_outside_stays_between_fences() -> None:
    model = model_of(reading(5, "read_mail"))
    run = walk(graph_of(read_mail), "find the key", model=model)
    assert run.output == "found"
    pieces = [text for text in results_of(model.requests[-1]) if text.startswith("[characters ")]
    assert pieces
    for piece in pieces:
        _, _, fenced = piece.partition("\n")
        assert fenced.startswith("<untrusted ")
        assert fenced.splitlines()[-1].startswith("</untrusted ")


def test_a_run_that_goes_on_fetches_the_same() -> None:
    graph = graph_of(read_page)
    checking = check_crash_safety(
        graph, "find the key", model=model_of(reading(5)), most=25, seeds=(0,)
    )
    assert asyncio.run(checking).cuts > 10


SECOND_PAGE = f"page 2: {LINE * 33}{LINE * 33}"
HANDLE_OF_SECOND = handle_of(ToolResult("", "", SECOND_PAGE))


def fetching(handle: str, **arguments: Any) -> Any:
    """Fetches one handle as soon as it may, and answers with what it has got."""

    def answer(request: Request) -> Any:
        results = results_of(request)
        if len(results) < 5:
            return calls("read_page", number=len(results) + 2)
        if len(results) == 5:
            return calls("read_result", handle=handle, **arguments)
        return says(results[-1])

    return answer


@pytest.mark.parametrize(
    ("handle", "arguments", "why"),
    [
        ("123456789abc", {}, "there is no result of the handle '123456789abc'"),
        ("0" * 64, {}, "there is no result of the handle"),
        ("x", {"limit": 9000}, "less than or equal to 8000"),
        ("x", {"offset": -1}, "greater than or equal to 0"),
        (
            HANDLE_OF_SECOND,
            {"offset": 2_913},
            "offset=2913 is past the end: there are 2912 characters",
        ),
    ],
)
def test_what_cannot_be_fetched_is_told(handle: str, arguments: Any, why: str) -> None:
    run = walk(graph_of(read_page), "x", model=model_of(fetching(handle, **arguments)))
    assert why in run.output


@lasting
def test_artifacts_are_fetched_by_their_digests_in_later_runs_too(address: str) -> None:
    """From the run that has kept them, as long as it is there."""

    def answer(request: Request) -> Any:
        asked = [turn.text for turn in request.turns if isinstance(turn, UserTurn)][-1]
        last = request.turns[-1]
        if isinstance(last, ToolTurn) and "left out" not in last.results[0].text:
            return says(last.results[0].text[-200:])
        if asked.startswith("draw"):
            return calls("draw", name=asked.split()[1])
        text = "\n".join(results_of(request))
        digests = re.findall(r'"digest": ?"([0-9a-f]{64})"', text)
        return calls("read_result", handle=digests[int(asked)], offset=8000, limit=8000)

    async def work(store: Store) -> None:
        policy = Window(results=1, target=0.8)
        graph = Graph("desk", START >> Agent("clerk", tools=[draw], context=policy) >> END)
        model = model_of(answer, window=2500)
        chat = graph.chat("user:42", store=store, model=model)
        drawn = await chat.say("draw text")
        picture = await chat.say("draw picture")
        for _ in range(2):
            await chat.say("draw other")
        run = await chat.say("0")
        assert "left out" in results_of(model.requests[-1])[0]
        assert run.output.endswith(SPOT)
        run = await chat.say("1")
        assert "is not text: it has 5 bytes" in run.output
        await store.delete(drawn.id)
        await store.delete(picture.id)
        run = await chat.say("0")
        assert "is gone: the run that kept it was removed" in run.output

    within(address, work)


def test_only_agents_that_may_leave_something_out_have_it(tmp_path: Any) -> None:
    plain = Agent("plain", tools=[read_page])
    idle = Agent("idle", context=Window())
    assert [node.name for node in plain.calls] == ["read_page"]  # type: ignore[union-attr]
    assert idle.calls == ()
    graph = graph_of(read_page)
    assert "read_result" not in graph.to_yaml()


def test_events_tell_what_each_question_has_shown() -> None:
    """By a digest: the same in a fork that asks the same, another one where less is shown."""

    async def work(store: Store) -> None:
        graph = graph_of(read_page)
        model = model_of(reading(5))
        run = await graph.run("find the key", store=store, model=model)
        asked = [event for event in run.events if isinstance(event, ModelStarted)]
        assert [event.turns_shown for event in asked] == [
            len(each.turns) for each in model.requests
        ]
        assert [event.shown for event in asked] == [digest_of(each)[:16] for each in model.requests]
        assert len({event.shown for event in asked}) == len(asked)
        again = await graph.fork(run.id, at="clerk", store=store, model=model_of(reading(5)))
        shown = [event.shown for event in again.events if isinstance(event, ModelStarted)]
        assert shown == [event.shown for event in asked]
        assert [each["shown"] for each in run.records() if each["kind"] == "model.start"] == shown
        replayed = await graph.replay(run.id, store=store)
        assert replayed.output == "found"

    within("memory:", work)
    run = walk(graph_of(read_page), "find the key", model=model_of(reading(5)))
    unkept = [event for event in run.events if isinstance(event, ModelStarted)]
    assert [event.shown for event in unkept] == [""] * len(unkept)
    assert unkept[-1].turns_shown > 5


@tool(effects=[])
async def paint(number: int) -> Media:
    """Paint something."""
    return Media(mime="image/png", data=b"picture %d" % number)


def test_a_picture_is_looked_at_again() -> None:
    def answer(request: Request) -> Any:
        done = [turn.results[0] for turn in request.turns if isinstance(turn, ToolTurn)]
        if done and done[-1].name == "read_result":
            return says("seen") if done[-1].media else says(done[-1].text)
        if len(done) < 5:
            return calls("paint", number=len(done))
        found = HANDLE.search(done[1].text)
        assert found is not None
        return calls("read_result", handle=found[1])

    model = model_of(answer, window=9_000)
    graph = graph_of(paint)
    run = walk(graph, "paint", model=model)
    assert run.output == "seen"
    [seen] = model.requests[-1].turns[-1].results
    assert [part.data for part in seen.media] == [b"picture 1"]
    assert asyncio.run(check_crash_safety(graph, "paint", model=model, most=5, seeds=(0,))).cuts


KEY = "sk-9f8e7d6c5b4a39281706"
LOG = f"{'a' * 350} {KEY} {'b' * 50}"


def piece_by_piece(handle: str, size: int) -> Any:
    """Reads something in pieces so small that a secret is in none of them as a whole."""

    def answer(request: Request) -> Any:
        results = results_of(request)
        offset = results[-1].partition("; offset=")[2].partition(" goes on")[0]
        if results[-1].startswith("[characters ") and not offset:
            return says("read")
        return calls("read_result", handle=handle, offset=int(offset or 0), limit=size)

    return answer


def read_in_pieces(model: Any) -> str:
    pieces = [text.partition("\n") for text in results_of(model.requests[-1])]
    return "".join(piece for head, _, piece in pieces if head.startswith("[characters "))


@tool(effects=[])
async def read_log() -> str:
    """Read the log."""
    return LOG


@pytest.mark.parametrize("size", [7, 100])
@pytest.mark.parametrize("way", ["history", "conversation"])
def test_no_piece_holds_half_of_a_secret_that_was_said_when_nobody_knew_of_it(
    way: str, size: int
) -> None:
    history = [
        UserTurn("look"),
        AssistantTurn("", (ToolCall("c1", "read_log", "{}"),)),
        ToolTurn((ToolResult("c1", "read_log", LOG),)),
        AssistantTurn("done"),
        *(UserTurn("and?"), AssistantTurn(LINE * 100)),
    ]
    masked_text = LOG.replace(KEY, "[vendor]")
    handle = handle_of(ToolResult("", "", masked_text))
    model = model_of(piece_by_piece(handle, size), window=100_000)
    agent = Agent("clerk", tools=[read_log], context=Window(), max_turns=80)
    graph = Graph("desk", START >> agent >> END)
    secrets = Secrets({"vendor": KEY})
    if way == "history":
        run = walk(graph, "again", model=model, history=history, secrets=secrets)
    else:
        store = Store.open("memory:")
        first = ScriptedModel(calls("read_log"), says("done"))
        options: Any = {"store": store, "conversation": "a"}
        graph.run_sync("look", model=first, **options)
        run = graph.run_sync("again", model=model, secrets=secrets, **options)
    assert (run.output, run.error) == ("read", None)
    assert "[vendor]" in read_in_pieces(model)
    for start in range(0, len(KEY) - 6, 3):
        assert KEY[start : start + 6] not in read_in_pieces(model)


@lasting
def test_nor_does_a_piece_of_an_artifact(address: str) -> None:
    """That an earlier run has kept, which knew of no secret."""

    @tool(effects=[])
    async def keep(ctx: Context) -> Drawn:
        """Keep something."""
        return Drawn(what=ctx.keep("log", f"{'a' * 30} {KEY} {'b' * 30}"), about=LINE * 20)

    async def work(store: Store) -> None:
        policy = Window(results=1, max_tokens=9_000)
        graph = Graph(
            "desk", START >> Agent("clerk", tools=[keep], context=policy, max_turns=40) >> END
        )
        model = ScriptedModel(calls("keep"), says("kept"))
        kept = await graph.chat("a", store=store, model=model).say("keep it")
        reading = model_of(piece_by_piece(kept.artifacts[0].digest, 10), window=100_000)
        secrets = Secrets({"vendor": KEY})
        run = await graph.chat("a", store=store, model=reading, secrets=secrets).say("read it")
        assert run.output == "read"
        assert f"{'a' * 30} [vendor] {'b' * 30}" == read_in_pieces(reading)

    within(address, work)


@lasting
def test_what_another_conversation_was_shown_is_refused(address: str) -> None:
    """By its handle as by its digest, although both lie in the same store."""

    @tool(effects=[])
    async def keep(ctx: Context) -> Drawn:
        """Keep something."""
        return Drawn(what=ctx.keep("log", LOG), about=LINE * 20)

    async def work(store: Store) -> None:
        agent = Agent("clerk", tools=[keep], context=Window())
        graph = Graph("desk", START >> agent >> END)
        model = ScriptedModel(calls("keep"), says("kept"))
        run = await graph.chat("a", store=store, model=model).say("keep it")
        digest = run.artifacts[0].digest
        [result] = model.requests[-1].turns[-1].results  # type: ignore[union-attr]
        spying = ScriptedModel(
            calls("read_result", handle=digest),
            calls("read_result", handle=handle_of(result)),
            says(f"it is called {digest}"),
            calls("read_result", handle=digest),
            says("end"),
        )
        chat = graph.chat("b", store=store, model=spying)
        await chat.say("read it")
        await chat.say("and now?")  # that somebody has said its name is not enough
        answers = results_of(spying.requests[-1])
        assert len(answers) == 3
        for answer in answers:
            assert "there is no result of the handle" in answer

    within(address, work)


def test_what_another_agent_of_the_run_has_kept_is_refused_however_often_it_is_asked_for() -> None:
    """The first refusal repeats the digest, and names nothing by that."""

    @node(effects=[])
    async def keep(text: str, ctx: Context) -> str:
        ctx.keep("log", LOG)
        return text

    def answer(request: Request) -> Any:
        if len(results_of(request)) == 3:
            return says("end")
        return calls("read_result", handle=sha256(LOG.encode()).hexdigest())

    model = model_of(answer)
    agent = Agent("clerk", input=str, tools=[read_log], context=Window())
    run = walk(Graph("desk", START >> keep >> agent >> END), "go", model=model)
    assert run.artifacts[0].digest == sha256(LOG.encode()).hexdigest()
    for text in results_of(model.requests[-1]):
        assert "there is no result of the handle" in text
