"""Map and reduce: every chunk of some documents is read by itself, all at the same time; what was found makes one answer.

After Dean and Ghemawat, "MapReduce" (2004), as everybody does it with models. A folder may be larger than what a model can
read: it is cut into bounded chunks, and if the notes are too many for one answer they are themselves cut and read again,
at most twice. Code holds what the readers say against what they read: a sentence that the chunk does not bear out is thrown
away; if nothing is left, or a reader failed, the chunk's own best sentence stands in (`by: quotes`).

    graphflow run map_reduce my/folder
    graphflow run map_reduce my/folder --set question="How are goods returned?"
    graphflow run map_reduce report.txt --set words=2000 --set check=no --model google:gemini-2.5-flash

To make it your own: say in `reader` and `reducer` what you want to know; a list of texts goes into `texts`.
"""

from __future__ import annotations

from typing import Literal

from graphflow import END, START, Agent, Failure, Graph, LimitReached, Limits, Message, node
from nodes._support.grounding import borne_out, off_the_point, point_of, sentences
from nodes.steps.read_documents import Chunk, Chunks, Documents, read_documents
from nodes.tools.search_documents import shares

MAX_NOTES = 12
"""Notes that the reducer reads at the same time."""
LAPS = 2
"""How often too many notes are read again."""
PACK = 4
"""Notes that are read again as one chunk."""


class Note(Message):
    """What one chunk has to say."""

    name: str
    text: str
    question: str
    by: Literal["model", "quotes"] = "model"
    check: bool = True


class Notes(Message):
    """What the reducer reads."""

    question: str
    notes: tuple[Note, ...]
    check: bool = True


class Answer(Message):
    """What comes out: the answer, and what it rests on."""

    answer: str
    by: Literal["model", "quotes"]
    notes: tuple[str, ...]


def _chunk(question: str, text: str) -> Chunk:
    return Chunk(name="", text=text, question=question)


reader = Agent(
    "reader",
    input=Chunk,
    system="Answer the question in one short sentence, from the text alone.",
    prompt="Text: {{ message.text }}\nQuestion: {{ question }}",
    examples=[
        (
            _chunk(
                "What is this about?",
                "The mill was built in 1820. It ground corn for the whole valley.",
            ),
            "The mill was built in 1820 and ground corn for the valley.",
        ),
        (
            _chunk(
                "When is lunch?",
                "Breakfast is from 7 to 9. Lunch is served at noon in the hall. Tea is free.",
            ),
            "Lunch is served at noon in the hall.",
        ),
    ],
    max_tokens=120,
    stop=["\n"],
)


@node
async def check_note(chunk: Chunk, said: str) -> Note:
    """What the chunk bears out of the reader's words, else the sentence of the chunk that fits the question best."""
    own = excerpt(chunk)
    kept = borne_out(said, sentences(chunk.text)) if chunk.check else said.strip()
    # What is true may still be beside the point.
    if not kept or (chunk.check and off_the_point(kept, own.text, chunk.question)):
        return own
    return Note(name=chunk.name, text=kept, question=chunk.question, check=chunk.check)


@node
async def quote(failure: Failure) -> Note:
    """What stands in for a reader that failed."""
    chunk: Chunk = failure.input
    return excerpt(chunk)


read_chunk: Graph[Chunk, Note] = Graph(
    "read_chunk",
    # The chunk goes to the reader and past it, as the check compares both.
    START >> (reader, check_note.into("chunk")),
    reader >> check_note.into("said"),
    check_note >> END,
    description="Makes a note of one chunk.",
)


@node
async def deal(work: Chunks) -> list[Chunk]:
    """The chunks, one by one."""
    return list(work.chunks)


@node
async def collect(notes: list[Note]) -> Notes | Chunks:
    """The notes that touch the question, in the order of the documents; too many for one answer are packed, to be read again."""
    notes = to_the_point(notes) if notes[0].check else notes
    if len(notes) <= MAX_NOTES:
        return Notes(question=notes[0].question, notes=tuple(notes), check=notes[0].check)
    packs = [notes[first : first + PACK] for first in range(0, len(notes), PACK)]
    return Chunks(chunks=tuple(_packed(pack) for pack in packs))


def _packed(pack: list[Note]) -> Chunk:
    first = pack[0]
    text = " ".join(note.text for note in pack)
    return Chunk(name=first.name, text=text, question=first.question, check=first.check)


