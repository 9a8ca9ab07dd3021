"""The form of a run that waits: its questions, to be answered in the notebook; then the run goes on.

    run = await graph.run("a topic", store="sqlite:runs.db")
    run                                     # shows what it waits for, and takes the answer

Rules:
1. An answer goes the same way as any other: it is read by its type, and what does not fit is told in the form.
2. Without anywidget, and in a page that is opened without its kernel, the form says what to type.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from graphflow.errors import GraphflowError
from graphflow.messages.message import error_text, to_json_value
from graphflow.notebook.html import MAX_CELL, details, table, text
from graphflow.notebook.questions import Data, bounded_line, shown_questions
from graphflow.notebook.widget import Bundle, new_widget, widget_bundle
from graphflow.render.talk import json_text, plain_text
from graphflow.runtime.run_record import RunRecord

AnyRun = RunRecord[object]


@runtime_checkable
class Resumable(Protocol):
    """A graph whose runs can go on."""

    async def resume(self, id: str, /, *, store: object) -> AnyRun: ...


class QuestionForm:
    """The questions of a run as a widget.

    Attributes:
        run: the run; once it has gone on, the one that has.
        widget: the anywidget behind it; None where anywidget is not installed.
    """

    def __init__(self, run: AnyRun) -> None:
        self.run = run
        self.answering: asyncio.Task[None] | None = None
        self.widget = new_widget("form")
        if self.widget is not None:
            self._update()
            self.widget.observe(self._take, "answer")

    def _update(self) -> None:
        """Shows how the run stands."""
        run = self.run
        status = f"run {run.id}: {run.status}"
        if run.output is not None:
            words = plain_text(run.output)
            answer = bounded_line(words)
            status += f": {answer}"
        self.widget.questions = shown_questions(run.pending)
        self.widget.problem = ""
        self.widget.status = status

    def _take(self, change: Mapping[str, Data]) -> None:
        answer = change["new"]
        # Cleared from our side it is empty, and says nothing.
        if answer:
            loop = asyncio.get_running_loop()
            self.answering = loop.create_task(self._answer(answer))

    async def _answer(self, answer: Data) -> None:
        """Answers one question, and lets the run go on."""
        id = str(answer["id"])
        arm = str(answer.get("arm", ""))
        try:
            await self.run.answer(id, answer["value"], arm=arm)
            await self._go_on()
        except GraphflowError as error:
            words = error_text(error)
            self.widget.problem = bounded_line(words)

    async def _go_on(self) -> None:
        run = self.run
        graph = run.declared
        # The graph that users call can do that. It stands above this room.
        if not isinstance(graph, Resumable):
            self.widget.status = f"run {run.id} is answered; resume it"
            return
        self.widget.status = f"run {run.id} goes on"
        try:
            self.run = await graph.resume(run.id, store=run.store)
        except GraphflowError as error:
            ended = getattr(error, "run", None)
            if ended is None:
                raise
            self.run = ended
            self._update()
            raise
        self._update()


def form_html(run: AnyRun) -> str:
    """What a run waits for, and what to type to answer it."""
    rows: list[list[str]] = []
    for question in run.pending:
        message = to_json_value(question.message)
        due = ""
        if question.due is not None:
            due = question.due.isoformat(timespec="seconds")
        row = [
            text(question.id),
            text(question.about),
            text(json_text(message), MAX_CELL),
            text(due),
        ]
        rows.append(row)
    questions = table(("question", "about", "asked", "due"), rows)
    first = run.pending[0].id
    code = (
        f"await run.answer({first!r}, ...)\nrun = await graph.resume({run.id!r}, store=run.store)"
    )
    what_to_type = text(code)
    inner = f"{questions}<pre>{what_to_type}</pre>"
    return details("waits for an answer", inner, is_open=True)


def form_bundle(run: AnyRun) -> Bundle:
    """What a notebook shows of the form beside the HTML of its run; nothing where there are no widgets."""
    form = QuestionForm(run)
    if form.widget is None or not form.widget.questions:
        return {}
    # The form lives as long as what is shown.
    form.widget.form = form
    return widget_bundle(form.widget)
