"""Guards in files: the same words, there and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphflow import END, START, Agent, Graph, Human
from graphflow.errors import FileUnreadable
from graphflow.security import (
    Expression,
    Guard,
    JsonShape,
    Language,
    Length,
    PersonalData,
    Similarity,
    Topic,
    checked,
    guarded,
)

GUARDS = [
    Length(2_000),
    Length(9, least=2),
    PersonalData(),
    PersonalData("email", "iban"),
    JsonShape(list[int]),
    Language("en", "de"),
    Language("en", shortest=5),
    Expression("text != 'it\\'s'"),
    Topic("orders", instead="poems", model="local:smollm2"),
    Similarity(["a b", "c"], most=0.5),
    Similarity(["a b"], least=-0.25),
]


def desk(*guards: object) -> Graph[str, str]:
    writer = checked(guarded(Agent("writer", input=str), before=list(guards), after=[Length(7)]))  # type: ignore[arg-type]
    return Graph("desk", START >> writer >> Human("anna") >> END)


@pytest.mark.parametrize("number", range(len(GUARDS)))
def test_a_guard_comes_back_from_a_file_as_it_was(number: int, tmp_path: Path) -> None:
    graph = desk(GUARDS[number])
    file = tmp_path / "desk.yaml"
    file.write_text(graph.to_yaml(), encoding="utf-8")
    again = Graph.from_yaml(str(file))
    assert again.nodes[0].before == (GUARDS[number],)
    assert again.nodes[0].after == (Length(7),)
    assert again.nodes[0].checks
    assert again.to_yaml() == graph.to_yaml()


def test_a_guard_may_be_a_function_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text("def polite(message: str) -> bool:\n    return True\n")
    file = tmp_path / "desk.yaml"
    file.write_text(
        "graph: desk\nuntrusted: warn\nnodes:\n"
        "  writer: {kind: agent, input: str, before: ['rules:polite', Length(5)]}\n"
        "edges: ['START >> writer >> END']\n"
    )
    graph = Graph.from_yaml(str(file))
    assert [guard.name for guard in graph.nodes[0].before] == ["polite", "length"]
    assert graph.on_untrusted == "warn"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Lenght(5)", "there is no guard 'Lenght'"),
        ("Length(open())", "is not a number, a text or a list"),
        ("Length", "is not a guard"),
        ("Length(1, least=3)", "most is at least as much as least"),
    ],
)
def test_what_is_no_guard_is_reported_with_its_place(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "desk.yaml"
    file.write_text(
        f"graph: desk\nnodes:\n  writer: {{kind: agent, input: str, before: ['{text}']}}\n"
        "edges: ['START >> writer >> END']\n"
    )
    with pytest.raises(FileUnreadable, match=words):
        Graph.from_yaml(str(file))


class Own(Guard):
    name = "own"


def test_a_guard_of_ones_own_class_is_not_left_out() -> None:
    with pytest.raises(FileUnreadable, match="of a class of your own"):
        desk(Own()).to_yaml()
