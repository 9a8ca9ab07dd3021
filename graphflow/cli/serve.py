"""`graphflow mcp`: graphs as tools of a server."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import redirect_stdout
from pathlib import Path

from graphflow.cli.show import note
from graphflow.errors import FileUnreadable
from graphflow.project.graphs import load
from graphflow.server.mcp import HOST, PATH, new_token, serve

TOKEN = "GRAPHFLOW_MCP_TOKEN"  # the name of a variable


def serve_graphs(
    names: list[str], model: str | None, port: int | None, token_file: Path | None
) -> None:
    """Loads the graphs and serves them. Standard output belongs to the protocol, so notes go to standard error."""
    with redirect_stdout(sys.stderr):
        graphs = [load(name) for name in names]
    token = ""
    if port is not None:
        token = os.environ.get(TOKEN, "")
        if not token:
            token = new_token()
            place = _written(token, token_file)
            note(f"${TOKEN} is not set; made a token: {place}")
        served = ", ".join(graph.name for graph in graphs)
        note(f"{served} at http://{HOST}:{port}{PATH}")
    serve(graphs, model, port, token)


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
