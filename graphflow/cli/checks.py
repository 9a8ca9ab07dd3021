"""`graphflow check`: what was proven of a graph, and what it is warned of."""

from __future__ import annotations

from dataclasses import replace

from graphflow.cli.exit_codes import FAILED
from graphflow.cli.printing import note, out
from graphflow.graph import RunnableGraph
from graphflow.project.here import project_here
from graphflow.proofs.report import counted, unset_model


def check_graph(graph: RunnableGraph, *, strict: bool) -> int:
    """Prints what was proven; the exit code.

    Args:
        graph: what is checked.
        strict: whether a warning is as bad as an error.
    """
    report = graph.check()
    # A graph knows nothing of the project that runs it.
    settled = _settled_here(graph)
    warnings = tuple(text for text in report.warnings if text not in settled)
    out(str(replace(report, warnings=warnings)))
    if not strict or not warnings:
        return 0
    note(f"{counted(len(warnings), 'warning')}; with --strict that is a failure")
    return FAILED


def _settled_here(graph: RunnableGraph) -> set[str]:
    """Warnings that are none in this project: it has a model for nodes that name none."""
    project = project_here()
    if project is None or project.model is None:
        return set()
    return {unset_model(node) for node, _ in graph.models_needed(None)}
