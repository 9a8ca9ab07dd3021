"""Pictures of graphs, and of walks over them, in every form: what `Graph.draw`, `Run.draw` and their kin call."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, Unpack

from graphflow.errors import DeclarationError
from graphflow.keywords import refuse
from graphflow.proofs.proven import AnyGraph
from graphflow.render.builder import picture
from graphflow.render.compare.overlay import overlay_of
from graphflow.render.forms.ascii import write_ascii
from graphflow.render.forms.dot import write_dot
from graphflow.render.forms.mermaid import write_mermaid
from graphflow.render.forms.output import bundle, check_ending, write
from graphflow.render.forms.svg import write_svg
from graphflow.render.palette import Theme
from graphflow.render.picture import Direction, Open, Picture
from graphflow.render.reasons import show_reasons
from graphflow.render.records import EventSource
from graphflow.runtime.run_record import RunRecord

OPTIONS = ("open", "legend", "direction", "theme", "labels")
"""The options of `draw`."""


class LabelOptions(TypedDict, total=False):
    """Options of `draw` that all pictures take; `check_options` looks at each of them."""

    legend: bool
    direction: Direction
    labels: bool


class LevelOptions(LabelOptions, total=False):
    """These, and how many levels are drawn open."""

    open: Open


class WalkOptions(LevelOptions, total=False):
    """These, and the node of which the picture of a walk says why it ran, or why it did not."""

    why: str | None


def to_dot(graph: AnyGraph, *, theme: Theme = "light", **options: Unpack[LevelOptions]) -> str:
    """The graph as DOT text; options as for `draw`."""
    drawn = _drawn(graph, theme, **options)
    return write_dot(drawn, theme, tooltips=True)


def to_svg(
    graph: AnyGraph,
    *,
    theme: Theme = "auto",
    prefix: str | None = None,
    **options: Unpack[LevelOptions],
) -> str:
    """The graph as one `<svg>` element; options as for `draw`, and the prefix of its ids.

    Raises:
        MissingExtra: no layout program is installed.
    """
    drawn = _drawn(graph, theme, **options)
    return write_svg(drawn, theme, prefix=prefix)


def to_mermaid(
    graph: AnyGraph, *, open: Open = "flat", theme: Theme = "auto", **options: Unpack[LabelOptions]
) -> str:
    """The graph as a Mermaid flowchart; options as for `draw`."""
    drawn = _drawn(graph, theme, open=open, **options)
    return write_mermaid(drawn, theme)


def to_ascii(
    graph: AnyGraph,
    *,
    width: int = 100,
    unicode: bool = True,
    open: Open = "flat",
    theme: Theme = "auto",
    **options: Unpack[LabelOptions],
) -> str:
    """The graph as boxes for a terminal.

    Args:
        graph: the graph.
        width: columns that it may take.
        unicode: whether boxes are drawn with line signs; else with plus and minus.
        open: how many levels below the outermost are drawn.
        theme: of no effect; text has the colours of its terminal.
        options: as for `draw`.
    """
    drawn = _drawn(graph, theme, open=open, **options)
    return write_ascii(drawn, width=width, unicode=unicode)


def draw(
    graph: AnyGraph,
    path: str | Path,
    *,
    open: Open = "auto",
    legend: bool = False,
    direction: Direction = "TB",
    theme: Theme = "auto",
    labels: bool = True,
) -> str:
    """Writes a picture and returns its path; the ending says which kind.

    Args:
        graph: the graph.
        path: the file: .svg, .png, .pdf, .dot, .mmd or .txt.
        open: how many levels of graphs and sub-agents are drawn open; "all", or "auto": one, if there is room.
        legend: whether to explain the kinds and lines that occur.
        direction: "TB", top to bottom, or "LR".
        theme: "light", "dark", or as the page around an SVG is ("auto").
        labels: whether edges say what they carry.

    Raises:
        DeclarationError: the ending is none of these, or an option is wrong.
        MissingExtra: .svg, .png or .pdf, and no layout program is installed.
    """
    check_ending(path)
    drawn = _drawn(graph, theme, open=open, legend=legend, direction=direction, labels=labels)
    return write(drawn, path, theme)


def mimebundle(graph: AnyGraph) -> dict[str, str]:
    """What a notebook shows for a graph."""
    return bundle(picture(graph), repr(graph))


# -- walks -----------------------------------------------------------------------------------------
def draw_run(
    run: EventSource,
    path: str | Path,
    *,
    graph: AnyGraph | None = None,
    theme: Theme = "auto",
    **options: Unpack[WalkOptions],
) -> str:
    """Writes a graph's picture with a walk on it, and returns its path.

    Args:
        run: a run, live or ended; its events; its records; or the file they are in.
        path: as for `draw`.
        graph: the graph that was walked; a run knows its own.
        theme: as for `draw`.
        options: as for `draw`; and `why="draft"`: only what led to that node stands out, with the reasons why it ran or did not.
    """
    check_ending(path)
    drawn = walked(run, graph, theme=theme, **options)
    return write(drawn, path, theme)


def run_svg(
    run: EventSource,
    *,
    graph: AnyGraph | None = None,
    theme: Theme = "auto",
    prefix: str | None = None,
    **options: Unpack[WalkOptions],
) -> str:
    """A graph's picture with a walk on it as one `<svg>` element."""
    drawn = walked(run, graph, theme=theme, **options)
    return write_svg(drawn, theme, prefix=prefix)


