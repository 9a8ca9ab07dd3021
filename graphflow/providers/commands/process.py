"""One call of a command-line tool: prompt in, lines of JSON out, and nothing left running.

Rules:
1. The prompt goes through standard input and files, never through arguments, which every user of the machine can read.
2. The tool leads a process group of its own; however the call ends, the whole group does.
3. The tool works in an empty folder that is gone afterwards: it shall answer, not look around.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic_core import from_json

from graphflow.errors import CommandFailed, MalformedReply, ModelError, ModelTimeout
from graphflow.model import CallDelta, Finished, ModelEvent, Opened, Request, TextDelta
from graphflow.providers.http import Timeouts
from graphflow.providers.reading import LARGEST_EVENT
from graphflow.providers.spoken import read_call_or_answer, render_tools, transcript

GRACE_S = 2.0
"""Seconds between asking a tool to stop and making it."""
LONGEST_COMPLAINT = 64 * 1024
"""Bytes of a tool's standard error that are kept."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """What is run: arguments after the program's name, its standard input, files in its folder, variables."""

    arguments: tuple[str, ...]
    prompt: str
    files: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


class Lines(Protocol):
    """Reads a tool's output."""

    def note(self, text: str) -> None:
        """A line that is no JSON: tools print notes of their own between the events."""
        ...

    def line(self, data: Any) -> list[ModelEvent]:
        """The events of one line of JSON."""
        ...

    def end(self, code: int, complaint: str) -> list[ModelEvent]:
        """The events that only the end tells.

        Raises:
            ModelError: the tool failed, or ended before its answer did.
        """
        ...


@dataclass(frozen=True)
class Command:
    """One tool.

    Attributes:
        name: its name in model strings.
        program: the executable.
        speaks: the format of its output.
        install: how one gets it.
        build: the call for a request, by model and the folder it works in.
        lines: a reader of its output.
    """

    name: str
    program: str
    speaks: str
    install: str
    build: Callable[[Request, str, Path], Invocation]
    lines: Callable[[Request], Lines]

    def found(self) -> str | None:
        """Where the executable is, or None."""
        return shutil.which(self.program)

    def state(self) -> str:
        """Whether it is installed; whether it is logged in only a call can tell."""
        return "installed" if self.found() else f"not installed ({self.install})"

    def __call__(
        self, model: str, *, program: str | None = None, timeouts: Timeouts | None = None, **_: Any
    ) -> CommandModel:
        """Opens a model.

        Raises:
            CommandFailed: the tool is not installed.
        """
        path = program or self.found()
        if path is None:
            raise CommandFailed(f"{self.name}: there is no {self.program!r} on the path; {self.install}")
        return CommandModel(self, model, path, timeouts or Timeouts())


class CommandModel:
    """A model behind a tool."""

    def __init__(self, command: Command, model: str, path: str, timeouts: Timeouts) -> None:
        self.name = f"{command.name}:{model}"
        self.command = command
        self.model = model
        self.path = path
        self.timeouts = timeouts

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """Yields the answer; cancelling ends the tool and all it has started.

        Raises:
            ModelError: of the kind that fits what the tool said.
        """
        with tempfile.TemporaryDirectory(prefix="graphflow-") as folder:
            call = self.command.build(request, self.model, Path(folder))
            for name, text in call.files.items():
                (Path(folder) / name).write_text(text, encoding="utf-8")
            yield Opened(self.command.name, self.model)
            held: list[str] = []
            async for event in _talk(self.command, self.path, call, folder, self.timeouts, self.command.lines(request)):
                if request.tools and isinstance(event, TextDelta):
                    held.append(event.text)  # until it is known to be a call or an answer
                    continue
                if request.tools and isinstance(event, Finished):
                    spoken = read_call_or_answer("".join(held))
                    yield spoken
                    if isinstance(spoken, CallDelta):
                        event = Finished("tool_calls", event.raw)
                yield event

    def __repr__(self) -> str:
        return f"<model {self.name} by {self.path}>"


