"""A project: a folder with `graphflow.toml` or `graphs/`, its settings, its graphs, and where its runs are kept.

    project = Project.open(".")                 the nearest one upwards; env="prod" chooses an overlay
    graph = project.graph("shop")
    run = await graph.run(message, **project.run_options())

Rules:
1. Opening reads files: no graph is loaded, no store is opened, no code of the project runs. Only plug-ins that its settings
   name are loaded, for their options to be checked.
2. Variables of its `.env` files are given to this process where it has none of the name.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from graphflow.budgets import Budget
from graphflow.errors import ProjectUnknown, UnknownGraph
from graphflow.files.project_modules import PROJECT_FILE, project_above
from graphflow.graph import RunnableGraph
from graphflow.limits import Limits
from graphflow.plugins.choice import state_choice
from graphflow.policy import Policy
from graphflow.project.dotenv_files import publish, variables_of
from graphflow.project.graph_files import Found, graphs_of
from graphflow.project.graphs import load
from graphflow.project.origins import SettingOrigins
from graphflow.project.plugged import option_problems, policy_of
from graphflow.project.project_file import ReadSettings, read_settings
from graphflow.project.settings import ProjectSettings
from graphflow.project.settings_problems import settings_error
from graphflow.project.toml_lines import KeyNames
from graphflow.redaction import scrub, scrubbed
from graphflow.runtime.options import RunOptions, Sync
from graphflow.secrets.declared import Secrets

ENVIRONMENT_VARIABLE = "GRAPHFLOW_ENV"
"""Names the overlay that is chosen."""
_FILE_STORES = ("sqlite:", "jsonl:")
NO_VALUE: tuple[object, ...] = (None, [], {})


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it holds.

    Attributes:
        key: its place, as `limits.steps`.
        value: without secrets.
        origin: where it comes from: a file with its line, an overlay, a variable, or "default".
    """

    key: str
    value: object
    origin: str


