"""A model behind HTTP: an endpoint's *where*, a wire format's *how*, and the patience in between."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_core import to_json

from graphflow.errors import AuthError, ModelError, NotFound, QuotaExceeded, RateLimited
from graphflow.messages.media import Media
from graphflow.model.prices import cost_of, estimate_tokens, price_of
from graphflow.model.reply import join_surrogates
from graphflow.model.seam import Finished, ModelEvent, Notice, Opened, Request, Restarted, Retried, Switched, UsageDelta
from graphflow.model.turns import ToolTurn, Turn, UserTurn
from graphflow.providers.closing import aclosing
from graphflow.providers.endpoint import Endpoint
from graphflow.providers.faults import CUT
from graphflow.providers.http import Call, Timeouts, exchange
from graphflow.providers.keys import Key, Keyring
from graphflow.providers.pace import Pace
from graphflow.providers.reply_reader import ReplyReader
from graphflow.providers.retry import RetryPolicy
from graphflow.providers.structured_output import AnswerReader, Way, answer_name, as_tool, as_words, fit
from graphflow.providers.wires.wire import Json, cannot, merged, render_request
from graphflow.redaction import SHORTEST, is_secret

PICTURE_TOKENS = 1500
"""Tokens of a picture, for pacing: the vendors count between some hundred and a few thousand, whatever its bytes."""
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
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
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

    __slots__ = ("asked", "delivered", "number", "policy", "void", "waited_s")

    def __init__(self, policy: RetryPolicy) -> None:
        self.policy = policy
        self.number = 1
        self.waited_s = 0.0
        self.delivered = self.void = False
        self.asked: set[str] = set()
        """The keys that this request was sent with: each gets one try that is not counted."""


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
        if not endpoint.free:
            price_of(self.name)  # a table of prices that cannot be read is told now, not when tokens are spent

    @property
    def top_logprobs(self) -> int:
        """Of how many likeliest tokens it tells the probability."""
        return self.endpoint.top_logprobs

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Its name, if nobody will know what an answer costs."""
        known = self.endpoint.free or self.endpoint.tells_cost or price_of(self.name) is not None
        return () if known else (self.name,)

    async def stream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """Yields the answer piece by piece, trying again and with other keys as the settings say.

        Raises:
            ModelError: of the kind that fits what went wrong.
        """
        asked, by_tool = self._shaped(request)
        try:
            body = self.render(asked)
        except ModelError as error:
            raise self._told(error, None) from None
        limited = asked.settings.max_tokens is not None or self.endpoint.wire.limits(asked.settings.extra)
        tries = Tries(self.settings.retry)
        while True:
            key = await self._key(tries)
            unwrapped = AnswerReader(answer_name(request)) if by_tool else None
            try:
                async with aclosing(self._ask(body, key, asked)) as batches:
                    async for batch in batches:
                        for event in batch if unwrapped is None else unwrapped.events(batch):
                            kind = type(event)
                            if kind is Opened:
                                if tries.void:
                                    yield Restarted()
                                    tries.void = False
                            elif type(event) is Finished:
                                event.limited, tries.delivered = limited, True
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
        switched = self._switch(key, error, tries)
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
            hide(error, key.reveal(), key.label)
        for name, value in self.settings.headers.items():
            if is_secret(name):
                hide(error, value, f"header {name}")
        return error

    # -- keys ----------------------------------------------------------------------------------------------------------
    async def _key(self, tries: Tries) -> Key | None:
        """The next key; while all are resting, the first that is ready again."""
        if not self.keys.keys:
            return None
        while (key := self.keys.take()) is None:
            wait = self.keys.soonest()
            if wait is None:
                raise AuthError(f"{self.name}: every key was refused", provider=self.endpoint.name)
            if wait > tries.policy.total_s - tries.waited_s:
                raise RateLimited(
                    f"{self.name}: every key rests, the first for {wait:.0f} s more",
                    provider=self.endpoint.name,
                    retry_after=wait,
                )
            tries.waited_s += wait
            await asyncio.sleep(wait)
        return key

    def _switch(self, key: Key | None, error: ModelError, tries: Tries) -> Switched | None:
        """Marks what the error says of the key, and tells which one takes over, if another can at once."""
        if key is None or len(self.keys.keys) < 2:
            return None
        tries.asked.add(key.label)
        if isinstance(error, QuotaExceeded) or (isinstance(error, AuthError) and error.status != 403):
            if error.retry_after is None:  # a 403 may be about what was asked, not about who asks
                self.keys.refuse(key)
            else:
                self.keys.rest(key, error.retry_after)
        elif isinstance(error, RateLimited):
            others = (other for other in self.keys.keys if other.label not in tries.asked)
            if error.retry_after is not None:
                self.keys.rest(key, error.retry_after)
            elif next(others, None) is not None:  # else it is tried again like an only key
                self.keys.rest(key, COOLDOWN_S)
        else:
            return None
        follower = self.keys.peek()
        if follower is None or follower.label in tries.asked:
            return None
        return Switched(key.label, follower.label, error)

    # -- one try -------------------------------------------------------------------------------------------------------
    async def _ask(self, body: bytes, key: Key | None, request: Request) -> AsyncGenerator[list[ModelEvent], None]:
        endpoint, settings = self.endpoint, self.settings
        estimate = estimate_tokens(len(body) - sum(media_sizes(request))) + (request.settings.max_tokens or 0)
        estimate += PICTURE_TOKENS * len(media_sizes(request))
        if settings.pace is not None:
            await settings.pace.admit(estimate)
        reading = ReplyReader(endpoint.wire, endpoint.dialect, endpoint.name, whole=not settings.stream)
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
        headers = {"content-type": "application/json", **endpoint.headers}
        if key is not None:
            headers[endpoint.key_header] = endpoint.key_prefix + key.reveal()
            if endpoint.from_key is not None:
                headers |= endpoint.from_key(key.reveal())
        headers |= {name.lower(): value for name, value in self.settings.headers.items()}
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
            extra = merged(dict(self.settings.extra), request.settings.extra)
            request = replace(request, settings=replace(request.settings, extra=extra))
        if request.output_schema is None:
            return request, False
        way = self.settings.output or self.endpoint.way(self.model, bool(request.tools))
        thinks = request.settings.thinking not in (None, False)
        shape, strict = self._fitted(request.output_schema)
        if way == "schema" and not strict and self.endpoint.flavour != "plain" and self.endpoint.dialect.strict:
            way = "tool"  # what has no strict form is held to by a tool
        if way == "tool" and thinks and self.endpoint.thinking_excludes_tools:
            way = "text"
        if way == "text":
            return as_words(request), False
        if way == "schema":
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
        if request.top_logprobs > endpoint.top_logprobs:
            raise cannot(
                endpoint.name, f"top_logprobs={request.top_logprobs}", f"it tells {endpoint.top_logprobs or 'none'}"
            )
        wire, dialect = endpoint.wire, endpoint.dialect
        if wire.turns in request.settings.extra:
            return encode(render_request(wire, request, self.model, stream=stream, dialect=dialect))
        head = encode(merged(wire.render_head(request, self.model, stream, dialect), request.settings.extra))
        pieces = [encode(message) for message in wire.render_system(request, dialect)]
        before: Turn | None = None
        for turn in request.turns:
            name = dialect.name
            if dialect.bridge and isinstance(turn, UserTurn) and isinstance(before, ToolTurn):
                name += " after tools"
            encoded = turn.encoded.get(name)
            if encoded is None:
                messages = wire.render_turn(turn, before, dialect)
                encoded = turn.encoded[name] = b",".join(encode(message) for message in messages)
            if encoded:
                pieces.append(encoded)
            before = turn
        opening = head[:-1] + (b"," if len(head) > 2 else b"")
        return opening + b'"' + wire.turns.encode() + b'":[' + b",".join(pieces) + b"]}"

    def __repr__(self) -> str:
        return f"<model {self.name} at {self.base_url}>"


