"""How things are named in a file: by the module that holds them, by their type, by the provider of a model."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Literal, get_args

from graphflow.declaration.node import Node
from graphflow.errors import FileUnreadable
from graphflow.files.message_types import is_declared, written_name
from graphflow.files.types import KNOWN_TYPES, PLAIN_TYPES
from graphflow.messages.types import Type, arms, origin_of
from graphflow.providers.declared_model import DeclaredModel


def model_of(name: str, model: object) -> object:
    """A model as a file names it."""
    if isinstance(model, str):
        return model
    if isinstance(model, DeclaredModel):
        return model.spec
    raise FileUnreadable(
        f"{name!r} has a model object, {model!r}, which a file cannot name; give it as 'provider:model'"
    )


def address(thing: object, name: str = "") -> str:
    """`module:name` of something that a module holds under its own name."""
    function = getattr(thing, "function", None)
    # A node may be held under its own name or under that of its function.
    own_name = getattr(thing, "__name__", "")
    function_name = getattr(function, "__name__", "")
    names = [name, own_name, function_name]
    defined = thing if function is None else function
    home = getattr(defined, "__module__", None)
    for module_name, module in _modules(home):
        namespace = getattr(module, "__dict__", {})
        for candidate in filter(None, names):
            found = namespace.get(candidate)
            if _is_same(found, thing):
                return f"{module_name}:{candidate}"
    raise FileUnreadable(
        f"{thing!r} stands in no module under its own name, so a file cannot name it; move it to a module"
    )


def _modules(home: object) -> Iterator[tuple[str, ModuleType]]:
    """The modules that are loaded: first the one where a thing is defined, then those that may have imported it."""
    names = list(sys.modules)
    if isinstance(home, str) and home in sys.modules:
        names.insert(0, home)
    for name in names:
        module = sys.modules.get(name)
        # What a script holds cannot be imported: it is `__main__` only while it runs.
        if name != "__main__" and module is not None:
            yield name, module


def _is_same(found: object, thing: object) -> bool:
    """Whether a module holds the thing; a node also under another name (`search.named("find")`)."""
    if found is thing:
        return True
    if isinstance(found, Node) and isinstance(thing, Node):
        renamed = found.named(thing.name)
        return bool(renamed == thing)
    return False


_WORDS: dict[Type, str] = {type(None): "None", ...: "..."}


def type_text(kind: Type) -> str:
    """A type as it is written in a file."""
    kinds = arms(kind)
    if len(kinds) > 1:
        return " | ".join(map(type_text, kinds))
    if kind in _WORDS:
        return _WORDS[kind]
    if is_declared(kind):
        return written_name(kind)
    origin = origin_of(kind)
    arguments = get_args(kind)
    if origin is Literal:
        choices = ", ".join(map(repr, arguments))
        return f"Literal[{choices}]"
    if origin is not None and arguments:
        inner = ", ".join(map(type_text, arguments))
        return f"{origin.__name__}[{inner}]"
    if getattr(kind, "__name__", None) in PLAIN_TYPES:
        return str(kind.__name__)
    # By identity: a class of the user's may be called `date`, too.
    for name, known in KNOWN_TYPES.items():
        if known is kind:
            return name
    module = _public_module(kind)
    return f"{module}:{kind.__qualname__}"


def _public_module(kind: Type) -> str:
    """Where users import a type from. For one of graphflow's own that is the package itself, or the room.

    A file that named the module inside the room would break when the room is tidied up. Such files are read all the same.
    """
    home: str = kind.__module__
    parts = home.split(".")
    package = parts[0]
    if package != "graphflow":
        return home
    room = ".".join(parts[:2])
    for public in (package, room):
        module = sys.modules.get(public)
        if getattr(module, kind.__qualname__, None) is kind:
            return public
    return home
