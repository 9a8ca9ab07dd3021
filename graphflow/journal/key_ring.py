"""Key rings: the named keys that open a store, of which one is active.

    key ring    2025, 2026 (active)        given by the user; never kept
      > data key of run order-17           in the store, wrapped by "2026" (RFC 3394, AES key wrap)
          > rows of run order-17           sealed (`seal.py`)

Rules:
1. A data key that is new is wrapped by the active key. Any key of the ring opens one, by its name first.
2. To rotate is to wrap the data keys anew; no row is touched.
3. A key is shown in no text, no error and no repr.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from os import urandom
from pathlib import Path
from typing import NamedTuple, TypeAlias

from graphflow.errors import KeyInvalid, MissingExtra, StoreLocked
from graphflow.journal.seal import DataKeySeal, Seal, SealOwner

KEY_BYTES = 32
"""Of a key, and of a data key: AES-256."""
UNNAMED = "default"
"""What a key is called that was given without a name."""
VARIABLE = "env:"
FILE = "file:"
_STANDARD = str.maketrans("-_", "+/")
"""From the alphabet of base64 that may stand in addresses to the usual one (RFC 4648, sections 5 and 4)."""
_WANTED = (
    "give 32 bytes, their base64 text, env:NAME or file:PATH of what holds it, or {name: key, ...}"
)


class WrappedKey(NamedTuple):
    """A data key as a store keeps it.

    Attributes:
        by: the name of the key that it is wrapped by.
        content: 40 bytes.
    """

    by: str
    content: bytes


class KeyRing:
    """Named keys, of which the active one wraps what is new.

    A dict without `active` makes its last key the active one: a new key is added behind the older ones.
    """

    __slots__ = ("_keys", "active")

    def __init__(self, keys: Mapping[str, bytes | str], active: str | None = None) -> None:
        """A ring of these keys.

        Args:
            keys: 32 bytes each, their base64 text, `env:NAME` or `file:PATH`.
            active: the name of the active one.

        Raises:
            KeyInvalid: one of them is not a key, or none is active.
            MissingExtra: the package `cryptography` is not installed.
        """
        _need_package()
        if not keys:
            raise KeyInvalid("a key ring needs at least one key")
        self._keys: dict[str, bytes] = {}
        for name, key in keys.items():
            self._keys[name] = _key_of(name, key)
        *_, newest = keys
        self.active = newest if active is None else active
        """The name of the key that wraps what is new."""
        if self.active not in self._keys:
            names = ", ".join(self._keys)
            raise KeyInvalid(f"the active key {self.active!r} is not in the ring; it has {names}")

    def __repr__(self) -> str:
        names = ", ".join(self._keys)
        return f"<key ring of {names}; active is {self.active}>"

    def new(self, owner: SealOwner) -> tuple[Seal, WrappedKey]:
        """A new data key for somebody: what seals with it, and the key as it is kept."""
        data_key = urandom(KEY_BYTES)
        seal = DataKeySeal(data_key, owner)
        return seal, self._wrapped(data_key)

    def seal(self, owner: SealOwner, wrapped: WrappedKey) -> Seal:
        """What seals with a data key that is kept.

        Raises:
            StoreLocked: no key of the ring opens it.
        """
        data_key = self._unwrapped(wrapped)
        return DataKeySeal(data_key, owner)

    def rewrapped(self, wrapped: WrappedKey) -> WrappedKey:
        """The same data key, wrapped by the active key.

        Raises:
            StoreLocked: no key of the ring opens it.
        """
        data_key = self._unwrapped(wrapped)
        return self._wrapped(data_key)

    def joined(self, newer: KeyRing) -> KeyRing:
        """The keys of both rings; the active one is that of the newer."""
        keys = {**self._keys, **newer._keys}
        # A name may stand for another key in each of them. Both open what they have wrapped.
        for name, key in self._keys.items():
            if newer._keys.get(name, key) != key:
                keys[f"{name} (older)"] = key
        return KeyRing(keys, newer.active)

    def _wrapped(self, data_key: bytes) -> WrappedKey:
        from cryptography.hazmat.primitives.keywrap import aes_key_wrap

        content = aes_key_wrap(self._keys[self.active], data_key)
        return WrappedKey(self.active, content)

    def _unwrapped(self, wrapped: WrappedKey) -> bytes:
        from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

        # The name is a hint: a key may have been given another one since, or none at first.
        names = sorted(self._keys, key=lambda name: name != wrapped.by)
        for name in names:
            try:
                return aes_key_unwrap(self._keys[name], wrapped.content)
            except InvalidUnwrap:
                continue
        raise StoreLocked(
            f"none of the keys that were given opens what the key {wrapped.by!r} has locked; nothing was changed"
        )


def new_key() -> str:
    """A new key as base64 text: 256 bits of the system's randomness."""
    return b64encode(urandom(KEY_BYTES)).decode()


