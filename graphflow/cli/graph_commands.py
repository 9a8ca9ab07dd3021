"""The commands for graphs: run, chat, check, prove, bounds, draw, diff, report, list, schema, mcp.

Here stands what each takes; what it does is loaded when it does it, so that `--help` waits for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from graphflow.cli.options import (
    ApprovedNames,
    ConversationId,
    EventsFile,
    GraphName,
    GraphOrMain,
    InputFields,
    ModelName,
    OpenLevels,
    OutputAsJson,
    ReportFile,
    RunInput,
    SecretVariables,
    StatedLimits,
    StoreAddress,
    UserName,
    WalkOutput,
    WhenKept,
)
from graphflow.cli.printing import note, out


def run(
    graph: GraphOrMain = None,
    message: RunInput = None,
    settings: InputFields = None,
    input_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read the input from a file; - is standard input."),
    ] = None,
    model: ModelName = None,
    as_json: OutputAsJson = False,
    events: EventsFile = None,
    report: ReportFile = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl", help="Write down what all models of the run say, for --replay."
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl", help="Have a recording answer in place of all models of the run."
        ),
    ] = None,
    approve: ApprovedNames = None,
    limits: StatedLimits = None,
    store: StoreAddress = None,
    id: Annotated[
        str | None, typer.Option(metavar="ID", help="The run's name, unique where it is kept.")
    ] = None,
    sync: Annotated[
        WhenKept | None,
        typer.Option(help="When the run waits until what it did is on the disk. Default: effects."),
    ] = None,
    secret_env: SecretVariables = None,
    conversation: ConversationId = None,
    user: UserName = None,
) -> None:
    """Run a graph, and print its output. Without a name, the project's own graph with its message.

    On a terminal, its progress is shown live, and you are asked about calls that need approval. In a project the run is
    kept: after Ctrl-C, a crash or a question, `graphflow resume` goes on with it.
    """
    from graphflow.cli.approvals import approved_beforehand
    from graphflow.cli.keeping import keeping_of
    from graphflow.cli.option_values import read_settings
    from graphflow.cli.project_options import graph_meant, limits_meant, sitting_options, sync_meant
    from graphflow.cli.run_input import message_of, stated_text
    from graphflow.cli.traffic import traffic
    from graphflow.cli.watch import walk_here
    from graphflow.project.here import main_graph

    # Before anything is read from a pipe: a slip in a name is told at once.
    found = graph_meant(graph)
    named = graph or main_graph()
    fields = read_settings(settings)
    text = stated_text(message, input_file)
    given = message_of(found, text, fields, is_main=graph is None)
    keeping = keeping_of(
        found, named, store, id=id, sync=sync_meant(sync), conversation=conversation
    )
    limited = limits_meant(limits)
    output = WalkOutput(as_json, events, report)
    options = sitting_options(model, secret_env, user)
    approved_beforehand(options, approve)
    with traffic(options, record, replay):
        code = walk_here(found, given, options, limits=limited, output=output, keeping=keeping)
    raise typer.Exit(code)


def chat(
    graph: GraphOrMain = None,
    conversation: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Which conversation to go on with. Default: a new one."),
    ] = None,
    model: ModelName = None,
    approve: ApprovedNames = None,
    limits: StatedLimits = None,
    store: StoreAddress = None,
    secret_env: SecretVariables = None,
    user: UserName = None,
) -> None:
    """Talk with a graph: line by line, each answer knowing what was said before.

    In a project the conversation is kept; the same ID goes on with it. Through a pipe each line is a message, and each
    answer is printed. Type /help for commands such as /undo, /fork and /save.
    """
    from graphflow.cli.approvals import approved_beforehand
    from graphflow.cli.chat import chat_here
    from graphflow.cli.project_options import graph_meant, say_options
    from graphflow.project.here import main_graph

    found = graph_meant(graph)
    options = say_options(model, limits, secret_env, user)
    approved_beforehand(options, approve)
    code = chat_here(found, graph or main_graph(), conversation, store, options)
    raise typer.Exit(code)


def check(
    graph: GraphOrMain = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with 1 if there is a warning, or a claim not proven."),
    ] = False,
) -> None:
    """Check a graph without running it, and print what was proven. The exit code is 2 if it is unsound."""
    from graphflow.cli.checks import check_graph
    from graphflow.cli.project_options import graph_meant

    raise typer.Exit(check_graph(graph_meant(graph), strict=strict))


def prove(
    graph: GraphName,
    claim: Annotated[
        str | None,
        typer.Argument(metavar="CLAIM", help="Default: all that the graph declares."),
    ] = None,
    states: Annotated[
        int | None, typer.Option(metavar="N", help="States of walks that are looked at, at most.")
    ] = None,
    lists: Annotated[
        int | None, typer.Option(metavar="N", help="Up to which length lists are mapped.")
    ] = None,
    explore: Annotated[
        bool, typer.Option("--explore", help="Also print how walks may end.")
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the walk that refutes the claim."),
    ] = None,
    test: Annotated[
        Path | None,
        typer.Option(metavar="FILE.py", help="Write that walk as a test with stand-in nodes."),
    ] = None,
) -> None:
    """Prove a claim about all walks of a graph, or show the shortest walk that breaks it.

    The exit code is 1 if the claim is refuted or unknown, and not enforced.
    """
    from graphflow.cli.project_options import graph_meant
    from graphflow.cli.prove import explore_walks, prove_claims

    found = graph_meant(graph)
    code = prove_claims(found, claim, states, lists, picture, test)
    if explore:
        explore_walks(found, states, lists)
    raise typer.Exit(code)


def bounds(graph: GraphOrMain = None) -> None:
    """Print the worst case of one run: steps, depth, model calls, cost."""
    from graphflow.cli.project_options import graph_meant

    out(str(graph_meant(graph).bounds()))


def draw(
    graph: GraphName,
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Where to draw to: .svg, .png, .pdf, .dot, .mmd or .txt. Default: print Mermaid.",
        ),
    ] = None,
    open: OpenLevels = None,
    direction: Annotated[
        Literal["TB", "LR"], typer.Option(help="Top to bottom, or left to right.")
    ] = "TB",
    legend: Annotated[bool, typer.Option("--legend", help="Explain the shapes and lines.")] = False,
    theme: Annotated[Literal["auto", "light", "dark"], typer.Option(help="The colours.")] = "auto",
    labels: Annotated[
        bool, typer.Option("--labels/--no-labels", help="Show what edges carry.")
    ] = True,
    ascii: Annotated[
        bool, typer.Option("--ascii", help="Print boxes and lines for a terminal.")
    ] = False,
    events: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl", help="Show a run on it: a file that `run --events` wrote."
        ),
    ] = None,
) -> None:
    """Draw a graph, or a run of it."""
    from graphflow.cli.draw import draw_graph, levels
    from graphflow.cli.project_options import graph_meant

    look = {
        "direction": direction,
        "legend": legend,
        "theme": theme,
        "labels": labels,
        **levels(open),
    }
    draw_graph(graph_meant(graph), path, events, ascii, look)


def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="A graph, a run, or a file that `run --events` wrote (.jsonl)."
        ),
    ],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B", help="What to compare it with: another graph, or another walk."
        ),
    ],
    path: Annotated[
        Path | None, typer.Option("--draw", metavar="FILE", help="Draw both as one picture, too.")
    ] = None,
    graph: Annotated[
        str | None, typer.Option(metavar="GRAPH", help="The graph that was run, for two walks.")
    ] = None,
    open: OpenLevels = None,
    store: StoreAddress = None,
) -> None:
    """Compare two graphs, or two runs. Exits with 0 if nothing differs, with 1 if something does."""
    from graphflow.cli.differences import compare
    from graphflow.cli.draw import levels

    found, used = compare(a, b, graph, store, levels(open))
    out(str(found))
    if used:
        note(used)
    if path is not None:
        out(f"wrote {found.draw(str(path))}")
    if found:
        raise typer.Exit(1)


def report(
    events: Annotated[
        Path,
        typer.Argument(metavar="EVENTS.jsonl", help="A file that `graphflow run --events` wrote."),
    ],
    path: Annotated[
        Path | None,
        typer.Option(
            "-o", metavar="FILE.html", help="Where to write it. Default: beside the events."
        ),
    ] = None,
    graph: Annotated[
        str | None,
        typer.Option(
            metavar="GRAPH", help="The graph that was run, for its diagram: a name or file."
        ),
    ] = None,
) -> None:
    """Write a recorded run as an HTML page: pictures, conversations, steps, costs."""
    from graphflow.cli.project_options import graph_meant
    from graphflow.render import write_report

    found = graph_meant(graph) if graph is not None else None
    out(f"wrote {write_report(events, path or events.with_suffix('.html'), found)}")


def list_graphs() -> None:
    """List the graphs that can be run by name: those of your project, and those that come with graphflow."""
    from graphflow.cli.graph_list import show_graphs

    show_graphs()


def schema(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write it into this file.")
    ] = None,
    plugins: Annotated[
        bool, typer.Option("--plugins", help="With the words of plug-ins that are installed.")
    ] = False,
) -> None:
    """Print a JSON Schema of graph files, by which editors complete and check them.

    In the first line of a YAML file: # yaml-language-server: $schema=graph.schema.json
    """
    from graphflow.files.schema import schema_text

    schema = None
    if plugins:
        from graphflow.files.plugged_schema import plugged_schema
        from graphflow.project.here import project_here

        project_here()  # it says which may be used
        schema = plugged_schema()
    text = schema_text(schema)
    # Into a pipe, where nothing else was asked for.
    if output is None:
        out(text)
        return
    output.write_text(f"{text}\n", encoding="utf-8")
    out(f"wrote {output}")


def mcp(
    graphs: Annotated[
        list[str],
        typer.Argument(
            metavar="GRAPH", help="One or more graphs: names, or .py, .yaml, .json or .toml files."
        ),
    ],
    http: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=1,
            max=65_535,
            help="Serve HTTP at this port of this machine. Default: standard streams.",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where to write a new token. Default: print it on standard error."
        ),
    ] = None,
    model: ModelName = None,
    user: UserName = None,
) -> None:
    """Serve graphs as tools over the Model Context Protocol (MCP), one tool each.

    Over HTTP, a client has to send a token: that of $GRAPHFLOW_MCP_TOKEN if it is set, else a new one.
    """
    from graphflow.cli.serve import serve_graphs

    serve_graphs(graphs, model, http, token_file, user)


COMMANDS: dict[str, Callable[..., None]] = {
    "run": run,
    "chat": chat,
    "check": check,
    "prove": prove,
    "bounds": bounds,
    "draw": draw,
    "diff": compare,
    "report": report,
    "list": list_graphs,
    "schema": schema,
    "mcp": mcp,
}
