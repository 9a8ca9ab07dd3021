"""What `graphflow keys` does, and the key that all commands open an encrypted store with.

A key is never an argument, which every process of the machine can read and the shell keeps in its history. It stands in a
variable or a file, and the command line says where: `--key env:NAME`, `--key file:PATH`, else $GRAPHFLOW_KEY.
"""

from __future__ import annotations

from pathlib import Path

from graphflow.cli.printing import note, out
from graphflow.cli.stored_runs import with_store
from graphflow.errors import InputInvalid, KeyInvalid
from graphflow.journal.addresses import without_password
from graphflow.journal.copying import CopyReport, copy_runs
from graphflow.journal.key_ring import new_key
from graphflow.journal.store import Store
from graphflow.project.runs import KEY_VARIABLE, RunPlace, key_of_runs
from graphflow.proofs.report import counted

KEPT = (
    "keep it where the store's backups are not: without it nobody reads what was encrypted with it"
)


def show_new_key() -> None:
    """Prints a new key."""
    out(new_key())
    note(KEPT)


def encrypt_store(into: str, address: str | None) -> int:
    """Copies a store into an encrypted one; the exit code: 1 if something was left out.

    Raises:
        KeyInvalid: there is no key to encrypt with.
        StoreError: one of the stores cannot be used.
    """
    key = key_of_runs()
    if key is None:
        raise KeyInvalid(
            f"there is no key to encrypt with; make one with `graphflow keys new` and put it into {KEY_VARIABLE}"
        )

    async def copying(source: Store, place: RunPlace) -> CopyReport:
        async with Store.open(into, key=key) as target:
            return await copy_runs(source, target)

    report = with_store(address, copying, clear=True)
    for name, why in report.left_out.items():
        note(f"{name} is left out: {why}")
    runs = counted(len(report.copied), "run")
    conversations = counted(len(report.conversations), "conversation")
    out(f"encrypted {runs} and {conversations} into {without_password(into)}")
    return 1 if report.left_out else 0


def rotate_key(to: str, memory: Path | None, address: str | None) -> None:
    """Locks an encrypted store, or a file of notes, with a new key.

    Raises:
        InputInvalid: what is given is not a place of a key, or there is no such file.
        StoreError: the store cannot be used.
    """
    new_ring = checked_place(to, "--to")
    if memory is not None:
        _rotate_notes(memory, new_ring)
        return

    async def rotating(opened: Store, place: RunPlace) -> int:
        return await opened.rotate(new_ring)

    count = with_store(address, rotating)
    out(f"{counted(count, 'data key')} locked anew; put the new key into {KEY_VARIABLE}")


def _rotate_notes(file: Path, new_ring: str) -> None:
    from graphflow.memory.sqlite_notes import SqliteNotes

    if not file.exists():
        raise InputInvalid(f"--memory {file}: there is no such file")
    SqliteNotes(file, key_of_runs()).rotate(new_ring)
    out(f"{file} is locked anew; give its memory the new key")


def checked_place(given: str, option: str) -> str:
    """Where a key stands, as a command line says it.

    Raises:
        InputInvalid: it is not a place, and so perhaps a key.
    """
    # What was given is not repeated: it may be a key.
    if not given.startswith(("env:", "file:")):
        raise InputInvalid(
            f"{option}: say where the key stands, env:NAME or file:PATH; a key on a command line is read by every process"
        )
    return given
