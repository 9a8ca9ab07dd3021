"""Regular expressions of secrets: Python's own syntax, as far as a stream can follow it.

Python reads them (`re`), so what they mean is what they mean everywhere else; this module walks what it has read and adds
states for it. A stream knows only what has come, so what looks ahead or back is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial

# The only reader of Python's regular expressions is Python's: it has no public name, and stands there since 3.11.
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as python_reader  # type: ignore[attr-defined]
from typing import Any, TypeAlias

from graphflow.errors import SecretInvalid
from graphflow.secrets.state_graph import StateGraph, Test, TooManyStates

RegexItem: TypeAlias = tuple[Any, Any]
"""What Python has read: a code and what belongs to it, which is of another type for each code."""
SHORTEST_MATCH = 4
"""Characters of the shortest match of a pattern, at least: what matches less would damage every text."""
LONGEST_PATTERN = 10_000
"""Characters of a pattern, at most."""
BOUNDARIES = ("(?<![A-Za-z0-9])", r"\b")
"""What a pattern may begin with: it holds where no letter or digit stands before."""


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


_CATEGORIES: dict[Any, Test] = {
    codes.CATEGORY_DIGIT: str.isdecimal,
    codes.CATEGORY_SPACE: str.isspace,
    codes.CATEGORY_WORD: _is_word,
}
_OPPOSITES = {
    codes.CATEGORY_NOT_DIGIT: codes.CATEGORY_DIGIT,
    codes.CATEGORY_NOT_SPACE: codes.CATEGORY_SPACE,
    codes.CATEGORY_NOT_WORD: codes.CATEGORY_WORD,
}
_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT)
_UNREADABLE = {
    codes.ASSERT: "it looks ahead or back",
    codes.ASSERT_NOT: "it looks ahead or back",
    codes.AT: "it asks where a line or a word begins or ends",
    codes.GROUPREF: "it refers back to what a group has matched",
    codes.GROUPREF_EXISTS: "it refers back to what a group has matched",
    codes.ATOMIC_GROUP: "it has an atomic group",
    codes.POSSESSIVE_REPEAT: "it has a possessive repeat",
}


def add_pattern(graph: StateGraph, pattern: str, label: int) -> None:
    """Adds the states of a regular expression.

    Raises:
        SecretInvalid: it is none, matches too little, or cannot be followed while a text comes.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise _refused(pattern, f"it has {len(pattern):,} characters, {LONGEST_PATTERN:,} at most")
    rest, behind_boundary = _without_boundary(pattern)
    try:
        read = python_reader.parse(rest)
    except (re.error, RecursionError, OverflowError) as error:
        raise _refused(pattern, f"Python cannot read it: {error}") from None
    start = graph.new_state()
    reader = _PatternReader(graph, pattern, read.state.flags)
    try:
        end = reader.sequence(read, start, reader.ignores_case(read.state.flags))
    except TooManyStates:
        raise _refused(pattern, "it repeats so much that it has too many states") from None
    graph.labels[end] = label
    shortest = graph.shortest_match(start)
    if shortest < SHORTEST_MATCH:
        raise _refused(
            pattern, f"it matches {shortest} characters, and should match {SHORTEST_MATCH} or more"
        )
    doubt = graph.longest_doubt(start)
    if doubt is None:
        raise _refused(
            pattern,
            "it may hold a text back without bound; write {0,200} in place of * or + before what makes a match certain",
        )
    graph.longest = max(graph.longest, doubt)
    graph.patterns.append((start, behind_boundary))


def _without_boundary(pattern: str) -> tuple[str, bool]:
    for boundary in BOUNDARIES:
        if pattern.startswith(boundary):
            return pattern.removeprefix(boundary), True
    return pattern, False


def _refused(pattern: str, why: str) -> SecretInvalid:
    shown = pattern[:100]
    return SecretInvalid(f"the pattern {shown!r} cannot be used for secrets: {why}")


