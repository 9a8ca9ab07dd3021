"""The program that lays DOT out: where it is found, and how it is run.

Looked for in $GRAPHFLOW_DOT, on the PATH, and as graphviz-pure: among the scripts of this Python, whose folder is often not on
the PATH of a notebook, and where its package was installed. Without one there is still Mermaid and plain text: no picture
fails because a program is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from importlib import metadata
from pathlib import Path
from subprocess import CompletedProcess

from graphflow.errors import FileUnreadable, GraphflowError, MissingExtra
from graphflow.render.layout.polish import polished

MAX_LAYOUT_S = 120
"""Seconds that a layout may take."""
PURE = "graphviz-pure"
"""The layout program that is a Python package."""
PLAIN_SIGNS = str.maketrans(
    {
        "\u2713": "\u221a",
        "\u2717": "\u00d7",
        "\u2205": "\u2013",
        "\u25b8": "\u25ba",
        "\u2212": "\u2013",
    }
)
"""Signs that the fonts behind PNG and PDF often lack, by what every font has."""


class CannotWrite(MissingExtra):
    """The program that draws does not write this kind of file."""

    def __init__(self, program: str, kind: str, instead: str = "") -> None:
        self.extra = "dot"
        self.program = program
        self.kind = kind
        text = f"{program} writes no {kind.upper()}; install graphviz, whose dot does, or use .svg"
        if instead:
            text = f"{text}; {instead}"
        GraphflowError.__init__(self, text)


def dot_binary() -> str | None:
    """The program that lays DOT out, or None."""
    chosen = os.environ.get("GRAPHFLOW_DOT")
    if chosen:
        return chosen if shutil.which(chosen) else None
    found = shutil.which("dot")
    if found:
        return found
    return _pure_script() or shutil.which(PURE) or _pure_program()


def _pure_script() -> str | None:
    """graphviz-pure among the scripts of this Python."""
    ending = ".exe" if os.name == "nt" else ""
    scripts = sysconfig.get_path("scripts")
    script = Path(scripts, PURE + ending)
    return str(script) if script.is_file() else None


def _pure_program() -> str | None:
    """graphviz-pure where its package has put it: one that lies on `sys.path` may have been installed for another Python."""
    try:
        files = metadata.files(PURE) or ()
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.stem != PURE:
            continue
        program = Path(str(file.locate())).resolve()
        if os.access(program, os.X_OK) and program.is_file():
            return str(program)
    return None


def rendered(source: str, kind: str) -> bytes:
    """DOT text as a picture's bytes.

    Raises:
        MissingExtra: no layout program is installed, or it cannot write this kind.
        FileUnreadable: the program failed.
    """
    program = dot_binary()
    if program is None:
        raise MissingExtra(
            f"drawing {kind.upper()}",
            "dot",
            "or install graphviz; .mmd, .dot and .txt need neither",
        )
    options = [f"-T{kind}"]
    if kind != "svg":
        source = source.translate(PLAIN_SIGNS)
    if kind == "png":
        options.append("-Gdpi=120")

    # Laid out first, improved, and drawn as it then stands. Not every program can draw what is laid out already.
    layout = _run([program, "-Tdot"], source, kind)
    if _has_succeeded(layout):
        better = polished(layout.stdout.decode(errors="replace"))
        drawn = _run([program, "-Kneato", "-n2", *options], better, kind)
        if _has_succeeded(drawn):
            return drawn.stdout

    drawn = _run([program, *options], source, kind)
    if _has_succeeded(drawn):
        return drawn.stdout
    raise _failure(program, kind, drawn)


def _run(command: list[str], source: str, kind: str) -> CompletedProcess[bytes]:
    """What the program answers; its own errors are for the caller to read."""
    raw = source.encode()
    try:
        return subprocess.run(
            command, input=raw, capture_output=True, check=False, timeout=MAX_LAYOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        program = command[0]
        form = kind.upper()
        raise FileUnreadable(
            f"{program} could not draw {form}: {error}; use .mmd or .dot"
        ) from None


def _has_succeeded(process: CompletedProcess[bytes]) -> bool:
    return process.returncode == 0 and bool(process.stdout)


def _failure(program: str, kind: str, process: CompletedProcess[bytes]) -> GraphflowError:
    """The error for a program that has drawn nothing, by what it wrote to stderr."""
    text = process.stderr.decode(errors="replace")
    lines = text.strip().splitlines()
    if any("not recognized" in line for line in lines):
        return CannotWrite(Path(program).name, kind)
    why = lines[-1] if lines else "no output"
    form = kind.upper()
    return FileUnreadable(f"{program} could not draw {form}: {why}; use .svg, .dot or .mmd")
