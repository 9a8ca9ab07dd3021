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
from typing import Annotated, Any, ClassVar, TypeAlias, Unpack, get_args, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails, PydanticSerializationError, from_json, to_json

from graphflow.access import NO_ACCESS, Access, NamedArguments
from graphflow.declaration.arrows import In, Out
from graphflow.declaration.context import Context, SeenMask
from graphflow.declaration.node import AnyNode, Callee, Inputs, Node
from graphflow.declaration.options import NodeOptions
from graphflow.declaration.ports import (
    MISSING,
    Port,
    Signature,
    name_of,
    read_hints,
    read_signature,
)
from graphflow.errors import ArgumentsInvalid, DeclarationError, ResultInvalid
from graphflow.events import ToolPartial
from graphflow.kinds.docstrings import read_docstring
from graphflow.kinds.numbers import NO_NUMBER, holds_no_number, takes_no_number
from graphflow.kinds.step import (
    AnyFunction,
    Arguments,
    call_function,
    check_decorated,
    pieces_of,
    place_of,
)
from graphflow.limits import Meter
from graphflow.messages.types import Type, adapter_of, origin_of, type_name
from graphflow.model.reply import join_surrogates
from graphflow.model.seam import JsonSchema, ToolSpec
from graphflow.plain import check_integers
from graphflow.policy import Effect, check_effects

ArgumentModel: TypeAlias = type[BaseModel]
OUTPUT_LIMIT = 30_000
"""Characters of an answer that a model is shown, unless the tool says otherwise: about 8,000 tokens, what Claude Code and
Codex allow the output of a command."""


class ToolOptions(NodeOptions, total=False):
    """What a tool takes beside its function.

    `name`, `description`: instead of the function's own. `effects`: what it does to the world: "reads", "writes", "network",
    "executes"; `[]` is nothing, and without it nobody knows. `concurrency_safe`: whether it may run twice at a time; else
    the calls of one turn keep their order around it. `output_limit`: characters of its answer that a model is shown.
    `paths`, `hosts`: which arguments are paths of files, and which are hosts or addresses: names of them, or a function of all;
    `[]` is none. Policies hold them (`Policy(paths=[...], hosts=[...])`).
    """

    name: str | None
    description: str
    effects: Sequence[Effect]
    concurrency_safe: bool
    output_limit: int
    paths: NamedArguments | None
    hosts: NamedArguments | None


