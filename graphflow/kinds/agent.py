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
from typing import Any, ClassVar, Literal, Self, TypeAlias, TypeVar, Unpack, cast, overload

from graphflow._faces import former_name
from graphflow.declaration.arrows import In, Out
from graphflow.declaration.context import Context
from graphflow.declaration.handoffs import Handoff, Handover, read_handoffs
from graphflow.declaration.node import AnyNode, Callee, Inputs, Node
from graphflow.declaration.options import NodeOptions
from graphflow.declaration.ports import Port
from graphflow.errors import DeclarationError, LimitExceeded, OutputInvalid, ToolUseFailed
from graphflow.keywords import take_renamed
from graphflow.kinds.delegation import background
from graphflow.kinds.model_call import ask, refusal_in
from graphflow.kinds.output import WRAPPER, output_schema, read_answer
from graphflow.kinds.prompts import Prompt
from graphflow.kinds.recollection import (
    names_unoffered,
    recollect,
    with_notes,
    without_recalled,
)
from graphflow.kinds.state_tools import state_tools
from graphflow.kinds.turn import Offer, carry_out
from graphflow.kinds.wire_names import WireNames
from graphflow.messages.media import Media, media_in, without_media
from graphflow.messages.message import to_text
from graphflow.messages.types import Type
from graphflow.model.conversation import Conversation, without_unknown_calls
from graphflow.model.reply import Reply
from graphflow.model.resolve import check_model
from graphflow.model.seam import Model, Request
from graphflow.model.settings import Effort, Settings, SettingsOptions
from graphflow.model.turns import AssistantTurn, CacheMark, ToolTurn, Turn, UserTurn

A = TypeVar("A")
B = TypeVar("B")

SystemPrompt: TypeAlias = Prompt | tuple[Prompt | CacheMark, ...]
"""Standing instructions; of several texts those before a cache mark are worth keeping."""
SystemTexts: TypeAlias = str | Sequence[str | CacheMark]
ModelName: TypeAlias = Model | str

TURNS = 16
"""Model calls of one activation at most, unless the agent says otherwise: what openagents allowed its ReAct loop."""
PARALLEL_CALLS = 10
"""Calls of one turn that run at the same time, unless the agent says otherwise: as many as openagents' executor allowed."""


