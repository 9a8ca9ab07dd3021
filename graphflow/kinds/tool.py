"""A tool: a function whose parameters are the fields of one argument model, the schema that a model is shown.

Rules:
1. Arguments are validated by pydantic before a policy, an approval or the function sees them; what does not fit is told in
   words a model can act on.
2. A tool that raises is an error result for the model that called it, and a failure on an edge otherwise.
3. What it may do to the world it declares; nothing is guessed from its name.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from functools import lru_cache
from math import isfinite
from typing import Annotated, Any, ClassVar, TypeVar, Unpack, get_args, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, from_json, to_json

from graphflow.declaration.arrows import In, Out
from graphflow.declaration.node import Context, Node, NodeOptions
from graphflow.declaration.ports import MISSING, Port, Signature, name_of, read_hints, read_signature
from graphflow.errors import ArgumentsInvalid, DeclarationError, ResultInvalid
from graphflow.events import ToolPartial
from graphflow.kinds.docstrings import read_docstring
from graphflow.kinds.numbers import NO_NUMBER, holds_no_number, takes_no_number
from graphflow.kinds.step import call_function, check_decorated, pieces_of, place_of
from graphflow.messages.types import Type, adapter_of, origin_of, type_name
from graphflow.model.reply import join_surrogates
from graphflow.model.seam import ToolSpec
from graphflow.plain import check_integers
from graphflow.policy import Effect, check_effects

R = TypeVar("R")
OUTPUT_LIMIT = 30_000
"""Characters of an answer that a model is shown, unless the tool says otherwise: about 8,000 tokens, what Claude Code and
Codex allow the output of a command."""


class ToolOptions(NodeOptions, total=False):
    """What a tool takes beside its function.

    `name`, `description`: instead of the function's own. `effects`: what it does to the world: "reads", "writes", "network",
    "executes"; `[]` is nothing, and without it nobody knows. `concurrency_safe`: whether it may run twice at a time; else
    the calls of one turn keep their order around it. `output_limit`: characters of its answer that a model is shown.
    """

    name: str | None
    description: str
    effects: Sequence[Effect]
    concurrency_safe: bool
    output_limit: int


class Tool(Node[In, Out]):
    """A function that models (and nodes, along call edges) may call."""

    kind: ClassVar[str] = "tool"
    meter: ClassVar[str | None] = "tool_calls"
    function: Callable[..., Any]
    arguments: type[BaseModel]
    output_limit: int = OUTPUT_LIMIT
    undeclared: bool = False

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str = "",
        effects: Sequence[Effect] | None = None,
        concurrency_safe: bool = True,
        output_limit: int = OUTPUT_LIMIT,
        calls: Sequence[Node[Any, Any] | str] = (),
        **options: Unpack[NodeOptions],
    ) -> None:
        check_decorated("tool", function)
        own_name = name or name_of(function)
        summary, _ = read_docstring(function)
        read = _read_function(own_name, function, read_signature(function, Context))
        self._declare(
            own_name,
            ports=read["ports"],
            output=read["output"],
            description=description or summary,
            calls=calls,
            problems=read["problems"],
            where=place_of(function),
            **options,
        )
        if isinstance(output_limit, bool) or not isinstance(output_limit, int) or output_limit < 1:
            raise DeclarationError(f"tool {own_name!r}: output_limit={output_limit!r} is no number of characters")
        own = self.__dict__
        own |= {**read, "function": function}
        own["undeclared"] = effects is None
        own["effects"] = check_effects(f"tool {own_name!r}", (effects,) if isinstance(effects, str) else effects or ())
        own["concurrency_safe"] = concurrency_safe
        own["output_limit"] = output_limit

    _signature: Signature
    """What the build has proven of the function; an activation goes by it and reads no annotation again."""
    streams: bool
    """Whether the function yields its answer piece by piece."""

    def settle(self) -> None:
        """Reads the annotations again: a class that stands below the tool is defined by the time of the graph."""
        if "function" in self.__dict__:  # a kind of tool need not be made of one
            late = read_signature.__wrapped__(self.function, Context)
            self.__dict__.update(_read_function(self.name, self.function, late))

    @property
    def spec(self) -> ToolSpec:
        """The tool as a model sees it."""
        return ToolSpec(self.name, self.description, schema_of(self.arguments))

    def read(self, given: Any) -> BaseModel:
        """Validated arguments: from the argument model, a mapping, the only argument itself, or JSON text of all.

        Raises:
            ArgumentsInvalid: they do not fit; the text names each field.
        """
        if isinstance(given, self.arguments):
            return given
        only = self._only()
        readings = [given] if isinstance(given, Mapping) else []
        readings += [{only: given}] if only is not None else []
        if isinstance(given, str):
            try:
                readings.append(from_json(given or "{}"))
            except ValueError as error:
                if not readings:
                    raise ArgumentsInvalid(f"arguments of {self.name!r} are not valid JSON: {error}") from None
        return self._first_fitting(readings or [given])

    def read_text(self, text: str) -> BaseModel:
        """Validated arguments from what a model wrote: a JSON object; of the only argument, its bare value will do.

        Raises:
            ArgumentsInvalid: it is not JSON, or does not fit; the text names each field.
        """
        only = self._only()
        try:
            given = from_json(text or "{}")
        except ValueError as error:
            if only is None or text.lstrip().startswith(("{", "[")):
                raise ArgumentsInvalid(f"arguments of {self.name!r} are not valid JSON: {error}") from None
            return self._first_fitting([{only: text}])
        if isinstance(given, dict):
            return self._first_fitting([given])
        return self._first_fitting([{only: given}, {only: text}] if only is not None else [given])

    def _only(self) -> str | None:
        """The argument that may be given by itself: the one that is required, or the first if none is."""
        fields = self.arguments.model_fields
        required = [name for name, field in fields.items() if field.is_required()]
        return required[0] if len(required) == 1 else next(iter(fields), None) if not required else None

    def _first_fitting(self, readings: Sequence[Any]) -> BaseModel:
        """The first reading that fits; if none does, what is wrong with the first."""
        first: ArgumentsInvalid | None = None
        for reading in readings:
            try:
                made = self.arguments.model_validate(reading)
            except ValidationError as error:
                first = first or ArgumentsInvalid(f"arguments of {self.name!r} do not fit: {self._told(error)}")
                continue
            if not holds_no_number(made) or takes_no_number(self.arguments):
                return made
            first = first or ArgumentsInvalid(f"arguments of {self.name!r} do not fit: {NO_NUMBER}")
        assert first is not None
        raise first

    def _told(self, error: ValidationError) -> str:
        have = ", ".join(self.arguments.model_fields) or "no arguments"
        said = []
        for each in error.errors(include_url=False, include_input=False):
            text = f"{'.'.join(map(str, each['loc'])) or 'arguments'}: {each['msg']}"
            if each["type"] == "extra_forbidden" and len(each["loc"]) == 1:
                text += f" (it takes {have})"
            elif not each["loc"]:
                text = f"arguments: write them as a JSON object; it takes {have}"
            said.append(text)
        return "; ".join(said)

    def _by_name(self, arguments: BaseModel) -> dict[str, Any]:
        return {name: getattr(arguments, name) for name in type(arguments).model_fields}

    async def activate(self, inputs: Mapping[str, Any], ctx: Context) -> Out:
        """Validates, then calls."""
        arguments = self._by_name(self.read(next(iter(inputs.values()))))
        if self.streams:
            return await self._gathered(arguments, ctx)
        output: Out = await call_function(self.function, self._signature, arguments, ctx)
        return output

    async def _gathered(self, arguments: dict[str, Any], ctx: Context) -> Out:
        """The pieces of a function that yields, each told as it comes: texts joined, anything else as a list."""
        pieces: list[Any] = []
        observed, frame = ctx.frame.observed, ctx.frame
        async with aclosing(pieces_of(self.function, self._signature, arguments, ctx)) as given:
            async for piece in given:
                pieces.append(piece)
                if observed:
                    frame.tell(ToolPartial(frame.clock(), frame.number, ctx.activation, self.name, piece))
        whole: Any = "".join(map(str, pieces)) if self.output is str else pieces
        answer: Out = whole
        return answer

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The plain function, for tests and for use outside of a graph."""
        result = self.function(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result


def _answer_type(function: Callable[..., Any], written: Type) -> Type:
    """What a function that yields answers in all: `AsyncIterator[str]` is a text, `Iterator[Row]` a list of rows."""
    origin = origin_of(written)
    yields = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    if yields and written is Any:
        return list[Any]
    if origin in (AsyncIterator, AsyncGenerator, Iterator, Generator) or (
        yields and origin in (AsyncIterable, Iterable)
    ):
        item: Type = get_args(written)[0] if get_args(written) else Any
        listed: Type = list[item]
        return str if item is str else listed
    return written


def _read_function(name: str, function: Callable[..., Any], signature: Signature) -> dict[str, Any]:
    """What a tool knows of its function: what it takes and answers, and what is wrong with that."""
    arguments, problems = _argument_model(name, function, signature)
    answer = _answer_type(function, signature.output)
    streams = answer is not signature.output
    if streams and inspect.iscoroutinefunction(function):
        problems.append("it is awaited and then iterated; write `yield` in it, or answer with the whole")
    return {
        "arguments": arguments,
        "ports": (Port("arguments", _port_type(arguments, signature)),),
        "output": answer,
        "problems": (*signature.problems, *problems),
        "unanswered": signature.unanswered,
        "streams": streams,
        "sees_run": signature.context is not None,
        "_signature": signature,
    }


def _argument_model(name: str, function: Callable[..., Any], signature: Signature) -> tuple[type[BaseModel], list[str]]:
    _, described = read_docstring(function)
    hints, _ = read_hints(function)
    fields: dict[str, Any] = {}
    for port in signature.ports:
        kind = _described(hints.get(port.name, port.type), described.get(port.name))
        fields[port.name] = kind if port.default is MISSING else (kind, port.default)
    strict = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)  # what was allowed is what is done
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an argument may be called `json` or `schema`
            arguments = create_model(f"{name}_arguments", __config__=strict, **fields)
        schema_of(arguments)
        hidden = [name for name in fields if name not in arguments.model_fields]
        return arguments, [f"its parameter {name!r} has a leading underscore, which no schema has" for name in hidden]
    except Exception as error:
        problem = f"its parameters make no schema: {str(error).splitlines()[0]}; use types that JSON can carry"
        return create_model(f"{name}_arguments"), [problem]


