"""How a run is kept that a command begins, or goes on with; and what is said of it, once, on standard error."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from graphflow.cli.printing import note
from graphflow.cli.show import AnyRun
from graphflow.cli.stored_runs import OVER, command_for, is_gone
from graphflow.errors import BudgetExceeded, InputInvalid, StoreError
from graphflow.graph import RunnableGraph
from graphflow.journal.storable import check_storable
from graphflow.journal.store import Store
from graphflow.project.graph_files import ENDINGS
from graphflow.project.runs import RunPlace, place_of_runs
from graphflow.runtime.durability import begun_with
from graphflow.runtime.options import RunOptions, Sync

_ODD = re.compile(r"[^\w.-]+")
LOOK_S = 1.0
"""Seconds between two looks at a lease that has to end."""


def keeping_of(
    graph: RunnableGraph,
    named: str,
    address: str | None,
    *,
    id: str | None = None,
    sync: Sync = "effects",
    conversation: str | None = None,
) -> Keeping | None:
    """How a new run is kept; None: it is not.

    Args:
        graph: what is walked.
        named: how it was named.
        address: where it is to be kept, if somebody has said.
        id: how it is to be called, if somebody has said.
        sync: when it waits until what it did is kept.
        conversation: which one it is part of, if somebody has said.

    Raises:
        InputInvalid: it is named, or part of a conversation, and not kept.
    """
    place = place_of_runs(address)
    if place is None:
        for option, given in (("--id", id), ("--conversation", conversation)):
            if given is not None:
                raise InputInvalid(
                    f"{option} {given}: this run is kept nowhere; say where: --store sqlite:FILE"
                )
        return None
    name = id or new_id(graph.name)
    shown = named if is_file(named) else None
    return Keeping(place, place.open(), name, sync, graph=shown, conversation=conversation)


def is_file(named: str) -> bool:
    """Whether a graph was named by its file."""
    return Path(named.partition(":")[0]).suffix in ENDINGS


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
        conversation: which one it is part of, if any.
    """

    place: RunPlace
    store: Store
    id: str
    sync: Sync = "effects"
    resumes: bool = False
    graph: str | None = None
    conversation: str | None = None

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
        # An exchange is part of its record, though.
        if self.conversation is None:
            options["best_effort"] = not self.place.given
        else:
            options["conversation"] = self.conversation
        # A run of that id may be there already, and is gone on with then.
        await self._wait_for_lease()
        if self.resumes:
            message, limits = await begun_with(self.store, self.id, graph)
            options.setdefault("limits", limits)
        else:
            # The model is not part of the graph, and whoever goes on needs the same.
            model = options.get("model")
            options["metadata"] = {} if model is None else {"model": model}
        return message

    async def _wait_for_lease(self) -> None:
        """Waits until the lease of a process ends that is gone: it cannot give the run back any more."""
        is_told = False
        while True:
            left_s, who = await self._lease_of_the_gone()
            if left_s <= 0:
                return
            if not is_told:
                note(
                    f"{who} has this run, and is gone; going on when its lease ends, in {left_s:.0f} s"
                )
                is_told = True
            # By and by: somebody may remove it meanwhile.
            await asyncio.sleep(min(left_s, LOOK_S))

    async def _lease_of_the_gone(self) -> tuple[float, str]:
        """For how many seconds a process that is gone still has the run, and which; 0 if none has."""
        header = await self.store.find(self.id)
        lease = None if header is None else header.lease
        if lease is None or not is_gone(lease.holder):
            return 0.0, ""
        return lease.until - await self.store.now(), lease.holder

    async def _can_begin(self, graph: RunnableGraph) -> bool:
        """Whether runs can be kept; where a project would keep them by itself and cannot, that is said and no more."""
        try:
            check_storable(graph)
            # Looked at before anything runs: a walk costs money, and this costs nothing.
            await asyncio.to_thread(self.place.prepare)
            await self.store.find(self.id)
        except (StoreError, OSError) as error:
            if self.place.given or self.conversation is not None:
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
        if isinstance(run.error, BudgetExceeded):
            when = " once there is something left"
        return f"`{command}` goes on with it{when}; what was done is kept"
