"""What a node or a graph declares, as text that is the same for two objects that say the same.

Two modules loaded from one file have other functions, classes and addresses; their code, fields and values are equal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from functools import cached_property
from types import CodeType, FunctionType
from typing import get_args, get_origin

from pydantic import BaseModel

from graphflow.declaration.node import AnyNode, Node
from graphflow.declaration.options import NO_OPTIONS
from graphflow.messages.types import type_name
from graphflow.proofs.proven import AnyGraph
from graphflow.render.members import graph_within

MAX_DEPTH = 8
"""Values within values that are looked at."""
MAX_FIELD_DEPTH = 4
"""Values within values up to which a message class is compared field by field, and"""
MAX_NODE_DEPTH = 3
"""a node by all it declares."""
UNCOMPARED = ("where", "problems", "calls", "is_simple")
"""Attributes of a node that say nothing of their own: where it was declared, what is wrong with it, and what is compared by
name."""
MOSTLY_DEFAULTS = (
    *NO_OPTIONS,
    "description",
    "direct",
    "passes_input",
    "plain",
)
"""Attributes that only nodes have themselves for which they are not as usual."""
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")

NodeAttributes = dict[str, str]
"""What is declared, as text, by name."""


def facts_of(node: AnyNode, depth: int = 0) -> NodeAttributes:
    """What a node declares, or the graph that entering it walks.

    Args:
        node: the node.
        depth: how deep it stands in what is told: a node and what it holds may name each other.
    """
    callees: list[str] = []
    for callee in node.calls:
        name = callee if isinstance(callee, str) else callee.name
        callees.append(name)
    facts: NodeAttributes = {"calls": repr(callees)}
    inner = graph_within(node)
    if inner is None:
        facts |= _attribute_facts(node, depth)
    else:
        facts |= _graph_facts(inner)
    return facts


def _graph_facts(graph: AnyGraph) -> NodeAttributes:
    edges = [repr(declared.edge) for declared in graph.edges]
    nodes: list[object] = []
    for node in graph.nodes:
        facts = facts_of(node)
        by_name = sorted(facts.items())
        entry = (node.name, node.kind, by_name)
        nodes.append(entry)
    return {
        "edges": repr(edges),
        "nodes": repr(nodes),
        "model": text_of(graph.model),
        "limits": text_of(graph.limits),
        "description": graph.description,
    }


def _attribute_facts(node: AnyNode, depth: int) -> NodeAttributes:
    facts: NodeAttributes = {}
    for name in {**dict.fromkeys(MOSTLY_DEFAULTS), **vars(node)}:
        if name in UNCOMPARED or name.startswith("_"):
            continue
        value = getattr(node, name)
        # It is made of the function, which is compared itself.
        if name == "direct" and isinstance(value, FunctionType):
            continue
        facts[name] = text_of(value, depth)
    return facts


def text_of(value: object, depth: int = 0) -> str:
    """A value as text that is the same for two objects that say the same."""
    if depth > MAX_DEPTH:
        return "..."
    match value:
        case None | str() | int() | float() | bytes() | Enum():
            return repr(value)
        case Node():
            return _node_text(value, depth)
        case FunctionType():
            return _function_text(value, depth)
        case type():
            return _class_text(value, depth)
        case list() | tuple() | set() | frozenset() | Mapping():
            return _collection_text(value, depth)
        case BaseModel():
            kind = type(value)
            return f"{kind.__qualname__} {value!r}"
    origin = get_origin(value)
    if origin is not None:
        generic = text_of(origin, depth + 1)
        texts = _texts(get_args(value), depth)
        arguments = ", ".join(texts)
        return f"{generic}[{arguments}]"
    return _object_text(value, depth)


def _texts(values: object, depth: int) -> list[str]:
    assert isinstance(values, (list, tuple, set, frozenset))
    return [text_of(value, depth + 1) for value in values]


def _node_text(node: AnyNode, depth: int) -> str:
    text = f"{node.kind} {node.name}"
    if depth >= MAX_NODE_DEPTH:
        return text
    facts = facts_of(node, depth + 1)
    by_name = sorted(facts.items())
    return f"{text} {by_name}"


def _function_text(function: FunctionType, depth: int) -> str:
    deeper = depth + 1
    defaults = text_of(function.__defaults__, deeper)
    keyword_defaults = text_of(function.__kwdefaults__, deeper)
    code = _code_text(function.__code__)
    return f"{function.__qualname__} {code} {defaults} {keyword_defaults}"


def _code_text(code: CodeType) -> str:
    constants: list[str] = []
    for constant in code.co_consts:
        # A function within a function is a constant of it; its repr has an address.
        if isinstance(constant, CodeType):
            text = _code_text(constant)
        else:
            text = repr(constant)
        constants.append(text)
    instructions = code.co_code.hex()
    return f"{instructions} {code.co_names} {constants}"


def _class_text(value: type, depth: int) -> str:
    name = value.__qualname__
    if not issubclass(value, BaseModel) or depth >= MAX_FIELD_DEPTH:
        return name
    fields: dict[str, tuple[str, str]] = {}
    for field_name, field in value.model_fields.items():
        annotation = type_name(field.annotation)
        default = repr(field.default)
        fields[field_name] = (annotation, default)
    return f"{name} {fields}"


def _collection_text(values: object, depth: int) -> str:
    if isinstance(values, Mapping):
        deeper = depth + 1
        items: list[str] = []
        for key, value in values.items():
            key_text = text_of(key, deeper)
            value_text = text_of(value, deeper)
            items.append(f"{key_text}: {value_text}")
        inner = ", ".join(items)
        return f"{{{inner}}}"
    texts = _texts(values, depth)
    if isinstance(values, (set, frozenset)):
        # The order of a set is another one in each process.
        texts.sort()
        inner = ", ".join(texts)
        return f"{{{inner}}}"
    inner = ", ".join(texts)
    return f"[{inner}]"


def _object_text(value: object, depth: int) -> str:
    """An object of any other class: its attributes, or its repr without an address."""
    own = _declared_attributes(value)
    if own:
        text = text_of(own, depth + 1)
    else:
        with_address = repr(value)
        text = _ADDRESS.sub("", with_address)
    kind = type(value)
    return f"{kind.__qualname__} {text}"


def _declared_attributes(value: object) -> dict[str, object]:
    """What an object was made with, as far as its attributes tell."""
    attributes: dict[str, object] = {}
    attributes |= getattr(value, "__dict__", {})
    attributes |= _slot_values(value)
    own: dict[str, object] = {}
    shown: dict[str, object] = {}
    for name, attribute in attributes.items():
        # It is there only once somebody has asked for it.
        is_computed = isinstance(getattr(type(value), name, None), cached_property)
        if is_computed or name.startswith("__"):
            continue
        own[name] = attribute
        if not name.startswith("_"):
            shown[name] = attribute
    # Where an object shows what it was declared with, the rest is how it works: what a memory has opened since is not a change.
    return shown or own


def _slot_values(value: object) -> dict[str, object]:
    values: dict[str, object] = {}
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        # A class with one slot may give its name alone.
        if isinstance(slots, str):
            slots = (slots,)
        for name in slots:
            if hasattr(value, name):
                values[name] = getattr(value, name)
    return values
