"""The `graphflow` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line; without its packages, says in one line how to get them."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        print("graphflow: the command line needs the extra 'cli': pip install 'graphflow-agents[cli]'", file=sys.stderr)
        raise SystemExit(2) from None
    from graphflow.cli.app import run_app

    raise SystemExit(run_app(sys.argv[1:]))


__all__ = ["main"]
