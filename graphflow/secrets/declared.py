"""`Secrets(...)`: what a user says is secret, and where it is found."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeAlias

from graphflow.errors import FileUnreadable, SecretInvalid, SecretUnknown
from graphflow.regular import read_regular
from graphflow.secrets.opened import OpenSecrets, opened
from graphflow.secrets.pattern_reader import add_pattern
from graphflow.secrets.registry import NamedTexts
from graphflow.secrets.spellings import SHORTEST_SECRET
from graphflow.secrets.state_graph import StateGraph

SecretSource: TypeAlias = str | Callable[[], str]
"""A value, or a function that gives it when a run begins; it must not block for long."""
LONGEST_SECRET = 100_000
"""Characters of a secret, and bytes of a file with one, at most."""
PATTERN_NAME = "pattern"
"""What a pattern is called that was given no name."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


class Secrets:
    """What must not be seen: masked where text enters a walk, and again wherever it leaves.

    Variables, files and functions are read when a run begins, and again when it is resumed: no store keeps a value.

    Args:
        values: secrets by name, each a text or a function that gives one.
        env: variables that hold secrets; each is called as its variable, or as said in `{"name": "VARIABLE"}`.
        files: files that hold one each, a newline at the end not counted; each is called as its file, or as said in
            `{"name": path}`.
        patterns: regular expressions of what is secret whatever its value is, `{"name": pattern}` if they shall have names.

    Raises:
        SecretInvalid: a value has less than 8 characters, a name cannot be shown, or a pattern cannot be followed.
    """

    __slots__ = ("__values", "env", "files", "latest", "patterns")

    def __init__(
        self,
        values: Mapping[str, SecretSource] | None = None,
        *,
        env: Sequence[str] | Mapping[str, str] = (),
        files: Sequence[str | Path] | Mapping[str, str | Path] = (),
        patterns: Sequence[str] | Mapping[str, str] = (),
    ) -> None:
        given = dict(values or {})
        for name, value in given.items():
            _check_name(name)
            if not callable(value):
                _check_value(name, value)
        self.__values = given
        self.env = _named("env", env, str)
        self.files = _named("files", files, _name_of_file)
        self.patterns = _named_patterns(patterns)
        self.latest: OpenSecrets | None = None
        """What the last run with it has opened: the next one finds it warm."""

    def names(self) -> tuple[str, ...]:
        """What its secrets and patterns are called."""
        named = [*self.__values, *self.env, *self.files]
        for name, _ in self.patterns:
            named.append(name)
        return tuple(dict.fromkeys(named))

    def open(self) -> OpenSecrets:
        """Reads the values, as a run does when it begins.

        Raises:
            SecretUnknown: a variable is not set, or a file cannot be read.
            SecretInvalid: what was read cannot be a secret.
        """
        self.latest = opened(self._read(), self.patterns)
        return self.latest

    def _read(self) -> NamedTexts:
        found: dict[str, str] = {}
        for name, given in self.__values.items():
            found[name] = given() if callable(given) else given
        for name, variable in self.env.items():
            value = os.environ.get(str(variable))
            if value is None:
                raise SecretUnknown(
                    f"the secret {name!r} is to be read from the variable {variable}, which is not set"
                )
            found[name] = value
        for name, path in self.files.items():
            found[name] = _read_file(name, path)
        for name, value in found.items():
            _check_value(name, value)
        return tuple(found.items())

    def __eq__(self, other: object) -> bool:
        """Whether it declares the same: what variables, files and functions give is not looked at."""
        return isinstance(other, Secrets) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self.names())

    def _content(self) -> tuple[object, ...]:
        return self.__values, self.env, self.files, self.patterns

    @property
    def has_values(self) -> bool:
        """Whether it was given values or functions, which no file can hold."""
        return bool(self.__values)

    def __repr__(self) -> str:
        named = ", ".join(self.names())
        return f"Secrets({named})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets must not be written anywhere")


def open_all(declared: Iterable[Secrets]) -> OpenSecrets:
    """Several sets as one; where two have the same name, the later one counts.

    Raises:
        SecretUnknown, SecretInvalid: as `Secrets.open`.
    """
    sets = list(declared)
    if len(sets) == 1:
        return sets[0].open()
    if not sets:
        return opened((), ())
    values: dict[str, str] = {}
    patterns: dict[tuple[str, str], None] = {}  # a set that keeps the order
    for each in sets:
        values.update(each._read())
        patterns |= dict.fromkeys(each.patterns)
    found = opened(tuple(values.items()), tuple(patterns))
    sets[0].latest = found
    return found


def _check_name(name: object) -> None:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return
    shown = name if isinstance(name, str) and len(name) < SHORTEST_SECRET else "it"
    raise SecretInvalid(
        f"a secret cannot be called so ({shown!r} is none of its names): "
        "take letters, digits, '_', '.' and '-', a letter first; names stand in texts in place of secrets"
    )


def _check_value(name: str, value: object) -> None:
    if not isinstance(value, str):
        kind = type(value).__name__
        raise SecretInvalid(f"the secret {name!r} is a {kind}; give a text, or a function")
    count = len(value)
    if len(value.strip()) < SHORTEST_SECRET:
        raise SecretInvalid(
            f"the secret {name!r} has {count} characters; below {SHORTEST_SECRET} it would be found in texts by chance, "
            "and these would be damaged"
        )
    if count > LONGEST_SECRET:
        raise SecretInvalid(
            f"the secret {name!r} has {count:,} characters, {LONGEST_SECRET:,} at most"
        )


def _named(
    option: str,
    given: Sequence[str | Path] | Mapping[str, str | Path],
    name_of: Callable[[str | Path], str],
) -> Mapping[str, str | Path]:
    """Where secrets are found, by their names."""
    if isinstance(given, (str, Path)):
        raise SecretInvalid(f"Secrets({option}=...) takes a list; write {option}=[...]")
    named: dict[str, str | Path] = {}
    if isinstance(given, Mapping):
        named |= given
    else:
        for each in given:
            named[name_of(each)] = each
    for name in named:
        _check_name(name)
    return named


def _name_of_file(path: str | Path) -> str:
    return Path(path).name


def _named_patterns(given: Sequence[str] | Mapping[str, str]) -> NamedTexts:
    if isinstance(given, str):
        raise SecretInvalid("Secrets(patterns=...) takes a list; write patterns=[...]")
    if isinstance(given, Mapping):
        named = list(given.items())
    else:
        named = [(PATTERN_NAME, pattern) for pattern in given]
    for name, pattern in named:
        _check_name(name)
        if not isinstance(pattern, str):
            kind = type(pattern).__name__
            raise SecretInvalid(f"the pattern {name!r} is a {kind}; give a text")
        add_pattern(StateGraph(), pattern, 0)  # what cannot be used is refused where it is written
    return tuple(named)


def _read_file(name: str, path: str | Path) -> str:
    try:
        text = read_regular(path, LONGEST_SECRET)
    except FileUnreadable as error:
        raise SecretUnknown(f"the secret {name!r} cannot be read: {error}") from None
    return text.removesuffix("\n").removesuffix("\r")
