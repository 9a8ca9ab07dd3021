"""What came of `/compact`, as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from graphflow.proofs.report import counted

if TYPE_CHECKING:
    from graphflow.kinds.compacted import Compacted, CompactedView, ShownSize


def compacted_lines(compacted: Compacted) -> Iterator[str]:
    """What was left out, and what that saves for each agent."""
    if not compacted.exchanges:
        shown = counted(compacted.shown, "exchange")
        yield f"nothing more to leave out: {shown} shown as before"
        return
    left_out = counted(compacted.exchanges, "exchange")
    shown = f"{compacted.shown} shown as before"
    yield f"{left_out} left out from now on, {shown}; nothing is deleted"
    # Graphs of steps alone may have conversations, too.
    if not compacted.views:
        yield "no agent of this graph is shown what was said before, so that changes nothing"
    yield from map(_view_line, compacted.views)


def _view_line(view: CompactedView) -> str:
    """How much an agent is shown of what was said, before and after."""
    before = _size_words(view.before)
    after = _size_words(view.after)
    if not view.sums_up:
        return f"{view.place}: {before}; now {after}"
    how = "a model sums up the rest before the next answer"
    return f"{view.place}: {before}; now at most {after}; {how}"


def _size_words(size: ShownSize) -> str:
    turns = counted(size.turns, "turn")
    tokens = f"about {size.tokens:,} tokens"
    return f"{turns}, {tokens}"
