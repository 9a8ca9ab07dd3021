"""Ports: what a function's parameters say about the messages it takes.

Rules:
1. Every parameter is a port; its annotation is the type of its messages. A parameter annotated `Context` is none.
   One annotated `Secret` is none either: code gets it, and nobody is asked for it.
2. `T | None` beside other ports, or a default, makes a port optional. `list[T]` collects when items of type T arrive,
   and is a plain port when whole lists do; which one is decided by the edges, in the graph.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic.errors import PydanticUserError

from graphflow.errors import DeclarationError
from graphflow.memo import Function, once_a_function
from graphflow.messages.state import AnyState, State
from graphflow.messages.types import (
    Type,
    accepts,
    adapter_of,
    arms,
    is_typed_dict,
    item_type,
    origin_of,
    plain,
    type_name,
)
from graphflow.messages.untrusted import is_marked, without_mark
from graphflow.secrets.secret import Secret

MISSING: Any = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Take:
    """`Annotated[list[T], Take(k)]`: the first k messages of a fork; the rest of that fork is cancelled."""

    count: int

    def __post_init__(self) -> None:
        count = self.count
        is_number = isinstance(count, int) and not isinstance(count, bool)
        if not is_number or count < 1:
            raise DeclarationError(f"Take({count!r}): take at least 1 message")


@dataclass(frozen=True, slots=True)
class Port:
    """One parameter of a node: a name, the type of its messages, and whether it can stay empty."""

    name: str
    type: Type
    default: object = MISSING
    take: int | None = None

    @property
    def optional(self) -> bool:
        """Whether the node may be activated without a message here."""
        if self.default is not MISSING:
            return True
        return type(None) in arms(self.type)

    @property
    def empty(self) -> object:
        """What the node gets if no message comes."""
        if self.default is MISSING:
            return None
        return self.default

    def collects(self, arm: Type) -> bool:
        """Whether messages of type `arm` are collected into this port's list rather than delivered as they are."""
        item = item_type(self.type)
        if item is None:
            return False
        # A whole list is delivered as it is, unless the first few of a fork are asked for.
        delivers = self.take is None and accepts(self.type, arm)
        return not delivers and accepts(item, arm)

    def takes(self, arm: Type) -> bool:
        """Whether a message of type `arm` may arrive here, as it is or as an item."""
        if self.take is None and accepts(self.type, arm):
            return True
        return self.collects(arm)


def required_ports(ports: Iterable[Port]) -> list[Port]:
    """Those that cannot stay empty."""
    return [port for port in ports if not port.optional]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function's parameters and annotations say."""

    ports: tuple[Port, ...]
    output: Type
    context: str | None
    """The name of the parameter that gets the frame's view, if any."""
    problems: tuple[str, ...]
    """What is wrong with it for every kind of node."""
    unanswered: tuple[str, ...] = ()
    """What is wrong if its answer travels on an edge: it does not say of what type that is."""
    positional: tuple[str, ...] = ()
    """Parameters that Python takes by their place only (those before a `/`)."""
    untrusted: bool = False
    """Whether its answer is marked as untrusted content."""
    takes_untrusted: bool = False
    """Whether what it takes is."""
    states: tuple[tuple[str, AnyState], ...] = ()
    """Parameters that get the value of a state: `plan: Annotated[Plan, plan_state]`."""
    secrets: tuple[tuple[str, str], ...] = ()
    """Parameters that get a secret of the run, and its name: `key: Secret`, `key: Annotated[Secret, "stripe_key"]`."""
    deps: Type | None = None
    """The type of the dependencies that it wants: `ctx: Context[Shop]`."""

    @property
    def marks(self) -> Mapping[str, bool]:
        """What it says of untrusted content, as a node has it; empty if that is nothing."""
        if not self.untrusted and not self.takes_untrusted:
            return {}
        return {"untrusted": self.untrusted, "takes_untrusted": self.takes_untrusted}

    @property
    def sees_run(self) -> bool:
        """Whether the function sees more than its messages: the context, or a secret of the run."""
        return self.context is not None or bool(self.secrets)

    @property
    def secret_names(self) -> tuple[str, ...]:
        """The secrets of the run that the function is given."""
        return tuple(name for _, name in self.secrets)

    def reads(self, declared: Sequence[AnyState]) -> tuple[AnyState, ...]:
        """The states that a function reads: those that were declared, and those of its parameters."""
        own = [state for _, state in self.states if state not in declared]
        return (*declared, *own)


