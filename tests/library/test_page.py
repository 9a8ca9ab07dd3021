"""Web pages as text: what is kept, what is dropped, and that no page breaks or delays it."""

from __future__ import annotations

import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.tools import page as module
from nodes.tools.page import page, page_text, page_title
from tests.effort import soon
from tests.library.servers import served, text
from tests.library.using import asked, use

SHOP = """<!DOCTYPE html><html><head><title>The &amp; Shop</title><style>p{}</style><script>if (a < b) "<p>no</p>"</script></head>
<body><nav><ul><li><a href="/">Home</a></ul></nav>
<h1>Tea &mdash; <em>fresh</em></h1>
<p>Buy   our <a href="tea?id=1">green
tea</a>.<br>Now!</p><p hidden>secret <b>words</b></p><div style="display: none">no<div>no</div></div>
<ul><li>one<li>two <ul><li>deep</li></ul></li></ul><ol><li>first</li><li>second</li></ol>
<pre><code>def f():
    return "&lt;b&gt;"
</code></pre>
<blockquote><p>wise</p></blockquote>
<table><thead><tr><th>Item<th>Price</thead><tr><td>Tea</td><td>2 | 3</td></tr></table>
<p>Use <code>pip</code> <img src=x alt="a cup"><a href="javascript:alert(1)">click</a></p>
</body></html>"""

MARKDOWN = """# Tea — *fresh*

Buy our [green tea](https://shop.test/a/tea?id=1).
Now!

- one
- two
  - deep

1. first
2. second

```
def f():
    return "<b>"

```

> wise

| Item | Price |
| --- | --- |
| Tea | 2 \\| 3 |

Use `pip` [image: a cup]click"""


def test_a_page_is_markdown_without_what_is_not_for_readers() -> None:
    assert page_text(SHOP, base="https://shop.test/a/") == MARKDOWN
    assert page_title(SHOP) == "The & Shop"


def test_a_model_reads_a_page() -> None:
    with served({"/": text(SHOP, kind="text/html"), "/t": text("1 < 2")}) as server:
        tool = page(allow_private=server.here)
        ok, told = asked(tool, "read_page", url=server.url)
        assert ok
        read = json.loads(told)
        assert (read["title"], read["status"], read["cut"]) == ("The & Shop", 200, False)
        assert f"[green tea]({server.url}/tea?id=1)" in read["text"]
        assert use(tool, url=f"{server.url}/t").text == "1 < 2"
        assert not asked(page(), "read_page", url=server.url)[0]


@pytest.mark.parametrize(
    ("broken", "read"),
    [
        ("", ""),
        ("plain", "plain"),
        ("a < b > c", "a < b > c"),
        ("<p>one<p>two", "one\n\ntwo"),
        ("</p></ul></table>x</a>", "x"),
        ("<p", ""),
        ("x<p class='", "x"),
        ("x<!-- never", "x"),
        ("x<!-- a -- > b -->y", "xy"),
        ("<script>x", ""),
        ("<SCRIPT>x</ScRiPt >y", "y"),
        ("<b><i>x</b></i>", "***x***"),
        ("<a href=http://a.test/>x", "[x](http://a.test/)"),
        ("<a href='http://[bad'>x</a>", "x"),
        ("&#0;&#xD800;&#99999999;&lt", "\ufffd\ufffd\ufffd<"),
        (f"&#{'9' * 5000};&#x{'f' * 5000}&#65;", "\ufffd\ufffdA"),
        (f"<img alt='&#{'9' * 5000};'>", "[image: \ufffd]"),
        (
            "<a href=http://a.test>x<a href=http://b.test>y</a>z</a>",
            "[x](http://a.test)[y](http://b.test)z",
        ),
        ("<td>loose</td>", "loose"),
        ("<nav>a<nav>b</nav>c</nav>d", "d"),
        ('<p title="a > b">x', "x"),
        ("<?php x ?>y", "y"),
        ("<p a=1 a=2 =x / //>y", "y"),
    ],
)
def test_broken_html(broken: str, read: str) -> None:
    assert page_text(broken) == read


@pytest.mark.parametrize(
    "bomb",
    [
        "<",
        "<!--",
        "<a ",
        '<a x="',
        "<![CDATA[",
        "</a",
        "&",
        "<div>",
        "<ul><li>",
        "<blockquote>",
        "<table><tr><td>",
        "<a href=http://a>",
        "<pre>",
        "<b>",
        "<script>",
        "</p>",
        "<p a=",
        "<nav>",
        "<p a ",
        "<title>",
        "a='\"",
        '<p "',
        "<h1>",
        "<br>",
        " ",
        "<li>",
        "<code>",
        "<p hidden>",
        "</",
        "<td>x",
        "<tr>",
        "<a href=http://a>x",
        "<td><a href=http://a>x</a>",
        "&#99999999999;",
    ],
)
def test_no_page_takes_long(bomb: str) -> None:
    with soon():
        page_text(bomb * (500_000 // len(bomb)))
        page_text("<a href=x>" + bomb * (200_000 // len(bomb)))


def test_links_in_links_take_no_more_time_than_links_in_a_row() -> None:
    """Each was written with all of those in it, so that time and text grew with the square."""
    nested = "<a href=http://a.test/b>x" * 20_000 + "</a>" * 20_000
    row = "<a href=http://a.test/b>x</a>" * 20_000
    assert page_text(nested) == page_text(row)


def test_a_page_is_read_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    where: list[int] = []

    def noted(source: str, *, base: str = "") -> str:
        where.append(threading.get_ident())
        return page_text(source, base=base)

    monkeypatch.setattr(module, "page_text", noted)
    with served({"/": text("<p>x</p>", kind="text/html")}) as server:
        ok, _ = asked(page(allow_private=server.here), "read_page", url=server.url)
    assert ok
    assert where
    assert where != [threading.get_ident()], (
        "a large page takes a second: the loop has other walks to serve"
    )


pieces = st.sampled_from(
    [
        "<p>",
        "</p>",
        "<a href='",
        "'>",
        "</a>",
        "<ul>",
        "<li>",
        "</ul>",
        "<table>",
        "<tr>",
        "<td>",
        "</td>",
        "</table>",
        "<pre>",
        "</pre>",
        "<",
        ">",
        "&",
        "&amp;",
        "x",
        " ",
        "\n",
        "<!--",
        "-->",
        "<script>",
        "</script>",
        "<h2>",
        "</h2>",
        "<b>",
        '"',
        "|",
        "\0",
        "é",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(pieces, max_size=40).map("".join)))
def test_it_never_raises_and_never_shows_a_script(source: str) -> None:
    assert isinstance(page_text(source, base="https://a.test"), str)
    assert isinstance(page_title(source), str)
    assert "MARK" not in page_text(f"<script>{source.replace('<', '')}MARK</script>")


words = st.lists(st.sampled_from(["tea", "jam", "a", "b"]), min_size=1, max_size=5).map(" ".join)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["p", "div", "h1", "li", "section"]), words), max_size=8))
def test_every_word_that_is_shown_is_kept_in_order(blocks: list[tuple[str, str]]) -> None:
    source = "".join(f"<{tag}>{said}</{tag}>" for tag, said in blocks)
    kept = page_text(source).replace("#", " ").replace("- ", " ").split()
    assert kept == " ".join(said for _, said in blocks).split()
