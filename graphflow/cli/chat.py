"""`graphflow chat`: a conversation with a graph, line by line.

Rules:
1. On a terminal an answer is seen while it is made, questions are asked in place, and an error ends only the answer. Ctrl-C
   stops the answer and not the chat.
2. Through a pipe a line is a message and nothing but answers is printed; nobody is asked, and the first error ends the chat.
3. A line that begins with `/` is a command, one that begins with `//` a message that begins with `/`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

from graphflow.chat import Chat
from graphflow.cli.approvals import ask_here
from graphflow.cli.chat_commands import history_lines, run_command
from graphflow.cli.chat_keeping import ChatKeeping, chat_keeping
from graphflow.cli.chat_lines import is_at_terminal, next_line, remember_lines
from graphflow.cli.chat_screen import AnswerScreen
from graphflow.cli.exit_codes import WAITING, Terminated
from graphflow.cli.keeping import new_id
from graphflow.cli.outcome import one_line, question_line
from graphflow.cli.printing import note, out
from graphflow.cli.show import AnyRun, is_expected, show_error, show_value
from graphflow.cli.sinks import sinks_of_project
from graphflow.cli.watch import answered_here
from graphflow.errors import ConversationBusy, ModelUnset
from graphflow.graph import RunnableGraph
from graphflow.limits import Usage
from graphflow.messages.message import to_text
from graphflow.project.message import read_message
from graphflow.proofs.report import counted
from graphflow.runtime.durability import begun_with
from graphflow.runtime.options import SayOptions

AnyChat: TypeAlias = Chat[Any, Any]
LineWork: TypeAlias = Coroutine[object, None, object]
"""What a line asks to be done."""

SHOWN_EXCHANGES = 3
"""So many of the last exchanges are shown to whoever goes on with a conversation."""
MAX_INTERRUPTS = 3
"""Ctrl-C so often, while one answer is wound down, ends the chat."""


def chat_here(
    graph: RunnableGraph, named: str, key: str | None, address: str | None, options: SayOptions
) -> int:
    """Talks with a graph until the input ends; the exit code.

    Args:
        graph: who is talked to.
        named: how it was named.
        key: what the conversation is called; None: it is a new one.
        address: where it is kept, if somebody has said.
        options: of each answer: its model, limits and secrets.

    Raises: through a pipe, whatever an answer raises; Ctrl-C and SIGTERM, where they do not stop an answer.
    """
    model = options["model"]
    # Said before the first line is typed.
    for agent, found in graph.models_needed(model or graph.model):
        if found is None:
            raise ModelUnset(agent, graph.name)

    async def chatting() -> int:
        shown = model if isinstance(model, str) else None
        keeping = await chat_keeping(graph, named, key, address, shown)
        try:
            session = ChatSession(graph, keeping, options)
            return await session.hold()
        finally:
            await keeping.store.aclose()

    with sinks_of_project():
        return asyncio.run(chatting())


class ChatSession:
    """One sitting of a chat.

    Attributes:
        graph: who is talked to.
        keeping: how the conversation is kept.
        chat: the conversation.
        is_live: whether somebody sits at a terminal.
        usages: what each answer of this sitting has used.
        saved: files that were written in this sitting.
        code: the exit code, once the chat is to end.
    """

    def __init__(self, graph: RunnableGraph, keeping: ChatKeeping, options: SayOptions) -> None:
        self.graph = graph
        self.keeping = keeping
        self.chat: AnyChat = graph.chat(keeping.key, store=keeping.store)
        self.is_live = is_at_terminal()
        self.usages: list[Usage] = []
        self.saved: set[str] = set()
        self.code: int | None = None
        self._stated = options
        self._screen = AnswerScreen() if self.is_live else None
        self._run: AnyRun | None = None
        """What answers now, or has answered last."""

    # -- the talk ----------------------------------------------------------------------------------
    async def hold(self) -> int:
        """Takes line by line; the exit code."""
        await self._open()
        while self.code is None:
            line = self._next_line()
            if line is None:
                self.code = 0
            elif line.strip():
                await self._take(line)
        await self._tell_how_to_go_on()
        return self.code

    def _next_line(self) -> str | None:
        """The next line; "" after Ctrl-C; None: the input has ended."""
        try:
            return next_line(is_typed=self.is_live)
        except EOFError:
            if self.is_live:
                out("")
            return None
        except KeyboardInterrupt:
            if not self.is_live:
                raise
            out("")
            note("Ctrl-D or /quit ends the chat")
            return ""

    async def _open(self) -> None:
        """Says what there is, and takes up what waits."""
        history = await self.chat.history()
        if self.is_live:
            remember_lines([each.turn.text for each in history])
            self._greet()
            hidden = len(history) - SHOWN_EXCHANGES
            if hidden > 0:
                note(f"{counted(hidden, 'exchange')} before these; /history shows all")
            for line in history_lines(history[-SHOWN_EXCHANGES:]):
                out(line)
        await self._guarded(self._take_up_waiting())

    def _greet(self) -> None:
        where = "it is kept nowhere, and gone when you leave"
        if self.keeping.place is not None:
            where = f"kept in {self.keeping.place.shown}"
        note(f"conversation {self.chat.key} with {self.graph.name}; {where}")
        note("/help lists the commands; Ctrl-C stops an answer, Ctrl-D ends the chat")

    async def _take(self, line: str) -> None:
        """Does what a line says."""
        words = line.strip()
        if words.startswith("/") and not words.startswith("//"):
            await self._guarded(run_command(self, words))
            return
        await self._guarded(self._say(words[1:] if words.startswith("//") else line))

    async def _say(self, text: str) -> None:
        message = read_message(self.graph, text)
        await self._answer_to(message, new_id(self.graph.name), self._options())

    async def _tell_how_to_go_on(self) -> None:
        if self.keeping.place is None or self.code == WAITING or not await self.chat.history():
            return
        note(f"`{self.keeping.command()}` goes on with this conversation")

    def go_to(self, chat: AnyChat) -> None:
        """Goes on in another conversation."""
        self.chat = chat
        self.keeping.key = chat.key

    # -- an answer ---------------------------------------------------------------------------------
    def _options(self) -> SayOptions:
        options: SayOptions = {**self._stated}
        if self.keeping.model is not None:
            # Who goes on with a run elsewhere needs the same.
            options["metadata"] = {"model": self.keeping.model}
        if self._screen is not None:
            ask_here(options, self._screen.aside)
        return options

    async def _answer_to(self, message: object, id: str, options: SayOptions) -> None:
        """Has a message answered, and shows the answer."""
        options["busy"] = "refuse"
        run = await self._followed(message, id, options)
        while isinstance(run.error, ConversationBusy):
            busy = run.error
            if busy.questions:
                if not await self._take_up_waiting():
                    return
            else:
                note(f"{busy.holder} is at this conversation; your message waits")
                options["busy"] = "wait"
            run = await self._followed(message, id, options)
        await self._finish(message, run, options)

    async def _followed(self, message: object, id: str, options: SayOptions) -> AnyRun:
        """A run that has ended, or waits."""
        options["id"] = id
        run = self.chat.start(message, **options)
        self._run = run
        try:
            if self._screen is not None:
                await self._screen.follow(run)
            return await run.settled()
        except asyncio.CancelledError:
            run.cancel()
            await run.settled()
            raise

    async def _finish(self, message: object, run: AnyRun, options: SayOptions) -> None:
        """Asks what the run waits for until it has an answer, and shows that."""
        while run.status == "waiting" and self._screen is not None:
            if not await answered_here(run, self._screen.aside):
                break
            run = await self._followed(message, run.id, options)
        self.usages.append(run.usage)
        if run.status == "waiting":
            self._leave_waiting(run)
            return
        if run.error is not None:
            raise run.error
        self._show(run)

    def _show(self, run: AnyRun) -> None:
        if self._screen is None:
            show_value(run.output)
            return
        self._screen.finish(run)
        out("")

    def _leave_waiting(self, run: AnyRun) -> None:
        """Tells what a run waits for that nobody answers here."""
        for question in run.pending:
            note(f"the answer waits for {question_line(question)}")
        is_personal = any(each.about not in ("time", "message") for each in run.pending)
        if is_personal or not self.is_live:
            self.code = WAITING
        if self.keeping.place is None:
            note("it is kept nowhere, so nobody can answer; give it a place: --store sqlite:FILE")
            return
        goes_on = self.keeping.command()
        note(f"`{self.keeping.answer_command(run.id)}` answers; `{goes_on}` goes on then")
        if self.code is None:
            note("/drop gives it up")

    async def _take_up_waiting(self) -> bool:
        """Goes on with a run that waits, if there is one; whether the conversation is free afterwards."""
        waiting = await self.chat.waiting()
        if waiting is None:
            return True
        header = await self.chat.store.header(waiting.id)
        message, limits = await begun_with(self.chat.store, waiting.id, self.graph)
        options = self._options()
        options.setdefault("limits", limits)
        model = header.metadata.get("model")
        if options["model"] is None and isinstance(model, str):
            options["model"] = model
        if self.is_live:
            words = one_line(to_text(message))
            note(f"run {waiting.id} goes on, which answers: {words}")
        run = await self._followed(message, waiting.id, options)
        await self._finish(message, run, options)
        return await self.chat.waiting() is None

    # -- what may stop it --------------------------------------------------------------------------
    async def _guarded(self, work: LineWork) -> None:
        """Does something that Ctrl-C may stop; on a terminal, an error ends no more than that."""
        try:
            await self._stoppable(work)
        except Exception as error:
            if not self.is_live or not is_expected(error) or isinstance(error, Terminated):
                raise
            show_error(error)

    async def _stoppable(self, work: LineWork) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._run = None
        with _stopped_by_signals(task) as caught:
            try:
                await task
                return
            except asyncio.CancelledError:
                if not caught:
                    raise
        if signal.SIGTERM in caught:
            raise Terminated(f"stopped while chatting with {self.graph.name!r}")
        if not self.is_live:
            raise KeyboardInterrupt
        await self._tell_stopped()

    async def _tell_stopped(self) -> None:
        run = self._run
        if run is not None and run.status == "completed":  # it was faster
            self._show(run)
            return
        if self._screen is not None:
            self._screen.clear()
        if run is not None:
            self.usages.append(run.usage)
        # One that waits for an answer would keep the conversation.
        await self.chat.drop()
        note("stopped; the conversation is as it was")


@contextmanager
def _stopped_by_signals(task: asyncio.Task[object]) -> Iterator[Sequence[signal.Signals]]:
    """Ctrl-C and SIGTERM cancel a task; yields those that came."""
    loop = asyncio.get_running_loop()
    caught: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        caught.append(number)
        if len(caught) == 1:
            task.cancel()
        elif caught.count(signal.SIGINT) >= MAX_INTERRUPTS:
            raise KeyboardInterrupt

    both = (signal.SIGINT, signal.SIGTERM)
    # Windows has none of this: there, Ctrl-C ends the chat.
    with suppress(NotImplementedError):
        for number in both:
            loop.add_signal_handler(number, stop, number)
    try:
        yield caught
    finally:
        with suppress(NotImplementedError):
            for number in both:
                loop.remove_signal_handler(number)
