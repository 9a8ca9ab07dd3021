"""Where a chat is kept: where `graphflow run` keeps its runs, or in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from graphflow.cli.keeping import is_file, new_id
from graphflow.cli.printing import note
from graphflow.cli.stored_runs import command_for
from graphflow.errors import InputInvalid, StoreError
from graphflow.graph import RunnableGraph
from graphflow.journal.storable import check_storable
from graphflow.journal.store import Store
from graphflow.project.here import project_here
from graphflow.project.runs import RunPlace, place_of_runs

IN_MEMORY = "memory:"


@dataclass(slots=True)
class ChatKeeping:
    """How the conversation of a chat is kept.

    Attributes:
        named: how its graph was named.
        key: what the conversation is called.
        store: where it is.
        place: the same, for people; None: in memory, until the chat ends.
        model: that was given for nodes which name none.
    """

    named: str
    key: str
    store: Store
    place: RunPlace | None
    model: str | None

    @property
    def graph(self) -> str | None:
        """How the graph has to be named where a run's own name for it does not lead to it."""
        return self.named if is_file(self.named) else None

    def command(self) -> str:
        """The command line that goes on with it."""
        assert self.place is not None
        words = ["chat", self.named, "--conversation", self.key]
        # What the project says need not be typed.
        if self.model not in (None, _model_of_project()):
            words += ["--model", self.model]
        return command_for(self.place, words)

    def answer_command(self, run: str) -> str:
        """The command line that answers what a run of it waits for."""
        assert self.place is not None
        return command_for(self.place, ["answer", run], self.graph)


async def chat_keeping(
    graph: RunnableGraph, named: str, key: str | None, address: str | None, model: str | None
) -> ChatKeeping:
    """How a chat is kept.

    Args:
        graph: who is talked to.
        named: how it was named.
        key: what the conversation is called, if somebody has said; else it is a new one.
        address: where it is to be kept, if somebody has said.
        model: that was given for nodes which name none.

    Raises:
        InputInvalid: the conversation is named, and nothing is kept.
        StoreError: it is to be kept, and cannot be.
    """
    place = place_of_runs(address)
    if place is None and key is not None:
        raise InputInvalid(
            f"--conversation {key}: nothing is kept here; say where: --store sqlite:FILE"
        )
    is_named = key is not None
    name = key or new_id(graph.name)
    if place is not None:
        store = place.open()
        try:
            check_storable(graph)
            await asyncio.to_thread(place.prepare)
            await store.find(name)
            return ChatKeeping(named, name, store, place, model)
        except (StoreError, OSError) as error:
            await store.aclose()
            # What a project keeps by itself must not stop a chat that would have gone well without.
            if place.given or is_named:
                raise
            note(f"the conversation is not kept: {error}")
    return ChatKeeping(named, name, Store.open(IN_MEMORY), None, model)


def _model_of_project() -> str | None:
    project = project_here()
    return None if project is None else project.model
