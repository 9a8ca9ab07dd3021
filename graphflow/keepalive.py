"""Connections whose other end has vanished: a machine that lost its power, a network that was unplugged, a NAT that forgot.

Nobody sends anything then, so that whoever only reads waits for ever. The system can ask the other end for a sign of life,
and gives the connection up when none comes. It is the other system that answers, not the program: one that is only busy
keeps its connection.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

IDLE_S = 10
"""Seconds of silence before the first question."""
EACH_S = 5
"""Seconds from one question to the next."""
ASKED = 3
"""Questions without an answer, after which the connection is lost."""
OPTIONS = (
    ("TCP_KEEPIDLE", IDLE_S),
    ("TCP_KEEPALIVE", IDLE_S),  # what macOS calls it
    ("TCP_KEEPINTVL", EACH_S),
    ("TCP_KEEPCNT", ASKED),
    ("TCP_USER_TIMEOUT", 1000 * (IDLE_S + ASKED * EACH_S)),  # the same for what was sent and never received
)


async def keep_alive(name: str, info: dict[str, Any]) -> None:
    """Sets this for each new connection; httpx calls it (its `trace` extension) with what it does."""
    if name.endswith("connect_tcp.complete"):
        set_keep_alive(info["return_value"].get_extra_info("socket"))


def set_keep_alive(sock: Any) -> None:
    """Has the system ask for signs of life."""
    with suppress(OSError, AttributeError):  # a stream that is no socket has none
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in OPTIONS:
            if (number := getattr(socket, option, None)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, number, value)
