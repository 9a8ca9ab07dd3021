"""Map and reduce: chunks in order, what is not borne out, failing readers, too many notes, files that cannot be read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from graphflow import LimitReached
from graphflow.errors import FileUnreadable
from graphflow.testing import ScriptedModel, fails, says
from graphs.map_reduce import MAX_NOTES, Answer, Note, Notes, cut_short, excerpt, map_reduce, quoted
from nodes._support.grounding import borne_out, sentences
from nodes.steps.read_documents import Chunk, Chunks, Documents, cut, read_documents
from tests.conftest import walk
from tests.ready.ways import DOCS, from_file, ran, sound

BEES = "Bees make honey in May. The hive stands in the garden."
CATS = "Cats sleep 16 hours. They hunt mice at night."
BOTH = Documents(texts=(BEES, CATS), question="What do they do?")


def read(documents: Documents) -> Chunks:
    chunks: Chunks = asyncio.run(read_documents(documents))
    return chunks


def test_it_is_sound_and_drawn() -> None:
    sound(
        map_reduce,
        "deal | each, Chunk | read_chunk",
        "read_chunk | Failure | quote",
        "collect | Chunks, at most 2 laps | deal",
        "collect | LimitReached | cut_short",
        "sum_up | Failure | list_notes",
    )


def test_each_chunk_is_read_and_the_notes_make_one_answer() -> None:
    model = ScriptedModel(
        says("Bees make honey in May.", when="Bees"),
        says("Cats hunt mice at night.", when="Cats sleep"),
        says("Bees make honey in May, and cats hunt mice at night.", when="Note:"),
    )
    run = walk(map_reduce, BOTH, model=model)
    assert run.output == Answer(
        answer="Bees make honey in May, and cats hunt mice at night.",
        by="model",
        notes=("text 1: Bees make honey in May.", "text 2: Cats hunt mice at night."),
    )
    assert ran(run) == ["read_documents", "deal", "read_chunk", "read_chunk", "collect", "sum_up"]


def test_what_the_text_does_not_bear_out_is_thrown_away() -> None:
    model = ScriptedModel(
        says("Bees fly to Lisbon in 1999.", when="Bees"),
        says("Cats sleep 16 hours. Cats rule the world.", when="Cats"),
        says("Bees like cats.", when="Note:"),
    )
    output = walk(map_reduce, BOTH, model=model).output
    assert output.notes == ("text 1: Bees make honey in May.", "text 2: Cats sleep 16 hours.")
    assert (output.by, output.answer) == ("quotes", "Bees make honey in May. Cats sleep 16 hours.")


def test_a_large_model_may_be_trusted() -> None:
    model = ScriptedModel(
        says("Insects.", when="Bees"), says("Pets.", when="Cats"), says("Animals.", when="Note:")
    )
    output = walk(map_reduce, {**BOTH.model_dump(), "check": False}, model=model).output
    assert (output.by, output.answer, output.notes) == (
        "model",
        "Animals.",
        ("text 1: Insects.", "text 2: Pets."),
    )


def test_a_reader_that_fails_is_stood_in_for() -> None:
    model = ScriptedModel(
        fails(RuntimeError("down"), when="Bees"),
        says("Cats sleep 16 hours.", when="Cats"),
        says("Bees make honey in May.", when="Note:"),
    )
    run = walk(map_reduce, BOTH, model=model)
    assert run.output.notes == ("text 1: Bees make honey in May.", "text 2: Cats sleep 16 hours.")
    assert "quote" in ran(run)
    assert [(failure.node, str(failure.error)) for failure in run.failures] == [("reader", "down")]


def test_a_reducer_that_fails_leaves_the_notes() -> None:
    model = ScriptedModel(
        says("Bees make honey in May.", when="Bees"),
        says("Cats sleep 16 hours.", when="Cats"),
        fails(RuntimeError("down"), when="Note:"),
    )
    run = walk(map_reduce, BOTH, model=model)
    assert run.output.by == "quotes"
    assert ran(run)[-1] == "list_notes"


def test_too_many_notes_are_read_again() -> None:
    facts = [f"Bridge {i} was built in {1900 + i}." for i in range(MAX_NOTES + 1)]
    replies = [says(fact, when=f"Text: {fact}") for fact in facts]
    again = [says(facts[i], when=" ".join(facts[i : i + 2])) for i in range(0, MAX_NOTES + 1, 4)]
    model = ScriptedModel(
        *again[:-1], *replies, says(facts[-1], when=facts[-1]), says(facts[0], when="Note:")
    )
    run = walk(
        map_reduce, Documents(texts=tuple(facts), question="Which bridge was built?"), model=model
    )
    assert run.error is None, run.error
    assert ran(run).count("deal") == 2
    assert len(run.output.notes) == 4
    assert run.output.answer == facts[0]
    model.done()


def test_the_way_out_of_the_laps_takes_the_first_notes() -> None:
    chunks = tuple(Chunk(name=str(i), text=f"text {i}", question="q") for i in range(MAX_NOTES + 5))
    notes: Notes = asyncio.run(
        cut_short(LimitReached(limit="laps", value=2, message=Chunks(chunks=chunks)))
    )
    assert [note.text for note in notes.notes] == [f"text {i}" for i in range(MAX_NOTES)]


def test_files_and_folders_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("two")
    (tmp_path / "a.md").write_text("# One\n\none")
    (tmp_path / "c.bin").write_bytes(b"\0")
    assert [(c.name, c.text) for c in read(Documents(source=str(tmp_path))).chunks] == [
        ("a.md", "# One\none"),
        ("b.txt", "two"),
    ]
    assert [
        c.name for c in read(Documents(source=str(tmp_path / "b.txt"), texts=("x",))).chunks
    ] == ["b.txt", "text 1"]
    assert [c.name for c in read(Documents(source="just a text")).chunks] == ["text"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("", "nothing to read"),
        ("nope/x.md", "no file or folder nope/x.md"),
        (str(DOCS.parent.parent / "shop"), ""),
    ],
)
def test_what_cannot_be_read_says_why(source: str, told: str) -> None:
    if not told:
        assert len(read(Documents(source=source)).chunks) >= 3
        return
    with pytest.raises(FileUnreadable, match=told):
        read(Documents(source=source))


def test_too_much_is_refused_with_a_way_to_read_it() -> None:
    text = "\n\n".join(f"Paragraph {i} has five words." for i in range(200))
    with pytest.raises(FileUnreadable, match="--set words=") as caught:
        read(Documents(source=text, words=5))
    words = int(str(caught.value).rpartition("=")[2])
    assert len(read(Documents(source=text, words=words)).chunks) <= 64


def test_a_text_is_cut_between_paragraphs() -> None:
    assert cut("a b\n\nc d\n\ne f g", 4) == ["a b\nc d", "e f g"]
    assert cut("One two three. Four five six.", 3) == ["One two three.", "Four five six."]
    assert cut("one two three four", 3) == ["one two three", "four"]
    assert cut(" ", 3) == []


def test_a_sentence_is_borne_out_by_its_source_and_a_number_by_one_sentence_of_it() -> None:
    source = ["You can return goods within 30 days.", "The money is paid back within 5 days."]
    assert borne_out("You can return goods within 30 days.", source)
    assert borne_out("You can return goods, and the money is paid back.", source)
    assert not borne_out("The money is paid back within 30 days.", source)
    assert not borne_out("You can return goods within 60 days.", source)
    assert not borne_out("Goods are never exchanged or mended.", source)
    assert not borne_out("", source)


def test_notes_that_do_not_touch_the_question_are_left_out() -> None:
    model = ScriptedModel(
        says("Bees make honey in May.", when="Bees"),
        says("They hunt mice at night.", when="Cats"),
        says("Bees make honey in May.", when="Note:"),
    )
    run = walk(
        map_reduce, Documents(texts=(BEES, CATS), question="When is honey made?"), model=model
    )
    assert run.output.notes == ("text 1: Bees make honey in May.",)


def test_code_and_tables_are_no_sentences() -> None:
    assert sentences("# Head\n\nThis is one. So is the whole of *this*, too.\n\n| a | b |\n") == [
        "This is one.",
        "So is the whole of *this*, too.",
    ]
    assert sentences("x = {a: [b, c]}; y = {d: [e]} # (f)\n```\ncode here too.\n```\n") == []


def test_quotes_are_the_nearest_to_the_question() -> None:
    chunk = Chunk(
        name="x",
        text="Breakfast is at 7.\nLunch is served at noon.\n| a | b |",
        question="When is lunch?",
    )
    assert excerpt(chunk).text == "Lunch is served at noon."
    notes = tuple(
        Note(name=str(i), text=text, question="lunch?")
        for i, text in enumerate(("Tea is free.", "Lunch is at noon."))
    )
    assert quoted(Notes(question="When is lunch?", notes=notes)).answer == "Lunch is at noon."


def test_it_is_the_same_from_a_file(tmp_path: Path) -> None:
    again = from_file(map_reduce, tmp_path)
    assert again.to_yaml() == map_reduce.to_yaml()
    assert again.bounds() == map_reduce.bounds()


@pytest.mark.local_model
def test_the_embedded_model_reads_the_shops_documents() -> None:
    question = "What does gift wrapping cost?"
    run = walk(map_reduce, Documents(source=str(DOCS), question=question))
    assert run.error is None, run.error
    assert "3 euros" in run.output.answer
    assert any(note.startswith("shop.md: ") for note in run.output.notes)