def _described(kind: Any, text: str | None) -> Any:
    """The type with the docstring's words for it, unless it brings its own."""
    own = get_args(kind)[1:] if origin_of(kind) is Annotated else ()
    if not text or any(isinstance(extra, FieldInfo) and extra.description for extra in own):
        return kind
    return Annotated[kind, Field(description=text)]


def _port_type(arguments: type[BaseModel], signature: Signature) -> Any:
    required = [
        port for port in signature.ports if (field := arguments.model_fields.get(port.name)) and field.is_required()
    ]
    return arguments | required[0].type if len(required) == 1 else arguments


class _Schema(GenerateJsonSchema):
    """Pydantic's own, without a warning for each default that only Python knows (a sentinel): it is left out."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}


@lru_cache(maxsize=4096)
def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a model, without the titles that pydantic adds. Made once: who changes it changes it for all."""
    schema = model.model_json_schema(schema_generator=_Schema)
    _untitle(schema)
    return schema


def _untitle(schema: Any) -> None:
    todo = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            if isinstance(part.get("title"), str):
                del part["title"]
            if isinstance(part.get("default"), float) and not isfinite(part["default"]):
                del part["default"]  # JSON has no infinity; what is left out gets it all the same
            for key, value in part.items():
                todo += list(value.values()) if key in ("properties", "$defs") and isinstance(value, dict) else [value]
        elif isinstance(part, list):
            todo += part


