"""A server whose tools do what tests need: answer, fail, lie, die, change, ask. Run as a program; it speaks both generations.

dynamic.py stdio | http PORT TOKEN, then any of --json --stateless --no-schema --twice --odd-names --traced
"""

from __future__ import annotations

import asyncio
import hmac
import os
import sys
from typing import Any

import mcp_types as types
from mcp import MCPError
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged

NOTHING: dict[str, Any] = {"type": "object", "properties": {}}
ANSWER = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
QUESTION = {
    "type": "object",
    "properties": {"q": {"type": "string", "minLength": 2}, "deep": {"$ref": "#/$defs/Deep"}},
    "required": ["q"],
    "additionalProperties": False,
    "$defs": {
        "Deep": {"type": "object", "properties": {"level": {"type": "integer", "maximum": 3}}}
    },
}
TOOLS: dict[str, types.Tool] = {}


def add(
    name: str, takes: dict[str, Any] = NOTHING, gives: dict[str, Any] | None = None, **hints: bool
) -> None:
    about = types.ToolAnnotations(**hints) if hints else None
    TOOLS[name] = types.Tool(
        name=name,
        description=f"Tool {name}.",
        input_schema=takes,
        output_schema=gives,
        annotations=about,
    )


add("ask", QUESTION, ANSWER, read_only_hint=True, open_world_hint=False)
add("slow", {"type": "object", "properties": {"seconds": {"type": "number"}}})
for each in (
    "fail",
    "refuse",
    "crash",
    "liar",
    "die",
    "change",
    "content",
    "whoami",
    "own_error",
    "forget",
):
    add(each, NOTHING, ANSWER if each == "liar" else None)
add("person", NOTHING)
add("meet", {"type": "object", "properties": {"others": {"type": "integer"}}})
add("far", {"type": "object", "properties": {"x": {"$ref": "http://127.0.0.1:9/schema.json"}}})
if "--no-schema" in sys.argv:
    add("broken", {"type": "object", "properties": {"x": {"type": "nonsense"}}})
if "--twice" in sys.argv:
    add("a.b")
    add("a/b")
if "--traced" in sys.argv:
    add("trace")
if "--odd-names" in sys.argv:
    add("odd name/with.dots" + "x" * 80)

bus = InMemorySubscriptionBus()
here: list[str] = []
met = asyncio.Event()


async def list_tools(ctx: Any, params: Any) -> types.ListToolsResult:
    tools = list(TOOLS.values())
    start = int(params.cursor) if params is not None and params.cursor else 0
    after = str(start + 5) if start + 5 < len(tools) else None
    return types.ListToolsResult(tools=tools[start : start + 5], next_cursor=after)


def said(text: str, structured: Any = None) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(text=text)], structured_content=structured
    )


async def call_tool(ctx: Any, params: Any) -> Any:
    name, given = params.name, params.arguments or {}
    if name == "ask":
        return said('{"answer": "42"}', {"answer": "42"})
    if name == "slow":
        for step in range(5):
            await ctx.session.report_progress(step + 1, 5, f"step {step + 1}")
            await asyncio.sleep(float(given.get("seconds", 1)) / 5)
        return said("slowly done")
    if name == "meet":  # answers as soon as so many ask at the same time
        here.append(name)
        if len(here) == given["others"]:
            met.set()
        await met.wait()
        return said("met")
    if name == "fail":
        return types.CallToolResult(content=[types.TextContent(text="it broke")], is_error=True)
    if name == "refuse":
        raise MCPError(types.INVALID_PARAMS, "not like that")
    if name == "own_error":
        raise MCPError(-32000, "an error of my own")
    if name == "crash":
        raise ValueError("inside")
    if name == "liar":
        return said("x", {"answer": 7})
    if name == "die":
        print("the last words of the server", file=sys.stderr, flush=True)
        os._exit(3)
    if name == "whoami":
        return said(f"{os.getpid()} {ctx.protocol_version}")
    if name == "trace":
        return said(str((params.meta or {}).get("traceparent")))
    if name == "change":
        add(f"new_{len(TOOLS)}")
        if ctx.protocol_version >= "2026-07-28":
            await bus.publish(ToolsListChanged())
        else:
            await ctx.session.send_tool_list_changed()
        return said("changed")
    if name == "person":
        return await person(ctx, params)
    if name == "content":
        return types.CallToolResult(
            content=[
                types.TextContent(text="first"),
                types.ImageContent(data="iVBORw0KGgo=", mime_type="image/png"),
                types.AudioContent(data="aGk=", mime_type="audio/wav"),
                types.ResourceLink(name="there", uri="file:///x"),
                types.EmbeddedResource(
                    resource=types.TextResourceContents(uri="mem://a", text="body")
                ),
                types.EmbeddedResource(
                    resource=types.BlobResourceContents(
                        uri="mem://b", blob="aGk=", mime_type="application/zip"
                    )
                ),
            ]
        )
    return said(f"{name} answered")


async def person(ctx: Any, params: Any) -> Any:
    """Asks for a name, each generation in its own way."""
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    asks = types.ElicitRequestFormParams(message="Who?", requested_schema=schema)
    if ctx.protocol_version >= "2026-07-28":
        answers = params.input_responses
        if not answers:
            request = types.ElicitRequest(params=asks)
            return types.InputRequiredResult(input_requests={"who": request}, request_state="s")
        answer = answers["who"]
    else:
        answer = await ctx.session.elicit_form("Who?", schema)
    return said(f"{answer.action} {(answer.content or {}).get('name', '-')}")


server: Any = Server(
    "dynamic",
    version="1",
    on_list_tools=list_tools,
    on_call_tool=call_tool,
    on_subscriptions_listen=ListenHandler(bus),
)


class Guarded:
    """Lets in who knows the token."""

    def __init__(self, app: Any, token: str) -> None:
        self.app, self.wanted = app, b"Bearer " + token.encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self.wanted):
                headers = [(b"content-type", b"application/json")]
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send({"type": "http.response.body", "body": b"{}"})
                return
        await self.app(scope, receive, send)


async def over_stdio() -> None:
    async with stdio_server() as (reading, writing):
        options = server.create_initialization_options(NotificationOptions(tools_changed=True))
        await server.run(reading, writing, options)


def main() -> None:
    if sys.argv[1] == "stdio":
        asyncio.run(over_stdio())
        return
    import uvicorn

    app = server.streamable_http_app(
        streamable_http_path="/mcp",
        host="127.0.0.1",
        json_response="--json" in sys.argv,
        stateless_http="--stateless" in sys.argv,
    )
    uvicorn.run(
        Guarded(app, sys.argv[3]),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
