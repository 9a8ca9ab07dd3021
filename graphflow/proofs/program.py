"""A graph compiled to slots: what the walk reads instead of names and types.

Rules:
1. Made once, when the graph is built; never changed; shared by all runs.
2. Numbers, not names: a slot knows its links, a link its target, so a hop is a few attribute reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Any, Literal

from graphflow.declaration.arrows import ForkPolicy
from graphflow.declaration.handoffs import Handoff
from graphflow.declaration.node import AnyNode
from graphflow.declaration.state_arrow import StateArrow
from graphflow.errors import InputInvalid, OutputInvalid
from graphflow.messages.copies import copier_of
from graphflow.messages.message import shortened
from graphflow.messages.state import AnyState
from graphflow.messages.types import Type

Matcher = Callable[[Any], bool]
"""A test of a value."""


class Link:
    """One edge, compiled."""

    __slots__ = (
        "each",
        "element",
        "enters",
        "exits",
        "group",
        "guard",
        "index",
        "lap",
        "lap_index",
        "leaves",
        "limit",
        "matches",
        "origin",
        "port",
        "resets",
        "single",
        "source",
        "target",
        "units",
    )

    index: int
    source: int
    target: int
    port: int
    origin: str
    """What it leaves, as it is written, laps aside: what records know it by."""
    matches: Callable[[Any], bool] | None
    """Which values of the source's output go this way; None = all."""
    units: frozenset[int] | None
    """Which arms of the source's output go this way, by number; None = all."""
    guard: Callable[[Any], bool] | Literal["otherwise"] | None
    group: Any
    """Guards of the same arm belong together: the first that holds is taken."""
    each: bool
    limit: int | None
    """Laps, for a lap wire; the graph's default already filled in, or None if the frame's limits say."""
    lap: tuple[int, int] | None
    """(loop, position among its lap wires), for a lap wire."""
    lap_index: int
    enters: tuple[tuple[int, int], ...]
    """Loops that the link enters, outermost first, with how many lap wires each has."""
    leaves: tuple[int, ...]
    resets: tuple[int, ...]
    """Lap indices that begin again at 0 when this link is taken."""
    exits: frozenset[int]
    single: bool
    """For a lap wire: whether at most one token of each lap goes round again."""
    element: tuple[int, tuple[int, int]]
    """What a fork adds to the scope of a token on this link; set only where its source forks."""

    def __init__(
        self,
        index: int,
        source: int,
        target: int,
        port: int,
        each: bool,
        limit: int | None,
        exits: frozenset[int],
    ) -> None:
        self.index = index
        self.source = source
        self.target = target
        self.port = port
        self.each = each
        self.limit = limit
        self.exits = exits
        self.matches = None
        self.units = None
        self.group = None
        self.lap = None
        self.lap_index = -1
        self.enters = ()
        self.leaves = ()
        self.resets = ()
        self.single = False

    @property
    def plain(self) -> bool:
        """Whether every output goes this way."""
        return self.matches is None and self.units is None and self.guard is None

    @property
    def goes_untold(self) -> bool:
        """Whether a token passes it without a test, a count, or a change of its scope within loops."""
        plain = self.matches is None and self.units is None and self.guard is None
        return plain and not self.each and self.lap is None and not self.resets

    def __repr__(self) -> str:
        return f"<link {self.source} >> {self.target}>"


class JoinSpec:
    """How a node waits: for all of a fork (`collects`), or for one message on each of its other ports."""

    __slots__ = (
        "branches",
        "collects",
        "element",
        "fork",
        "leaves",
        "node",
        "ports",
        "region",
        "take",
    )

    def __init__(
        self,
        node: int,
        collects: frozenset[int],
        ports: tuple[int, ...],
        take: int | None,
        fork: int,
        region: set[int],
        branches: set[int],
    ) -> None:
        self.node = node
        self.collects = collects
        self.ports = ports
        self.take = take
        self.fork = fork
        self.region = frozenset(region)
        self.branches = frozenset(branches)
        """Links of the fork that lead here."""
        self.leaves: frozenset[int] = frozenset()
        """Loops around the fork that the join is not in."""
        self.element: tuple[int, tuple[int, int]] | None = None
        """What the join adds to the scope of what it sends, if other tokens of its fork may still be about."""


