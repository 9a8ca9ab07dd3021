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
_SIZE = re.compile(r'\b(width|height|viewBox)="([^"]*)"')
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
    drawn = rendered(source, "svg").decode()
    if prefix is None:
        # Made of the picture: other pictures on the page have other ids, in whatever order they are drawn.
        digest = blake2s(source.encode(), digest_size=4)
        prefix = f"gf{digest.hexdigest()}"
        if not once:  # the same picture may stand in a page twice
            prefix += f"-{next(_numbers)}"
    return dressed(drawn, picture, theme, prefix)


def dressed(drawn: str, picture: Picture, theme: Theme, prefix: str) -> str:
    """What graphviz has drawn, with our names, titles and styles."""
    body = drawn[drawn.index("<svg") :]
    # The face is said once, at the head, and the spacers under names were only there to be measured.
    for needless in (_COMMENT, _FACE, _SPACER):
        body = needless.sub("", body)
    # Graphviz itself places each text by the font that it has found, and needs no help.
    if PURE_SIGN in drawn[:600]:
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
    for name, value in _SIZE.findall(opening):
        sizes += f' {name}="{value}"'
    heading = picture.headline or picture.name
    title = _text(heading)
    description = _text(_description(picture))
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
        if not shape.is_end:
            members = _members(shape)
            kinds[shape.kind] += len(members)
    counts = [f"{count} of kind {kind}" for kind, count in kinds.items()]
    name = clip(picture.name, 200)
    nodes = ", ".join(counts)
    edges = len(picture.lines)
    about = clip(picture.about, 400)
    return f"{name}: {nodes}; {edges} edges. {about}".strip()


def _in_place(found: re.Match[str]) -> str:
    """A text held where it was laid out, whatever face the reader has: by its middle, or in an area's title by its width."""
    x, before, size, after, text = found.groups()
    letters = unescape(text)
    width = width_of(letters, float(size))
    rest = f'{before} font-size="{size}"{after}>{text}<'
    if size == AREA_SIZE:
        return f'textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs" x="{x}"{rest}'
    if text.startswith(ASIDE):  # beside a title or a line
        return found[0]
    middle = float(x) + width / 2
    return f'text-anchor="middle" x="{middle:.2f}"{rest}'


class _GroupNames:
    """Finds what each group of the drawing is."""

    def __init__(self, picture: Picture, prefix: str) -> None:
        self.prefix = prefix
        self.lines = picture.lines
        self.shapes = {shape.key: shape for shape in picture.every_shape()}
        self.areas = {area.key: area for area in picture.every_area()}
        self.level_prefixes: dict[Level, str] = {}
        """What the ids of lines begin with that belong to an open graph, by its way."""
        for area in picture.every_area():
            if area.opens_level:
                self.level_prefixes[area.path] = f"{area.key}-"

    def group(self, found: re.Match[str]) -> str:
        """The opening of one group, as we want it: graphviz has taken our ids `n-1`, `a-1`, `e-1` over."""
        id, kind, rest = found.groups()
        id = unescape(id)  # Debian's dot writes - as &#45;
        letter, _, number = id.partition("-")
        if letter == "n":
            shape = self.shapes[f"n{number}"]
            attributes = _shape_attributes(shape)
            title = _title(shape)
        elif letter == "a":
            area = self.areas[f"a{number}"]
            attributes = _area_attributes(area)
            title = _title(area)
        elif letter == "e" and number:
            line = self.lines[int(number)]
            id, attributes = self._line(line)
            title = _title(line)
        else:
            attributes = ""
            title = ""
        kind = escape(unescape(kind))
        id = escape(f"{self.prefix}-{id}")
        return f'<g id="{id}" class="{kind}"{attributes}{rest}>{title}'

    def _line(self, line: Line) -> tuple[str, str]:
        """The id of a line, and its attributes."""
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
        prefix = self.level_prefixes.get(line.level, "")
        if not line.indexes:
            source_number = line.source.key[1:]
            target_number = line.target.key[1:]
            id = f"{prefix}c-{source_number}-{target_number}"
        else:
            indexes = [str(index) for index in line.indexes]
            first = indexes[0]
            id = f"{prefix}e-{first}"
            # Several edges may be drawn as one line: it is found by the first of them, and names them all.
            attributes["data-edge"] = first
            if len(indexes) > 1:
                attributes["data-edges"] = " ".join(indexes)
            if line.style == "hand":
                attributes["data-call"] = call
        if line.back:
            attributes["data-turned"] = "1"  # laid out from its head to its tail
        return id, _attributes(attributes)


def _area_attributes(area: Area) -> str:
    way = " > ".join(area.path)
    attributes = {"data-node": way, "data-id": area.id}
    return _attributes(attributes)


def _shape_attributes(shape: Shape) -> str:
    members = _members(shape)
    way = " > ".join(shape.level)
    attributes = {"data-node": members[0], "data-path": way, "data-id": shape.id}
    # A folded row is found by the first of its nodes, and names them all.
    if len(members) > 1:
        attributes["data-nodes"] = "\n".join(members)
    return _attributes(attributes)


def _members(shape: Shape) -> tuple[str, ...]:
    return shape.members or (shape.name,)


def _title(thing: Shape | Area | Line) -> str:
    """Its tooltip."""
    parts = [part for part in (thing.about, thing.badge) if part]
    if not parts:
        return ""
    words = _text("\n".join(parts))
    return f"<title>{words}</title>"


def _text(text: str) -> str:
    return escape(printable(text))


def _attributes(values: dict[str, str]) -> str:
    written = ""
    for name, value in values.items():
        text = _text(value).replace("\n", "&#10;")
        written += f' {name}="{text}"'
    return written
