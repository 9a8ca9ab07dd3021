"""The vault of a store: the keys that it was opened with, or none; and what is said where they do not fit."""

from __future__ import annotations

from graphflow.errors import RunDamaged, StoreLocked, StoreUnencrypted
from graphflow.journal.key_ring import KeyRing, StoreKey, WrappedKey, key_ring
from graphflow.journal.seal import PLAIN, STORE, Seal, SealOwner


class Vault:
    """Gives the seals of what a store keeps.

    Attributes:
        store: how the store is called in errors.
        ring: its keys; None: it keeps everything in clear.
    """

    __slots__ = ("ring", "store")

    def __init__(self, store: str, key: StoreKey | None) -> None:
        self.store = store
        self.ring: KeyRing | None = None if key is None else key_ring(key)

    def __repr__(self) -> str:
        return f"<vault of {self.store}: {self.ring!r}>"

    @property
    def is_clear(self) -> bool:
        """Whether the store was opened without a key."""
        return self.ring is None

    def new(self, owner: SealOwner) -> tuple[Seal, WrappedKey | None]:
        """The seal of somebody new, and the data key to be kept; None: there is none."""
        if self.ring is None:
            return PLAIN, None
        return self.ring.new(owner)

    def seal(self, owner: SealOwner, wrapped: WrappedKey | None) -> Seal | None:
        """The seal of somebody whose data key is kept; None: the store is encrypted, and that key is gone.

        Raises:
            StoreLocked: no key that was given opens it.
        """
        if self.ring is None:
            return PLAIN
        if wrapped is None:
            return None
        return self.ring.seal(owner, wrapped)

    def check(self, wrapped: WrappedKey | None) -> None:
        """Refuses a store that is there already and does not fit the keys.

        Args:
            wrapped: the data key of the store itself; None: it was begun without a key.

        Raises:
            StoreLocked: it is encrypted, and the key is missing or another one.
            StoreUnencrypted: it is not, and a key was given.
        """
        if wrapped is None:
            if self.ring is None:
                return
            raise StoreUnencrypted(
                f"{self.store} was begun without a key, so what is in it lies there in clear; open it without key=, or copy "
                "it into an encrypted one: graphflow keys encrypt --store ADDRESS --into NEW-ADDRESS"
            )
        if self.ring is None:
            raise StoreLocked(
                f"{self.store} is encrypted; open it with its key: Store.open(address, key=...), or GRAPHFLOW_KEY for commands"
            )
        try:
            self.ring.seal(STORE, wrapped)
        except StoreLocked as error:
            raise StoreLocked(f"{self.store} is encrypted: {error}") from None

    def ring_with(self, key: StoreKey | None) -> KeyRing:
        """The keys of the store and others, whose active one wraps what is new.

        Raises:
            StoreUnencrypted: the store was begun without a key.
            KeyInvalid: the new one is not a key.
        """
        if self.ring is None:
            raise StoreUnencrypted(f"{self.store} has no keys to rotate: it was begun without one")
        return self.ring if key is None else self.ring.joined(key_ring(key))


def key_gone(run: str) -> RunDamaged:
    """The error for a run whose rows are there, and whose data key is not."""
    return RunDamaged(
        run, 0, "its key is gone: the run was erased, or the keys were not restored with the rows"
    )
