"""What a project file may say: `graphflow.toml`, or `[tool.graphflow]` of a pyproject.toml.

    graph = "shop"                          what `graphflow run` and `graphflow chat` take where none is named
    message = "Do you have tea?"            what `graphflow run` sends where nothing is given
    model = "${SHOP_MODEL:-mock:echo}"      for nodes that name none
    sync = "effects"                        when a run waits until what it did is kept

    [store]                                 or: store = "sqlite:FILE"
    [budgets.daily]                         what all runs may spend together, counted in the store
    [limits]  [secrets]  [policy]  [servers]  [telemetry]  [plugins]
    [env.prod]                              an overlay: any of these again

Rules:
1. Types are strict: `"5"` is not a number, `true` is none. A text that is one `${VARIABLE}` may stand for a number.
2. What is not said is None, so that "where does this come from" has an answer; defaults belong to whoever uses a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    model_validator,
)

from graphflow.budgets import Budget, BudgetScope
from graphflow.errors import DeclarationError
from graphflow.limits import Limits
from graphflow.plugins.choice import PluginChoice, package_name
from graphflow.policy import Effect, Policy
from graphflow.runtime.options import Sync

# Each may be left out: None is what nobody has set.
Whole = Annotated[int, Field(ge=0)] | None
WholeFromOne = Annotated[int, Field(ge=1)] | None
Number = Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
KeyPlace = Annotated[str, Field(pattern=r"^(env|file):.+")] | None
OptionalText = str | None
OptionalTexts = list[str] | None
Flag = bool | None
EffectNames = list[Effect] | None
WhenKept = Sync | None
Unpriced = Literal["tell", "end"] | None
Named = list[str] | dict[str, str]
PluggedPolicies = list[str] | dict[str, dict[str, JsonValue]]
SinkSetting = bool | int | str | dict[str, JsonValue] | None
"""A sink of events: whether there is one, where it writes to, or a table of its options."""


class SettingsTable(BaseModel):
    """A table of a project file."""

    # Strict, as a text that happens to read like a number is a slip more often than not.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class LimitSettings(SettingsTable):
    """`[limits]`: what one run may use, where nothing else is said; the names are those of `Limits`."""

    depth: Whole = None
    steps: Whole = None
    laps: WholeFromOne = None
    tokens: Whole = None
    input_tokens: Whole = None
    output_tokens: Whole = None
    usd: Number = None
    seconds: Number = None
    tool_calls: Whole = None
    model_calls: Whole = None
    concurrency: WholeFromOne = None
    output_bytes: Whole = None
    unpriced: Unpriced = None

    def limits(self) -> Limits | None:
        """The limits that are stated; None: none is."""
        stated = self.model_dump(exclude_none=True)
        return Limits(**stated) if stated else None


class BudgetSettings(SettingsTable):
    """A table of `[budgets]`, by the name of the budget; `graphflow.Budget` says more."""

    per: BudgetScope | list[BudgetScope]
    tokens: Whole = None
    usd: Number = None
    unpriced: Literal["end", "tell"] = "end"

    def budget(self, name: str) -> Budget:
        """The budget of that name."""
        return Budget(self.per, self.tokens, self.usd, name=name, unpriced=self.unpriced)


class StoreSettings(SettingsTable):
    """`[store]`: where runs are kept.

    Attributes:
        address: "sqlite:FILE", "jsonl:FOLDER", "postgresql://...", "memory:", or "none"; files are looked for in the project.
        key: where the key stands that content is encrypted with: "env:NAME" or "file:PATH".
        options: of the store of a plug-in, as it names them.
    """

    address: OptionalText = None
    key: KeyPlace = None
    options: dict[str, JsonValue] = {}


class SecretSettings(SettingsTable):
    """`[secrets]`: what no model, file or screen sees of any run; `graphflow.security.Secrets` says more.

    Attributes:
        env: variables that hold one: a list, or a table of variables by their names.
        files: files that hold one, from the project's folder: a list, or a table of files by their names.
        patterns: what a secret looks like: a list, or a table by name.
    """

    env: Named = []
    files: Named = []
    patterns: Named = []

    @property
    def is_empty(self) -> bool:
        """Whether it names none."""
        # Not the values: a table without a row names nothing, either.
        return not (self.env or self.files or self.patterns)


class PolicySettings(SettingsTable):
    """`[policy]`: what may be called in any run; `graphflow.Policy` says more.

    Attributes:
        allow, deny, effects, hosts: the rules.
        paths, write_paths: the same; folders are looked for from the project's own.
        use: policies of plug-ins, which have to agree, too: a list of names, or tables of options by name.
    """

    allow: OptionalTexts = None
    deny: list[str] = []
    effects: EffectNames = None
    paths: OptionalTexts = None
    write_paths: OptionalTexts = None
    hosts: OptionalTexts = None
    use: PluggedPolicies = []

    @property
    def used(self) -> dict[str, dict[str, JsonValue]]:
        """The options of each policy that a plug-in brings, by its name."""
        # A list names those that need no options.
        if isinstance(self.use, dict):
            return self.use
        return {name: {} for name in self.use}

    def policy(self, folder: Path) -> Policy | None:
        """The policy; None: nothing is said."""
        stated = self.model_dump(exclude_none=True, exclude={"use"})
        if not self.deny:
            del stated["deny"]
        for option in ("paths", "write_paths"):
            if option in stated:
                stated[option] = [str(folder / path) for path in stated[option]]
        return Policy(**stated) if stated else None


class ServerSettings(SettingsTable):
    """`[servers]`: how tool servers are kept; what each server says of itself (`scope`, `idle_s`, `max_open`) stands with it.

    Attributes:
        probe: whether each is opened when the project is, so that one that is not there is told at once. One that the process
            shares stays open.
    """

    probe: Flag = None


class TelemetrySettings(SettingsTable):
    """`[telemetry]`: where the events of all runs go; `graphflow.telemetry` knows the options of each.

    Attributes:
        jsonl: a file of lines of JSON.
        logging: Python's `logging`.
        otlp: an OpenTelemetry collector.
        prometheus: metrics to be scraped.

    Any other key is a plug-in's.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, SinkSetting] = Field(init=False)

    jsonl: SinkSetting = None
    logging: SinkSetting = None
    otlp: SinkSetting = None
    prometheus: SinkSetting = None


