"""Context policies through whole walks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph, Handoff, HeadTail, Store, Window, tool
from graphflow.errors import ContextFull, ContextOverflow, DeclarationError, FileUnreadable
from graphflow.events import CompactionFinished, CompactionStarted
from graphflow.journal.row_reader import digests_in
from graphflow.journal.stored import StoredRow
from graphflow.journal.stores.memory import MemoryStore
from graphflow.model.seam import Request
from graphflow.model.turns import AssistantTurn, ToolTurn, Turn, UserTurn
from graphflow.run import Run
from graphflow.testing import ScriptedModel, calls, check_crash_safety, says
from tests.compaction.readers import Reader
from tests.compaction.talks import orphans
from tests.conftest import kinds, walk

PAGE = "All work and no play makes Jack a dull boy. " * 40
"""1,760 characters: 440 tokens as a provider counts, 590 as they are estimated."""


@tool
async def read_page(number: int) -> str:
    """Read a page."""
    return f"page {number}: {PAGE}"


def reading(pages: int) -> Any:
    """Reads so many pages, one after the other, then answers."""

    def reply(request: Request) -> object:
        read = sum(isinstance(turn, ToolTurn) for turn in request.turns)
        asked = _pages_asked(request)
        if asked < pages:
            return calls("read_page", number=asked + 1)
        return says(f"done, with {read} pages before me")

    return reply


def _pages_asked(request: Request) -> int:
    """The number of the last page that was read, as far as it is shown."""
    last = 0
    for turn in request.turns:
        if isinstance(turn, ToolTurn):
            last += 1
    for turn in reversed(request.turns):
        if isinstance(turn, ToolTurn):
            head = turn.results[0].text.partition(":")[0]
            return int(head.removeprefix("page "))
    return last


def reader_graph(**options: Any) -> Graph[Any, Any]:
    agent = Agent("clerk", tools=[read_page], max_turns=60, **options)
    return Graph("desk", START >> agent >> END)


def compactions(run: Run[Any]) -> list[CompactionFinished]:
    return [event for event in run.events if isinstance(event, CompactionFinished)]


def test_a_long_loop_of_calls_fits_at_every_question() -> None:
    model = Reader(reading(40), window=4000)
    run = walk(reader_graph(context=Window()), "read it all", model=model)
    assert run.error is None
    assert max(model.sizes) <= 4000
    assert len(model.sizes) == 41  # nobody was asked twice
    assert all(orphans(request.turns) == [] for request in model.requests)
    assert all(request.turns[0] == UserTurn("read it all") for request in model.requests)
    assert run.usage.model_calls == 41


def test_without_a_policy_it_overflows_as_before() -> None:
    model = Reader(reading(40), window=4000)
    run = walk(reader_graph(), "read it all", model=model)
    assert isinstance(run.error, ContextOverflow)
    assert compactions(run) == []


def test_events_tell_what_was_left_out_before_and_after() -> None:
    model = Reader(reading(12), window=4000)
    run = walk(reader_graph(context=Window()), "read it all", model=model)
    told = [kind for kind in kinds(run) if kind.startswith("compaction")]
    assert told == ["compaction.start", "compaction.end"] * (len(told) // 2)
    [started, *_] = [event for event in run.events if isinstance(event, CompactionStarted)]
    [finished, *_] = compactions(run)
    assert (started.policy, started.why, started.room) == ("window", "full", 4000)
    assert started.tokens > 0.85 * 4000 / 1.12 > 0.5 * 4000 / 1.12 >= finished.tokens
    assert finished.left_out["results"] > 0


def test_what_is_shown_keeps_its_beginning_from_one_question_to_the_next() -> None:
    model = Reader(reading(40), window=8000)
    run = walk(reader_graph(context=Window()), "read it all", model=model)
    kept = 0
    for before, after in zip(model.requests, model.requests[1:], strict=False):
        kept += after.turns[: len(before.turns)] == before.turns
    assert kept == 40 - len(compactions(run))
    assert len(compactions(run)) <= 8


def test_a_policy_never_changes_what_was_said() -> None:
    """Whom an agent hands over to gets all of it."""

    def reply(request: Request) -> object:
        if any(spec.name == "read_page" for spec in request.tools):
            if _pages_asked(request) < 12:
                return calls("read_page", number=_pages_asked(request) + 1)
            return calls("transfer_to_boss", input="over to you")
        return says("thanks")

    model = Reader(reply, window=4000)
    boss_model = Reader(lambda request: says("thanks"), window=400_000)
    boss = Agent("boss", input=str, model=boss_model)
    clerk = Agent(
        "clerk",
        model=model,
        tools=[read_page],
        context=Window(),
        handoffs=[Handoff(boss, conversation=True)],
    )
    run = walk(Graph("desk", START >> clerk, clerk >> boss >> END), "read it all")
    assert run.error is None
    assert compactions(run)
    [request] = boss_model.requests
    shown = "\n".join(turn.text for turn in request.turns if isinstance(turn, UserTurn))
    assert shown.count(PAGE.strip()) == 12


def test_who_is_shown_what_was_said_before_has_a_window_without_being_told() -> None:
    def reply(request: Request) -> object:
        if any(spec.name == "read_page" for spec in request.tools):
            if _pages_asked(request) < 12:
                return calls("read_page", number=_pages_asked(request) + 1)
            return calls("transfer_to_boss", input="over to you")
        return says("thanks")

    boss_model = Reader(lambda request: says("thanks"), window=2000)
    boss = Agent("boss", input=str, model=boss_model)
    clerk = Agent(
        "clerk",
        model=Reader(reply, window=400_000),
        tools=[read_page],
        handoffs=[Handoff(boss, conversation=True)],
    )
    run = walk(Graph("desk", START >> clerk, clerk >> boss >> END), "read it all")
    assert run.error is None
    assert len(compactions(run)) == 1
    [request] = boss_model.requests
    assert request.turns[-1] == UserTurn("over to you")
    assert boss_model.sizes[0] <= 2000


@pytest.mark.parametrize("says_so", [True, False])
def test_a_request_that_is_too_long_all_the_same_is_halved_and_asked_once_more(
    says_so: bool,
) -> None:
    """Every character is a token: three times as many as is estimated."""
    model = Reader(reading(9), window=12_000, says_so=says_so, tokens=len)
    run = walk(reader_graph(context=Window(results=9)), "read it all", model=model)
    assert run.error is None
    refused = [size for size in model.sizes if size > 12_000]
    assert len(refused) <= 1
    whys = [event.why for event in run.events if isinstance(event, CompactionStarted)]
    assert whys.count("overflow") == len(refused)
    assert not says_so or refused == []  # what it has counted says how dense the text is


def test_a_first_request_that_is_too_long_is_halved_where_nobody_knows_the_window() -> None:
    boss_model = Reader(lambda request: says("thanks"), window=3000, says_so=False)

    def reply(request: Request) -> object:
        if _pages_asked(request) < 12:
            return calls("read_page", number=_pages_asked(request) + 1)
        return calls("transfer_to_boss", input="over to you")

    boss = Agent("boss", input=str, model=boss_model)
    clerk = Agent(
        "clerk",
        model=Reader(reply, window=400_000),
        tools=[read_page],
        handoffs=[Handoff(boss, conversation=True)],
    )
    run = walk(Graph("desk", START >> clerk, clerk >> boss >> END), "read it all")
    assert run.error is None
    assert [size > 3000 for size in boss_model.sizes] == [True, False]


def test_what_must_stay_and_cannot_fit_is_refused_before_anything_is_asked() -> None:
    model = Reader(reading(1), window=1000)
    run = walk(reader_graph(context=Window()), PAGE * 10, model=model)
    assert isinstance(run.error, ContextFull)
    assert isinstance(run.error, ContextOverflow)
    assert model.sizes == []
    assert run.error.room == 1000
    assert run.error.tokens > 4000
    assert "pin less" in str(run.error)


def test_what_may_just_fit_is_left_to_the_provider() -> None:
    """English prose is a quarter less than its bytes say: to refuse it unasked would be wrong."""
    model = Reader(reading(0), window=1000)
    run = walk(reader_graph(context=Window()), "word " * 720, model=model)
    assert run.error is None
    assert 900 < model.sizes[0] <= 1000


def test_what_does_not_fit_after_an_overflow_says_what_the_provider_has_said() -> None:
    model = Reader(reading(0), window=1000, tokens=len)
    run = walk(reader_graph(context=Window()), "word " * 300, model=model)
    assert isinstance(run.error, ContextFull)
    assert "prompt is too long" in str(run.error)
    assert len(model.sizes) == 1


def test_pins_stay() -> None:
    model = Reader(reading(30), window=4000)
    run = walk(reader_graph(context=Window(pins="page 2:")), "read it all", model=model)
    assert run.error is None
    for request in model.requests[3:]:
        shown = [turn.results[0].text for turn in request.turns if isinstance(turn, ToolTurn)]
        assert f"page 2: {PAGE}".strip() in [text.strip() for text in shown]


@pytest.mark.parametrize("policy", [HeadTail(head=1), Window(pins="page 2:")])
def test_an_exchange_that_stays_is_shown_with_its_results_masked(policy: Window) -> None:
    """A long one would fill the room for good: all that is said after it would be refused."""
    pages = [calls("read_page", number=number) for number in range(1, 16)]
    model = ScriptedModel(*pages, says("Read."), says("Jack is."))
    model.context_window = 4000  # type: ignore[attr-defined]
    chat = reader_graph(context=policy).chat("a", model=model)

    async def talk() -> None:
        await chat.say("read it all")
        run = await chat.say("who is dull?")
        assert run.output == "Jack is."

    asyncio.run(talk())
    turns = model.requests[-1].turns
    assert len(turns) == 33
    results = [turn.results[0].text for turn in turns if isinstance(turn, ToolTurn)]
    assert (f"page 2: {PAGE}" in results) is bool(policy.pins)
    assert results[0].startswith("[left out to save room: ")
    assert results[-1] == f"page 15: {PAGE}"


def test_a_run_that_goes_on_sees_the_same_at_every_cut() -> None:
    model = Reader(reading(14), window=4000)
    graph = reader_graph(context=Window())
    report = asyncio.run(check_crash_safety(graph, "read it all", model=model, most=40, seeds=(0,)))
    assert report.cuts > 20


def test_what_was_left_out_is_what_the_record_says_whatever_tables_say_later() -> None:
    """A model whose window has grown since: the run goes on as it had begun, and nobody is asked twice."""

    async def main() -> None:
        graph = reader_graph(context=Window())
        store = MemoryStore()
        small = Reader(reading(14), window=4000)
        first = await graph.run("read it all", store=store, id="r", model=small)
        rows = [row async for row in store.rows("r")]
        replayed = await graph.replay("r", store=store)
        assert replayed.output == first.output
        assert kinds(replayed) == kinds(first)
        ends = [place for place, row in enumerate(rows) if row.kind == "compaction.end"]
        assert len(ends) >= 2
        for end in ends:
            cut_off = await beginning(store, rows[: end + 1])
            grown = Reader(reading(14), window=400_000)
            second = await graph.run("read it all", store=cut_off, id="r", model=grown)
            asked = len([row for row in rows[:end] if row.kind == "model.end"])
            # The question that it was cut off at is asked as it would have been; so are those after it.
            assert grown.requests[0] == small.requests[asked]
            assert len(grown.requests) == len(small.requests) - asked
            assert [e.left_out for e in compactions(second)][:1] == [
                e.left_out for e in compactions(first)
            ][:1]

    asyncio.run(main())


async def beginning(store: Store, rows: Sequence[StoredRow]) -> Store:
    """A store that knows only these rows of the run "r", as a process leaves it that dies."""
    other = MemoryStore()
    header = await store.header("r")
    begun = replace(header, status="running", rows=0, lease=None)
    ownership = await other.create(begun, "a process that is gone")
    large: dict[str, bytes] = {}
    for row in rows:
        for digest in digests_in(row):
            content = await store.large("r", digest)
            assert content is not None
            large[digest] = content
    await other.append(ownership, rows, large)
    await other.release(ownership)
    return other


def test_files_have_words_for_policies(tmp_path: Any) -> None:
    file = tmp_path / "desk.yaml"
    text = """graph: desk
