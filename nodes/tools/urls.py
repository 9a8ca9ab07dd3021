"""Addresses in the web, taken apart and put together. Nothing is asked for: `fetch` does that."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit, urlunsplit

from pydantic import Field

from graphflow import Message, ToolError, tool

MAX_FIELDS = 200
Url = Annotated[str, Field(min_length=1, max_length=4_000)]
Text = Annotated[str, Field(max_length=20_000)]
Part = Annotated[str, Field(max_length=2_000)]
Query = Annotated[dict[str, Part | list[Part]], Field(max_length=MAX_FIELDS)]


class UrlParts(Message):
    """The parts of an address. A user's name or password in it is left out, and `has_login` tells that there was one."""

    scheme: str
    host: str
    port: int | None = None
    path: str = ""
    query: tuple[tuple[str, str], ...] = ()
    fragment: str = ""
    has_login: bool = False


@tool(effects=[])
def parse_url(url: Url) -> UrlParts:
    """Take an address apart: scheme, host, port, path, query, fragment.

    Args:
        url: the address.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
        fields = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise ToolError(
            f"this is not an address: {error}; write https://host/path?name=value"
        ) from None
    return UrlParts(
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=port,
        path=unquote(parts.path),
        query=tuple(fields),
        fragment=unquote(parts.fragment),
        has_login="@" in parts.netloc,
    )


@tool(effects=[])
def build_url(base: Url, path: Part = "", query: Query | None = None, fragment: Part = "") -> str:
    """Put an address together; everything is escaped as it has to be.

    Args:
        base: what it begins with, such as https://example.org or https://example.org/api/.
        path: a path to add; one that begins with a slash takes the place of the path of the base.
        query: names and values to add to its query; a list gives a name several times.
        fragment: what stands behind the #.
    """
    try:
        parts = urlsplit(base.strip())
        port = parts.port
    except ValueError as error:
        raise ToolError(f"the base is not an address: {error}; write https://host") from None
    host = _host(parts.scheme, parts.hostname)
    if "@" in parts.netloc:
        raise ToolError(
            "the base has a login in it, which does not belong into addresses; leave it out"
        )
    joined = parts.path
    if path:
        joined = urljoin(parts.path or "/", quote(path, safe="/~"))
    fields = parse_qsl(parts.query, keep_blank_values=True)
    fields += _fields(query or {})
    place = host if port is None else f"{host}:{port}"
    asked = urlencode(fields)
    anchor = quote(fragment, safe="/~")
    return urlunsplit((parts.scheme, place, joined, asked, anchor))


def _host(scheme: str, host: str | None) -> str:
    if not scheme or not host:
        raise ToolError("the base has no scheme or no host; write https://host")
    # An address of version 6 stands in brackets, or its colons would be taken for that of a port.
    return f"[{host}]" if ":" in host else host


def _fields(query: Query) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    for name, value in query.items():
        # A list gives its name several times, as forms do.
        values = value if isinstance(value, list) else [value]
        for each in values:
            fields.append((name, each))
    return fields


@tool(effects=[])
def join_url(base: Url, reference: Url) -> str:
    """Tell where a link on a page leads.

    Args:
        base: the address of the page.
        reference: the link as it stands there, such as ../next.html or ?page=2.
    """
    try:
        return urljoin(base.strip(), reference.strip())
    except ValueError as error:
        raise ToolError(f"this is not an address: {error}; write https://host/path") from None


@tool(effects=[])
def escape_url(text: Text, undo: bool = False) -> str:
    """Escape a text for use as one part of an address (%20 for a space), or read an escaped one.

    Args:
        text: the text.
        undo: whether it is escaped, and to be read.
    """
    return unquote(text) if undo else quote(text, safe="")


url_tools = (parse_url, build_url, join_url, escape_url)
"""All of them, for an agent's `tools`."""
