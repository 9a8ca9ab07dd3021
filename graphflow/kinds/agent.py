"""An agent: a model in a loop with what it may call.

Rules:
1. It can call only what it has an edge to; each call is a step of the walk, typed, limited and journaled.
2. All calls of one turn stay one assistant turn; how they are carried out is on the page `turn.py`.
3. It keeps no state: what was said lives in the activation, and others see of it what their edge allows.
4. An answer that does not fit the output type, or has no words at all, is shown its own error and asked again, `repairs`
   times.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, Unpack, cast, overload

from graphflow.declaration.arrows import In, Out
from graphflow.declaration.handoffs import Handoff, Handover, read_handoffs
from graphflow.declaration.node import Context, Node, NodeOptions
from graphflow.declaration.ports import Port
from graphflow.errors import DeclarationError, LimitExceeded, OutputInvalid, ToolUseFailed
from graphflow.keywords import former_name, take_renamed
from graphflow.kinds.delegation import background
from graphflow.kinds.model_call import ask, declined
from graphflow.kinds.output import output_schema, read_output
from graphflow.kinds.prompts import Prompt
from graphflow.kinds.turn import Offer, carry_out
from graphflow.kinds.wire_names import WireNames
from graphflow.messages.media import Media, media_in, without_media
from graphflow.messages.message import Type, to_text
from graphflow.model.conversation import Conversation, without_unknown_calls
from graphflow.model.reply import Reply
from graphflow.model.resolve import check_model
from graphflow.model.seam import Model, Request, ToolSpec
from graphflow.model.settings import Effort, Settings
from graphflow.model.turns import AssistantTurn, CacheMark, ToolTurn, Turn, UserTurn

A = TypeVar("A")
B = TypeVar("B")

TURNS = 16
"""Model calls of one activation at most, unless the agent says otherwise: what openagents allowed its ReAct loop."""
PARALLEL_CALLS = 10
"""Calls of one turn that run at the same time, unless the agent says otherwise: as many as openagents' executor allowed."""


