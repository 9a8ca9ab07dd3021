"""What tests of durable runs are given: stores, as the tests of stores have them."""

from __future__ import annotations

from tests.journal.conftest import address, server

__all__ = ["address", "server"]
