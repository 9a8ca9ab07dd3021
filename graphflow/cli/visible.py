"""Texts of models and tools on a terminal: what would move the cursor, colour or rename things is shown, not obeyed."""

from __future__ import annotations

import re

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Everything that a terminal obeys, C1 controls included (`\\x9b` is `ESC [` in one), but not newlines and tabs."""


def visible(text: str) -> str:
    r"""The text with each control character written as an escape, such as `\x1b`."""
    lines = text.replace("\r\n", "\n")
    return _CONTROLS.sub(_escape, lines)


def visible_json(text: str) -> str:
    """The same for a text that is JSON, which stays the same JSON: there only C1 controls and DEL are left to escape."""
    return _CONTROLS.sub(_json_escape, text)


def _escape(found: re.Match[str]) -> str:
    control = found[0]
    code = ord(control)
    return f"\\x{code:02x}"


def _json_escape(found: re.Match[str]) -> str:
    control = found[0]
    code = ord(control)
    return f"\\u{code:04x}"