class Project:
    """A project that was opened.

    Attributes:
        root: its folder.
        environment: the name of the overlay that is chosen; "" is none.
    """

    def __init__(self, root: Path, environment: str, read: ReadSettings) -> None:
        self.root = root
        self.environment = environment
        self._read = read

    @classmethod
    def open(cls, path: str | Path = ".", env: str | None = None) -> Project:
        """The project of a folder, of a file in it, or the nearest one above.

        Args:
            path: where to look.
            env: the overlay that is chosen; None: the one that $GRAPHFLOW_ENV names.

        Raises:
            ProjectUnknown: there is none.
            FileUnreadable: its file cannot be read, or is not TOML.
            SettingsInvalid: something in its file or its `.env` cannot be; all that is wrong is told.
            PluginError: a plug-in that it names may not be used, or cannot be loaded.
        """
        start = Path(path)
        if start.is_file():
            start = start.parent
        root = project_above(start) if start.is_dir() else None
        if root is None:
            raise ProjectUnknown(
                f"there is no project in {start}, nor above it: one has {PROJECT_FILE} or a folder graphs/; "
                "`graphflow new NAME` makes one"
            )
        environment = env or os.environ.get(ENVIRONMENT_VARIABLE, "")
        variables = variables_of(root, environment)
        read = read_settings(root, environment, variables)
        publish(variables)
        project = cls(root, environment, read)
        project._check_plugins()
        return project

    def __repr__(self) -> str:
        chosen = f" [env.{self.environment}]" if self.environment else ""
        return f"<project {self.root}{chosen}>"

    # -- settings ----------------------------------------------------------------------------------
    @property
    def file(self) -> Path | None:
        """The file with its settings; None: it has none."""
        return self._read.file

    @property
    def settings(self) -> ProjectSettings:
        """All that its file says, overlays and variables put in."""
        return self._read.settings

    @property
    def overlays(self) -> tuple[str, ...]:
        """The names of its overlays."""
        return self._read.overlays

    @property
    def model(self) -> str | None:
        """For nodes that name none."""
        named = self.settings.model
        if named is not None and named.startswith("replay:"):
            return f"replay:{self.root / named.removeprefix('replay:')}"
        return named

    @property
    def sync(self) -> Sync:
        """When a run waits until what it did is kept."""
        return self.settings.sync or "effects"

    @property
    def limits(self) -> Limits | None:
        """What one run may use, where nothing else is stated."""
        return self.settings.limits.limits()

    @property
    def budgets(self) -> list[Budget]:
        """What all its runs may spend together."""
        return [table.budget(name) for name, table in self.settings.budgets.items()]

    @cached_property
    def policy(self) -> Policy | None:
        """What may be called in any run: its own rules, and the policies of plug-ins that it uses."""
        return policy_of(self.settings, self.root)

    @property
    def store_address(self) -> str | None:
        """Where runs are kept, if its settings say so; files are below its folder."""
        address = self.settings.store.address
        for kind in _FILE_STORES:
            if address is not None and address.startswith(kind):
                return f"{kind}{self.root / address.removeprefix(kind)}"
        return address

    @property
    def store_key(self) -> str | None:
        """Where the key of its store stands."""
        place = self.settings.store.key
        if place is not None and place.startswith("file:"):
            return f"file:{self.root / place.removeprefix('file:')}"
        return place

    @property
    def telemetry(self) -> Mapping[str, object]:
        """The sinks that its settings ask for, as `graphflow.telemetry.sinks_of` takes them; files are below its folder."""
        stated: dict[str, object] = self.settings.telemetry.model_dump(exclude_none=True)
        file = stated.get("jsonl")
        if isinstance(file, str):
            stated["jsonl"] = str(self.root / file)
        elif isinstance(file, dict) and isinstance(file.get("path"), str):
            stated["jsonl"] = {**file, "path": str(self.root / file["path"])}
        return stated

    @property
    def secrets(self) -> Secrets | None:
        """What nobody sees of any run: those that it names, and what variables have put into its settings."""
        named = self.settings.secrets
        hidden = self._read.hidden
        if named.is_empty and not hidden:
            return None
        files = _named_files(named.files, self.root)
        return Secrets(hidden, env=named.env, files=files, patterns=named.patterns)

    def secrets_with(self, variables: list[str]) -> Secrets | None:
        """The same, and further ones of variables."""
        if not variables:
            return self.secrets
        named = self.settings.secrets
        known = (
            named.env
            if isinstance(named.env, dict)
            else dict(zip(named.env, named.env, strict=True))
        )
        env = {**known, **dict(zip(variables, variables, strict=True))}
        files = _named_files(named.files, self.root)
        return Secrets(self._read.hidden, env=env, files=files, patterns=named.patterns)

    def run_options(self) -> RunOptions:
        """The options of a run that its settings give: model, limits, budgets, policy, secrets."""
        options: RunOptions = {}
        if self.model is not None:
            options["model"] = self.model
        if self.limits is not None:
            options["limits"] = self.limits
        if self.budgets:
            options["budgets"] = self.budgets
        if self.policy is not None:
            options["policy"] = self.policy
        if self.secrets is not None:
            options["secrets"] = self.secrets
        return options

    def with_tables_of(self, other: Project, tables: Sequence[str]) -> Project:
        """This project with some tables of another's settings."""
        kept = {name: getattr(other.settings, name) for name in tables}
        settings = self.settings.model_copy(update=kept)
        read = replace(self._read, settings=settings)
        return Project(self.root, self.environment, read)

    def explain(self) -> list[Setting]:
        """What holds, key by key, and where it comes from; secrets are taken out."""
        given: dict[KeyNames, object] = {}
        _flatten(self.settings.model_dump(), (), given)
        return [_explained(path, value, self._read.origins) for path, value in given.items()]

    def _check_plugins(self) -> None:
        """Says which plug-ins are used, and refuses a project that names what they do not have.

        Raises:
            SettingsInvalid: a package that it needs is not installed, or options are wrong.
            PluginError: a plug-in that it names may not be used, or cannot be loaded.
        """
        plugins = self.settings.plugins
        name = PROJECT_FILE if self.file is None else self.file.name
        state_choice(plugins.choice(f"[plugins] of {name}"))
        problems: list[str] = []
        for needed in plugins.need:
            try:
                importlib.metadata.distribution(needed)
            except (importlib.metadata.PackageNotFoundError, ValueError):
                origin = self._read.origins.of(("plugins", "need"))
                problem = f"{origin}: plugins: {needed!r} is not installed; pip install {needed}"
                problems.append(problem)
        for path, wrong in option_problems(self.settings):
            key = ".".join(map(str, path))
            problems.append(scrub(f"{self._read.origins.of(path)}: {key}: {wrong}"))
        if problems:
            raise settings_error(PROJECT_FILE, problems)

    # -- graphs ------------------------------------------------------------------------------------
    def graphs(self) -> list[Found]:
        """Its own graphs, by name; none is loaded."""
        return list(graphs_of(self.root))

    @property
    def main(self) -> str:
        """The graph that is meant where none is named.

        It is `graph` of its settings, else the one that is called like its folder, else the only one.

        Raises:
            UnknownGraph: none of these is there.
        """
        if self.settings.graph is not None:
            return self.settings.graph
        names = [found.name for found in self.graphs()]
        if self.root.name in names:
            return self.root.name
        if len(names) == 1:
            return names[0]
        listed = ", ".join(names) or "none"
        raise UnknownGraph(
            f"the project {self.root.name} says of no graph that it is the one that is meant, and has these: {listed}; "
            f'name one, or write graph = "NAME" into its {PROJECT_FILE}'
        )

    def graph(self, name: str | None = None) -> RunnableGraph:
        """The graph of that name, or the one that is meant where none is named.

        Raises:
            UnknownGraph: there is none.
            FileUnreadable, GraphError: it is broken.
        """
        return load(name or self.main, self.root)


def _named_files(files: list[str] | dict[str, str], root: Path) -> Mapping[str, str | Path]:
    """Files with secrets, by name, below the project's folder."""
    if isinstance(files, dict):
        return {name: root / path for name, path in files.items()}
    return {Path(path).name: root / path for path in files}


def _flatten(value: Mapping[str, object], path: KeyNames, into: dict[KeyNames, object]) -> None:
    for key, each in value.items():
        place = (*path, key)
        if isinstance(each, dict) and each and path == ():
            _flatten(each, place, into)
        else:
            into[place] = each


def _explained(path: KeyNames, value: object, origins: SettingOrigins) -> Setting:
    key = ".".join(path)
    shown = None if value in NO_VALUE else scrubbed(value)
    return Setting(key, shown, origins.shown(path))
