"""The `graphflow` command: what a terminal can do with graphs.

A command reads its arguments, leaves the work to the rooms below and prints what comes of it; no room but this one knows
`typer` or `rich`. Answers go to standard output and everything else to standard error, and all commands have the same exit
codes (`exit_codes`). What a graph, a model or a tool has written is text: control characters are shown, never obeyed.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line; without its packages, says in one line how to get them."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        print(
            "graphflow: the command line needs the extra 'cli': pip install 'graphflow-agents[cli]'",
            file=sys.stderr,
        )
        raise SystemExit(2) from None
    if sys.argv[1:2] == ["__complete"]:  # a shell asks, and shows no errors
        from graphflow.cli.completion import print_completion

        print_completion(sys.argv[2:])
        return
    from graphflow.cli.app import run_app

    raise SystemExit(run_app(sys.argv[1:]))


__all__ = ["main"]
