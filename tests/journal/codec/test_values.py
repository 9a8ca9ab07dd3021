"""Values of messages: what comes back, exactly as it was, and what is refused."""

from __future__ import annotations

import inspect
import json
import math
import sys
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum, auto
from fractions import Fraction
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    TypedDict,
    TypeVar,
)
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    JsonValue,
    PrivateAttr,
    RootModel,
    SecretStr,
    TypeAdapter,
    computed_field,
    create_model,
    field_serializer,
    field_validator,
)
from pydantic_core import SchemaValidator
from typing_extensions import TypeAliasType

from graphflow import Failure
from graphflow.declaration.background import Background
from graphflow.errors import StoreError, Unreadable, Unstorable
from graphflow.journal.codec import codec_of, json_text, unstorable
from graphflow.messages.artifacts import Artifact
from graphflow.messages.media import Media
from graphflow.messages.message import LimitReached
from tests.journal.codec.sameness import same, there_and_back

T = TypeVar("T")


class Approved(BaseModel):
    text: str


class Rejected(BaseModel):
    text: str


class Shouted(Approved):
    pass


class Plain(BaseModel):
    n: int
    x: float
    inner: Approved | None
    many: list[int]
    by: dict[str, bool]


class Draft(BaseModel):
    """A model of models."""

    answer: Approved | Rejected
    notes: list[Approved] = []
    tags: dict[str, int] = {}
    limit: float | None = None


class Doubled(BaseModel):
    """What a validator makes of it changes each time."""

    n: int
    label: str = Field(alias="theLabel")
    secret: int = Field(default=0, exclude=True)

    @field_validator("n", mode="after")
    @classmethod
    def _double(cls, value: int) -> int:
        return value * 2

    @field_serializer("n")
    def _as_text(self, value: int) -> str:
        return f"<{value}>"

    @computed_field
    def more(self) -> int:
        return self.n + 1


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    a: int
    _seen: list[int] = PrivateAttr(default_factory=list)
    _late: str

    @cached_property
    def slow(self) -> int:
        return self.a * 1000


