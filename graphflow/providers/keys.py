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

# What a server asks for is kept to within bounds: "0" would make a loop without a pause of all keys, and a date that is wrong
# by years would lose a key for good.
SHORTEST_REST_S = 1.0
LONGEST_REST_S = 3600.0


class Key:
    """One key, under a label that may be shown."""

    __slots__ = ("__value", "label")

    def __init__(self, value: str, label: str) -> None:
        clean = _clean(value, label)
        self.__value = clean
        self.label = label
        remember(clean, label)  # what quotes it, wherever that is, is shown without it

    def reveal(self) -> str:
        """The key itself."""
        return self.__value

    def __repr__(self) -> str:
        return f"<{self.label}>"

    def __reduce__(self) -> str:
        raise TypeError("a key must not be written anywhere")


def _clean(value: str, label: str) -> str:
    value = value.strip()
    is_header_value = value.isascii() and value.isprintable() and " " not in value
    if not value or not is_header_value:
        raise AuthError(
            f"{label} cannot be a key: it is empty, or has spaces, line breaks or non-ASCII letters"
        )
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
        # In turn, beginning behind the last one: requests spread over the keys, and so do their limits.
        count = len(self.keys)
        for offset in range(count):
            position = (self._next + offset) % count
            key = self.keys[position]
            if self._is_ready(key):
                self._next = position + 1
                return key
        return None

    def _is_ready(self, key: Key) -> bool:
        if key.label in self._refused:
            return False
        return not self._rest_s(key)

    def _rest_s(self, key: Key) -> float:
        """Seconds for which a key still rests; 0 if it does not."""
        until = self._until.get(key.label)
        if until is None:
            return 0.0
        return max(0.0, until - self.clock())

    def peek(self) -> Key | None:
        """The key that would be taken now, without taking it."""
        before = self._next
        key = self.take()
        self._next = before
        return key

    def soonest(self) -> float | None:
        """Seconds until a resting key may be used again; None if all were refused."""
        rests: list[float] = []
        for key in self.keys:
            if key.label not in self._refused:
                rests.append(self._rest_s(key))
        return min(rests, default=None)

    def rest(self, key: Key, seconds: float) -> None:
        """Leaves a key alone for a while: a second at least, an hour at most."""
        seconds = max(seconds, SHORTEST_REST_S)
        seconds = min(seconds, LONGEST_REST_S)
        until = self.clock() + seconds
        # Two requests may be refused at once: the longer rest counts.
        earlier = self._until.get(key.label, 0.0)
        self._until[key.label] = max(until, earlier)

    def refuse(self, key: Key) -> None:
        """Never uses a key again."""
        self._refused.add(key.label)

    @property
    def state(self) -> dict[str, str]:
        """The state of each key, by its label: ready, resting or refused."""
        states: dict[str, str] = {}
        for key in self.keys:
            states[key.label] = self._state_of(key)
        return states

    def _state_of(self, key: Key) -> str:
        if key.label in self._refused:
            return "refused"
        rest_s = self._rest_s(key)
        return f"resting for {rest_s:.0f} s" if rest_s else "ready"

    def __repr__(self) -> str:
        return f"<keyring of {len(self.keys)}>"


def keys_for(
    provider: str,
    variables: Sequence[str],
    page: str,
    given: str | None,
    several: Sequence[str],
    needed: bool,
) -> Keyring:
    """The keys of a provider: those passed in, else those of the environment.

    A variable may hold several keys with commas between them. A key passed in as "$NAME" is read from that variable.

    Raises:
        KeyMissing: none is there; the text names the variable and the page where keys are made.
        AuthError: one cannot be a key.
    """
    passed = list(several)
    if given is not None:
        passed.insert(0, given)
    if passed:
        keys = [_passed_key(provider, number, text) for number, text in enumerate(passed, 1)]
        return _shared_ring(keys)
    for variable in variables:
        keys = _keys_in(provider, variable)
        if keys:
            return _shared_ring(keys)
    if not needed:
        return Keyring([])
    wanted = " or ".join(variables)
    raise KeyMissing(
        f"{provider} needs a key: set {wanted}, or pass connect('{provider}:...', key=...); keys are made at {page}",
        provider=provider,
    )


def _passed_key(provider: str, number: int, text: str) -> Key:
    """A key that was passed in, or the one of the variable that "$NAME" names."""
    label = f"{provider} key {number}"
    if not text.startswith("$"):
        return Key(text, label)
    variable = text.removeprefix("$")
    value = os.environ.get(variable, "")
    if not value:
        raise KeyMissing(f"the variable {variable} is not set, and a key is to be read from it")
    return Key(value, f"{label} (${variable})")


def _keys_in(provider: str, variable: str) -> list[Key]:
    """The keys of an environment variable, numbered where it holds several."""
    value = os.environ.get(variable, "")
    texts = [text for text in value.split(",") if text.strip()]
    keys: list[Key] = []
    for text in texts:
        label = f"{provider} key ${variable}"
        if len(texts) > 1:
            number = len(keys) + 1
            label += f" no. {number}"
        keys.append(Key(text, label))
    return keys


_rings: dict[tuple[tuple[str, str], ...], Keyring] = {}


def _shared_ring(keys: list[Key]) -> Keyring:
    """The one keyring of these keys in this process: what one run has learned of a key, the next one knows."""
    identity = tuple((key.label, key.reveal()) for key in keys)
    if identity not in _rings:
        _rings[identity] = Keyring(keys)
    return _rings[identity]
