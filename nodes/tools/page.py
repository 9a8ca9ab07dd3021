"""Turns web pages into text that a model can read: headings, links, lists, code and tables, in Markdown.

The HTML is read by a scanner of its own, as `html.parser` takes quadratic time for `<a <a <a` and its like (a minute for
90 kB). This one never looks at a character twice and keeps no tree, so that no page, however broken or deep, takes long.
"""

from __future__ import annotations

import html
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple
from urllib.parse import urljoin, urlsplit

from graphflow import Message, Tool, factory, tool
from graphflow.concurrency import in_thread
from graphflow.security import Untrusted

from ..tools.fetch import Fetched, Url, Web, reached

MAX_CHARACTERS = 2_000_000
"""Characters of HTML that are read."""
MAX_INDENT = 20
"""Lists and quotes within each other that are indented; deeper ones stand as far in as these."""
MAX_ATTRIBUTES = 50
"""Attributes of one tag that are read."""
MAX_DROPPED = 10_000
"""Tags of one name within each other that are counted while they are dropped."""
MAX_LINK = 2_000
"""Characters of an address that is still written as a link."""

TAG = re.compile(r"[a-zA-Z][^\s/>]*")
ATTRIBUTE = re.compile(r"""[\s/]*([^\s/>=][^\s/>=]*)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>"']*))?""")
LONG_NUMBER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{7,});?")
"""A reference to a character beyond the last one: no reader knows it, and Python refuses to read thousands of digits."""
RAW = {
    name: re.compile(f"</{name}(?=[\\s/>])", re.IGNORECASE)
    for name in ("script", "style", "textarea", "title")
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DROPPED = _words(
    "script style noscript template svg math nav iframe object canvas head select textarea button dialog audio video"
)
VOID = _words("br hr img input link meta area base col embed source track wbr")
BLOCKS = _words(
    "address article aside body dd details div dl dt figcaption figure footer form header html main p section summary "
    "table fieldset legend caption thead tbody"
)
HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
CLOSED_BLOCKS = BLOCKS | HEADINGS.keys() | _words("ul ol li blockquote pre")
OPENED_BLOCKS = CLOSED_BLOCKS | _words("tr hr")
SMALL_BLOCKS = _words("li tr thead tbody")
"""Blocks that follow each other without an empty line."""
CODE = _words("code kbd samp")
MARKS = {"strong": "**", "b": "**", "em": "*", "i": "*"}
SPACE = re.compile(r"[ \t\n\r\f\v\u00a0]+")


class Page(Message):
    """A web page as text. `cut` tells that there was more than was read."""

    url: str
    status: int
    title: str
    text: str
    cut: bool = False


@factory
def page(hosts: Sequence[str] | None = None, **limits: Any) -> Tool[Any, Any]:
    """The tool read_page: the text of a web page. Options as for `nodes.tools.fetch.fetch`."""
    web = Web(hosts, **limits)

    @tool(effects=["network"], hosts=reached(hosts), timeout_s=web.seconds + 5)
    async def read_page(url: Url) -> Untrusted[Page]:
        """Read a web page as text, with its headings, links, lists and tables in Markdown.

        Args:
            url: the address, beginning with https:// or http://.
        """
        answer = await web.get(url)
        # A large page takes a second or two, and the loop has others to serve.
        return await in_thread(_read, answer)

    return read_page


def _read(answer: Fetched) -> Page:
    text = answer.text
    if "html" in answer.type or (not answer.type and "<" in text):
        text = page_text(answer.text, base=answer.url)
    return Page(
        url=answer.url,
        status=answer.status,
        title=page_title(answer.text),
        text=text,
        cut=answer.cut,
    )


def page_title(source: str) -> str:
    """The title of a page, or an empty text."""
    for piece in scan(source[:MAX_CHARACTERS]):
        if piece.kind == "raw" and piece.name == "title":
            title = SPACE.sub(" ", unescaped(piece.text)).strip()
            return title[:500]
    return ""


def unescaped(text: str) -> str:
    """A text with its references, such as `&amp;`, as the characters that they stand for."""
    return html.unescape(LONG_NUMBER.sub("\ufffd", text))


def page_text(source: str, *, base: str = "") -> str:
    """HTML as Markdown: scripts, styles, menus and what is hidden left out. Never fails, however broken it is.

    Args:
        source: the HTML.
        base: the page's address, for links that are relative to it.
    """
    writer = _Writer(base)
    for piece in scan(source[:MAX_CHARACTERS]):
        match piece.kind:
            case "text":
                writer.write(unescaped(piece.text))
            case "start":
                writer.start(piece.name, piece.attributes)
            case "end":
                writer.end(piece.name)
    return writer.finish()


# -- the scanner -----------------------------------------------------------------------------------
class Piece(NamedTuple):
    """A piece of HTML: a text, a start or end tag, or the raw text of a script or title."""

    kind: Literal["text", "start", "end", "raw"]
    name: str = ""
    text: str = ""
    attributes: Mapping[str, str] = {}


def scan(source: str) -> Iterator[Piece]:
    """The pieces of HTML in order.

    As the HTML standard has it, a tag, comment or script that never ends takes the rest of the page with it.
    """
    at = 0
    while 0 <= at < len(source):
        opens = source.find("<", at)
        if opens < 0:
            yield Piece("text", text=source[at:])
            return
        if opens > at:
            yield Piece("text", text=source[at:opens])
        at = yield from _markup(source, opens)


def _markup(source: str, opens: int) -> Generator[Piece, None, int]:
    """What begins at a `<`. Returns the place behind it, or -1 if it never ends."""
    follows = source[opens + 1 : opens + 2]
    is_end = follows == "/"
    name = TAG.match(source, opens + 1 + is_end)
    if name is not None and not is_end:
        return (yield from _start_tag(source, name))
    if name is None and follows not in ("!", "?", "/"):  # as in `a < b`
        yield Piece("text", text="<")
        return opens + 1
    ending = "-->" if source.startswith("<!--", opens) else ">"
    end = source.find(ending, opens + 1)
    if end < 0:
        return -1
    if name is not None:
        yield Piece("end", name[0].lower())
    return end + len(ending)


def _start_tag(source: str, name: re.Match[str]) -> Generator[Piece, None, int]:
    attributes, at = _attributes(source, name.end())
    if at < 0:
        return -1
    tag = name[0].lower()
    yield Piece("start", tag, attributes=attributes)
    if tag not in RAW:
        return at
    # What stands in these is text, whatever it looks like: <script>if (a <b) ...
    end = RAW[tag].search(source, at)
    if end is None:
        yield Piece("raw", tag, source[at:])
        return -1
    yield Piece("raw", tag, source[at : end.start()])
    return end.start()


def _attributes(source: str, at: int) -> tuple[dict[str, str], int]:
    """A tag's attributes, and the place behind its `>`; -1 if it never ends."""
    attributes: dict[str, str] = {}
    while True:
        found = ATTRIBUTE.match(source, at)
        if found is not None and found.end() > at:
            if len(attributes) < MAX_ATTRIBUTES:
                attributes.setdefault(found[1].lower(), _value(found[2] or ""))
            at = _behind_quote(source, found.end())
            if at < 0:
                return attributes, -1
            continue
        while source[at : at + 1] and source[at] in " \t\n\r\f\v/='\"":
            at += 1
        if at >= len(source):
            return attributes, -1
        if source[at] == ">":
            return attributes, at + 1


def _value(text: str) -> str:
    is_quoted = text[:1] in ("'", '"')
    return unescaped(text[1:-1] if is_quoted else text)


def _behind_quote(source: str, at: int) -> int:
    """The place behind a quote that stands alone; -1 if it opens a value that never ends."""
    quote = source[at : at + 1]
    if quote not in ("'", '"'):
        return at
    return at + 1 if source.find(quote, at + 1) >= 0 else -1


# -- the writer ------------------------------------------------------------------------------------
class _Writer:
    """Markdown, written as the tags come.

    Attributes:
        lines: the lines that are done.
        line: the pieces of the line that is being written.
        prefix: what the next words of a block begin with: the bullet of an item, the mark of a heading.
        numbers: the lists that are open: the number of the last item, None for bullets.
        quotes, pre, code: how many of these are open.
        link: the links that are open: their address, and where in the line they began.
        cells: the cells of the row that is open, or None.
        is_in_cell: whether a cell is open.
        rows: the rows of the table so far.
        dropped: the tags of one name that are open, of which nothing is written.
    """

    def __init__(self, base: str) -> None:
        self.base = base
        self.lines: list[str] = []
        self.line: list[str] = []
        self.prefix = ""
        self.numbers: list[int | None] = []
        self.quotes = 0
        self.pre = 0
        self.code = 0
        self.link: list[tuple[str, int]] = []
        self.cells: list[str] | None = None
        self.is_in_cell = False
        self.rows = 0
        self.dropped: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """A start tag."""
        if self.dropped or name in DROPPED or _is_hidden(attributes):
            self._drop(name)
        elif name in OPENED_BLOCKS:
            self._open_block(name)
        elif name in ("td", "th"):
            self.close_cell()
            self.is_in_cell = self.cells is not None
        elif name == "br":
            self.break_line(blank=False)
        elif name == "img":
            if attributes.get("alt"):
                self.write(f"[image: {attributes['alt']}]")
        elif not self.pre:
            self._open_inline(name, attributes)

    def _drop(self, name: str) -> None:
        """Writes nothing until this tag ends. Only tags of its own name are counted: others may never be closed."""
        if name in VOID or len(self.dropped) >= MAX_DROPPED:
            return
        if not self.dropped or name == self.dropped[0]:
            self.dropped.append(name)

    def _open_inline(self, name: str, attributes: Mapping[str, str]) -> None:
        if name in MARKS:
            self.line.append(MARKS[name])
        elif name in CODE:
            self.code += 1
            self.line.append("`")
        elif name == "a" and attributes.get("href"):
            # A link in a link ends the outer one, as in browsers; each word is in one link at most.
            if self.link:
                self.close_link()
            self.link.append((attributes["href"], len(self.line)))

    def _open_block(self, name: str) -> None:
        is_in_row = self.cells is not None and name != "tr"
        if not is_in_row:
            self.break_line(blank=name not in SMALL_BLOCKS and not self.numbers)
        match name:
            case "ul":
                self.numbers.append(None)
            case "ol":
                self.numbers.append(0)
            case "blockquote":
                self.quotes += 1
            case "table":
                self.close_row()
                self.rows = 0
            case "tr":
                self.close_row()
                self.cells = []
            # A cell is one line, in which headings and items have no place.
            case _ if not is_in_row:
                self._begin(name)

    def _begin(self, name: str) -> None:
        if name in HEADINGS:
            self.prefix = HEADINGS[name]
        elif name == "li":
            self.prefix = self._bullet()
        elif name == "hr":
            self.lines.append("---")
        elif name == "pre":
            self.pre += 1
            if self.pre == 1:
                self.lines.append(self._margin() + "```")

    def end(self, name: str) -> None:
        """An end tag, perhaps of something that was never opened."""
        if self.dropped:
            if name == self.dropped[0]:
                self.dropped.pop()
        elif name in ("td", "th"):
            self.close_cell()
        elif name == "tr":
            self.close_row()
        elif name in CLOSED_BLOCKS:
            self._close_block(name)
        else:
            self._close_inline(name)

    def _close_inline(self, name: str) -> None:
        if name in MARKS and not self.pre:
            self.line.append(MARKS[name])
        elif name in CODE and self.code:
            self.code -= 1
            self.line.append("`")
        elif name == "a" and self.link:
            self.close_link()

    def _close_block(self, name: str) -> None:
        if name == "table":
            self.close_row()
        if self.cells is None:
            self.break_line(blank=name not in SMALL_BLOCKS and len(self.numbers) < 2)
            if name == "li" or name in HEADINGS:
                self.prefix = ""
        if name in ("ul", "ol") and self.numbers:
            self.numbers.pop()
        elif name == "blockquote" and self.quotes:
            self.quotes -= 1
        elif name == "pre" and self.pre:
            self._close_pre()

    def _close_pre(self) -> None:
        self.pre -= 1
        if not self.pre:
            self.lines += [self._margin() + "```", ""]

    def write(self, text: str) -> None:
        """Text, its spaces put together unless it is code."""
        if self.dropped:
            return
        if self.pre and self.cells is None:
            first, *others = text.replace("\r\n", "\n").split("\n")
            self.line.append(first)
            for line in others:
                self.break_line(blank=False)
                self.line.append(line)
            return
        self.line.append(SPACE.sub(" ", text))

    def close_link(self) -> None:
        """What was written since `<a href>` becomes a link; without words it is nothing."""
        target, since = self.link.pop()
        words = SPACE.sub(" ", "".join(self.line[since:])).strip()
        try:
            target = urlsplit(urljoin(self.base, target.strip())).geturl()
        except ValueError:
            return
        is_link = target.startswith(("http://", "https://", "mailto:")) and len(target) <= MAX_LINK
        if words and is_link:
            self.line[since:] = [f"[{words}]({target})"]

    def close_cell(self) -> None:
        """What was written since the last cell began becomes a cell."""
        if self.cells is None:
            return
        words = SPACE.sub(" ", "".join(self.line)).strip().replace("|", "\\|")
        self.link.clear()  # a link ends with its cell, closed or not
        self.line.clear()
        if words or self.is_in_cell:
            self.cells.append(words)
        self.is_in_cell = False

    def close_row(self) -> None:
        """The cells since `<tr>` become a line; below the first row of a table comes the rule that Markdown wants."""
        if self.cells is None:
            return
        self.close_cell()
        cells, self.cells = self.cells, None  # closed first: a line can be broken again from here
        if any(cells):
            self.lines.append(f"{self._margin()}| {' | '.join(cells)} |")
            self.rows += 1
            if self.rows == 1:
                self.lines.append(f"{self._margin()}|{' --- |' * len(cells)}")

    def break_line(self, *, blank: bool) -> None:
        """Ends the line being written; with `blank`, the next one has an empty one before it."""
        if self.cells is not None:  # a cell is one line
            self.line.append(" ")
            return
        while self.link:
            self.close_link()
        text = "".join(self.line)
        self.line.clear()
        if self.pre:
            self.lines.append(self._margin() + text)
            return
        text = SPACE.sub(" ", text).strip()
        if text:
            self.lines.append(self._margin(self.prefix) + self.prefix + text)
            self.prefix = ""
        if blank and self.lines and self.lines[-1]:
            self.lines.append("")

    def _bullet(self) -> str:
        last = self.numbers[-1] if self.numbers else None
        if last is None:
            return "- "
        self.numbers[-1] = last + 1
        return f"{last + 1}. "

    def _margin(self, prefix: str = "") -> str:
        indent = min(MAX_INDENT, len(self.numbers))
        if indent and prefix:  # a bullet stands a step before the text of its item
            indent -= 1
        return "> " * min(MAX_INDENT, self.quotes) + "  " * indent

    def finish(self) -> str:
        """All that was written."""
        self.close_row()
        self.break_line(blank=False)
        if self.pre:
            self.lines.append("```")
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self.lines)).strip()


def _is_hidden(attributes: Mapping[str, str]) -> bool:
    if "hidden" in attributes or attributes.get("aria-hidden", "").lower() == "true":
        return True
    style = attributes.get("style", "").replace(" ", "").lower()
    return "display:none" in style or "visibility:hidden" in style
