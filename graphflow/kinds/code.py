"""Code as a tool: a model writes Python, and the nodes around it are its functions.

Rules:
1. The code runs in a sandbox, a process of its own without files, network or environment; it knows nothing of earlier code.
2. It can call only what the node has an edge to. Each call is a step of the walk: charged, judged, approved, limited and
   journaled like any other, and its error is an exception that the code can catch. A limit of the walk is the end of the code.
3. Time that the code spends waiting for a call is the call's; `timeout_s` bounds both.
4. What was printed before an error is told with it, and no path of this machine is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from graphflow._faces import former_name
from graphflow.access import Access
from graphflow.declaration.context import Context
from graphflow.declaration.node import AnyNode, Callee, Inputs, Node
from graphflow.declaration.options import NodeOptions
from graphflow.declaration.ports import Port
from graphflow.errors import (
    CodeFailed,
    DeclarationError,
    LimitExceeded,
    NotReachable,
    ResultInvalid,
)
from graphflow.keywords import take_renamed
from graphflow.kinds.delegation import background
from graphflow.kinds.function_search import LISTED, find_functions, finder_line
from graphflow.kinds.functions import (
    FIND,
    MODULES,
    arguments_for,
    clashes,
    function_name,
    plain_value,
    signature_line,
)
from graphflow.kinds.future_calls import awaited_calls
from graphflow.kinds.sandbox import (
    PER_CALL,
    Execution,
    Printed,
    WorkerAnswer,
    WorkerShare,
    check_installed,
)
from graphflow.kinds.step import Arguments
from graphflow.kinds.tool import OUTPUT_LIMIT, Tool, schema_of
from graphflow.messages.message import Message, error_text
from graphflow.model.seam import ToolSpec
from graphflow.policy import Effect

if TYPE_CHECKING:
    from pydantic_monty import ResourceLimits

PARALLEL_CALLS = 10
"""Calls of one piece of code that run at the same time; as many as an agent's."""
LONGEST = 50_000
"""Characters of code."""
RAISED: tuple[type[Exception], ...] = (
    *(
        AttributeError,
        FileExistsError,
        FileNotFoundError,
        ImportError,
        IndexError,
        KeyError,
        NameError,
        NotImplementedError,
    ),
    *(
        OverflowError,
        PermissionError,
        RecursionError,
        TimeoutError,
        TypeError,
        UnicodeDecodeError,
        UnicodeEncodeError,
    ),
    *(
        ZeroDivisionError,
        ArithmeticError,
        AssertionError,
        LookupError,
        OSError,
        RuntimeError,
        ValueError,
    ),
)
"""Exceptions that the sandbox knows by name; any other is an `Exception` there."""


class CodeArguments(BaseModel):
    """What a model gives: the code."""

    model_config = ConfigDict(extra="forbid")
    code: str = Field(
        description="Python. The value of its last expression, and what it prints, come back."
    )