def spec_of(node: Node[Any, Any]) -> ToolSpec:
    """Any node as a model that may call it sees it: its description, and the schema of what it takes."""
    spec = getattr(node, "spec", None)
    if isinstance(spec, ToolSpec):
        return spec
    target, _ = node.entry()
    return ToolSpec(node.name, node.description or f"Ask {target.name}.", _schema_of_input(node.ports[0].type))


@lru_cache(maxsize=4096)
def _schema_of_input(kind: Any) -> dict[str, Any]:
    """The schema of an object: of the model itself, else of one with the type as its only field."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return schema_of(kind)
    return schema_of(
        create_model("input", input=(str if kind is Any else kind, ...), __config__=ConfigDict(extra="forbid"))
    )


def read_for(node: Node[Any, Any], arguments: str) -> Any:
    """What a node is given for a model's call: validated arguments of a tool, the input message of anything else.

    Raises:
        ArgumentsInvalid: they do not fit.
    """
    if getattr(node, "spec", None) is not None:
        reads: Callable[[str], Any] = getattr(node, "read_text", node.read)
        return reads(arguments)
    try:
        given = from_json(arguments or "{}")
    except ValueError as error:
        raise ArgumentsInvalid(f"arguments of {node.name!r} are not valid JSON: {error}") from None
    kind = node.ports[0].type
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        if isinstance(given, dict) and "input" not in given:
            raise ArgumentsInvalid(_lacks_input(node, list(given)))
        given = given["input"] if isinstance(given, dict) else given
    try:
        message = adapter_of(str if kind is Any else kind).validate_python(given)
    except ValidationError as error:
        details = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'input'}: {e['msg']}" for e in error.errors())
        raise ArgumentsInvalid(f"arguments of {node.name!r} do not fit: {details}") from None
    if holds_no_number(message) and not takes_no_number(kind):
        raise ArgumentsInvalid(f"arguments of {node.name!r} do not fit: {NO_NUMBER}")
    return message


def _lacks_input(node: Node[Any, Any], given: Sequence[str]) -> str:
    """What a model is told that calls, or hands over to, a node without saying what the node shall get."""
    kind = node.ports[0].type
    wanted = type_name(str if kind is Any else kind)
    others = f" (there is {', '.join(map(repr, given[:4]))})" if given else ""
    return f'arguments of {node.name!r} lack "input"{others}: write {{"input": ...}} with what it shall get, of type {wanted}'


def result_text(node: str, output: Any, limit: int | None = OUTPUT_LIMIT) -> str:
    """What a model reads of an answer: text as it is, nothing as an empty text, everything else as JSON, all cut at a limit.

    Raises:
        ResultInvalid: it cannot be written as JSON.
    """
    if output is None:
        return ""
    try:
        text = join_surrogates(output) if isinstance(output, str) else _json_text(output)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise ResultInvalid(
            f"{node!r} answered with {type(output).__name__}, which cannot be written as JSON: {str(error)[:200]}"
        ) from None
    return text if limit is None else cut(text, limit)


def _json_text(output: Any) -> str:
    check_integers(output)
    return to_json(output, inf_nan_mode="strings").decode()


def cut(text: str, limit: int) -> str:
    """The text as far as a model is shown it, and what is missing."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[cut: the first {limit} of {len(text)} characters; ask for less]"


