"""Does with texts what models do badly in their heads: counts, exact replacements, extraction, differences, case."""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import Field

from graphflow import Message, Tool, ToolError, tool

from .._support.pattern_worker import NEWLINE
from .._support.patterns import matches, replaced

MAX_CHARACTERS = 500_000
MATCHING_S = 5.0
"""Seconds that matching a pattern may take."""
MAX_COMPARED = 5_000
"""Lines of each of two texts that are compared; difflib's time grows with the square where many lines are alike."""

Text = Annotated[str, Field(max_length=MAX_CHARACTERS)]
Pattern = Annotated[str, Field(min_length=1, max_length=1_000)]


class Counts(Message):
    """How long a text is. A character is a code point; a word is what stands between spaces."""

    characters: int
    characters_without_spaces: int
    words: int
    lines: int
    bytes: int


class Found(Message):
    """One match: where it begins (from 0), its text, and what its groups hold."""

    start: int
    text: str
    groups: tuple[str | None, ...] = ()


class Replaced(Message):
    """A text after replacing, and how many pieces were."""

    text: str
    count: int


@tool
def count_text(text: Text, piece: str = "") -> Counts | int:
    """Count the characters, words, lines and bytes of a text; with a piece, how often it is in there.

    Args:
        text: the text.
        piece: a piece of text to count instead, such as a letter or a word; matches do not overlap.
    """
    if piece:
        return text.count(piece)
    words = text.split()
    # A last newline ends a line, and begins none.
    lines = NEWLINE.split(text.removesuffix("\n")) if text else []
    return Counts(
        characters=len(text),
        characters_without_spaces=sum(len(word) for word in words),
        words=len(words),
        lines=len(lines),
        bytes=len(text.encode("utf-8", "surrogatepass")),
    )


@tool(timeout_s=20)
def extract_text(
    text: Text,
    pattern: Pattern,
    ignore_case: bool = False,
    most: Annotated[int, Field(ge=1, le=1_000)] = 100,
) -> list[Found]:
    """Find all that matches a regular expression in a text.

    Args:
        text: the text.
        pattern: a regular expression (Python's syntax).
        ignore_case: whether capitals do not matter.
        most: how many matches at most.
    """
    found = matches(pattern, text, ignore_case=ignore_case, most=most, seconds=MATCHING_S)
    return [
        Found(start=start, text=whole, groups=tuple(groups)) for start, _, whole, groups in found
    ]


@tool(timeout_s=20)
def replace_text(text: Text, old: Pattern, new: Text, regex: bool = False) -> Replaced:
    r"""Replace a piece of text wherever it is.

    Args:
        text: the text.
        old: the piece to replace, exactly; or a regular expression.
        new: what to put there; with a regular expression, \1 is its first group.
        regex: whether `old` is a regular expression (Python's syntax).
    """
    most = 2 * MAX_CHARACTERS
    if regex:
        result, count = replaced(old, new, text, most=most, seconds=MATCHING_S)
        return Replaced(text=result, count=count)
    count = text.count(old)
    # Before it is made: a text times a text fills any memory.
    size = len(text) + count * (len(new) - len(old))
    if size > most:
        raise ToolError(
            f"the result would have more than {most} characters; replace less at a time"
        )
    return Replaced(text=text.replace(old, new), count=count)


@tool(timeout_s=30)
def diff_texts(old: Text, new: Text, context: Annotated[int, Field(ge=0, le=20)] = 3) -> str:
    """Show how two texts differ, line by line, as a unified diff; an empty answer means they are the same.

    Args:
        old: the first text.
        new: the second text.
        context: how many equal lines to show around a difference.
    """
    if old == new:
        return ""
    before, after = NEWLINE.split(old), NEWLINE.split(new)
    if len(before) > MAX_COMPARED or len(after) > MAX_COMPARED:
        raise ToolError(f"a text has more than {MAX_COMPARED} lines; compare it part by part")
    # Equal lines, other newlines: said in words, as a diff would be empty.
    shown = list(difflib.unified_diff(before, after, "old", "new", n=context, lineterm=""))
    return "\n".join(shown) or "[the lines are the same, only their ends differ]"


@tool
def change_case(
    text: Text,
    to: Literal["lower", "upper", "title", "sentence", "snake", "kebab", "camel", "slug"],
) -> str:
    """Write a text in another case.

    Args:
        text: the text.
        to: the case: snake_case, kebab-case, camelCase; a slug is kebab-case in plain ASCII, for addresses and file names.
    """
    match to:
        case "lower":
            return text.lower()
        case "upper":
            return text.upper()
        case "title":
            return re.sub(r"\w[\w'\u2019]*", lambda word: _capitalized(word[0]), text)
        case "sentence":
            return _capitalized(text)
        case "snake":
            return "_".join(words_of(text)).lower()
        case "kebab":
            return "-".join(words_of(text)).lower()
        case "camel":
            first, *rest = words_of(text) or [""]
            return first.lower() + "".join(word.capitalize() for word in rest)
    decomposed = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    plain = decomposed.encode("ascii", "ignore").decode()
    return "-".join(words_of(plain)).lower()


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:].lower()


def words_of(text: str) -> list[str]:
    """The words of a text, of a name in camelCase or snake_case too."""
    # getHTTPResponse > get HTTP Response
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    return re.findall(r"[^\W_]+", apart)


text_tools: tuple[Tool[Any, Any], ...] = (
    count_text,
    extract_text,
    replace_text,
    diff_texts,
    change_case,
)
"""All of them, for an agent's `tools`."""
