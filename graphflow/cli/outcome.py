"""What a command says of a run that it has walked, and the exit code that comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from graphflow.cli.exit_codes import WAITING
from graphflow.cli.keeping import Keeping
from graphflow.cli.options import WalkOutput
from graphflow.cli.partial_answer import partial_answer
from graphflow.cli.printing import note, out_json, say
from graphflow.cli.show import AnyRun, show_output, summary
from graphflow.cli.stored_runs import command_for
from graphflow.journal.question import Question
from graphflow.messages.message import error_text, to_json_value
from graphflow.policy import effect_words
from graphflow.redaction import scrub

MAX_ASKED = 300
"""Characters of a question that are shown."""


def walk_and_show(walk: Callable[[], AnyRun], output: WalkOutput, keeping: Keeping | None) -> int:
    """Walks, and prints what comes of it; the exit code.

    Raises: whatever the walk raises, once what there is of it is written: it has cost time and money, too.
    """
    try:
        run = walk()
    except Exception as error:
        partial: AnyRun | None = getattr(error, "run", None)
        if partial is not None:
            text = partial_answer(partial)
            _write(partial, output, keeping, text)
            if text and not output.as_json:
                note("the answer, as far as it was said:")
                say(text)
            advise(error, partial, keeping)
        raise
    _write(run, output, keeping)
    if run.unkept is not None:
        note(f"the run is not kept any more: {run.unkept}")
    # It has not failed, and there is no answer yet: a script has to be able to tell.
    if run.status == "waiting":
        _show_waiting(run, keeping)
        return WAITING
    if not output.as_json:
        show_output(run)
    return 0


def _write(run: AnyRun, output: WalkOutput, keeping: Keeping | None, partial: str = "") -> None:
    if output.report is not None:
        run.report(str(output.report))
    if output.as_json:
        is_kept = keeping is not None and run.store is keeping.store
        data = outcome(run, is_kept=is_kept)
        if partial:
            data["partial"] = partial
        out_json(data)


def advise(error: Exception, run: AnyRun, keeping: Keeping | None) -> None:
    """Notes on an error how to go on with the run that it has ended."""
    if keeping is None:
        return
    advice = keeping.advice(run)
    if advice:
        error.add_note(advice)


def outcome(run: AnyRun, *, is_kept: bool) -> dict[str, Any]:
    """What came of a run, as JSON."""
    answer: dict[str, Any] = {}
    if is_kept and run.unkept is None:
        answer["run"] = run.id
    answer |= {
        "status": run.status,
        "output": to_json_value(run.output),
        "usage": to_json_value(run.usage),
    }
    if run.error is not None:
        answer["error"] = _error_json(run.error)
    failures: list[dict[str, str]] = []
    for failure in run.failures:
        if failure.error is not None:
            error = _error_json(failure.error)
            failures.append({"node": failure.node, **error})
    answer["failures"] = failures
    if run.pending:
        answer["pending"] = list(map(question_json, run.pending))
    return answer


def _error_json(error: BaseException) -> dict[str, str]:
    text = error_text(error)
    return {"type": type(error).__name__, "text": scrub(text)}


def question_json(question: Question) -> dict[str, Any]:
    """A question as JSON."""
    return {
        "id": question.id,
        "node": question.node,
        "about": question.about,
        "message": to_json_value(question.message),
        "schema": to_json_value(question.schema),
    }


def _show_waiting(run: AnyRun, keeping: Keeping | None) -> None:
    note(summary(run))
    for question in run.pending:
        note(f"it waits for {question_line(question)}")
    if keeping is None or run.store is not keeping.store:
        note("it is kept nowhere, so nobody can answer; give it a place: --store sqlite:FILE")
        return
    answer = command_for(keeping.place, ["answer", run.id])
    advice = keeping.advice(run)
    note(f"`{answer}` answers; {advice}")


def question_line(question: Question) -> str:
    """A question on one line: its id, what it is about, what is asked."""
    asked = one_line(_asked(question))
    return f"{question.id} ({question.about}): {asked}"


def one_line(text: str) -> str:
    """The beginning of a text on one line, so that what a model wrote cannot pass for lines of ours."""
    line = scrub(text).replace("\n", " ")
    if len(line) > MAX_ASKED:
        return f"{line[:MAX_ASKED]}..."
    return line


def _asked(question: Question) -> str:
    message = to_json_value(question.message)
    if isinstance(message, str):
        return message
    if question.about == "approval" and isinstance(message, dict):
        words = effect_words(message["effects"])
        does = f" It {words}." if words else ""
        arguments = json.dumps(message["arguments"], ensure_ascii=False)
        return f"may {message['node']!r} be called with {arguments}?{does}"
    return json.dumps(message, ensure_ascii=False)
