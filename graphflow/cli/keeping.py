"""How a run is kept that a command begins, or goes on with; and what is said of it, once, on standard error."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from graphflow.cli.show import AnyRun, note
from graphflow.cli.stored_runs import OVER, command_for, is_gone
from graphflow.errors import InputInvalid, StoreError
from graphflow.graph import RunnableGraph
from graphflow.journal.storable import check_storable
from graphflow.journal.store import Store
from graphflow.project.graphs import ENDINGS
from graphflow.project.runs import RunPlace, place_of_runs
from graphflow.runtime.durability import begun_with
from graphflow.runtime.options import RunOptions, Sync

_ODD = re.compile(r"[^\w.-]+")


def keeping_of(
    graph: RunnableGraph,
    named: str,
    address: str | None,
    *,
    id: str | None = None,
    sync: Sync = "effects",
) -> Keeping | None:
    """How a new run is kept; None: it is not.

    Args:
        graph: what is walked.
        named: how it was named.
        address: where it is to be kept, if somebody has said.
        id: how it is to be called, if somebody has said.
        sync: when it waits until what it did is kept.

    Raises:
        InputInvalid: it is named, and not kept.
    """
    place = place_of_runs(address)
    if place is None:
        if id is not None:
            raise InputInvalid(
                f"--id {id}: this run is kept nowhere; say where: --store sqlite:FILE"
            )
        return None
    is_file = Path(named.partition(":")[0]).suffix in ENDINGS
    return Keeping(
        place, place.open(), id or new_id(graph.name), sync, graph=named if is_file else None
    )


def new_id(graph: str) -> str:
    """An id that can be typed: the graph's name, and eight digits."""
    # Short enough to be typed, long enough for all runs that a project ever keeps.
    name = _ODD.sub("-", graph).strip("-")
    return f"{name or 'run'}-{token_hex(4)}"


@dataclass(slots=True)
class Keeping:
    """How one run is kept.

    Attributes:
        place: where.
        store: the same, opened.
        id: the run's name.
        sync: when it waits until what it did is kept.
        resumes: whether it is there already.
        graph: how the graph was named, where its name alone does not lead to it.
    """

    place: RunPlace
    store: Store
    id: str
    sync: Sync = "effects"
    resumes: bool = False
    graph: str | None = None

    async def begin(self, graph: RunnableGraph, message: object, options: RunOptions) -> object:
        """Adds to the options of a run how it is kept.

        Returns:
            Its message; that of a run that goes on is in its record.
        """
        if not self.resumes and not await self._can_begin(graph):
            return message
        options["store"] = self.store
        options["id"] = self.id
        options["sync"] = self.sync
        # What a project keeps by itself must not stop a walk that would have gone well without.
        options["best_effort"] = not self.place.given
        if self.resumes:
            await self._wait_for_lease()
            message, limits = await begun_with(self.store, self.id, graph)
            options.setdefault("limits", limits)
        else:
            # The model is no part of the graph, and whoever goes on needs the same.
            model = options.get("model")
            options["metadata"] = {} if model is None else {"model": model}
        return message

    async def _wait_for_lease(self) -> None:
        """Waits until the lease of a process ends that is gone: it cannot give the run back any more."""
        lease = (await self.store.header(self.id)).lease
        if lease is None or not is_gone(lease.holder):
            return
        left_s = lease.until - await self.store.now()
        if left_s > 0:
            note(f"{lease.holder} is gone; its lease ends in {left_s:.0f} s")
            await asyncio.sleep(left_s)

    async def _can_begin(self, graph: RunnableGraph) -> bool:
        """Whether runs can be kept; where a project would keep them by itself and cannot, that is said and no more."""
        try:
            check_storable(graph)
            # Looked at before anything runs: a walk costs money, and this costs nothing.
            await asyncio.to_thread(self.place.prepare)
            await self.store.find(self.id)
        except (StoreError, OSError) as error:
            if self.place.given:
                raise
            note(f"the run is not kept: {error}")
            return False
        return True

    def tell(self, run: AnyRun) -> None:
        """Says that a run is kept, and where."""
        does = "goes on; it is" if self.resumes else "is"
        note(f"run {run.id} {does} kept in {self.place.shown}")

    def advice(self, run: AnyRun) -> str:
        """How to go on with a run that has not ended for good; "" if it has, or is not kept."""
        if run.store is None or run.unkept is not None or run.status in (*OVER, "running"):
            return ""
        command = command_for(self.place, ["resume", run.id], self.graph)
        when = " once the limit is raised" if run.status == "limited" else ""
        return f"`{command}` goes on with it{when}; what was done is kept"
