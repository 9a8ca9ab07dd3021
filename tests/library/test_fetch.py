"""Web addresses: which are asked, which never, and how much of an answer is read."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import ssl
import threading
import tracemalloc
from typing import Any

import pytest

from graphflow import ToolError
from graphflow.errors import DeclarationError
from nodes.tools.fetch import Web, fetch, in_the_open, post
from tests.effort import soon
from tests.library.servers import served, text
from tests.library.using import asked, refusal, use


def test_a_model_fetches_a_text() -> None:
    with served({"/a": text("grüße")}) as server:
        ok, told = asked(fetch(allow_private=server.here), "fetch", url=f"{server.url}/a")
        assert ok
        assert json.loads(told) == {
            "url": f"{server.url}/a",
            "status": 200,
            "type": "text/plain",
            "text": "grüße",
            "cut": False,
            "location": "",
        }
        [(_, _, headers, _)] = server.requests
        assert headers["Host"] == f"127.0.0.1:{server.port}"


def test_a_server_of_ones_own_network_is_not_asked_unless_it_is_named() -> None:
    with served({"/": text("secret")}) as server:
        ok, told = asked(fetch(), "fetch", url=server.url)
        assert not ok
        assert "127.0.0.1, which is not in the open internet" in told
        for name in (
            "localhost",
            "0x7f.1",
            "2130706433",
            "127.1",
            "[::ffff:127.0.0.1]",
            "[::1]",
            "0.0.0.0",
            "0",
        ):
            assert refusal(fetch(), url=f"http://{name}:{server.port}/")
        assert "not in the open" in refusal(fetch(allow_private=["127.0.0.1:1"]), url=server.url)
        assert server.requests == []


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.5.5",
        "192.168.1.1",
        "127.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2001:0:1::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "",
        "example.com",
    ],
)
def test_addresses_that_are_not_in_the_open(address: str) -> None:
    assert not in_the_open(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::1"]
)
def test_addresses_that_are(address: str) -> None:
    assert in_the_open(address)


def names(**table: list[str]) -> Any:
    """A resolver that answers from a table, in turn, and counts how often it was asked."""

    async def resolve(host: str, port: int) -> list[str]:
        resolve.asked.append(host)  # type: ignore[attr-defined]
        found = table[host.replace(".", "_")]
        return [found.pop(0)] if len(found) > 1 else found

    resolve.asked = []  # type: ignore[attr-defined]
    return resolve


def test_a_name_that_changes_its_address_after_the_check_is_not_followed() -> None:
    """DNS rebinding: the first answer is harmless, the second one is this machine. The second is never asked for."""
    with served({"/": text("secret")}) as server:
        resolve = names(evil_test=["192.0.32.8", "127.0.0.1"])
        web = Web(resolve=resolve)
        url = web.checked(f"http://evil.test:{server.port}/")
        assert asyncio.run(web.addresses(url)) == ["192.0.32.8"]
        resolve = names(evil_test=["127.0.0.1", "192.0.32.8"])
        assert "not in the open" in refusal(
            fetch(resolve=resolve), url=f"http://evil.test:{server.port}/"
        )
        assert resolve.asked == ["evil.test"]
        assert server.requests == []


def test_the_connection_goes_to_the_address_that_was_judged_and_the_name_stays_the_hosts() -> None:
    with served({"/": text("hello")}) as server:
        resolve = names(good_test=["127.0.0.1", "10.0.0.1"])
        tool = fetch(resolve=resolve, allow_private=[f"good.test:{server.port}"])
        assert use(tool, url=f"http://good.test:{server.port}/").text == "hello"
        assert server.requests[0][2]["Host"] == f"good.test:{server.port}"
        assert resolve.asked == ["good.test"]


def test_tls_asks_for_the_name_not_for_the_address() -> None:
    """The server has no certificate, so nothing is read; but it has heard which name was meant."""
    heard: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _socket, name, _context: heard.append(str(name))

    def answer(server: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            server.accept()[0] as met,
            context.wrap_socket(met, server_side=True),
        ):
            pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        port = server.getsockname()[1]
        tool = fetch(resolve=names(good_test=["127.0.0.1"]), allow_private=[f"good.test:{port}"])
        assert "cannot be reached" in refusal(tool, url=f"https://good.test:{port}/")
        thread.join()
    assert heard == ["good.test"]


def test_one_private_address_among_others_is_enough_to_refuse() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["192.0.32.8", "10.0.0.1"]

    assert "10.0.0.1" in refusal(fetch(resolve=resolve), url="http://mixed.test/")


def test_each_redirect_is_judged() -> None:
    with served({"/secret": text("secret")}) as inner:
        pages = {
            "/out": text("", status=302, Location=f"{inner.url}/secret"),
            "/file": text("", status=302, Location="file:///etc/passwd"),
            "/user": text("", status=302, Location="http://u:p@example.com/"),
            "/loop": text("", status=302, Location="/loop"),
            "/odd": text("", status=302, Location="http://[oops"),
            "/ok": text("", status=301, Location="there?x=1"),
            "/there": text("arrived"),
        }
        with served(pages) as server:
            tool = fetch(allow_private=server.here)
            assert "not in the open" in refusal(tool, url=f"{server.url}/out")
            assert "no http" in refusal(tool, url=f"{server.url}/file")
            assert "password" in refusal(tool, url=f"{server.url}/user")
            assert "no http" in refusal(tool, url=f"{server.url}/odd")
            before = len(server.requests)
            assert "more than 5 redirects" in refusal(tool, url=f"{server.url}/loop")
            assert len(server.requests) - before == 6
            assert use(tool, url=f"{server.url}/ok").url == f"{server.url}/there?x=1"
        assert inner.requests == []


def test_a_redirect_to_a_host_that_is_not_on_the_list_is_refused() -> None:
    with served({"/": text("", status=302, Location="http://elsewhere.test/")}) as server:
        tool = fetch(["127.0.0.1"], allow_private=server.here)
        assert "'elsewhere.test' may not be asked" in refusal(tool, url=server.url)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("example.com", True),
        ("EXAMPLE.com.", True),
        ("a.docs.example.org", True),
        ("docs.example.org", False),
        ("evildocs.example.org", False),
        ("example.com.evil.test", False),
        ("notexample.com", False),
    ],
)
def test_hosts_are_compared_whole(host: str, allowed: bool) -> None:
    web = Web(["example.com", "*.docs.example.org"])
    if allowed:
        web.checked(f"https://{host}/")
    else:
        with pytest.raises(ToolError, match="may not be asked"):
            web.checked(f"https://{host}/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "//host/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "http://u:p@example.com/",
        "http://u@example.com",
        "http://[::1",
        "http://a\0b/",
        "javascript:alert(1)",
        "http://exa mple.com/",
        "http://a:99999/",
    ],
)
def test_what_is_no_address_to_ask_is_refused(url: str) -> None:
    assert refusal(fetch(), url=url) if url else "at least 1" in refusal(fetch(), url=url)


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with served({"/": text("direct")}) as server, served({}) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert use(fetch(allow_private=server.here), url=server.url).text == "direct"
        assert proxy.requests == []


def test_cookies_are_not_kept() -> None:
    pages = {"/": text("", status=302, Location="/b", Set_Cookie="a=1"), "/b": text("x")}
    with served(pages) as server:
        use(fetch(allow_private=server.here), url=server.url)
        assert "Cookie" not in server.requests[1][2]


def endless(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


over = threading.Event()
"""Set when a slow answer has been given up."""


def slow(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.end_headers()
    while not over.is_set():
        handler.wfile.write(b"x")
        handler.wfile.flush()
        over.wait(0.05)


def test_an_endless_answer_is_cut_and_a_slow_one_is_given_up() -> None:
    with served({"/": endless, "/slow": slow}) as server:
        answer = use(fetch(allow_private=server.here, most_bytes=100_000), url=server.url)
        assert (len(answer.text), answer.cut) == (100_000, True)
        assert "within 0.3 s" in refusal(
            fetch(allow_private=server.here, seconds=0.3), url=f"{server.url}/slow"
        )
        assert not over.is_set()
        over.set()


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"\0" * 200_000_000, 9)
    assert len(bomb) < 200_000
    pages = {
        "/": text(bomb, Content_Encoding="gzip"),
        "/good": text(gzip.compress(b"packed"), Content_Encoding="gzip"),
        "/bad": text(b"not gzip", Content_Encoding="gzip"),
        "/br": text(b"x", Content_Encoding="br"),
    }
    with served(pages) as server:
        tool = fetch(allow_private=server.here)
        tracemalloc.start()
        answer = use(tool, url=server.url)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert answer.cut
        assert len(answer.text) == 2_000_000
        assert peak < 30_000_000
        assert use(tool, url=f"{server.url}/good").text == "packed"
        assert "cannot be unpacked" in refusal(tool, url=f"{server.url}/bad")
        assert "packs with 'br'" in refusal(tool, url=f"{server.url}/br")


def test_what_is_no_text_is_refused_and_odd_charsets_do_no_harm() -> None:
    pages = {
        "/png": text(b"\x89PNG", kind="image/png"),
        "/latin": text("größe".encode("latin-1"), kind="text/html; charset=ISO-8859-1"),
        "/odd": text("größe", kind="text/plain; charset=rot13"),
        "/lie": text("größe".encode("latin-1"), kind="text/plain; charset=utf-8"),
        "/json": text("{}", kind="application/problem+json"),
    }
    with served(pages) as server:
        tool = fetch(allow_private=server.here)
        assert "is image/png" in refusal(tool, url=f"{server.url}/png")
        assert use(tool, url=f"{server.url}/latin").text == "größe"
        assert use(tool, url=f"{server.url}/odd").text == "größe"
        assert use(tool, url=f"{server.url}/lie").text == "gr��e"
        assert use(tool, url=f"{server.url}/json").text == "{}"
        assert use(tool, url=f"{server.url}/none").status == 404


@pytest.mark.parametrize(
    "charset",
    [
        "punycode",
        "idna",
        "utf-7",
        "unicode_escape",
        "raw_unicode_escape",
        "rot13",
        "hex",
        "x" * 999,
    ],
)
def test_a_charset_that_no_page_has_is_read_as_utf8(charset: str) -> None:
    """Python decodes punycode in quadratic time: two megabytes would take hours, on the event loop."""
    body = "a-" + "b" * 100_000
    with served({"/": text(body, kind=f"text/plain; charset={charset}")}) as server, soon():
        assert use(fetch(allow_private=server.here), url=server.url).text == body


@pytest.mark.parametrize(
    "charset",
    ["utf-16", "shift_jis", "EUC-KR", "gb18030", "windows-1251", "koi8-r", "Big5", "macintosh"],
)
def test_a_charset_of_pages_is_read(charset: str) -> None:
    said = {"macintosh": "été", "windows-1251": "чай", "koi8-r": "чай", "EUC-KR": "차"}.get(
        charset, "茶"
    )
    with served({"/": text(said.encode(charset), kind=f"text/plain; charset={charset}")}) as server:
        assert use(fetch(allow_private=server.here), url=server.url).text == said


def test_a_server_that_is_not_there_or_breaks_off_is_told() -> None:
    with served({}) as server:
        port = server.port
    assert "cannot be reached" in refusal(
        fetch(allow_private=[f"127.0.0.1:{port}"]), url=f"http://127.0.0.1:{port}/"
    )

    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError("Name or service not known")

    assert "has no address" in refusal(fetch(resolve=nowhere), url="http://no.test/")

    def breaks(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.close_connection = True

    with served({"/": breaks}) as server:
        assert "broke off" in refusal(fetch(allow_private=server.here), url=server.url)


def test_a_model_posts_and_a_redirect_is_told_not_followed() -> None:
    with served(
        {"/": text("made", status=201), "/r": text("", status=307, Location="/")}
    ) as server:
        tool = post(["127.0.0.1"], allow_private=server.here)
        assert tool.effects == {"network", "writes"}
        assert asked(tool, "post", url=server.url, body='{"a": 1}')[0]
        method, _, headers, body = server.requests[0]
        assert (method, headers["Content-Type"], body) == ("POST", "application/json", b'{"a": 1}')
        assert use(tool, url=f"{server.url}/r", body="x").location == "/"
        assert len(server.requests) == 2
        assert not asked(tool, "post", url=server.url, body="x", type="a/b\r\nX: y")[0]


def test_lists_that_are_texts_are_mistakes_of_the_declaration() -> None:
    for wrong in (
        {"hosts": "example.com"},
        {"allow_private": "127.0.0.1:80"},
        {"allow_private": ["localhost"]},
    ):
        with pytest.raises(DeclarationError):
            fetch(**wrong)  # type: ignore[arg-type]
