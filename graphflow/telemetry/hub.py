"""The hub: one thread that makes events of what runs tell, and lays them into the queues of subscriptions.

    runs  >  taps  >  hub (a thread)  >  queues  >  readers: async loops
                                                >  workers (threads)  >  functions, sinks

Rules:
1. A walk only lays down rows; what is made of them is made in other threads. It waits for none of them.
2. The hub never calls what others have written: workers do. There is one of them as long as it gets along; one more each
   `STUCK_S` in which none has come back, `MAX_WORKERS` at most.
3. Threads live as long as there are subscriptions.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

from graphflow.declaration.node import AnyNode
from graphflow.event import Event
from graphflow.events import RunEnded
from graphflow.proofs.proven import AnyGraph
from graphflow.runtime.listening import listen
from graphflow.runtime.run_record import AnyRecord
from graphflow.runtime.tap import Tap
from graphflow.telemetry.kinds import fits_path
from graphflow.telemetry.run_event import RunEvent, RunSource
from graphflow.telemetry.run_tap import RunTap
from graphflow.telemetry.subscription import LOG, ROOM, Owner, Receiver, Subscription
from graphflow.trace_context import current_trace

LINGER_S = 0.01
"""Seconds between two looks at what runs have told: what comes meanwhile is taken together."""
LOOK_S = 0.1
"""Seconds between two looks at walks that go straight on, and say nothing else."""
STUCK_S = 0.25
"""Seconds without a worker coming back after which there is one more."""
MAX_WORKERS = 32
"""Workers in all: who never returns keeps one for good."""
EXIT_S = 5.0
"""Seconds that subscribers get for what waits for them when the process ends."""


class Audience:
    """The subscriptions that hear of a run, and which of them want what."""

    __slots__ = ("_by_class", "is_live", "is_traced", "subscriptions")

    def __init__(self, subscriptions: tuple[Subscription, ...]) -> None:
        self.subscriptions = subscriptions
        self.is_live = any(each.is_live for each in subscriptions)
        self.is_traced = any(each.is_traced for each in subscriptions)
        self._by_class: dict[type[Event], list[Subscription]] = {}

    def wanting(self, kind: type[Event]) -> list[Subscription]:
        """Those that want events of a class."""
        found = self._by_class.get(kind)
        if found is None:
            found = [each for each in self.subscriptions if kind in each.classes]
            self._by_class[kind] = found
        return found

    def joined_by(self, subscription: Subscription) -> Audience:
        """The same with one more."""
        return Audience((*self.subscriptions, subscription))

    @property
    def is_empty(self) -> bool:
        """Whether all of them have left."""
        return all(each.is_closed or each.is_over for each in self.subscriptions)


class NewRunTap:
    """How a run that is about to begin is tapped."""

    __slots__ = ("_audience", "_graph", "_hub")

    def __init__(self, hub: Hub, graph: AnyGraph, audience: Audience) -> None:
        self._hub = hub
        self._graph = graph
        self._audience = audience

    @property
    def is_live(self) -> bool:
        """Whether everything has to be told at once."""
        return self._audience.is_live

    @property
    def is_traced(self) -> bool:
        """Whether somebody makes spans of the run."""
        return self._audience.is_traced

    def on(self, run: AnyRecord) -> Tap:
        """The tap of this run."""
        return self._hub.new_tap(run, self._graph, self._audience)


class Hub:
    """Who is told what."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._subscriptions: list[Subscription] = []
        """Those of runs that are yet to begin."""
        self._audiences: dict[int, tuple[AnyGraph, Audience]] = {}
        """Who hears of runs of a graph, as long as nobody comes or goes."""
        self._taps: dict[RunTap, Audience] = {}
        self._wanted = threading.Event()
        """Something waits to be looked at."""
        self._hurried = threading.Event()
        """Somebody waits for what was told so far."""
        self._is_awake = False
        self._thread: threading.Thread | None = None
        self._rested = threading.Condition()
        """Told whenever a look or a delivery is over."""
        self._looks = 0
        self._workers = Workers(self._note_rest)

    # -- subscribing -------------------------------------------------------------------------------
    def subscribe(
        self,
        *kinds: str,
        path: str = "",
        to: Receiver | None = None,
        room: int = ROOM,
        owner: Owner | None = None,
    ) -> Subscription:
        """A new subscription to runs that begin from now on.

        Args:
            kinds: patterns of kinds of events, such as "node.*"; none: all.
            path: a pattern of the names of the frames, joined by slashes; "": all.
            to: who gets them: a function of one event, an async function, or a `Sink`; None: whoever iterates over it.
            room: how many events wait for it at most.
            owner: says of a graph whether its runs are meant; None: all runs of this process.

        Raises:
            DeclarationError: no event has such a kind, or it cannot be handed on so.
        """
        subscription = Subscription(self, kinds, path, to, room, owner)
        with self._lock:
            self._subscriptions.append(subscription)
            self._audiences = {}
            self._run_thread()
            if len(self._subscriptions) == 1:
                listen(self)
        return subscription

    def subscribe_to(
        self,
        run: AnyRecord,
        *kinds: str,
        path: str = "",
        to: Receiver | None = None,
        room: int = ROOM,
    ) -> Subscription:
        """A new subscription to one run: what it has told so far comes first; it is over when the run is.

        Raises:
            DeclarationError: as for `subscribe`.
        """
        subscription = Subscription(self, kinds, path, to, room, None)
        subscription.end_with_run()
        with self._lock:
            self._run_thread()
            tap = run.tap
            if isinstance(tap, RunTap) and tap in self._taps:
                self._taps[tap] = self._taps[tap].joined_by(subscription)
                return subscription
            tap = RunTap(run, RunSource(run), self._wake)
            if run.declared is not None:
                tap.source.kinds = kinds_in(run.declared)
            self._taps[tap] = Audience((subscription,))
        run.be_tapped(tap)
        return subscription

    def tap_for(self, graph: AnyGraph) -> NewRunTap | None:
        """How a run of a graph is tapped; None: nobody wants to hear of it."""
        known, audience = self._audiences.get(id(graph), (None, None))
        if known is not graph or audience is None:
            audience = self._audience_of(graph)
        return NewRunTap(self, graph, audience) if audience.subscriptions else None

    def _audience_of(self, graph: AnyGraph) -> Audience:
        with self._lock:
            meant: list[Subscription] = []
            for each in self._subscriptions:
                if not each.is_closed and (each.owner is None or each.owner(graph)):
                    meant.append(each)
            audience = Audience(tuple(meant))
            self._audiences[id(graph)] = (graph, audience)
        return audience

    def new_tap(self, run: AnyRecord, graph: AnyGraph, audience: Audience) -> RunTap:
        """The tap of a run that is about to begin."""
        source = RunSource(run)
        source.kinds = kinds_in(graph)
        source.trace = current_trace()
        tap = RunTap(run, source, self._wake)
        with self._lock:
            self._taps[tap] = audience
        return tap

    def leave(self, subscription: Subscription, within_s: float) -> bool:
        """Takes a subscription away, once it has had what was told so far; whether it has."""
        is_done = self.flush(within_s, subscription) if within_s > 0 else not subscription.queue
        subscription.is_closed = True
        with self._lock:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)
                self._audiences = {}
                if not self._subscriptions:
                    listen(None)
            if not self._is_idle:
                return is_done
        self._end()
        return is_done

    @property
    def _is_idle(self) -> bool:
        """Whether nobody is left who could be told anything."""
        if self._subscriptions:
            return False
        return all(audience.is_empty for audience in tuple(self._taps.values()))

    def living(self) -> list[Subscription]:
        """The subscriptions that get something, or may."""
        with self._lock:
            found = dict.fromkeys(self._subscriptions)
            for audience in self._taps.values():
                found |= dict.fromkeys(audience.subscriptions)
        return [each for each in found if not each.is_closed]

    # -- waking ------------------------------------------------------------------------------------
    def _wake(self) -> None:
        if not self._is_awake:
            self._is_awake = True
            self._wanted.set()

    def hurry(self) -> None:
        """Has the hub look at once."""
        self._hurried.set()
        self._wanted.set()

    def flush(self, within_s: float = EXIT_S, only: Subscription | None = None) -> bool:
        """Waits until what was told so far is handed on.

        Args:
            within_s: seconds that this may take.
            only: to this subscription; None: to all that tell somebody.

        Returns:
            Whether it was.
        """
        end = monotonic() + within_s
        with self._rested:
            goal = (
                self._looks + 2
            )  # one look may be under way that has passed what was told just now
            while self._looks < goal and self._thread is not None:
                if not self._rest_until(end, hurry=True):
                    return False
            while self._waits(only):
                if not self._rest_until(end, hurry=False):
                    return False
        return True

    def _rest_until(self, end: float, *, hurry: bool) -> bool:
        """Waits for a look or a delivery; False: there is no more time."""
        left = end - monotonic()
        if left <= 0:
            return False
        if hurry:
            self.hurry()
        self._rested.wait(min(left, LOOK_S))
        return True

    def _waits(self, only: Subscription | None) -> bool:
        """Whether somebody who is told has not been told all yet."""
        watched = self.living() if only is None else [only]
        for each in watched:
            if each.is_scheduled and not each.is_closed:
                return True
        return False

    # -- the thread --------------------------------------------------------------------------------
    def _run_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._body, name="graphflow:events", daemon=True)
            self._thread.start()

    def _end(self) -> None:
        """Ends the threads; a worker that hangs is left behind."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._taps.clear()
        if thread is None:
            return
        self.hurry()
        if thread is not threading.current_thread():
            thread.join(EXIT_S)
        self._workers.end()

    def _body(self) -> None:
        me = threading.current_thread()
        while self._thread is me:
            self._wanted.wait(self._patience())
            self._wanted.clear()
            self._is_awake = False
            if self._thread is not me:
                break
            self._look()
            self._workers.look()
            self._note_rest(is_look=True)
            if self._has_nothing_left():
                break
            if self._hurried.wait(LINGER_S):
                self._hurried.clear()
        self._note_rest(is_look=True)

    def _has_nothing_left(self) -> bool:
        """Ends the hub from within, once the runs that it was there for have ended."""
        with self._lock:
            if self._subscriptions or self._taps or self._workers.has_work:
                return False
            self._thread = None
        self._workers.end()
        return True

    def _patience(self) -> float | None:
        """Seconds after which to look, whatever happens; None: when something does."""
        if self._workers.has_work:
            return STUCK_S
        taps = tuple(self._taps)
        if not taps and not self._subscriptions:
            return LOOK_S  # somebody may be at work yet
        return LOOK_S if any(tap.has_open_stretch for tap in taps) else None

    def _note_rest(self, *, is_look: bool = False) -> None:
        with self._rested:
            self._looks += is_look
            self._rested.notify_all()

    def _look(self) -> None:
        """Lays down what has happened since the last look."""
        for tap, audience in tuple(self._taps.items()):
            skipped = tap.skip()
            if skipped:
                for each in audience.subscriptions:
                    each.count_dropped(skipped)
            try:
                for event in tap.events():
                    _lay_down(audience, event)
            except Exception:  # a bug of ours must not end what others listen to
                LOG.exception("events of run %s cannot be read any further", tap.source.run)
                tap.is_over = True
            if tap.is_over:
                with self._lock:
                    self._taps.pop(tap, None)

    def schedule(self, subscription: Subscription) -> None:
        """Has a worker hand on what waits for a subscription."""
        self._workers.add(subscription)

    def forget_all(self) -> None:
        """Begins anew in a process that was forked: threads have stayed behind."""
        self.__init__()  # type: ignore[misc]  # as if it had never begun
        listen(None)


def _lay_down(audience: Audience, event: RunEvent) -> None:
    """Lays an event into the queues of those who want it."""
    for subscription in audience.wanting(type(event.event)):
        if not subscription.is_closed and fits_path(event.path, subscription.path):
            subscription.offer(event)
    if isinstance(event.event, RunEnded):
        for subscription in audience.subscriptions:
            subscription.note_end()


class Workers:
    """Threads that hand events on.

    Args:
        note: told whenever one has come back.
    """

    def __init__(self, note: Callable[[], None]) -> None:
        self._note = note
        self._lock = threading.Lock()
        self._work: deque[Subscription] = deque()
        self._there = threading.Semaphore(0)
        self._busy = 0
        self._threads: list[threading.Thread] = []
        self._came_back = monotonic()
        self._is_ending = False

    @property
    def has_work(self) -> bool:
        """Whether somebody waits for a worker, or one is at work."""
        return bool(self._work) or self._busy > 0

    def add(self, subscription: Subscription) -> None:
        """Puts down that something waits for a subscription."""
        self._work.append(subscription)
        self._there.release()
        if not self._threads:
            self._begin()

    def look(self) -> None:
        """Adds a worker if none of those that are there comes back."""
        if not self._work or monotonic() - self._came_back < STUCK_S:
            return
        if len(self._threads) < MAX_WORKERS:
            self._begin()

    def _begin(self) -> None:
        with self._lock:
            self._is_ending = False
            self._came_back = monotonic()
            name = f"graphflow:events-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._body, name=name, daemon=True)
            self._threads.append(thread)
        thread.start()

    def _body(self) -> None:
        me = threading.current_thread()
        while True:
            self._there.acquire()
            if self._is_ending and me not in self._threads:
                return
            try:
                subscription = self._work.popleft()
            except IndexError:
                continue
            self._hand_on(subscription)
            self._note()

    def _hand_on(self, subscription: Subscription) -> None:
        """One turn of a subscription; it gets another one if more waits."""
        with self._lock:
            self._busy += 1
        has_more = False
        if not subscription.is_closed:
            has_more = subscription.deliver()
        self._came_back = monotonic()
        subscription.is_scheduled = has_more
        # What came between the last look and the word that nobody looks any more waits, too.
        if not has_more and subscription.queue and not subscription.is_closed:
            subscription.is_scheduled = has_more = True
        if has_more:
            self._work.append(subscription)
            self._there.release()
        with self._lock:
            self._busy -= 1

    def end(self) -> None:
        """Ends those that come back."""
        with self._lock:
            threads, self._threads = self._threads, []
            self._is_ending = True
            self._work.clear()
        for _ in threads:
            self._there.release()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(STUCK_S)


def kinds_in(graph: AnyGraph) -> dict[str, str]:
    """What each node below a graph is, by its name: "agent", "tool", ..."""
    known = _kinds.get(id(graph))
    if known is not None and known[0] is graph:
        return known[1]
    kinds: dict[str, str] = {}
    todo: list[AnyNode] = [graph]
    seen: set[int] = set()
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        kinds.setdefault(node.name, node.kind)
        todo += _below(node)
    if len(_kinds) > MAX_KNOWN_GRAPHS:
        _kinds.clear()
    _kinds[id(graph)] = (graph, kinds)
    return kinds


MAX_KNOWN_GRAPHS = 64
_kinds: dict[int, tuple[AnyGraph, dict[str, str]]] = {}


def _below(node: AnyNode) -> list[AnyNode]:
    """The nodes that a node has in it, or can call."""
    nodes: list[AnyNode] = []
    proof = getattr(node, "proof", None)
    if proof is not None:
        nodes += proof.nodes
        for callees in proof.callees.values():
            nodes += callees
    target, _ = node.entry() if node.enters != "never" else (node, None)
    if target is not node:
        nodes.append(target)
    return nodes


HUB = Hub()
"""The hub of this process."""
subscribe = HUB.subscribe
"""`Hub.subscribe` of this process's hub."""
flush = HUB.flush
"""`Hub.flush` of this process's hub."""


@atexit.register
def _at_exit() -> None:
    end = monotonic() + EXIT_S
    HUB.flush(EXIT_S)
    # All of them together get so long: thousands that hang must not keep a process alive for hours.
    for subscription in HUB.living():
        left = max(0.0, end - monotonic())
        subscription.close(left)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=HUB.forget_all)
