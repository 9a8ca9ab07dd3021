"""A PostgreSQL server of our own: made from the binaries of the system, on loopback, gone when the tests are over."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
"""Where Debian puts its binaries, the newest version first."""
START_S = 60


def binary(name: str) -> str | None:
    """The path of one of PostgreSQL's programs, if it is installed."""
    for folder in FOLDERS:
        if (folder / name).exists():
            return str(folder / name)
    return shutil.which(name)


def is_installed() -> bool:
    """Whether there is a server to start."""
    return binary("initdb") is not None and binary("pg_ctl") is not None


class Postgres:
    """A running server."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self.folder = folder
        self.user = user
        self.port = _free_port()
        self._numbers = count()

    def address(self, database: str) -> str:
        """The address of one of its databases."""
        return f"postgresql://tests@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The address of a database that nobody has used yet."""
        name = f"runs{next(self._numbers)}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "tests", name)
        return self.address(name)

    def start(self) -> None:
        """Starts it, and waits until it takes connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=60"
        log = str(self.folder / "log")
        data = str(self.folder / "data")
        self._run("pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "-t", str(START_S), "start")

    def stop(self, how: str = "fast") -> None:
        """Stops it: "fast" ends connections in order, "immediate" is as if it had been killed."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", how, "-w", "stop")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It answers nobody meanwhile; its connections stay open."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = subprocess.run(
            ["pgrep", "-P", str(first)], capture_output=True, text=True, check=True
        )
        processes = [first, *map(int, children.stdout.split())]
        _signal(processes, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(processes, signal.SIGCONT)

    def _run(self, name: str, *arguments: str) -> None:
        program = binary(name)
        assert program is not None
        environment = {**os.environ, "LC_ALL": "C", "PGCONNECT_TIMEOUT": str(START_S)}
        done = subprocess.run(
            [program, *arguments],
            user=self.user,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"


@contextmanager
def running() -> Iterator[Postgres]:
    """A server of our own. It refuses to run as root, so root starts it as the user that the package has made."""
    user = "postgres" if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="graphflow-postgres-"))
    try:
        if user is not None:
            owner = pwd.getpwnam(user)
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        server = Postgres(folder, user)
        server._run("initdb", "-D", str(folder / "data"), "-U", "tests", "-A", "trust", "-N")
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _signal(processes: Sequence[int], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):  # a server's helpers come and go
            os.kill(process, number)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