class Tool(Node[In, Out]):
    """A function that models (and nodes, along call edges) may call."""

    kind: ClassVar[str] = "tool"
    meter: ClassVar[Meter | None] = "tool_calls"
    function: AnyFunction
    arguments: ArgumentModel
    output_limit: int = OUTPUT_LIMIT
    undeclared: bool = False
    access: Access | None = NO_ACCESS

    def __init__(
        self,
        function: AnyFunction,
        *,
        name: str | None = None,
        description: str = "",
        effects: Sequence[Effect] | None = None,
        concurrency_safe: bool = True,
        output_limit: int = OUTPUT_LIMIT,
        paths: NamedArguments | None = None,
        hosts: NamedArguments | None = None,
        calls: Sequence[Callee] = (),
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
        signature: Signature = read["_signature"]
        self._set(**signature.marks)
        if signature.states:
            self._set(reads=signature.reads(self.reads))
        _check_output_limit(own_name, output_limit)
        access = _access_of(own_name, read["arguments"], paths, hosts)
        if effects is not None and not effects:
            access = access.of_none
        declared: Sequence[str] = effects or ()
        if isinstance(declared, str):
            declared = (declared,)
        self._set(
            **read,
            function=function,
            undeclared=effects is None,
            effects=check_effects(f"tool {own_name!r}", declared),
            concurrency_safe=concurrency_safe,
            output_limit=output_limit,
            access=access,
        )

    _signature: Signature
    """What the build has proven of the function; an activation goes by it and reads no annotation again."""
    streams: bool
    """Whether the function yields its answer piece by piece."""

    def settle(self) -> None:
        """Reads the annotations again: a class that stands below the tool is defined by the time of the graph."""
        if "function" in self.__dict__:  # a kind of tool need not be made of one
            late = read_signature.__wrapped__(self.function, Context)
            self._set(**_read_function(self.name, self.function, late))
            self._set(
                reads=late.reads(self.reads),
                untrusted=late.untrusted,
                takes_untrusted=late.takes_untrusted,
            )

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
        only = _sole_argument(self.arguments)
        readings: list[object] = []
        if isinstance(given, Mapping):
            readings.append(given)
        if only is not None:
            readings.append({only: given})
        if isinstance(given, str):
            try:
                readings.append(from_json(given or "{}"))
            except ValueError as error:
                if not readings:
                    raise self._not_json(error) from None
        return self._first_fitting(readings or [given])

    def read_text(self, text: str) -> BaseModel:
        """Validated arguments from what a model wrote: a JSON object; of the only argument, its bare value will do.

        Raises:
            ArgumentsInvalid: it is not JSON, or does not fit; the text names each field.
        """
        only = _sole_argument(self.arguments)
        try:
            given = from_json(text or "{}")
        except ValueError as error:
            if only is None or text.lstrip().startswith(("{", "[")):
                raise self._not_json(error) from None
            return self._first_fitting([{only: text}])
        # A dict is all arguments, even if the only one is a dict.
        if only is None or isinstance(given, dict):
            return self._first_fitting([given])
        return self._first_fitting([{only: given}, {only: text}])

    def _not_json(self, error: ValueError) -> ArgumentsInvalid:
        return ArgumentsInvalid(f"arguments of {self.name!r} are not valid JSON: {error}")

    def _first_fitting(self, readings: Sequence[object]) -> BaseModel:
        """The first reading that fits; if none does, what is wrong with the first."""
        problems: list[str] = []
        for reading in readings:
            try:
                made = self.arguments.model_validate(reading)
            except ValidationError as error:
                problems.append(self._describe(error))
                continue
            if not holds_no_number(made) or takes_no_number(self.arguments):
                return made
            # Any comparison with NaN is false: no limit that a tool checks would hold.
            problems.append(NO_NUMBER)
        raise ArgumentsInvalid(f"arguments of {self.name!r} do not fit: {problems[0]}")

    def _describe(self, invalid: ValidationError) -> str:
        """What is wrong, field by field, in words that help a model to call again."""
        fields = ", ".join(self.arguments.model_fields) or "no arguments"
        lines: list[str] = []
        for error in invalid.errors(include_url=False, include_input=False):
            steps = error["loc"]
            place = ".".join(map(str, steps))
            if not place:
                lines.append(f"arguments: write them as a JSON object; it takes {fields}")
                continue
            line = f"{place}: {error['msg']}"
            # Deeper, it is a field of an argument's own object that is too much.
            if error["type"] == "extra_forbidden" and len(steps) == 1:
                line += f" (it takes {fields})"
            lines.append(line)
        return "; ".join(lines)

    def _by_name(self, arguments: BaseModel) -> Arguments:
        names = _names_of(type(arguments))
        return {name: getattr(arguments, name) for name in names}

    async def activate(self, inputs: Inputs, ctx: Context) -> Out:
        """Validates, then calls."""
        given = next(iter(inputs.values()))
        arguments = self._by_name(self.read(given))
        if self.streams:
            return await self._collect(arguments, ctx)
        output: Out = await call_function(self.function, self._signature, arguments, ctx)
        return output

    async def _collect(self, arguments: Arguments, ctx: Context) -> Out:
        """The pieces of a function that yields, each told as it comes: texts joined, anything else as a list."""
        pieces: list[object] = []
        observed, frame = ctx.frame.observed, ctx.frame
        given_pieces = pieces_of(self.function, self._signature, arguments, ctx)
        if frame.mask is not None:
            given_pieces = _masked_pieces(given_pieces, frame.mask, ctx)
        async with aclosing(given_pieces) as given:
            async for piece in given:
                pieces.append(piece)
                if observed:
                    frame.tell(
                        ToolPartial(frame.clock(), frame.number, ctx.activation, self.name, piece)
                    )
        whole: Any = pieces
        if self.output is str:
            whole = "".join(map(str, pieces))
        answer: Out = whole
        return answer

    async def __call__(self, *args: object, **kwargs: object) -> Any:
        """The plain function, for tests and for use outside of a graph."""
        result = self.function(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result


async def _masked_pieces(
    pieces: AsyncGenerator[Any, None], mask: SeenMask, ctx: Context
) -> AsyncGenerator[Any, None]:
    """The same pieces without the secrets of the run; those of a text may hold one only together."""
    stamp, name = ctx.stamp, ctx.node.name
    note = mask.noting(stamp, name)
    stream = mask.secrets.stream(lambda found: note("piece", found))
    async with aclosing(pieces):
        async for piece in pieces:
            clean = stream.feed(piece) if isinstance(piece, str) else piece
            if clean:
                yield mask.value(clean, "piece", stamp, name)
    rest = stream.end()
    if rest:
        yield rest


AnyTool: TypeAlias = Tool[Any, Any]


def _check_output_limit(name: str, given: object) -> None:
    is_whole = isinstance(given, int) and not isinstance(given, bool)
    if not is_whole or given < 1:  # type: ignore[operator]  # it is a number by now
        raise DeclarationError(
            f"tool {name!r}: output_limit={given!r} must be a number of characters"
        )


def _access_of(
    name: str,
    arguments: ArgumentModel,
    paths: NamedArguments | None,
    hosts: NamedArguments | None,
) -> Access:
    """What a tool declares of the files and hosts that its arguments name.

    Raises:
        DeclarationError: it has no argument of such a name.
    """
    fields = list(arguments.model_fields)
    for option, given in (("paths", paths), ("hosts", hosts)):
        if given is None or callable(given):
            continue
        is_list = isinstance(given, (list, tuple))
        if not is_list or any(each not in fields for each in given):
            have = ", ".join(fields) or "none"
            raise DeclarationError(
                f"tool {name!r}: {option}={given!r} must be a list of its arguments; there are: {have}"
            )
    return Access(paths, hosts)


def _answer_type(function: AnyFunction, written: Type) -> Type:
    """What a function that yields answers in all: `AsyncIterator[str]` is a text, `Iterator[Row]` a list of rows."""
    yields = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    if yields and written is Any:
        return list[Any]
    origin = origin_of(written)
    # A list is iterable too: only what yields means its pieces by `Iterable[T]`.
    means_pieces = origin in _ITERATORS or (yields and origin in _ITERABLES)
    if not means_pieces:
        return written
    items = get_args(written)
    item: Type = items[0] if items else Any
    if item is str:
        return str
    answer: Type = list[item]
    return answer


_ITERATORS = (AsyncIterator, AsyncGenerator, Iterator, Generator)
_ITERABLES = (AsyncIterable, Iterable)


def _read_function(name: str, function: AnyFunction, signature: Signature) -> dict[str, Any]:
    """What a tool knows of its function: what it takes and answers, and what is wrong with that."""
    arguments, problems = _argument_model(name, function, signature)
    answer = _answer_type(function, signature.output)
    streams = answer is not signature.output
    if streams and inspect.iscoroutinefunction(function):
        problems.append(
            "it is awaited and then iterated; write `yield` in it, or answer with the whole"
        )
    return {
        "arguments": arguments,
        "ports": (Port("arguments", _port_type(arguments, signature)),),
        "output": answer,
        "problems": (*signature.problems, *problems),
        "unanswered": signature.unanswered,
        "streams": streams,
        "sees_run": signature.sees_run,
        "wants_deps": signature.deps,
        "wants_secrets": signature.secret_names,
        "_signature": signature,
    }


@lru_cache(maxsize=4096)
def _names_of(arguments: ArgumentModel) -> tuple[str, ...]:
    return tuple(arguments.model_fields)


@lru_cache(maxsize=4096)
def _sole_argument(arguments: ArgumentModel) -> str | None:
    """The argument that may be given by itself: the one that is required, or the first if none is."""
    fields = arguments.model_fields
    required = [name for name, field in fields.items() if field.is_required()]
    if len(required) > 1:
        return None
    return next(iter(required or fields), None)


def _argument_model(
    name: str, function: AnyFunction, signature: Signature
) -> tuple[ArgumentModel, list[str]]:
    """The model of a function's arguments, and what is wrong with it."""
    _, descriptions = read_docstring(function)
    hints, _ = read_hints(function)
    fields: Arguments = {}
    for port in signature.ports:
        hint = hints.get(port.name, port.type)
        kind = _described(hint, descriptions.get(port.name))
        if port.default is not MISSING:
            kind = (kind, port.default)
        fields[port.name] = kind
    # What was allowed is what is done.
    strict = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    try:
        with warnings.catch_warnings():
            # An argument may be called `json` or `schema`
            warnings.simplefilter("ignore", UserWarning)
            arguments = create_model(f"{name}_arguments", __config__=strict, **fields)
        schema_of(arguments)  # whatever pydantic cannot describe fails here, not in a walk
    except Exception as error:
        reason = str(error).splitlines()[0]
        problem = f"its parameters make no schema: {reason}; use types that JSON can carry"
        return create_model(f"{name}_arguments"), [problem]
    problems: list[str] = []
    for field in fields:
        if field not in arguments.model_fields:
            problems.append(
                f"its parameter {field!r} has a leading underscore, which no schema has"
            )
    return arguments, problems


def _described(kind: Type, text: str | None) -> Type:
    """The type with the docstring's words for it, unless it brings its own."""
    if not text:
        return kind
    extras = get_args(kind)[1:] if origin_of(kind) is Annotated else ()
    for extra in extras:
        if isinstance(extra, FieldInfo) and extra.description:
            return kind
    return Annotated[kind, Field(description=text)]


def _port_type(arguments: ArgumentModel, signature: Signature) -> Type:
    """What an edge may bring: the arguments, or the only required one by itself."""
    fields = arguments.model_fields
    required: list[Type] = []
    for port in signature.ports:
        field = fields.get(port.name)
        if field is not None and field.is_required():
            required.append(port.type)
    if len(required) != 1:
        return arguments
    alone: Type = arguments | required[0]
    return alone


class _Schema(GenerateJsonSchema):
    """Pydantic's own, without a warning for each default that only Python knows (a sentinel): it is left out."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}


@lru_cache(maxsize=4096)
def schema_of(model: ArgumentModel) -> JsonSchema:
    """The JSON schema of a model, without the titles that pydantic adds. Made once: who changes it changes it for all."""
    schema = model.model_json_schema(schema_generator=_Schema)
    _untitle(schema)
    return schema


def _untitle(schema: JsonSchema) -> None:
    todo: list[object] = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo += part
        if not isinstance(part, dict):
            continue
        if isinstance(part.get("title"), str):
            del part["title"]
        default = part.get("default")
        if isinstance(default, float) and not isfinite(default):
            del part["default"]  # JSON has no infinity; what is left out gets it all the same
        for key, value in part.items():
            named = key in ("properties", "$defs") and isinstance(value, dict)
            if named:  # its keys are names of the user's: a field may be called `title`
                todo += value.values()
            else:
                todo.append(value)


def spec_of(node: AnyNode) -> ToolSpec:
    """Any node as a model that may call it sees it: its description, and the schema of what it takes."""
    spec = getattr(node, "spec", None)
    if isinstance(spec, ToolSpec):
        return spec
    target, _ = node.entry()
    description = node.description or f"Ask {target.name}."
    taken = node.ports[0].type
    parameters = _schema_of_input(taken)
    return ToolSpec(node.name, description, parameters)


@lru_cache(maxsize=4096)
def _schema_of_input(kind: Type) -> JsonSchema:
    """The schema of an object: of the model itself, else of one with the type as its only field."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return schema_of(kind)
    if kind is Any:
        kind = str
    strict = ConfigDict(extra="forbid")
    arguments = create_model("input", input=(kind, ...), __config__=strict)
    return schema_of(arguments)


def read_for(node: AnyNode, arguments: str) -> Any:
    """What a node is given for a model's call: validated arguments of a tool, the input message of anything else.

    Raises:
        ArgumentsInvalid: they do not fit.
    """
    if getattr(node, "spec", None) is not None:
        reads: Callable[[str], Any] = getattr(node, "read_text", node.read)
        return reads(arguments)
    whose = f"arguments of {node.name!r}"
    try:
        given = from_json(arguments or "{}")
    except ValueError as error:
        raise ArgumentsInvalid(f"{whose} are not valid JSON: {error}") from None
    kind = node.ports[0].type
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
    if isinstance(given, dict) and not is_model:
        if "input" not in given:
            raise ArgumentsInvalid(_lacks_input(node, list(given)))
        given = given["input"]
    try:
        message = adapter_of(_input_type(node)).validate_python(given)
    except ValidationError as error:
        details = "; ".join(map(_describe_input, error.errors()))
        raise ArgumentsInvalid(f"{whose} do not fit: {details}") from None
    if holds_no_number(message) and not takes_no_number(kind):
        raise ArgumentsInvalid(f"{whose} do not fit: {NO_NUMBER}")
    return message


def _input_type(node: AnyNode) -> Type:
    """What a model is asked for: a text, where anything may come."""
    kind = node.ports[0].type
    return str if kind is Any else kind


def _describe_input(error: ErrorDetails) -> str:
    steps = map(str, error["loc"])
    place = ".".join(steps) or "input"
    return f"{place}: {error['msg']}"


def _lacks_input(node: AnyNode, given: Sequence[str]) -> str:
    """What a model is told that calls, or hands over to, a node without saying what the node shall get."""
    kind = _input_type(node)
    wanted = type_name(kind)
    others = ""
    if given:
        first = given[:4]
        listed = ", ".join(map(repr, first))
        others = f" (there is {listed})"
    advice = f'write {{"input": ...}} with what it shall get, of type {wanted}'
    return f'arguments of {node.name!r} lack "input"{others}: {advice}'


def result_text(node: str, output: object, limit: int | None = OUTPUT_LIMIT) -> str:
    """What a model reads of an answer: text as it is, nothing as an empty text, everything else as JSON, all cut at a limit.

    Raises:
        ResultInvalid: it cannot be written as JSON.
    """
    if output is None:
        return ""
    try:
        text = join_surrogates(output) if isinstance(output, str) else _json_text(output)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        kind = type(output).__name__
        reason = str(error)[:200]
        raise ResultInvalid(
            f"{node!r} answered with {kind}, which cannot be written as JSON: {reason}"
        ) from None
    return text if limit is None else truncate(text, limit)


def _json_text(output: object) -> str:
    check_integers(output)
    return to_json(output, inf_nan_mode="strings").decode()


def truncate(text: str, limit: int) -> str:
    """The text as far as a model is shown it, and what is missing."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[cut: the first {limit} of {len(text)} characters; ask for less]"


@overload
def tool(function: AnyFunction, /) -> AnyTool: ...
@overload
def tool(
    *, calls: Sequence[Callee] = ..., **options: Unpack[ToolOptions]
) -> Callable[[AnyFunction], AnyTool]: ...
def tool(function: AnyFunction | None = None, /, **options: Any) -> Any:
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
        paths: names of the arguments that are paths of files, or a function of all arguments that gives the paths; `[]` says that
            it reaches no files. A `Policy(paths=[...])` holds them to folders, and refuses tools that do not say.
        hosts: the same for hosts and addresses, and `Policy(hosts=[...])`.
        retry, timeout_s, cache, policy, approval, approval_timeout_s, quota, reads, adds, sets: as for every node (`NodeOptions`).
    """
    if function is None:
        return lambda f: Tool(f, **options)
    return Tool(function, **options)
