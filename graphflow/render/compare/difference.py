"""What differs between two graphs, or between two walks over one: in words, and as a picture with plus and minus.

Rules:
1. Two graphs are compared by what they say, not by which objects they are: the same file loaded twice is the same graph.
2. Two walks are compared by what they were given, who did what how often and answered what, and how it ended; not by how
   long it took or what it cost. Edges are known by what they leave and where they lead: moved lines are no difference.
3. Plus and minus are said by sign and line style first; colour only repeats it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from graphflow.declaration.node import Node
from graphflow.errors import DeclarationError
from graphflow.limits import Limits
from graphflow.messages.types import type_name
from graphflow.proofs.proven import AnyGraph, ProvenGraph
from graphflow.redaction import scrub
from graphflow.render.compare.overlay import Overlay, Recorded, Told, digest, told
from graphflow.render.compare.tally import Passed, Tally
from graphflow.render.labels import clean, cut
from graphflow.render.palette import Theme
from graphflow.render.picture import (
    Area,
    Level,
    Line,
    Open,
    Picture,
    Shape,
    find_back,
    graph_within,
    members_of,
    picture,
)
from graphflow.render.talk import json_text
from graphflow.runtime.run_record import RunRecord

ADDED, REMOVED, CHANGED = "+", "-", "~"
MARKS = {ADDED: "added", REMOVED: "removed", CHANGED: "changed"}


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs. It is true if anything does, reads as text, and shows itself in a notebook.

    Attributes:
        names: what was compared.
        changes: a sign (+ only in the second, - only in the first, ~ in both, and different) and what it is about.
        picture: both in one picture, or None where no graph is known.
        equal: the words for no difference.
    """

    names: tuple[str, str]
    changes: tuple[tuple[str, str], ...]
    picture: Picture | None = field(default=None, repr=False)
    equal: str = field(default="are the same", repr=False)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.changes

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        if not self.changes:
            return f"{self.names[0]} and {self.names[1]} {self.equal}"
        head = [f"--- {self.names[0]}", f"+++ {self.names[1]}"]
        return "\n".join([*head, *(f"{sign} {what}" for sign, what in self.changes)])

    def draw(self, path: str, *, theme: Theme = "auto") -> str:
        """Writes the picture and returns its path; the ending says which kind."""
        from graphflow.render.writing import write

        return write(self._drawn(), path, theme)

    def to_svg(self, *, theme: Theme = "auto", prefix: str | None = None) -> str:
        """The picture as one `<svg>` element."""
        from graphflow.render.forms.svg import write_svg

        return write_svg(self._drawn(), theme, prefix=prefix)

    def _drawn(self) -> Picture:
        if self.picture is None:
            raise DeclarationError(
                "two records alone have no picture; say which graph was walked: diff(a, b, graph=...)"
            )
        return self.picture

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from graphflow.render.writing import bundle

        return bundle(self.picture, str(self)) if self.picture is not None else {"text/plain": str(self)}


def diff(
    a: AnyGraph | Recorded,
    b: AnyGraph | Recorded,
    *,
    graph: AnyGraph | None = None,
    open: Open = "auto",
    names: tuple[str, str] | None = None,
) -> Difference:
    """What differs between two graphs, or between two walks.

    Args:
        a: a graph; or a run, its events, its records, or the file they are in.
        b: another of the same sort.
        graph: what the two walks went over; a run knows its own.
        open: how many levels are drawn and compared edge by edge; what lies deeper is compared as a whole.
        names: what the two are called.

    Raises:
        DeclarationError: one is a graph, and the other a walk.
    """
    if isinstance(a, ProvenGraph) and isinstance(b, ProvenGraph):
        return _of_graphs(a, b, open, names or _apart(a.name, b.name))
    if isinstance(a, ProvenGraph) or isinstance(b, ProvenGraph):
        raise DeclarationError("diff(a, b) takes two graphs, or two runs (or their events); not one of each")
    whose = graph
    for run in (a, b):
        if whose is None and isinstance(run, RunRecord):
            whose = run.declared
    return _of_walks(a, b, whose, open, names or _apart(_called(a), _called(b)))


