"""A runtime in a process of its own, which reloads when it is told to.

python -m tests.project.reloader PROJECT        a line of input is a reload; a line of output tells what a run answers then
"""

from __future__ import annotations

import asyncio
import sys

from graphflow.project import Runtime


async def main(root: str) -> None:
    """Reloads, and runs, once for each line."""
    async with Runtime.open(root) as runtime:
        print("open", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            done = await runtime.reload()
            run = await runtime.run("talk", "hi")
            broken = " ".join(done.broken) or "sound"
            print(f"{run.output} {broken}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
