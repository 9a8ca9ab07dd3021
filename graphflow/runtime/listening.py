"""Listening: who wants to hear of runs that are yet to begin, and how they are begun then.

    Graph.run  >  executor_of(...)     nobody listens:   Executor
                                       somebody does:    ListeningExecutor, which taps each run that is listened to

Rules:
1. Runs are begun by another executor once somebody listens. So a run to which nobody listens asks no question more.
2. Only what listeners want is told at once: whoever wants facts alone leaves a straight walk straight.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from graphflow.limits import Ledger
from graphflow.proofs.proven import AnyGraph
from graphflow.runtime.executor import Executor, Make, R, Walking
from graphflow.runtime.run_record import AnyRecord
from graphflow.runtime.tap import Tap
from graphflow.trace_context import current_trace


class NewTap(Protocol):
    """What a run that is about to begin is tapped with."""

    @property
    def is_live(self) -> bool:
        """Whether everything has to be told at once, and not the facts alone."""
        ...

    @property
    def is_traced(self) -> bool:
        """Whether spans are made of the run."""
        ...

    def on(self, run: AnyRecord) -> Tap: ...


class RunListener(Protocol):
    """Who hears of each run that begins."""

    def tap_for(self, graph: AnyGraph) -> NewTap | None: ...


_listener: RunListener | None = None
_forget: list[Callable[[], None]] = []
"""How those who have kept an executor forget it."""


def listen(listener: RunListener | None) -> None:
    """From now on runs are begun with this listener; None: with none."""
    global _listener
    _listener = listener
    # The next run asks anew who runs it.
    for forget in _forget:
        forget()


def executor_of(make: Make[R], forget: Callable[[], None]) -> Executor[R]:
    """What runs graphs as things stand.

    Args:
        make: makes the record of each run.
        forget: called when things do not stand so any more.
    """
    if forget not in _forget:
        _forget.append(forget)
    listener = _listener
    return Executor(make) if listener is None else ListeningExecutor(make, listener)


class ListeningExecutor(Executor[R]):
    """Runs graphs, and has runs tapped that somebody listens to."""

    def __init__(self, make: Make[R], listener: RunListener) -> None:
        super().__init__(make)
        self.listener = listener

    def run(self, graph: AnyGraph, message: object, **options: Any) -> Walking[R]:
        """`Graph.run`."""
        return self._executor(graph, options).run(graph, message, **options)

    async def resume(self, graph: AnyGraph, id: str, **options: Any) -> R:
        """`Graph.resume`."""
        return await self._executor(graph, options).resume(graph, id, **options)

    def start(
        self, graph: AnyGraph, message: object, *, observed: bool = True, **options: Any
    ) -> R:
        """`Graph.start`."""
        options["observed"] = observed
        return self._executor(graph, options).start(graph, message, **options)

    def _executor(self, graph: AnyGraph, options: dict[str, Any]) -> Executor[R]:
        """What begins one run of the graph; what its listeners want is put among its options."""
        tap = self.listener.tap_for(graph)
        if tap is None:
            # Else what it asks would go out under the spans of the run around it, as if it were that one's own.
            if current_trace() is not None:
                options["traced"] = False
            return Executor(self.make)
        if tap.is_live:
            options["observed"] = True
        options["traced"] = tap.is_traced
        return Executor(partial(_tapped, self.make, tap))


def _tapped(make: Make[R], tap: NewTap, graph: str, ledger: Ledger) -> R:
    run = make(graph, ledger)
    run.be_tapped(tap.on(run))
    return run
