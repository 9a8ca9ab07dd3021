"""Any value as plain JSON data, and the integers that are too long to be written.

Rules:
1. What is shown (an event, a report, a table) never fails and never hangs, whatever a node has answered: what JSON cannot
   carry is shown as it can be.
2. What is handed over (to a model, to another process) is refused instead: a changed value would be a wrong one.
3. An integer of more than 4,300 digits is never written. Python refuses it for the same reason: the time it takes grows
   with the square of its length, and pydantic's writer, which is not Python's, would be busy for minutes.
"""

from __future__ import annotations

import dataclasses
import math
from base64 import b64encode
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from graphflow.errors import IntegerTooLong

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")

DIGITS = 4_300
"""Digits of an integer, at most: Python's own limit (`sys.set_int_max_str_digits`)."""
BITS = 14_284
"""As many bits has the largest integer of that many digits."""
LARGEST = 10**DIGITS - 1
DEEPEST = 100
"""Levels of a value that are shown; json.dumps fails at about a thousand, and nobody reads so far."""
MOST = 1_000_000
"""Parts of a value that are shown, once it has to be looked at part by part."""
LONGEST_REPR = 2_000
"""Characters of a repr that stands for what is not data."""

ATOMS = frozenset({type(None), bool})
LISTS = (list, tuple, set, frozenset, deque)


def is_huge(value: int) -> bool:
    """Whether an integer has more digits than may be written."""
    return value.bit_length() >= BITS and not -LARGEST <= value <= LARGEST


def check_integers(value: object) -> None:
    """Refuses a value with an integer in it that is too long to be written.

    Raises:
        IntegerTooLong: there is one, as a value or as a key.
    """
    for part in leaves_of(value):
        if isinstance(part, int) and is_huge(part):
            raise IntegerTooLong(
                f"an integer of more than {DIGITS} digits cannot be written; hand over a smaller number, "
                "or what is needed of it"
            )


def leaves_of(value: object) -> Iterable[object]:
    """The integers and other leaves of a value, each container once."""
    todo = [value]
    seen: set[int] = set()
    while todo:
        part = todo.pop()
        inner = _inner(part)
        if inner is None:
            yield part
        elif id(part) not in seen:
            seen.add(id(part))
            todo += inner


def _inner(part: object) -> Iterable[object] | None:
    """What is in a container, or None for everything else."""
    kind = type(part)
    # Nearly every part: asked first, and cheaply.
    if kind is str or kind is int or kind is float or kind in ATOMS:
        return None
    if isinstance(part, Mapping):
        return [*part.keys(), *part.values()]
    if isinstance(part, LISTS):
        return part
    if isinstance(part, BaseModel):
        extra = part.__pydantic_extra__ or {}
        return [*part.__dict__.values(), *extra.values()]
    if _is_dataclass(part):
        return _named_fields(part).values()
    return None


