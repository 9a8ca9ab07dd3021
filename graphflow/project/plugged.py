"""What plug-ins bring to the settings of a project: sinks in `[telemetry]`, policies in `[policy] use`, a store.

Rules:
1. Whether there is such a plug-in is seen while the file is read: nothing is loaded for that.
2. What the settings name is loaded when the project is opened, so that wrong options are told with file and line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from graphflow.joint_policy import joint
from graphflow.misfits import DataProblem, near
from graphflow.plugins.registry import Seam
from graphflow.plugins.seams import POLICIES, SINKS, STORES
from graphflow.policy import Policy
from graphflow.project.settings import ProjectSettings


def unknown_names(stated: object) -> list[DataProblem]:
    """What settings name that is neither built in nor a plug-in's, with its place."""
    if not isinstance(stated, Mapping):
        return []
    telemetry = stated.get("telemetry")
    policy = stated.get("policy")
    problems: list[DataProblem] = []
    for key in _names_in(telemetry):
        if key in SINKS.built_in or SINKS.has(key):
            continue
        # Plug-ins are listed when something has to be said.
        hint = near(key, SINKS.names())
        problem = f"unknown key{hint}"
        problems.append((("telemetry", key), problem))
    if not isinstance(policy, Mapping):
        return problems
    for name in _names_in(policy.get("use")):
        if POLICIES.has(name):
            continue
        hint = near(name, POLICIES.plugged())
        problem = f"no plug-in brings a policy {name!r}{hint}"
        problems.append((("policy", "use", name), problem))
    return problems


def _names_in(table: object) -> list[str]:
    """The names in a table or list."""
    names: list[str] = []
    if not isinstance(table, (Mapping, list)):
        return names
    for name in table:
        if isinstance(name, str):
            names.append(name)
    return names


class NamedPlugin(NamedTuple):
    """What settings say of one plug-in.

    Attributes:
        seam: what it extends.
        name: its own.
        place: where its options stand.
        given: they.
    """

    seam: Seam
    name: str
    place: tuple[str, ...]
    given: object


def _named(settings: ProjectSettings) -> Iterator[NamedPlugin]:
    """The plug-ins that settings name."""
    sinks = settings.telemetry.model_extra or {}
    for name, given in sinks.items():
        # As with ours, false is none.
        if given is not None and given is not False:
            yield NamedPlugin(SINKS, name, ("telemetry", name), given)
    for name, options in settings.policy.used.items():
        yield NamedPlugin(POLICIES, name, ("policy", "use", name), options)
    address = settings.store.address or ""
    scheme, _, _ = address.partition(":")
    # Also without options: one that it needs may be missing.
    if scheme and STORES.has(scheme):
        yield NamedPlugin(STORES, scheme, ("store", "options"), settings.store.options)


def option_problems(settings: ProjectSettings) -> list[DataProblem]:
    """What is wrong with the options of plug-ins.

    Raises:
        PluginError: one of them may not be used, or cannot be loaded.
    """
    problems: list[DataProblem] = []
    for seam, name, place, given in _named(settings):
        factory = seam.get(name)
        if given is True:
            given = {}
        if not isinstance(given, Mapping):
            problem = f"{given!r} cannot stand here; it has to be true or a table"
            problems.append((place, problem))
            continue
        for path, problem in factory.problems(given):
            whole = (*place, *path)
            problems.append((whole, problem))
    return problems


def policy_of(settings: ProjectSettings, folder: Path) -> Policy | None:
    """What may be called in any run: the rules of the settings, and the policies of plug-ins; None: nothing is said.

    Args:
        settings: what the project says.
        folder: the project's own, from which paths are looked for.

    Raises:
        PluginError: one of them may not be used, or cannot be made.
    """
    policies: list[Policy] = []
    own = settings.policy.policy(folder)
    # Its own rules first: they cost less than what a plug-in may look at.
    if own is not None:
        policies.append(own)
    for name, options in settings.policy.used.items():
        factory = POLICIES.get(name)
        made = factory.make(Policy, options=options)
        policies.append(made)
    return joint(policies)
