"""The JSON Schema of graph files with the words of plug-ins that are installed: kinds, context policies, memories, policies.

It is for the editors of one machine: what it has depends on what is installed, and each plug-in is loaded for its options.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeAlias
from warnings import catch_warnings, simplefilter

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic.json_schema import PydanticJsonSchemaWarning

from graphflow.errors import PluginError
from graphflow.files.schema import MODEL_REF, JsonSchema, graph_schema, node_words
from graphflow.files.words import CALLEE_KEYS
from graphflow.plugins.factory import PluginFactory
from graphflow.plugins.options import PluginOption
from graphflow.plugins.registry import Seam
from graphflow.plugins.seams import CONTEXTS, KINDS, MEMORIES, POLICIES

_NAME: JsonSchema = {"type": "string", "pattern": "\\S"}
_NAMES: JsonSchema = {"type": "array", "items": _NAME}
COMMON: Mapping[str, object] = {
    "model": MODEL_REF,
    **dict.fromkeys(("input", "output", "type"), _NAME),
    **dict.fromkeys(CALLEE_KEYS, _NAMES),
}
"""Options that are read of names, whichever kind has them."""
AROUND = ("before", "after", "checked")
"""Words that need nothing of a node: they stand around it."""
NO_WORDS: Mapping[str, object] = {}
SchemaPart: TypeAlias = Any
"""A part of a JSON Schema: a mapping, a list or a plain value. Any: it is read and changed by its keys."""


def plugged_schema() -> JsonSchema:
    """The schema of graph files, with what plug-ins bring. One that cannot be used is left out."""
    schema: SchemaPart = graph_schema()
    definitions = schema["$defs"]
    # Words that mean the same wherever they stand.
    common = {**COMMON, **node_words()}
    for factory in _factories(KINDS):
        entry = _entry(factory, "kind", definitions, common)
        for word in AROUND:
            entry["properties"][word] = common[word]
        definitions[factory.word] = entry
        definitions["node"]["anyOf"].append({"$ref": f"#/$defs/{factory.word}"})
    contexts = definitions["agent"]["properties"]["context"]["anyOf"]
    contexts += _forms(CONTEXTS, definitions)
    memories = schema["properties"]["memories"]["anyOf"]
    for declared in memories:
        if "additionalProperties" in declared:
            ours = declared["additionalProperties"]
            plugged = [_entry(each, "kind", definitions) for each in _factories(MEMORIES)]
            declared["additionalProperties"] = {"anyOf": [ours, *plugged]}
    policies = [*_forms(POLICIES, definitions)]
    for described in (schema, *definitions.values()):
        policy = described.get("properties", {}).get("policy")
        if policy is not None and "anyOf" in policy:
            policy["anyOf"] = [*policy["anyOf"], *policies]
    return dict(schema)


def _factories(seam: Seam) -> Iterator[PluginFactory]:
    for word in seam.plugged():
        with suppress(PluginError):  # `graphflow plugins` says why
            factory = seam.find(word)
            if factory is not None:
                yield factory


def _forms(seam: Seam, definitions: SchemaPart) -> Iterator[JsonSchema]:
    """What stands for a policy: its word alone, or with options."""
    for factory in _factories(seam):
        yield {"const": factory.word}
        yield _entry(factory, "policy", definitions)


def _entry(
    factory: PluginFactory,
    key: str,
    definitions: SchemaPart,
    common: Mapping[str, object] = NO_WORDS,
) -> SchemaPart:
    """The schema of a mapping with the word of a plug-in under a key, and its options beside it.

    Args:
        factory: what the plug-in brings.
        key: under which its word stands.
        definitions: those of the schema; what options are made of is added.
        common: options that are known by their words.
    """
    properties: dict[str, object] = {key: {"const": factory.word}}
    needed = [key]
    for name, option in factory.table.options.items():
        if name in common:
            properties[name] = common[name]
        else:
            properties[name] = _option(factory.word, option, definitions)
        if option.is_needed:
            needed.append(name)
    entry: JsonSchema = {"type": "object", "properties": properties, "required": needed}
    if not factory.table.is_open:
        entry["additionalProperties"] = False
    return entry


def _option(word: str, option: PluginOption, definitions: SchemaPart) -> Mapping[str, object]:
    """The schema of one option; whatever it names goes to the definitions."""
    try:
        adapter: TypeAdapter[object] = TypeAdapter(option.type)
        with catch_warnings():
            # Of a default that is not JSON; here no defaults are told.
            simplefilter("ignore", PydanticJsonSchemaWarning)
            schema = adapter.json_schema(ref_template=f"#/$defs/{word}.{{model}}")
    except (PydanticUserError, NameError, TypeError):  # an object, which no file can hold
        return {}
    for name, described in schema.pop("$defs", {}).items():
        definitions[f"{word}.{name}"] = described
    return schema
