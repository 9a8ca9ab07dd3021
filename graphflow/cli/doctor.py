"""`graphflow doctor`: what is looked at, how it stands, and what to type where it does not."""

from __future__ import annotations

import asyncio
import shutil
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from graphflow.checkup.diagnosis import Diagnosis
from graphflow.checkup.examination import examine
from graphflow.cli.printing import note, out, out_json
from graphflow.proofs.report import counted

MAX_WIDTH = 100
"""Columns that are used of a wide terminal: longer lines are hard to read."""
_SIGNS = {"ok": "ok", "warning": "warning", "problem": "PROBLEM", "absent": "-"}
"""How a state is shown. A problem stands out without colours, in a log, too."""
_INDENT = "  "
_SIGN_WIDTH = 7
_BEFORE_NAMES = _SIGN_WIDTH + 2 * len(_INDENT)
MAX_NAME = 12
"""Columns that names get, so that one that is long does not push all texts to the edge."""


def show_doctor(address: str | None, *, online: bool, as_json: bool) -> int:
    """Prints what is found.

    Args:
        address: where runs are kept, if somebody has said.
        online: whether providers and servers are asked.
        as_json: whether it is printed as JSON.

    Returns:
        The exit code: 1 if something is broken.
    """
    looking = examine(address, online=online)
    findings = asyncio.run(looking)
    states: Counter[str] = Counter(each.state for each in findings)
    if as_json:
        rows = [asdict(each) for each in findings]
        out_json({"ok": not states["problem"], "findings": rows})
    else:
        _show(findings)
        _sum_up(states)
    return 1 if states["problem"] else 0


def _show(findings: Sequence[Diagnosis]) -> None:
    """One finding a line, those of an area below its name."""
    longest = min(MAX_NAME, max(len(each.about) for each in findings))
    area = ""
    for each in findings:
        if each.area != area:
            area = each.area
            out(area)
        _show_finding(each, longest)


def _show_finding(finding: Diagnosis, longest: int) -> None:
    sign = _SIGNS[finding.state]
    about = finding.about.ljust(longest)
    head = f"{_INDENT}{sign:<{_SIGN_WIDTH}}{_INDENT}{about}{_INDENT}"
    # What goes over the edge stands below its beginning, so that the signs are a column.
    indent = " " * (_BEFORE_NAMES + longest + len(_INDENT))
    width = min(MAX_WIDTH, _columns())
    # A name that is too long has a line of its own.
    if len(head) > len(indent):
        out(head.rstrip())
        head = indent
    for line in finding.text.splitlines():
        _wrapped(head, line.strip(), indent, width)
        head = indent
    # Not wrapped: it is to be copied.
    if finding.advice and finding.state != "ok":
        out(f"{indent}> {finding.advice}")


def _wrapped(head: str, text: str, indent: str, width: int) -> None:
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=head,
        subsequent_indent=indent,
        # A path is copied, too.
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines or [head.rstrip()]:
        out(line)


def _columns() -> int:
    terminal = shutil.get_terminal_size((80, 24))
    return terminal.columns


def _sum_up(states: Counter[str]) -> None:
    """One line for those who only want to know whether all is well."""
    problems = states["problem"]
    warnings = states["warning"]
    parts: list[str] = []
    if problems:
        parts.append(counted(problems, "problem"))
    if warnings:
        parts.append(counted(warnings, "warning"))
    if not parts:
        note("all is well; - is what is not there, and nothing here needs")
        return
    found = " and ".join(parts)
    note(f"{found}; lines with > say what to type")
