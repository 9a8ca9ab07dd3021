"""Connections whose other end has vanished: a machine that lost its power, a network that was unplugged, a NAT that forgot.

Nobody sends anything then, so that whoever only reads waits for ever. The system can ask the other end for a sign of life,
and gives the connection up when none comes. It is the other system that answers, not the program: one that is only busy
keeps its connection.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any
from weakref import WeakSet

IDLE_S = 10
"""Seconds of silence before the first question."""
EACH_S = 5
"""Seconds from one question to the next."""
MAX_QUESTIONS = 3
"""Questions without an answer, after which the connection is lost."""
OPTIONS = (
    ("TCP_KEEPIDLE", IDLE_S),
    ("TCP_KEEPALIVE", IDLE_S),  # what macOS calls it
    ("TCP_KEEPINTVL", EACH_S),
    ("TCP_KEEPCNT", MAX_QUESTIONS),
    # The same for what was sent and never received.
    ("TCP_USER_TIMEOUT", 1000 * (IDLE_S + MAX_QUESTIONS * EACH_S)),
)


async def keep_alive(name: str, info: dict[str, Any]) -> None:
    """Sets this for each new connection; httpx calls it (its `trace` extension) with what it does."""
    if name.endswith("connect_tcp.complete"):
        set_keep_alive(info["return_value"].get_extra_info("socket"))


_seen: WeakSet[object] = WeakSet()
"""Connections for which this is set: finding the socket of one costs as much as reading a short answer."""


def set_late(stream: Any) -> None:
    """Sets this for a connection that may have been opened without a word to `keep_alive`."""
    if stream in _seen:
        return
    try:
        sock = stream.get_extra_info("socket")
        is_set = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    except (OSError, AttributeError):  # a stream that is not a socket has none
        return
    if not is_set:
        set_keep_alive(sock)
    with suppress(TypeError):  # a stream that nobody can refer to weakly is looked at each time
        _seen.add(stream)


class Idle:
    """Connections that wait to be used again, by address.

    A client tells of each connection that it opens, but only at the price of telling of everything else as well, which
    costs more than anything else that is done for a request. A request that will find an idle connection need not pay it.
    """

    def __init__(self, expiry_s: float) -> None:
        self._expiry_s = expiry_s
        self._since: dict[str, list[float]] = {}

    def give(self, address: str, now: float) -> None:
        """A connection has been given back."""
        self._since.setdefault(address, []).append(now)

    def take(self, address: str, now: float) -> bool:
        """Whether there is one for a request; then it is no longer idle."""
        since = self._since.get(address)
        if not since:
            return False
        newest = since.pop()
        if now - newest < self._expiry_s:
            return True
        since.clear()  # the older ones have expired, too
        return False


def set_keep_alive(sock: Any) -> None:
    """Has the system ask for signs of life."""
    with suppress(OSError, AttributeError):  # a stream that is not a socket has none
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in OPTIONS:
            number = getattr(socket, option, None)
            if number is not None:  # systems differ in which of them they have
                sock.setsockopt(socket.IPPROTO_TCP, number, value)
