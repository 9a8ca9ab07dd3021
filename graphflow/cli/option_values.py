"""What is written behind options, read: spans of time, fields, limits, secrets."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import get_args, get_type_hints

from graphflow.errors import InputInvalid
from graphflow.limits import Limits
from graphflow.secrets.declared import Secrets

SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
"""Seconds of the units in which spans are given."""
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def read_span(text: str, option: str) -> float:
    """Seconds of a span of time: 90s, 15m, 12h, 30d, 2w.

    Raises:
        InputInvalid: it is none.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise InputInvalid(
            f"{option} {text}: give a number and a unit, such as 90s, 15m, 12h, 30d or 2w"
        )
    number, unit = found.groups()
    return float(number) * SECONDS[unit]


def read_since(text: str) -> float:
    """A moment in seconds since 1970: a span before now, or a date.

    Raises:
        InputInvalid: it is neither.
    """
    if _SPAN.fullmatch(text.strip()):
        return time.time() - read_span(text, "--since")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise InputInvalid(
            f"--since {text}: give a span such as 2h or 30d, or a date such as 2026-01-31"
        ) from None


def read_secrets(variables: list[str] | None) -> Secrets | None:
    """The secrets that a command line names; None if it names none. Their values stand on no command line.

    Raises:
        SecretInvalid: a name cannot be shown.
    """
    if not variables:
        return None
    return Secrets(env=variables)


def read_settings(pairs: list[str] | None) -> dict[str, str]:
    """The fields of a message that a command line sets: FIELD=VALUE.

    Raises:
        InputInvalid: one is not written like that.
    """
    settings: dict[str, str] = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InputInvalid(f"--set {pair}: write FIELD=VALUE")
        settings[name] = value
    return settings


def read_limits(stated: Sequence[str] | None) -> Limits | None:
    """Limits as they stand on a command line: depth=3,usd=0.5; None where none stands there.

    Raises:
        InputInvalid: there is no such limit, or its value is not a number.
    """
    if not stated:
        return None
    kinds = get_type_hints(Limits)
    names = [field.name for field in fields(Limits)]
    given: dict[str, int | float | str] = {}
    for part in ",".join(stated).split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or name not in names:
            have = ", ".join(names)
            raise InputInvalid(
                f"--limit: {part.strip()!r} is not a limit; write NAME=VALUE with one of: {have}"
            )
        given[name] = _number(name, value, kinds[name])
    return Limits(**given)  # type: ignore[arg-type]  # each value was read by the type of its limit


def _number(name: str, value: str, kind: object) -> int | float | str:
    if name == "unpriced":
        return value
    # Dollars and seconds come in parts, steps do not.
    read = float if float in get_args(kind) else int
    try:
        return read(value)
    except ValueError:
        words = "a number" if read is float else "a whole number"
        raise InputInvalid(f"--limit {name}={value}: {name} must be {words}") from None
