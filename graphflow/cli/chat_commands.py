"""The commands within a chat: lines that begin with a slash."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graphflow.chat import ExportForm
from graphflow.cli.compacted_lines import compacted_lines
from graphflow.cli.printing import note, out
from graphflow.errors import InputInvalid
from graphflow.journal.exchange_codec import Exchange
from graphflow.limits import Usage
from graphflow.proofs.report import counted

if TYPE_CHECKING:
    from graphflow.cli.chat import ChatSession

_ODD = re.compile(r"[^\w.-]+")
MOST_DIGITS = 10
"""Of a number of exchanges; Python refuses to read what has some thousands of them."""


@dataclass(frozen=True, slots=True)
class ChatCommand:
    """One command of a chat.

    Attributes:
        head: its name, and what stands behind it.
        about: what it does.
        work: does it, with what stands behind its name.
    """

    head: str
    about: str
    work: Callable[[ChatSession, str], Awaitable[None]]


async def run_command(session: ChatSession, line: str) -> None:
    """Does what a line says that begins with a slash.

    Raises:
        InputInvalid: there is no such command, or what stands behind it does not fit.
    """
    name, _, rest = line.partition(" ")
    for command in COMMANDS:
        known, _, _ = command.head.partition(" ")
        if known == name:
            await command.work(session, rest.strip())
            return
    raise InputInvalid(
        f"{name} is not a command; /help lists them, and // begins a message with a slash"
    )


# -- what was said ---------------------------------------------------------------------------------
def history_lines(exchanges: Sequence[Exchange]) -> Iterator[str]:
    """Exchanges as lines, each with its number."""
    for exchange in exchanges:
        head = f"{exchange.number} > "
        margin = " " * len(head)
        message = exchange.turn.text.replace("\n", f"\n{margin}")
        answer = exchange.text.replace("\n", f"\n{margin}")
        yield f"{head}{message}"
        yield f"{margin}{answer}"


async def _history(session: ChatSession, rest: str) -> None:
    exchanges = await session.chat.history()
    if rest:
        count = _number(rest, "/history N")
        exchanges = exchanges[-count:]
    if not exchanges:
        note("nothing has been said yet")
    for line in history_lines(exchanges):
        out(line)


async def _undo(session: ChatSession, rest: str) -> None:
    count = _number(rest, "/undo N") if rest else 1
    withdrawn = await session.chat.undo(count)
    for exchange in withdrawn:
        note(f"withdrawn: {exchange.number} > {exchange.turn.text}")


async def _compact(session: ChatSession, rest: str) -> None:
    keep = _number(rest, "/compact N", least=0) if rest else 1
    compacted = await session.chat.compact(keep)
    for line in compacted_lines(compacted):
        note(line)


async def _fork(session: ChatSession, rest: str) -> None:
    key, _, at = rest.partition(" ")
    if not key:
        raise InputInvalid("write /fork NAME, or /fork NAME N to go on behind exchange N")
    former = session.chat.key
    last = _number(at, "/fork NAME N") if at else None
    copy = await session.chat.fork(key, at=last)
    session.go_to(copy)
    note(f"this is {key} now; {former} stays as it was")


async def _save(session: ChatSession, rest: str) -> None:
    usual = _ODD.sub("-", session.chat.key)
    path = Path(rest or f"{usual}.md")
    form: ExportForm = "markdown"
    if path.suffix == ".jsonl":
        form = "jsonl"
    text = await session.chat.export(form)
    # What this chat has written it may write again; other files are somebody's.
    is_ours = str(path) in session.saved
    try:
        await asyncio.to_thread(_write, path, text, is_ours)
    except FileExistsError:
        raise InputInvalid(f"{path} is there already; write /save with another name") from None
    session.saved.add(str(path))
    note(f"wrote {path}")


def _write(path: Path, text: str, is_ours: bool) -> None:
    mode = "w" if is_ours else "x"
    with path.open(mode, encoding="utf-8") as file:
        file.write(text)


# -- the chat itself -------------------------------------------------------------------------------
async def _usage(session: ChatSession, rest: str) -> None:
    used = _sum_of(session.usages)
    answers = counted(len(session.usages), "answer")
    calls = counted(used.model_calls, "model call")
    tokens = f"{used.input_tokens} + {used.output_tokens} tokens"
    parts = [answers, calls, tokens]
    if used.usd:
        parts.append(f"{used.usd:.4f} USD")
    parts.append(f"{used.seconds:.1f} s")
    listed = ", ".join(parts)
    history = await session.chat.history()
    exchanges = counted(len(history), "exchange")
    out(f"this sitting: {listed}")
    out(f"conversation {session.chat.key}: {exchanges}")


@dataclass(slots=True)
class _Sum:
    """What several runs have used together; dollars as far as they are known."""

    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0


def _sum_of(usages: Sequence[Usage]) -> _Sum:
    total = _Sum()
    for usage in usages:
        total.model_calls += usage.model_calls
        total.input_tokens += usage.input_tokens
        total.output_tokens += usage.output_tokens
        total.usd += usage.usd or 0.0
        total.seconds += usage.seconds
    return total


async def _drop(session: ChatSession, rest: str) -> None:
    was_there = await session.chat.drop()
    note("given up; the conversation is as it was" if was_there else "nothing waits here")


async def _help(session: ChatSession, rest: str) -> None:
    width = max(len(command.head) for command in COMMANDS)
    for command in COMMANDS:
        head = command.head.ljust(width)
        out(f"{head}  {command.about}")
    head = "//...".ljust(width)
    out(f"{head}  a message that begins with a slash")


async def _quit(session: ChatSession, rest: str) -> None:
    session.code = 0


COMMANDS = (
    ChatCommand("/help", "this list", _help),
    ChatCommand("/history [N]", "what was said, or the last N exchanges of it", _history),
    ChatCommand("/undo [N]", "withdraw the last exchange, or the last N", _undo),
    ChatCommand("/compact [N]", "show agents the last exchange alone, or the last N", _compact),
    ChatCommand("/fork NAME [N]", "go on in a copy, of all or of the first N exchanges", _fork),
    ChatCommand("/usage", "what the answers of this sitting have used", _usage),
    ChatCommand("/save [FILE]", "write what was said: Markdown, or .jsonl", _save),
    ChatCommand("/drop", "give up what waits", _drop),
    ChatCommand("/quit", "end the chat, as Ctrl-D does", _quit),
)


def _number(text: str, usage: str, least: int = 1) -> int:
    """A number that somebody types.

    Raises:
        InputInvalid: it is none from the least one on.
    """
    digits = text.strip()
    number = int(digits) if digits.isdecimal() and len(digits) < MOST_DIGITS else -1
    if number < least:
        raise InputInvalid(f"{usage}: N must be a whole number from {least}, and not {text!r}")
    return number
