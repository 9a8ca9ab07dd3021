"""Models: which providers have their keys, which weights are here, and whether the project's model can be used."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

from graphflow.checkup.diagnosis import Diagnosis
from graphflow.errors import GraphflowError
from graphflow.model.resolve import known_problem
from graphflow.project.project import Project
from graphflow.providers.commands.table import COMMANDS
from graphflow.providers.embedded import weights
from graphflow.providers.endpoint import Endpoint
from graphflow.providers.endpoints import ENDPOINTS
from graphflow.providers.survey import offered_models

_AREA = "models"


def look_at_models(project: Project | None) -> Iterator[Diagnosis]:
    """The project's model, and what others are in reach. Nobody is asked over a network."""
    model = None if project is None else project.model
    if model is not None:
        yield _of_project(model)
    yield from _keys()
    for tool in COMMANDS.values():
        # Whether it is logged in only a call can tell.
        if tool.path() is not None:
            text = f"{tool.program} is installed"
            yield Diagnosis(_AREA, tool.name, "ok", text)
    yield _weights()


def _keys() -> Iterator[Diagnosis]:
    unset: list[str] = []
    for endpoint in ENDPOINTS.values():
        variable = key_variable(endpoint)
        if variable is not None:
            text = f"{variable} is set"
            yield Diagnosis(_AREA, endpoint.name, "ok", text)
        elif endpoint.needs_key:
            unset.append(endpoint.key_variables[0])
    if not unset:
        return
    # Two endpoints may share a key.
    names = ", ".join(dict.fromkeys(unset))
    text = f"not set: {names}"
    yield Diagnosis(_AREA, "other keys", "absent", text, "graphflow models")


def key_variable(endpoint: Endpoint) -> str | None:
    """The variable that holds the key of an endpoint; None: none does. What stands in it is not looked at."""
    for name in endpoint.key_variables:
        value = os.environ.get(name, "")
        if value.strip():
            return name
    return None


def _of_project(model: str) -> Diagnosis:
    # A slip in the name is told with near ones.
    problem = known_problem(model)
    if problem:
        return Diagnosis(_AREA, "project", "problem", problem, "graphflow models")
    provider, _, name = model.partition(":")
    endpoint = ENDPOINTS.get(provider)
    if endpoint is not None and endpoint.needs_key and not _is_reached(endpoint):
        variables = " or ".join(endpoint.key_variables)
        text = f"{model} needs {variables}, which is not set; a key is had at {endpoint.key_page}"
        advice = f"export {endpoint.key_variables[0]}=..."
        return Diagnosis(_AREA, "project", "problem", text, advice)
    if provider == "local" and name in weights.KNOWN and name not in _present():
        text = f"the weights of {model} are not here"
        return Diagnosis(_AREA, "project", "problem", text, f"graphflow models pull {name}")
    tool = COMMANDS.get(provider)
    if tool is not None and tool.path() is None:
        text = f"{model} needs {tool.program}, which is not on the PATH"
        return Diagnosis(_AREA, "project", "problem", text, tool.install)
    return Diagnosis(_AREA, "project", "ok", model)


def _is_reached(endpoint: Endpoint) -> bool:
    # A gateway of one's own may want no key.
    return key_variable(endpoint) is not None or endpoint.base_variable in os.environ


def _present() -> list[str]:
    """The names of weights that are here."""
    present: list[str] = []
    for name, known in weights.KNOWN.items():
        path = weights.path_of(known)
        if path.is_file():
            present.append(name)
    return present


def _weights() -> Diagnosis:
    present = _present()
    if present:
        names = ", ".join(present)
        return Diagnosis(_AREA, "local", "ok", f"weights of {names}")
    text = "no weights are here, so there is no model without a network"
    return Diagnosis(_AREA, "local", "absent", text, "graphflow models pull")


async def ask_providers() -> AsyncIterator[Diagnosis]:
    """Asks each provider whose key is set for its list of models, which costs nothing."""
    for endpoint in ENDPOINTS.values():
        if key_variable(endpoint) is None:
            continue
        about = f"{endpoint.name}, asked"
        try:
            names = await offered_models(endpoint.name)
        except GraphflowError as error:
            text = str(error)
            yield Diagnosis(_AREA, about, "problem", text, "graphflow models")
        else:
            text = f"it takes the key, and has {len(names)} models"
            yield Diagnosis(_AREA, about, "ok", text)
