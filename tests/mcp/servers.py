"""Which servers the tests drive, and how they are started."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import until

HERE = Path(__file__).parent
SCRIPTS = Path(sysconfig.get_path("scripts"))
TOKEN = "a-token-of-the-tests"


def dynamic(*flags: str) -> list[str]:
    """The server of these tests, over standard streams."""
    return [sys.executable, str(HERE / "dynamic.py"), "stdio", *flags]


def replayed(recording: Path, *flags: str) -> list[str]:
    """A recorded server, over standard streams."""
    return [sys.executable, str(HERE / "replay.py"), str(recording), *flags]


def published(name: str) -> list[str]:
    """A published server of PyPI."""
    program = SCRIPTS / name
    if not program.exists():
        pytest.fail(f"{name} belongs to the extra 'test' and is not installed")
    return [str(program)]


def npm(package: str) -> list[str]:
    """A published server of npm; `$GRAPHFLOW_NPM` names the folder with `node_modules`."""
    folder, node = os.environ.get("GRAPHFLOW_NPM"), shutil.which("node")
    if folder is None or node is None:
        pytest.skip("needs node, and $GRAPHFLOW_NPM: a folder where `npm install` put the servers")
    return [
        node,
        str(
            Path(folder) / "node_modules" / "@modelcontextprotocol" / package / "dist" / "index.js"
        ),
    ]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def over_http(*flags: str, port: int | None = None) -> Iterator[str]:
    """The address of the server of these tests, over HTTP; it wants `TOKEN`."""
    port = port or free_port()
    command = [sys.executable, str(HERE / "dynamic.py"), "http", str(port), TOKEN, *flags]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until(lambda: process.poll() is not None or listens(port))
        assert process.poll() is None, "the server ended"
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    """Whether somebody does, on this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
