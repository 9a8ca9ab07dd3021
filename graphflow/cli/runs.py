"""The commands for runs that are kept: runs, show, resume, answer, replay, fork, export, prune."""

from __future__ import annotations

import getpass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from graphflow.cli.options import (
    AsJson,
    GraphOfRun,
    ModelName,
    RunId,
    StatedLimits,
    StoreAddress,
    WalkOutput,
    read_limits,
    read_since,
    read_span,
)
from graphflow.cli.show import note, out
from graphflow.cli.stored_runs import (
    OVER,
    can_go_on,
    command_for,
    graph_of,
    header_of,
    state_of,
    with_store,
)
from graphflow.journal.store import Store
from graphflow.journal.stored import RunHeader
from graphflow.project.runs import RunPlace
from graphflow.proofs.report import counted
from graphflow.run import Run


def runs(
    graph: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only runs of the graph of this name.")
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(
            help="Only those that are running, interrupted, waiting, completed, failed, cancelled or limited."
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="Only those that changed since: 2h, 30d, or a date."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the newest first.")] = 20,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Say of each that has not ended whether it can go on with its graph as it is now.",
        ),
    ] = False,
    as_json: AsJson = False,
    store: StoreAddress = None,
) -> None:
    """List the runs that are kept, the newest first. With --check, exits with 1 if one cannot go on."""
    from graphflow.cli.run_list import WantedRuns, listed, show_list

    wanted = WantedRuns(graph, status, None if since is None else read_since(since), limit, check)
    rows, more = with_store(store, lambda opened, _: listed(opened, wanted))
    show_list(rows, more, as_json=as_json)
    # A deployment has to be able to stop by it.
    if any(row.is_stuck for row in rows):
        raise typer.Exit(1)


def show(
    id: RunId = None,
    steps: Annotated[bool, typer.Option("--steps", help="List the steps.")] = False,
    usage: Annotated[bool, typer.Option("--usage", help="List what each node used.")] = False,
    events: Annotated[
        bool, typer.Option("--events", help="Print every event, one JSON line each.")
    ] = False,
    why: Annotated[
        str | None,
        typer.Option(
            metavar="NODE",
            help="Say why a node ran, or why it did not; with --picture, on the picture.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the run: .svg, .png, .pdf, .dot or .mmd."),
    ] = None,
    timeline: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw who worked when.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write the run as an HTML page.")
    ] = None,
    as_json: AsJson = False,
    graph: GraphOfRun = None,
    store: StoreAddress = None,
) -> None:
    """Show a run that is kept, however far it has come."""
    from graphflow.cli.run_page import (
        read_run,
        show_events,
        show_run,
        show_steps,
        show_usage,
        write_pictures,
    )

    run, state = with_store(store, lambda opened, _: read_run(opened, id, graph))
    # Who asks for a file wants nothing printed.
    if write_pictures(run, picture=picture, timeline=timeline, report=report, why=why):
        return
    if why is not None:
        out(str(run.explain(why)))
    elif events:
        show_events(run)
    elif steps:
        show_steps(run, as_json=as_json)
    elif usage:
        show_usage(run, as_json=as_json)
    else:
        show_run(run, state, as_json=as_json)


def resume(
    id: RunId = None,
    limits: StatedLimits = None,
    model: ModelName = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the output, status and usage as JSON.")
    ] = False,
    events: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl", help="Write every event to this file, one JSON line each."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write the run as an HTML page.")
    ] = None,
    graph: GraphOfRun = None,
    store: StoreAddress = None,
) -> None:
    """Go on with a run: after Ctrl-C, a crash, an answer, or a limit that was raised. What was done is not done again."""

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

    header, place = with_store(store, find)
    output = WalkOutput(as_json, events, report)
    _go_on(header, place, graph, model, limits, output)


def _go_on(
    header: RunHeader,
    place: RunPlace,
    graph: str | None,
    model: str | None,
    limits: str | None,
    output: WalkOutput,
) -> NoReturn:
    from graphflow.cli.keeping import Keeping
    from graphflow.cli.watch import walk_here

    found = graph_of(header, graph)
    model = model or _model_of(header)
    keeping = Keeping(place, place.open(), header.id, resumes=True, graph=graph)
    if header.status in OVER:
        note(f"run {header.id} has ended already ({header.status})")
    limited = read_limits(limits)
    code = walk_here(found, None, model=model, limits=limited, output=output, keeping=keeping)
    raise typer.Exit(code)


