"""One call of a command-line tool: prompt in, lines of JSON out, and nothing left running.

Rules:
1. The prompt goes through standard input and files, never through arguments, which every user of the machine can read.
2. The tool leads a process group of its own; however the call ends, the whole group does.
3. The tool works in an empty folder that is gone afterwards: it shall answer, not look around. Of the environment it gets
   what programs need and what is its own (`graphflow.providers.commands.variables`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import NoneType
from typing import Any, Protocol

from pydantic_core import from_json

from graphflow.errors import CommandFailed, DeclarationError, MalformedReply, ModelError, ModelTimeout
from graphflow.messages.message import to_json_value
from graphflow.model.prices import cost_of, price_of
from graphflow.model.reply import join_surrogates
from graphflow.model.seam import CallDelta, Finished, ModelEvent, Opened, Request, TextDelta, UsageDelta
from graphflow.providers.closing import aclosing
from graphflow.providers.commands.variables import passed_on
from graphflow.providers.http import Timeouts
from graphflow.providers.prompted_tools import read_call_or_answer, render_tools, transcript
from graphflow.providers.reply_reader import LARGEST_EVENT, ODD, checked
from graphflow.providers.wires.wire import cannot, refuse

GRACE_S = 2.0
"""Seconds between asking a tool to stop and making it."""
SHORT_GRACE_S = 0.2
"""The same, where somebody waits for the cancellation."""
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

    done: bool
    """Whether the last line has come: what follows is not waited for."""

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
        tells_cost: whether it says what an answer cost.
        own: names of the variables that are the tool's own, as patterns.
    """

    name: str
    program: str
    speaks: str
    install: str
    build: Callable[[Request, str, Path], Invocation]
    lines: Callable[[Request], Lines]
    tells_cost: bool = False
    own: tuple[str, ...] = ()

    def found(self) -> str | None:
        """Where the executable is, or None."""
        return shutil.which(self.program)

    def state(self) -> str:
        """Whether it is installed; whether it is logged in only a call can tell."""
        return "installed" if self.found() else f"not installed ({self.install})"

    def __call__(
        self,
        model: str,
        *,
        program: str | None = None,
        timeouts: Timeouts | None = None,
        env: Sequence[str] = (),
        **unknown: Any,
    ) -> CommandModel:
        """Opens a model. `env` names further variables that the tool is given, such as `("AWS_*",)`.

        Raises:
            CommandFailed: the tool is not installed.
            DeclarationError: there is no such option for a tool.
        """
        if unknown or not isinstance(timeouts, (Timeouts, NoneType)):
            wrong = ", ".join(unknown) or f"timeouts={timeouts!r}"
            raise DeclarationError(
                f"{self.name}:{model} takes program=, env= and timeouts=Timeouts(...), and not {wrong}"
            )
        if isinstance(env, (str, Mapping)) or not all(isinstance(name, str) and name for name in env):
            raise DeclarationError(f"{self.name}:{model}: env={env!r}; give a list of names of variables")
        path = self.found() if program is None else shutil.which(program) or os.path.abspath(program)
        if path is None:
            raise CommandFailed(f"{self.name}: there is no {self.program!r} on the path; {self.install}")
        return CommandModel(self, model, path, timeouts or Timeouts(), tuple(env))


