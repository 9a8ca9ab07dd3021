"""A recorded server: what it said then, it says again to the same requests. Standard streams as a program, HTTP by `Replay`.

Requests are matched by method and by what is asked (without ids and `_meta`); ids and progress tokens of the answers are
those of the new request. What was never recorded is answered as an unknown method.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def key_of(message: dict[str, Any]) -> str:
    """What a request asks for, whoever asks."""
    params = {k: v for k, v in (message.get("params") or {}).items() if k != "_meta"}
    if message.get("method") in ("initialize", "server/discover", "tools/list"):
        params = {}
    return json.dumps([message.get("method"), params], sort_keys=True)


def of_file(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The answers of a recording over standard streams, by request."""
    answers: dict[str, list[dict[str, Any]]] = {}
    asked: dict[Any, str] = {}
    pending: list[dict[str, Any]] = []
    for message in json.loads(path.read_text())["messages"]:
        said = json.loads(message["line"])
        if message["from"] == "client":
            if "id" in said and "method" in said:
                asked[said["id"]] = key_of(said)
            continue
        pending.append(said)
        if "method" not in said and said.get("id") in asked:
            answers[asked[said["id"]]] = pending
            pending = []
    return answers


def again(said: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """A recorded message under the id and progress token of the request that is answered now."""
    said = json.loads(json.dumps(said))
    if "method" not in said:
        said["id"] = asked["id"]
    elif "progressToken" in (said.get("params") or {}):
        token = ((asked.get("params") or {}).get("_meta") or {}).get("progressToken")
        said["params"]["progressToken"] = token
    return said


def main() -> None:
    answers = of_file(Path(sys.argv[1]))
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        if "id" not in asked or "method" not in asked:
            continue
        unknown = [
            {"jsonrpc": "2.0", "id": 0, "error": {"code": -32601, "message": "Method not found"}}
        ]
        for said in answers.get(key_of(asked), unknown):
            told = json.dumps(again(said, asked), ensure_ascii=False)  # raw U+2028 and all
            sys.stdout.buffer.write(told.encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
