"""What an edge carries: the arms, labels and items of its source's output, and how that is told apart at run time."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Literal, get_args

from graphflow.declaration.arrows import Edge
from graphflow.declaration.node import Node
from graphflow.messages.message import Type, accepts, arms, disjoint, matcher, origin_of, type_name
from graphflow.messages.namesakes import Namesakes
from graphflow.proofs.topology import GraphEdge

Matcher = Callable[[Any], bool]


class Declared(GraphEdge):
    """One edge with what its types say."""

    __slots__ = ("arms", "carries", "collects", "edge", "exceptional", "whole")

    def __init__(self, index: int, edge: Edge, source: int, target: int, answer: Resolved) -> None:
        origin = edge.origin
        carries, port, collects, whole, exceptional = answer
        super().__init__(index, source, target, port, origin.each, origin.laps)
        self.edge = edge
        self.carries = carries
        """Arms of the source that go this way."""
        self.arms: frozenset[int] | None = None
        """Their numbers among the arms of the source; None where labels, or less than a whole arm, tell what goes."""
        self.collects = collects
        self.whole = whole
        """Whether everything the source sends goes this way."""
        self.exceptional = exceptional
        """Whether this is an edge for `Failure` or `LimitReached`."""


Resolved = tuple[tuple[Type, ...], int, bool, bool, bool]
"""What types say of an edge: the arms it carries, port, whether it collects, whether it carries all, whether exceptional."""


def travels(node: Node[Any, Any]) -> Type:
    """What goes on from a router by labels: the type of its own input."""
    return node.ports[0].type if node.ports else Any


def is_label(arm: Any) -> bool:
    """Whether what stands in square brackets is a label rather than a type."""
    return isinstance(arm, (str, int, Enum)) and not isinstance(arm, type)


def labels_apart(one: Any, other: Any) -> bool:
    """Whether no output takes both of two labels or arms."""
    if is_label(one) and is_label(other):
        return bool(one != other)
    return disjoint(one, other)


def choose(arm: Any, kinds: tuple[Type, ...], sent: Type) -> tuple[Type, ...] | str:
    """The arms of a type that a label or type in square brackets stands for, or what is wrong with it."""
    if is_label(arm):
        have = [value for kind in kinds if origin_of(kind) is Literal for value in get_args(kind)]
        have += [member for kind in kinds if isinstance(kind, type) and issubclass(kind, Enum) for member in kind]
        if arm in have:
            return (Literal[arm],)
        if Any in kinds:
            return (Any,)
        labels = ", ".join(repr(v) for v in have)
        near = nearest(str(arm), {str(v): v for v in have})
        return f"it has no label {arm!r}" + (
            f"; its labels are {labels}{near}" if have else "; it has no labels at all"
        )
    wanted = arms(arm)
    chosen = tuple(k for k in kinds if k is not Any and accepts(arm, k))
    if chosen:
        return chosen
    if all(any(accepts(k, w) for k in kinds) for w in wanted):
        return wanted
    apart = Namesakes(arm, *kinds)
    return f"it has no arm {apart.name(arm)}; its arms are {', '.join(apart.name(k) for k in kinds)}{apart.hint}"


def units(sent: Type, labels: bool) -> list[Type]:
    """The arms of an output, literals one by one, enum members one by one if edges name them."""
    units: list[Type] = []
    for kind in arms(sent):
        if origin_of(kind) is Literal:
            units += [Literal[value] for value in get_args(kind)]
        elif labels and isinstance(kind, type) and issubclass(kind, Enum):
            units += [Literal[member] for member in kind]
        else:
            units.append(kind)
    return units


def covers(declared: Declared, unit: Type, passes: bool) -> bool:
    """Whether an edge takes one arm of an output, its guards aside."""
    arm = declared.edge.origin.arm
    if arm is None:
        if declared.edge.origin.each or passes:
            return True
        return any(accepts(kind, unit) for kind in declared.carries)
    if is_label(arm):
        return unit is Any or (origin_of(unit) is Literal and arm in get_args(unit))
    if declared.edge.origin.each or passes or declared.arms is None:
        return accepts(arm, unit)
    return any(accepts(kind, unit) for kind in declared.carries) and accepts(arm, unit)


def named_arms(declared: Declared, kinds: Sequence[Type]) -> list[Type]:
    """The arms that an edge names exactly, in square brackets."""
    arm = declared.edge.origin.arm
    if arm is None or declared.exceptional or is_label(arm):
        return []
    return [kind for kind in arms(arm) if kind in kinds]


def arm_numbers(declared: Declared, kinds: Sequence[Type], elsewhere: Sequence[Type]) -> frozenset[int] | None:
    """Which of a source's arms go along an edge whole, those aside that other edges name; None if that is not the question."""
    origin = declared.edge.origin
    arm = origin.arm
    if declared.exceptional or is_label(arm) or Any in kinds:
        return None
    if arm is not None:
        own = named_arms(declared, kinds)
        taken = [k in own or (accepts(arm, k) and k not in elsewhere) for k in kinds]
    elif declared.whole:
        taken = [True for _ in kinds]
    else:
        taken = [k in declared.carries for k in kinds]
    return frozenset(number for number, takes in enumerate(taken) if takes) or None


def kinds_text(kinds: Sequence[Type]) -> str:
    """Arms as people write a union."""
    return " | ".join(type_name(kind) for kind in kinds)


def nearest(name: str, names: Mapping[str, Any]) -> str:
    """A hint at names that are near to one that does not exist."""
    near = difflib.get_close_matches(name, list(names), n=2)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def link_units(declared: Declared, units: Sequence[Type]) -> tuple[frozenset[int] | None, Matcher | None]:
    """Which arms of the output go this way (None: all), and a test for what is narrower than an arm (None: none is needed)."""
    arm = declared.edge.origin.arm
    if declared.exceptional or (arm is None and declared.whole):
        return None, None
    if is_label(arm):
        return None, lambda value: bool(value == arm)
    if declared.arms is not None:
        return declared.arms, None
    wanted = declared.carries if arm is None else arms(arm)
    whole = {i for i, unit in enumerate(units) if unit is not Any and any(accepts(kind, unit) for kind in wanted)}
    if whole:
        return frozenset(whole), None
    tests = [matcher(kind) for kind in wanted]
    return None, tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)
