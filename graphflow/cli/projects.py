"""`graphflow new` and `graphflow test`: a project is made, and tried."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from graphflow.cli.printing import note, out, out_json
from graphflow.cli.project_options import message_meant
from graphflow.cli.visible import visible
from graphflow.errors import InputInvalid, ProjectUnknown
from graphflow.messages.message import error_text
from graphflow.misfits import near
from graphflow.project.case import cases_in
from graphflow.project.case_recording import record_case
from graphflow.project.here import project_here
from graphflow.project.message import read_message
from graphflow.project.new_project import make_project
from graphflow.project.project import Project
from graphflow.project.trial import Finding, case_folder, trials
from graphflow.proofs.report import counted

FIRST_CASE = "first"
"""What the case is called that a project gets which is made from another graph."""


def make(name: str, source: str | None) -> None:
    """Makes a project, and says what to type next.

    Raises:
        InputInvalid, UnknownGraph, FileUnreadable: it cannot be made.
    """
    place = make_project(Path(name), source)
    shown = os.path.relpath(place)
    out(f"made {shown}")
    if source is not None:
        _keep_first_case(place)
    out(f"next: cd {shown} && graphflow run && graphflow test && graphflow chat")


def _keep_first_case(place: Path) -> None:
    """Runs the graph once without a network, and keeps that as its first case, so that there is something to test."""
    # With a place of its own, since this process may run in another project.
    project = Project.open(place)
    message = project.settings.message
    text = message if isinstance(message, str) else None
    try:
        given = read_message(project.graph(), text)
        file = asyncio.run(record_case(project, FIRST_CASE, given, None, "mock:echo"))
    except Exception as error:
        # The graph may well need a model that thinks, or what this machine has not.
        kind = type(error).__name__
        first, *_ = [*error_text(error).splitlines(), kind]
        note(f"no case was recorded, as mock:echo does not carry this graph: {visible(first)}")
        note("`graphflow test --record NAME INPUT --model PROVIDER:MODEL` records one")
        return
    out(f"recorded {os.path.relpath(file)} with mock:echo")


def _opened() -> Project:
    project = project_here()
    if project is None:
        raise ProjectUnknown("this is not a project; `graphflow new NAME` makes one")
    return project


def try_here(names: tuple[str, ...], *, as_json: bool) -> int:
    """Tries the project, and prints what is found; the exit code.

    Args:
        names: the cases that are run alone; none: all, with graphs and claims.
        as_json: whether it is printed as JSON, at the end.

    Raises:
        ProjectUnknown: there is none.
        InputInvalid: there is no case of a name.
    """
    project = _opened()
    _check_names(project, names)
    began = time.monotonic()
    findings = asyncio.run(_shown(project, names, as_json))
    took = time.monotonic() - began
    # At once and whole, for programs; people have seen each as it came.
    if as_json:
        out_json([asdict(each) for each in findings])
    failed = [each for each in findings if not each.holds]
    note(f"{_counts(findings)}: {_outcome(failed)}, {took:.1f} s")
    return 1 if failed else 0


def _check_names(project: Project, names: Sequence[str]) -> None:
    """Refuses a name that no case has: a slip must not pass for a test that holds."""
    known = [file.stem for file in cases_in(case_folder(project))]
    for name in names:
        if name not in known:
            hint = near(name, known)
            raise InputInvalid(f"there is no case {name!r}{hint}")


def _counts(findings: Sequence[Finding]) -> str:
    kinds = Counter(each.kind for each in findings)
    parts = [counted(count, kind) for kind, count in kinds.items()]
    return ", ".join(parts) or "nothing to test"


def _outcome(failed: Sequence[Finding]) -> str:
    if not failed:
        return "all hold"
    count = len(failed)
    return f"{count} failed"


async def _shown(project: Project, names: tuple[str, ...], as_json: bool) -> list[Finding]:
    """Prints each as soon as it is known: a case may take its time."""
    findings: list[Finding] = []
    async for finding in trials(project, names):
        findings.append(finding)
        if not as_json:
            out(str(finding))
    return findings


def record_here(
    name: str, graph: str | None, text: str | None, settings: dict[str, str], model: str | None
) -> int:
    """Runs a graph of the project, and keeps the run as a case.

    Raises: what `record_case` raises.
    """
    project = _opened()
    found = project.graph(graph)
    # The message of the project's settings is one for its own graph.
    if graph is None:
        text = message_meant(text, bool(settings))
    message = read_message(found, text, settings)
    file = asyncio.run(record_case(project, name, message, graph, model))
    out(f"wrote {os.path.relpath(file)}")
    return 0
