"""A graph's picture with the walk that breaks a claim: its steps are numbered, what it does not touch is pale.

sort [1] --> reply [2: breaks the claim]      `look_up`, which the walk does not come to, is pale
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from textwrap import wrap
from typing import TypeAlias, TypedDict, Unpack

from graphflow.claims.verdict import ClaimVerdict, Counterexample
from graphflow.errors import DeclarationError
from graphflow.proofs.proven import AnyGraph
from graphflow.render.builder import picture
from graphflow.render.compare.marks import nearest
from graphflow.render.forms.output import check_ending, write
from graphflow.render.palette import Theme
from graphflow.render.picture import Direction, Drawn, Line, Open, Picture, Shape

StepsByPlace: TypeAlias = dict[Drawn, list[str]]
"""What is done at each place that a walk comes to, with the numbers of the steps."""
WIDTH = 44
"""Characters in a line under a name."""


class PictureOptions(TypedDict, total=False):
    """What `draw` takes, the theme aside."""

    open: Open
    legend: bool
    direction: Direction
    labels: bool


def draw_verdict(
    graph: AnyGraph,
    path: str | Path,
    verdict: ClaimVerdict,
    theme: Theme = "auto",
    **options: Unpack[PictureOptions],
) -> str:
    """Writes the picture of a graph with the walk that refutes a claim, and returns its path.

    Args:
        graph: the graph.
        path: the file, as for `draw`.
        verdict: what `graph.prove` has said.
        theme: as for `draw`.
        options: as for `draw`.

    Raises:
        DeclarationError: nothing refutes the claim.
    """
    check_ending(path)
    example = verdict.counterexample
    if example is None:
        raise DeclarationError(
            f"{verdict.claim} is {verdict.status} in {graph.name!r}; only a walk that refutes a claim can be drawn"
        )
    drawn = show_counterexample(picture(graph, **options), example)
    return write(drawn, path, theme)


def show_counterexample(picture: Picture, example: Counterexample) -> Picture:
    """Numbers on a picture what a walk does, and lets the rest of it be pale."""
    steps: StepsByPlace = {}
    begun: set[tuple[Drawn, Drawn]] = set()
    for number, step in enumerate(example.steps, 1):
        place = _place(picture, step.node)
        if place is not None:
            steps.setdefault(place, []).append(f"{number}. {step.does}")
        for name in step.begins:
            target = _place(picture, name)
            if target is not None:
                steps.setdefault(target, [])
            if place is not None and target is not None:
                begun.add((place, target))
    _mark_lines(picture, begun)
    _mark_places(picture, steps)
    broken = _broken_at(picture, example)
    if broken is not None:
        broken.mark = "failed"
        broken.badge = _lines([*steps[broken], f"breaks {example.claim}"])
    picture.headline = f"{example.claim} does not hold"
    return picture


def _mark_lines(picture: Picture, begun: set[tuple[Drawn, Drawn]]) -> None:
    for line in picture.lines:
        is_taken = (_source(line), _target(line)) in begun
        line.mark = "sent" if is_taken else "idle"


def _mark_places(picture: Picture, steps: StepsByPlace) -> None:
    for place in picture.places.values():
        if place in steps:
            place.mark = "done"
            place.badge = _lines(steps[place])
        elif not _holds(place, steps):
            place.mark = "idle"


def _broken_at(picture: Picture, example: Counterexample) -> Drawn | None:
    """What has begun last, and must not have; None if the walk lacks something at its end."""
    last = example.steps[-1]
    if example.ends or not last.begins:
        return None
    return _place(picture, last.begins[-1])


def _lines(texts: list[str]) -> str:
    lines: list[str] = []
    for text in texts:
        lines += wrap(text, WIDTH)
    return "\n".join(lines)


def _place(picture: Picture, name: str) -> Drawn | None:
    """What stands for a node: itself, or what holds it."""
    *way, node = name.split(" > ")
    level = (picture.name, *way)
    return picture.places.get((level, node)) or nearest(picture, level, node)


def _source(line: Line) -> Drawn:
    return line.from_area or line.source


def _target(line: Line) -> Drawn:
    return line.to_area or line.target


def _holds(place: Drawn, kept: Container[Drawn]) -> bool:
    """Whether a place is an opened graph in which something stands out."""
    if isinstance(place, Shape):
        return False
    inner: list[Drawn] = [*place.shapes, *place.areas]
    for part in inner:
        if part in kept or _holds(part, kept):
            return True
    return False
