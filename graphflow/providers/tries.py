"""The tries of one request: which key goes out with the next one, and what comes after a failure.

Rules:
1. Another key comes before another try: it needs no wait, and is not counted. Each key is tried once this way.
2. A key that somebody gives (`credentials=`) and that is refused is asked for anew, once; that needs no wait either.
3. Once a piece of the answer was delivered, only who asked for it (`restart`) gets another try: the pieces are void then.
"""

from __future__ import annotations

import asyncio

from graphflow.errors import (
    AuthError,
    ModelError,
    QuotaExceeded,
    RateLimited,
    SignatureInvalid,
)
from graphflow.model.seam import Notice, Retried, Switched
from graphflow.providers.credentials import GivenKeys
from graphflow.providers.keys import Key, Keyring
from graphflow.providers.retry import RetryPolicy

COOLDOWN_S = 60.0
"""Seconds that a key rests after a rate limit that came without a hint: such limits are counted by the minute."""


class Tries:
    """How far the tries of one request have come.

    Attributes:
        number: which try it is.
        waited_s: seconds waited between tries.
        delivered: whether this try has handed on anything.
        void: whether something was handed on that the next try makes void.
    """

    __slots__ = (
        "delivered",
        "keys",
        "model",
        "number",
        "policy",
        "renewed",
        "used",
        "void",
        "waited_s",
    )

    def __init__(self, model: str, keys: Keyring, policy: RetryPolicy) -> None:
        self.model = model
        self.keys = keys
        self.policy = policy
        self.number = 1
        self.waited_s = 0.0
        self.delivered = False
        self.void = False
        self.renewed = False
        """Whether a key that was given has been asked for anew."""
        self.used: set[str] = set()
        """Labels of the keys that this request was sent with: each gets one try that is not counted."""

    async def next_key(self) -> Key | None:
        """The key for the next try, or None if the model takes none; while all rest, the first that is ready again.

        Raises:
            AuthError: every key was refused.
            RateLimited: every key is resting for longer than this request may wait.
        """
        if isinstance(self.keys, GivenKeys):
            return await self.keys.fetch()
        if not self.keys.keys:
            return None
        key = self.keys.take()
        while key is None:
            wait_s = self.keys.soonest()
            if wait_s is None:
                raise AuthError(f"{self.model}: every key was refused", provider=self._provider)
            if wait_s > self.policy.total_s - self.waited_s:
                raise RateLimited(
                    f"{self.model}: every key is resting, the first for another {wait_s:.0f} s",
                    provider=self._provider,
                    retry_after=wait_s,
                )
            self.waited_s += wait_s
            await asyncio.sleep(wait_s)
            # Other requests take keys, too: this one may have found another limit meanwhile.
            key = self.keys.take()
        return key

    @property
    def _provider(self) -> str:
        return self.model.partition(":")[0]

    def after(self, error: ModelError, key: Key | None, restart: bool) -> Notice:
        """What comes after a failure: another key, or another try.

        Args:
            error: the failure.
            key: the key that was used.
            restart: whether an answer that broke off half way may begin again.

        Raises:
            ModelError: the failure itself, where nothing comes after it.
        """
        # What it does not take back is stripped, once.
        if isinstance(error, SignatureInvalid) or self._renews(error, key):
            return Retried(self.number, 0.0, error)
        may_restart = restart or self.policy.restart
        if self.delivered and not may_restart:
            if error.retryable:
                error.add_note(
                    "it broke off half way; RetryPolicy(restart=True) begins such an answer again"
                )
            raise error
        self.void = self.void or self.delivered
        self.delivered = False
        if key is not None and len(self.keys.keys) > 1:
            switched = self._switch(key, error)
            if switched is not None:
                return switched
        # No other key can take over: the same key, or the next one that is ready, after a while.
        self.number += 1
        wait_s = self.policy.wait_before(self.number, error, self.waited_s)
        if wait_s is None:
            raise error
        self.waited_s += wait_s
        return Retried(self.number, wait_s, error)

    def _renews(self, error: ModelError, key: Key | None) -> bool:
        """Whether another key is given for one that was refused."""
        keys = self.keys
        if key is None or not isinstance(keys, GivenKeys) or not _is_refusal(error):
            return False
        keys.drop(key)
        is_first = not self.renewed
        self.renewed = True
        return is_first

    def _switch(self, key: Key, error: ModelError) -> Switched | None:
        """Marks what the error says about a key; the switch to another one, if one can take over at once."""
        self.used.add(key.label)
        if _is_about_key(error):
            if error.retry_after is None:
                self.keys.refuse(key)
            else:
                self.keys.rest(key, error.retry_after)
        elif isinstance(error, RateLimited):
            if error.retry_after is not None:
                self.keys.rest(key, error.retry_after)
            elif self._has_unused_key():  # else it is tried again like an only key
                self.keys.rest(key, COOLDOWN_S)
        else:
            return None
        follower = self.keys.peek()
        if follower is None or follower.label in self.used:
            return None
        return Switched(key.label, follower.label, error)

    def _has_unused_key(self) -> bool:
        return any(key.label not in self.used for key in self.keys.keys)


def _is_refusal(error: ModelError) -> bool:
    """Whether the key was refused. A 403 may be about what was asked, not about who asks."""
    return isinstance(error, AuthError) and error.status != 403


def _is_about_key(error: ModelError) -> bool:
    """Whether it is the key that is at fault."""
    return _is_refusal(error) or isinstance(error, QuotaExceeded)
