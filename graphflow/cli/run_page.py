"""One run that is kept, as `graphflow show` prints it: how it stands, its steps, its usage, its events, its pictures."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from graphflow.cli.outcome import outcome, question_line
from graphflow.cli.printing import note, out, out_json, out_line
from graphflow.cli.run_list import ago, local_time
from graphflow.cli.show import AnyRun, summary, table
from graphflow.cli.stored_runs import header_of, load_run, state_of
from graphflow.errors import UnknownGraph
from graphflow.events import RunStarted
from graphflow.journal.store import Store
from graphflow.messages.message import error_text, to_json_value
from graphflow.redaction import scrub

MAX_SHOWN = 2_000
"""Characters of a message that are shown."""
MAX_IN_TABLE = 200
"""Characters of one that stands in a table."""


class StepLine(BaseModel):
    """A step in a table."""

    at: str
    took: str
    node: str
    caller: str
    came: str
    answer: str


class UsageLine(BaseModel):
    """What one node used, in a table."""

    node: str
    steps: int
    seconds: float
    model_calls: int
    tokens: int
    usd: float | None


async def read_run(store: Store, id: str | None, graph: str | None) -> tuple[AnyRun, str]:
    """The run that is meant, and how it stands."""
    header = await header_of(store, id)
    run = await load_run(store, header, graph)
    return run, state_of(header, await store.now())


def write_pictures(
    run: AnyRun,
    *,
    picture: Path | None,
    timeline: Path | None,
    report: Path | None,
    why: str | None = None,
) -> bool:
    """Writes what is asked for; whether anything is. The picture says why a node ran, if one is named.

    Raises:
        UnknownGraph: a picture is asked for, and its graph is not in reach.
    """
    if picture is not None:
        if run.declared is None:
            raise UnknownGraph(
                f"a picture needs the graph {run.graph!r}; say where it is: --graph FILE.py"
            )
        out(f"wrote {run.draw(str(picture), why=why)}")
    if timeline is not None:
        out(f"wrote {run.timeline().save(str(timeline))}")
    if report is not None:
        out(f"wrote {run.report(str(report))}")
    return any((picture, timeline, report))


def show_run(run: AnyRun, state: str, *, as_json: bool) -> None:
    """Prints how a run stands: what it was given, what it used, what came of it, what it waits for."""
    if as_json:
        data = outcome(run, is_kept=True)
        data["status"] = state
        data["graph"] = run.graph
        data["input"] = to_json_value(_given(run))
        out_json(data)
        return
    # Behind the graph and the status, which have lines of their own here.
    _, _, used = summary(run).partition(", ")
    lines = [
        ("run", run.id),
        ("graph", run.graph),
        ("status", _status(run, state)),
        ("began", f"{local_time(run.began_at)}, {ago(run.began_at)}"),
        ("used", used),
        ("input", _shown(_given(run))),
    ]
    if run.output is not None:
        lines.append(("output", _shown(run.output)))
    for question in run.pending:
        lines.append(("waits for", question_line(question)))
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        out(f"{name:<{width}}  {text}")
    if run.damage is not None:
        note(str(run.damage))


def _status(run: AnyRun, state: str) -> str:
    if run.error is None:
        return state
    kind = type(run.error).__name__
    text = scrub(error_text(run.error))
    return f"{state}: {kind}: {text}"


def _given(run: AnyRun) -> object:
    for event in run.journal[:1]:
        if isinstance(event, RunStarted):
            return event.input
    return None


def _shown(value: object, most: int = MAX_SHOWN) -> str:
    if isinstance(value, str):
        text = value
    else:
        plain = to_json_value(value)
        text = json.dumps(plain, ensure_ascii=False)
    # Scrubbed before it is cut: half a secret would not be known as one.
    text = scrub(text)
    more = len(text) - most
    if more <= 0:
        return text
    return f"{text[:most]}... and {more} more characters"


def show_steps(run: AnyRun, *, as_json: bool) -> None:
    """Prints the steps in the order in which they ended."""
    if as_json:
        out_json([to_json_value(step) for step in run.steps])
        return
    lines: list[StepLine] = []
    for step in run.steps:
        came = "done"
        answer: object = step.output
        if step.error is not None:
            came = type(step.error).__name__
            answer = error_text(step.error)
        # The outermost graph would be the same in every line.
        names = (*step.path[1:], step.node)
        line = StepLine(
            at=f"{step.started:.3f}",
            took=f"{step.seconds:.3f} s",
            node=" > ".join(names),
            caller=step.caller or "",
            came=came,
            answer=_shown(answer, MAX_IN_TABLE),
        )
        lines.append(line)
    _show_table(lines, "no step has ended")


def show_usage(run: AnyRun, *, as_json: bool) -> None:
    """Prints what each node used."""
    used = run.usage_by_node
    if as_json:
        out_json(to_json_value(used))
        return
    lines: list[UsageLine] = []
    for node, usage in used.items():
        line = UsageLine(
            node=node,
            steps=usage.steps,
            seconds=round(usage.seconds, 3),
            model_calls=usage.model_calls,
            tokens=usage.tokens,
            usd=usage.usd,
        )
        lines.append(line)
    _show_table(lines, "nothing was used")


def _show_table(lines: list[StepLine] | list[UsageLine], otherwise: str) -> None:
    if lines:
        out(table(lines))
    else:
        note(otherwise)


def show_failure(run: AnyRun, *, as_json: bool) -> None:
    """Prints why a run has not completed."""
    failure = run.failure
    if failure is None:
        note(f"run {run.id} has not failed: it is {run.status}")
    elif as_json:
        out_json(to_json_value(failure.to_json()))
    else:
        out(str(failure))


def show_events(run: AnyRun) -> None:
    """Prints everything that happened, as `run --events` writes it."""
    for record in run.records():
        out_line(record)