class Slot:
    """One node, compiled."""

    __slots__ = (
        "alone",
        "arms",
        "direct",
        "enters",
        "entry",
        "expected",
        "failure_links",
        "fits",
        "forks",
        "gated",
        "handoff_links",
        "index",
        "join",
        "joins",
        "limit_links",
        "links",
        "name",
        "node",
        "passes_input",
        "plain",
        "policy",
        "port",
        "state_arrows",
        "touched",
        "wired",
    )

    index: int
    name: str
    node: AnyNode | None
    direct: Callable[[Any], Any] | None
    """Calls the node with its message; None if more care has to be taken."""
    entry: Callable[[Any], Any] | None
    """Makes the node's own of a message that others are given, too, where it is called directly; None: it is its own."""
    enters: bool
    expected: type | None
    """If the class of an output is this very one, it is right."""
    fits: Callable[[Any], bool] | None
    arms: tuple[tuple[int, Callable[[Any], bool]], ...]
    """(number, test) of each arm of the output, the more specific first: the first that holds is the arm taken."""
    links: tuple[Link, ...]
    plain: bool
    """Whether every link is taken for every output."""
    alone: Link | None
    """The only link, if it is plain and nothing has to be told about it."""
    failure_links: tuple[Link, ...]
    limit_links: tuple[Link, ...]
    handoff_links: Mapping[str, Link] | None
    """Hand-over edges by their target's name."""
    forks: bool
    gated: bool
    """Whether each run of this fork needs a gate, since some fork of the graph does not simply cancel."""
    policy: ForkPolicy
    join: JoinSpec | None
    joins: tuple[JoinSpec, ...]
    """Joins whose fork this node is."""
    port: str
    """The name of the only wired port, if it is not a join."""
    wired: tuple[int, ...]
    passes_input: bool

    def __init__(self, index: int, name: str, node: AnyNode | None) -> None:
        self.index = index
        self.name = name
        self.node = node
        self.direct = None
        self.entry = None
        self.enters = False
        self.expected = None
        self.fits = None
        self.arms = ()
        self.links = ()
        self.plain = True
        self.alone = None
        self.failure_links = ()
        self.limit_links = ()
        self.handoff_links = None
        self.forks = False
        self.gated = False
        self.policy = "cancel"
        self.join = None
        self.joins = ()
        self.port = ""
        self.wired = ()
        self.passes_input = False
        self.touched: tuple[AnyState, ...] = ()
        """The states that its node, or anything that this may call, reads or writes."""
        self.state_arrows: Sequence[StateArrow] = ()
        """The states that its answers are written into."""

    def __repr__(self) -> str:
        return f"<slot {self.index} {self.name}>"


class Program:
    """Everything the walk needs to know about a graph."""

    __slots__ = (
        "_for_record",
        "_nodes_by_name",
        "callees",
        "columns",
        "copy_input",
        "copy_output",
        "done_once",
        "end",
        "ends",
        "handoffs",
        "input",
        "laps",
        "links",
        "loops_of",
        "name",
        "needed",
        "output",
        "owned",
        "reordered",
        "size",
        "slots",
        "start",
        "states",
        "straight",
        "tracks",
    )

    def __init__(
        self,
        *,
        name: str,
        slots: Sequence[Slot],
        links: Sequence[Link],
        ends: Literal["one", "first", "all"],
        straight: bool,
        laps: int,
        callees: Mapping[str, tuple[AnyNode, ...]],
        handoffs: Mapping[str, Sequence[tuple[Handoff, AnyNode]]],
        input: Type,
        output: Type,
        loops_of: Mapping[int, tuple[int, ...]],
    ) -> None:
        self.name = name
        self.slots = tuple(slots)
        self.links = tuple(links)
        self.size = len(slots)
        self.start = len(slots) - 2
        self.end = len(slots) - 1
        self.ends = ends
        self.straight = straight
        self.laps = laps
        self.callees = callees
        self.handoffs = handoffs
        self.input = input
        self.output = output
        self.copy_input = copier_of(input)
        """Makes the walk's own of the caller's message; None: it cannot be changed."""
        self.copy_output = copier_of(list[output] if ends == "all" else output)
        """Makes the caller's own of what the walk answers."""
        self.loops_of = loops_of
        """The loops around each node that lies in one, outermost first."""
        joins = [slot.join for slot in slots if slot.join is not None]
        forked = any(slot.forks and slot.index in loops_of for slot in slots)
        self.reordered = forked or any(join.element is not None for join in joins)
        """Whether scopes do not sort as they are (`scope.order_of`)."""
        self.tracks = any(slot.gated for slot in slots) or any(
            join.take is not None for join in joins
        )
        """Whether parts of a walk may be cancelled, so that it has to be known who is in them."""
        self.done_once = any(map(_is_done_once, slots))
        """Whether a node does something that must not be repeated when a frame of it is walked again."""
        self._for_record: Program | None = None
        self._nodes_by_name: dict[str, AnyNode] = {}
        self.states: Mapping[str, AnyState] | None = None
        """What its nodes can read and write, by name; None: whatever those around can, as for an agent that was called."""
        self.owned: tuple[AnyState, ...] = ()
        """Those of them that begin anew in each frame."""
        self.needed: tuple[AnyState, ...] = ()
        """Those that it is lent, and that must have a value when it is entered."""
        self.columns: Any = None
        """What the journal has found out about it: how it writes what these nodes answer."""

    @property
    def nodes_by_name(self) -> Mapping[str, AnyNode]:
        """The nodes on its arrows."""
        if not self._nodes_by_name:
            for slot in self.slots:
                if slot.node is not None:
                    self._nodes_by_name[slot.name] = slot.node
        return self._nodes_by_name

    @property
    def message_types(self) -> tuple[Type, ...]:
        """The types of the messages on its arrows, each once."""
        types: list[Type] = [self.input]
        for node in self.nodes_by_name.values():
            types += [port.type for port in node.ports]
            types.append(node.output)
        distinct: list[Type] = []
        for kind in types:
            if kind is not Any and kind not in distinct:
                distinct.append(kind)
        return tuple(distinct)

    def for_record(self) -> Program:
        """The same for a walk whose record is kept: nothing is called directly that may change the world.

        Before such a node a walk waits until what has led to it is kept.
        """
        if self._for_record is None:
            twin = copy(self)
            twin.slots = tuple(_indirect(slot) if _acts(slot) else slot for slot in self.slots)
            twin._for_record = twin
            self._for_record = twin
        return self._for_record


