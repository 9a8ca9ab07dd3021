"""A server that keeps to nothing: it lists and answers what its arguments say, over standard streams.

raw.py TOOLS RESULT, both JSON
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> None:
    tools, result = map(json.loads, sys.argv[1:])
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" not in asked:
            continue
        answers: dict[str, Any] = {
            "initialize": {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "raw", "version": "1"},
            },
            "tools/list": {"tools": tools},
            "tools/call": result,
        }
        own = answers.get(asked["method"])
        said = {"error": {"code": -32601, "message": "no"}} if own is None else {"result": own}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **said}), flush=True)


if __name__ == "__main__":
    main()
