"""What a wire format is: functions that render a request, and a parser that turns what comes back into events.

Rules:
1. Everything here and beside it is pure: no I/O, no clock, no environment.
2. A turn renders the same wherever it stands (but for `bridge`), so that its bytes can be kept.
3. Parsers ignore fields and events they do not know; what a reply must have and has not is a `MalformedReply`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from graphflow.model.seam import ModelEvent, Request, UsageDelta
from graphflow.model.turns import Turn
from graphflow.providers.wires.json_object import Json, merge


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one vendor differs from others of the same wire format. The defaults are OpenAI's own.

    Attributes:
        name: the dialect's name; encodings of turns are kept under it.
        max_tokens: the name of the parameter that bounds the answer.
        reasoning: the field in which reasoning arrives.
        reasoning_back: whether that field goes back with the turn.
        effort: how the amount of reasoning is asked for: by an effort, an object (OpenRouter), high or none (Mistral), or
            a type (DeepSeek).
        required: the word for "call some tool".
        seed: the name of the parameter for a seed.
        stream_usage: whether usage has to be asked for in a stream.
        bridge: whether an assistant's turn must stand between tool results and a user's turn (Mistral).
        short_ids: whether ids of calls have nine letters and digits (Mistral).
        strict: whether schemas carry `strict`.
        documents: how a document is sent: as a "file" (OpenAI) or a "document_url" (Mistral).
        schema: whether it takes a JSON schema for the answer.
        video: whether films can be sent, and sounds of any format (vLLM, OpenRouter).
        lean: whether it takes no sampling parameters and wants instructions (ChatGPT's backend).
        marker: whether a stream must end with [DONE]; else a finish reason will do.
    """

    name: str = "openai-chat"
    max_tokens: str = "max_completion_tokens"
    reasoning: str = "reasoning_content"
    reasoning_back: bool = False
    effort: Literal["reasoning_effort", "reasoning", "high or none", "type"] = "reasoning_effort"
    required: str = "required"
    seed: str = "seed"
    stream_usage: bool = True
    bridge: bool = False
    short_ids: bool = False
    strict: bool = True
    documents: Literal["file", "document_url"] = "file"
    schema: bool = True
    video: bool = False
    lean: bool = False
    marker: bool = True


class Parser(Protocol):
    """Turns payloads into events. One parser reads one reply."""

    done: bool
    """Whether the terminal event has come: what follows is not read."""

    @property
    def spent(self) -> UsageDelta | None:
        """The tokens counted so far."""
        ...

    def event(self, data: Any, name: str) -> list[ModelEvent]:
        """One payload of a stream; `name` is its `event:` line, if it had one."""
        ...

    def reply(self, data: Any) -> list[ModelEvent]:
        """A whole reply that was not streamed; `end` follows."""
        ...

    def end(self) -> list[ModelEvent]:
        """The stream is over.

        Raises:
            MalformedReply: its terminal event never came.
            ModelError: it ended in a way that no whole reply ends in.
        """
        ...


@dataclass(frozen=True, slots=True)
class Wire:
    """One wire format.

    Attributes:
        name: its name.
        turns: the key under which the turns stand in a request.
        framing: how payloads follow each other in a stream.
        path: the path of a request, by model and whether it streams.
        render_head: everything of a request but its turns.
        render_turn: one turn as the messages that it is; the turn before it is given, too.
        parser: a parser for one reply.
        limits: whether parameters of the provider's own (`Settings.extra`) bound how long an answer may be.
        listing: the path of the list of models.
    """

    name: str
    turns: str
    framing: Literal["sse", "ndjson"]
    path: Callable[[str, bool], str]
    render_head: Callable[[Request, str, bool, Dialect], Json]
    render_system: Callable[[Request, Dialect], list[Json]]
    render_turn: Callable[[Turn, Turn | None, Dialect], list[Json]]
    parser: Callable[[Dialect], Parser]
    limits: Callable[[Mapping[str, Any]], bool]
    listing: str = "/models"


def render_request(
    wire: Wire, request: Request, model: str, *, stream: bool = True, dialect: Dialect
) -> Json:
    """The whole body of a request.

    Raises:
        BadRequest: the wire format has no way to say part of it.
    """
    messages = wire.render_system(request, dialect)
    before: Turn | None = None
    for turn in request.turns:
        rendered = wire.render_turn(turn, before, dialect)
        if rendered:
            messages += rendered
            before = turn
    body = wire.render_head(request, model, stream, dialect)
    body[wire.turns] = messages
    return merge(body, request.settings.extra)