class Tree(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    children: tuple[Tree, ...] = ()


class Box(BaseModel, Generic[T]):
    content: T


class Names(RootModel[list[str]]):
    pass


class Sloppy(BaseModel):
    model_config = ConfigDict(use_enum_values=True)

    text: str = None  # type: ignore[assignment]
    answer: Approved | Rejected = None  # type: ignore[assignment]
    size: Literal[1, 2] = 1
    colour: Hue | None = None


class Hue(Enum):
    RED = "red"
    ONE = 1
    TRUE = True


class Colour(Enum):
    RED = 1
    CRIMSON = 1
    BLUE = [1, 2]


class Size(IntEnum):
    S = 1
    L = 2


class Word(StrEnum):
    YES = "yes"


class Rights(Flag):
    READ = auto()
    WRITE = auto()


@dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.0
    names: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Pair(Generic[T]):
    left: T
    right: T
    total: int = field(init=False, default=0)


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Place(NamedTuple):
    name: str
    at: Point
    rank: int = 1


UserId = NewType("UserId", str)
Nested = TypeAliasType("Nested", "list[Nested] | dict[str, Nested] | int | None")
Nothing = TypeAliasType("Nothing", "list[Missing]")  # type: ignore[name-defined]  # noqa: F821
Pairs = TypeAliasType("Pairs", list[tuple[T, T]], type_params=(T,))


OPEN = Open(a=1, b="more", c=[1, {"d": None}])
OPEN._seen.append(3)
SLOW = Open(a=2)
assert SLOW.slow == 2000

VALUES: list[tuple[Any, Any]] = [
    (str, "text"),
    (str, "half \ud800 of a pair, and both: \ud83d\ude00, and nothing: \x00"),
    (int, 2**53 + 1),
    (int, -(10**4299)),
    (float, 1.0),
    (float, 1),
    (float, -0.0),
    (float, math.nan),
    (float, -math.inf),
    (float, 1e16),
    (float, 5e-324),
    (complex, complex(-0.0, math.inf)),
    (bool, True),
    (None, None),
    (bytes, b"\x00\xff"),
    (bytearray, bytearray(b"ab")),
    (int | bool, True),
    (bool | int, 1),
    (int | float, 1),
    (int | float, 1.0),
    (float | int, 1),
    (list[int] | list[str], ["a"]),
    (list[int] | list[str], []),
    (list[Any] | list[int], [1, "a"]),
    (Approved | Rejected, Rejected(text="no")),
    (Approved | Shouted, Shouted(text="YES")),
    (Shouted | Approved, Approved(text="yes")),
    (Approved | Rejected | None, None),
    (Approved | None, Approved(text="a")),
    (Any | None, None),
    (Literal[None, "a"] | None, "a"),
    (Literal[None, "a"] | None, None),
    (Annotated[Approved, "x"] | Annotated[Rejected | int, "y"], 3),
    (Draft, Draft(answer=Rejected(text="no"), notes=[Approved(text="a")], tags={"a": 1})),
    (Draft, Draft(answer=Approved(text="yes"), limit=math.inf)),
    (Draft, Draft(answer=Approved(text="yes"), tags={"\udc80": 1})),
    (Doubled, Doubled(n=2, theLabel="x", secret=4)),
    (list[Doubled], [Doubled(n=2, theLabel="x"), Doubled(n=3, theLabel="y")]),
    (Open, OPEN),
    (Open, Open(a=1)),
    (Open, Open(a=1, _unset=2, a_b=3)),
    (Tree, Tree(name="a", children=(Tree(name="b"), Tree(name="c", children=(Tree(name="d"),))))),
    (set[Tree], {Tree(name="a"), Tree(name="b")}),
    (Box[int], Box[int](content=1)),
    (Box[Approved | Rejected], Box[Approved | Rejected](content=Rejected(text="no"))),
    (Box[int] | Box[str], Box[str](content="1")),
    (Names, Names(["a", "b"])),
    (Names | None, Names([])),
    (Sloppy, Sloppy()),
    (Sloppy, Sloppy(text="a", answer=Approved(text="a"), colour=Hue.RED)),
    (list[Hue], [Hue.RED, Hue.ONE, "red", 1]),
    (Colour, Colour.CRIMSON),
    (Colour, Colour.BLUE),
    (Size | int, Size.L),
    (Size | int, 2),
    (Word | str, Word.YES),
    (Word | str, "yes"),
    (Rights, Rights.READ | Rights.WRITE),
    (Rights, Rights(0)),
    (Literal["a", 1, True], True),
    (Literal["a", 1, True], 1),
    (Literal["RED", Colour.RED], Colour.RED),
    (Literal["RED", Colour.RED], "RED"),
    (Literal["a"] | str, "a"),
    (Literal["a"] | str, "b"),
    (Literal[b"a", "61"], b"a"),
    (Point, Point(1)),
    (Point, Point(1, 2.0, ["a"])),
    (Pair[Approved | Rejected], Pair(Rejected(text="no"), Approved(text="yes"))),
    (Movie, {"title": "M"}),
    (Movie, {"year": 1931, "title": "M"}),
    (Place, Place("here", Point(1))),
    (tuple[int, str], (1, "a")),
    (tuple[()], ()),
    (tuple, (1, "a", [None])),
    (tuple[int, ...], (1, 2, 3)),
    (list, [1, "a", {"b": None}]),
    (set[int | str], {1, "a", "b"}),
    (frozenset[bytes], frozenset({b"a", b"b"})),
    (deque[int], deque([1, 2], 5)),
    (deque, deque(["a"])),
    (dict[str, int], {"b": 1, "a": 2}),
    (dict[int, str], {2: "a", 1: "b"}),
    (dict[tuple[int, int], Approved], {(1, 2): Approved(text="a")}),
    (dict[float, int], {math.nan: 1, float("nan"): 2}),
    (dict[UUID, int], {UUID(int=5): 1}),
    (dict, {"a": [1, 2.5, None]}),
    (OrderedDict[str, int], OrderedDict(b=1, a=2)),
    (Counter[str], Counter("abca")),
    (Sequence[int], (1, 2)),
    (Sequence[int], [1, 2]),
    (Mapping[str, Approved], {"a": Approved(text="a")}),
    (UserId, UserId("u")),
    (Nested, [1, {"a": [None, []]}]),
    (list[Nested | str], [1, "a", [2]]),
    (Pairs[Approved | Rejected], [(Approved(text="a"), Rejected(text="b"))]),
    (date, date(2026, 1, 31)),
    (datetime, datetime(2026, 1, 31, 8, 0, 0, 7)),
    (datetime, datetime(2026, 1, 31, tzinfo=UTC)),
    (datetime, datetime(2026, 1, 31, tzinfo=timezone(timedelta(hours=2, seconds=3)))),
    (datetime, datetime(2026, 1, 31, tzinfo=timezone(timedelta(hours=2), "CEST"))),
    (datetime, datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))),
    (datetime, datetime(2026, 10, 25, 2, 30, fold=1)),
    (datetime, TypeAdapter(datetime).validate_json('"2026-01-31T08:00:00Z"')),
    (datetime, TypeAdapter(datetime).validate_json('"2026-01-31T08:00:00+02:00"')),
    (time, time(8, 30, tzinfo=UTC)),
    (time, time(8, 30, fold=1)),
    (timedelta, timedelta(days=-1, microseconds=1)),
    (timedelta, timedelta.max),
    (Decimal, Decimal("-0.00")),
    (Decimal, Decimal("1E+30")),
    (Fraction, Fraction(1, 3)),
    (range, range(1, 10, 3)),
    (UUID, UUID(int=7)),
    (Path, Path("a/b")),
    (Path, Path("half\udc80")),
    (PurePosixPath, PurePosixPath("/a")),
    (HttpUrl, HttpUrl("https://example.com/a?b=c#d")),
    (
        Any,
        {
            "a": [1, 1.0, True, None, "x", math.nan],
            "float": {"float": "nan"},
            "d": {"dict": {"text": "ff"}},
        },
    ),
    (Any, {"float": math.inf}),
    (Any, {"arm": 1, "value": {"arm": 0, "value": None}}),
    (Any, {"\ud800": "\ud800"}),
    (object, [1.0, 1]),
    (JsonValue, {"a": [1]}),
    (Failure, Failure(node="a", error="b", kind="ValueError", input={"x": [1]})),
    (LimitReached, LimitReached(limit="laps", value=3, message="m")),
    (Media, Media(mime="image/png", data=b"\x89PNG")),
    (Artifact, Artifact(name="a", digest="d", size=3)),
]


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=map(str, range(len(VALUES))))
def test_a_value_comes_back_as_it_was(kind: Any, value: Any) -> None:
    read = there_and_back(kind, value)
    assert same(value, read)
    assert unstorable(kind) is None


