"""Classes of errors by their names: those of graphflow and Python, those that are loaded, and others that are made up.

A name is looked up among what is there. Nothing is imported for it, and no `__init__` and no `__new__` of anybody's runs.
"""

from __future__ import annotations

import builtins
import sys
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Literal, TypeAlias, cast
from weakref import ref

from graphflow import errors
from graphflow.errors import GraphflowError, RecordedError

Home: TypeAlias = Literal["graphflow", "python", ""]
"""Whose class an error is of: one name may be of several classes, and `ServerError` is a word that many use."""
ErrorClass: TypeAlias = type[BaseException]

TEXT = "_recorded_text"
"""The attribute with the text of an error whose class would say it in another way."""
HEAP_TYPE = 1 << 9
"""The flag of classes that are made while a program runs (`Py_TPFLAGS_HEAPTYPE`)."""
LONGEST_NAME = 200
_MADE = (Exception, BaseException, GraphflowError, RecordedError)
"""What every class of errors that is made up is of, or of which it says nothing that it is."""

_found: dict[str, ref[ErrorClass]] = {}
"""Classes that were found before, by name."""


# -- names of classes ------------------------------------------------------------------------------
def recorded_class(error: BaseException) -> ErrorClass:
    """The class that stands for an error's own: one that was made here only to keep a text stands for its base."""
    own = type(error)
    # What is read and recorded once more has to give the same record.
    is_wrapped = is_made_here(own) and not issubclass(own, RecordedError)
    if is_wrapped:
        return own.__mro__[1]
    return own


def home_of(own: ErrorClass) -> Home:
    """Whose class it is."""
    name = own.__name__
    if vars(errors).get(name) is own:
        return "graphflow"
    if vars(builtins).get(name) is own or own is CancelledError:
        return "python"
    return ""


def bases_of(own: ErrorClass) -> list[str]:
    """The nearest class of graphflow's and the nearest of Python's that a class is of."""
    names: list[str] = []
    above: list[ErrorClass] = []
    for home in ("graphflow", "python"):
        base = _nearest(own, home)
        if base is None:
            continue
        # Whoever is of graphflow's class may be of Python's by that.
        is_told = any(issubclass(other, base) for other in above)
        if not is_told:
            above.append(base)
            names.append(base.__name__)
    return names


def _nearest(own: ErrorClass, home: str) -> ErrorClass | None:
    for base in own.__mro__[1:]:
        if issubclass(base, BaseException) and base not in _MADE and home_of(base) == home:
            return base
    return None


# -- classes by their names ------------------------------------------------------------------------
def error_class(kind: str, home: str) -> ErrorClass | None:
    """The class of a recorded error, if it is known here."""
    if home == "graphflow":
        return _graphflow_error(kind)
    if home == "python":
        return _python_error(kind)
    return _loaded_error(kind)


def _graphflow_error(kind: str) -> ErrorClass | None:
    found = vars(errors).get(kind)
    if isinstance(found, type) and issubclass(found, GraphflowError):
        return found
    return None


def _python_error(kind: str) -> ErrorClass | None:
    if kind == CancelledError.__name__:
        return CancelledError
    found = vars(builtins).get(kind)
    if isinstance(found, type) and issubclass(found, BaseException) and found.__name__ == kind:
        return found
    return None


def _loaded_error(kind: str) -> ErrorClass | None:
    """The one class of that name; of several, the one that its module still knows by it.

    A cell of a notebook that is run again defines its classes again, and the old ones stay for a while.
    """
    known = _found.get(kind)
    if known is not None:
        before = known()
        if before is not None and _is_in_its_module(before):
            return before
    only = _only_one(kind)
    if only is not None:
        _found[kind] = ref(only)
    return only


def _only_one(kind: str) -> ErrorClass | None:
    candidates: list[ErrorClass] = []
    for own in _subclasses(Exception):
        if own.__name__ == kind and _is_somebodys(own):
            candidates.append(own)
    if len(candidates) > 1:
        candidates = [own for own in candidates if _is_in_its_module(own)]
    if len(candidates) != 1:
        return None
    return candidates[0]