@once_a_function
def read_signature(function: Function, context_type: type) -> Signature:
    """The ports and output type of a function. Problems are kept for the graph to report, not raised."""
    name = name_of(function)
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return Signature((), Any, None, (f"the signature of {name!r} cannot be read",))
    hints, problems = read_hints(function)
    ports: list[Port] = []
    states: list[tuple[str, AnyState]] = []
    context: str | None = None
    deps: Type | None = None
    # They are no ports: nothing on an arrow, and no model, gives them.
    secrets = _secrets_of(hints)
    for parameter in _open_parameters(function, parameters, secrets):
        hint = hints.get(parameter.name, MISSING)
        if _is_context(hint, context_type):
            context = parameter.name
            deps = _deps_in(hint, context_type)
            continue
        state = _state_of(hint)
        if state is not None:
            states.append((parameter.name, state))
            problems += _state_problems(name, parameter.name, hint, state)
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            problems.append(
                f"{name!r} has *{parameter.name}; ports need names, so give it ordinary parameters"
            )
            continue
        port = _read_port(parameter, hint)
        ports.append(port)
        # Hints that cannot be read at all are one problem, and said already.
        if hint is MISSING and not problems:
            problems.append(
                f"parameter {port.name!r} of {name!r} has no type; annotate it with the message it takes"
            )
    output = hints.get("return", MISSING)
    unanswered: tuple[str, ...] = ()
    if output is MISSING:
        output = Any
        if not problems:
            unanswered = (
                f"{name!r} has no return annotation; write '-> Type', the type of the message it sends",
            )
    # The mark is read here, once: from now on the answer is of the type that it marks.
    untrusted = is_marked(output)
    output = without_mark(output)
    takes_untrusted = _takes_untrusted(ports, hints)
    kinds = [port.type for port in ports]
    for kind in (*kinds, output):
        problems += _unusable(name, kind)
    positional = _positional_names(parameters.values())
    return Signature(
        tuple(ports),
        output,
        context,
        tuple(problems),
        unanswered,
        positional,
        untrusted,
        takes_untrusted,
        tuple(states),
        tuple(secrets.items()),
        deps,
    )


def _takes_untrusted(ports: Iterable[Port], hints: Mapping[str, Type]) -> bool:
    """Whether one of these ports is annotated as untrusted."""
    # A port has the type without its mark, so the annotations are looked at.
    for port in ports:
        hint = hints.get(port.name)
        if hint is not None and is_marked(hint):
            return True
    return False


def _open_parameters(
    function: Function, parameters: Mapping[str, inspect.Parameter], secrets: Mapping[str, str]
) -> Iterator[inspect.Parameter]:
    """The parameters that a message is waited for, and those that get the context or a state."""
    # What a partial function was given by name still stands in its signature.
    bound = function.keywords if isinstance(function, functools.partial) else {}
    for name, parameter in parameters.items():
        if name not in bound and name not in secrets:
            yield parameter


def _read_port(parameter: inspect.Parameter, hint: Type) -> Port:
    if hint is MISSING:
        return Port(parameter.name, Any, parameter.default)
    kind = plain(hint)
    take = _take(hint)
    return Port(parameter.name, kind, parameter.default, take)


def _positional_names(parameters: Iterable[inspect.Parameter]) -> tuple[str, ...]:
    """Parameters that Python takes by their place only."""
    # A message arrives by the name of its port, which is not a keyword of these: the caller has to count places instead.
    names: list[str] = []
    for parameter in parameters:
        if parameter.kind is parameter.POSITIONAL_ONLY:
            names.append(parameter.name)
    return tuple(names)


