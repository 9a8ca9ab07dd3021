"""The schema of graph files; the graphs that are shipped, as files; and that no option of a class is missing in files."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from graphflow import Graph, Handoff, Limits, Policy, Retry, State
from graphflow.compaction.policies import POLICIES
from graphflow.declaration.options import NodeOptions
from graphflow.files import load_graph
from graphflow.files.memories import MEMORY_KINDS
from graphflow.files.schema import graph_schema, schema_text
from graphflow.files.values import Either, Keys, ListOf
from graphflow.files.words import MEMORY, MODEL, STATE, graph_shape, limits, node_shape, options
from graphflow.keywords import keywords_of
from graphflow.project import load
from graphflow.providers import connect
from graphflow.providers.failover import Failover
from graphflow.providers.http import Timeouts
from graphflow.providers.retry import RetryPolicy

GRAPHS = Path(__file__).resolve().parents[2] / "graphs"
NAMES = sorted(file.stem for file in GRAPHS.glob("*.py"))
the_schema = cache(graph_schema)


@cache
def validator() -> Any:
    from jsonschema import (
        Draft202012Validator,  # takes seconds: not while tests are only being collected
    )

    return Draft202012Validator(the_schema())


def problems_of(declared: object) -> list[str]:
    return [error.message for error in validator().iter_errors(declared)]


def test_the_schema_is_one_of_the_draft_that_it_names() -> None:
    assert the_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    type(validator()).check_schema(the_schema())


def without_descriptions(schema: Any) -> Any:
    match schema:
        case dict():
            kept = {
                key: value
                for key, value in schema.items()
                if key != "description" or not isinstance(value, str)
            }
            return {key: without_descriptions(value) for key, value in kept.items()}
        case list():
            return [without_descriptions(each) for each in schema]
    return schema


def test_the_schema_that_is_shipped_is_up_to_date() -> None:
    shipped = json.loads((GRAPHS / "graph.schema.json").read_text(encoding="utf-8"))
    # What options are for is told by docstrings, which need not wait for the file.
    right = without_descriptions(json.loads(schema_text()))
    assert without_descriptions(shipped) == right, "graphflow schema -o graphs/graph.schema.json"


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_graph_is_there_as_a_file_that_is_equal_and_drawn_alike(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    file = GRAPHS / f"{name}.yaml"
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=graph.schema.json\n")
    assert problems_of(yaml.safe_load(text)) == []
    declared = load_graph(file, Graph)
    coded: Any = load(str(GRAPHS / f"{name}.py"))
    assert declared.to_yaml() == coded.to_yaml()
    if name != "companion":  # a memory is equal to nothing but itself
        assert declared == coded
    assert declared.to_dot() == coded.to_dot()
    assert declared.to_mermaid() == coded.to_mermaid()


@pytest.mark.parametrize("ending", ["json", "toml"])
def test_other_forms_name_the_schema_by_a_key(tmp_path: Path, ending: str) -> None:
    texts = {
        "json": '{"$schema": "x.json", "graph": "g", "edges": ["START >> w >> END"],'
        ' "nodes": {"w": {"kind": "wait", "seconds": 0, "input": "str"}}}',
        "toml": '"$schema" = "x.json"\ngraph = "g"\nnodes.w = {kind = "wait", seconds = 0, input = "str"}\nedges = ["START >> w >> END"]',
    }
    file = tmp_path / f"g.{ending}"
    file.write_text(texts[ending])
    assert load_graph(file, Graph).name == "g"


@pytest.mark.parametrize(
    "change",
    [
        {"graph": 3},
        {"modle": "x"},
        {"limits": {"depth": "deep"}},
        {"limits": {"dept": 3}},
        {"edges": "START >> a"},
        {"nodes": {"a": {"kind": "agnet"}}},
        {"nodes": {"a": {"kind": "agent", "promt": "x"}}},
        {"nodes": {"a": {"kind": "agent", "max_turns": 0}}},
        {"nodes": {"a": {"kind": "sub-agent", "target": {"kind": "agent", "promt": "x"}}}},
        {"nodes": {"a": 3}},
        {"model": {"name": "openai:x", "rpm": "soon"}},
        {"model": {"failover": ["openai:x", {"name": 3}]}},
        {"messages": {"A": {"fields": {"x": {"type": "str", "min": 3}}}}},
    ],
)
def test_what_a_file_may_not_hold_is_not_valid(change: dict[str, Any]) -> None:
    declared = {"graph": "g", "nodes": {"a": "steps:a"}, "edges": ["START >> a >> END"]}
    assert problems_of(declared) == []
    assert problems_of(declared | change) != []


def test_parts_that_are_included_are_valid_without_name_and_arrows() -> None:
    assert problems_of({"messages": {"A": {"fields": {"x": "str"}}}}) == []
    assert problems_of({"messages": {}, "model": "x"}) != []


# -- no option is forgotten ------------------------------------------------------------------------
def names(shape: object) -> set[str]:
    """The keys that a shape has."""
    match shape:
        case Keys(keys=keys):
            return set(keys)
        case Either(mapping=mapping) if mapping is not None:
            return names(mapping)
        case Either(listed=ListOf(item=item)) | ListOf(item=item):
            return names(item)
    raise AssertionError(shape)


def parameters(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self"}


def field_names(kind: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)}


NODE = options("x")
AGENT = node_shape("agent", "x").keys
WITHOUT_WORDS = {
    "on": "classes of errors have no name that a file could import",
    "check": "a policy's own code",
    "place": "who made it",
    "paths": "arrows are `edges`",
    "name": "the key of its entry, or `graph`",
    "pace": "an object that models share",
    "clock": "for tests",
    "route": "by classes of errors",
    "options": "stand beside the others",
    "model": "`name`",
    "models": "`failover`",
}
CLASSES: list[tuple[str, Iterable[str], Iterable[str]]] = [
    (
        "Graph",
        keywords_of(Graph.__init__, NodeOptions.__annotations__).named,
        graph_shape("x").keys,
    ),
    ("NodeOptions", NodeOptions.__annotations__, node_shape("human", "x").keys),
    ("Limits", Limits.__dataclass_fields__, limits("x").keys),
    ("Retry", field_names(Retry), names(NODE["retry"])),
    ("Policy", field_names(Policy), names(NODE["policy"])),
    ("Handoff", field_names(Handoff), names(AGENT["handoffs"])),
    ("State", parameters(State.__init__), STATE.keys),
    ("connect", parameters(connect), names(MODEL)),
    ("Failover", parameters(Failover.__init__), names(MODEL)),
    ("Timeouts", field_names(Timeouts), names(MODEL.mapping.keys["timeouts"])),  # type: ignore[union-attr]
    ("RetryPolicy", field_names(RetryPolicy), names(MODEL.mapping.keys["retry"])),  # type: ignore[union-attr]
    *((kind.__name__, parameters(kind.__init__), MEMORY.keys) for kind in MEMORY_KINDS.values()),
    *((kind.__name__, field_names(kind), names(AGENT["context"])) for kind in POLICIES.values()),
]


@pytest.mark.parametrize(("kind", "has", "words"), CLASSES, ids=[each[0] for each in CLASSES])
def test_every_option_of_a_class_has_its_word_in_files(
    kind: str, has: Iterable[str], words: Iterable[str]
) -> None:
    assert set(has) - set(words) - WITHOUT_WORDS.keys() == set(), f"files know nothing of {kind}"


def test_what_has_no_word_is_still_there() -> None:
    every = {name for _, has, _ in CLASSES for name in has}
    assert WITHOUT_WORDS.keys() - every - {"place", "paths"} == set()


def test_the_schema_and_the_checker_are_of_one_mind_about_every_kind() -> None:
    text = json.dumps(the_schema()["$defs"])
    definitions = json.loads(text)
    for kind in definitions.keys() - {"node", "model"}:
        properties = definitions[kind]["properties"]
        shape = node_shape(kind, "x")
        assert properties.keys() == {*shape.keys, *shape.renamed, "kind"}
