"""Faces of rooms: public names that are loaded when somebody asks for them, and modules that have moved.

A room's names may be imported from the room (`from graphflow.model import Request`), wherever in it they stand. What has
moved answers under its old name, too, with a warning, until 0.3.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def face(room: str, modules: Sequence[str]) -> Callable[[str], Any]:
    """A `__getattr__` for a room (PEP 562): its public names are those of these modules of it."""

    def find(name: str) -> Any:
        if name == "__all__":
            return _public_names([f"{room}.{module}" for module in modules])
        if name.startswith("_"):
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        for module in modules:
            found = getattr(import_module(f"{room}.{module}"), name, None)
            if found is not None:
                return found
        raise AttributeError(f"module {room!r} has no attribute {name!r}")

    return find


def moved(old: str, new: str) -> Callable[[str], Any]:
    """A `__getattr__` for a module that has moved: it warns, and hands out what stands in the new one."""

    def find(name: str) -> Any:
        if name == "__all__":
            return _public_names([new])
        if name.startswith("__"):
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        found = getattr(import_module(new), name)
        warnings.warn(f"{old} is now {new}; the old name goes with 0.3", DeprecationWarning, stacklevel=2)
        return found

    return find


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """A `__getattr__` for a module in which names have changed: it warns, and hands out what has the new name."""

    def find(name: str) -> Any:
        new = names.get(name)
        if new is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(f"{module}.{name} is now {new}; the old name goes with 0.3", DeprecationWarning, stacklevel=2)
        return getattr(import_module(module), new)

    return find


def _public_names(modules: Sequence[str]) -> list[str]:
    """What `from module import *` brings: Python asks for `__all__`, and only then are the modules loaded."""
    names = [name for module in modules for name in vars(import_module(module)) if not name.startswith("_")]
    return list(dict.fromkeys(names))