nodes:
  clerk:
    kind: agent
    context: {policy: head_tail, head: 2, results: 5, pins: [order]}
  boss:
    kind: agent
    context: window
edges:
- START >> clerk >> boss >> END
"""
    file.write_text(text)
    graph = Graph.from_yaml(file)
    clerk, boss = graph.nodes
    assert clerk.context == HeadTail(head=2, results=5, pins=["order"])  # type: ignore[attr-defined]
    assert boss.context == Window()  # type: ignore[attr-defined]
    file.write_text(graph.to_yaml())
    assert Graph.from_yaml(file) == graph
    file.write_text(text.replace("head_tail", "headtail"))
    with pytest.raises(FileUnreadable, match="head_tail"):
        Graph.from_yaml(file)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Agent("a", context="window"), "give Window"),  # type: ignore[arg-type]
        (lambda: Window(results=-1), "results must be at least 0"),
        (lambda: Window(full=0.4), "target < full"),
        (lambda: Window(max_tokens=0), "max_tokens must be at least 1"),
        (lambda: HeadTail(head=-1), "head must be at least 0"),
    ],
)
def test_wrong_policies_are_refused_where_they_are_declared(make: Any, why: str) -> None:
    with pytest.raises(DeclarationError, match=why):
        make()


def test_of_an_exchange_that_is_too_long_its_message_and_its_answer_stay() -> None:
    """Forty calls in one exchange: the next message is shown what was asked and answered, and the one behind it, too."""

    async def main() -> None:
        read = reading(40)

        def answered_by(request: Request) -> object:
            asked = [turn.text for turn in request.turns if isinstance(turn, UserTurn)]
            return read(request) if asked[-1] == "read it all" else says("Because.")

        model = Reader(answered_by, window=4000)
        chat = reader_graph(context=Window()).chat("user:1", store=MemoryStore(), model=model)
        long = await chat.say("read it all")
        assert len([event for event in long.events if event.kind == "model.start"]) == 41
        answered = AssistantTurn(str(long.output))
        expected: list[Turn] = [UserTurn("read it all"), answered, UserTurn("and why?")]
        run = await chat.say("and why?")
        assert list(model.requests[-1].turns) == expected
        assert compactions(run)[-1].left_out["brief"] is True
        await chat.say("really?")
        shown = model.requests[-1].turns
        assert list(shown[:3]) == expected
        assert [turn.text for turn in shown[3:] if not isinstance(turn, ToolTurn)] == [
            "Because.",
            "really?",
        ]
        assert max(model.sizes) <= 4000

    asyncio.run(main())
