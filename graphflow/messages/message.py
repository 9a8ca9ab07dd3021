"""Messages: the immutable values that travel on edges, and the relation between their types.

Rules:
1. A message is a frozen pydantic model or a plain JSON value. It is never changed on its way; what could be is copied
   (`copies.py`).
2. `accepts(port, arm)` is universal: true only if *every* value of type `arm` is a value of type `port`. Containers are
   covariant, which is sound because messages do not change.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter

from graphflow.plain import check_integers
from graphflow.plain import to_json_value as to_json_value

Type = Any
"""A type expression as Python writes it: a class, `X | Y`, `list[X]`, `Literal[...]`. Python has no type for these."""


class Message(BaseModel):
    """A frozen pydantic model that refuses unknown fields. Any other pydantic model is a message too."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Failure(Message):
    """What travels along `source[Failure]` when a node has failed and its retries are used up."""

    node: str
    error: str
    """The exception's text."""
    kind: str
    """The exception's class name."""
    input: Any = None
    """The message, or the ports' messages by name, that the node was given."""


class LimitReached(Message):
    """What travels along `source[LimitReached]` when a limited edge has used up its laps."""

    limit: str
    value: float
    message: Any = None
    """The last message: the one that would have gone round once more."""


def origin_of(kind: Type) -> Any:
    """`typing.get_origin`, typed so that its result can be compared with any special form."""
    return get_origin(kind)


UNION_ORIGINS = (Union, types.UnionType)
SEQUENCE_ORIGINS = (list, tuple, set, frozenset)


def arms(kind: Type) -> tuple[Type, ...]:
    """The members of a union type, flat and in order; a type that is no union is its own only arm."""
    if type(kind) is type:
        return (kind,)
    kind = plain(kind)
    if origin_of(kind) in UNION_ORIGINS:
        return tuple(arm for member in get_args(kind) for arm in arms(member))
    if kind is None:
        return (type(None),)
    return (kind,)


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
    """The `T` of `list[T]` (or tuple, set, ...), or None if the type is no sequence that can be mapped."""
    kind = plain(kind)
    origin = origin_of(kind)
    inner = get_args(kind)
    if kind in SEQUENCE_ORIGINS:
        return Any
    if not isinstance(origin, type) or issubclass(origin, dict) or not issubclass(origin, Iterable):
        return None
    if origin is tuple and not (len(inner) == 2 and inner[1] is Ellipsis):
        return None
    return inner[0] if inner else Any


def is_typed_dict(kind: Type) -> bool:
    """Whether a type is a `TypedDict`, of `typing` or `typing_extensions`: a dict that isinstance cannot ask for."""
    return isinstance(kind, type) and issubclass(kind, dict) and hasattr(kind, "__total__")


@lru_cache(maxsize=4096)
def accepts(port: Type, arm: Type) -> bool:
    """Whether every value of type `arm` is a value of type `port` (both as written in annotations)."""
    port, arm = plain(port), plain(arm)
    if port is Any or port is object or port == arm:
        return True
    if arm is Any:
        return True  # gradual typing (PEP 484): Any is checked where it arrives, not before
    sources = arms(arm)
    if len(sources) > 1:
        return all(accepts(port, source) for source in sources)
    targets = arms(port)
    if len(targets) > 1:
        return any(accepts(target, arm) for target in targets)
    return _accepts_one(targets[0], sources[0])


def _accepts_one(port: Type, arm: Type) -> bool:
    if origin_of(arm) is Literal:
        if origin_of(port) is Literal:
            return set(get_args(arm)) <= set(get_args(port))
        return all(isinstance(value, _runtime_class(port)) for value in get_args(arm))
    if origin_of(port) is Literal:
        return False
    port_class, arm_class = _runtime_class(port), _runtime_class(arm)
    if port_class is float and arm_class is int:
        return True  # the numeric tower of PEP 484
    try:
        if not issubclass(arm_class, port_class):
            return False
    except TypeError:  # a protocol that isinstance cannot ask
        return False
    return _accepts_arguments(port, arm)


def _accepts_arguments(port: Type, arm: Type) -> bool:
    wanted, given = get_args(port), get_args(arm)
    if not wanted:
        return True
    if not given:
        given = tuple(Any for _ in wanted)
    if origin_of(port) is tuple or origin_of(arm) is tuple:
        return _accepts_tuple(port, arm)
    return len(wanted) == len(given) and all(accepts(w, g) for w, g in zip(wanted, given, strict=True))


def _accepts_tuple(port: Type, arm: Type) -> bool:
    wanted, given = get_args(port), get_args(arm)
    if wanted[-1] is Ellipsis or origin_of(port) is not tuple:
        return all(accepts(wanted[0], g) for g in given if g is not Ellipsis)
    return len(wanted) == len(given) and given[-1] is not Ellipsis and all(map(accepts, wanted, given))


