"""A picture in the form that is asked for: by the ending of a file, for a notebook, as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphflow.errors import DeclarationError, FileUnreadable
from graphflow.keywords import refuse
from graphflow.proofs.proven import AnyGraph
from graphflow.render.compare.overlay import Recorded, overlay_of
from graphflow.render.forms.ascii import write_ascii
from graphflow.render.forms.dot import write_dot
from graphflow.render.forms.mermaid import write_mermaid
from graphflow.render.forms.svg import write_svg
from graphflow.render.layout.program import dot_binary, rendered
from graphflow.render.palette import Theme
from graphflow.render.picture import Direction, Open, Picture, picture
from graphflow.runtime.run_record import RunRecord

ENDINGS = (".svg", ".png", ".pdf", ".dot", ".gv", ".mmd", ".mermaid", ".txt")


def to_dot(graph: AnyGraph, *, theme: Theme = "light", **options: Any) -> str:
    """The graph as DOT text; options as for `draw`."""
    return write_dot(_pictured(graph, theme, **options), theme, tooltips=True)


def to_svg(graph: AnyGraph, *, theme: Theme = "auto", prefix: str | None = None, **options: Any) -> str:
    """The graph as one `<svg>` element; options as for `draw`, and the prefix of its ids.

    Raises:
        MissingExtra: there is no program that lays it out.
    """
    return write_svg(_pictured(graph, theme, **options), theme, prefix=prefix)


def to_mermaid(graph: AnyGraph, *, open: Open = "flat", **options: Any) -> str:
    """The graph as a Mermaid flowchart; options as for `draw`."""
    return write_mermaid(_pictured(graph, open=open, **options))


def to_ascii(graph: AnyGraph, *, width: int = 100, unicode: bool = True, open: Open = "flat", **options: Any) -> str:
    """The graph as boxes for a terminal.

    Args:
        graph: the graph.
        width: columns that it may take.
        unicode: whether boxes are drawn with line signs; else with plus and minus.
        open: how many levels below the outermost are drawn.
        options: as for `draw`.
    """
    return write_ascii(_pictured(graph, open=open, **options), width=width, unicode=unicode)


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
        MissingExtra: .svg, .png or .pdf, and there is no program that draws them.
    """
    check_ending(path)
    drawn = _pictured(graph, theme, open=open, legend=legend, direction=direction, labels=labels)
    return write(drawn, path, theme)


def check_ending(path: str | Path) -> str:
    """The ending of a file that a picture can be written to.

    Raises:
        DeclarationError: it is none that says what to write.
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise DeclarationError(
            f"draw({str(path)!r}): the ending says what to write; use .svg, .png, .pdf, .dot or .mmd (or .txt)"
        )
    return ending


def write(drawn: Picture, path: str | Path, theme: Theme = "auto") -> str:
    """Writes a picture that is made; the ending says which kind."""
    ending = check_ending(path)
    match ending:
        case ".mmd" | ".mermaid":
            content = write_mermaid(drawn, theme).encode()
        case ".dot" | ".gv":
            content = write_dot(drawn, theme, tooltips=True).encode()
        case ".txt":
            content = write_ascii(drawn).encode()
        case ".svg":
            content = write_svg(drawn, theme, once=True).encode()
        case _:
            content = rendered(write_dot(drawn, theme, ticks=False), ending[1:])
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be written: {error.strerror}") from None
    return str(path)


def to_text(drawn: Picture, *, ascii: bool, width: int = 100, unicode: bool = True) -> str:
    """A picture that is made as text: boxes, or Mermaid."""
    return write_ascii(drawn, width=width, unicode=unicode) if ascii else write_mermaid(drawn)


def bundle(drawn: Picture, text: str) -> dict[str, str]:
    """What a notebook shows: SVG, or Mermaid where nothing can draw; never both, for JupyterLab would choose Mermaid."""
    shown = {"text/plain": text}
    if dot_binary() is not None:
        shown["image/svg+xml"] = write_svg(drawn)
    else:
        shown["text/vnd.mermaid"] = write_mermaid(drawn)
    return shown


def mimebundle(graph: AnyGraph) -> dict[str, str]:
    """What a notebook shows for a graph."""
    return bundle(picture(graph), repr(graph))


# -- walks -----------------------------------------------------------------------------------------------------------------
def draw_run(
    run: Recorded, path: str | Path, *, graph: AnyGraph | None = None, theme: Theme = "auto", **options: Any
) -> str:
    """Writes a graph's picture with a walk on it, and returns its path.

    Args:
        run: a run, live or ended; its events; its records; or the file they are in.
        path: as for `draw`.
        graph: the graph that was walked; a run knows its own.
        theme: as for `draw`.
        options: as for `draw`.
    """
    check_ending(path)
    return write(walked(run, graph, theme=theme, **options), path, theme)


def run_svg(
    run: Recorded,
    *,
    graph: AnyGraph | None = None,
    theme: Theme = "auto",
    prefix: str | None = None,
    **options: Any,
) -> str:
    """A graph's picture with a walk on it as one `<svg>` element."""
    return write_svg(walked(run, graph, theme=theme, **options), theme, prefix=prefix)


def run_bundle(run: RunRecord[Any]) -> dict[str, str]:
    """What a notebook shows for a run."""
    return bundle(walked(run), repr(run)) if run.declared is not None else {"text/plain": repr(run)}


def walked(run: Recorded, graph: AnyGraph | None = None, **options: Any) -> Picture:
    """The picture of a graph with a walk on it.

    Raises:
        DeclarationError: nothing says which graph was walked.
    """
    whose = graph if graph is not None else run.declared if isinstance(run, RunRecord) else None
    if whose is None:
        raise DeclarationError("a record does not hold its graph; say which was walked: graph=...")
    return overlay_of(run, whose).lay_on(_pictured(whose, **options))


def _pictured(graph: AnyGraph, theme: Theme = "auto", **options: Any) -> Picture:
    check_options(theme=theme, **options)
    return picture(graph, **options)


def check_options(
    *, open: Any = 0, direction: Any = "TB", theme: Any = "auto", legend: Any = False, labels: Any = True, **more: Any
) -> None:
    """Refuses options that say nothing.

    Raises:
        DeclarationError: names the option, and what it can be.
    """
    if more:
        refuse("draw(...)", more, ("open", "legend", "direction", "theme", "labels"))
    if open not in ("all", "auto", "flat") and (isinstance(open, bool) or not isinstance(open, int) or open < 0):
        raise DeclarationError(f"draw(open={open!r}): it is a number of levels, 'all', 'auto' or 'flat'")
    if direction not in ("TB", "LR"):
        raise DeclarationError(f"draw(direction={direction!r}): it is 'TB' (top to bottom) or 'LR' (left to right)")
    if theme not in ("auto", "light", "dark"):
        raise DeclarationError(f"draw(theme={theme!r}): it is 'auto', 'light' or 'dark'")
    for name, value in (("legend", legend), ("labels", labels)):
        if not isinstance(value, bool):
            raise DeclarationError(f"draw({name}={value!r}): it is True or False")
