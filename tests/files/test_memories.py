"""Memories in files: declared in a few words, written back in the same, and wrong ones are named with their line."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from graphflow import END, START, Agent, Graph
from graphflow.errors import FileUnreadable
from graphflow.memory import BufferMemory, FactMemory, KeptMemory, NoteMemory, SemanticMemory
from graphflow.memory.notes_in_memory import NotesInMemory
from graphflow.testing import FakeEmbedder, ScriptedModel, calls, says

DIARY = """
graph: diary
memories:
  notes:   {kind: notes, at: notes.md, source: diary, on_error: skip}
  profile: {kind: facts, limit: 1}
nodes:
  helper:
    kind: agent
    input: graphflow.memory:Remembered
    prompt: "{{ note.text }}"
    recalls: [recall_notes]
    tools: [remember_profile, recall_profile]
edges:
  - START >> remember_notes >> helper >> END
"""


def read(text: str, folder: Path) -> Graph[Any, Any]:
    file = folder / "graph.yaml"
    file.write_text(text, encoding="utf-8")
    return Graph.from_yaml(str(file), root=str(folder))


def test_a_file_declares_memories_and_names_their_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    graph = read(DIARY, tmp_path)
    model = ScriptedModel(
        calls("remember_profile", text="Her cat is called Miso.", key="cat"),
        calls("recall_profile", query="cat"),
        says("Noted."),
    )
    run = asyncio.run(graph.run("The cat is called Miso.", model=model))
    assert run.output == "Noted."
    assert "(diary)" not in (tmp_path / "notes.md").read_text()
    assert '"source": "diary"' in (tmp_path / "notes.md").read_text()
    assert "- The cat is called Miso." in model.requests[0].turns[-1].text
    assert '"text":"Her cat is called Miso."' in model.requests[2].turns[-1].results[0].text
    assert graph.to_yaml() == read(graph.to_yaml(), tmp_path).to_yaml()


MEMORIES: list[tuple[KeptMemory, str]] = [
    (NoteMemory("a"), "a: {kind: notes}"),
    (NoteMemory(at="x.md", scope="team"), "'': {kind: notes, at: x.md, scope: team}"),
    (FactMemory("a", limit=7, max_age_s=60.0), "a: {kind: facts, max_age_s: 60.0, limit: 7}"),
    (BufferMemory("a", last=4), "a: {kind: buffer, last: 4}"),
    (BufferMemory("a", last=4, limit=2), "a: {kind: buffer, last: 4, limit: 2}"),
    (
        SemanticMemory("a", at="x.db", key="env:K", embedder="local:use", max_notes=9),
        "a: {kind: semantic, at: x.db, key: 'env:K', max_notes: 9, embedder: local:use}",
    ),
    (
        NoteMemory("a", on_error="skip", timeout_s=2),
        "a: {kind: notes, on_error: skip, timeout_s: 2.0}",
    ),
]


@pytest.mark.parametrize(("memory", "words"), MEMORIES)
def test_what_is_written_is_read_back(memory: KeptMemory, words: str, tmp_path: Path) -> None:
    graph = Graph("g", START >> memory.recall_node >> END)
    text = graph.to_yaml()
    again = read(text, tmp_path)
    assert again.to_yaml() == text
    by_hand = (
        f"graph: g\nmemories:\n  {words}\nedges: [START >> {memory.recall_node.name} >> END]\n"
    )
    assert read(by_hand, tmp_path).to_yaml() == text


def test_only_what_differs_from_the_defaults_is_written() -> None:
    agent = Agent("a", recalls=[NoteMemory().recall_node])
    text = Graph("g", START >> agent >> END).to_yaml()
    assert "memories:\n  ? ''\n  : kind: notes\nnodes:" in text


class Mine(NoteMemory):
    """A memory of one's own."""


@pytest.mark.parametrize(
    ("memory", "says_why"),
    [
        (NoteMemory("a", scope=lambda ctx: "x"), "a function as its scope"),
        (NoteMemory("a", at="x.db", key=bytes(range(32))), "a key, which a file must not hold"),
        (Mine("a"), "stands in no module under its own name"),
        (NoteMemory("a", at=NotesInMemory()), "which a file cannot name"),
        (SemanticMemory("a", embedder=FakeEmbedder(8)), "an embedder object"),
    ],
)
def test_what_a_file_cannot_hold_is_refused(memory: KeptMemory, says_why: str) -> None:
    with pytest.raises(FileUnreadable, match=says_why):
        Graph("g", START >> memory.recall_node >> END).to_yaml()


def test_two_memories_of_one_name_are_refused() -> None:
    two = NoteMemory("a"), FactMemory("a")
    agent = Agent("b", recalls=[two[1].recall_node], input=str)
    with pytest.raises(FileUnreadable, match="two memories are named 'a'"):
        Graph("g", START >> agent >> two[0].remember_node >> END).to_yaml()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("a: {kind: novel}", r"graph\.yaml:3.*kind.*buffer"),
        ("a: {kind: notes, at: x.txt}", r"graph\.yaml:3.*must end in one of"),
        ("a: {kind: notes, key: abc}", r"graph\.yaml:3.*env:NAME"),
        ("a: {kind: notes, size: 3}", r"graph\.yaml:3.*size"),
        ("a: {kind: notes, last: 3}", r"graph\.yaml:3.*last"),
        ("a: {kind: facts, limit: 51}", r"graph\.yaml:3.*from 1 to 50"),
        ("a: {kind: notes, at: x.md, key: 'env:K'}", r"graph\.yaml:3.*to be read by people"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(words: str, problem: str, tmp_path: Path) -> None:
    text = f"graph: g\nmemories:\n  {words}\nedges: [START >> recall_a >> END]\n"
    with pytest.raises(FileUnreadable, match=problem):
        read(text, tmp_path)
