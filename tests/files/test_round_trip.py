"""Whatever a file can hold is there and back: in YAML as it is written, in JSON and TOML as the same data."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from graphflow import Graph
from graphflow.files import load_graph, read_graph
from graphflow.files.dump import plain_graph

WORDS = st.text("abcdefgh", min_size=1, max_size=6).filter(str.isidentifier)
PROSE = st.text(
    st.characters(
        codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"], exclude_characters="{}$"
    ),
    max_size=20,
)
NUMBERS = st.floats(0, 1).map(lambda number: round(number, 3))


@st.composite
def fields(draw: st.DrawFn, known: list[str]) -> Any:
    kind = draw(st.sampled_from(["str", "int", "float", "list[str]", "Literal['a', 'b']", *known]))
    entry: dict[str, Any] = {"type": kind}
    if kind == "int":
        entry["default"] = draw(st.integers(0, 9))
        entry["ge"] = draw(st.integers(-5, 0))
    if kind == "str":
        entry["min_length"] = draw(st.integers(0, 3))
    if draw(st.booleans()):
        entry["description"] = draw(PROSE.filter(bool))
    return entry if len(entry) > 1 else kind


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    """A chain of agents, waits and people, with messages of their own."""
    messages: dict[str, Any] = {}
    for name in draw(st.lists(WORDS, min_size=1, max_size=3, unique=True)):
        title = f"M{name}"
        names = draw(st.lists(WORDS, max_size=3, unique=True))
        messages[title] = {"fields": {f"x{each}": draw(fields(list(messages))) for each in names}}
    types = st.sampled_from(["str", *messages])
    nodes: dict[str, Any] = {}
    chain = [f"n{name}" for name in draw(st.lists(WORDS, min_size=1, max_size=4, unique=True))]
    takes = draw(types)
    for name in chain:
        answers = draw(types)
        kind = draw(st.sampled_from(["agent", "human", "wait", "receive"]))
        node: dict[str, Any] = {"kind": kind, "input": takes, "description": draw(PROSE)}
        if kind == "agent":
            node |= {"output": answers, "system": draw(PROSE), "temperature": draw(NUMBERS)}
            node |= {"stop": draw(st.lists(PROSE.filter(bool), max_size=2))}
        elif kind == "human":
            node["output"] = answers
        elif kind == "receive":
            node["type"] = answers
        else:
            node["seconds"] = draw(NUMBERS)
            answers = takes
        nodes[name] = node
        takes = answers
    return {
        "graph": draw(WORDS),
        "description": draw(
            st.sampled_from(["0E0", "1e3", "no", "010", "0o7", ".5", "~", "1:30", ""])
        ),
        "limits": {"steps": draw(st.integers(1, 99)), "seconds": draw(NUMBERS)},
        "messages": messages,
        "nodes": nodes,
        "edges": [" >> ".join(["START", *chain, "END"])],
    }


def toml(value: Any) -> str:
    """A value as TOML has it inline."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items())
        return f"{{ {pairs} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_a_graph_is_there_and_back_in_every_form(declared: dict[str, Any]) -> None:
    graph: Any = read_graph(declared, Graph)
    plain = plain_graph(graph)
    texts = {
        "yaml": graph.to_yaml(),
        "json": json.dumps(plain),
        "toml": "\n".join(f"{key} = {toml(value)}" for key, value in plain.items()),
    }
    assert yaml.safe_load(texts["yaml"]) == plain
    with tempfile.TemporaryDirectory() as folder:
        for ending, text in texts.items():
            file = Path(folder) / f"g.{ending}"
            file.write_text(text, encoding="utf-8")
            again: Any = load_graph(file, Graph)
            assert again == graph
            assert plain_graph(again) == plain
