"""The program that lays DOT out: where it is found, and how it is asked.

Looked for in $GRAPHFLOW_DOT, on the PATH, and as graphviz-pure: among the scripts of this Python, whose folder is often not on
the PATH of a notebook, and where its package was installed. Without any there is Mermaid and plain text: no picture fails for
want of a program.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from importlib import metadata
from pathlib import Path

from graphflow.errors import FileUnreadable, GraphflowError, MissingExtra
from graphflow.render.layout.polish import polished

SLOWEST_S = 120
"""Seconds that a layout may take."""
PLAIN = str.maketrans(
    {"\u2713": "\u221a", "\u2717": "\u00d7", "\u2205": "\u2013", "\u25b8": "\u25ba", "\u2212": "\u2013"}
)
"""Signs that the fonts behind PNG and PDF often lack, by what every font has."""


class CannotWrite(MissingExtra):
    """The program that draws does not write this kind of file."""

    def __init__(self, program: str, kind: str, instead: str = "") -> None:
        self.extra, self.program, self.kind = "dot", program, kind
        text = f"{program} writes no {kind.upper()}; install graphviz, whose dot does, or use .svg"
        GraphflowError.__init__(self, f"{text}; {instead}" if instead else text)


def dot_binary() -> str | None:
    """The program that lays DOT out, or None."""
    named = os.environ.get("GRAPHFLOW_DOT")
    if named:
        return named if shutil.which(named) else None
    found = shutil.which("dot")
    if found:
        return found
    pure = Path(sysconfig.get_path("scripts")) / ("graphviz-pure.exe" if os.name == "nt" else "graphviz-pure")
    return str(pure) if pure.is_file() else shutil.which("graphviz-pure") or _of_its_package()


def _of_its_package() -> str | None:
    """The program where its package has put it: one that lies on `sys.path` may have been installed for another Python."""
    try:
        files = metadata.files("graphviz-pure") or ()
    except metadata.PackageNotFoundError:
        return None
    programs = (Path(str(file.locate())).resolve() for file in files if file.stem == "graphviz-pure")
    return next((str(program) for program in programs if os.access(program, os.X_OK) and program.is_file()), None)


def rendered(source: str, kind: str) -> bytes:
    """DOT text as a picture's bytes.

    Raises:
        MissingExtra: there is no program that draws, or the one there is cannot write this kind.
        FileUnreadable: the program failed.
    """
    binary = dot_binary()
    if binary is None:
        raise MissingExtra(f"drawing {kind.upper()}", "dot", "or install graphviz; .mmd, .dot and .txt need neither")
    if kind != "svg":
        source = source.translate(PLAIN)
    options = ["-Gdpi=120"] if kind == "png" else []
    done = _asked([binary, "-Tdot"], source, kind)
    if done.stdout and not done.returncode:
        better = polished(done.stdout.decode(errors="replace"))
        drawn = _asked([binary, "-Kneato", "-n2", f"-T{kind}", *options], better, kind)
        if drawn.stdout and not drawn.returncode:
            return drawn.stdout
    done = _asked([binary, f"-T{kind}", *options], source, kind)
    if done.stdout and not done.returncode:
        return done.stdout
    said = done.stderr.decode(errors="replace").strip().splitlines()
    if any("not recognized" in line for line in said):
        raise CannotWrite(Path(binary).name, kind)
    why = said[-1] if said else "no output"
    raise FileUnreadable(f"{binary} could not draw {kind.upper()}: {why}; use .svg, .dot or .mmd")


def _asked(command: list[str], source: str, kind: str) -> subprocess.CompletedProcess[bytes]:
    """What the program answers; its own errors are for the caller to read."""
    try:
        return subprocess.run(command, input=source.encode(), capture_output=True, check=False, timeout=SLOWEST_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FileUnreadable(f"{command[0]} could not draw {kind.upper()}: {error}; use .mmd or .dot") from None
