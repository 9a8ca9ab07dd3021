"""Runs that are kept, for commands: the store that is meant, the run that is meant, its graph, what to say of it."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import socket
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from graphflow.cli.options import STORE_VARIABLE
from graphflow.cli.printing import note
from graphflow.cli.show import AnyRun
from graphflow.errors import (
    GraphflowError,
    InputInvalid,
    RunUnknown,
    UnknownGraph,
    Unreadable,
)
from graphflow.graph import RunnableGraph
from graphflow.journal.store import Store
from graphflow.journal.stored import RunHeader
from graphflow.messages.message import error_text
from graphflow.project.graphs import load
from graphflow.project.runs import RunPlace, graph_named, place_with_runs

T = TypeVar("T")
Fits = Callable[[RunHeader], bool]
"""Whether a run is one of those that are meant where none is named."""

OVER = ("completed", "failed")
"""How runs end for good."""
GONE = "interrupted"
"""What a run is that says of itself that it goes on, while nobody owns it: its process is gone."""
_PROCESS = re.compile(r"process (\d+) on (.+)")
"""How the owner of a run is called (`graphflow.runtime.recorder`)."""
MAX_NAMED = 5
"""So many ids are listed where a beginning fits several."""


def with_store(
    address: str | None,
    work: Callable[[Store, RunPlace], Coroutine[Any, Any, T]],
    *,
    clear: bool = False,
) -> T:
    """Does something with the runs that are meant, and closes the store behind it.

    Args:
        address: where they are kept, if somebody has said.
        work: what is done.
        clear: whether the store is opened without a key, even if there is one.

    Raises:
        RunUnknown: none are kept there.
    """
    place = place_with_runs(address)

    # Opened and closed in one event loop, where its threads and connections live.
    async def working() -> T:
        store = place.open(clear=clear)
        try:
            return await work(store, place)
        finally:
            await store.aclose()

    return asyncio.run(working())


def state_of(header: RunHeader, now: float) -> str:
    """How a run stands, by its header and the store's clock."""
    if header.status != "running":
        return header.status
    lease = header.lease
    if lease is None or lease.until <= now or is_gone(lease.holder):
        return GONE
    return "running"


def is_gone(holder: str) -> bool:
    """Whether the process that owns a run has ended, as far as that can be seen from this machine."""
    found = _PROCESS.fullmatch(holder)
    if found is None or os.name != "posix":
        return False
    number, machine = found.groups()
    if machine != socket.gethostname():
        return False
    # Signal 0 is not sent: the system only says whether it could be.
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def can_go_on(header: RunHeader) -> bool:
    """Whether a run can be resumed, if nobody else is at it."""
    return header.status not in OVER


async def header_of(
    store: Store, id: str | None, fits: Fits | None = None, what: str = "run"
) -> RunHeader:
    """The run that is meant: by its id, by the beginning of it, or the newest one.

    Args:
        store: where it is kept.
        id: what was given.
        fits: which runs may be meant if nothing was.
        what: what these are called.

    Raises:
        RunUnknown: there is none.
        InputInvalid: there are several that begin so.
    """
    if id:
        return await _begun_like(store, id)
    for header in await store.runs():
        if fits is None or fits(header):
            return header
    raise RunUnknown(f"there is no {what} in {store!r}")


async def _begun_like(store: Store, id: str) -> RunHeader:
    # A whole id is meant itself, though others begin with it.
    exact = await store.find(id)
    if exact is not None:
        return exact
    found = [header for header in await store.runs() if header.id.startswith(id)]
    if not found:
        raise await store.unknown(id)
    if len(found) > 1:
        names = ", ".join(header.id for header in found[:MAX_NAMED])
        more = len(found) - MAX_NAMED
        rest = f" and {more} more" if more > 0 else ""
        raise InputInvalid(
            f"{len(found)} runs begin with {id!r}: {names}{rest}; give more of the id"
        )
    return found[0]


def graph_of(header: RunHeader, given: str | None) -> RunnableGraph:
    """The graph of a run.

    Raises:
        UnknownGraph: it is not in reach, or the one that is given has another name.
        GraphflowError: it cannot be loaded.
    """
    if given is None:
        return graph_named(header.graph, digest=header.about.get("digest"))
    graph = load(given)
    if graph.name != header.graph:
        raise UnknownGraph(
            f"run {header.id} is one of the graph {header.graph!r}, and {given} is {graph.name!r}"
        )
    return graph


async def load_run(store: Store, header: RunHeader, given: str | None) -> AnyRun:
    """A run as it was kept last: by the types of its graph if that is in reach, else as plain data."""
    # Neither a graph that is gone nor one that has changed since hides what was done with it.
    try:
        graph = graph_of(header, given)
    except GraphflowError as error:
        if given is not None:
            raise
        if not isinstance(error, UnknownGraph):
            note(f"{error_text(error)}; the run is shown as plain data")
        run: AnyRun = await store.load(header.id)
        return run
    try:
        run = await store.load(header.id, graph)
    except Unreadable as error:
        note(f"{error}; the run is shown as plain data")
        run = await store.load(header.id)
    return run


def command_for(place: RunPlace, words: list[str], graph: str | None = None) -> str:
    """The command line that does something with a run that is kept there."""
    # To be pasted as it stands: an id may hold what a shell would take apart.
    line = ["graphflow", *words]
    if graph is not None:
        line += ["--graph", graph]
    if place.given and place.named and place.address != os.environ.get(STORE_VARIABLE):
        line += ["--store", place.shown]
    return shlex.join(line)
