"""The arms of an output: what can be told apart in it, by its types and by its labels.

An output of `Approved | Rejected` has two arms, one of `Literal["yes", "no"]` has one arm with two labels, and so has an
enum. What stands in square brackets, `critic[Rejected]` or `router["yes"]`, picks from them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Literal, TypeGuard, get_args

from graphflow.messages.namesakes import Namesakes
from graphflow.messages.types import Type, accepts, arms, disjoint, origin_of, type_name
from graphflow.proofs.problems import Problem

Label = str | int | Enum


def is_label(arm: object) -> TypeGuard[Label]:
    """Whether what stands in square brackets is a label rather than a type."""
    if isinstance(arm, type):
        return False
    return isinstance(arm, (str, int, Enum))


def are_apart(one: Type, other: Type) -> bool:
    """Whether no output takes both of two labels or arms."""
    if is_label(one) and is_label(other):
        differ = one != other
        return bool(differ)
    return disjoint(one, other)


def is_enum(kind: Type) -> bool:
    """Whether a type is an enum, whose members are labels."""
    if not isinstance(kind, type):
        return False
    return issubclass(kind, Enum)


def labels_of(kinds: Iterable[Type]) -> list[Label]:
    """The labels among the arms of a type: those of literals first, then those of enums."""
    literals: list[Label] = []
    members: list[Label] = []
    for kind in kinds:
        if origin_of(kind) is Literal:
            literals += get_args(kind)
        elif is_enum(kind):
            members += kind
    return literals + members


def units_of(sent: Type, labels: bool) -> list[Type]:
    """The arms of an output, literals one by one; enum members one by one if edges name them (`labels`)."""
    units: list[Type] = []
    for kind in arms(sent):
        if origin_of(kind) is Literal:
            for value in get_args(kind):
                units.append(Literal[value])
        elif labels and is_enum(kind):
            for member in kind:
                units.append(Literal[member])
        else:
            units.append(kind)
    return units


def label_of(unit: Type) -> Label | None:
    """The label that a unit is, if it is one."""
    if origin_of(unit) is not Literal:
        return None
    label: Label | None = get_args(unit)[0]
    return label


def pick_arms(arm: Type, kinds: Sequence[Type]) -> tuple[Type, ...]:
    """The arms that a type in square brackets stands for; none if there is no such arm.

    A wider type stands for all arms within it, a narrower one for itself: `animal[Dog]` where `Animal` is sent.
    """
    matching: list[Type] = []
    for kind in kinds:
        # Every type accepts `Any`, which says nothing of what is sent.
        if kind is Any:
            continue
        if accepts(arm, kind):
            matching.append(kind)
    if matching:
        return tuple(matching)
    wanted = arms(arm)
    for each in wanted:
        if not any(accepts(kind, each) for kind in kinds):
            return ()
    return wanted


def no_such_arm(arm: Type, kinds: Sequence[Type]) -> Problem:
    """What is wrong with a type in square brackets that is not an arm."""
    apart = Namesakes(arm, *kinds)
    missing = apart.name(arm)
    names = map(apart.name, kinds)
    have = ", ".join(names)
    hint = apart.hint
    return Problem(f"it has no arm {missing}; its arms are {have}{hint}")


def no_such_label(label: Label, have: Sequence[Label]) -> Problem:
    """What is wrong with a label in square brackets that there is not."""
    if not have:
        return Problem(f"it has no label {label!r}; it has no labels at all")
    shown = ", ".join(map(repr, have))
    wanted = str(label)
    near = nearest(wanted, map(str, have))
    return Problem(f"it has no label {label!r}; its labels are {shown}{near}")


def kinds_text(kinds: Iterable[Type]) -> str:
    """Arms as people write a union."""
    names = map(type_name, kinds)
    return " | ".join(names)


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint at names that are near to one that does not exist."""
    once = dict.fromkeys(names)
    near = difflib.get_close_matches(name, list(once), n=2)
    if not near:
        return ""
    shown = " or ".join(map(repr, near))
    return f"; did you mean {shown}?"
