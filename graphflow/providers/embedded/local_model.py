"""`local:smollm2`: a real, very small language model in this process, without network.

Rules:
1. Structure comes from constrained decoding, never from the engine's own tool support: the chat template of such a model
   ignores tools without a word. A call is JSON that the grammar forces, an answer likewise.
2. Deterministic unless asked otherwise: temperature 0, bounded length.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from graphflow.concurrency import in_thread
from graphflow.errors import DeclarationError, ModelError, UnknownProvider, WeightsError
from graphflow.messages.media import Media
from graphflow.model.seam import (
    CallDelta,
    Finish,
    Finished,
    ModelEvent,
    Request,
    TextDelta,
    UsageDelta,
)
from graphflow.model.turns import AssistantTurn, ToolResult, ToolTurn, Turn, UserTurn
from graphflow.providers.embedded import engine, weights
from graphflow.providers.prompted_tools import (
    read_call_or_answer,
    render_call,
    render_tools,
    schema_of,
)
from graphflow.providers.wires.demands import cannot
from graphflow.providers.wires.json_object import present
from graphflow.providers.wires.reply_fields import read_logprobs

MAX_TOKENS = 256
"""Tokens of an answer when the request does not say: a model this small only repeats itself beyond."""
MAX_TEXT = 400
"""Characters of a free answer inside a tool schema, so that the grammar ends it if the model does not."""


class LocalModel:
    """The embedded model. Loads itself at the first request; the weights are fetched if they are not there."""

    top_logprobs = 20
    """Of how many likeliest tokens it tells the probability."""
    context_window = engine.N_CTX
    """Tokens that it reads and writes at most."""

    def __init__(self, name: str) -> None:
        self.weights = weights.known(name)
        if self.weights.embeds:
            raise UnknownProvider(
                f"local:{name} makes vectors of texts and writes none; it is an embedder, for memories and routers"
            )
        self.name = f"local:{name}"

    def prepare(self) -> None:
        """Fails before a walk begins if there is nothing to ask.

        Raises:
            WeightsError: its weights are not here, and are not fetched unasked.
        """
        if not self.weights.trusted and not weights.path_of(self.weights).is_file():
            raise WeightsError(
                f"the weights of {self.name!r} are not here; fetch them with: graphflow models pull {self.weights.name}"
            )

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        """Yields the answer token by token; cancelling the caller stops the engine within a token."""
        self.prepare()
        path = weights.path_of(self.weights)
        if not path.is_file():
            pull = partial(weights.pull, self.weights.name, say=_print_progress)
            path = await in_thread(pull)
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[engine.Chunk | BaseException | None] = asyncio.Queue()

        def put(piece: engine.Chunk | BaseException | None) -> None:
            # Called by the engine's thread, which must never touch the queue of a loop itself.
            try:
                loop.call_soon_threadsafe(pieces.put_nowait, piece)
            except RuntimeError:
                job.stop.set()  # the loop is gone, and with it whoever asked

        job = engine.Job(render_request(request), put, put)
        engine.engine_for(path).submit(job)
        parser = _ChunkParser(has_tools=bool(request.tools))
        try:
            while (piece := await pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                for event in parser.parse(piece):
                    yield event
        finally:
            job.stop.set()
        for event in parser.end():
            yield event

    def __repr__(self) -> str:
        return f"<model {self.name}>"


def open_model(name: str, **options: Any) -> LocalModel:
    """The embedded model of that name. It takes no options: there is no server to reach.

    Raises:
        UnknownProvider: there is none of that name.
        MissingExtra: the engine is not installed.
    """
    if options:
        raise DeclarationError(
            f"local:{name} runs in this process and takes no {', '.join(options)}; just 'local:{name}'"
        )
    model = LocalModel(name)
    engine.require()
    return model


def _print_progress(line: str) -> None:
    print(f"graphflow: {line}", file=sys.stderr, flush=True)


def render_request(request: Request) -> dict[str, Any]:
    """A request as the engine's chat completion body."""
    settings = request.settings
    if settings.thinking:
        raise cannot("local", f"thinking={settings.thinking!r}")
    standing = (request.system_text, render_tools(request.tools))
    system = "\n\n".join(text for text in standing if text)
    messages = [{"role": "system", "content": system}] if system else []
    for turn in request.turns:
        messages += _render_turn(turn)
    temperature = 0.0 if settings.temperature is None else settings.temperature
    body: dict[str, Any] = {
        "messages": messages,
        "temperature": temperature,
        "max_tokens": settings.max_tokens or MAX_TOKENS,
        "stream_options": {"include_usage": True},
    }
    if request.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    schema = schema_of(request, MAX_TEXT)
    if schema is not None:
        shape = {"name": "answer", "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": shape}
    return body | present(
        stop=list(settings.stop) or None,
        seed=settings.seed,
        top_p=settings.top_p,
        top_k=settings.top_k,
        presence_penalty=settings.presence_penalty,
        frequency_penalty=settings.frequency_penalty,
    )


def _render_turn(turn: Turn) -> list[dict[str, str]]:
    match turn:
        case UserTurn():
            if any(isinstance(part, Media) for part in turn.parts):
                raise cannot("local", "pictures or files")
            return [{"role": "user", "content": turn.text}]
        case AssistantTurn():
            lines = [turn.text] if turn.text else []
            lines += [render_call(call.name, call.arguments) for call in turn.calls]
            return [{"role": "assistant", "content": "\n".join(lines)}]
        case ToolTurn():
            lines = [_result_line(result) for result in turn.results]
            return [{"role": "user", "content": "\n".join(lines)}]


def _result_line(result: ToolResult) -> str:
    name = result.name if result.ok else f"{result.name} failed"
    return f"{name}: {result.text}"


class _ChunkParser:
    """The engine's chunks as events. With tools the text is held back until it is known to be a call or an answer."""

    def __init__(self, *, has_tools: bool) -> None:
        self.has_tools = has_tools
        self.texts: list[str] = []
        self.reason: Finish = "other"
        self.usage: UsageDelta | None = None

    def parse(self, chunk: engine.Chunk) -> list[ModelEvent]:
        events: list[ModelEvent] = []
        for choice in chunk.get("choices", ()):
            text = choice.get("delta", {}).get("content")
            likely = choice.get("logprobs")
            if likely:
                events += read_logprobs(likely.get("content"))
            if text and self.has_tools:
                self.texts.append(text)
            elif text:
                events.append(TextDelta(text))
            reason = choice.get("finish_reason")
            if reason:
                self.reason = "length" if reason == "length" else "stop"
        usage = chunk.get("usage")
        if usage:
            read = usage.get("prompt_tokens", 0)
            written = usage.get("completion_tokens", 0)
            self.usage = UsageDelta(read, written, 0.0)
        return events

    def end(self) -> list[ModelEvent]:
        events: list[ModelEvent] = []
        if self.texts:
            answer = read_call_or_answer("".join(self.texts))
            events.append(answer)
            if isinstance(answer, CallDelta):
                self.reason = "tool_calls"
        if self.reason == "other":
            raise ModelError("the embedded model's stream ended before its answer did")
        if self.usage is not None:
            events.append(self.usage)
        # At MAX_TOKENS it ends at the latest: that is our choice, not the model's own limit.
        events.append(Finished(self.reason, limited=True))
        return events
