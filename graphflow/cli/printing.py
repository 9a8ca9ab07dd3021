"""Lines on standard output and standard error: answers on the one, graphflow's own words on the other.

What is loaded here every command waits for, even `graphflow --help`.
"""

from __future__ import annotations

import json
import os
import sys

from graphflow.cli.visible import visible, visible_json


def out(text: str) -> None:
    """A line on standard output. Control characters, which a terminal would obey, are shown; `--json` has them as they are."""
    _print(visible(text))


def out_json(value: object) -> None:
    """A value as JSON on standard output."""
    text = _json(value, indent=2)
    _print(visible_json(text))


def out_line(value: object) -> None:
    """A value as JSON on one line of standard output."""
    text = _json(value)
    _print(visible_json(text))


def note(text: str) -> None:
    """A line of graphflow's own on standard error: standard output has nothing but the answer, for pipes."""
    say(f"graphflow: {text}")


def say(text: str) -> None:
    """A line on standard error."""
    line = visible(text)
    print(line, file=sys.stderr, flush=True)


def out_piece(text: str) -> None:
    """A piece of a line on standard output, as `out` has it."""
    _print(visible(text), end="")


def _print(text: str, end: str = "\n") -> None:
    try:
        print(text, end=end, flush=True)
    except UnicodeEncodeError:  # half a character, or a terminal that is not UTF-8
        encoding = sys.stdout.encoding or "ascii"
        escaped = text.encode(encoding, "backslashreplace")
        print(escaped.decode(encoding), end=end, flush=True)
    except (
        BrokenPipeError
    ):  # whoever read it has seen enough, as `head` has; the command ends as it would have
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _json(value: object, indent: int | None = None) -> str:
    from graphflow.messages.message import (
        to_json_value,
    )  # pydantic, which `--help` does not wait for

    plain = to_json_value(value)
    return json.dumps(plain, ensure_ascii=False, indent=indent)
