"""The relation between types of messages, and what a message is as text."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any, Literal, Optional, Protocol, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from graphflow import Message
from graphflow.messages.message import to_text
from graphflow.messages.types import (
    accepts,
    adapter_of,
    arms,
    disjoint,
    item_type,
    matcher,
    type_name,
)
from tests.conftest import A, B, Msg


class Sub(A, frozen=True):
    extra: int = 0


class Color(Enum):
    RED = 1


class Proto(Protocol):
    def x(self) -> int: ...


@pytest.mark.parametrize(
    ("port", "arm", "fits"),
    [
        (A, A, True),
        (A, Sub, True),
        (Sub, A, False),
        (A, B, False),
        (A | B, A, True),
        (A | B, A | B, True),
        (A, A | B, False),
        (Optional[A], A, True),
        (A, Optional[A], False),
        (Union[A, B], Sub, True),
        (Any, A, True),
        (A, Any, True),
        (object, A, True),
        (float, int, True),
        (int, float, False),
        (int, bool, True),
        (str, Literal["a", "b"], True),
        (Literal["a", "b"], Literal["a"], True),
        (Literal["a"], Literal["a", "b"], False),
        (Literal["a"], str, False),
        (int, Literal["a"], False),
        (list[A], list[Sub], True),
        (list[Sub], list[A], False),
        (list[A], A, False),
        (list, list[A], True),
        (list[A], list, True),
        (Sequence[A], list[Sub], True),
        (Sequence[A], tuple[Sub, ...], True),
        (dict[str, A], dict[str, Sub], True),
        (dict[str, Sub], dict[str, A], False),
        (dict[str, int], dict[int, int], False),
        (tuple[int, str], tuple[int, str], True),
        (tuple[int, str], tuple[int, int], False),
        (tuple[int, ...], tuple[int, int], True),
        (tuple[int, int], tuple[int, ...], False),
        (Annotated[A, "note"], A, True),
        (A, Annotated[Sub, "note"], True),
        (type(None), None, True),
        (Color, Literal[Color.RED], True),
        (Proto, A, False),
        (list[A | B], list[A], True),
        (list[A] | list[B], list[B], True),
        (list[A] | list[B], list[A | B], False),
    ],
)
def test_accepts(port: Any, arm: Any, fits: bool) -> None:
    assert accepts(port, arm) is fits


def test_arms_are_flat_and_in_order() -> None:
    assert arms(Union[A, Union[B, None]]) == (A, B, type(None))
    assert arms(A) == (A,)


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (A, B, True),
        (A, Sub, False),
        (Literal["a"], Literal["b"], True),
        (Literal["a", "b"], Literal["b"], False),
        (A | B, B, False),
        (str, int, True),
    ],
)
def test_disjoint(one: Any, other: Any, apart: bool) -> None:
    assert disjoint(one, other) is apart
    assert disjoint(other, one) is apart


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        (list[A], A),
        (tuple[A, ...], A),
        (set[int], int),
        (list, Any),
        (A, None),
        (dict[str, int], None),
        (tuple[int, int], None),
        (str, None),
    ],
)
def test_item_type(kind: Any, item: Any) -> None:
    assert item_type(kind) == item


@pytest.mark.parametrize(
    ("kind", "value", "fits"),
    [
        (int, 1, True),
        (int, True, False),
        (float, 1, True),
        (str, "x", True),
        (list[A], [A()], True),
        (list[A], [B()], False),
        (A, Sub(), True),
        (Literal["a"], "a", True),
        (Literal["a"], "b", False),
        (Any, object(), True),
        (type(None), None, True),
    ],
)
def test_matcher(kind: Any, value: Any, fits: bool) -> None:
    assert matcher(kind)(value) is fits


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.text(), c),
    )
)
def test_any_json_value_has_a_text(value: Any) -> None:
    text = to_text(value)
    assert isinstance(text, str)
    if not isinstance(value, str):
        import json

        assert json.loads(text) == value


def test_messages_are_frozen_and_refuse_what_they_do_not_know() -> None:
    class M(Message):
        n: int

    with pytest.raises(ValidationError):
        M(n=1, m=2)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        M(n=1).n = 2  # type: ignore[misc]


def test_type_names_read_as_they_are_written() -> None:
    assert type_name(list[A | None]) == "list[A | None]"
    assert type_name(Literal["a", "b"]) == "'a' | 'b'"
    assert type_name(Msg) == "Msg"
    assert adapter_of(list[int]).validate_python(["1"]) == [1]
