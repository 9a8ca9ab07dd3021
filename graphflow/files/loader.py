"""Graph files as they lie on a disk: read from a regular file, with a bound on what that may cost.

Rules:
1. Only a regular file is read, and only so much of it: a pipe or `/dev/zero` would never end.
2. The ending says what it is written in: `.yaml` and `.yml`, `.json`, `.toml`. The same data is the same graph.
3. All three know no key twice, are read to the same depth, and tell the line and column of whatever is wrong.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from pathlib import Path

from graphflow.errors import FileUnreadable
from graphflow.files.document import Document, place_in, unreadable
from graphflow.files.json_text import read_json
from graphflow.files.toml_text import read_toml
from graphflow.files.yaml_text import read_yaml
from graphflow.regular import read_regular

MAX_BYTES = 4 * 1024 * 1024
"""Bytes of a file that are read: a graph of ten thousand nodes takes a quarter of it."""
MAX_BESIDE = 1_000
"""Files of a folder that are looked at for one that is nearly called like one that is missing."""
READERS: dict[str, Callable[[str, str], Document]] = {
    ".yaml": read_yaml,
    ".yml": read_yaml,
    ".json": read_json,
    ".toml": read_toml,
}
"""What reads a text, by the ending of its file."""
ENDINGS = tuple(READERS)
"""How the files of graphs end."""
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
"""Characters that no text has: a picture, an archive or a program has them."""


def is_graph_file(path: str | os.PathLike[str]) -> bool:
    """Whether a name is that of a file that declares a graph: .yaml, .yml, .json or .toml."""
    ending = Path(path).suffix
    return ending.lower() in READERS


def read_text(path: str | Path, max_bytes: int = MAX_BYTES) -> str:
    """The text of a regular file of reasonable size.

    Raises:
        FileUnreadable: it is missing, is something else, is too large, or is not UTF-8.
    """
    file = Path(path)
    # Looked for only when it is missing.
    try:
        return read_regular(file, max_bytes)
    except FileUnreadable as error:
        near = "" if file.exists() else _near(file)
        if not near:
            raise
        raise FileUnreadable(f"{error}; did you mean {near!r}?") from None


def _near(file: Path) -> str:
    """A file beside one that is not there, with nearly its name."""
    folder = file.parent
    if "\0" in str(file) or not folder.is_dir():
        return ""
    beside = sorted(each.name for each in folder.iterdir())
    near = difflib.get_close_matches(file.name, beside[:MAX_BESIDE], n=1)
    return near[0] if near else ""


def parse(text: str, where: str) -> Document:
    """The plain data of a text, and where each part of it stands.

    Args:
        text: what a file holds.
        where: its name; the ending says what it is written in, YAML without one that is known.

    Raises:
        FileUnreadable: it is not what its ending says, or is too deep or too large when written out.
    """
    ending = Path(where).suffix
    read = READERS.get(ending.lower(), read_yaml)
    found = _UNPRINTABLE.search(text)
    if found is not None:
        code = ord(found[0])
        problem = f"this is not a text: it has the character U+{code:04X}, which no text has"
        raise unreadable(where, place_in(text, found.start()), problem, "")
    return read(text, where)
