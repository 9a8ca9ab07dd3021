"""Notes as Markdown: what is written is read back, and what people write by hand counts."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from graphflow.memory import NoteMemory
from graphflow.memory.markdown import Notebook, parse_notebook, render_notebook
from graphflow.messages.notes import Note

MARKUP = st.sampled_from(list('ab -*\\<!>{}\n"#:('))
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\r")
TEXTS = st.text(MARKUP | CHARACTERS, min_size=1).map(str.strip).filter(bool)
KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")).map(str.strip)
SCOPES = st.sampled_from(["", "user:42", "(everybody)", '"x', "a\nb", "## h"])


@settings(max_examples=200)
@given(st.lists(st.tuples(TEXTS, KEYS, SCOPES)))
def test_what_is_written_is_read_back(entries: list[tuple[str, str, str]]) -> None:
    notebook = Notebook()
    for number, (text, key, scope) in enumerate(entries):
        note = Note(text=text, key=key, scope=scope, id=str(number), source="-->")
        notebook.section(scope).notes.append(note)
    again = parse_notebook(render_notebook(notebook))
    assert [section.notes for section in again.sections] == [
        section.notes for section in notebook.sections
    ]
    assert render_notebook(again) == render_notebook(notebook)


@settings(max_examples=200)
@given(st.text(MARKUP | CHARACTERS))
def test_every_text_is_a_notebook(text: str) -> None:
    notebook = parse_notebook(text)
    again = parse_notebook(render_notebook(notebook))
    assert [section.notes for section in again.sections] == [
        section.notes for section in notebook.sections
    ]


BY_HAND = """# What we know

Edited by hand now and then.

- The office closes at six.

## user:42

Her own section.

* **cat**: Her cat is called Miso,
  a grey one.

- She likes tea.
  <!-- {"id": "5f", "at": "2026-11-29T05:25:43+00:00", "source": "user"} -->
- damaged <!-- not ours -->
  <!-- {"id": 7, "at": "yesterday"} -->
"""


def test_what_people_write_is_a_note_and_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text(BY_HAND)
    memory = NoteMemory(at=path)

    async def main() -> None:
        [office] = await memory.recall("when does the office close")
        assert office.text == "The office closes at six."
        [cat] = await memory.recall("cat", scope="user:42")
        assert (cat.key, cat.text) == ("cat", "Her cat is called Miso,\na grey one.")
        [tea] = await memory.recall("tea", scope="user:42")
        assert (tea.id, tea.source, tea.at.isoformat()) == (
            "5f",
            "user",
            "2026-11-29T05:25:43+00:00",
        )
        [damaged] = await memory.recall("damaged", scope="user:42")
        assert damaged.text == "damaged <!-- not ours -->"
        # Edited while the process runs: seen at the next question.
        path.write_text(path.read_text().replace("likes tea", "likes coffee"))
        assert (await memory.recall("coffee", scope="user:42"))[0].id == "5f"
        await memory.remember("The key is under the mat.", scope="user:42")
        text = path.read_text()
        for kept in ("# What we know", "Edited by hand now and then.", "Her own section."):
            assert text.count(kept) == 1
        assert await memory.forget(id=office.id) == 1
        assert "six" not in path.read_text()

    asyncio.run(main())
