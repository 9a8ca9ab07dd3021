"""The command line as a whole: all commands, the options in front of them, and what becomes of their errors.

What commands take stands in `graph_commands`, `run_commands`, `project_commands`, `model_commands` and `key_commands`, what they
exit with in `exit_codes`. `--debug` shows the traceback behind an error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import typer
from typer.main import get_command

from graphflow import __version__
from graphflow.cli import (
    graph_commands,
    key_commands,
    model_commands,
    project_commands,
    run_commands,
)
from graphflow.cli.command_group import ClickObject, SectionedGroup
from graphflow.cli.completion_scripts import completion
from graphflow.cli.examples import epilog_of
from graphflow.cli.printing import note, out, say

VERSION = f"graphflow {__version__}"
HELP_OPTIONS = ["-h", "--help"]
SETTINGS: dict[str, Any] = {"help_option_names": HELP_OPTIONS, "max_content_width": 100}
"""Of every command. Any: typer takes what click takes."""

app = typer.Typer(
    name="graphflow",
    cls=SectionedGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=SETTINGS,
    help="Graphs of agents: run, check, draw.",
    epilog="Start with: graphflow list, then graphflow run NAME INPUT. --debug, --key and --env work behind every command.",
)
models_app = typer.Typer(
    help="List providers and models, try one, fetch weights of local ones.",
    rich_markup_mode=None,
    context_settings=SETTINGS,
)
keys_app = typer.Typer(
    help="Keys of encrypted stores: make one, encrypt a store, change its key.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=SETTINGS,
)
app.add_typer(models_app, name="models", epilog=epilog_of("models"))
app.add_typer(keys_app, name="keys", epilog=epilog_of("keys"))

_debug = False  # typer has no other way from the options before a command to what happens behind it


@app.callback(invoke_without_command=True)
def options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback behind an error.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="env:NAME|file:PATH",
            help="Where the key of an encrypted store stands. Default: $GRAPHFLOW_KEY.",
        ),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            "--env",
            metavar="NAME",
            help="Which overlay of the project file holds: the NAME of its table env.NAME. Default: $GRAPHFLOW_ENV.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Graphs of agents: run, check, draw."""
    global _debug
    if version:
        out(VERSION)
        raise typer.Exit
    _debug = debug
    # Only where they say something: what they set takes a while to load. A process may run several commands.
    if env is not None or _has_project():
        from graphflow.project.here import state_environment

        state_environment(env)
    if key is not None:
        from graphflow.cli.keys import checked_place
        from graphflow.project.runs import state_key

        state_key(checked_place(key, "--key"))


def _has_project() -> bool:
    """Whether an earlier command of this process has opened a project."""
    return "graphflow.project.here" in sys.modules


def _add(to: typer.Typer, commands: Mapping[str, Callable[..., None]], group: str = "") -> None:
    for name, command in commands.items():
        epilog = epilog_of(f"{group} {name}".strip())
        to.command(name, epilog=epilog, context_settings=SETTINGS)(command)


models_app.callback(invoke_without_command=True)(model_commands.models)
_add(models_app, model_commands.COMMANDS, "models")
_add(keys_app, key_commands.COMMANDS, "keys")
for room in (graph_commands, run_commands, project_commands):
    _add(app, room.COMMANDS)
_add(app, {"completion": completion})


def run_app(arguments: list[str]) -> int:
    """Runs one command and returns its exit code."""
    if _wants_help(arguments):
        out(help_of(arguments[:-1]))
        return 0
    if arguments == ["--version"]:
        out(VERSION)
        return 0
    try:
        result: object = app(_with_ours_first(arguments), standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        from graphflow.cli.exit_codes import INTERRUPTED

        return INTERRUPTED
    except Exception as error:
        if _is_click(error):
            return _click_code(error)
        return _shown(error)
    # Of `typer.Exit` its code comes back; of a command that returns, nothing.
    return result if isinstance(result, int) else 0


def _wants_help(arguments: list[str]) -> bool:
    """Whether a line is nothing but the name of a command, and the wish for its help."""
    *names, last = arguments or [""]
    # Behind an option it may be that option's value: typer knows.
    return last in HELP_OPTIONS and not any(name.startswith("-") for name in names)


def help_of(names: list[str]) -> str:
    """The help of a command, or of all where none is named.

    It is written without reading the line as typer does, which loads all that reads values.
    """
    command: ClickObject = get_command(app)
    context = typer.Context(command, info_name="graphflow", **SETTINGS)
    for name in names:
        within = getattr(command, "commands", {}).get(name)
        if within is None:  # it stands behind a whole command
            break
        command = within
        context = typer.Context(command, parent=context, info_name=name, **SETTINGS)
    return str(command.get_help(context))


def _shown(error: Exception) -> int:
    """Shows an error in a line; its exit code."""
    from graphflow.cli.exit_codes import exit_code_of
    from graphflow.cli.show import is_expected, show_error

    if _debug or not is_expected(error):
        raise error
    show_error(error)
    return exit_code_of(error)


def _with_ours_first(arguments: list[str]) -> list[str]:
    """Lets `--debug`, `--key` and `--env` stand behind a command, too.

    Whoever has seen an error repeats the line with one of them at the end.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    ours: list[str] = []
    others: list[str] = []
    rest = iter(arguments[:end])
    for argument in rest:
        if argument == "--debug" or argument.startswith(("--key=", "--env=")):
            ours.append(argument)
        elif argument in ("--key", "--env"):
            ours += [argument, *_next(rest)]
        else:
            others.append(argument)
    return [*ours, *others, *arguments[end:]]


def _next(rest: Iterator[str]) -> list[str]:
    """The argument that follows, if there is one."""
    for argument in rest:
        return [argument]
    return []


def _is_click(error: Exception) -> bool:
    # Told by what it has: typer brings a click of its own, of which the classes are others.
    return hasattr(error, "exit_code")


def _click_code(error: ClickObject) -> int:
    """Says what is wrong with a line as everything else is said, and where to read what it takes."""
    # What reads values puts that in front of its own words.
    message = str(error.format_message()).replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        say(message)
        return int(error.exit_code)
    note(message)
    if context is not None:
        note(f"`{context.command_path} --help` shows what it takes")
    return int(error.exit_code)
