"""The commands for encrypted stores: `graphflow keys new`, `encrypt`, `rotate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from graphflow.cli.options import StoreAddress


def new() -> None:
    """Print a new key. Put it into a secret store, and into GRAPHFLOW_KEY for commands."""
    from graphflow.cli.keys import show_new_key

    show_new_key()


def encrypt(
    into: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="The encrypted store; it is made if it is not there."),
    ],
    store: StoreAddress = None,
) -> None:
    """Copy all runs and conversations of a store that was begun without a key into an encrypted one.

    The store that is read is not changed; remove it yourself when you have looked at the copy. Runs that are being worked on
    are left out, and named; the same command again takes what is missing.
    """
    from graphflow.cli.keys import encrypt_store

    raise typer.Exit(encrypt_store(into, store))


def rotate(
    to: Annotated[
        str,
        typer.Option(metavar="env:NAME|file:PATH", help="Where the new key, or key ring, stands."),
    ],
    memory: Annotated[
        Path | None,
        typer.Option(metavar="FILE.db", help="A file of notes, in place of a store of runs."),
    ] = None,
    store: StoreAddress = None,
) -> None:
    """Lock an encrypted store with a new key. No row is touched; the former key opens nothing any more."""
    from graphflow.cli.keys import rotate_key

    rotate_key(to, memory, store)


COMMANDS: dict[str, Callable[..., None]] = {"new": new, "encrypt": encrypt, "rotate": rotate}
