"""Secrets out of texts that are written somewhere.

What is known to be secret (the values of variables that are named like keys) is replaced wherever it stands; what looks
like a key of a known provider is, too. Both are nets under the rule that keys are not in such texts to begin with.
"""

from __future__ import annotations

import os
import re
from typing import Any

_NAMED = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|AUTHORIZATION|COOKIE|_AUTH(_|$)", re.IGNORECASE)
_SHAPED = re.compile(
    r"(?<![A-Za-z0-9])(sk-[A-Za-z0-9_-]{16,}|gsk_[A-Za-z0-9]{16,}|xai-[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{30,}|"
    r"gh[pousr]_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{20,}|AKIA[A-Z0-9]{16}|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+)|"
    r"(?i:(?<=bearer ))[A-Za-z0-9._~+/-]{16,}=*"
)
SHORTEST = 8
"""Characters of a variable's value below which it is not looked for: "1" is no secret."""


_told: dict[str, str] = {}
_starts: dict[str, list[str]] = {}
"""What was told, by how it begins: a process that was told thousands need not look for each of them."""
MANY = 50


def remember(secret: str, label: str) -> None:
    """A secret that was passed in, and not by a variable: it is looked for from now on."""
    if len(secret) >= SHORTEST:
        if secret not in _told:
            _starts.setdefault(secret[:SHORTEST], []).append(secret)
        _told[secret] = label


def _told_in(text: str) -> list[tuple[str, str]]:
    """What was told and may stand in the text."""
    if len(_told) <= MANY:
        return list(_told.items())
    begun = {text[at : at + SHORTEST] for at in range(len(text) - SHORTEST + 1)} & _starts.keys()
    return [(secret, _told[secret]) for start in begun for secret in _starts[start]]


def is_secret(name: str) -> bool:
    """Whether a variable or header of that name holds something secret."""
    return _NAMED.search(name) is not None


def scrub(text: str) -> str:
    """The text with a mark where each secret stood."""
    held = [(value, name) for name, value in os.environ.items() if len(value) >= SHORTEST and _NAMED.search(name)]
    held += _told_in(text)
    for value, name in sorted(held, key=lambda pair: -len(pair[0])):  # a secret may begin with another one
        if value in text:
            text = text.replace(value, f"[{name}]")
    return _SHAPED.sub("[secret]", text)


def scrubbed(value: Any) -> Any:
    """Plain data with every text in it scrubbed. Numbers are left alone: a count is no secret."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {scrub(str(key)): scrubbed(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [scrubbed(inner) for inner in value]
    return value
