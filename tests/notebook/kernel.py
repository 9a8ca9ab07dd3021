"""A kernel for the repository's notebooks: the interpreter of the tests, and no way to the network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
CELL_S = 600
"""Seconds one cell may take; the slowest takes about five on an idle machine."""


class ThisPython(KernelSpecManager):
    """Whatever kernel a notebook names, it gets the interpreter of the tests, and no way to the network."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        offline = ROOT / "tests" / "stand_ins" / "offline.py"
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(
            argv=[*command, f"--IPKernelApp.exec_files={offline}"],
            display_name="Python",
            language="python",
        )


class InThisPython(AsyncKernelManager):
    """Given as a class and not as an object, so that the client closes what it opens."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "kernel_spec_manager": ThisPython()})


def execute(path: Path, folder: Path = FOLDER) -> nbformat.NotebookNode:
    """A notebook, run from top to bottom in a kernel of its own, with the outputs of this run."""
    book = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(folder)}}
    NotebookClient(
        book, timeout=CELL_S, resources=place, kernel_manager_class=InThisPython
    ).execute()
    return book
