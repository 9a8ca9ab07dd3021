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
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from graphflow.declaration.handoffs import Handover, without_turns
from graphflow.errors import LimitExceeded, NoOutput, Stuck
from graphflow.events import (
    EdgeSent,
    EdgeSkipped,
    Event,
    FrameEntered,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeRefused,
    NodeSkipped,
    NodeStarted,
    RunStarted,
    Scope,
    Stopped,
)
from graphflow.limits import DEFAULT_LAPS, UNLIMITED, Limits
from graphflow.messages.message import Failure, LimitReached, error_text
from graphflow.proofs.program import JoinSpec, Link, Program, Slot, select, spread
from graphflow.walk.commands import Cancel, Command, Finish, Start
from graphflow.walk.joins import GATE, Gate, Holder, JoinState, Lost, Waiting, chain_of, wanted_by
from graphflow.walk.scope import Order, cross, laps_of, left, order_of, scope_after, scope_text

TOLD = 5
"""How many of the messages that ended without reaching END are told."""


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
        self.outbox: list[Event] | None = [] if observed else None
        self.count = 0
        """Activations so far; the next one gets this plus one as its number."""
        self.running: dict[int, Start] = {}
        self.cancelling: set[int] = set()
        self.waiting: OrderedDict[int, Start] = OrderedDict()
        """Activations that the bound on concurrency holds back, in the order in which they are due."""
        self.joins: dict[JoinState, None] = {}
        """Joins that are open, in the order in which they opened."""
        self.outputs: list[tuple[Scope, Any]] = []
        self.stopping: Finish | None = None
        self.finish: Finish | None = None
        self.losses: list[tuple[str, str, Scope, bool]] = []
        """Where messages ended without reaching END: (node, why, scope, whether others waited there)."""
        self.half: tuple[str, str, tuple[str, ...], Scope] | None = None
        self.now = 0.0
        self.context: Any = None
        """The context variables of what sends at the moment; whoever performs the walk puts the first one here."""
        self._commands: list[Command] = []
        self._closing: deque[Waiting] = deque()
        """What no token can reach any more, and has to be closed."""
        self._draining = False
        self._most = limits.concurrency
        self._laps = limits.laps or DEFAULT_LAPS

    # -- facts in, commands out ----------------------------------------------------------------------------------------
    def apply(self, fact: Event) -> list[Command]:
        """Takes one fact and returns what is to be done about it. Facts that concern nobody here change nothing."""
        take = _TAKES.get(type(fact))
        if take is None or self.finish is not None:
            return []
        self.now = fact.at
        self._commands = []
        take(self, fact)
        return self._commands

    def begin_at(self, number: int, slot: int, message: Any, laps: Sequence[int], at: float) -> None:
        """Begins in the middle of a straight walk: with this activation, after so many laps."""
        self.now = at
        self.count = number - 1
        self._start(self.program.slots[slot], message, None, scope_after(laps, slot, self.program), (), None)

    def _began(self, fact: RunStarted | FrameEntered) -> None:
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
        self.context = act.context
        slot, output = act.slot, fact.output
        message = act.message if slot.passes_input else output
        link = slot.alone
        if slot.handoff_links is not None and type(output) is Handover:
            self._send(slot, (slot.handoff_links[output.target],), output.travelling, act.scope, act.joins)
        elif link is not None and not slot.forks:
            self._hop(act, link, message)
        else:
            try:
                links = select(slot, output, message)
                items = spread(slot, links, message)
            except BaseException as error:  # a guard raised, or there is nothing to map: its node has failed
                self._failing(act, error)
            else:
                self._send(slot, links, message, act.scope, act.joins, items)
        self._conclude()

    def _failed(self, fact: NodeFailed) -> None:
        act = self._ended(fact.activation)
        if act is not None:
            self.context = act.context
            self._failing(act, fact.error)
            self._conclude()

    def _failing(self, act: Start, error: BaseException) -> None:
        """A token is lost with an error: along the failure edge if there is one, else as the forks around it say."""
        slot = act.slot
        if not isinstance(error, Exception):  # told to exit, or a test that has failed: no message for anybody
            self._stop(Finish("failed", None, error))
            return
        if not slot.failure_links:
            self._lose((slot.name, f"failed: {type(error).__name__}: {error_text(error)}", act.scope, False))
            self._fail(Lost(order_of(act.scope, self.program), error, act.joins))
            return
        failure = Failure(
            node=slot.name, error=error_text(error), kind=type(error).__name__, input=without_turns(act.input)
        )
        sends = self._within_laps(slot, slot.failure_links, failure, act.scope)
        if sends is not None:
            self._emit_links(slot, sends, act.scope, act.joins)

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

    def _ended(self, id: int) -> Start | None:
        """Takes an activation off the list; None if its result no longer counts."""
        act = self.running.pop(id, None)
        if act is None:
            return None
        self._release(act)
        if id in self.cancelling:
            self.cancelling.discard(id)
            self._die(act.joins)
            self._conclude()
            return None
        return act

    # -- sending -------------------------------------------------------------------------------------------------------
    def _hop(self, act: Start, link: Link, message: Any) -> None:
        """The common case: one token in, one token out, nothing to count."""
        joins = act.joins
        if link.exits and joins:
            joins = tuple(j for j in joins if j.spec.node not in link.exits)
        if self.outbox is not None:
            self._tell_sent(link, act.scope, message)
        self._deliver(link, message, act.scope if not link.leaves else cross(link, act.scope), joins)
        if joins is not act.joins:
            self._die(tuple(j for j in act.joins if j not in joins))

    def _send(
        self,
        slot: Slot,
        links: Sequence[Link],
        message: Any,
        scope: Scope,
        joins: tuple[Waiting, ...],
        items: Sequence[Any] | None = None,
    ) -> None:
        if self.outbox is not None and len(links) < len(slot.links):
            for link in slot.links:
                if link not in links:
                    self._tell_skipped(link, scope)
        sends = self._within_laps(slot, links, message, scope)
        if sends is None:
            return
        if items is not None:
            sends = [(link, items if link.each else sent) for link, sent in sends]
        if not links:
            self._lose((slot.name, "nothing takes what it sent", scope, False))
        self._emit_links(slot, sends, scope, joins)

    def _emit_links(
        self, slot: Slot, sends: Sequence[tuple[Link, Any]], scope: Scope, joins: tuple[Waiting, ...]
    ) -> None:
        gate = self._gate(slot, scope, joins) if slot.gated else None
        opened = self._open_all(slot, scope, joins, gate) if slot.joins else ()
        tokens: list[tuple[Link, Any, Scope, tuple[Waiting, ...]]] = []
        for link, message in sends:
            chain = chain_of(link, joins, opened)
            if gate is not None and gate not in chain:
                chain = (*chain, gate)
            if link.each:
                tokens += self._mapped(slot, link, message, scope, chain)
            else:
                tokens.append((link, message, (*scope, link.element) if slot.forks else scope, chain))
        for _, _, _, chain in tokens:
            for state in chain:
                state.live += 1
        for link, item, at, chain in tokens:
            if self.outbox is not None:
                self._tell_sent(link, at, item)
            if link.leaves or link.enters or link.lap is not None:
                at = cross(link, at)
            self._deliver(link, item, at, chain)
        if opened:
            self._settle([state for state in opened if not state.live])
        if gate is not None and not gate.live:
            self._settle([gate])
        self._die(joins)

    def _mapped(
        self, slot: Slot, link: Link, messages: Any, scope: Scope, chain: tuple[Waiting, ...]
    ) -> list[tuple[Link, Any, Scope, tuple[Waiting, ...]]]:
        """A token for each item of a list."""
        if not messages:
            self._lose((slot.name, "mapped an empty list", scope, False))
        return [(link, item, (*scope, (slot.index, (link.index, k))), chain) for k, item in enumerate(messages)]

    def _open_all(
        self, slot: Slot, scope: Scope, joins: tuple[Waiting, ...], gate: Gate | None
    ) -> tuple[JoinState, ...]:
        opened: tuple[JoinState, ...] = ()
        for spec in reversed(slot.joins):  # the outer ones first: an inner join can still bring them a message
            if any(state.spec is spec for state in joins):
                continue  # this token went round a loop: it is still on its way to the join that waits already
            opened = (*opened, self._open(spec, scope, (*joins, *opened), gate))
        return opened

    def _deliver(self, link: Link, message: Any, scope: Scope, joins: tuple[Waiting, ...]) -> None:
        target = link.target
        program = self.program
        if target == program.end:
            self.outputs.append((scope, message))
            if program.ends == "first" and self.stopping is None:
                self._stop(Finish("completed", message))
            self._die(joins)
            return
        slot = program.slots[target]
        spec = slot.join
        if spec is None:
            self._start(slot, message, None, scope, joins, self.context)
            return
        state = next(j for j in joins if j.spec is spec)
        assert isinstance(state, JoinState)
        state.buffer.append((scope, link.index, link.port, message, self.context))
        if not state.closed and self._is_full(state):
            self._settle([state])
        self._die(joins)

    def _start(
        self,
        slot: Slot,
        message: Any,
        inputs: dict[str, Any] | None,
        scope: Scope,
        joins: tuple[Waiting, ...],
        context: Any,
    ) -> None:
        if self.stopping is not None:
            return
        self.count += 1
        act = Start(self.count, slot, message, inputs, scope, joins, context)
        if self.program.tracks:
            for state in joins:
                if state.holders is not None:
                    state.holders.add(act)
        if self._most is not None and len(self.running) >= self._most:
            self.waiting[act.id] = act
        else:
            self._go(act)

    def _go(self, act: Start) -> None:
        self.running[act.id] = act
        act.started = self.now
        self._commands.append(act)
        if self.outbox is not None:
            self.outbox.append(NodeStarted(self.now, self.frame, act.id, act.slot.name, act.scope, act.input))

    def _tell_sent(self, link: Link, scope: Scope, message: Any) -> None:
        assert self.outbox is not None
        source, target, port = self._ends(link)
        sent = EdgeSent(self.now, self.frame, source, target, port, scope, message, link.index, link.origin)
        self.outbox.append(sent)

    def _tell_skipped(self, link: Link, scope: Scope) -> None:
        assert self.outbox is not None
        source, target, port = self._ends(link)
        self.outbox.append(EdgeSkipped(self.now, self.frame, source, target, scope, link.index, link.origin, port))

    def _ends(self, link: Link) -> tuple[str, str, str]:
        """The names of a link's source, target and port, for those who look on."""
        slots = self.program.slots
        target = slots[link.target]
        port = "" if target.node is None else target.node.ports[link.port].name
        return slots[link.source].name, target.name, port

    # -- laps ----------------------------------------------------------------------------------------------------------
    def _used_up(self, link: Link, scope: Scope) -> bool:
        if link.lap is None:
            return False
        loop, position = link.lap
        laps = laps_of(scope, loop)
        return laps is not None and laps[position] >= (link.limit or self._laps)

    def _within_laps(
        self, slot: Slot, links: Sequence[Link], message: Any, scope: Scope
    ) -> list[tuple[Link, Any]] | None:
        """What is sent: where laps are used up `LimitReached` goes instead. None if the walk ends by it.

        Every edge that leads back is counted, also one for `Failure` or for `LimitReached` itself.
        """
        sends = [(link, message) for link in links]
        over = next((link for link in links if link.lap is not None and self._used_up(link, scope)), None)
        if over is None:
            return sends
        value = over.limit or self._laps
        reached = LimitReached(limit="laps", value=value, message=without_turns(message))
        kept = [(link, message) for link in links if not self._used_up(link, scope)]
        instead = [(link, reached) for link in slot.limit_links if not self._used_up(link, scope)]
        if instead:
            return kept + instead
        if slot.limit_links:
            over = slot.limit_links[0]
        self._stop(Finish("limited", None, laps_used_up(self.program, self.path, over, over.limit or self._laps)))
        return None

    # -- joins ---------------------------------------------------------------------------------------------------------
    def _open(self, spec: JoinSpec, scope: Scope, joins: tuple[Waiting, ...], gate: Gate | None) -> JoinState:
        outer = tuple(
            state
            for state in joins
            if state.spec is GATE or spec.node in state.spec.region or spec.node == state.spec.node
        )
        state = JoinState(spec, scope, outer, gate, self.context)
        for other in outer:
            other.live += 1
            if other.holders is not None:
                other.inner.add(state)
        if spec.take is not None:
            state.holders = set()
        if gate is not None:
            gate.joins.add(state)
        self.joins[state] = None
        return state

    def _gate(self, slot: Slot, scope: Scope, joins: tuple[Waiting, ...]) -> Gate:
        """The gate of this run of a fork. Who goes round a loop and forks again is still inside the first run."""
        for state in joins:
            if isinstance(state, Gate) and state.slot is slot:
                return state
        gate = Gate(slot, scope, joins)
        for other in joins:
            if gate.finishes:  # what is further out may not close before the failure of a branch has been judged
                other.live += 1
            if other.holders is not None:
                other.inner.add(gate)
        return gate

    def _is_full(self, state: JoinState) -> bool:
        spec = state.spec
        if spec.take is not None:
            return len(state.buffer) >= spec.take
        return not spec.collects and len({entry[2] for entry in state.buffer}) == len(spec.ports)

    def _lose(self, loss: tuple[str, str, Scope, bool]) -> None:
        """Remembers where a message ended without reaching END; a few are enough to say why a walk has no output."""
        if len(self.losses) < TOLD:
            self.losses.append(loss)

    def _die(self, joins: Sequence[Waiting]) -> None:
        """One token that counted for these joins is gone."""
        for state in reversed(joins):  # the inner ones first: what they send may still reach those further out
            state.live -= 1
            if not state.live:
                self._closing.append(state)
        if self._closing:
            self._drain()

    def _settle(self, states: Sequence[Waiting]) -> None:
        self._closing.extend(states)
        self._drain()

    def _drain(self) -> None:
        """Closes what is to be closed, one after the other: a row of skipped joins may be as long as the graph."""
        if self._draining:
            return
        self._draining = True
        while self._closing:
            state = self._closing.popleft()
            if state.closed:
                continue
            if isinstance(state, Gate):
                self._close_gate(state)
            elif isinstance(state, JoinState):
                self._close(state)
        self._draining = False

    def _close(self, state: JoinState) -> None:
        """No token can reach the join any more, or it has all it needs: it fires, is held by a gate, or is skipped."""
        state.closed = True
        del self.joins[state]
        gate = state.gate
        taken = state.spec.take is not None and self._is_full(state)
        if gate is None or gate.closed or not gate.finishes:
            self._fire(state)
        elif taken:  # the rest of the fork is not wanted any more, so its failures are none
            gate.failures = [lost for lost in gate.failures if not wanted_by(state, lost.joins)]
            self._fire(state)
        else:
            gate.held.append(state)

    def _close_gate(self, gate: Gate) -> None:
        """All branches of a fork have ended: its joins start, or the first failure goes on outward."""
        gate.closed = True
        for other in gate.outer:
            other.inner.discard(gate)
        if not gate.finishes:
            return
        held = sorted(gate.held, key=lambda state: (order_of(state.scope, self.program), state.spec.node))
        if gate.failures:
            for state in gate.joins:
                state.dead = True
        for state in held:
            self._fire(state)
        if gate.failures and not gate.dead:
            first = min(gate.failures, key=lambda lost: lost.order)
            self._fail(Lost(first.order, first.error, gate.outer))
        else:
            self._die(gate.outer)

    def _fire(self, state: JoinState) -> None:
        spec = state.spec
        slot = self.program.slots[spec.node]
        for other in state.outer:
            other.inner.discard(state)
        if state.gate is not None:
            state.gate.joins.discard(state)
        if state.dead or not state.taken or self.stopping is not None:
            if state.buffer and self.stopping is None:
                self._lose((slot.name, "was skipped: its fork was cancelled", state.scope, False))
            self._die(state.outer)
            return
        inputs, missing, context = self._gather(state, slot)
        if missing is not None:
            self._skip(state, slot, missing)
            return
        if state.holders and state.live:
            self._cancel_rest(state)
        single = len(slot.node.ports) == 1 if slot.node else False
        message = next(iter(inputs.values())) if single else None
        scope = state.scope
        if spec.element is not None:
            scope = (*scope, spec.element)
        elif spec.leaves:
            scope = left(scope, spec.leaves)
        self._start(slot, message, None if single else inputs, scope, state.outer, context)

    def _gather(self, state: JoinState, slot: Slot) -> tuple[dict[str, Any], int | None, Any]:
        """The messages by port name, in logical order; a required port that stayed empty; the first message's context."""
        node, spec = slot.node, state.spec
        assert node is not None
        inputs: dict[str, Any] = {}
        got = sorted(state.buffer, key=self._logical)
        context = got[0][4] if got else state.context
        for number in spec.ports:
            port = node.ports[number]
            here = got if len(spec.ports) == 1 else [entry for entry in got if entry[2] == number]
            if number in spec.collects:
                inputs[port.name] = [entry[3] for entry in here]
            elif here:
                inputs[port.name] = here[0][3]
            elif port.optional:
                inputs[port.name] = port.empty
            else:
                return inputs, number, context
        if not state.buffer and not spec.collects:
            return inputs, spec.ports[0], context
        return inputs, None, context

    def _logical(self, entry: tuple[Scope, int, int, Any, Any]) -> tuple[Order, int]:
        scope = entry[0]
        return order_of(scope, self.program) if self.program.reordered else scope, entry[1]

    def _skip(self, state: JoinState, slot: Slot, missing: int) -> None:
        assert slot.node is not None
        port = slot.node.ports[missing].name
        edges = tuple(
            f"{self.program.slots[link.source].name} >> {slot.name}"
            for link in self.program.links
            if link.target == slot.index and link.port == missing
        )
        why = f"port {port!r} never got a message (from {', '.join(edges)})"
        self._lose((slot.name, why, state.scope, bool(state.buffer)))
        if state.buffer and self.half is None:
            self.half = (slot.name, port, edges, state.scope)
        if self.outbox is not None:
            self.outbox.append(NodeSkipped(self.now, self.frame, slot.name, state.scope, port, why))
        self._die(state.outer)

    # -- failing and stopping ------------------------------------------------------------------------------------------
    def _fail(self, lost: Lost) -> None:
        """Asks the forks around a failed token, innermost first, what its failure means."""
        inner: Gate | None = None
        for gate in reversed(lost.joins):
            if not isinstance(gate, Gate):
                continue
            if gate.slot.policy == "cancel":
                inner = gate
                continue
            if gate.finishes:
                gate.failures.append(lost)
            if inner is not None:
                self._cancel_run(inner)
            self._die(lost.joins)
            return
        self._stop(Finish("failed", None, lost.error))

    def _cancel_run(self, gate: Gate) -> None:
        """Stops everything inside one run of a fork; its joins are skipped."""
        gate.dead = True
        for state in (*gate.joins, *gate.inner):
            state.dead = True
        self._cancel(gate.holders or ())

    def _cancel_rest(self, join: JoinState) -> None:
        """A join has the few messages that it takes: what could only bring it more of them is stopped."""
        for state in join.inner:
            state.dead = state.dead or wanted_by(join, state.outer)
        self._cancel([act for act in join.holders or () if wanted_by(join, act.joins)])

    def _cancel(self, acts: Iterable[Holder]) -> None:
        ids: list[int] = []
        for act in sorted(acts, key=lambda act: act.id):
            if self.waiting.pop(act.id, None) is not None:
                self._release(act)
                self._die(act.joins)
            elif act.id in self.running and act.id not in self.cancelling:
                ids.append(act.id)
        if ids:
            self.cancelling.update(ids)
            self._commands.append(Cancel(ids))

    def _release(self, act: Holder) -> None:
        """Takes an activation off the lists of those that may have to be cancelled."""
        if self.program.tracks:
            for state in act.joins:
                if state.holders is not None:
                    state.holders.discard(act)

    def _stop(self, finish: Finish) -> None:
        if self.stopping is not None:
            return
        self.stopping = finish
        self.waiting.clear()
        ids = [id for id in self.running if id not in self.cancelling]
        self._commands = [c for c in self._commands if not isinstance(c, Start) or c.id in self.running]
        if ids:
            self.cancelling.update(ids)
            self._commands.append(Cancel(ids))

    # -- the end -------------------------------------------------------------------------------------------------------
    def _conclude(self) -> None:
        if self.waiting and self.stopping is None:
            most = self._most or 1
            while self.waiting and len(self.running) < most:
                self._go(self.waiting.popitem(last=False)[1])
        if self.running or self.finish is not None:
            return
        self.finish = self.stopping or self._outcome()
        self._commands.append(self.finish)

    def _outcome(self) -> Finish:
        ends = self.program.ends
        if ends == "all":
            ordered = sorted(self.outputs, key=lambda entry: order_of(entry[0], self.program))
            return Finish("completed", [message for _, message in ordered])
        if self.outputs:
            return Finish("completed", self.outputs[0][1])
        return Finish("failed", None, self.no_output())

    def no_output(self) -> NoOutput:
        name = self.program.name
        told = "; ".join(f"{node!r} {'was skipped: ' if 'port' in why else ''}{why}" for node, why, _, _ in self.losses)
        if self.half is not None:
            node, port, edges, scope = self.half
            return Stuck(
                f"graph {name!r} ended without an output: {node!r} had messages waiting, but its port {port!r} can never get one "
                f"(edges: {', '.join(edges)}; scope {scope_text(scope, self.program)}). Make the port optional ({port}: T | None), "
                f"or give the branch that was not taken another way to END",
                node=node,
                port=port,
                edges=edges,
                scope=scope_text(scope, self.program),
            )
        why = told or "no message was sent"
        return NoOutput(
            f"graph {name!r} ended without an output: {why}. Give every branch a way to END, or collect with list[...]"
        )

    # -- state ---------------------------------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """The whole state as plain values: equal states behave equally."""
        return {
            "count": self.count,
            "running": {id: (a.slot.name, a.scope, a.input) for id, a in self.running.items()},
            "cancelling": sorted(self.cancelling),
            "waiting": [(a.id, a.slot.name, a.scope, a.input) for a in self.waiting.values()],
            "joins": [
                (
                    s.spec.node,
                    s.scope,
                    s.live,
                    s.taken,
                    s.dead,
                    [entry[:4] for entry in s.buffer],
                    [o.spec.node for o in s.outer],
                )
                for s in self.joins
            ],
            "outputs": list(self.outputs),
            "finish": None
            if self.finish is None
            else (self.finish.status, self.finish.output, repr(self.finish.error)),
        }


def laps_used_up(program: Program, path: tuple[str, ...], link: Link, value: int) -> LimitExceeded:
    """The error of a walk that ends because an edge that leads back was taken as often as it may be."""
    source, target = program.slots[link.source].name, program.slots[link.target].name
    higher = "Limits(laps=...)" if link.limit is None else f"its .limit({value})"
    return LimitExceeded(
        "laps",
        value,
        path,
        f"the edge {source} >> {target} was taken {value} times",
        remedy=f"take {source}[LimitReached] >> a node to go on, or raise {higher}",
    )


_TAKES: dict[type[Event], Callable[[Walk, Any], None]] = {
    RunStarted: Walk._began,
    FrameEntered: Walk._began,
    NodeFinished: Walk._finished,
    NodeFailed: Walk._failed,
    NodeCancelled: Walk._cancelled,
    NodeRefused: Walk._cancelled,
    Stopped: Walk._stopped,
}
