"""What a test leaves behind when it is over: child processes, threads, and tasks that nobody has waited for.

It fails the test that left it, by name, and is ended before the next test begins. So no test fails because of another.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests import programs
from tests.waiting import until

GRACE_S = 20.0
"""So long may something take that is about to end: a process that was just killed, a function that was left behind."""
LASTING_THREADS = {
    "graphflow:idle": "a thread of the pool for plain functions waits a while for more of them",
    "graphflow:engine": "the embedded model is loaded once for the whole process, and has a thread of its own",
    "mermaidx-engine": "Mermaid's own parser is loaded once for the whole process",
    "quickjs-worker": "it runs in one",
}
"""How the names of threads begin that may stay, and why."""
LASTING_PROCESSES = {
    "multiprocessing.resource_tracker": "Python starts one for the whole process, with its first pool",
}
"""What stands in the command of processes that may stay, and why."""
LASTING_TASKS = {
    "async_generator_athrow": "the loop closes a generator that was broken off; httpx leaves that to it for its inner ones",
}
"""The same of what tasks run."""

TASKS = Path("/proc/self/task")


def children(parent: int | None = None) -> set[int]:
    """The processes that one has started and that have not ended; this one's unless said. Needs Linux.

    The fork server is none of them: it is there for the whole process.
    """
    found: set[int] = set()
    for thread in _listed(Path(f"/proc/{parent or os.getpid()}/task")):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found.update(int(pid) for pid in (thread / "children").read_text().split())
    return {pid for pid in found.difference(programs.processes()) if alive(pid)}


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def alive(pid: int) -> bool:
    """Whether a process has not ended: one that is only not yet waited for has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def _lasts(pid: int) -> bool:
    return any(part in name_of(pid) for part in LASTING_PROCESSES)


def name_of(pid: int) -> str:
    """What a process was started as."""
    try:
        return (
            Path(f"/proc/{pid}/cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode(errors="replace")
            .strip()[:200]
        )
    except OSError:
        return "(gone)"


def started() -> set[int]:
    """The processes that tests have started: children, and what the fork server has forked for them."""
    return children().union(*map(children, programs.processes()))


def has_children() -> bool:
    """Whether there is any child at all. This is one call of the system, so it costs next to nothing with each test."""
    if not TASKS.exists():
        return False  # here nobody can say which they are
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


@dataclass
class Watch:
    """What was there before a test."""

    processes: set[int] = field(default_factory=lambda: started() if has_children() else set())
    threads: set[threading.Thread] = field(default_factory=lambda: set(threading.enumerate()))
    tasks: list[str] = field(default_factory=list)
    """Those that a loop of this test ended with, told by `watching_loops`."""

    def new_processes(self) -> set[int]:
        """Those that the test has started, and not ended."""
        new = started() - self.processes if has_children() else set()
        return {pid for pid in new if not _lasts(pid)}

    def new_threads(self) -> list[threading.Thread]:
        """The same of threads."""
        found = [thread for thread in threading.enumerate() if thread not in self.threads]
        return [thread for thread in found if not thread.name.startswith(tuple(LASTING_THREADS))]

    def found(self) -> list[str]:
        """What the test has left, after a while in which it may end by itself; the processes are ended."""
        with contextlib.suppress(AssertionError):
            until(lambda: not (self.new_processes() or self.new_threads()), GRACE_S)
        left = [f"the process {pid}: {name_of(pid)}" for pid in sorted(self.new_processes())]
        left += [f"the thread {thread.name!r}" for thread in self.new_threads()]
        self._end(self.new_processes())
        return [*left, *self.tasks]

    @staticmethod
    def _end(processes: set[int]) -> None:
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(
            lambda: not any(map(alive, processes)), because=lambda: f"{processes} cannot be killed"
        )


@contextlib.contextmanager
def watching_loops(tell: Callable[[str], None]) -> Iterator[None]:
    """Tells the tasks that a loop is closed with.

    `asyncio.run` cancels them without a word, so that a task which is forgotten in a walk is seen by nobody.
    """
    close = asyncio.Runner.close

    def closing(self: asyncio.Runner) -> None:
        with contextlib.suppress(RuntimeError):  # it is closed already
            for task in asyncio.all_tasks(self.get_loop()):
                work = task.get_coro()
                if type(work).__name__ not in LASTING_TASKS:
                    tell(f"the task {task.get_name()}: {getattr(work, '__qualname__', work)}")
        close(self)

    asyncio.Runner.close = closing  # type: ignore[method-assign]
    try:
        yield
    finally:
        asyncio.Runner.close = close  # type: ignore[method-assign]
