"""An agent: a model in a loop with what it may call.

Rules:
1. It can call only what it has an edge to; each call is a step of the walk, typed, limited and journaled.
2. All calls of one turn run at once and stay one assistant turn; their results go back in the order of the calls.
3. A call that fails, is unknown, or is refused is an error result of that very call, not the end of the agent. A limit
   of the agent's own frame is.
4. An answer that does not fit the output type is shown its own error and asked again, `repairs` times.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypedDict, TypeVar, Unpack, cast, overload

from graphflow.arrows import In, Out
from graphflow.errors import DeclarationError, LimitExceeded, ModelError, NotReachable, OutputInvalid
from graphflow.events import ModelDelta, ModelFinished, ModelStarted
from graphflow.kinds.structured import output_schema, read_output
from graphflow.kinds.tool import Tool, read_for, result_text, spec_of
from graphflow.messages import Type, error_text, to_text
from graphflow.model import (
    AssistantTurn,
    CallDelta,
    Model,
    ModelEvent,
    Reply,
    Request,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    ToolResult,
    ToolTurn,
    Turn,
    UserTurn,
    gather,
)
from graphflow.nodes import Context, Node, Retry
from graphflow.ports import Port
from graphflow.prompts import Prompt

A = TypeVar("A")
B = TypeVar("B")

TURNS = 16
"""Model calls of one activation at most, unless the agent says otherwise: what openagents allowed its ReAct loop."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How an agent's model is asked."""

    temperature: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None


class Options(TypedDict, total=False):
    """Everything about an agent but its name and types; `Agent` says what each means."""

    model: Model | str | None
    prompt: str | None
    prompt_file: str | None
    system: str | None
    tools: Sequence[Node[Any, Any] | str]
    sub_agents: Sequence[Node[Any, Any] | str]
    examples: Sequence[tuple[Any, Any]]
    description: str
    turns: int
    repairs: int
    temperature: float | None
    max_tokens: int | None
    stop: Sequence[str]
    seed: int | None
    retry: Retry | int | None
    timeout_s: float | None