def answer(
    id: RunId = None,
    question: Annotated[
        str | None,
        typer.Argument(
            metavar="QUESTION",
            help="Its id, or the node that asks. Default: the only one that is open.",
        ),
    ] = None,
    value: Annotated[
        str | None,
        typer.Argument(metavar="VALUE", help="JSON, or a text. Default: standard input."),
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who answers. Default: your user name.")
    ] = None,
    goes_on: Annotated[bool, typer.Option("--resume", help="Go on with the run at once.")] = False,
    graph: GraphOfRun = None,
    store: StoreAddress = None,
) -> None:
    """Answer a question that a run waits for, from any process; `graphflow runs --status waiting` lists them."""
    from graphflow.cli.answers import give_answer

    header, place, asked = with_store(
        store, lambda opened, place: give_answer(opened, place, id, question, value, by or _user())
    )
    # It never comes back from there: how the run goes is the exit code.
    if goes_on:
        _go_on(header, place, graph, model=None, limits=None, output=WalkOutput())
    command = command_for(place, ["resume", header.id], graph)
    note(f"{asked} is answered; `{command}` goes on with the run")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # nobody knows who that is, as in a container
        return ""


def replay(id: RunId = None, graph: GraphOfRun = None, store: StoreAddress = None) -> None:
    """Make a run again from its record alone: nobody is asked, no node runs, and every row has to be the same."""

    async def replaying(opened: Store, place: RunPlace) -> tuple[RunHeader, Run[Any]]:
        header = await header_of(opened, id)
        return header, await graph_of(header, graph).replay(header.id, store=opened)

    header, _ = with_store(store, replaying)
    out(f"run {header.id}: {counted(header.rows, 'row')}, all the same")


def fork(
    id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The run that it is made of, or the beginning of its id."
        ),
    ],
    at: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="What is done again, with all that depends on it: a node, such as draft#2.",
        ),
    ] = None,
    edits: Annotated[
        list[str] | None,
        typer.Option(
            "--edit",
            metavar="PLACE=VALUE",
            help="Another answer of a node, as JSON or text; may be repeated.",
        ),
    ] = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option(
            "--prompt",
            metavar="AGENT=TEXT",
            help="Another prompt of an agent, which is asked anew; may be repeated.",
        ),
    ] = None,
    new_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="The name of the new run.")
    ] = None,
    limits: StatedLimits = None,
    model: ModelName = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the output, status and usage as JSON.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write the run as an HTML page.")
    ] = None,
    graph: GraphOfRun = None,
    store: StoreAddress = None,
) -> None:
    """Make another run of one: what does not depend on the cut is taken over, the rest is done anew."""
    from graphflow.cli.forks import BranchPoint, read_edits, read_prompts, walk_fork
    from graphflow.cli.keeping import Keeping
    from graphflow.cli.keeping import new_id as id_for
    from graphflow.cli.outcome import walk_and_show

    async def find(opened: Store, place: RunPlace) -> tuple[RunHeader, RunPlace]:
        return await header_of(opened, id), place

    header, place = with_store(store, find)
    found = graph_of(header, graph)
    # Read before anything is done: a mistake in an option must not leave half a fork behind.
    branch = BranchPoint(header.id, at, read_edits(edits), read_prompts(prompts))
    limited = read_limits(limits)
    keeping = Keeping(place, place.open(), new_id or id_for(header.graph), graph=graph)
    uses = model or _model_of(header)

    walk = partial(walk_fork, found, branch, keeping, uses, limited)
    output = WalkOutput(as_json, report=report)
    code = walk_and_show(walk, output, keeping)
    raise typer.Exit(code)


def _model_of(header: RunHeader) -> str | None:
    """The model that a run was begun with, if it was told one: whoever goes on wants the same."""
    known = header.metadata.get("model")
    return known if isinstance(known, str) else None


def export(
    id: RunId = None,
    path: Annotated[
        Path | None,
        typer.Argument(metavar="FILE.jsonl", help="Where to write it. Default: standard output."),
    ] = None,
    store: StoreAddress = None,
) -> None:
    """Write all that is kept of a run as lines of JSON: its header, its rows, answers and large values."""
    from graphflow.cli.export import export_run

    count = with_store(store, lambda opened, _: export_run(opened, id, path))
    if path is not None:
        out(f"wrote {counted(count, 'line')} to {path}")


def prune(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="SPAN", help="Such as 12h, 30d or 8w.")
    ],
    keep: Annotated[
        int, typer.Option(min=0, help="How many of the newest stay, however old they are.")
    ] = 0,
    store: StoreAddress = None,
) -> None:
    """Remove runs that have ended, and give their space back. What waits or goes on stays."""
    seconds = read_span(older_than, "--older-than")

    async def removing(opened: Store, place: RunPlace) -> int:
        return await opened.prune(older_than=seconds, keep=keep)

    removed = with_store(store, removing)
    out(f"removed {counted(removed, 'run')}")


COMMANDS = (runs, show, resume, answer, replay, fork, export, prune)
