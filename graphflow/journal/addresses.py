"""Addresses of stores, as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches


def without_password(address: str) -> str:
    """An address that may be shown: `postgresql://user:secret@host/db` without what is secret in it."""
    head, at, tail = address.rpartition("@")
    if not at:
        return address
    scheme, separator, owner = head.rpartition("//")
    user, _, _ = owner.partition(":")
    return f"{scheme}{separator}{user}@{tail}"


def address_problem(address: str, plugged: Sequence[str]) -> str:
    """What is wrong with an address that no store has.

    Args:
        address: which.
        plugged: the schemes that plug-ins have.
    """
    scheme, _, _ = address.partition(":")
    near = get_close_matches(scheme, plugged, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    shown = without_password(address)
    return (
        f"{shown!r} is not the address of a store; "
        f"write memory:, jsonl:FOLDER, sqlite:FILE or postgresql://USER@HOST/DATABASE{hint}"
    )
