"""Run in a kernel before the first cell: a socket to anything but this machine is an error."""


def _only_here() -> None:
    import socket
    from typing import Any

    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise RuntimeError(f"a notebook tried to reach {address[0]}")
        real(self, address)

    socket.socket.connect = connect  # type: ignore[method-assign]


_only_here()
del _only_here
