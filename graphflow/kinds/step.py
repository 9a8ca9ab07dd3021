"""A step: a function as a node. Its parameters are the ports, its return annotation is the output."""

from __future__ import annotations

import functools
import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Sequence,
)
from dataclasses import dataclass
from types import FunctionType
from typing import Any, ClassVar, TypeAlias, TypeVar, Unpack, overload

from graphflow._faces import renamed
from graphflow.concurrency import in_thread, iterated_in_thread
from graphflow.declaration.arrows import In, Out
from graphflow.declaration.context import Context
from graphflow.declaration.node import Callee, Inputs, Node
from graphflow.declaration.options import NodeOptions
from graphflow.declaration.ports import Signature, name_of, read_signature
from graphflow.errors import DeclarationError
from graphflow.events import NodeAbandoned
from graphflow.memo import once_a_function
from graphflow.messages.types import origin_of
from graphflow.policy import Effect, check_effects

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
R = TypeVar("R")
Answer: TypeAlias = Coroutine[Any, Any, R]
"""What an async function gives before it is awaited."""
AnyFunction: TypeAlias = Callable[..., Any]
Arguments: TypeAlias = dict[str, Any]
"""What a function is called with, by name."""


class FunctionNode(Node[In, Out]):
    """A function as a node. Plain functions run in a thread, off the event loop."""

    kind: ClassVar[str] = "step"
    function: AnyFunction
    _signature: Signature
    """What the build has proven of the function; an activation goes by it and reads no annotation again."""

    def __init__(
        self,
        function: AnyFunction,
        *,
        name: str | None = None,
        description: str = "",
        calls: Sequence[Callee] = (),
        effects: Sequence[Effect] | None = None,
        **options: Unpack[NodeOptions],
    ) -> None:
        facts = _read_facts(function)
        signature = facts.signature
        own_name = name or facts.name
        self._declare(
            own_name,
            ports=signature.ports,
            output=signature.output,
            description=description or facts.description,
            calls=calls,
            problems=facts.problems,
            direct=function if facts.direct else None,
            where=facts.where,
        )
        if options:
            self._tune(options)
        self._set(function=function, _signature=signature, sees_run=facts.sees_run)
        if signature.secrets:
            self._set(wants_secrets=signature.secret_names)
        if signature.deps is not None:
            self._set(wants_deps=signature.deps)
        if signature.marks:
            self._set(**signature.marks)
        if signature.states:
            self._set(reads=signature.reads(self.reads))
        if effects is not None:
            self._set(effects=check_effects(f"step {own_name!r}", effects), undeclared=False)

    def settle(self) -> None:
        """Reads the annotations again: a class that stands below the node is defined by the time of the graph."""
        # Past the memo, which knows the unread one.
        signature = read_signature.__wrapped__(self.function, Context)
        direct = self.plain and _is_direct(self.function, signature)
        self._set(
            ports=signature.ports,
            output=signature.output,
            problems=(*signature.problems, *signature.unanswered),
            sees_run=signature.sees_run,
            wants_deps=signature.deps,
            wants_secrets=signature.secret_names,
            direct=self.function if direct else None,
            untrusted=signature.untrusted,
            takes_untrusted=signature.takes_untrusted,
            reads=signature.reads(self.reads),
            _signature=signature,
        )

    async def activate(self, inputs: Inputs, ctx: Context) -> Out:
        """Calls the function with the messages of its ports, and the context if it asks for one."""
        output: Out = await call_function(self.function, self._signature, dict(inputs), ctx)
        return output

    async def __call__(self, *args: object, **kwargs: object) -> Any:
        """The plain function, for tests and for use outside of a graph."""
        result = self.function(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result


def check_decorated(decorator: str, function: object) -> None:
    """Refuses what is not a function; `@tool("search")` is how others give a name.

    Raises:
        DeclarationError: something else stands below the decorator.
    """
    if isinstance(function, str):
        raise DeclarationError(
            f"@{decorator}({function!r}): write @{decorator}(name={function!r}) above the function"
        )
    if isinstance(function, Node):
        raise DeclarationError(
            f"@{decorator} stands above {function!r}, which is a node already; leave one out"
        )
    if not callable(function) or isinstance(function, type):
        raise DeclarationError(f"@{decorator} goes above a function, not above {function!r}")


@dataclass(frozen=True, slots=True)
class _FunctionFacts:
    """What is read of a function once, for however many nodes are made of it."""

    name: str
    signature: Signature
    description: str
    where: tuple[str, int] | None
    problems: tuple[str, ...]
    direct: bool
    sees_run: bool


@once_a_function
def _read_facts(function: AnyFunction) -> _FunctionFacts:
    check_decorated("node", function)
    signature = read_signature(function, Context)
    return _FunctionFacts(
        name=name_of(function),
        signature=signature,
        description=_first_line(function),
        where=place_of(function),
        problems=(*signature.problems, *signature.unanswered),
        direct=_is_direct(function, signature),
        sees_run=signature.sees_run,
    )


def _is_direct(function: AnyFunction, signature: Signature) -> bool:
    """Whether an activation is nothing but a call of the function with the one message."""
    if len(signature.ports) != 1 or signature.sees_run or signature.states:
        return False
    return _is_async(function)


def call_function(
    function: AnyFunction, signature: Signature, arguments: Arguments, ctx: Context
) -> Awaitable[Any]:
    """Calls an async function, runs a plain one in a thread; the parameter for the context gets `ctx`."""
    placed, named = _placed(signature, arguments, ctx)
    if _is_async(function):
        answer: Awaitable[Any] = function(*placed, **named)
        return answer
    return in_thread(_bound(function, placed, named), on_abandon=_abandoning(ctx))


def _placed(
    signature: Signature, arguments: Arguments, ctx: Context
) -> tuple[list[Any], Arguments]:
    """What a function is given, by name where Python allows it."""
    named = dict(arguments)
    if signature.context is not None:
        named[signature.context] = ctx
    for name, state in signature.states:
        named[name] = ctx.read(state)
    for name, secret in signature.secrets:
        named[name] = ctx.secret(secret)
    if not signature.positional:
        return [], named
    # Parameters before a `/` can only be given by their place.
    placed = [named.pop(name) for name in signature.positional]
    return placed, named


def _bound(
    function: AnyFunction, placed: Sequence[Any], named: Arguments
) -> functools.partial[Any]:
    """The function with its arguments, which a thread is named after."""
    bound = functools.partial(function, *placed, **named)
    functools.update_wrapper(bound, function)
    return bound


def _abandoning(ctx: Context) -> Callable[[], None]:
    """Tells that a thread was left behind, the function in it first."""

    def abandon() -> None:
        # One attribute: the thread may look at it at any time.
        ctx.stopped = True
        ctx.frame.tell(NodeAbandoned(*ctx.stamp, ctx.node.name))

    return abandon


async def pieces_of(
    function: AnyFunction, signature: Signature, arguments: Arguments, ctx: Context
) -> AsyncGenerator[Any, None]:
    """What an (async) generator function yields; a plain one has one thread from its first piece to its last."""
    placed, named = _placed(signature, arguments, ctx)
    bound = _bound(function, placed, named)
    pieces: Any
    if inspect.isasyncgenfunction(function) or origin_of(signature.output) in _ASYNC_ITERATORS:
        pieces = bound()
    else:
        pieces = iterated_in_thread(bound, on_abandon=_abandoning(ctx))
    try:
        async for piece in pieces:
            yield piece
    finally:
        if hasattr(pieces, "aclose"):  # an iterator of somebody's own need not have one
            await pieces.aclose()


_ASYNC_ITERATORS = (AsyncIterator, AsyncGenerator, AsyncIterable)


def place_of(function: AnyFunction) -> tuple[str, int] | None:
    """File and line of a function."""
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    return code.co_filename, code.co_firstlineno


def _is_async(function: AnyFunction) -> bool:
    # Asked at every call, so what is plain to see is seen at once.
    if type(function) is FunctionType and function.__code__.co_flags & inspect.CO_COROUTINE:
        return True
    if inspect.iscoroutinefunction(function):
        return True
    call = getattr(function, "__call__", None)  # noqa: B004  # an object with an async __call__ is async, too
    return inspect.iscoroutinefunction(call)


def _first_line(function: AnyFunction) -> str:
    text = inspect.getdoc(function) or ""
    return text.split("\n", 1)[0].strip()


@overload
def node(function: Callable[[A], Answer[R]], /) -> FunctionNode[A, R]: ...
@overload
def node(function: Callable[[A, Context], Answer[R]], /) -> FunctionNode[A, R]: ...
@overload
def node(function: Callable[[A, B], Answer[R]], /) -> FunctionNode[A | B, R]: ...
@overload
def node(function: Callable[[A, B, Context], Answer[R]], /) -> FunctionNode[A | B, R]: ...
@overload
def node(function: Callable[[A, B, C], Answer[R]], /) -> FunctionNode[A | B | C, R]: ...
@overload
def node(function: Callable[[A, B, C, D], Answer[R]], /) -> FunctionNode[A | B | C | D, R]: ...
@overload
def node(function: Callable[[A], R], /) -> FunctionNode[A, R]: ...
@overload
def node(function: Callable[[A, Context], R], /) -> FunctionNode[A, R]: ...
@overload
def node(function: Callable[[A, B], R], /) -> FunctionNode[A | B, R]: ...
@overload
def node(function: Callable[[A, B, Context], R], /) -> FunctionNode[A | B, R]: ...
@overload
def node(function: Callable[[A, B, C], R], /) -> FunctionNode[A | B | C, R]: ...
@overload
def node(function: Callable[[A, B, C, D], R], /) -> FunctionNode[A | B | C | D, R]: ...
@overload
def node(
    *,
    name: str | None = ...,
    description: str = ...,
    calls: Sequence[Callee] = ...,
    effects: Sequence[Effect] | None = ...,
    **options: Unpack[NodeOptions],
) -> _Decorator: ...
def node(function: AnyFunction | None = None, /, **options: Any) -> Any:
    """Makes a function a node: its parameters are ports, its return annotation is what it sends.

    Use it bare (`@node`) or with options (`@node(name="b", timeout_s=5)`).

    Args:
        function: the function; async, or plain (then it runs in a thread).
        name: instead of the function's own name.
        description: instead of the first line of its docstring.
        calls: nodes (or their names) it may ask with `ctx.call(node, message)`.
        effects: what it does to the world: "reads", "writes", "network", "executes", or `[]` for nothing. A run that a store
            keeps waits for the disk before whatever may change the world; what nobody has declared may.
        retry, timeout_s, cache, policy, approval, approval_timeout_s, quota, reads, adds, sets: as for every node (`NodeOptions`).
    """
    if function is None:
        return lambda f: FunctionNode(f, **options)
    return FunctionNode(function, **options)


class _Decorator:
    """What `@node(...)` with options is, for type checkers."""

    @overload
    def __call__(self, function: Callable[[A], Answer[R]], /) -> FunctionNode[A, R]: ...
    @overload
    def __call__(self, function: Callable[[A, Context], Answer[R]], /) -> FunctionNode[A, R]: ...
    @overload
    def __call__(self, function: Callable[[A, B], Answer[R]], /) -> FunctionNode[A | B, R]: ...
    @overload
    def __call__(
        self, function: Callable[[A, B, Context], Answer[R]], /
    ) -> FunctionNode[A | B, R]: ...
    @overload
    def __call__(
        self, function: Callable[[A, B, C], Answer[R]], /
    ) -> FunctionNode[A | B | C, R]: ...
    @overload
    def __call__(self, function: Callable[[A], R], /) -> FunctionNode[A, R]: ...
    @overload
    def __call__(self, function: Callable[[A, Context], R], /) -> FunctionNode[A, R]: ...
    @overload
    def __call__(self, function: Callable[[A, B], R], /) -> FunctionNode[A | B, R]: ...
    def __call__(self, function: Any, /) -> Any:
        raise NotImplementedError


__getattr__ = renamed(__name__, {"Step": "FunctionNode"})
