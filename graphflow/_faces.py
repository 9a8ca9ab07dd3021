"""Faces of rooms: public names that are loaded when somebody asks for them, and modules that have moved.

A room's names may be imported from the room (`from graphflow.model import Request`), wherever in it they stand. What has
moved answers under its old name, too, with a warning, until 0.3. Each function here makes a `__getattr__` for a module
(PEP 562).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, TypeAlias

Lookup: TypeAlias = Callable[[str], Any]
"""Finds what a module has under a name. Any: a name may stand for anything, and a type checker looks at the module itself."""


def face(room: str, modules: Sequence[str]) -> Lookup:
    """For a room: its public names are those of these modules of it."""
    paths = [f"{room}.{module}" for module in modules]

    def find(name: str) -> object:
        if name == "__all__":
            return _public_names(paths)
        # Python asks for many a name that only it knows (`__path__`, `__wrapped__`): no module is loaded for those.
        if name.startswith("_"):
            raise _missing(room, name)
        for path in paths:
            found = getattr(import_module(path), name, None)
            if found is not None:
                return found
        raise _missing(room, name)

    return find


def moved(old: str, new: str) -> Lookup:
    """For a module that has moved: it warns, and hands out what stands in the new one."""

    def find(name: str) -> object:
        if name == "__all__":
            return _public_names([new])
        if name.startswith("__"):
            raise _missing(old, name)
        found = getattr(import_module(new), name)
        _warn(old, new)
        return found

    return find


def renamed(module: str, names: Mapping[str, str]) -> Lookup:
    """For a module in which names have changed: it warns, and hands out what has the new name."""

    def find(name: str) -> object:
        new = names.get(name)
        if new is None:
            raise _missing(module, name)
        _warn(f"{module}.{name}", new)
        return getattr(import_module(module), new)

    return find


def former_name(old: str, new: str) -> property:
    """An attribute that had another name: it can still be read, with a warning."""

    def read(self: object) -> object:
        whose = type(self).__name__
        _warn(f"{whose}.{old}", f"{whose}.{new}")
        return getattr(self, new)

    return property(read, doc=f"The old name of `{new}`, until 0.3.")


def _missing(module: str, name: str) -> AttributeError:
    return AttributeError(f"module {module!r} has no attribute {name!r}")


def _warn(old: str, new: str) -> None:
    # Level 1 is this function, 2 the `__getattr__` above, 3 whoever asked for the name: the warning shows that line.
    warnings.warn(
        f"{old} is now {new}; the old name goes with 0.3", DeprecationWarning, stacklevel=3
    )


def _public_names(modules: Sequence[str]) -> list[str]:
    """What `from module import *` brings: Python asks for `__all__`, and only then are the modules loaded."""
    names: dict[str, None] = {}  # a set that keeps the order
    for module in modules:
        public = [name for name in vars(import_module(module)) if not name.startswith("_")]
        names |= dict.fromkeys(public)
    return list(names)
