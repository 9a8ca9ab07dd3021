"""Turns web pages into text that a model can read: headings, links, lists, code and tables, in Markdown.

The HTML is read by a scanner of its own, as `html.parser` takes quadratic time for `<a <a <a` and its like (a minute for
90 kB). This one never looks at a character twice and keeps no tree, so that no page, however broken or deep, takes long.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

from graphflow import Message, Tool, tool
from graphflow.concurrency import in_thread
from nodes.tools.fetch import Fetched, Url, Web

LONGEST = 2_000_000
"""Characters of HTML that are read."""
DEEPEST = 20
"""Lists and quotes within each other that are indented; deeper ones stand as far in as these."""

TAG = re.compile(r"[a-zA-Z][^\s/>]*")
ATTRIBUTE = re.compile(r"""[\s/]*([^\s/>=][^\s/>=]*)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>"']*))?""")
LONG_NUMBER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{7,});?")
"""A reference to a character beyond the last one: no reader has it, and Python refuses to read thousands of digits."""
RAW = {name: re.compile(f"</{name}(?=[\\s/>])", re.IGNORECASE) for name in ("script", "style", "textarea", "title")}


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
MARKS = {"strong": "**", "b": "**", "em": "*", "i": "*"}
SPACE = re.compile(r"[ \t\n\r\f\v\u00a0]+")


class Page(Message):
    """A web page as text. `cut` tells that there was more than was read."""

    url: str
    status: int
    title: str
    text: str
    cut: bool = False


def page(hosts: Sequence[str] | None = None, **limits: Any) -> Tool[Any, Any]:
    """The tool read_page: the text of a web page. Options as for `nodes.tools.fetch.fetch`."""
    web = Web(hosts, **limits)

    @tool(effects=["network"], timeout_s=web.seconds + 5)
    async def read_page(url: Url) -> Page:
        """Read a web page as text, with its headings, links, lists and tables in Markdown.

        Args:
            url: the address, beginning with https:// or http://.
        """
        answer = await web.get(url)
        return await in_thread(_read, answer)  # a large page takes a second or two, and the loop has others to serve

    return read_page


def _read(answer: Fetched) -> Page:
    text = answer.text
    if "html" in answer.type or (not answer.type and "<" in text):
        text = page_text(answer.text, base=answer.url)
    return Page(url=answer.url, status=answer.status, title=page_title(answer.text), text=text, cut=answer.cut)


def page_title(source: str) -> str:
    """What a page calls itself, or an empty text."""
    for kind, name, _, text in scanned(source[:LONGEST]):
        if kind == "raw" and name == "title":
            return SPACE.sub(" ", unescaped(text)).strip()[:500]
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
    for kind, name, attributes, text in scanned(source[:LONGEST]):
        if kind == "text":
            writer.write(unescaped(text))
        elif kind == "start":
            writer.start(name, attributes)
        elif kind == "end":
            writer.end(name)
    return writer.finished()


def scanned(source: str) -> Iterator[tuple[str, str, dict[str, str], str]]:
    """The pieces of HTML in order: texts, start and end tags, and the raw text of scripts and titles.

    As the HTML standard has it, a tag, comment or script that never ends takes the rest of the page with it.
    """
    at = 0
    while at < len(source):
        opens = source.find("<", at)
        if opens != at:
            yield "text", "", {}, source[at : opens if opens >= 0 else len(source)]
        if opens < 0:
            return
        follows = source[opens + 1 : opens + 2]
        closing = follows == "/"
        name = TAG.match(source, opens + 1 + closing)
        if name is None and follows not in ("!", "?", "/"):
            yield "text", "", {}, "<"
            at = opens + 1
            continue
        if name is None or closing:
            ending = "-->" if source.startswith("<!--", opens) else ">"
            end = source.find(ending, opens + 1)
            if end < 0:
                return
            if name is not None:
                yield "end", name[0].lower(), {}, ""
            at = end + len(ending)
            continue
        attributes, at = _attributes(source, name.end())
        if at < 0:
            return
        tag = name[0].lower()
        yield "start", tag, attributes, ""
        if tag in RAW:
            found = RAW[tag].search(source, at)
            yield "raw", tag, {}, source[at : found.start() if found else len(source)]
            if found is None:
                return
            at = found.start()


def _attributes(source: str, at: int) -> tuple[dict[str, str], int]:
    """A tag's attributes, and the place behind its `>`; -1 if it never ends."""
    attributes: dict[str, str] = {}
    while True:
        found = ATTRIBUTE.match(source, at)
        if found is not None and found.end() > at:
            if len(attributes) < 50:
                value = found[2] or ""
                value = value[1:-1] if value[:1] in ("'", '"') else value
                attributes.setdefault(found[1].lower(), unescaped(value))
            at = found.end()
            if source[at : at + 1] in ("'", '"'):  # a quote that is not closed, or stands alone
                if source.find(source[at], at + 1) < 0:
                    return attributes, -1
                at += 1
            continue
        while source[at : at + 1] and source[at] in " \t\n\r\f\v/='\"":
            at += 1
        if at >= len(source):
            return attributes, -1
        if source[at] == ">":
            return attributes, at + 1


