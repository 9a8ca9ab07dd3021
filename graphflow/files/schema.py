"""What may stand in a graph's file, as JSON Schema (draft 2020-12): editors complete and check files by it.

    # yaml-language-server: $schema=graph.schema.json         the first line of a YAML file
    "$schema": "graph.schema.json"                            a key of a JSON file, or of a TOML file: "$schema" = "..."

It is made of the same shapes that files are checked by (`words.py`), so neither knows an option that the other does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TypeAlias

from graphflow.files.includes import LISTS, MAPPINGS
from graphflow.files.specs import ENTRIES
from graphflow.files.values import Either, Keys, ListOf, MappingOf, Plain, ValueShape
from graphflow.files.words import KINDS, MODEL, graph_shape, node_shape, shared_shapes
from graphflow.kinds.docstrings import read_docstring

JsonSchema: TypeAlias = dict[str, object]
_SHARED = re.compile(r"\s+retry, [a-z_, ]+:.*$", re.DOTALL)
"""How the last paragraph of a class's options begins: those that every node has are described together."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"
MODEL_REF: Mapping[str, object] = {"$ref": "#/$defs/model"}
NODE_REF: Mapping[str, object] = {"$ref": "#/$defs/node"}
NODES: Mapping[str, object] = {
    "description": "the nodes by name: 'module:name', or a mapping with a kind",
    "type": ["object", "null"],
    "additionalProperties": NODE_REF,
}


def schema_text(schema: JsonSchema | None = None) -> str:
    """The schema as it stands in a file.

    Args:
        schema: which; None: that of graphflow alone.
    """
    whole = graph_schema() if schema is None else schema
    return json.dumps(whole, indent=1, ensure_ascii=False)


def node_words() -> JsonSchema:
    """The properties that nodes of every kind have."""
    shape = Keys("a node", shared_shapes("node"))
    properties = _keys(shape, {})["properties"]
    assert isinstance(properties, dict)
    return properties


def graph_schema() -> JsonSchema:
    """The schema of a file that declares a graph, or parts that other files include."""
    graph = _keys(graph_shape("graph"), {})
    properties = graph["properties"]
    assert isinstance(properties, dict)
    # The shape of a graph leaves nodes to their kinds.
    properties["nodes"] = dict(NODES)
    parts = [*MAPPINGS, *LISTS, "include"]
    # A graph has its name and arrows. What is included has neither name nor options.
    whole: JsonSchema = {"required": ["graph", "edges"]}
    part: JsonSchema = {"propertyNames": {"enum": ["$schema", *parts]}}
    return {
        "$schema": DIALECT,
        "title": "A graph of graphflow",
        **graph,
        "anyOf": [whole, part],
        "$defs": _definitions(),
    }


def _definitions() -> JsonSchema:
    """The schemas of nodes, by kind."""
    named: JsonSchema = {"type": "string", "pattern": ":"}
    alternatives: list[object] = [named]
    definitions: JsonSchema = {"node": {"anyOf": alternatives}, "model": _model()}
    for kind in KINDS:
        declared = _keys(node_shape(kind, "node"), _words_of(kind))
        properties = declared["properties"]
        assert isinstance(properties, dict)
        properties["kind"] = {"const": kind}
        if kind == "sub-agent":
            properties["target"] = {"anyOf": [{"type": "string", "pattern": "\\S"}, NODE_REF]}
        declared["required"] = ["kind"]
        if kind == "graph":
            properties["nodes"] = dict(NODES)
            declared["required"] = ["kind", "edges"]
        definitions[kind] = declared
        alternatives.append({"$ref": f"#/$defs/{kind}"})
    return definitions


def _model() -> JsonSchema:
    """A model, which several to fall back on consist of."""
    shape = MODEL.mapping
    assert isinstance(shape, Keys)
    assert MODEL.plain is not None
    options = _keys(shape, {})
    properties = options["properties"]
    assert isinstance(properties, dict)
    properties["failover"] = {"type": "array", "items": MODEL_REF}
    return {"anyOf": [_schema(MODEL.plain), options]}


def _schema(shape: ValueShape) -> JsonSchema:
    if shape is MODEL:
        return dict(MODEL_REF)
    match shape:
        case Plain():
            return dict(shape.schema)
        case ListOf():
            return _list(shape)
        case MappingOf():
            return {"type": "object", "additionalProperties": _schema(shape.value)}
        case Keys():
            return _keys(shape, {})
    return _either(shape)


def _list(shape: ListOf) -> JsonSchema:
    item = _schema(shape.item)
    listed: JsonSchema = {"type": "array", "items": item}
    if shape.alone:
        return {"anyOf": [item, listed]}
    return listed


def _either(shape: Either) -> JsonSchema:
    parts = (shape.plain, shape.listed, shape.mapping)
    return {"anyOf": [_schema(part) for part in parts if part is not None]}


def _keys(shape: Keys, words: Mapping[str, str]) -> JsonSchema:
    properties: dict[str, JsonSchema] = {}
    for key, value in shape.keys.items():
        # What the class says of its option, else what may stand there.
        described: JsonSchema = {}
        text = words.get(key) or _words(value)
        if text:
            described["description"] = text
        properties[key] = described | _schema(value)
    # Editors strike them through.
    for old, new in shape.renamed.items():
        properties[old] = {"deprecated": True, **properties[new]}
    schema: JsonSchema = {"type": "object", "properties": properties}
    # Of a model, a third party's provider may take whatever it likes.
    if not shape.is_open:
        schema["additionalProperties"] = False
    return schema


def _words(shape: ValueShape) -> str:
    if isinstance(shape, Plain):
        return shape.words
    return ""


def _words_of(kind: str) -> Mapping[str, str]:
    """What the class of a kind says of its options."""
    for made, entry in ENTRIES.items():
        if entry.kind == kind:
            _, words = read_docstring(made)
            return {key: _SHARED.sub("", text) for key, text in words.items()}
    return {}
