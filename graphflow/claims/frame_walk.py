"""Walks within walks, as the explorer moves them: a tree of frames, copied before each step, known again by its key.

Two trees of equal key go on alike. A key has what the rest of a walk depends on (what runs where, which joins wait and what
has come to them, how often each loop was made), and leaves out what it does not: the messages, the numbers of activations,
who was faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from graphflow.claims.targets import FramePath
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
            twin.entered[number] = None if inner is None else inner.copy()
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
            if act is not None:
                below: WalkKey = () if frame is None else frame.key()
                inner.append((act.slot.index, act.scope, below))
        inner.sort()
        return own, tuple(inner)


class Leaf:
    """An activation that may end next, with the activations of the frames around it.

    Attributes:
        frames: the frames from the outermost to its own.
        acts: the activation in each of them; the last is the leaf itself.
    """

    __slots__ = ("acts", "frames")

    def __init__(self, frames: tuple[FrameWalk, ...], acts: tuple[Activation, ...]) -> None:
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
        return tuple([act.id for act in self.acts])

    @property
    def scope(self) -> Scope:
        """The scope in the outermost frame."""
        return self.acts[0].scope

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self.act.id in self.frame.walk.cancelling

    @property
    def place(self) -> tuple[tuple[Scope, int], ...]:
        """What leaves are sorted by: branch by branch."""
        return tuple([(act.scope, act.slot.index) for act in self.acts])


def leaves_of(root: FrameWalk) -> list[Leaf]:
    """All that may end next, branch by branch."""
    found = list(_leaves(root, (root,), ()))
    found.sort(key=lambda leaf: leaf.place)
    return found


def _leaves(
    frame: FrameWalk, frames: tuple[FrameWalk, ...], acts: tuple[Activation, ...]
) -> Iterator[Leaf]:
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
        for waypoint in act.joins:
            waypoints[waypoint] = None
        ahead = [_name_of(waypoint) for waypoint in act.joins if not waypoint.closed]
        running.append((act.slot.index, act.scope, number in walk.cancelling, tuple(ahead)))
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
    ports = {arrival.port for arrival in waypoint.buffer if arrival.port not in spec.collects}
    return counts, waypoint.taken, bool(waypoint.buffer), tuple(sorted(ports))


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
    return ending.status, type(ending.error).__name__, walk.finish is not None
