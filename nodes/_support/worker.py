"""Work that may never end, done in a process of its own: Python can kill that, and no thread."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def ask_worker(worker: Path, task: dict[str, Any], seconds: float) -> dict[str, Any] | None:
    """What a worker (a file that reads a task as JSON and prints its answer) says; None if it died of its own limits.

    Raises:
        TimeoutError: it took too long. It has been killed and waited for.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(worker)],
            input=json.dumps(task).encode(),
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return None
    return answer
