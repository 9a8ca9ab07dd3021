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
from typing import (
    Any,
    ClassVar,
    Literal,
    Self,
    TypeAlias,
    Unpack,
    cast,
)

from graphflow._faces import former_name
from graphflow.compaction.policies import DEFAULT, ContextPolicy, Summarise, Window
from graphflow.compaction.units import Layout
from graphflow.declaration.arrows import In, Out
from graphflow.declaration.context import Context
from graphflow.declaration.handoffs import Handoff, Handover, read_handoffs
from graphflow.declaration.node import AnyNode, Callee, Inputs, Node
from graphflow.declaration.options import NodeOptions
from graphflow.declaration.ports import Port
from graphflow.declaration.turn_states import KEEPING_TURNS, turn_state
from graphflow.errors import (
    ContextOverflow,
    LimitExceeded,
    OutputInvalid,
    ToolUseFailed,
)
from graphflow.journal.units import turns_in, unit_text
from graphflow.keywords import take_renamed
from graphflow.kinds.agent_options import (
    callees_of,
    check_counts,
    check_lists,
    checked_context,
    checked_remembers,
    schema_problems,
    standing_texts,
    user_prompt,
)
from graphflow.kinds.excerpt import Excerpt
from graphflow.kinds.model_call import ask, refusal_in
from graphflow.kinds.output import WRAPPER, output_schema, read_answer
from graphflow.kinds.prompt_function import PromptFunction, WriteSystem
from graphflow.kinds.prompts import Prompt, shown_text
from graphflow.kinds.read_result import has_read, offered_of
from graphflow.kinds.recollection import (
    names_unoffered,
    recollect,
    with_notes,
)
from graphflow.kinds.repairs import count_attempt, tell_repaired
from graphflow.kinds.selection import Selection
from graphflow.kinds.state_tools import state_tools
from graphflow.kinds.summed_up import SummedUp
from graphflow.kinds.turn import Offer, carry_out
from graphflow.kinds.wire_names import WireNames
from graphflow.messages.media import Media, media_in, without_media
from graphflow.messages.message import to_text
from graphflow.messages.state import AnyState
from graphflow.messages.types import Type
from graphflow.messages.untrusted import is_marked, without_mark
from graphflow.model.conversation import Conversation, Remembers, without_unknown_calls
from graphflow.model.reply import Reply
from graphflow.model.resolve import check_model
from graphflow.model.seam import Model, Request
from graphflow.model.settings import Effort, Settings, SettingsOptions
from graphflow.model.turns import AssistantTurn, CacheMark, ToolTurn, Turn, UserTurn

SystemPart: TypeAlias = Prompt | PromptFunction
SystemPrompt: TypeAlias = SystemPart | tuple[SystemPart | CacheMark, ...]
"""Standing instructions; of several texts those before a cache mark are worth keeping."""
SystemTexts: TypeAlias = str | WriteSystem | Sequence[str | WriteSystem | CacheMark]
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
    context: ContextPolicy | None
    remembers: Remembers | None


