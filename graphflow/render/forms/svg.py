"""A picture as SVG: what graphviz has drawn, with names that a page can find and colours that follow its theme.

Rules:
1. No script, no event attribute, no reference to anything outside; the text is one `<svg>` element that a page can hold.
2. Every id begins with a prefix of this one rendering: two pictures on a page share none.
3. A shape carries `data-node` (its name) and `data-path` (the graphs around it, " > " between); a line `data-edge`,
   `data-source`, `data-target`, `data-path`; an open area `data-node` with its whole path. All carry `data-id`, by which
   what happens in a walk finds them: two nodes of one name on two levels have two.
4. Colours and the face are attributes of their elements, and no element has a style of its own: a page whose policy allows
   no inline styles shows the picture as it is. Only what follows the theme of its page (`theme="auto"`) has a style sheet,
   which gives each colour a name (`--gf-...`); where that is refused, the picture is light.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from hashlib import blake2s
from html import escape, unescape

from graphflow.render.forms.dot import write_dot
from graphflow.render.forms.theme import style_sheet
from graphflow.render.labels import printable
from graphflow.render.layout.program import rendered
from graphflow.render.layout.widths import width_of
from graphflow.render.palette import FACES, Theme
from graphflow.render.picture import Area, Level, Line, Picture, Shape
from graphflow.render.xml import clip

AREA_SIZE = "10.00"
"""The size of an area's title in an SVG."""
ASIDE = "\u00a0"
"""How what stands beside a title or a line begins."""
PURE_SIGN = "(graphviz-pure)"
"""Stands near the beginning of an SVG that graphviz-pure has drawn: it measures all texts as Helvetica."""

