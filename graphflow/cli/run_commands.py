"""The commands for runs that are kept: runs, usage, show, resume, answer, replay, fork, export, prune, delete.

Here stands what each takes; what it does is loaded when it does it, so that `--help` waits for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from graphflow.cli.options import (
    STATES,
    ApprovedNames,
    AsJson,
    EventsFile,
    GraphOfRun,
    Grouping,
    Measure,
    ModelName,
    OutputAsJson,
    ReportFile,
    RunId,
    RunState,
    SecretVariables,
    StatedLimits,
    StoreAddress,
    WalkOutput,
)
from graphflow.cli.printing import out


def runs(
    graph: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only runs of the graph of this name.")
    ] = None,
    status: Annotated[
        RunState | None, typer.Option(metavar="STATUS", help=f"Only those that are {STATES}.")
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
    from graphflow.cli.option_values import read_since
    from graphflow.cli.run_list import WantedRuns, listed, show_list
    from graphflow.cli.stored_runs import with_store

    wanted = WantedRuns(graph, status, None if since is None else read_since(since), limit, check)
    rows, more = with_store(store, lambda opened, _: listed(opened, wanted))
    show_list(rows, more, as_json=as_json)
    # A deployment has to be able to stop by it.
    if any(row.is_stuck for row in rows):
        raise typer.Exit(1)


def usage(
    by: Annotated[Grouping, typer.Option("--by", help="What one row is about.")] = "day",
    since: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="Only what was spent since: 12h, 30d, or a date."),
    ] = None,
    graph: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only runs of the graph of this name.")
    ] = None,
    chart: Annotated[bool, typer.Option("--chart", help="Draw a bar a row.")] = False,
    measure: Annotated[
        Measure | None,
        typer.Option(
            "--measure", help="What the bars of --chart show. Default: usd, else tokens, else runs."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many rows at most.")] = 31,
    as_json: AsJson = False,
    store: StoreAddress = None,
) -> None:
    """Show what the runs that are kept have spent: runs, model calls, tokens, dollars.

    It is read from their records; no graph is loaded. Days are those of your time zone.
    """
    from graphflow.cli.option_values import read_since
    from graphflow.cli.stored_runs import with_store
    from graphflow.cli.usage import show_usage_chart, show_usage_json, show_usage_table
    from graphflow.project.spent import WantedUsage, usage_of

    moment = None if since is None else read_since(since)
    wanted = WantedUsage(by, moment, graph, limit)
    found = with_store(store, lambda opened, _: usage_of(opened, wanted))
    if as_json:
        show_usage_json(found)
    elif chart or measure is not None:
        show_usage_chart(found, measure)
    else:
        show_usage_table(found)


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
    failure: Annotated[
        bool,
        typer.Option("--failure", help="Say why it has not completed, and how to go on."),
    ] = False,
    as_json: AsJson = False,
    graph: GraphOfRun = None,
    store: StoreAddress = None,
) -> None:
    """Show a run that is kept, however far it has come."""
    from graphflow.cli.run_page import (
        read_run,
        show_events,
        show_failure,
        show_run,
        show_steps,
        show_usage,
        write_pictures,
    )
    from graphflow.cli.stored_runs import with_store

    run, state = with_store(store, lambda opened, _: read_run(opened, id, graph))
    # Who asks for a file wants nothing printed.
    if write_pictures(run, picture=picture, timeline=timeline, report=report, why=why):
        return
    if why is not None:
        out(str(run.explain(why)))
    elif failure:
        show_failure(run, as_json=as_json)
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
    as_json: OutputAsJson = False,
    events: EventsFile = None,
    report: ReportFile = None,
    approve: ApprovedNames = None,
    graph: GraphOfRun = None,
    secret_env: SecretVariables = None,
    store: StoreAddress = None,
) -> None:
    """Go on with a run: after Ctrl-C, a crash, an answer, or a limit that was raised. What was done is not done again."""
    from graphflow.cli.runs import NextSitting, resume_run

    output = WalkOutput(as_json, events, report)
    sitting = NextSitting(graph, model, limits, secret_env, approve, output)
    raise typer.Exit(resume_run(id, store, sitting))


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
    from graphflow.cli.runs import NextSitting, answer_question, go_on, tell_answered

    header, place, asked = answer_question(id, store, (question, value, by))
    # How the run goes is the exit code.
    if goes_on:
        raise typer.Exit(go_on(header, place, NextSitting(graph)))
    tell_answered(header, place, asked, graph)


def replay(id: RunId = None, graph: GraphOfRun = None, store: StoreAddress = None) -> None:
    """Make a run again from its record alone: nobody is asked, no node runs, and every row has to be the same."""
    from graphflow.cli.runs import replay_run

    replay_run(id, graph, store)


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
    as_json: OutputAsJson = False,
    report: ReportFile = None,
    approve: ApprovedNames = None,
    graph: GraphOfRun = None,
    store: StoreAddress = None,
) -> None:
    """Make another run of one: what does not depend on the cut is taken over, the rest is done anew."""
    from graphflow.cli.runs import NextSitting, StatedFork, fork_run

    stated = StatedFork(id, at, edits, prompts, new_id)
    output = WalkOutput(as_json, report=report)
    sitting = NextSitting(graph, model, limits, approve=approve, output=output)
    raise typer.Exit(fork_run(stated, store, sitting))


def export(
    id: RunId = None,
    path: Annotated[
        Path | None,
        typer.Argument(metavar="FILE.jsonl", help="Where to write it. Default: standard output."),
    ] = None,
    store: StoreAddress = None,
) -> None:
    """Write all that is kept of a run as lines of JSON: its header, its rows, answers and large values."""
    from graphflow.cli.runs import export_rows

    export_rows(id, path, store)


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
    from graphflow.cli.option_values import read_span
    from graphflow.cli.runs import prune_runs

    prune_runs(read_span(older_than, "--older-than"), keep, store)


def delete(
    id: Annotated[str, typer.Argument(metavar="ID", help="The run, or the beginning of its id.")],
    store: StoreAddress = None,
) -> None:
    """Remove a run for good: its rows, answers and key, and the large values that no other run names."""
    from graphflow.cli.runs import delete_run

    delete_run(id, store)


COMMANDS: dict[str, Callable[..., None]] = {
    "runs": runs,
    "usage": usage,
    "show": show,
    "resume": resume,
    "answer": answer,
    "replay": replay,
    "fork": fork,
    "export": export,
    "prune": prune,
    "delete": delete,
}
