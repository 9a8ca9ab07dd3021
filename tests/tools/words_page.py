"""The reference of words in graph files, made of their schema when the site is built: `words.md`.

python -m tests.tools.words_page     # prints it
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from graphflow import Graph, connect
from graphflow.declaration.options import NodeOptions
from graphflow.files.schema import graph_schema
from graphflow.kinds.docstrings import read_docstring

HEAD = """\
# Words of graph files

Every word that a graph file may have, in YAML, JSON and TOML. The page to read first is [Graph files](../files.md). This one
is made of the schema by which files are checked (`graphflow schema` prints it), when the site is built.
"""
Schema = dict[str, Any]
"""A JSON Schema, which is as open as JSON itself."""
SAID_BY_THE_VALUE = (
    *("a text", "a number", "a whole number", "a positive number"),
    *("any value", "one of ", "true or false"),
)
"""How descriptions begin that say no more than what may stand there."""


def options_of_nodes() -> dict[str, str]:
    """What the options of every node do, by their names; their docstring has it as sentences."""
    told = " ".join(inspect.cleandoc(NodeOptions.__doc__ or "").split())
    found: dict[str, str] = {}
    for names, about in re.findall(r"((?:`\w+`(?:, )?)+): (.*?)(?= (?:`\w+`(?:, )?)+: |$)", told):
        for name in re.findall(r"\w+", names):
            found[name] = about
    return found


_, OF_GRAPHS = read_docstring(Graph)
PARTS = {
    "$schema": "where an editor finds the schema; it says nothing to graphflow.",
    "graph": "the graph's name.",
    "include": "files that bring messages, nodes, states, memories, arrows and claims.",
    "messages": "messages of fields, by name.",
    "memories": "memories by name; each brings its nodes.",
    "edges": "the arrows, as they are written in code.",
}
"""Words of which no class speaks."""
TOLD = OF_GRAPHS | options_of_nodes() | PARTS


def page() -> str:
    """The whole page."""
    schema = graph_schema()
    parts = [HEAD, _section("The file", schema["properties"])]
    kinds: dict[str, Schema] = {}
    for name, shape in schema["$defs"].items():
        for each in shape.get("anyOf", [shape]):
            if "properties" in each:
                kinds[name] = each["properties"]
    options = kinds.pop("model")
    shared = set.intersection(*(set(words) for words in kinds.values()))
    [first, *_] = kinds.values()
    parts.append(_section("A model with options", options, read_docstring(connect)[1]))
    parts.append(
        _section("A node of any kind", {word: first[word] for word in first if word in shared})
    )
    for name, words in kinds.items():
        own = {word: value for word, value in words.items() if word not in shared}
        parts.append(_section(f"kind: {name}", own))
    return "\n".join(parts)


def _section(title: str, words: Schema, told: Mapping[str, str] = TOLD) -> str:
    """The words of one mapping."""
    lines = [f"## {title}", "", "| word | value | what it says |", "|---|---|---|"]
    for word, value in words.items():
        about = _about(value) or told.get(word, "")
        lines.append(f"| `{word}` | {_cell(_value(value))} | {_cell(about)} |")
    return "\n".join([*lines, ""])


def _value(value: Schema) -> str:
    """What may stand behind a word."""
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[-1]
        return "a graph, as this file is one" if name == "#" else f"a {name}"
    if "anyOf" in value:
        ways = [_value(each) for each in value["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(ways))
    return _by_type(value)


def _by_type(value: Schema) -> str:
    """The same by its type alone."""
    kinds = value.get("type", "anything")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "array":
        return f"a list of {_many(_value(value.get('items', {})))}"
    if kind == "object" and "properties" in value:
        words = ", ".join(f"`{word}`" for word in value["properties"])
        return f"a mapping of {words}"
    if kind == "object":
        return "a mapping by name"
    if kind == "string" and value.get("pattern") == ":":
        return "`module:name`"
    names = {"string": "a text", "integer": "a whole number", "number": "a number"}
    return names.get(kind, "true or false" if kind == "boolean" else "anything")


def _many(value: str) -> str:
    """A value as the item of a list."""
    return {"a text": "texts", "`module:name`": "`module:name`", "a number": "numbers"}.get(
        value, f"items, each {value}"
    )


def _about(value: Schema) -> str:
    """What is said of a word, if it is more than what its value says."""
    told: str = value.get("description", "")
    return "" if told.startswith(SAID_BY_THE_VALUE) else told


def _cell(text: str) -> str:
    """A text as a cell of a table."""
    return " ".join(text.replace("|", r"\|").replace("<", "&lt;").split())


if __name__ == "__main__":
    print(page())
