"""What masking costs a delta of a stream, when the automaton is warm: as a share of what the delta costs anyhow.

python -m tests.bench.secret_figures [ROUNDS]
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from statistics import median
from time import thread_time
from typing import Any

from graphflow import END, START, Agent, Graph
from graphflow.providers import connect
from graphflow.security import Secrets
from tests.bench.test_ratio_http import served
from tests.providers.raw_server import RawServer

ROOT = Path(__file__).resolve().parents[2]
DELTAS = 5_000
"""Of one run: short ones stand close beside each other, so that both of a pair meet the same machine."""
PAIRS = 8
"""Pairs of runs in a round."""
PATTERNS = {
    "openai": "(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{20,}",
    "github": "(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{30,}",
    "pem": "-----BEGIN [A-Z ]{0,24}PRIVATE KEY-----[A-Za-z0-9+/=\\r\\n]*",
    "address": "://[A-Za-z0-9._~%-]{1,64}:[^/\\s@]{3,100}@",
}
VALUES = {f"key_{number}": f"{number:02d}-kD83-aPq9/{number * 7919}" for number in range(20)}


def pieces() -> list[str]:
    """What the model says: the pages of the documentation, a word at a time."""
    pages = sorted((ROOT / "docs").glob("*.md"))
    words = re.findall(r"\s*\S+", "".join(page.read_text(encoding="utf-8") for page in pages))
    return words[:DELTAS]


def body() -> bytes:
    """The same as a provider sends it."""
    lines: list[bytes] = []
    for piece in pieces():
        choice = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
        lines.append(json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode())
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    lines.append(json.dumps({"id": "c", "model": "m", "choices": [end]}).encode())
    return b"".join(b"data: " + line + b"\n\n" for line in [*lines, b"[DONE]"])


async def seconds_of(graph: Graph[Any, Any], secrets: Secrets | None) -> float:
    """Seconds that this thread works for one run that somebody listens to: the server is another thread."""
    began = thread_time()
    async for _ in graph.stream("go", secrets=secrets):
        pass
    return thread_time() - began


def ratio(rounds: int) -> tuple[float, list[float]]:
    """What a delta costs without secrets, in µs, and how much more with them, in per cent of that, for each round.

    A round is the median of its pairs: two runs that stand beside each other, in turns the one or the other first.
    """
    secrets = Secrets(VALUES, patterns=PATTERNS)

    async def measure(url: str) -> tuple[float, list[float]]:
        agent = Agent("talker", input=str, model=connect("compatible:m", base_url=url, key="x"))
        graph = Graph("talks", START >> agent >> END)
        await seconds_of(graph, secrets)
        least = float("inf")
        shares: list[float] = []
        for _ in range(rounds):
            pairs: list[float] = []
            for number in range(PAIRS):
                order = (None, secrets) if number % 2 else (secrets, None)
                seconds = {given is None: await seconds_of(graph, given) for given in order}
                least = min(least, seconds[True])
                pairs.append(seconds[False] / seconds[True])
            shares.append((median(pairs) - 1) * 100)
        return least / DELTAS * 1e6, shares

    with RawServer(served(body())) as raw:
        return asyncio.run(measure(raw.url))


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    cost, found = ratio(wanted)
    each = ", ".join(f"{share:+.1f}" for share in found)
    print(
        f"a delta, from the socket to a listener: {cost:.2f} µs without secrets, "
        f"{median(found):+.1f} % with them (rounds: {each})"
    )
