"""What tests of secrets are given, and leave as they found it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """Exits know secrets as long as somebody has them: an error that a test has caught must not keep them for the next one."""
    yield
    gc.collect()
