"""What a node can reach from within a frame: calls along its edges, frames of its own, models, and what is kept.

Rules:
1. A call stands in one order: the edge exists, the step is charged, the arguments fit, policies allow it, its kind is
   charged, somebody agrees if that is asked for, then it is done. What stops it before the last has done nothing.
2. Entering a frame is refused by depth before anything else happens.
3. What is retried is the node, not the consent: a call is allowed and approved once, and its key stays the same. If its
   caller is tried again, and asks the same again, it gets the answer that there is (`places.py`): nothing is done twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context as Variables
from contextvars import copy_context
from random import random
from typing import TYPE_CHECKING, Any

from graphflow.concurrency import let_timers_stop
from graphflow.contexts import adopt, within
from graphflow.declaration.background import Background, cut_off
from graphflow.declaration.node import Context, Node, Retry, find_callee, read_message
from graphflow.errors import (
    ApprovalRefused,
    LimitExceeded,
    ModelUnset,
    PolicyRefused,
    ToolError,
    WalkCancelled,
)
from graphflow.events import (
    AnswerKept,
    ApprovalAsked,
    Approved,
    ArtifactKept,
    BackgroundFinished,
    BackgroundStarted,
    CacheHit,
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    FrameEntered,
    FrameExited,
    NodeRetried,
    Scope,
    Status,
)
from graphflow.limits import Answered, Ledger, Limits, tightest
from graphflow.messages.artifacts import Artifact, pack
from graphflow.messages.copies import copy_of
from graphflow.messages.message import error_text
from graphflow.model.conversation import Conversation
from graphflow.model.seam import Model
from graphflow.places import Asking, Place, outermost, place_in
from graphflow.policy import Policy, Use, also
from graphflow.proofs.program import Program
from graphflow.proofs.proven import ProvenGraph, solo
from graphflow.redaction import scrub
from graphflow.runtime.attempts import in_time, of_its_own
from graphflow.runtime.cache import copied
from graphflow.runtime.consent import NOBODY, answer_of, denied_on_arrows
from graphflow.runtime.fast_path import asked_to_stop
from graphflow.runtime.validation import check_deps, check_input, check_output
from graphflow.runtime.waits import is_for_us, waiting_for, working_on

if TYPE_CHECKING:
    from graphflow.runtime.run_scope import Shared

UNFIT = "[arguments that do not fit]"
"""What stands in the journal for arguments that could not be read: nobody knows which of them is a secret."""


Origin = tuple["Reach", int, Node[Any, Any], Any, "Call | None"]
"""Where a frame was entered: the frame around it, the activation there, what was entered, its message, and the call."""


class Call:
    """One call under way, for those it goes through."""

    __slots__ = ("caller", "conversation", "place", "policies")

    def __init__(
        self, caller: Node[Any, Any], place: Place, policies: tuple[Policy, ...], conversation: Conversation | None
    ) -> None:
        self.caller = caller
        self.place = place
        self.policies = policies
        self.conversation = conversation


class Reach:
    """A frame as its nodes see it."""

    __slots__ = (
        "_within",
        "asking",
        "callees",
        "conversation",
        "default",
        "denied",
        "deps",
        "ledger",
        "number",
        "origin",
        "places",
        "policies",
        "program",
        "shared",
    )

    def __init__(
        self,
        shared: Shared,
        program: Program,
        ledger: Ledger,
        default: Model | str | None,
        deps: Any,
        policies: tuple[Policy, ...] = (),
        callees: Mapping[str, tuple[Node[Any, Any], ...]] | None = None,
        conversation: Conversation | None = None,
        origin: Origin | None = None,
        entered: Node[Any, Any] | None = None,
    ) -> None:
        self.shared = shared
        self.program = program
        self.ledger = ledger
        self.default = default
        """The model for nodes that name none."""
        self.deps = deps
        self.policies = policies
        """What calls need the consent of, the outermost first."""
        self.denied: dict[str, str] | None = None
        """Nodes on this frame's arrows that a policy denies, and why; None = there are none."""
        if policies:
            self.denied = denied_on_arrows(program, policies, entered)
        self.callees = program.callees if callees is None else callees
        self.conversation = conversation
        """What the agents of this frame go on from; None: each begins anew."""
        self.origin = origin
        """Where this frame was entered; None: it is the outermost."""
        self._within: Place | None = None
        self.asking: Asking | None = None
        self.places: dict[int, Place] | None = None
        """Where the activations under way stand, of those that have asked."""
        self.number = len(shared.run.frames)
        shared.run.frames.append((program, ledger.path, ledger.limits))

    def walked(self, message: Any) -> Awaitable[Any]:
        """Walks to the graph's output, within this frame's own deadline."""
        raise NotImplementedError

    # -- what a context asks -------------------------------------------------------------------------------------------
    @property
    def path(self) -> tuple[str, ...]:
        return self.ledger.path

    @property
    def depth(self) -> int:
        return self.ledger.depth

    @property
    def session(self) -> str | None:
        return self.shared.session

    @property
    def limits(self) -> Limits:
        return self.ledger.left()

    @property
    def observed(self) -> bool:
        return self.shared.run.observed

    def clock(self) -> float:
        return time.perf_counter() - self.shared.run.began

    def record(self, kind: type[Event], activation: int, **fields: Any) -> None:
        self.shared.run.tell(kind(self.clock(), self.number, activation, **fields))  # type: ignore[call-arg]  # of a kind that has one

    def tell(self, event: Event) -> None:
        """Hands on an event that was made outside: a model's deltas come by the thousand."""
        self.shared.run.tell(event)

    def held(self, name: str, make: Callable[[], Any]) -> Any:
        """What the run holds under that name, made when it is first asked for; its `close()` is awaited when the run ends."""
        return self.shared.hold(name, make)

    def reachable(self, caller: Node[Any, Any], ctx: Context | None = None) -> Sequence[Node[Any, Any]]:
        """What a node may call now: no sub-agents at the depth limit, nothing that a policy refuses anyway.

        `ctx`: of who would call it, or its own; their policies hold for its calls, too.
        """
        policies = self._policies(caller, None if ctx is None else self._policies(ctx.node, ctx.policies))
        callees = self._edges(caller)
        if self.ledger.at_depth_limit:
            callees = tuple(callee for callee in callees if callee.enters == "never")
        if policies:
            callees = tuple(c for c in callees if not any(p.refuses(c.name, c.effects, c.names) for p in policies))
        return callees

    def handoffs(self, node: Node[Any, Any]) -> Sequence[Any]:
        """The hand-over edges of a node that this frame's graph has, as (handoff, target)."""
        policies = self._policies(node)
        links = self.program.handoffs.get(node.name, ())
        return [
            pair for pair in links if not any(p.refuses(pair[1].name, pair[1].effects, pair[1].names) for p in policies)
        ]

    def model(self, caller: Node[Any, Any]) -> Model:
        named = getattr(caller, "model", None) or self.default
        if named is None:
            raise ModelUnset(caller.name, self.program.name)
        if not isinstance(named, str):
            return named
        return self.shared.open(named)

    def ends(self, error: BaseException) -> bool:
        """Whether an error is a limit of this frame or of one around it, which nothing inside may swallow."""
        return isinstance(error, LimitExceeded) and error.ledger is not None and self.ledger.contains(error.ledger)

    def charge_model_call(self) -> int:
        """Allows one question to a model, and gives it its number within the run."""
        self.ledger.check_spent()
        self.ledger.charge("model_calls")
        self.shared.questions += 1
        return self.shared.questions

    def add_model_call(self, reply: Answered) -> None:
        self.ledger.add_model_call(reply)

    def background(self, caller: Node[Any, Any] | None, handle: str) -> Background | None:
        """The background call of that handle, if it is one that the caller has an edge for: handles are easy to guess."""
        found = self.shared.backgrounds.get(handle)
        if found is None or caller is None:
            return None
        return found if any(found.called is node for node in self._edges(caller)) else None

    def keep(self, activation: int, node: str, name: str, payload: Any, kind: str, mime: str) -> Artifact:
        artifact, content = pack(name, payload, kind, mime)
        self.shared.run.kept.setdefault(artifact.digest, content)
        self.record(ArtifactKept, activation, node=node, artifact=artifact)
        return artifact

    # -- places --------------------------------------------------------------------------------------------------------
    def scope_of(self, activation: int) -> Scope:
        """The forks and laps that led to an activation under way; empty where only one can be under way at a time."""
        raise NotImplementedError

    @property
    def within(self) -> Place:
        """The place that this frame lies in."""
        if self._within is None:
            if self.origin is None:
                self._within = outermost(self.shared.run.id)
            else:
                parent, activation, node, message, call = self.origin
                place = parent.place_of(node, {"": message}, activation) if call is None else call.place
                self._within = place
        return self._within

    def place_of(self, node: Node[Any, Any], inputs: Mapping[str, Any], activation: int) -> Place:
        """Where an activation stands: the same for all of its tries."""
        if self.places is None:
            self.places, self.asking = {}, Asking(self.within)
        if activation not in self.places:
            self.places[activation] = self._stands(node, _message(inputs), activation)
        return self.places[activation]

    def _stands(self, node: Node[Any, Any], message: Any, activation: int) -> Place:
        if self.origin is not None:
            assert self.asking is not None
            whom = f"{node.name} {self.scope_of(activation)}"
            return self.asking.ask(whom, message, lasting=is_done_once(node))
        # Nobody around the outermost frame could walk here again, so there is nothing to meet and nothing to remember: one
        # activation comes after another, or its scope is its own.
        way = str(activation) if self.program.straight else str(self.scope_of(activation))
        return place_in(self.within, f"{node.name} {way}")

    # -- calls ---------------------------------------------------------------------------------------------------------
    def _edges(self, caller: Node[Any, Any]) -> tuple[Node[Any, Any], ...]:
        callees = self.callees.get(caller.name, ())
        return callees if self.shared.sources is None else self.shared.sources.expanded(callees)

    def _policies(self, caller: Node[Any, Any], around: tuple[Policy, ...] | None = None) -> tuple[Policy, ...]:
        held = self.policies if around is None else around
        return also(held, caller.policy)

    async def call(
        self,
        ctx: Context,
        callee: Node[Any, Any] | str,
        message: Any,
        read: Callable[[Node[Any, Any], Any], Any] = read_message,
    ) -> Any:
        await let_timers_stop()
        caller, activation = ctx.node, ctx.activation
        node = find_callee(caller, callee, self._edges(caller))
        run = self.shared.run
        self.ledger.charge("steps")  # a call that is refused is no step: nothing is told of it
        self.shared.calls += 1
        number = self.shared.calls
        unfit: Exception | None = None
        try:
            given = read(node, message)
        except Exception as error:
            given, unfit = UNFIT, error
        run.tell(CallStarted(self.clock(), self.number, activation, number, caller.name, node.name, copy_of(given)))
        started = self.clock()
        try:
            if unfit is not None:
                raise unfit
            place = ctx.asking.ask(node.name, given, lasting=node.asked_once)  # nothing has been awaited so far
            call = Call(caller, place, self._policies(caller, ctx.policies), ctx.conversation)
            self._permit(node, given, call)
            output = await within(copy_context(), self._asked(node, given, activation, call))
        except BaseException as error:
            run.tell(CallFailed(self.clock(), self.number, activation, number, node.name, error, started))
            raise
        run.tell(CallFinished(self.clock(), self.number, activation, number, node.name, copy_of(output), started))
        return output

    async def perform_once(self, node: Node[Any, Any], inputs: dict[str, Any], activation: int) -> Any:
        """The output of an activation in a frame that may be walked again; an earlier walk's, if there is one."""
        place = self.place_of(node, inputs, activation)
        effect = place.effect
        if effect is None:
            return await self.perform(node, inputs, activation)
        if await effect.once(lambda: self.perform(node, inputs, activation)):
            self.record(AnswerKept, activation, node=node.name, key=place.key)
            return copied(effect.answer)
        return effect.answer

    async def _asked(self, node: Node[Any, Any], given: Any, activation: int, call: Call) -> Any:
        """The answer to a call: an earlier try's, if there is one that must not be asked for again."""
        effect = call.place.effect
        if effect is None:
            return await self._called(node, given, activation, call)
        if isinstance(effect.answer, Background) and effect.answer.status not in ("running", "completed"):
            effect.answered = False
        if await effect.once(lambda: self._called(node, given, activation, call)):
            self.record(AnswerKept, activation, node=node.name, key=call.place.key)
            return effect.answer if node.in_background else copied(effect.answer)
        return effect.answer

    def permit(self, ctx: Context, node: Node[Any, Any], given: Any) -> None:
        """Refuses a hand-over that a policy does not allow."""
        place = Asking(ctx.place).ask(f"handing over to {node.name}", given, lasting=False)
        self._permit(node, given, Call(ctx.node, place, self._policies(ctx.node, ctx.policies), None))

    def _permit(self, node: Node[Any, Any], given: Any, call: Call) -> None:
        if not call.policies:
            return
        use = self._use(node, given, call.place)
        for policy in call.policies:
            if (why := policy.judge(use)) is not None:
                raise PolicyRefused(f"{node.name!r} may not be called here: {why}")

    def _use(self, node: Node[Any, Any], given: Any, place: Place) -> Use:
        target = node.entry()[0].name
        shown = copied(given)  # who is asked may change what is shown, and not what is done
        return Use(node.name, node.kind, node.effects, shown, self.path, place.key, target, node.names)

    async def _called(self, node: Node[Any, Any], given: Any, activation: int, call: Call) -> Any:
        if node.meter is not None:
            self.ledger.charge(node.meter)  # type: ignore[arg-type]  # a node's meter is one of METERS
        if node.in_background:
            return self._begin_background(node, given, activation, call)
        return await self._entered(node, given, activation, call)

    async def _entered(self, node: Node[Any, Any], given: Any, activation: int, call: Call) -> Any:
        if node.enters == "called":
            return await self.enter(activation, node, given, None, call)
        name = "" if node.enters == "always" else node.ports[0].name
        return await self.perform(node, {name: given}, activation, call)

    # -- frames --------------------------------------------------------------------------------------------------------
    async def enter(
        self, activation: int, node: Node[Any, Any], message: Any, limits: Limits | None, call: Call | None = None
    ) -> Any:
        """Pushes a frame for a graph or agent and walks it to its end."""
        shared = None if call is None or node.isolation != "shared" else call.conversation
        if shared is None:
            child, message = self._pushed(activation, node, message, limits, call)
            return await child._walked_through(activation, message)
        async with shared.lock:
            child, message = self._pushed(activation, node, message, limits, call)
            return await child._walked_through(activation, message)

    def _pushed(
        self, activation: int, node: Node[Any, Any], message: Any, limits: Limits | None, call: Call | None
    ) -> tuple[Reach, Any]:
        """The frame of a graph or agent, and its message checked."""
        target, edge_limits = node.entry()
        graph = target if isinstance(target, ProvenGraph) else solo(target)
        own = tightest(graph.limits, edge_limits, limits)
        ledger = self.ledger.enter(node.name, own)  # refuses by depth, before anything is done
        message = check_input(graph, message)
        deps = node.child_deps(self.deps)
        check_deps(graph.name, graph.deps, deps)
        policies = self.policies if call is None else call.policies
        policies = also(policies, node.policy, graph.policy)
        child = type(self)(
            self.shared,
            graph.program,
            ledger,
            graph.model if graph.model is not None else self.default,
            deps,
            policies,
            None if isinstance(target, ProvenGraph) else self.callees,
            _joined(node, None if call is None else call.conversation),
            (self, activation, node, message, call),
            target,
        )
        return child, message

    async def _walked_through(self, activation: int, message: Any) -> Any:
        """Walks this frame, and tells when it is entered and left."""
        run = self.shared.run
        parent = 0 if self.origin is None else self.origin[0].number
        run.tell(FrameEntered(self.clock(), self.number, parent, activation, self.path, message))
        try:
            output = await self.walked(message)
        except BaseException as error:
            run.tell(FrameExited(self.clock(), self.number, status_of(error), None, _told(error)))
            raise
        run.tell(FrameExited(self.clock(), self.number, "completed", output))
        return output

    def _begin_background(self, node: Node[Any, Any], given: Any, activation: int, call: Call) -> Background:
        """Refuses by depth and input type here and now; the rest is done in a task of the run's."""
        target, _ = node.entry()
        check_input(target if isinstance(target, ProvenGraph) else solo(target), given)
        self.ledger.enter(node.name, None)
        if call.conversation is not None:  # as it is now, not as it will be
            call.conversation = Conversation(call.conversation.settled())
        known = self.shared.backgrounds
        handle = f"{node.name}-{1 + sum(other.node == node.name for other in known.values())}"
        background = known[handle] = Background(handle=handle, node=node.name)
        self.record(BackgroundStarted, activation, node=node.name, handle=handle)
        work = self._in_background(node, given, activation, call, background)
        task = asyncio.get_running_loop().create_task(work)
        background.begin(node, task)
        begun = self.clock()

        def told(task: asyncio.Task[Any]) -> None:
            if not background.has_ended:  # it was cancelled before its first step
                self._tell_ended(background, activation, ("cancelled", None, None), begun)

        task.add_done_callback(told)
        return background

    def _tell_ended(
        self, background: Background, activation: int, ending: tuple[Status, Any, BaseException | None], started: float
    ) -> None:
        background.note_end()
        if background.was_cut_off and ending[0] == "cancelled":
            ending = ("cancelled", None, cut_off(background))
        told: dict[str, Any] = dict(zip(("status", "output", "error"), ending, strict=True))
        node, handle = background.node, background.handle
        self.record(BackgroundFinished, activation, node=node, handle=handle, **told, started=started)

    async def _in_background(
        self, node: Node[Any, Any], given: Any, activation: int, call: Call, background: Background
    ) -> Any:
        started = self.clock()
        ending: tuple[Status, Any, BaseException | None] = ("cancelled", None, None)
        try:
            output = await self._until_deadline(node, given, activation, call)
            ending = ("completed", output, None)
            return output
        except BaseException as error:
            ending = (status_of(error), None, error)
            raise
        finally:
            self._tell_ended(background, activation, ending, started)

    async def _until_deadline(self, node: Node[Any, Any], given: Any, activation: int, call: Call) -> Any:
        """A background call is in nobody's scope, so the deadlines around it are kept here."""
        book = self.ledger.first_deadline()
        if book is None:
            return await self._entered(node, given, activation, call)
        clock = asyncio.timeout_at(book.deadline)
        try:
            async with clock:
                output = await self._entered(node, given, activation, call)
        except TimeoutError:
            if clock.expired():
                raise book.exceeded("seconds") from None
            raise
        self.ledger.check_time()
        return output

    # -- one activation ------------------------------------------------------------------------------------------------
    async def perform(
        self, node: Node[Any, Any], inputs: dict[str, Any], activation: int, call: Call | None = None
    ) -> Any:
        """The output of one activation: approved, looked up, retried, timed and checked as the node says."""
        judged = call is None and self.policies and (node.effects or node.meter is not None)
        if node.plain and node.concurrency_safe and not judged:
            try:
                output = await self._answer(node, inputs, activation, call)
            except ToolError as error:
                if error.retry is None or error.retry.attempts < 2 or self._told_to_stop(0, error):
                    raise
                await self._pause(node, activation, 2, error.retry, error)
                return await self._retried(node, inputs, activation, call, 2)
            check_output(node, output)
            return output
        if call is None:
            inputs = {port: node.read(message) for port, message in inputs.items()}
        if judged:
            self._permit(
                node, _message(inputs), Call(node, self.place_of(node, inputs, activation), self.policies, None)
            )
        if node.approval:
            await self._approved(node, inputs, activation, call)
        if node.cache:
            return await self._remembered(node, inputs, activation, call)
        return await self._tried(node, inputs, activation, call)

    async def _approved(self, node: Node[Any, Any], inputs: dict[str, Any], activation: int, call: Call | None) -> None:
        message = _message(inputs)
        if callable(node.approval) and not node.approval(message):
            return
        place = self.place_of(node, inputs, activation) if call is None else call.place
        said = place.effects.consents.get(place.key)
        failed: Exception | None = None
        if said is None:
            said, failed = await self._consent(node, message, activation, place)
        if said is not True:
            why = f": {said}" if said else "; nothing was done"
            raise ApprovalRefused(f"{node.name!r} needs approval, and it was not given{why}") from failed

    async def _consent(
        self, node: Node[Any, Any], message: Any, activation: int, place: Place
    ) -> tuple[bool | str, Exception | None]:
        """What somebody says of a call (True, or why not), and what went wrong with asking."""
        use = self._use(node, message, place)
        ask = self.shared.approve
        failed: Exception | None = None
        answer: bool | str
        if ask is not None:
            self.record(ApprovalAsked, activation, node=node.name, key=use.key)
        try:
            answer = NOBODY if ask is None else await answer_of(ask, use)
        except Exception as error:  # its text is for those who wrote the hook, not for the model
            failed, answer = error, f"asking for it failed with {type(error).__name__}"
        granted = answer is True
        why = answer if isinstance(answer, str) else ""
        self.record(Approved, activation, node=node.name, key=use.key, granted=granted, why=why)
        said: bool | str = granted or why
        if ask is not None and failed is None:  # somebody has decided: nobody is asked twice
            place.effects.consents[place.key] = said
        return said, failed

    async def _remembered(
        self, node: Node[Any, Any], inputs: dict[str, Any], activation: int, call: Call | None
    ) -> Any:
        memory = self.shared.remembered(node)
        key = memory.key(node, inputs, self._around(node, call) if node.sees_run else ())
        while key is not None and (known := memory.get(key)) is not None:
            if not known.done():
                if is_for_us(known):
                    key = None
                    break
                with waiting_for(known):
                    await asyncio.wait([known])
            if not known.cancelled() and known.exception() is None:
                self.record(CacheHit, activation, node=node.name)
                return copied(known.result())
            memory.forget(key, known)
        if key is None:
            return await self._tried(node, inputs, activation, call)
        future = memory.begin(key, float(node.cache))
        try:
            with working_on(future):
                output = await self._tried(node, inputs, activation, call)
        except BaseException:
            memory.forget(key, future)
            future.cancel()
            raise
        future.set_result(copied(output))
        return output

    def _around(self, node: Node[Any, Any], call: Call | None) -> tuple[Any, ...]:
        """What an answer may depend on beside what was asked."""
        if node.enters == "never" and not node.calls and not getattr(node, "asks_model", False):
            return self.deps, self.session
        return self.deps, self.session, self.default, self.policies if call is None else call.policies

    async def _tried(self, node: Node[Any, Any], inputs: dict[str, Any], activation: int, call: Call | None) -> Any:
        turn = None if node.concurrency_safe else self.shared.turn_of(node)
        if turn is None or is_for_us(turn):
            return await self._retried(node, inputs, activation, call)
        with waiting_for(turn):
            await turn.acquire()
        try:
            with working_on(turn):
                return await self._retried(node, inputs, activation, call)
        finally:
            turn.release()

    async def _retried(
        self, node: Node[Any, Any], inputs: dict[str, Any], activation: int, call: Call | None, attempt: int = 1
    ) -> Any:
        """The output of the first attempt that succeeds. Each begins with the variables that were set before the first."""
        task = asyncio.current_task()
        cancelled = task.cancelling() if task is not None else 0
        while True:
            variables = copy_context()
            try:
                output = await self._once(node, inputs, activation, call, variables)
                check_output(node, output)
                adopt(variables)
                return output
            except Exception as error:
                retry = _wanted(node, error)
                if retry is None or attempt >= retry.attempts or self._told_to_stop(cancelled, error):
                    adopt(variables)
                    raise
                problem = error
            attempt += 1
            await self._pause(node, activation, attempt, retry, problem)

    def _told_to_stop(self, before: int, error: Exception) -> bool:
        """Whether what failed may have failed because its task was told to stop."""
        task = asyncio.current_task()
        return task is not None and asked_to_stop(self, task, before, error)

    async def _pause(
        self, node: Node[Any, Any], activation: int, attempt: int, retry: Retry, problem: Exception
    ) -> None:
        """Tells that attempt number so much is to come, and waits as long as `retry` says."""
        wait_s = retry.wait_before(attempt, problem, random())
        told = _told(problem)
        self.record(NodeRetried, activation, node=node.name, attempt=attempt, error=told, wait_s=wait_s)
        await asyncio.sleep(wait_s)

    async def _once(
        self, node: Node[Any, Any], inputs: dict[str, Any], activation: int, call: Call | None, variables: Variables
    ) -> Any:
        """One attempt, with these context variables."""
        work = self._answer(node, inputs, activation, call)
        if node.timeout_s is None:
            return await within(variables, work)
        return await in_time(self, node, activation, work, variables)

    async def _answer(self, node: Node[Any, Any], inputs: dict[str, Any], activation: int, call: Call | None) -> Any:
        inputs = {port: copy_of(message) for port, message in inputs.items()}  # each attempt has its own
        if node.enters == "always":
            return await self.enter(activation, node, next(iter(inputs.values())), None, call)
        ctx = Context(self, node, activation, inputs, None if call is None else call.place)
        if call is not None:
            ctx.policies, ctx.caller, ctx.conversation = call.policies, call.caller, call.conversation
        return await of_its_own(node.name, node.activate(inputs, ctx))


