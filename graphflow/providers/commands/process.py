"""The process of one call of a command-line tool: prompt in, lines of JSON out, and nothing left running.

Rules:
1. The prompt goes through standard input and files, never through arguments, which every user of the machine can read.
2. The tool leads a process group of its own; however the call ends, the whole group does.
3. Every wait has a limit, and ends in `ModelTimeout`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic_core import from_json

from graphflow.errors import CommandFailed, MalformedReply, ModelError, ModelTimeout
from graphflow.model.reply import join_surrogates
from graphflow.model.seam import ModelEvent
from graphflow.providers.http import Timeouts
from graphflow.providers.reply_reader import MAX_EVENT_BYTES, ODD, check_events

GRACE_S = 2.0
"""Seconds between asking a tool to stop and making it."""
SHORT_GRACE_S = 0.2
"""The same, where somebody waits for the cancellation."""
STDERR_WAIT_S = 0.5
"""Seconds for the rest of standard error, once the tool itself is done."""
MAX_COMPLAINT = 64 * 1024
"""Bytes of a tool's standard error that are kept."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What is run: arguments after the program's name, its standard input, files in its folder, variables."""

    arguments: tuple[str, ...]
    prompt: str
    files: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Executable:
    """An executable: the tool that it is, its own name, where it is, and how one gets it."""

    tool: str
    name: str
    path: str
    install: str


class Lines(Protocol):
    """Reads a tool's output."""

    done: bool
    """Whether the last line has come: what follows is not waited for."""

    def note(self, text: str) -> None:
        """A line that is not JSON: tools print notes of their own between the events."""
        ...

    def line(self, data: Any) -> list[ModelEvent]:
        """The events of one line of JSON."""
        ...

    def end(self, code: int, complaint: str) -> list[ModelEvent]:
        """The events that only the end brings.

        Raises:
            ModelError: the tool failed, or ended before its answer did.
        """
        ...


async def talk(
    program: Executable, call: CommandLine, folder: str, timeouts: Timeouts, lines: Lines
) -> AsyncGenerator[ModelEvent, None]:
    """Runs the tool once and yields the events of its output."""
    process = await _start_safely(_start(program, call, folder))
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    # All three pipes are served at once: a tool that blocks on one of them would never end.
    complaint = asyncio.create_task(_read_complaint(process.stderr))
    feeding = asyncio.create_task(_feed(process.stdin, call.prompt))
    waits = _Waits(program.tool, timeouts)
    grace_s = GRACE_S
    try:
        while not lines.done:
            async with waits.within_limit():
                line = await process.stdout.readline()
            if not line:
                break
            for event in _events(line, lines, program.tool):
                waits.answer_began = True
                yield event
        code = 0
        if not lines.done:  # the exit code matters only where the lines have not said how it ended
            async with waits.within_limit():
                code = await process.wait()
        for event in _last_events(lines, code, await _complaint(complaint), program.tool):
            yield event
    except ValueError as error:  # asyncio's word for a line beyond the limit
        if isinstance(error, ModelError):
            raise
        text = f"{program.tool}: a line of more than {MAX_EVENT_BYTES} bytes"
        raise MalformedReply(text, provider=program.tool) from None
    except asyncio.CancelledError:
        grace_s = SHORT_GRACE_S
        raise
    finally:
        feeding.cancel()
        complaint.cancel()
        await _stop(process, grace_s)


