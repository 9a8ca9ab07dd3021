"""Programs of Python, as tests start them: like `subprocess`, and forked from one that has graphflow loaded.

    done = programs.run("-m", "graphflow", "runs", cwd=project)
    with programs.start("-c", CODE, stdout=PIPE) as program: ...

What needs an interpreter of its own (other options than `-m` and `-c`, another `PYTHON...` variable, a look at what is imported)
is started by `subprocess` itself.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, CompletedProcess, TimeoutExpired
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 60.0


class Program:
    """A program that runs; what `subprocess.Popen` is for processes of one's own."""

    def __init__(
        self,
        *arguments: str,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        text: bool = False,
    ) -> None:
        assert arguments[0] in ("-m", "-c")
        self.args = [sys.executable, *arguments]
        self.returncode: int | None = None
        self._said: dict[str, Any] = {}
        self.stdin, read = _input(stdin, text)
        self.stdout, written = _output(stdout, 1, text)
        self.stderr, complained = (None, written) if stderr == STDOUT else _output(stderr, 2, text)
        request = {
            "arguments": list(arguments),
            "folder": os.path.abspath(cwd or os.getcwd()),
            "environment": dict(os.environ if env is None else env),
        }
        told, telling = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # a line a message
        self._told = told
        streams = [read, written, complained, telling.fileno()]
        socket.send_fds(_server()[0], [json.dumps(request).encode()], streams)
        telling.close()
        for ours in {read, written, complained} - {0, 1, 2, *_given(stdin, stdout, stderr)}:
            os.close(ours)
        self.pid = int(told.recv(100))

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *error: object) -> None:
        for stream in (self.stdout, self.stderr, self.stdin):
            if stream is not None:
                stream.close()
        self.wait()

    def poll(self) -> int | None:
        """The return code, or None while it runs."""
        try:
            return self.wait(0.0)
        except TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Its return code, as soon as it has ended."""
        if self.returncode is None:
            self._told.settimeout(timeout or (None if timeout is None else 1e-6))
            try:
                line = self._told.recv(100)
            except (TimeoutError, BlockingIOError):
                raise TimeoutExpired(self.args, timeout or 0.0) from None
            assert line, "the fork server has ended"
            self.returncode = int(line)
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, input: Any = None, timeout: float | None = None) -> tuple[Any, Any]:
        """Writes to it, reads all that it says, waits for its end: what it has written to both streams."""
        said = self._said

        def read(name: str, stream: IO[Any]) -> None:
            said[name] = stream.read()
            stream.close()

        streams = {"stdout": self.stdout, "stderr": self.stderr}
        unread = [each for each in streams.items() if each[1] and not each[1].closed]
        readers = [threading.Thread(target=read, args=each) for each in unread]
        for reader in readers:
            reader.start()
        if self.stdin is not None and not self.stdin.closed:
            try:
                self.stdin.write(input or ("" if isinstance(self.stdin, io.TextIOBase) else b""))
                self.stdin.close()
            except BrokenPipeError:  # it does not read to the end
                pass
        try:
            self.wait(timeout)
        except TimeoutExpired:
            self.kill()
            self.wait()
            raise
        finally:
            for reader in readers:
                reader.join()
        return said.get("stdout"), said.get("stderr")


def start(*arguments: str, **options: Any) -> Any:
    """A program that runs: a `Program`, or a `subprocess.Popen` where nothing can be forked."""
    if _can_fork(options.get("env")):
        return Program(*arguments, **options)
    return subprocess.Popen([sys.executable, *arguments], **options)


def run(
    *arguments: str,
    input: Any = None,
    stdin: Any = None,
    timeout: float = PATIENCE_S,
    check: bool = False,
    capture_output: bool = True,
    **options: Any,
) -> CompletedProcess[Any]:
    """Runs a program to its end; its output is captured.

    Raises:
        subprocess.CalledProcessError: `check=True`, and its return code is not 0.
        subprocess.TimeoutExpired: it has not ended in so many seconds.
    """
    pipes = {"stdout": PIPE, "stderr": PIPE} if capture_output else {}
    given = PIPE if input is not None else stdin
    program = start(*arguments, stdin=given, **{**pipes, **options})
    with program:
        said = program.communicate(input, timeout)
    done = CompletedProcess(program.args, program.returncode, *said)
    if check:
        done.check_returncode()
    return done


def processes() -> list[int]:
    """The fork server of this process, if there is one."""
    return [_server()[1]] if _server.cache_info().currsize else []


def _can_fork(env: Mapping[str, str] | None) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    env = os.environ if env is None else env
    return _of_the_interpreter(env) == _of_the_interpreter(os.environ)


def _of_the_interpreter(env: Mapping[str, str]) -> dict[str, str]:
    """What Python reads from the environment as it starts, which is too late for one that runs."""
    names = {name for name in env if name.startswith(("PYTHON", "LC_", "LANG"))}
    return {name: env[name] for name in names - {"PYTHONPATH"}}


@cache
def _server() -> tuple[socket.socket, int]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2_000_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fork_server", str(theirs.fileno())],
        cwd=ROOT,
        pass_fds=[theirs.fileno()],
        stdin=DEVNULL,
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours, process.pid


def _input(given: Any, text: bool) -> tuple[Any, int]:
    """Our end of what it reads, if there is one, and its own."""
    if given == PIPE:
        theirs, ours = os.pipe()
        return open(ours, "w" if text else "wb"), theirs
    if given == DEVNULL:
        return None, os.open(os.devnull, os.O_RDONLY)
    return None, 0 if given is None else _number(given)


def _output(given: Any, number: int, text: bool) -> tuple[Any, int]:
    """The same of what it writes."""
    if given == PIPE:
        ours, theirs = os.pipe()
        return open(ours, "r" if text else "rb"), theirs
    if given == DEVNULL:
        return None, os.open(os.devnull, os.O_WRONLY)
    return None, number if given is None else _number(given)


def _number(given: Any) -> int:
    return given if isinstance(given, int) else given.fileno()


def _given(*streams: Any) -> list[int]:
    special = (None, PIPE, DEVNULL, STDOUT)
    return [_number(each) for each in streams if each not in special]
