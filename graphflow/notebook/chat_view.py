"""A chat as a notebook shows it: what was said, a line to type, the answer while it is made, and questions in their place.

    chat = desk.chat("user:42", store="sqlite:chats.db")
    chat                                    # shows itself

Rules:
1. What was said is text to the browser, scrubbed and bounded in size.
2. Only what may become the answer is shown piece by piece: the text of a node that leads to END.
3. An answer to a question goes the same way as any other: it is read by its type, and what does not fit is told, and asked again.
4. Without anywidget, and in a page that is opened without its kernel, it says what to type.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Protocol, TypeAlias, Unpack, runtime_checkable

from graphflow.errors import ConversationBusy, InputInvalid, QuestionUnknown, WalkCancelled
from graphflow.events import AnswerRefused, Event, ModelDelta, Resumed
from graphflow.journal.exchange_codec import Exchange
from graphflow.journal.store import Store
from graphflow.messages.message import error_text, to_text
from graphflow.notebook.html import details, text
from graphflow.notebook.questions import shown_questions, waited_for
from graphflow.notebook.widget import Bundle, new_widget, widget_bundle
from graphflow.proofs.proven import AnyGraph
from graphflow.redaction import scrub
from graphflow.runtime.durability import begun_with
from graphflow.runtime.options import SayOptions
from graphflow.runtime.run_record import RunRecord
from graphflow.runtime.speakers import Speakers, worker_of

AnyRun = RunRecord[object]
BrowserRequest: TypeAlias = Mapping[str, object]
"""What the browser asks for, as JSON."""
MAX_TEXT = 20_000
"""Characters of one message that are shown."""
MAX_EXCHANGES = 200
"""The last ones are shown."""
PAUSE_S = 0.05
"""Between two messages to the browser while something is said: twenty a second."""
LOOK_S = 0.2
"""Between two looks at what is asked while something else goes on."""
HOW_TO_TALK = """run = await chat.say("...")
run.output                                    # the answer; None where run.status is "waiting":
await chat.pending()                          # what it asks: id, node, message, schema
run = await chat.answer("...", question="id") # a question
run = await chat.answer("allow", question="id")       # an approval: or "always", or why not
await chat.history()
await chat.drop()                             # gives up what waits"""
STOPPED = "stopped; the conversation is as it was"


@runtime_checkable
class Talkable(Protocol):
    """A chat, which stands above this room."""

    key: str
    graph: AnyGraph
    store: Store

    def start(self, message: object, /, **options: Unpack[SayOptions]) -> AnyRun: ...
    async def waiting(self) -> AnyRun | None: ...
    async def history(self) -> Sequence[Exchange]: ...
    async def undo(self, count: int = 1) -> Sequence[Exchange]: ...
    async def drop(self) -> bool: ...


