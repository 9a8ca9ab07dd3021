"""`graphflow plugins`: what other packages bring, and whether it can be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from graphflow.cli.printing import note, out, out_json
from graphflow.errors import GraphflowError
from graphflow.plugins.registry import Plugin
from graphflow.plugins.seams import installed_plugins
from graphflow.project.here import project_here

_HEAD = ("NAME", "EXTENDS", "PACKAGE", "STATE")
_BAD = ("broken", "refused")


def show_plugins(*, as_json: bool) -> int:
    """Prints one line a plug-in.

    Returns:
        The exit code: 1 if one is broken or refused.
    """
    # A project says which may be used. One that cannot be opened may be so because of a plug-in.
    try:
        project_here()
    except (GraphflowError, OSError) as error:
        note(f"the project cannot be opened: {error}")
    found = installed_plugins()
    if as_json:
        out_json([asdict(each) for each in found])
    elif found:
        _show(found)
    else:
        note("no plug-ins are installed; a package brings some by entry points, as graphflow.kinds")
    return 1 if any(each.state in _BAD for each in found) else 0


def _show(found: Sequence[Plugin]) -> None:
    rows = [_HEAD]
    rows += map(_row, found)
    columns = zip(*rows, strict=True)
    widths = [max(map(len, column)) for column in columns]
    reasons = [""]
    reasons += [plugin.error for plugin in found]
    for row, reason in zip(rows, reasons, strict=True):
        line = ""
        for cell, width in zip(row, widths, strict=True):
            line += f"{cell:<{width}}  "
        out(line.rstrip())
        # Why it cannot be used stands below it: it is a sentence.
        if reason:
            out(f"    {reason}")


def _row(plugin: Plugin) -> tuple[str, str, str, str]:
    package = f"{plugin.distribution} {plugin.version}"
    return plugin.name, plugin.seam, package, plugin.state
