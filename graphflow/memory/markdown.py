"""Notes as Markdown, there and back.

    # Memory

    ## user:42

    - **cat**: Her cat is called Miso.
      <!-- {"id": "5f0c", "at": "2026-11-29T05:25:43+00:00", "source": "user"} -->
    - A line that somebody has written by hand.

A section is a scope (`## (everybody)` is the scope ""), a bullet a note; what stands indented below a bullet belongs to it.
The comment at its end has what people need not read.

Rules:
1. What is written is read back as it was.
2. What people have written by hand is a note, too: its id comes from its text, and it has no date. What they change in
   the text of a note counts.
3. What is neither a section nor a bullet stays where it was: before the first bullet of its section.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from graphflow.messages.notes import Note

TITLE = "# Memory"
EVERYBODY = "(everybody)"
UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
_ABOUT = re.compile(r"<!--\s*(\{.*\})\s*-->")
_COMMENT = re.compile(r"[\s\\]*<!--")
_KEY = re.compile(r"\*\*([^*\\\n]+)\*\*: ")
_IN_COMMENT = ("source", "conversation", "exchange")


@dataclass
class Section:
    """The notes of one scope, and what stands before them."""

    scope: str
    intro: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


@dataclass
class Notebook:
    """A file of notes."""

    intro: list[str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)

    def section(self, scope: str) -> Section:
        """The section of a scope, which is made if there is none."""
        for section in self.sections:
            if section.scope == scope:
                return section
        section = Section(scope)
        self.sections.append(section)
        return section


# -- reading ---------------------------------------------------------------------------------------
def parse_notebook(text: str) -> Notebook:
    """The notes of a Markdown text. Every text is a notebook."""
    reader = _NotebookReader()
    for line in text.split("\n"):
        reader.read(line)
    reader.end_note()
    return reader.notebook


class _NotebookReader:
    """Reads line by line."""

    def __init__(self) -> None:
        self.notebook = Notebook()
        self._section: Section | None = None
        self._note: list[str] = []

    def read(self, line: str) -> None:
        """The next line."""
        begins_note = line.startswith(("- ", "* "))
        # An empty line may stand within a note: editors take away the blanks that indent it.
        goes_on = not line.strip() or line.startswith((" ", "\t"))
        if self._note and goes_on:
            self._note.append(line)
            return
        self.end_note()
        if line.startswith("## "):
            self._section = self.notebook.section(_parse_scope(line[3:]))
        elif begins_note:
            self._note = [line]
        elif self._section is None:
            self.notebook.intro.append(line)
        else:
            self._section.intro.append(line)

    def end_note(self) -> None:
        """What was read of a note is all of it."""
        if not self._note:
            return
        if self._section is None:  # bullets before the first heading belong to everybody
            self._section = self.notebook.section("")
        note = _parse_note(self._note, self._section.scope)
        self._section.notes.append(note)
        self._note = []


def _parse_note(lines: Sequence[str], scope: str) -> Note:
    kept: list[str] = []
    about: dict[str, Any] = {}
    for line in lines:
        found = _ABOUT.fullmatch(line.strip())
        if found is None:
            # Two characters of each line are the bullet, or indent it.
            inner = line[2:] if line[:2] in ("- ", "* ", "  ") else line.lstrip()
            kept.append(_unescaped(inner))
        else:
            about = _parse_about(found[1])
    whole = "\n".join(kept)
    key, text = _parse_key(whole.rstrip(), about)
    known: dict[str, Any] = {}
    for name in _IN_COMMENT:
        value = about.get(name)
        if isinstance(value, str):
            known[name] = value
    note_id = about.get("id")
    if not isinstance(note_id, str) or not note_id:
        note_id = _own_id(scope, key, text)
    at = _parse_date(about.get("at"))
    return Note(text=text, id=note_id, key=key, scope=scope, at=at, **known)


def _own_id(scope: str, key: str, text: str) -> str:
    """The id of a note that somebody has written by hand: the same whenever it is read."""
    content = json.dumps([scope, key, text])
    digest = sha256(content.encode())
    return digest.hexdigest()[:32]


def _parse_key(text: str, about: dict[str, Any]) -> tuple[str, str]:
    """The key of a note, and the rest of its text."""
    if "key" in about:  # it stands there where Markdown could not say it
        return str(about["key"]), text
    named = _KEY.match(text)
    if named is None:
        return "", text
    return named[1], text[named.end() :]


def _parse_about(text: str) -> dict[str, Any]:
    try:
        about = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(about, dict):
        return {}
    return about


def _parse_date(text: object) -> datetime:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return UNDATED


def _parse_scope(heading: str) -> str:
    name = heading.strip()
    if name == EVERYBODY:
        return ""
    if not name.startswith('"'):
        return name
    try:
        return str(json.loads(name))
    except ValueError:
        return name


def _unescaped(line: str) -> str:
    is_escaped = _COMMENT.match(line) is not None
    if is_escaped:
        return line.removeprefix("\\")
    return line


# -- writing ---------------------------------------------------------------------------------------
def render_notebook(notebook: Notebook) -> str:
    """The Markdown text of a notebook."""
    lines = _trimmed(notebook.intro) or [TITLE]
    for section in notebook.sections:
        lines += ["", f"## {_heading(section.scope)}", ""]
        intro = _trimmed(section.intro)
        if intro:
            lines += [*intro, ""]
        for note in section.notes:
            lines += _note_lines(note)
    text = "\n".join(lines)
    return f"{text}\n"


def _note_lines(note: Note) -> list[str]:
    text = note.text
    about = {"id": note.id, "at": note.at.isoformat()}
    named = f"**{note.key}**: "
    if note.key and _KEY.fullmatch(named):
        text = named + text
    elif note.key or _KEY.match(text):
        about["key"] = note.key
    for name in _IN_COMMENT:
        value = getattr(note, name)
        if value:
            about[name] = value
    # A comment ends at the first `-->`, and stands on one line.
    comment = json.dumps(about).replace("-->", "--\\u003e")
    first, *rest = [_escaped(line) for line in text.split("\n")]
    below = [f"  {line}" for line in rest]
    return [f"- {first}", *below, f"  <!-- {comment} -->"]


def _heading(scope: str) -> str:
    if not scope:
        return EVERYBODY
    is_plain = scope.isprintable() and scope == scope.strip()
    if is_plain and scope != EVERYBODY and not scope.startswith('"'):
        return scope
    return json.dumps(scope)


def _trimmed(lines: Sequence[str]) -> list[str]:
    """Lines without the empty ones at both ends."""
    text = "\n".join(lines)
    inner = text.strip("\n")
    if not inner:
        return []
    return inner.split("\n")


def _escaped(line: str) -> str:
    r"""A line that cannot be taken for a comment of ours: `\` stands before what begins like one."""
    if _COMMENT.match(line):
        return f"\\{line}"
    return line
