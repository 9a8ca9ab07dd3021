"""What a node is given beside its message: a view of the frame that it runs in, with what it may use and reach.

Rules:
1. A node sees a frame only through its context; what a context asks of a frame is one page, `ContextFrame`.
2. What stands here for nodes to use keeps its meaning over retries and crashes: the same key, the same time, the same ids.
3. What is marked as internal to kinds or to the runtime may change in any version.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from inspect import isawaitable, iscoroutinefunction
from pathlib import PurePath
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, cast
from uuid import NAMESPACE_OID, UUID, uuid5

from graphflow import clock
from graphflow.compaction.omission import LeftOut
from graphflow.concurrency import in_thread
from graphflow.declaration.background import Background
from graphflow.errors import PolicyRefused, StateUndeclared
from graphflow.events import Emitted, Event
from graphflow.limits import Answered, Ledger, Limits
from graphflow.messages.artifacts import Artifact
from graphflow.messages.state import AnyState, State
from graphflow.model.conversation import Conversation
from graphflow.model.seam import Model
from graphflow.model.turns import Turn
from graphflow.places import Asking, Place
from graphflow.policy import Policy

if TYPE_CHECKING:
    from graphflow.declaration.node import AnyNode, Inputs, Node
    from graphflow.model.reply import Reply
    from graphflow.secrets.mask import SecretPlace
    from graphflow.secrets.opened import OpenSecrets
    from graphflow.secrets.secret import Secret

B = TypeVar("B")
if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultTypeVar

    D = DefaultTypeVar("D", default=Any, covariant=True)
else:
    D = TypeVar(
        "D", covariant=True
    )  # defaults came with Python 3.13, and only checkers ask for them
H = TypeVar("H")
V = TypeVar("V")

Read = Callable[["AnyNode", Any], object]
"""Makes of what a caller gives what the callee takes."""


class SeenStates(Protocol):
    """The states as an attempt sees them; the runtime implements it."""

    def read(self, state: AnyState) -> Any: ...
    def add(self, state: AnyState, value: object) -> None: ...
    def set(self, state: AnyState, value: object) -> None: ...
    def turn(self) -> AbstractContextManager[None]: ...


class SeenMask(Protocol):
    """What masks the secrets of the run; the runtime implements it."""

    secrets: OpenSecrets

    def value(self, value: V, where: str, stamp: tuple[float, int, int], node: str) -> V: ...
    def error(
        self, error: BaseException, stamp: tuple[float, int, int], node: str
    ) -> BaseException: ...
    def turns(
        self, turns: Sequence[Turn], stamp: tuple[float, int, int], node: str
    ) -> Sequence[Turn]: ...
    def note_clean(self, text: str) -> None: ...
    def noting(
        self, stamp: tuple[float, int, int], node: str
    ) -> Callable[[str, SecretPlace], None]: ...


class BudgetHold(Protocol):
    """What is held of budgets for a question under way; the runtime implements it."""

    async def settle(self, reply: Answered, ctx: Context) -> None: ...
    async def break_off(self, error: BaseException, reply: Answered | None) -> None: ...


class KeptBudgets(Protocol):
    """What keeps a run within its budgets; the runtime implements it."""

    async def hold(self, model: Model, least_tokens: int, ctx: Context) -> BudgetHold: ...


class ContextFrame(Protocol):
    """What a context asks of the frame it looks into; the runtime implements it."""

    @property
    def path(self) -> tuple[str, ...]: ...
    @property
    def depth(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def deps(self) -> object: ...
    @property
    def session(self) -> str | None: ...
    @property
    def conversation_key(self) -> str | None: ...
    @property
    def run_id(self) -> str: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def policies(self) -> Sequence[Policy]: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def observed(self) -> bool: ...

    @property
    def conversation(self) -> Conversation | None: ...
    @property
    def mask(self) -> SeenMask | None: ...
    @property
    def budgets(self) -> KeptBudgets | None: ...

    # What happens, and when.
    def clock(self) -> float: ...
    def tell(self, event: Event, detail: Any = ...) -> None: ...
    def tell_once(self, ctx: Context, event: Event, way: str, content: object) -> None: ...
    async def artifact(self, digest: str) -> bytes | None: ...
    def keep(self, ctx: Context, name: str, payload: object, kind: str, mime: str) -> Artifact: ...

    # Calls, frames, hand-overs. What is asked of the outside has a place.
    async def call(
        self, ctx: Context, callee: AnyNode | str, message: object, read: Read = ...
    ) -> Any: ...
    async def enter(
        self, activation: int, node: AnyNode, message: object, limits: Limits | None
    ) -> Any: ...
    def reachable(self, caller: AnyNode, ctx: Context | None = None) -> Sequence[AnyNode]: ...
    def handoffs(self, node: AnyNode) -> Sequence[tuple[Any, AnyNode]]: ...
    def permit(self, ctx: Context, node: AnyNode, given: object) -> None: ...
    def closed(
        self, ctx: Context, nodes: Iterable[AnyNode], handoffs: Iterable[tuple[Any, AnyNode]]
    ) -> frozenset[str]: ...
    def background(self, caller: AnyNode | None, handle: str) -> Background | None: ...
    def place_of(self, node: AnyNode, inputs: Mapping[str, object], activation: int) -> Place: ...
    def resource(self, name: str, make: Callable[[], H]) -> H: ...
    def ends(self, error: BaseException) -> bool: ...

    # What is kept of it in a store, so that code which is carried out again gets what it has got before.
    @property
    def is_recorded(self) -> bool: ...
    def known_reply(self, place: str) -> Reply | BaseException | None: ...
    def known_value(self, place: str) -> list[Any]: ...
    def keep_turns(self, ctx: Context, turns: Sequence[Turn]) -> None: ...
    @property
    def remembers(self) -> bool: ...
    def remembered(self, ctx: Context) -> Sequence[Turn]: ...
    def name_of(self, node: AnyNode) -> str: ...
    def left_out(self, ctx: Context) -> LeftOut: ...
    def answered_last(self, node: AnyNode) -> str | None: ...
    async def keep_record(self) -> None: ...
    def keep_value(
        self, ctx: Context, place: str, name: str, value: object, *, lasting: bool = False
    ) -> None: ...

    # Questions to people, to the clock, to other programs.
    async def ask(self, ctx: Context, inquiry: Any) -> Any: ...
    @property
    def can_wait(self) -> bool: ...

    # Models.
    def model(self, caller: AnyNode, named: Model | str | None = None) -> Model: ...
    def charge_model_call(self, node: AnyNode) -> int: ...
    def add_model_call(self, reply: Answered, node: AnyNode) -> None: ...


class Context(Generic[D]):
    """The frame's view that a node is given: where it runs, what it may use, what it can reach.

    `ctx: Context[Shop]` says of what type `ctx.deps` is: a type checker sees it, and a run without such a one is refused.

    Attributes:
        frame: the running frame. Internal to kinds.
        node: the node that was activated.
        activation: the number of this activation within its frame.
        attempt: the number of this attempt, from 1: more where the node is tried again (`retry=`), after a crash as well.
        stopped: for plain functions, which nobody can stop from outside: whether the walk has given them up, as time was over,
            the run was cancelled, or another branch has ended it. What is returned then goes nowhere: look at it in long loops,
            and end. What is async is cancelled where it awaits, and never sees it.
        given: what the node was given, by port. Internal to kinds.
        caller: who called the node along a call edge, if somebody did. Internal to kinds.
        conversation: what the node's model and it have said, or those who called it, for those it calls. Internal to kinds.
        policies: for a node that was called, what the call needed the consent of: its own calls need it, too. None = the
            frame's. Internal to kinds.
    """

    aside: ClassVar[bool] = False
    """Whether what is said here is not the node's own words: a guard asks. Internal to kinds."""

    __slots__ = (
        *("_asking", "_ids", "_place", "_random", "activation", "attempt", "caller"),
        *("calls_under_way", "conversation", "frame", "given", "node", "policies", "states"),
        "stopped",
    )

    def __init__(
        self,
        frame: ContextFrame,
        node: AnyNode,
        activation: int,
        given: Inputs,
        place: Place | None = None,
    ) -> None:
        self.frame = frame
        self.node = node
        self.activation = activation
        self.attempt = 1
        self.stopped = False
        self.given = given
        self._place = place
        """Where it stands; of an activation, looked up when it is first asked for."""
        self._asking: Asking | None = None
        self._random: Random | None = None
        self._ids = 0
        self.calls_under_way = 0
        """Internal to the runtime: calls that this attempt waits for, in a run that may wait for an answer."""
        self.caller: AnyNode | None = None
        self.conversation: Conversation | None = None
        self.policies: tuple[Policy, ...] | None = None
        self.states: SeenStates | None = None
        """Internal to the runtime: the states as this attempt sees them; None where the graph has none."""

    # -- states ------------------------------------------------------------------------------------
    def read(self, state: State[V]) -> V:
        """The value of a state: what was written on the ways that led here, and what this node has written itself.

        Raises:
            StateUndeclared: the node does not declare it (`reads=`, `adds=`, `sets=`), or no graph around owns it.
            StateUnset: it has no value yet.
        """
        value: V = self._states_for(state).read(state)
        return value

    def add(self, state: AnyState, value: object) -> None:
        """Merges something into a state, by its merge. It counts when the node has answered.

        Raises:
            StateUndeclared: the node does not declare that it adds to it, or it has no merge.
            MergeFailed: the merge raised, or made something of another type.
        """
        self._states_for(state).add(state, value)

    def set(self, state: State[V], value: V) -> None:
        """Replaces the value of a state. It counts when the node has answered.

        Raises:
            StateUndeclared: the node does not declare that it sets it.
        """
        self._states_for(state).set(state, value)

    def _states_for(self, state: AnyState) -> SeenStates:
        if self.states is None:
            raise StateUndeclared(
                f"{self.node.name!r} touches state {state.name!r}, and no graph around it owns one; "
                f"write Graph(..., state=[{state.name}])"
            )
        return self.states

    @property
    def deps(self) -> D:
        """What was given to `run(deps=...)`; any object of the user's."""
        return cast(D, self.frame.deps)

    @property
    def depth(self) -> int:
        """Levels below the outermost walk (0 = outermost)."""
        return self.frame.depth

    @property
    def path(self) -> tuple[str, ...]:
        """Names of the frames from the outermost graph to this one."""
        return self.frame.path

    @property
    def limits(self) -> Limits:
        """What is left of the limits, ancestors' included."""
        return self.frame.limits

    @property
    def session(self) -> str | None:
        """The session's name, if the run was given one."""
        return self.frame.session

    @property
    def conversation_key(self) -> str | None:
        """The key of the conversation that the run belongs to, else its session's name; None: it has neither."""
        return self.frame.conversation_key

    @property
    def answered_last(self) -> str | None:
        """The node beside this one that has given the last answer of the conversation, or lies around who has.

        None: the run is in no conversation, nothing was said in it yet, or somebody elsewhere has answered, or several have.
        A run that goes on later, and its forks, see the same.
        """
        return self.frame.answered_last(self.node)

    @property
    def run_id(self) -> str:
        """The id of the run: the one that a store keeps it under."""
        return self.frame.run_id

    @property
    def key(self) -> str:
        """A name of this very activation or call: an idempotency key for other services.

        It is made of the way to it, of what was asked, and of how many equal questions were asked before. So it is the same
        at every retry of the node and of whatever stands around it, and never that of a call with other arguments.
        """
        return self.place.key

    @property
    def stamp(self) -> tuple[float, int, int]:
        """What every event of this activation begins with: the time, the frame, the activation. Internal to kinds."""
        frame = self.frame
        return frame.clock(), frame.number, self.activation

    @property
    def place(self) -> Place:
        """Where this activation or call stands in the run. Internal to kinds."""
        if self._place is None:
            self._place = self.frame.place_of(self.node, self.given, self.activation)
        return self._place

    @property
    def asking(self) -> Asking:
        """What this attempt has asked so far. Internal to kinds."""
        if self._asking is None:
            self._asking = Asking(self.place)
        return self._asking

    def secret(self, name: str) -> Secret:
        """A secret of the run, for code to use: it shows its name, and its value to whoever calls `reveal()`.

        Raises:
            SecretUnknown: the run has none of that name; the text names those that it has.
        """
        mask = self.frame.mask
        # The same error as of a run that has others.
        if mask is None:
            from graphflow.secrets.opened import unknown_secret

            raise unknown_secret(name, {})
        return mask.secrets.secret(name)

    def check_path(self, path: str | PurePath, *, changes: bool = False) -> None:
        """Refuses a file that the policies of this call do not allow: for tools that find out on their way which files they reach.

        Args:
            path: its path.
            changes: whether it is written.

        Raises:
            PolicyRefused: one does not allow it.
        """
        for policy in self._policies():
            self._refuse(policy.refuses_path(str(path), changes=changes))

    def check_host(self, address: str) -> None:
        """The same for a host: for tools that are sent on to another one, as by a redirect.

        Args:
            address: the address, or the name of the host.

        Raises:
            PolicyRefused: one does not allow it.
        """
        for policy in self._policies():
            self._refuse(policy.refuses_host(address))

    def _policies(self) -> Sequence[Policy]:
        # Of a call those of its caller count, too.
        return self.frame.policies if self.policies is None else self.policies

    def _refuse(self, why: str | None) -> None:
        if why is not None:
            raise PolicyRefused(f"{self.node.name!r} may not do this here: {why}")

    def keep(self, name: str, payload: object, *, kind: str = "file", mime: str = "") -> Artifact:
        """Keeps something beside the answer, by the hash of its content; `run.artifacts` lists it, `run.payload(...)` has it.

        Args:
            name: what it is called.
            payload: bytes, text, or anything that JSON can carry.
            kind: what it is, in a word.
            mime: its media type.
        """
        return self.frame.keep(self, name, payload, kind, mime)

    def emit(self, name: str, value: object = None) -> None:
        """Tells something to whoever watches the run; it is journaled, too."""
        mask = self.frame.mask
        # What code says is told to people, and kept: it comes into the walk as an answer does.
        if mask is not None:
            name, value = mask.value((name, value), "emitted", self.stamp, self.node.name)
        event = Emitted(*self.stamp, self.node.name, name, value)
        self.frame.tell_once(self, event, "emit", [name, value])

    def now(self) -> datetime:
        """The time, in UTC. A run that goes on after a crash gets the time that it has got before."""
        place = self.asking.ask("now", "", lasting=False)
        known = self.frame.known_value(place.name)
        if known:
            return datetime.fromisoformat(known[0])
        now = datetime.fromtimestamp(clock.now(), UTC)
        self.frame.keep_value(self, place.name, "now", now.isoformat())
        return now

    def random(self) -> Random:
        """A source of random numbers of this very activation: at every retry, and after a crash, it gives the same."""
        if self._random is None:
            self._random = Random(self.key)
        return self._random

    def new_id(self) -> UUID:
        """An identifier that no other run, activation or call has; the next one at each call, the same after a crash."""
        self._ids += 1
        name = f"{self.key} {self._ids}"
        return uuid5(NAMESPACE_OID, name)

    async def once(self, name: str, function: Callable[[], B | Awaitable[B]]) -> B:
        """What a function returns, which is called once, whatever comes: retries and crashes get the same value.

        Args:
            name: tells it from others of this activation.
            function: what is called, without arguments; a plain one in a thread. What it returns must be JSON.

        Raises:
            Unstorable: a store keeps the run, and what the function returned is not JSON.
        """
        place = self.asking.ask("once", name, lasting=True)
        effect = place.effect
        assert effect is not None

        async def work() -> B:
            value = await _called(function)
            self.frame.keep_value(self, place.name, name, value, lasting=True)
            await self.frame.keep_record()
            return value

        await effect.once(work)
        answer: B = effect.answer
        return answer

    async def call(self, node: Node[Any, B] | str, message: Any) -> B:
        """Asks another node along a call edge and returns its answer.

        Args:
            node: a node (or its name) that stands in this node's `calls`.
            message: what the node takes; for a tool, a dict of its arguments will do.

        Returns:
            The answer; of a background sub-agent, its handle.

        Raises:
            NotReachable: there is no such call edge.
            LimitExceeded: a limit (depth, steps, calls...) refuses it, before any work.
            ArgumentsInvalid: a tool's arguments do not fit its schema.
            PolicyRefused, ApprovalRefused: it may not be called, or nobody agreed.
        """
        answer: B = await self.frame.call(self, node, message)
        return answer


async def _called(function: Callable[[], B | Awaitable[B]]) -> B:
    """What a function returns; a plain one may block, so it runs in a thread."""
    value = function() if iscoroutinefunction(function) else await in_thread(function)
    if isawaitable(value):
        return await value
    return value