def media_sizes(request: Request) -> list[int]:
    """About how many bytes of a body each picture or file takes, as base64."""
    found: list[Any] = []
    for turn in request.turns:
        if isinstance(turn, UserTurn) and not isinstance(turn.content, str):
            found += turn.content
        elif isinstance(turn, ToolTurn):
            found += [media for result in turn.results for media in result.media]
    return [len(media.data) * 4 // 3 for media in found if isinstance(media, Media)]


PLACEHOLDERS = frozenset(["ollama", "none", "empty", "dummy", "test", "local", "token", "secret", "apikey", "lmstudio"])
"""What people give to a server that wants any key: no secret, and a word of its messages."""
WORD = 4
"""Characters that a key has at least to be looked for at all."""


def hide(error: ModelError, secret: str, label: str) -> None:
    """Takes a secret out of what a server has echoed of it, also where a cut has left a part of it at the end.

    A short one is only taken out where it stands alone: it may be a part of any word.
    """
    if len(secret) < WORD or secret.lower() in PLACEHOLDERS:
        return
    whole = re.escape(secret) if len(secret) >= SHORTEST else rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])"

    def clean(text: str) -> str:
        text = re.sub(whole, lambda _: f"[{label}]", text)
        for size in range(len(secret) - 1, min(len(secret), SHORTEST) - 1, -1):
            text = text.replace(secret[:size] + CUT, f"[{label}]{CUT}")
        return text

    error.args = tuple(clean(arg) if isinstance(arg, str) else arg for arg in error.args)
    for name in ("said", "code", "type", "request_id"):
        setattr(error, name, clean(str(getattr(error, name))))


def encode(value: Json) -> bytes:
    """JSON for the wire, as every API takes it.

    Half a character, which file names and models may hold, is replaced. NaN and infinity, for which JSON has no word, are
    sent as texts: an API answers the bare words with an error, to this request and to all that repeat the conversation.
    """
    try:
        return to_json(value, inf_nan_mode="strings")
    except ValueError:
        return to_json(_with_surrogates_joined(value), inf_nan_mode="strings")


def _with_surrogates_joined(value: Any) -> Any:
    if isinstance(value, str):
        return join_surrogates(value)
    if isinstance(value, Mapping):
        return {join_surrogates(str(key)): _with_surrogates_joined(inner) for key, inner in value.items()}
    return [_with_surrogates_joined(inner) for inner in value] if isinstance(value, (list, tuple)) else value
