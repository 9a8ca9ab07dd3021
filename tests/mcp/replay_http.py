"""A recorded server over HTTP: the same statuses, headers and bytes, but for ids and progress tokens."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.mcp.replay import again, key_of
from tests.strict.base import Reply
from tests.strict.http import read_request, send


class Replay:
    """`async with Replay(path) as url`."""

    def __init__(self, path: Path | None, always: dict[str, Any] | None = None) -> None:
        self.answers: dict[str, dict[str, Any]] = {}
        self.always = always
        """What every request is answered with, whatever it asks."""
        self.asked: list[str] = []
        if path is None:
            return
        for exchange in json.loads(path.read_text())["exchanges"]:
            request = exchange["request"]
            said = json.loads(request["body_text"]) if request["body_text"] else {}
            self.answers.setdefault(self._key(request["method"], said), exchange["response"])

    @staticmethod
    def _key(method: str, said: dict[str, Any]) -> str:
        return f"{method} {key_of(said)}"

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._open: set[asyncio.Task[Any]] = set()
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/mcp"

    async def __aexit__(self, *error: Any) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while (request := await read_request(reader)) is not None:
                said = json.loads(request.body) if request.body else {}
                key = self._key(request.method, said)
                self.asked.append(key)
                reply = self._reply(said, self.always or self.answers.get(key))
                if not await send(writer, reply, delay_s=0, cut_at=None, slices=7, keep=True):
                    break
        finally:
            self._open.discard(task)
            writer.close()

    def _reply(self, said: dict[str, Any], recorded: dict[str, Any] | None) -> Reply:
        if recorded is None:
            if "id" not in said:
                return Reply(202, "application/json", [b""])
            unknown = {
                "jsonrpc": "2.0",
                "id": said["id"],
                "error": {"code": -32601, "message": "Method not found"},
            }
            return Reply(200, "application/json", [json.dumps(unknown).encode()])
        headers = {
            k: v for k, v in recorded["headers"].items() if k not in ("content-type", "date")
        }
        body = recorded["body_text"]
        kind = recorded["headers"].get("content-type", "application/json")
        if kind.startswith("text/event-stream"):
            lines = [self._line(line, said) for line in body.split("\n")]
            return Reply(
                recorded["status"], kind, ["\n".join(lines).encode()], headers, stream=True
            )
        if body:
            parsed = json.loads(body)
            body = json.dumps(again(parsed, said) if "id" in said else parsed, ensure_ascii=False)
        return Reply(recorded["status"], kind, [body.encode()], headers)

    @staticmethod
    def _line(line: str, said: dict[str, Any]) -> str:
        if not line.startswith("data: {"):
            return line
        told = json.dumps(again(json.loads(line[6:]), said), ensure_ascii=False)
        return f"data: {told}" + ("\r" if line.endswith("\r") else "")
