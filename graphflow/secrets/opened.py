"""Secrets with their values, as one run has them: what finds them, and what hands them to code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import NoReturn

from graphflow.errors import SecretInvalid, SecretUnknown
from graphflow.secrets.automaton import SecretAutomaton
from graphflow.secrets.mask import MaskedStream, SecretPlace, SecretSpan, mark_of, spans_in
from graphflow.secrets.registry import NamedTexts, known_sets
from graphflow.secrets.secret import Secret
from graphflow.secrets.spellings import spellings_of


class OpenSecrets:
    """The values and patterns of a run. Two runs that are given the same have the same one.

    Args:
        values: secrets, each with its name.
        patterns: regular expressions of what is secret, each with its name.

    Raises:
        SecretInvalid: a pattern cannot be used, or a name holds a secret.
    """

    __slots__ = ("__dict__", "__values", "__weakref__", "patterns")

    def __init__(self, values: NamedTexts, patterns: NamedTexts) -> None:
        self.__values = dict(values)
        self.patterns = patterns
        for number, name in enumerate(self.names, 1):
            # Names are shown in place of secrets, so they must be none.
            if self.spans(name):
                raise SecretInvalid(f"the name of secret number {number} holds a secret; rename it")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What secrets and patterns are called, each once."""
        names = dict.fromkeys(self.__values)  # a set that keeps the order
        for name, _ in self.patterns:
            names[name] = None
        return tuple(names)

    @cached_property
    def automaton(self) -> SecretAutomaton:
        """What finds them; made when the first text comes."""
        numbers = {name: number for number, name in enumerate(self.names)}
        values: list[tuple[str, int]] = []
        for name, value in self.__values.items():
            for spelling in spellings_of(value):
                values.append((spelling, numbers[name]))
        patterns = [(pattern, numbers[name]) for name, pattern in self.patterns]
        return SecretAutomaton(values, patterns)

    def values(self) -> Iterator[tuple[str, str]]:
        """Every secret as (name, value). For what hides them; nothing of it may be shown."""
        yield from self.__values.items()

    def secret(self, name: str) -> Secret:
        """A secret for code to use.

        Raises:
            SecretUnknown: there is none of that name.
        """
        value = self.__values.get(name)
        if value is None:
            raise unknown_secret(name, self.__values)
        return Secret(name, value)

    def has(self, name: str) -> bool:
        """Whether there is a secret of that name."""
        return name in self.__values

    # -- texts -------------------------------------------------------------------------------------
    def stream(self, note: Callable[[SecretPlace], None] | None = None) -> MaskedStream:
        """Masks one text while it comes; `note` is told of each secret."""
        return MaskedStream(self.automaton, self.names, note)

    def spans(self, text: str) -> list[SecretSpan]:
        """Where secrets stand in a text, apart from each other: from, to, the number of the name in `names`."""
        return spans_in(self.automaton, text)

    def mask(self, text: str, note: Callable[[SecretPlace], None] | None = None) -> str:
        """The text with a mark for each secret; the text itself if it holds none."""
        spans = self.spans(text)
        if not spans:
            return text
        parts: list[str] = []
        done = 0
        for start, end, label in spans:
            name = self.names[label]
            before = text[done:start]
            parts.append(before)
            parts.append(mark_of(name))
            done = end
            if note is not None:
                place = SecretPlace(name, start)
                note(place)
        parts.append(text[done:])
        return "".join(parts)

    def __repr__(self) -> str:
        named = ", ".join(self.names)
        return f"<secrets: {named}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets must not be written anywhere")


def unknown_secret(name: str, known: Iterable[str]) -> SecretUnknown:
    """The error of a secret that is not there."""
    there = ", ".join(sorted(known)) or "none"
    return SecretUnknown(
        f"the run has no secret {name!r} (there is: {there}); "
        f"pass run(..., secrets=Secrets({{{name!r}: ...}})), or give it to the graph"
    )


def opened(values: NamedTexts, patterns: NamedTexts) -> OpenSecrets:
    """The secrets of these values and patterns: the same object as long as somebody has it, with the automaton that it made."""
    key = (values, patterns)
    found = known_sets.get(key)
    if found is None:
        found = OpenSecrets(values, patterns)
        known_sets[key] = found
    return found
