"""What a wire format is: functions that render a request, and a parser that turns what comes back into events.

Rules:
1. Everything here and beside it is pure: no I/O, no clock, no environment.
2. A turn renders the same wherever it stands (but for `bridge`), so that its bytes can be kept.
3. Parsers ignore fields and events they do not know; what a reply must have and has not is a `MalformedReply`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic_core import from_json

from graphflow.errors import BadRequest
from graphflow.model.seam import Finish, Likely, LogprobsDelta, ModelEvent, Request, UsageDelta
from graphflow.model.turns import AssistantTurn, ToolTurn, Turn, UserTurn
from graphflow.providers.faults import broken_off

Json = dict[str, Any]


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


def render_request(wire: Wire, request: Request, model: str, *, stream: bool = True, dialect: Dialect) -> Json:
    """The whole body of a request.

    Raises:
        BadRequest: the wire format has no way to say part of it.
    """
    messages = wire.render_system(request, dialect)
    before: Turn | None = None
    for turn in request.turns:
        messages += wire.render_turn(turn, before, dialect)
        before = turn
    body = wire.render_head(request, model, stream, dialect)
    body[wire.turns] = messages
    return merged(body, request.settings.extra)


def merged(body: Json, extra: Mapping[str, Any]) -> Json:
    """`body` with `extra` laid over it: objects into objects, lists after lists (each item once); None takes a key away."""
    if not extra:
        return body
    whole = dict(body)
    for key, value in extra.items():
        own = whole.get(key)
        if value is None:
            whole.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(own, dict):
            whole[key] = merged(own, value)
        elif isinstance(value, list) and isinstance(own, list):
            new = [item for item in value if item not in own]
            whole[key] = own + new
        else:
            whole[key] = value
    return whole


def arguments_of(text: str) -> Json:
    """A call's arguments as an object. "", "null" and what is not an object (a reply that was cut) mean no arguments."""
    if not text:
        return {}
    try:
        arguments = from_json(text)
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


def finish_of(table: Mapping[str, Finish], raw: str | None, provider: str, explanation: str = "") -> Finish:
    """Why a reply ended, by the wire's table. One that never said why, and came to its terminal event, is whole.

    Raises:
        ModelError: the table does not know it: what broke off must not pass for an answer.
    """
    if not raw:
        return "other"
    finish = table.get(raw)
    if finish is None:
        raise broken_off(provider, raw, explanation)
    return finish


def later_usage(before: UsageDelta | None, now: UsageDelta) -> UsageDelta:
    """The usage that counts after another one has come: the later, unless it is all zeros, which some gateways end with."""
    is_counted = now.input_tokens or now.output_tokens
    return now if is_counted or before is None else before


def bounded(parameters: object, *names: str) -> bool:
    """Whether one of these parameters is a bound; -1 is none, in the words of Ollama."""
    if not isinstance(parameters, Mapping):
        return False
    for name in names:
        value = parameters.get(name)
        if isinstance(value, int) and value > 0:
            return True
    return False


def read_logprobs(places: Any) -> list[ModelEvent]:
    """How likely tokens were; chat completions, Responses and Ollama spell it the same way."""
    tokens: list[Likely] = []
    for place in places or ():
        token = place["token"]
        top = {other["token"]: other["logprob"] for other in place.get("top_logprobs") or ()}
        own = place.get("logprob")
        if own is not None:
            top.setdefault(token, own)  # a schema may force what is not among the likeliest
        tokens.append(Likely(token, tuple(top.items())))
    return [LogprobsDelta(tuple(tokens))] if tokens else []


def present(**fields: Any) -> Json:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def cannot(wire: str, what: str, instead: str = "") -> BadRequest:
    """The error for something that a wire format cannot say."""
    return BadRequest(f"{wire} has no way to send {what}; {instead or 'leave it out, or use another provider'}")


def hosted_tools(request: Request) -> list[Json]:
    """The provider's own tools, which `extra` asks for."""
    tools = request.settings.extra.get("tools")
    if not isinstance(tools, (list, tuple)):
        return []
    return [tool for tool in tools if isinstance(tool, dict)]


def offers_tools(request: Request) -> bool:
    """Whether a request has any tools, the provider's own included: without any, words about them are refused."""
    return bool(request.tools or hosted_tools(request))


_NOT_GIVEN = (None, (), "")


def refuse(wire: str, request: Request, names: Sequence[str]) -> None:
    """Raises `BadRequest` if the request uses one of these parameters."""
    for name in names:
        value = (request.top_logprobs or None) if name == "top_logprobs" else getattr(request.settings, name)
        if value not in _NOT_GIVEN:
            raise cannot(wire, f"{name}={value!r}")


_FIRST_REASONERS = re.compile(r"(^|[/:])o\d")
_FIRST_GPT_5 = re.compile(r"(^|[/:])gpt-5($|-)")


def effort_of(thinking: bool | int | str, model: str) -> str:
    """A budget in tokens, or yes or no, as the nearest effort (platform.openai.com/docs/guides/reasoning)."""
    if isinstance(thinking, str):
        return thinking
    if thinking is True:
        return "medium"
    if thinking is False:
        return _least_effort(model)
    if thinking <= 2048:
        return "low"
    if thinking <= 8192:
        return "medium"
    return "high"


def _least_effort(model: str) -> str:
    """What comes nearest to no reasoning: "none" came with gpt-5.1; before, the least was to reason a little."""
    if _FIRST_REASONERS.search(model):
        return "low"
    if _FIRST_GPT_5.search(model):
        return "minimal"
    return "none"


def one_at_a_time(wire: str, request: Request) -> None:
    """Raises `BadRequest` where a model cannot be kept from asking for several calls in one turn."""
    if request.tools and request.settings.parallel_calls is False:
        raise cannot(wire, "parallel_calls=False")


__all__ = ["AssistantTurn", "Dialect", "Json", "Parser", "ToolTurn", "UserTurn", "Wire"]
