"""Programs beside Python: Graphviz, git, node, tools that speak for a model, and which `graphflow` a shell finds."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from graphflow.checkup.diagnosis import Diagnosis
from graphflow.checkup.distributions import DISTRIBUTION, version_of

_AREA = "programs"
_DOT_VARIABLE = "GRAPHFLOW_DOT"
PROGRAMS = {
    "git": "servers and tools that work on repositories",
    "node": "MCP servers that are written for it",
    "npx": "MCP servers that are fetched when they start",
}
"""What is looked for on the PATH, and for what it would be."""


def look_at_programs() -> Iterator[Diagnosis]:
    """Each program."""
    yield _command()
    yield _dot()
    for name, purpose in PROGRAMS.items():
        path = shutil.which(name)
        if path is None:
            yield Diagnosis(_AREA, name, "absent", f"not on the PATH; it is for {purpose}")
        else:
            yield Diagnosis(_AREA, name, "ok", path)


def _dot() -> Diagnosis:
    stated = os.environ.get(_DOT_VARIABLE)
    if stated:
        path = shutil.which(stated)
        if path is None:
            text = f"${_DOT_VARIABLE} names {stated}, and there is no such program"
            return Diagnosis(_AREA, "dot", "problem", text, f"unset {_DOT_VARIABLE}")
        return Diagnosis(_AREA, "dot", "ok", f"{path} (${_DOT_VARIABLE})")
    path = shutil.which("dot")
    if path is not None:
        return Diagnosis(_AREA, "dot", "ok", path)
    pure = version_of("graphviz-pure")
    if pure is not None:
        return Diagnosis(_AREA, "dot", "ok", f"graphviz-pure {pure} of the extra dot")
    install = f"pip install '{DISTRIBUTION}[dot]'"
    text = "not here, so pictures are Mermaid or text; it draws SVG, PNG and PDF"
    return Diagnosis(_AREA, "dot", "absent", text, install)


def _command() -> Diagnosis:
    """Which `graphflow` a shell finds: it may be that of another environment."""
    found = shutil.which("graphflow")
    # Not resolved: the programs of an environment lie beside the link to Python.
    own = Path(sys.executable).parent
    if found is None:
        text = "a shell does not find it on the PATH"
        return Diagnosis(_AREA, "graphflow", "warning", text, "python -m graphflow")
    if Path(found).parent.resolve() == own.resolve():
        return Diagnosis(_AREA, "graphflow", "ok", found)
    text = f"a shell finds {found}, which is another one than that of {own}"
    return Diagnosis(_AREA, "graphflow", "warning", text, f"{sys.executable} -m graphflow")