def is_done_once(node: AnyNode) -> bool:
    """Whether an activation on an arrow is not repeated when its frame is walked again: a tool that does something."""
    return node.meter is not None and node.asked_once


def _is_done_once(slot: Slot) -> bool:
    return slot.node is not None and is_done_once(slot.node)


def _acts(slot: Slot) -> bool:
    """Whether nobody has said that a node does nothing to the world."""
    return slot.node is not None and acts(slot.node)


def acts(node: AnyNode) -> bool:
    """Whether a node may do something to the world, so that what has led to it must be known before."""
    if node.enters != "never" or node.asks_model or node.kind == "router":
        return False  # what it calls is looked at call by call; a rule only chooses
    return node.undeclared or not node.effects <= {"reads"}


def _indirect(slot: Slot) -> Slot:
    twin = copy(slot)
    twin.direct = None
    return twin


def select(slot: Slot, output: Any, message: Any) -> Sequence[Link]:
    """The links that an output takes, in wiring order.

    `output` chooses among arms and labels; guards look at `message`, which is what travels.
    """
    if slot.plain:
        return slot.links
    taken: list[Link] = []
    chosen: dict[Any, Any] = {}
    unit = arm_of(slot, output)
    for link in slot.links:
        if (link.units is not None and unit not in link.units) or (
            link.matches is not None and not link.matches(output)
        ):
            continue
        guard = link.guard
        if guard is None:
            taken.append(link)
        elif link.group in chosen:
            if chosen[link.group] is guard:
                taken.append(link)
        elif guard == "otherwise" or guard(message):
            chosen[link.group] = guard
            taken.append(link)
    return taken


def spread(slot: Slot, links: Sequence[Link], message: Any) -> Sequence[Any] | None:
    """The items of a message for the links that map it; None if none does.

    Raises:
        OutputInvalid: a node that returns `Any` has sent what has no items.
        InputInvalid: the same of the message at the start.
    """
    if not any(link.each for link in links):
        return None
    if isinstance(message, (list, tuple)):
        return message
    if isinstance(message, Iterable) and not isinstance(message, (str, bytes, bytearray, Mapping)):
        return list(message)
    problem = (
        f"mapped with .each, and {type(message).__name__} has no items to map: {shortened(message)}"
    )
    if slot.node is None:
        raise InputInvalid(f"the message at START is {problem}; give a list")
    raise OutputInvalid(f"what node {slot.name!r} returned is {problem}; return a list")


def arm_of(slot: Slot, output: Any) -> int:
    """The number of the arm that an output is: the most specific that it fits, and of such the first that was written."""
    for number, fits in slot.arms:
        if fits(output):
            return number
    return -1
