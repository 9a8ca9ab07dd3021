"""Guards of what is still being said: the model is stopped, and nobody hears what was rejected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from graphflow import END, START, Agent, Graph, Store, SubAgent
from graphflow.errors import GuardRejected
from graphflow.events import MessageRejected, ModelDelta, ModelFinished, ModelPartial, to_record
from graphflow.model.seam import Finished, ModelEvent, Request, TextDelta, ThinkingDelta
from graphflow.security import Length, PersonalData, guarded
from graphflow.testing import ScriptedModel, calls
from tests.conftest import heard, walk

CARD = "4111 1111 1111 1111"


class Speaking:
    """A model that says these pieces, and knows how far it came."""

    name = "speaking"

    def __init__(self, *pieces: str, thinking: str = "") -> None:
        self.pieces = pieces
        self.thinking = thinking
        self.spoken = 0
        self.closed = False

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        try:
            if self.thinking:
                yield ThinkingDelta(self.thinking)
            for piece in self.pieces:
                self.spoken += 1
                yield TextDelta(piece)
                await asyncio.sleep(0)
            yield Finished("stop")
        finally:
            self.closed = True


def told(run: Any) -> str:
    events = heard(run)
    return "".join(e.text for e in events if isinstance(e, ModelDelta) and e.channel == "text")


def desk(*after: Any, **options: Any) -> Graph[str, Any]:
    return Graph(
        "desk", START >> guarded(Agent("writer", input=str, **options), after=after) >> END
    )


def pieces_of(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def everything_told(run: Any) -> str:
    """All texts that listeners and records were told of a run; times have any digits."""
    records = [to_record(event) for event in [*heard(run), *run.events]]
    return "\n".join(texts_in(records))


def texts_in(value: Any) -> Iterator[str]:
    """The texts in plain data, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts_in(key)
            yield from texts_in(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from texts_in(inner)


@pytest.mark.parametrize("card", [CARD, CARD.replace(" ", "\N{NO-BREAK SPACE}")])
@pytest.mark.parametrize("observed", [False, True])
def test_the_model_is_stopped_in_the_middle_and_nothing_of_the_number_is_told(
    observed: bool, card: str
) -> None:
    words = "Of course, here it is as you have asked me for it. "
    text = words * 4 + f"The card is {card}, " + words * 100
    model = Speaking(*pieces_of(text, 3))
    run = walk(desk(PersonalData()), "go", model=model, observed=observed)
    assert isinstance(run.error, GuardRejected)
    assert (run.error.stage, run.error.guard) == ("after", "personal data")
    assert model.closed
    assert model.spoken < len(model.pieces) / 4
    assert [e.stage for e in run.events if isinstance(e, MessageRejected)] == ["after"]
    if observed:
        assert told(run)
        assert (words * 4).startswith(told(run))
        assert "4111" not in everything_told(run)


def test_what_passes_is_told_whole_while_it_is_said() -> None:
    text = "Your parcel is on its way, and it will be there on Friday. " * 10
    run = walk(
        desk(PersonalData(), Length(1_000)),
        "go",
        model=Speaking(*pieces_of(text, 4)),
        observed=True,
    )
    assert run.output == text
    assert told(run) == text
    deltas = [e for e in heard(run) if isinstance(e, ModelDelta)]
    assert len(deltas) > 3
    [finished] = [e for e in run.events if isinstance(e, ModelFinished)]
    assert finished.text == text


def test_a_text_that_is_too_long_is_cut_off_where_it_becomes_so() -> None:
    model = Speaking(*["word "] * 1_000)
    run = walk(desk(Length(50)), "go", model=model, observed=True)
    assert isinstance(run.error, GuardRejected)
    assert model.spoken == 11
    assert told(run) == "word " * 10


def test_a_guard_that_needs_the_whole_answer_holds_all_of_it_back() -> None:
    def polite(answer: str) -> bool:
        return "please" in answer

    run = walk(desk(polite), "go", model=Speaking("a ", "secret"), observed=True)
    assert isinstance(run.error, GuardRejected)
    assert "secret" not in everything_told(run)
    run = walk(desk(polite), "go", model=Speaking("yes ", "please"), observed=True)
    assert run.output == "yes please"
    assert told(run) == ""


class Person(BaseModel, frozen=True):
    name: str
    mail: str


def test_of_an_answer_that_is_data_nothing_is_told_before_it_is_judged() -> None:
    text = '{"name": "Bo", "mail": "bo\\u0040example.org"}'
    run = walk(
        desk(PersonalData(), output=Person),
        "go",
        model=Speaking(*pieces_of(text, 5)),
        observed=True,
    )
    assert isinstance(run.error, GuardRejected)
    assert not [e for e in heard(run) if isinstance(e, ModelPartial)]
    assert "Bo" not in everything_told(run)
    assert "example.org" not in everything_told(run)


def test_thoughts_are_not_told_where_answers_are_guarded() -> None:
    model = Speaking("fine", thinking=f"the card is {CARD}")
    run = walk(desk(PersonalData()), "go", model=model, observed=True)
    assert run.output == "fine"
    assert "4111" not in everything_told(run)


def test_the_words_between_calls_are_judged_too() -> None:
    from graphflow import tool

    @tool(effects=[])
    async def look(where: str) -> str:
        """Look."""
        return "nothing"

    first = calls("look", where="here")
    first.text = f"I will look for {CARD} now, and tell you what I have found about it there."
    run = walk(
        desk(PersonalData(), tools=[look]), "go", model=ScriptedModel(first, "done"), observed=True
    )
    assert isinstance(run.error, GuardRejected)
    assert "4111" not in everything_told(run)


def test_a_sub_agent_is_judged_where_it_speaks() -> None:
    writer = Agent("writer", input=str)
    careful = guarded(SubAgent(writer, name="author"), after=[PersonalData()])
    boss = Agent("boss", input=str, sub_agents=[careful])
    model = ScriptedModel(calls("author", input="go"), f"it is {CARD}", "done")
    run = walk(Graph("outer", START >> boss >> END), "go", model=model, observed=True)
    assert run.output == "done"
    assert "4111" not in everything_told(run)


def test_a_run_that_goes_on_after_a_crash_does_not_ask_a_rejected_model_again(
    tmp_path: Any,
) -> None:
    async def main() -> None:
        store = Store.open(f"sqlite:{tmp_path / 'runs.db'}")
        graph = desk(PersonalData())
        model = Speaking(f"it is {CARD} and so on and so on, for whoever wants to read it all.")
        with pytest.raises(GuardRejected):
            await graph.run("go", model=model, store=store, id="one")
        report = await graph.replay("one", store=store)
        assert report is not None
        await store.aclose()

    asyncio.run(main())


# -- for all texts, however they are cut -----------------------------------------------------------
PLANTED = st.sampled_from(
    [
        CARD,
        "5500-0000-0000-0004",
        "anna.petrova@example.org",
        "DE89 3704 0044 0532 0130 00",
        "+49 30 1234567",
        "078-05-1120",
        "10.0.0.1",
        "4111 1111 1111 1112",
        "1234567890123456789012345",
        "@",
        "x" * 700,
        "+1 ",
    ]
)
FILLER = st.text(alphabet="ab 1.,-()\n\u4e2d", max_size=40)


@given(
    parts=st.lists(st.one_of(PLANTED, FILLER), max_size=12),
    sizes=st.lists(st.integers(1, 90), min_size=1),
)
def test_a_stream_is_judged_as_the_whole_is_and_never_tells_a_part_of_what_is_found(
    parts: Sequence[str], sizes: Sequence[int]
) -> None:
    text = "".join(parts)
    guard = PersonalData()
    judge = guard.stream()
    why, at, number = None, 0, 0
    while at < len(text) and why is None:
        size = sizes[number % len(sizes)]
        why = judge.take(text[at : at + size])
        at, number = at + size, number + 1
        assert judge.safe <= at
    safe = judge.safe
    if why is None:
        why = judge.end()
        if why is None:
            assert judge.safe == len(text)
    assert (why is None) == (guard.judge([text]) is None)
    if why is not None:
        assert safe <= beginning_of_the_first(text)


def beginning_of_the_first(text: str) -> int:
    """Where the first piece of personal data begins, found letter by letter."""
    from graphflow.security import personal_data

    starts: list[int] = []
    for kind, pattern in personal_data._PATTERNS.items():
        real = personal_data._CHECKS.get(kind, lambda found: True)
        for place in range(len(text)):
            found = pattern.match(text, place)
            if found and real(found.group()):
                starts.append(place)
    return min(starts)
