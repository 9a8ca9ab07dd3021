"""Walks within walks, as the explorer moves them: a tree of frames, copied before each step, known again by its key.

Two trees of equal key go on alike. A key has what the rest of a walk depends on (what runs where, which joins wait and what
has come to them, how often each loop was made), and leaves out what it does not: the messages, the numbers of activations,
who was faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from graphflow.claims.targets import ARROW, FramePath
from graphflow.events import Scope
from graphflow.messages.message import Failure, LimitReached
from graphflow.walk.commands import Activation
from graphflow.walk.joins import Gate, JoinState, Waypoint
from graphflow.walk.machine import Walk
from graphflow.walk.snapshot import copied_walk

WalkKey: TypeAlias = tuple[Any, ...]
"""Compared as a whole, and never looked into."""


class FrameWalk:
    """One frame: its walk, and the frames that its activations have entered.

    Attributes:
        path: the names of the nodes by which it was entered.
        walk: its walk.
        entered: by the number of an activation of a graph its frame; None as long as it has not been entered.
    """

    __slots__ = ("entered", "path", "walk")

    def __init__(self, path: FramePath, walk: Walk) -> None:
        self.path = path
        self.walk = walk
        self.entered: dict[int, FrameWalk | None] = {}

    def copy(self) -> FrameWalk:
        """The same, to be moved by itself."""
        twin = FrameWalk(self.path, copied_walk(self.walk))
        for number, inner in self.entered.items():
            if inner is not None:
                inner = inner.copy()
            twin.entered[number] = inner
        return twin

    def at(self, numbers: tuple[int, ...]) -> FrameWalk:
        """The frame that these activations lead to."""
        frame = self
        for number in numbers:
            inner = frame.entered[number]
            assert inner is not None
            frame = inner
        return frame

    def key(self) -> WalkKey:
        """What the rest of its walk depends on."""
        own = walk_key(self.walk)
        if not self.entered:
            return own
        inner: list[WalkKey] = []
        for number, frame in self.entered.items():
            act = self.walk.running.get(number)
            if act is None:
                continue
            below: WalkKey = ()
            if frame is not None:
                below = frame.key()
            inner.append((act.slot.index, act.scope, below))
        inner.sort()
        return own, tuple(inner)


Frames: TypeAlias = tuple[FrameWalk, ...]
"""From the outermost on."""
Activations: TypeAlias = tuple[Activation, ...]
"""One in each frame."""
LeafPlace: TypeAlias = tuple[tuple[Scope, int], ...]
"""For each frame the scope and the number of the node."""


class Leaf:
    """An activation that may end next, with the activations of the frames around it.

    Attributes:
        frames: the frames from the outermost to its own.
        acts: the activation in each of them; the last is the leaf itself.
    """

    __slots__ = ("acts", "frames")

    def __init__(self, frames: Frames, acts: Activations) -> None:
        self.frames = frames
        self.acts = acts

    @property
    def frame(self) -> FrameWalk:
        """Its own frame."""
        return self.frames[-1]

    @property
    def act(self) -> Activation:
        """The activation."""
        return self.acts[-1]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the activations, by which it is found again in a copy."""
        ids = [act.id for act in self.acts]
        return tuple(ids)

    @property
    def scope(self) -> Scope:
        """The scope in the outermost frame."""
        return self.acts[0].scope

    @property
    def around(self) -> tuple[int, ...]:
        """The numbers of those that lead to its frame."""
        return self.numbers[:-1]

    @property
    def outer(self) -> Leaf:
        """The activation that its frame was entered by."""
        return Leaf(self.frames[:-1], self.acts[:-1])

    @property
    def inner_path(self) -> FramePath:
        """The path of a frame that it enters."""
        return (*self.frame.path, self.act.slot.name)

    @property
    def name(self) -> str:
        """The path of its node, as it is told."""
        return ARROW.join(self.inner_path)

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self.act.id in self.frame.walk.cancelling

    @property
    def place(self) -> LeafPlace:
        """What leaves are sorted by: branch by branch."""
        places = [(act.scope, act.slot.index) for act in self.acts]
        return tuple(places)


