"""Untrusted content: what came from outside of the graph and its people, and may hold words that were meant for a model.

Rules:
1. The mark is a matter of types: `Untrusted[str]` is `str` wherever a value is looked at, so nothing has to be unwrapped.
2. It survives: whatever is made of untrusted content, by code or by a model, is untrusted content
   (`graphflow/proofs/untrusted.py` follows it).
3. A model is shown it between fences that it cannot close (`graphflow/messages/notes.py` spells them).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Final, TypeVar, get_args

from pydantic import BaseModel

from graphflow.messages.types import Type, origin_of

T = TypeVar("T")


class UntrustedMark:
    """What stands in an annotation of untrusted content."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNTRUSTED"

    def __reduce__(self) -> str:
        return "UNTRUSTED"


UNTRUSTED: Final = UntrustedMark()
Untrusted = Annotated[T, UNTRUSTED]
"""`Untrusted[T]`: a T that came from outside. On what a node answers or takes, or on a field of a message."""


def is_marked(kind: Type) -> bool:
    """Whether a type says that there is untrusted content in its values: it, a part of it, or a field of a model."""
    try:
        return _is_marked(kind)
    except TypeError:  # a type that has no hash
        return _holds_mark(kind, frozenset())


@lru_cache(maxsize=4096)
def _is_marked(kind: Type) -> bool:
    return _holds_mark(kind, frozenset())


def _holds_mark(kind: Type, seen: frozenset[int]) -> bool:
    if origin_of(kind) is Annotated and UNTRUSTED in get_args(kind)[1:]:
        return True
    # Models may hold each other, and themselves.
    if id(kind) in seen:
        return False
    seen |= {id(kind)}
    # list[Untrusted[str]] holds it in its argument, a model in a field.
    parts = [*get_args(kind), *_fields_of(kind)]
    return any(_holds_mark(part, seen) for part in parts)


def _fields_of(kind: Type) -> Iterator[Type]:
    """The types of the fields of a model or dataclass."""
    if not isinstance(kind, type):
        return
    if issubclass(kind, BaseModel):
        for field in kind.model_fields.values():
            # Pydantic takes an annotation apart: what was beside the type stands in the metadata.
            yield Untrusted[int] if UNTRUSTED in field.metadata else field.annotation
    elif dataclasses.is_dataclass(kind):
        for each in dataclasses.fields(kind):
            yield each.type


@lru_cache(maxsize=4096)
def marked_fields(kind: type) -> frozenset[str]:
    """The fields of a model that hold untrusted content."""
    names: set[str] = set()
    if issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if UNTRUSTED in field.metadata or is_marked(field.annotation):
                names.add(name)
    return frozenset(names)


def without_mark(kind: Type) -> Type:
    """A type without the mark around it; what stands in it keeps its marks."""
    if origin_of(kind) is not Annotated:
        return kind
    # Annotated is flat: marks of several kinds stand side by side behind one type.
    inner, *extras = get_args(kind)
    left = [extra for extra in extras if extra is not UNTRUSTED]
    if len(left) == len(extras):
        return kind
    if not left:
        return inner
    return Annotated[(inner, *left)]
