"""Graphs as tools of a server: one tool each, typed in and out, with progress.

Rules:
1. A tool takes what its graph takes, by the schema that a calling model would be shown, and answers structured content by
   the schema of the output type (`{"result": ...}` around what is not an object).
2. What goes wrong is a result marked as an error, without secrets; the server goes on.
3. Progress counts finished nodes. A call that is cancelled cancels its walk.
4. HTTP is bound to this machine and wants a token.

Source: https://modelcontextprotocol.io/specification/2025-11-25/server/tools.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, PydanticUserError, TypeAdapter
from pydantic_core import to_jsonable_python

from graphflow.errors import (
    DeclarationError,
    GraphflowError,
    MissingExtra,
    ProjectError,
    ResultInvalid,
)
from graphflow.events import CallFinished, NodeFinished
from graphflow.graph import RunnableGraph
from graphflow.kinds.numbers import holds_no_number
from graphflow.kinds.tool import read_for, result_text, spec_of
from graphflow.kinds.wire_names import WireNames
from graphflow.messages.media import Media, media_in, without_media
from graphflow.messages.message import error_text
from graphflow.messages.types import Type
from graphflow.model.seam import Model
from graphflow.redaction import scrub
from graphflow.runtime.options import RunOptions

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from mcp_types import CallToolResult, ContentBlock, Tool

AsgiScope = MutableMapping[str, Any]
AsgiEvent = MutableMapping[str, Any]
AsgiReceive = Callable[[], Awaitable[AsgiEvent]]
AsgiSend = Callable[[AsgiEvent], Awaitable[None]]
AsgiApp = Callable[[AsgiScope, AsgiReceive, AsgiSend], Awaitable[None]]
"""An application of ASGI: https://asgi.readthedocs.io/en/latest/specs/main.html."""
JsonSchema = dict[str, Any]
Progress = Callable[[float, float | None, str], Awaitable[None]]

HOST = "127.0.0.1"
PATH = "/mcp"


class GraphServer:
    """Graphs behind one server.

    Args:
        graphs: what is served; their names are the tools' names.
        model: "provider:model" or a `Model` for nodes that name none.
        options: of each run, as for `Graph.run`: limits, policy, secrets.

    Raises:
        DeclarationError: two of them have the same name.
        MissingExtra: the extra `mcp` is not installed.
    """

    def __init__(
        self,
        graphs: Sequence[RunnableGraph],
        model: Model | str | None = None,
        options: RunOptions | None = None,
    ) -> None:
        names = WireNames(graph.name for graph in graphs)
        self.graphs = {names.spelling(graph.name): graph for graph in graphs}
        if len(self.graphs) < len(graphs):
            every = ", ".join(graph.name for graph in graphs)
            raise DeclarationError(f"two graphs of {every} have the same name")
        # Whatever model the options name: who serves says which one answers.
        self.options: RunOptions = {**(options or {}), "model": model}
        self.server = self._made()

    def _made(self) -> Server[Any]:
        try:
            from mcp.server.lowlevel import Server
            from mcp_types import ListToolsResult
        except ImportError as error:
            raise MissingExtra("serving graphs as tools", "mcp", str(error)) from None
        from graphflow._version import __version__

        tools = [tool_of(name, graph) for name, graph in self.graphs.items()]

        async def list_tools(context: object, params: object) -> ListToolsResult:
            return ListToolsResult(tools=tools)

        async def call_tool(context: Any, params: Any) -> CallToolResult:
            return await self.call(
                params.name, params.arguments or {}, context.session.report_progress
            )

        return Server(
            "graphflow", version=__version__, on_list_tools=list_tools, on_call_tool=call_tool
        )

    async def call(
        self, name: str, arguments: Mapping[str, object], progress: Progress
    ) -> CallToolResult:
        """One walk. Unknown names and arguments that do not fit are error results, as the protocol wants."""
        graph = self.graphs.get(name)
        if graph is None:
            return _failure(f"there is no tool {name!r}; there are: {', '.join(self.graphs)}")
        try:
            message = read_for(graph, json.dumps(arguments))
            output = await self._walk(graph, message, progress)
            return _answer(graph, output)
        except GraphflowError as error:
            return _failure(_reason(error))
        except Exception as error:  # a node's own
            return _failure(f"{graph.name} failed: {_reason(error)}")

    async def _walk(self, graph: RunnableGraph, message: object, progress: Progress) -> object:
        run = graph.start(message, **self.options)
        count = 0
        try:
            async for event in run:
                if isinstance(event, (NodeFinished, CallFinished)):
                    count += 1
                    await progress(count, None, f"{event.node} answered")
            await run
        finally:
            # The client has gone, or has taken its call back: nobody waits for this walk any more.
            if run.status == "running":
                run.cancel()
                await run.settled()
        return run.output

    async def over_stdio(self) -> None:
        """Serves the standard streams until they end. What anything else prints goes to standard error."""
        from mcp.server.stdio import stdio_server

        async with stdio_server() as (reading, writing):
            await self.server.run(reading, writing, self.server.create_initialization_options())

    async def over_http(self, port: int, token: str) -> None:
        """Serves http://127.0.0.1:PORT/mcp to whoever sends the token.

        Raises:
            ProjectError: the port cannot be had.
        """
        import uvicorn

        # The host is given, too: the SDK refuses requests to any other, against DNS rebinding.
        app: AsgiApp = self.server.streamable_http_app(streamable_http_path=PATH, host=HOST)
        config = uvicorn.Config(
            Guarded(app, token), host=HOST, port=port, log_level="warning", access_log=False
        )
        # Bound here, as uvicorn would log a traceback and end the process.
        with _bound(port) as listener:
            await uvicorn.Server(config).serve(sockets=[listener])


