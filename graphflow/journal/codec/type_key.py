"""Keys of types: equal only for types whose values are written alike.

Python's own equality is not enough: `A | B` and `B | A` are equal, and so are `list[A | B]` and `list[B | A]`; but the
number of an arm means another one.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated, Literal, get_args

from graphflow.messages.types import UNION_ORIGINS, Type, origin_of


def type_key(kind: Type) -> Hashable:
    """What stands for a type in a table. For some types it cannot be hashed, as they cannot."""
    origin = origin_of(kind)
    arguments = get_args(kind)
    if origin is None or isinstance(kind, list):  # a list: the parameters of a Callable
        return kind  # type: ignore[no-any-return]  # mostly a class
    if origin is Annotated:
        return type_key(arguments[0])
    if origin is Literal:
        return Literal, tuple((type(value), value) for value in arguments)
    if origin in UNION_ORIGINS:
        origin = "|"
    return origin, tuple(map(type_key, arguments))