class AgentNode(Node[In, Out]):
    """A model in a loop with tools and sub-agents: what `Agent` is to a walk. Users make an `Agent` (`graphflow.agent`)."""

    kind: ClassVar[str] = "agent"
    enters: ClassVar[Literal["never", "called", "always"]] = "called"

    model: ModelName | None
    prompt: Prompt | None
    system: SystemPrompt | None
    examples: tuple[tuple[Any, Any], ...]
    max_turns: int
    max_parallel_calls: int
    repairs: int
    context: ContextPolicy | None
    recalls: tuple[Callee, ...]
    unoffered: frozenset[str]
    """Names of what it has a call edge to for `recalls` alone: its model is not offered those."""
    turn_state: AnyState | None
    """Where it keeps what it has said in this run, if it is to be shown that."""
    settings: Settings
    handoffs: tuple[Handoff, ...]
    turns = former_name("turns", "max_turns")
    at_once = former_name("at_once", "max_parallel_calls")

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
        context: ContextPolicy | None = None,
        remembers: Remembers | None = None,
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
        check_lists(name, tools=tools, sub_agents=sub_agents, handoffs=handoffs, mcp=mcp)
        check_lists(name, recalls=recalls)
        former = take_renamed("agent", options)
        max_turns = former.get("max_turns", max_turns)
        max_parallel_calls = former.get("max_parallel_calls", max_parallel_calls)
        check_counts(
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
        tools = [*tools, *state_tools(options)]
        state = None
        if remembers in KEEPING_TURNS:
            state = turn_state(name)
            adds = options.get("adds", ())
            if isinstance(adds, (list, tuple)):  # else it is refused with the other options
                options["adds"] = [*adds, state]
        self._declare(
            name,
            ports=(Port("input", Any if input is None else without_mark(input)),),
            output=output_type,
            description=description,
            calls=callees_of(tools, sub_agents, mcp, recalls, context),
            problems=schema_problems(output_type),
            where=(caller.f_code.co_filename, caller.f_lineno),
            **options,
        )
        if is_marked(input):
            self._set(takes_untrusted=True)
        self._set(
            model=model,
            repairs=repairs,
            context=checked_context(name, context),
            recalls=tuple(recalls),
            unoffered=names_unoffered(recalls, [*tools, *sub_agents]),
            remembers=checked_remembers(name, remembers),
            turn_state=state,
            examples=tuple(examples),
            max_turns=max_turns,
            max_parallel_calls=max_parallel_calls,
            prompt=user_prompt(name, prompt, prompt_file, caller.f_globals.get("__file__")),
            system=standing_texts(system, name),
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
            changed["system"] = standing_texts(system, self.name)
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
            if isinstance(part, (Prompt, PromptFunction)):
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
        *(
            "agent",
            "attempts",
            "ctx",
            "excerpt",
            "handed",
            "has_masks",
            "message",
            "model",
            "names",
            "notes",
        ),
        *("offer", "own", "refused", "schema", "system", "turns", "wrapped"),
    )

    def __init__(self, agent: AgentNode[Any, Any], given: Any, ctx: Context) -> None:
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
        self.has_masks = False
        """Whether something was left out of results of its tools."""
        self.offer = self._new_offer()
        self.names = WireNames(spec.name for spec in self.offer.specs)
        examples = self._example_turns()
        self.turns = [*examples, *self._earlier_turns(), self._user_turn(self.message)]
        self.own = len(self.turns) - 1  # the message itself
        self.excerpt = self._excerpt(len(examples))
        """What its model is shown of the turns; None: all of them."""
        self.notes = ""
        """What it was reminded of, between fences."""
        self.attempts: list[str] = []
        self.refused: list[tuple[int, int]] = []
        """From where to where in the turns stand answers that were refused, each with what was said about it."""
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
                tell_repaired(self.ctx, self.attempts)
                self._join_conversation(reply)
                return value
        raise self._out_of_turns()

    # -- the questions -----------------------------------------------------------------------------
    def _render_system(self) -> str | tuple[str | CacheMark, ...]:
        system = self.agent.system
        if system is None:
            return ""
        if isinstance(system, (Prompt, PromptFunction)):
            return system.render(self.message, self.ctx)
        parts: list[str | CacheMark] = []
        for part in system:
            if isinstance(part, (Prompt, PromptFunction)):
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
        """What was said before this activation: before this run, in the conversation that it joins, or by who handed over."""
        frame = self.ctx.frame
        before = frame.remembered(self.ctx)
        # Here and not in each request: who cuts something out of it would cut through what nobody has found yet.
        if before and frame.mask is not None:
            before = frame.mask.turns(before, self.ctx.stamp, self.agent.name)
        remembered = [*before, *self._turns_of_run()]
        joined = frame.conversation
        if joined is None and not self.handed and not remembered:
            return ()
        settled = () if joined is None else joined.all_turns()
        earlier = [*remembered, *settled, *self.handed]
        # No provider takes calls of tools that a request does not declare.
        if not self.has_masks and has_read(earlier):
            self.has_masks = True
            self._renew_offer()
        names = [spec.name for spec in self.offer.specs]
        return without_unknown_calls(earlier, names)

    def _turns_of_run(self) -> Sequence[Turn]:
        """What it has said at this place earlier in this run, on the ways that led here."""
        state = self.agent.turn_state
        if state is None:
            return ()
        return turns_in(self.ctx.read(state), self.ctx.frame.name_of(self.agent))

    def _excerpt(self, examples: int) -> Excerpt | Selection | None:
        policy = self.agent.context
        if policy is None:
            if self.own == examples:  # nothing was said before
                return None
            policy = DEFAULT
        layout = Layout(examples, self.own)
        if isinstance(policy, Summarise):
            return SummedUp(policy, layout, self.model, self.ctx)
        if isinstance(policy, Window):
            return Excerpt(policy, layout, self.model, self.ctx)
        return Selection(policy, layout, self.model, self.ctx)

    def _asked(self) -> UserTurn:
        """The turn that is answered."""
        turn = self.turns[self.own]
        assert isinstance(turn, UserTurn)
        return turn

    def _user_turn(self, message: Any) -> UserTurn:
        turn = self._question_turn(message)
        mask = self.ctx.frame.mask
        if mask is None:
            return turn
        # A prompt is made of more than the message: what is kept of it is what the model has seen.
        return mask.value(turn, "turns", self.ctx.stamp, self.agent.name)

    def _question_turn(self, message: Any) -> UserTurn:
        prompt = self.agent.prompt
        media = () if type(message) is str else tuple(media_in(message))
        if prompt is not None:
            text = prompt.render(message, self.ctx)
            return UserTurn((text, *media) if media else text)
        if not media:
            return UserTurn(shown_text(message, self.agent))
        if isinstance(message, Media):
            return UserTurn(media)
        return UserTurn((shown_text(without_media(message), self.agent), *media))

    def _new_offer(self) -> Offer:
        frame, agent = self.ctx.frame, self.agent
        handoffs = frame.handoffs(agent) if agent.handoffs else ()
        return Offer(agent, self._reachable(), handoffs, self.ctx)

    def _reachable(self) -> Sequence[AnyNode]:
        """What its model may call now."""
        nodes = self.ctx.frame.reachable(self.agent)
        return offered_of(nodes, self.agent.unoffered, has_masks=self.has_masks)

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
        try:
            if self.excerpt is None:
                reply = await self._question(request)
            else:
                reply = await self._question_of(request, self.excerpt)
            if reply.finish == "error":
                raise ToolUseFailed(
                    f"{self.model.name}: the reply was unusable ({reply.finish_raw})"
                )
        except ToolUseFailed as error:
            count_attempt(
                self.ctx, self.attempts, error.provider_message, str(error), self.agent.repairs
            )
            hint = "Call a tool again with arguments that fit its schema, or answer."
            self.refused.append((len(self.turns), len(self.turns) + 1))
            self.turns.append(UserTurn(f"{error}. {hint}"))
            return None
        # Before its calls: what a model asked for before it declined is not done.
        refusal = refusal_in(reply, self.model, self.ctx)
        if refusal is not None:
            raise refusal
        return reply

    async def _question_of(self, request: Request, excerpt: Excerpt | Selection) -> Reply:
        """The reply to what fits of a request; a provider that finds it too long all the same is asked once more."""
        shown = self._with_fetcher(await excerpt.fit(request), excerpt)
        try:
            reply = await self._question(shown)
        except ContextOverflow as error:
            shown = self._with_fetcher(await excerpt.after_overflow(request, error), excerpt)
            reply = await self._question(shown)
        excerpt.count(request, reply)
        return reply

    def _with_fetcher(self, request: Request, excerpt: Excerpt | Selection) -> Request:
        """The request with the tool that fetches what is left out of results, once something is."""
        if self.has_masks or not excerpt.has_masks:
            return request
        self.has_masks = True
        self._renew_offer()
        return replace(request, tools=self.offer.specs)

    async def _question(self, request: Request) -> Reply:
        # Words are told as they come; of JSON, what can be read so far.
        partial = self.schema is not None
        offered = self.offer.open(self.ctx)
        return await ask(
            self.model, request, self.ctx, partial=partial, names=self.names, offered=offered
        )

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
        count_attempt(self.ctx, self.attempts, reply.text, str(invalid), self.agent.repairs)
        self.refused.append((len(self.turns), len(self.turns) + 1 + has_words))
        if has_words:  # a turn without words would be refused by some APIs, and says nothing
            self.turns.append(reply.turn)
        wanted = "in words" if self.schema is None else "with nothing but JSON that fits"
        correction = UserTurn(f"{invalid}. Answer again, {wanted}.")
        self.turns.append(correction)

    def _join_conversation(self, reply: Reply) -> None:
        """Adds what was said here to the conversation of the frame, and to that of the run, if there is one."""
        frame = self.ctx.frame
        joined, state = frame.conversation, self.agent.turn_state
        if joined is None and state is None and not frame.remembers:
            return
        # Only with the answer: half a turn is of no use to whoever reads it.
        turns = (*self._own_turns(), reply.turn)
        if state is not None:
            self.ctx.add(state, [unit_text(frame.name_of(self.agent), turns)])
        if joined is not None:
            joined.add(turns)
        if joined is not None or frame.remembers:
            frame.keep_turns(self.ctx, turns)

    def _own_turns(self) -> list[Turn]:
        """The turns of this activation, without answers that were refused and what was said about them."""
        turns = list(self.turns)
        for first, end in reversed(self.refused):
            del turns[first:end]
        return turns[self.own :]

    def _out_of_turns(self) -> LimitExceeded:
        name = self.agent.name
        turns = self.agent.max_turns
        text = f"agent {name!r} asked its model {turns} times without coming to an answer; raise Agent(..., max_turns=...)"
        return LimitExceeded("turns", turns, self.ctx.path, text=text)