class AgentOptions(NodeOptions, SettingsOptions, total=False):
    """Everything about an agent but its name and types; `Agent` says what each means."""

    model: ModelName | None
    prompt: str | None
    prompt_file: str | None
    system: SystemTexts | None
    tools: Sequence[Callee]
    sub_agents: Sequence[Callee]
    handoffs: Sequence[AnyNode | Handoff | str]
    mcp: Sequence[AnyNode]
    recalls: Sequence[Callee]
    examples: Sequence[tuple[Any, Any]]
    description: str
    max_turns: int
    max_parallel_calls: int
    repairs: int


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
        recalls: what it is reminded by before it answers: nodes that take the text of the user's turn, above all
            `memory.recall_node` (`graphflow.memory`). Their answers stand fenced in that turn; the model cannot call them.
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
        retry, timeout_s, cache, policy, approval, approval_timeout_s, reads, adds, sets: as for every node (`NodeOptions`).
    """

    kind: ClassVar[str] = "agent"
    enters: ClassVar[Literal["never", "called", "always"]] = "called"

    model: ModelName | None
    prompt: Prompt | None
    system: SystemPrompt | None
    examples: tuple[tuple[Any, Any], ...]
    max_turns: int
    max_parallel_calls: int
    repairs: int
    recalls: tuple[Callee, ...]
    unoffered: frozenset[str]
    """Names of what it has a call edge to for `recalls` alone: its model is not offered those."""
    settings: Settings
    handoffs: tuple[Handoff, ...]
    turns = former_name("turns", "max_turns")
    at_once = former_name("at_once", "max_parallel_calls")

    @overload
    def __init__(
        self: Agent[Any, str],
        name: str,
        *,
        input: None = ...,
        output: None = ...,
        **options: Unpack[AgentOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Agent[A, str],
        name: str,
        *,
        input: type[A],
        output: None = ...,
        **options: Unpack[AgentOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Agent[Any, B],
        name: str,
        *,
        input: None = ...,
        output: type[B],
        **options: Unpack[AgentOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: Agent[A, B],
        name: str,
        *,
        input: type[A],
        output: type[B],
        **options: Unpack[AgentOptions],
    ) -> None: ...
    # A union is no `type[...]`: a type checker asks for an annotation, `judge: Agent[Draft, Yes | No] = Agent(...)`
    @overload
    def __init__(
        self,
        name: str,
        *,
        input: object = ...,
        output: object = ...,
        **options: Unpack[AgentOptions],
    ) -> None: ...
    def __init__(
        self,
        name: str,
        *,
        model: ModelName | None = None,
        input: Type = None,
        output: Type = None,
        prompt: str | None = None,
        prompt_file: str | None = None,
        system: SystemTexts | None = None,
        tools: Sequence[Callee] = (),
        sub_agents: Sequence[Callee] = (),
        handoffs: Sequence[AnyNode | Handoff | str] = (),
        mcp: Sequence[AnyNode] = (),
        recalls: Sequence[Callee] = (),
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
        # Where it is declared: errors name the line, prompt files lie beside it.
        caller = sys._getframe(1)
        check_model(model, f"agent {name!r}")
        _check_lists(name, tools=tools, sub_agents=sub_agents, handoffs=handoffs, mcp=mcp)
        _check_lists(name, recalls=recalls)
        former = take_renamed("agent", options)
        max_turns = former.get("max_turns", max_turns)
        max_parallel_calls = former.get("max_parallel_calls", max_parallel_calls)
        _check_counts(
            name, {"max_turns": max_turns, "max_parallel_calls": max_parallel_calls}, repairs
        )
        settings = Settings(
            temperature=temperature,
            max_tokens=max_tokens,
            stop=stop,
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
        output_type = str if output is None else output
        self._declare(
            name,
            ports=(Port("input", Any if input is None else input),),
            output=output_type,
            description=description,
            calls=_callees([*tools, *state_tools(options)], sub_agents, mcp, recalls),
            problems=_schema_problems(output_type),
            where=(caller.f_code.co_filename, caller.f_lineno),
            **options,
        )
        self._set(
            model=model,
            repairs=repairs,
            recalls=tuple(recalls),
            unoffered=names_unoffered(recalls, [*tools, *sub_agents]),
            examples=tuple(examples),
            max_turns=max_turns,
            max_parallel_calls=max_parallel_calls,
            prompt=_prompt(name, prompt, prompt_file, caller.f_globals.get("__file__")),
            system=_standing(system, name),
            handoffs=read_handoffs(name, handoffs),
            settings=settings.checked(f"agent {name!r}"),
        )

    def but(
        self,
        *,
        prompt: str | None = None,
        system: SystemTexts | None = None,
        model: ModelName | None = None,
        **settings: Unpack[SettingsOptions],
    ) -> Self:
        """The same agent with another prompt, other instructions, another model or other settings; for variants and forks.

        What is not given stays. It takes and answers the same.
        """
        whose = f"agent {self.name!r}"
        check_model(model, whose)
        changed: dict[str, object] = {}
        if prompt is not None:
            changed["prompt"] = Prompt(prompt)
        if system is not None:
            changed["system"] = _standing(system, self.name)
        if model is not None:
            changed["model"] = model
        if settings:
            changed["settings"] = replace(self.settings, **settings).checked(whose)
        return self.twin(**changed)

    @property
    def asks_model(self) -> bool:
        """It does."""
        return True

    @property
    def max_model_calls(self) -> int:
        """Model calls of one activation in the worst case."""
        offers_calls = len(self.calls) > len(self.unoffered)
        if offers_calls or self.handoffs:
            return self.max_turns
        return min(self.max_turns, 1 + self.repairs)

    def check_arrivals(self, incoming: Sequence[Type], deps: Type | None) -> list[str]:
        """What its prompts name that its messages do not have."""
        declared = self.ports[0].type
        message_types = list(incoming) if declared is Any else [declared]
        parts: list[object] = [self.prompt]
        if isinstance(self.system, tuple):
            parts += self.system
        else:
            parts.append(self.system)
        problems: list[str] = []
        for part in parts:
            if isinstance(part, Prompt):
                problems += part.prove(message_types, deps, self.reads)
        return problems

    async def activate(self, inputs: Inputs, ctx: Context) -> Out:
        """Asks the model, carries out its calls, asks again, until it answers with the output type, or hands over."""
        given = next(iter(inputs.values()))
        dialogue = _Dialogue(self, given, ctx)
        return cast(Out, await dialogue.answer())


class _Dialogue:
    """One activation of an agent: what was said so far, and what comes of it.

    turns:   example turns | what was said before | the message | reply | results | reply ...
                                                    ^ own: from here on it is this activation's
    """

    __slots__ = (
        *("agent", "attempts", "ctx", "handed", "message", "model", "names", "notes", "offer"),
        *("own", "schema", "system", "turns", "wrapped"),
    )

    def __init__(self, agent: Agent[Any, Any], given: Any, ctx: Context) -> None:
        self.agent = agent
        self.ctx = ctx
        self.message = given
        self.handed: tuple[Turn, ...] = ()
        if type(given) is Handover:
            self.message = given.message
            self.handed = given.turns
        self.model: Model = ctx.frame.model(agent)
        self.schema, self.wrapped = output_schema(agent.output)
        self.system = self._render_system()
        self.offer = self._new_offer()
        self.names = WireNames(spec.name for spec in self.offer.specs)
        self.turns = [*self._example_turns(), *self._earlier_turns(), self._user_turn(self.message)]
        self.own = len(self.turns) - 1  # the message itself
        self.notes = ""
        """What it was reminded of, between fences."""
        self.attempts: list[str] = []
        ctx.conversation = Conversation(self.turns)

    async def answer(self) -> Any:
        """What the agent answers, or the hand-over that it answers with.

        Raises:
            OutputInvalid: no answer fits the output type, after all repairs.
            LimitExceeded: it is still asking for calls after its last turn.
            ModelError: the model did not answer, or declined to.
        """
        agent = self.agent
        limited = agent.settings.max_tokens is not None
        if agent.recalls:
            self.notes = await recollect(agent.recalls, self._asked(), self.ctx)
        for number in range(agent.max_turns):
            if number and agent.calls:
                self._renew_offer()
            reply = await self._ask(first=number == 0)
            if reply is None:
                continue
            if reply.calls:
                handover = await self._carry_out(reply)
                if handover is not None:
                    return handover
            elif reply.finish == "pause":  # the provider's own tools want another round
                self.turns.append(reply.turn)
            else:
                try:
                    value = read_answer(reply, agent.output, limited=limited, agent=agent.name)
                except OutputInvalid as invalid:
                    self._ask_for_repair(reply, invalid)
                    continue
                self._join_conversation(reply)
                return value
        raise self._out_of_turns()

    # -- the questions -----------------------------------------------------------------------------
    def _render_system(self) -> str | tuple[str | CacheMark, ...]:
        system = self.agent.system
        if system is None:
            return ""
        if isinstance(system, Prompt):
            return system.render(self.message, self.ctx)
        parts: list[str | CacheMark] = []
        for part in system:
            if isinstance(part, Prompt):
                parts.append(part.render(self.message, self.ctx))
            else:
                parts.append(part)
        return tuple(parts)

    def _example_turns(self) -> list[Turn]:
        turns: list[Turn] = []
        for message, answer in self.agent.examples:
            shown = {WRAPPER: answer} if self.wrapped else answer
            turns += [self._user_turn(message), AssistantTurn(to_text(shown))]
        return turns

    def _earlier_turns(self) -> Sequence[Turn]:
        """What was said before this activation: in the conversation that it joins, or by who handed over."""
        joined = self.ctx.frame.conversation
        if joined is None and not self.handed:
            return ()
        settled = () if joined is None else joined.all_turns()
        names = [spec.name for spec in self.offer.specs]
        return without_unknown_calls([*settled, *self.handed], names)

    def _asked(self) -> UserTurn:
        """The turn that is answered."""
        turn = self.turns[self.own]
        assert isinstance(turn, UserTurn)
        return turn

    def _user_turn(self, message: Any) -> UserTurn:
        prompt = self.agent.prompt
        media = () if type(message) is str else tuple(media_in(message))
        if prompt is not None:
            text = prompt.render(message, self.ctx)
            return UserTurn((text, *media) if media else text)
        if not media:
            return UserTurn(to_text(message))
        if isinstance(message, Media):
            return UserTurn(media)
        return UserTurn((to_text(without_media(message)), *media))

    def _new_offer(self) -> Offer:
        frame, agent = self.ctx.frame, self.agent
        handoffs = frame.handoffs(agent) if agent.handoffs else ()
        return Offer(agent, self._reachable(), handoffs, self.ctx)

    def _reachable(self) -> Sequence[AnyNode]:
        """What its model may call now."""
        nodes = self.ctx.frame.reachable(self.agent)
        return without_recalled(nodes, self.agent.unoffered)

    def _renew_offer(self) -> None:
        """What the model may call now: servers change their tools, and the depth limit hides sub-agents."""
        # Most agents reach the same nodes as long as they live: their specs are made once.
        if self.offer.nodes != self._reachable():
            self.offer = self._new_offer()
        self.names.learn(spec.name for spec in self.offer.specs)

    def _request(self, *, first: bool) -> Request:
        settings = self.agent.settings
        if not first and settings.tool_choice is not None:
            # Else a forced call would be forced for ever.
            settings = replace(settings, tool_choice=None)
        # Who watches has seen pieces already, which cannot be taken back.
        restart = not self.ctx.frame.observed
        turns = with_notes(self.turns, self.own, self.notes) if self.notes else tuple(self.turns)
        tools = self.offer.specs
        return Request(turns, self.system, tools, self.schema, settings=settings, restart=restart)

    async def _ask(self, *, first: bool) -> Reply | None:
        """The model's reply; None if it could not be used, and the model was told so."""
        request = self._request(first=first)
        # Words are told as they come; of JSON, what can be read so far.
        partial = self.schema is not None
        try:
            offered = self.offer.open(self.ctx)
            reply = await ask(
                self.model, request, self.ctx, partial=partial, names=self.names, offered=offered
            )
            if reply.finish == "error":
                raise ToolUseFailed(
                    f"{self.model.name}: the reply was unusable ({reply.finish_raw})"
                )
        except ToolUseFailed as error:
            self._count_attempt(error.provider_message, str(error))
            hint = "Call a tool again with arguments that fit its schema, or answer."
            self.turns.append(UserTurn(f"{error}. {hint}"))
            return None
        # Before its calls: what a model asked for before it declined is not done.
        refusal = refusal_in(reply, self.model, self.ctx)
        if refusal is not None:
            raise refusal
        return reply

    async def _carry_out(self, reply: Reply) -> Handover | None:
        """Makes the calls of a reply; the hand-over that one of them is ends the activation."""
        # examples, and what a frame shares, do not travel.
        earlier = (*self.handed, *self.turns[self.own :])
        results = await carry_out(
            reply, self.offer, self.ctx, earlier, self.agent.max_parallel_calls
        )
        if isinstance(results, Handover):
            return results
        self.turns += [reply.turn, ToolTurn(results)]
        return None

    # -- the answer --------------------------------------------------------------------------------
    def _ask_for_repair(self, reply: Reply, invalid: OutputInvalid) -> None:
        """Shows the model its own error.

        Raises:
            OutputInvalid: asking again would not help, or all repairs are used up.
        """
        has_words = bool(reply.text.strip())
        if self.schema is None and (has_words or reply.finish == "length"):
            raise invalid  # there are words, or no room for any
        self._count_attempt(reply.text, str(invalid))
        if has_words:  # a turn without words would be refused by some APIs, and says nothing
            self.turns.append(reply.turn)
        wanted = "in words" if self.schema is None else "with nothing but JSON that fits"
        correction = UserTurn(f"{invalid}. Answer again, {wanted}.")
        self.turns.append(correction)

    def _count_attempt(self, text: str, problem: str) -> None:
        """Notes an answer that is of no use, or gives up with all attempts."""
        self.attempts.append(text)
        repairs = self.agent.repairs
        if len(self.attempts) <= repairs:
            return
        last = text[:200]
        who = f"agent {self.agent.name!r}"
        error = OutputInvalid(f"{who}: {problem} (after {repairs} repairs); last answer: {last!r}")
        error.attempts = tuple(self.attempts)
        raise error

    def _join_conversation(self, reply: Reply) -> None:
        """Adds what was said here to the conversation of the frame, if it has one."""
        joined = self.ctx.frame.conversation
        if joined is not None:  # only with the answer: half a turn is of no use to whoever reads it
            own = self.turns[self.own :]
            turns = (*own, reply.turn)
            joined.add(turns)
            self.ctx.frame.keep_turns(self.ctx, turns)

    def _out_of_turns(self) -> LimitExceeded:
        name = self.agent.name
        turns = self.agent.max_turns
        text = f"agent {name!r} asked its model {turns} times without coming to an answer; raise Agent(..., max_turns=...)"
        return LimitExceeded("turns", turns, self.ctx.path, text=text)


