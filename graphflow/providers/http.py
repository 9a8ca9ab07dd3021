"""The one place that does I/O to a provider over HTTP: one client a loop, one TLS context a process, one timer a reply.

Rules:
1. What httpx raises ends here: everything that leaves is a `ModelError`, without the request and so without a key.
2. A cancelled caller closes the socket at once; so does a consumer that stops listening.
3. httpx is loaded when the first request is made, not before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, ref

from graphflow.errors import (
    BadRequest,
    ConnectionFailed,
    DeclarationError,
    MalformedReply,
    ModelError,
    ModelTimeout,
)
from graphflow.keepalive import Idle, keep_alive, set_late
from graphflow.keywords import strict_keywords
from graphflow.model.seam import ModelEvent, Opened
from graphflow.providers.reply_reader import ReplyReader

if TYPE_CHECKING:
    import ssl

    import httpx

MAX_LIST_BYTES = 8 * 1024 * 1024
"""Bytes of a plain reply at most."""
DRAIN_S = 0.5
"""Seconds that a server has to end a reply whose last event has come, so that its connection can be used again."""


@strict_keywords
@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds; None waits for ever.

    Attributes:
        connect_s: for a connection.
        first_s: from the request to the first piece of the answer; reasoning models are silent for minutes.
        idle_s: between two pieces.
        whole_s: for the whole answer.
    """

    connect_s: float | None = 10.0
    first_s: float | None = 300.0
    idle_s: float | None = 120.0
    whole_s: float | None = 1800.0

    def __post_init__(self) -> None:
        for name in ("connect_s", "first_s", "idle_s", "whole_s"):
            value = getattr(self, name)
            if value is None:
                continue
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not value > 0:  # NaN is not more than 0
                raise DeclarationError(
                    f"Timeouts({name}={value!r}) must be a positive number of seconds, or None"
                )


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, ready to send. Its repr says where to, and nothing else."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<request to {self.url}, {len(self.body)} bytes>"


# -- clients ---------------------------------------------------------------------------------------
EXPIRY_S = 60
"""Seconds after which an idle connection is closed."""
MAX_IDLE_CONNECTIONS = 100


@dataclass(frozen=True, slots=True)
class _LoopClient:
    """The client of one event loop.

    Attributes:
        loop: the loop, weakly: the client must not keep it alive.
        client: the client itself.
        keeper: what closes the client with the loop.
        idle: which of its connections are idle.
        defaults: the headers that it sends with every request, unless a request has its own.
    """

    loop: ReferenceType[asyncio.AbstractEventLoop]
    client: httpx.AsyncClient
    keeper: AsyncGenerator[None, None]
    idle: Idle
    defaults: Mapping[str, str]

    def request(self, call: HttpRequest, extensions: dict[str, Any]) -> httpx.Request:
        """What `build_request` of the client makes, in 12 us instead of 32: an address is parsed once, headers are read once."""
        import httpx

        url = _parsed_url(call.url)
        if self.client.cookies:  # which of them go to this address is for the client to say
            return self.client.build_request(
                "POST", url, headers=dict(call.headers), content=call.body, extensions=extensions
            )
        headers = {**self.defaults, **call.headers}
        return httpx.Request("POST", url, headers=headers, content=call.body, extensions=extensions)


@lru_cache(maxsize=128)
def _parsed_url(url: str) -> httpx.URL:
    import httpx

    return httpx.URL(url)


_clients: dict[int, _LoopClient] = {}
"""By the loop's id."""
_tls: list[ssl.SSLContext] = []


async def client() -> httpx.AsyncClient:
    """The client of this event loop. It is closed when the loop shuts down its generators, as `asyncio.run` does."""
    own = await _loop_client()
    return own.client


