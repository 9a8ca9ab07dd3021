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
Function = Callable[..., Any]
FunctionReader = Callable[Concatenate[Function, P], R]


_Readings = dict[str, object]
"""What was read of one function: as a function, and as a method."""
_MemoEntry = tuple[ref[FunctionType], _Readings]
"""What is kept with a function: which one that is, weakly, and what was read of it."""


class Remembering(Protocol[P, R]):
    """A reader of functions that remembers; `__wrapped__` reads anew."""

    __wrapped__: FunctionReader[P, R]

    def __call__(self, function: Function, /, *args: P.args, **kwargs: P.kwargs) -> R: ...


def once_a_function(read: FunctionReader[P, R]) -> Remembering[P, R]:
    """The reader, remembering what it has read of plain functions and of methods; of other callables it reads anew."""
    name = f"__graphflow_{read.__name__}__"

    @wraps(read)
    def find(function: Function, /, *args: P.args, **kwargs: P.kwargs) -> R:
        owner: object = function
        place = "function"
        # A method is read differently from its function: it has no `self` to give.
        if isinstance(function, MethodType):
            owner = function.__func__
            place = "method"
        if type(owner) is not FunctionType:
            return read(function, *args, **kwargs)
        known = _known_of(owner, name)
        if place not in known:
            value = read(function, *args, **kwargs)
            known[place] = value
        found = known[place]
        return cast("R", found)

    return cast("Remembering[P, R]", find)


def _known_of(function: FunctionType, name: str) -> _Readings:
    """What is kept with a function under a name."""
    entry: _MemoEntry | None = function.__dict__.get(name)
    if entry is not None:
        owner, known = entry
        # `functools.wraps` copies the entry to another function, of which nothing has been read.
        if owner() is function:
            return known
    fresh: _Readings = {}
    function.__dict__[name] = (ref(function), fresh)
    return fresh
