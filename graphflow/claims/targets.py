"""Targets: what the name of a claim can stand for in a graph, on its arrows, behind its calls, and in everything below it.

    desk = START >> clerk >> check >> END, where clerk calls the tool `refund` and `check` is a graph of its own

        clerk                  an activation
        clerk > refund         a call
        check, check > score   an activation that enters a frame, and one within it

A way is the names from the outermost frame below the graph to the node, as pictures and variants write them; each element
is all the names that the node there goes by. A call stands behind its caller. Where a node was called and entered, its frame
has its name, and what it calls itself stands right behind that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from graphflow.declaration.claims import ANY_FORK, Claim, Claims, Only, split_arm
from graphflow.declaration.node import AnyNode
from graphflow.messages.types import type_name
from graphflow.proofs.arms import label_of, nearest, units_of
from graphflow.proofs.program import Program, Slot
from graphflow.proofs.proven import AnyGraph, ProvenGraph

Way: TypeAlias = tuple[tuple[str, ...], ...]
"""The names at each level, the outermost first."""
FramePath: TypeAlias = tuple[str, ...]
"""The names of the nodes on arrows by which a frame is entered."""
Seat: TypeAlias = tuple[FramePath, int]
"""A node on arrows: the frame, and its number there."""
ARROW = " > "
"""What parts the elements of a path."""


@dataclass(frozen=True, slots=True)
class Target:
    """One node in one place.

    Attributes:
        way: its names, level by level.
        node: the node.
        frame: the frame that its arrows belong to; of a call, that of the activation which it is made in.
        slot: its number there; of a call, that of the activation.
        is_call: whether it is begun by code or by a model, not by the arrows.
        is_handover: whether it stands for handing over to it.
        caller: the way of who calls it.
    """

    way: Way
    node: AnyNode
    frame: FramePath
    slot: int
    is_call: bool = False
    is_handover: bool = False
    caller: Way = ()

    @property
    def is_walked(self) -> bool:
        """Whether it stands on an arrow of a graph that is called: somebody decides that the graph is walked."""
        return self.is_call and not self.caller

    @property
    def name(self) -> str:
        """The path of its own names."""
        return way_text(self.way)


def way_text(way: Way) -> str:
    """A way as people write it."""
    return ARROW.join(names[0] for names in way)


def is_named(way: Way, path: str) -> bool:
    """Whether a path such as "orders > draft" stands at the end of a way."""
    parts = path.split(ARROW)
    first = len(way) - len(parts)
    if first < 0:
        return False
    for part, names in zip(parts, way[first:], strict=True):
        if part not in names:
            return False
    return True


class Targets:
    """All targets of a graph.

    Attributes:
        graph: whose.
        all: each of them, those on arrows first.
        frames: the graphs that arrows enter, by the path to each; the graph itself is at ().
        has_server: whether tools may be called that are only known when a run begins.
    """

    def __init__(self, graph: AnyGraph) -> None:
        self.graph = graph
        self.frames: dict[FramePath, AnyGraph] = {}
        self.has_server = False
        self._called: list[Target] = []
        self._on_arrows: list[Target] = []
        self._enter(graph, (), ())
        self.all = (*self._on_arrows, *self._called)

    def named(self, path: str) -> list[Target]:
        """Those that a path without an arm stands for."""
        found: list[Target] = []
        for target in self.all:
            if not target.is_handover and is_named(target.way, path):
                found.append(target)
        return found

    def fork(self, claim: Claim) -> Slot | None:
        """The fork whose branches a claim judges alone; None if it judges the whole walk.

        Raises:
            LookupError: there is no such fork, or "fork" stands for several; the text says which there are.
        """
        if claim.per is None:
            return None
        slots = self.graph.program.slots[:-1]
        forks = {slot.name: slot for slot in slots if slot.forks}
        if claim.per in forks:
            return forks[claim.per]
        listed = ", ".join(map(repr, forks)) or "none"
        if claim.per != ANY_FORK:
            near = nearest(claim.per, forks)
            raise LookupError(
                f"per={claim.per!r}: no node of that name forks{near}; those that do: {listed}"
            )
        if len(forks) != 1:
            raise LookupError(f"per='fork' needs a graph with one fork, and it has {listed}")
        return next(iter(forks.values()))

    # -- arrows ------------------------------------------------------------------------------------
    def _enter(self, graph: AnyGraph, path: FramePath, around: Way) -> None:
        """Finds what stands in a frame that arrows enter."""
        self.frames[path] = graph
        for slot in graph.program.slots:
            node = slot.node
            if node is None:
                continue
            way = (*around, node.names)
            self._on_arrows.append(Target(way, node, path, slot.index))
            root = _Root(path, slot.index)
            for _, target in graph.program.handoffs.get(node.name, ()):
                there = (*around, target.names)
                self._add_call(root, there, target, way, is_handover=True)
            inner, _ = node.entry()
            if node.enters == "always" and isinstance(inner, ProvenGraph):
                self._enter(inner, (*path, node.name), way)
            elif node.enters == "always":
                self._look_behind(graph.program, inner, way, way, root)
            else:
                self._look_behind(graph.program, node, around, way, root)

    # -- calls -------------------------------------------------------------------------------------
    def _look_behind(
        self, program: Program, caller: AnyNode, around: Way, way: Way, root: _Root
    ) -> None:
        """Finds what a node calls, and what that calls.

        Args:
            program: of the graph whose call edges these are.
            caller: who calls.
            around: the way of the frame that it calls in.
            way: its own way; the same, if the frame is its own.
            root: the activation on arrows that all of it happens in.
        """
        callers = (caller, *caller.within())
        for each in callers:
            for callee in program.callees.get(each.name, ()):
                if callee.source:
                    self.has_server = True
                    continue
                behind = (*way, callee.names)
                self._add_call(root, behind, callee, way)
                self._look_into(program, callee, around, root)

    def _look_into(self, program: Program, callee: AnyNode, around: Way, root: _Root) -> None:
        # Agents may call each other in a ring: what was looked into below the same activation has no new names.
        if id(callee) in root.seen:
            return
        root.seen.add(id(callee))
        inner, _ = callee.entry()
        way = (*around, callee.names)
        if isinstance(inner, ProvenGraph):
            self._look_within(inner, way, root)
        elif callee.enters == "never":
            self._look_behind(program, callee, around, way, root)
        else:
            self._look_behind(program, inner, way, way, root)

    def _look_within(self, graph: AnyGraph, around: Way, root: _Root) -> None:
        """Finds what stands in a graph that is called: when it is walked somebody else decides."""
        for node in graph.nodes:
            way = (*around, node.names)
            self._add_call(root, way, node, (), is_walked=True)
            inner, _ = node.entry()
            if node.enters == "always" and isinstance(inner, ProvenGraph):
                self._look_within(inner, way, root)
            else:
                self._look_behind(graph.program, node, around, way, root)

    def _add_call(
        self,
        root: _Root,
        way: Way,
        node: AnyNode,
        caller: Way,
        *,
        is_handover: bool = False,
        is_walked: bool = False,
    ) -> None:
        if is_walked:
            caller = ()
        found = Target(way, node, root.frame, root.slot, True, is_handover, caller)
        self._called.append(found)


class _Root:
    """The activation on arrows that calls are made in."""

    __slots__ = ("frame", "seen", "slot")

    def __init__(self, frame: FramePath, slot: int) -> None:
        self.frame = frame
        self.slot = slot
        self.seen: set[int] = set()
        """What it calls, as far as that was looked into."""


class Cast:
    """A claim with the targets that its names stand for.

    Attributes:
        claim: the claim.
        fork: the fork whose branches it judges alone, if it does.
        roles: for each name of the claim its targets; of `Only`, those calls that it forbids.
        arms: for each name the arm that is meant; "" = any.
    """

    def __init__(self, claim: Claim, targets: Targets) -> None:
        self.claim = claim
        self.fork = targets.fork(claim)
        self.roles: tuple[tuple[Target, ...], ...]
        split = [split_arm(name) for name in claim.names]
        self.arms = tuple([arm for _, arm in split])
        if isinstance(claim, Only):
            forbidden: list[Target] = []
            for each in targets.all:
                if each.caller and _is_forbidden(claim, each):
                    forbidden.append(each)
            self.roles = (tuple(forbidden),)
            return
        named = [tuple(targets.named(path)) for path, _ in split]
        self.roles = tuple(named)

    @property
    def has_calls(self) -> bool:
        """Whether something that it speaks of is begun by code or by a model."""
        return any(target.is_call for role in self.roles for target in role)

    @property
    def frames(self) -> frozenset[FramePath]:
        """The frames that it looks into, those on the way to them included."""
        found: set[FramePath] = set()
        for role in self.roles:
            for target in role:
                for length in range(len(target.frame) + 1):
                    found.add(target.frame[:length])
        return frozenset(found)


def _is_forbidden(claim: Only, target: Target) -> bool:
    """Whether this call is one that only another may make."""
    is_meant = any(is_named(target.way, name) for name in claim.calls)
    return is_meant and not is_named(target.caller, claim.caller)


# -- arms ------------------------------------------------------------------------------------------
def unit_name(unit: Any) -> str:
    """An arm or a label, as it stands in square brackets."""
    label = label_of(unit)
    if label is None:
        return type_name(unit)
    if isinstance(label, Enum):
        return str(label.value)
    return str(label)


def unit_names(node: AnyNode) -> tuple[str, ...]:
    """The arms and labels of what a node answers."""
    return tuple(unit_name(unit) for unit in units_of(node.output, labels=True))


def is_arm(output: object, node: AnyNode, arm: str) -> bool:
    """Whether an answer of a node is of this arm."""
    from graphflow.messages.types import matcher

    for unit in units_of(node.output, labels=True):
        if unit_name(unit) != arm:
            continue
        label = label_of(unit)
        if label is None:
            return matcher(unit)(output)
        return type(output) is type(label) and output == label
    return False


# -- what is wrong with claims ---------------------------------------------------------------------
def claim_problems(claims: Claims, targets: Targets) -> Iterator[str]:
    """What is wrong with the names of claims."""
    known = _KnownNames(targets)
    for claim in claims:
        try:
            targets.fork(claim)
        except LookupError as error:
            yield f"{claim}: {error}"
        for name in claim.names:
            problem = known.problem(name)
            if problem:
                yield f"{claim}: {problem}"


class _KnownNames:
    """What the names of claims can stand for, looked up once for all claims of a graph."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._found: dict[str, list[Target]] = {}
        self._near: dict[str, None] = {}

    def problem(self, name: str) -> str:
        """What is wrong with a name; empty if nothing is."""
        path, arm = split_arm(name)
        targets = self._targets
        if path not in self._found:
            self._found[path] = targets.named(path)
        found = self._found[path]
        if not found:
            # A server may have a tool of that name: that shows when a run begins.
            if targets.has_server:
                return ""
            return f"nothing in {targets.graph.name!r} is named {path!r}{self._hint(path)}"
        if not arm:
            return ""
        have: dict[str, None] = {}
        for target in found:
            have |= dict.fromkeys(unit_names(target.node))
        if arm in have:
            return ""
        listed = ", ".join(have)
        near = nearest(arm, have)
        return f"{path!r} has no arm {arm!r}; its arms are {listed}{near}"

    def _hint(self, path: str) -> str:
        if not self._near:
            for target in self._targets.all:
                for names in target.way[-1]:
                    self._near[names] = None
                self._near[target.name] = None
        return nearest(path, self._near)


_TARGETS = "_claim_targets"


def targets_of(graph: AnyGraph) -> Targets:
    """The targets of a graph, found once."""
    known: Targets | None = graph.__dict__.get(_TARGETS)
    if known is None:
        known = Targets(graph)
        graph.__dict__[_TARGETS] = known
    return known
