"""Addresses, taken apart and put together."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.tools.urls import build_url, escape_url, join_url, parse_url, url_tools
from tests.library.using import asked, refusal, use


def test_a_model_takes_an_address_apart() -> None:
    ok, text = asked(url_tools, "parse_url", url="https://shop.example:8443/a%20b?x=1&x=2&y=#top")
    assert ok
    assert json.loads(text) == {
        "scheme": "https",
        "host": "shop.example",
        "port": 8443,
        "path": "/a b",
        "query": [["x", "1"], ["x", "2"], ["y", ""]],
        "fragment": "top",
        "has_login": False,
    }


def test_a_login_is_left_out() -> None:
    parts = use(parse_url, url="https://ada:secret@shop.example/")
    assert parts.has_login
    assert "secret" not in parts.model_dump_json()
    assert "ada" not in parts.model_dump_json()


@pytest.mark.parametrize(
    ("given_parts", "url"),
    [
        ({"base": "https://a.org"}, "https://a.org"),
        ({"base": "https://a.org/api/", "path": "users"}, "https://a.org/api/users"),
        ({"base": "https://a.org/api", "path": "/x y"}, "https://a.org/x%20y"),
        (
            {"base": "https://a.org?k=1", "query": {"q": "a&b", "t": ["1", "2"]}},
            "https://a.org?k=1&q=a%26b&t=1&t=2",
        ),
        ({"base": "http://[::1]:80/", "fragment": "a b"}, "http://[::1]:80/#a%20b"),
    ],
)
def test_an_address_is_put_together(given_parts: dict[str, object], url: str) -> None:
    assert use(build_url, **given_parts) == url


@pytest.mark.parametrize(
    ("base", "told"),
    [
        ("example.org", "no scheme or no host"),
        ("https://a:b@c.org", "a login in it"),
        ("http://[", "not an address"),
        ("http://a:99999", "not an address"),
    ],
)
def test_a_base_that_is_none_is_told(base: str, told: str) -> None:
    assert told in refusal(build_url, base=base)


def test_what_is_no_address_is_told() -> None:
    assert "not an address" in refusal(parse_url, url="http://[")
    assert "not an address" in refusal(parse_url, url="http://a:b")
    assert "not an address" in refusal(parse_url, url="http://a/?" + "&".join(["x=1"] * 300))
    assert "not an address" in refusal(join_url, base="http://a", reference="http://[")


def test_a_link_leads_where_it_leads() -> None:
    assert use(join_url, base="https://a.org/b/c", reference="../d?e") == "https://a.org/d?e"


@given(st.text(max_size=200).filter(lambda text: text.isprintable()))
def test_what_is_escaped_is_read_again(text: str) -> None:
    assert use(escape_url, text=use(escape_url, text=text), undo=True) == text


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii"), min_size=1, max_size=9),
        st.text(st.characters(codec="utf-8"), max_size=9),
        max_size=5,
    )
)
def test_a_query_comes_back(query: dict[str, str]) -> None:
    url = use(build_url, base="https://a.org/", query=query)
    assert dict(use(parse_url, url=url).query) == query
