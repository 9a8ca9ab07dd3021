"""Runs allowed programs, without a shell.

Rules:
1. A command is a list of arguments. No shell reads it, so `;`, `|`, `$()` and `*` are plain characters.
2. Only what the list begins with is judged. A program that runs others (`env`, `find -exec`, `git -c`, `python`) runs
   anything once it is allowed: allow the longest beginning that will do, `("git", "status")` rather than `"git"`.
3. What a command finds in its folder is input, too, and a model may have written it (`files(write=True)`). git is kept from
   taking programs out of it (`nodes._support.programs`). Programs whose work is to run what they find (`make`, `npm`,
   `pytest`, `cargo`) run anything once they are allowed in a folder that can be written.
4. A command leads a session of its own. However it ends, everything left in its process group is killed. A program that
   makes itself another session (a daemon) gets away; only a container holds that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from graphflow import Message, Tool, ToolError, factory, tool
from graphflow.errors import DeclarationError

from .._support.programs import environment, runs_more

KEPT_BYTES = 16_000
"""Bytes of each stream that are kept by default: its beginning and its end."""
DRAIN_S = 0.5
"""Seconds to wait for the rest of the output when all are dead: somebody in another session may hold the pipe open."""

Argument = Annotated[str, Field(max_length=20_000)]
Command = Annotated[list[Argument], Field(min_length=1, max_length=500)]


class Ran(Message):
    """How a command ended: its exit code (None if its time was up; -9 = killed by signal 9) and what it wrote."""

    exit_code: int | None
    stdout: str
    stderr: str
    timed_out: bool = False


@factory
def shell(
    allowed: Sequence[str | Sequence[str]],
    *,
    cwd: str | Path,
    env: Mapping[str, str] | None = None,
    path: str | None = None,
    seconds: float = 60,
    kept: int = KEPT_BYTES,
) -> Tool[Any, Any]:
    """The tool run_command, for the commands that begin like one of `allowed`.

    Args:
        allowed: names of programs, or beginnings of commands such as `("git", "status")`. A program named by a path is
            allowed only by that very path.
        cwd: the folder that commands run in; it must exist.
        env: all variables that they get beside PATH and those that keep git and `python -m` from running what lies in the
            folder; what is given here stands above those.
        path: where programs are looked for, like PATH; None = this process's. Relative folders in it are left out.
        seconds: how long a command may take.
        kept: bytes of each output stream that are kept.
    """
    beginnings = _beginnings(allowed)
    folder = os.path.realpath(cwd)
    if not os.path.isdir(folder):
        raise DeclarationError(f"shell(cwd={str(cwd)!r}): there is no such folder")
    # Here and not at the first call: a desk that cannot stop what it starts should not open.
    if not hasattr(os, "killpg"):
        raise DeclarationError(
            "this system has no process groups, so a command's children could not be stopped"
        )
    places = _absolute(os.environ.get("PATH", os.defpath) if path is None else path)
    variables = {**(env or {}), "PATH": places}
    listed = ", ".join(" ".join(beginning) for beginning in beginnings)

    @tool(
        effects=["executes"],
        concurrency_safe=False,
        timeout_s=seconds + 10,
        output_limit=4 * kept,
        description=f"Run a program, without a shell. Commands must begin with one of: {listed}.",
    )
    async def run_command(command: Command) -> Ran:
        """Run a program.

        Args:
            command: the program and its arguments, each an item of the list, unquoted.
        """
        beginning = _allowed_beginning(command, beginnings)
        if beginning is None:
            raise ToolError(
                f"{' '.join(command)[:200]!r} is not allowed; commands must begin with one of: {listed}"
            )
        if not all(_is_argument(argument) for argument in command):
            raise ToolError("an argument has a NUL or half a character in it; write it without")
        # Found here, in the PATH that commands get: the search that comes with `exec` would use this process's own.
        name = command[0]
        program = name if "/" in name else shutil.which(name, path=places)
        if program is None:
            raise ToolError(f"there is no program {name!r} here; use another of: {listed}")
        more = runs_more(beginning, command)
        if more:
            raise ToolError(
                f"{more[:200]!r} would run another program, or write any file; leave it out"
            )
        return await run(
            command, program, folder, {**environment(beginning), **variables}, seconds, kept
        )

    return run_command


def _beginnings(allowed: Sequence[str | Sequence[str]]) -> list[tuple[str, ...]]:
    beginnings = [(each,) if isinstance(each, str) else tuple(each) for each in allowed]
    is_list = not isinstance(allowed, str) and bool(beginnings)
    if not is_list or not all(beginning and all(beginning) for beginning in beginnings):
        raise DeclarationError(
            f"shell({allowed!r}): give a list of programs or beginnings of commands"
        )
    return beginnings


def _absolute(path: str) -> str:
    """A PATH without its relative folders: they would be looked for in `cwd`, where an agent may have put an `ls`."""
    places = [place for place in path.split(os.pathsep) if os.path.isabs(place)]
    return os.pathsep.join(places)


def _allowed_beginning(
    command: Sequence[str], beginnings: Sequence[tuple[str, ...]]
) -> tuple[str, ...] | None:
    """The shortest beginning that allows a command: whoever has allowed all of git has not only allowed its status."""
    fitting = [
        beginning for beginning in beginnings if tuple(command[: len(beginning)]) == beginning
    ]
    return min(fitting, key=len, default=None)


async def run(
    command: Sequence[str],
    program: str,
    cwd: str,
    env: Mapping[str, str],
    seconds: float,
    kept: int,
) -> Ran:
    """Runs a command, for so long at most. Whether it ends, takes too long or is cancelled: its group is killed."""
    timed_out = False
    with Drain(kept) as out, Drain(kept) as err:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                executable=program,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out.end,
                stderr=err.end,
                cwd=cwd,
                env=dict(env),
                start_new_session=True,
            )
        except OSError as error:
            raise ToolError(
                f"{program!r} cannot be run: {error.strerror}; use another program"
            ) from None
        finally:
            out.close_end()
            err.close_end()
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            timed_out = True
        finally:
            # The number stays the group's while anybody is in it, and once freed it is not given again for long.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            code = await end_of(process)
        await asyncio.wait([out.closed, err.closed], timeout=DRAIN_S)
        return Ran(
            exit_code=None if timed_out else code,
            stdout=out.text(),
            stderr=err.text(),
            timed_out=timed_out,
        )


async def end_of(process: asyncio.subprocess.Process) -> int:
    """The exit code of a killed process. Two deadlines may cancel one after the other: it is waited for all the same."""
    # Not `shield`: it ends at once when it is cancelled, and the process would be left behind as a zombie.
    end = asyncio.ensure_future(process.wait())
    cancelled = False
    while not end.done():
        try:
            await asyncio.wait([end])
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    return end.result()


class Drain:
    """A pipe that is read as it fills, of which the beginning and the end are kept."""

    def __init__(self, kept: int) -> None:
        self.half = max(1, kept // 2)
        self.head, self.tail = bytearray(), bytearray()
        self.size = 0

    def __enter__(self) -> Drain:
        self.loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self.loop.create_future()
        self.start, self.end = os.pipe()
        os.set_blocking(self.start, False)  # a wrong wake-up must not stop the loop
        self.loop.add_reader(self.start, self._read)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.remove_reader(self.start)
        os.close(self.start)
        self.close_end()
        self.closed.cancel()

    def close_end(self) -> None:
        """Closes the end that the program writes to, here: the pipe ends when the program's own is closed."""
        if self.end >= 0:
            os.close(self.end)
            self.end = -1

    def _read(self) -> None:
        try:
            piece = os.read(self.start, 65_536)
        except BlockingIOError:
            return
        if not piece:
            self.loop.remove_reader(self.start)
            if not self.closed.done():
                self.closed.set_result(None)
        self.size += len(piece)
        # The head is filled once; of all that follows, the tail keeps the last bytes.
        room = self.half - len(self.head)
        self.head += piece[:room]
        self.tail += piece[room:]
        del self.tail[: -self.half]

    def text(self) -> str:
        """What was kept, with a mark where something is missing; bytes that are not UTF-8 are shown as U+FFFD."""
        missing = self.size - len(self.head) - len(self.tail)
        mark = f"\n[{missing} bytes left out]\n".encode() if missing else b""
        return (bytes(self.head) + mark + bytes(self.tail)).decode("utf-8", "replace")


def _is_argument(text: str) -> bool:
    """Whether a text can be given to a program: as UTF-8, and without a NUL, which would end it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
