"""Regular expressions: they end, whatever they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphflow import ToolError
from nodes._support.patterns import matches, matching_lines, replaced
from tests.leftovers import children
from tests.waiting import until

FOREVER = "(a+)+$"
VICTIM = "a" * 60 + "b"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_pattern_that_would_take_for_ever_is_stopped_and_its_process_is_gone() -> None:
    before = children()
    with pytest.raises(ToolError, match="took longer than"):
        matching_lines(FOREVER, [VICTIM], seconds=0.3)
    until(lambda: children() <= before)


def test_lines_are_counted_as_editors_count_them() -> None:
    text = "one\r\ntwo\u2028still two\rthree\x0bstill three\nfour"
    assert matching_lines("four", [text]) == [(0, 4, "four")]
    assert matching_lines("f[o]ur", ["x", text]) == [(1, 4, "four")]
    assert [line for _, line, _ in matching_lines("T", [text], ignore_case=True)] == [2, 3]


def test_a_literal_and_a_pattern_find_the_same() -> None:
    texts = ["a cat\nno\ncat", "", "concatenate"]
    assert matching_lines("cat", texts) == matching_lines("(?:cat)", texts)
    assert matching_lines("cat", texts, most=2) == matching_lines("(?:cat)", texts, most=2)


def test_of_a_long_line_the_part_that_matched_is_shown() -> None:
    [(_, _, line)] = matching_lines("need[l]e", ["x" * 10_000 + "needle" + "y" * 10_000])
    assert "needle" in line
    assert len(line) < 400
    [(_, _, line)] = matching_lines("x+", ["x" * 10_000])
    assert len(line) < 400


def test_matches_have_places_and_groups() -> None:
    assert matches(r"(\w)=(\d)?", "a=1 b=") == [
        (0, 3, "a=1", ["a", "1"]),
        (4, 6, "b=", ["b", None]),
    ]


def test_replacing_counts_and_is_bounded() -> None:
    assert replaced(r"(\w+)@", r"\1 at ", "me@home you@work") == ("me at home you at work", 2)
    with pytest.raises(ToolError, match="more than 100 characters"):
        replaced("", "x" * 50, "abc", most=100)
    with pytest.raises(ToolError, match="invalid group reference"):
        replaced("a", r"\7", "abc")


@pytest.mark.parametrize(
    "wrong", ["(", "a**", "[z-a]", "(?P<x>", "(" * 5000, "a{99999999999999}", "\\"]
)
def test_a_wrong_pattern_is_told_as_such(wrong: str) -> None:
    with pytest.raises(ToolError, match="pattern"):
        matches(wrong, "text")


def test_what_needs_too_much_memory_is_refused() -> None:
    with pytest.raises(ToolError, match=r"memory|longer"):
        replaced("a", "b" * 100_000, "a" * 20_000, most=10**12, seconds=1)