@overload
def tool(function: Callable[..., Any], /) -> Tool[Any, Any]: ...
@overload
def tool(
    *, calls: Sequence[Node[Any, Any] | str] = ..., **options: Unpack[ToolOptions]
) -> Callable[[Callable[..., Any]], Tool[Any, Any]]: ...
def tool(function: Any = None, /, **options: Any) -> Any:
    """Makes a function a tool: its parameters become the schema a model is shown, its docstring the description.

    Use it bare (`@tool`) or with options (`@tool(timeout_s=5, effects=["network"])`). An (async) generator annotated
    `Iterator[T]` or `AsyncIterator[T]` tells its pieces while they come; its answer is their list, or one text of `str`.

    Args:
        function: the function; async, or plain (then it runs in a thread).
        calls: nodes (or their names) it may ask with `ctx.call(node, message)`.
        name: instead of the function's own name.
        description: instead of the docstring's text before `Args:`.
        effects: what it does to the world: "reads", "writes", "network", "executes", or `[]` for nothing; policies judge by
            it. If its caller is tried again, a finished call is not made again, unless its tool says that it only reads.
        concurrency_safe: whether it may run twice at a time; if not, the calls of one turn keep their order around it.
        output_limit: characters of its answer that a model is shown.
        retry, timeout_s, cache, policy, approval: as for every node (`NodeOptions`).
    """
    if function is None:
        return lambda f: Tool(f, **options)
    return Tool(function, **options)
