"""The extras: what is installed of them, what each would be for, and which of them the project needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphflow.checkup.diagnosis import Diagnosis
from graphflow.checkup.distributions import DISTRIBUTION, missing_of, needed_by
from graphflow.project.project import Project

EXTRAS: Mapping[str, str] = {
    "cli": "the command line",
    "crypto": "encrypted stores and memories",
    "dev": "reloading graphs when their files change",
    "dot": "drawing SVG, PNG and PDF without Graphviz of the system",
    "frames": "run.to_frame(), a run as a table of pandas",
    "language": "the guard Language",
    "local": "models and embedders in this process, without a network",
    "mcp": "tool servers, and serving graphs as tools",
    "notebook": "live pictures and chats in Jupyter",
    "otel": "events to an OpenTelemetry collector",
    "postgres": "stores in PostgreSQL",
    "prometheus": "metrics for Prometheus",
    "sandbox": "running code that a model has written",
}
"""What each extra is for."""


def look_at_extras(project: Project | None, address: str | None) -> Iterator[Diagnosis]:
    """Each extra.

    Args:
        project: the project here, if there is one.
        address: where its runs are kept, if they are.
    """
    wanted = {} if project is None else _wanted_by(project)
    if address is not None and address.startswith("postgres"):
        wanted["postgres"] = "the store"
    for extra, purpose in EXTRAS.items():
        yield _look_at(extra, purpose, wanted.get(extra))


def _look_at(extra: str, purpose: str, wanted: str | None) -> Diagnosis:
    needed = needed_by(extra)
    if needed is None:
        return Diagnosis("extras", extra, "absent", f"cannot be looked up: {purpose}")
    missing = missing_of(needed)
    if not missing:
        return Diagnosis("extras", extra, "ok", purpose)
    install = f"pip install '{DISTRIBUTION}[{extra}]'"
    names = ", ".join(missing)
    if wanted is not None:
        text = f"{wanted} of this project needs it, and there is no {names}"
        return Diagnosis("extras", extra, "problem", text, install)
    # What is half there was meant to be there.
    if len(missing) < len(needed):
        text = f"{purpose}; not all of it is here: {names}"
        return Diagnosis("extras", extra, "warning", text, install)
    return Diagnosis("extras", extra, "absent", purpose, install)


def _wanted_by(project: Project) -> dict[str, str]:
    """The extras that the settings of a project need, and what needs each."""
    wanted: dict[str, str] = {}
    settings = project.settings
    if (project.model or "").startswith("local:"):
        wanted["local"] = "the model"
    if settings.store.key is not None:
        wanted["crypto"] = "the key of the store"
    if settings.telemetry.otlp:
        wanted["otel"] = "telemetry.otlp"
    if settings.telemetry.prometheus:
        wanted["prometheus"] = "telemetry.prometheus"
    return wanted