def _is_dataclass(value: object) -> TypeGuard[DataclassInstance]:
    """Whether a value is an instance of a dataclass, not the class."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _named_fields(value: DataclassInstance) -> dict[str, object]:
    """The fields of a dataclass; one that was never set is shown as None."""
    return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}


def to_json_value(value: object) -> Any:
    """A value as plain JSON data to be shown; what JSON cannot carry is shown as it can be, so that nothing fails."""
    try:
        plain = to_jsonable_python(value, fallback=repr, serialize_unknown=True)
        if _is_writable(plain):
            return plain
    except Exception:  # bytes, cycles, a repr that raises: whatever a node may answer
        pass
    return _Careful().shown(value, DEEPEST)  # slower by far, and only for what needs it


def _is_writable(plain: object) -> bool:
    """Whether json.dumps writes it as JSON that every reader takes."""
    level: list[Any] = [plain]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for part in level:
            kind = type(part)
            if kind is dict:
                below += part.keys()
                below += part.values()
            elif kind is list:
                below += part
            elif not _is_writable_leaf(part):
                return False
        if not below:
            return True
        level = below  # level by level, not by recursion: a value may be deeper than the stack
    return False


def _is_writable_leaf(part: Any) -> bool:
    kind = type(part)
    if kind is str:
        return part.isascii() or _is_text(part)
    if kind is int:
        return bool(part.bit_length() < BITS)
    if kind is float:
        return math.isfinite(part)
    return kind in ATOMS


def _is_text(text: str) -> bool:
    """Whether a text can be written as UTF-8: one with half a character in it cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Careful:
    """A value, looked at part by part."""

    def __init__(self) -> None:
        self.left = MOST
        self.around: set[int] = set()
        """The containers that the part stands in: one that stands in itself has no end."""

    def shown(self, value: object, depth: int) -> object:
        """One part as JSON can carry it."""
        self.left -= 1
        if self.left < 0:
            return "[and more]"
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            if is_huge(value):
                return f"[an integer of more than {DIGITS} digits]"
            return int(value)  # of a subclass, such as an enum, the number that it is
        if isinstance(value, float):
            if math.isfinite(value):
                return float(value)
            return _not_finite(value)
        if isinstance(value, str):
            return text_of(str(value))
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes_text(bytes(value))
        return self._container(value, depth)

    def _container(self, value: object, depth: int) -> object:
        if id(value) in self.around:
            return "[the same again]"
        if depth == 0:
            return "[and deeper]"
        self.around.add(id(value))
        try:
            if isinstance(value, BaseModel):
                return self._mapping(_fields_of(value), depth)
            if _is_dataclass(value):
                return self._mapping(_named_fields(value), depth)
            if isinstance(value, Mapping):
                return self._mapping(value, depth)
            if isinstance(value, LISTS):
                return [self.shown(item, depth - 1) for item in _up_to(value, self.left)]
            return self._other(value)
        except Exception:  # a property, an iterator or a length of somebody's own that raises
            return short_repr(value)
        finally:
            self.around.discard(id(value))

    def _mapping(self, value: Mapping[Any, object], depth: int) -> dict[str, object]:
        shown: dict[str, object] = {}
        for key in _up_to(value, self.left):
            if isinstance(key, (str, int, float, bytes)):
                name = str(self.shown(key, 1))
            else:
                name = short_repr(key)
            shown[name] = self.shown(value[key], depth - 1)
        return shown

    def _other(self, value: object) -> object:
        """What is neither data nor a container: a date, a path, an object of somebody's own."""
        try:
            plain = to_jsonable_python(value, fallback=short_repr, serialize_unknown=True)
        except Exception:
            return short_repr(value)
        return plain if _is_writable(plain) else short_repr(value)


def _fields_of(model: BaseModel) -> dict[str, object]:
    """What a model shows of itself; a field that it leaves out everywhere is left out here as well."""
    shown: dict[str, object] = {}
    for name, value in model.__dict__.items():
        if not _is_excluded(model, name):
            shown[name] = value
    shown.update(model.__pydantic_extra__ or {})
    return shown


def _is_excluded(model: BaseModel, name: str) -> bool:
    field = type(model).model_fields.get(name)
    return field is not None and bool(field.exclude)


def _up_to(values: Iterable[T], most: int) -> Iterable[T]:
    for number, value in enumerate(values):
        if number > most:
            return
        yield value


def _not_finite(value: float) -> str:
    """As JavaScript spells what JSON has no word for."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def bytes_text(data: bytes) -> str:
    """Bytes as text where they are UTF-8, else in base64 (URL-safe, as pydantic writes it)."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return b64encode(data, b"-_").decode()


def text_of(text: str) -> str:
    """A text that can be written: half a character is replaced."""
    if text.isascii():
        return text
    # In UTF-16 two halves that belong together become the character that they are; a lone one cannot be read.
    pairs = text.encode("utf-16", "surrogatepass")
    return pairs.decode("utf-16", "replace")


def short_repr(value: object) -> str:
    """A repr that does not fail, and does not fill the screen."""
    try:
        shown = text_of(repr(value))
    except Exception:
        return f"<{type(value).__name__} without a repr>"
    if len(shown) <= LONGEST_REPR:
        return shown
    return f"{shown[:LONGEST_REPR]}..."


def json_size(value: object) -> int:
    """Bytes of a text, or of anything else as JSON; of what cannot be written as it is, those of what would be shown of it."""
    if isinstance(value, str):
        return len(value.encode(errors="surrogatepass"))
    try:
        check_integers(value)
        data = to_json(value, bytes_mode="base64", inf_nan_mode="strings")
    except (IntegerTooLong, PydanticSerializationError, ValueError, RecursionError):
        data = to_json(to_json_value(value))
    return len(data)
