"""Guards in a file: one text each, as they are written in code, of which nothing is ever evaluated.

before: ["Length(2000)", "Language(en, de)", "checks:is_polite"]
after:  ["PersonalData()", "JsonShape('messages:Order')", "Expression('price <= 100')"]
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeAlias

from graphflow.declaration.guards import Guard
from graphflow.declaration.node import AnyNode
from graphflow.errors import FileUnreadable, PluginOptionsInvalid
from graphflow.files.addresses import address, type_text
from graphflow.files.expressions import read_expression
from graphflow.files.types import Types
from graphflow.plugins.factory import PluginFactory
from graphflow.plugins.making import making_of
from graphflow.plugins.seams import GUARDS as GUARD_SEAM
from graphflow.proofs.arms import nearest
from graphflow.security.expression import Expression
from graphflow.security.guarded_node import FunctionGuard, guarded
from graphflow.security.json_shape import JsonShape
from graphflow.security.language import SHORTEST, Language
from graphflow.security.length import Length
from graphflow.security.personal_data import KINDS, PersonalData
from graphflow.security.similarity import Similarity
from graphflow.security.topic import Topic

GuardValue: TypeAlias = object
GUARDS: Mapping[str, Callable[..., Guard]] = {
    kind.__name__: kind
    for kind in (Expression, JsonShape, Language, Length, PersonalData, Similarity, Topic)
}


class GuardReader:
    """Reads the guards of one file."""

    def __init__(self, types: Types) -> None:
        self._types = types

    def put_around(self, node: AnyNode, before: Sequence[str], after: Sequence[str]) -> AnyNode:
        """A node with the guards that its entry names."""
        if not before and not after:
            return node
        first = [self.read(text) for text in before]
        last = [self.read(text) for text in after]
        return guarded(node, before=first, after=last)

    def read(self, text: str) -> Guard:
        """The guard that a text is: a call as in code, or a function of the project, 'module:name'."""
        problems = self._types.problems
        tree = read_expression(text)
        if tree is None and ":" in text:
            function = self._types.names.function(text, "the guard")
            return FunctionGuard(function)
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
            raise problems.error(
                f"{text!r} is not a guard; write one as in Length(2000), or 'module:name'"
            )
        given = [self._value(part, text) for part in tree.args]
        options: dict[str, GuardValue] = {}
        for keyword in tree.keywords:
            if keyword.arg is None:
                raise problems.error(f"{text!r}: ** means nothing here")
            options[keyword.arg] = self._value(keyword.value, text)
        return self._made(tree.func.id, given, options)

    def _made(
        self, name: str, given: Sequence[GuardValue], options: Mapping[str, GuardValue]
    ) -> Guard:
        """The guard of that name: ours, or one that a plug-in brings."""
        make = GUARDS.get(name)
        if make is JsonShape:
            return JsonShape(*map(self._types.read, given))
        if make is not None:
            return make(*given, **options)
        plugged = GUARD_SEAM.find(name)
        if plugged is not None:
            return self._plugged(plugged, given, options)
        known = GUARD_SEAM.names()
        listed = ", ".join(known)
        near = nearest(name, known)
        raise self._types.problems.error(f"there is no guard {name!r}; there are {listed}{near}")

    def _plugged(
        self, factory: PluginFactory, given: Sequence[GuardValue], options: Mapping[str, GuardValue]
    ) -> Guard:
        try:
            return factory.make(Guard, *given, options=options)
        except PluginOptionsInvalid as error:  # a guard is one text, so it has one place
            raise self._types.problems.error(str(error)) from None

    def _value(self, part: ast.expr, text: str) -> GuardValue:
        match part:
            case ast.Constant(value=str() | int() | float() | None as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return -value
            case ast.Name(id=name):
                return name
            case ast.List(elts=members) | ast.Tuple(elts=members):
                return [self._value(each, text) for each in members]
        shown = ast.unparse(part)
        raise self._types.problems.error(
            f"{text!r}: {shown} is not a number, a text or a list; write one of these"
        )


def guard_text(guard: Guard) -> str:
    """A guard as a file has it.

    Raises:
        FileUnreadable: a file cannot name it.
    """
    making = making_of(guard, GUARD_SEAM.name)
    if making is not None:
        return _call(making.word, (), **making.options)
    write = _WRITERS.get(type(guard))
    if write is None:
        raise FileUnreadable(
            f"the guard {guard!r} is of a class of your own, which a file cannot hold; use a function"
        )
    return write(guard)


def _language(guard: Language) -> str:
    # Only what differs from the default, as everywhere in a file.
    shortest = None if guard.shortest == SHORTEST else guard.shortest
    return _call("Language", guard.languages, shortest=shortest)


def _personal_data(guard: PersonalData) -> str:
    # All kinds is what nothing in the brackets means: a file that lists them would miss those to come.
    kinds = () if guard.kinds == KINDS else guard.kinds
    return _call("PersonalData", kinds)


def _described(guard: Topic | Similarity) -> str:
    """A guard that asks others, with its options; a model or embedder must have a name."""
    options: dict[str, object] = {}
    for each in fields(guard):
        value = getattr(guard, each.name)
        if value is None or value == each.default:
            continue
        if each.name in ("model", "embedder") and not isinstance(value, str):
            raise FileUnreadable(
                f"the guard {guard.name!r} has a {each.name} object, which a file cannot name"
            )
        options[each.name] = list(value) if isinstance(value, tuple) else value
    return _call(type(guard).__name__, [], **options)


def _call(name: str, values: Sequence[object], **options: object) -> str:
    parts = [repr(value) for value in values]
    for option, value in options.items():
        if value is not None:
            parts.append(f"{option}={value!r}")
    inside = ", ".join(parts)
    return f"{name}({inside})"


# By the very class: what a class of the user's adds would be left out.
_WRITERS: Mapping[type[Guard], Callable[[Any], str]] = {
    FunctionGuard: lambda guard: address(guard.function),
    JsonShape: lambda guard: _call("JsonShape", [type_text(guard.type)]),
    PersonalData: _personal_data,
    Language: _language,
    Expression: lambda guard: _call("Expression", [guard.source]),
    Length: lambda guard: _call("Length", [guard.most], least=guard.least or None),
    Topic: _described,
    Similarity: _described,
}