def run_bundle(run: RunRecord[object]) -> dict[str, str]:
    """What a notebook shows for a run."""
    if run.declared is None:
        return {"text/plain": repr(run)}
    return bundle(walked(run), repr(run))


def walked(
    run: EventSource,
    graph: AnyGraph | None = None,
    theme: Theme = "auto",
    *,
    why: str | None = None,
    **options: Unpack[LevelOptions],
) -> Picture:
    """The picture of a graph with a walk on it.

    Raises:
        DeclarationError: nothing says which graph was walked.
        PlaceUnknown: there is no such node as `why` names.
    """
    # Another graph may be given: a later version of the one that was walked.
    if graph is None and isinstance(run, RunRecord):
        graph = run.declared
    if graph is None:
        raise DeclarationError("a record does not hold its graph; say which was walked: graph=...")
    if why is not None and not isinstance(run, RunRecord):
        raise DeclarationError(
            f"draw(why={why!r}): draw the run itself: its records do not say why"
        )
    overlay = overlay_of(run, graph)
    drawn = overlay.lay_on(_drawn(graph, theme, **options))
    if why is not None and isinstance(run, RunRecord):
        show_reasons(drawn, run.explain(why))
    return drawn


def _drawn(graph: AnyGraph, theme: Theme = "auto", **options: Unpack[LevelOptions]) -> Picture:
    check_options(theme=theme, **options)
    return picture(graph, **options)


def check_options(
    *,
    open: object = 0,
    direction: object = "TB",
    theme: object = "auto",
    legend: object = False,
    labels: object = True,
    **more: object,
) -> None:
    """Refuses options of `draw` that make no sense.

    Raises:
        DeclarationError: names the option, and what it can be.
    """
    if more:
        refuse("draw(...)", more, OPTIONS)
    if not _is_open(open):
        raise DeclarationError(
            f"draw(open={open!r}): must be a number of levels, 'all', 'auto' or 'flat'"
        )
    if direction not in ("TB", "LR"):
        raise DeclarationError(
            f"draw(direction={direction!r}): must be 'TB' (top to bottom) or 'LR' (left to right)"
        )
    if theme not in ("auto", "light", "dark"):
        raise DeclarationError(f"draw(theme={theme!r}): must be 'auto', 'light' or 'dark'")
    for name, value in (("legend", legend), ("labels", labels)):
        if not isinstance(value, bool):
            raise DeclarationError(f"draw({name}={value!r}): must be True or False")


def _is_open(value: object) -> bool:
    if value in ("all", "auto", "flat"):
        return True
    # `True` is an int in Python, but not a number of levels.
    if isinstance(value, bool) or not isinstance(value, int):
        return False
    return value >= 0
