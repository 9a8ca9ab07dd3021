"""Secrets that a server echoes: error texts that quote the key they refuse."""

from __future__ import annotations

import re

from graphflow.errors import ModelError
from graphflow.providers.faults import CUT
from graphflow.redaction import SHORTEST, SHORTEST_WORD

PLACEHOLDERS = frozenset(
    ["ollama", "none", "empty", "dummy", "test", "local", "token", "secret", "apikey", "lmstudio"]
)
"""What people give to a server that wants any key: no secret, and a word of its messages."""
_QUOTED = ("provider_message", "provider_code", "type", "request_id")
"""What an error holds of a server's own words, beside its text."""


def hide(error: ModelError, secret: str, label: str) -> None:
    """Takes a secret out of what a server has echoed of it, also where a cut has left a part of it at the end.

    A short one is only taken out where it stands alone: it may be a part of any word.
    """
    if len(secret) < SHORTEST_WORD or secret.lower() in PLACEHOLDERS:
        return
    pattern = re.escape(secret)
    if len(secret) < SHORTEST:
        pattern = rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])"
    mark = f"[{label}]"

    def clean(text: str) -> str:
        # A function: in a text `\1` would mean a group.
        text = re.sub(pattern, lambda _: mark, text)
        for start in _starts(secret):
            text = text.replace(start + CUT, mark + CUT)
        return text

    [text] = error.args
    text = clean(text)
    error.args = (text,)
    hints = map(clean, error.hints)
    error.hints = tuple(hints)
    for name in _QUOTED:
        quoted = getattr(error, name)
        quoted = clean(str(quoted))
        setattr(error, name, quoted)


def _starts(secret: str) -> list[str]:
    """The beginnings of a secret that a cut may leave, the longest first.

    Texts are cut to a sane length. "your key sk-abcdefgh123 is wrong" may end as "your key sk-abcdefg…".
    """
    starts: list[str] = []
    for size in range(SHORTEST, len(secret)):
        starts.insert(0, secret[:size])
    return starts
