"""Pictures, sounds, films and documents as messages: by their bytes, by an address, or by a provider's file id."""

from __future__ import annotations

import mimetypes
from base64 import b64encode
from collections.abc import Iterable
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

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64"
    )

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
        if not isinstance(given, dict) or "kind" in given:
            return given
        mime = given.get("mime")
        return {**given, "kind": _kind(str(mime))} if mime else given

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = (self.data, self.url, self.file_id)
        given = [source for source in sources if source]
        if len(given) != 1:
            raise ValueError("give exactly one of data, url and file_id")
        fits = self.kind in ("document", _kind(self.mime))  # any file may be meant as a document
        if self.mime and not fits:
            raise ValueError(f"{self.mime} is not a type of {self.kind}")
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
        # A compressed file ("a.svg.gz") is not what its inner name says.
        if mime is None or encoding is not None:
            raise FileUnreadable(
                f"{path.name!r} does not show by its name what it is; use Media(kind=..., mime=..., data=...)"
            )
        try:
            data = path.read_bytes()
            return cls(kind=_kind(mime), mime=mime, data=data, name=path.name)
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
        if self.url:
            return self.url
        return f"data:{self.mime};base64,{self.base64}"

    @property
    def label(self) -> str:
        """What stands for it in a text."""
        if self.name:
            return f"[{self.kind} {self.name}]"
        return f"[{self.kind}]"


def _kind(mime: str) -> Kind:
    match mime.partition("/")[0]:
        case "image" | "audio" | "video" as kind:
            return kind
        case _:
            return "document"


def media_in(message: object) -> list[Media]:
    """All media of a message, in order: itself, its fields', its items'."""
    if isinstance(message, Media):
        return [message]
    found: list[Media] = []
    for part in _parts(message):
        found += media_in(part)
    return found


def _parts(message: object) -> Iterable[object]:
    """What a message is made of: items, values or fields."""
    if isinstance(message, (list, tuple)):
        return message
    if isinstance(message, dict):
        return message.values()
    names = _fields(message)
    return [getattr(message, name) for name in names]


def _fields(message: object) -> list[str]:
    """The names of a model's or dataclass's fields that this one has a value for."""
    names: Iterable[str] = getattr(type(message), "model_fields", ())
    is_instance = not isinstance(message, type)
    if not names and is_instance and is_dataclass(message):
        names = [field.name for field in fields(message)]
    return [name for name in names if hasattr(message, name)]


def without_media(message: object) -> Any:
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