def _subclasses(top: ErrorClass) -> Iterator[ErrorClass]:
    """All classes below one, each once."""
    seen: set[ErrorClass] = set()
    todo = [top]
    while todo:
        for own in type.__subclasses__(todo.pop()):
            if own not in seen:
                seen.add(own)
                todo.append(own)
                yield own


def _is_somebodys(own: ErrorClass) -> bool:
    return home_of(own) == "" and not is_made_here(own)


def _is_in_its_module(own: ErrorClass) -> bool:
    """Whether its module has it under its name."""
    place: object = sys.modules.get(own.__module__)
    for name in own.__qualname__.split("."):
        place = getattr(place, "__dict__", {}).get(name)
    return place is own


# -- classes that are made here --------------------------------------------------------------------
def _recorded_text(error: BaseException) -> str:
    return str(error.__dict__.get(TEXT, ""))


def is_made_here(own: ErrorClass) -> bool:
    """Whether a class was made here, and so says the text that was recorded."""
    return own.__dict__.get("__str__") is _recorded_text


def made_up(kind: str, bases: Sequence[str]) -> ErrorClass:
    """A class for an error whose own is not known here."""
    name = kind[:LONGEST_NAME]
    nearest = tuple(bases[:2])  # one of graphflow's, and one of Python's
    return _made_up(name, nearest)


@lru_cache(maxsize=256)
def _made_up(kind: str, bases: tuple[str, ...]) -> ErrorClass:
    above: list[ErrorClass] = []
    for base_name in bases:
        base = _graphflow_error(base_name) or _python_error(base_name)
        if base is not None and issubclass(base, Exception):
            above.append(base)
    name = kind.replace("\0", "") or RecordedError.__name__
    body = {"__str__": _recorded_text, "__module__": errors.__name__}
    try:
        return type(name, (RecordedError, *above), body)
    except TypeError:  # two bases that are laid out differently in memory
        return type(name, (RecordedError,), body)


def class_with_text(own: ErrorClass) -> ErrorClass | None:
    """A class like another one whose text is the recorded one; None where making one would run somebody's code."""
    # A base that wants to hear of its subclasses would hear of this one.
    bases = [base for base in own.__mro__ if base is not object]
    watches = any("__init_subclass__" in vars(base) for base in bases)
    if watches or type(own) is not type:
        return None
    return _class_with_text(own)  # type: ignore[arg-type]  # every class can be a key


@lru_cache(maxsize=256)
def _class_with_text(own: ErrorClass) -> ErrorClass | None:
    body = {
        "__str__": _recorded_text,
        "__module__": own.__module__,
        "__qualname__": own.__qualname__,
    }
    try:
        return type(own.__name__, (own,), body)
    except TypeError:  # it may not be subclassed
        return None


# -- errors of these classes -----------------------------------------------------------------------
def bare_error(own: ErrorClass) -> BaseException | None:
    """An error of a class, with nothing in it; None where that cannot be had without code of its own."""
    make = _maker(own)
    try:
        error: object = make(own)
    except Exception:
        return None
    return _of_class(error, own)


def bare_group(
    own: ErrorClass, message: str, inner: Sequence[BaseException]
) -> BaseException | None:
    """The same for a group of errors, which cannot be without them."""
    try:
        error: object = BaseExceptionGroup.__new__(own, message, list(inner))  # type: ignore[type-var]  # it may be no group
    except Exception:
        return None
    return _of_class(error, own)


def _of_class(error: object, own: ErrorClass) -> BaseException | None:
    """An error, if it is of the class that was asked for: a `__new__` may return what it likes."""
    if type(error) is own and isinstance(error, BaseException):
        return error
    return None


def _maker(own: ErrorClass) -> Callable[[ErrorClass], object]:
    """The first `__new__` that Python itself has."""
    for base in own.__mro__:
        is_pythons = not base.__flags__ & HEAP_TYPE
        if is_pythons and "__new__" in vars(base):
            return cast("Callable[[ErrorClass], object]", base.__new__)
    return BaseException.__new__
