"""Dependencies of runs, made by a factory: for each run, or for each conversation.

    Runtime.open(".", deps=connect)                                  a new one for each run, closed behind it
    Runtime.open(".", deps=connect, deps_per="conversation")         one for each conversation, until the runtime closes

A factory is a plain or async function of what they are for; what it gives may be an async context manager, which is entered
before it is used and left when it is not needed any more.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

from graphflow.errors import DeclarationError


@dataclass(frozen=True, slots=True)
class DepsFor:
    """What dependencies are made for.

    Attributes:
        graph: the name of the graph.
        conversation: the key of the conversation; None: the run is part of none.
    """

    graph: str
    conversation: str | None = None


DepsFactory: TypeAlias = Callable[[DepsFor], object]
DepsScope: TypeAlias = Literal["run", "conversation"]


class Dependencies:
    """Makes dependencies, and closes them when they are not needed any more."""

    def __init__(self, factory: DepsFactory | None, per: DepsScope) -> None:
        if factory is not None and not callable(factory):
            raise DeclarationError(
                f"deps={factory!r} is not a factory; give a function that makes the dependencies of a run"
            )
        if per not in ("run", "conversation"):
            raise DeclarationError(f"deps_per={per!r}; it is 'run' or 'conversation'")
        self.factory = factory
        self.per = per
        self._kept: dict[str, asyncio.Task[object]] = {}
        self._open = AsyncExitStack()

    @asynccontextmanager
    async def of(self, purpose: DepsFor) -> AsyncIterator[object]:
        """Those of one run, for as long as it goes."""
        if self.factory is None:
            yield None
            return
        key = purpose.conversation
        if self.per == "conversation" and key is not None:
            yield await self._kept_for(key, purpose)
            return
        async with AsyncExitStack() as stack:
            yield await self._made(purpose, stack)

    async def _kept_for(self, key: str, purpose: DepsFor) -> object:
        """Those of a conversation; two runs that come at once wait for the same."""
        making = self._kept.get(key)
        if making is None:
            work = self._made(purpose, self._open)
            making = self._kept[key] = asyncio.get_running_loop().create_task(work)
        try:
            return await asyncio.shield(making)
        except BaseException:
            # What could not be made is tried again by the next run.
            if making.done() and self._kept.get(key) is making:
                del self._kept[key]
            raise

    async def _made(self, purpose: DepsFor, stack: AsyncExitStack) -> object:
        assert self.factory is not None
        # Plain and async factories, and such as give something to be closed, are told apart by what they give.
        made = self.factory(purpose)
        if inspect.isawaitable(made):
            made = await made
        if hasattr(made, "__aenter__") and hasattr(made, "__aexit__"):
            return await stack.enter_async_context(made)
        return made

    async def close(self) -> None:
        """Closes those that were kept, the newest first."""
        for making in self._kept.values():
            making.cancel()
        await asyncio.gather(*self._kept.values(), return_exceptions=True)
        self._kept.clear()
        await self._open.aclose()
