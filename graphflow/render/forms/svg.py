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
from hashlib import blake2s
from html import escape, unescape

from graphflow.render.forms.dot import write_dot
from graphflow.render.labels import clean, cut
from graphflow.render.layout.program import rendered
from graphflow.render.layout.widths import width_of
from graphflow.render.palette import DARK, FACES, LIGHT, Theme
from graphflow.render.picture import Area, Line, Picture, Shape

_GROUP = re.compile(r'<g id="([^"]+)" class="([^"]*)"([^>]*)>\s*<title>[^<]*</title>')
_HEAD = re.compile(r"<svg\b([^>]*)>", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_FACE = re.compile(r' font-family="[^"]*"')
_COLOUR = re.compile(r'(fill|stroke)="(#[0-9a-f]{6})"')
_TEXT = re.compile(r'text-anchor="start" x="([-\d.]+)"([^>]*?) font-size="([\d.]+)"([^>]*)>([^<]*)<')
_SPACER = re.compile(r'<text[^>]* font-size="2\.00"[^>]*>[^<]*</text>\n')
_counted = itertools.count(1)


def write_svg(picture: Picture, theme: Theme = "auto", *, prefix: str | None = None, once: bool = False) -> str:
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
        prefix = f"gf{blake2s(source.encode(), digest_size=4).hexdigest()}"
        prefix += "" if once else f"-{next(_counted)}"
    return dressed(drawn, picture, theme, prefix)


def dressed(drawn: str, picture: Picture, theme: Theme, prefix: str) -> str:
    """What graphviz has drawn, with our names, titles and styles."""
    measured = "(graphviz-pure)" in drawn[:600]
    body = _SPACER.sub("", _FACE.sub("", _COMMENT.sub("", drawn[drawn.index("<svg") :])))
    if measured:
        body = _TEXT.sub(_placed, body)
    names = _Names(picture, prefix)
    body = _GROUP.sub(names.group, body)
    sizes = "".join(
        f' {name}="{value}"' for name, value in re.findall(r'\b(width|height|viewBox)="([^"]*)"', body[:400])
    )
    head = (
        f'<svg id="{prefix}" class="graphflow" role="img" aria-labelledby="{prefix}-t {prefix}-d"{sizes}'
        f' font-family="{FACES}" xmlns="http://www.w3.org/2000/svg">\n'
        f'<title id="{prefix}-t">{_told(picture.headline or picture.name)}</title>\n'
        f'<desc id="{prefix}-d">{_told(_description(picture))}</desc>\n'
    )
    if theme == "auto":
        head += f"<style>\n{_styles(body, prefix)}</style>"
    return _HEAD.sub(lambda _: head, body, count=1)


class _Names:
    """Finds what each group of the drawing is."""

    def __init__(self, picture: Picture, prefix: str) -> None:
        self.prefix = prefix
        self.shapes = {shape.key: shape for shape in picture.every_shape()}
        self.areas = {area.key: area for area in picture.every_area()}
        self.lines = picture.lines
        self.numbers = {area.path: f"{area.key}-" for area in picture.every_area() if area.opens_level}

    def group(self, found: re.Match[str]) -> str:
        """The opening of one group, as we want it."""
        id, kind, rest = unescape(found[1]), escape(unescape(found[2])), found[3]  # Debian's dot writes - as &#45;
        letter, _, number = id.partition("-")
        prefix = self.prefix
        if letter == "n":
            shape = self.shapes[f"n{number}"]
            return f'<g id="{prefix}-n-{number}" class="{kind}"{_of_shape(shape)}{rest}>{_title(shape)}'
        if letter == "a":
            area = self.areas[f"a{number}"]
            path = _attribute(" > ".join(area.path))
            return f'<g id="{prefix}-a-{number}" class="{kind}" data-node="{path}" data-id="{_attribute(area.id)}"{rest}>{_title(area)}'
        if letter == "e" and number:
            return self._line(self.lines[int(number)], kind, rest)
        return f'<g id="{prefix}-{escape(id)}" class="{kind}"{rest}>'

    def _line(self, line: Line, kind: str, rest: str) -> str:
        source, target = (_attribute(name) for name in line.names)
        inner = self.numbers.get(line.level, "")
        called = f"c-{source}-{target}"
        if line.indexes:
            id, edge = f"{inner}e-{line.indexes[0]}", str(line.indexes[0])
            more = f' data-edges="{" ".join(map(str, line.indexes))}"' if len(line.indexes) > 1 else ""
            more += f' data-call="{called}"' if line.style == "hand" else ""
        else:
            id, edge, more = f"{inner}c-{line.source.key[1:]}-{line.target.key[1:]}", called, ""
        more += ' data-turned="1"' if line.back else ""  # laid out from its head to its tail
        return (
            f'<g id="{self.prefix}-{id}" class="{kind}" data-edge="{edge}" data-source="{source}" data-target="{target}"'
            f' data-path="{_attribute(" > ".join(line.level))}" data-id="{_attribute(line.id)}"{more}{rest}>{_title(line)}'
        )


def _placed(found: re.Match[str]) -> str:
    """A text held where it was laid out, whatever face the reader has: by its middle, or in an area's title by its width."""
    x, before, size, after, text = found.groups()
    wide = width_of(unescape(text), float(size))
    if size == AREA_SIZE:
        return (
            f'textLength="{wide:.1f}" lengthAdjust="spacingAndGlyphs" x="{x}"{before} font-size="{size}"{after}>{text}<'
        )
    if text.startswith(ASIDE):  # beside a title or a line
        return found[0]
    return f'text-anchor="middle" x="{float(x) + wide / 2:.2f}"{before} font-size="{size}"{after}>{text}<'


AREA_SIZE = "10.00"
"""The size of an area's title in an SVG, and"""
ASIDE = "\u00a0"
"""how what stands beside a title or a line begins."""


def _of_shape(shape: Shape) -> str:
    members = shape.members or (shape.name,)
    told = f' data-node="{_attribute(members[0])}" data-path="{_attribute(" > ".join(shape.level))}"'
    told += f' data-id="{_attribute(shape.id)}"'
    if len(members) > 1:
        told += f' data-nodes="{_attribute(chr(10).join(members))}"'
    return told


def _title(thing: Shape | Area | Line) -> str:
    """What a pointer on it is told."""
    about = "\n".join(part for part in (thing.about, thing.badge) if part)
    return f"<title>{_told(about)}</title>" if about else ""


def _description(picture: Picture) -> str:
    """The picture in a sentence, for those who hear it."""
    kinds: dict[str, int] = {}
    for shape in picture.every_shape():
        if shape.kind not in ("start", "end"):
            kinds[shape.kind] = kinds.get(shape.kind, 0) + len(shape.members or (shape.name,))
    counted = ", ".join(f"{count} of kind {kind}" for kind, count in kinds.items())
    return f"{cut(picture.name, 200)}: {counted}; {len(picture.lines)} edges. {cut(picture.about, 400)}".strip()


def _styles(body: str, prefix: str) -> str:
    """The sheet of a picture that is as light or dark as its page."""
    look = LIGHT
    used = set(_COLOUR.findall(body))
    names = [name for name, colour in look.items() if ("fill", colour) in used or ("stroke", colour) in used]
    me = f"#{prefix}"

    def variables(of: dict[str, str]) -> str:
        return "".join(f"--gf-{name}:{of[name]};" for name in names)

    dark, light = variables(DARK), variables(LIGHT)
    rules = [
        f"{me}{{max-width:100%;height:auto;{light}}}",
        f"@media (prefers-color-scheme:dark){{{me}{{{dark}}}}}",
        f'[data-jp-theme-light="true"] {me},.vscode-light {me}{{{light}}}',
        f'[data-jp-theme-light="false"] {me},.vscode-dark {me}{{{dark}}}',
    ]
    for name in names:
        for what in ("fill", "stroke"):
            if (what, look[name]) in used:
                rules.append(f':where({me}) [{what}="{look[name]}"]{{{what}:var(--gf-{name})}}')
    return "\n".join(rules) + "\n"


def _told(text: str) -> str:
    return escape(clean(text))


def _attribute(text: str) -> str:
    return escape(clean(text)).replace("\n", "&#10;")
