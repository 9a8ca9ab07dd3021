"""What the commands for runs that are kept do: resume, answer, replay, fork, prune, delete."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from graphflow.cli.answers import give_answer
from graphflow.cli.approvals import approved_beforehand
from graphflow.cli.export import export_run
from graphflow.cli.forks import BranchPoint, read_edits, read_prompts, walk_fork
from graphflow.cli.keeping import Keeping, new_id
from graphflow.cli.option_values import read_limits
from graphflow.cli.options import WalkOutput
from graphflow.cli.outcome import walk_and_show
from graphflow.cli.printing import note, out
from graphflow.cli.project_options import limits_meant, sitting_options
from graphflow.cli.stored_runs import (
    OVER,
    can_go_on,
    command_for,
    graph_of,
    header_of,
    state_of,
    with_store,
)
from graphflow.cli.watch import walk_here
from graphflow.journal.store import Store
from graphflow.journal.stored import RunHeader
from graphflow.project.runs import RunPlace
from graphflow.proofs.report import counted
from graphflow.run import Run


@dataclass(frozen=True, slots=True)
class NextSitting:
    """How a run goes on.

    Attributes:
        graph: its graph, if somebody has said.
        model: for nodes that name none; None: that which it was begun with.
        limits: instead of those that it was begun with.
        secret_env: variables that hold secrets.
        approve: the names of what may be called without asking.
        output: what is printed and written.
    """

    graph: str | None = None
    model: str | None = None
    limits: Sequence[str] | None = None
    secret_env: Sequence[str] | None = None
    approve: Sequence[str] | None = None
    output: WalkOutput = field(default_factory=WalkOutput)


def resume_run(id: str | None, address: str | None, sitting: NextSitting) -> int:
    """Goes on with a run; the exit code.

    Args:
        id: the run; None: the newest one that can go on.
        address: where it is kept, if somebody has said.
        sitting: how it goes on.

    Raises: whatever the run raises.
    """

    async def find(opened: Store, place: RunPlace) -> tuple[RunHeader, RunPlace]:
        # By the store's clock, which leases are counted by.
        now = await opened.now()
        header = await header_of(
            opened,
            id,
            lambda each: can_go_on(each) and state_of(each, now) != "running",
            "run that can go on",
        )
        return header, place

    header, place = with_store(address, find)
    return go_on(header, place, sitting)


def go_on(header: RunHeader, place: RunPlace, sitting: NextSitting) -> int:
    """Goes on with a run that was found; the exit code."""
    found = graph_of(header, sitting.graph)
    store = place.open()
    keeping = Keeping(place, store, header.id, resumes=True, graph=sitting.graph)
    # Going on with it shows what it was.
    if header.status in OVER:
        note(f"run {header.id} has ended already ({header.status})")
    limited = read_limits(sitting.limits)
    model = sitting.model or _model_of(header)
    options = sitting_options(model, sitting.secret_env)
    approved_beforehand(options, sitting.approve)
    return walk_here(found, None, options, limits=limited, output=sitting.output, keeping=keeping)


def answer_question(
    id: str | None, address: str | None, given: tuple[str | None, str | None, str | None]
) -> tuple[RunHeader, RunPlace, str]:
    """Answers a question of a run.

    Args:
        id: the run; None: the newest one that waits.
        address: where it is kept, if somebody has said.
        given: the question, the answer, and who gives it, as far as somebody has said.

    Returns:
        The run, where it is kept, and the question's id.

    Raises: what `give_answer` raises.
    """
    question, value, by = given
    who = by or _user()
    return with_store(
        address, lambda opened, place: give_answer(opened, place, id, question, value, who)
    )


def tell_answered(header: RunHeader, place: RunPlace, asked: str, graph: str | None) -> None:
    """Says that a question is answered, and how the run goes on."""
    command = command_for(place, ["resume", header.id], graph)
    note(f"{asked} is answered; `{command}` goes on with the run")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # nobody knows who that is, as in a container
        return ""


def replay_run(id: str | None, graph: str | None, address: str | None) -> None:
    """Makes a run again from its record alone.

    Raises:
        RowDiffers: a row is not the same.
    """

    async def replaying(opened: Store, place: RunPlace) -> tuple[RunHeader, Run[Any]]:
        header = await header_of(opened, id)
        return header, await graph_of(header, graph).replay(header.id, store=opened)

    header, _ = with_store(address, replaying)
    out(f"run {header.id}: {counted(header.rows, 'row')}, all the same")


@dataclass(frozen=True, slots=True)
class StatedFork:
    """What a command line says of a fork.

    Attributes:
        parent: the run that it is made of, or the beginning of its id.
        at: what is done again.
        edits: other answers, PLACE=VALUE.
        prompts: other prompts, AGENT=TEXT.
        id: the name of the new run, if somebody has said.
    """

    parent: str
    at: str | None
    edits: Sequence[str] | None
    prompts: Sequence[str] | None
    id: str | None


def fork_run(stated: StatedFork, address: str | None, sitting: NextSitting) -> int:
    """Makes another run of one, and walks it to its end; the exit code.

    Raises: whatever the walk raises.
    """

    async def find(opened: Store, place: RunPlace) -> tuple[RunHeader, RunPlace]:
        return await header_of(opened, stated.parent), place

    header, place = with_store(address, find)
    found = graph_of(header, sitting.graph)
    # Read before anything is done: a mistake in an option must not leave half a fork behind.
    edits = read_edits(stated.edits)
    prompts = read_prompts(stated.prompts)
    branch = BranchPoint(header.id, stated.at, edits, prompts)
    limited = limits_meant(sitting.limits)
    name = stated.id or new_id(header.graph)
    store = place.open()
    keeping = Keeping(place, store, name, graph=sitting.graph)
    model = sitting.model or _model_of(header)
    options = sitting_options(model, None)
    approved_beforehand(options, sitting.approve)
    if limited is not None:
        options["limits"] = limited
    walk = partial(walk_fork, found, branch, keeping, options)
    return walk_and_show(walk, sitting.output, keeping)


def _model_of(header: RunHeader) -> str | None:
    """The model that a run was begun with, if it was told one: whoever goes on wants the same."""
    known = header.metadata.get("model")
    return known if isinstance(known, str) else None


def prune_runs(seconds: float, keep: int, address: str | None) -> None:
    """Removes runs that have ended for so many seconds, but for the newest ones."""

    async def removing(opened: Store, place: RunPlace) -> int:
        return await opened.prune(older_than=seconds, keep=keep)

    removed = with_store(address, removing)
    out(f"removed {counted(removed, 'run')}")


def delete_run(id: str, address: str | None) -> None:
    """Removes a run for good.

    Raises:
        RunUnknown: there is none.
        RunOwned: somebody is at it.
    """

    async def removing(opened: Store, place: RunPlace) -> str:
        header = await header_of(opened, id)
        await opened.delete(header.id)
        return header.id

    removed = with_store(address, removing)
    out(f"removed run {removed}")


def export_rows(id: str | None, path: Path | None, address: str | None) -> None:
    """Writes all that is kept of a run as lines of JSON."""
    count = with_store(address, lambda opened, _: export_run(opened, id, path))
    if path is not None:
        out(f"wrote {counted(count, 'line')} to {path}")
