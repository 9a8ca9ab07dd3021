"""Work that may never end, done in a process of its own: Python can kill a process, and no thread."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def ask_worker(worker: Path, task: dict[str, Any], seconds: float) -> dict[str, Any] | None:
    """The answer of a worker, a file that reads a task as JSON and prints its answer; None if it died of its own limits.

    Raises:
        TimeoutError: it took too long. It has been killed and waited for.
    """
    try:
        # -I and -S: neither the environment nor the folder it runs in says what it imports, and it starts in 20 ms.
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