def _apart(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one != other else (f"{one} (first)", f"{other} (second)")


def _called(walk: Recorded) -> str:
    return walk.id if isinstance(walk, RunRecord) else str(walk) if isinstance(walk, (str, Path)) else "events"


# -- graphs ----------------------------------------------------------------------------------------------------------------
def _of_graphs(a: AnyGraph, b: AnyGraph, open: Open, names: tuple[str, str]) -> Difference:
    old, new = (picture(graph, open=open, fold=False) for graph in (a, b))
    changes = [(CHANGED, text) for text in _about_whole(a, b)]
    new.overlay = "difference"
    new.headline = f"{REMOVED} {cut(names[0], 60)}   {ADDED} {cut(names[1], 60)}"
    before, after = _places(old), _places(new)
    for key, place in after.items():
        if key not in before:
            place.mark = "added"
            changes.append((ADDED, _worded(key, place)))
        elif not isinstance(place, Shape) or place.kind not in ("start", "end"):
            what = _differing(_node(a, key), _node(b, key))
            if what:
                place.mark = "changed"
                changes.append((CHANGED, f"{_worded(key, place)}: {', '.join(what)}"))
    for key, place in before.items():
        if key not in after:
            place.mark = "removed"
            changes.append((REMOVED, _worded(key, place)))
    changes += _merged(old, new, before, after)
    return Difference(names, tuple(changes), new)


Key = tuple[Level, str]


def _places(drawn: Picture) -> dict[Key, Shape | Area]:
    """Every place by its way from the outermost graph, which may have another name in the other picture."""
    return {(level[1:], name): place for (level, name), place in drawn.places.items()}


def _worded(key: Key, place: Shape | Area) -> str:
    return f"{place.kind} {' > '.join((*key[0], key[1]))}"


def _node(graph: AnyGraph, key: Key) -> Node[Any, Any]:
    for step in key[0]:
        inner = graph_within(members_of(graph)[step])
        assert inner is not None
        graph = inner
    return members_of(graph)[key[1]]


def _about_whole(a: AnyGraph, b: AnyGraph) -> list[str]:
    found: list[str] = []
    for what, one, other in (
        ("input", type_name(a.input), type_name(b.input)),
        ("output", type_name(a.output), type_name(b.output)),
        ("model", _spelled(a.model), _spelled(b.model)),
        *_limits_of(a, b),
        ("description", a.description, b.description),
        ("ends", a.ends, b.ends),
    ):
        if one != other:
            found.append(f"graph {what}: {cut(clean(one), 80)} -> {cut(clean(other), 80)}")
    return found


def _limits_of(a: AnyGraph, b: AnyGraph) -> list[tuple[str, str, str]]:
    one, other = a.limits or Limits(), b.limits or Limits()
    return [(f"limit {e.name}", str(getattr(one, e.name)), str(getattr(other, e.name))) for e in fields(Limits)]


def _differing(one: Node[Any, Any], other: Node[Any, Any]) -> list[str]:
    """The words for what two nodes of one name do not share."""
    if one.kind != other.kind:
        return [f"{one.kind} -> {other.kind}"]
    first, second = _facts(one), _facts(other)
    return [name for name in dict.fromkeys((*first, *second)) if first.get(name) != second.get(name)]


def _facts(node: Node[Any, Any]) -> dict[str, str]:
    inner = graph_within(node)
    facts = {"calls": repr([c if isinstance(c, str) else c.name for c in node.calls])}
    if inner is not None:
        facts["edges"] = repr([repr(d.edge) for d in inner.edges])
        facts["nodes"] = repr([(n.name, n.kind, sorted(_facts(n).items())) for n in inner.nodes])
        facts["model"], facts["limits"] = _spelled(inner.model), _spelled(inner.limits)
        facts["description"] = inner.description
        return facts
    for name, value in node.__dict__.items():
        if name in ("where", "problems", "calls") or name.startswith("_"):
            continue
        if name == "direct" and isinstance(value, FunctionType):
            continue  # made of the function, which is compared itself
        facts[name] = _spelled(value)
    return facts


def _spelled(value: Any, depth: int = 0) -> str:
    """A value as text that is the same for two objects that say the same."""
    if depth > 8:
        return "..."
    again = partial(_spelled, depth=depth + 1)
    match value:
        case None | str() | int() | float() | bytes() | Enum():
            return repr(value)
        case Node():
            return f"{value.kind} {value.name}" + (f" {sorted(_facts(value).items())}" if depth < 3 else "")
        case FunctionType():
            return f"{value.__qualname__} {_code(value.__code__)} {again(value.__defaults__)} {again(value.__kwdefaults__)}"
        case type() if issubclass(value, BaseModel):
            fields = {
                name: (type_name(given.annotation), repr(given.default)) for name, given in value.model_fields.items()
            }
            return f"{value.__qualname__} {fields}" if depth < 4 else value.__qualname__
        case type():
            return value.__qualname__
        case list() | tuple():
            return f"[{', '.join(map(again, value))}]"
        case set() | frozenset():
            return f"{{{', '.join(sorted(map(again, value)))}}}"
        case Mapping():
            return f"{{{', '.join(f'{again(k)}: {again(v)}' for k, v in value.items())}}}"
        case BaseModel():
            return f"{type(value).__qualname__} {value!r}"
    if (origin := get_origin(value)) is not None:
        return f"{again(origin)}[{', '.join(map(again, get_args(value)))}]"
    return _spelled_object(value, depth)


def _spelled_object(value: Any, depth: int) -> str:
    own = {name: each for name, each in getattr(value, "__dict__", {}).items() if not name.startswith("__")}
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name) and not name.startswith("__"):
                own[name] = getattr(value, name)
    if own:
        return f"{type(value).__qualname__} {_spelled(own, depth + 1)}"
    return f"{type(value).__qualname__} {re.sub(r' at 0x[0-9a-f]+', '', repr(value))}"


