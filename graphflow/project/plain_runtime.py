"""A runtime for code that is not async: each call waits until it is done.

    with Runtime.plain(".") as runtime:
        print(runtime.run("shop", "Do you have tea?").output)

Its runtime lives on a loop in a thread of its own, so it may be called from any thread, from a notebook, and from several at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

from graphflow.errors import DeclarationError
from graphflow.graph import RunnableGraph
from graphflow.limits import Usage
from graphflow.project.graph_info import Json
from graphflow.project.graph_versions import Reloaded
from graphflow.project.spent import Grouping, UsageOfStore
from graphflow.runtime.options import ForkOptions, RunOptions, SayOptions

if TYPE_CHECKING:
    from graphflow.journal.exchanges import ConversationHeader
    from graphflow.journal.stored import RunHeader
    from graphflow.project.runtime import AnyRun, Runtime

T = TypeVar("T")


class PlainRuntime:
    """The plain twin of a `Runtime`: the same methods, none of them async.

    Attributes:
        runtime: the one that does the work.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<plain {self.runtime!r}>"

    def __enter__(self) -> Self:
        """Loads the graphs. Raises what entering a `Runtime` raises."""
        if self._loop is not None:
            raise DeclarationError(f"{self!r} is open already; open another one")
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=loop.run_forever, name="graphflow:runtime", daemon=True
        )
        self._thread.start()
        try:
            self._done(self.runtime.__aenter__())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """As `Runtime.close`."""
        if self._loop is None:
            return
        try:
            self._done(self.runtime.close())
        finally:
            self._end()

    def _end(self) -> None:
        loop, thread = self._loop, self._thread
        self._loop = self._thread = None
        if loop is None or thread is None:
            return
        # What threads of the loop's own still do is waited for, as `asyncio.run` does.
        ending = asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop)
        ending.result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _done(self, work: Coroutine[object, None, T]) -> T:
        """The result of work on the loop. Ctrl-C cancels it."""
        if self._loop is None:
            work.close()
            raise DeclarationError(
                f"{self!r} is not open; write `with Runtime.plain(...) as runtime:`"
            )
        # From whatever thread: the loop has its own.
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    # -- running -----------------------------------------------------------------------------------
    def run(self, graph: str | None, message: object, **options: Unpack[RunOptions]) -> AnyRun:
        """As `Runtime.run`."""
        return self._done(self.runtime.run(graph, message, **options))

    def say(
        self, key: str, message: object, graph: str | None = None, **options: Unpack[SayOptions]
    ) -> AnyRun:
        """Says something in the conversation of that key, and waits for the answer."""

        async def saying() -> AnyRun:
            chat = self.runtime.chat(key, graph)
            return await chat.say(message, **options)

        return self._done(saying())

    def answer(
        self,
        run: str,
        value: object,
        *,
        question: str = "",
        by: str = "",
        **options: Unpack[ForkOptions],
    ) -> AnyRun:
        """As `Runtime.answer`."""
        answering = self.runtime.answer(run, value, question=question, by=by, **options)
        return self._done(answering)

    def reload(self, name: str | None = None) -> Reloaded:
        """As `Runtime.reload`."""
        return self._done(self.runtime.reload(name))

    # -- what there is -----------------------------------------------------------------------------
    def graphs(self) -> list[str]:
        """As `Runtime.graphs`."""
        return self.runtime.graphs()

    def graph(self, name: str | None = None) -> RunnableGraph:
        """As `Runtime.graph`."""
        return self.runtime.graph(name)

    def info(self, name: str | None = None) -> Json:
        """As `Runtime.info`."""
        return self.runtime.info(name)

    def usage(self) -> Mapping[str, Usage]:
        """As `Runtime.usage`."""
        return self.runtime.usage()

    def spent(
        self, by: Grouping = "graph", *, graph: str | None = None, since: float | None = None
    ) -> UsageOfStore:
        """As `Runtime.spent`."""
        return self._done(self.runtime.spent(by, graph=graph, since=since))

    def runs(
        self, *, graph: str | None = None, status: str | None = None, since: float | None = None
    ) -> list[RunHeader]:
        """As `Runtime.runs`."""
        return self._done(self.runtime.runs(graph=graph, status=status, since=since))

    def conversations(self, graph: str | None = None) -> list[ConversationHeader]:
        """As `Runtime.conversations`."""
        return self._done(self.runtime.conversations(graph))
