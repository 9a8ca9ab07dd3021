"""How things are named in a file: by their module, by their type, by a variable that holds a secret."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, get_args
from urllib.parse import parse_qsl, urlsplit

from graphflow.declaration.node import Node
from graphflow.errors import FileUnreadable
from graphflow.files.types import KNOWN_TYPES, PLAIN_TYPES
from graphflow.messages.message import Type, arms, origin_of
from graphflow.providers.declared_model import DeclaredModel
from graphflow.redaction import is_secret, looks_secret, scrub


def model_of(name: str, model: Any) -> Any:
    """A model as a file names it."""
    if isinstance(model, str):
        return model
    if isinstance(model, DeclaredModel):
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


_SECRET_WORD = re.compile(
    r"(^|[^a-z])(api_?key|key|token|secret|password|passwd|passphrase|pass|pwd|pat|credentials?|auth|dsn|cookie|signature|sig)$",
    re.IGNORECASE,
)


def names_secret(name: str) -> bool:
    """Whether what goes by that name is a secret: a variable, an option of a command, a parameter of an address."""
    return is_secret(name) or _SECRET_WORD.search(name) is not None


def secret_in_command(command: Sequence[str]) -> bool:
    """Whether a part of a command is a secret, or follows an option that is named like one."""
    after = False
    for part in command:
        option, equals, value = part.partition("=")
        named = option.startswith("-") and _SECRET_WORD.search(option) is not None
        if looks_secret(part) or (after and not part.startswith("-")) or (named and equals and value):
            return True
        after = named and not equals
    return False


def secret_in_url(url: str) -> bool:
    """Whether an address holds a secret: as a password, as a parameter, or in its path."""
    parts = urlsplit(url)
    given = [*parse_qsl(parts.query, keep_blank_values=False), *parse_qsl(parts.fragment)]
    if parts.password or any(names_secret(name) or looks_secret(value) for name, value in given):
        return True
    return looks_secret(url) or any(looks_secret(part) for part in parts.path.split("/"))


def refuse_secrets(graph: str, declared: Any, where: tuple[str, ...] = ()) -> None:
    """Looks through all that a file would hold for what is known to be a secret, or looks like one.

    Raises:
        FileUnreadable: something is; it is not left out either, as the file would then be another graph.
    """
    if isinstance(declared, Mapping):
        for key, value in declared.items():
            named = "extra" in where and _SECRET_WORD.search(str(key)) is not None
            if named and isinstance(value, str) and not value.startswith("$"):
                raise FileUnreadable(f"graph {graph!r} holds the value of {key}, which a file must not")
            refuse_secrets(graph, value, (*where, str(key)))
    elif isinstance(declared, (list, tuple)):
        for value in declared:
            refuse_secrets(graph, value, where)
    elif isinstance(declared, str) and scrub(declared) != declared:
        raise FileUnreadable(
            f"graph {graph!r} holds a secret ({' > '.join(where)}), which a file must not; give it by a variable"
        )


def address(thing: Any, name: str = "") -> str:
    """`module:name` of something that a module holds under its own name."""
    own = getattr(
        getattr(thing, "function", thing), "__module__", None
    )  # where it is defined, before others that import it
    names = list(dict.fromkeys([*([own] if own in sys.modules else []), *sys.modules]))
    for module_name in names:
        module = sys.modules.get(module_name)
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
    known = next((name for name, known in KNOWN_TYPES.items() if known is kind), None)
    return known or f"{public_module(kind.__module__)}:{kind.__qualname__}"


def public_module(name: str) -> str:
    """The module that users know: a file must not depend on where in a room something stands."""
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[:2] in (["graphflow", "messages"], ["graphflow", "model"]) else name