class _Writer:
    """Markdown as the tags come: a list of lines done, the line being written, and what is open around it."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.lines: list[str] = []
        self.line: list[str] = []
        self.around: list[str] = []
        self.numbers: list[int | None] = []
        self.quotes = 0
        self.dropping: list[str] = []
        self.pre = 0
        self.code = 0
        self.link: list[tuple[str, int]] = []
        self.cells: list[str] | None = None
        self.in_cell = False
        self.rows = 0
        self.prefix = ""
        """What the next words of a block begin with: the bullet of an item, the mark of a heading."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A start tag."""
        if self.dropping or name in DROPPED or _hidden(attributes):
            if name not in VOID and len(self.dropping) < 10_000 and (not self.dropping or name == self.dropping[0]):
                self.dropping.append(name)
            return
        if name in BLOCKS or name in HEADINGS or name in ("ul", "ol", "li", "blockquote", "pre", "tr", "hr"):
            self._open_block(name, attributes)
        elif name == "br":
            self.break_line(blank=False)
        elif name in ("td", "th"):
            self.close_cell()
            self.in_cell = self.cells is not None
        elif name in MARKS and not self.pre:
            self.line.append(MARKS[name])
        elif name in ("code", "kbd", "samp") and not self.pre:
            self.code += 1
            self.line.append("`")
        elif name == "a" and attributes.get("href") and not self.pre:
            if self.link:  # a link in a link ends the outer one, as in browsers; each word is in one link at most
                self.close_link()
            self.link.append((attributes["href"], len(self.line)))
        elif name == "img" and attributes.get("alt"):
            self.write(f"[image: {attributes['alt']}]")

    def _open_block(self, name: str, attributes: dict[str, str]) -> None:
        in_row = self.cells is not None and name != "tr"
        if not in_row:
            self.break_line(blank=name not in ("li", "tr", "thead", "tbody") and not self.numbers)
        if name in HEADINGS and not in_row:
            self.prefix = HEADINGS[name]
        elif name in ("ul", "ol"):
            self.numbers.append(0 if name == "ol" else None)
        elif name == "li" and not in_row:
            self.prefix = self._bullet()
        elif name == "blockquote":
            self.quotes += 1
        elif name == "pre" and not in_row:
            self.pre += 1
            if self.pre == 1:
                self.lines.append(self._margin() + "```")
        elif name == "hr" and not in_row:
            self.lines.append("---")
        elif name == "table":
            self.close_row()
            self.rows = 0
        elif name == "tr":
            self.close_row()
            self.cells = []

    def end(self, name: str) -> None:
        """An end tag, perhaps of something that was never opened."""
        if self.dropping:
            if name == self.dropping[0]:
                self.dropping.pop()
            return
        if name in ("td", "th"):
            self.close_cell()
        elif name == "tr":
            self.close_row()
        elif name in MARKS and not self.pre:
            self.line.append(MARKS[name])
        elif name in ("code", "kbd", "samp") and self.code:
            self.code -= 1
            self.line.append("`")
        elif name == "a" and self.link:
            self.close_link()
        elif name in BLOCKS or name in HEADINGS or name in ("ul", "ol", "li", "blockquote", "pre"):
            self._close_block(name)

    def _close_block(self, name: str) -> None:
        if name == "table":
            self.close_row()
        if self.cells is None:
            self.break_line(blank=name not in ("li", "thead", "tbody") and len(self.numbers) < 2)
            if name == "li" or name in HEADINGS:
                self.prefix = ""
        if name in ("ul", "ol") and self.numbers:
            self.numbers.pop()
        elif name == "blockquote" and self.quotes:
            self.quotes -= 1
        elif name == "pre" and self.pre:
            self.pre -= 1
            if not self.pre:
                self.lines += [self._margin() + "```", ""]

    def write(self, text: str) -> None:
        """Text, its spaces put together unless it is code."""
        if self.dropping:
            return
        if self.pre and self.cells is None:
            first, *more = text.replace("\r\n", "\n").split("\n")
            self.line.append(first)
            for each in more:
                self.break_line(blank=False)
                self.line.append(each)
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
        if words and target.startswith(("http://", "https://", "mailto:")) and len(target) <= 2_000:
            self.line[since:] = [f"[{words}]({target})"]

    def close_cell(self) -> None:
        """What was written since the last cell began becomes a cell."""
        if self.cells is None:
            return
        words = SPACE.sub(" ", "".join(self.line)).strip().replace("|", "\\|")
        self.link.clear()
        self.line.clear()
        if words or self.in_cell:
            self.cells.append(words)
        self.in_cell = False

    def close_row(self) -> None:
        """The cells since `<tr>` become a line; below the first row of a table comes the rule that Markdown wants."""
        if self.cells is None:
            return
        self.close_cell()
        cells, self.cells = self.cells, None
        if any(cells):
            self.lines.append(f"{self._margin()}| {' | '.join(cells)} |")
            self.rows += 1
            if self.rows == 1:
                self.lines.append(f"{self._margin()}|{' --- |' * len(cells)}")

    def break_line(self, *, blank: bool) -> None:
        """Ends the line being written; with `blank`, the next one has an empty one before it."""
        if self.cells is not None:
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
        if self.numbers and self.numbers[-1] is not None:
            self.numbers[-1] += 1
            return f"{self.numbers[-1]}. "
        return "- "

    def _margin(self, prefix: str = "") -> str:
        depth = min(DEEPEST, len(self.numbers))
        return "> " * min(DEEPEST, self.quotes) + "  " * (depth - 1 if depth and prefix else depth)

    def finished(self) -> str:
        """All that was written."""
        self.close_row()
        self.break_line(blank=False)
        if self.pre:
            self.lines.append("```")
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self.lines)).strip()


def _hidden(attributes: dict[str, str]) -> bool:
    style = attributes.get("style", "").replace(" ", "").lower()
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden", "").lower() == "true"
        or "display:none" in style
        or "visibility:hidden" in style
    )
