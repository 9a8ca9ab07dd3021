"""The commands for models: `graphflow models`, `graphflow models pull`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from graphflow.cli.options import AsJson
from graphflow.cli.printing import out


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
    as_json: AsJson = False,
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


COMMANDS: dict[str, Callable[..., None]] = {"pull": pull}