def _joined(node: Node[Any, Any], conversation: Conversation | None) -> Conversation | None:
    """The conversation that a sub-agent goes on from."""
    if conversation is None or node.isolation == "isolated":
        return None
    return conversation if node.isolation == "shared" else Conversation(conversation.settled())


def is_done_once(node: Node[Any, Any]) -> bool:
    """Whether an activation on an arrow is not repeated when its frame is walked again: a tool that does something."""
    return node.meter is not None and node.asked_once


def _message(inputs: Mapping[str, Any]) -> Any:
    """What a node was given: its message, or the messages by port."""
    return next(iter(inputs.values())) if len(inputs) == 1 else inputs


def _wanted(node: Node[Any, Any], error: Exception) -> Retry | None:
    """How an error is retried: as the tool itself asks, else as its node says."""
    if isinstance(error, LimitExceeded):
        return None
    if isinstance(error, ToolError) and error.retry is not None:
        return error.retry
    retry = node.retry
    return retry if retry is not None and retry.wants(error) else None


def _told(error: BaseException) -> str:
    return scrub(f"{type(error).__name__}: {error_text(error)}")


def status_of(error: BaseException) -> Status:
    """The status that a walk ends in when this is raised."""
    if isinstance(error, LimitExceeded):
        return "limited"
    if isinstance(error, (asyncio.CancelledError, WalkCancelled)):
        return "cancelled"
    return "failed"