class _Waits:
    """How long each wait may be: for the first line, between lines, for all of it."""

    def __init__(self, tool: str, timeouts: Timeouts) -> None:
        self.tool = tool
        self.timeouts = timeouts
        self.answer_began = False
        self.time = asyncio.get_running_loop().time
        self.end: float | None = None
        if timeouts.whole_s is not None:
            self.end = self.time() + timeouts.whole_s

    @asynccontextmanager
    async def within_limit(self) -> AsyncIterator[None]:
        """A wait that ends in `ModelTimeout`."""
        limit_s, phase = self._limit()
        try:
            async with asyncio.timeout(limit_s):
                yield
        except TimeoutError:
            raise self._error(phase) from None

    def _limit(self) -> tuple[float | None, str]:
        """Seconds for the wait that begins now, and which of the timeouts that is."""
        if self.answer_began:
            limit_s, phase = self.timeouts.idle_s, "idle"
        else:
            limit_s, phase = self.timeouts.first_s, "first"
        if self.end is None:
            return limit_s, phase
        left_s = max(0.0, self.end - self.time())
        if limit_s is None or limit_s > left_s:
            return left_s, "whole"
        return limit_s, phase

    def _error(self, phase: str) -> ModelTimeout:
        seconds = getattr(self.timeouts, f"{phase}_s")
        what = "did not finish" if phase == "whole" else "said nothing"
        text = f"{self.tool} {what} within {seconds:g} s; allow more with connect(..., timeouts=Timeouts({phase}_s=...))"
        error = ModelTimeout(text, provider=self.tool)
        error.phase = phase
        return error


# -- what it writes --------------------------------------------------------------------------------
def _events(line: bytes, lines: Lines, tool: str) -> list[ModelEvent]:
    try:
        data = from_json(line)
    except ValueError:
        lines.note(line.decode("utf-8", "replace"))
        return []
    if not isinstance(data, dict):
        return []
    try:
        return check_events(lines.line(data))
    except ModelError:
        raise
    except ODD as error:
        raise _odd(tool, error) from None


def _last_events(lines: Lines, code: int, complaint: str, tool: str) -> list[ModelEvent]:
    try:
        return check_events(lines.end(code, complaint))
    except ModelError:
        raise
    except ODD as error:
        raise _odd(tool, error) from None


def _odd(tool: str, error: Exception) -> MalformedReply:
    kind = type(error).__name__
    return MalformedReply(
        f"{tool}: a line does not fit its format ({kind}: {error})", provider=tool
    )


async def _complaint(reading: asyncio.Task[str]) -> str:
    """What the tool wrote to its standard error, as far as it comes: a child of its own may keep that open."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STDERR_WAIT_S):
            text = await asyncio.shield(reading)
            return text.strip()
    return ""


async def _read_complaint(stream: asyncio.StreamReader) -> str:
    """Reads all of it, so that the tool can go on writing, and keeps the beginning."""
    kept = bytearray()
    while piece := await stream.read(4096):
        if len(kept) < MAX_COMPLAINT:
            kept += piece
    return kept.decode("utf-8", "replace")


async def _feed(stdin: asyncio.StreamWriter, text: str) -> None:
    # A tool that ends before it has read all says why in its own words.
    with contextlib.suppress(ConnectionError):
        stdin.write(join_surrogates(text).encode())
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


# -- its beginning and its end ---------------------------------------------------------------------
async def _start(program: Executable, call: CommandLine, folder: str) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            program.path,
            *call.arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env=dict(call.variables),
            start_new_session=True,
            limit=MAX_EVENT_BYTES,
        )
    except OSError as error:
        raise CommandFailed(
            f"{program.tool}: {program.name!r} cannot be started: {error.strerror}; {program.install}"
        ) from None


async def _start_safely(
    starting: Coroutine[Any, Any, asyncio.subprocess.Process],
) -> asyncio.subprocess.Process:
    """The started process. Who is cancelled meanwhile still stops it: asyncio itself leaves a half-started one behind."""
    task = asyncio.ensure_future(starting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_kill)  # even if who waits for it is cancelled once more
        with contextlib.suppress(CommandFailed):
            process = await asyncio.shield(task)
            await _stop(process, 0.0)
        raise


def _kill(started: asyncio.Task[asyncio.subprocess.Process]) -> None:
    if started.cancelled() or started.exception() is not None:
        return
    process = started.result()
    _signal(process.pid, signal.SIGKILL)


async def _stop(process: asyncio.subprocess.Process, grace_s: float) -> None:
    """Ends the tool and everything of its group: asked first, made after a while. A cancellation makes it at once."""
    try:
        if process.returncode is None:
            _signal(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await process.wait()
    finally:
        _signal(process.pid, signal.SIGKILL)
        transport = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()  # its pipes, which a grandchild may have kept open
        if process.returncode is None:
            await process.wait()


def _signal(group: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, what)
