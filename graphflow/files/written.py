"""How things are named in a file: by their module, by their type, by a variable that holds a secret."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, get_args

from graphflow.errors import FileUnreadable
from graphflow.files.names import PLAIN_TYPES
from graphflow.messages import Type, arms, origin_of
from graphflow.nodes import Node
from graphflow.providers.lazy import Declared


def model_of(name: str, model: Any) -> Any:
    """A model as a file names it."""
    if isinstance(model, str):
        return model
    if isinstance(model, Declared):
        return model.spec
    raise FileUnreadable(
        f"{name!r} has a model object, {model!r}, which a file cannot name; give it as 'provider:model'"
    )


def without_secrets(name: str, values: Mapping[str, str]) -> dict[str, str]:
    """Values that name variables; one that is a secret itself is refused."""
    for key, value in values.items():
        if not value.startswith("$"):
            raise FileUnreadable(
                f"{name!r} holds the value of {key}, which a file must not; give it as $NAME_OF_A_VARIABLE"
            )
    return dict(values)


def address(thing: Any, name: str = "") -> str:
    """`module:name` of something that a module holds under its own name."""
    for module_name, module in list(sys.modules.items()):
        if module_name == "__main__" or module is None:
            continue
        for candidate in {
            name,
            getattr(thing, "__name__", ""),
            getattr(getattr(thing, "function", None), "__name__", ""),
        } - {""}:
            found = getattr(module, "__dict__", {}).get(candidate)
            if found is thing or (
                isinstance(found, Node) and isinstance(thing, Node) and found.named(thing.name) == thing
            ):
                return f"{module_name}:{candidate}"
    raise FileUnreadable(
        f"{thing!r} stands in no module under its own name, so a file cannot name it; move it to a module"
    )


def spelled(kind: Type) -> str:
    """A type as it is written in a file."""
    kinds = arms(kind)
    if len(kinds) > 1:
        return " | ".join(spelled(member) for member in kinds)
    if kind is type(None):
        return "None"
    origin, inner = origin_of(kind), get_args(kind)
    if origin is not None and inner:
        return f"{origin.__name__}[{', '.join(spelled(member) for member in inner)}]"
    if getattr(kind, "__name__", None) in PLAIN_TYPES:
        return str(kind.__name__)
    return f"{kind.__module__}:{kind.__qualname__}"