def instructions(request: Request) -> str:
    """Standing instructions, tools included."""
    return "\n\n".join(part for part in (request.system_text, render_tools(request.tools)) if part)


def prompt(request: Request, name: str) -> str:
    """The conversation as one text."""
    return transcript(request.turns, name)


async def _talk(
    command: Command, path: str, call: Invocation, folder: str, timeouts: Timeouts, lines: Lines
) -> AsyncGenerator[ModelEvent, None]:
    """Runs the tool once and yields the events of its output."""
    process = await _start(command, path, call, folder)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    complaint = asyncio.create_task(_read_some(process.stderr))
    feeding = asyncio.create_task(_feed(process.stdin, call.prompt))
    loop = asyncio.get_running_loop()
    end = None if timeouts.whole_s is None else loop.time() + timeouts.whole_s
    begun = False
    try:
        while True:
            limit, phase = (timeouts.idle_s, "idle") if begun else (timeouts.first_s, "first")
            if end is not None and (limit is None or loop.time() + limit > end):
                limit, phase = end - loop.time(), "whole"
            line = await _line(process.stdout, limit, phase, command)
            if not line:
                break
            for event in _events(line, lines):
                begun = True
                yield event
        code = await process.wait()
        for event in lines.end(code, (await complaint).strip()):
            yield event
    finally:
        feeding.cancel()
        await _stop(process)
        complaint.cancel()
        await asyncio.gather(feeding, complaint, return_exceptions=True)


async def _start(command: Command, path: str, call: Invocation, folder: str) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            path,
            *call.arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env={**os.environ, **call.variables},
            start_new_session=True,
            limit=LARGEST_EVENT,
        )
    except OSError as error:
        raise CommandFailed(
            f"{command.name}: {command.program!r} cannot be started: {error.strerror}; {command.install}"
        ) from None


async def _line(stdout: asyncio.StreamReader, limit: float | None, phase: str, command: Command) -> bytes:
    try:
        async with asyncio.timeout(limit):
            return await stdout.readline()
    except TimeoutError:
        error = ModelTimeout(
            f"{command.name} said nothing for {limit:g} s; allow more with connect(..., timeouts=Timeouts({phase}_s=...))",
            provider=command.name,
        )
        error.phase = phase
        raise error from None
    except ValueError:
        raise MalformedReply(
            f"{command.name}: a line of more than {LARGEST_EVENT} bytes", provider=command.name
        ) from None


def _events(line: bytes, lines: Lines) -> list[ModelEvent]:
    try:
        data = from_json(line)
    except ValueError:
        lines.note(line.decode("utf-8", "replace"))
        return []
    return lines.line(data) if isinstance(data, dict) else []


async def _feed(stdin: asyncio.StreamWriter, text: str) -> None:
    with contextlib.suppress(ConnectionError):  # a tool that ends before it has read all says why in its own words
        stdin.write(text.encode())
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


async def _read_some(stream: asyncio.StreamReader) -> str:
    kept = bytearray()
    while piece := await stream.read(4096):
        if len(kept) < LONGEST_COMPLAINT:
            kept += piece
    return kept.decode("utf-8", "replace")


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ends the tool and everything of its group: asked first, made after a while."""
    if process.returncode is None:
        _signal(process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(GRACE_S):
                await process.wait()
        except (TimeoutError, asyncio.CancelledError):
            pass
    _signal(process.pid, signal.SIGKILL)
    transport = getattr(process, "_transport", None)
    if process.returncode is None:
        await process.wait()
    if transport is not None:
        transport.close()  # its pipes, which a grandchild may have kept open


def _signal(group: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, what)


def failed(provider: str, text: str, kind: type[ModelError], **more: Any) -> ModelError:
    """The error for what a tool said."""
    error = kind(f"{provider}: {text[:2000]}", provider=provider, **more)
    error.said = text[:2000]
    return error
