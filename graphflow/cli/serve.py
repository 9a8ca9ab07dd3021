"""`graphflow mcp`: graphs as tools of a server."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import redirect_stdout
from pathlib import Path

from graphflow.cli.printing import note
from graphflow.cli.project_options import limits_meant, sitting_options
from graphflow.cli.sinks import sinks_of_project
from graphflow.errors import FileUnreadable, InputInvalid
from graphflow.project.graphs import load
from graphflow.project.runs import place_of_runs
from graphflow.runtime.options import RunOptions
from graphflow.server.mcp import HOST, PATH, new_token, serve

TOKEN = "GRAPHFLOW_MCP_TOKEN"  # the name of a variable


def serve_graphs(
    names: list[str],
    model: str | None,
    port: int | None,
    token_file: Path | None,
    user: str | None,
) -> None:
    """Loads the graphs and serves them. Standard output belongs to the protocol, so notes go to standard error."""
    with redirect_stdout(sys.stderr):
        # What is said of the project goes there, too.
        options = sitting_options(model, None, user)
        graphs = [load(name) for name in names]
    keep_if_counted(options)
    limits = limits_meant(None)
    if limits is not None:
        options["limits"] = limits
    token = ""
    if port is not None:
        token = os.environ.get(TOKEN, "")
        if not token:
            token = new_token()
            place = _written(token, token_file)
            note(f"${TOKEN} is not set; made a token: {place}")
        served = ", ".join(graph.name for graph in graphs)
        note(f"{served} at http://{HOST}:{port}{PATH}")
    with sinks_of_project():
        serve(graphs, options.pop("model"), port, token, options)


def keep_if_counted(options: RunOptions) -> None:
    """Has runs kept that have budgets, since these are counted where runs are kept.

    Raises:
        InputInvalid: they are to be kept nowhere.
    """
    if not options.get("budgets"):
        return
    place = place_of_runs(None)
    if place is None:
        raise InputInvalid(
            "[budgets] are counted in a store, and runs are kept nowhere; set [store] in the project file"
        )
    place.prepare()
    options["store"] = place.open()
    # What they spend has to be counted; what they do may be lost.
    options["best_effort"] = True


def _written(token: str, path: Path | None) -> str:
    """Where the token can be read: the file that it was written to, for its owner only, or the token itself.

    Raises:
        FileUnreadable: the file cannot be written.
    """
    if path is None:
        return token
    # A new file, made for its owner only, takes the place of whatever was there: an old file would keep its mode, and a
    # link would lead the token elsewhere.
    suffix = secrets.token_hex(8)
    aside = path.with_name(f".{path.name}.{suffix}")
    new = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        made = os.open(aside, new, 0o600)
        try:
            with os.fdopen(made, "w", encoding="utf-8") as file:
                file.write(token)
            os.replace(aside, path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FileUnreadable(
            f"--token-file {path} cannot be written: {error.strerror}; name another file"
        ) from None
    return str(path)