def _code(code: CodeType) -> str:
    constants = [_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"


def _merged(
    old: Picture, new: Picture, before: dict[Key, Shape | Area], after: dict[Key, Shape | Area]
) -> list[tuple[str, str]]:
    """Puts what only the first has into the picture of the second, and tells which lines differ."""
    changes: list[tuple[str, str]] = []
    taken = {_line_key(line): line for line in new.lines}
    known = {_line_key(line) for line in old.lines}
    areas = {area.path[1:]: area for area in new.every_area()}
    for line in new.lines:
        if _line_key(line) not in known:
            line.mark = "added"
            changes.append((ADDED, _line_words(line)))
    _adopt(old, new, before, after, areas)
    for line in old.lines:
        if _line_key(line) in taken:
            continue
        line.mark = "removed"
        changes.append((REMOVED, _line_words(line)))
        source, target = (_end_of(line, side, before, after) for side in (0, 1))
        line.source, line.from_area = source
        line.target, line.to_area = target
        line.level = (new.name, *line.level[1:])
        line.indexes = ()  # it has no place among the edges of the second
        new.lines.append(line)
    find_back(new)
    return changes


def _line_key(line: Line) -> tuple[Any, ...]:
    return line.level[1:], line.names, line.style, line.parts


def _line_words(line: Line) -> str:
    where = " > ".join(line.level[1:])
    said = f" ({', '.join(line.parts)})" if line.parts else " (call)" if line.style == "call" else ""
    return f"edge {line.names[0]} >> {line.names[1]}{said}{f' in {where}' if where else ''}"


def _adopt(
    old: Picture,
    new: Picture,
    before: dict[Key, Shape | Area],
    after: dict[Key, Shape | Area],
    areas: dict[Level, Area],
) -> None:
    number = 0

    def home_of(path: Level) -> Picture | Area:
        while path:
            if path in areas:
                return areas[path]
            path = path[:-1]
        return new

    def fill(home: Picture | Area, path: Level) -> None:
        nonlocal number
        for shape in home.shapes:
            if (shape.level[1:], shape.name) not in after:
                number += 1
                shape.key = f"n{100_000 + number}"
                _before_end(home_of(path), shape)
        for area in home.areas:
            inner = area.path[1:]
            if inner not in areas and (area.level[1:], area.name) not in after:
                number += 1
                twin = Area(f"a{100_000 + number}", area.name, area.kind, area.path, area.depth, area.level)
                twin.opens_level, twin.mark = area.opens_level, "removed"
                home_of(inner[:-1]).areas.append(twin)
                areas[inner] = twin
                before[area.level[1:], area.name] = twin if area.opens_level else before[area.level[1:], area.name]
            fill(area, inner)

    fill(old, ())


def _before_end(home: Picture | Area, shape: Shape) -> None:
    place = len(home.shapes)
    if home.shapes and home.shapes[-1].kind == "end":
        place -= 1
    home.shapes.insert(place, shape)


def _end_of(
    line: Line, side: int, before: dict[Key, Shape | Area], after: dict[Key, Shape | Area]
) -> tuple[Shape, Area | None]:
    """Where an end of a line that is gone is in the picture of both."""
    key = line.level[1:], line.names[side]
    place = after.get(key) or before[key]
    if isinstance(place, Shape):
        return place, None
    ends = [shape for shape in place.shapes if shape.kind == ("end" if side == 0 else "start")]
    shape = ends[0] if ends else place.shapes[0]
    return shape, place


# -- walks -----------------------------------------------------------------------------------------------------------------
def _of_walks(a: Recorded, b: Recorded, graph: AnyGraph | None, open: Open, names: tuple[str, str]) -> Difference:
    one, other = (_read(walk, graph) for walk in (a, b))
    changes = [(CHANGED, text) for text in _about_walks(one, other)]
    nodes: dict[tuple[Level, str], str] = {}
    for key in dict.fromkeys((*one.nodes, *other.nodes)):
        left, right = one.nodes.get(key, Tally()), other.nodes.get(key, Tally())
        sign = _sign(left.ended, right.ended, _did(left) != _did(right) or left.answers != right.answers)
        if sign:
            nodes[key] = sign
            did = f"{_did(left)} -> {_did(right)}" if _did(left) != _did(right) else "answered something else"
            changes.append((sign, f"node {' > '.join((*key[0], key[1]))}: {did}"))
    lines: dict[tuple[Any, ...], str] = {}
    for at, before, after, words in _passed(one, other, graph):
        sign = _sign(before, after, before != after)
        if sign:
            lines[at] = sign
            changes.append((sign, f"{words}: {before} -> {after}"))
    drawn = None
    if graph is not None:
        drawn = _walks_drawn(picture(graph, open=open), one, other, nodes, lines)
        drawn.headline = f"{REMOVED} {cut(names[0], 60)}   {ADDED} {cut(names[1], 60)}"
    return Difference(names, tuple(changes), drawn, "did the same and answered the same")


def _about_walks(one: Overlay, other: Overlay) -> list[str]:
    """What two walks were, as a whole."""
    found: list[str] = []
    if one.name != other.name:
        found.append(f"graph {cut(clean(one.name), 80)} -> {cut(clean(other.name), 80)}")
    if digest(one.input) != digest(other.input):
        found.append(f"it was given {_shown(one.input)} -> {_shown(other.input)}")
    if (one.status, one.error) != (other.status, other.error):
        found.append(f"it {_ending(one)} -> {_ending(other)}")
    elif digest(one.output) != digest(other.output):
        found.append(f"it answered {_shown(one.output)} -> {_shown(other.output)}")
    return found


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json_text(value)
    return cut(scrub(clean(text)).replace("\n", " "), 60)


def _read(walk: Recorded, graph: AnyGraph | None) -> Overlay:
    """What a walk did; one over another version of the graph is compared as it is, not refused."""
    events: Iterable[Told] = told(walk)
    return Overlay(graph, "walk", strict=False, compares=True).take_all(events)


def _ending(overlay: Overlay) -> str:
    return f"{overlay.status}" + (f" ({cut(clean(overlay.error), 80)})" if overlay.error else "")


def _did(tally: Tally) -> str:
    told = [f"{count} {word}" for count, word in ((tally.done, "done"), (tally.failed, "failed")) if count]
    told += [f"{tally.stopped} cancelled"] if tally.stopped else []
    told += [f"{tally.skipped} skipped"] if tally.skipped else []
    return ", ".join(told) or "nothing"


def _sign(before: int, after: int, differs: bool) -> str:
    if before and after:
        return CHANGED if differs else ""
    return ADDED if after else REMOVED if before else CHANGED if differs else ""


def _passed(one: Overlay, other: Overlay, graph: AnyGraph | None) -> Iterable[tuple[tuple[Any, ...], int, int, str]]:
    for level, index in sorted({*one.edges, *other.edges}, key=str):
        before, after = (walk.edges.get((level, index), Passed()).sent for walk in (one, other))
        yield (level, index), before, after, f"edge {_edge_words(graph, level, index)}"
    for call in sorted({*one.calls, *other.calls}):
        words = f"call {' > '.join(call[0])}: {call[1]} >> {call[2]}"
        yield call, one.calls.get(call, 0), other.calls.get(call, 0), words


def _edge_words(graph: AnyGraph | None, level: Level, index: int | str) -> str:
    where = " > ".join(level)
    if isinstance(index, str):
        return f"{index} of {where}"
    for step in level[1:]:
        graph = graph_within(members_of(graph)[step]) if graph is not None and step in members_of(graph) else None
    if graph is None or not 0 <= index < len(graph.edges):
        return f"{index} of {where}"
    return f"{graph.edges[index].edge!r} of {where}"


def _walks_drawn(
    drawn: Picture,
    one: Overlay,
    other: Overlay,
    nodes: dict[tuple[Level, str], str],
    lines: dict[tuple[Any, ...], str],
) -> Picture:
    drawn.overlay = "difference"
    for (level, name), place in drawn.places.items():
        signs = {nodes.get((level, name), "")} - {""}
        if signs and not place.mark:
            place.mark = MARKS[signs.pop()]
        left, right = one.nodes.get((level, name)), other.nodes.get((level, name))
        if place.mark and (left or right):
            place.badge = f"{_did(left or Tally())} \u2192 {_did(right or Tally())}"
    for line in drawn.lines:
        keys: list[tuple[Any, ...]] = [(line.level, index) for index in line.indexes] or [(line.level, *line.names)]
        signs = {lines[key] for key in keys if key in lines}
        if signs:
            line.mark = MARKS[signs.pop() if len(signs) == 1 else CHANGED]
            before, after = (_count(walk, keys) for walk in (one, other))
            line.badge = f"{before} \u2192 {after}"
    return drawn


def _count(walk: Overlay, keys: list[tuple[Any, ...]]) -> int:
    return sum(walk.edges[key].sent if key in walk.edges else walk.calls.get(key, 0) for key in keys)
