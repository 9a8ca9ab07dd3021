"""The labels of a router, as types: `Literal["a", "b"]` or an enum, read and made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from functools import reduce
from operator import or_
from typing import Literal, TypeAlias, get_args

from graphflow.errors import DeclarationError
from graphflow.messages.types import Type, arms, origin_of

Labels: TypeAlias = Sequence[str] | Mapping[str, str]
"""Labels, or a description of each."""


def labels_in(kind: Type) -> list[str]:
    """The labels that a type consists of."""
    labels: list[str] = []
    for arm in arms(kind):
        if origin_of(arm) is Literal:
            labels += map(str, get_args(arm))
        elif _is_enum(arm):
            labels += [str(member.value) for member in arm]
    return labels


def is_labels(kind: Type) -> bool:
    """Whether a type consists of labels; None among them is a rule's way to abstain."""
    choices = [arm for arm in arms(kind) if arm is not type(None)]
    if not choices:
        return False
    return all(map(_is_label, choices))


def _is_label(arm: Type) -> bool:
    if origin_of(arm) is Literal:
        return bool(get_args(arm))
    return _is_enum(arm)


def _is_enum(arm: Type) -> bool:
    return isinstance(arm, type) and issubclass(arm, Enum)


def with_otherwise(kind: Type, otherwise: str | None) -> Type:
    """What a rule that may abstain chooses from, `otherwise` included."""
    choices = list(arms(kind))
    if type(None) not in choices or not is_labels(kind):
        return kind
    choices.remove(type(None))
    if otherwise is not None and otherwise not in labels_in(kind):
        choices.append(Literal[otherwise])
    chosen: Type = reduce(or_, choices)
    return chosen


def label_type(
    name: str,
    labels: Mapping[str, str],
    examples: Mapping[str, tuple[str, ...]],
    otherwise: str | None,
    least: int,
) -> Type:
    """The labels of a router without a rule, as a type.

    Raises:
        DeclarationError: there are fewer than `least`, or labels and examples do not belong together.
    """
    all_labels = dict.fromkeys([*labels, *examples])
    if otherwise:
        all_labels[otherwise] = None
    count = len(all_labels)
    if count < least:
        raise DeclarationError(
            f"router {name!r} has {count} labels; give it a rule, or at least two labels or examples"
        )
    if examples:
        _check_examples(name, labels, examples, otherwise)
    return Literal[tuple(all_labels)]


def _check_examples(
    name: str,
    labels: Mapping[str, str],
    examples: Mapping[str, tuple[str, ...]],
    otherwise: str | None,
) -> None:
    """Each label has examples, and each example a label; only `otherwise` is what is like none of them."""
    different: list[str] = []
    for label in examples:
        if labels and label not in labels:
            different.append(label)
    for label in labels:
        if label not in examples and label != otherwise:
            different.append(label)
    if different:
        listed = ", ".join(different)
        raise DeclarationError(
            f"router {name!r}: labels and examples differ ({listed}); give each label examples"
        )
    for label, texts in examples.items():
        if not texts:
            raise DeclarationError(
                f"router {name!r}: label {label!r} has no example; give it at least one text"
            )
