"""What tests of durable runs are given: stores and disks, as the tests of stores have them."""

from __future__ import annotations

from tests.journal.conftest import address, disk, server

__all__ = ["address", "disk", "server"]
