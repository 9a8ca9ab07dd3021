"""Messages that a file declares: models made of the names, types and bounds of their fields.

Two declarations that are alike make the same model, in one file or in several: else a graph that is read twice would not be equal
to itself, and what one graph answers would not fit the next one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias
from weakref import WeakKeyDictionary, WeakValueDictionary

from pydantic import Field, TypeAdapter, create_model

from graphflow.errors import FileUnreadable
from graphflow.messages.message import Message
from graphflow.messages.types import Type

FieldEntry: TypeAlias = Mapping[str, Any]
"""What a file says of one field, its type included."""
HOME = "graphflow.files.declared"
"""Where the models say that they come from: no module, as none holds them."""


@dataclass(frozen=True, slots=True)
class DeclaredMessage:
    """What a file says of one message.

    Attributes:
        description: what it is, for models that are shown its schema.
        fields: what is said of each field.
        types: the type of each field.
    """

    description: str
    fields: dict[str, FieldEntry]
    types: dict[str, Type]


_made: WeakValueDictionary[tuple[object, ...], type[Message]] = WeakValueDictionary()
_declared: WeakKeyDictionary[type, DeclaredMessage] = WeakKeyDictionary()
_written: ContextVar[dict[str, type] | None] = ContextVar("written_messages", default=None)


def message_of(name: str, declared: DeclaredMessage) -> type[Message]:
    """The model of a declaration, the same for all that are alike."""
    text = json.dumps([declared.description, declared.fields], default=repr)
    # `A | B` and `B | A` are equal to Python, but not to those who count arms.
    types = list(declared.types.values())
    key = (name, text, str(types), *types)
    model = _made.get(key)
    if model is None:
        model = _made[key] = _made_of(name, declared)
        _declared[model] = declared
    return model


def _made_of(name: str, declared: DeclaredMessage) -> type[Message]:
    fields: dict[str, Any] = {}
    for field, entry in declared.fields.items():
        kind = declared.types[field]
        options = {key: value for key, value in entry.items() if key != "type"}
        if "default" in options:
            options["default"] = _default(kind, options)
        fields[field] = (kind, Field(**options))
    made: type[Message] = create_model(
        name,
        __base__=Message,
        __module__=HOME,
        __doc__=declared.description or None,
        **fields,
    )
    return made


def _default(kind: Type, options: Mapping[str, Any]) -> object:
    """A default as a value of its field: what a file has as a list may be meant as a tuple."""
    bounds = {key: value for key, value in options.items() if key != "default"}
    bounded: Any = Annotated[kind, Field(**bounds)]
    adapter: TypeAdapter[object] = TypeAdapter(bounded)
    return adapter.validate_python(options["default"])


# -- what is written -------------------------------------------------------------------------------
def is_declared(kind: Type) -> bool:
    """Whether a type is a model that a file has declared."""
    return isinstance(kind, type) and kind in _declared


@contextmanager
def writing_messages() -> Iterator[dict[str, type]]:
    """For the time of a `with`: collects the declared messages whose names are written into a file."""
    found: dict[str, type] = {}
    token = _written.set(found)
    try:
        yield found
    finally:
        _written.reset(token)


def written_name(kind: type) -> str:
    """The name of a declared message, as the file has it that is being written.

    Raises:
        FileUnreadable: another one has that name.
    """
    name = kind.__name__
    found = _written.get()
    if found is None or found.get(name) is kind:
        return name
    if name in found:
        raise FileUnreadable(f"two messages are named {name!r}, which a file cannot tell apart")
    found[name] = kind
    return name


def declaration_of(kind: type) -> DeclaredMessage:
    """What a file has said of a message."""
    return _declared[kind]
