"""A model behind HTTP: an endpoint's *where*, a wire format's *how*, and the patience in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_core import to_json

from graphflow.errors import AuthError, ModelError, NotFound, QuotaExceeded, RateLimited
from graphflow.model import ModelEvent, Notice, Opened, Request, Restarted, Retried, Switched, UsageDelta
from graphflow.prices import cost_of, estimate_tokens
from graphflow.providers.endpoint import Endpoint
from graphflow.providers.http import Call, Timeouts, exchange
from graphflow.providers.keys import Key, Keyring
from graphflow.providers.pace import Pace
from graphflow.providers.reading import Reading
from graphflow.providers.retry import RetryPolicy
from graphflow.providers.shapes import Unwrapped, Way, as_tool, as_words, fit
from graphflow.providers.wires.wire import Json, merged, render_request
from graphflow.scrub import SHORTEST
from graphflow.turns import ToolTurn, Turn, UserTurn

COOLDOWN_S = 60.0
"""Seconds that a key rests after a rate limit that came without a hint: such limits are counted by the minute."""


@dataclass(frozen=True)
class Settings:
    """How a model is reached.

    Attributes:
        timeouts: how long to wait for what.
        retry: how often to try again.
        pace: requests and tokens per minute.
        stream: whether the answer is asked for piece by piece.
        headers: sent with every request.
        extra: the provider's own parameters, for every request.
        output: how answers are held to a schema; None = the best that the model can do.
    """

    timeouts: Timeouts = field(default_factory=Timeouts)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    pace: Pace | None = None
    stream: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    output: Way | None = None


class Tries:
    """How far the tries of one request have come.

    Attributes:
        number: which try it is.
        waited_s: seconds waited between tries.
        delivered: whether this try has handed on anything.
        void: whether something was handed on that the next try makes void.
    """

    __slots__ = ("delivered", "number", "policy", "void", "waited_s")

    def __init__(self, policy: RetryPolicy) -> None:
        self.policy = policy
        self.number = 1
        self.waited_s = 0.0
        self.delivered = self.void = False


class HttpModel:
    """One model of one provider.

    Attributes:
        name: "provider:model".
        endpoint: where it is.
        keys: the keys it may use.
    """

    def __init__(self, endpoint: Endpoint, model: str, base_url: str, keys: Keyring, settings: Settings) -> None:
        self.name = f"{endpoint.name}:{model}"
        self.endpoint = endpoint
        self.model = model
        self.base_url = base_url.rstrip("/")
        self.keys = keys
        self.settings = settings
        self._shapes: dict[int, tuple[Json, Json, bool]] = {}

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        """Yields the answer piece by piece, trying again and with other keys as the settings say.

        Raises:
            ModelError: of the kind that fits what went wrong.
        """
        asked, by_tool = self._shaped(request)
        try:
            body = self.render(asked)
        except ModelError as error:
            raise self._told(error, None) from None
        tries = Tries(self.settings.retry)
        while True:
            key = await self._key()
            unwrapped = Unwrapped() if by_tool else None
            try:
                async for batch in self._ask(body, key, asked):
                    for event in batch if unwrapped is None else unwrapped.events(batch):
                        kind = type(event)
                        if kind is Opened:
                            if tries.void:
                                yield Restarted()
                                tries.void = False
                        elif kind is not UsageDelta:
                            tries.delivered = True
                        yield event
                return
            except ModelError as error:
                notice = self._after(self._told(error, key), key, tries, request.restart)
                yield notice
                if isinstance(notice, Retried):
                    await asyncio.sleep(notice.wait_s)

    def _after(self, error: ModelError, key: Key | None, tries: Tries, restart: bool) -> Notice:
        """What comes after a failure: another key, another try, or its end.

        Raises:
            ModelError: the failure itself, where nothing comes after it.
        """
        if tries.delivered and not (tries.policy.restart or restart):
            if error.retryable:
                error.add_note("it broke off half way; RetryPolicy(restart=True) begins such an answer again")
            raise error
        tries.void = tries.void or tries.delivered
        tries.delivered = False
        switched = self._switch(key, error)
        if switched is not None:
            return switched
        tries.number += 1
        wait = tries.policy.wait_before(tries.number, error, tries.waited_s)
        if wait is None:
            raise error
        tries.waited_s += wait
        return Retried(tries.number, wait, error)

    def _told(self, error: ModelError, key: Key | None) -> ModelError:
        """The error in the user's words: which model, which key (by its label), which address."""
        text = error.args[0] if error.args and isinstance(error.args[0], str) else ""
        for name in {self.endpoint.name, self.endpoint.dialect.name, self.endpoint.wire.name}:
            if text.startswith((name + ": ", name + " ")):
                text = self.name + text[len(name) :]
                break
        if isinstance(error, AuthError) and key is not None and key.label not in text:
            text += f"; it was the {key.label}"
        if isinstance(error, NotFound) and self.base_url != self.endpoint.base_url:
            text += f"; asked at {self.base_url}{self.endpoint.wire.path(self.model, False)}"
        error.args = (text,)
        if key is not None:
            hide(error, key)
        return error

    # -- keys ----------------------------------------------------------------------------------------------------------
    async def _key(self) -> Key | None:
        """The next key; while all are resting, the first that is ready again."""
        if not self.keys.keys:
            return None
        key = self.keys.take()
        if key is None:
            wait = self.keys.soonest()
            if wait is None:
                raise AuthError(f"{self.name}: every key was refused", provider=self.endpoint.name)
            if wait > self.settings.retry.total_s:
                raise RateLimited(
                    f"{self.name}: every key rests, the first for {wait:.0f} s more",
                    provider=self.endpoint.name,
                    retry_after=wait,
                )
            await asyncio.sleep(wait)
            key = self.keys.take()
        return key

    def _switch(self, key: Key | None, error: ModelError) -> Switched | None:
        """Marks what the error says of the key, and tells which one takes over, if another can at once."""
        if key is None or len(self.keys.keys) < 2:
            return None
        if isinstance(error, (AuthError, QuotaExceeded)):
            self.keys.refuse(key)
        elif isinstance(error, RateLimited):
            self.keys.rest(key, COOLDOWN_S if error.retry_after is None else error.retry_after)
        else:
            return None
        follower = self.keys.peek()
        return None if follower is None else Switched(key.label, follower.label, error)

    # -- one try -------------------------------------------------------------------------------------------------------
    async def _ask(self, body: bytes, key: Key | None, request: Request) -> AsyncIterator[list[ModelEvent]]:
        endpoint, settings = self.endpoint, self.settings
        estimate = estimate_tokens(len(body)) + (request.max_tokens or 0)
        if settings.pace is not None:
            await settings.pace.admit(estimate)
        reading = Reading(endpoint.wire, endpoint.dialect, endpoint.name)
        used = 0
        batches = exchange(self._call(body, key), reading, settings.timeouts)
        try:
            async for batch in batches:
                for event in batch:
                    if type(event) is UsageDelta:
                        used = event.input_tokens + event.output_tokens
                        event.usd = self._cost(event) if event.usd is None else event.usd
                yield batch
        finally:
            await batches.aclose()
            if settings.pace is not None:
                settings.pace.settle(estimate, used)

    def _call(self, body: bytes, key: Key | None) -> Call:
        endpoint = self.endpoint
        headers = {"content-type": "application/json", **endpoint.headers, **self.settings.headers}
        if key is not None:
            headers[endpoint.key_header] = endpoint.key_prefix + key.reveal()
            if endpoint.from_key is not None:
                headers |= endpoint.from_key(key.reveal())
        return Call(self.base_url + endpoint.wire.path(self.model, self.settings.stream), headers, body)

    def _cost(self, usage: UsageDelta) -> float | None:
        if self.endpoint.free:
            return 0.0
        return cost_of(
            self.name, usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens
        )

    # -- rendering -----------------------------------------------------------------------------------------------------
    def _shaped(self, request: Request) -> tuple[Request, bool]:
        """The request with its schema as this model takes it, and whether a tool stands in for the schema."""
        if self.settings.extra:
            request = replace(request, extra=merged(dict(self.settings.extra), request.extra))
        if request.output_schema is None:
            return request, False
        way = self.settings.output or self.endpoint.way(self.model, bool(request.tools))
        thinks = request.thinking not in (None, False)
        if way == "tool" and thinks and self.endpoint.thinking_excludes_tools:
            way = "text"
        if way == "text":
            return as_words(request), False
        shape, strict = self._fitted(request.output_schema)
        if way == "schema" and (strict or self.endpoint.flavour == "plain" or not self.endpoint.dialect.strict):
            return replace(request, output_schema=shape), False
        return as_tool(request), True

    def _fitted(self, schema: Json) -> tuple[Json, bool]:
        held = self._shapes.get(id(schema))
        if held is None or held[0] is not schema:
            shape, strict = fit(schema, self.endpoint.flavour)
            if len(self._shapes) > 256:
                self._shapes.clear()
            held = self._shapes[id(schema)] = (schema, shape, strict)
        return held[1], held[2]

    def render(self, request: Request) -> bytes:
        """The body of a request. Turns that were sent before are not encoded again."""
        endpoint, stream = self.endpoint, self.settings.stream
        wire, dialect = endpoint.wire, endpoint.dialect
        if wire.turns in request.extra:
            return to_json(render_request(wire, request, self.model, stream=stream, dialect=dialect))
        head = to_json(merged(wire.render_head(request, self.model, stream, dialect), request.extra))
        pieces = [to_json(message) for message in wire.render_system(request, dialect)]
        before: Turn | None = None
        for turn in request.turns:
            name = dialect.name
            if dialect.bridge and isinstance(turn, UserTurn) and isinstance(before, ToolTurn):
                name += " after tools"
            encoded = turn.encoded.get(name)
            if encoded is None:
                messages = wire.render_turn(turn, before, dialect)
                encoded = turn.encoded[name] = b",".join(to_json(message) for message in messages)
            if encoded:
                pieces.append(encoded)
            before = turn
        opening = head[:-1] + (b"," if len(head) > 2 else b"")
        return opening + b'"' + wire.turns.encode() + b'":[' + b",".join(pieces) + b"]}"

    def __repr__(self) -> str:
        return f"<model {self.name} at {self.base_url}>"


def hide(error: ModelError, key: Key) -> None:
    """Takes a key out of what a server has echoed of it."""
    secret = key.reveal()
    if len(secret) < SHORTEST:  # "x" is what people give to a server that wants any key
        return
    error.args = tuple(arg.replace(secret, f"[{key.label}]") if isinstance(arg, str) else arg for arg in error.args)
    error.said = error.said.replace(secret, f"[{key.label}]")