class CommandModel:
    """A model behind a tool."""

    def __init__(self, command: Command, model: str, path: str, timeouts: Timeouts, env: tuple[str, ...] = ()) -> None:
        self.name = f"{command.name}:{model}"
        self.command = command
        self.model = model
        self.path = path
        self.timeouts = timeouts
        self.env = env

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Its name, if nobody will know what an answer costs."""
        return () if self.command.tells_cost or price_of(self.name) is not None else (self.name,)

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """Yields the answer; cancelling ends the tool and all it has started.

        Raises:
            ModelError: of the kind that fits what the tool said.
        """
        with tempfile.TemporaryDirectory(prefix="graphflow-", ignore_cleanup_errors=True) as folder:
            call = self.command.build(request, self.model, Path(folder))
            call = replace(call, variables=passed_on(self.command.own, self.env, call.variables))
            for name, text in call.files.items():
                (Path(folder) / name).write_text(join_surrogates(text), encoding="utf-8")
            yield Opened(self.command.name, self.model)
            held: list[str] = []
            talk = _talk(self.command, self.path, call, folder, self.timeouts, self.command.lines(request))
            async with aclosing(talk) as events:
                async for event in events:
                    if isinstance(event, UsageDelta) and event.usd is None:
                        event.usd = self._cost(event)
                    if request.tools and isinstance(event, TextDelta):
                        held.append(event.text)  # until it is known to be a call or an answer
                        continue
                    if request.tools and isinstance(event, Finished):
                        spoken = read_call_or_answer("".join(held))
                        yield spoken
                        if isinstance(spoken, CallDelta):
                            event = Finished("tool_calls", event.raw)
                    yield event

    def _cost(self, usage: UsageDelta) -> float | None:
        """What an answer cost at the price that the user has said; a tool that counts no tokens tells nothing."""
        if not usage.input_tokens + usage.output_tokens:
            return None
        cached = usage.cache_read_tokens, usage.cache_write_tokens
        return cost_of(self.name, usage.input_tokens, usage.output_tokens, *cached)

    def __repr__(self) -> str:
        return f"<model {self.name} by {self.path}>"


UNSAID = (
    *("temperature", "stop", "seed", "top_p", "top_k", "presence_penalty", "frequency_penalty"),
    "parallel_calls",
)
"""What no tool has a flag for."""


def sayable(name: str, request: Request, *more: str) -> None:
    """Refuses what a tool has no way to be told.

    Raises:
        BadRequest: the request asks for such a thing.
    """
    refuse(name, request, (*UNSAID, *more))
    if request.settings.extra:
        raise cannot(name, f"extra={dict(request.settings.extra)!r}")
    if request.json_mode and request.output_schema is None:
        raise cannot(name, "json_mode", "give an output type")


def in_words(schema: dict[str, Any] | None) -> str:
    """A schema as an instruction, for tools that take none."""
    return (
        ""
        if schema is None
        else f"Answer with nothing but JSON that fits this JSON schema:\n{json.dumps(to_json_value(schema))}"
    )


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
    process = await _spawned(_start(command, path, call, folder))
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    complaint = asyncio.create_task(_read_some(process.stderr))
    feeding = asyncio.create_task(_feed(process.stdin, call.prompt))
    clock = _Clock(timeouts)
    grace = GRACE_S
    try:
        while not lines.done:
            async with clock.allowed(command):
                line = await process.stdout.readline()
            if not line:
                break
            for event in _events(line, lines, command):
                clock.begun = True
                yield event
        code = 0
        if not lines.done:
            async with clock.allowed(command):
                code = await process.wait()
        for event in _ended(lines, code, await _said(complaint), command):
            yield event
    except ValueError as error:  # asyncio's word for a line beyond the limit
        if isinstance(error, ModelError):
            raise
        raise MalformedReply(
            f"{command.name}: a line of more than {LARGEST_EVENT} bytes", provider=command.name
        ) from None
    except asyncio.CancelledError:
        grace = SHORT_GRACE_S
        raise
    finally:
        feeding.cancel()
        complaint.cancel()
        await _stop(process, grace)


class _Clock:
    """How long each wait may be: for the first line, between lines, for all of it."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self.begun = False
        self.time = asyncio.get_running_loop().time
        self.end = None if timeouts.whole_s is None else self.time() + timeouts.whole_s

    @asynccontextmanager
    async def allowed(self, command: Command) -> AsyncIterator[None]:
        """A wait that ends in `ModelTimeout`."""
        limit, phase = (self.timeouts.idle_s, "idle") if self.begun else (self.timeouts.first_s, "first")
        if self.end is not None and (limit is None or self.time() + limit > self.end):
            limit, phase = max(0.0, self.end - self.time()), "whole"
        try:
            async with asyncio.timeout(limit):
                yield
        except TimeoutError:
            error = ModelTimeout(
                f"{command.name} {'did not finish' if phase == 'whole' else 'said nothing'} within "
                f"{getattr(self.timeouts, phase + '_s'):g} s; allow more with connect(..., timeouts=Timeouts({phase}_s=...))",
                provider=command.name,
            )
            error.phase = phase
            raise error from None


async def _spawned(starting: Coroutine[Any, Any, asyncio.subprocess.Process]) -> asyncio.subprocess.Process:
    """The started process. Who is cancelled meanwhile still stops it: asyncio itself leaves a half-started one behind."""
    task = asyncio.ensure_future(starting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_end_at_once)  # even if who waits for it is cancelled once more
        with contextlib.suppress(CommandFailed):
            await _stop(await asyncio.shield(task), 0.0)
        raise


def _end_at_once(started: asyncio.Task[asyncio.subprocess.Process]) -> None:
    if not started.cancelled() and started.exception() is None:
        _signal(started.result().pid, signal.SIGKILL)


async def _said(complaint: asyncio.Task[str]) -> str:
    """What the tool wrote to its standard error, as far as it comes: a child of its own may keep that open."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            return (await asyncio.shield(complaint)).strip()
    return ""


async def _start(command: Command, path: str, call: Invocation, folder: str) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            path,
            *call.arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env=dict(call.variables),
            start_new_session=True,
            limit=LARGEST_EVENT,
        )
    except OSError as error:
        raise CommandFailed(
            f"{command.name}: {command.program!r} cannot be started: {error.strerror}; {command.install}"
        ) from None


def _events(line: bytes, lines: Lines, command: Command) -> list[ModelEvent]:
    try:
        data = from_json(line)
    except ValueError:
        lines.note(line.decode("utf-8", "replace"))
        return []
    try:
        return checked(lines.line(data)) if isinstance(data, dict) else []
    except ModelError:
        raise
    except ODD as error:
        raise _odd(command, error) from None


def _ended(lines: Lines, code: int, complaint: str, command: Command) -> list[ModelEvent]:
    try:
        return checked(lines.end(code, complaint))
    except ModelError:
        raise
    except ODD as error:
        raise _odd(command, error) from None


def _odd(command: Command, error: Exception) -> MalformedReply:
    text = f"{command.name}: a line is not as its format has it ({type(error).__name__}: {error})"
    return MalformedReply(text, provider=command.name)


async def _feed(stdin: asyncio.StreamWriter, text: str) -> None:
    with contextlib.suppress(ConnectionError):  # a tool that ends before it has read all says why in its own words
        stdin.write(join_surrogates(text).encode())
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


async def _read_some(stream: asyncio.StreamReader) -> str:
    kept = bytearray()
    while piece := await stream.read(4096):
        if len(kept) < LONGEST_COMPLAINT:
            kept += piece
    return kept.decode("utf-8", "replace")


async def _stop(process: asyncio.subprocess.Process, grace: float) -> None:
    """Ends the tool and everything of its group: asked first, made after a while. A cancellation makes it at once."""
    try:
        if process.returncode is None:
            _signal(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
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


def failed(provider: str, text: str, kind: type[ModelError], **more: Any) -> ModelError:
    """The error for what a tool said."""
    error = kind(f"{provider}: {text[:2000]}", provider=provider, **more)
    error.said = text[:2000]
    return error
