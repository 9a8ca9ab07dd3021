"""The commands for projects: new, test, config, dev, budgets, doctor, plugins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from graphflow.cli.options import AsJson, InputFields, ModelName, StoreAddress


def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What the project is called: a new folder.")
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="GRAPH",
            help="Make it from a graph: a name of `graphflow list`, or a file. Default: a small shop.",
        ),
    ] = None,
) -> None:
    """Make a project that runs, tests itself and has a notebook, without a network."""
    from graphflow.cli.projects import make

    make(name, source)


def try_project(
    cases: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CASE", help="Only these cases; with --record, the message of the new one."
        ),
    ] = None,
    record: Annotated[
        str | None,
        typer.Option(
            "--record",
            metavar="NAME",
            help="Run the graph, and keep what its models and the graph answer as a case.",
        ),
    ] = None,
    graph: Annotated[
        str | None, typer.Option(metavar="GRAPH", help="With --record: which graph is run.")
    ] = None,
    settings: InputFields = None,
    model: ModelName = None,
    as_json: AsJson = False,
) -> None:
    """Test the project: its graphs are sound, their claims hold, its recorded cases end as they did."""
    from graphflow.cli.option_values import read_settings
    from graphflow.cli.projects import record_here, try_here

    given = tuple(cases or ())
    if record is None:
        raise typer.Exit(try_here(given, as_json=as_json))
    # Not quoted, a message comes word by word.
    text = " ".join(given) or None
    raise typer.Exit(record_here(record, graph, text, read_settings(settings), model))


def config(
    as_json: AsJson = False,
    every: Annotated[bool, typer.Option("--all", help="Also show what nobody has set.")] = False,
) -> None:
    """Show the settings of the project, and where each comes from: its file, an overlay, a variable, a default."""
    from graphflow.cli.config import show_config

    show_config(as_json=as_json, every=every)


def dev(
    once: Annotated[
        bool,
        typer.Option("--once", help="Look once, and exit with 1 if something is broken."),
    ] = False,
) -> None:
    """Watch the files of the project: load, prove and say what is wrong, at each change."""
    from graphflow.cli.dev import watch_here
    from graphflow.project.here import environment_here

    raise typer.Exit(watch_here(environment_here(), once))


def doctor(
    online: Annotated[
        bool,
        typer.Option(
            "--online", help="Also ask providers whose keys are set, and the server of the store."
        ),
    ] = False,
    as_json: AsJson = False,
    store: StoreAddress = None,
) -> None:
    """Look at the environment, keys, project and store, and say what to type where something is wrong.

    The exit code is 1 if something is broken. Keys are never shown, and without --online nobody is asked over a network.
    """
    from graphflow.cli.doctor import show_doctor

    code = show_doctor(store, online=online, as_json=as_json)
    raise typer.Exit(code)


def budgets(as_json: AsJson = False, store: StoreAddress = None) -> None:
    """Show what is spent of the project's budgets, and when each resets."""
    from graphflow.cli.budget_list import show_budgets

    show_budgets(store, as_json=as_json)


def plugins(as_json: AsJson = False) -> None:
    """List the plug-ins of other packages: what they extend, whether they can be used, and why not.

    The exit code is 1 if one is broken, or its name is taken.
    """
    from graphflow.cli.plugins import show_plugins

    raise typer.Exit(show_plugins(as_json=as_json))


COMMANDS: dict[str, Callable[..., None]] = {
    "new": new,
    "budgets": budgets,
    "test": try_project,
    "config": config,
    "doctor": doctor,
    "plugins": plugins,
    "dev": dev,
}
