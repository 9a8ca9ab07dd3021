"""A command-line tool as a model: how it is found and opened, and what a request becomes for it.

Rules:
1. The tool works in an empty folder that is gone afterwards: it shall answer, not look around. Of the environment it gets
   what programs need and what is its own (`graphflow.providers.commands.variables`).
2. What it has no way to be asked for is refused, before it is started.
3. A tool of ours is its own business: our tools go to it in words (`prompted_tools`), and its text is read back.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any

from graphflow.errors import CommandFailed, DeclarationError, ModelError
from graphflow.model.prices import cost_of, price_of
from graphflow.model.reply import join_surrogates
from graphflow.model.seam import (
    CallDelta,
    Finished,
    ModelEvent,
    Opened,
    Request,
    TextDelta,
    UsageDelta,
)
from graphflow.providers.commands.process import CommandLine, Executable, Lines, talk
from graphflow.providers.commands.variables import environment_for
from graphflow.providers.http import Timeouts
from graphflow.providers.prompted_tools import read_call_or_answer, render_tools, transcript
from graphflow.providers.streams import aclosing
from graphflow.providers.wires.demands import cannot, refuse

MAX_ERROR_TEXT = 2000
"""Characters of a tool's own words that an error shows."""


@dataclass(frozen=True)
class CommandLineTool:
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
    build: Callable[[Request, str, Path], CommandLine]
    lines: Callable[[Request], Lines]
    tells_cost: bool = False
    own: tuple[str, ...] = ()

    def state(self) -> str:
        """Whether it is installed; whether it is logged in only a call can tell."""
        return "installed" if self.path() else f"not installed ({self.install})"

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
        named = f"{self.name}:{model}"
        if unknown or not isinstance(timeouts, (Timeouts, NoneType)):
            wrong = ", ".join(unknown) or f"timeouts={timeouts!r}"
            raise DeclarationError(
                f"{named} takes program=, env= and timeouts=Timeouts(...), and not {wrong}"
            )
        if not _are_names(env):
            raise DeclarationError(f"{named}: env={env!r} must be a list of names of variables")
        path = self.path(program)
        if path is None:
            raise CommandFailed(
                f"{self.name}: there is no {self.program!r} on the path; {self.install}"
            )
        return CommandModel(self, model, path, timeouts or Timeouts(), tuple(env))

    def path(self, program: str | None = None) -> str | None:
        """Where the executable is, or None; another one than the usual, where `program` names it."""
        if program is None:
            return shutil.which(self.program)
        return shutil.which(program) or os.path.abspath(program)


def _are_names(names: Iterable[object]) -> bool:
    if isinstance(names, (str, Mapping)):
        return False
    return all(isinstance(name, str) and name for name in names)


class CommandModel:
    """A model behind a tool."""

    def __init__(
        self,
        command: CommandLineTool,
        model: str,
        path: str,
        timeouts: Timeouts,
        env: tuple[str, ...] = (),
    ) -> None:
        self.name = f"{command.name}:{model}"
        self.command = command
        self.model = model
        self.path = path
        self.timeouts = timeouts
        self.env = env

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Its name, if nobody will know what an answer costs."""
        is_priced = self.command.tells_cost or price_of(self.name) is not None
        return () if is_priced else (self.name,)

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """Yields the answer; cancelling ends the tool and all it has started.

        Raises:
            ModelError: of the kind that fits the tool's words.
        """
        command = self.command
        with tempfile.TemporaryDirectory(prefix="graphflow-", ignore_cleanup_errors=True) as folder:
            call = self._call(request, Path(folder))
            lines = command.lines(request)
            program = Executable(command.name, command.program, self.path, command.install)
            yield Opened(command.name, self.model)
            # With tools, no text is shown before all of it is there: it may turn out to be a call.
            async with aclosing(talk(program, call, folder, self.timeouts, lines)) as events:
                texts: list[str] = []
                async for event in events:
                    if isinstance(event, UsageDelta) and event.usd is None:
                        event.usd = self._cost(event)
                    if request.tools and isinstance(event, TextDelta):
                        texts.append(event.text)  # until it is known to be a call or an answer
                        continue
                    if request.tools and isinstance(event, Finished):
                        answer = read_call_or_answer("".join(texts))
                        yield answer
                        if isinstance(answer, CallDelta):
                            event = Finished("tool_calls", event.raw)
                    yield event

    def _call(self, request: Request, folder: Path) -> CommandLine:
        """The call for a request, its files written."""
        call = self.command.build(request, self.model, folder)
        for name, text in call.files.items():
            file = folder / name
            file.write_text(join_surrogates(text), encoding="utf-8")
        variables = environment_for(self.command.own, self.env, call.variables)
        return replace(call, variables=variables)

    def _cost(self, usage: UsageDelta) -> float | None:
        """What an answer cost at the price that the user has set; unknown for a tool that counts no tokens."""
        if not usage.input_tokens + usage.output_tokens:
            return None
        return cost_of(
            self.name,
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
        )

    def __repr__(self) -> str:
        return f"<model {self.name} by {self.path}>"


# -- what a request becomes ------------------------------------------------------------------------
_WITHOUT_FLAG = (
    "temperature",
    "stop",
    "seed",
    "top_p",
    "top_k",
    "presence_penalty",
    "frequency_penalty",
    "parallel_calls",
)
"""What no tool has a flag for."""


def check_request(name: str, request: Request, *more: str) -> None:
    """Refuses what a tool has no way to be asked for.

    Raises:
        BadRequest: the request asks for such a thing.
    """
    refuse(name, request, (*_WITHOUT_FLAG, *more))
    if request.settings.extra:
        raise cannot(name, f"extra={dict(request.settings.extra)!r}")
    if request.json_mode and request.output_schema is None:
        raise cannot(name, "json_mode", "give an output type")


def instructions(request: Request) -> str:
    """Standing instructions, tools included."""
    return paragraphs(request.system_text, render_tools(request.tools))


def paragraphs(*texts: str) -> str:
    """The texts that say something, with blank lines between them."""
    return "\n\n".join(text for text in texts if text)


def prompt(request: Request, name: str) -> str:
    """The conversation as one text."""
    return transcript(request.turns, name)


KindsByWords = tuple[tuple[str, type[ModelError]], ...]
"""Patterns of words, and the error that they stand for, for tools that put failures in words only; the first one counts."""


def kind_by_words(text: str, words: KindsByWords) -> type[ModelError]:
    """The error that a tool's words stand for."""
    for pattern, kind in words:
        if re.search(pattern, text, re.IGNORECASE):
            return kind
    return CommandFailed


def tool_error(provider: str, text: str, kind: type[ModelError], **more: Any) -> ModelError:
    """The error for a tool's own words."""
    shown = text[:MAX_ERROR_TEXT]
    error = kind(f"{provider}: {shown}", provider=provider, **more)
    error.provider_message = shown
    return error
