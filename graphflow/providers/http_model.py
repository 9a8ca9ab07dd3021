"""A model behind HTTP: an endpoint's *where*, a wire format's *how*, and the patience in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from graphflow.errors import AuthError, ModelError, NotFound, SignatureInvalid
from graphflow.model.prices import context_window, cost_of, price_of
from graphflow.model.seam import (
    Finished,
    ModelEvent,
    Opened,
    Request,
    Restarted,
    Retried,
    UsageDelta,
)

# Where it was before; this name goes with 0.3.
from graphflow.providers.body import encode as encode
from graphflow.providers.body import estimated_tokens, render_body
from graphflow.providers.echoes import hide
from graphflow.providers.endpoint import Endpoint
from graphflow.providers.http import HttpRequest, Timeouts, exchange
from graphflow.providers.keys import Key, Keyring
from graphflow.providers.pace import Pace
from graphflow.providers.reply_reader import ReplyReader
from graphflow.providers.retry import RetryPolicy
from graphflow.providers.signatures import SignedTurns
from graphflow.providers.streams import aclosing
from graphflow.providers.structured_output import (
    AnswerReader,
    Way,
    answer_name,
    as_tool,
    as_words,
    fit,
)
from graphflow.providers.tries import Tries
from graphflow.providers.wires.demands import cannot
from graphflow.providers.wires.json_object import Json, merge
from graphflow.redaction import is_secret
from graphflow.trace_context import outgoing

MAX_FITTED_SCHEMAS = 256
"""Schemas that a model remembers in its own form; a program has a few, and one that makes them anew must not fill memory."""


@dataclass(frozen=True)
class ConnectOptions:
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
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict)
    output: Way | None = None


class HttpModel:
    """One model of one provider.

    Attributes:
        name: "provider:model".
        endpoint: where it is.
        keys: the keys it may use.
    """

    def __init__(
        self, endpoint: Endpoint, model: str, base_url: str, keys: Keyring, options: ConnectOptions
    ) -> None:
        self.name = f"{endpoint.name}:{model}"
        self.endpoint = endpoint
        self.model = model
        self.base_url = base_url.rstrip("/")
        self.keys = keys
        self.options = options
        self._signed = SignedTurns(self.name)
        self._fitted: dict[int, tuple[Json, Json, bool]] = {}
        if not endpoint.free:
            # A table of prices that cannot be read is reported now, not when tokens are spent.
            price_of(self.name)

    @property
    def top_logprobs(self) -> int:
        """Of how many likeliest tokens it tells the probability."""
        return self.endpoint.top_logprobs

    @property
    def context_window(self) -> int | None:
        """Tokens that it reads and writes at most; None if nobody knows."""
        return context_window(self.name)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Its name, if nobody will know what an answer costs."""
        endpoint = self.endpoint
        is_priced = endpoint.free or endpoint.tells_cost or price_of(self.name) is not None
        return () if is_priced else (self.name,)

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """Yields the answer piece by piece, trying again and with other keys as the options say.

        Raises:
            ModelError: of the kind that fits what went wrong.
        """
        sent, by_tool = self._with_schema_form(self._signed.readable(request))
        body = self._body(sent)
        is_limited = self._is_limited(sent)
        tries = Tries(self.name, self.keys, self.options.retry)
        while True:
            key = await tries.next_key()
            answer = AnswerReader(answer_name(request)) if by_tool else None
            try:
                async with aclosing(self._try(body, key, sent)) as batches:
                    async for batch in batches:
                        events = batch if answer is None else answer.events(batch)
                        for event in events:
                            kind = type(event)
                            if type(event) is Opened:
                                event.asked = self.name
                                # Pieces of an earlier try were shown: they are void from here on.
                                if tries.void:
                                    yield Restarted()
                                    tries.void = False
                            elif type(event) is Finished:
                                event.limited = is_limited
                                tries.delivered = True
                            elif kind is not UsageDelta:
                                tries.delivered = True
                            yield event
                return
            except ModelError as error:
                notice = tries.after(self.explain(error, key), key, request.restart)
                if isinstance(error, SignatureInvalid):
                    sent = self._signed.distrust(sent, error)
                    body = self._body(sent)
                yield notice
                if isinstance(notice, Retried):
                    await asyncio.sleep(notice.wait_s)

    def _is_limited(self, request: Request) -> bool:
        """Whether somebody has said how long the answer may be at most."""
        settings = request.settings
        if settings.max_tokens is not None:
            return True
        return self.endpoint.wire.limits(settings.extra)

    def explain(self, error: ModelError, key: Key | None) -> ModelError:
        """The error in the user's words: which model, which key (by its label), which address. No secret stays in it."""
        if error.source:
            error.source = self.name
        if isinstance(error, AuthError) and key is not None and key.label not in str(error):
            error.hints += (f"it was the {key.label}",)
        if isinstance(error, NotFound) and self.base_url != self.endpoint.base_url:
            path = self.endpoint.wire.path(self.model, False)
            error.hints += (f"asked at {self.base_url}{path}",)
        if key is not None:
            hide(error, key.reveal(), key.label)
        for name, value in self.options.headers.items():
            if is_secret(name):
                hide(error, value, f"header {name}")
        return error

    # -- one try -----------------------------------------------------------------------------------
    async def _try(
        self, body: bytes, key: Key | None, request: Request
    ) -> AsyncGenerator[list[ModelEvent], None]:
        """Yields what one request brings, with its price, and keeps to the pace."""
        endpoint, options = self.endpoint, self.options
        pace = options.pace
        # The estimate is taken from the pace before the request goes out, so that requests at once do not all pass; what it
        # was wrong by is given back, or taken, once the provider has counted.
        estimate = estimated_tokens(body, request)
        if pace is not None:
            await pace.admit(estimate)
        reader = ReplyReader(
            endpoint.wire, endpoint.dialect, endpoint.name, whole=not options.stream
        )
        used = 0
        batches = exchange(self.call(body, key), reader, options.timeouts)
        try:
            async for batch in batches:
                for event in batch:
                    if type(event) is UsageDelta:
                        used = event.input_tokens + event.output_tokens
                        if event.usd is None:
                            event.usd = self._cost(event)
                yield batch
        finally:
            await batches.aclose()
            if pace is not None:
                pace.settle(estimate, used)

    def call(self, body: bytes, key: Key | None) -> HttpRequest:
        """A request as it goes out: where to, and with which headers."""
        endpoint = self.endpoint
        # Later ones win: the trace's, the endpoint's own, then the key's, then the user's, in whatever case they were written.
        headers = {"content-type": "application/json", **outgoing(), **endpoint.headers}
        if key is not None:
            headers[endpoint.key_header] = endpoint.key_prefix + key.reveal()
            if endpoint.from_key is not None:
                headers |= endpoint.from_key(key.reveal())
        for name, value in self.options.headers.items():
            headers[name.lower()] = value
        path = endpoint.wire.path(self.model, self.options.stream)
        return HttpRequest(self.base_url + path, headers, body)

    def _cost(self, usage: UsageDelta) -> float | None:
        if self.endpoint.free:
            return 0.0
        return cost_of(
            self.name,
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
        )

    # -- rendering ---------------------------------------------------------------------------------
    def _with_schema_form(self, request: Request) -> tuple[Request, bool]:
        """The request with its schema as this model takes it, and whether a tool stands in for the schema."""
        if self.options.extra:
            extra = merge(dict(self.options.extra), request.settings.extra)
            settings = replace(request.settings, extra=extra)
            request = replace(request, settings=settings)
        if request.output_schema is None:
            return request, False
        shape, is_strict = self._fit(request.output_schema)
        match self._way(request, is_strict):
            case "schema":
                return replace(request, output_schema=shape), False
            case "tool":
                return as_tool(request), True
            case "text":
                return as_words(request), False

    def _way(self, request: Request, is_strict: bool) -> Way:
        """How this model is held to the schema of a request."""
        endpoint = self.endpoint
        way = self.options.output or endpoint.way(self.model, bool(request.tools))
        has_strict_forms = endpoint.flavour != "plain" and endpoint.dialect.strict
        if way == "schema" and has_strict_forms and not is_strict:
            way = "tool"  # what has no strict form is held to by a tool
        thinks = request.settings.thinking not in (None, False)
        if way == "tool" and thinks and endpoint.thinking_excludes_tools:
            way = "text"
        return way

    def _fit(self, schema: Json) -> tuple[Json, bool]:
        """The schema in the endpoint's flavour, and whether it is strict there; worked out once for each schema."""
        number = id(schema)
        known, shape, is_strict = self._fitted.get(number, (None, {}, False))
        if known is schema:  # an id may be another schema's by now: the schema itself decides
            return shape, is_strict
        shape, is_strict = fit(schema, self.endpoint.flavour)
        if len(self._fitted) > MAX_FITTED_SCHEMAS:
            self._fitted.clear()
        self._fitted[number] = (schema, shape, is_strict)
        return shape, is_strict

    def _body(self, request: Request) -> bytes:
        try:
            return self.render(request)
        except ModelError as error:
            raise self.explain(error, None) from None

    def render(self, request: Request) -> bytes:
        """The body of a request.

        Raises:
            BadRequest: the model has no way to do part of it.
        """
        endpoint = self.endpoint
        most = endpoint.top_logprobs
        if request.top_logprobs > most:
            raise cannot(
                endpoint.name, f"top_logprobs={request.top_logprobs}", f"it gives {most or 'none'}"
            )
        return render_body(
            endpoint.wire, endpoint.dialect, request, self.model, self.options.stream
        )

    def __repr__(self) -> str:
        return f"<model {self.name} at {self.base_url}>"
