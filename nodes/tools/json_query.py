"""Takes values out of JSON by a path: the part of JSONPath (RFC 9535) that has no functions.

    $.store.book[0].title     $['store']['book']     $..price     $.book[*].title     $.book[-1]     $.book[0:4:2]
    $.book[0,2]               $.book[?@.price < 10 && @.isbn]     $.book[?(@.tags[*] == 'new') || !@.sold]

Left out: `length`, `count`, `match`, `search`, `value`. Results come in the order that RFC 9535 names, each with its
normalized path (section 2.7). Every value that is looked at counts, filters within filters too, and there is an end to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, NoReturn

from pydantic import Field

from graphflow import Message, ToolError, tool

LOOKED_AT = 500_000
"""Values that one query looks at: about a second."""
DEEPEST = 40
"""Brackets within brackets of a path."""
NESTED = 100
"""Levels of a document that are looked into."""
CHEAP = 10
"""So many values are listed in the time in which one is looked at."""
ALIKE = 1_000
"""So many characters of two texts are compared in that time."""
ANSWERED = 5_000_000
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

Place = tuple[str | int, ...]
Located = tuple[Place, Any]
Selector = Callable[["_Budget", Any, Located], Iterator[Located]]
Test = Callable[["_Budget", Any, Any], bool]
NOTHING = object()
"""The result of a path that leads to no value; equal to itself alone (RFC 9535, 2.3.5.2.2)."""


class Match(Message):
    """One value, and where in the document it stands."""

    path: str
    value: Any


class Matches(Message):
    """The values that a path leads to. `cut` tells that there are more."""

    matches: tuple[Match, ...]
    cut: bool = False


@tool(timeout_s=20)
def query_json(document: Document, path: Path, most: Annotated[int, Field(ge=1, le=1_000)] = 100) -> Matches:
    """Take values out of a JSON text by a JSONPath, for example $.items[?@.price < 10].name or $..id.

    Args:
        document: the JSON text.
        path: the path: .name ['name'] [0] [-1] [1:3] [*] ..name and filters with == != < <= > >= && || !, no functions.
        most: how many values at most.
    """
    value = read(document)
    found: list[Match] = []
    left = ANSWERED
    for place, each in query(value, path):
        left -= size_of(each)
        if len(found) == most or left < 0:
            return Matches(matches=tuple(found), cut=True)
        found.append(Match(path=normalized(place), value=each))
    return Matches(matches=tuple(found))


def size_of(value: Any) -> int:
    """About as many characters as a value has as JSON."""
    size, todo = 0, [value]
    while todo:
        part = todo.pop()
        size += 1
        if isinstance(part, str):
            size += len(part)
        elif isinstance(part, list):
            todo += part
        elif isinstance(part, dict):
            size += sum(map(len, part))
            todo += part.values()
    return size


def read(document: str) -> Any:
    """The value that a JSON text stands for.

    Raises:
        ToolError: it is no JSON, or nested deeper than an answer could be shown.
    """
    try:
        value = json.loads(document, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ToolError(f"the document is no JSON: {error}; send the whole text") from None
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(NESTED):
        level = [
            each
            for above in level
            for each in (above.values() if isinstance(above, dict) else above)
            if isinstance(each, (dict, list))
        ]
    if level:
        raise ToolError(f"the document is more than {NESTED} levels deep; send the part that matters")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def query(value: Any, path: str) -> Iterator[Located]:
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
    return _walked(segments, _Budget(), value, ((), value))


def normalized(place: Place) -> str:
    """A place as RFC 9535 writes it: `$['store']['book'][0]`."""
    return "$" + "".join(f"[{each}]" if isinstance(each, int) else f"[{_quoted(each)}]" for each in place)


def _quoted(name: str) -> str:
    inner = json.dumps(name, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"'{inner}'"


@dataclass
class _Budget:
    left: int = LOOKED_AT

    def spend(self, values: int = 1) -> None:
        """Counts values that are looked at; a comparison looks at all that is in them."""
        self.left -= values
        if self.left < 0:
            raise ToolError(f"the path looks at more than {LOOKED_AT} values; name more of the way, use .. less")


@dataclass(frozen=True)
class _Segment:
    """One step: the selectors in its brackets, and whether it looks below, too (`..`)."""

    selectors: tuple[Selector, ...]
    below: bool = False
    single: bool = field(default=False)
    """Whether it leads to one value at most."""


def _walked(segments: tuple[_Segment, ...], budget: _Budget, root: Any, start: Located) -> Iterator[Located]:
    if not segments:
        yield start
        return
    first, rest = segments[0], segments[1:]
    for located in _below(budget, start) if first.below else (start,):
        for selector in first.selectors:
            for found in selector(budget, root, located):
                budget.spend()
                yield from _walked(rest, budget, root, found)


def _children(located: Located) -> Iterator[Located]:
    place, value = located
    if isinstance(value, dict):
        yield from (((*place, key), each) for key, each in value.items())
    elif isinstance(value, list):
        yield from (((*place, index), each) for index, each in enumerate(value))


def _below(budget: _Budget, start: Located) -> Iterator[Located]:
    """A value and all below it, each before what is in it."""
    todo = [start]
    while todo:
        located = todo.pop()
        budget.spend()
        yield located
        inner = list(_children(located))
        budget.spend(len(inner) // CHEAP)  # they are listed here, whether the search goes on to them or not
        todo += reversed(inner)


class _Reader:
    """Reads a path, character by character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def fail(self, why: str) -> NoReturn:
        raise ToolError(f"the path goes wrong at character {self.at + 1} ({self.text[self.at :][:20]!r}): {why}")

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
        if self.depth > DEEPEST:
            self.fail(f"more than {DEEPEST} brackets within each other")
        selectors = [self.selector()]
        self.space()
        while self.takes(","):
            selectors.append(self.selector())
            self.space()
        if not self.takes("]"):
            self.fail("] or , belongs here")
        self.depth -= 1
        return tuple(each for each, _ in selectors), len(selectors) == 1 and selectors[0][1]

    def selector(self) -> tuple[Selector, bool]:
        self.space()
        if self.takes("*"):
            return _wildcard, False
        if self.takes("?"):
            return _filter(self.either()), False
        if self.text[self.at : self.at + 1] in ("'", '"'):
            return _named(self.quoted()), True
        parts = [self.integer()]
        while len(parts) < 3 and self.takes(":"):
            parts.append(self.integer())
        if len(parts) > 1:
            return _sliced(slice(*parts) if len(parts) > 2 else slice(parts[0], parts[1])), False
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
        inner = (
            found[2] if found[1] is None else found[1].replace("\\'", "'").replace('"', '\\"').replace('\\\\"', '\\"')
        )
        try:
            text: str = json.loads(f'"{inner}"')
        except ValueError:
            self.fail("this text has an escape that JSON does not know")
        self.at = found.end()
        return text

    def either(self) -> Test:
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail(f"more than {DEEPEST} brackets within each other")
        tests = [self.both()]
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
        if self.takes("("):
            test = self.either()
            self.space()
            if not self.takes(")"):
                self.fail(") belongs here")
            return (lambda budget, root, here: not test(budget, root, here)) if negated else test
        left, exists = self.comparable()
        self.space()
        operator = None if negated else next((each for each in OPERATORS if self.takes(each)), None)
        if operator is None:
            if exists is None:
                self.fail("a comparison (== != < <= > >=) belongs here")
            return lambda budget, root, here: exists(budget, root, here) != negated
        self.space()
        right, _ = self.comparable()
        if left is None or right is None:
            self.fail("only a path to one value can be compared, without *, slices, filters and ..")
        return lambda budget, root, here: _holds(budget, left(budget, root, here), operator, right(budget, root, here))

    def comparable(self) -> tuple[Callable[[_Budget, Any, Any], Any] | None, Test | None]:
        """What gives one value (None: it may give several), and the test whether it is there (None for a literal)."""
        word = next((each for each in LITERALS if self.takes(each)), None)
        if word is not None:
            return (lambda budget, root, here: LITERALS[word]), None
        if self.text[self.at : self.at + 1] in ("'", '"'):
            text = self.quoted()
            return (lambda budget, root, here: text), None
        if not self.text.startswith(("@", "$"), self.at):
            number = self.match(NUMBER)
            if number is None:
                self.fail("@, $, a number, a text in quotes, true, false or null belongs here; there are no functions")
            value = json.loads(number)
            return (lambda budget, root, here: value), None
        relative = self.takes("@") or not self.takes("$")
        segments = self.segments()

        def first(budget: _Budget, root: Any, here: Any) -> Any:
            start = here if relative else root
            return next((value for _, value in _walked(segments, budget, root, ((), start))), NOTHING)

        single = all(segment.single for segment in segments)
        return first if single else None, lambda budget, root, here: first(budget, root, here) is not NOTHING


