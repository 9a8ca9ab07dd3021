"""Pictures, sounds, films and documents as messages: by their bytes, by an address, or by a provider's file id."""

from __future__ import annotations

import mimetypes
from base64 import b64encode
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from graphflow.errors import FileUnreadable
from graphflow.messages.message import Message

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

    @model_validator(mode="before")
    @classmethod
    def _kind_of_mime(cls, given: Any) -> Any:
        """What it is follows from its media type, where only that is given."""
        if isinstance(given, dict) and given.get("mime") and "kind" not in given:
            return {**given, "kind": _kind(str(given["mime"]))}
        return given

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(map(bool, (self.data, self.url, self.file_id))) != 1:
            raise ValueError("give exactly one of data, url and file_id")
        if self.mime and _kind(self.mime) != self.kind and self.kind != "document":
            raise ValueError(f"{self.mime} is no {self.kind}")
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
        try:
            return cls(kind=_kind(mime), mime=mime, data=path.read_bytes(), name=path.name)
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


def _kind(mime: str) -> Kind:
    top = mime.split("/", 1)[0]
    return top if top in ("image", "audio", "video") else "document"  # type: ignore[return-value]  # one of them


def media_in(message: Any) -> list[Media]:
    """All media of a message, in order: itself, its fields', its items'."""
    if isinstance(message, Media):
        return [message]
    if isinstance(message, (list, tuple)):
        return [media for item in message for media in media_in(item)]
    if isinstance(message, dict):
        return [media for item in message.values() for media in media_in(item)]
    return [media for name in _fields(message) for media in media_in(getattr(message, name))]


def _fields(message: Any) -> list[str]:
    """The names of a model's or dataclass's fields that this one has a value for."""
    names = getattr(type(message), "model_fields", None)
    if not names and is_dataclass(message) and not isinstance(message, type):
        names = [field.name for field in fields(message)]
    return [name for name in names or () if hasattr(message, name)]


def without_media(message: Any) -> Any:
    """The message as plain data, with a label where each of its media stood: what a model reads as text."""
    from graphflow.plain import check_integers, to_json_value

    if isinstance(message, Media):
        return message.label
    if isinstance(message, (list, tuple)):
        return [without_media(item) for item in message]
    if isinstance(message, dict):
        return {key: without_media(item) for key, item in message.items()}
    names = _fields(message)
    if names:
        return {name: without_media(getattr(message, name)) for name in names}
    check_integers(message)  # this is handed over, not shown: it may not become another value
    return to_json_value(message)