class Stamp(datetime):
    pass


class Client:
    pass


class Holder(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    items: list[Draft] = []
    when: datetime | None = None
    client: Client | None = None


def ring() -> list[Any]:
    inner: list[Any] = []
    inner += [inner, inner]
    return inner


def tall(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def tall_tree(levels: int) -> Tree:
    tree = Tree(name="leaf")
    for _ in range(levels):
        tree = Tree(name="a", children=(tree,))
    return tree


class Noted(Place):
    note: str


def noted() -> Noted:
    value = Noted("a", Point(1))
    value.note = "more"
    return value


REFUSED: list[tuple[Any, Any, str, str]] = [
    (str, Word.YES, "", "Word, a subclass of str"),
    (int, True, "", "bool, a subclass of int"),
    (float, True, "", "bool"),
    (int, 10**4300, "", "longer"),
    (list[int], [1, 10**5000], "[1]", "longer"),
    (Approved, Shouted(text="a"), "", "declare Approved | Shouted"),
    (Approved | Rejected, Shouted(text="a"), "", "declare Approved | Rejected | Shouted"),
    (list[Approved], [Approved(text="a"), Shouted(text="a")], "[1]", "Shouted"),
    (dict[str, list[int]], {"a": [1, "b"]}, "['a'][1]", "str"),
    (
        Holder,
        Holder.model_construct(when=Stamp(2026, 1, 1)),
        ".when",
        "Stamp, a subclass of datetime",
    ),
    (
        Holder,
        Holder.model_construct(
            items=[Draft(answer=Approved(text="a"), tags={"a": 1}), Draft.model_construct()]
        ),
        ".items[1].answer",
        "no value",
    ),
    (Holder, Holder(client=Client()), ".client", "make it a pydantic model"),
    (Any, (1, 2), "", "tuple"),
    (Any, {1: 2}, "", "int as key"),
    (Any, [Approved(text="a")], "[0]", "declare Approved instead of Any"),
    (Any, {"a": Size.L}, "['a']", "Size"),
    (
        Failure,
        Failure(node="a", error="b", kind="c", input=Approved(text="a")),
        ".input",
        "Approved",
    ),
    (Any, ring(), "[0]" * 100, "holds itself"),
    (list[Any] | list[list[Any]], ring(), "[0]" * 100, "holds itself"),
    (Any, tall(150), "[0]" * 100, "holds itself"),
    (Any, tall(100_000), "[0]" * 100, "holds itself"),
    (Tree, tall_tree(60), None, "holds itself"),
    (tuple[int, str], (1,), "", "1 items"),
    (Literal["a"], "b", "", "another value"),
    (Movie, {"title": "M", "more": 1}, ".more", "declare"),
    (Movie, {}, ".title", "no value"),
    (Noted, noted(), ".note", "does not declare"),
    (Hue, "blue", "", "found str"),
    (str, None, "", "found None"),
    (SecretStr, SecretStr("x"), "", "secret is never written"),
    (Callable[[], int], len, "", "function"),
    (type[int], int, "", "type"),
]


@pytest.mark.parametrize(
    ("kind", "value", "path", "says"), REFUSED, ids=map(str, range(len(REFUSED)))
)
def test_a_value_that_would_not_come_back_is_refused(
    kind: Any, value: Any, path: str | None, says: str
) -> None:
    codec = codec_of(kind)
    with pytest.raises(Unstorable) as caught:
        codec.encode(value)
    assert says in str(caught.value)
    if path is not None:
        assert caught.value.path == path
    with pytest.raises(Unstorable) as caught:
        codec.encode_column([value])
    if path is not None:
        assert caught.value.path == f"[0]{path}"
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, StoreError)


def test_a_secret_is_not_in_the_error() -> None:
    with pytest.raises(Unstorable) as caught:
        codec_of(SecretStr).encode(SecretStr("hunter2"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (SecretStr, "secret"),
        (Callable[[int], str], "function"),
        (Client, "pydantic model"),
        (Holder, "Client, at .client of Holder: "),
        (Nothing, "not known"),
        (list[Holder] | None, "client"),
        (type[int], "type"),
        (BaseModel, "classes"),
        (Enum, "classes"),
    ],
    ids=str,
)
def test_a_type_that_cannot_be_stored_is_said_beforehand(kind: Any, says: str) -> None:
    assert says in (unstorable(kind) or "")
    codec_of(kind)


def test_arms_are_counted_as_they_are_declared() -> None:
    """`A | B` and `B | A` are equal for Python, and so are lists of them."""
    no = Rejected(text="no")
    assert codec_of(Approved | Rejected).encode(no) == {"arm": 1, "value": {"text": "no"}}
    assert codec_of(Rejected | Approved).encode(no) == {"arm": 0, "value": {"text": "no"}}
    assert codec_of(list[Approved | Rejected]).encode([no]) == [{"arm": 1, "value": {"text": "no"}}]
    assert codec_of(list[Rejected | Approved]).encode([no]) == [{"arm": 0, "value": {"text": "no"}}]


def test_a_codec_is_made_once() -> None:
    assert codec_of(list[Draft]) is codec_of(list[Draft])
    assert codec_of(Annotated[Draft, ["unhashable"]]) is codec_of(Draft)


def test_a_handle_in_the_background_is_its_names() -> None:
    codec = codec_of(Background)
    handle = Background(handle="h", node="n")
    data = codec.encode(handle)
    assert data == {"handle": "h", "node": "n"}
    read = codec.decode(data)
    assert (read.handle, read.node, read.status) == ("h", "n", "running")


def test_any_lets_in_the_types_that_are_given() -> None:
    failure = Failure(
        node="a", error="b", kind="c", input={"x": Approved(text="a"), "y": [Point(1), {"arm": 0}]}
    )
    codec = codec_of(Failure, among=[Rejected, Approved, Point, Failure])
    data = json.loads(json_text(codec.encode(failure)))
    assert data["input"]["x"] == {"arm": 1, "value": {"text": "a"}}
    assert same(failure, codec.decode(data))
    around = Failure(node="a", error="b", kind="c", input=failure)
    assert same(around, codec.decode(codec.encode(around)))
    with pytest.raises(Unstorable):
        codec.encode(Failure(node="a", error="b", kind="c", input=Shouted(text="a")))
    with pytest.raises(Unreadable):
        codec_of(Failure).decode(data)


def calls_of(work: Callable[[], object]) -> int:
    """How many functions of ours are called."""
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        folder = Path(frame.f_code.co_filename).parent
        count += event == "call" and folder.parts[-2:] == ("journal", "codec")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


IS_NEW = len(inspect.signature(SchemaValidator).parameters) > 2
"""Whether pydantic can be told not to take what a class itself is read by."""


@pytest.mark.skipif(not IS_NEW, reason="an older pydantic: value by value, and as exact")
@pytest.mark.parametrize("kind", [Approved, Plain, list[Plain], dict[str, float | None]], ids=str)
def test_a_column_of_plain_models_is_not_written_value_by_value(kind: Any) -> None:
    codec = codec_of(kind)
    one = {Approved: Approved(text="a")}.get(
        kind, Plain(n=1, x=2.0, inner=Approved(text="a"), many=[1], by={"a": True})
    )
    value = {list[Plain]: [one, one], dict[str, float | None]: {"a": 1.0, "b": None}}.get(kind, one)
    few, many = [value] * 2, [value] * 200
    texts = [codec.encode_column(few), codec.encode_column(many)]
    assert calls_of(lambda: codec.encode_column(few)) == calls_of(lambda: codec.encode_column(many))
    assert calls_of(lambda: codec.decode_column(texts[0])) == calls_of(
        lambda: codec.decode_column(texts[1])
    )
    assert same(codec.decode_column(texts[1]), many)


# -- classes that have changed ---------------------------------------------------------------------
def test_a_new_field_gets_its_default() -> None:
    old = create_model("Note", text=(str, ...))
    new = create_model(
        "Note", text=(str, ...), tags=(list[str], Field(default_factory=lambda: ["new"]))
    )
    data = codec_of(list[old]).encode([old(text="a")])
    [read] = codec_of(list[new]).decode(data)
    assert read == new.model_construct({"text"}, text="a", tags=["new"])
    assert read.model_fields_set == {"text"}
    [read] = codec_of(new).decode_column(codec_of(old).encode_column([old(text="a")]))
    assert read.tags == ["new"]


CHANGED: list[tuple[Any, Any, Any, str]] = [
    (create_model("Note", a=int), create_model("Note", a=str), {"a": 1}, ".a"),
    (create_model("Note", a=int), create_model("Note", b=(int, 1)), {"a": 1}, ".a"),
    (create_model("Note", a=int), create_model("Note", a=int, b=(int, ...)), {"a": 1}, ".b"),
    (create_model("Note", a=list[int]), create_model("Note", a=list[str]), {"a": [1]}, ".a[0]"),
    (
        create_model("Note", a=dict[str, int]),
        create_model("Note", a=dict[str, bool]),
        {"a": {"x": 1}},
        ".a['x']",
    ),
    (create_model("Note", a=int | str), create_model("Note", a=int), {"a": 1}, ".a"),
]


@pytest.mark.parametrize(("old", "new", "values", "path"), CHANGED, ids=str)
def test_a_class_that_has_changed_cannot_read(old: Any, new: Any, values: Any, path: str) -> None:
    data = codec_of(old).encode(old(**values))
    with pytest.raises(Unreadable) as caught:
        codec_of(new).decode(data)
    assert caught.value.path == path
    assert caught.value.wanted
    assert caught.value.found
    with pytest.raises(Unreadable) as caught:
        codec_of(new).decode_column(codec_of(old).encode_column([old(**values)]))
    assert caught.value.path == f"[0]{path}"


@pytest.mark.parametrize(
    "text", ["", "{}", "[", '{"a": 1}', "nothing", "[1e999]", f"[{'9' * 5000}]", "[" * 100_000]
)
def test_a_column_that_is_not_one_cannot_be_read(text: str) -> None:
    for kind in (Approved, Draft, int, str, Tree):
        with pytest.raises(Unreadable):
            codec_of(kind).decode_column(text)


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=map(str, range(len(VALUES))))
def test_what_does_not_fit_is_refused_with_an_error_of_ours(kind: Any, value: Any) -> None:
    codec = codec_of(kind)
    for data in (
        None,
        True,
        1,
        1.5,
        "x",
        [],
        [[]],
        [1],
        {},
        {"arm": 9, "value": 1},
        {"arm": "a"},
        {"at": 1},
        {"x": 1},
    ):
        try:
            codec.decode(data)
        except Unreadable:
            continue


def test_no_class_stands_in_a_row() -> None:
    for kind, value in VALUES:
        text = json_text(codec_of(kind).encode(value))
        for name in (
            "Approved",
            "Rejected",
            "Shouted",
            "Draft",
            "Tree",
            "Colour",
            "Place",
            "pydantic",
            "graphflow",
        ):
            assert name not in text


def test_validators_do_not_run_again() -> None:
    called: list[int] = []

    def note(value: int) -> int:
        called.append(value)
        return value + 1

    class Counted(BaseModel):
        a: Annotated[int, BeforeValidator(note)]
        b: Annotated[int, AfterValidator(note)] = 3

        def model_post_init(self, context: Any) -> None:
            called.append(0)

    value = Counted(a=1, b=1)
    called.clear()
    assert there_and_back(Counted, value) == value
    assert called == []
