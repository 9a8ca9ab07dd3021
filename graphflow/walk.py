"""The walk of one graph: scoped tokens over ports. A state machine without I/O, clock or asyncio.

Rules:
1. `apply(fact)` is the only way in; it returns commands (start this activation, cancel those, finish) and never acts.
2. The same facts in the same order give the same state and the same commands, today and when a journal is replayed.
3. A token's scope is the path of forks and laps that led to it. It orders tokens, so what is collected comes in the
   order of the wiring and of the list, however fast each branch was.
4. A join lives from the moment its fork sends until no token that could still reach it is left (`live` is 0). So a
   branch that was not taken, died, or went round a loop settles a join as surely as one that arrived, and nothing waits
   for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from graphflow.errors import LimitExceeded, NoOutput, Stuck
from graphflow.events import (
    EdgeSent,
    EdgeSkipped,
    Event,
    FrameEntered,
    NodeCancelled,
    NodeFailed,
    NodeFinished,
    NodeSkipped,
    NodeStarted,
    RunStarted,
    Scope,
    Status,
    Stopped,
)
from graphflow.handoffs import Handover, without_turns
from graphflow.limits import DEFAULT_LAPS, UNLIMITED, Limits
from graphflow.messages import Failure, LimitReached, error_text
from graphflow.program import JoinSpec, Link, Program, Slot, select


class JoinState:
    """One join, waiting in one scope."""

    __slots__ = ("buffer", "closed", "dead", "live", "outer", "scope", "spec", "taken")

    def __init__(self, spec: JoinSpec, scope: Scope, outer: tuple[JoinState, ...]) -> None:
        self.spec = spec
        self.scope = scope
        self.outer = outer
        """Joins further out that this one can still bring a message to."""
        self.live = 0
        """Tokens that can still reach this join."""
        self.taken = False
        """Whether the fork sent anything this way."""
        self.dead = False
        self.closed = False
        self.buffer: list[tuple[Scope, int, int, Any]] = []
        """(scope, link, port, message)"""


class Start:
    """Command: activate this node. It is the activation, too."""

    __slots__ = ("begun", "id", "inputs", "joins", "message", "scope", "slot", "started")

    def __init__(
        self,
        id: int,
        slot: Slot,
        message: Any,
        inputs: dict[str, Any] | None,
        scope: Scope,
        joins: tuple[JoinState, ...],
    ) -> None:
        self.id = id
        self.slot = slot
        self.message = message
        """What the node's only wired port got."""
        self.inputs = inputs
        """What the ports of a join got, by name; None if the node is no join."""
        self.scope = scope
        self.joins = joins
        self.started = 0.0
        self.begun = False

    @property
    def input(self) -> Any:
        """The message, or the messages by port."""
        return self.message if self.inputs is None else self.inputs


class Cancel:
    """Command: stop these activations, and say when each has ended."""

    __slots__ = ("ids",)

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = tuple(ids)


class Finish:
    """Command: the walk is over."""

    __slots__ = ("error", "output", "status")

    def __init__(self, status: Status, output: Any = None, error: BaseException | None = None) -> None:
        self.status = status
        self.output = output
        self.error = error