class Agent(Node[In, Out]):
    """A model in a loop with tools and sub-agents.

    Args:
        name: the agent's name.
        model: "provider:model" or a `Model`; default: the graph's, then the run's.
        input: the type of message it takes; default: whatever its edges bring.
        output: the type it answers with; `str` is free text, anything else is asked for by schema.
        prompt: template of the user's turn; default: the message itself, as text or JSON.
        prompt_file: a file that holds it, relative to the file that declares the agent.
        system: template of the standing instructions.
        tools: what it may call: tools, steps, routers, graphs; nodes or names of nodes in the graph.
        sub_agents: agents or graphs it may delegate to, each in a frame of its own; `SubAgent(...)` tunes one.
        examples: pairs of (message, answer) that are shown as earlier turns; small models need them.
        description: what it does, for those who may call it. Never the prompt.
        turns: model calls of one activation at most.
        repairs: how often an answer of the wrong type is sent back.
        temperature, max_tokens, stop, seed: as the model understands them.
        retry, timeout_s: as for every node.
    """

    kind: ClassVar[str] = "agent"
    enters: ClassVar[Literal["never", "called", "always"]] = "called"
    asks_model: ClassVar[bool] = True

    model: Model | str | None
    prompt: Prompt | None
    system: Prompt | None
    examples: tuple[tuple[Any, Any], ...]
    turns: int
    repairs: int
    settings: Settings

    @overload
    def __init__(
        self: Agent[Any, str], name: str, *, input: None = ..., output: None = ..., **options: Unpack[Options]
    ) -> None: ...
    @overload
    def __init__(
        self: Agent[A, str], name: str, *, input: type[A], output: None = ..., **options: Unpack[Options]
    ) -> None: ...
    @overload
    def __init__(
        self: Agent[Any, B], name: str, *, input: None = ..., output: type[B], **options: Unpack[Options]
    ) -> None: ...
    @overload
    def __init__(
        self: Agent[A, B], name: str, *, input: type[A], output: type[B], **options: Unpack[Options]
    ) -> None: ...
    @overload
    def __init__(
        self: Agent[Any, Any], name: str, *, input: Any = ..., output: Any = ..., **options: Unpack[Options]
    ) -> None: ...
    def __init__(
        self,
        name: str,
        *,
        model: Model | str | None = None,
        input: Type = None,
        output: Type = None,
        prompt: str | None = None,
        prompt_file: str | None = None,
        system: str | None = None,
        tools: Sequence[Node[Any, Any] | str] = (),
        sub_agents: Sequence[Node[Any, Any] | str] = (),
        examples: Sequence[tuple[Any, Any]] = (),
        description: str = "",
        turns: int = TURNS,
        repairs: int = 2,
        temperature: float | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
        seed: int | None = None,
        retry: Retry | int | None = None,
        timeout_s: float | None = None,
    ) -> None:
        caller = sys._getframe(1)
        if prompt is not None and prompt_file is not None:
            raise DeclarationError(f"agent {name!r} has both prompt and prompt_file; give one")
        if turns < 1 or repairs < 0:
            raise DeclarationError(f"agent {name!r}: turns={turns} must be at least 1 and repairs={repairs} at least 0")
        kind = str if output is None else output
        self._declare(
            name,
            ports=(Port("input", Any if input is None else input),),
            output=kind,
            description=description,
            calls=(*tools, *sub_agents),
            retry=retry,
            timeout_s=timeout_s,
            problems=_schema_problems(kind),
            where=(caller.f_code.co_filename, caller.f_lineno),
        )
        own = self.__dict__
        own["model"] = model
        own["prompt"] = _prompt(prompt, prompt_file, caller.f_globals.get("__file__"))
        own["system"] = None if system is None else Prompt(system)
        own["examples"] = tuple(examples)
        own["turns"] = turns
        own["repairs"] = repairs
        own["settings"] = Settings(temperature, max_tokens, tuple(stop), seed)

    @property
    def most_model_calls(self) -> int:
        """Model calls of one activation in the worst case."""
        return self.turns if self.calls else min(self.turns, 1 if self.output is str else 1 + self.repairs)

    def prove(self, incoming: Sequence[Type], deps: Type | None) -> list[str]:
        """What its prompts name that its messages do not have."""
        declared = self.ports[0].type
        kinds = list(incoming) if declared is Any else [declared]
        return [problem for prompt in (self.prompt, self.system) if prompt for problem in prompt.prove(kinds, deps)]

    async def activate(self, inputs: Mapping[str, Any], ctx: Context) -> Out:
        """Asks the model, carries out its calls, asks again, until it answers with the output type."""
        message = next(iter(inputs.values()))
        reach = ctx.frame.reachable(self)
        model = cast(Model, ctx.frame.model(self))
        schema, wrapped = output_schema(self.output)
        system = self.system.render(message, ctx) if self.system else ""
        specs = tuple(spec_of(node) for node in reach)
        turns = [*self._shown(ctx), UserTurn(self._said(message, ctx))]
        repairs = self.repairs
        for _ in range(self.turns):
            request = Request(
                tuple(turns),
                system,
                specs,
                schema,
                self.settings.temperature,
                self.settings.max_tokens,
                self.settings.stop,
                self.settings.seed,
            )
            reply = await ask(model, request, ctx)
            if reply.calls:
                turns.append(AssistantTurn(reply.text, reply.calls))
                turns.append(ToolTurn(await self._carry_out(reply.calls, reach, ctx)))
                continue
            if reply.finish in ("refusal", "content_filter"):
                raise ModelError(
                    f"model {model.name!r} refused to answer agent {self.name!r}: {reply.text[:200] or reply.finish}"
                )
            if schema is None:
                return cast(Out, reply.text)
            try:
                return cast(Out, read_output(reply.text, self.output, wrapped))
            except OutputInvalid as error:
                problem = str(error)
            if reply.finish == "length":
                problem = (
                    f"the answer was cut off at the model's token limit; raise Agent({self.name!r}, max_tokens=...)"
                )
            if repairs == 0:
                text = (
                    f"agent {self.name!r}: {problem} (after {self.repairs} repairs); last answer: {reply.text[:200]!r}"
                )
                raise OutputInvalid(text)
            repairs -= 1
            turns += [AssistantTurn(reply.text), UserTurn(f"{problem}. Answer again, with nothing but JSON that fits.")]
        raise self._out_of_turns(ctx)

    def _said(self, message: Any, ctx: Context) -> str:
        return self.prompt.render(message, ctx) if self.prompt else to_text(message)

    def _shown(self, ctx: Context) -> list[Turn]:
        shown: list[Turn] = []
        for message, answer in self.examples:
            shown += [UserTurn(self._said(message, ctx)), AssistantTurn(self._spelled(answer))]
        return shown

    def _spelled(self, answer: Any) -> str:
        _, wrapped = output_schema(self.output)
        return to_text({"result": answer}) if wrapped else to_text(answer)

    async def _carry_out(
        self, calls: Sequence[ToolCall], reach: Sequence[Node[Any, Any]], ctx: Context
    ) -> tuple[ToolResult, ...]:
        """The results of one turn's calls, all at once, in the order of the calls."""
        if len(calls) == 1:
            return (await self._call(calls[0], reach, ctx),)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._call(call, reach, ctx)) for call in calls]
        except BaseExceptionGroup as several:
            raise _first(several) from None
        return tuple(task.result() for task in tasks)

    async def _call(self, call: ToolCall, reach: Sequence[Node[Any, Any]], ctx: Context) -> ToolResult:
        try:
            node = next((n for n in reach if n.name == call.name), None)
            if node is None and not self._knows(call.name):
                have = ", ".join(n.name for n in reach) or "nothing"
                raise NotReachable(f"there is no tool named {call.name!r}; you can call: {have}")
            given = call.arguments if node is None or isinstance(node, Tool) else read_for(node, call.arguments)
            answer: Any = await ctx.call(call.name, given)
            return ToolResult(call.id, call.name, result_text(answer))
        except LimitExceeded as error:
            if ctx.frame.ends(error):
                raise
            return ToolResult(call.id, call.name, f"{type(error).__name__}: {error}", ok=False)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # we are to stop; else the tool awaited something that somebody else has cancelled
            return ToolResult(call.id, call.name, f"the tool was cancelled: {error}", ok=False)
        except Exception as error:
            return ToolResult(call.id, call.name, f"{type(error).__name__}: {error_text(error)}", ok=False)

    def _knows(self, name: str) -> bool:
        """Whether there is an edge to that name which the depth limit hides: then the walk itself refuses it."""
        return any((callee if isinstance(callee, str) else callee.name) == name for callee in self.calls)

    def _out_of_turns(self, ctx: Context) -> LimitExceeded:
        error = LimitExceeded("turns", self.turns, ctx.path)
        error.args = (
            f"agent {self.name!r} asked its model {self.turns} times without coming to an answer; raise Agent(..., turns=...)",
        )
        return error


