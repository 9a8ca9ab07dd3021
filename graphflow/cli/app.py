"""The commands: run, check, bounds, draw, diff, report, list, mcp, models.

Exit codes: 0 = done; 1 = a walk did not complete, or `diff` found something; 2 = what was asked for cannot be (one line says
why); 130 = Ctrl-C, 143 = SIGTERM.
`--debug` shows the traceback behind the line.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from graphflow import __version__, errors
from graphflow.cli.show import out, out_json, show_error, show_output
from graphflow.messages.message import error_text as errors_text
from graphflow.messages.message import to_json_value, type_name
from graphflow.project import find_all, load, read_message
from graphflow.redaction import scrub
from graphflow.run import Run

app = typer.Typer(
    name="graphflow",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Graphs of agents: run, check, draw.",
)
models_app = typer.Typer(help="Models: which are in reach, and weights to fetch.")
app.add_typer(models_app, name="models")

GraphName = Annotated[
    str,
    typer.Argument(
        metavar="GRAPH",
        help="A graph's name (see `graphflow list`), a .py or .yaml file, or FILE.py:VARIABLE. A file is code, YAML too.",
    ),
]

OpenLevels = Annotated[
    str | None,
    typer.Option("--open", metavar="LEVELS", help="How many levels of graphs and sub-agents to open, or all."),
]

USAGE = (
    errors.ProjectError,
    errors.InputInvalid,
    errors.DepsInvalid,
    errors.GraphError,
    errors.DeclarationError,
    errors.PromptError,
    errors.MissingExtra,
    errors.WeightsError,
    errors.UnknownProvider,
    errors.ModelUnset,
    errors.KeyMissing,
)
"""Errors that say that what was asked for cannot be: exit code 2."""

INTERRUPTED = 130
"""What a shell expects after Ctrl-C: 128 + SIGINT."""
TERMINATED = 143
"""What a service manager expects after it has asked a program to end: 128 + SIGTERM."""

_debug = False


@app.callback(invoke_without_command=True)
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version and end.")] = False,
) -> None:
    """Graphs of agents: run, check, draw."""
    global _debug
    if version:
        out(f"graphflow {__version__}")
        raise typer.Exit
    _debug = debug


@app.command()
def run(
    graph: GraphName,
    message: Annotated[
        str | None, typer.Argument(metavar="[INPUT]", help="Text, JSON, or - for standard input.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-s", metavar="FIELD=VALUE", help="A field of the input.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="provider:model for nodes that name none.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print output, status and usage as JSON.")] = False,
    events: Annotated[Path | None, typer.Option(help="Write every event to this file, a JSON line each.")] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write the run as a page: pictures, conversations, costs.")
    ] = None,
) -> None:
    """Walk a graph. On a terminal the walk is shown live, and calls that need approval are asked about."""
    from graphflow.cli.approvals import can_ask
    from graphflow.cli.watch import walk

    found = load(graph)
    text = sys.stdin.read() if message == "-" else message
    given = read_message(found, text, _settings(settings))
    try:
        live = sys.stdout.isatty() and not as_json
        done = walk(found, given, model=model, events=events, live=live, told=report is not None, asks=can_ask())
    except Exception as error:
        partial = getattr(error, "run", None)
        if report is not None and partial is not None:
            partial.report(str(report))
        if as_json and partial is not None:
            _print_json(partial)
        raise
    if report is not None:
        done.report(str(report))
    if as_json:
        _print_json(done)
    else:
        show_output(done)


def _print_json(done: Run[Any]) -> None:
    answer = {"status": done.status, "output": to_json_value(done.output), "usage": to_json_value(done.usage)}
    if done.error is not None:
        answer["error"] = {"type": type(done.error).__name__, "text": scrub(errors_text(done.error))}
    answer["failures"] = [
        {"node": f.node, "type": type(f.error).__name__, "text": scrub(errors_text(f.error))}
        for f in done.failures
        if f.error is not None
    ]
    out_json(answer)


@app.command()
def check(graph: GraphName) -> None:
    """Prove a graph, and tell what was proven."""
    out(str(load(graph).check()))


@app.command()
def bounds(graph: GraphName) -> None:
    """Tell the worst case of one walk: activations, depth, model calls."""
    out(str(load(graph).bounds()))


@app.command()
def draw(
    graph: GraphName,
    path: Annotated[
        Path | None,
        typer.Argument(
            help="Where to; the ending says which: .svg .png .pdf .dot .mmd .txt. Default: Mermaid, printed."
        ),
    ] = None,
    open: OpenLevels = None,
    direction: Annotated[str, typer.Option(help="TB (top to bottom) or LR (left to right).")] = "TB",
    legend: Annotated[bool, typer.Option("--legend", help="Explain kinds and lines.")] = False,
    theme: Annotated[str, typer.Option(help="auto, light or dark.")] = "auto",
    labels: Annotated[bool, typer.Option("--labels/--no-labels", help="What edges carry.")] = True,
    ascii: Annotated[bool, typer.Option("--ascii", help="Print boxes for a terminal.")] = False,
    events: Annotated[
        Path | None, typer.Option(help="A walk to lay over it: a file that `run --events` wrote.")
    ] = None,
) -> None:
    """Draw a graph, or a walk over it."""
    from graphflow.cli.draw import draw_graph, levels

    look = {"direction": direction, "legend": legend, "theme": theme, "labels": labels, **levels(open)}
    draw_graph(load(graph), path, events, ascii, look)


@app.command("diff")
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A graph, or a file of events (.jsonl).")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another of the same sort.")],
    path: Annotated[Path | None, typer.Option("--draw", help="Write both as one picture, too.")] = None,
    graph: Annotated[str | None, typer.Option(help="The graph that was walked, for two files of events.")] = None,
    open: OpenLevels = None,
) -> None:
    """Tell what differs between two graphs or two walks. Exit code 0: nothing, 1: something."""
    from graphflow.cli.draw import compare, levels

    found = compare(a, b, graph, levels(open))
    out(str(found))
    if path is not None:
        out(f"wrote {found.draw(str(path))}")
    if found:
        raise typer.Exit(1)


@app.command()
def report(
    events: Annotated[Path, typer.Argument(metavar="EVENTS.jsonl", help="What `graphflow run --events` has written.")],
    path: Annotated[
        Path | None, typer.Option("-o", metavar="FILE.html", help="Where to. Default: beside the events.")
    ] = None,
    graph: Annotated[
        str | None, typer.Option(metavar="GRAPH", help="The graph that was walked, for its diagram: a name or file.")
    ] = None,
) -> None:
    """Write a recorded run as one HTML page: pictures, conversations, steps, costs."""
    from graphflow.render import write_report

    found = load(graph) if graph is not None else None
    out(f"wrote {write_report(events, path or events.with_suffix('.html'), found)}")


@app.command("list")
def list_graphs() -> None:
    """List the graphs in reach."""
    every = find_all()
    width = max((len(each.name) for each in every), default=0)
    for each in every:
        try:
            found = load(each.name)
            out(f"{each.name:<{width}}  {type_name(found.input)} -> {type_name(found.output)}  {found.description}")
        except errors.GraphflowError as error:
            lines = str(error).splitlines()
            out(f"{each.name:<{width}}  cannot be loaded: {' '.join(line.strip() for line in lines[:2])}")


@app.command()
def mcp(
    graphs: Annotated[list[str], typer.Argument(metavar="GRAPH...", help="Graphs, as for the other commands.")],
    http: Annotated[
        int | None, typer.Option(metavar="PORT", help="Serve HTTP on this machine, not the standard streams.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="Where a token that was made is written to; default: standard error.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="provider:model for nodes that name none.")] = None,
) -> None:
    """Serve graphs as tools of the Model Context Protocol, one tool each.

    Over HTTP a client has to send the token: that of $GRAPHFLOW_MCP_TOKEN, or one that is made.
    """
    from graphflow.cli.serve import serve_graphs

    serve_graphs(graphs, model, http, token_file)


@models_app.callback(invoke_without_command=True)
def models(
    ctx: typer.Context,
    ping: Annotated[
        str | None, typer.Option(metavar="PROVIDER:MODEL", help="Make one tiny call, to see that it works.")
    ] = None,
    of: Annotated[
        str | None, typer.Option("--of", metavar="PROVIDER", help="Ask a provider which models it has.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List providers, and whether their keys are set (never their values)."""
    if ctx.invoked_subcommand is not None:
        return
    from graphflow.cli.models import show_offered, show_ping, show_providers

    if ping is not None:
        show_ping(ping, as_json=as_json)
    elif of is not None:
        show_offered(of, as_json=as_json)
    else:
        show_providers(as_json=as_json)