def _standing(system: object, name: str) -> SystemPrompt | None:
    """The standing instructions: one template, or several with cache marks among them."""
    if system is None:
        return None
    if isinstance(system, str):
        return Prompt(system)
    problem = f"agent {name!r}: system={system!r} must be a text, or texts with CACHE among them"
    if not isinstance(system, (list, tuple)) or not system:
        raise DeclarationError(problem)
    parts: list[Prompt | CacheMark] = []
    for part in system:
        if isinstance(part, str):
            parts.append(Prompt(part))
        elif isinstance(part, CacheMark):
            parts.append(part)
        else:
            raise DeclarationError(problem)
    return tuple(parts)


def _prompt(
    name: str, text: str | None, file: str | None, declared_in: str | None
) -> Prompt | None:
    """The template of the user's turn; a file lies beside the file that declares the agent."""
    if text is not None:
        if file is not None:
            raise DeclarationError(f"agent {name!r} has both prompt and prompt_file; give one")
        return Prompt(text)
    if file is None:
        return None
    folder = Path(declared_in).parent if declared_in else Path.cwd()
    return Prompt.read(folder / file)


def _callees(*lists: Sequence[Callee]) -> tuple[Callee, ...]:
    """What an agent may call; with a sub-agent in the background it also needs what awaits its answer."""
    callees = [callee for each in lists for callee in each]
    nodes = [callee for callee in callees if isinstance(callee, Node)]
    if any(node.in_background for node in nodes):
        callees.append(background)
    return tuple(callees)


def _check_counts(name: str, counts: Mapping[str, int], repairs: int) -> None:
    for option, count in counts.items():
        if count < 1:
            raise DeclarationError(f"agent {name!r}: {option}={count} must be at least 1")
    if repairs < 0:
        raise DeclarationError(f"agent {name!r}: repairs={repairs} must be at least 0")


def _check_lists(name: str, **given: object) -> None:
    for option, nodes in given.items():
        if isinstance(nodes, (str, Node)):
            raise DeclarationError(f"agent {name!r}: {option}={nodes!r}; give a list")


def _schema_problems(kind: Type) -> tuple[str, ...]:
    try:
        output_schema(kind)
    except Exception as error:
        reason = str(error).splitlines()[0]
        return (
            f"its output type makes no JSON schema: {reason}; use pydantic models and JSON types",
        )
    return ()