@node
async def cut_short(reached: LimitReached) -> Notes:
    """The way out when there are too many notes even so: the first of them, as they are."""
    packs: Chunks = reached.message
    notes = [
        Note(name=pack.name, text=pack.text, question=pack.question, by="quotes")
        for pack in packs.chunks
    ]
    return Notes(question=notes[0].question, notes=tuple(notes[:MAX_NOTES]))


def _notes(question: str, *texts: str) -> Notes:
    return Notes(
        question=question,
        notes=tuple(Note(name="", text=text, question=question) for text in texts),
    )


reducer = Agent(
    "reducer",
    input=Notes,
    system="Answer the question from the notes alone, in one or two sentences.",
    prompt="{% for note in notes %}Note: {{ note.text }}\n{% endfor %}Question: {{ question }}",
    examples=[
        (
            _notes(
                "What is this about?",
                "The mill was built in 1820.",
                "The river turns the wheel of the mill.",
            ),
            "The mill was built in 1820, and the river turns its wheel.",
        ),
        (
            _notes(
                "When is lunch?",
                "Breakfast is from 7 to 9.",
                "Lunch is served at noon in the hall.",
            ),
            "Lunch is served at noon in the hall.",
        ),
    ],
    max_tokens=600,
)


@node
async def conclude(notes: Notes, said: str) -> Answer:
    """What the notes bear out of the reducer's words, else the notes themselves."""
    own = quoted(notes)
    kept = borne_out(said, [note.text for note in notes.notes]) if notes.check else said.strip()
    if not kept or (notes.check and off_the_point(kept, own.answer, notes.question)):
        return own
    return answered(notes, kept, "model")


@node
async def list_notes(failure: Failure) -> Answer:
    """What stands in for a reducer that failed: the notes are paid for, they are not thrown away."""
    notes: Notes = failure.input
    return quoted(notes)


sum_up: Graph[Notes, Answer] = Graph(
    "sum_up",
    START >> (reducer, conclude.into("notes")),
    reducer >> conclude.into("said"),
    conclude >> END,
    description="Makes one answer of all notes.",
)

map_reduce: Graph[Documents, Answer] = Graph(
    "map_reduce",
    START >> read_documents >> deal,
    deal.each >> read_chunk >> collect,
    # One reader that fails must not cost the notes of the others.
    read_chunk[Failure] >> quote >> collect,
    # Too many notes go round once more, as chunks; the limit is what makes this end for a library, too.
    collect[Chunks].limit(LAPS) >> deal,
    collect[LimitReached] >> cut_short,
    (collect[Notes], cut_short) >> sum_up >> END,
    sum_up[Failure] >> list_notes >> END,
    model="local:smollm2",
    limits=Limits(depth=2, steps=1000, concurrency=8),
    description="Reads the files of a folder piece by piece and answers one question about them all.",
)


# -- what stands in for a model that fails, or says what is not so ---------------------------------
def to_the_point(notes: list[Note]) -> list[Note]:
    """The notes that share a word with the question; all if none does."""
    share = shares(point_of(notes[0].question), [note.text for note in notes])
    return [note for note, part in zip(notes, share, strict=True) if part] or notes


def excerpt(chunk: Chunk) -> Note:
    """The sentence of a chunk that shares most with the question; the first if none does."""
    found = sentences(chunk.text) or [" ".join(chunk.text.split())]
    share = shares(point_of(chunk.question), found)
    best = share.index(max(share))
    return Note(
        name=chunk.name, text=found[best], question=chunk.question, by="quotes", check=chunk.check
    )


def quoted(notes: Notes) -> Answer:
    """An answer of the notes that share most with the question; of all if none does."""
    texts = [note.text for note in notes.notes]
    share = shares(point_of(notes.question), texts)
    near = [text for text, part in zip(texts, share, strict=True) if part >= 0.8 * max(share)]
    return answered(notes, " ".join(dict.fromkeys(near)), "quotes")


def answered(notes: Notes, answer: str, by: Literal["model", "quotes"]) -> Answer:
    """An answer, and the notes it rests on."""
    return Answer(
        answer=answer, by=by, notes=tuple(f"{note.name}: {note.text}" for note in notes.notes)
    )
