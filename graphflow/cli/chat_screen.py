"""What is seen of an answer on a terminal while it is made: who works, and the text as it is said.

Rules:
1. Only what may become the answer is shown piece by piece: the text of a node that leads to END.
2. The last word has the run's output: what was shown and is not that is followed by it.
3. A line of graphflow's own is taken away again before anything else is written.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from graphflow.cli.printing import out_piece
from graphflow.cli.show import AnyRun, show_value
from graphflow.cli.visible import visible
from graphflow.events import (
    Event,
    ModelDelta,
    ModelFinished,
)
from graphflow.runtime.speakers import Speakers, worker_of

TICK_S = 1.0
"""Between two looks at the clock."""
CLEAR_LINE = "\r\x1b[K"
DIM, PLAIN = "\x1b[2m", "\x1b[0m"


class AnswerScreen:
    """The answers of one chat, as a terminal shows them."""

    def __init__(self) -> None:
        self._is_coloured = "NO_COLOR" not in os.environ
        self._speakers: Speakers | None = None
        self._began = 0.0
        self._question = 0
        """Which question to a model is answered on the screen; 0: none yet."""
        self._text = ""
        """What was said to it so far."""
        self._pending = ""
        self._is_mid_line = False
        self._working = ""
        self._has_status = False

    async def follow(self, run: AnyRun) -> None:
        """Shows what happens until the run has ended."""
        self._speakers = Speakers(run)
        self._began = time.monotonic()
        self._question, self._text, self._pending = 0, "", ""
        ticking = asyncio.get_running_loop().create_task(self._tick())
        try:
            async for event in run:
                self._take(event)
        finally:
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking
            self.clear()

    def finish(self, run: AnyRun) -> None:
        """Shows the answer, unless it stands there already."""
        self.clear()
        if not self._text or run.output != self._text:
            show_value(run.output)

    def clear(self) -> None:
        """Takes away what is not an answer, and ends the line."""
        self._clear_status()
        if self._is_mid_line:
            out_piece("\n")
            self._is_mid_line = False

    @contextmanager
    def aside(self) -> Iterator[None]:
        """While a question stands on the screen, nothing is drawn over it."""
        self.clear()
        working, self._working = self._working, ""
        try:
            yield
        finally:
            self._working = working

    # -- what happens ------------------------------------------------------------------------------
    def _take(self, event: Event) -> None:
        # Events come only while a run is followed.
        assert self._speakers is not None
        self._speakers.take(event)
        match event:
            case ModelDelta() if self._speakers.may_answer(event):
                self._take_piece(event)
            case ModelFinished(question=question) if question == self._question:
                self._complete(event.text)
            case _:
                pass
        working = worker_of(event)
        if working is not None:
            self._working = working
            self._draw_status()

    def _take_piece(self, piece: ModelDelta) -> None:
        if piece.channel not in ("text", "restart"):
            return
        if piece.question != self._question:
            # Another answer begins on a line of its own.
            if self._is_mid_line and self._text:
                self.clear()
            self._question, self._text = piece.question, ""
        if piece.channel == "restart":
            self.clear()
            self._text = ""
            return
        self._say(piece.text)

    def _complete(self, whole: str) -> None:
        """Says what is missing of a text whose pieces came faster than they could be shown."""
        if whole.startswith(self._text):
            self._say(whole[len(self._text) :])

    def _say(self, text: str) -> None:
        if not text:
            return
        self._clear_status()
        self._text += text
        piece = self._pending + text
        self._pending = ""
        # Its newline may come with the next piece.
        if piece.endswith("\r"):
            piece, self._pending = piece[:-1], "\r"
        if piece:
            out_piece(piece)
            self._is_mid_line = not piece.endswith("\n")

    # -- who works ---------------------------------------------------------------------------------
    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._draw_status()

    def _draw_status(self) -> None:
        if not self._working or self._is_mid_line:
            return
        seconds = int(time.monotonic() - self._began)
        line = visible(self._working).replace("\n", " ")
        if seconds:
            line += f", {seconds} s"
        width = shutil.get_terminal_size().columns
        # A line as wide as the terminal would wrap, and could not be taken away again.
        line = line[: width - 1]
        if self._is_coloured:
            line = f"{DIM}{line}{PLAIN}"
        sys.stdout.write(f"{CLEAR_LINE}{line}")
        sys.stdout.flush()
        self._has_status = True

    def _clear_status(self) -> None:
        if self._has_status:
            sys.stdout.write(CLEAR_LINE)
            sys.stdout.flush()
            self._has_status = False
