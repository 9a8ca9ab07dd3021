"""Messages with their texts changed, wherever these stand in them: how secrets are taken out.

Rules:
1. What holds nothing to change is the very same object afterwards. What is changed is a copy of the same class, made without
   its validators: a mark may be longer than a field allows, and the walk must go on.
2. Texts are looked at wherever a message can hold them: fields, items, keys, paths, bytes that are UTF-8, fields that a model
   was given beside its own. Numbers are left alone, and so is what nobody can copy faithfully.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel

V = TypeVar("V")
MaskText: TypeAlias = Callable[[str, str], str]
"""Changes a text, given where it stands: `items.2.name`. It returns the same object if there is nothing to change."""
_Masker: TypeAlias = Callable[[Any, MaskText, str], object]
"""Changes the texts of one kind of value."""


def masked(value: V, mask: MaskText, path: str = "") -> V:
    """The value with each of its texts changed.

    Raises:
        RecursionError: it holds itself, or is deeper than Python's stack.
    """
    known: type = type(value)
    make = _masker_of(known)
    if make is None:
        return value
    return make(value, mask, path)  # type: ignore[return-value]  # it makes instances of the same class


def _below(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


@lru_cache(maxsize=4096)
def _masker_of(known: type) -> _Masker | None:
    """What changes the instances of a class; None if they hold no text."""
    if issubclass(known, (Enum, type)):
        return None
    for kind, make in _MASKERS:
        if issubclass(known, kind):
            return make
    return _mask_dataclass if dataclasses.is_dataclass(known) else None


def _mask_text(value: str, mask: MaskText, path: str) -> object:
    return mask(value, path)


def _mask_bytes(value: bytes | bytearray, mask: MaskText, path: str) -> object:
    """Bytes that are text, changed as that; a picture is none."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value
    clean = mask(text, path)
    if clean is text:
        return value
    kind = type(value)
    return kind(clean.encode())


def _mask_path(value: PurePath, mask: MaskText, path: str) -> object:
    text = str(value)
    clean = mask(text, path)
    if clean is text:
        return value
    kind = type(value)
    return kind(clean)


def _items(value: Iterable[object], mask: MaskText, path: str) -> list[object] | None:
    """The items, changed; None if all are the same."""
    is_same = True
    clean: list[object] = []
    for place, item in enumerate(value):
        inside = _below(path, place)
        inner = masked(item, mask, inside)
        is_same = is_same and inner is item
        clean.append(inner)
    return None if is_same else clean


def _mask_items(value: Any, mask: MaskText, path: str) -> object:
    clean = _items(value, mask, path)
    if clean is None:
        return value
    if isinstance(value, deque):
        return deque(clean, value.maxlen)
    make = getattr(type(value), "_make", type(value))  # of named tuples
    return make(clean)


def _fields(value: Mapping[str, object], mask: MaskText, path: str) -> dict[str, object] | None:
    """A mapping, changed in its keys and values; None if all are the same."""
    clean: dict[str, object] = {}
    is_same = True
    for key, item in value.items():
        beside = _below(path, "key")
        name = masked(key, mask, beside)
        # The way into what is below is made of the key as it may be shown.
        inside = _below(path, name)
        inner = masked(item, mask, inside)
        if name is not key or inner is not item:
            is_same = False
        clean[name] = inner
    return None if is_same else clean


def _mask_dict(value: dict[str, object], mask: MaskText, path: str) -> object:
    clean = _fields(value, mask, path)
    if clean is None:
        return value
    if type(value) is dict:
        return clean
    made = copy(value)
    made.clear()
    made.update(clean)
    return made


def _mask_model(value: BaseModel, mask: MaskText, path: str) -> object:
    fields = _fields(value.__dict__, mask, path)
    extra = _fields(value.__pydantic_extra__ or {}, mask, path)
    private = _fields(value.__pydantic_private__ or {}, mask, path)
    if fields is None and extra is None and private is None:
        return value
    # Not validated again: see the rules above.
    made = value.model_copy()
    if fields is not None:
        made.__dict__.update(fields)
    if extra is not None:
        object.__setattr__(made, "__pydantic_extra__", extra)
    if private is not None:
        object.__setattr__(made, "__pydantic_private__", private)
    return made


def _mask_dataclass(value: Any, mask: MaskText, path: str) -> object:
    changed: dict[str, object] = {}
    derived: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        name = field.name
        factory = field.default_factory
        # What was worked out of the others (a turn as a wire writes it) begins anew if these have changed.
        if not field.init and factory is not dataclasses.MISSING:
            derived[name] = factory
            continue
        part = getattr(value, name, None)
        inside = _below(path, name)
        clean = masked(part, mask, inside)
        if clean is not part:
            changed[name] = clean
    if not changed:
        return value
    made = copy(value)
    for name, make in derived.items():
        object.__setattr__(made, name, make())
    for name, part in changed.items():
        object.__setattr__(made, name, part)
    return made


_MASKERS: tuple[tuple[type | tuple[type, ...], _Masker], ...] = (
    (str, _mask_text),
    ((bytes, bytearray), _mask_bytes),
    (PurePath, _mask_path),
    (BaseModel, _mask_model),
    (dict, _mask_dict),
    ((list, tuple, set, frozenset, deque), _mask_items),
)
