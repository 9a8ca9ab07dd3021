"""Models as a file declares them: a name, a name with options of `connect`, or several to fall back on.

model: openai:gpt-5
model: {name: openai:gpt-5, key: $MY_KEY, rpm: 60}
model: {name: openai:gpt-5, credentials: "vault:give_key"}
model: {failover: [openai:gpt-5, local:smollm2]}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from graphflow.errors import GraphflowError
from graphflow.files.names import Names
from graphflow.files.problems import FileProblems
from graphflow.files.values import shown
from graphflow.model.resolve import open_model
from graphflow.model.seam import Model
from graphflow.providers.declared_model import DeclaredModel
from graphflow.providers.failover import Failover
from graphflow.providers.http import Timeouts
from graphflow.providers.retry import RetryPolicy
from graphflow.redaction import is_secret

Declaration = dict[str, Any]

_FAILOVER_KEYS = {"failover", "restart", "cooldown_s"}


class ModelReader:
    """Reads the models of one file."""

    def __init__(self, problems: FileProblems, names: Names) -> None:
        self.problems = problems
        self._names = names

    def read(self, given: object) -> Model | str | None:
        """The model that a value declares."""
        if given is None or isinstance(given, str):
            return given
        if isinstance(given, dict) and _is_failover(given):
            return self._failover(given)
        if not isinstance(given, dict) or not isinstance(given.get("name"), str):
            raise self.problems.error(
                f"{shown(given)} is not a model; write provider:model, "
                "{name: provider:model, base_url: ..., rpm: ...}, or {failover: [...]}"
            )
        self._refuse_secrets(given)
        name = given["name"]
        options = _without(given, "name")
        if "credentials" in options:
            with self.problems.within("credentials"):
                function = str(options["credentials"])
                options["credentials"] = self._names.function(function, "what gives the keys")
        return self._declared(given, name, lambda: open_model(name, **_with_objects(options)))

    def _failover(self, given: Declaration) -> Model:
        members: list[Any] = []
        for each in given["failover"]:
            member = self.read(each)
            members.append(member)
        options = _without(given, "failover")
        name = f"failover of {len(members)}"
        make = partial(Failover, *members, **options)
        return self._declared(given, name, make)

    def _refuse_secrets(self, given: Declaration) -> None:
        """Refuses keys in a file: what it may hold is the name of a variable."""
        keys = given.get("keys")
        secrets = [given.get("key")]
        secrets += keys if isinstance(keys, list) else [keys]
        if any(is_spelled_out(secret) for secret in secrets):
            raise self.problems.error(
                "a file must not hold a key; write key: $NAME_OF_A_VARIABLE", "key"
            )
        headers = given.get("headers")
        if not isinstance(headers, Mapping):
            return
        for name in headers:
            if is_secret(str(name)):
                problem = f"a file must not hold the header {name}; write key: $NAME_OF_A_VARIABLE"
                raise self.problems.error(problem, "headers")

    def _declared(self, given: Declaration, name: str, make: Callable[[], Any]) -> DeclaredModel:
        # Made here, though opened later: what is wrong with it is reported with its line.
        try:
            return DeclaredModel(given, name, make)
        except (TypeError, ValueError, AttributeError, GraphflowError) as error:
            raise self.problems.error(str(error), "model") from None


def is_spelled_out(secret: object) -> bool:
    """Whether a secret stands in a file itself, and not the variable that holds it."""
    if secret is None:
        return False
    text = str(secret)
    return not text.startswith("$")


def _is_failover(given: Declaration) -> bool:
    members = given.get("failover")
    if not isinstance(members, list):
        return False
    return all(members) and set(given) <= _FAILOVER_KEYS


def _without(given: Declaration, key: str) -> Declaration:
    others = dict(given)
    del others[key]
    return others


def _with_objects(options: Declaration) -> Declaration:
    """Options of `connect`, with objects made of the mappings of those that are one."""
    made = dict(options)
    if isinstance(made.get("timeouts"), dict):
        made["timeouts"] = Timeouts(**made["timeouts"])
    if isinstance(made.get("retry"), dict):
        made["retry"] = RetryPolicy(**made["retry"])
    return made
