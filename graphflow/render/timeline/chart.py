"""The timeline of a run: a self-contained SVG of who worked when.

Rules:
1. A lane for every frame path and for every node in it, indented by depth. Activations that overlap get rows of their own.
   In a bar, model requests are in its upper half and calls in its lower half: nothing is shown by colour alone.
2. What is too short to be seen is drawn as one hatched block with its count; rows and lanes beyond the bounds are not
   drawn. The picture says both. So its size is bounded, however long the run, and its cost is O(n log n).
3. The heavy line under bars is the critical path (`critical.py` says what that is).
4. Colours and lines are attributes of their elements, and no element has a style of its own: where a page's policy allows no
   inline styles, the picture is as it is, and light. The style sheet only makes it follow the theme of its page.
"""

from __future__ import annotations

from pathlib import Path

from graphflow.errors import FileUnreadable
from graphflow.render.records import EventSource
from graphflow.render.timeline.critical import leaves
from graphflow.render.timeline.drawing import TimelineDrawing
from graphflow.render.timeline.reading import read_story
from graphflow.render.timeline.spans import Story
from graphflow.render.xml import check_written, seconds_text


class Timeline:
    """Who worked when in a run. Shows itself in a notebook; `save` writes it, `svg` is the text of the picture.

    Attributes:
        story: the spans behind it.
    """

    def __init__(self, source: EventSource | Story) -> None:
        self.story = source if isinstance(source, Story) else read_story(source)
        self._svg: str | None = None

    @property
    def svg(self) -> str:
        """The picture: SVG that needs nothing else."""
        if self._svg is None:
            self._svg = TimelineDrawing(self.story).svg()
        return self._svg

    @property
    def critical(self) -> list[tuple[str, float]]:
        """The critical path: what was worked on ("node", "node > callee", "node > model") and for how long, in order."""
        path = leaves(self.story.critical)
        return [(piece.span.words, piece.seconds) for piece in path]

    def save(self, path: str) -> str:
        """Writes the picture as .svg, and returns the path.

        Raises:
            DeclarationError: the ending names another kind of file.
            FileUnreadable: it cannot be written.
        """
        check_written(path, (".svg",), "a timeline is an SVG; a browser prints it")
        try:
            Path(path).write_text(self.svg, encoding="utf-8")
        except OSError as error:
            raise FileUnreadable(f"{path} cannot be written: {error.strerror}") from None
        return path

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": repr(self)}

    def __repr__(self) -> str:
        count = len(self.story.activations)
        took = seconds_text(self.story.seconds)
        return f"<timeline of {self.story.title}: {count} activations in {took}>"


def timeline(source: EventSource) -> Timeline:
    """The timeline of a run, of its events, or of a file that `--events` has written."""
    return Timeline(source)