async def ask(model: Model, request: Request, ctx: Context) -> Reply:
    """One question to a model as a step of the walk: charged before, counted after, told while it goes."""
    frame, name = ctx.frame, ctx.node.name
    frame.charge_model_call()
    started = frame.clock()
    frame.record(ModelStarted, ctx.activation, node=name, model=model.name)
    reply = await gather(model.stream(request), _teller(ctx) if frame.observed else None)
    frame.add_model_call(reply.input_tokens, reply.output_tokens, reply.usd)
    frame.record(
        ModelFinished,
        ctx.activation,
        node=name,
        model=model.name,
        text=reply.text,
        calls=len(reply.calls),
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        usd=reply.usd,
        finish=reply.finish,
        started=started,
    )
    return reply


def _teller(ctx: Context) -> Any:
    def tell(event: ModelEvent) -> None:
        match event:
            case TextDelta():
                ctx.frame.record(ModelDelta, ctx.activation, node=ctx.node.name, channel="text", text=event.text)
            case ThinkingDelta():
                ctx.frame.record(ModelDelta, ctx.activation, node=ctx.node.name, channel="thinking", text=event.text)
            case CallDelta():
                ctx.frame.record(
                    ModelDelta, ctx.activation, node=ctx.node.name, channel="arguments", text=event.arguments
                )
            case _:
                pass

    return tell


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = several.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _prompt(text: str | None, file: str | None, declared_in: str | None) -> Prompt | None:
    if file is not None:
        base = Path(declared_in).parent if declared_in else Path.cwd()
        return Prompt.read(base / file)
    return None if text is None else Prompt(text)


def _schema_problems(kind: Type) -> tuple[str, ...]:
    try:
        output_schema(kind)
    except Exception as error:
        return (
            f"its output type makes no JSON schema: {str(error).splitlines()[0]}; use pydantic models and JSON types",
        )
    return ()
