"""A walk that breaks a claim, made by the real executor with nodes that stand in for those of a graph.

Each stand-in waits for its turn in the steps of the walk and does what they say: it answers with an arm, hands over, or fails.
No node of the graph runs, and no guard is asked. `Counterexample.to_test` writes a test that calls this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from copy import copy
from typing import Any, ClassVar, TypeAlias

from graphflow.claims.automata import BROKEN
from graphflow.claims.explorer import ANSWERS, ENTERED
from graphflow.claims.monitor import Monitor, Roles
from graphflow.claims.outcomes import FAILS, NodeOutcome, Outcomes
from graphflow.claims.targets import Cast, FramePath, targets_of
from graphflow.declaration.claims import Claim
from graphflow.declaration.context import Context
from graphflow.declaration.node import AnyNode, Inputs, Node
from graphflow.declaration.ports import Port
from graphflow.errors import WalkCancelled
from graphflow.events import Scope
from graphflow.limits import Limits
from graphflow.messages.types import Type
from graphflow.proofs.program import Program, Slot
from graphflow.proofs.proven import AnyGraph, ProvenGraph
from graphflow.run import Run
from graphflow.runtime.executor import Executor
from graphflow.runtime.frame import Frame

ScriptStep: TypeAlias = tuple[Sequence[int], Sequence[str]]
"""The numbers of the activations that lead to a node, and the outcomes: its own, and those of frames that end with it."""
AnyRun: TypeAlias = Run[Any]
ANYTHING: Type = Any
"""What stand-ins take and answer."""
SETTLING = 20
"""Turns of the event loop after each step: what it has begun is at its place before the next one."""
LAST_SETTLING = 200
"""The same after the last step, with which frames within frames may end."""
PATIENCE = 40
"""How often that is waited for who has the next turn."""
LONGEST_LIST = 64
"""The longest list that an outcome may be."""


async def breaks(claim: Claim, graph: AnyGraph, steps: Sequence[ScriptStep]) -> bool:
    """Whether a claim does not hold in a walk of these steps.

    Args:
        claim: the claim.
        graph: the graph, whose nodes are stood in for.
        steps: what the nodes do, one after the other.

    Raises:
        AssertionError: the graph does not allow these steps any more; the text says which.
    """
    play = _Play(claim, graph, steps)
    executor: Executor[AnyRun] = Executor(Run)
    run = executor.start(play.graph, play.message, limits=Limits(depth=1_000))
    task = asyncio.ensure_future(_ended(run))
    try:
        await asyncio.wait([task, play.over], return_when=asyncio.FIRST_COMPLETED)
        await _settled(LAST_SETTLING)
    finally:
        run.cancel()
        await task
    if play.problem:
        raise AssertionError(play.problem)
    if run.status == "completed":
        play.complete()
    elif play.place < len(play.steps):
        raise AssertionError(f"the walk has ended before step {play.place + 1}: {run.error}")
    return play.state == BROKEN


async def _settled(turns: int) -> None:
    """Lets everything go on that can."""
    # No time passes: whatever a stand-in waits for is done by somebody in this loop.
    for _ in range(turns):
        await asyncio.sleep(0)


async def _ended(run: AnyRun) -> None:
    try:
        await run
    except WalkCancelled:
        pass
    except Exception:
        return  # a stand-in has failed, as it was told to


class _Play:
    """The steps of a walk, and the claim as it is watched."""

    def __init__(self, claim: Claim, graph: AnyGraph, steps: Sequence[ScriptStep]) -> None:
        (_, outcomes), *rest = steps
        self.steps = [(tuple(acts), tuple(names)) for acts, names in rest]
        self.place = 0
        self.problem = ""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.monitor = Monitor(Cast(claim, targets_of(graph)))
        self.state = self.monitor.start
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[tuple[int, ...], asyncio.Future[None]] = {}
        self._behind: dict[tuple[int, ...], str] = {}
        """What the nodes around answer when the frame that they have entered ends."""
        self._sizes = range(LONGEST_LIST)
        self.outcomes: dict[FramePath, Outcomes] = {}
        self.graph = self.stand_in(graph, ())
        self.message = self.outcome((), graph.program.start, outcomes[0]).output
        self.go_on_soon()

    def stand_in(self, graph: AnyGraph, path: FramePath) -> AnyGraph:
        """The same graph with stand-ins for its nodes."""
        outcomes = Outcomes(graph, self._sizes, all_failures=True, within={})
        self.outcomes[path] = outcomes
        program = copy(outcomes.program)
        slots = [self._slot(slot, path) for slot in program.slots]
        program.slots = tuple(slots)
        program.callees = {}
        program.handoffs = {}
        program.states = None
        program.copy_input = None
        program.copy_output = None
        return _StandInGraph(graph, program)

    def _slot(self, slot: Slot, path: FramePath) -> Slot:
        node = slot.node
        if node is None:
            return slot
        twin = copy(slot)
        inner, _ = node.entry()
        if node.enters == "always" and isinstance(inner, ProvenGraph):
            below = (*path, slot.name)
            twin.node = _GraphStandIn(self, node, path, slot.index, self.stand_in(inner, below))
        else:
            twin.node = _StandIn(self, node, path, slot.index)
        # A stand-in answers with what is of no type: nothing is called directly, and nothing is checked.
        twin.direct = None
        twin.entry = None
        twin.enters = False
        twin.expected = None
        twin.fits = None
        return twin

    def outcome(self, path: FramePath, slot: int, name: str) -> NodeOutcome:
        """What the steps call so.

        Raises:
            AssertionError: the node cannot do that any more.
        """
        for outcome in self.outcomes[path].of[slot]:
            if outcome.name == name:
                return outcome
        where = self.outcomes[path].graph.program.slots[slot].name
        self.problem = f"{where!r} cannot do what step {self.place + 1} says: {name}"
        self._finish()
        raise AssertionError(self.problem)

    # -- turns -------------------------------------------------------------------------------------
    async def turn(self, acts: tuple[int, ...]) -> str:
        """Waits until it is the turn of an activation; what it has to do."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[acts] = waiting
        await waiting
        _, names = self.steps[self.place]
        for level, name in enumerate(names[1:], 1):
            self._behind[acts[:-level]] = name
        self.place += 1
        return names[0]

    def behind(self, acts: tuple[int, ...]) -> str:
        """What an activation answers whose frame has ended."""
        return self._behind.pop(acts)

    def go_on_soon(self) -> None:
        """Lets the next one have its turn, as soon as everything has begun that begins now."""
        task = asyncio.get_running_loop().create_task(self._go_on())
        self._tasks.add(task)  # the event loop itself forgets tasks that nobody holds
        task.add_done_callback(self._tasks.discard)

    async def _go_on(self) -> None:
        for _ in range(PATIENCE):
            await _settled(SETTLING)
            self._finish_if_over()
            if self.over.done() or self._call_next():
                return
        self.problem = f"nobody is there to do what step {self.place + 1} says"
        self._finish()

    def _call_next(self) -> bool:
        """Whether the one whose turn it is could be called."""
        acts, _ = self.steps[self.place]
        waiting = self._waiting.pop(acts, None)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(None)
        return True

    def _finish_if_over(self) -> None:
        if self.place >= len(self.steps) or self.state == BROKEN:
            self._finish()

    def _finish(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    # -- the claim ---------------------------------------------------------------------------------
    def roles(self, path: FramePath, slot: int) -> Roles | None:
        """What a node means to the claim."""
        return self.monitor.seats.get((path, slot))

    def begin(self, roles: Roles, scope: Scope) -> None:
        """A node begins."""
        if self.state != BROKEN:
            self.state = self.monitor.begins(self.state, roles, scope)

    def end(self, roles: Roles, scope: Scope, outcome: NodeOutcome) -> None:
        """It has ended so."""
        if self.state == BROKEN:
            return
        if outcome is FAILS:
            self.state = self.monitor.ends(self.state, roles, scope)
        else:
            self.state = self.monitor.answers(self.state, roles, scope, outcome.unit)

    def complete(self) -> None:
        """The walk has completed."""
        if self.state != BROKEN:
            self.state = self.monitor.completes(self.state)


class _StandIn(Node[object, object]):
    """Does what the steps say, when it is its turn."""

    kind: ClassVar[str] = "step"

    def __init__(self, play: _Play, node: AnyNode, path: FramePath, slot: int) -> None:
        self._declare(node.name, ports=node.ports, output=ANYTHING)
        self._set(play=play, path=path, slot=slot)

    play: _Play
    path: FramePath
    slot: int

    async def activate(self, inputs: Inputs, ctx: Context) -> object:
        """The outcome of its step."""
        frame = ctx.frame
        assert isinstance(frame, Frame)
        acts, scope = _numbers(frame, ctx.activation)
        play = self.play
        roles = play.roles(self.path, self.slot)
        if roles is not None:
            play.begin(roles, scope)
        outcome = await self._outcome(acts, ctx)
        if roles is not None:
            play.end(roles, scope, outcome)
        play.go_on_soon()
        if outcome is FAILS:
            raise RuntimeError(f"{self.name} fails, as step {play.place} says")
        return outcome.output

    async def _outcome(self, acts: tuple[int, ...], ctx: Context) -> NodeOutcome:
        name = await self.play.turn(acts)
        return self.play.outcome(self.path, self.slot, name)


class _GraphStandIn(_StandIn):
    """Enters the stand-in of a graph, when it is its turn."""

    # It is not a graph itself: when it enters one is for the steps to say.
    inner: AnyGraph

    def __init__(
        self, play: _Play, node: AnyNode, path: FramePath, slot: int, inner: AnyGraph
    ) -> None:
        super().__init__(play, node, path, slot)
        self._set(inner=inner)

    async def _outcome(self, acts: tuple[int, ...], ctx: Context) -> NodeOutcome:
        play = self.play
        below = (*self.path, self.name)
        name = await play.turn(acts)
        if not name.startswith(ENTERED):  # it was looked at as one node
            return play.outcome(self.path, self.slot, name)
        begins_with = ANSWERS + name.removeprefix(ENTERED)
        start = play.outcomes[below].program.start
        message = play.outcome(below, start, begins_with).output
        play.go_on_soon()
        try:
            await ctx.frame.enter(ctx.activation, self.inner, message, None)
        except Exception:
            return FAILS
        return play.outcome(self.path, self.slot, play.behind(acts))


def _numbers(frame: Frame, activation: int) -> tuple[tuple[int, ...], Scope]:
    """The numbers of the activations that lead to one, and the scope of the outermost."""
    numbers = [activation]
    while frame.origin is not None:
        activation = frame.origin.activation
        numbers.insert(0, activation)
        frame = frame.origin.frame
    return tuple(numbers), frame.scope_of(activation)


class _StandInGraph(ProvenGraph[object, object]):
    """A graph that walks another program, and needs nothing: no models, no servers, no policies."""

    def __init__(self, graph: AnyGraph, program: Program) -> None:
        # Nothing is proven again: it has the shape of a graph that was.
        nodes = tuple([slot.node for slot in program.slots if slot.node is not None])
        laps = None if graph.limits is None else graph.limits.laps
        self._declare(graph.name, ports=(Port("input", ANYTHING),), output=ANYTHING)
        self._set(
            program=program,
            model=None,
            limits=None if laps is None else Limits(laps=laps),
            nesting=graph.nesting,
            nodes=nodes,
            # The claim is watched here. Enforced, it could not be broken.
            claims=(),
            proof=graph.proof,
            state=(),
            uses=(),
            secrets=None,
            state_edges=(),
        )