async def _loop_client() -> _LoopClient:
    loop = asyncio.get_running_loop()
    number = id(loop)
    own = _clients.get(number)
    if own is None or own.loop() is not loop:  # an id is given anew when its loop is gone
        _forget_closed_loops()
        made = _new_client()
        keeper = _keep(number, made)
        own = _LoopClient(ref(loop), made, keeper, Idle(EXPIRY_S), dict(made.headers))
        _clients[number] = own
        await anext(own.keeper)
    return own


def _forget_closed_loops() -> None:
    """Forgets loops that were closed without a word to their generators."""
    for number, own in list(_clients.items()):
        loop = own.loop()
        if loop is None or loop.is_closed():
            del _clients[number]


def _new_client() -> httpx.AsyncClient:
    import httpx

    if not _tls:
        _tls.append(httpx.create_ssl_context())  # reads the CA bundle: 20 ms, once a process
    # The number of requests at once is for `Pace` and the limits of a run to decide, and each wait has a timer of ours.
    limits = httpx.Limits(
        max_connections=None,
        max_keepalive_connections=MAX_IDLE_CONNECTIONS,
        keepalive_expiry=EXPIRY_S,
    )
    return httpx.AsyncClient(verify=_tls[0], limits=limits, timeout=None, follow_redirects=False)


async def _keep(number: int, made: httpx.AsyncClient) -> AsyncGenerator[None, None]:
    # An unfinished asynchronous generator is the one thing that every loop closes in its own time and inside itself.
    try:
        yield
    finally:
        _clients.pop(number, None)
        await made.aclose()


async def aclose() -> None:
    """Closes this loop's connections now; the next request opens new ones."""
    loop = asyncio.get_running_loop()
    own = _clients.get(id(loop))
    if own is not None:
        await own.keeper.aclose()


async def get(
    url: str, headers: Mapping[str, str], provider: str, timeouts: Timeouts
) -> tuple[int, Mapping[str, str], bytes]:
    """One plain request: status, headers and body, which is cut at a few megabytes.

    Raises:
        ModelError: the server was not reached.
    """
    import httpx

    limit = httpx.Timeout(timeouts.first_s, connect=timeouts.connect_s)
    body = bytearray()
    try:
        sender = await client()
    except (ImportError, OSError, TypeError, ValueError) as error:
        raise _send_error(
            provider, url, Unsendable(type(error).__name__, str(error)), timeouts
        ) from None
    try:
        trace = {"trace": keep_alive}
        async with sender.stream(
            "GET", url, headers=dict(headers), timeout=limit, extensions=trace
        ) as response:
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > MAX_LIST_BYTES:
                    break
            return response.status_code, response.headers, bytes(body)
    except httpx.TimeoutException:
        failure: ModelError = _timeout_error(provider, "first", timeouts)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        failure = _send_error(provider, url, error, timeouts)
    raise failure


