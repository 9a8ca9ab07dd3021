"""The commands: run, check, bounds, draw, diff, report, list, mcp, models; those for runs that are kept stand in `runs`.

Exit codes: 0 = done; 1 = a walk did not complete, or `diff` found something; 2 = what was asked for cannot be (one line says
why); 3 = a run waits for an answer; 130 = Ctrl-C, 143 = SIGTERM.
`--debug` shows the traceback behind the line.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from graphflow import __version__, errors
from graphflow.cli.options import (
    GraphName,
    ModelName,
    OpenLevels,
    StatedLimits,
    StoreAddress,
    WalkOutput,
    read_limits,
)
from graphflow.cli.runs import COMMANDS as RUN_COMMANDS
from graphflow.cli.show import note, out, show_error
from graphflow.messages.types import type_name
from graphflow.project.graphs import find_all, load
from graphflow.project.message import read_message

app = typer.Typer(
    name="graphflow",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Graphs of agents: run, check, draw.",
    epilog="Start with: graphflow list, then graphflow run NAME INPUT. --debug works behind every command.",
)
models_app = typer.Typer(help="List providers and models, try one, fetch weights of local ones.")
app.add_typer(models_app, name="models")

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
    errors.StoreUnreadable,
    errors.RunUnknown,
    errors.RunExists,
    errors.QuestionUnknown,
    errors.AnswerInvalid,
    errors.AnswerExists,
    errors.PlaceUnknown,
)
"""Errors of whoever wrote the command or the graph, raised before anything has run: exit code 2."""

INTERRUPTED = 130
"""What a shell expects after Ctrl-C: 128 + SIGINT."""
TERMINATED = 143
"""What a service manager expects after it has asked a program to end: 128 + SIGTERM."""

_debug = False  # typer has no other way from the options before a command to what happens behind it


@app.callback(invoke_without_command=True)
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback behind an error.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Print the version and exit.")
    ] = False,
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
        str | None,
        typer.Argument(
            metavar="INPUT", help="The graph's input: text, JSON, or - to read standard input."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", "-s", metavar="FIELD=VALUE", help="Set a field of the input; may be repeated."
        ),
    ] = None,
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
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Write the run as an HTML page: pictures, conversations, costs.",
        ),
    ] = None,
    store: StoreAddress = None,
    id: Annotated[
        str | None, typer.Option(metavar="ID", help="The run's name, unique where it is kept.")
    ] = None,
    sync: Annotated[
        Literal["effects", "each", "end"],
        typer.Option(help="When the run waits until what it did is on the disk."),
    ] = "effects",
    limits: StatedLimits = None,
) -> None:
    """Run a graph, and print its output.

    On a terminal, its progress is shown live, and you are asked about calls that need approval. In a project the run is
    kept: after Ctrl-C, a crash or a question, `graphflow resume` goes on with it.
    """
    from graphflow.cli.keeping import keeping_of
    from graphflow.cli.watch import walk_here

    found = load(graph)
    text = sys.stdin.read() if message == "-" else message
    given = read_message(found, text, _settings(settings))
    keeping = keeping_of(found, graph, store, id=id, sync=sync)
    limited = read_limits(limits)
    output = WalkOutput(as_json, events, report)
    code = walk_here(found, given, model=model, limits=limited, output=output, keeping=keeping)
    raise typer.Exit(code)


@app.command()
def check(graph: GraphName) -> None:
    """Check a graph without running it, and print what was proven."""
    out(str(load(graph).check()))


@app.command()
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
    from graphflow.cli.prove import explore_walks, prove_claims

    found = load(graph)
    code = prove_claims(found, claim, states, lists, picture, test)
    if explore:
        explore_walks(found, states, lists)
    raise typer.Exit(code)


@app.command()
def bounds(graph: GraphName) -> None:
    """Print the worst case of one run: steps, depth, model calls, cost."""
    out(str(load(graph).bounds()))


@app.command()
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

    look = {
        "direction": direction,
        "legend": legend,
        "theme": theme,
        "labels": labels,
        **levels(open),
    }
    draw_graph(load(graph), path, events, ascii, look)


@app.command("diff")
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


@app.command()
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
    from graphflow.render import write_report

    found = load(graph) if graph is not None else None
    out(f"wrote {write_report(events, path or events.with_suffix('.html'), found)}")


@app.command("list")
def list_graphs() -> None:
    """List the graphs that can be run by name: those of your project, and those that come with graphflow."""
    # One that cannot be loaded must not hide the others.
    every = find_all()
    width = max((len(each.name) for each in every), default=0)
    for each in every:
        try:
            found = load(each.name)
        except errors.GraphflowError as error:
            lines = [line.strip() for line in str(error).splitlines()]
            reason = " ".join(lines[:2])
            out(f"{each.name:<{width}}  cannot be loaded: {reason}")
            continue
        types = f"{type_name(found.input)} -> {type_name(found.output)}"
        line = f"{each.name:<{width}}  {types}  {found.description}"
        out(line.rstrip())


@app.command()
def mcp(
    graphs: Annotated[
        list[str],
        typer.Argument(metavar="GRAPH", help="One or more graphs: names, or .py or .yaml files."),
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
) -> None:
    """Serve graphs as tools over the Model Context Protocol (MCP), one tool each.

    Over HTTP, a client has to send a token: that of $GRAPHFLOW_MCP_TOKEN if it is set, else a new one.
    """
    from graphflow.cli.serve import serve_graphs

    serve_graphs(graphs, model, http, token_file)


@models_app.callback(invoke_without_command=True)
def models(
    ctx: typer.Context,
    ping: Annotated[
        str | None,
        typer.Option(
            metavar="PROVIDER:MODEL", help="Make one tiny call to a model, to see that it works."
        ),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(
            "--of", metavar="PROVIDER", help="List the models of a provider, with their prices."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List providers, and whether their keys are set (the keys themselves are never shown)."""
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
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="The model, for example smollm2. Default: list them."),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Do not ask before fetching weights of unknown origin."),
    ] = False,
) -> None:
    """Fetch the weights of a local model into your cache, and check their hash."""
    from graphflow.cli.models import pull_weights, show_weights

    if name is None:
        show_weights()
    else:
        out(str(pull_weights(name, yes=yes)))


