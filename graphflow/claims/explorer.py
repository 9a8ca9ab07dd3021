"""The explorer: every walk of a graph, as the pure machine makes it, with abstract messages.

Rules:
1. A state is a tree of frames and the state of one claim. From each, every activation under way may end next, in each of its
   outcomes; states that were met are not gone on from again.
2. Partial-order reduction: where the order of two ends makes no difference to the claim, one order is explored. An activation
   is followed alone if the claim sees neither its end nor what may begin with it, and if it can neither cancel anything nor
   be cancelled by anything but the end of the walk (`_is_quiet`).
3. A walk that is stopping begins nothing more, so it is not followed further.

Why it ends: laps are limited, lists have one of a few lengths, and a scope only grows. So states never come again in a ring,
and an activation that was put off is not put off for ever.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

from graphflow.claims.automata import BROKEN
from graphflow.claims.frame_walk import FrameWalk, Leaf, WalkKey, leaves_of, unit_of
from graphflow.claims.monitor import Monitor, MonitorState
from graphflow.claims.outcomes import FAILS, NodeOutcome, Outcomes, links_of
from graphflow.claims.targets import ARROW, FramePath
from graphflow.claims.verdict import WalkStep
from graphflow.events import (
    EdgeSent,
    Event,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    RunStarted,
    Scope,
)
from graphflow.limits import Limits
from graphflow.proofs.program import Slot
from graphflow.proofs.proven import AnyGraph, ProvenGraph
from graphflow.walk.commands import Activation, Cancel, Command, Finish
from graphflow.walk.joins import Gate, JoinState, Waypoint
from graphflow.walk.machine import Walk
from graphflow.walk.outbox import Outbox

StateId: TypeAlias = int
StateKey: TypeAlias = tuple[WalkKey, MonitorState]
StateOrigin: TypeAlias = tuple[StateId, WalkStep]
"""From which state a state was met first, and by which step; -1 for the beginning."""
LinkPlace: TypeAlias = tuple[FramePath, int]
"""An edge: the frame, and its number there."""
ANSWERS, ENTERED, TAKES = "answers ", "is entered with ", "takes "
ABSTRACT_FAILURE = RuntimeError("an explored failure")


class WalkEnding(NamedTuple):
    """A way to end: how, and with which error."""

    status: str
    error: str = ""

    def __str__(self) -> str:
        if not self.error:
            return self.status
        return f"{self.status} ({self.error})"


class _WalkState(NamedTuple):
    """Where a walk stands, and how it came there."""

    root: FrameWalk
    claim: MonitorState
    id: StateId


class _Successor(NamedTuple):
    """What one step leads to."""

    root: FrameWalk
    claim: MonitorState
    step: WalkStep
    cancels: bool
    """Whether it has cancelled something, and the walk goes on."""


class Explorer:
    """One exploration. Make it, `run()` it, and read what it has found.

    Args:
        graph: the graph.
        monitor: the claim, if one is looked at.
        frames: the frames that are entered; anything else on the arrows is one node. None: all.
        sizes: the lengths of lists.
        budget: how many states at most.
        all_failures: whether also failures are explored that nobody takes.
        reduced: whether orders are left out that make no difference.
        shortest: whether to go breadth first, so that the way to what is found is as short as can be.
        watch_edges: whether it is noted which edges are taken.
    """

    def __init__(
        self,
        graph: AnyGraph,
        monitor: Monitor | None,
        *,
        frames: Iterable[FramePath] | None,
        sizes: Sequence[int],
        budget: int,
        all_failures: bool = False,
        reduced: bool = True,
        shortest: bool = False,
        watch_edges: bool = False,
    ) -> None:
        self.graph = graph
        self.monitor = monitor
        self.budget = budget
        self.endings: dict[WalkEnding, StateId] = {}
        """Each way to end, with the first state in which a walk ends so."""
        self.broken: StateId | None = None
        """The first state in which the claim is broken."""
        self.broken_at_end = False
        self.is_complete = True
        """Whether all states were looked at."""
        self.taken: set[LinkPlace] = set()
        """The edges that walks have taken, if that is noted."""
        self.most_running = 0
        self.widest: tuple[str, ...] = ()
        """What was under way in the widest state."""
        self.maps = False
        """Whether a list is mapped anywhere, so that what holds does so for some lengths only."""
        self._frames: frozenset[FramePath] | None = None
        if frames is not None:
            self._frames = frozenset(frames)
        self._sizes = sizes
        self._all_failures = all_failures
        self._reduced = reduced
        self._shortest = shortest
        self._watch_edges = watch_edges
        self._outcomes: dict[FramePath, Outcomes] = {}
        self._limits: dict[FramePath, Limits] = {}
        self._known: dict[StateKey, StateId] = {}
        self._origins: list[StateOrigin] = []
        self._todo: deque[_WalkState] = deque()

    @property
    def states(self) -> int:
        """How many states it has met, those of a last step that are over the budget not counted."""
        return min(len(self._origins), self.budget)

    def run(self) -> Explorer:
        """Explores, until the claim is broken, everything was seen, or the budget is used up."""
        for successor in self._beginnings():
            self._meet(successor, -1)
        todo = self._todo
        take = todo.popleft if self._shortest else todo.pop
        while todo and self.broken is None:
            if len(self._origins) > self.budget:
                self.is_complete = False
                break
            state = take()
            for successor in self._successors(state):
                self._meet(successor, state.id)
        todo.clear()
        return self

    def way_to(self, state: StateId) -> tuple[WalkStep, ...]:
        """The steps that lead to a state."""
        steps: list[WalkStep] = []
        while state >= 0:
            state, step = self._origins[state]
            steps.append(step)
        steps.reverse()
        return tuple(steps)

    # -- states ------------------------------------------------------------------------------------
    def _meet(self, successor: _Successor, origin: StateId) -> None:
        """Takes note of a state, unless it is known."""
        root, claim, step, _ = successor
        ending = root.walk.finish or root.walk.stopping
        if self.monitor is not None and claim != BROKEN:
            claim = self._settled(self.monitor, root, claim)
            if ending is not None and ending.status == "completed":
                claim = self.monitor.completes(claim)
                self.broken_at_end = claim == BROKEN
        key = (root.key(), claim)
        if key in self._known:
            return
        id = len(self._origins)
        self._known[key] = id
        self._origins.append((origin, step))
        if claim == BROKEN:
            if self.broken is None:
                self.broken = id
        elif ending is None:
            self._todo.append(_WalkState(root, claim, id))
        else:
            self.endings.setdefault(_ending_of(ending), id)

    def _settled(self, monitor: Monitor, root: FrameWalk, claim: MonitorState) -> MonitorState:
        """The state of the claim without the branches that have no say any more."""
        if monitor.fork < 0:
            return claim
        alive: set[Scope | None] = set()
        for acts in (root.walk.running, root.walk.waiting):
            for act in acts.values():
                branch = monitor.branch_of(act.scope)
                alive.add(branch)
        return monitor.forgotten(claim, alive)

    def _successors(self, state: _WalkState) -> list[_Successor]:
        """What may come next; where that makes no difference to the claim, of one leaf only."""
        leaves = leaves_of(state.root)
        running = [leaf for leaf in leaves if not leaf.is_stopping]
        if len(running) > self.most_running:
            self.most_running = len(running)
            names = [leaf.name for leaf in running]
            self.widest = tuple(names)
        if self._reduced and len(leaves) > 1:
            for leaf in self._candidates(state, leaves):
                successors = self._steps_of(state, leaf)
                if _lets_others_be(successors):
                    return successors
        found: list[_Successor] = []
        for leaf in leaves:
            found += self._steps_of(state, leaf)
        return found

    # -- partial-order reduction -------------------------------------------------------------------
    def _candidates(self, state: _WalkState, leaves: list[Leaf]) -> Iterable[Leaf]:
        """Leaves that may be followed alone."""
        monitor = self.monitor
        undisturbed = filter(self._is_undisturbed, leaves)
        if monitor is None or monitor.is_settled(state.claim):
            yield from undisturbed
            return
        branches: Counter[Scope | None] = Counter()
        if monitor.fork >= 0:
            of_leaves = [monitor.branch_of(leaf.scope) for leaf in leaves]
            branches.update(of_leaves)
        for leaf in undisturbed:
            if self._is_quiet(leaf) or self._stays_in_branch(leaf, branches):
                yield leaf

    def _is_undisturbed(self, leaf: Leaf) -> bool:
        """Whether nothing but the end of the walk can take it away, or be taken away by it."""
        for frame, act in zip(leaf.frames, leaf.acts, strict=True):
            walk = frame.walk
            # The first message at END stops all others: every order counts.
            if walk.waiting or walk.program.ends == "first":
                return False
            is_stopping = act.id in walk.cancelling
            for waypoint in act.joins:
                if waypoint.closed:
                    continue
                if not _is_calm(waypoint, is_stopping):
                    return False
        return True

    def _is_quiet(self, leaf: Leaf) -> bool:
        """Whether the claim sees neither its end nor anything that may begin with it."""
        assert self.monitor is not None
        seats = self.monitor.seats
        for frame, act in zip(leaf.frames, leaf.acts, strict=True):
            path = frame.path
            seat = (path, act.slot.index)
            roles = seats.get(seat)
            if roles is not None and roles.sees_end:
                return False
            for number in self._may_begin(act):
                if self._begins_something(path, number):
                    return False
        entered = self._entered_graph(leaf)
        if entered is None:
            return True
        program = entered.program
        start = program.slots[program.start]
        for link in start.links:
            if self._begins_something(leaf.inner_path, link.target):
                return False
        return True

    def _begins_something(self, path: FramePath, number: int) -> bool:
        """Whether the claim sees the beginning of a node."""
        assert self.monitor is not None
        seat = (path, number)
        roles = self.monitor.seats.get(seat)
        if roles is None:
            return False
        return roles.opens or bool(roles.beginning)

    def _may_begin(self, act: Activation) -> Iterable[int]:
        """The nodes that may begin with its end: those behind it, and the joins that wait for it."""
        # A join begins with the last of those that could reach it, whoever that is. So the joins that wait for an activation
        # count, also where others must end before: what the others begin may come before the join, or after it.
        for link in links_of(act.slot):
            yield link.target
        for waypoint in act.joins:
            if isinstance(waypoint, JoinState) and not waypoint.closed:
                yield waypoint.spec.node

    def _stays_in_branch(self, leaf: Leaf, branches: Counter[Scope | None]) -> bool:
        """Whether all it can do to the claim concerns its own branch, and nobody else in it is under way."""
        monitor = self.monitor
        if monitor is None or None in branches:
            return False
        branch = monitor.branch_of(leaf.scope)
        if branch is None or branches[branch] != 1:
            return False
        for waypoint in leaf.acts[0].joins:
            # A gate begins nothing; what a join in the branch begins is in the branch.
            if waypoint.closed or isinstance(waypoint, Gate):
                continue
            within = waypoint.scope[: len(branch)]
            if within != branch and self._begins_something((), waypoint.spec.node):
                return False
        return True

    # -- steps -------------------------------------------------------------------------------------
    def _beginnings(self) -> Iterable[_Successor]:
        start: MonitorState = 0
        if self.monitor is not None:
            start = self.monitor.start
        outcomes = self._outcomes_at((), self.graph)
        for outcome in outcomes.beginnings:
            root = self._new_frame((), outcomes)
            fact = RunStarted(0.0, 0, self.graph.name, outcome.output)
            commands = self._apply(root, fact)
            claim, begun = self._begun(root, commands, start, None)
            does = TAKES + outcome.name.removeprefix(ANSWERS)
            step = WalkStep("START", does, begins=begun, outcomes=(outcome.name,))
            yield _Successor(root, claim, step, False)

    def _new_frame(self, path: FramePath, outcomes: Outcomes) -> FrameWalk:
        walk = Walk(outcomes.program, self._limits[path])
        return FrameWalk(path, walk)

    def _steps_of(self, state: _WalkState, leaf: Leaf) -> list[_Successor]:
        """What comes of one leaf, in each of its outcomes."""
        if leaf.is_stopping:
            return self._cancelled(state, leaf)
        graph = self._entered_graph(leaf)
        if graph is not None:
            return self._entered(state, leaf, graph)
        outcomes = self._outcomes[leaf.frame.path]
        slot = leaf.act.slot
        found: list[_Successor] = []
        for outcome in outcomes.of[slot.index]:
            found += self._ended(state.root, state.claim, leaf, outcome)
        return found

    def _entered_graph(self, leaf: Leaf) -> AnyGraph | None:
        """The graph that a leaf enters next; None if it is not a graph, or is to be looked at as one node."""
        frame, act = leaf.frame, leaf.act
        if act.id not in frame.entered or leaf.is_stopping:
            return None
        outcomes = self._outcomes[frame.path]
        return outcomes.within.get(act.slot.name)

    def _entered(self, state: _WalkState, leaf: Leaf, graph: AnyGraph) -> list[_Successor]:
        path = leaf.inner_path
        outcomes = self._outcomes_at(path, graph)
        found: list[_Successor] = []
        for outcome in outcomes.beginnings:
            root = state.root.copy()
            frame = root.at(leaf.around)
            inner = self._new_frame(path, outcomes)
            frame.entered[leaf.act.id] = inner
            fact = RunStarted(0.0, 0, graph.name, outcome.output)
            commands = self._apply(inner, fact)
            claim, begun = self._begun(inner, commands, state.claim, leaf.scope)
            does = ENTERED + outcome.name.removeprefix(ANSWERS)
            step = WalkStep(leaf.name, does, leaf.numbers, begun, (does,))
            successor = _Successor(root, claim, step, False)
            found.append(successor)
        return found

    def _cancelled(self, state: _WalkState, leaf: Leaf) -> list[_Successor]:
        root = state.root.copy()
        frame = root.at(leaf.around)
        act = leaf.act
        claim = state.claim
        inner = frame.entered.pop(act.id, None)
        if inner is not None:
            claim = self._all_ended(inner, claim, leaf)
        claim = self._noted_end(leaf, claim, None, is_answer=False)
        fact = NodeCancelled(0.0, 0, act.id, act.slot.name, 0.0)
        return self._moved(root, claim, leaf, frame, fact, None)

    def _all_ended(self, frame: FrameWalk, claim: MonitorState, leaf: Leaf) -> MonitorState:
        """What follows when everything in a frame is cancelled with it."""
        monitor = self.monitor
        if monitor is None:
            return claim
        for number, act in frame.walk.running.items():
            inner = frame.entered.get(number)
            if inner is not None:
                claim = self._all_ended(inner, claim, leaf)
            seat = (frame.path, act.slot.index)
            roles = monitor.seats.get(seat)
            if roles is not None and claim != BROKEN:
                claim = monitor.ends(claim, roles, leaf.scope)
        return claim

    def _ended(
        self,
        before: FrameWalk,
        claim: MonitorState,
        leaf: Leaf,
        outcome: NodeOutcome,
    ) -> list[_Successor]:
        """What follows when a leaf ends with this outcome."""
        root = before.copy()
        frame = root.at(leaf.around)
        act = leaf.act
        frame.entered.pop(act.id, None)
        name = act.slot.name
        fact: Event
        if outcome is FAILS:
            fact = NodeFailed(0.0, 0, act.id, name, ABSTRACT_FAILURE, 0.0)
        else:
            fact = NodeFinished(0.0, 0, act.id, name, outcome.output, 0.0)
        is_answer = outcome is not FAILS
        claim = self._noted_end(leaf, claim, outcome.unit, is_answer=is_answer)
        return self._moved(root, claim, leaf, frame, fact, outcome)

    def _noted_end(
        self, leaf: Leaf, claim: MonitorState, unit: str | None, *, is_answer: bool
    ) -> MonitorState:
        monitor = self.monitor
        if monitor is None or claim == BROKEN:
            return claim
        seat = (leaf.frame.path, leaf.act.slot.index)
        roles = monitor.seats.get(seat)
        if roles is None:
            return claim
        if is_answer:
            return monitor.answers(claim, roles, leaf.scope, unit)
        return monitor.ends(claim, roles, leaf.scope)

    def _moved(
        self,
        root: FrameWalk,
        claim: MonitorState,
        leaf: Leaf,
        frame: FrameWalk,
        fact: Event,
        outcome: NodeOutcome | None,
    ) -> list[_Successor]:
        """What follows from a fact: more begins, or the frame ends, and with it the activation that has entered it.

        `outcome`: what the leaf has done; None if it was cancelled.
        """
        does = "is cancelled"
        outcomes: tuple[str, ...] = ()
        if outcome is not None:
            does = outcome.name
            outcomes = (does,)
        commands = self._apply(frame, fact)
        scope = leaf.scope if frame.path else None
        claim, begun = self._begun(frame, commands, claim, scope)
        finish = frame.walk.finish
        if finish is None or not frame.path:
            cancels = _cancels(commands) and root.walk.stopping is None
            step = WalkStep(leaf.name, does, leaf.numbers, begun, outcomes)
            return [_Successor(root, claim, step, cancels)]
        outer = leaf.outer
        unit = unit_of(finish.output)
        found: list[_Successor] = []
        for behind in self._outcomes_of_frame(outer, finish.status, unit):
            for successor in self._ended(root, claim, outer, behind):
                # One step, as it is told: the inner node's, and what comes of it outside.
                after = successor.step
                both = f"{does}; {after.node} {after.does}"
                all_outcomes = (*outcomes, *after.outcomes)
                step = WalkStep(leaf.name, both, leaf.numbers, after.begins, all_outcomes)
                cancels = successor.cancels or _cancels(commands)
                moved = _Successor(successor.root, successor.claim, step, cancels)
                found.append(moved)
        return found

    def _outcomes_of_frame(
        self, outer: Leaf, status: str, unit: str | None
    ) -> Sequence[NodeOutcome]:
        """What an activation may do whose frame has ended so."""
        of_frame = self._outcomes[outer.frame.path]
        outcomes = of_frame.of[outer.act.slot.index]
        if status != "completed":
            return [FAILS]
        answers = [outcome for outcome in outcomes if outcome is not FAILS]
        exact = [outcome for outcome in answers if outcome.unit == unit]
        return exact or answers

    def _apply(self, frame: FrameWalk, fact: Event) -> list[Command]:
        walk = frame.walk
        if self._watch_edges:
            walk.outbox = Outbox(walk.program, 0)
        commands = walk.apply(fact)
        if walk.outbox:
            for event in walk.outbox:
                if isinstance(event, EdgeSent):
                    place = (frame.path, event.edge)
                    self.taken.add(place)
            walk.outbox = None
        return commands

    def _begun(
        self, frame: FrameWalk, commands: Iterable[Command], claim: MonitorState, scope: Any
    ) -> tuple[MonitorState, tuple[str, ...]]:
        """What begins with a step: the claim's state after it, and the names.

        `scope`: that of the outermost frame; None if this is the outermost.
        """
        monitor = self.monitor
        within = self._outcomes[frame.path].within
        names: list[str] = []
        for command in commands:
            if not isinstance(command, Activation):
                continue
            slot = command.slot
            path = (*frame.path, slot.name)
            names.append(ARROW.join(path))
            if slot.name in within:
                frame.entered[command.id] = None
            if monitor is None or claim == BROKEN:
                continue
            seat = (frame.path, slot.index)
            roles = monitor.seats.get(seat)
            if roles is not None:
                at = command.scope if scope is None else scope
                claim = monitor.begins(claim, roles, at)
        return claim, tuple(names)

    # -- graphs within -----------------------------------------------------------------------------
    def _outcomes_at(self, path: FramePath, graph: AnyGraph) -> Outcomes:
        known = self._outcomes.get(path)
        if known is not None:
            return known
        within: dict[str, AnyGraph] = {}
        for slot in graph.program.slots:
            inner = _graph_on(slot)
            inner_path = (*path, slot.name)
            if inner is not None and self._enters(inner_path):
                within[slot.name] = inner
        outcomes = Outcomes(graph, self._sizes, all_failures=self._all_failures, within=within)
        self.maps = self.maps or outcomes.maps
        self._outcomes[path] = outcomes
        limits = graph.limits
        laps = None if limits is None else limits.laps
        self._limits[path] = Limits(laps=laps)
        return outcomes

    def _enters(self, path: FramePath) -> bool:
        return self._frames is None or path in self._frames


def _ending_of(finish: Finish) -> WalkEnding:
    """How a walk ends."""
    error = finish.error
    if error is None or error is ABSTRACT_FAILURE:
        return WalkEnding(finish.status)
    name = type(error).__name__
    return WalkEnding(finish.status, name)


def _graph_on(slot: Slot) -> AnyGraph | None:
    """The graph that a node on an arrow enters, if it does."""
    node = slot.node
    if node is None or node.enters != "always":
        return None
    inner, _ = node.entry()
    return inner if isinstance(inner, ProvenGraph) else None


def _cancels(commands: Iterable[Command]) -> bool:
    return any(isinstance(command, Cancel) for command in commands)


def _is_calm(waypoint: Waypoint, is_stopping: bool) -> bool:
    """Whether a waypoint neither cancels those who carry it nor looks at the order in which they end."""
    if isinstance(waypoint, Gate):
        if waypoint.slot.policy == "isolate":
            return True
        # The death of a token that was cancelled is counted, and nothing else.
        return is_stopping and waypoint.slot.policy == "cancel"
    # A join that takes the first few, or one within it, knows its holders.
    return waypoint.holders is None or is_stopping


def _lets_others_be(successors: Sequence[_Successor]) -> bool:
    """Whether what a leaf does leaves all others as they are, in at least one of its outcomes.

    One that stops the whole walk does no harm: until then everything can happen as if it had another outcome.
    """
    goes_on = False
    for successor in successors:
        if successor.cancels:
            return False
        goes_on = goes_on or successor.root.walk.stopping is None
    return goes_on
