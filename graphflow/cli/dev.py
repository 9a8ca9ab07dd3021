"""`graphflow dev`: watches the files of a project, and says at once what is wrong in them."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from time import strftime

from graphflow.cli.printing import note, out
from graphflow.errors import GraphflowError
from graphflow.messages.message import error_text
from graphflow.project.graph_versions import Reloaded
from graphflow.project.runtime import Runtime
from graphflow.project.watching import watch


def watch_here(env: str | None, once: bool) -> int:
    """Loads the project, says how each graph stands, and again after each change, until Ctrl-C.

    Args:
        env: the overlay that is chosen.
        once: whether it ends after the first look; then the exit code is 1 if something is broken.

    Raises: what `Runtime.open` raises.
    """
    with suppress(KeyboardInterrupt):
        # Nothing runs here: a port of its sinks is left to the commands that do.
        runtime = Runtime.open(".", env, store="none", sinks=False)
        return asyncio.run(_watched(runtime, once))
    return 0


async def _watched(runtime: Runtime, once: bool) -> int:
    async with runtime:
        is_sound = _show_all(runtime)
        if once:
            return 0 if is_sound else 1
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        # As a service manager ends it; Ctrl-C ends the watching alike. Windows has no such handlers.
        with suppress(NotImplementedError, RuntimeError):
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stop.set)
        note(f"watching {runtime.project.root}; Ctrl-C ends it")
        async for done in watch(runtime, stop):
            _show(done)
    return 0


def _show_all(runtime: Runtime) -> bool:
    """Says of each graph how it stands; whether all are sound."""
    is_sound = True
    for name in runtime.graphs():
        try:
            graph = runtime.graph(name)
        except GraphflowError as error:
            is_sound = False
            out(f"{name}: BROKEN: {error_text(error)}")
            continue
        out(f"{name}: sound, {len(graph.nodes)} nodes, {len(graph.claims)} claims")
    return is_sound


def _show(done: Reloaded) -> None:
    clock = strftime("%H:%M:%S")
    for line in str(done).splitlines():
        out(f"{clock}  {line}")
