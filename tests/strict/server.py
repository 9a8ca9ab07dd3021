"""The server: one dialect, one script, one port on 127.0.0.1.

Laws:
1. A request is judged first and answered second; a refused one takes no answer from the script.
2. Whatever a client did wrong is in `refused`: a clean run leaves it empty.
3. An answer more than the script holds, and a script that breaks, are refusals too: they never look like a vendor's
   passing fault, which clients would try again.
"""

from __future__ import annotations

import asyncio
import json
import threading
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from tests.strict.anthropic import Anthropic
from tests.strict.base import Dialect, Memory, Refused, Reply, Request, is_json
from tests.strict.gemini import Gemini
from tests.strict.groq import Groq
from tests.strict.http import Malformed, read_request, send
from tests.strict.mistral import Mistral
from tests.strict.ollama import Ollama
from tests.strict.openai_chat import OpenAIChat
from tests.strict.openai_responses import OpenAIResponses
from tests.strict.script import Answer, Script

KINDS: tuple[type[Dialect], ...] = (
    OpenAIChat,
    OpenAIResponses,
    Anthropic,
    Gemini,
    Ollama,
    Groq,
    Mistral,
)
DIALECTS: dict[str, type[Dialect]] = {dialect.name: dialect for dialect in KINDS}


class StrictServer:
    """A vendor's API on this machine; `async with` it, or `with` it from code that has no loop.

    Args:
        dialect: openai-chat, openai-responses, anthropic, gemini, ollama, groq or mistral.
        script: answers, one per accepted request, or a function from the request's JSON to its answer.
        key: the key that clients must show in the vendor's header. Ollama asks for none unless one is given.

    Attributes:
        url: where it listens, "http://127.0.0.1:PORT".
        requests: all requests that came, refused ones too (`refusal` says why).
        refused: why requests were refused, "rule: the vendor's words" each.
        connections: TCP connections accepted.
    """

    def __init__(
        self, dialect: str, script: Script | Iterable[Answer] = (), *, key: str | None = None
    ) -> None:
        if key is None and dialect != "ollama":
            key = "sk-test"
        self.dialect = DIALECTS[dialect](key)
        self._script = script if callable(script) else list(script)
        self.memory = Memory()
        self.url = ""
        self.requests: list[Request] = []
        self.refused: list[str] = []
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._thread: _Thread | None = None

    async def __aenter__(self) -> StrictServer:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def __enter__(self) -> StrictServer:
        self._thread = _Thread(self)
        self._thread.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._thread is not None
        self._thread.end()

    @property
    def left(self) -> int:
        """Answers of the script that nobody asked for."""
        return 0 if callable(self._script) else len(self._script) - self.memory.answers

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await read_request(reader):
                self.requests.append(request)
                answer, reply = self._answer(request)
                if not await send(
                    writer,
                    reply,
                    delay_s=answer.delay_s,
                    cut_at=answer.cut_at,
                    slices=answer.slices,
                    keep=request.keep_alive,
                ):
                    break
        except Malformed as error:
            self.refused.append(f"http: {error}")
        except ConnectionError:
            pass  # the client hung up, as it may
        finally:
            writer.close()
            try:
                await writer.wait_closed()
            except (ConnectionError, asyncio.CancelledError):
                pass

    def _answer(self, request: Request) -> tuple[Answer, Reply]:
        try:
            self._judge(request)
            answer = self._next(request)
            return answer, self._spell(request, answer)
        except Refused as refused:
            error = refused
        except Exception:
            error = Refused("broken", traceback.format_exc())
        request.refusal = str(error)
        self.refused.append(str(error))
        return Answer(), self.dialect.failure(request, error)

    def _judge(self, request: Request) -> None:
        key = self.dialect.key
        if {"key", "api_key", "api-key", "apikey", "access_token"} & set(request.query) or (
            key and key in request.target
        ):
            raise Refused("key-in-url", "the key must not travel in the URL", kind="auth")
        self.dialect.authorize(request)
        self.dialect.route(request)
        if not is_json(request):
            sent = request.headers.get("content-type", "")
            raise Refused(
                "content-type",
                f"Unsupported content type: '{sent}'",
                code="unsupported_content_type",
            )
        request.json = parse(request.body)
        if key and key.encode() in request.body:
            raise Refused("key-in-body", "the key must not travel in the body")
        self.dialect.check(request, self.memory)

    def _next(self, request: Request) -> Answer:
        at = self.memory.answers
        if callable(self._script):
            answer = self._script(request.json)
        elif at < len(self._script):
            answer = self._script[at]
        else:
            raise Refused("script-over", f"the script holds {at} answers, this is request {at + 1}")
        self.memory.answers += 1
        return answer

    def _spell(self, request: Request, answer: Answer) -> Reply:
        if answer.raw is not None:
            body, content_type = answer.raw
            return Reply(answer.status or 200, content_type, [body], stream=bool(answer.slices))
        kind = answer.failure
        streams = (
            self.dialect.reply(request, answer, self.memory)
            if kind is None or answer.mid_stream_error
            else None
        )
        if streams is not None and (kind is None or streams.stream):
            return streams
        assert kind is not None
        failed = Refused("scripted", "", kind=kind, status=answer.status)
        return self.dialect.failure(request, failed, answer.retry_after)


def parse(body: bytes) -> dict[str, Any]:
    """A JSON object, read strictly: no doubled keys, no NaN, no half characters."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in items]
        if len(set(keys)) < len(keys):
            raise ValueError(f"a key occurs twice among {keys}")
        return dict(items)

    def constant(name: str) -> float:
        raise ValueError(f"{name} is not JSON")

    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except ValueError as error:
        raise Refused("bad-json", f"The request body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise Refused("bad-json", "The request body is not a JSON object")
    return value


class _Thread:
    """A loop of its own in a thread, for clients that block."""

    def __init__(self, server: StrictServer) -> None:
        self._server = server
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self._server:
            self._ready.set()
            await self._stop.wait()

    def begin(self) -> None:
        self._thread.start()
        self._ready.wait(5)

    def end(self) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