def _runtime_class(kind: Type) -> type:
    origin = origin_of(kind) or kind
    if isinstance(origin, type):
        return origin
    return object


def disjoint(one: Type, other: Type) -> bool:
    """Whether no value can be of both types: then at most one of two edges that carry them is taken."""
    for a in arms(one):
        for b in arms(other):
            if origin_of(a) is Literal and origin_of(b) is Literal:
                if set(get_args(a)) & set(get_args(b)):
                    return False
            elif accepts(a, b) or accepts(b, a):
                return False
    return True


def by_specificity(kinds: Sequence[Type]) -> list[int]:
    """The numbers of the arms of a union, each before those that are wider, else as they were written.

    A value of a class that two arms name (`Base | Derived`) is of the narrower one, however the union was written.
    """
    order: list[int] = []
    for number, kind in enumerate(kinds):
        place = next((i for i, other in enumerate(order) if is_wider(kinds[other], kind)), len(order))
        order.insert(place, number)
    return order


def is_wider(one: Type, other: Type) -> bool:
    """Whether every value of `other` is one of `one`, and not the other way round; what says `Any` is wide."""
    if not accepts(one, other):
        return False
    return not accepts(other, one) or _unsaid(one) > _unsaid(other)


def _unsaid(kind: Type) -> int:
    """How often a type says nothing about what it holds."""
    kind = plain(kind)
    if kind is Any or kind is object:
        return 1
    given = get_args(kind)
    if origin_of(kind) is Literal:
        return 0
    if not given:
        return {list: 1, set: 1, frozenset: 1, tuple: 1, dict: 2}.get(kind, 0)
    return sum(_unsaid(part) for part in given if part is not Ellipsis)


@lru_cache(maxsize=4096)
def matcher(kind: Type) -> Callable[[object], bool]:
    """A fast test whether a value is of that type, for choosing between the arms of a union at run time."""
    kind = plain(kind)
    if kind is Any or kind is object:
        return lambda value: True
    if isinstance(kind, type) and not get_args(kind) and not is_typed_dict(kind):
        if kind is float:
            return lambda value: isinstance(value, (float, int)) and not isinstance(value, bool)
        if kind is int:
            return lambda value: isinstance(value, int) and not isinstance(value, bool)
        return lambda value: isinstance(value, kind)
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
    if Any in kinds or object in kinds:
        return None, None
    first = kinds[0]
    expected = first if isinstance(first, type) and origin_of(first) is None and not is_typed_dict(first) else None
    tests = [matcher(member) for member in kinds]
    return expected, tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)


@lru_cache(maxsize=4096)
def adapter_of(kind: Type) -> TypeAdapter[Any]:
    """The pydantic adapter of a type, made once."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return TypeAdapter(kind)
    return (
        TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True))
        if _is_configurable(kind)
        else TypeAdapter(kind)
    )


def _is_configurable(kind: Type) -> bool:
    # pydantic refuses a config on types that carry their own (models, dataclasses, typed dicts).
    return not is_typed_dict(kind) and not (
        isinstance(kind, type) and (hasattr(kind, "__pydantic_config__") or hasattr(kind, "__dataclass_fields__"))
    )


def type_name(kind: Type, labels: Mapping[Any, str] | None = None) -> str:
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
    origin, inner = origin_of(kind), get_args(kind)
    if origin in UNION_ORIGINS:
        return " | ".join(type_name(member, labels) for member in inner)
    if origin is Literal:
        return " | ".join(repr(value) for value in inner)
    if origin is not None:
        name = getattr(origin, "__name__", str(origin))
        return f"{name}[{', '.join('...' if i is Ellipsis else type_name(i, labels) for i in inner)}]"
    if labels and kind in labels:
        return labels[kind]
    return getattr(kind, "__name__", None) or str(kind)


def to_text(message: object) -> str:
    """A message as a model or a terminal should read it: text as it is, everything else as JSON.

    Raises:
        IntegerTooLong: there is an integer of more than 4,300 digits in it.
    """
    if isinstance(message, str):
        return message
    from pydantic_core import to_json

    check_integers(message)
    return to_json(message, fallback=repr, serialize_unknown=True, inf_nan_mode="strings").decode()


def error_text(error: BaseException) -> str:
    """An exception's text; an exception whose own text cannot be had still has one."""
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__name__} without a text>"


def shortened(value: object, most: int = 120) -> str:
    """A value as an error text shows it; one whose own `repr` raises is named by its class."""
    try:
        shown = repr(value)
    except Exception:
        return f"<{type(value).__name__} without a repr>"
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."