class PluginSettings(SettingsTable):
    """`[plugins]`: what other packages bring.

    Attributes:
        need: distributions that have to be installed, since graphs or settings use what they bring.
        allow: those whose plug-ins may be used; left out: all.
        deny: those whose plug-ins may not.
    """

    need: list[str] = []
    allow: OptionalTexts = None
    deny: list[str] = []

    def choice(self, origin: str) -> PluginChoice:
        """Which plug-ins may be used.

        Args:
            origin: who says so, for errors.
        """
        allow: frozenset[str] | None = None
        if self.allow is not None:
            allow = frozenset(map(package_name, self.allow))
        # Packages are compared as installers do.
        deny = frozenset(map(package_name, self.deny))
        return PluginChoice(allow, deny, origin)


def _as_address(given: object) -> object:
    """`store = "sqlite:FILE"` is short for a table with an address."""
    return {"address": given} if isinstance(given, str) else given


def _as_need(given: object) -> object:
    """`plugins = ["acme"]` is short for a table of what is needed."""
    return {"need": given} if isinstance(given, list) else given


Stores = Annotated[StoreSettings, BeforeValidator(_as_address)]
Plugins = Annotated[PluginSettings, BeforeValidator(_as_need)]


class ProjectSettings(SettingsTable):
    """What a project file says, overlays put in.

    Attributes:
        graph: the one that is meant where none is named.
        message: what is sent to it where nothing is given.
        model: for nodes that name none.
        sync: when a run waits until what it did is kept.
        tests: the folder of recorded cases.
    """

    graph: OptionalText = None
    message: JsonValue = None
    model: OptionalText = None
    sync: WhenKept = None
    tests: OptionalText = None
    plugins: Plugins = PluginSettings()
    store: Stores = StoreSettings()
    limits: LimitSettings = LimitSettings()
    budgets: dict[str, BudgetSettings] = {}
    secrets: SecretSettings = SecretSettings()
    policy: PolicySettings = PolicySettings()
    servers: ServerSettings = ServerSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @model_validator(mode="after")
    def _check_budgets(self) -> Self:
        for name, table in self.budgets.items():
            if table.tokens is None and table.usd is None:
                raise DeclarationError(
                    f"budgets.{name}: it limits nothing; give tokens, usd, or both"
                )
            # What pydantic cannot see is refused here, and not by the first run.
            table.budget(name)
        return self


NAMED_TABLES: Mapping[str, type[SettingsTable]] = {"budgets": BudgetSettings}
"""Tables of tables that are named by whoever writes them, and what each of these may have."""
