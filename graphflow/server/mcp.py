"""Graphs as tools of a server: one tool each, typed in and out, with progress.

Rules:
1. A tool takes what its graph takes, by the schema that a calling model would be shown, and answers structured content by
   the schema of the output type (`{"result": ...}` around what is no object).
2. What goes wrong is a result marked as an error, scrubbed; the server goes on.
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
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, PydanticUserError, TypeAdapter
from pydantic_core import to_jsonable_python

from graphflow.errors import DeclarationError, GraphflowError, MissingExtra, ResultInvalid
from graphflow.events import CallFinished, NodeFinished
from graphflow.graph import Graph
from graphflow.kinds.numbers import holds_no_number
from graphflow.kinds.tool import read_for, result_text, spec_of
from graphflow.kinds.wire_names import WireNames
from graphflow.messages.media import Media, media_in, without_media
from graphflow.messages.message import Type, error_text
from graphflow.model.seam import Model
from graphflow.redaction import scrub

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from mcp_types import CallToolResult, ContentBlock, Tool

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

HOST = "127.0.0.1"
PATH = "/mcp"


class Serving:
    """Graphs behind one server.

    Args:
        graphs: what is served; their names are the tools' names.
        model: "provider:model" or a `Model` for nodes that name none.

    Raises:
        DeclarationError: two of them have the same name.
        MissingExtra: the extra `mcp` is not installed.
    """

    def __init__(self, graphs: Sequence[Graph[Any, Any]], model: Model | str | None = None) -> None:
        names = WireNames(graph.name for graph in graphs)
        self.graphs = {names.spelling(graph.name): graph for graph in graphs}
        if len(self.graphs) < len(graphs):
            raise DeclarationError(f"two graphs of {', '.join(graph.name for graph in graphs)} have the same name")
        self.model = model
        self.server = self._made()

    def _made(self) -> Server[Any]:
        try:
            from mcp.server.lowlevel import Server
            from mcp_types import ListToolsResult
        except ImportError as error:
            raise MissingExtra("serving graphs as tools", "mcp", str(error)) from None
        from graphflow._version import __version__

        tools = [tool_of(name, graph) for name, graph in self.graphs.items()]

        async def listed(context: Any, params: Any) -> ListToolsResult:
            return ListToolsResult(tools=tools)

        async def called(context: Any, params: Any) -> CallToolResult:
            return await self.call(params.name, params.arguments or {}, context.session.report_progress)

        return Server("graphflow", version=__version__, on_list_tools=listed, on_call_tool=called)

    async def call(
        self, name: str, arguments: dict[str, Any], progress: Callable[[float, float | None, str], Awaitable[None]]
    ) -> CallToolResult:
        """One walk. Unknown names and arguments that do not fit are error results, as the protocol wants."""
        graph = self.graphs.get(name)
        if graph is None:
            return _failed(f"there is no tool {name!r}; there are: {', '.join(self.graphs)}")
        try:
            message = read_for(graph, json.dumps(arguments))
            run = graph.start(message, model=self.model)
            done = 0
            try:
                async for event in run:
                    if isinstance(event, (NodeFinished, CallFinished)):
                        done += 1
                        await progress(done, None, f"{event.node} answered")
                await run
            finally:
                if run.status == "running":
                    run.cancel()
                    await run.settled()
            return _answer(graph, run.output)
        except GraphflowError as error:
            return _failed(f"{type(error).__name__}: {error_text(error)}")
        except Exception as error:  # a node's own
            return _failed(f"{graph.name} failed: {type(error).__name__}: {error_text(error)}")

    async def over_stdio(self) -> None:
        """Serves the standard streams until they end. What anything else prints goes to standard error."""
        from mcp.server.stdio import stdio_server

        async with stdio_server() as (reading, writing):
            await self.server.run(reading, writing, self.server.create_initialization_options())

    async def over_http(self, port: int, token: str) -> None:
        """Serves http://127.0.0.1:PORT/mcp to whoever sends the token."""
        import uvicorn

        app: App = self.server.streamable_http_app(streamable_http_path=PATH, host=HOST)  # guards against DNS rebinding
        config = uvicorn.Config(Guarded(app, token), host=HOST, port=port, log_level="warning", access_log=False)
        await uvicorn.Server(config).serve()


class Guarded:
    """Lets in who knows the token."""

    def __init__(self, app: App, token: str) -> None:
        self._app = app
        self._wanted = b"Bearer " + token.encode()

    async def __call__(
        self, scope: Scope, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Answers 401 to everybody else."""
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self._wanted):
                headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send(
                    {"type": "http.response.body", "body": b'{"error":"send the token: Authorization: Bearer ..."}'}
                )
                return
        await self._app(scope, receive, send)


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(32)


def tool_of(name: str, graph: Graph[Any, Any]) -> Tool:
    """A graph as a server lists it."""
    from mcp_types import Tool

    spec = spec_of(graph)
    about = graph.description or f"Walks the graph {graph.name}."
    output = output_schema_of(graph.output)
    return Tool(name=name, description=about, input_schema=spec.parameters, output_schema=output)


def output_schema_of(output: Type) -> dict[str, Any] | None:
    """The schema of what a graph answers as structured content, or None where there is none."""
    if output is Any or output is Media:
        return None
    try:
        schema = TypeAdapter(output).json_schema(mode="serialization")
    except (PydanticUserError, ValueError, TypeError):
        return None
    if _is_object(output):
        return schema
    shared = schema.pop("$defs", None)
    wrapped: dict[str, Any] = {"type": "object", "properties": {"result": schema}, "required": ["result"]}
    return wrapped if shared is None else {**wrapped, "$defs": shared}


def _is_object(output: Type) -> bool:
    """Whether the output is structured content by itself. A model that holds itself has no object at the root of its schema."""
    if not (isinstance(output, type) and issubclass(output, BaseModel)):
        return False
    return TypeAdapter(output).json_schema(mode="serialization").get("type") == "object"


def _answer(graph: Graph[Any, Any], output: Any) -> CallToolResult:
    from mcp_types import CallToolResult, TextContent

    media = media_in(output)
    told: list[ContentBlock] = [
        TextContent(text=result_text(graph.name, without_media(output) if media else output, None))
    ]
    told += [block for one in media if (block := _shown(one)) is not None]
    structured: Any = None
    if output_schema_of(graph.output) is not None:
        if holds_no_number(output):
            raise ResultInvalid(f"{graph.name!r} answered with NaN or an infinity, and JSON has no such numbers")
        plain = to_jsonable_python(output)
        structured = plain if _is_object(graph.output) else {"result": plain}
    return CallToolResult(content=told, structured_content=structured)


def _shown(media: Media) -> ContentBlock | None:
    from mcp_types import AudioContent, ImageContent

    if not media.data:
        return None
    if media.kind == "image":
        return ImageContent(data=media.base64, mime_type=media.mime)
    return AudioContent(data=media.base64, mime_type=media.mime) if media.kind == "audio" else None


def _failed(text: str) -> CallToolResult:
    from mcp_types import CallToolResult, TextContent

    return CallToolResult(content=[TextContent(text=scrub(text))], is_error=True)


def serve(graphs: Sequence[Graph[Any, Any]], model: str | None, port: int | None, token: str) -> None:
    """Serves until the client goes, or Ctrl-C."""
    serving = Serving(graphs, model)
    try:
        asyncio.run(serving.over_stdio() if port is None else serving.over_http(port, token))
    except* BrokenPipeError:
        _to_nowhere()


def _to_nowhere() -> None:
    """The client went while it was being told something. What is still to be written at the end goes where nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
