"""The public types: right arrows pass mypy --strict, every wrong one is an error."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def mypy(*files: str) -> str:
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--no-error-summary",
        "--show-error-codes",
        *files,
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def test_right_arrows_are_accepted() -> None:
    assert mypy("tests/typing/right.py") == ""


def test_every_wrong_arrow_is_an_error() -> None:
    file = "tests/typing/wrong.py"
    marked = {
        i for i, line in enumerate((ROOT / file).read_text().splitlines(), 1) if "# error" in line
    }
    found = {int(n) for n in re.findall(rf"{file}:(\d+): error", mypy(file))}
    assert found == marked
    assert len(marked) >= 19
