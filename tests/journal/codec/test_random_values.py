"""Values of types that nobody has thought of: each comes back as it was, or is refused with an error of ours."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any, Literal, NamedTuple, Optional, Union
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, PrivateAttr, create_model
from typing_extensions import TypedDict

from graphflow.errors import Unreadable, Unstorable
from graphflow.journal.codec import codec_of, unstorable
from tests.journal.codec.sameness import same, there_and_back

calm = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Kind(NamedTuple):
    """A type, and its values."""

    type: Any
    values: st.SearchStrategy[Any]


class Answer(Enum):
    YES = "yes"
    NO = "no"
    NEIN = "no"


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")

    a: int = 0
    _seen: list[int] = PrivateAttr(default_factory=list)


@st.composite
def loose(draw: st.DrawFn) -> Loose:
    names = st.text(min_size=1).filter(lambda name: not name.startswith("_") and name != "a")
    extra = draw(st.dictionaries(names, plain, max_size=2))
    value = Loose.model_construct(None, **extra)
    value._seen.extend(draw(st.lists(st.integers(), max_size=2)))
    return value


texts = st.text(st.characters(codec=None, categories=None), max_size=4)
numbers = st.floats() | st.integers()
atoms = st.none() | st.booleans() | st.integers() | st.floats() | texts
words = st.sampled_from(["float", "text", "dict", "arm", "value", "a"])
plain = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | texts, inner, max_size=3),
    max_leaves=6,
)
zones = st.sampled_from(
    [
        None,
        UTC,
        timezone(timedelta(hours=2)),
        timezone(timedelta(hours=2), "CEST"),
        ZoneInfo("Asia/Tokyo"),
    ]
)
LEAVES = [
    Kind(str, texts),
    Kind(int, st.integers() | st.integers(-(10**60), 10**60)),
    Kind(float, numbers),
    Kind(bool, st.booleans()),
    Kind(type(None), st.none()),
    Kind(bytes, st.binary(max_size=4)),
    Kind(Answer, st.sampled_from(Answer)),
    Kind(Literal["yes", 1, True, None], st.sampled_from(["yes", 1, True, None])),
    Kind(Any, plain),
    Kind(Loose, loose()),
]
MOMENTS = Kind(datetime, st.datetimes(timezones=zones))
HASHABLE = [kind for kind in LEAVES if kind.type not in (Any, Loose)]


@st.composite
def kinds(draw: st.DrawFn, depth: int = 3) -> Kind:
    """A type, with its values."""
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from([*LEAVES, MOMENTS]))
    make = draw(st.sampled_from(MAKERS))
    return make(draw, depth - 1)


def _list(draw: st.DrawFn, depth: int) -> Kind:
    item = draw(kinds(depth))
    return Kind(list[item.type], st.lists(item.values, max_size=3))


def _tuple(draw: st.DrawFn, depth: int) -> Kind:
    item = draw(kinds(depth))
    return Kind(tuple[item.type, ...], st.lists(item.values, max_size=3).map(tuple))


def _record(draw: st.DrawFn, depth: int) -> Kind:
    one, two = draw(kinds(depth)), draw(kinds(depth))
    return Kind(tuple[one.type, two.type], st.tuples(one.values, two.values))


def _set(draw: st.DrawFn, depth: int) -> Kind:
    item = draw(st.sampled_from(HASHABLE))
    return Kind(frozenset[item.type], st.frozensets(item.values, max_size=3))


def _dict(draw: st.DrawFn, depth: int) -> Kind:
    key = draw(st.sampled_from(HASHABLE))
    item = draw(kinds(depth))
    return Kind(dict[key.type, item.type], st.dictionaries(key.values, item.values, max_size=3))


def _optional(draw: st.DrawFn, depth: int) -> Kind:
    some = draw(kinds(depth))
    return Kind(Optional[some.type], st.none() | some.values)


def _union(draw: st.DrawFn, depth: int) -> Kind:
    arms = draw(st.lists(kinds(depth), min_size=2, max_size=3))
    return Kind(Union[tuple(arm.type for arm in arms)], st.one_of([arm.values for arm in arms]))


def _models_alike(draw: st.DrawFn, depth: int) -> Kind:
    """A union of models with the same fields."""
    item = draw(kinds(depth))
    models = [create_model(name, x=(item.type, None)) for name in ("One", "Two")]
    values = [
        item.values.map(lambda value, own=own: own.model_construct({"x"}, x=value))  # type: ignore[misc]
        for own in models
    ]
    return Kind(Union[tuple(models)], st.one_of(values))


def _fields(draw: st.DrawFn, depth: int) -> dict[str, Kind]:
    names = draw(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True))
    return {name: draw(kinds(depth)) for name in names}


def _model(draw: st.DrawFn, depth: int) -> Kind:
    fields = _fields(draw, depth)
    config = ConfigDict(frozen=draw(st.booleans()), arbitrary_types_allowed=True)
    own = create_model(
        "Own", __config__=config, **{name: (kind.type, None) for name, kind in fields.items()}
    )

    @st.composite
    def values(draw: st.DrawFn) -> Any:
        given = {name: draw(kind.values) for name, kind in fields.items()}
        return own.model_construct(draw(st.sets(st.sampled_from(sorted(fields)))), **given)

    return Kind(own, values())


def _dataclass(draw: st.DrawFn, depth: int) -> Kind:
    fields = _fields(draw, depth)
    shape = [(name, kind.type) for name, kind in fields.items()]
    own = dataclasses.make_dataclass(
        "Own", shape, frozen=draw(st.booleans()), slots=draw(st.booleans())
    )
    return Kind(own, st.builds(own, **{name: kind.values for name, kind in fields.items()}))


def _typed_dict(draw: st.DrawFn, depth: int) -> Kind:
    fields = _fields(draw, depth)
    total = draw(st.booleans())
    own = TypedDict("Own", {name: kind.type for name, kind in fields.items()}, total=total)  # type: ignore[misc]
    by_name = {name: kind.values for name, kind in fields.items()}
    if total:
        return Kind(own, st.fixed_dictionaries(by_name))
    return Kind(own, st.fixed_dictionaries({}, optional=by_name))


def _named_tuple(draw: st.DrawFn, depth: int) -> Kind:
    fields = _fields(draw, depth)
    own = NamedTuple("Own", [(name, kind.type) for name, kind in fields.items()])  # type: ignore[misc]
    return Kind(own, st.builds(own, **{name: kind.values for name, kind in fields.items()}))


Maker = Callable[[st.DrawFn, int], Kind]
MAKERS: list[Maker] = [
    _list,
    _tuple,
    _record,
    _set,
    _dict,
    _optional,
    _union,
    _models_alike,
    _model,
    _dataclass,
    _typed_dict,
    _named_tuple,
]


@calm
@given(st.data())
def test_every_value_comes_back_as_it_was(data: st.DataObject) -> None:
    kind = data.draw(kinds())
    assert unstorable(kind.type) is None
    value = data.draw(kind.values)
    assert same(value, there_and_back(kind.type, value))


@calm
@given(st.data())
def test_a_column_says_the_same_as_its_elements(data: st.DataObject) -> None:
    kind = data.draw(kinds())
    values = data.draw(st.lists(kind.values, max_size=5))
    codec = codec_of(kind.type)
    text = codec.encode_column(values)
    assert json.loads(text) == [codec.encode(value) for value in values]
    assert same(codec.decode_column(text), values)


@calm
@given(st.data())
def test_a_value_of_another_type_comes_back_as_it_was_or_is_refused(data: st.DataObject) -> None:
    kind, other = data.draw(kinds()), data.draw(kinds())
    value = data.draw(other.values)
    codec = codec_of(kind.type)
    try:
        written = codec.encode(value)
    except Unstorable:
        return
    assert same(value, codec.decode(json.loads(json.dumps(written))))


@calm
@given(st.data())
def test_what_another_type_has_written_is_read_or_refused(data: st.DataObject) -> None:
    """Never an error of another kind, in one way as in the other."""
    kind, other = data.draw(kinds()), data.draw(kinds())
    text = codec_of(other.type).encode_column([data.draw(other.values)])
    codec = codec_of(kind.type)
    try:
        read = codec.decode_column(text)
    except Unreadable:
        read = None
    try:
        one_by_one = [codec.decode(each) for each in json.loads(text)]
    except Unreadable:
        one_by_one = None
    assert same(read, one_by_one)


@calm
@given(plain)
def test_what_stands_behind_any_comes_back_as_it_was(value: Any) -> None:
    assert same(value, there_and_back(Any, value))


@calm
@given(st.data())
def test_sets_are_written_alike_in_every_order(data: st.DataObject) -> None:
    item = data.draw(st.sampled_from(HASHABLE))
    items = data.draw(st.lists(item.values, max_size=5))
    codec = codec_of(frozenset[item.type])
    one = frozenset(items)
    assert codec.encode(one) == codec.encode(frozenset(sorted(one, key=repr)))


@calm
@given(st.data(), plain)
def test_whatever_stands_in_a_row_is_read_or_refused(data: st.DataObject, row: Any) -> None:
    codec = codec_of(data.draw(kinds()).type)
    text = json.dumps([row])
    try:
        codec.decode_column(text)
    except Unreadable:
        pass
