"""What may stand behind a keyword: looked at in one place for every kind of node and everything that tunes one.

Here is only what kind of value it is. Whether a number is too small, or two options contradict each other, is looked at by whoever
has the option. A new keyword of a kind of node gets a line in `SHAPES`, or in `OF_KIND` if the word means something else elsewhere;
its bounds are checked by the kind, and in files by `files/words.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from math import isnan
from types import GenericAlias, UnionType
from typing import Any, NamedTuple, NewType, TypeGuard, TypeVar, get_origin

from graphflow.errors import DeclarationError


class ValueKind(NamedTuple):
    """A kind of value."""

    words: str
    fits: Callable[[object], bool]
    meant: Callable[[object], str] | None = None
    """What was probably meant by a value that does not fit; empty if nothing is known."""


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_list(value: object) -> TypeGuard[Collection[object]]:
    return isinstance(value, Collection) and not isinstance(value, _NO_LISTS)


_NO_LISTS = (str, bytes, bytearray, Mapping, type)
"""Collections that nobody means by a list."""


def _are_texts(value: object) -> bool:
    return _is_list(value) and all(map(_is_text, value))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    # NaN is refused: no comparison with it is true, so no limit would hold.
    if isinstance(value, float):
        return not isnan(value)
    return _is_whole(value)


def _is_path(value: object) -> bool:
    return isinstance(value, (str, os.PathLike))


def _are_paths(value: object) -> bool:
    return _is_list(value) and all(map(_is_path, value))


def _is_type(value: object) -> bool:
    """Whether a value can be an annotation of a message."""
    if value is Any or isinstance(value, _TYPES):
        return True
    if get_origin(value) is not None:
        return True
    # By name: the class of `type X = ...` is not there before Python 3.12, that of `Any` and its kin is private.
    return type(value).__name__ in ("TypeAliasType", "_SpecialForm")


_TYPES = (type, UnionType, GenericAlias, NewType, TypeVar)


def _is_by_name(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping) and all(map(_is_text, value))


def _are_texts_by_name(value: object) -> bool:
    return _is_by_name(value) and all(map(_is_text, value.values()))


def _are_lists_by_name(value: object) -> bool:
    return _is_by_name(value) and all(map(_are_texts, value.values()))


def _is_text_or_texts(value: object) -> bool:
    return _is_text(value) or _are_texts(value)


def _is_place(value: object) -> bool:
    return _is_text(value) or _is_list(value)


def _are_labels(value: object) -> bool:
    return _are_texts(value) or _are_texts_by_name(value)


def _is_pair(value: object) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2


def _are_pairs(value: object) -> bool:
    return _is_list(value) and all(map(_is_pair, value))


def _is_error_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)


def _are_error_classes(value: object) -> bool:
    return isinstance(value, tuple) and all(map(_is_error_class, value))


def _instead_of_rule(value: object) -> str:
    """Others give the labels, or the model, in the place of the rule."""
    if isinstance(value, str):
        return "a model is given as model=..."
    if isinstance(value, Mapping):
        return _instead_of_mapping(value)
    if _is_list(value):
        return "labels are given as labels=[...]"
    return ""


def _instead_of_mapping(value: Mapping[object, object]) -> str:
    behind = list(value.values())
    if behind and all(map(callable, behind)):
        return "tests of the message by label are given as guards={...}"
    if behind and all(map(_is_list, behind)):
        return "texts by label are given as examples={...}"
    return "labels are given as labels={...}"


def _instead_of_type(value: object) -> str:
    if isinstance(value, str):
        name = value if value.isidentifier() else "the type"
        return f"write {name} without quotes"
    if isinstance(value, dict):
        return "declare a pydantic model for a schema"
    if isinstance(value, list) and len(value) == 1:
        item = getattr(value[0], "__name__", "T")
        return f"write list[{item}]"
    return ""


TEXT = ValueKind("a text", _is_text)
NODES = ValueKind("a list of nodes", _is_list)
WHOLE = ValueKind("a whole number", _is_whole)
NUMBER = ValueKind("a number", _is_number)
TRUTH = ValueKind("True or False", lambda value: isinstance(value, bool))
PATH = ValueKind("a path", _is_path)
TYPE = ValueKind("a type", _is_type, _instead_of_type)
TEXTS = ValueKind("a list of texts", _are_texts)
PATHS = ValueKind("a list of paths", _are_paths)
TEXT_OR_TEXTS = ValueKind("a text, or a list of texts", _is_text_or_texts)
PLACE = ValueKind("an address, or a command as a list of texts", _is_place)
BY_NAME = ValueKind("a mapping by name", _is_by_name)
TEXTS_BY_NAME = ValueKind("a mapping of texts", _are_texts_by_name)
LABELS = ValueKind("a list of labels, or a mapping of a description to each", _are_labels)
RULE = ValueKind("a function of the message", callable, _instead_of_rule)
EXAMPLES = ValueKind("a list of pairs (message, answer)", _are_pairs)
EXAMPLES_BY_LABEL = ValueKind("a mapping of a list of texts to each label", _are_lists_by_name)
FUNCTION = ValueKind("a function", callable)
ERRORS = ValueKind("classes of exceptions, in a tuple", _are_error_classes)


def _by_keyword(table: Mapping[ValueKind, str]) -> dict[str, ValueKind]:
    """A table of keywords by their shapes, turned around."""
    shapes: dict[str, ValueKind] = {}
    for shape, keywords in table.items():
        for keyword in keywords.split():
            shapes[keyword] = shape
    return shapes


SHAPES = _by_keyword(
    {
        TEXT: "description prompt prefix otherwise token isolation remembers",
        NODES: "tools sub_agents handoffs mcp recalls calls cascade",
        WHOLE: "max_turns max_parallel_calls max_open repairs",
        TRUTH: "explain probabilities background concurrency_safe trust_hints handshake",
        PATH: "prompt_file cwd",
        TYPE: "input output",
        TEXTS: "include exclude back_to",
        TEXT_OR_TEXTS: "stop effects",
        NUMBER: "threshold connect_s idle_s",
        TEXTS_BY_NAME: "env headers",
        BY_NAME: "extra guards",
        PLACE: "at",
        LABELS: "labels",
        RULE: "rule",
        FUNCTION: "ask",
    }
)
"""By keyword."""

OF_KIND: Mapping[str, Mapping[str, ValueKind]] = {
    "agent": {"examples": EXAMPLES},
    "router": {"examples": EXAMPLES_BY_LABEL},
    "graph": {"deps": TYPE},
    "Retry": _by_keyword(
        {WHOLE: "attempts", ERRORS: "on", NUMBER: "wait_s factor max_wait_s jitter"}
    ),
    "Policy": _by_keyword(
        {TEXTS: "allow deny effects hosts", PATHS: "paths write_paths", FUNCTION: "check"}
    ),
    "Handoff": _by_keyword({TRUTH: "conversation", WHOLE: "laps"}),
}
"""Where a keyword means something else, or is nobody else's."""

