"""Memories in a file, in the words of their classes. Each brings its nodes: `recall_NAME`, `remember_NAME` and `forget_NAME`.

memories:
  diary:   {kind: semantic, at: diary.db, key: "env:DIARY_KEY", on_error: skip}
  profile: {kind: facts, at: profile.md, limit: 1}
nodes:
  helper: {kind: agent, input: str, recalls: [recall_diary], tools: [remember_profile]}
edges:
  - START >> remember_diary

A memory without a name (`"": {kind: notes}`) has the nodes `recall`, `remember` and `forget`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from graphflow.declaration.node import AnyNode
from graphflow.errors import FileUnreadable
from graphflow.files.document import PlainMapping
from graphflow.files.plugs import made_by_plugin
from graphflow.files.problems import FileProblems
from graphflow.memory.buffer_memory import BufferMemory
from graphflow.memory.fact_memory import FactMemory
from graphflow.memory.kept_memory import MAX_NOTES, KeptMemory
from graphflow.memory.memory import LIMIT, TIMEOUT_S, Memory
from graphflow.memory.memory_node import MemoryNode
from graphflow.memory.note_memory import NoteMemory
from graphflow.memory.semantic_memory import SemanticMemory
from graphflow.plugins.making import making_of
from graphflow.plugins.seams import MEMORIES
from graphflow.proofs.proven import AnyGraph

PART = "memories"
"""The key of a graph that declares memories."""
MEMORY_KINDS: dict[str, type[KeptMemory]] = {
    "buffer": BufferMemory,
    "facts": FactMemory,
    "notes": NoteMemory,
    "semantic": SemanticMemory,
}
_DEFAULTS: dict[str, object] = {
    "scope": None,
    "source": "user",
    "on_error": "raise",
    "timeout_s": TIMEOUT_S,
    "max_age_s": None,
}


class MemoryReader:
    """The memories of one file.

    Args:
        problems: where what is wrong is reported.
        declared: what the file holds.
    """

    def __init__(self, problems: FileProblems, declared: PlainMapping) -> None:
        self.problems = problems
        self._declared = declared
        self._failed: set[str] = set()

    def give_up(self, name: str) -> None:
        """Makes no memory of that name: what is wrong with its entry is reported already."""
        self._failed.add(name)

    def nodes(self) -> list[AnyNode]:
        """The nodes of all memories that can be made; why the others cannot is reported."""
        entries = self._declared.get(PART)
        found: list[AnyNode] = []
        if not isinstance(entries, Mapping):
            return found
        for name, entry in entries.items():
            if isinstance(name, str) and isinstance(entry, Mapping) and name not in self._failed:
                make = partial(self._make, name, entry, found)
                self.problems.attempt(make)
        return found

    def _make(self, name: str, entry: Mapping[str, Any], found: list[AnyNode]) -> None:
        options = {key: value for key, value in entry.items() if value is not None}
        kind = options.pop("kind", "notes")
        with self.problems.within(PART, name):
            plugged = MEMORIES.find(kind)
            if plugged is None:
                memory: Memory = MEMORY_KINDS[kind](name, **options)
            else:
                memory = made_by_plugin(
                    self.problems,
                    plugged,
                    Memory,  # type: ignore[type-abstract]  # whichever the plug-in has
                    name,
                    options=options,
                )
        found += memory.tools


# -- what is written -------------------------------------------------------------------------------
def declared_memory(node: AnyNode) -> Memory | None:
    """The memory that brings a node, if a file can declare it; None: the node is named by its address as any other."""
    if not isinstance(node, MemoryNode):
        return None
    memory = node.memory
    if not isinstance(memory, Memory) or node not in memory.tools:
        return None
    # By the very class: what one of the user's adds would be left out.
    is_ours = type(memory) in MEMORY_KINDS.values()
    is_plugged = making_of(memory, MEMORIES.name) is not None
    return memory if is_ours or is_plugged else None


def specs_of_memories(graph: AnyGraph) -> dict[str, object]:
    """The memories of a graph as its file declares them.

    Raises:
        FileUnreadable: one of them cannot be written, or two have the same name.
    """
    declared: dict[str, dict[str, object]] = {}
    for memory in _declared_in(graph):
        if memory.name in declared:
            raise FileUnreadable(
                f"two memories are named {memory.name!r}, which a file cannot tell apart; give them names"
            )
        declared[memory.name] = _spec(memory)
    return {PART: declared} if declared else {}


def _declared_in(graph: AnyGraph) -> Iterator[Memory]:
    """Each once. Those of graphs within stand in the files of those."""
    seen: set[int] = set()
    for node in graph.reach():
        memory = declared_memory(node)
        if memory is not None and id(memory) not in seen:
            seen.add(id(memory))
            yield memory


def _spec(memory: Memory) -> dict[str, object]:
    making = making_of(memory, MEMORIES.name)
    if making is not None:
        return {"kind": making.word, **making.options}
    assert isinstance(memory, KeptMemory)
    kinds = {kind: word for word, kind in MEMORY_KINDS.items()}
    spec: dict[str, object] = {"kind": kinds[type(memory)]}
    if memory.at is not None:
        spec["at"] = _place(memory)
    if memory.is_encrypted:
        spec["key"] = _key_place(memory)
    for option, default in _DEFAULTS.items():
        value = getattr(memory, option)
        if callable(value):
            raise FileUnreadable(
                f"{memory!r} has a function as its {option}, which a file cannot hold"
            )
        if value != default:
            spec[option] = value
    return spec | _sizes(memory)


def _sizes(memory: KeptMemory) -> dict[str, object]:
    """How many notes it has and recalls; and what makes its vectors."""
    spec: dict[str, object] = {}
    limit = LIMIT
    most = MAX_NOTES
    if isinstance(memory, BufferMemory):  # it keeps as many as it recalls
        spec["last"] = limit = most = memory.max_notes
    if memory.limit != limit:
        spec["limit"] = memory.limit
    if memory.max_notes != most:
        spec["max_notes"] = memory.max_notes
    if isinstance(memory, SemanticMemory) and memory.given_embedder is not None:
        spec["embedder"] = _embedder(memory)
    return spec


def _embedder(memory: SemanticMemory) -> str:
    if isinstance(memory.given_embedder, str):
        return memory.given_embedder
    raise FileUnreadable(
        f"{memory!r} has an embedder object, which a file cannot name; give it as 'provider:model'"
    )


def _place(memory: KeptMemory) -> str:
    if isinstance(memory.at, str):
        return memory.at
    raise FileUnreadable(
        f"{memory!r} is kept in {memory.at!r}, which a file cannot name; give at= as a text"
    )


def _key_place(memory: KeptMemory) -> str:
    if memory.key_place:
        return memory.key_place
    raise FileUnreadable(
        f"{memory!r} has a key, which a file must not hold; give it as 'env:NAME' or 'file:PATH'"
    )