@models_app.command("pull")
def pull(
    name: Annotated[str | None, typer.Argument(help="Which weights, for example smollm2. Default: list them.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Fetch weights of unknown origin without asking.")] = False,
) -> None:
    """Fetch a model's weights into the user's cache, pinned by hash."""
    from graphflow.cli.models import pull_weights, show_weights

    if name is None:
        show_weights()
    else:
        out(str(pull_weights(name, yes=yes)))


def _settings(pairs: list[str] | None) -> dict[str, str]:
    settings: dict[str, str] = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise errors.InputInvalid(f"--set {pair}: write FIELD=VALUE")
        settings[name] = value
    return settings


def run_app(arguments: list[str]) -> int:
    """Runs one command and returns its exit code."""
    try:
        result: Any = app(arguments, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if _is_click(error):
            return _click_code(error)
        if _debug or (not isinstance(error, (errors.GraphflowError, OSError)) and getattr(error, "run", None) is None):
            raise
        show_error(error)
        if isinstance(error, errors.WalkCancelled):
            return TERMINATED if _is_terminated(error) else INTERRUPTED
        return 2 if isinstance(error, USAGE) else 1


def _is_terminated(error: Exception) -> bool:
    from graphflow.cli.watch import Terminated

    return isinstance(error, Terminated)


def _is_click(error: Exception) -> bool:
    return hasattr(error, "exit_code")


def _click_code(error: Exception) -> int:
    show = getattr(error, "show", None)
    if show is not None:
        show(file=sys.stderr)
    return int(getattr(error, "exit_code", 2))
