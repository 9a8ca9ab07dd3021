from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphflow.errors import SecretInvalid
from graphflow.secrets import automaton as automaton_module
from graphflow.secrets.automaton import SecretAutomaton
from graphflow.secrets.declared import Secrets
from graphflow.secrets.mask import MaskedStream
from tests.secrets.cuts import (
    automaton_of,
    check_cuts,
    masked_by_oracle,
    names_of,
    spans_of,
)

TEXTS = st.text(alphabet="ab", min_size=0, max_size=40)
SECRETS = st.lists(st.text(alphabet="ab", min_size=8, max_size=12), min_size=1, max_size=4)


def test_cuts_change_nothing_and_agree_with_the_oracle() -> None:
    assert check_cuts(4_000, seed=7) > 0


@given(values=SECRETS, text=TEXTS, cuts=st.lists(st.integers(0, 40), max_size=6))
def test_values_over_two_letters_agree_with_the_oracle(
    values: list[str], text: str, cuts: list[int]
) -> None:
    values = list(dict.fromkeys(values))
    stream = MaskedStream(automaton_of(values, ()), names_of(values, ()))
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    got = "".join(stream.feed(text[a:b]) for a, b in itertools.pairwise(places))
    assert got + stream.end() == masked_by_oracle(text, spans_of(text, values, ()))


@given(values=SECRETS, text=TEXTS)
def test_nothing_is_held_but_the_beginning_of_a_secret(values: list[str], text: str) -> None:
    stream = MaskedStream(automaton_of(values, ()), names_of(values, ()))
    for end, character in enumerate(text, 1):
        stream.feed(character)
        come = text[:end]
        beginnings = [
            length
            for value in values
            for length in range(1, len(value))
            if come.endswith(value[:length])
        ]
        assert stream.waiting <= max(beginnings, default=0)


def test_a_certain_match_is_masked_at_once_and_its_rest_swallowed() -> None:
    secrets = Secrets(patterns={"pem": "-----BEGIN KEY-----[A-Za-z0-9\n]*(?:-----END KEY-----)?"})
    stream = secrets.open().stream()
    assert stream.feed("see -----BEGIN KEY-----") == "see [pem]"
    for _ in range(100):
        assert stream.feed("MIIEvQIBADANBgkqhkiG9w0B\n") == ""
        assert stream.waiting == 0
    assert stream.feed("-----END KEY----- done") + stream.end() == " done"


def test_secrets_that_overlap_or_touch_become_one_mark() -> None:
    opened = Secrets({"one": "abcdefgh12", "two": "gh12345678", "three": "zyxwvuts"}).open()
    assert opened.mask("<abcdefgh12345678zyxwvuts>") == "<[one]>"


def test_a_stream_can_be_used_again() -> None:
    stream = Secrets({"key": "correct-horse"}).open().stream()
    assert stream.feed("correct-") + stream.end() == "correct-"
    assert stream.feed("horse correct-horse") + stream.end() == "horse [key]"


def test_states_that_are_too_many_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(automaton_module, "MOST_KNOWN", 12)
    assert check_cuts(400, seed=3) > 0


@pytest.mark.parametrize("way", ["json", "ascii json", "url", "form", "html", "repr", "json twice"])
def test_a_secret_is_found_however_it_is_written(way: str) -> None:
    import html
    import json
    from urllib.parse import quote, quote_plus

    value = "pä/ss&wo<rd>\"q' \\%7"
    written = {
        "json": json.dumps({"k": value}, ensure_ascii=False),
        "ascii json": json.dumps({"k": value}),
        "url": f"https://x/?k={quote(value, safe='')}",
        "form": f"k={quote_plus(value)}&",
        "html": f"<b>{html.escape(value)}</b>",
        "repr": repr([value]),
        "json twice": json.dumps({"arguments": json.dumps({"k": value})}),
    }[way]
    masked = Secrets({"pass": value}).open().mask(written)
    assert "[pass]" in masked
    assert "wo" not in masked


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("[a-z]+@corp", "without bound"),
        ("abcdefgh(?:x*y)?", "without bound"),
        ("abcd(?=x)", "ahead or back"),
        ("(?<!x)abcd", "ahead or back"),
        (r"(abcd)\1", "refers back"),
        ("^abcdefgh", "begins or ends"),
        ("x{0,9}", "matches 0"),
        ("abc", "matches 3"),
        ("(a{1,999}b){1,999}", "too many states"),
        ("ab(", "cannot read"),
        ("(?>abcd)", "atomic"),
        ("a" * 20_000, "20,000 characters"),
    ],
)
def test_a_pattern_that_no_stream_can_follow_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(SecretInvalid, match=why):
        Secrets(patterns=[pattern])


@pytest.mark.parametrize("boundary", ["(?<![A-Za-z0-9])", r"\b"])
def test_a_pattern_may_begin_where_a_word_does(boundary: str) -> None:
    opened = Secrets(patterns={"sk": boundary + "sk-[a-z]{8,}"}).open()
    assert opened.mask("sk-abcdefgh task-abcdefgh") == "[sk] task-abcdefgh"


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\w{4}-\d{4}", "grün-١٢٣٤"),
        (r"[^\W\d]{4}\s\S{2}", "abcd\u00a0x!"),
        ("(?s)ab.cd", "ab\ncd"),
        ("(?i)STRASSE-[k]{3}", "strasse-Kkk"),
        ("[^a-y]{5}", "zzzz0"),
    ],
)
def test_patterns_mean_what_they_mean_to_python(pattern: str, text: str) -> None:
    opened = Secrets(patterns={"p": pattern}).open()
    assert opened.mask(text) == "[p]"
    assert opened.mask("a" + text[1:-1] + "\n") == "a" + text[1:-1] + "\n"


def test_a_thousand_secrets_share_one_automaton() -> None:
    chance = random.Random(5)
    values = {f"k{n}": f"{chance.randrange(10**12):012d}-{n}" for n in range(1000)}
    opened = Secrets(values).open()
    text = " ".join(values.values())
    assert opened.mask(text) == " ".join(f"[{name}]" for name in values)
    assert isinstance(opened.automaton, SecretAutomaton)
    assert Secrets(dict(values)).open() is opened


@pytest.mark.parametrize("value", ["", "hunter2", "1234567", "   hunter2   "])
def test_a_value_below_eight_characters_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(SecretInvalid) as raised:
        Secrets({"pin": value})
    assert "'pin'" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("name", ["", "a b", '"x"', "[x]", "x" * 101, "1x"])
def test_a_name_that_texts_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(SecretInvalid):
        Secrets({name: "correct-horse"})


def test_a_name_that_holds_a_secret_is_refused() -> None:
    with pytest.raises(SecretInvalid) as raised:
        Secrets({"correct-horse": "correct-horse"}).open()
    assert "correct-horse" not in str(raised.value)
