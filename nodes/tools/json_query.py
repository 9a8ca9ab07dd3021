"""Takes values out of JSON by a path: the part of JSONPath (RFC 9535) that has no functions.

    $.store.book[0].title     $['store']['book']     $..price     $.book[*].title     $.book[-1]     $.book[0:4:2]
    $.book[0,2]               $.book[?@.price < 10 && @.isbn]     $.book[?(@.tags[*] == 'new') || !@.sold]

Left out: `length`, `count`, `match`, `search`, `value`. Results come in the order that RFC 9535 names, each with its
normalized path (section 2.7). Every value that is looked at counts, filters within filters too, and there is an end to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn, TypeAlias

from pydantic import Field

from graphflow import Message, ToolError, tool

MAX_VALUES = 500_000
"""Values that one query looks at: about a second."""
MAX_BRACKETS = 40
"""Brackets within brackets of a path."""
MAX_LEVELS = 100
"""Levels of a document that are looked into."""
LISTED_A_LOOK = 10
"""Values that are listed in the time in which one is looked at."""
COMPARED_A_LOOK = 1_000
"""Characters of two texts that are compared in that time."""
MAX_ANSWER = 5_000_000
"""Characters and values of all matches together: as much as a document has, however often a path leads to the same part."""

Document = Annotated[str, Field(min_length=1, max_length=5_000_000)]
Path = Annotated[str, Field(min_length=1, max_length=500)]

NAME = re.compile(r"[^\W\d][\w]*")
INTEGER = re.compile(r"0|-?[1-9]\d{0,15}")
NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,30})(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?")
TEXT = re.compile(r"""'((?:[^'\\\x00-\x1f]|\\.)*)'|"((?:[^"\\\x00-\x1f]|\\.)*)\"""")
SPACE = re.compile(r"[ \t\n\r]*")
LITERALS = {"true": True, "false": False, "null": None}
OPERATORS = ("==", "!=", "<=", ">=", "<", ">")

Json: TypeAlias = Any
"""A value of JSON; `root` is always the whole document, `here` the value that a filter looks at (`@`)."""
Place = tuple[str | int, ...]
Located = tuple[Place, Json]
Selector = Callable[["_Budget", Json, Located], Iterator[Located]]
Test = Callable[["_Budget", Json, Json], bool]
Get = Callable[["_Budget", Json, Json], Json]
NOTHING = object()
"""The result of a path that leads to no value; equal to itself alone (RFC 9535, 2.3.5.2.2)."""


class Match(Message):
    """One value, and where in the document it stands."""

    path: str
    value: Json


class Matches(Message):
    """The values that a path leads to. `cut` tells that there are more."""

    matches: tuple[Match, ...]
    cut: bool = False


@tool(timeout_s=20)
def query_json(
    document: Document, path: Path, most: Annotated[int, Field(ge=1, le=1_000)] = 100
) -> Matches:
    """Take values out of a JSON text by a JSONPath, for example $.items[?@.price < 10].name or $..id.

    Args:
        document: the JSON text.
        path: the path: .name ['name'] [0] [-1] [1:3] [*] ..name and filters with == != < <= > >= && || !, no functions.
        most: how many values at most.
    """
    value = read(document)
    # Counted while they come, so that nothing beyond the answer is looked for.
    found: list[Match] = []
    left = MAX_ANSWER
    for place, each in query(value, path):
        left -= size_of(each)
        if len(found) == most or left < 0:
            return Matches(matches=tuple(found), cut=True)
        found.append(Match(path=normalized(place), value=each))
    return Matches(matches=tuple(found))


def size_of(value: Json) -> int:
    """About as many characters as a value has as JSON."""
    # Without writing it: a path may lead to the whole document ten thousand times.
    size, todo = 0, [value]
    while todo:
        part = todo.pop()
        size += 1
        if isinstance(part, str):
            size += len(part)
        elif isinstance(part, list):
            todo += part
        elif isinstance(part, dict):
            size += sum(len(key) for key in part)
            todo += part.values()
    return size


