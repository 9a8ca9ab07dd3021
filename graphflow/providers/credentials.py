"""Credentials: keys that code of the user's gives when they are wanted, and anew when they have run out or were refused.

    async def from_vault(wanted: KeyWanted) -> str | Credential: ...

    connect("openai:gpt-5", credentials=from_vault)

Rules:
1. Nobody is asked before a request goes out. What was given is used for all requests of the model, until it has run out or a
   provider has refused it; requests at once ask once.
2. A request for which a fresh key is refused, too, fails: whoever gives keys is not asked for ever.
3. What is given is a key like any other: it stands in one header, and no text shows it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from inspect import isawaitable, iscoroutinefunction
from typing import TypeAlias
from weakref import WeakKeyDictionary

from graphflow.concurrency import in_thread
from graphflow.errors import AuthError, GraphflowError
from graphflow.providers.keys import Key, Keyring


@dataclass(frozen=True, slots=True)
class KeyWanted:
    """What a key is wanted for.

    Attributes:
        provider: the provider's name in model strings.
        model: "provider:model".
        refused: whether the key that was given last was refused.
    """

    provider: str
    model: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Credential:
    """A key, and how long it lasts.

    Attributes:
        value: the key.
        lasts_s: seconds after which another one is asked for; None = until it is refused.
    """

    value: str = field(repr=False)
    lasts_s: float | None = None


GivenKey: TypeAlias = str | Credential
GiveKey: TypeAlias = Callable[[KeyWanted], Awaitable[GivenKey] | GivenKey]
"""Gives a key. Async, or plain: then it is asked in a thread, and may block."""


class GivenKeys(Keyring):
    """The keys that a function gives, one at a time.

    Args:
        model: "provider:model".
        give: the function.
        clock: seconds that only go forward.
    """

    def __init__(
        self, model: str, give: GiveKey, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__((), clock)
        provider, _, _ = model.partition(":")
        self._model = model
        self._provider = provider
        self._give = give
        self._key: Key | None = None
        self._ends = float("inf")
        self._was_refused = False
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
            WeakKeyDictionary()
        )
        """A lock belongs to an event loop, and a model may be asked in several."""

    async def fetch(self) -> Key:
        """The key that holds now; asked for, if there is none.

        Raises:
            AuthError: none was given.
        """
        turn = self._turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        async with turn:
            if self._key is None or self.clock() >= self._ends:
                given = await self._given()
                self._take(given)
            assert self._key is not None
            return self._key

    def drop(self, key: Key) -> None:
        """Has another key asked for, unless that has been done meanwhile."""
        if key is self._key:
            self._key = None
            self._was_refused = True

    def _take(self, given: GivenKey) -> None:
        """Takes over what was given.

        Raises:
            AuthError: it cannot be a key.
        """
        if isinstance(given, str):
            given = Credential(given)
        if not isinstance(given, Credential) or not isinstance(given.value, str):
            kind = type(given).__name__
            raise AuthError(
                f"credentials= for {self._model} gave {kind}; give the key as a text, or Credential(key, lasts_s=...)",
                provider=self._provider,
            )
        self._key = Key(given.value, f"{self._provider} key of credentials=")
        self._ends = float("inf")
        if given.lasts_s is not None:
            self._ends = self.clock() + given.lasts_s
        self._was_refused = False

    async def _given(self) -> GivenKey:
        wanted = KeyWanted(self._provider, self._model, self._was_refused)
        give = self._give
        try:
            return await _asked(give, wanted)
        except GraphflowError:
            raise
        except Exception as error:
            # Its text may quote what it was about to give.
            raise AuthError(
                f"credentials= for {self._model} failed with {type(error).__name__}; nothing was sent",
                provider=self._provider,
            ) from error

    @property
    def state(self) -> dict[str, str]:
        """Whether a key was given."""
        label = f"{self._provider} key of credentials="
        return {label: "not asked for" if self._key is None else "ready"}

    def __repr__(self) -> str:
        return "<keys of credentials=>"


async def _asked(give: GiveKey, wanted: KeyWanted) -> GivenKey:
    given: Awaitable[GivenKey] | GivenKey
    if iscoroutinefunction(give):
        given = await give(wanted)
    else:
        given = await in_thread(give, wanted, kind="hook")
    if isawaitable(given):
        return await given
    return given
