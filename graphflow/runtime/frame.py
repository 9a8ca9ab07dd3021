"""A frame: one walk of one graph as its nodes see it, and what is under way in it.

    Frame           which graph, under which limits and policies, with which dependencies, entered from where
    Invocation      one activation or call of a node: what it was given, where it stands
    Call            what a call adds to that: who calls, with whose consent, out of which conversation

Rules:
1. A frame decides nothing and does nothing by itself. What carries out its calls stands above it (`Shell`); a frame is
   handed down what its parent has.
2. It is what contexts look into. What they may ask is in `declaration/context.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from graphflow.claims.guard import Reservation
from graphflow.compaction.omission import NOTHING_LEFT_OUT, LeftOut
from graphflow.declaration.background import Background
from graphflow.declaration.context import Context
from graphflow.declaration.handoffs import Handoff
from graphflow.declaration.inquiry import Inquiry
from graphflow.declaration.node import AnyNode, read_message, sole_message
from graphflow.errors import LimitExceeded, ModelUnset, PolicyRefused
from graphflow.events import ArtifactKept, Event, LimitWarning, Scope, TurnsAdded, ValueKept
from graphflow.journal.detail import NO_DETAIL, Detail, FrameForm
from graphflow.limits import Answered, Ledger, Limits
from graphflow.messages.artifacts import Artifact, pack
from graphflow.messages.state import StateWrites
from graphflow.model.conversation import Conversation
from graphflow.model.reply import Reply
from graphflow.model.seam import Model
from graphflow.model.turns import Turn
from graphflow.places import Asking, Place, outermost, place_at, place_in
from graphflow.policy import Policy, Use, also
from graphflow.proofs.program import Program, is_done_once
from graphflow.runtime.authors import beside, where
from graphflow.runtime.cache import copied
from graphflow.runtime.call import Call
from graphflow.runtime.denials import denied_on_arrows, is_refused
from graphflow.runtime.frame_states import FrameStates
from graphflow.runtime.records import FrameRecord, LeftFrame
from graphflow.runtime.run_scope import RunScope
from graphflow.runtime.watch import ClaimWatch
from graphflow.walk.commands import Activation
from graphflow.walk.machine import Walk
from graphflow.walk.revision import Revision

if TYPE_CHECKING:
    from graphflow.runtime.budget_keeper import BudgetKeeper
    from graphflow.runtime.recorder import RunRecorder
    from graphflow.runtime.run_mask import RunMask

H = TypeVar("H")
V = TypeVar("V")
Answer = Coroutine[Any, Any, Any]
"""What has to be awaited for an answer. Its type is the callee's, which only the caller's code knows."""
Read = Callable[[AnyNode, Any], object]
"""Makes of what a caller gives what the callee takes."""


@dataclass(frozen=True, slots=True)
class Shell:
    """What a frame has from above: the ways in which a node under way begins something new.

    Attributes:
        call: calls a node along a call edge.
        enter: enters a graph or an agent as a frame of its own.
        ask: asks the outside.
        take_up: begins the calls in the background of a frame again.
    """

    call: Callable[[Frame, Context, AnyNode | str, object, Read], Answer]
    enter: Callable[[Invocation, object, Limits | None], Answer]
    ask: Callable[[Frame, AnyNode, int, Place, Inquiry], Answer]
    take_up: Callable[[Frame], None]


NONE_CLOSED: frozenset[str] = frozenset()
"""No tool is forbidden by a claim."""


class Invocation:
    """One activation or call of a node, as it is carried out. What reads its messages makes another one."""

    __slots__ = ("activation", "attempt", "call", "frame", "inputs", "node", "reservation")

    def __init__(
        self,
        frame: Frame,
        node: AnyNode,
        inputs: Mapping[str, object],
        activation: int,
        call: Call | None = None,
        reservation: Reservation | None = None,
    ) -> None:
        self.frame = frame
        self.node = node
        self.inputs = inputs
        """What each port got; what is entered as a frame has one without a name."""
        self.activation = activation
        """Of a call, the activation that makes it."""
        self.attempt = 1  # all else stays
        self.call = call
        self.reservation = reservation
        """How claims have counted it; None if none sees it."""

    def given(self, inputs: Mapping[str, object]) -> Invocation:
        """The same with other messages."""
        return Invocation(
            self.frame, self.node, inputs, self.activation, self.call, self.reservation
        )

    def note_begun(self) -> None:
        """The node itself is at work: from now on it counts, however it ends."""
        if self.reservation is not None:
            self.reservation.has_begun = True

    @property
    def message(self) -> object:
        """What the node was given: its message, or the messages by port."""
        return sole_message(self.inputs)

    @property
    def place(self) -> Place:
        """Where it stands: the same for all of its attempts."""
        if self.call is not None:
            return self.call.place
        return self.frame.place_of(self.node, self.inputs, self.activation)

    @property
    def policies(self) -> tuple[Policy, ...]:
        """What calls from within need the consent of."""
        return self.frame.policies if self.call is None else self.call.policies

    @property
    def revision(self) -> Revision | None:
        """What the states are for it; None where it can see none."""
        if self.call is not None:
            return self.call.base
        walk = self.frame.walk
        return None if walk is None else walk.running[self.activation].revision

    @property
    def writes(self) -> StateWrites:
        """What it has written, once it has answered."""
        if self.call is not None:
            return self.call.writes
        return () if self.frame.states is None else self.frame.wrote.get(self.activation, ())

    def keep_writes(self, writes: StateWrites) -> None:
        """Keeps what it has written, for whoever tells of its end."""
        if self.call is not None:
            self.call.writes = writes
        elif writes:
            self.frame.wrote[self.activation] = writes
        elif self.frame.states is not None:
            self.frame.wrote.pop(self.activation, None)

    @property
    def stamp(self) -> tuple[float, int, int]:
        """What every event of it begins with: the time, the frame, the activation."""
        frame = self.frame
        return frame.clock(), frame.number, self.activation


class Frame:
    """One walk of one graph: the outermost, or what entering a graph or sub-agent has pushed."""

    __slots__ = (
        *("_within", "asking", "callees", "conversation", "default", "denied", "deps", "effects"),
        *("ledger", "number", "origin", "places", "policies", "program", "record", "shared"),
        *("shell", "states", "walk", "watch", "wrote"),
    )

    wrote: dict[int, StateWrites]
    """What activations have written that have answered, until it is told with their answer. The general walk begins it."""
    effects: dict[int, str]
    """The places of activations that may have changed the world and have answered, until that is told. As `wrote`."""

    def __init__(
        self,
        shell: Shell,
        shared: RunScope,
        program: Program,
        ledger: Ledger,
        default: Model | str | None,
        deps: object,
        policies: tuple[Policy, ...] = (),
        callees: Mapping[str, tuple[AnyNode, ...]] | None = None,
        conversation: Conversation | None = None,
        origin: Invocation | None = None,
        entered: AnyNode | None = None,
        left: LeftFrame | None = None,
    ) -> None:
        recorder = shared.recorder
        if recorder is not None:
            program = program.for_record()
        self.shell = shell
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
        """What has entered this frame; None: it is the outermost."""
        self.watch: ClaimWatch | None = None
        """What claims see of it; None: no claim does."""
        self.walk: Walk | None = None
        """The machine, once it is at work; None where the graph is walked straight."""
        self._within: Place | None = None
        self.asking: Asking | None = None
        self.places: dict[int, Place] | None = None
        """Where the activations under way stand, of those that have asked."""
        self.states: FrameStates | None = None
        """What its nodes can read and write; None where there is nothing."""
        if origin is not None:
            self.states = FrameStates.of(program, origin.frame.states, origin.revision)
        elif program.states:
            self.states = FrameStates.of(program, None, None)
        self.record: FrameRecord | None = None
        """What earlier sittings have recorded of it."""
        if left is not None:
            self._take_up(left)
            return
        # In the order of arrival, for showing. Nothing may be derived from it that has to be the same in the next run.
        self.number = len(shared.run.frames)
        shared.run.frames.append((program, ledger.path, ledger.limits))
        if recorder is not None:
            self.keep_form(recorder)

    def _take_up(self, left: LeftFrame) -> None:
        """Makes it a frame that was left in an earlier sitting, for what goes on of it in the background."""
        shared = self.shared
        self.number = left.number
        self._within = place_at(outermost(shared.run.id, shared.past), left.form.place)
        assert shared.past is not None
        assert shared.recorder is not None
        shared.past.charge(self.ledger, self.number)
        shared.recorder.enter(self.number, left.form)

    def keep_form(self, recorder: RunRecorder) -> None:
        """Makes the frame known to what keeps the record, and takes up what earlier sittings have recorded of it."""
        shared, origin = self.shared, self.origin
        place = self.within.name
        past = shared.past
        record = self.record = None if past is None else past.frame(place)
        if record is not None:
            if record.number != self.number:
                shared.run.frames.pop()
                self.number = record.number
            assert past is not None
            past.charge(self.ledger, self.number)
        name, call, around = "", None, None
        if origin is not None:
            name, around = origin.node.name, recorder.form_of(origin.frame.number)
            if origin.call is not None:
                call = origin.call.number
        form = FrameForm(
            place, self.program, self.callees, self.path, self.ledger.limits, name, call, around
        )
        recorder.enter(self.number, form)

    # -- what a context asks -----------------------------------------------------------------------
    @property
    def path(self) -> tuple[str, ...]:
        """Names of the frames from the outermost to this one."""
        return self.ledger.path

    @property
    def depth(self) -> int:
        """Frames around this one."""
        return self.ledger.depth

    @property
    def session(self) -> str | None:
        """The session's name, if the run was given one."""
        return self.shared.session

    @property
    def conversation_key(self) -> str | None:
        """The key of the conversation that the run belongs to, else its session's name."""
        talk = self.shared.talk
        return self.shared.session if talk is None else talk.key

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.shared.run.id

    @property
    def limits(self) -> Limits:
        """What is left of the limits, ancestors' included."""
        return self.ledger.left()

    @property
    def observed(self) -> bool:
        """Whether somebody listens to the run."""
        return self.shared.run.observed

    def clock(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self.shared.run.began

    @property
    def mask(self) -> RunMask | None:
        """What masks the secrets of the run; None if it has none."""
        return self.shared.mask

    @property
    def budgets(self) -> BudgetKeeper | None:
        """What keeps the run within its budgets; None if it has none."""
        return self.shared.budgets

    def masked(self, value: V, where: str, activation: int, node: str) -> V:
        """A message that comes into the walk, without the secrets of the run."""
        mask = self.shared.mask
        if mask is None:
            return value
        return mask.value(value, where, (self.clock(), self.number, activation), node)

    def tell(self, event: Event, detail: Detail = NO_DETAIL) -> None:
        """Keeps an event and hands it to those who listen."""
        self.shared.run.tell(event, detail)

    def warn(self, book: Ledger, limit: str, used: float) -> None:
        """Tells that a limit is nearly used up."""
        value = getattr(book.limits, limit)
        self.tell(LimitWarning(self.clock(), self.number, limit, used, value))

    def resource(self, name: str, make: Callable[[], H]) -> H:
        """What the run holds under that name, made when it is first asked for; its `close()` is awaited when the run ends."""
        return self.shared.hold(name, make)

    def model(self, caller: AnyNode, named: Model | str | None = None) -> Model:
        """The model that a node asks: the one that is named, its own, or the one for those that name none."""
        named = named or caller.model or self.default
        if named is None:
            raise ModelUnset(caller.name, self.program.name)
        return self.shared.model_of(named)

    def ends(self, error: BaseException) -> bool:
        """Whether an error is a limit of this frame or of one around it, which nothing inside may swallow."""
        if not isinstance(error, LimitExceeded) or error.ledger is None:
            return False
        return self.ledger.contains(error.ledger)

    def charge_model_call(self, node: AnyNode) -> int:
        """Allows one question of a node to a model, and gives it its number within the run."""
        if node.quota is not None:
            self.shared.quotas.check_tokens(node, self.path)
        self.ledger.check_spent()
        self.ledger.charge("model_calls")
        self.shared.questions += 1
        return self.shared.questions

    @property
    def keeps_effects(self) -> bool:
        """Whether answers are recorded with their places: if this frame is walked again after a crash, they are taken over."""
        if self.origin is None or self.shared.recorder is None:
            return False
        return self.program.done_once

    @property
    def is_recorded(self) -> bool:
        """Whether a store keeps the record of the run."""
        return self.shared.recorder is not None

    def known_reply(self, place: str) -> Reply | BaseException | None:
        """What came of the question to a model at a place, in an earlier sitting."""
        past = self.shared.past
        return None if past is None else past.reply(place)

    def known_value(self, place: str) -> list[Any]:
        """The value that was kept at a place in an earlier sitting, as the one in a list; an empty list if there is none."""
        past = self.shared.past
        if past is None or not past.has_value(place):
            return []
        return [past.value(place)]

    @property
    def can_wait(self) -> bool:
        """Whether the run can end its sitting and go on later."""
        return self.shared.sitting is not None

    async def ask(self, ctx: Context, inquiry: Inquiry) -> Any:
        """The answer to a question to the outside, after however many sittings of the run."""
        place = ctx.asking.ask(inquiry.about, inquiry.message, lasting=False)
        return await self.shell.ask(self, ctx.node, ctx.activation, place, inquiry)

    def keep_value(
        self, ctx: Context, place: str, name: str, value: object, *, lasting: bool = False
    ) -> None:
        """Keeps what the code of a node has got from the outside.

        Args:
            lasting: whether later attempts get the same.

        Raises:
            Unstorable: it would not come back as it is.
        """
        value = self.masked(value, "value", ctx.activation, ctx.node.name)
        if self.is_recorded:
            # Who keeps nothing never loads it.
            from graphflow.journal.codec.value_codec import codec_of

            codec_of(Any).encode(value)
        self.tell(ValueKept(*ctx.stamp, ctx.node.name, name, value), Detail(place, lasting=lasting))

    def tell_once(
        self, ctx: Context, event: Event, way: str, content: object, payload: bytes | None = None
    ) -> None:
        """Tells something that the code of a node says, unless it has said so at this place before a crash.

        Args:
            ctx: whose code.
            event: what is told.
            way: in which way it is said: what else is said in it does not count.
            content: what tells it from other things that are said so.
            payload: the bytes of an artifact.
        """
        if not self.is_recorded:
            self.tell(event)
            return
        place = ctx.asking.ask(way, content, lasting=False)
        past = self.shared.past
        if past is None or not past.was_told(place.name):
            self.tell(event, Detail(place.name, content=payload))

    def keep_turns(self, ctx: Context, turns: Sequence[Turn]) -> None:
        """Keeps what an agent has added to the conversation of this frame, or of its run."""
        talk = self.shared.talk
        if talk is None and not self.is_recorded:
            return
        place = ""
        if talk is not None:
            place = self.name_of(ctx.node)
            talk.turns_said[self.number, ctx.activation] = turns
        self.tell(TurnsAdded(*ctx.stamp, ctx.node.name, place), Detail(turns=turns))

    @property
    def remembers(self) -> bool:
        """Whether what agents say is kept for what comes after this run."""
        return self.shared.talk is not None

    def remembered(self, ctx: Context) -> Sequence[Turn]:
        """What an agent is shown of what was said before this run."""
        talk = self.shared.talk
        return () if talk is None else talk.shown(self.name_of(ctx.node), ctx.node.remembers)

    def name_of(self, node: AnyNode) -> str:
        """Where a node stands: the names of graphs, nodes and callers on the way to it; no numbers."""
        return where(self, node)

    def left_out(self, ctx: Context) -> LeftOut:
        """What is left out of what an agent is shown of what was said before this run."""
        if self.shared.talk is None:
            return NOTHING_LEFT_OUT
        return self.shared.talk.left_out(self.name_of(ctx.node), ctx.node.remembers)

    def answered_last(self, node: AnyNode) -> str | None:
        """Which node beside a node has given the last answer before this run, if one of them has."""
        talk = self.shared.talk
        return None if talk is None else beside(where(self, node), talk.last_place)

    def take_turns(self, under_way: Container[int]) -> None:
        """Takes up what agents have added to the conversation in earlier sittings, but those that are under way again."""
        past = self.shared.past
        if past is None or self.conversation is None:
            return
        for activation, turns in past.turns_in(self.number).items():
            if activation not in under_way:
                self.conversation.add(turns)

    async def keep_record(self) -> None:
        """Waits until the store has all that was told so far, if there is one."""
        recorder = self.shared.recorder
        if recorder is not None:
            await recorder.before_effect()

    def add_model_call(self, reply: Answered, node: AnyNode) -> None:
        """Counts what an answer of a model has cost a node."""
        if node.quota is not None:
            self.shared.quotas.add_tokens(node.name, reply)
        self.ledger.add_model_call(reply)

    def background(self, caller: AnyNode | None, handle: str) -> Background | None:
        """The background call of that handle, if it is one that the caller has an edge for: handles are easy to guess."""
        found = self.shared.backgrounds.get(handle)
        if found is None or caller is None:
            return None
        has_edge = any(found.called is node for node in self.edges_of(caller))
        return found if has_edge else None

    async def artifact(self, digest: str) -> bytes | None:
        """The bytes of an artifact of this run, or of an earlier one of its conversation; None: nobody has them."""
        return await self.shared.artifact(digest)

    def keep(self, ctx: Context, name: str, payload: object, kind: str, mime: str) -> Artifact:
        """Keeps an artifact with the run."""
        named = self.masked((name, payload), "artifact", ctx.activation, ctx.node.name)
        artifact, content = pack(*named, kind, mime)
        kept = self.shared.run.kept
        is_new = artifact.digest not in kept
        kept.setdefault(artifact.digest, content)
        event = ArtifactKept(*ctx.stamp, ctx.node.name, artifact)
        self.tell_once(ctx, event, "keep", [name, artifact.digest], content if is_new else None)
        return artifact

    def call(
        self, ctx: Context, callee: AnyNode | str, message: object, read: Read = read_message
    ) -> Answer:
        """Calls a node along a call edge."""
        return self.shell.call(self, ctx, callee, message, read)

    def enter(
        self, activation: int, node: AnyNode, message: object, limits: Limits | None
    ) -> Answer:
        """Enters a graph or an agent as a frame of its own, and walks it to its end."""
        return self.shell.enter(Invocation(self, node, {"": message}, activation), message, limits)

    # -- edges and policies ------------------------------------------------------------------------
    def edges_of(self, caller: AnyNode) -> tuple[AnyNode, ...]:
        """What a node has call edges to, the tools of servers that are open now included."""
        callees = self.callees.get(caller.name, ())
        sources = self.shared.sources
        return callees if sources is None else sources.expanded(callees)

    def reachable(self, caller: AnyNode, ctx: Context | None = None) -> Sequence[AnyNode]:
        """What a node may call now: no sub-agents at the depth limit, nothing that a policy refuses anyway.

        `ctx`: of who would call it, or its own; their policies hold for its calls, too.
        """
        around = None if ctx is None else self.policies_of(ctx.node, ctx.policies)
        policies = self.policies_of(caller, around)
        callees = self.edges_of(caller)
        # What would be refused anyway is not offered: a model that sees a tool calls it.
        if self.ledger.at_depth_limit:
            callees = tuple(callee for callee in callees if callee.enters == "never")
        if policies:
            callees = tuple(callee for callee in callees if not is_refused(callee, policies))
        return callees

    def handoffs(self, node: AnyNode) -> Sequence[tuple[Handoff, AnyNode]]:
        """The hand-over edges of a node that this frame's graph has, as (handoff, target)."""
        policies = self.policies_of(node)
        allowed: list[tuple[Handoff, AnyNode]] = []
        for handoff, target in self.program.handoffs.get(node.name, ()):
            if not is_refused(target, policies):
                allowed.append((handoff, target))
        return allowed

    def be_watched(self, watch: ClaimWatch | None) -> None:
        """Has claims see what begins in the frame; None: none does."""
        self.watch = watch
        if watch is not None:
            watch.scope_of = self.scope_of

    def closed(
        self, ctx: Context, nodes: Iterable[AnyNode], handoffs: Iterable[tuple[Handoff, AnyNode]]
    ) -> frozenset[str]:
        """The names of the tools that a claim forbids now: a model that sees one calls it."""
        watch = self.watch
        if watch is None:
            return NONE_CLOSED
        scope = self.scope_of(ctx.activation)
        return watch.closed(ctx.node, nodes, handoffs, scope) or NONE_CLOSED

    def policies_of(
        self, caller: AnyNode, around: tuple[Policy, ...] | None = None
    ) -> tuple[Policy, ...]:
        """What the calls of a node need the consent of; `around`: of who has called it, where that was a call."""
        if around is None:
            around = self.policies
        return also(around, caller.policy)

    def permit(self, ctx: Context, node: AnyNode, given: object) -> None:
        """Refuses a hand-over that a policy does not allow."""
        place = Asking(ctx.place).ask(f"handing over to {node.name}", given, lasting=False)
        policies = self.policies_of(ctx.node, ctx.policies)
        self.judge(node, given, place, policies)
        if self.watch is not None:
            scope = self.scope_of(ctx.activation)
            self.watch.hand_over(ctx.activation, ctx.node, node, scope)

    def judge(self, node: AnyNode, given: object, place: Place, policies: Sequence[Policy]) -> None:
        """Refuses what one of these policies does not allow.

        Raises:
            PolicyRefused: the text says which, and why.
        """
        if not policies:
            return
        use = self.use_of(node, given, place)
        for policy in policies:
            why = policy.judge(use)
            if why is not None:
                raise PolicyRefused(f"{node.name!r} may not be called here: {why}")

    def use_of(self, node: AnyNode, given: object, place: Place) -> Use:
        """A call as policies and people are shown it."""
        target, _ = node.entry()
        return Use(
            node=node.name,
            kind=node.kind,
            effects=node.effects,
            arguments=copied(given),  # who is asked may change what is shown, and not what is done
            path=self.path,
            key=place.key,
            target=target.name,
            names=node.names,
            access=node.access,
        )

    # -- places ------------------------------------------------------------------------------------
    def scope_of(self, activation: int) -> Scope:
        """The forks and laps that led to an activation; empty where only one can be under way at a time."""
        if self.walk is None or self.program.straight:
            return ()
        act = self.walk.running.get(activation)
        if act is not None:
            return act.scope
        # What it has called in the background may outlast it.
        return () if self.watch is None else self.watch.kept_scopes.get(activation, ())

    @property
    def within(self) -> Place:
        """The place that this frame lies in."""
        if self._within is None:
            origin = self.origin
            if origin is None:
                self._within = outermost(self.shared.run.id, self.shared.past)
            else:
                self._within = origin.place
        return self._within

    def place_of(self, node: AnyNode, inputs: Mapping[str, object], activation: int) -> Place:
        """Where an activation stands: the same for all of its attempts."""
        if self.places is None:
            self.places = {}
            self.asking = Asking(self.within)
        place = self.places.get(activation)
        if place is None:
            place = self._new_place(node, inputs, activation)
            self.places[activation] = place
        return place

    @property
    def counts_places(self) -> bool:
        """Whether an activation may have the place of an earlier one but for its number, so that each has to be counted."""
        program = self.program
        return self.origin is not None and program.straight and program.laps > 0

    def count_activation(
        self, node: AnyNode, inputs: Mapping[str, object], activation: int
    ) -> None:
        """Counts an activation that begins, where its place depends on those before it."""
        if self.counts_places:
            self.place_of(node, inputs, activation)

    def count_place(self, act: Activation) -> None:
        """Counts an activation of which an earlier sitting has seen the end."""
        node = act.slot.node
        if node is None or act.slot.direct is not None or not self.counts_places:
            return
        self.place_of(node, {"": act.message}, act.id)
        assert self.places is not None
        del self.places[act.id]

    def _new_place(self, node: AnyNode, inputs: Mapping[str, object], activation: int) -> Place:
        if self.origin is not None:
            assert self.asking is not None
            whom = f"{node.name} {self.scope_of(activation)}"
            message = sole_message(inputs)
            return self.asking.ask(whom, message, lasting=is_done_once(node))
        # Nobody around the outermost frame could walk here again, so there is nothing to meet and nothing to remember: one
        # activation comes after another, or its scope is its own.
        way = activation if self.program.straight else self.scope_of(activation)
        return place_in(self.within, f"{node.name} {way}")
