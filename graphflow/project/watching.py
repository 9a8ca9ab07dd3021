"""Reloads a runtime whenever files of its project change.

    async for done in watch(runtime):
        print(done)

Rules:
1. Changes that come together are one reload; what changes while one is under way is the next.
2. Only files that a project is made of count: what the runtime writes itself (`.graphflow/`, bytecode) starts nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from graphflow.errors import MissingExtra
from graphflow.project.graph_versions import Reloaded
from graphflow.project.runtime import Runtime

ENDINGS = frozenset({".py", ".yaml", ".yml", ".json", ".toml", ".md", ".j2", ".txt"})
"""How files end that graphs, nodes, prompts and settings stand in."""
SETTLING_MS = 100
"""Milliseconds of quiet that end one change: an editor writes a file in several steps."""


async def watch(runtime: Runtime, stop: asyncio.Event | None = None) -> AsyncIterator[Reloaded]:
    """Reloads a runtime at each change of its files, and yields what that has done.

    Args:
        runtime: an open one.
        stop: ends it when it is set.

    Raises:
        MissingExtra: the extra `dev` is not installed.
    """
    try:
        from watchfiles import awatch
    except ImportError as error:
        raise MissingExtra("watching files", "dev", str(error)) from None
    root = runtime.project.root

    def counts(change: object, path: str) -> bool:
        return is_part(Path(path), root)

    watching = awatch(
        root,
        watch_filter=counts,
        stop_event=stop,
        step=SETTLING_MS,
    )
    async for _ in watching:
        yield await runtime.reload()


def is_part(path: Path, root: Path) -> bool:
    """Whether a project is made of that file."""
    inner = path.relative_to(root) if path.is_relative_to(root) else path
    if inner.name.startswith(".env"):
        return True
    # Cases, and what lies in hidden folders, make no graph.
    is_aside = any(part.startswith((".", "__")) for part in inner.parts)
    return not is_aside and inner.parts[:1] != ("tests",) and path.suffix in ENDINGS
