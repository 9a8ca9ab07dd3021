"""The options of what a plug-in brings: read of its signature, or of the pydantic model that its parameter `options` takes.

    def shelf(name: str, *, size: int = 3) -> Node: ...             the options are size
    def shelf(name: str, options: ShelfOptions) -> Node: ...        they are the fields of the model

Rules:
1. Types are strict: `"5"` is not a number. Lists do for tuples and sets, texts for times, as files have no others.
2. All that is wrong is told at once, each with the way to it.
3. What is called like a secret is not shown.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Unpack, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from graphflow.misfits import DataPath, DataProblem, misfits, near
from graphflow.redaction import is_secret

WHOLE = "options"
"""The parameter that takes all options as one model."""
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, slots=True)
class PluginOption:
    """One option.

    Attributes:
        type: what may stand there. Any: that is what annotations are.
        is_needed: whether there has to be a value.
    """

    type: Any
    is_needed: bool


@dataclass(frozen=True, slots=True)
class OptionTable:
    """The options of one factory.

    Attributes:
        options: by name.
        is_open: whether it takes others besides.
        model: what all of them are fields of; None: they are parameters.
    """

    options: Mapping[str, PluginOption]
    is_open: bool = False
    model: type[BaseModel] | None = None

    @classmethod
    def of(cls, factory: Callable[..., object], leading: int) -> OptionTable:
        """The options of a factory, whose first parameters are none."""
        try:
            parameters = list(inspect.signature(factory).parameters.values())[leading:]
        except (TypeError, ValueError):  # of something that is written in C
            return cls({}, is_open=True)
        hints = _hints(factory)
        options: dict[str, PluginOption] = {}
        is_open = False
        for parameter in parameters:
            name = parameter.name
            kind = hints.get(name, Any)
            if name == WHOLE and _is_model(kind):
                return cls._of_model(kind)
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                further = _unpacked(kind)
                is_open = further is None
                options |= further or {}
            elif parameter.kind in _NAMED:
                is_needed = parameter.default is inspect.Parameter.empty
                options[name] = PluginOption(kind, is_needed)
        return cls(options, is_open)

    @classmethod
    def _of_model(cls, model: type[BaseModel]) -> OptionTable:
        options: dict[str, PluginOption] = {}
        for name, field in model.model_fields.items():
            key = field.alias or name
            is_needed = field.is_required()
            options[key] = PluginOption(field.annotation, is_needed)
        is_open = model.model_config.get("extra") == "allow"
        return cls(options, is_open, model)

    def read(
        self, given: Mapping[str, object], known: Collection[str] = ()
    ) -> tuple[dict[str, object], list[DataProblem]]:
        """The options as the factory takes them, and what is wrong with them.

        Args:
            given: what a file, a project or a call has.
            known: keys that have been read already, and are handed on as they are.
        """
        problems = self._key_problems(given)
        # A model would complain of the same keys once more.
        if problems and self.model is not None:
            return {}, problems
        read_already: dict[str, object] = {}
        data: dict[str, object] = {}
        for key, value in given.items():
            into = read_already if key in known else data
            into[key] = value
        values, wrong = self._values(data)
        problems += map(_without_secret, wrong)
        return {**values, **read_already}, problems

    def _key_problems(self, given: Mapping[str, object]) -> list[DataProblem]:
        """Keys that there are not, and keys that are missing."""
        problems: list[DataProblem] = []
        for key in given:
            if key in self.options or self.is_open:
                continue
            hint = near(key, self.options)
            problems.append(((key,), f"unknown key{hint}"))
        for name, option in self.options.items():
            if option.is_needed and name not in given:
                problems.append(((name,), "this is missing"))
        return problems

    def _values(self, data: dict[str, object]) -> tuple[dict[str, object], list[DataProblem]]:
        if self.model is not None:
            whole, problems = _value(self.model, data)
            return {WHOLE: whole}, problems
        values: dict[str, object] = {}
        problems = []
        for key, given in data.items():
            option = self.options.get(key)
            # Another one, which the factory takes as it is.
            if option is None:
                values[key] = given
                continue
            value, wrong = _value(option.type, given, key)
            values[key] = value
            problems += wrong
        return values, problems


def _is_model(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, BaseModel)


def _unpacked(kind: Any) -> dict[str, PluginOption] | None:
    """The options of `**options: Unpack[NodeOptions]`; None: it may be any."""
    if get_origin(kind) is not Unpack:
        return None
    [table] = get_args(kind)
    if not is_typeddict(table):
        return None
    hints = get_type_hints(table, include_extras=True)
    options: dict[str, PluginOption] = {}
    for name, each in hints.items():
        options[name] = PluginOption(each, is_needed=False)
    return options


def _hints(factory: Callable[..., object]) -> Mapping[str, Any]:
    """The annotations of a factory; none where they name what there is not."""
    annotated = factory.__init__ if inspect.isclass(factory) else factory
    try:
        return get_type_hints(annotated, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return {}


def _value(kind: Any, given: object, *path: str) -> tuple[object, list[DataProblem]]:
    """A value of a type, and what is wrong with it."""
    adapter = _adapter(kind)
    try:
        # As JSON, a list may be meant as a tuple, and nothing else as what it is not.
        text = json.dumps(given)
    except (TypeError, ValueError):
        text = ""
    try:
        # An object, as code gives them.
        if not text:
            return adapter.validate_python(given), []
        return adapter.validate_json(text, strict=True), []
    except ValidationError as error:
        keys_at = partial(_keys_at, kind)
        found = misfits(error, given, keys_at)
    problems: list[DataProblem] = []
    for below, problem in found:
        whole = (*path, *below)
        problems.append((whole, problem))
    return None, problems


def _adapter(kind: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(kind)
    except (PydanticUserError, NameError, TypeError):
        pass
    try:
        return TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True))
    except (PydanticUserError, NameError, TypeError):
        return TypeAdapter(Any)


def _keys_at(kind: Any, path: DataPath) -> Iterable[str]:
    """The keys of a model at a place inside of it, as far as that can be told."""
    for step in path:
        fields = getattr(kind, "model_fields", {})
        field = fields.get(step)
        kind = None if field is None else field.annotation
    return list(getattr(kind, "model_fields", ()))


def _without_secret(misfit: DataProblem) -> DataProblem:
    path, problem = misfit
    if not any(is_secret(str(step)) for step in path):
        return misfit
    _, _, wanted = problem.rpartition("; ")
    return path, f"what is given cannot stand here; {wanted}"