class Options(NodeOptions, total=False):
    """Everything about an agent but its name and types; `Agent` says what each means."""

    model: Model | str | None
    prompt: str | None
    prompt_file: str | None
    system: str | Sequence[str | CacheMark] | None
    tools: Sequence[Node[Any, Any] | str]
    sub_agents: Sequence[Node[Any, Any] | str]
    handoffs: Sequence[Node[Any, Any] | Handoff | str]
    mcp: Sequence[Node[Any, Any]]
    examples: Sequence[tuple[Any, Any]]
    description: str
    max_turns: int
    max_parallel_calls: int
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
            prompt cache (as the first of them it stands after the tools).
        tools: what it may call: tools, steps, routers, graphs; nodes or names of nodes in the graph.
        sub_agents: agents or graphs it may delegate to, each in a frame of its own; `SubAgent(...)` tunes one.
        handoffs: whom it may hand the walk over to: nodes, names of nodes in the graph, or `Handoff(...)` to tune one.
        mcp: servers whose tools it may call, each an `MCP(...)`.
        examples: pairs of (message, answer) that are shown as earlier turns; small models need them.
        description: what it does, for those who may call it. Never the prompt.
        max_turns: model calls of one activation at most.
        max_parallel_calls: calls of one turn that run at the same time at most.
        repairs: how often an answer that is empty, or of the wrong type, is sent back.
        temperature, top_p, top_k, presence_penalty, frequency_penalty, seed: how the model samples.
        max_tokens: tokens of one answer at most. A text that is cut off there is taken as it is; without a limit of your
            own a cut text is an error.
        stop: texts at which it stops.
        tool_choice: for the first question of an activation: "auto", "none", "required" or the name of a tool.
        parallel_calls: whether it may ask for several calls at once.
        thinking: how much it reasons first: a budget in tokens, an effort ("low", "high"...), or on / off.
        prompt_cache: whether the provider shall cache the prompt as far as it can.
        extra: the provider's own parameters, as they are.
        retry, timeout_s, cache, policy, approval: as for every node (`NodeOptions`).
    """

    kind: ClassVar[str] = "agent"
    enters: ClassVar[Literal["never", "called", "always"]] = "called"
    asks_model: ClassVar[bool] = True

    model: Model | str | None
    prompt: Prompt | None
    system: Prompt | tuple[Prompt | CacheMark, ...] | None
    examples: tuple[tuple[Any, Any], ...]
    max_turns: int
    max_parallel_calls: int
    repairs: int
    settings: Settings
    handoffs: tuple[Handoff, ...]
    turns = former_name("turns", "max_turns")
    at_once = former_name("at_once", "max_parallel_calls")

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
        handoffs: Sequence[Node[Any, Any] | Handoff | str] = (),
        mcp: Sequence[Node[Any, Any]] = (),
        examples: Sequence[tuple[Any, Any]] = (),
        description: str = "",
        max_turns: int = TURNS,
        max_parallel_calls: int = PARALLEL_CALLS,
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
        **options: Unpack[NodeOptions],
    ) -> None:
        caller = sys._getframe(1)
        check_model(model, f"agent {name!r}")
        _check_lists(name, tools=tools, sub_agents=sub_agents, handoffs=handoffs, mcp=mcp)
        if prompt is not None and prompt_file is not None:
            raise DeclarationError(f"agent {name!r} has both prompt and prompt_file; give one")
        former = take_renamed("agent", options)
        max_turns = former.get("max_turns", max_turns)
        max_parallel_calls = former.get("max_parallel_calls", max_parallel_calls)
        _check_counts(name, {"max_turns": max_turns, "max_parallel_calls": max_parallel_calls}, repairs)
        kind = str if output is None else output
        waits = any(isinstance(each, Node) and each.in_background for each in (*tools, *sub_agents))
        self._declare(
            name,
            ports=(Port("input", Any if input is None else input),),
            output=kind,
            description=description,
            calls=(*tools, *sub_agents, *mcp, *((background,) if waits else ())),
            problems=_schema_problems(kind),
            where=(caller.f_code.co_filename, caller.f_lineno),
            **options,
        )
        own = self.__dict__
        own["model"] = model
        own["max_turns"] = max_turns
        own["max_parallel_calls"] = max_parallel_calls
        own["repairs"] = repairs
        own["examples"] = tuple(examples)
        own["prompt"] = _prompt(prompt, prompt_file, caller.f_globals.get("__file__"))
        own["system"] = _standing(system, name)
        own["handoffs"] = read_handoffs(name, handoffs)
        settings = Settings(
            temperature=temperature,
            max_tokens=max_tokens,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            seed=seed,
            top_p=top_p,
            top_k=top_k,
            presence_penalty=presence_penalty,
            frequency_penalty=frequency_penalty,
            tool_choice=tool_choice,
            parallel_calls=parallel_calls,
            thinking=thinking,
            prompt_cache=prompt_cache,
            extra=dict(extra or {}),
        )
        own["settings"] = settings.checked(f"agent {name!r}")

    @property
    def max_model_calls(self) -> int:
        """Model calls of one activation in the worst case."""
        return self.max_turns if self.calls or self.handoffs else min(self.max_turns, 1 + self.repairs)

    def prove(self, incoming: Sequence[Type], deps: Type | None) -> list[str]:
        """What its prompts name that its messages do not have."""
        declared = self.ports[0].type
        kinds = list(incoming) if declared is Any else [declared]
        standing = self.system if isinstance(self.system, tuple) else (self.system,)
        prompts = [prompt for prompt in (self.prompt, *standing) if isinstance(prompt, Prompt)]
        return [problem for prompt in prompts for problem in prompt.prove(kinds, deps)]

    async def activate(self, inputs: Mapping[str, Any], ctx: Context) -> Out:
        """Asks the model, carries out its calls, asks again, until it answers with the output type, or hands over."""
        given = next(iter(inputs.values()))
        message = given.message if type(given) is Handover else given
        model = cast(Model, ctx.frame.model(self))
        schema, wrapped = output_schema(self.output)
        system = self._instructed(message, ctx)
        offer = self._offer(ctx, None)
        names = WireNames(spec.name for spec in offer.specs)
        turns = [*self._shown(ctx), *self._before(given, offer, ctx), self._said(message, ctx)]
        own = len(turns) - 1
        ctx.conversation = Conversation(turns)
        attempts: list[str] = []
        for number in range(self.max_turns):
            if number and self.calls:
                offer = self._offer(ctx, offer)
                names.learn(spec.name for spec in offer.specs)
            request = self._request(turns, system, offer.specs, schema, first=number == 0, observed=ctx.frame.observed)
            try:
                reply = await ask(model, request, ctx, partial=schema is not None, names=names)
                if reply.finish == "error":
                    raise ToolUseFailed(f"{model.name}: the reply was unusable ({reply.finish_raw})")
            except ToolUseFailed as error:
                self._repair(attempts, error.said, str(error), turns, None)
                continue
            if (refusal := declined(reply, model, ctx)) is not None:
                raise refusal  # before its calls: what a model asked for before it declined is not done
            if reply.calls:
                handed = (
                    given.turns if type(given) is Handover else ()
                )  # examples, and what a frame shares, do not travel
                results = await carry_out(reply, offer, ctx, (*handed, *turns[own:]), self.max_parallel_calls)
                if isinstance(results, Handover):
                    return cast(Out, results)
                turns += [reply.turn, ToolTurn(results)]
                continue
            if reply.finish == "pause":  # the provider's own tools want another round
                turns.append(reply.turn)
                continue
            try:
                answer = self._read(reply, schema, wrapped)
            except OutputInvalid as invalid:
                if schema is None and (reply.text.strip() or reply.finish == "length"):
                    raise  # there are words, or no room for any: asking again would not help
                self._repair(attempts, reply.text, str(invalid), turns, reply)
                continue
            if ctx.frame.conversation is not None:
                ctx.frame.conversation.add([*turns[own:], reply.turn])
            return cast(Out, answer)
        raise self._out_of_turns(ctx)

    def _before(self, given: Any, offer: Offer, ctx: Context) -> Sequence[Turn]:
        """What was said before this activation: by who handed over, or in the conversation that it joins."""
        handed = given.turns if type(given) is Handover else ()
        joined = ctx.frame.conversation
        if joined is None and not handed:
            return ()
        return without_unknown_calls(
            [*(joined.settled() if joined is not None else ()), *handed], [s.name for s in offer.specs]
        )

    def _offer(self, ctx: Context, last: Offer | None) -> Offer:
        """What the model may call now: servers change their tools, and the depth limit hides sub-agents."""
        nodes = ctx.frame.reachable(self)
        if last is not None and last.nodes == nodes:
            return last
        return Offer(self, nodes, ctx.frame.handoffs(self) if self.handoffs else (), ctx)

    def _read(self, reply: Reply, schema: dict[str, Any] | None, wrapped: bool) -> Any:
        """The answer that a reply without calls is.

        Raises:
            OutputInvalid: it is empty, does not fit the output type, or was cut off and nobody asked for a short one.
        """
        empty = not reply.text.strip()
        if schema is None:
            limited = reply.limited or self.settings.max_tokens is not None
            if reply.finish == "length" and (empty or not limited):
                raise self._cut_off(reply)
            if empty:
                raise OutputInvalid(_silence(reply))
            return reply.text
        if empty and reply.finish != "length":
            raise OutputInvalid(_silence(reply))
        try:
            return read_output(reply.text, self.output, wrapped)
        except OutputInvalid:
            if reply.finish == "length":
                raise OutputInvalid(
                    f"the answer was cut off at the model's token limit; raise Agent({self.name!r}, max_tokens=...)"
                ) from None
            raise

    def _instructed(self, message: Any, ctx: Context) -> str | tuple[str | CacheMark, ...]:
        if not isinstance(self.system, tuple):
            return self.system.render(message, ctx) if self.system else ""
        return tuple(part.render(message, ctx) if isinstance(part, Prompt) else part for part in self.system)

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
        settings = self.settings
        if not first and settings.tool_choice is not None:
            settings = replace(settings, tool_choice=None)  # else a forced call would be forced for ever
        return Request(tuple(turns), system, specs, schema, settings=settings, restart=not observed)

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
        if reply.text.strip():  # a turn without words would be refused by some APIs, and says nothing
            turns.append(reply.turn)
        wanted = "in words" if output_schema(self.output)[0] is None else "with nothing but JSON that fits"
        turns.append(UserTurn(f"{problem}. Answer again, {wanted}."))

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

    def _out_of_turns(self, ctx: Context) -> LimitExceeded:
        text = (
            f"agent {self.name!r} asked its model {self.max_turns} times without coming to an answer; "
            "raise Agent(..., max_turns=...)"
        )
        return LimitExceeded("turns", self.max_turns, ctx.path, text=text)


def _silence(reply: Reply) -> str:
    """What is wrong with a reply that has no words."""
    return "the answer was empty" + (": there was reasoning, and nothing behind it" if reply.thinking.strip() else "")


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


def _check_counts(name: str, counts: Mapping[str, int], repairs: int) -> None:
    for option, count in counts.items():
        if count < 1:
            raise DeclarationError(f"agent {name!r}: {option}={count} must be at least 1")
    if repairs < 0:
        raise DeclarationError(f"agent {name!r}: repairs={repairs} must be at least 0")


def _check_lists(name: str, **given: Any) -> None:
    for option, nodes in given.items():
        if isinstance(nodes, (str, Node)):
            raise DeclarationError(f"agent {name!r}: {option}={nodes!r}; give a list")


def _schema_problems(kind: Type) -> tuple[str, ...]:
    try:
        output_schema(kind)
    except Exception as error:
        return (
            f"its output type makes no JSON schema: {str(error).splitlines()[0]}; use pydantic models and JSON types",
        )
    return ()
