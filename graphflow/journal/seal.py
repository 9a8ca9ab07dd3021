"""Seals: what a store keeps becomes bytes that only a key opens, and only at the place where they were sealed.

    row 3 of a run    >  seal.seal(content, "rows 3 row")  >  01 | nonce | ciphertext and tag

Rules:
1. AES-256-GCM (NIST SP 800-38D) with a data key of its own for each run and each conversation.
2. Where a row stands is part of its seal: its owner (graph and key), and a place in words of table, number and field. A row
   that is moved to another place, or changed in a single bit, does not open.
3. Nonces are random, 96 bits: a row that is written again after a crash gets another one, so no number is used twice. One data
   key may seal 2**32 times (SP 800-38D, 8.3); a run has far fewer rows.
4. A store without a key has the same seam. `PLAIN` keeps everything as it is.
"""

from __future__ import annotations

import hmac
import json
from base64 import b64decode, b64encode
from os import urandom
from typing import NamedTuple, Protocol
from urllib.parse import quote

from graphflow.errors import SealBroken

VERSION = b"\x01"
"""The first byte of what is sealed: by which rules it was."""
NONCE = 12
"""Bytes of a nonce."""
HEAD = 1 + NONCE
"""Bytes before what is encrypted."""


class SealOwner(NamedTuple):
    """Whose data key it is.

    Attributes:
        kind: "store", "run" or "conversation".
        graph: the name of its graph; "" for the store itself.
        key: the id of the run, or the key of the conversation.
    """

    kind: str
    graph: str = ""
    key: str = ""

    @property
    def label(self) -> str:
        """By what its data key is found among those of a store."""
        if self.kind == "store":
            return self.kind
        if self.kind == "run":  # of which the id says enough: it is there once in a store
            return f"run {self.key}"
        # The name of a graph is quoted, so that the blank behind it is the first one.
        return f"{self.kind} {quote(self.graph, safe='')} {self.key}"


STORE = SealOwner("store")
"""The owner of the data key that a store has itself: whether a key is the right one is seen by it."""


def run_owner(graph: str, run: str) -> SealOwner:
    """The owner of the data key of a run."""
    return SealOwner("run", graph, run)


def conversation_owner(graph: str, key: str) -> SealOwner:
    """The owner of the data key of a conversation."""
    return SealOwner("conversation", graph, key)


class Seal(Protocol):
    """Makes bytes of what a store keeps, and reads them again."""

    def seal(self, content: bytes, place: str) -> bytes:
        """Some content as it is kept at a place: table, number and field in words, as `rows 3 row`."""

    def open(self, sealed: bytes, place: str) -> bytes:
        """What was sealed at that place.

        Raises:
            SealBroken: it has changed since, or comes from another place.
        """

    def seal_text(self, text: str, place: str) -> str:
        """The same, where only text can be kept."""

    def open_text(self, sealed: str, place: str) -> str:
        """What was sealed as text.

        Raises:
            SealBroken: it has changed since, or comes from another place.
        """

    def name(self, text: str) -> str:
        """By what something is found again that must not be told: equal for equal texts of one owner."""


class PlainSeal:
    """Keeps everything as it is: the seal of a store without a key."""

    __slots__ = ()

    def seal(self, content: bytes, place: str) -> bytes:
        """The content itself."""
        return content

    def open(self, sealed: bytes, place: str) -> bytes:
        """The content itself."""
        return sealed

    def seal_text(self, text: str, place: str) -> str:
        """The text itself."""
        return text

    def open_text(self, sealed: str, place: str) -> str:
        """The text itself."""
        return sealed

    def name(self, text: str) -> str:
        """The text itself."""
        return text


PLAIN = PlainSeal()


class DataKeySeal:
    """Seals with a data key what belongs to its owner."""

    __slots__ = ("_cipher", "_data_key", "_owner")

    def __init__(self, data_key: bytes, owner: SealOwner) -> None:
        # Whoever has a key ring has the package.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._data_key = data_key
        self._cipher = AESGCM(data_key)
        self._owner = json.dumps(owner)

    def __repr__(self) -> str:
        return "<seal>"

    def seal(self, content: bytes, place: str) -> bytes:
        """The nonce and the encrypted content; 29 bytes more than the content."""
        nonce = urandom(NONCE)
        encrypted = self._cipher.encrypt(nonce, content, self._around(place))
        return VERSION + nonce + encrypted

    def open(self, sealed: bytes, place: str) -> bytes:
        """The content.

        Raises:
            SealBroken: it has changed since, or comes from another place.
        """
        from cryptography.exceptions import InvalidTag

        nonce = sealed[1:HEAD]
        try:
            if sealed[:1] != VERSION:
                raise InvalidTag
            return self._cipher.decrypt(nonce, sealed[HEAD:], self._around(place))
        # Too short to have a nonce and a tag is a ValueError.
        except (InvalidTag, ValueError):
            raise SealBroken(
                f"{place!r} does not open: it was changed, or moved here from another place"
            ) from None

    def _around(self, place: str) -> bytes:
        """What is part of a seal beside the content: associated data, as the standard calls it."""
        return f"{self._owner}\n{place}".encode(errors="surrogatepass")

    def seal_text(self, text: str, place: str) -> str:
        """The same as base64."""
        content = text.encode(errors="surrogatepass")
        sealed = b64encode(self.seal(content, place))
        return sealed.decode()

    def open_text(self, sealed: str, place: str) -> str:
        """The text of what is base64.

        Raises:
            SealBroken: it has changed since, or comes from another place.
        """
        try:
            content = b64decode(sealed, validate=True)
        except ValueError:
            content = b""  # which opens nowhere
        opened = self.open(content, place)
        return opened.decode(errors="surrogatepass")

    def name(self, text: str) -> str:
        """A digest that nobody can make without the key: a plain one would tell whoever guesses the text."""
        content = text.encode(errors="surrogatepass")
        digest = hmac.digest(self._data_key, content, "sha256")
        return digest.hex()
