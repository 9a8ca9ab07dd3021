"""Claims judged over every trace of a graph, one by one.

It shares with the explorer what a node may do (`Outcomes`) and the machine itself; it has no copies, keys, reductions or
automata. Each trace is made from its beginning by fresh walks, and each claim is read off the finished trace by what its
sentence says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from graphflow.claims.outcomes import FAILS, Outcomes
from graphflow.declaration.claims import (
    Apart,
    AtLeast,
    AtMost,
    Before,
    Claim,
    Exactly,
    Never,
    split_arm,
)
from graphflow.events import NodeCancelled, NodeFailed, NodeFinished, RunStarted, Scope
from graphflow.limits import Limits
from graphflow.messages.message import Failure, LimitReached
from graphflow.proofs.proven import ProvenGraph
from graphflow.walk.commands import Activation
from graphflow.walk.machine import Walk


class TooMany(Exception):
    """There are more traces than one wants to wait for."""


@dataclass(frozen=True)
class Happening:
    """What happens to one node: it begins, answers, fails or is cancelled."""

    what: str
    path: tuple[str, ...]
    act: tuple[int, ...]
    unit: str | None
    scope: Scope


Trace = list[Happening]


class Frame:
    """One walk, and those within."""

    def __init__(self, model: Model, path: tuple[str, ...], walk: Walk) -> None:
        self.model = model
        self.path = path
        self.walk = walk
        self.inner: dict[int, Frame | None] = {}


class Model:
    """The outcomes of a graph, and of the graphs on its arrows."""

    def __init__(self, graph: Any, sizes: Sequence[int], all_failures: bool = False) -> None:
        self.graph = graph
        self.outcomes = Outcomes(graph, sizes, all_failures=all_failures, within={})
        self.within: dict[str, Model] = {}
        for each in graph.nodes:
            if isinstance(each, ProvenGraph):
                self.within[each.name] = Model(each, sizes, all_failures)

    def walk(self) -> Walk:
        laps = None if self.graph.limits is None else self.graph.limits.laps
        return Walk(self.outcomes.program, Limits(laps=laps))


Way = tuple[tuple[Frame, Activation], ...]


class Play:
    """One trace that is being made: choices in, happenings out."""

    def __init__(self, model: Model) -> None:
        self.root = Frame(model, (), model.walk())
        self.trace: Trace = []

    # -- what can come next ------------------------------------------------------------------------
    def options(self) -> list[tuple[Way, Any]]:
        """Every end that may come next."""
        found: list[tuple[Way, Any]] = []
        for way in self._ways(self.root, ()):
            frame, act = way[-1]
            name = act.slot.name
            if act.id in frame.walk.cancelling:
                found.append((way, "cancel"))
            elif act.id in frame.inner:
                inner = frame.model.within[name]
                start = inner.outcomes.program.start
                found += [(way, ("enter", outcome)) for outcome in inner.outcomes.of[start]]
            else:
                found += [(way, outcome) for outcome in frame.model.outcomes.of[act.slot.index]]
        return found

    def _ways(self, frame: Frame, around: Way) -> Iterator[Way]:
        for number in sorted(frame.walk.running):
            act = frame.walk.running[number]
            way = (*around, (frame, act))
            inner = frame.inner.get(number)
            if inner is None or number in frame.walk.cancelling:
                yield way
            else:
                yield from self._ways(inner, way)

    # -- making it happen --------------------------------------------------------------------------
    def begin(self, outcome: Any) -> None:
        """The message at START."""
        self._note(self.root, self.root.walk.apply(RunStarted(0, 0, "", outcome.output)), None)

    def take(self, way: Way, choice: Any) -> None:
        """Lets it happen."""
        frame, act = way[-1]
        outermost = way[0][1].scope
        if choice == "cancel":
            inner = frame.inner.pop(act.id, None)
            if inner is not None:
                self._stop(inner, way, outermost)
            self._happens("cancel", way, None)
            self._apply(way, NodeCancelled(0, 0, act.id, "", 0))
        elif isinstance(choice, tuple) and choice[0] == "enter":
            model = frame.model.within[act.slot.name]
            inner = Frame(model, (*frame.path, act.slot.name), model.walk())
            frame.inner[act.id] = inner
            commands = inner.walk.apply(RunStarted(0, 0, "", choice[1].output))
            self._note(inner, commands, outermost, way)
        else:
            self._end(way, choice)

    def _end(self, way: Way, outcome: Any) -> None:
        frame, act = way[-1]
        frame.inner.pop(act.id, None)
        if outcome is FAILS:
            self._happens("fail", way, None)
            self._apply(way, NodeFailed(0, 0, act.id, "", RuntimeError("x"), 0))
        else:
            self._happens("answer", way, outcome.unit)
            self._apply(way, NodeFinished(0, 0, act.id, "", outcome.output, 0))

    def _apply(self, way: Way, fact: Any) -> None:
        frame, _ = way[-1]
        scope = way[0][1].scope if frame.path else None
        self._note(frame, frame.walk.apply(fact), scope, way[:-1])
        finish = frame.walk.finish
        if finish is None or not frame.path:
            return
        outer_frame, outer = way[-2]
        outcomes = outer_frame.model.outcomes.of[outer.slot.index]
        if finish.status != "completed":
            self._end(way[:-1], FAILS)
            return
        output: Any = finish.output
        unit = getattr(output, "unit", None)
        if isinstance(output, (Failure, LimitReached)):
            unit = type(output).__name__
        answers = [each for each in outcomes if each is not FAILS]
        exact = [each for each in answers if each.unit == unit] or answers
        # Blocks answer with one arm along one edge, so there is one way on, but for guards and lists.
        assert len(exact) == 1, exact
        self._end(way[:-1], exact[0])

    def _stop(self, frame: Frame, way: Way, scope: Scope) -> None:
        for number, act in sorted(frame.walk.running.items()):
            inner = frame.inner.get(number)
            if inner is not None:
                self._stop(inner, (*way, (frame, act)), scope)
            self._happens("cancel", (*way, (frame, act)), None)

    def _note(self, frame: Frame, commands: Any, scope: Scope | None, around: Way = ()) -> None:
        for command in commands:
            if isinstance(command, Activation):
                if command.slot.name in frame.model.within:
                    frame.inner[command.id] = None
                self._happens("begin", (*around, (frame, command)), None)

    def _happens(self, what: str, way: Way, unit: str | None) -> None:
        frame, act = way[-1]
        numbers = tuple(each.id for _, each in way)
        path = (*frame.path, act.slot.name)
        self.trace.append(Happening(what, path, numbers, unit, way[0][1].scope))


def traces(model: Model, most: int) -> Iterator[tuple[Trace, str]]:
    """Every trace, and how its walk has ended.

    Raises:
        TooMany: there are more than `most`.
    """
    starts = model.outcomes.of[model.outcomes.program.start]
    todo: list[list[int]] = [[number] for number in range(len(starts))]
    count = 0
    while todo:
        choices = todo.pop()
        play = Play(model)
        play.begin(starts[choices[0]])
        for number in choices[1:]:
            play.take(*play.options()[number])
        finish = play.root.walk.finish
        if finish is not None:
            count += 1
            if count > most:
                raise TooMany
            yield play.trace, finish.status
            continue
        todo += [[*choices, number] for number in range(len(play.options()))]


# -- what each claim says of a trace ---------------------------------------------------------------
def named(happening: Happening, name: str) -> bool:
    parts = tuple(split_arm(name)[0].split(" > "))
    return happening.path[-len(parts) :] == parts


def answered(happening: Happening, name: str) -> bool:
    arm = split_arm(name)[1]
    return happening.what == "answer" and named(happening, name) and arm in ("", happening.unit)


def began(happening: Happening, name: str) -> bool:
    return happening.what == "begin" and named(happening, name)


def under_way(trace: Trace, name: str) -> set[tuple[int, ...]]:
    """What of that name is under way at the end of a trace."""
    running: set[tuple[int, ...]] = set()
    for each in trace:
        if named(each, name):
            running = running | {each.act} if each.what == "begin" else running - {each.act}
    return running


def holds(claim: Claim, trace: Trace, status: str) -> bool:
    """Whether a claim holds in one trace."""
    completed = status == "completed"
    match claim:
        case Before(first=first, then=then):
            return not any(
                began(each, then) and not any(answered(other, first) for other in trace[:place])
                for place, each in enumerate(trace)
            )
        case Never(node=name, after=after):
            for place, each in enumerate(trace):
                if answered(each, after):
                    if any(began(later, name) for later in trace[place + 1 :]):
                        return False
                    if under_way(trace[: place + 1], name):
                        return False
            return True
        case AtMost(node=name, times=times):
            return sum(began(each, name) for each in trace) <= times
        case Exactly(node=name, times=times):
            count = sum(began(each, name) for each in trace)
            return count == times if completed else count <= times
        case AtLeast(node=name, times=times):
            return not completed or sum(answered(each, name) for each in trace) >= times
        case Apart(one=one, other=other):
            return not any(
                under_way(trace[:place], one) and under_way(trace[:place], other)
                for place in range(len(trace) + 1)
            )
    raise AssertionError(claim)


def branches_of(trace: Trace, name: str, fork: int) -> dict[Scope, Trace]:
    """The trace of each branch of a fork: what was before the fork had answered, and what happens in the branch."""
    inside: dict[Scope, Trace] = {}
    outside: Trace = []
    forked: dict[Scope, Trace] = {}
    for each in trace:
        branch = None
        for place, (region, _) in enumerate(each.scope):
            if region == fork:
                branch = each.scope[: place + 1]
                break
        if branch is None:
            outside.append(each)
            if each.what == "answer" and each.path == (name,):
                forked[each.scope] = list(outside)
            continue
        inside.setdefault(branch, list(forked.get(branch[:-1], [])))
        inside[branch].append(each)
    inside[()] = outside
    return inside


def verdicts(model: Model, claims: Sequence[Claim], most: int) -> dict[Claim, bool]:
    """Whether each claim holds in every trace."""
    broken: set[Claim] = set()
    forks = {slot.name: slot.index for slot in model.graph.program.slots}
    for trace, status in traces(model, most):
        for claim in claims:
            if claim in broken:
                continue
            if claim.per is None:
                if not holds(claim, trace, status):
                    broken.add(claim)
                continue
            parts = branches_of(trace, claim.per, forks[claim.per])
            outside = parts.pop(())
            # Of the outside only what a branch can break counts for walks that end: the branches complete, not it.
            if not holds(claim, outside, "running"):
                broken.add(claim)
            for part in parts.values():
                if not holds(claim, part, status):
                    broken.add(claim)
    return {claim: claim not in broken for claim in claims}
