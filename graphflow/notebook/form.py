"""The form of a run that waits: its questions, to be answered in the notebook; then the run goes on.

    run = await graph.run("a topic", store="sqlite:runs.db")
    run                                     # shows what it waits for, and takes the answer

Rules:
1. An answer goes the same way as any other: it is read by its type, and what does not fit is told in the form.
2. Without anywidget, and in a page that is opened without its kernel, the form says what to type.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from graphflow.errors import GraphflowError
from graphflow.journal.question import Question
from graphflow.messages.message import error_text, to_json_value
from graphflow.notebook.html import MAX_CELL, details, table, text
from graphflow.notebook.live import Bundle, Widget
from graphflow.redaction import scrub
from graphflow.render.talk import json_text
from graphflow.runtime.run_record import RunRecord

AnyRun = RunRecord[object]
Data: TypeAlias = dict[str, object]
"""What goes to the browser and comes from there, as JSON."""
MAX_LINE = 2_000
"""Characters of a question that are shown."""
NOT_ASKED = ("time", "message")
"""Questions that no person answers."""


@lru_cache(maxsize=1)
def _widget_class() -> Callable[..., Widget] | None:
    """The widget's class, or None where anywidget is not installed."""
    try:
        import anywidget
        import traitlets
    except ImportError:
        return None
    here = Path(__file__).parent

    class FormWidget(anywidget.AnyWidget):
        _esm = (here / "form.js").read_text(encoding="utf-8")
        _css = (here / "form.css").read_text(encoding="utf-8")
        questions: object = traitlets.List().tag(sync=True)
        answer: object = traitlets.Dict().tag(sync=True)
        problem = traitlets.Unicode().tag(sync=True)
        status = traitlets.Unicode().tag(sync=True)

    return FormWidget


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
        kind = _widget_class()
        self.widget: Widget = None
        if kind is not None:
            self.widget = kind()
            self._update()
            self.widget.observe(self._take, "answer")

    def _update(self) -> None:
        """Shows how the run stands."""
        run = self.run
        questions: list[Data] = []
        for question in run.pending:
            if question.about not in NOT_ASKED:
                questions.append(_shown_question(question))
        self.widget.questions = questions
        self.widget.problem = ""
        self.widget.status = f"run {run.id}: {run.status}"
        if run.output is not None:
            answer = _line(_words(run.output))
            self.widget.status += f": {answer}"

    def _take(self, change: Mapping[str, Data]) -> None:
        answer = change["new"]
        # Cleared from our side it is empty, and says nothing.
        if answer:
            self.answering = asyncio.get_running_loop().create_task(self._answer(answer))

    async def _answer(self, answer: Data) -> None:
        """Answers one question, and lets the run go on."""
        try:
            await self.run.answer(
                str(answer["id"]), answer["value"], arm=str(answer.get("arm", ""))
            )
            await self._go_on()
        except GraphflowError as error:
            self.widget.problem = scrub(error_text(error))[:MAX_LINE]

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


def _shown_question(question: Question) -> Data:
    """A question as the browser draws it."""
    message = to_json_value(question.message)
    lines: list[str] = []
    if isinstance(message, dict):
        for name, value in message.items():
            lines.append(_line(f"{name}: {_words(value)}"))
    else:
        lines.append(_line(_words(message)))
    where = " > ".join(question.path)
    return {
        "id": question.id,
        "about": question.about,
        "title": _line(f"{question.node} (in {where})"),
        "lines": lines,
        "schema": to_json_value(question.schema),
    }


def _words(value: object) -> str:
    return value if isinstance(value, str) else json_text(value)


def _line(words: str) -> str:
    return scrub(words)[:MAX_LINE]


def form_html(run: AnyRun) -> str:
    """What a run waits for, and what to type to answer it."""
    rows: list[list[str]] = []
    for question in run.pending:
        due = "" if question.due is None else question.due.isoformat(timespec="seconds")
        asked = text(json_text(to_json_value(question.message)), MAX_CELL)
        rows.append([text(question.id), text(question.about), asked, text(due)])
    listed = table(("question", "about", "asked", "due"), rows)
    first = run.pending[0].id
    typed = (
        f"await run.answer({first!r}, ...)\nrun = await graph.resume({run.id!r}, store=run.store)"
    )
    return details("waits for an answer", f"{listed}<pre>{text(typed)}</pre>", is_open=True)


def form_bundle(run: AnyRun) -> Bundle:
    """What a notebook shows of the form beside the HTML of its run; nothing where there are no widgets."""
    form = QuestionForm(run)
    if form.widget is None or not form.widget.questions:
        return {}
    form.widget.form = form  # lives as long as what is shown
    # As anywidget has it: the bundle, or the bundle and what it says of itself.
    made = form.widget._repr_mimebundle_() or {}
    data = made[0] if isinstance(made, tuple) else made
    return {kind: value for kind, value in data.items() if "widget" in kind}
