"""What graphs remember from run to run: `recall`, `remember` and `forget`, as nodes and tools.

    BufferMemory      what was said last
    FactMemory        one fact for each key
    NoteMemory        notes, found by their words
    SemanticMemory    notes, found by their meaning

Each keeps its notes in this process, in a Markdown file (`at="memory.md"`) or in SQLite (`at="memory.db"`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphflow._faces import face

if TYPE_CHECKING:
    from graphflow.memory.buffer_memory import BufferMemory as BufferMemory
    from graphflow.memory.derived_notes import forget_conversation as forget_conversation
    from graphflow.memory.derived_notes import forget_exchanges as forget_exchanges
    from graphflow.memory.derived_notes import memories_of as memories_of
    from graphflow.memory.fact_memory import FactMemory as FactMemory
    from graphflow.memory.kept_memory import KeptMemory as KeptMemory
    from graphflow.memory.memory import Memory as Memory
    from graphflow.memory.memory_node import MemoryNode as MemoryNode
    from graphflow.memory.note_memory import NoteMemory as NoteMemory
    from graphflow.memory.note_store import NoteStore as NoteStore
    from graphflow.memory.semantic_memory import SemanticMemory as SemanticMemory
    from graphflow.messages.notes import Note as Note
    from graphflow.messages.notes import Recalled as Recalled
    from graphflow.messages.notes import Remembered as Remembered
    from graphflow.messages.notes import fenced as fenced

__getattr__ = face(
    "graphflow.memory",
    [
        "vocabulary",
        "memory",
        "buffer_memory",
        "fact_memory",
        "note_memory",
        "semantic_memory",
        "kept_memory",
        "memory_node",
        "note_store",
        "derived_notes",
    ],
)
