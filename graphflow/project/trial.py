"""Tries a project: its graphs are sound, their claims hold, its recorded cases end as they did. What `graphflow test` does.

Cases run in memory: nothing is kept, and no tool of the graph is replaced. Their models are recordings, or such as answer
offline; limits, policy and secrets are the project's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from graphflow.errors import GraphflowError
from graphflow.graph import RunnableGraph
from graphflow.messages.message import error_text, to_json_value, to_text
from graphflow.project.case import FOLDER, Case, CaseTable, cases_in, read_case
from graphflow.project.project import Project
from graphflow.providers.recording import replayed
from graphflow.redaction import scrub
from graphflow.run import Run

AnyRun: TypeAlias = Run[object]

REPLAY = "replay:"
"""How the name of a model begins that is a recording."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing.

    Attributes:
        kind: "graph", "claim" or "case".
        name: what it is called.
        holds: whether it is as it has to be.
        text: what was found.
    """

    kind: str
    name: str
    holds: bool
    text: str

    def __str__(self) -> str:
        mark = "ok" if self.holds else "FAILED"
        return f"{self.kind} {self.name}: {mark}: {self.text}"


def try_project(project: Project, names: tuple[str, ...] = ()) -> list[Finding]:
    """Tries a project, in plain code.

    Args:
        project: which one.
        names: the cases that are run alone; none: all, with graphs and claims.
    """
    # pytest calls this where no loop runs; a notebook has one, and awaits `trials` itself.
    return asyncio.run(_all(project, names))


async def _all(project: Project, names: tuple[str, ...]) -> list[Finding]:
    return [finding async for finding in trials(project, names)]


async def trials(project: Project, names: tuple[str, ...] = ()) -> AsyncIterator[Finding]:
    """Tries a project, and yields what is found one by one.

    Args:
        project: which one.
        names: the cases that are run alone; none: all, with graphs and claims.
    """
    if not names:
        for finding in _graphs(project):
            yield finding
    for file in cases_in(case_folder(project)):
        if names and file.stem not in names:
            continue
        yield await _tried(project, file)


def case_folder(project: Project) -> Path:
    """Where the cases of a project are."""
    folder = project.settings.tests or FOLDER
    return project.root / folder


def _graphs(project: Project) -> Iterator[Finding]:
    for found in project.graphs():
        try:
            graph = project.graph(found.name)
        except GraphflowError as error:
            yield Finding("graph", found.name, False, error_text(error))
            continue
        # One that is unsound cannot be built; what `check` warns of beside that is not a failure.
        yield Finding("graph", found.name, True, "sound")
        for claim in graph.claims:
            verdict = graph.prove(claim)
            name = f"{found.name} {claim!r}"
            yield Finding("claim", name, verdict.holds, verdict.status)


async def _tried(project: Project, file: Path) -> Finding:
    try:
        case = read_case(file)
        graph = project.graph(case.wanted.graph)
        run = await _walked(project, graph, case)
    except GraphflowError as error:
        return Finding("case", file.stem, False, error_text(error))
    problems = list(_differences(run, case.wanted))
    text = "; ".join(problems) or run.status
    return Finding("case", file.stem, not problems, scrub(text))


async def _walked(project: Project, graph: RunnableGraph, case: Case) -> AnyRun:
    """The run of a case, however it ends."""
    options = project.run_options()
    options.pop("budgets", None)  # a case asks nobody, and is kept nowhere
    if case.model is not None:
        options["model"] = case.model
    try:
        # A recording answers for the models that nodes name, too: none of them is really asked.
        with _traffic(case.model):
            return await graph.run(case.wanted.message, **options)
    except Exception as error:
        run = getattr(error, "run", None)
        # A case may want a run that fails; what never ran is not a run.
        if isinstance(run, Run) and run.status == case.wanted.status:
            return run
        if isinstance(error, GraphflowError):
            raise
        kind = type(error).__name__
        text = error_text(error)
        raise GraphflowError(f"{kind}: {text}") from error


def _traffic(model: str | None) -> AbstractContextManager[object]:
    if model is None or not model.startswith(REPLAY):
        return nullcontext()
    return replayed(model.removeprefix(REPLAY))


def _differences(run: AnyRun, wanted: CaseTable) -> Iterator[str]:
    """What of a run is not as the case wants it."""
    if run.status != wanted.status:
        yield f"it has {run.status}, and should have {wanted.status}"
        return
    output = to_json_value(run.output)
    if wanted.output not in (None, output):
        yield f"it answers {output!r}, and should answer {wanted.output!r}"
    text = to_text(run.output)
    for part in wanted.parts:
        if part not in text:
            yield f"its answer lacks {part!r}"
    activated = nodes_of(run)
    if wanted.nodes not in (None, activated):
        yield f"it ran {activated}, and should run {wanted.nodes}"


def nodes_of(run: AnyRun) -> list[str]:
    """The nodes of the graph that were activated, in the order they ended; what they called is not among them."""
    outermost = [step for step in run.steps if len(step.path) == 1]
    return [step.node for step in outermost if step.caller is None]
