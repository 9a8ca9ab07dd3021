"""Runs the code of docs/comparison.md that is written for other libraries, where they are installed.

    python -m tests.tools.peers langgraph        # or pydantic-ai, pydantic-graph, burr, haystack

What a block prints must be what the page shows behind it. No test runs this: the libraries are no dependencies of ours.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "comparison.md"
PROGRAM = re.compile(r"```py\n(.*?)```\s+```text\n(.*?)```", re.DOTALL)
IMPORTS = {
    "langgraph": "from langgraph",
    "pydantic-ai": "from pydantic_ai",
    "pydantic-graph": "from pydantic_graph",
    "burr": "from burr",
    "haystack": "from haystack",
}


def programs() -> list[tuple[str, str, str]]:
    """Each program of another library: the library's name, the code, and what that prints."""
    found: list[tuple[str, str, str]] = []
    for code, shown in PROGRAM.findall(PAGE.read_text(encoding="utf-8")):
        [name] = [name for name, line in IMPORTS.items() if line in code]
        found.append((name, code, shown))
    return found


def run(name: str, code: str, shown: str) -> None:
    """Runs one in this interpreter's environment."""
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    if done.returncode or done.stdout != shown:
        raise SystemExit(f"{name}: it printed\n{done.stdout}and the page shows\n{shown}")
    print(f"{name}: as the page shows it")


def main() -> None:
    """Runs those of the libraries that the command line names."""
    for name, code, shown in programs():
        if name in sys.argv[1:]:
            run(name, code, shown)


if __name__ == "__main__":
    main()
