"""The companion: what it keeps, how it answers, what it does not say; and a long chat on the embedded model."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from graphflow import Graph
from graphflow.errors import WeightsError
from graphflow.memory import Memory, Note, NoteMemory, SemanticMemory
from graphflow.model.resolve import open_embedder
from graphflow.providers.embedded import weights
from graphflow.testing import ComputedModel, FakeClock, ScriptedModel, check_crash_safety, says
from graphs.companion import LONGEST, companion, companion_with
from nodes._support.person import to_you
from tests.bench.companion_figures import ENOUGH, Talk, talk_with
from tests.ready.ways import called, from_file, ran, sound

pytestmark = pytest.mark.filterwarnings("ignore:session=:DeprecationWarning")

CAT = "My cat is called Miso."
ASKED = "What is my cat called?"


class Down(NoteMemory):
    """A memory whose service is down."""

    async def recall(self, query: str, **options: Any) -> list[Note]:
        raise OSError("no route to memory.example")

    async def remember(self, note: Note | str, **options: Any) -> Note:
        raise OSError("no route to memory.example")


def told(graph: Graph[str, str], *lines: str, replies: tuple[str, ...] = (), **options: Any) -> Any:
    """The last of some runs, one a line, and the model that was asked."""
    model = ScriptedModel(*map(says, replies))

    async def main() -> Any:
        run: Any = None
        for line in lines:
            run = await graph.run(line, model=model, **options)
        return run

    return asyncio.run(main()), model


def test_it_is_sound_bounded_and_drawn() -> None:
    sound(
        companion,
        "START | str | sort_talk",
        "sort_talk | #39;statement#39; | remember",
        "remember | Failure | refuse",
        "sort_talk | #39;question#39; | recall",
        "read_notes | Evidence | answer",
        "answer |  | writer",
        "sort_talk | #39;chat#39; | chat",
    )
    assert companion.bounds().steps is not None


def test_what_was_told_is_answered_in_a_later_run() -> None:
    graph = companion_with(NoteMemory())
    run, model = told(graph, CAT, ASKED, replies=("Your cat is called Miso.",))
    assert run.output == "Your cat is called Miso."
    assert ran(run) == ["sort_talk", "recall", "read_notes", "answer"]
    assert called(run) == ["writer"]
    # The writer is shown the note in the second person, and nothing of what was said before.
    assert model.requests[-1].turns[-1].text.endswith("Note: Your cat is called Miso.")


@pytest.mark.parametrize(
    "said", ["Your cat is called Tiger.", "Your cat Miso is nine years old.", "What is it?", "Miso"]
)
def test_what_no_note_says_is_not_said(said: str) -> None:
    run, _ = told(companion_with(NoteMemory()), CAT, ASKED, replies=(said,))
    assert run.output == "You told me: Your cat is called Miso."


def test_small_talk_asks_no_model_and_is_not_kept() -> None:
    memory = NoteMemory()
    run, model = told(companion_with(memory), "Hello, good morning!")
    assert run.output.startswith("I am here.")
    assert model.requests == []
    assert asyncio.run(memory.recall("good morning hello")) == []


def test_nobody_is_told_what_another_has_told() -> None:
    graph = companion_with(NoteMemory())
    told(graph, CAT, session="anna")
    run, _ = told(graph, ASKED, session="ben")
    assert run.output == "You have not told me anything yet."


def test_a_memory_that_is_down_is_told_and_stops_nothing() -> None:
    graph = companion_with(Down(on_error="skip"))
    assert "could not keep that: OSError: no route" in told(graph, CAT)[0].output
    assert "cannot look that up now: OSError: no route" in told(graph, ASKED)[0].output


def test_what_is_too_long_is_refused_or_cut_and_never_too_long_for_the_model() -> None:
    memory = NoteMemory()
    graph = companion_with(memory)
    assert "too long" in told(graph, f"{CAT} " * 5_000)[0].output
    asyncio.run(memory.remember("My cat is called Miso. " * 500))
    run, model = told(graph, "What is my cat called, please? " * 50_000, replies=("?",))
    assert run.status == "completed"
    assert len(model.requests[-1].turns[-1].text) < 2 * LONGEST + 200


@pytest.mark.parametrize(
    ("mine", "yours"),
    [
        ("I am at home and my dog is, too.", "You are at home and your dog is, too."),
        ("Ann gave me hers. I was glad; I'm still glad.", None),
        ("My sister and I were born in 1990.", "Your sister and you were born in 1990."),
        ("The mine is closed.", "The yours is closed."),  # English has one word for both
        ("Ich bin da.", "Ich bin da."),
        ("", ""),
    ],
)
def test_the_second_person(mine: str, yours: str | None) -> None:
    expected = "Ann gave you hers. You were glad; you're still glad." if yours is None else yours
    assert to_you(mine) == expected


@pytest.mark.parametrize("line", [CAT, ASKED])
def test_it_goes_on_from_wherever_it_is_cut_off(line: str) -> None:
    memory = NoteMemory()

    async def main() -> None:
        await memory.remember(CAT)
        with FakeClock():
            model = ComputedModel(lambda request: says("Your cat is called Miso."))
            report = await check_crash_safety(
                companion_with(memory), line, model=model, seeds=range(2)
            )
        assert report.cuts > 4

    asyncio.run(main())


def test_what_was_told_stands_in_a_file_in_the_folder_where_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told(companion_with(NoteMemory(at="companion.md")), CAT)
    assert f"- {CAT}" in (tmp_path / "companion.md").read_text()


def test_it_is_the_same_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    again = from_file(companion, tmp_path)
    assert again.to_yaml() == companion.to_yaml()
    assert "kind: semantic\n    at: companion.md" in again.to_yaml()


# -- on the embedded model -------------------------------------------------------------------------
def long_talk(memory: Memory, blocks: int) -> Talk:
    weights.pull("smollm2", say=print)
    talk = asyncio.run(talk_with(memory, blocks))
    print(talk)
    assert talk.failed == []
    assert talk.longest < 1_000  # of 4,096 that the model reads
    assert min(talk.right) >= ENOUGH, talk.wrong
    return talk


@pytest.mark.local_model
@pytest.mark.slow
@pytest.mark.parametrize("embedder", ["local:use", "local:minilm"])
def test_a_long_chat_never_overflows_and_keeps_its_facts(embedder: str) -> None:
    """Half as long as `python -m tests.bench.companion_figures` makes it."""
    try:
        open_embedder(embedder)
    except WeightsError as error:
        pytest.skip(str(error))  # of an unknown carrier: nobody fetches them unasked
    talk = long_talk(SemanticMemory(embedder=embedder), blocks=4)
    assert (talk.lines, talk.kept) == (104, 104)