class _PatternReader:
    """Walks one expression.

    Args:
        graph: what gets the states.
        pattern: the expression, for errors.
        flags: Python's, as they hold for all of it.
    """

    def __init__(self, graph: StateGraph, pattern: str, flags: int) -> None:
        self.graph = graph
        self.pattern = pattern
        self.matches_lines = bool(flags & re.DOTALL)
        if flags & re.ASCII:
            raise _refused(pattern, "it has the flag ASCII; write [A-Za-z0-9_] in place of \\w")

    @staticmethod
    def ignores_case(flags: int) -> bool:
        """Whether these flags say that case does not matter."""
        return bool(flags & re.IGNORECASE)

    def sequence(self, items: Iterable[RegexItem], start: int, any_case: bool) -> int:
        """Adds items one after another; the state behind the last."""
        at = start
        for code, given in items:
            at = self._item(code, given, at, any_case)
        return at

    def _item(self, code: Any, given: Any, start: int, any_case: bool) -> int:
        if code in (codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN):
            return self.graph.add_move(start, self._test(code, given, any_case))
        if code is codes.SUBPATTERN:
            _, added, removed, inner = given
            within = (any_case or self.ignores_case(added)) and not self.ignores_case(removed)
            return self.sequence(inner, start, within)
        if code is codes.BRANCH:
            _, ways = given
            return self._branch(ways, start, any_case)
        if code in _REPEATS:
            least, most, body = given
            once = partial(self.sequence, body, any_case=any_case)
            return self._repeat(least, most, once, start)
        why = _UNREADABLE.get(code, f"it has {str(code).lower()}, which a stream cannot follow")
        raise _refused(self.pattern, why)

    def _branch(self, ways: Sequence[Iterable[RegexItem]], start: int, any_case: bool) -> int:
        graph = self.graph
        end = graph.new_state()
        for way in ways:
            first = graph.new_state()
            graph.free[start].append(first)
            last = self.sequence(way, first, any_case)
            graph.free[last].append(end)
        return end

    def _repeat(self, least: int, most: Any, once: Callable[[int], int], at: int) -> int:
        """Adds a body so often: `x{2,4}` is `xx(x(x)?)?`."""
        graph = self.graph
        for _ in range(least):
            at = once(at)
        if most is codes.MAXREPEAT:
            loop = graph.new_state()
            graph.free[at].append(loop)
            last = once(loop)
            graph.free[last].append(loop)
            return loop
        end = graph.new_state()
        graph.free[at].append(end)
        for _ in range(most - least):
            at = once(at)
            graph.free[at].append(end)
        return end

    # -- characters --------------------------------------------------------------------------------
    def _test(self, code: Any, given: Any, any_case: bool) -> Test:
        if code is codes.ANY:
            return _anything if self.matches_lines else _not_newline
        if code is codes.LITERAL or code is codes.NOT_LITERAL:
            test = self._member(codes.LITERAL, given)
            return _one_of([test], code is codes.NOT_LITERAL, any_case)
        is_negated = False
        tests: list[Test] = []
        for member, value in given:
            if member is codes.NEGATE:
                is_negated = True
            else:
                tests.append(self._member(member, value))
        return _one_of(tests, is_negated, any_case)

    def _member(self, code: Any, given: Any) -> Test:
        """The test of one member of a set."""
        if code is codes.LITERAL:
            return chr(given).__eq__
        if code is codes.RANGE:
            first, last = given
            return _between(chr(first), chr(last))
        if given in _CATEGORIES:
            return _CATEGORIES[given]
        return _not(_CATEGORIES[_OPPOSITES[given]])


def _anything(character: str) -> bool:
    return True


def _not_newline(character: str) -> bool:
    return character != "\n"


def _between(first: str, last: str) -> Test:
    return lambda character: first <= character <= last


def _not(test: Test) -> Test:
    return lambda character: not test(character)


def _one_of(tests: Sequence[Callable[[str], bool]], is_negated: bool, any_case: bool) -> Test:
    """Whether a character, in its own case or in any, passes one of the tests; or none of them."""

    def passes(character: str) -> bool:
        cases = _cases(character) if any_case else {character}
        is_found = any(test(each) for each in cases for test in tests)
        return is_found is not is_negated

    return passes


def _cases(character: str) -> set[str]:
    """A character in each of its cases; not those that become two."""
    lower, upper = character.lower(), character.upper()
    cases = {character, lower, upper, upper.lower(), lower.upper()}
    return {each for each in cases if len(each) == 1}
