"""API keys: where they come from, which one is next, and how they stay out of sight.

Rules:
1. A key's value is in `Key.reveal()` and in the header of a request, and nowhere else: not in a repr, a text, an event.
2. Several keys are taken in turn. One that was refused is not used again; one that ran into a limit rests.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from graphflow.errors import AuthError, KeyMissing
from graphflow.redaction import remember

SHORTEST_REST_S = 1.0
LONGEST_REST_S = 3600.0


class Key:
    """One key, under a label that may be shown."""

    __slots__ = ("__value", "label")

    def __init__(self, value: str, label: str) -> None:
        self.__value = _clean(value, label)
        self.label = label
        remember(self.__value, label)

    def reveal(self) -> str:
        """The key itself."""
        return self.__value

    def __repr__(self) -> str:
        return f"<{self.label}>"

    def __reduce__(self) -> str:
        raise TypeError("a key is not written anywhere")


def _clean(value: str, label: str) -> str:
    value = value.strip()
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise AuthError(f"{label} holds what no key can: it is empty, or has spaces, line breaks or non-ASCII letters")
    return value


class Keyring:
    """Keys that are used in turn.

    Args:
        keys: the keys, in order.
        clock: seconds that only go forward.
    """

    def __init__(self, keys: Sequence[Key], clock: Callable[[], float] = time.monotonic) -> None:
        self.keys = tuple(keys)
        self.clock = clock
        self._next = 0
        self._until: dict[str, float] = {}
        self._refused: set[str] = set()

    def take(self) -> Key | None:
        """The next key that may be used now, or None."""
        now = self.clock()
        for offset in range(len(self.keys)):
            position = (self._next + offset) % len(self.keys)
            key = self.keys[position]
            if key.label not in self._refused and self._until.get(key.label, 0.0) <= now:
                self._next = position + 1
                return key
        return None

    def peek(self) -> Key | None:
        """The key that would be taken now, without taking it."""
        position = self._next
        key = self.take()
        self._next = position
        return key

    def soonest(self) -> float | None:
        """Seconds until a resting key may be used again; None if all were refused."""
        left = [
            max(0.0, self._until.get(k.label, 0.0) - self.clock()) for k in self.keys if k.label not in self._refused
        ]
        return min(left) if left else None

    def rest(self, key: Key, seconds: float) -> None:
        """Leaves a key alone for a while: a second at least, an hour at most."""
        until = self.clock() + min(max(seconds, SHORTEST_REST_S), LONGEST_REST_S)
        self._until[key.label] = max(until, self._until.get(key.label, 0.0))

    def refuse(self, key: Key) -> None:
        """Never uses a key again."""
        self._refused.add(key.label)

    @property
    def state(self) -> dict[str, str]:
        """What is up with each key, by its label."""
        now = self.clock()
        return {
            key.label: "refused"
            if key.label in self._refused
            else f"resting for {self._until[key.label] - now:.0f} s"
            if self._until.get(key.label, 0.0) > now
            else "ready"
            for key in self.keys
        }

    def __repr__(self) -> str:
        return f"<keyring of {len(self.keys)}>"


def keys_for(
    provider: str, variables: Sequence[str], page: str, given: str | None, several: Sequence[str], needed: bool
) -> Keyring:
    """The keys of a provider: those passed in, else those of the environment.

    A variable may hold several keys with commas between them. A key passed in as "$NAME" is read from that variable.

    Raises:
        KeyMissing: none is there; the text names the variable and the page where keys are made.
        AuthError: one cannot be a key.
    """
    passed = [given, *several] if given is not None else list(several)
    if passed:
        named = [(_from_variable(text), text[1:] if text.startswith("$") else "") for text in passed]
        labels = [f"{provider} key {n}{f' (${name})' if name else ''}" for n, (_, name) in enumerate(named, 1)]
        return _ring([Key(text, label) for (text, _), label in zip(named, labels, strict=True)])
    for variable in variables:
        held = os.environ.get(variable, "")
        texts = [text for text in held.split(",") if text.strip()]
        if texts:
            many = len(texts) > 1
            return _ring(
                [Key(t, f"{provider} key ${variable}{f' no. {n}' if many else ''}") for n, t in enumerate(texts, 1)]
            )
    if not needed:
        return Keyring([])
    raise KeyMissing(
        f"{provider} needs a key: set {' or '.join(variables)}, or pass connect('{provider}:...', key=...); "
        f"keys are made at {page}",
        provider=provider,
    )


_rings: dict[tuple[tuple[str, str], ...], Keyring] = {}


def _ring(keys: list[Key]) -> Keyring:
    """The one keyring of these keys in this process: what one run has learned of a key, the next one knows."""
    named = tuple((key.label, key.reveal()) for key in keys)
    if named not in _rings:
        _rings[named] = Keyring(keys)
    return _rings[named]


def _from_variable(text: str) -> str:
    if not text.startswith("$"):
        return text
    value = os.environ.get(text[1:], "")
    if not value:
        raise KeyMissing(f"the variable {text[1:]} is not set, and a key was to be read from it")
    return value
