"""The nodes of a memory: tools that models may call, steps on arrows, and what agents recall from (`recalls=`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar

from graphflow.declaration.context import Context
from graphflow.errors import DeclarationError, MemoryUnavailable, NoteInvalid
from graphflow.kinds.step import AnyFunction
from graphflow.kinds.tool import Tool
from graphflow.messages.message import error_text
from graphflow.messages.notes import Note, Recalled, Remembered
from graphflow.policy import Effect
from graphflow.redaction import scrub

T = TypeVar("T")
OnError: TypeAlias = Literal["raise", "skip"]
"""What becomes of a node whose memory cannot be asked: it fails, or it goes on with nothing and says so."""
MOST = 50
"""Notes that a node recalls at most, whatever a model asks for."""


class AskedMemory(Protocol):
    """What nodes ask of a memory. `Memory` says what each means."""

    name: str
    limit: int
    source: str
    on_error: OnError
    timeout_s: float

    def scope_in(self, ctx: Context) -> str: ...
    def damaged_in(self, scope: str) -> Sequence[str]: ...
    async def recall(self, query: str, *, scope: str | None, limit: int | None) -> list[Note]: ...
    async def remember(self, note: Note, /) -> Note: ...
    async def forget(
        self,
        *,
        id: str | None = None,
        key: str | None = None,
        scope: str | None = None,
        conversation: str | None = None,
        exchange: str | None = None,
    ) -> int: ...


class MemoryNode(Tool[Any, Any]):
    """A tool that asks a memory.

    Attributes:
        memory: which.
    """

    kind: ClassVar[str] = "memory"
    memory: AskedMemory

    def __init__(
        self, function: AnyFunction, *, memory: AskedMemory, verb: str, effects: list[Effect]
    ) -> None:
        own_name = getattr(memory, "name", None)
        if not isinstance(own_name, str):
            raise DeclarationError(f"{memory!r} is not a memory; give a `Memory`")
        name = f"{verb}_{own_name}" if own_name else verb
        super().__init__(function, name=name, effects=effects)
        self._set(memory=memory)
        # What is remembered is found again, with whatever it was made of.
        if verb == "recall":
            self._set(finds_in=memory)
        elif verb == "remember":
            self._set(keeps_in=memory)


def recalling(memory: AskedMemory) -> MemoryNode:
    """The node that recalls."""

    async def recall(query: str, ctx: Context, limit: int = memory.limit) -> Recalled:
        """Recall what was remembered earlier.

        Args:
            query: what it is about, in plain words.
            limit: how many notes at most.
        """
        scope = memory.scope_in(ctx)
        most = max(1, min(limit, MOST))
        asked = memory.recall(query, scope=scope, limit=most)
        notes, failed = await _asked(memory, ctx, "recall", asked)
        damaged = memory.damaged_in(scope)
        if damaged:
            ctx.emit("memory.damaged", {"memory": memory.name, "notes": list(damaged)})
        return Recalled(query=query, notes=tuple(notes or ()), failed=failed)

    return MemoryNode(recall, memory=memory, verb="recall", effects=["reads"])


def remembering(memory: AskedMemory) -> MemoryNode:
    """The node that remembers."""

    async def remember(text: str, ctx: Context, key: str = "") -> Remembered:
        """Remember something for later, word for word.

        Args:
            text: what to remember, as one or a few whole sentences.
            key: what it is about, in a word or two: it takes the place of what was remembered under the same key.
        """
        note = Note(
            text=text,
            id=ctx.new_id().hex,
            key=key,
            scope=memory.scope_in(ctx),
            source=memory.source if ctx.caller is None else ctx.caller.name,
            at=ctx.now(),
            conversation=ctx.conversation_key or "",
            exchange=ctx.run_id,
        )
        kept, failed = await _asked(memory, ctx, "remember", memory.remember(note))
        return Remembered(note=kept or note, failed=failed)

    return MemoryNode(remember, memory=memory, verb="remember", effects=["writes"])


def forgetting(memory: AskedMemory) -> MemoryNode:
    """The node that forgets."""

    async def forget(ctx: Context, id: str = "", key: str = "") -> int:
        """Forget something that was remembered; answers how many notes that were.

        Args:
            id: the id of the note, as recall tells it.
            key: or what it is about, if it was remembered under a key.
        """
        if not id and not key:
            raise NoteInvalid(
                "give the id or the key of what is to be forgotten; recall tells both"
            )
        asked = memory.forget(id=id or None, key=key or None, scope=memory.scope_in(ctx))
        count, _ = await _asked(memory, ctx, "forget", asked)
        return count or 0

    return MemoryNode(forget, memory=memory, verb="forget", effects=["writes"])


async def _asked(
    memory: AskedMemory, ctx: Context, verb: str, asked: Awaitable[T]
) -> tuple[T | None, str]:
    """What a memory answers, and why it does not, if the graph can do without.

    Raises:
        MemoryUnavailable: it took too long, and the graph cannot do without. Its own errors are raised as they are.
        NoteInvalid: what it was asked makes no sense, which is never skipped: the memory is not to blame.
    """
    try:
        async with asyncio.timeout(memory.timeout_s):
            return await asked, ""
    except NoteInvalid:
        raise
    except Exception as error:
        problem: Exception = error
    if isinstance(problem, TimeoutError):
        problem = MemoryUnavailable(
            f"{memory!r} did not answer within {memory.timeout_s:g} s; raise its timeout_s="
        )
    if memory.on_error == "raise":
        raise problem
    why = scrub(f"{type(problem).__name__}: {error_text(problem)}")
    ctx.emit("memory.failed", {"memory": memory.name, "asked": verb, "why": why})
    return None, why
