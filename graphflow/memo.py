"""What is read of a function once: kept for as long as the function itself lives, and no longer.

A table would keep functions, and with a bound method the service behind it, for the life of the process. Even a weak one
would, wherever what was read leads back to the function (a message class declared beside it, with a method that calls it).
So it is kept with the function.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import FunctionType, MethodType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast
from weakref import ref

P = ParamSpec("P")
R = TypeVar("R")


class Remembering(Protocol[P, R]):
    """A reader of functions that remembers; `__wrapped__` reads anew."""

    __wrapped__: Callable[Concatenate[Callable[..., Any], P], R]

    def __call__(self, function: Callable[..., Any], /, *args: P.args, **kwargs: P.kwargs) -> R: ...


def once_a_function(read: Callable[Concatenate[Callable[..., Any], P], R]) -> Remembering[P, R]:
    """The reader, remembering what it has read of plain functions and of methods; of other callables it reads anew."""
    name = f"__graphflow_{read.__name__}__"

    @wraps(read)
    def find(function: Callable[..., Any], /, *args: P.args, **kwargs: P.kwargs) -> R:
        owner = function.__func__ if isinstance(function, MethodType) else function
        if type(owner) is not FunctionType:
            return read(function, *args, **kwargs)
        place = "method" if owner is not function else "function"
        whose, known = owner.__dict__.get(name, (None, None))
        if whose is None or whose() is not owner:  # `functools.wraps` copies it to another function
            known = {}
            owner.__dict__[name] = ref(owner), known
        if place not in known:
            known[place] = read(function, *args, **kwargs)
        return cast("R", known[place])

    return cast("Remembering[P, R]", find)
