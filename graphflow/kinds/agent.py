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
from pathlib import Path
from typing import Any, ClassVar, Literal, TypedDict, TypeVar, Unpack, cast, overload

from pydantic_core import from_json

from graphflow.arrows import In, Out
from graphflow.errors import (
    DeclarationError,
    LimitExceeded,
    NotReachable,
    OutputInvalid,
    ToolUseFailed,
)
from graphflow.kinds.asking import Settings, ask, declined
from graphflow.kinds.structured import output_schema, read_output
from graphflow.kinds.tool import Tool, read_for, result_text, spec_of
from graphflow.media import Media, media_in, without_media
from graphflow.messages import Type, error_text, to_text
from graphflow.model import Effort, Model, Request, ToolSpec
from graphflow.nodes import Context, Node, Retry
from graphflow.opening import check_model
from graphflow.ports import Port
from graphflow.prompts import Prompt
from graphflow.reply import Reply
from graphflow.turns import AssistantTurn, CacheMark, ToolCall, ToolResult, ToolTurn, Turn, UserTurn

A = TypeVar("A")
B = TypeVar("B")

TURNS = 16
"""Model calls of one activation at most, unless the agent says otherwise: what openagents allowed its ReAct loop."""


class Options(TypedDict, total=False):
    """Everything about an agent but its name and types; `Agent` says what each means."""

    model: Model | str | None
    prompt: str | None
    prompt_file: str | None
    system: str | Sequence[str | CacheMark] | None
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
    top_p: float | None
    top_k: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    tool_choice: str | None
    parallel_calls: bool | None
    thinking: bool | int | Effort | None
    prompt_cache: bool
    extra: Mapping[str, Any]
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
        system: template of the standing instructions; or several, with `CACHE` after what the provider shall keep in its
            prompt cache.
        tools: what it may call: tools, steps, routers, graphs; nodes or names of nodes in the graph.
        sub_agents: agents or graphs it may delegate to, each in a frame of its own; `SubAgent(...)` tunes one.
        examples: pairs of (message, answer) that are shown as earlier turns; small models need them.
        description: what it does, for those who may call it. Never the prompt.
        turns: model calls of one activation at most.
        repairs: how often an answer of the wrong type is sent back.
        temperature, top_p, top_k, presence_penalty, frequency_penalty, seed: how the model samples.
        max_tokens: tokens of one answer at most. A text that is cut off there is taken as it is; without a limit of your
            own a cut text is an error.
        stop: texts at which it stops.
        tool_choice: for the first question of an activation: "auto", "none", "required" or the name of a tool.
        parallel_calls: whether it may ask for several calls at once.
        thinking: how much it reasons first: a budget in tokens, an effort ("low", "high"...), or on / off.
        prompt_cache: whether the provider shall cache the prompt as far as it can.
        extra: the provider's own parameters, as they are.
        retry, timeout_s: as for every node.
    """

    kind: ClassVar[str] = "agent"
    enters: ClassVar[Literal["never", "called", "always"]] = "called"
    asks_model: ClassVar[bool] = True

    model: Model | str | None
    prompt: Prompt | None
    system: Prompt | tuple[Prompt | CacheMark, ...] | None
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
        self: Agent[A, Any], name: str, *, input: type[A], output: Any, **options: Unpack[Options]
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
        system: str | Sequence[str | CacheMark] | None = None,
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
        top_p: float | None = None,
        top_k: int | None = None,
        presence_penalty: float | None = None,
        frequency_penalty: float | None = None,
        tool_choice: str | None = None,
        parallel_calls: bool | None = None,
        thinking: bool | int | Effort | None = None,
        prompt_cache: bool = False,
        extra: Mapping[str, Any] | None = None,
        retry: Retry | int | None = None,
        timeout_s: float | None = None,
    ) -> None:
        caller = sys._getframe(1)
        check_model(model, f"agent {name!r}")
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
        own["system"] = _standing(system, name)
        own["examples"] = tuple(examples)
        own["turns"] = turns
        own["repairs"] = repairs
        own["settings"] = Settings.checked(
            f"agent {name!r}",
            temperature,
            max_tokens,
            (stop,) if isinstance(stop, str) else tuple(stop),
            seed,
            top_p,
            top_k,
            presence_penalty,
            frequency_penalty,
            tool_choice,
            parallel_calls,
            thinking,
            prompt_cache,
            dict(extra or {}),
        )

    @property
    def most_model_calls(self) -> int:
        """Model calls of one activation in the worst case."""
        return self.turns if self.calls else min(self.turns, 1 if self.output is str else 1 + self.repairs)

    def prove(self, incoming: Sequence[Type], deps: Type | None) -> list[str]:
        """What its prompts name that its messages do not have."""
        declared = self.ports[0].type
        kinds = list(incoming) if declared is Any else [declared]
        standing = self.system if isinstance(self.system, tuple) else (self.system,)
        prompts = [prompt for prompt in (self.prompt, *standing) if isinstance(prompt, Prompt)]
        return [problem for prompt in prompts for problem in prompt.prove(kinds, deps)]

    async def activate(self, inputs: Mapping[str, Any], ctx: Context) -> Out:
        """Asks the model, carries out its calls, asks again, until it answers with the output type."""
        message = next(iter(inputs.values()))
        reach = ctx.frame.reachable(self)
        model = cast(Model, ctx.frame.model(self))
        schema, wrapped = output_schema(self.output)
        system = self._instructed(message, ctx)
        specs = tuple(spec_of(node) for node in reach)
        turns = [*self._shown(ctx), self._said(message, ctx)]
        attempts: list[str] = []
        for number in range(self.turns):
            request = self._request(turns, system, specs, schema, first=number == 0, observed=ctx.frame.observed)
            try:
                reply = await ask(model, request, ctx, partial=schema is not None)
                if reply.finish == "error":
                    raise ToolUseFailed(f"{model.name}: the reply was unusable ({reply.finish_raw})")
            except ToolUseFailed as error:
                self._repair(attempts, error.said, str(error), turns, None)
                continue
            if reply.calls:
                turns += [reply.turn, ToolTurn(await self._carry_out(reply, reach, ctx))]
                continue
            if reply.finish == "pause":  # the provider's own tools want another round
                turns.append(reply.turn)
                continue
            if (refusal := declined(reply, model, ctx)) is not None:
                raise refusal
            if schema is None:
                if reply.finish == "length" and not self._limits_answers(model):  # nobody asked for a short one
                    raise self._cut_off(reply)
                return cast(Out, reply.text)
            try:
                return cast(Out, read_output(reply.text, self.output, wrapped))
            except OutputInvalid as invalid:
                problem = str(invalid)
            if reply.finish == "length":
                problem = (
                    f"the answer was cut off at the model's token limit; raise Agent({self.name!r}, max_tokens=...)"
                )
            self._repair(attempts, reply.text, problem, turns, reply)
        raise self._out_of_turns(ctx)

    def _instructed(self, message: Any, ctx: Context) -> str | tuple[str | CacheMark, ...]:
        if not isinstance(self.system, tuple):
            return self.system.render(message, ctx) if self.system else ""
        return tuple(part.render(message, ctx) if isinstance(part, Prompt) else part for part in self.system)

    def _limits_answers(self, model: Model) -> bool:
        """Whether answers are as short as they are because somebody said so."""
        if self.settings.max_tokens is not None or getattr(model, "limits_itself", False):
            return True
        own = {**getattr(getattr(model, "settings", None), "extra", {}), **self.settings.extra}
        return any(
            word in str(own)
            for word in ("max_tokens", "_output_tokens", "num_predict", "maxOutputTokens", "max_completion")
        )

    def _cut_off(self, reply: Reply) -> OutputInvalid:
        error = OutputInvalid(
            f"agent {self.name!r}: the answer was cut off at the model's token limit after {len(reply.text)} characters; "
            f"raise Agent({self.name!r}, max_tokens=...); with a limit of your own a cut answer is taken as it is"
        )
        error.attempts = (reply.text,)
        return error

    def _request(
        self,
        turns: list[Turn],
        system: str | tuple[str | CacheMark, ...],
        specs: tuple[ToolSpec, ...],
        schema: dict[str, Any] | None,
        *,
        first: bool,
        observed: bool,
    ) -> Request:
        asked = self.settings
        return Request(
            tuple(turns),
            system,
            specs,
            schema,
            asked.temperature,
            asked.max_tokens,
            asked.stop,
            asked.seed,
            asked.top_p,
            asked.top_k,
            asked.presence_penalty,
            asked.frequency_penalty,
            asked.tool_choice if first else None,  # else a forced call would be forced for ever
            asked.parallel_calls,
            asked.thinking,
            prompt_cache=asked.prompt_cache,
            restart=not observed,
            extra=asked.extra,
        )

    def _repair(self, attempts: list[str], said: str, problem: str, turns: list[Turn], reply: Reply | None) -> None:
        """Shows the model its own error, or gives up with all its attempts."""
        attempts.append(said)
        if len(attempts) > self.repairs:
            error = OutputInvalid(
                f"agent {self.name!r}: {problem} (after {self.repairs} repairs); last answer: {said[:200]!r}"
            )
            error.attempts = tuple(attempts)
            raise error
        if reply is None:
            turns.append(UserTurn(f"{problem}. Call a tool again with arguments that fit its schema, or answer."))
            return
        if reply.text:
            turns.append(reply.turn)
        turns.append(UserTurn(f"{problem}. Answer again, with nothing but JSON that fits."))

    def _said(self, message: Any, ctx: Context) -> UserTurn:
        media = () if type(message) is str else tuple(media_in(message))
        if not media:
            return UserTurn(self.prompt.render(message, ctx) if self.prompt else to_text(message))
        if self.prompt:
            return UserTurn((self.prompt.render(message, ctx), *media))
        return UserTurn(media if isinstance(message, Media) else (to_text(without_media(message)), *media))

    def _shown(self, ctx: Context) -> list[Turn]:
        shown: list[Turn] = []
        for message, answer in self.examples:
            shown += [self._said(message, ctx), AssistantTurn(self._spelled(answer))]
        return shown

    def _spelled(self, answer: Any) -> str:
        _, wrapped = output_schema(self.output)
        return to_text({"result": answer}) if wrapped else to_text(answer)

    async def _carry_out(self, reply: Reply, reach: Sequence[Node[Any, Any]], ctx: Context) -> tuple[ToolResult, ...]:
        """The results of one turn's calls, all at once, in the order of the calls."""
        calls = reply.calls
        if reply.finish == "length" and not is_json(calls[-1].arguments):
            cut = f"the call was cut off at the token limit of agent {self.name!r}; nothing was called. Write less."
            return tuple(ToolResult(call.id, call.name, cut, ok=False) for call in calls)
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
            spelled = "{}" if call.arguments.strip() in ("", "null") else call.arguments
            given = spelled if node is None or isinstance(node, Tool) else read_for(node, spelled)
            answer: Any = await ctx.call(call.name, given)
            return ToolResult(call.id, call.name, _result(answer))
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


def is_json(text: str) -> bool:
    """Whether a call's arguments are whole."""
    try:
        from_json(text or "{}")
    except ValueError:
        return False
    return True


def _result(answer: Any) -> str | tuple[str | Media, ...]:
    """What a model reads of a node's answer, and what it looks at."""
    media = () if type(answer) is str else tuple(media_in(answer))
    if not media:
        return result_text(answer)
    return media if isinstance(answer, Media) else (to_text(without_media(answer)), *media)


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = several.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _standing(system: Any, name: str) -> Prompt | tuple[Prompt | CacheMark, ...] | None:
    if system is None or isinstance(system, str):
        return None if system is None else Prompt(system)
    parts = tuple(system) if isinstance(system, (list, tuple)) else ()
    if not parts or not all(isinstance(part, (str, CacheMark)) for part in parts):
        raise DeclarationError(f"agent {name!r}: system={system!r} is neither a text nor texts with CACHE among them")
    return tuple(Prompt(part) if isinstance(part, str) else part for part in parts)


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
