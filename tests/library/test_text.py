"""Texts: counted, searched, replaced, compared and rewritten exactly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.tools import text as module
from nodes.tools.text import (
    change_case,
    count_text,
    diff_texts,
    extract_text,
    replace_text,
    text_tools,
)
from tests.effort import soon
from tests.library.using import asked, refusal, use


def test_a_model_counts_letters() -> None:
    assert asked(text_tools, "count_text", text="strawberry", piece="r") == (True, "3")
    _, text = asked(text_tools, "count_text", text="eins zwei\ndrü\n")
    assert json.loads(text) == {
        "characters": 14,
        "characters_without_spaces": 11,
        "words": 3,
        "lines": 2,
        "bytes": 15,
    }
    assert use(count_text, text="").lines == 0


def test_a_model_extracts_and_a_pattern_without_end_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MATCHING_S", 0.5)
    _, text = asked(text_tools, "extract_text", text="a1 b2", pattern=r"(\w)(\d)", most=1)
    assert json.loads(text) == [{"start": 0, "text": "a1", "groups": ["a", "1"]}]
    assert use(extract_text, text="Tea tea", pattern="tea", ignore_case=True)[0].start == 0
    ok, text = asked(text_tools, "extract_text", text="a" * 60 + "b", pattern="(a|aa)+$")
    assert (ok, "took longer than 0.5 s" in text) == (False, True)


def test_matches_that_hold_the_text_again_and_again_are_refused() -> None:
    told = refusal(extract_text, text="x" * 100_000, pattern="(?=(.*))", most=1_000)
    assert "more than 5000000 characters" in told


def test_replacing() -> None:
    assert use(replace_text, text="a.b.c", old=".", new="-").model_dump() == {
        "text": "a-b-c",
        "count": 2,
    }
    assert use(replace_text, text="a.b", old="(.)", new=r"<\1>", regex=True).text == "<a><.><b>"
    assert "more than" in refusal(replace_text, text="a" * 1000, old="a", new="b" * 10_000)
    assert "cannot be used" in refusal(replace_text, text="a", old="(", new="", regex=True)


def test_differences() -> None:
    assert (
        use(diff_texts, old="a\nb\nc", new="a\nx\nc", context=0)
        == "--- old\n+++ new\n@@ -2 +2 @@\n-b\n+x"
    )
    assert use(diff_texts, old="a", new="a") == ""
    assert "ends differ" in use(diff_texts, old="a\r\nb", new="a\nb")
    assert "part by part" in refusal(diff_texts, old="x\n" * 5001, new="")
    with soon():
        use(diff_texts, old="a\nb\n" * 2_400, new="b\na\nc\n" * 1_600)


@pytest.mark.parametrize(
    ("to", "result"),
    [
        ("lower", "don't say größe"),
        ("upper", "DON'T SAY GRÖSSE"),
        ("title", "Don't Say Größe"),
        ("sentence", "Don't say größe"),
        ("snake", "don_t_say_größe"),
        ("kebab", "don-t-say-größe"),
        ("camel", "donTSayGröße"),
        ("slug", "don-t-say-grosse"),
    ],
)
def test_cases(to: str, result: str) -> None:
    assert use(change_case, text="don't Say größe", to=to) == result


def test_names_are_taken_apart() -> None:
    assert use(change_case, text="HTTPServerName_v2", to="kebab") == "http-server-name-v2"
    assert use(change_case, text="…", to="camel") == ""
    assert not asked(change_case, "change_case", text="x", to="wild")[0]


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80), st.text(min_size=1, max_size=3), st.text(max_size=3))
def test_replacing_is_exact(text: str, old: str, new: str) -> None:
    done = use(replace_text, text=text, old=old, new=new)
    assert done.text == new.join(text.split(old))
    assert done.count == len(text.split(old)) - 1


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_a_slug_is_plain_and_stays_as_it_is(text: str) -> None:
    slug = use(change_case, text=text, to="slug")
    assert all(char.isascii() and (char.isalnum() or char == "-") for char in slug)
    assert slug == slug.lower()
    assert use(change_case, text=slug, to="slug") == slug
