"""Secrets that must not get into a file: refused where a graph is written, never left out.

A file without a secret that the graph has would be another graph. What a file may hold is the name of a variable, `$NAME`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from graphflow.errors import FileUnreadable
from graphflow.redaction import is_secret, looks_secret, scrub

_SECRET_WORD = re.compile(
    r"(^|[^a-z])(api_?key|key|token|secret|password|passwd|passphrase|pass|pwd|pat|credentials?|auth|dsn|cookie|signature|sig)$",
    re.IGNORECASE,
)


def without_secrets(name: str, values: Mapping[str, str]) -> dict[str, str]:
    """Values that name variables; a value that is a secret itself is refused."""
    for key, value in values.items():
        if not value.startswith("$"):
            raise FileUnreadable(
                f"{name!r} holds the value of {key}, which a file must not; give it as $NAME_OF_A_VARIABLE"
            )
    return dict(values)


def names_secret(name: str) -> bool:
    """Whether what goes by that name is a secret: a variable, an option of a command, a parameter of an address."""
    if is_secret(name):
        return True
    return _SECRET_WORD.search(name) is not None


def secret_in_command(command: Sequence[str]) -> bool:
    """Whether a part of a command is a secret, or follows an option that is named like one."""
    is_value_of_secret = False
    for part in command:
        if looks_secret(part):
            return True
        if is_value_of_secret and not part.startswith("-"):  # --token abc
            return True
        option, equals, value = part.partition("=")
        is_secret_option = option.startswith("-") and _SECRET_WORD.search(option) is not None
        if is_secret_option and value:  # --token=abc
            return True
        is_value_of_secret = is_secret_option and not equals
    return False


def secret_in_url(url: str) -> bool:
    """Whether an address holds a secret: as a password, as a parameter, or in its path."""
    parts = urlsplit(url)
    # A user name alone is none: git@host is how one writes it.
    if parts.password or looks_secret(url):
        return True
    parameters = parse_qsl(parts.query)
    parameters += parse_qsl(parts.fragment)
    for name, value in parameters:
        if names_secret(name) or looks_secret(value):
            return True
    steps = parts.path.split("/")
    return any(map(looks_secret, steps))


def refuse_secrets(graph: str, declared: object, where: tuple[str, ...] = ()) -> None:
    """Looks through all that a file would hold for what is known to be a secret, or looks like one.

    Raises:
        FileUnreadable: something is.
    """
    match declared:
        case Mapping():
            for key, value in declared.items():
                name = str(key)
                _refuse_named(graph, name, value, where)
                refuse_secrets(graph, value, (*where, name))
        case list() | tuple():
            for value in declared:
                refuse_secrets(graph, value, where)
        case str() if scrub(declared) != declared:
            place = " > ".join(where)
            raise FileUnreadable(
                f"graph {graph!r} holds a secret ({place}), which a file must not; give it by a variable"
            )


def _refuse_named(graph: str, key: str, value: object, where: tuple[str, ...]) -> None:
    # `extra` goes to the provider as it is, so a key in it is known by its name alone.
    if "extra" not in where or _SECRET_WORD.search(key) is None:
        return
    if isinstance(value, str) and not value.startswith("$"):
        raise FileUnreadable(f"graph {graph!r} holds the value of {key}, which a file must not")