def read(document: str) -> Json:
    """The value that a JSON text stands for.

    Raises:
        ToolError: it is not JSON, or nested deeper than an answer could be shown.
    """
    try:
        value = json.loads(document, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ToolError(f"the document is not JSON: {error}; send the whole text") from None
    level = _containers([value])
    for _ in range(MAX_LEVELS):
        level = _containers(inner for above in level for inner in _inside(above))
    if level:
        raise ToolError(
            f"the document is more than {MAX_LEVELS} levels deep; send the part that matters"
        )
    return value


def _containers(values: Iterable[Json]) -> list[Json]:
    return [value for value in values if isinstance(value, (dict, list))]


def _inside(value: Json) -> Iterable[Json]:
    return value.values() if isinstance(value, dict) else value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def query(value: Json, path: str) -> Iterator[Located]:
    """Places and values that a path leads to, in order.

    Raises:
        ToolError: the path cannot be read, or leads to too much.
    """
    reader = _Reader(path.strip())
    if not reader.takes("$"):
        reader.fail("a path begins with $")
    segments = reader.segments()
    if reader.at < len(reader.text):
        reader.fail("this means nothing here")
    return _walk(segments, _Budget(), value, ((), value))


def normalized(place: Place) -> str:
    """A place as RFC 9535 writes it: `$['store']['book'][0]`."""
    steps = [str(step) if isinstance(step, int) else _quoted(step) for step in place]
    return "$" + "".join(f"[{step}]" for step in steps)


def _quoted(name: str) -> str:
    inner = json.dumps(name, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"'{inner}'"


@dataclass
class _Budget:
    # One for the whole query, filters within filters included: each is cheap, and together they are not.
    left: int = MAX_VALUES

    def spend(self, values: int = 1) -> None:
        """Counts values that are looked at; a comparison looks at all that is in them."""
        self.left -= values
        if self.left < 0:
            raise ToolError(
                f"the path looks at more than {MAX_VALUES} values; name more of the way, use .. less"
            )


@dataclass(frozen=True)
class _Segment:
    """One step: the selectors in its brackets, and whether it looks below, too (`..`)."""

    selectors: tuple[Selector, ...]
    below: bool = False
    single: bool = False
    """Whether it leads to one value at most."""


def _walk(
    segments: tuple[_Segment, ...], budget: _Budget, root: Json, start: Located
) -> Iterator[Located]:
    if not segments:
        yield start
        return
    first, rest = segments[0], segments[1:]
    places = _below(budget, start) if first.below else (start,)
    for located in places:
        # Depth first, selector by selector: the order that RFC 9535 gives to results.
        for selector in first.selectors:
            for found in selector(budget, root, located):
                budget.spend()
                yield from _walk(rest, budget, root, found)


def _children(located: Located) -> Iterator[Located]:
    place, value = located
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*place, key), inner
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield (*place, index), inner


def _below(budget: _Budget, start: Located) -> Iterator[Located]:
    """A value and all below it, each before what is in it."""
    # A stack of our own, read from its end, so children go on it the last one first.
    todo = [start]
    while todo:
        located = todo.pop()
        budget.spend()
        yield located
        inner = list(_children(located))
        # They are listed here, whether the search goes on to them or not.
        budget.spend(len(inner) // LISTED_A_LOOK)
        todo += reversed(inner)


class _Reader:
    """Reads a path, character by character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def fail(self, why: str) -> NoReturn:
        rest = self.text[self.at :][:20]
        raise ToolError(f"the path goes wrong at character {self.at + 1} ({rest!r}): {why}")

    def takes(self, text: str) -> bool:
        if self.text.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    def match(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[0]

    def space(self) -> None:
        self.match(SPACE)

    def segments(self) -> tuple[_Segment, ...]:
        found: list[_Segment] = []
        while True:
            before = self.at
            self.space()
            if self.takes("..["):
                found.append(_Segment(self.brackets()[0], below=True))
            elif self.takes(".."):
                found.append(_Segment((self.name()[0],), below=True))
            elif self.takes("."):
                selector, single = self.name()
                found.append(_Segment((selector,), single=single))
            elif self.takes("["):
                selectors, single = self.brackets()
                found.append(_Segment(selectors, single=single))
            else:
                self.at = before
                return tuple(found)

    def name(self) -> tuple[Selector, bool]:
        if self.takes("*"):
            return _wildcard, False
        name = self.match(NAME)
        if name is None:
            self.fail("a name or * belongs here; write other names as ['name']")
        return _named(name), True

    def brackets(self) -> tuple[tuple[Selector, ...], bool]:
        """The selectors up to `]`, and whether they lead to one value at most."""
        self.depth += 1
        if self.depth > MAX_BRACKETS:
            self.fail(f"more than {MAX_BRACKETS} brackets within each other")
        selectors = [self.selector()]
        self.space()
        while self.takes(","):
            selectors.append(self.selector())
            self.space()
        if not self.takes("]"):
            self.fail("] or , belongs here")
        self.depth -= 1
        single = len(selectors) == 1 and selectors[0][1]
        return tuple(selector for selector, _ in selectors), single

    def selector(self) -> tuple[Selector, bool]:
        self.space()
        if self.takes("*"):
            return _wildcard, False
        if self.takes("?"):
            return _filter(self.either()), False
        if self.text[self.at : self.at + 1] in ("'", '"'):
            return _named(self.quoted()), True
        # [1], [1:], [:3], [::2]: a slice may leave out each of its numbers.
        parts = [self.integer()]
        while len(parts) < 3 and self.takes(":"):
            parts.append(self.integer())
        if len(parts) > 1:
            start, stop, step = (*parts, None)[:3]
            return _sliced(slice(start, stop, step)), False
        if parts[0] is None:
            self.fail("a name in quotes, a number, a slice, * or ? belongs here")
        return _indexed(parts[0]), True

    def integer(self) -> int | None:
        self.space()
        found = self.match(INTEGER)
        self.space()
        return None if found is None else int(found)

    def quoted(self) -> str:
        found = TEXT.match(self.text, self.at)
        if found is None:
            self.fail("this text in quotes has no end, or a character that must be escaped")
        inner = found[2]
        # In single quotes: as JSON has it, `'` needs no escape there, and `"` does.
        if inner is None:
            inner = found[1].replace("\\'", "'").replace('"', '\\"').replace('\\\\"', '\\"')
        try:
            text: str = json.loads(f'"{inner}"')
        except ValueError:
            self.fail("this text has an escape that JSON does not know")
        self.at = found.end()
        return text

    def either(self) -> Test:
        self.depth += 1
        if self.depth > MAX_BRACKETS:
            self.fail(f"more than {MAX_BRACKETS} brackets within each other")
        tests = [self.both()]  # && binds more than ||
        self.space()
        while self.takes("||"):
            tests.append(self.both())
            self.space()
        self.depth -= 1
        return lambda budget, root, here: any(test(budget, root, here) for test in tests)

    def both(self) -> Test:
        tests = [self.test()]
        self.space()
        while self.takes("&&"):
            tests.append(self.test())
            self.space()
        return lambda budget, root, here: all(test(budget, root, here) for test in tests)

    def test(self) -> Test:
        self.space()
        negated = self.takes("!")
        self.space()
        test = self.group() if self.takes("(") else self.comparison(negated)
        if negated:
            return lambda budget, root, here: not test(budget, root, here)
        return test

    def group(self) -> Test:
        test = self.either()
        self.space()
        if not self.takes(")"):
            self.fail(") belongs here")
        return test

    def comparison(self, negated: bool) -> Test:
        """A comparison, or only a path: whether there is anything. Only a path can be negated without brackets."""
        left, exists = self.comparable()
        self.space()
        operator = None if negated else self.one_of(OPERATORS)
        if operator is None:
            if exists is None:
                self.fail("a comparison (== != < <= > >=) belongs here")
            return exists
        self.space()
        right, _ = self.comparable()
        if left is None or right is None:
            self.fail("only a path to one value can be compared, without *, slices, filters and ..")
        return lambda budget, root, here: _holds(
            budget, left(budget, root, here), operator, right(budget, root, here)
        )

    def one_of(self, texts: Iterable[str]) -> str | None:
        for text in texts:
            if self.takes(text):
                return text
        return None

    def comparable(self) -> tuple[Get | None, Test | None]:
        """What gives one value (None: it may give several), and the test whether it is there (None for a literal)."""
        if self.text.startswith(("@", "$"), self.at):
            return self.path()
        value = self.literal()
        return (lambda budget, root, here: value), None

    def literal(self) -> Json:
        word = self.one_of(LITERALS)
        if word is not None:
            return LITERALS[word]
        if self.text[self.at : self.at + 1] in ("'", '"'):
            return self.quoted()
        number = self.match(NUMBER)
        if number is None:
            self.fail(
                "@, $, a number, a text in quotes, true, false or null belongs here; there are no functions"
            )
        return json.loads(number)

    def path(self) -> tuple[Get | None, Test]:
        is_relative = self.takes("@") or not self.takes("$")
        segments = self.segments()

        def first(budget: _Budget, root: Json, here: Json) -> Json:
            start = here if is_relative else root
            for _, value in _walk(segments, budget, root, ((), start)):
                return value
            return NOTHING

        def exists(budget: _Budget, root: Json, here: Json) -> bool:
            return first(budget, root, here) is not NOTHING

        single = all(segment.single for segment in segments)
        return (first if single else None), exists


def _wildcard(budget: _Budget, root: Json, located: Located) -> Iterator[Located]:
    return _children(located)


def _named(name: str) -> Selector:
    def select(budget: _Budget, root: Json, located: Located) -> Iterator[Located]:
        place, value = located
        if isinstance(value, dict) and name in value:
            yield (*place, name), value[name]

    return select


def _indexed(index: int) -> Selector:
    def select(budget: _Budget, root: Json, located: Located) -> Iterator[Located]:
        place, value = located
        if isinstance(value, list) and -len(value) <= index < len(value):
            yield (*place, index % len(value)), value[index]

    return select


def _sliced(part: slice) -> Selector:
    def select(budget: _Budget, root: Json, located: Located) -> Iterator[Located]:
        place, value = located
        if isinstance(value, list) and part.step != 0:  # a step of 0 selects nothing (2.3.4.2.2)
            for index in range(*part.indices(len(value))):
                yield (*place, index), value[index]

    return select


def _filter(test: Test) -> Selector:
    def select(budget: _Budget, root: Json, located: Located) -> Iterator[Located]:
        for child in _children(located):
            budget.spend()
            if test(budget, root, child[1]):
                yield child

    return select


def _holds(budget: _Budget, left: Json, operator: str, right: Json) -> bool:
    match operator:
        case "==":
            return _same(budget, left, right)
        case "!=":
            return not _same(budget, left, right)
        case "<":
            return _less(budget, left, right)
        case ">":
            return _less(budget, right, left)
        case "<=":
            return _less(budget, left, right) or _same(budget, left, right)
        case _:
            return _less(budget, right, left) or _same(budget, left, right)


def _same(budget: _Budget, left: Json, right: Json) -> bool:
    """Equality as in JSON: 1 is 1.0, and neither is true."""
    budget.spend()
    if _is_special(left) or _is_special(right):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            return False
        return all(_same(budget, one, other) for one, other in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        if left.keys() != right.keys():
            return False
        return all(_same(budget, inner, right[key]) for key, inner in left.items())
    _spend_on_texts(budget, left, right)
    return bool(left == right)


def _is_special(value: Json) -> bool:
    """Whether a value is equal to itself alone; to Python, True would be 1."""
    return isinstance(value, bool) or value is NOTHING


def _less(budget: _Budget, left: Json, right: Json) -> bool:
    """Order among numbers, and among texts; nothing else has one."""
    _spend_on_texts(budget, left, right)
    are_texts = isinstance(left, str) and isinstance(right, str)
    if not are_texts and not (_is_number(left) and _is_number(right)):
        return False
    return bool(left < right)


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _spend_on_texts(budget: _Budget, left: Json, right: Json) -> None:
    if isinstance(left, str) and isinstance(right, str):
        budget.spend(min(len(left), len(right)) // COMPARED_A_LOOK)
