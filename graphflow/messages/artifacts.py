"""Artifacts: what a walk leaves beside its answer, named, and kept once by what is in it."""

from __future__ import annotations

from hashlib import sha256

from graphflow.messages.message import Message, to_text


class Artifact(Message):
    """A name for something a node has kept with `ctx.keep(...)`; small, so that it can travel on edges.

    Attributes:
        name: what it is called.
        kind: what it is: "text", "file", "image"... any word.
        digest: SHA-256 of its bytes, hexadecimal: two of the same content are one.
        size: its length in bytes.
        mime: its media type, if it was given one.
    """

    name: str
    kind: str = "file"
    digest: str
    size: int
    mime: str = ""


def pack(name: str, payload: object, kind: str, mime: str) -> tuple[Artifact, bytes]:
    """An artifact and its bytes: bytes as they are, a text as UTF-8, anything else as JSON."""
    content = payload if isinstance(payload, bytes) else to_text(payload).encode()
    artifact = Artifact(
        name=name,
        kind=kind,
        digest=sha256(content).hexdigest(),
        size=len(content),
        mime=mime,
    )
    return artifact, content