# They stand in a module of their own, and are as much commands as those here.
for command in RUN_COMMANDS:
    app.command()(command)


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
        result: object = app(_with_debug_first(arguments), standalone_mode=False)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if _is_click(error):
            return _click_code(error)
        if _debug or not _is_expected(error):
            raise
        show_error(error)
        return _exit_code(error)
    # Of `typer.Exit` its code comes back; of a command that returns, nothing.
    return result if isinstance(result, int) else 0


def _with_debug_first(arguments: list[str]) -> list[str]:
    """Lets `--debug` stand behind a command, too: whoever has seen an error repeats the line with it at the end."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    if "--debug" not in arguments[:end]:
        return arguments
    others = [argument for argument in arguments[:end] if argument != "--debug"]
    return ["--debug", *others, *arguments[end:]]


def _is_expected(error: Exception) -> bool:
    """Whether an error needs no traceback: graphflow's own, the system's, and whatever a node of a walk has raised."""
    if isinstance(error, (errors.GraphflowError, OSError)):
        return True
    return getattr(error, "run", None) is not None


def _exit_code(error: Exception) -> int:
    if isinstance(error, USAGE):
        return 2
    if not isinstance(error, errors.WalkCancelled):
        return 1
    if _is_terminated(error):
        return TERMINATED
    return INTERRUPTED


def _is_terminated(error: Exception) -> bool:
    from graphflow.cli.watch import Terminated

    return isinstance(error, Terminated)


def _is_click(error: Exception) -> bool:
    # Told by what it has: typer brings a click of its own, of which the classes are others.
    return hasattr(error, "exit_code")


def _click_code(error: Exception) -> int:
    show = getattr(error, "show", None)
    if show is not None:
        show(file=sys.stderr)
    return int(getattr(error, "exit_code", 2))