# -- the timer -------------------------------------------------------------------------------------
class Watch:
    """One moving timer for a reply: a piece that comes moves the deadline, and only the timer itself looks at the clock."""

    __slots__ = (
        *("_cancelling", "_handle", "_loop", "_task"),
        *("deadline", "end", "expired", "now", "phase"),
    )

    def __init__(self, whole_s: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self.now: Callable[[], float] = self._loop.time
        """The loop's time."""
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._handle: asyncio.TimerHandle | None = None
        self.end: float | None = None
        if whole_s is not None:
            self.end = self.now() + whole_s
        self.deadline: float | None = None
        self.phase = ""
        self.expired = False

    def wait(self, seconds: float | None, phase: str) -> float | None:
        """From here the task waits for the network, this long at most; the deadline."""
        deadline = None if seconds is None else self.now() + seconds
        self.until(deadline, phase)
        return deadline

    def until(self, deadline: float | None, phase: str) -> None:
        """From here the task waits for the network, until then at most."""
        task = asyncio.current_task()
        if task is not self._task and task is not None:  # a stream may be read on by another task
            self._task = task
            self._cancelling = task.cancelling()
        self.phase = phase
        if self.end is not None and (deadline is None or self.end < deadline):
            deadline = self.end
            self.phase = "whole"
        self.deadline = deadline
        if deadline is not None and (self._handle is None or self._handle.when() > deadline):
            self._arm(deadline)

    def pause(self) -> None:
        """The task no longer waits."""
        self.deadline = None

    def _arm(self, when: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_at(when, self._fire)

    def _fire(self) -> None:
        self._handle = None
        # The task computes, or its consumer does: nobody waits for the network.
        if self.deadline is None:
            return
        if self.now() < self.deadline:
            self._arm(self.deadline)
        elif self._task is not None:
            self.expired = True
            self._task.cancel()

    def close(self) -> None:
        """No more firing."""
        self.deadline = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def took_back(self) -> bool:
        """Whether a cancellation was this timer's and nobody else's; it is undone then."""
        if not self.expired or self._task is None:
            return False
        return self._task.uncancel() <= self._cancelling


class Unsendable(Exception):
    """A request that cannot even be built here: a proxy, a certificate file, a header. Its text names no header."""


# -- one exchange ----------------------------------------------------------------------------------
async def exchange(
    call: HttpRequest, reader: ReplyReader, timeouts: Timeouts
) -> AsyncGenerator[list[ModelEvent], None]:
    """Sends one request and yields the events of its reply as they come, those of one piece at once.

    Raises:
        ModelError: of the kind that fits what went wrong.
    """
    import httpx

    watch = Watch(timeouts.whole_s)
    pieces = _Pieces(call, timeouts, watch)
    is_complete = False
    failure: ModelError | None = None
    try:
        headers, status = await pieces.open()
        reader.begin(status, headers)
        while not is_complete and (piece := await pieces.next()) is not None:
            if events := reader.feed(piece):
                if not pieces.answer_began:
                    pieces.answer_began = any(type(event) is not Opened for event in events)
                yield events
            is_complete = reader.complete
        yield reader.end()
        if reader.failure is not None:
            raise reader.failure
        await pieces.drain()
    except asyncio.CancelledError:
        if not watch.took_back():
            raise
        failure = _timeout_error(reader.provider, watch.phase, timeouts)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, Unsendable) as error:
        failure = _send_error(reader.provider, call.url, error, timeouts)
    finally:
        watch.close()
        await pieces.aclose()
    if failure is not None:  # raised out here: what httpx raised holds the request, and so the key
        raise failure


class _Pieces:
    """The bytes of one reply, each awaited under the timer."""

    def __init__(self, call: HttpRequest, timeouts: Timeouts, watch: Watch) -> None:
        self.call = call
        self.timeouts = timeouts
        self.watch = watch
        self.answer_began = False
        self.first: float | None = None
        """When the answer has to have begun."""
        self.idle: Idle | None = None
        self.response: httpx.Response | None = None
        self.stream: AsyncIterator[bytes] | None = None

    async def open(self) -> tuple[Mapping[str, str], int]:
        """Sends the request; headers and status of its reply."""
        import httpx

        try:
            own = await _loop_client()
            self.idle = own.idle
            connect = httpx.Timeout(None, connect=self.timeouts.connect_s)
            extensions: dict[str, Any] = {"timeout": connect.as_dict()}
            is_open = self.idle.take(self.call.url, self.watch.now())
            if not is_open:
                extensions["trace"] = keep_alive
            request = own.request(self.call, extensions)
        except (ImportError, OSError, TypeError, ValueError) as error:
            raise Unsendable(type(error).__name__, str(error)) from None
        self.first = self.watch.wait(self.timeouts.first_s, "first")
        try:
            self.response = await own.client.send(request, stream=True)
        except (OverflowError, ExceptionGroup) as error:
            raise Unsendable(type(error).__name__, "the address cannot be reached") from None
        self.watch.pause()
        if is_open:  # it may have been closed by the other side, and a new one opened
            set_late(self.response.extensions.get("network_stream"))
        response = self.response
        is_compressed = "content-encoding" in response.headers
        pieces = response.aiter_bytes() if is_compressed else response.aiter_raw()
        self.stream = pieces.__aiter__()
        return response.headers, response.status_code

    async def next(self) -> bytes | None:
        """The next piece, or None at the end."""
        watch = self.watch
        if self.answer_began:
            watch.wait(self.timeouts.idle_s, "idle")
        else:
            watch.until(self.first, "first")
        assert self.stream is not None  # open() was called
        try:
            return await self.stream.__anext__()
        except StopAsyncIteration:
            return None
        finally:
            watch.pause()

    async def drain(self) -> None:
        """Reads what follows the last event, so that the connection can be used again; what fails now does not matter."""
        import httpx

        assert self.stream is not None
        try:
            async with asyncio.timeout(DRAIN_S):
                async for _ in self.stream:
                    pass
            assert self.idle is not None
            self.idle.give(self.call.url, self.watch.now())
        except (TimeoutError, httpx.HTTPError, httpx.StreamError):
            pass

    async def aclose(self) -> None:
        """Closes the reply; its connection goes back to the pool if all of it was read."""
        if self.response is not None:
            await self.response.aclose()


def _timeout_error(provider: str, phase: str, timeouts: Timeouts) -> ModelTimeout:
    match phase:
        case "first":
            what = f"it did not begin to answer within first_s={timeouts.first_s:g} s"
        case "idle":
            what = f"it said nothing for idle_s={timeouts.idle_s:g} s in the middle of an answer"
        case _:
            what = f"it did not finish an answer within whole_s={timeouts.whole_s:g} s"
    text = f"{what}; allow more with connect(..., timeouts=Timeouts(...))"
    error = ModelTimeout(text, source=provider, provider=provider)
    error.phase = phase
    error.retryable = phase != "whole"  # another try would have to be faster by luck
    return error


def _send_error(provider: str, url: str, error: Exception, timeouts: Timeouts) -> ModelError:
    import httpx

    where = _host(url)
    match error:
        case Unsendable():
            why = _why_unsendable(error)
            return BadRequest(
                f"the request to {where} cannot be sent from here: {why}",
                source=provider,
                provider=provider,
            )
        case httpx.ConnectTimeout():
            text = f"no connection to {where} within {timeouts.connect_s:g} s"
            late = ModelTimeout(text, source=provider, provider=provider)
            late.phase = "connect"
            return late
        case httpx.DecodingError():
            return MalformedReply(
                "the reply cannot be decompressed", source=provider, provider=provider
            )
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return BadRequest(
                f"{where!r} is not the address of a server; give base_url='https://host/v1'",
                source=provider,
            )
        case httpx.LocalProtocolError():  # its text quotes the header, and so the key
            return BadRequest(
                "a header of the request contains what HTTP does not allow", source=provider
            )
        case httpx.ConnectError():
            text = f"no connection to {where}: {_reason(error)}"
        case httpx.RemoteProtocolError():
            text = f"the connection to {where} broke before the reply was whole"
        case _:
            kind = type(error).__name__
            text = f"the connection to {where} failed ({kind})"
    return ConnectionFailed(text, source=provider, provider=provider)


def _why_unsendable(error: Unsendable) -> str:
    kind, text = error.args
    is_header = kind == "TypeError" or "Unicode" in kind
    if is_header:
        return "a header contains what HTTP does not allow"  # its own text quotes the header
    return str(text[:300])


def _reason(error: BaseException) -> str:
    """The first words in the chain of an error that has any: TLS failures come wrapped and without a text."""
    seen: BaseException | None = error
    while seen is not None:
        if str(seen).strip():
            return str(seen)
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__


def _host(url: str) -> str:
    """Scheme, host and port of an address; user info and query stay out of every text."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the address"
    if parts.hostname:
        return f"{parts.scheme}://{parts.hostname}{port}"
    without_query = url.partition("?")[0]
    return without_query[:100]
