"""Servers on 127.0.0.1 that speak the vendors' wire formats and refuse what the vendors refuse."""

from __future__ import annotations

from tests.strict.script import Answer
from tests.strict.server import StrictServer

__all__ = ["Answer", "StrictServer"]