HIDDEN = ("token", "headers", "env")
"""What may hold a secret is not shown."""

MAX_SHOWN = 120
"""Characters of a wrong value that are shown."""


def check_values(whose: str, kind: str, given: Iterable[tuple[str, object]]) -> None:
    """Refuses values of the wrong kind. None is left to whoever has the option.

    Raises:
        DeclarationError: there is one; the text says what can stand there.
    """
    # Before the shared ones: `examples` of a router are not those of an agent.
    own = OF_KIND.get(kind, {})
    for name, value in given:
        shape = own.get(name) or SHAPES.get(name)
        if shape is None or value is None or shape.fits(value):
            continue
        shown = _shown(name, value)
        advice = f"give {shape.words}"
        meant = shape.meant(value) if shape.meant is not None else ""
        if meant:
            advice += f" ({meant})"
        raise DeclarationError(f"{whose}: {name}={shown}; {advice}")


def _shown(name: str, value: object) -> str:
    """What an error shows of the value of a keyword."""
    kind = type(value).__name__
    if name in HIDDEN:  # a wrong value of `token` is a token all the same
        return kind
    try:
        shown = repr(value)
    except Exception:  # of a class of the user's
        return f"<{kind} without a repr>"
    if len(shown) <= MAX_SHOWN:
        return shown
    return f"{shown[: MAX_SHOWN - 3]}..."