def leaves_of(root: FrameWalk) -> list[Leaf]:
    """All that may end next, branch by branch."""
    found = list(_leaves(root, (root,), ()))
    found.sort(key=lambda leaf: leaf.place)
    return found


def _leaves(frame: FrameWalk, frames: Frames, acts: Activations) -> Iterator[Leaf]:
    for number, act in frame.walk.running.items():
        inner = frame.entered.get(number)
        chain = (*acts, act)
        # A frame that was told to stop ends as a whole.
        if inner is None or number in frame.walk.cancelling:
            yield Leaf(frames, chain)
        else:
            yield from _leaves(inner, (*frames, inner), chain)


def unit_of(output: object) -> str | None:
    """The arm of what a walk has answered; None if that is not known."""
    if isinstance(output, (Failure, LimitReached)):
        return type(output).__name__
    unit: str | None = getattr(output, "unit", None)
    return unit


# -- keys ------------------------------------------------------------------------------------------
def walk_key(walk: Walk) -> WalkKey:
    """What the rest of one frame's walk depends on."""
    running: list[WalkKey] = []
    waypoints: dict[Waypoint, None] = dict.fromkeys(walk.joins)
    for number, act in walk.running.items():
        ahead: list[WalkKey] = []
        for waypoint in act.joins:
            waypoints[waypoint] = None
            if not waypoint.closed:
                ahead.append(_name_of(waypoint))
        is_stopping = number in walk.cancelling
        running.append((act.slot.index, act.scope, is_stopping, tuple(ahead)))
    if len(running) > 1:
        running.sort()
    waiting = [(act.slot.index, act.scope) for act in walk.waiting.values()]
    open_points: list[WalkKey] = []
    for waypoint in _with_gates(waypoints):
        if not waypoint.closed:
            open_points.append(_waypoint_key(waypoint, walk))
    if len(open_points) > 1:
        open_points.sort()
    return (
        tuple(running),
        tuple(waiting),
        tuple(open_points),
        _output_key(walk),
        walk.half is not None,
        _ending_key(walk),
    )


def _with_gates(waypoints: Mapping[Waypoint, None]) -> list[Waypoint]:
    """These, and the gates that joins of them wait for."""
    found = dict(waypoints)
    for waypoint in waypoints:
        if isinstance(waypoint, JoinState) and waypoint.gate is not None:
            found[waypoint.gate] = None
    return list(found)


def _name_of(waypoint: Waypoint) -> WalkKey:
    if isinstance(waypoint, Gate):
        return -1, waypoint.slot.index, waypoint.scope
    return 0, waypoint.spec.node, waypoint.scope


def _waypoint_key(waypoint: Waypoint, walk: Walk) -> WalkKey:
    counts = (_name_of(waypoint), waypoint.live, bool(waypoint.dead))
    if isinstance(waypoint, Gate):
        ready = sorted([_name_of(join) for join in waypoint.ready])
        failures = sorted([failed.order for failed in waypoint.failures])
        return counts, tuple(ready), tuple(failures)
    assert isinstance(waypoint, JoinState)
    spec = waypoint.spec
    if spec.take is not None:
        # Which of them have come tells whose rest is cancelled later.
        come = sorted([arrival.scope for arrival in waypoint.buffer])
        return counts, waypoint.taken, tuple(come)
    # Of what is collected it counts that there is some; the other ports are filled once.
    ports: set[int] = set()
    for arrival in waypoint.buffer:
        if arrival.port not in spec.collects:
            ports.add(arrival.port)
    has_any = bool(waypoint.buffer)
    return counts, waypoint.taken, has_any, tuple(sorted(ports))


def _output_key(walk: Walk) -> WalkKey:
    if not walk.outputs:
        return ()
    # Of a list of outputs nothing depends on what is in it.
    if walk.program.ends == "all":
        return (True,)
    output = walk.outputs[0][1]
    return (unit_of(output),)


def _ending_key(walk: Walk) -> WalkKey:
    ending = walk.finish or walk.stopping
    if ending is None:
        return ()
    error = type(ending.error).__name__
    is_over = walk.finish is not None
    return ending.status, error, is_over
