"""A tool: a function whose parameters are the fields of one argument model, the schema that a model is shown.

Rules:
1. Arguments are validated by pydantic before the function is called; what does not fit is told in words a model can act on.
2. A tool that raises is an error result for the model that called it, and a failure on an edge otherwise.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import from_json

from graphflow.arrows import In, Out
from graphflow.errors import ArgumentsInvalid, DeclarationError
from graphflow.kinds.docstrings import read_docstring
from graphflow.kinds.step import call_function, place_of
from graphflow.messages import to_text
from graphflow.model import ToolSpec
from graphflow.nodes import Context, Node, Retry
from graphflow.ports import MISSING, Port, Signature, read_signature

R = TypeVar("R")


class Tool(Node[In, Out]):
    """A function that models (and nodes, along call edges) may call."""

    kind: ClassVar[str] = "tool"
    meter: ClassVar[str | None] = "tool_calls"
    function: Callable[..., Any]
    arguments: type[BaseModel]

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str = "",
        retry: Retry | int | None = None,
        timeout_s: float | None = None,
    ) -> None:
        if not callable(function) or isinstance(function, type):
            raise DeclarationError(f"@tool goes above a function, not above {function!r}")
        signature = read_signature(function, Context)
        own_name = name or str(getattr(function, "__name__", type(function).__name__))
        summary, _ = read_docstring(function)
        arguments, problems = _argument_model(own_name, function, signature)
        self._declare(
            own_name,
            ports=(Port("arguments", _port_type(arguments, signature)),),
            output=signature.output,
            description=description or summary,
            retry=retry,
            timeout_s=timeout_s,
            problems=(*signature.problems, *problems),
            where=place_of(function),
        )
        self.__dict__["function"] = function
        self.__dict__["arguments"] = arguments

    @property
    def spec(self) -> ToolSpec:
        """The tool as a model sees it."""
        return ToolSpec(self.name, self.description, schema_of(self.arguments))

    def read(self, given: Any) -> dict[str, Any]:
        """Validated arguments by name, from JSON text, a mapping, the argument model, or the only argument itself.

        Raises:
            ArgumentsInvalid: they do not fit; the text names each field.
        """
        if isinstance(given, self.arguments):
            return self._by_name(given)
        fields = self.arguments.model_fields
        if isinstance(given, str) and not (len(fields) == 1 and not given.lstrip().startswith("{")):
            try:
                given = from_json(given or "{}")
            except ValueError as error:
                raise ArgumentsInvalid(f"arguments of {self.name!r} are not valid JSON: {error}") from None
        if not isinstance(given, Mapping) and len(fields) >= 1:
            given = {next(iter(fields)): given}
        try:
            return self._by_name(self.arguments.model_validate(given))
        except ValidationError as error:
            details = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors())
            raise ArgumentsInvalid(f"arguments of {self.name!r} do not fit: {details}") from None

    def _by_name(self, arguments: BaseModel) -> dict[str, Any]:
        return {name: getattr(arguments, name) for name in type(arguments).model_fields}

    async def activate(self, inputs: Mapping[str, Any], ctx: Context) -> Out:
        """Validates, then calls."""
        output: Out = await call_function(self.function, self.read(next(iter(inputs.values()))), ctx)
        return output

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The plain function, for tests and for use outside of a graph."""
        result = self.function(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result


def _argument_model(name: str, function: Callable[..., Any], signature: Signature) -> tuple[type[BaseModel], list[str]]:
    _, described = read_docstring(function)
    try:
        hints = _annotations(function)
    except Exception:
        hints = {}
    fields: dict[str, Any] = {}
    for port in signature.ports:
        kind = hints.get(port.name, port.type)
        text = described.get(port.name) or None
        default = ... if port.default is MISSING else port.default
        fields[port.name] = (kind, Field(default=default, description=text) if text else default)
    try:
        return create_model(
            f"{name}_arguments", __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=False), **fields
        ), []
    except Exception as error:
        problem = f"its parameters make no schema: {str(error).splitlines()[0]}; use types that JSON can carry"
        return create_model(f"{name}_arguments"), [problem]


def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    from typing import get_type_hints

    return get_type_hints(function, include_extras=True)


def _port_type(arguments: type[BaseModel], signature: Signature) -> Any:
    required = [port for port in signature.ports if port.default is MISSING]
    if len(required) == 1:
        return arguments | required[0].type
    return arguments


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a model, without the titles that pydantic adds."""
    schema = model.model_json_schema()
    _untitle(schema)
    return schema


def _untitle(schema: Any) -> None:
    todo = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            if isinstance(part.get("title"), str):
                del part["title"]
            for key, value in part.items():
                todo += list(value.values()) if key in ("properties", "$defs") and isinstance(value, dict) else [value]
        elif isinstance(part, list):
            todo += part


def spec_of(node: Node[Any, Any]) -> ToolSpec:
    """Any node as a model that may call it sees it: its description, and the schema of what it takes."""
    if isinstance(node, Tool):
        return node.spec
    target, _ = node.entry()
    kind = node.ports[0].type
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        schema = schema_of(kind)
    else:
        field = create_model("input", input=(str if kind is Any else kind, ...), __config__=ConfigDict(extra="forbid"))
        schema = schema_of(field)
    return ToolSpec(node.name, node.description or f"Ask {target.name}.", schema)


def read_for(node: Node[Any, Any], arguments: str) -> Any:
    """What a node is given for a model's call: validated arguments of a tool, the input message of anything else.

    Raises:
        ArgumentsInvalid: they do not fit.
    """
    if isinstance(node, Tool):
        return node.read(arguments)
    try:
        given = from_json(arguments or "{}")
    except ValueError as error:
        raise ArgumentsInvalid(f"arguments of {node.name!r} are not valid JSON: {error}") from None
    kind = node.ports[0].type
    from graphflow.messages import adapter_of

    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        given = given.get("input") if isinstance(given, dict) else given
    try:
        return adapter_of(str if kind is Any else kind).validate_python(given)
    except ValidationError as error:
        details = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'input'}: {e['msg']}" for e in error.errors())
        raise ArgumentsInvalid(f"arguments of {node.name!r} do not fit: {details}") from None


def result_text(output: Any) -> str:
    """What a model reads of a tool's answer: text as it is, nothing as an empty text, everything else as JSON."""
    return "" if output is None else to_text(output)


@overload
def tool(function: Callable[..., Any], /) -> Tool[Any, Any]: ...
@overload
def tool(
    *, name: str | None = ..., description: str = ..., retry: Retry | int | None = ..., timeout_s: float | None = ...
) -> Callable[[Callable[..., Any]], Tool[Any, Any]]: ...
def tool(function: Any = None, /, **options: Any) -> Any:
    """Makes a function a tool: its parameters become the schema a model is shown, its docstring the description.

    Use it bare (`@tool`) or with options (`@tool(timeout_s=5)`).

    Args:
        function: the function; async, or plain (then it runs in a thread).
        name: instead of the function's own name.
        description: instead of the docstring's text before `Args:`.
        retry: attempts in all, or a `Retry`.
        timeout_s: seconds one attempt may take.
    """
    if function is None:
        return lambda f: Tool(f, **options)
    return Tool(function, **options)
