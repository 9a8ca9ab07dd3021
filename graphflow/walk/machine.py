"""The walk of one graph: scoped tokens over ports. A state machine without I/O, clock or asyncio.

Rules:
1. `apply(fact)` is the only way in; it returns commands (start this activation, cancel those, finish) and never acts.
2. The same facts in the same order give the same state and the same commands, today and when a journal is replayed.
3. A token's scope is the path of forks, laps and joins that led to it. It orders tokens, so what is collected comes in
   the order of the wiring and of the list, however fast each branch was (`scope.py`).
4. A join lives from the moment its fork sends until no token that could still reach it is left (`live` is 0). So a
   branch that was not taken, died, or went round a loop settles a join as surely as one that arrived, and nothing waits
   for ever.
5. Where a graph states a fork policy, each run of a fork has a gate, and the tokens inside carry it as they carry their
   joins. Whom a failure concerns is read from the gates, so cancelling costs what is cancelled and no more.

A token is a message under way, with the scope that tells it from all others and the waypoints (joins and gates) that it
can still reach. It is not an object of its own: between two nodes it is the arguments of a call, at a node an `Activation`.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from graphflow.declaration.handoffs import Handover, without_turns
from graphflow.events import (
    Event,
    FrameEntered,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRefused,
    RunStarted,
    Scope,
    Stopped,
)
from graphflow.limits import DEFAULT_LAPS, UNLIMITED, Limits
from graphflow.messages.message import Failure, error_text
from graphflow.proofs.program import Link, Program, Slot, select, spread
from graphflow.walk.commands import Activation, Cancel, Command, Finish
from graphflow.walk.dead_ends import DeadEnd, HalfFilled, edges_to, no_output
from graphflow.walk.joins import (
    Arrival,
    Chain,
    FailedToken,
    Gate,
    Holder,
    JoinState,
    Variables,
    Waypoint,
    empty_port,
    gate_of,
    in_logical_order,
    is_open,
    join_of,
    messages_by_port,
    open_join,
    port_values,
    revision_behind,
    scope_behind,
    still_ahead,
    unwanted_behind,
    wanted_by,
)
from graphflow.walk.laps import is_used_up, laps_used_up, with_limit_reached
from graphflow.walk.outbox import Outbox
from graphflow.walk.outputs import Output, Outputs
from graphflow.walk.revision import BrokenRevision, Revision, beginning_with, grown, starting
from graphflow.walk.scope import Order, cross, order_of, scope_after
from graphflow.walk.tokens import Sends, tokens_of, with_items

CANCELLED = "its fork was cancelled"
"""Why a join is dropped whose fork a failure has stopped."""
MAX_DEAD_ENDS = 5
"""How many of the messages that ended without reaching END are named: a few say why a walk has no output."""


class Walk:
    """The state of one graph's walk. `observed` also tells what follows from the facts, in `outbox`."""

    def __init__(
        self,
        program: Program,
        limits: Limits = UNLIMITED,
        *,
        frame: int = 0,
        path: tuple[str, ...] = (),
        observed: bool = False,
    ) -> None:
        self.program = program
        self.limits = limits
        self.frame = frame
        self.path = path or (program.name,)
        self.outbox: Outbox | None = None
        """What follows from the facts, for those who look on."""
        if observed:
            self.outbox = Outbox(program, frame)
        self.count = 0
        """Activations so far; the next one gets this plus one as its number."""
        self.running: dict[int, Activation] = {}
        self.cancelling: set[int] = set()
        """Those of them that were told to stop, and have not ended yet."""
        self.waiting: OrderedDict[int, Activation] = OrderedDict()
        """Activations that the bound on concurrency holds back, in the order in which they are due."""
        self.joins: dict[JoinState, None] = {}
        """Joins that are open, in the order in which they opened."""
        self.outputs = Outputs()
        """What has reached END."""
        self.stopping: Finish | None = None
        """How the walk will end, as soon as what runs has stopped."""
        self.finish: Finish | None = None
        self.dead_ends: list[DeadEnd] = []
        """Where messages ended without reaching END."""
        self.half: HalfFilled | None = None
        """The first join that waited in vain, with some of its ports filled."""
        self.now = 0.0
        self._context: Variables = None
        """The context variables of what sends at the moment."""
        self.origin = starting(program) if program.states else None
        """What the states of the graph are at the start; None if it has none. Who knows what it was lent says so."""
        self.keeps_writes = True
        """Whether somebody outside will ask what was written: a frame around, which has lent its states."""
        self._revision: Revision | None = None
        """What the states are for what sends at the moment."""
        self._commands: list[Command] = []
        self._closing: deque[Waypoint] = deque()
        """What no token can reach any more, and has to be closed."""
        self._draining = False
        self._max_running = limits.concurrency
        self._max_laps = limits.laps or DEFAULT_LAPS

    # -- facts in, commands out --------------------------------------------------------------------
    def apply(self, fact: Event, context: Variables = None) -> list[Command]:
        """Takes one fact and returns what is to be done about it. Facts that concern nobody here change nothing.

        Args:
            fact: what has happened.
            context: the context variables that the activation has left behind; those of the caller, for the first fact.
                What follows is started with them. A walk that only replays facts needs none.
        """
        take = _TRANSITIONS.get(type(fact))
        if take is None or self.finish is not None:
            return []
        self.now = fact.at
        self._context = context
        self._commands = []
        take(self, fact)
        return self._commands

    def begin_at(
        self, number: int, slot: int, message: object, laps: Sequence[int], at: float
    ) -> None:
        """Begins in the middle of a straight walk: with this activation, after so many laps."""
        self.now = at
        self.count = number - 1
        program = self.program
        scope = scope_after(laps, slot, program)
        self._start(program.slots[slot], message, None, scope, (), None, self.origin)

    def _began(self, fact: RunStarted | FrameEntered) -> None:
        if isinstance(fact, RunStarted) and fact.writes and self.origin is not None:
            self.origin = beginning_with(self.origin, fact.writes)
        self._revision = self.origin
        slot = self.program.slots[self.program.start]
        try:
            links = select(slot, fact.input, fact.input)
            items = spread(slot, links, fact.input)
        except BaseException as error:
            self._stop(Finish("failed", None, error))
        else:
            self._send(slot, links, fact.input, (), (), items)
        self._conclude()

    def _finished(self, fact: NodeFinished) -> None:
        act = self._ended(fact.activation)
        if act is None:
            return
        slot, output = act.slot, fact.output
        self._revision = act.revision
        if fact.writes:
            keeps = bool(act.joins) or self.keeps_writes or self.program.ends == "all"
            self._revision = grown(act.revision, fact.writes, keeps=keeps)
            if self.outbox is not None:
                self.outbox.add_written(self.now, act, fact.writes)
        message = act.message if slot.passes_input else output
        link = slot.alone
        if link is not None and not slot.forks:
            self._hop(act, link, message)
        elif slot.handoff_links is not None and type(output) is Handover:
            handoff = slot.handoff_links[output.target]
            self._send(slot, (handoff,), output.travelling, act.scope, act.joins)
        else:
            self._branch(act, output, message)
        self._conclude()

    def _branch(self, act: Activation, output: object, message: object) -> None:
        """Sends what an output is worth: its arm, its guards and the items of a list say which links it takes."""
        slot = act.slot
        # Guards are the user's code. One that raises makes a failure of its node, and so does a list to map that is none.
        try:
            links = select(slot, output, message)
            items = spread(slot, links, message)
        except BaseException as error:
            self._failing(act, error)
        else:
            self._send(slot, links, message, act.scope, act.joins, items)

    def _failed(self, fact: NodeFailed) -> None:
        act = self._ended(fact.activation)
        if act is not None:
            self._failing(act, fact.error)
            self._conclude()

    def _failing(self, act: Activation, error: BaseException) -> None:
        """A token is lost with an error: along the failure edge if there is one, otherwise as the forks around it say."""
        # What it has written is lost with its answer.
        self._revision = None if act.revision is None else act.revision.sound
        slot = act.slot
        # Told to exit, or a test that has failed: that is not a message for anybody.
        if not isinstance(error, Exception):
            self._stop(Finish("failed", None, error))
            return
        kind = type(error).__name__
        text = error_text(error)
        if not slot.failure_links:
            self._lose(slot.name, f"failed: {kind}: {text}")
            order = order_of(act.scope, self.program)
            failed = FailedToken(order, error, act.joins)
            self._fail(failed)
            return
        given = without_turns(act.input)
        failure = Failure(node=slot.name, error=text, kind=kind, input=given)
        sends = self._within_laps(slot, slot.failure_links, failure, act.scope)
        if sends is not None:
            self._emit(slot, sends, act.scope, act.joins)

    def _cancelled(self, fact: NodeCancelled | NodeRefused) -> None:
        act = self.running.pop(fact.activation, None)
        self.cancelling.discard(fact.activation)
        if act is not None:
            self._release(act)
            self._die(act.joins)
            self._conclude()

    def _stopped(self, fact: Stopped) -> None:
        self._stop(Finish(fact.status, None, fact.error))
        self._conclude()

    def _ended(self, id: int) -> Activation | None:
        """Takes an activation off the list; None if its result no longer counts."""
        act = self.running.pop(id, None) or self._let_go(id)
        if act is None:
            return None
        if self.program.tracks:
            self._release(act)
        # It was told to stop and has answered in the same moment. Whoever stopped it has counted on its token being lost,
        # so it is: otherwise the answer would depend on which of the two was faster.
        if id in self.cancelling:
            self.cancelling.discard(id)
            self._die(act.joins)
            self._conclude()
            return None
        return act

    def _let_go(self, id: int) -> Activation | None:
        """One that is held back here, and was not where it is recorded to have ended: there was more room."""
        act = self.waiting.pop(id, None)
        if act is not None and self.outbox is not None:
            self.outbox.add_started(self.now, act)
        return act

    # -- sending -----------------------------------------------------------------------------------
    def _hop(self, act: Activation, link: Link, message: object) -> None:
        """The common case: one token in, one token out, nothing to count."""
        joins = act.joins
        if link.exits and joins:
            joins = still_ahead(link, joins)
        if self.outbox is not None:
            self.outbox.add_sent(self.now, link, act.scope, message)
        scope = act.scope
        if link.leaves:
            scope = cross(link, scope)
        # The token goes on, so no waypoint counts one more or one less, but for those that it has passed by.
        self._deliver(link, message, scope, joins)
        if joins is not act.joins:
            passed: list[Waypoint] = []
            for waypoint in act.joins:
                if waypoint not in joins:
                    passed.append(waypoint)
            self._die(passed)

    def _send(
        self,
        slot: Slot,
        links: Sequence[Link],
        message: object,
        scope: Scope,
        joins: Chain,
        items: Sequence[object] | None = None,
    ) -> None:
        """Sends a message along these links; along those that map it, its items."""
        if self.outbox is not None:
            for link in slot.links:
                if link not in links:
                    self.outbox.add_not_taken(self.now, link, scope)
        sends = self._within_laps(slot, links, message, scope)
        if sends is None:
            return
        if items is not None:
            sends = with_items(sends, items)
            if not items:
                self._lose(slot.name, "mapped an empty list")
        if not links:
            self._lose(slot.name, "nothing takes what it sent")
        self._emit(slot, sends, scope, joins)

    def _emit(self, slot: Slot, sends: Sends, scope: Scope, joins: Chain) -> None:
        """Turns one token into those that are sent."""
        # Three steps, in this order: open, count, deliver.
        #
        #     START >> (a, b) >> join     open `join`; count two tokens for it; deliver to `a`, then to `b`
        #
        # All are counted before the first is delivered: a token may end in a dead end at once, and must not close a join
        # that its sibling is still on the way to.
        gate: Gate | None = None
        opened: list[JoinState] = []
        if slot.gated:
            gate = gate_of(slot, scope, joins)
        if slot.joins:
            opened = self._open_joins(slot, scope, joins, gate)
        tokens = tokens_of(slot, sends, scope, joins, opened, gate)
        for _, _, _, chain in tokens:
            for waypoint in chain:
                waypoint.live += 1
        outbox = self.outbox
        for link, message, at, chain in tokens:
            if outbox is not None:
                outbox.add_sent(self.now, link, at, message)
            if link.leaves or link.enters or link.lap is not None:
                at = cross(link, at)
            self._deliver(link, message, at, chain)
        # What no token has gone to is reached by nobody: an arm that was not taken, a list without items.
        if opened:
            unreached = [join for join in opened if not join.live]
            self._settle(unreached)
        if gate is not None and not gate.live:
            self._settle([gate])
        # The token that came in dies last, so that nothing it carried closes while its successors are being made.
        self._die(joins)

    def _open_joins(
        self, slot: Slot, scope: Scope, joins: Chain, gate: Gate | None
    ) -> list[JoinState]:
        """Opens the joins of a fork, the outer ones first: an inner one can still bring them a message."""
        opened: list[JoinState] = []
        for spec in reversed(slot.joins):
            # A token that went round a loop to its fork is still on its way to the join that waits already.
            if is_open(spec, joins):
                continue
            around = (*joins, *opened)
            join = open_join(spec, scope, around, gate, self._context, self._revision)
            self.joins[join] = None
            opened.append(join)
        return opened

    def _deliver(self, link: Link, message: object, scope: Scope, joins: Chain) -> None:
        """Brings a message to the node that its link leads to: to END, to a join that waits, or to an activation."""
        target = link.target
        program = self.program
        if target == program.end:
            self.outputs.append(Output(scope, message, self._revision))
            if program.ends == "first":
                self._stop(Finish("completed", message))
            self._die(joins)
            return
        slot = program.slots[target]
        spec = slot.join
        if spec is None:
            self._start(slot, message, None, scope, joins, self._context, self._revision)
            return
        join = join_of(spec, joins)
        arrival = Arrival(scope, link.index, link.port, message, self._context, self._revision)
        join.buffer.append(arrival)
        # A full join fires before the token that filled it dies: what the join sends is counted further out by then, so no
        # outer join can take this death for the end.
        if not join.closed and join.is_full:
            self._settle([join])
        self._die(joins)

    def _start(
        self,
        slot: Slot,
        message: object,
        inputs: dict[str, Any] | None,
        scope: Scope,
        joins: Chain,
        context: Variables,
        revision: Revision | None,
    ) -> None:
        if self.stopping is not None:
            return
        self.count += 1
        act = Activation(self.count, slot, message, inputs, scope, joins, context, revision)
        if self.program.tracks:
            for waypoint in joins:
                if waypoint.holders is not None:
                    waypoint.holders.add(act)
        if self._max_running is not None and len(self.running) >= self._max_running:
            self.waiting[act.id] = act
        else:
            self._go(act)

    def _go(self, act: Activation) -> None:
        self.running[act.id] = act
        self._commands.append(act)
        if self.outbox is not None:
            self.outbox.add_started(self.now, act)

    # -- dead ends ---------------------------------------------------------------------------------
    def _lose(self, node: str, why: str) -> None:
        """Remembers where a message ended without reaching END."""
        if len(self.dead_ends) < MAX_DEAD_ENDS:
            self.dead_ends.append(DeadEnd(node, why))

    # -- laps --------------------------------------------------------------------------------------
    def _within_laps(
        self, slot: Slot, links: Sequence[Link], message: object, scope: Scope
    ) -> Sends | None:
        """What is sent: where laps are used up `LimitReached` goes instead. None if the walk ends by it."""
        for link in links:
            if link.lap is not None and is_used_up(link, scope, self._max_laps):
                break
        else:
            return [(link, message) for link in links]
        sends = with_limit_reached(slot, links, link, message, scope, self._max_laps)
        if sends is None:
            # The edge for `LimitReached` leads back as well, and is used up, too: then it is the one to name.
            if slot.limit_links:
                link = slot.limit_links[0]
            value = link.limit or self._max_laps
            error = laps_used_up(self.program, self.path, link, value)
            self._stop(Finish("limited", None, error))
        return sends

    # -- tokens that die, joins that close ---------------------------------------------------------
    def _die(self, joins: Sequence[Waypoint]) -> None:
        """One token that counted for these waypoints is gone."""
        # The inner ones first: what they send may still reach those further out.
        for waypoint in reversed(joins):
            waypoint.live -= 1
            if not waypoint.live:
                self._closing.append(waypoint)
        if self._closing:
            self._drain()

    def _settle(self, waypoints: Sequence[Waypoint]) -> None:
        self._closing.extend(waypoints)
        self._drain()

    def _drain(self) -> None:
        """Closes what is to be closed, one after the other."""
        # Closing one lets tokens die, which may leave others to be closed. Those come here again while the loop is at work
        # and only join the queue: a row of skipped joins may be as long as the graph, and nested calls would need a stack
        # as deep.
        if self._draining:
            return
        self._draining = True
        while self._closing:
            waypoint = self._closing.popleft()
            if waypoint.closed:
                continue
            if isinstance(waypoint, Gate):
                self._close_gate(waypoint)
            elif isinstance(waypoint, JoinState):
                self._close_join(waypoint)
        self._draining = False

    def _close_join(self, join: JoinState) -> None:
        """No token can reach the join any more, or it has all it needs: it fires, waits for a gate, or is skipped."""
        join.closed = True
        del self.joins[join]
        gate = join.gate
        if gate is None or gate.closed or not gate.finishes:
            self._fire(join)
            return
        # The fork lets all its branches end first. Only a join that takes the first few need not wait for that.
        if join.spec.take is not None and join.is_full:
            # What this join alone could have used is not wanted any more, so its failures are none.
            still_count: list[FailedToken] = []
            for failed in gate.failures:
                if not wanted_by(join, failed.joins):
                    still_count.append(failed)
            gate.failures = still_count
            self._fire(join)
            return
        gate.ready.append(join)

    def _close_gate(self, gate: Gate) -> None:
        """All branches of a fork have ended: its joins start, or the first failure goes on outward."""
        gate.closed = True
        for waypoint in gate.outer:
            waypoint.inner.discard(gate)
        if not gate.finishes:
            return
        if gate.failures:
            for join in gate.joins:
                join.dead = "a branch of its fork failed"
        # In logical order: the numbers of what they start must not depend on which branch was fastest.
        for join in sorted(gate.ready, key=self._place):
            self._fire(join)
        if gate.failures and not gate.dead:
            # The gate stood for one token of everything around it; from here on the failure does.
            first = min(gate.failures, key=lambda failed: failed.order)
            outward = FailedToken(first.order, first.error, gate.outer)
            self._fail(outward)
        else:
            self._die(gate.outer)

    def _place(self, join: JoinState) -> tuple[Order, int]:
        return order_of(join.scope, self.program), join.spec.node

    def _fire(self, join: JoinState) -> None:
        """Activates the node of a closed join with what has arrived, or skips it."""
        for waypoint in join.outer:
            waypoint.inner.discard(join)
        if join.gate is not None:
            join.gate.joins.discard(join)
        unwanted = join.dead or not join.taken
        if unwanted or self.stopping is not None:
            self._drop(join)
            return
        spec = join.spec
        slot = self.program.slots[spec.node]
        assert slot.node is not None
        ports = slot.node.ports
        arrivals = in_logical_order(join.buffer, self.program)
        messages = messages_by_port(spec, arrivals)
        missing = empty_port(spec, ports, messages)
        if missing is not None:
            self._skip(join, slot, missing)
            return
        if spec.take is not None and join.live:
            self._cancel_rest(join)
        values = port_values(spec, ports, messages)
        context = join.context
        if arrivals:
            context = arrivals[0].context
        revision = revision_behind(join, arrivals)
        scope = scope_behind(join)
        # The token that goes on carries what the join has kept open. It takes the join's place there, so nothing is
        # counted anew.
        if len(ports) == 1:
            message = values[ports[0].name]
            self._start(slot, message, None, scope, join.outer, context, revision)
        else:
            self._start(slot, None, values, scope, join.outer, context, revision)

    def _drop(self, join: JoinState) -> None:
        """A join that nobody wants any more: its fork was cancelled, did not send this way, or the walk is stopping."""
        # Messages that have waited at it are lost, and nothing is lost in silence. A walk that stops says why by itself.
        if join.buffer and self.stopping is None:
            slot = self.program.slots[join.spec.node]
            self._lose(slot.name, f"was skipped: {join.dead}")
            if self.outbox is not None:
                self.outbox.add_skipped(self.now, slot.name, join.scope, "", join.dead)
        self._die(join.outer)

    def _skip(self, join: JoinState, slot: Slot, missing: int) -> None:
        """Skips a join whose required port can never get a message in this scope; its token dies further out."""
        assert slot.node is not None
        port = slot.node.ports[missing].name
        edges = edges_to(self.program, slot, missing)
        from_where = ", ".join(edges)
        why = f"port {port!r} never got a message (from {from_where})"
        self._lose(slot.name, f"was skipped: {why}")
        if join.buffer and self.half is None:
            self.half = HalfFilled(slot.name, port, edges, join.scope)
        if self.outbox is not None:
            self.outbox.add_skipped(self.now, slot.name, join.scope, port, why)
        self._die(join.outer)

    # -- failing and stopping ----------------------------------------------------------------------
    def _fail(self, failed: FailedToken) -> None:
        """Asks the forks around a failed token, innermost first, what its failure means."""
        #     isolate    the token is lost, and nothing else
        #     finish     the same, until all branches have ended; then the first failure goes on outward
        #     cancel     everything in this run of the fork is stopped, and the fork around it is asked
        #
        # Where no fork keeps the failure to itself, the walk fails with it.
        cancelled: Gate | None = None
        for gate in reversed(failed.joins):
            if not isinstance(gate, Gate):
                continue
            if gate.slot.policy == "cancel":
                cancelled = gate
                continue
            if gate.finishes:
                gate.failures.append(failed)
            # Of nested forks that cancel, the outermost has all the others in it.
            if cancelled is not None:
                self._cancel_run(cancelled)
            self._die(failed.joins)
            return
        self._stop(Finish("failed", None, failed.error))

    def _cancel_run(self, gate: Gate) -> None:
        """Stops everything inside one run of a fork; its joins are dropped."""
        gate.dead = CANCELLED
        for waypoint in (*gate.joins, *gate.inner):
            waypoint.dead = CANCELLED
        self._cancel(gate.holders or ())

    def _cancel_rest(self, join: JoinState) -> None:
        """A join has the few messages that it takes: what could only bring it more of them is stopped."""
        name = self.program.slots[join.spec.node].name
        self._cancel(unwanted_behind(join, f"{name!r} has all it takes"))

    def _cancel(self, acts: Iterable[Holder]) -> None:
        ids: list[int] = []
        # In the order of their numbers: a set has no order, and the commands must be the same in every process.
        for act in sorted(acts, key=lambda act: act.id):
            id = act.id
            if self.waiting.pop(id, None) is not None:
                self._release(act)
                self._die(act.joins)
            elif id in self.running and id not in self.cancelling:
                ids.append(id)
        self._command_cancel(ids)

    def _command_cancel(self, ids: Sequence[int]) -> None:
        if ids:
            self.cancelling.update(ids)
            command = Cancel(tuple(ids))
            self._commands.append(command)

    def _release(self, act: Holder) -> None:
        """Takes an activation off the lists of those that may have to be cancelled."""
        if self.program.tracks:
            for waypoint in act.joins:
                if waypoint.holders is not None:
                    waypoint.holders.discard(act)

    def _stop(self, finish: Finish) -> None:
        """Decides how the walk ends. It is over when all that runs has been cancelled and has said so."""
        if self.stopping is not None:
            return
        self.stopping = finish
        self.waiting.clear()
        # An activation that was started by this very fact and cancelled again must not begin at all.
        commands: list[Command] = []
        for command in self._commands:
            if not isinstance(command, Activation) or command.id in self.running:
                commands.append(command)
        self._commands = commands
        still_running = [id for id in self.running if id not in self.cancelling]
        self._command_cancel(still_running)

    # -- the end -----------------------------------------------------------------------------------
    def _conclude(self) -> None:
        """Lets what waits go, as far as there is room; where nothing runs any more the walk is over."""
        if self.waiting and self.stopping is None:
            room = self._max_running or 1
            while self.waiting and len(self.running) < room:
                _, act = self.waiting.popitem(last=False)
                self._go(act)
        # Rule 4 makes this enough: an open join has a token that runs, or it would have closed.
        if self.running or self.finish is not None:
            return
        self.finish = self.stopping or self._outcome()
        self._commands.append(self.finish)

    def _outcome(self) -> Finish:
        program = self.program
        final = self.final
        if isinstance(final, BrokenRevision):
            return Finish("failed", None, final.error)
        if self.outputs or program.ends == "all":
            return Finish("completed", self.outputs.answer(program))
        error = no_output(program, self.dead_ends, self.half)
        return Finish("failed", None, error)

    @property
    def final(self) -> Revision | None:
        """What the states are at the end; None if nothing has reached END, or the graph has none."""
        if self.origin is None:
            return None
        return self.outputs.final(self.program, self.origin)


_TRANSITIONS: dict[type[Event], Callable[[Walk, Any], None]] = {
    RunStarted: Walk._began,
    FrameEntered: Walk._began,
    NodeFinished: Walk._finished,
    NodeFailed: Walk._failed,
    NodeCancelled: Walk._cancelled,
    NodeRefused: Walk._cancelled,
    Stopped: Walk._stopped,
}
