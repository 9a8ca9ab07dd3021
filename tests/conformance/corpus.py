"""The recorded traffic beside the repository, one exchange at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

WIRE = Path(__file__).parents[3] / "shared" / "wire"
PROVIDERS = ("anthropic", "gemini", "groq", "mistral", "ollama", "openai-chat", "openai-responses")


@dataclass(frozen=True)
class Exchange:
    """One request and its reply, with what a client should make of both; `request` is null where none was published."""

    provider: str
    name: str
    position: int
    features: tuple[str, ...]
    request: dict[str, Any] | None
    response: dict[str, Any]
    expected_result: dict[str, Any]
    expected_input: dict[str, Any] | None

    def __str__(self) -> str:
        return f"{self.provider}/{self.name}[{self.position}]"


def exchanges(provider: str | None = None) -> list[Exchange]:
    """All exchanges, or those with one provider, sorted; none where the recordings are missing."""
    chosen = PROVIDERS if provider is None else (provider,)
    return [exchange for name in chosen for exchange in _load(name)]


def require_corpus() -> None:
    """Skip where the recordings are missing, unless it was said that they must be there."""
    if WIRE.is_dir():
        return
    reason = "no recorded traffic: shared/wire is not beside the repository"
    if os.environ.get("GRAPHFLOW_NEEDS_WIRE"):
        pytest.fail(reason)
    pytest.skip(reason)


@cache
def _load(provider: str) -> tuple[Exchange, ...]:
    folder = WIRE / provider
    return tuple(
        exchange for path in sorted(folder.glob("*.json")) for exchange in _read(provider, path)
    )


def _read(provider: str, path: Path) -> Iterator[Exchange]:
    recorded = json.loads(path.read_text(encoding="utf-8"))["conversation"]
    expected = json.loads((WIRE / "expect" / provider / path.name).read_text(encoding="utf-8"))[
        "exchanges"
    ]
    for position, (wire, reading) in enumerate(zip(recorded, expected, strict=True)):
        yield Exchange(
            provider=provider,
            name=path.stem,
            position=position,
            features=tuple(wire.get("features") or ()),
            request=wire["request"],
            response=wire["response"],
            expected_result=reading["result"],
            expected_input=reading["input"],
        )