def _wildcard(budget: _Budget, root: Any, located: Located) -> Iterator[Located]:
    return _children(located)


def _named(name: str) -> Selector:
    def select(budget: _Budget, root: Any, located: Located) -> Iterator[Located]:
        place, value = located
        if isinstance(value, dict) and name in value:
            yield (*place, name), value[name]

    return select


def _indexed(index: int) -> Selector:
    def select(budget: _Budget, root: Any, located: Located) -> Iterator[Located]:
        place, value = located
        if isinstance(value, list) and -len(value) <= index < len(value):
            yield (*place, index % len(value)), value[index]

    return select


def _sliced(part: slice) -> Selector:
    def select(budget: _Budget, root: Any, located: Located) -> Iterator[Located]:
        place, value = located
        if isinstance(value, list) and part.step != 0:  # a step of 0 selects nothing (2.3.4.2.2)
            yield from (((*place, index), value[index]) for index in range(*part.indices(len(value))))

    return select


def _filter(test: Test) -> Selector:
    def select(budget: _Budget, root: Any, located: Located) -> Iterator[Located]:
        for child in _children(located):
            budget.spend()
            if test(budget, root, child[1]):
                yield child

    return select


def _holds(budget: _Budget, left: Any, operator: str, right: Any) -> bool:
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


def _same(budget: _Budget, left: Any, right: Any) -> bool:
    """Equality as in JSON: 1 is 1.0, and neither is true."""
    budget.spend()
    if isinstance(left, bool) or isinstance(right, bool) or left is NOTHING or right is NOTHING:
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(
            _same(budget, one, other) for one, other in zip(left, right, strict=True)
        )
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(budget, each, right[key]) for key, each in left.items())
    _spend_on_texts(budget, left, right)
    return bool(left == right)


def _less(budget: _Budget, left: Any, right: Any) -> bool:
    """Order among numbers, and among texts; nothing else has one."""
    numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (left, right))
    _spend_on_texts(budget, left, right)
    return (numbers or (isinstance(left, str) and isinstance(right, str))) and left < right


def _spend_on_texts(budget: _Budget, left: Any, right: Any) -> None:
    if isinstance(left, str) and isinstance(right, str):
        budget.spend(min(len(left), len(right)) // ALIKE)
