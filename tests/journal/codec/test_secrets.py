"""Secrets out of rows and back: exactly, and nothing that somebody writes becomes one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphflow import redaction
from graphflow.journal.codec import secrets as module
from graphflow.journal.codec.secrets import EDGE, END, LEAD, hide, reveal
from graphflow.redaction import remember

SECRET = "Xq7-Zr2/Kp9+Wm4=Lt8"


@contextmanager
def only(*secrets: tuple[str, str]) -> Iterator[None]:
    """These are what was passed in, and nothing else."""
    stores: list[Any] = [
        redaction._given,
        redaction._remembered,
        redaction._starts,
        redaction._words,
    ]
    before = [dict(each) for each in stores]
    try:
        for store in stores:
            store.clear()
        redaction._known.clear()
        for label, secret in secrets:
            remember(secret, label)
        yield
    finally:
        for store, old in zip(stores, before, strict=True):
            store.clear()
            store.update(old)
        redaction._latest.clear()
        redaction._known.clear()


def there_and_back(text: str) -> str:
    hidden = hide(text)
    assert reveal(hidden) == text
    json.loads(hidden)
    return hidden


# -- what is hidden --------------------------------------------------------------------------------
def test_a_secret_is_a_reference_to_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_KEY", SECRET)
    text = json.dumps({"url": f"https://x/?key={SECRET}", SECRET: [SECRET, 1]})
    hidden = there_and_back(text)
    assert SECRET not in hidden
    assert hidden.count("SHOP_API_KEY") == 3


def test_words_and_what_only_looks_like_a_secret_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "postgres")
    text = json.dumps(["postgres", "sk-abcdefghijklmnopqrstuvwxyz0123456789"])
    assert hide(text) == text


HARD = 'pä"ss\\wörd/\n<&>\U0001f511 of mine'
WRITERS: list[Callable[[object], str]] = [
    json.dumps,
    lambda value: json.dumps(value, ensure_ascii=False),
]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("inner", [str, repr, quote, lambda text: quote(text, safe=""), *WRITERS])
def test_a_secret_is_found_however_it_is_written(write: Any, inner: Any) -> None:
    with only(("mine", HARD), ("other", SECRET)):
        for secret in (HARD, SECRET):
            if inner is quote and "/" in secret:
                continue
            hidden = there_and_back(write({"a": f"<{inner(secret)}>"}))
            assert json.loads(hidden)["a"].startswith(("<" + LEAD, "<'" + LEAD, '<"' + LEAD))
            assert json.loads(hidden)["a"].endswith((END + ">", END + "'>", END + '">'))


def test_other_writers_of_json_are_read_too() -> None:
    with only(("mine", SECRET), ("html", "a<b>&c'defgh")):
        escaped = SECRET.replace("/", "\\/")
        assert "Zr2" not in there_and_back(f'{{"a": "{escaped}"}}')
        called = '{"key": "a\\u003cb\\u003e\\u0026c\'defgh"}'
        assert "defgh" not in there_and_back(json.dumps({"arguments": called}))


def test_each_line_of_a_key_is_hidden() -> None:
    lines = [
        "-----BEGIN PRIVATE KEY-----",
        "MIIEvQIBADANBgkqhkiG9w0B",
        "AQEFAASCBKcwggSjAgEAAoIB",
        "-----END PRIVATE KEY-----",
    ]
    with only(("key", "\n".join(lines))):
        for text in ("\n".join(lines), "\r\n".join(lines), lines[2]):
            hidden = there_and_back(json.dumps(text))
            assert lines[1] not in hidden
            assert lines[2] not in hidden


def test_numbers_that_hold_a_secret_become_texts() -> None:
    number = "4111111111111111"
    with only(("card", number)):
        text = f'[{number}, -99{number}00.5, {{"{number}": "{number}"}}, 7, {number}]'
        hidden = there_and_back(text)
        assert number not in hidden
        assert hidden.count(EDGE) == 6
    assert json.loads(reveal(hidden))[0] == "[card]"


def test_secrets_that_lie_over_each_other_leave_no_rest() -> None:
    with only(("one", "abcdefgh12"), ("two", "gh12345678xyz"), ("long", "abcdefgh12345")):
        for text in ("abcdefgh12345678xyz", "<abcdefgh12>gh12345678xyzabcdefgh12", "abcdefgh12345"):
            hidden = there_and_back(json.dumps(text))
            for piece in ("abcdefgh", "345678", "xyz"):
                assert piece not in hidden
    with only(("again", "ab1ab1ab1")):
        hidden = there_and_back(json.dumps("ab1" * 3000 + "a"))
        assert "ab1" not in hidden.replace(":again", "")
        assert hidden.count(LEAD) == 1000


def test_an_escape_is_never_cut() -> None:
    with only(("n", "nabcdefg1"), ("e", "e9abcdefg"), ("u", "u00e9abcd"), ("zero", "00e9abc-")):
        for text in (
            r'"\nabcdefg1"',
            r'"\\nabcdefg1"',
            r'"\\\nabcdefg1"',
            r'"\u00e9abcdefg"',
            r'"\\u00e9abcdefg"',
            r'"x\u00e9abc-"',
        ):
            hidden = there_and_back(text)
            assert "abcdefg" not in hidden
            assert "abc-" not in hidden


# -- what nobody can write -------------------------------------------------------------------------
def test_what_looks_like_a_reference_is_only_text() -> None:
    with only(("mine", SECRET)):
        hidden = hide(json.dumps(SECRET))
        for text in (
            hidden,
            json.loads(hidden),
            hide(hidden),
            LEAD,
            END,
            LEAD + END,
            LEAD * 3,
            EDGE,
            f'"{EDGE}7{EDGE}"',
        ):
            for write in WRITERS:
                hidden_again = there_and_back(write([text]))
                assert SECRET not in reveal(hidden_again)


@pytest.mark.parametrize(
    "text",
    [r'"⟦abc.a:\q⟧"', r'"⟦abc.a:\u00⟧"', '"⟦abc.a+99999999999:x⟧"', '"⟦#⟧"', '"⟦"', '"⟦abc⟧"'],
)
def test_what_is_no_reference_is_left_as_it_is(text: str) -> None:
    assert reveal(text) == text


# -- other processes -------------------------------------------------------------------------------
def test_a_secret_that_is_not_known_is_shown_by_its_label() -> None:
    with only(('my "own"', SECRET)):
        hidden = hide(json.dumps({"a": f"<{SECRET}>"}))
    assert json.loads(reveal(hidden)) == {"a": '<[my "own"]>'}


def test_a_secret_that_has_changed_is_what_it_is_now() -> None:
    with only(("mine", SECRET)):
        hidden = hide(json.dumps([SECRET, quote(SECRET, safe="")]))
    with only(("mine", HARD)):
        assert json.loads(reveal(hidden)) == [HARD, quote(HARD, safe="")]


def test_of_several_secrets_of_a_label_it_is_the_same_one() -> None:
    many = [f"{number}-Xq7-Zr2-{number}" for number in range(600)]
    text = json.dumps(many)
    with only(*(("mine", secret) for secret in many)):
        hidden = there_and_back(text)
        assert "Xq7" not in hidden
    with only(*(("mine", secret) for secret in reversed(many))):
        assert reveal(hidden) == text
    with only(("mine", "another-Xq7"), ("mine", "and-another-Xq7")):
        assert json.loads(reveal(hidden))[0] == "[mine]"


def test_one_secret_under_two_labels_is_known_by_both() -> None:
    with only(("old", SECRET)):
        hidden = hide(json.dumps(SECRET))
    with only(("new", SECRET), ("old", SECRET)):
        assert json.loads(reveal(hidden)) == SECRET


# -- any value, any secrets ------------------------------------------------------------------------
letters = st.text('ab1"\\/né\n⟧:.+,', min_size=8, max_size=12).filter(
    lambda text: not redaction.is_word(text)
)
labels = st.text('aK"\\⟦⟧: ', min_size=1, max_size=4)
known = st.lists(st.tuples(labels, letters), max_size=4)


@st.composite
def values(draw: st.DrawFn, secrets: list[tuple[str, str]]) -> Any:
    pieces = st.sampled_from([secret for _, secret in secrets] or [""])
    text = st.lists(pieces | st.text('ab1"\\/né\n⟦⟧#u0.:', max_size=6), max_size=4).map("".join)
    leaves = text | pieces.map(json.dumps) | st.integers() | st.none()
    return draw(
        st.recursive(
            leaves,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=2),
            max_leaves=6,
        )
    )


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


@given(st.data())
def test_any_value_comes_back_and_holds_no_secret(data: st.DataObject) -> None:
    secrets = data.draw(known)
    value = data.draw(values(secrets))
    many = data.draw(st.sampled_from([0, 100]))
    with only(*secrets), pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MANY", many)
        for write in WRITERS:
            text = write(value)
            hidden = hide(text)
            assert reveal(hidden) == text
            assert hide(text) == hidden
            for _, secret in secrets:
                assert json.dumps(secret)[1:-1] not in hidden
                assert json.dumps(secret, ensure_ascii=False)[1:-1] not in hidden
            for shown in strings(json.loads(hidden)):
                assert not [secret for _, secret in secrets if secret in shown]


@given(st.text(st.sampled_from('⟦⟧#"\\abcu0:.+,7 ')))
def test_any_text_comes_back(text: str) -> None:
    with only(("mine", SECRET)):
        assert reveal(hide(text)) == text


def test_nothing_secret_costs_nothing() -> None:
    with only():
        text = json.dumps({"a": "b" * 100})
        assert hide(text) is text
        assert reveal(text) is text
