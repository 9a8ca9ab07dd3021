"""What `graphflow fork` does: another run that shares what one has done up to a cut, and goes on by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from graphflow.cli.approvals import ask_here
from graphflow.cli.keeping import Keeping
from graphflow.cli.printing import note
from graphflow.cli.show import AnyRun
from graphflow.cli.sinks import sinks_of_project
from graphflow.cli.terminal import can_ask
from graphflow.cli.watch import Watcher, stopped_run, until_terminated
from graphflow.declaration.node import AnyNode
from graphflow.errors import InputInvalid
from graphflow.graph import RunnableGraph
from graphflow.runtime.options import ForkOptions, RunOptions


@dataclass(frozen=True, slots=True)
class BranchPoint:
    """Where a fork leaves the run that it is made of.

    Attributes:
        parent: that run.
        at: what is done again, with all that depends on it.
        edits: other answers, by the place that gave them.
        prompts: other prompts, by the agent's name.
    """

    parent: str
    at: str | None
    edits: dict[str, object]
    prompts: dict[AnyNode | str, str]


def read_edits(pairs: Sequence[str] | None) -> dict[str, object]:
    """Answers as they stand on a command line: PLACE=VALUE, the value as JSON or as a text.

    Raises:
        InputInvalid: one is not written like that.
    """
    edits: dict[str, object] = {}
    for pair in pairs or ():
        place, text = _parted(pair, "--edit", "PLACE=VALUE, for example 'writers > draft#2=better'")
        # What is not JSON is meant as it stands, as on the command line of `run`.
        try:
            edits[place] = json.loads(text)
        except ValueError:
            edits[place] = text
    return edits


def read_prompts(pairs: Sequence[str] | None) -> dict[AnyNode | str, str]:
    """Prompts as they stand on a command line: AGENT=TEXT.

    Raises:
        InputInvalid: one is not written like that.
    """
    prompts: dict[AnyNode | str, str] = {}
    for pair in pairs or ():
        agent, text = _parted(
            pair, "--prompt", "AGENT=TEXT, for example 'draft=Shorter: {{ text }}'"
        )
        prompts[agent] = text
    return prompts


def _parted(pair: str, option: str, form: str) -> tuple[str, str]:
    name, equals, text = pair.partition("=")
    if not equals or not name.strip():
        raise InputInvalid(f"{option} {pair}: write {form}")
    return name.strip(), text


def walk_fork(
    graph: RunnableGraph,
    branch: BranchPoint,
    keeping: Keeping,
    options: RunOptions,
) -> AnyRun:
    """Forks a run, and walks the fork to its end.

    Raises: whatever the walk raises; Ctrl-C and SIGTERM cancel it cleanly.
    """
    with sinks_of_project():
        forking = _forked(graph, branch, keeping, cast("ForkOptions", options))
        return asyncio.run(until_terminated(forking))


async def _forked(
    graph: RunnableGraph,
    branch: BranchPoint,
    keeping: Keeping,
    options: ForkOptions,
) -> AnyRun:
    watch = Watcher(None, None, whole=False, asks=can_ask())
    if watch.asks:
        ask_here(options, watch.aside)
    # It begins and goes on in one call, so nothing of it is drawn while it does.
    parent, store, id = branch.parent, keeping.store, keeping.id
    try:
        run: AnyRun = await graph.fork(
            parent,
            store=store,
            at=branch.at,
            edit=branch.edits,
            prompt=branch.prompts or None,
            new_id=id,
            **options,
        )
    except asyncio.CancelledError as cancelled:
        raise stopped_run(graph, getattr(cancelled, "run", None)) from None
    finally:
        await keeping.store.aclose()
    note(f"run {run.id} is kept in {keeping.place.shown}: {run.fork_report}")
    return run