Serving = GraphServer
"""The old name, until 0.3."""


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere this option would let two servers share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise ProjectError(
            f"port {port} cannot be served: {error.strerror}; choose another one"
        ) from None
    return listener


class Guarded:
    """Lets in whoever knows the token."""

    def __init__(self, app: AsgiApp, token: str) -> None:
        self._app = app
        self._wanted = b"Bearer " + token.encode()

    async def __call__(self, scope: AsgiScope, receive: AsgiReceive, send: AsgiSend) -> None:
        """Answers 401 to everybody else."""
        if scope["type"] == "http" and not self._lets_in(scope):
            await _refuse(send)
            return
        await self._app(scope, receive, send)

    def _lets_in(self, scope: AsgiScope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        # In constant time: how long a comparison takes must not tell how much of a guess is right.
        return hmac.compare_digest(given, self._wanted)


async def _refuse(send: AsgiSend) -> None:
    headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
    body = b'{"error":"send the token: Authorization: Bearer ..."}'
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(32)


def tool_of(name: str, graph: RunnableGraph) -> Tool:
    """A graph as a server lists it."""
    from mcp_types import Tool

    description = graph.description or f"Walks the graph {graph.name}."
    return Tool(
        name=name,
        description=description,
        input_schema=spec_of(graph).parameters,
        output_schema=output_schema_of(graph.output),
    )


def output_schema_of(output: Type) -> JsonSchema | None:
    """The schema of what a graph answers as structured content, or None where there is none."""
    if output is Any or output is Media:
        return None
    try:
        schema = TypeAdapter(output).json_schema(mode="serialization")
    except (PydanticUserError, ValueError, TypeError):
        return None
    if _is_object(output):
        return schema
    # References (`#/$defs/...`) start at the root of the schema, so its definitions stay there.
    definitions = schema.pop("$defs", None)
    wrapped: JsonSchema = {
        "type": "object",
        "properties": {"result": schema},
        "required": ["result"],
    }
    if definitions is not None:
        wrapped["$defs"] = definitions
    return wrapped


def _is_object(output: Type) -> bool:
    """Whether the output is structured content by itself. A model that holds itself has no object at the root of its schema."""
    if not (isinstance(output, type) and issubclass(output, BaseModel)):
        return False
    return TypeAdapter(output).json_schema(mode="serialization").get("type") == "object"


def _answer(graph: RunnableGraph, output: object) -> CallToolResult:
    from mcp_types import CallToolResult, TextContent

    media = media_in(output)
    words = without_media(output) if media else output
    text = result_text(graph.name, words, None)
    content: list[ContentBlock] = [TextContent(text=text)]
    for one in media:
        block = _block(one)
        if block is not None:
            content.append(block)
    return CallToolResult(content=content, structured_content=_structured(graph, output))


def _structured(graph: RunnableGraph, output: object) -> object:
    if output_schema_of(graph.output) is None:
        return None
    if holds_no_number(output):
        raise ResultInvalid(
            f"{graph.name!r} answered with NaN or an infinity, and JSON has no such numbers"
        )
    plain = to_jsonable_python(output)
    return plain if _is_object(graph.output) else {"result": plain}


def _block(media: Media) -> ContentBlock | None:
    """A picture or a sound as the protocol has it; it has nothing for other kinds, nor for what is somewhere else."""
    from mcp_types import AudioContent, ImageContent

    if not media.data:
        return None
    if media.kind == "image":
        return ImageContent(data=media.base64, mime_type=media.mime)
    if media.kind == "audio":
        return AudioContent(data=media.base64, mime_type=media.mime)
    return None


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error_text(error)}"


def _failure(text: str) -> CallToolResult:
    from mcp_types import CallToolResult, TextContent

    return CallToolResult(content=[TextContent(text=scrub(text))], is_error=True)


def serve(
    graphs: Sequence[RunnableGraph],
    model: Model | str | None,
    port: int | None,
    token: str,
    options: RunOptions | None = None,
) -> None:
    """Serves until the client goes, or Ctrl-C; `options` are those of each run."""
    server = GraphServer(graphs, model, options)
    serving = server.over_stdio() if port is None else server.over_http(port, token)
    try:
        asyncio.run(serving)
    except* BrokenPipeError:
        _discard_output()


def _discard_output() -> None:
    """The client went while something was being written to it. What is still to be written at exit goes where nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