class ChatView:
    """A chat as a widget.

    Attributes:
        chat: the chat.
        working: what the browser has asked for last, while it is done and afterwards.
        widget: the anywidget behind it; None where anywidget is not installed.
    """

    def __init__(self, chat: Talkable) -> None:
        self.chat = chat
        self.working: asyncio.Task[None] | None = None
        self._run: AnyRun | None = None
        """What answers now, or waits."""
        self._answering: asyncio.Task[None] | None = None
        self._asked: Sequence[str] = ()
        """The questions that are shown."""
        self._due = 0.0
        self._question = 0
        self._now = ""
        title = f"{chat.key} with {chat.graph.name}"
        self.widget = new_widget("chat", title=_bounded(title))
        if self.widget is not None:
            self.widget.observe(self._take, "request")

    async def load(self) -> None:
        """Shows what was said so far, and what is waited for, here or by a run that was begun elsewhere."""
        widget = self.widget
        history = await self.chat.history()
        shown = list(map(_shown_exchange, history[-MAX_EXCHANGES:]))
        run = await self.chat.waiting()
        # Of one that was walked here the types are known, by which an answer is read.
        walked = self._run
        if run is not None and walked is not None and _ids(walked) == _ids(run):
            run = walked
        self._run = run
        begun = ""
        if run is not None:
            message, _ = await begun_with(self.chat.store, run.id, self.chat.graph)
            begun = _bounded(to_text(message))
        self._show_questions(run)
        widget.exchanges = shown
        widget.message = begun
        widget.now = ""
        widget.state = "" if run is None else "waiting"

    # -- what the browser asks for -----------------------------------------------------------------
    def _take(self, change: Mapping[str, BrowserRequest]) -> None:
        request = change["new"]
        if not request:  # cleared from our side
            return
        run = self._run
        if run is not None and run.status == "running":
            if request.get("what") == "stop":
                self.stop()
            elif request.get("what") == "answer":
                # The run goes on by itself; whoever follows it shows how.
                self._answering = self._begin(self._answer(run, request))
            return
        self.working = self._begin(self._do(request))

    def _begin(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        self.widget.problem = ""
        return asyncio.get_running_loop().create_task(work)

    def stop(self) -> None:
        """Stops the answer that is on its way."""
        if self._run is not None:
            self._run.cancel()

    async def _do(self, request: BrowserRequest) -> None:
        """Does what the browser asks for; what goes wrong is told there."""
        widget = self.widget
        ended = ""
        try:
            ended = await self._done(request)
        except WalkCancelled:
            ended = STOPPED
        except Exception as error:
            self._tell(error)
            if request.get("what") == "say":  # nothing that was typed is lost
                widget.draft = ""
                widget.draft = str(request.get("text", ""))
        finally:
            widget.status = ended
            await self.load()

    async def _done(self, request: BrowserRequest) -> str:
        """Does it; what there is to say of it."""
        match request.get("what"):
            case "say":
                await self._say(str(request.get("text", "")))
            case "answer":
                await self._answer_waiting(request)
            case "go on":
                await self._go_on()
            case "undo":
                await self.chat.undo()
            case "stop":
                await self.chat.drop()
                return STOPPED
            case _:
                pass
        return ""

    def _tell(self, error: Exception) -> None:
        words = error_text(error)
        kind = type(error).__name__
        self.widget.problem = _bounded(f"{kind}: {words}")

    # -- talking -----------------------------------------------------------------------------------
    async def _say(self, line: str) -> None:
        message = _message(self.chat.graph, line)
        self.widget.message = _bounded(line)
        self.widget.draft = ""
        # Whose questions are open is shown; who is only slower is waited for.
        run = self.chat.start(message, busy="refuse")
        try:
            await self._follow(run)
        except ConversationBusy as busy:
            if busy.questions:
                raise
            self.widget.status = f"{busy.holder} is at this conversation; your message waits"
            await self._follow(self.chat.start(message, busy="wait"))

    async def _answer_waiting(self, request: BrowserRequest) -> None:
        """Answers a question of the run that waits, and lets that go on."""
        run = self._run
        if run is None:
            raise QuestionUnknown("nothing waits for an answer any more")
        await self._give(run, request)
        await self._go_on()

    async def _answer(self, run: AnyRun, request: BrowserRequest) -> None:
        """Answers a question while the rest of the run goes on."""
        try:
            await self._give(run, request)
        except Exception as error:
            self._tell(error)

    async def _give(self, run: AnyRun, request: BrowserRequest) -> None:
        id = str(request.get("id", ""))
        arm = str(request.get("arm", ""))
        value = request.get("value")
        if run.status == "running" or run.sitting is not None:
            await run.answer(id, value, arm=arm)
            return
        await self.chat.store.answer(run.id, id, value, arm=arm)

    async def _go_on(self) -> None:
        run = self._run
        if run is None:
            raise QuestionUnknown("nothing waits any more")
        message, limits = await begun_with(self.chat.store, run.id, self.chat.graph)
        await self._follow(self.chat.start(message, id=run.id, limits=limits))

    # -- what happens ------------------------------------------------------------------------------
    async def _follow(self, run: AnyRun) -> None:
        """Shows what happens until a run has ended, or waits.

        Raises: what the run raises.
        """
        self._run = run
        self._question, self._now = 0, ""
        self.widget.state = "working"
        self._show_questions(None)
        speakers = Speakers(run)
        looking = asyncio.get_running_loop().create_task(self._look(run))
        try:
            async for event in run:
                speakers.take(event)
                self._show(event, speakers)
            await run
        finally:
            looking.cancel()
            await asyncio.wait([looking])

    async def _look(self, run: AnyRun) -> None:
        """Shows questions while the rest of the run goes on: they can be answered meanwhile."""
        while True:
            if _ids(run) != self._asked:
                self._show_questions(run)
            await asyncio.sleep(LOOK_S)

    def _show_questions(self, run: AnyRun | None) -> None:
        pending = [] if run is None else run.pending
        self._asked = () if run is None else _ids(run)
        self.widget.questions = shown_questions(pending)
        self.widget.others = waited_for(pending)

    def _show(self, event: Event, speakers: Speakers) -> None:
        """Who is at work, and what is said of the answer meanwhile."""
        if isinstance(event, Resumed):  # what was refused before is old news
            self.widget.problem = ""
        if isinstance(event, AnswerRefused):
            self.widget.problem = _bounded(event.why)
        worker = worker_of(event)
        if worker is not None:
            self.widget.status = _bounded(worker)
        if isinstance(event, ModelDelta) and speakers.may_answer(event):
            self._take_piece(event)

    def _take_piece(self, event: ModelDelta) -> None:
        if event.channel not in ("text", "restart"):
            return
        if event.question != self._question or event.channel == "restart":
            self._question, self._now = event.question, ""
        self._now += event.text
        moment = time.monotonic()
        if moment >= self._due:
            self._due = moment + PAUSE_S
            self.widget.now = _bounded(self._now)


def _shown_exchange(exchange: Exchange) -> dict[str, str]:
    who = exchange.by.rpartition(" > ")[2] or "answer"
    message = _bounded(exchange.turn.text)
    answer = _bounded(exchange.text)
    return {"message": message, "who": who, "answer": answer}


def _ids(run: AnyRun) -> tuple[str, ...]:
    """The run, and what is asked in it: an object of it that went on elsewhere has other questions."""
    return run.id, *(question.id for question in run.pending)


def _message(graph: AnyGraph, line: str) -> object:
    """What a line means to a graph: a text, or JSON where it takes something else.

    Raises:
        InputInvalid: it is not JSON.
    """
    if graph.input is str:
        return line
    try:
        return json.loads(line)
    except ValueError as error:
        raise InputInvalid(f"graph {graph.name!r} takes JSON, and this is none: {error}") from None


def _bounded(words: str) -> str:
    # Scrubbed before it is cut: half a secret would not be known as one.
    return scrub(words)[:MAX_TEXT]


def chat_bundle(chat: Talkable, *, is_live: bool) -> Bundle:
    """What a notebook shows of a chat.

    Args:
        chat: the chat.
        is_live: whether somebody can type there.
    """
    code = text(HOW_TO_TALK)
    title = text(f"chat {chat.key} with {chat.graph.name}")
    html = details(title, f"<pre>{code}</pre>", is_open=True)
    bundle: Bundle = {"text/html": html, "text/plain": scrub(repr(chat))}
    if not is_live:
        return bundle
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # nothing could answer what is typed
        return bundle
    view = ChatView(chat)
    if view.widget is None:
        return bundle
    # The view lives as long as what is shown.
    view.widget.view = view
    view.working = loop.create_task(view.load())
    return bundle | widget_bundle(view.widget)
