"""The names that shells complete: graphs, runs, conversations, models, cases.

Rules:
1. Nothing is run and no project is opened: files are listed, and a file of SQLite is asked for its names.
2. A name that a shell could take for something else is left out; whoever means it types it.
3. What cannot be read has no names: an error belongs to the command, not to a press of a key.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from graphflow.cli.options import STORE_VARIABLE
from graphflow.files.project_modules import PROJECT_FILE, project_above
from graphflow.journal.stores.sqlite_names import conversations_in, runs_in
from graphflow.model.provider_names import PROVIDER_NAMES
from graphflow.project.graph_files import find_all

_SAFE = re.compile(r"[\w.,:@/+=-]+")
"""Texts that mean themselves in every shell."""
MAX_RUNS = 100
"""The newest are completed: of more, a list is no help."""
LIMITS = (
    *("depth", "steps", "laps", "tokens", "input_tokens", "output_tokens", "usd", "seconds"),
    *("tool_calls", "model_calls", "concurrency", "output_bytes"),
)
MODELS = ("mock:echo", "local:smollm2")
"""Models that answer without a key."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a word may become.

    Attributes:
        text: the word.
        about: what it is, for shells that show it.
    """

    text: str
    about: str = ""


def safe(text: str) -> bool:
    """Whether a text means itself in every shell."""
    return _SAFE.fullmatch(text) is not None and not text.startswith("-")


def graphs() -> Iterator[Candidate]:
    """The graphs that can be named."""
    for found in find_all():
        if safe(found.name):
            yield Candidate(found.name, found.file.name)


def runs() -> Iterator[Candidate]:
    """The runs that are kept here, the newest first."""
    file = _store_file()
    if file is None:
        return
    for id, about in runs_in(file, MAX_RUNS):
        if safe(id):
            yield Candidate(id, about)


def conversations() -> Iterator[Candidate]:
    """The conversations that are kept here, the newest first."""
    file = _store_file()
    if file is None:
        return
    for key, graph in conversations_in(file, MAX_RUNS):
        if safe(key):
            yield Candidate(key, graph)


def _store_file() -> Path | None:
    """The file of SQLite that runs are kept in, if it is one."""
    root = project_above(Path.cwd())
    stated = os.environ.get(STORE_VARIABLE)
    # In the order in which commands look for it (`graphflow.project.runs`).
    if stated:
        return _file_of(stated, Path.cwd())
    if root is None:
        return None
    address = _stated_in(root / PROJECT_FILE)
    if address is None:
        return root / ".graphflow" / "runs.db"
    return _file_of(address, root)


def _file_of(address: str, folder: Path) -> Path | None:
    kind, _, file = address.partition(":")
    return folder / file if kind == "sqlite" else None


def _stated_in(file: Path) -> str | None:
    """The address that a project file states, if it does so plainly."""
    settings: dict[str, object] = {}
    with suppress(OSError, ValueError):
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    stated = settings.get("store")
    if isinstance(stated, dict):
        stated = stated.get("address")
    return stated if isinstance(stated, str) else None


def models() -> Iterator[Candidate]:
    """Models that need no key, and providers whose models follow."""
    for model in MODELS:
        yield Candidate(model)
    for provider in PROVIDER_NAMES:
        yield Candidate(f"{provider}:")


def providers() -> Iterator[Candidate]:
    """The providers that can be named."""
    yield from map(Candidate, PROVIDER_NAMES)


def limits() -> Iterator[Candidate]:
    """The limits that can be stated."""
    for name in LIMITS:
        yield Candidate(f"{name}=")


def cases() -> Iterator[Candidate]:
    """The recorded cases of the project."""
    root = project_above(Path.cwd())
    if root is None:
        return
    for file in sorted((root / "tests" / "cases").glob("*.toml")):
        if safe(file.stem):
            yield Candidate(file.stem)


def compared() -> Iterator[Candidate]:
    """What can be compared: runs and graphs."""
    yield from runs()
    yield from graphs()


def stores() -> Iterator[Candidate]:
    """How the addresses of stores begin."""
    for kind in ("sqlite:", "jsonl:", "postgresql://", "none"):
        yield Candidate(kind)


def approvals() -> Iterator[Candidate]:
    """What `--approve` takes for all."""
    yield Candidate("all", "every call that needs approval")


NAMES: dict[tuple[str, str], Callable[[], Iterator[Candidate]]] = {
    ("argument", "graph"): graphs,
    ("argument", "graphs"): graphs,
    ("argument", "id"): runs,
    ("argument", "a"): compared,
    ("argument", "b"): compared,
    ("argument", "cases"): cases,
    ("option", "approve"): approvals,
    ("option", "conversation"): conversations,
    ("option", "graph"): graphs,
    ("option", "limits"): limits,
    ("option", "model"): models,
    ("option", "of"): providers,
    ("option", "ping"): models,
    ("option", "source"): graphs,
    ("option", "store"): stores,
}
"""Where names come from, by the kind and the name of a parameter."""
