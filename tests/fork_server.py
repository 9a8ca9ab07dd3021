"""A Python in which graphflow is loaded already, and which forks a program each time it is asked to.

A program of graphflow computes for most of a second before it does anything: it imports. The tests start many hundreds of them,
and here the imports are done once. What is forked is a process of its own, with its own arguments, environment, folder and
streams, that runs what `python -m module` or `python -c code` would run, and ends as that would.

The server stands on a socket that its parent has opened, and ends when the parent closes it:

    parent                      server                      program
      | request, three streams --> |                            |
      |                            | fork --------------------> |
      | <--------------------- pid |                            | runs
      | <------------- return code | <----------------- its end |
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import random
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
import types
from dataclasses import dataclass, field
from typing import Any

MOST_BYTES = 1_000_000
"""Bytes that a request may have: arguments and environment."""
UNLOADED = ("graphflow.notebook.", "graphflow.library", "graphflow._")
"""What no command needs to start, and what imports the nodes and graphs of a project."""


@dataclass
class Request:
    """What a program is to be."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]


@dataclass
class Server:
    """Forks programs, and tells of each how it has ended."""

    listener: socket.socket
    asking: dict[int, socket.socket] = field(default_factory=dict)
    """By the process of a program: who has asked for it."""

    def serve(self) -> Request:
        """Serves until the parent is gone. Returns within each program, and nowhere else."""
        woken, waker = socket.socketpair()
        for end in (woken, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        ready = selectors.DefaultSelector()
        ready.register(self.listener, selectors.EVENT_READ)
        ready.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj is woken:
                    woken.recv(4096)
                    self._tell_of_ends()
                    continue
                request = self._answer()
                if request is not None:
                    for own in (woken, waker, self.listener, *self.asking.values()):
                        own.close()
                    ready.close()
                    return request

    def _answer(self) -> Request | None:
        """Forks a program; its request, in the program itself."""
        data, streams, _, _ = socket.recv_fds(self.listener, MOST_BYTES, 4)
        if not data:
            os._exit(0)
        told = socket.socket(fileno=streams.pop())
        pid = os.fork()
        if pid == 0:
            told.close()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            return Request(**json.loads(data))
        for stream in streams:
            os.close(stream)
        self.asking[pid] = told
        told.sendall(b"%d" % pid)
        return None

    def _tell_of_ends(self) -> None:
        while self.asking:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            asking = self.asking.pop(pid)
            try:
                asking.sendall(b"%d" % os.waitstatus_to_exitcode(status))
            except OSError:  # nobody waits for it any more
                pass
            asking.close()


def load() -> None:
    """Imports what commands and programs of graphflow import."""
    import graphflow

    for module in pkgutil.walk_packages(graphflow.__path__, "graphflow."):
        # A module beside the rooms may only say that it has moved.
        in_a_room = module.ispkg or module.name.count(".") > 1
        if in_a_room and not module.name.startswith(UNLOADED):
            importlib.import_module(module.name)
    for name in ("networkx", "pydantic", "sqlite3", "httpx", "typer", "rich.live", "yaml"):
        importlib.import_module(name)
    assert threading.active_count() == 1, "a thread would not be there in what is forked"
    gc.collect()
    gc.freeze()  # no collection in a program writes to what it shares with the others


def become(request: Request) -> None:
    """Makes this process the program: what an interpreter sets up when it starts."""
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    random.seed()
    how, what, *arguments = request.arguments
    named = request.environment.get("PYTHONPATH", "")
    del sys.path[0]  # the folder of the tests
    sys.path[:0] = [request.folder if how == "-m" else "", *filter(None, named.split(os.pathsep))]
    del sys.modules["tests"]  # a project may have some of its own
    sys.argv = ["-c" if how == "-c" else what, *arguments]
    sys.orig_argv = [sys.executable, *request.arguments]
    sys.stdin = sys.__stdin__ = _stream(0, "r")
    sys.stdout = sys.__stdout__ = _stream(1, "w")
    sys.stderr = sys.__stderr__ = _stream(2, "w")


def _stream(number: int, mode: str) -> Any:
    terminal = os.isatty(number)
    return open(
        number,
        mode,
        buffering=1 if terminal or number == 2 else -1,
        encoding="utf-8",
        errors="backslashreplace" if number == 2 else "strict",
        closefd=False,
    )


def run(request: Request) -> None:
    """Runs the program in a fresh `__main__`."""
    how, what = request.arguments[:2]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
        return
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    exec(compile(what, "<string>", "exec"), main.__dict__)


if __name__ == "__main__":
    load()
    program = Server(socket.socket(fileno=int(sys.argv[1]))).serve()
    become(program)
    run(program)
