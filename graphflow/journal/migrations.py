"""Migrations: how values that were kept by an older type become values of the type as it is now.

    @migrate(OldDraft, Draft)              the old class is still there, as a class of its own
    def _(old: OldDraft) -> Draft:
        return Draft(text=old.body)

    @migrate("Draft", Draft)               the old class is gone: what is kept of it is plain data
    def _(old: dict) -> dict:
        return {"text": old["body"], "title": ""}

Rules:
1. A migration is asked only where the data cannot be read as it is: what can be read costs nothing more.
2. Rows are never written again. They stay as they are, and are read through the migration each time.
3. Migrations follow each other: data that is none of `OldDraft` either is read by what leads to `OldDraft`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from graphflow.errors import DeclarationError
from graphflow.journal.codec.known_migrations import Migration, add_migration
from graphflow.journal.codec.value_codec import codec_of
from graphflow.journal.stored import Json

F = TypeVar("F", bound=Callable[[Any], object])


def migrate(old: type | str, new: type) -> Callable[[F], F]:
    """Declares how kept values of an older type become values of a class: whatever reads a run uses it.

    Args:
        old: the older type, if it is still there under another name, or `dict`; else the name that it had, for people. Of
            a type that is gone the function gets the plain data that is kept.
        new: the class as it is now: a pydantic model, a dataclass, a named tuple or a typed dict. The function makes one, or
            its fields as plain data.

    Raises:
        DeclarationError: it is not a class with fields.
    """
    if not isinstance(new, type) or not hasattr(new, "__annotations__"):
        raise DeclarationError(
            f"migrate({old!r}, {new!r}): the second argument must be a class with fields"
        )
    if not isinstance(old, (str, type)):
        raise DeclarationError(
            f"migrate({old!r}, {new!r}): the first argument must be a class, or the name that one had"
        )

    def read(data: Json) -> object:
        if isinstance(old, str) or old is dict:
            return data
        return codec_of(old).decode(data)

    def declare(make: F) -> F:
        name = old if isinstance(old, str) else old.__name__
        add_migration(Migration(name, new, read, make))
        return make

    return declare
