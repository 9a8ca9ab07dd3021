"""Asks web servers, and only such as stand in the open internet.

Rules:
1. A name is resolved once, every address of it is judged, and the connection goes to the address that was judged: a second
   answer of the name server (DNS rebinding) is never asked for. Host, SNI and certificate stay the name's.
2. Each hop of a redirect is judged like the first request.
3. No proxy, cookie or credential comes from anywhere but the factory's arguments.
4. What comes is counted as it comes, before and after it is unpacked; nothing is read beyond the limits.
"""

from __future__ import annotations

import asyncio
import codecs
import ipaddress
import re
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from graphflow import Message, Tool, ToolError, factory, tool
from graphflow.errors import DeclarationError
from graphflow.security import Untrusted

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 5
MAX_BYTES = 2_000_000
"""Bytes of a body that are read by default, and the most that it may unpack to."""
MAX_SECONDS = 30.0
MAX_ADDRESSES = 3
"""Addresses of a name that are tried before giving up."""
READABLE = (
    "text/",
    "application/json",
    "application/xml",
    "application/xhtml+xml",
    "application/javascript",
)

# What `ipaddress` calls global although a packet to it ends up at an IPv4 address that is written inside it, or may.
EMBEDDING = tuple(
    ipaddress.ip_network(each)
    for each in (
        "::/96",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "fec0::/10",
    )
)