Command = Start | Cancel | Finish


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
        self.waiting: deque[Start] = deque()
        self.joins: dict[tuple[int, Scope], JoinState] = {}
        self.outputs: list[tuple[Scope, Any]] = []
        self.unfinished: dict[tuple[int, Scope], tuple[Scope, BaseException]] = {}
        """Failures of forks with policy `finish` that wait for their siblings."""
        self.stopping: Finish | None = None
        self.finish: Finish | None = None
        self.losses: list[tuple[str, str, Scope, bool]] = []
        """Where messages ended without reaching END: (node, why, scope, whether others waited there)."""
        self.half: tuple[str, str, tuple[str, ...], Scope] | None = None
        self.now = 0.0
        self._commands: list[Command] = []
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

    def _began(self, fact: RunStarted | FrameEntered) -> None:
        slot = self.program.slots[self.program.start]
        try:
            links = select(slot, fact.input, fact.input)
        except Exception as error:
            self._stop(Finish("failed", None, error))
        else:
            self._send(slot, links, fact.input, (), ())
        self._conclude()

    def _finished(self, fact: NodeFinished) -> None:
        act = self._ended(fact.activation)
        if act is None:
            return
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
            except Exception as error:  # a guard raised: its node has failed
                self._failing(act, error)
            else:
                self._send(slot, links, message, act.scope, act.joins)
        self._conclude()

    def _failed(self, fact: NodeFailed) -> None:
        act = self._ended(fact.activation)
        if act is not None:
            self._failing(act, fact.error)
            self._conclude()

    def _failing(self, act: Start, error: BaseException) -> None:
        """A token is lost with an error: along the failure edge if there is one, else as the forks around it say."""
        slot = act.slot
        if slot.failure_links:
            failure = Failure(
                node=slot.name, error=error_text(error), kind=type(error).__name__, input=without_turns(act.input)
            )
            self._emit_links(slot, [(link, failure) for link in slot.failure_links], act.scope, act.joins)
        else:
            self.losses.append((slot.name, f"failed: {type(error).__name__}: {error_text(error)}", act.scope, False))
            self._fail(act.scope, act.joins, error)

    def _cancelled(self, fact: NodeCancelled) -> None:
        act = self.running.pop(fact.activation, None)
        self.cancelling.discard(fact.activation)
        if act is not None:
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
        self._deliver(link, message, act.scope if not link.leaves else _cross(link, act.scope), joins)
        if joins is not act.joins:
            self._die(tuple(j for j in act.joins if j not in joins))

    def _send(
        self, slot: Slot, links: Sequence[Link], message: Any, scope: Scope, joins: tuple[JoinState, ...]
    ) -> None:
        if self.outbox is not None and len(links) < len(slot.links):
            for link in slot.links:
                if link not in links:
                    self._tell_skipped(link, scope)
        sends = [(link, message) for link in links]
        if any(link.lap is not None and self._used_up(link, scope) for link in links):
            over = self._laps_over(slot, links, message, scope)
            if over is None:
                return
            sends = over
        if not links:
            self.losses.append((slot.name, "nothing takes what it sent", scope, False))
        self._emit_links(slot, sends, scope, joins)

    def _emit_links(
        self, slot: Slot, sends: Sequence[tuple[Link, Any]], scope: Scope, joins: tuple[JoinState, ...]
    ) -> None:
        opened: tuple[JoinState, ...] = ()
        for spec in reversed(slot.joins):  # the outer ones first: an inner join can still bring them a message
            opened = (*opened, self._open(spec, scope, (*joins, *opened)))
        tokens: list[tuple[Link, Any, Scope, tuple[JoinState, ...]]] = []
        for link, message in sends:
            chain = _chain(link, joins, opened)
            if link.each:
                if not message:
                    self.losses.append((slot.name, "mapped an empty list", scope, False))
                tokens += [
                    (link, item, (*scope, (slot.index, (link.index, k))), chain) for k, item in enumerate(message)
                ]
            else:
                tokens.append((link, message, (*scope, link.element) if slot.forks else scope, chain))
        for _, _, _, chain in tokens:
            for state in chain:
                state.live += 1
        for link, item, at, chain in tokens:
            if self.outbox is not None:
                self._tell_sent(link, at, item)
            if link.leaves or link.enters or link.lap is not None:
                at = _cross(link, at)
            self._deliver(link, item, at, chain)
        self._die(joins)
        for state in opened:
            if not state.live and not state.closed:
                self._close(state)

    def _deliver(self, link: Link, message: Any, scope: Scope, joins: tuple[JoinState, ...]) -> None:
        target = link.target
        program = self.program
        if target == program.end:
            self.outputs.append((scope, message))
            if program.ends == "first" and self.stopping is None:
                self._stop(Finish("completed", message))
            return
        slot = program.slots[target]
        spec = slot.join
        if spec is None:
            self._start(slot, message, None, scope, joins)
            return
        state = next(j for j in joins if j.spec is spec)
        state.buffer.append((scope, link.index, link.port, message))
        self._die(joins)
        if not state.closed and self._is_full(state):
            self._close(state)

    def _start(
        self, slot: Slot, message: Any, inputs: dict[str, Any] | None, scope: Scope, joins: tuple[JoinState, ...]
    ) -> None:
        if self.stopping is not None:
            return
        self.count += 1
        act = Start(self.count, slot, message, inputs, scope, joins)
        if self._most is not None and len(self.running) >= self._most:
            self.waiting.append(act)
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
        assert link.lap is not None
        loop, position = link.lap
        key = -1 - loop
        laps = next((counts for region, counts in reversed(scope) if region == key), None)
        return laps is not None and laps[position] >= (link.limit or self._laps)

    def _laps_over(
        self, slot: Slot, links: Sequence[Link], message: Any, scope: Scope
    ) -> list[tuple[Link, Any]] | None:
        """What is sent when laps are used up: the other ways, and `LimitReached`; None if the walk ends by it."""
        kept = [link for link in links if link.lap is None or not self._used_up(link, scope)]
        over = next(link for link in links if link not in kept)
        value = over.limit or self._laps
        if slot.limit_links:
            reached = LimitReached(limit="laps", value=value, message=without_turns(message))
            return [*((link, message) for link in kept), *((link, reached) for link in slot.limit_links)]
        target = self.program.slots[over.target].name
        detail = f"the edge {slot.name} >> {target} was taken {value} times; take {slot.name}[LimitReached] >> a node to go on"
        error = LimitExceeded("laps", value, self.path, detail)
        if over.limit is not None:
            error.args = (
                f"laps limit of {value} reached in {' > '.join(self.path)!r}: {detail}, or raise its .limit({value})",
            )
        self._stop(Finish("limited", None, error))
        return None

    # -- joins ---------------------------------------------------------------------------------------------------------
    def _open(self, spec: JoinSpec, scope: Scope, joins: tuple[JoinState, ...]) -> JoinState:
        outer = tuple(j for j in joins if spec.node in j.spec.region or spec.node == j.spec.node)
        state = JoinState(spec, scope, outer)
        for other in outer:
            other.live += 1
        self.joins[spec.node, scope] = state
        return state

    def _is_full(self, state: JoinState) -> bool:
        spec = state.spec
        if spec.take is not None:
            return len(state.buffer) >= spec.take
        return not spec.collects and len({entry[2] for entry in state.buffer}) == len(spec.ports)

    def _die(self, joins: Sequence[JoinState]) -> None:
        """One token that counted for these joins is gone."""
        for state in joins:
            state.live -= 1
            if not state.live and not state.closed:
                self._close(state)

    def _close(self, state: JoinState) -> None:
        """No token can reach the join any more, or it has all it needs: it fires, or is skipped."""
        spec = state.spec
        state.closed = True
        self.joins.pop((spec.node, state.scope), None)
        slot = self.program.slots[spec.node]
        run = (spec.fork, state.scope)
        if run in self.unfinished:
            if any((other.spec.fork, other.scope) == run for other in self.joins.values()):
                self._die(state.outer)  # the last join of the fork tells that it has failed
            else:
                _, error = self.unfinished.pop(run)
                self._fail(state.scope, state.outer, error)
            return
        if state.dead or not state.taken or self.stopping is not None:
            if state.buffer and self.stopping is None:
                self.losses.append((slot.name, "was skipped: its fork was cancelled", state.scope, False))
            self._die(state.outer)
            return
        inputs, missing = self._gather(state, slot)
        if missing is not None:
            self._skip(state, slot, missing)
            return
        if spec.take is not None and state.live:
            self._cancel_fork(spec.fork, state.scope)
        single = len(slot.node.ports) == 1 if slot.node else False
        message = next(iter(inputs.values())) if single else None
        scope = _left(state.scope, spec.leaves) if spec.leaves else state.scope
        self._start(slot, message, None if single else inputs, scope, state.outer)

    def _gather(self, state: JoinState, slot: Slot) -> tuple[dict[str, Any], int | None]:
        """The messages by port name, in logical order; and the number of a required port that stayed empty."""
        node, spec = slot.node, state.spec
        assert node is not None
        inputs: dict[str, Any] = {}
        for number in spec.ports:
            port = node.ports[number]
            got = sorted((entry for entry in state.buffer if entry[2] == number), key=_logical)
            if number in spec.collects:
                inputs[port.name] = [entry[3] for entry in got]
            elif got:
                inputs[port.name] = got[0][3]
            elif port.optional:
                inputs[port.name] = port.empty
            else:
                return inputs, number
        if not state.buffer and not spec.collects:
            return inputs, spec.ports[0]
        return inputs, None

    def _skip(self, state: JoinState, slot: Slot, missing: int) -> None:
        assert slot.node is not None
        port = slot.node.ports[missing].name
        edges = tuple(
            f"{self.program.slots[link.source].name} >> {slot.name}"
            for link in self.program.links
            if link.target == slot.index and link.port == missing
        )
        why = f"port {port!r} never got a message (from {', '.join(edges)})"
        self.losses.append((slot.name, why, state.scope, bool(state.buffer)))
        if state.buffer and self.half is None:
            self.half = (slot.name, port, edges, state.scope)
        if self.outbox is not None:
            self.outbox.append(NodeSkipped(self.now, self.frame, slot.name, state.scope, port, why))
        self._die(state.outer)

    # -- failing and stopping ------------------------------------------------------------------------------------------
    def _fail(self, scope: Scope, joins: tuple[JoinState, ...], error: BaseException) -> None:
        """Asks the forks around a failed token, innermost first, what its failure means."""
        inner: tuple[int, Scope] | None = None
        for depth in range(len(scope) - 1, -1, -1):
            region = scope[depth][0]
            if region < 0:
                continue  # a loop, not a fork
            policy = self.program.slots[region].policy
            prefix = scope[:depth]
            if policy == "cancel":
                inner = (region, prefix)
                continue
            if policy == "finish":
                earlier = self.unfinished.get((region, prefix))
                if earlier is None or scope < earlier[0]:
                    self.unfinished[region, prefix] = (scope, error)
            if inner is not None:
                self._cancel_fork(*inner)
            self._die(joins)
            return
        self._stop(Finish("failed", None, error))

    def _cancel_fork(self, fork: int, prefix: Scope) -> None:
        """Stops everything inside one run of a fork; its joins are skipped."""
        depth = len(prefix)

        def inside(scope: Scope) -> bool:
            return len(scope) > depth and scope[depth][0] == fork and scope[:depth] == prefix

        for state in list(self.joins.values()):
            if inside(state.scope) or (state.scope == prefix and state.spec.fork == fork):
                state.dead = True
        ids = [act.id for act in self.running.values() if inside(act.scope) and act.id not in self.cancelling]
        for act in [act for act in self.waiting if inside(act.scope)]:
            self.waiting.remove(act)
            self._die(act.joins)
        if ids:
            self.cancelling.update(ids)
            self._commands.append(Cancel(ids))

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
                self._go(self.waiting.popleft())
        while not self.running and self.unfinished and self.stopping is None:
            run = min(self.unfinished, key=lambda key: self.unfinished[key][0])
            self._fail(run[1], (), self.unfinished.pop(run)[1])  # a fork that no join gathers again
        if self.running or self.finish is not None:
            return
        self.finish = self.stopping or self._outcome()
        self._commands.append(self.finish)

    def _outcome(self) -> Finish:
        ends = self.program.ends
        if ends == "all":
            return Finish("completed", [message for _, message in sorted(self.outputs, key=lambda entry: entry[0])])
        if self.outputs:
            return Finish("completed", self.outputs[0][1])
        return Finish("failed", None, self._no_output())

    def _no_output(self) -> NoOutput:
        name = self.program.name
        told = "; ".join(
            f"{node!r} {'was skipped: ' if 'port' in why else ''}{why}" for node, why, _, _ in self.losses[:5]
        )
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
            "waiting": [(a.id, a.slot.name, a.scope, a.input) for a in self.waiting],
            "joins": {
                key: (s.live, s.taken, s.dead, list(s.buffer), [(o.spec.node, o.scope) for o in s.outer])
                for key, s in self.joins.items()
            },
            "outputs": list(self.outputs),
            "unfinished": {key: (scope, repr(error)) for key, (scope, error) in self.unfinished.items()},
            "finish": None
            if self.finish is None
            else (self.finish.status, self.finish.output, repr(self.finish.error)),
        }


