"""Pictures, sounds, films and documents as messages: by their bytes, by an address, or by a provider's file id."""

from __future__ import annotations

import mimetypes
from base64 import b64encode
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from graphflow.errors import FileUnreadable
from graphflow.messages import Message

Kind = Literal["image", "audio", "video", "document"]


class Media(Message):
    """One picture, sound, film or document. Give exactly one of `data`, `url` and `file_id`.

    Attributes:
        kind: what it is.
        mime: its media type, "image/png"; needed beside `data`.
        data: its bytes.
        url: an address the provider fetches it from.
        file_id: the provider's name for a file uploaded before.
        name: a file name to show.
        detail: how closely a picture is looked at, where a provider lets one choose ("low", "high").
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

    kind: Kind = "image"
    mime: str = ""
    data: bytes = Field(default=b"", repr=False)
    url: str = ""
    file_id: str = ""
    name: str = ""
    detail: str = ""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(map(bool, (self.data, self.url, self.file_id))) != 1:
            raise ValueError("give exactly one of data, url and file_id")
        if self.data and not self.mime:
            raise ValueError("bytes need their media type: mime='image/png'")
        return self

    @classmethod
    def read(cls, path: str | Path) -> Media:
        """The file at `path`; what it is follows from its name.

        Raises:
            FileUnreadable: it cannot be read, or its name does not tell what it is.
        """
        path = Path(path)
        mime, encoding = mimetypes.guess_type(path.name)
        if mime is None or encoding is not None:
            raise FileUnreadable(f"{path.name!r} does not tell what it is; use Media(kind=..., mime=..., data=...)")
        top = mime.split("/", 1)[0]
        kind: Kind = top if top in ("image", "audio", "video") else "document"  # type: ignore[assignment]
        try:
            return cls(kind=kind, mime=mime, data=path.read_bytes(), name=path.name)
        except (OSError, ValueError) as error:
            raise FileUnreadable(f"{path.name!r} cannot be used: {error}") from None

    def __str__(self) -> str:
        """What stands for it in a prompt."""
        return self.label

    @property
    def base64(self) -> str:
        """Its bytes as base64 text."""
        return b64encode(self.data).decode()

    @property
    def data_url(self) -> str:
        """Its address: its own, or one that holds the bytes (RFC 2397)."""
        return self.url or f"data:{self.mime};base64,{self.base64}"

    @property
    def label(self) -> str:
        """What stands for it in a text."""
        return f"[{self.kind}{' ' + self.name if self.name else ''}]"


def media_in(message: Any) -> list[Media]:
    """All media of a message, in order: itself, its fields', its items'."""
    if isinstance(message, Media):
        return [message]
    if isinstance(message, (list, tuple)):
        return [media for item in message for media in media_in(item)]
    if isinstance(message, dict):
        return [media for item in message.values() for media in media_in(item)]
    fields = _fields(message)
    return [media for name in fields for media in media_in(getattr(message, name))] if fields else []


def _fields(message: Any) -> Any:
    kind = type(message)
    return getattr(kind, "model_fields", None) or getattr(kind, "__dataclass_fields__", None)


def without_media(message: Any) -> Any:
    """The message as plain data, with a label where each of its media stood: what a model reads as text."""
    from graphflow.messages import to_json_value

    if isinstance(message, Media):
        return message.label
    if isinstance(message, (list, tuple)):
        return [without_media(item) for item in message]
    if isinstance(message, dict):
        return {key: without_media(item) for key, item in message.items()}
    fields = _fields(message)
    if fields:
        return {name: without_media(getattr(message, name)) for name in fields}
    return to_json_value(message)
