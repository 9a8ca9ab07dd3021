"""A sink."""

from __future__ import annotations

from pathlib import Path

from graphflow.telemetry import RunEvent


class Ledger:
    """Writes the kinds of events into a file."""

    kinds: tuple[str, ...] = ("run.*",)

    def __init__(self, path: str, *, token: int = 0) -> None:
        self.path = Path(path)
        self.token = token

    def take(self, event: RunEvent) -> None:
        """One line."""
        with self.path.open("a") as file:
            file.write(f"{event.kind}\n")

    def close(self) -> None:
        """The end."""
        with self.path.open("a") as file:
            file.write("closed\n")