def _chain(link: Link, joins: tuple[JoinState, ...], opened: tuple[JoinState, ...]) -> tuple[JoinState, ...]:
    """The joins that a token on this link can still reach."""
    chain = tuple(j for j in joins if j.spec.node not in link.exits) if link.exits else joins
    for state in opened:
        spec = state.spec
        if link.index in spec.branches:
            state.taken = True
        if link.target in spec.region or link.target == spec.node:
            chain = (*chain, state)
    return chain


def _logical(entry: tuple[Scope, int, int, Any]) -> tuple[Scope, int]:
    return entry[0], entry[1]


def _cross(link: Link, scope: Scope) -> Scope:
    """The scope after a link that leaves, laps or enters loops.

    What stands before a fork tells which run of the fork it is, so only what stands behind the last fork may change.
    """
    scope = _left(scope, link.leaves)
    if link.lap is not None:
        loop, position = link.lap
        place = next(i for i in range(len(scope) - 1, -1, -1) if scope[i][0] == -1 - loop)
        region, counts = scope[place]
        lapped = (region, (*counts[:position], counts[position] + 1, *counts[position + 1 :]))
        forked = any(element[0] >= 0 for element in scope[place + 1 :])
        scope = (*scope, lapped) if forked else (*scope[:place], lapped, *scope[place + 1 :])
    return (*scope, *((-1 - loop, (0,) * laps) for loop, laps in link.enters))


def _left(scope: Scope, loops: Iterable[int]) -> Scope:
    """The scope without the laps of these loops, as far as no fork stands behind them."""
    gone = {-1 - loop for loop in loops}
    end = len(scope)
    while end and scope[end - 1][0] < 0:
        end -= 1
    return (*scope[:end], *(element for element in scope[end:] if element[0] not in gone))


def scope_text(scope: Scope, program: Program) -> str:
    """A scope as people read it: `planner.each[2] > lap 1`."""
    parts: list[str] = []
    for region, at in scope:
        if region < 0:
            parts.append(f"lap {sum(at)}")
        else:
            slot = program.slots[region]
            link = program.links[at[0]]
            name = program.slots[link.target].name
            parts.append(f"{slot.name}.each[{at[1]}]" if link.each else f"{slot.name} >> {name}")
    return " > ".join(parts) or "the outermost"


_TAKES: dict[type[Event], Callable[[Walk, Any], None]] = {
    RunStarted: Walk._began,
    FrameEntered: Walk._began,
    NodeFinished: Walk._finished,
    NodeFailed: Walk._failed,
    NodeCancelled: Walk._cancelled,
    Stopped: Walk._stopped,
}
