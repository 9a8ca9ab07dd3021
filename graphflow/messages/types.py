"""Types of messages: which values are of which, and how a person writes them.

Rules:
1. `accepts(port, arm)` is universal: true only if *every* value of type `arm` is a value of type `port`. Containers are
   covariant, which is sound because messages do not change.
2. What says `Any` fits everywhere: it is checked where it arrives.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product, starmap
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter

Type = Any
"""A type expression as Python writes it: a class, `X | Y`, `list[X]`, `Literal[...]`. Python has no type for these."""


def origin_of(kind: Type) -> Type:
    """`typing.get_origin`, typed so that its result can be compared with any special form."""
    return get_origin(kind)


UNION_ORIGINS = (Union, types.UnionType)
SEQUENCE_ORIGINS = (list, tuple, set, frozenset)


def arms(kind: Type) -> tuple[Type, ...]:
    """The members of a union type, flat and in order; a type that is not a union is its own only arm."""
    if type(kind) is type:
        return (kind,)
    kind = plain(kind)
    if kind is None:
        return (type(None),)
    if origin_of(kind) not in UNION_ORIGINS:
        return (kind,)
    found: list[Type] = []
    for member in get_args(kind):
        found += arms(member)
    return tuple(found)


def plain(kind: Type) -> Type:
    """The type under `Annotated` and type variables."""
    if type(kind) is type:
        return kind
    while True:
        if origin_of(kind) is Annotated:
            kind = get_args(kind)[0]
        elif isinstance(kind, TypeVar):
            kind = kind.__bound__ or Any
        else:
            return kind


def item_type(kind: Type) -> Type | None:
    """The `T` of `list[T]` (or tuple, set, ...), or None if the type is not a sequence that can be mapped."""
    kind = plain(kind)
    if kind in SEQUENCE_ORIGINS:  # bare, as in `-> list`
        return Any
    origin = origin_of(kind)
    if not isinstance(origin, type) or issubclass(origin, dict):
        return None
    if not issubclass(origin, Iterable):
        return None
    items = get_args(kind)
    if origin is tuple and items[1:] != (Ellipsis,):  # tuple[int, str]: a record, not a sequence
        return None
    return items[0] if items else Any


def is_typed_dict(kind: Type) -> bool:
    """Whether a type is a `TypedDict`, of `typing` or `typing_extensions`: a dict that isinstance cannot ask for."""
    if not isinstance(kind, type) or not issubclass(kind, dict):
        return False
    return hasattr(kind, "__total__")


@lru_cache(maxsize=4096)
def accepts(port: Type, arm: Type) -> bool:
    """Whether every value of type `arm` is a value of type `port` (both as written in annotations)."""
    port, arm = plain(port), plain(arm)
    if says_nothing(port) or port == arm:
        return True
    if arm is Any:
        return True  # gradual typing (PEP 484): Any is checked where it arrives, not before
    # A union is accepted if each of its arms is, and accepts what one of its arms accepts:
    #   accepts(A | B | C,  A | B)  =  accepts(A | B | C, A) and accepts(A | B | C, B)
    #   accepts(A | B | C,  A)      =  accepts(A, A) or accepts(B, A) or accepts(C, A)
    sources = arms(arm)
    if len(sources) > 1:
        return all(accepts(port, source) for source in sources)
    targets = arms(port)
    if len(targets) > 1:
        return any(accepts(target, arm) for target in targets)
    return _accepts_one(targets[0], sources[0])


def says_nothing(kind: Type) -> bool:
    """Whether every value is of that type."""
    return kind is Any or kind is object


def _accepts_one(port: Type, arm: Type) -> bool:
    if origin_of(arm) is Literal:
        return _accepts_literal(port, get_args(arm))
    if origin_of(port) is Literal:
        return False
    port_class = _runtime_class(port)
    arm_class = _runtime_class(arm)
    if port_class is float and arm_class is int:
        return True  # the numeric tower of PEP 484
    try:
        is_subclass = issubclass(arm_class, port_class)
    except TypeError:  # a protocol that isinstance cannot ask
        return False
    return is_subclass and _accepts_arguments(port, arm)


def _accepts_literal(port: Type, values: tuple[object, ...]) -> bool:
    if origin_of(port) is Literal:
        known = set(get_args(port))
        return known.issuperset(values)
    port_class = _runtime_class(port)
    return all(isinstance(value, port_class) for value in values)


def _accepts_arguments(port: Type, arm: Type) -> bool:
    wanted = get_args(port)
    if not wanted:
        return True
    if origin_of(port) is tuple or origin_of(arm) is tuple:
        return _accepts_tuple(port, arm)
    given = get_args(arm)
    if not given:  # a bare `list` is a list of anything
        return True
    return len(wanted) == len(given) and all(map(accepts, wanted, given))


def _accepts_tuple(port: Type, arm: Type) -> bool:
    wanted = get_args(port)
    given = get_args(arm)
    # tuple[int, str], place by place.
    is_record = origin_of(port) is tuple and wanted[-1] is not Ellipsis
    if is_record:
        if len(wanted) != len(given) or given[-1] is Ellipsis:
            return False
        return all(map(accepts, wanted, given))
    # Any number of one type: tuple[int, ...], list[int], Sequence[int].
    item = wanted[0]
    for given_item in given:
        if given_item is not Ellipsis and not accepts(item, given_item):
            return False
    return True


def _runtime_class(kind: Type) -> type:
    origin = origin_of(kind) or kind
    if isinstance(origin, type):
        return origin
    return object


def disjoint(one: Type, other: Type) -> bool:
    """Whether no value can be of both types: then at most one of two edges that carry them is taken."""
    pairs = product(arms(one), arms(other))
    return not any(starmap(_overlap, pairs))


def _overlap(one: Type, other: Type) -> bool:
    origins = (origin_of(one), origin_of(other))
    if origins == (Literal, Literal):
        values = set(get_args(one))
        return not values.isdisjoint(get_args(other))
    return accepts(one, other) or accepts(other, one)


def by_specificity(kinds: Sequence[Type]) -> list[int]:
    """The numbers of the arms of a union, each before those that are wider, else as they were written.

    A value of a class that two arms name (`Base | Derived`) is of the narrower one, however the union was written.
    """
    order: list[int] = []
    for number, kind in enumerate(kinds):
        place = 0
        while place < len(order) and not is_wider(kinds[order[place]], kind):
            place += 1
        order.insert(place, number)
    return order


def is_wider(one: Type, other: Type) -> bool:
    """Whether every value of `other` is one of `one`, and not the other way round; what says `Any` is wide."""
    if not accepts(one, other):
        return False
    if not accepts(other, one):
        return True
    return _unsaid(one) > _unsaid(other)


def _unsaid(kind: Type) -> int:
    """How often a type says nothing about what it holds."""
    kind = plain(kind)
    if says_nothing(kind):
        return 1
    if origin_of(kind) is Literal:
        return 0
    parts = [part for part in get_args(kind) if part is not Ellipsis]
    if not parts:
        return _UNSAID_PARTS.get(kind, 0)
    return sum(map(_unsaid, parts))


_UNSAID_PARTS = {list: 1, set: 1, frozenset: 1, tuple: 1, dict: 2}
"""How many types a bare container leaves open."""


@lru_cache(maxsize=4096)
def matcher(kind: Type) -> Callable[[object], bool]:
    """A fast test whether a value is of that type, for choosing between the arms of a union at run time."""
    kind = plain(kind)
    if says_nothing(kind):
        return lambda value: True
    # The numeric tower of PEP 484; but whoever routes by type does not mean True by a number.
    if kind is float:
        return lambda value: isinstance(value, (float, int)) and not isinstance(value, bool)
    if kind is int:
        return lambda value: isinstance(value, int) and not isinstance(value, bool)
    expected = _plain_class(kind)
    if expected is not None:
        return lambda value: isinstance(value, expected)
    # slow, and right for what isinstance cannot ask: list[int], typed dicts, literals.
    adapter = adapter_of(kind)

    def fits(value: object) -> bool:
        try:
            adapter.validate_python(value, strict=True)
        except ValueError:
            return False
        return True

    return fits


@lru_cache(maxsize=4096)
def output_check(kind: Type) -> tuple[type | None, Callable[[object], bool] | None]:
    """The class whose very instances need no look, and the test for everything else (None: anything goes)."""
    kinds = arms(kind)
    if any(map(says_nothing, kinds)):
        return None, None
    expected = _plain_class(kinds[0])
    tests = [matcher(member) for member in kinds]
    if len(tests) == 1:
        return expected, tests[0]

    def fits_one(value: object) -> bool:
        return any(test(value) for test in tests)

    return expected, fits_one


def _plain_class(kind: Type) -> type | None:
    """The type itself, if it is a class that isinstance can ask for."""
    if not isinstance(kind, type) or origin_of(kind) is not None:
        return None
    if is_typed_dict(kind):
        return None
    return kind


@lru_cache(maxsize=4096)
def adapter_of(kind: Type) -> TypeAdapter[Any]:
    """The pydantic adapter of a type, made once."""
    if _has_own_config(kind):
        return TypeAdapter(kind)
    return TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True))


def _has_own_config(kind: Type) -> bool:
    """Whether pydantic refuses a config for a type because it carries its own: models, dataclasses, typed dicts."""
    if not isinstance(kind, type):
        return False
    if issubclass(kind, BaseModel) or is_typed_dict(kind):
        return True
    return hasattr(kind, "__pydantic_config__") or hasattr(kind, "__dataclass_fields__")


def schema_of(kind: Type) -> Mapping[str, Any]:
    """The JSON schema of an answer; empty if its type has none."""
    try:
        schema: Mapping[str, Any] = adapter_of(kind).json_schema()
    except Exception:  # of a class of the user's: an answer is read by its type all the same
        return {}
    return schema


def type_name(kind: Type, labels: Mapping[Type, str] | None = None) -> str:
    """A type as a person writes it: `Approved | Rejected`, `list[Question]`, `'yes' | 'no'`.

    Args:
        kind: the type.
        labels: what certain classes are called instead of their names.
    """
    kind = plain(kind)
    if kind is type(None) or kind is None:
        return "None"
    if kind is Any:
        return "Any"
    origin = origin_of(kind)
    inner = get_args(kind)
    if origin is Literal:
        return " | ".join(map(repr, inner))
    parts: list[str] = []
    for part in inner:
        name = "..." if part is Ellipsis else type_name(part, labels)
        parts.append(name)
    if origin in UNION_ORIGINS:
        return " | ".join(parts)
    if origin is not None:
        container = _own_name(origin)
        items = ", ".join(parts)
        return f"{container}[{items}]"
    if labels and kind in labels:
        return labels[kind]
    return _own_name(kind)


def _own_name(kind: Type) -> str:
    name = getattr(kind, "__name__", None)
    return name or str(kind)
