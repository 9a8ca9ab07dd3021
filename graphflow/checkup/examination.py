"""All that is looked at, in the order in which it is told.

Rules:
1. One look that fails hides no other: what it has raised is its finding.
2. Nothing is changed, no code of the project runs (but plug-ins are loaded), and without `online` nobody is asked over a network.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from graphflow.checkup.diagnosis import Diagnosis
from graphflow.checkup.environment import look_at_environment
from graphflow.checkup.extras import look_at_extras
from graphflow.checkup.models import ask_providers, look_at_models
from graphflow.checkup.names import look_at_names
from graphflow.checkup.plugins import look_at_plugins
from graphflow.checkup.programs import look_at_programs
from graphflow.checkup.settings import NO_PROJECT, broken_project, look_at_project
from graphflow.checkup.store import NOWHERE, look_at_store
from graphflow.errors import GraphflowError
from graphflow.files.project_modules import project_above
from graphflow.project.here import project_here
from graphflow.project.project import Project
from graphflow.project.runs import RunPlace, place_of_runs
from graphflow.redaction import scrub


async def examine(address: str | None, *, online: bool = False) -> list[Diagnosis]:
    """What is found where the process runs.

    Args:
        address: where runs are kept, if somebody has said.
        online: whether providers and servers are asked.
    """
    findings: list[Diagnosis] = []
    project, about_project = _project()
    place, about_place = _place(address)
    findings += look_at_environment()
    findings += look_at_extras(project, None if place is None else place.address)
    findings += look_at_programs()
    findings += look_at_models(project)
    if online:
        findings += [each async for each in ask_providers()]
    findings += about_project
    findings += about_place
    if place is not None:
        findings += [each async for each in look_at_store(place, online=online)]
    findings += look_at_plugins()
    findings += look_at_names(project_above(Path.cwd()))
    return [_shown(each) for each in findings]


def _project() -> tuple[Project | None, Iterable[Diagnosis]]:
    """The project here, if it can be opened, and what is to be said of it."""
    try:
        project = project_here()
    except (GraphflowError, OSError) as error:
        return None, [broken_project(error)]
    if project is None:
        return None, [NO_PROJECT]
    return project, look_at_project(project)


def _place(
    address: str | None,
) -> tuple[RunPlace | None, list[Diagnosis]]:
    """Where runs are kept, and what is to be said where that cannot be known."""
    try:
        place = place_of_runs(address)
    except (GraphflowError, OSError):
        text = "not looked at: the settings of the project say where it is"
        return None, [Diagnosis("store", "runs", "absent", text)]
    if place is None:
        return None, [NOWHERE]
    return place, []


def _shown(finding: Diagnosis) -> Diagnosis:
    """The same without secrets: a text of an error may quote an address, or a line of a file."""
    text = scrub(finding.text)
    return Diagnosis(finding.area, finding.about, finding.state, text, finding.advice)
