"""`graphflow config`: what holds in a project, and where each setting comes from."""

from __future__ import annotations

import json
import os

from graphflow.cli.printing import note, out, out_json
from graphflow.errors import ProjectUnknown
from graphflow.files.project_modules import PROJECT_FILE
from graphflow.project.here import project_here
from graphflow.project.project import Project, Setting

MAX_COLUMN = 50
"""Characters of a value behind which its origin is no longer aligned."""


def show_config(*, as_json: bool, every: bool) -> None:
    """Prints the settings of the project.

    Args:
        as_json: as JSON, all of them.
        every: also those that nobody has set.

    Raises:
        ProjectUnknown: there is no project here.
        SettingsInvalid, FileUnreadable: its settings are wrong.
    """
    project = project_here()
    if project is None:
        raise ProjectUnknown(
            f"this is not a project: no {PROJECT_FILE} and no graphs/ here or above; `graphflow new NAME` makes one"
        )
    settings = project.explain()
    if as_json:
        out_json(_as_data(project, settings))
        return
    shown = [each for each in settings if every or each.origin != "default"]
    keys = [each.key for each in shown]
    values = [_text(each.value) for each in shown]
    width = max(map(len, keys), default=0)
    # A long value goes over the edge rather than push all origins out of sight.
    longest = max(map(len, values), default=0)
    wide = min(longest, MAX_COLUMN)
    for each, value in zip(shown, values, strict=True):
        out(f"{each.key:<{width}}  {value:<{wide}}  {each.origin}")
    hidden = len(settings) - len(shown)
    note(_about(project, hidden))


def _text(value: object) -> str:
    # As the file has it, in quotes, so that a text and a number are told apart.
    if value is None:
        return "-"
    return json.dumps(value, ensure_ascii=False)


def _about(project: Project, hidden: int) -> str:
    """One line about the project: its folder, its file, its overlays, what is not shown."""
    name = os.path.relpath(project.root)
    where = "no project file" if project.file is None else project.file.name
    parts = [f"project {name}: {where}"]
    if project.overlays:
        known = ", ".join(project.overlays)
        chosen = project.environment or "none"
        parts.append(f"overlays {known} (chosen: {chosen})")
    if hidden:
        parts.append(f"{hidden} settings have their defaults (--all shows them)")
    return "; ".join(parts)


def _as_data(project: Project, settings: list[Setting]) -> dict[str, object]:
    shown: dict[str, object] = {}
    for each in settings:
        shown[each.key] = {"value": each.value, "from": each.origin}
    file = project.file
    return {
        "project": str(project.root),
        "file": file and str(file),
        "environment": project.environment or None,
        "overlays": project.overlays,
        "settings": shown,
    }
