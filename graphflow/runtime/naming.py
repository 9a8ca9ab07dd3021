"""Names of places: what people call an activation, a call or a question of a run that is kept.

draft                       the activation of `draft`, if there is one
draft#4                     ... the one of that number
writers > draft#4           ... in the frame `writers`
look, boss > look           the call of `look`, if there is one
editor-1a2b3c4d             a question to a person, by its id
/boss 2/model~91c0~0        what stands at that place, as rows name it
/boss 2#4                   the activation of that number in the frame there
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from graphflow.errors import PlaceUnknown
from graphflow.events import CallStarted, Event, NodeStarted, QuestionAsked
from graphflow.runtime.spans import ActivationKey, RecordSpan, SpanIndex

SHOWN = 8
"""Names that an error shows, at most."""
NamedSpans: TypeAlias = dict[str, RecordSpan]
"""Spans, by what they are called."""
NodePath: TypeAlias = Sequence[str]
"""Names of nodes, the outermost first."""


class PlaceNames:
    """What stands in a record, by the names that people give it.

    Args:
        index: the spans of the record.
        events: of the run, those that follow from the facts included.
    """

    def __init__(self, index: SpanIndex, events: Iterable[Event]) -> None:
        self._index = index
        self._entries = index.record.entries
        self._forms = index.record.forms
        self._activations: dict[ActivationKey, str] = {}
        """The node of each activation."""
        for event in events:
            if isinstance(event, NodeStarted):
                key = (event.frame, event.activation)
                self._activations[key] = event.node

    def span(self, name: str) -> RecordSpan:
        """What stands there.

        Raises:
            PlaceUnknown: nothing does, or several things do; the text names near ones.
        """
        found = self._at_place(name) or self._numbered(name)
        if found is not None:
            return found
        candidates = self._named(name)
        if not candidates:
            raise self._unknown(name)
        if len(candidates) > 1:
            names = list(candidates)
            several = _listed(names)
            raise PlaceUnknown(f"{name!r} stands for several: {several}; say which")
        [span] = candidates.values()
        return span

    def knows(self, name: str) -> bool:
        """Whether something stands there, or several things do."""
        if self._at_place(name) is not None or self._numbered(name) is not None:
            return True
        return bool(self._named(name))

    # -- by place ----------------------------------------------------------------------------------
    def _at_place(self, name: str) -> RecordSpan | None:
        """What stands at a place as rows name it, of several attempts the last; or the question of that id."""
        found: RecordSpan | None = None
        for span in self._index.spans:
            if span.kind == "frame":
                continue
            if span.place == name or self._question_of(span) == name:
                found = span
        return found

    def _question_of(self, span: RecordSpan) -> str | None:
        """The id of a question to a person; None if it is anything else."""
        begun = self._entries[span.begin].event
        if not isinstance(begun, QuestionAsked):
            return None
        return begun.question

    def _numbered(self, name: str) -> RecordSpan | None:
        """The activation of a number in the frame at a place."""
        place, separator, number = name.rpartition("#")
        if not separator or not number.isdecimal():
            return None
        wanted = int(number)
        for key in self._activations:
            frame, activation = key
            form = self._forms.get(frame)
            if form is None or form.place != place:
                continue
            if activation == wanted:
                return self._activation(key)
        return None

    # -- by node -----------------------------------------------------------------------------------
    def _named(self, name: str) -> NamedSpans:
        """What a name such as `writers > draft#4` may mean."""
        *prefix, last = name.split(" > ")
        node, _, number = last.partition("#")
        # A node that is called and stands on an arrow as well is meant on its arrow.
        found = self._activations_of(prefix, node)
        if not found:
            found = self._calls_of(prefix, node)
        if number:
            return _of_number(found, number)
        return found

    def _activations_of(self, prefix: NodePath, node: str) -> NamedSpans:
        """The activations of a node, by what they are called: in the outermost frames that the prefix fits."""
        by_depth: dict[int, NamedSpans] = {}
        for key, name in self._activations.items():
            if name != node:
                continue
            frame, _ = key
            path = self._inner_path(frame)
            if _ends_with(path, prefix):
                depth = len(path)
                there = by_depth.setdefault(depth, {})
                shown = self._name_of(key)
                there[shown] = self._activation(key)
        if not by_depth:
            return {}
        # An agent that was called stands in a frame of its own name: the one further out is meant.
        outermost = min(by_depth)
        return by_depth[outermost]

    def all_of(self, nodes: Collection[str]) -> Sequence[tuple[str, RecordSpan]]:
        """Every activation and call of nodes of these names, with what it is called. Frames that are alike share names."""
        found: list[tuple[str, RecordSpan]] = []
        for key, name in self._activations.items():
            if name not in nodes:
                continue
            shown = self._name_of(key)
            span = self._activation(key)
            found.append((shown, span))
        for node in nodes:
            calls = self._calls_of((), node)
            found += calls.items()
        return found

    def _name_of(self, key: ActivationKey) -> str:
        frame, number = key
        path = self._inner_path(frame)
        node = self._activations[key]
        return shown_activation(path, node, number)

    def _calls_of(self, prefix: NodePath, node: str) -> NamedSpans:
        found: NamedSpans = {}
        for span in self._index.spans:
            event = self._entries[span.begin].event
            if not isinstance(event, CallStarted) or event.node != node:
                continue
            path = self._inner_path(event.frame)
            around = callers(path, event.caller)
            if _ends_with(around, prefix):
                shown = shown_activation(around, node, event.call)
                found[shown] = span
        return found

    def _inner_path(self, frame: int) -> tuple[str, ...]:
        """The frames around, without the outermost."""
        form = self._forms.get(frame)
        if form is None:
            return ()
        return form.path[1:]

    def _activation(self, key: ActivationKey) -> RecordSpan:
        node = self._activations[key]
        end = self._index.ends.get(key)
        begin = end
        if begin is None:  # it was under way
            begin = len(self._entries)
        return RecordSpan("activation", node, key, "", begin, end)

    # -- what is said ------------------------------------------------------------------------------
    def _unknown(self, name: str) -> PlaceUnknown:
        known = self._known()
        near = get_close_matches(name, known, n=3, cutoff=0.4)
        shown = _listed(near or known)
        hint = f"it tells of {shown}"
        if near:
            hint = f"did you mean {shown}?"
        run = self._index.record.header.id
        return PlaceUnknown(f"the record of {run!r} tells of no {name!r}; {hint}")

    def _known(self) -> list[str]:
        """All that there are names for, each once."""
        known: list[str] = []
        for key, node in self._activations.items():
            shown = self._name_of(key)
            known += (shown, node)
        for span in self._index.spans:
            if span.kind == "call":
                known.append(span.node)
            if span.place:
                known.append(span.place)
        once = dict.fromkeys(known)
        return list(once)


def callers(path: NodePath, caller: str) -> tuple[str, ...]:
    """Who stands around a call: the frames, and the caller. One that was called stands alone in a frame of its own name."""
    if path and path[-1] == caller:
        return tuple(path)
    return (*path, caller)


def shown_activation(path: NodePath, node: str, number: int) -> str:
    """An activation or a call as people name it."""
    names = (*path, node)
    way = " > ".join(names)
    return f"{way}#{number}"


def _ends_with(path: NodePath, prefix: NodePath) -> bool:
    if not prefix:
        return True
    count = len(prefix)
    tail = path[-count:]
    return list(tail) == list(prefix)


def _of_number(candidates: NamedSpans, number: str) -> NamedSpans:
    """The spans among several of one name that have this number."""
    found: NamedSpans = {}
    ending = f"#{number}"
    for shown, span in candidates.items():
        if shown.endswith(ending):
            found[shown] = span
    return found


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "nothing"
    first = names[:SHOWN]
    shown = ", ".join(map(repr, first))
    more = len(names) - SHOWN
    if more > 0:
        shown += f" and {more} more"
    return shown
