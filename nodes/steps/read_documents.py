"""Reads texts, a file, or a folder of files, and cuts them into chunks that fit a model."""

from __future__ import annotations

import re
from pathlib import Path

from graphflow import Message, node
from graphflow.errors import FileUnreadable

CHUNK = 120
"""Words of a chunk at most: what a small model reads well; a large one takes 2,000 (`--set words=2000`)."""
MOST = 64
"""Chunks at most; more are refused, so that nobody pays for a folder that was named by mistake."""
ENDINGS = (".md", ".txt", ".rst")


class Documents(Message):
    """What to read, and what to find out."""

    source: str = ""
    """A folder with .md, .txt and .rst files, one such file, or a text itself; empty if `texts` are given."""
    texts: tuple[str, ...] = ()
    """Texts, instead of files or beside them."""
    question: str = "What is this about?"
    words: int = CHUNK
    """Words of a chunk at most."""
    check: bool = True
    """Whether code holds every sentence of the model against its source. A large model that puts things in words of its
    own is better trusted: `--set check=no`."""


class Chunk(Message):
    """A piece of a document."""

    name: str
    """Where it is from."""
    text: str
    question: str
    check: bool = True


class Chunks(Message):
    """What is to be read, piece by piece."""

    chunks: tuple[Chunk, ...]


@node
def read_documents(documents: Documents) -> Chunks:
    """The documents, cut between paragraphs, and within one only if it is too long.

    Raises:
        FileUnreadable: there is nothing to read, or too much.
    """
    named = [*_files(documents.source), *((f"text {i}", text) for i, text in enumerate(documents.texts, 1))]
    chunks = [
        Chunk(
            name=name if number == 1 else f"{name} ({number})",
            text=piece,
            question=documents.question,
            check=documents.check,
        )
        for name, text in named
        for number, piece in enumerate(cut(text, max(1, documents.words)), 1)
    ]
    if not chunks:
        raise FileUnreadable("there is nothing to read; give a folder, a file or a text")
    if len(chunks) > MOST:
        raise FileUnreadable(
            f"that makes {len(chunks)} chunks, and {MOST} are allowed; name a smaller folder, or give larger chunks: "
            f"--set words={documents.words * (len(chunks) // MOST + 1)}"
        )
    return Chunks(chunks=tuple(chunks))


def _files(source: str) -> list[tuple[str, str]]:
    source = source.strip()
    path = Path(source) if source and "\n" not in source and len(source) < 1000 else None
    if path is not None and path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
        if not files:
            raise FileUnreadable(f"the folder {source} holds no {', '.join(ENDINGS)} file")
        return [(str(p.relative_to(path)), _text(p)) for p in files]
    if path is not None and path.is_file():
        return [(path.name, _text(path))]
    if path is not None and " " not in source and (path.suffix.lower() in ENDINGS or "/" in source):
        raise FileUnreadable(f"there is no file or folder {source}")
    return [("text", source)] if source else []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(f"{path} cannot be read as text: {error}") from None


def cut(text: str, words: int) -> list[str]:
    """Pieces of at most so many words: paragraphs together as long as they fit, sentences where a paragraph does not."""
    pieces: list[str] = []
    for part in _parts(text, words):
        if pieces and len(pieces[-1].split()) + len(part.split()) <= words:
            pieces[-1] += "\n" + part
        else:
            pieces.append(part)
    return pieces


def _parts(text: str, words: int) -> list[str]:
    parts: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        short = paragraph.strip()
        if len(short.split()) <= words:
            parts += [short] if short else []
            continue
        for sentence in re.split(r"(?<=[.!?])\s+", " ".join(short.split())):
            told = sentence.split()
            parts += [" ".join(told[i : i + words]) for i in range(0, len(told), words)]
    return parts
