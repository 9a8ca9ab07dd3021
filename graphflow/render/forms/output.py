"""Writes a picture in one of its forms: by the ending of a file, for a notebook, as text."""

from __future__ import annotations

from pathlib import Path

from graphflow.errors import DeclarationError, FileUnreadable
from graphflow.render.forms.ascii import write_ascii
from graphflow.render.forms.dot import write_dot
from graphflow.render.forms.mermaid import write_mermaid
from graphflow.render.forms.svg import write_svg
from graphflow.render.layout.program import dot_binary, rendered
from graphflow.render.palette import Theme
from graphflow.render.picture import Picture

ENDINGS = (".svg", ".png", ".pdf", ".dot", ".gv", ".mmd", ".mermaid", ".txt")


def check_ending(path: str | Path) -> str:
    """The ending of a file that a picture can be written to.

    Raises:
        DeclarationError: it does not say what to write.
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise DeclarationError(
            f"draw({str(path)!r}): the ending says what to write; use .svg, .png, .pdf, .dot or .mmd (or .txt)"
        )
    return ending


def write(picture: Picture, path: str | Path, theme: Theme = "auto") -> str:
    """Writes a picture and returns its path; the ending says which kind.

    Raises:
        DeclarationError: the ending does not say what to write.
        MissingExtra: no program that draws this kind is installed.
        FileUnreadable: it cannot be written.
    """
    content = _content(picture, check_ending(path), theme)
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be written: {error.strerror}") from None
    return str(path)


def _content(picture: Picture, ending: str, theme: Theme) -> bytes:
    match ending:
        case ".mmd" | ".mermaid":
            return write_mermaid(picture, theme).encode()
        case ".dot" | ".gv":
            return write_dot(picture, theme, tooltips=True).encode()
        case ".txt":
            return write_ascii(picture).encode()
        case ".svg":
            return write_svg(picture, theme, once=True).encode()
        case _:
            source = write_dot(picture, theme, ticks=False)
            return rendered(source, ending.removeprefix("."))


def to_text(picture: Picture, *, ascii: bool, width: int = 100, unicode: bool = True) -> str:
    """A picture as text: boxes, or Mermaid."""
    if ascii:
        return write_ascii(picture, width=width, unicode=unicode)
    return write_mermaid(picture)


def bundle(picture: Picture, text: str) -> dict[str, str]:
    """What a notebook shows: SVG, or Mermaid where nothing can draw; never both, for JupyterLab would choose Mermaid."""
    shown = {"text/plain": text}
    if dot_binary() is not None:
        shown["image/svg+xml"] = write_svg(picture)
    else:
        shown["text/vnd.mermaid"] = write_mermaid(picture)
    return shown
