"""Reads texts, a file, or a folder of files, and cuts them into chunks that fit a model."""

from __future__ import annotations

import re
from pathlib import Path

from graphflow import Message, node
from graphflow.errors import FileUnreadable
from graphflow.security import Untrusted

CHUNK = 120
"""Words of a chunk at most: what a small model reads well; a large one takes 2,000 (`--set words=2000`)."""
MAX_CHUNKS = 64
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
def read_documents(documents: Documents) -> Untrusted[Chunks]:
    """The documents, cut between paragraphs, and within one only if it is too long.

    Raises:
        FileUnreadable: there is nothing to read, or too much.
    """
    texts = _files(documents.source)
    for number, text in enumerate(documents.texts, 1):
        texts.append((f"text {number}", text))
    chunks: list[Chunk] = []
    for name, text in texts:
        chunks += _chunks(name, text, documents)
    if not chunks:
        raise FileUnreadable("there is nothing to read; give a folder, a file or a text")
    count = len(chunks)
    if count > MAX_CHUNKS:
        words = documents.words * (count // MAX_CHUNKS + 1)
        raise FileUnreadable(
            f"that makes {count} chunks, and {MAX_CHUNKS} are allowed; name a smaller folder, or give larger chunks: "
            f"--set words={words}"
        )
    return Chunks(chunks=tuple(chunks))


def _chunks(name: str, text: str, documents: Documents) -> list[Chunk]:
    chunks: list[Chunk] = []
    for number, piece in enumerate(cut(text, max(1, documents.words)), 1):
        title = name if number == 1 else f"{name} ({number})"
        chunk = Chunk(name=title, text=piece, question=documents.question, check=documents.check)
        chunks.append(chunk)
    return chunks


def _files(source: str) -> list[tuple[str, str]]:
    """The texts of what a source names, with their names; of a source that names nothing, the source itself."""
    source = source.strip()
    if not source:
        return []
    # No path looks like that, and the system may refuse to look for it.
    if "\n" in source or len(source) >= 1000:
        return [("text", source)]
    path = Path(source)
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        return [(path.name, _text(path))]
    looks_like_a_path = " " not in source and (path.suffix.lower() in ENDINGS or "/" in source)
    if looks_like_a_path:
        raise FileUnreadable(f"there is no file or folder {source}")
    return [("text", source)]


def _folder(folder: Path) -> list[tuple[str, str]]:
    every = [path for path in folder.rglob("*") if path.is_file()]
    files = sorted(path for path in every if path.suffix.lower() in ENDINGS)
    if not files:
        endings = ", ".join(ENDINGS)
        raise FileUnreadable(f"the folder {folder} holds no {endings} file")
    texts: list[tuple[str, str]] = []
    for path in files:
        name = str(path.relative_to(folder))
        texts.append((name, _text(path)))
    return texts


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
        if len(short.split()) > words:
            parts += _sentences(short, words)
        elif short:
            parts.append(short)
    return parts


def _sentences(paragraph: str, words: int) -> list[str]:
    """The sentences of a paragraph, and of a sentence that is too long, its words."""
    parts: list[str] = []
    for sentence in re.split(r"(?<=[.!?])\s+", " ".join(paragraph.split())):
        every = sentence.split()
        for start in range(0, len(every), words):
            parts.append(" ".join(every[start : start + words]))
    return parts