CHARSETS = frozenset(
    [
        *("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "ascii"),
        *(f"iso8859-{part}" for part in range(1, 17) if part != 12),
        *(f"cp{page}" for page in (437, 850, 852, 866, 874, *range(1250, 1259))),
        *(
            "koi8-r",
            "koi8-u",
            "mac-roman",
            "mac-cyrillic",
            "tis-620",
            "hz",
            "johab",
            "cp949",
            "cp950",
            "cp932",
        ),
        *(
            "gb2312",
            "gbk",
            "gb18030",
            "big5",
            "big5hkscs",
            "euc_jp",
            "shift_jis",
            "euc_kr",
            "iso2022_jp",
            "iso2022_kr",
        ),
    ]
)
"""Charsets of pages, by Python's names: each decodes in linear time."""

HOST = re.compile(r"[a-z0-9._:-]+")
"""What a host looks like once httpx has read it: IDNA or an address, and nothing that is escaped."""

Url = Annotated[str, Field(min_length=1, max_length=4_000)]
Resolve = Callable[[str, int], Awaitable[list[str]]]


class Fetched(Message):
    """What a server answered. `cut` tells that there was more than was read."""

    url: str
    status: int
    type: str
    text: str
    cut: bool = False
    location: str = ""


async def resolved(host: str, port: int) -> list[str]:
    """The addresses of a name, as the system finds them."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(address[0]) for *_, address in found]
    return list(dict.fromkeys(addresses))


@dataclass(frozen=True)
class Web:
    """Which servers may be asked, and how much they may answer.

    Attributes:
        hosts: names that may be asked; `*.example.com` stands for all below example.com. None = all.
        allow_private: `host:port` pairs, as they stand in the URL, that may have any address: one's own network.
        headers: sent with every request to any host; not the place for a key if `hosts` is None.
        most_bytes: of a body, packed and unpacked.
        seconds: for everything, redirects included.
        resolve: finds the addresses of a name.
    """

    hosts: Sequence[str] | None = None
    allow_private: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    most_bytes: int = MAX_BYTES
    seconds: float = MAX_SECONDS
    resolve: Resolve = resolved

    def __post_init__(self) -> None:
        if isinstance(self.hosts, str) or isinstance(self.allow_private, str):
            raise DeclarationError("hosts and allow_private are lists of names, not one text")
        if any(":" not in each for each in self.allow_private):
            raise DeclarationError(
                f"allow_private={list(self.allow_private)!r}: write host:port, each with its port"
            )

    async def get(self, url: str) -> Fetched:
        """What is at an address, redirects followed."""
        return await self._within(self._follow(url))

    async def post(self, url: str, body: bytes, kind: str) -> Fetched:
        """What a server answers to a body; a redirect is reported, not followed, as the body was not meant for its target."""
        return await self._within(self._once("POST", url, body, kind))

    async def _within(self, answer: Awaitable[Fetched]) -> Fetched:
        try:
            async with asyncio.timeout(self.seconds):
                return await answer
        except TimeoutError:
            raise ToolError(
                f"no whole answer within {self.seconds:g} s; try again later, or ask another server"
            ) from None

    async def _follow(self, url: str) -> Fetched:
        import httpx

        # By hand, as httpx would go to a redirect's target without having it judged (rule 2).
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._once("GET", url)
            if not answer.location:
                return answer
            try:
                url = str(httpx.URL(url).join(answer.location))
            except (httpx.InvalidURL, ValueError):
                raise ToolError(
                    f"{url} leads to {answer.location[:200]!r}, which is not a URL; ask another"
                ) from None
        raise ToolError(
            f"more than {MAX_REDIRECTS} redirects, the last one to {url[:200]}; ask for another address"
        )

    async def _once(
        self, method: str, url: str, body: bytes | None = None, kind: str = ""
    ) -> Fetched:
        import httpx

        asked = self.checked(url)
        headers = {"User-Agent": "graphflow", **self.headers, "Accept-Encoding": "gzip, deflate"}
        headers["Host"] = asked.netloc.decode()
        if kind:
            headers["Content-Type"] = kind
        problem = "no address"
        # Nothing is kept from one hop to the next; addresses stand for names here, so cookies would go to the wrong ones.
        jar = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        async with httpx.AsyncClient(trust_env=False, cookies=jar, timeout=self.seconds) as client:
            for address in await self.addresses(asked):
                # To the address that was judged, under the name that was asked for (rule 1).
                request = client.build_request(
                    method,
                    asked.copy_with(host=address),
                    headers=headers,
                    content=body,
                    extensions={"sni_hostname": asked.raw_host.decode()},
                )
                try:
                    answer = await client.send(request, stream=True, follow_redirects=False)
                except httpx.ConnectError as error:
                    problem = str(error) or problem
                    continue
                except httpx.HTTPError as error:
                    reason = str(error) or type(error).__name__
                    raise ToolError(f"{asked.host} does not answer: {reason}; try later") from None
                try:
                    return await self._read(asked, answer)
                except httpx.HTTPError as error:
                    reason = str(error) or type(error).__name__
                    raise ToolError(f"{asked.host} broke off: {reason}; try later") from None
                finally:
                    await answer.aclose()
        raise ToolError(f"{asked.host} cannot be reached: {problem}; check the name, or try later")

    def checked(self, url: str) -> httpx.URL:
        """A URL that may be asked.

        Raises:
            ToolError: it is none, or its scheme, host or credentials are not allowed.
        """
        import httpx

        try:
            asked = httpx.URL(url.strip())
            host = asked.raw_host.decode().lower().rstrip(".")
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise ToolError(
                f"{url[:200]!r} is not a URL ({error}); write https://host/path"
            ) from None
        if asked.scheme not in ("http", "https") or not HOST.fullmatch(host):
            raise ToolError(f"{url[:200]!r} has no http or https address; write https://host/path")
        if asked.userinfo:
            raise ToolError(
                "the URL has a user name or password in it, which is not allowed; leave it out"
            )
        if self.hosts is None:
            return asked
        if not any(_is_like(host, each.lower()) for each in self.hosts):
            allowed = ", ".join(self.hosts) or "none"
            raise ToolError(f"{host!r} may not be asked; allowed are: {allowed}")
        return asked

    async def addresses(self, url: httpx.URL) -> list[str]:
        """The addresses of a URL's host, every one of them judged.

        Raises:
            ToolError: it has none, or one that is not in the open internet.
        """
        host = url.raw_host.decode()
        port = url.port or {"http": 80, "https": 443}[url.scheme]
        try:
            found = await self.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise ToolError(
                f"the name {host!r} has no address ({error}); check how it is written"
            ) from None
        # All of them: the one that is connected to is whichever answers.
        if f"{host}:{port}" not in self.allow_private:
            for address in found:
                if not in_the_open(address):
                    raise ToolError(
                        f"{host!r} is at {address}, which is not in the open internet; ask another host"
                    )
        return found[:MAX_ADDRESSES]

    async def _read(self, asked: httpx.URL, answer: httpx.Response) -> Fetched:
        status = answer.status_code
        written = answer.headers.get("content-type", "")
        kind = written.split(";")[0].strip().lower()  # without parameters such as `charset`
        location = answer.headers.get("location", "")
        if location and status in (301, 302, 303, 307, 308):
            return Fetched(url=str(asked), status=status, type=kind, text="", location=location)
        if kind and not kind.startswith(READABLE) and not kind.endswith(("+json", "+xml")):
            raise ToolError(
                f"{asked} is {kind}, which is not text; ask for a page, JSON or plain text"
            )
        content = bytearray()
        async for piece in unpacked(answer, self.most_bytes):
            content += piece
        part = content[: self.most_bytes]
        text = part.decode(_charset(answer), "replace")
        cut = len(content) > self.most_bytes
        return Fetched(url=str(asked), status=status, type=kind, text=text, cut=cut)


async def unpacked(answer: httpx.Response, most: int) -> AsyncIterator[bytes]:
    """A body as it comes, at most one byte more than `most` of it, unpacked without ever holding more than that.

    httpx unpacks each piece whole, and 64 KiB of gzip can be 64 MiB of zeros.
    """
    packing = answer.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("identity", "gzip", "x-gzip", "deflate", ""):
        raise ToolError(
            f"the server packs with {packing!r}, which it was not asked for; ask another server"
        )
    # 47: gzip or zlib.
    zipped = zlib.decompressobj(wbits=47) if packing in ("gzip", "x-gzip", "deflate") else None
    # Both are counted: a bomb is small before it is unpacked, and a server may send without an end.
    room = most + 1
    came = 0
    async for piece in answer.aiter_raw():
        came += len(piece)
        try:
            out = piece[:room] if zipped is None else zipped.decompress(piece, room)
        except zlib.error as error:
            raise ToolError(
                f"the server's answer cannot be unpacked ({error}); ask another address"
            ) from None
        room -= len(out)
        yield out
        if room <= 0 or came > most:
            return


def in_the_open(address: str) -> bool:
    """Whether an address is one that anybody on the internet can be at.

    Not so: private, loopback, link-local, shared (CGNAT), multicast, reserved, and IPv6 addresses with an IPv4 one inside.
    """
    try:
        judged = ipaddress.ip_address(address)
    except ValueError:  # with a zone, as in fe80::1%eth0
        return False
    if not judged.is_global or judged.is_multicast or judged.is_reserved:
        return False
    return not any(judged in network for network in EMBEDDING if network.version == judged.version)


def _is_like(host: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host == pattern


def _charset(answer: httpx.Response) -> str:
    """The charset that the server names, if it is one that pages are written in.

    Python knows more: `punycode` and `idna` take quadratic time, and others are not charsets of texts at all.
    """
    named = answer.charset_encoding or "utf-8"
    try:
        found = codecs.lookup(named).name
    except (LookupError, ValueError):
        return "utf-8"
    return found if found in CHARSETS else "utf-8"


def reached(hosts: Sequence[str] | None) -> Callable[[Any], list[str]] | None:
    """What policies are told that a tool with these hosts reaches: where it is sent, and all that may send it on to.

    None, where it may be sent on to anywhere.
    """
    if hosts is None:
        return None
    own = list(hosts)
    return lambda arguments: [arguments.url, *own]


@factory
def fetch(hosts: Sequence[str] | None = None, **limits: Any) -> Tool[Any, Any]:
    """The tool fetch: what is at an address.

    Args:
        hosts: names that may be asked, `*.example.com` for all below; None = all in the open internet.
        limits: as for `Web`: allow_private, headers, most_bytes, seconds, resolve.
    """
    web = Web(hosts, **limits)

    @tool(effects=["network"], hosts=reached(hosts), timeout_s=web.seconds + 5)
    async def fetch(url: Url) -> Untrusted[Fetched]:
        """Get the text at a web address, as the server sends it.

        Args:
            url: the address, beginning with https:// or http://.
        """
        return await web.get(url)

    return fetch


@factory
def post(hosts: Sequence[str], **limits: Any) -> Tool[Any, Any]:
    """The tool post: sends a body to one of some hosts. Options as for `fetch`."""
    web = Web(hosts, **limits)

    @tool(
        effects=["network", "writes"],
        paths=[],
        hosts=reached(hosts),
        concurrency_safe=False,
        timeout_s=web.seconds + 5,
    )
    async def post(
        url: Url,
        body: Annotated[str, Field(max_length=MAX_BYTES)],
        type: Annotated[
            str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$", max_length=100)
        ] = "application/json",
    ) -> Untrusted[Fetched]:
        """Send a text to a web address and get the answer; a redirect is reported as `location`, not followed.

        Args:
            url: the address, beginning with https:// or http://.
            body: the text to send.
            type: what kind of text it is.
        """
        return await web.post(url, body.encode("utf-8", "replace"), type)

    return post