class Computed(Message):
    """What a piece of code came to. A model reads only what there is of it.

    Attributes:
        printed: what it printed.
        value: the value of its last expression, as plain data.
    """

    printed: str = ""
    value: Any = None

    @model_serializer(mode="wrap")
    def _short(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        whole: dict[str, Any] = handler(self)
        if not self.printed:
            del whole["printed"]
        elif self.value is None:
            del whole["value"]
        return whole


class Code(Tool[Any, Computed]):
    """A tool that runs Python which a model wrote, in a sandbox; what it `calls` are functions there.

    A function is called as it is, `search("x")`, or awaited, `await asyncio.gather(search("x"), search("y"))`. Needs the
    extra `sandbox`.

    Args:
        name: what a model calls it.
        calls: nodes (or names of nodes in the graph) that the code may call; a name that is not a Python identifier becomes one.
        memory_mib: memory of the code, in MiB.
        seconds: seconds it may compute, and seconds it may sleep. Waiting for calls does not count; `timeout_s` bounds all.
        printed_limit: characters of what it prints that are kept.
        max_calls: calls it may make.
        recursion: how deep its functions may call each other.
        listed: functions that a model is shown with their signatures. Of more it is shown none: its code finds them, by words,
            with `find_functions`.
        description: what stands before the list of functions for a model.
        output_limit: characters of the answer that a model is shown.
        retry, timeout_s, cache, policy, approval, approval_timeout_s, quota, reads, adds, sets: as for every node (`NodeOptions`).
    """

    kind: ClassVar[str] = "code"
    memory_mib: int
    seconds: float
    printed_limit: int
    max_calls: int
    recursion: int
    listed: int
    most_calls = former_name("most_calls", "max_calls")

    def __init__(
        self,
        name: str = "run_python",
        *,
        calls: Sequence[Callee] = (),
        memory_mib: int = 64,
        seconds: float = 5.0,
        printed_limit: int = 10_000,
        max_calls: int = 100,
        recursion: int = 200,
        listed: int = LISTED,
        description: str = "",
        output_limit: int = OUTPUT_LIMIT,
        **options: Unpack[NodeOptions],
    ) -> None:
        max_calls = take_renamed("code", options).get("max_calls", max_calls)
        limits: dict[str, float] = {
            "memory_mib": memory_mib,
            "seconds": seconds,
            "printed_limit": printed_limit,
            "max_calls": max_calls,
            "recursion": recursion,
            "listed": listed,
            "output_limit": output_limit,
        }
        _check_limits(name, limits)
        nodes = [callee for callee in calls if isinstance(callee, Node)]
        if any(node.in_background for node in nodes):
            calls = (*calls, background)
        names = [
            callee if isinstance(callee, str) else getattr(callee, "name", "") for callee in calls
        ]
        self._declare(
            name,
            ports=(Port("arguments", CodeArguments | str),),
            output=Computed,
            description=description,
            calls=calls,
            problems=tuple(clashes(names)),
            **options,
        )
        self._set(
            **limits,
            arguments=CodeArguments,
            effects=frozenset(["executes"]),
            access=Access(paths=(), hosts=()),  # the sandbox reaches nothing
            streams=False,
        )

    @property
    def spec(self) -> ToolSpec:
        """The tool as a model sees it, with all functions that are known by the declaration alone."""
        return self.spec_within([each for each in self.calls if isinstance(each, Node)])

    def spec_within(self, reachable: Sequence[AnyNode]) -> ToolSpec:
        """The tool as a model sees it that can reach so much through it."""
        about = self.description or "Run Python in a sandbox."
        modules = ", ".join(module for module in MODULES if module not in _OF_NO_USE)
        lines = [
            f"{about} Without files, network, third-party packages, class inheritance, or `yield`; modules: {modules}. "
            "Nothing is kept from one run to the next."
        ]
        if len(reachable) > self.listed:
            lines.append(finder_line(len(reachable)))
        elif reachable:
            lines.append(
                "Functions it can call, as they are or at the same time with `await asyncio.gather(f(1), f(2))`; "
                "do not import them:"
            )
            lines += map(signature_line, reachable)
        return ToolSpec(self.name, "\n".join(lines), schema_of(self.arguments))

    prepares: ClassVar[bool] = True

    def prepare(self) -> None:
        """Whether there is a sandbox: asked before a run begins.

        Raises:
            MissingExtra: it is not installed.
        """
        check_installed()

    async def __call__(self, *args: object, **kwargs: object) -> Any:
        """There is no plain function: code is run within a walk."""
        raise DeclarationError(
            f"{self.name!r} runs only within a walk; write Graph('g', START >> code >> END)"
        )

    @property
    def side_effects(self) -> frozenset[Effect]:
        """None: the sandbox reaches nothing, and what code calls has effects of its own."""
        return frozenset()

    async def activate(self, inputs: Inputs, ctx: Context) -> Computed:
        """Runs the code.

        Raises:
            CodeFailed: it raised, or used up its time, memory or calls; `printed` is what it had printed.
        """
        given = next(iter(inputs.values()))
        if isinstance(given, str):  # on an edge, text is code
            code = given
        else:
            code = str(self._by_name(self.read(given))["code"])
        if len(code) > LONGEST:
            raise CodeFailed(f"the code has {len(code)} characters, and may have {LONGEST}")
        functions = _Functions(self, ctx)
        names = [*functions.nodes, FIND]
        execution = Execution(
            code,
            awaited_calls(code, names),
            names,
            functions.call,
            max_calls=self.max_calls,
            seconds=self.seconds,
        )
        printed = Printed(self.printed_limit)
        try:
            lease: WorkerShare = ctx.frame.resource("sandbox", WorkerShare)
            async with lease.session(self._resources()) as session:
                value = plain_value(self.name, await execution.run(session, printed))
        except (LimitExceeded, asyncio.CancelledError):
            raise
        except Exception as error:
            raise self._failure(error, printed.text) from None
        return Computed(printed=printed.text, value=value)

    def _resources(self) -> ResourceLimits:
        return {
            "max_memory": self.memory_mib * 2**20,
            "max_feed_duration_secs": float(self.seconds),
            "max_recursion_depth": self.recursion,
            "max_suspensions": 1000 + PER_CALL * self.max_calls,
        }

    def _failure(self, error: Exception, printed: str) -> Exception:
        """The error in the sandbox's own terms; one of ours stays what it is."""
        from pydantic_monty import (
            MontyCrashedError,
            MontyError,
            MontyRuntimeError,
            MontySyntaxError,
        )

        if isinstance(error, (MontyRuntimeError, MontySyntaxError)):
            text = error.display("traceback")
        elif isinstance(error, MontyCrashedError):
            text = (
                "it took too long"
                if error.timed_out
                else "the sandbox died; nothing is known of why"
            )
        elif isinstance(error, (MontyError, CodeFailed, ResultInvalid, ValueError)):
            text = str(error)
        else:
            return error
        if printed:
            text += f"\nIt had printed:\n{printed}"
        failed = CodeFailed(text)
        failed.printed = printed
        return failed


_OF_NO_USE = ("os", "pathlib", "sys")
"""Modules that can be imported, and reach nothing."""


def _check_limits(name: str, limits: Mapping[str, float]) -> None:
    for limit, value in limits.items():
        kinds = (int, float) if limit == "seconds" else int
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        if not is_number or not value > 0:
            raise DeclarationError(f"code {name!r}: {limit}={value!r} must be a positive number")


class _Functions:
    """What one piece of code can call."""

    def __init__(self, code: Code, ctx: Context) -> None:
        self.ctx = ctx
        self.gate = asyncio.Semaphore(PARALLEL_CALLS)
        self.nodes: dict[str, Callee] = {}
        """By the name that code knows it by; those of a policy or the depth limit, too: the walk itself refuses them."""
        self.reachable = ctx.frame.reachable(code, ctx)
        for callee in (*self.reachable, *code.calls):
            name = callee if isinstance(callee, str) else callee.name
            if not (isinstance(callee, Node) and callee.source):
                self.nodes.setdefault(function_name(name), callee)

    async def call(self, function: str, args: Sequence[object], kwargs: Arguments) -> WorkerAnswer:
        """The answer to one call from code, or the exception that it is there.

        Raises:
            LimitExceeded: a limit of the walk: nothing goes on.
        """
        try:
            async with self.gate:
                return {"return_value": await self._answer(function, args, kwargs)}
        except LimitExceeded as error:
            if self.ctx.frame.ends(error):
                raise
            return _as_exception(error)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # We are to stop; else the node awaited something that somebody else has cancelled.
                raise
            return {"exc_type": "RuntimeError", "message": f"{function}() was cancelled"}
        except Exception as error:
            return _as_exception(error)

    async def _answer(self, function: str, args: Sequence[object], kwargs: Arguments) -> Any:
        if function == FIND:
            return find_functions(self.reachable, *args, **kwargs)
        node = self.nodes.get(function)
        if node is None:
            have = ", ".join(self.nodes) or "nothing"
            raise NameError(f"name {function!r} is not defined; what can be called: {have}")
        if isinstance(node, Node):
            name = node.name
            given = arguments_for(node, args, kwargs)
        else:
            # A callee that is only named may take anything: a mapping, or one bare argument.
            name = node
            given = kwargs or (args[0] if args else {})
        answer: object = await self.ctx.call(name, given)
        return plain_value(function, answer)


def _as_exception(error: BaseException) -> WorkerAnswer:
    """An error as an exception of the sandbox."""
    text = error_text(error)
    if isinstance(error, KeyError) and error.args:  # its own text is the repr of what it was given
        text = str(error.args[0])
    text = text.encode(errors="replace").decode()
    return {"exc_type": _known_class(error), "message": text[:OUTPUT_LIMIT]}


def _known_class(error: BaseException) -> str:
    """The nearest of its classes that the sandbox knows."""
    if isinstance(error, NotReachable):
        return "RuntimeError"
    for kind in type(error).__mro__:
        if kind in RAISED:
            return kind.__name__
    return "Exception"