def name_of(function: Function) -> str:
    """What a function is called; a partial one as the function in it, an object as its class."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _unusable(name: str, kind: Type) -> list[str]:
    """What pydantic says of typed dicts that it cannot check (those of `typing` before Python 3.12)."""
    for arm in arms(kind):
        if not is_typed_dict(arm):
            continue
        try:
            adapter_of(arm)
        except PydanticUserError as error:
            return [f"{name!r} uses {arm.__name__}, which cannot be checked: {error.message}"]
    return []


def _is_context(hint: Type, context_type: type) -> bool:
    for arm in arms(hint):
        known = origin_of(arm) or arm
        if isinstance(known, type) and issubclass(known, context_type):
            return True
    return False


def _deps_in(hint: Type, context_type: type) -> Type | None:
    """What an annotation says of the dependencies; None: nothing, as `Context` and `Context[Any]` do."""
    for arm in arms(hint):
        if _is_context(arm, context_type):
            for kind in get_args(arm):
                if kind is not Any and not isinstance(kind, TypeVar):
                    return kind
    return None


def _secrets_of(hints: Mapping[str, Type]) -> dict[str, str]:
    """The parameters that get a secret: the one of their own name, or the one that the annotation names."""
    found: dict[str, str] = {}
    for parameter, hint in hints.items():
        if plain(hint) is not Secret:
            continue
        # Its own name, unless the annotation has another one: a tool of somebody else's calls it as it likes.
        found[parameter] = parameter
        for extra in get_args(hint)[1:]:
            if isinstance(extra, str):
                found[parameter] = extra
    return found


def _state_of(hint: Type) -> AnyState | None:
    """The state whose value a parameter gets, if it is annotated with one."""
    if origin_of(hint) is not Annotated:
        return None
    _, *extras = get_args(hint)
    for extra in extras:
        if isinstance(extra, State):
            return extra
    return None


def _state_problems(name: str, parameter: str, hint: Type, state: AnyState) -> list[str]:
    """What is wrong with a parameter that gets the value of a state."""
    wanted, *_ = get_args(hint)
    if accepts(wanted, state.type):
        return []
    return [
        f"parameter {parameter!r} of {name!r} is {type_name(wanted)}, and state {state.name!r} is {state.kind}; "
        f"annotate it Annotated[{state.kind}, {state.name}]"
    ]


def _take(hint: Type) -> int | None:
    if origin_of(hint) is not Annotated:
        return None
    _, *extras = get_args(hint)
    for extra in extras:
        if isinstance(extra, Take):
            return extra.count
    return None


def read_hints(function: Function) -> tuple[dict[str, Type], list[str]]:
    """The annotations of whatever can be called, and what is wrong with them."""
    name = name_of(function)
    while isinstance(function, functools.partial):
        function = function.func
    if not isinstance(function, type) and not hasattr(function, "__annotations__"):
        function = type(function).__call__
    try:
        return get_type_hints(function, include_extras=True), []
    except NameError as error:
        local = _callers_names(function)
        try:
            return get_type_hints(function, localns=local, include_extras=True), []
        except Exception:
            problem = f"the annotations of {name!r} name {error.name!r}, which is not defined where {name!r} is"
            return _hints_one_by_one(function, local), [problem]
    except Exception as error:
        return {}, [f"the annotations of {name!r} cannot be read: {error}"]


def _hints_one_by_one(function: Function, local: Mapping[str, object]) -> dict[str, Type]:
    """The annotations that can be read although others name what is not defined yet.

    A router whose rule takes a class from further down still has the labels that its annotation spells out.
    """
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    found: dict[str, Type] = {}
    try:
        annotations = inspect.get_annotations(function)
    except NameError:  # where Python itself evaluates them all at once
        return found
    names = dict(local)
    for name, annotation in annotations.items():
        alone = SimpleNamespace(__annotations__={name: annotation})
        # The one that names it; the whole has been reported already.
        with contextlib.suppress(Exception):
            found |= get_type_hints(alone, globalns=scope, localns=names, include_extras=True)
    return found


def _callers_names(function: Function) -> Mapping[str, object]:
    """Names in the functions that are being run, innermost first, in the module of `function`.

    A message class defined inside a test or notebook function is visible to the compiler, not to `get_type_hints`.
    """
    names: dict[str, object] = {}
    frame = sys._getframe(1)
    module = getattr(function, "__module__", None)
    while frame is not None:
        if frame.f_globals.get("__name__") == module:
            names = {**frame.f_locals, **names}
        if frame.f_back is None:
            break
        frame = frame.f_back
    return names