_GROUP = re.compile(r'<g id="([^"]+)" class="([^"]*)"([^>]*)>\s*<title>[^<]*</title>')
_HEAD = re.compile(r"<svg\b([^>]*)>", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_FACE = re.compile(r' font-family="[^"]*"')
_TEXT = re.compile(
    r'text-anchor="start" x="([-\d.]+)"([^>]*?) font-size="([\d.]+)"([^>]*)>([^<]*)<'
)
_SPACER = re.compile(r'<text[^>]* font-size="2\.00"[^>]*>[^<]*</text>\n')
_SIZE = re.compile(r'\b(?:width|height|viewBox)="[^"]*"')
_numbers = itertools.count(1)


def write_svg(
    picture: Picture, theme: Theme = "auto", *, prefix: str | None = None, once: bool = False
) -> str:
    """The picture as one `<svg>` element.

    Args:
        picture: what is drawn.
        theme: light, dark, or what the page around it is ("auto").
        prefix: what every id in it begins with; default: one of its own.
        once: whether the default prefix is made of the picture alone, so that the same picture gives the same text.
    """
    source = write_dot(picture, theme)
    drawn = rendered(source, "svg")
    if prefix is None:
        # Made of the picture: other pictures on the page have other ids, in whatever order they are drawn.
        raw = source.encode()
        digest = blake2s(raw, digest_size=4)
        fingerprint = digest.hexdigest()
        prefix = f"gf{fingerprint}"
        # The same picture may stand in a page twice.
        if not once:
            number = next(_numbers)
            prefix += f"-{number}"
    text = drawn.decode()
    return dressed(text, picture, theme, prefix)


def dressed(drawn: str, picture: Picture, theme: Theme, prefix: str) -> str:
    """What graphviz has drawn, with our names, titles and styles."""
    begin = drawn.index("<svg")
    body = drawn[begin:]
    # The face is said once, at the head, and the spacers under names were only there to be measured.
    for needless in (_COMMENT, _FACE, _SPACER):
        body = needless.sub("", body)
    # Graphviz itself places each text by the font that it has found, and needs no help.
    opening = drawn[:600]
    if PURE_SIGN in opening:
        body = _TEXT.sub(_in_place, body)
    names = _GroupNames(picture, prefix)
    body = _GROUP.sub(names.group, body)
    head = _head(body, picture, prefix)
    if theme == "auto":
        rules = style_sheet(body, prefix)
        head += f"<style>\n{rules}</style>"
    # By a function: a name with a backslash in it would be read as a reference to a group.
    return _HEAD.sub(lambda _: head, body, count=1)


def _head(body: str, picture: Picture, prefix: str) -> str:
    """The opening of the element, with what is read aloud of it."""
    sizes = ""
    opening = body[:400]
    for found in _SIZE.finditer(opening):
        size = found[0]
        sizes += f" {size}"
    heading = picture.headline or picture.name
    title = _text(heading)
    summary = _description(picture)
    description = _text(summary)
    title_id = f"{prefix}-t"
    description_id = f"{prefix}-d"
    return (
        f'<svg id="{prefix}" class="graphflow" role="img" '
        f'aria-labelledby="{title_id} {description_id}"{sizes} '
        f'font-family="{FACES}" xmlns="http://www.w3.org/2000/svg">\n'
        f'<title id="{title_id}">{title}</title>\n'
        f'<desc id="{description_id}">{description}</desc>\n'
    )


def _description(picture: Picture) -> str:
    """The picture in a sentence, for screen readers."""
    kinds: Counter[str] = Counter()
    for shape in picture.every_shape():
        if shape.is_end:
            continue
        members = _members(shape)
        kinds[shape.kind] += len(members)
    counts: list[str] = []
    for kind, count in kinds.items():
        counts.append(f"{count} of kind {kind}")
    name = clip(picture.name, 200)
    nodes = ", ".join(counts)
    edges = len(picture.lines)
    about = clip(picture.about, 400)
    description = f"{name}: {nodes}; {edges} edges. {about}"
    return description.strip()


def _in_place(found: re.Match[str]) -> str:
    """A text held where it was laid out, whatever face the reader has: by its middle, or in an area's title by its width."""
    x, before, size, after, text = found.groups()
    letters = unescape(text)
    points = float(size)
    width = width_of(letters, points)
    rest = f'{before} font-size="{size}"{after}>{text}<'
    if size == AREA_SIZE:
        return f'textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs" x="{x}"{rest}'
    # What stands beside a title or a line begins where that ends.
    if text.startswith(ASIDE):
        return found[0]
    left = float(x)
    middle = left + width / 2
    return f'text-anchor="middle" x="{middle:.2f}"{rest}'


class _GroupNames:
    """Finds what each group of the drawing is."""

    def __init__(self, picture: Picture, prefix: str) -> None:
        self.prefix = prefix
        self.lines = picture.lines
        self.shapes: dict[str, Shape] = {}
        for shape in picture.every_shape():
            self.shapes[shape.key] = shape
        self.areas: dict[str, Area] = {}
        self.level_prefixes: dict[Level, str] = {}
        """What the ids of lines begin with that belong to an open graph, by its way."""
        for area in picture.every_area():
            self.areas[area.key] = area
            if area.opens_level:
                self.level_prefixes[area.path] = f"{area.key}-"

    def group(self, found: re.Match[str]) -> str:
        """The opening of one group, as we want it: graphviz has taken our ids `n-1`, `a-1`, `e-1` over."""
        raw_id, raw_kind, rest = found.groups()
        # Debian's dot writes - as &#45;
        id = unescape(raw_id)
        letter, _, number = id.partition("-")
        key = letter + number
        if letter == "n":
            shape = self.shapes[key]
            attributes = _shape_attributes(shape)
            title = _title(shape)
        elif letter == "a":
            area = self.areas[key]
            attributes = _area_attributes(area)
            title = _title(area)
        elif letter == "e" and number:
            place = int(number)
            line = self.lines[place]
            id = self._line_id(line)
            attributes = _line_attributes(line)
            title = _title(line)
        else:
            attributes = ""
            title = ""
        kind = unescape(raw_kind)
        kind = escape(kind)
        id = escape(f"{self.prefix}-{id}")
        return f'<g id="{id}" class="{kind}"{attributes}{rest}>{title}'

    def _line_id(self, line: Line) -> str:
        """The id of a line: by its first edge, or by the numbers of the shapes that a call connects."""
        prefix = self.level_prefixes.get(line.level, "")
        if line.indexes:
            first = line.indexes[0]
            return f"{prefix}e-{first}"
        source_number = line.source.key[1:]
        target_number = line.target.key[1:]
        return f"{prefix}c-{source_number}-{target_number}"


def _line_attributes(line: Line) -> str:
    source, target = line.names
    call = f"c-{source}-{target}"
    way = " > ".join(line.level)
    attributes = {
        "data-edge": call,
        "data-source": source,
        "data-target": target,
        "data-path": way,
        "data-id": line.id,
    }
    # Several edges may be drawn as one line: it is found by the first of them, and names them all.
    if line.indexes:
        indexes = [str(index) for index in line.indexes]
        attributes["data-edge"] = indexes[0]
        if len(indexes) > 1:
            attributes["data-edges"] = " ".join(indexes)
        if line.style == "hand":
            attributes["data-call"] = call
    # A line that leads back is laid out from its head to its tail.
    if line.back:
        attributes["data-turned"] = "1"
    return _attributes(attributes)


def _area_attributes(area: Area) -> str:
    way = " > ".join(area.path)
    attributes = {"data-node": way, "data-id": area.id}
    return _attributes(attributes)


def _shape_attributes(shape: Shape) -> str:
    members = _members(shape)
    way = " > ".join(shape.level)
    first = members[0]
    attributes = {"data-node": first, "data-path": way, "data-id": shape.id}
    # A folded row is found by the first of its nodes, and names them all.
    if len(members) > 1:
        attributes["data-nodes"] = "\n".join(members)
    return _attributes(attributes)


def _members(shape: Shape) -> tuple[str, ...]:
    """The names of the nodes that a shape stands for: its own, where nothing is folded into it."""
    if shape.members:
        return shape.members
    return (shape.name,)


def _title(thing: Shape | Area | Line) -> str:
    """Its tooltip."""
    parts = filter(None, (thing.about, thing.badge))
    words = "\n".join(parts)
    if not words:
        return ""
    title = _text(words)
    return f"<title>{title}</title>"


def _text(text: str) -> str:
    shown = printable(text)
    return escape(shown)


def _attributes(values: dict[str, str]) -> str:
    written = ""
    for name, value in values.items():
        text = _text(value)
        # In an attribute, XML reads a line end as a space.
        text = text.replace("\n", "&#10;")
        written += f' {name}="{text}"'
    return written
