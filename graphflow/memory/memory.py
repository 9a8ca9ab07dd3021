"""The seam of all memories: `recall`, `remember`, `forget`; and the nodes by which graphs use them.

Rules:
1. A memory is not a node and keeps nothing of a run: it is what nodes ask, as they ask a database. Its nodes are journaled as
   all nodes are, so a run that goes on after a crash is not told anything else, and remembers nothing twice.
2. Notes of one scope are never recalled for another. Nobody but the declaration says which scope a node asks.
3. Notes are remembered as they were said. Nothing is extracted, summed up or judged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeAlias

from graphflow.declaration.context import Context
from graphflow.errors import DeclarationError
from graphflow.memory.memory_node import (
    MOST,
    MemoryNode,
    OnError,
    forgetting,
    recalling,
    remembering,
)
from graphflow.messages.notes import Note

NoteScope: TypeAlias = str | Callable[[Context], str] | None
"""Whose notes a node asks for: a name, what a function finds in the context, or None: the run's conversation."""
LIMIT = 3
"""Notes that are recalled, unless somebody says otherwise. No score tells what nobody has ever said: the reader decides."""
TIMEOUT_S = 30.0


class Memory(ABC):
    """What a graph remembers from run to run.

    A memory of your own is a subclass with the three methods; whatever they raise is treated by `on_error`.

    Args:
        name: tells its nodes from those of other memories: `recall_NAME`; without one they are `recall`, `remember`, `forget`.
        scope: whose notes its nodes ask for. A text; or a function of the context, `lambda ctx: ctx.deps.user`; by default
            the conversation of the run, and "" outside of one.
        limit: how many notes are recalled.
        source: who is named as the source of what its node remembers on an arrow; of what an agent remembers, it is the agent.
        on_error: "raise", or "skip" for graphs that can do without: then a node recalls nothing, and says so in its answer
            (`failed`) and in an event (`memory.failed`).
        timeout_s: seconds that its nodes wait for it.
    """

    def __init__(
        self,
        name: str = "",
        *,
        scope: NoteScope = None,
        limit: int = LIMIT,
        source: str = "user",
        on_error: OnError = "raise",
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        whose = f"memory {name!r}"
        if on_error not in ("raise", "skip"):
            raise DeclarationError(f'{whose}: on_error={on_error!r}; give "raise" or "skip"')
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MOST:
            raise DeclarationError(f"{whose}: limit={limit!r} must be a number from 1 to {MOST}")
        if not timeout_s > 0:
            raise DeclarationError(f"{whose}: timeout_s={timeout_s!r} must be a positive number")
        if scope is not None and not isinstance(scope, str) and not callable(scope):
            raise DeclarationError(f"{whose}: scope={scope!r} must be a text or a function")
        self.name = name
        self.scope = scope
        self.limit = limit
        self.source = source
        self.on_error: OnError = on_error
        self.timeout_s = float(timeout_s)

    # -- the seam ----------------------------------------------------------------------------------
    @abstractmethod
    async def recall(
        self, query: str, *, scope: str | None = None, limit: int | None = None
    ) -> list[Note]:
        """What there is for a question, the best first.

        Args:
            query: the question, in plain words.
            scope: whose notes; default: the memory's own, if that is a text, else "".
            limit: how many at most, from 1; default: the memory's.

        Raises:
            DeclarationError: the limit is below 1.
            MemoryUnavailable: it cannot be asked.
        """

    @abstractmethod
    async def remember(
        self, note: Note | str, *, key: str = "", source: str = "", scope: str | None = None
    ) -> Note:
        """Keeps something. A note whose id is known already stays as it is; one with a known key takes that one's place.

        Args:
            note: a text, or a whole note.
            key: what it is about.
            source: who said it.
            scope: whose it is; default: the memory's own, if that is a text, else "".

        Returns:
            The note as it is kept.

        Raises:
            NoteInvalid: it has no text, or too much of it.
            MemoryUnavailable: it cannot be kept.
        """

    @abstractmethod
    async def forget(
        self,
        *,
        id: str | None = None,
        key: str | None = None,
        scope: str | None = None,
        conversation: str | None = None,
        exchange: str | None = None,
        older_than_s: float | None = None,
    ) -> int:
        """Forgets the notes for which everything that is given holds, and says how many there were.

        Args:
            id: the one of that id.
            key: those about that.
            scope: all of that scope; by default those of every scope.
            conversation: those that were remembered in that conversation.
            exchange: those of one exchange of it: the id of its run.
            older_than_s: those that are older than so many seconds.

        Raises:
            NoteInvalid: nothing is given: a memory is not emptied by mistake.
            MemoryUnavailable: it cannot be asked.
        """

    def damaged_in(self, scope: str) -> Sequence[str]:
        """The ids of notes of a scope that were left out of the last answer, as they are not as they were written."""
        return ()

    # -- its nodes ---------------------------------------------------------------------------------
    @cached_property
    def recall_node(self) -> MemoryNode:
        """Recalls: takes a question (`query`), answers with `Recalled`. For arrows, for `tools=` and for `recalls=`."""
        return recalling(self)

    @cached_property
    def remember_node(self) -> MemoryNode:
        """Remembers: takes a text, answers with `Remembered`."""
        return remembering(self)

    @cached_property
    def forget_node(self) -> MemoryNode:
        """Forgets one note, by its id or key; answers with how many there were."""
        return forgetting(self)

    @property
    def tools(self) -> tuple[MemoryNode, ...]:
        """All three, for an agent: `Agent(..., tools=[*memory.tools])`."""
        return self.recall_node, self.remember_node, self.forget_node

    @property
    def own_scope(self) -> str:
        """The scope that is meant outside of a run."""
        return self.scope if isinstance(self.scope, str) else ""

    def scope_in(self, ctx: Context) -> str:
        """The scope that is meant in a run.

        Raises:
            DeclarationError: the function of the declaration gives something else than a text.
        """
        scope: Any = self.scope
        if callable(scope):
            scope = scope(ctx)
        elif scope is None:
            scope = ctx.conversation_key or ""
        if not isinstance(scope, str):
            raise DeclarationError(
                f"memory {self.name!r}: its scope= gave {scope!r}, which is not a text"
            )
        return scope

    def __repr__(self) -> str:
        name = self.name or "memory"
        return f"<{type(self).__name__} {name!r}>"
