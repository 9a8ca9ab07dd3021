"""Files of wrapped data keys, one each, so that a backup can leave them out."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from pathlib import Path

from graphflow.errors import StoreUnreadable
from graphflow.journal.key_ring import WrappedKey


def key_at(path: Path) -> WrappedKey | None:
    """The wrapped data key in a file, if it is there.

    Raises:
        StoreUnreadable: the file holds something else.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        kept = json.loads(content)
        return WrappedKey(kept["by"], b64decode(kept["wrapped"]))
    except (KeyError, TypeError, ValueError):
        raise StoreUnreadable(f"{path} is not the key of a run; take it from a backup") from None


def key_bytes(wrapped: WrappedKey) -> bytes:
    """A wrapped data key as a file holds it."""
    content = b64encode(wrapped.content).decode()
    return json.dumps({"by": wrapped.by, "wrapped": content}).encode()
