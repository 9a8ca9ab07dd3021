"""What a command takes from the project that it runs in, unless an option says otherwise: graph, model, limits, secrets, policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from graphflow.cli.option_values import read_limits, read_secrets
from graphflow.graph import RunnableGraph
from graphflow.limits import Limits
from graphflow.project.graphs import load
from graphflow.project.here import main_graph, project_here
from graphflow.runtime.options import RunOptions, SayOptions, Sync


def graph_meant(named: str | None) -> RunnableGraph:
    """The graph that a command names, or the project's own where it names none.

    Raises:
        UnknownGraph, ProjectUnknown: there is none.
        FileUnreadable, GraphError: it is broken.
        SettingsInvalid: the project's settings are.
    """
    # Its `.env` holds what graphs may refer to.
    project_here()
    return load(named or main_graph())


def sitting_options(
    model: str | None, secret_env: Sequence[str] | None, user: str | None = None
) -> RunOptions:
    """The options of a sitting: of a run that begins, or goes on with the limits that it was begun with.

    Args:
        model: for nodes that name none, if somebody has said.
        secret_env: variables that hold secrets.
        user: whom the run serves, if somebody has said.
    """
    variables = list(secret_env or ())
    options: RunOptions = {"model": model, "secrets": read_secrets(variables)}
    if user is not None:
        options["user"] = user
    project = project_here()
    if project is None:
        return options
    options["model"] = model or project.model
    options["secrets"] = project.secrets_with(variables)
    if project.budgets:
        options["budgets"] = project.budgets
    if project.policy is not None:
        options["policy"] = project.policy
    return options


def say_options(
    model: str | None,
    limits: Sequence[str] | None,
    secret_env: Sequence[str] | None,
    user: str | None,
) -> SayOptions:
    """The options of each answer of a chat."""
    options = cast("SayOptions", sitting_options(model, secret_env, user))
    limited = limits_meant(limits)
    if limited is not None:
        options["limits"] = limited
    return options


def limits_meant(stated: Sequence[str] | None) -> Limits | None:
    """The limits of a run that begins: those that an option states, else the project's."""
    project = project_here()
    if stated or project is None:
        return read_limits(stated)
    return project.limits


def sync_meant(sync: Sync | None) -> Sync:
    """When a run waits until what it did is kept."""
    project = project_here()
    if sync is not None or project is None:
        return sync or "effects"
    return project.sync


def message_meant(text: str | None, is_set: bool) -> str | None:
    """What is sent to the project's own graph where nothing is given.

    Args:
        text: what was given.
        is_set: whether fields were given one by one.
    """
    project = project_here()
    if text is not None or is_set or project is None or project.settings.message is None:
        return text
    message = project.settings.message
    if isinstance(message, str):
        return message
    # A table of fields goes the way that a command line takes, as JSON.
    import json

    return json.dumps(message)