StoreKey: TypeAlias = "bytes | str | Mapping[str, bytes | str] | KeyRing"
"""What may be given as the key of a store."""


def is_place(key: object) -> bool:
    """Whether it is not a key, but says where one stands."""
    return isinstance(key, str) and key.startswith((VARIABLE, FILE))


def key_ring(key: StoreKey) -> KeyRing:
    """The key ring that is meant.

    A text is base64 of 32 bytes, or several keys, the active one last: `2025=BASE64,2026=BASE64`; or `env:NAME` or `file:PATH`,
    a variable or a file that holds such a text.

    Raises:
        KeyInvalid: it is not a key.
        MissingExtra: the package `cryptography` is not installed.
    """
    if isinstance(key, KeyRing):
        return key
    if isinstance(key, str):
        return KeyRing(_named_keys(_read_reference(key)))
    if isinstance(key, (bytes, bytearray)):
        return KeyRing({UNNAMED: bytes(key)})
    if isinstance(key, Mapping):
        return KeyRing(key)
    raise KeyInvalid(f"a key of type {type(key).__name__}; {_WANTED}")


def _named_keys(text: str) -> dict[str, bytes | str]:
    """The keys in a text, by their names. One alone may end with the signs that base64 ends with, which part nothing."""
    if _decoded(text) is not None or "=" not in text:
        return {UNNAMED: text}
    keys: dict[str, bytes | str] = {}
    for part in text.split(","):
        name, _, key = part.strip().partition("=")
        if not (name and key):
            raise KeyInvalid(f"several keys are written NAME=BASE64,NAME=BASE64; {_WANTED}")
        keys[name] = key
    return keys


def _key_of(name: str, key: bytes | str) -> bytes:
    """The 32 bytes that are meant.

    Raises:
        KeyInvalid: there are none.
    """
    content = _bytes_of(key)
    if content is None:
        raise KeyInvalid(f"the key {name!r} is not base64; {_WANTED}")
    if len(content) != KEY_BYTES:
        raise KeyInvalid(f"the key {name!r} has {len(content)} bytes, not {KEY_BYTES}; {_WANTED}")
    # What is wrapped by it would be open to whoever tries.
    if len(set(content)) == 1:
        raise KeyInvalid(f"the key {name!r} is one byte repeated; {_WANTED}")
    return content


def _bytes_of(key: bytes | str) -> bytes | None:
    """What a key is written as; None if it is no base64."""
    if isinstance(key, str):
        return _decoded(_read_reference(key))
    return bytes(key)


def _read_reference(text: str) -> str:
    """What a variable or file holds, if the text names one.

    Raises:
        KeyInvalid: it holds nothing.
    """
    if text.startswith(FILE):
        return _read_file(text.removeprefix(FILE))
    if not text.startswith(VARIABLE):
        return text
    name = text.removeprefix(VARIABLE)
    value = os.environ.get(name)
    if not value:
        raise KeyInvalid(f"the variable {name} is not set; it should hold the key of the store")
    return value.strip()


def _read_file(path: str) -> str:
    try:
        value = Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise KeyInvalid(
            f"the key of the store cannot be read from the file {path}: {type(error).__name__}"
        ) from None
    if not value:
        raise KeyInvalid(f"the file {path} is empty; it should hold the key of the store")
    return value


def _decoded(text: str) -> bytes | None:
    """What base64 stands for, in either alphabet; None if it is none."""
    standard = text.strip().translate(_STANDARD)
    padded = standard + "=" * (-len(standard) % 4)
    try:
        return b64decode(padded, validate=True)
    except ValueError:
        return None


def _need_package() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise MissingExtra("an encrypted store", "crypto") from None
