"""Scalars: texts, numbers, booleans, None, bytes, and what has an exact text of its own (decimals, UUIDs, paths)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from math import isfinite
from uuid import UUID

from graphflow.journal.codec import columns
from graphflow.journal.codec.coding import (
    Classes,
    Coding,
    Misfit,
)
from graphflow.journal.codec.columns import Column
from graphflow.journal.stored import Json
from graphflow.messages.types import Type
from graphflow.plain import (
    BITS,
    DIGITS,
    is_huge,
)

Write = Callable[..., str]
Read = Callable[[str], object]


# -- texts -----------------------------------------------------------------------------------------
def text_data(text: str) -> Json:
    """A text as JSON data. One with half a character in it is written by its bytes: no JSON text can hold it."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return {"text": text.encode("utf-8", "surrogatepass").hex()}
    return text


def text_of_bytes(data: object) -> str:
    """The text with half a character in it that was written by its bytes.

    Raises:
        ValueError: none was.
    """
    if type(data) is not str:
        raise ValueError(data)
    return bytes.fromhex(data).decode("utf-8", "surrogatepass")


class TextCoding(Coding):
    """Texts."""

    __slots__ = ()

    def encode(self, value: object, depth: int) -> Json:
        if type(value) is not str:
            raise self.foreign(value)
        return value if value.isascii() else text_data(value)

    def decode(self, data: Json, depth: int) -> object:
        if type(data) is str:
            return data
        if type(data) is not dict or data.keys() != {"text"}:
            raise self.illegible(data)
        try:
            return text_of_bytes(data["text"])
        except ValueError:
            raise self.illegible(data) from None

    def column(self, within: frozenset[Coding]) -> Column | None:
        return columns.TEXTS


# -- numbers ---------------------------------------------------------------------------------------
def check_length(value: int) -> None:
    """Refuses an integer that is too long to be written.

    Raises:
        Misfit: it is.
    """
    if value.bit_length() >= BITS and is_huge(value):
        raise Misfit(
            f"an integer of at most {DIGITS} digits",
            "a longer one",
            "send a smaller number",
            is_final=True,
        )


class IntegerCoding(Coding):
    """Integers."""

    __slots__ = ()

    def encode(self, value: object, depth: int) -> Json:
        if type(value) is not int:
            raise self.foreign(value)
        check_length(value)
        return value

    def decode(self, data: Json, depth: int) -> object:
        if type(data) is not int:
            raise self.illegible(data)
        return data

    def column(self, within: frozenset[Coding]) -> Column | None:
        return columns.INTEGERS


NOT_FINITE = frozenset({"nan", "inf", "-inf"})
"""What is written where JSON has no number. Each NaN that is read is one of its own: it is equal to no other."""


class FloatCoding(Coding):
    """Floats. An integer is a float for Python's type checkers, and stays an integer."""

    __slots__ = ()

    def encode(self, value: object, depth: int) -> Json:
        if type(value) is float:
            return value if isfinite(value) else repr(value)
        if type(value) is not int:
            raise self.foreign(value)
        check_length(value)
        return value

    def decode(self, data: Json, depth: int) -> object:
        if type(data) is float or type(data) is int:
            return data
        if type(data) is str and data in NOT_FINITE:
            return float(data)
        raise self.illegible(data)

    def classes(self) -> Classes:
        return frozenset({float, int})

    def column(self, within: frozenset[Coding]) -> Column | None:
        return columns.FLOATS


class ComplexCoding(Coding):
    """Complex numbers: the real part and the imaginary one."""

    __slots__ = ()

    def encode(self, value: object, depth: int) -> Json:
        value = self.checked(value, complex)
        return [_FLOATS.encode(value.real, depth), _FLOATS.encode(value.imag, depth)]

    def decode(self, data: Json, depth: int) -> object:
        if type(data) is not list or len(data) != 2:
            raise self.illegible(data)
        real, imaginary = (_FLOATS.decode(part, depth) for part in data)
        return complex(real, imaginary)  # type: ignore[call-overload]  # floats, as they were read


_FLOATS = FloatCoding(float)


# -- what stands for itself ------------------------------------------------------------------------
class PlainCoding(Coding):
    """Booleans, and None: JSON has the same."""

    __slots__ = ("_column",)

    def __init__(self, known: type, column: Column) -> None:
        super().__init__(known)
        self._column = column

    def encode(self, value: object, depth: int) -> Json:
        known: Json = self.checked(value, self._known)
        return known

    def decode(self, data: Json, depth: int) -> object:
        if type(data) is not self._known:
            raise self.illegible(data)
        return data

    def column(self, within: frozenset[Coding]) -> Column | None:
        return self._column


# -- what has an exact text ------------------------------------------------------------------------
class ExactTextCoding(Coding):
    """Values of a class that have an exact text."""

    __slots__ = ("_read", "_write")

    def __init__(self, kind: Type, known: type, write: Write, read: Read) -> None:
        super().__init__(kind, known)
        self._write = write
        self._read = read

    def encode(self, value: object, depth: int) -> Json:
        value = self.checked(value, self._known)
        return text_data(self._write(value))

    def decode(self, data: Json, depth: int) -> object:
        text = _TEXTS.decode(data, depth)
        try:
            return self._read(text)  # type: ignore[arg-type]  # a text, as it was read
        except (ValueError, ArithmeticError, InvalidOperation, NoBase64):
            raise self.illegible(data) from None


_TEXTS = TextCoding(str)


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


def _bytes_of(text: str) -> bytes:
    return b64decode(text, validate=True)


def _bytearray_of(text: str) -> bytearray:
    return bytearray(_bytes_of(text))


def _fraction_text(value: Fraction) -> str:
    check_length(value.numerator)
    check_length(value.denominator)
    return str(value)


def _range_text(value: range) -> str:
    bounds = (value.start, value.stop, value.step)
    for bound in bounds:
        check_length(bound)
    return ":".join(map(str, bounds))


def _range_of(text: str) -> range:
    start, stop, step = map(int, text.split(":"))
    return range(start, stop, step)


ADDRESSES = (IPv4Address, IPv6Address, IPv4Network, IPv6Network, IPv4Interface, IPv6Interface)


def scalars() -> dict[type, Coding]:
    """The codings of the classes that hold nothing, by class."""
    exact = [
        ExactTextCoding(Decimal, Decimal, str, Decimal),
        ExactTextCoding(Fraction, Fraction, _fraction_text, Fraction),
        ExactTextCoding(UUID, UUID, str, UUID),
        ExactTextCoding(bytes, bytes, _base64, _bytes_of),
        ExactTextCoding(bytearray, bytearray, _base64, _bytearray_of),
        ExactTextCoding(range, range, _range_text, _range_of),
    ]
    exact += [ExactTextCoding(known, known, str, known) for known in ADDRESSES]
    codings: dict[type, Coding] = {coding.kind: coding for coding in exact}
    codings[str] = _TEXTS
    codings[int] = IntegerCoding(int)
    codings[float] = _FLOATS
    codings[complex] = ComplexCoding(complex)
    codings[bool] = PlainCoding(bool, columns.BOOLEANS)
    codings[type(None)] = PlainCoding(type(None), columns.NOTHING)
    return codings
