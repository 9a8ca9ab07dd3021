"""Record what a model said once, and replay it without the model: by the request, to the word.

    model = record("case.jsonl", "anthropic:claude-sonnet-4-5")     # asks, and writes down
    model = replay("case.jsonl")                                    # answers from what is written

Rules:
1. An answer belongs to its whole request; one that differs in anything is a miss, and the miss shows the difference.
2. Equal requests get the answers that they got, in the same order; when they are used up, the last one again.
3. Secrets are scrubbed before anything is written or compared. A line is written when its answer is whole.
"""

from __future__ import annotations

import difflib
import errno
import json
import os
import warnings
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import IO, Any

from graphflow import errors
from graphflow.errors import FileUnreadable, ModelError, ReplayMiss
from graphflow.messages.message import to_json_value
from graphflow.model import seam
from graphflow.model.reply import ReplyBuilder
from graphflow.model.resolve import open_model
from graphflow.model.seam import Model, ModelEvent, Request
from graphflow.model.settings import Settings
from graphflow.providers.closing import aclosing
from graphflow.redaction import scrub, scrubbed
from graphflow.regular import read_regular

EVENTS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(seam.TextDelta, seam.ThinkingDelta, seam.RefusalDelta, seam.CallDelta, seam.Kept, seam.UsageDelta),
        *(seam.LogprobsDelta, seam.Cited, seam.Opened, seam.Restarted, seam.Finished),
    )
}
"""What a recording holds; retries and switches are how an answer was come by, not part of it."""
SHOWN = 60
"""Lines of a difference that are shown."""


def request_record(request: Request) -> dict[str, Any]:
    """A request as plain data, without what is the default: what recordings are found by."""
    record: dict[str, Any] = json.loads(json.dumps(scrubbed(_plain(request)), sort_keys=True))
    return record


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        told = (f for f in fields(value) if f.init and f.name != "restart" and not _is_default(value, f))
        named = {f.name: _plain(getattr(value, f.name)) for f in told}
        if isinstance(value, Request):
            settings = named.pop("settings", {})
            return {**named, **settings}  # beside the rest: recordings are older than `Request.settings`
        if isinstance(value, Settings):
            return named
        return {"is": type(value).__name__, **named}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return value  # half a character, too: the next event may hold its other half
    return to_json_value(value)


def _is_default(value: Any, field: Any) -> bool:
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    return default is not MISSING and getattr(value, field.name) == default


class Recorder:
    """A model that writes down what another one answers."""

    def __init__(self, path: str | Path, model: Model | str, *, append: bool) -> None:
        self.path = Path(path)
        self.begun = append
        self.model = open_model(model) if isinstance(model, str) else model
        self.name = self.model.name

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Of what is recorded: the models of which nobody will know what an answer costs."""
        return getattr(self.model, "unpriced", ())

    def prepare(self) -> None:
        """Opens the model, if that is still to be done."""
        further: Any = getattr(self.model, "prepare", None)
        if further is not None:
            further()

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        """Yields what the model answers; the whole answer, or its error, is written when it has ended."""
        events: list[ModelEvent] = []
        error: ModelError | None = None
        try:
            async with aclosing(self.model.stream(request)) as stream:
                async for event in stream:
                    events.append(event)
                    yield event
        except ModelError as raised:
            error = raised
            raise
        finally:
            if error is not None or (events and isinstance(events[-1], seam.Finished)):
                self._write(request, events, error)

    def _write(self, request: Request, events: list[ModelEvent], error: ModelError | None) -> None:
        told = without_secrets(_summed(events))
        said = [{type(e).__name__: _fields(e)} for e in told if type(e).__name__ in EVENTS]
        line: dict[str, Any] = {"model": self.name, "request": request_record(request), "events": said}
        if error is not None:
            line["error"] = {"is": type(error).__name__, "text": str(error), **_error_fields(error)}
        begun, self.begun = self.begun, True
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _append(self.path, (json.dumps(scrubbed(line)) + "\n").encode(), keep=begun)
        except OSError as problem:  # an answer that was given is not taken away by it
            warnings.warn(f"the answer could not be written to {self.path}: {problem}", stacklevel=2)

    def __repr__(self) -> str:
        return f"<recorder of {self.name} into {self.path}>"


def _append(path: Path, line: bytes, *, keep: bool) -> None:
    """Adds a whole line, or nothing: a part of one would be glued to what is written next.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("r+b" if keep and path.exists() else "wb", buffering=0) as sink:
        end = _end_of_whole_lines(path, sink)
        sink.seek(end)
        sink.truncate()
        try:
            written = sink.write(line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):
                sink.truncate(end)
            raise


def _end_of_whole_lines(path: Path, sink: IO[bytes]) -> int:
    """Where the next line belongs. The last one may be torn, if whoever wrote it was killed: it is taken away."""
    size = sink.seek(0, os.SEEK_END)
    if not size:
        return 0
    sink.seek(size - 1)
    if sink.read(1) == b"\n":
        return size
    sink.seek(0)
    content = sink.read()
    whole = content.rfind(b"\n") + 1
    if _is_whole(content[whole:]):
        sink.seek(size)
        sink.write(b"\n")
        return size + 1
    warnings.warn(f"the last line of {path} was torn, and is left out: the answer in it was not whole", stacklevel=5)
    return whole


def _is_whole(row: bytes) -> bool:
    """Whether a line without an end holds all of an answer."""
    try:
        json.loads(row)
    except (ValueError, RecursionError):
        return False
    return True


def _summed(events: list[ModelEvent]) -> list[ModelEvent]:
    """The events; where several tries were paid for, one usage that is the sum of all, as a live run counts them."""
    if not any(isinstance(event, (seam.Retried, seam.Switched, seam.Restarted)) for event in events):
        return events
    builder = ReplyBuilder()
    for event in events:
        builder.add(event)
    whole = builder.whole()
    start = max((n for n, event in enumerate(events) if isinstance(event, seam.Restarted)), default=-1) + 1
    kept = [event for event in events[start:] if not isinstance(event, (seam.UsageDelta, seam.Finished))]
    total = seam.UsageDelta(whole.input_tokens, whole.output_tokens, whole.usd)
    total.cache_read_tokens, total.cache_write_tokens = whole.cache_read_tokens, whole.cache_write_tokens
    total.reasoning_tokens = whole.reasoning_tokens
    ends = [event for event in events[start:] if isinstance(event, seam.Finished)]
    return [*kept, *([total] if not builder.empty else []), *ends]


def without_secrets(events: list[ModelEvent]) -> list[ModelEvent]:
    """The events; pieces of one part that spell a secret only together become one piece without it."""
    runs: dict[tuple[str, int], list[int]] = {}
    for position, event in enumerate(events):
        if isinstance(event, (seam.TextDelta, seam.ThinkingDelta, seam.CallDelta, seam.RefusalDelta)):
            runs.setdefault((type(event).__name__, getattr(event, "index", 0)), []).append(position)
    cleaned: list[ModelEvent | None] = list(events)
    for positions in runs.values():
        whole = "".join(_text(events[position]) for position in positions)
        if scrub(whole) != whole:
            first, *others = positions
            cleaned[first] = _saying(events[first], scrub(whole))
            for position in others:
                cleaned[position] = None
    return [event for event in cleaned if event is not None]


def _text(event: Any) -> str:
    return str(event.arguments if isinstance(event, seam.CallDelta) else event.text)


def _saying(event: Any, text: str) -> ModelEvent:
    changed: ModelEvent = replace(event, **{"arguments" if isinstance(event, seam.CallDelta) else "text": text})
    return changed


def _fields(event: Any) -> dict[str, Any]:
    return {f.name: _plain(getattr(event, f.name)) for f in fields(event) if not _is_default(event, f)}


_ERROR_FIELDS = ("provider", "status", "code", "type", "request_id", "retry_after")


def _error_fields(error: ModelError) -> dict[str, Any]:
    return {name: value for name in _ERROR_FIELDS if (value := getattr(error, name)) not in (None, "")}


class Replayer:
    """A model that answers from a recording.

    Attributes:
        asked: how many requests it has answered.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.lines = _read(self.path)
        self.name = str(self.lines[0]["model"]) if self.lines else "replay"
        self.asked = 0
        self._left: dict[str, list[dict[str, Any]]] = {}
        self._used: set[int] = set()
        for line in self.lines:
            self._left.setdefault(_key(line["request"]), []).append(line)

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        """Yields what was recorded for this request.

        Raises:
            ReplayMiss: nothing was; the text shows how the nearest recorded request differs.
        """
        record = request_record(request)
        answers = self._left.get(_key(record))
        if not answers:
            raise ReplayMiss(self._miss(record))
        line = answers.pop(0) if len(answers) > 1 else answers[0]
        self.asked += 1
        self._used.add(id(line))
        for event in line["events"]:
            [(name, given)] = event.items()
            yield EVENTS[name](**given)
        if "error" in line:
            raise _error(line["error"])

    def done(self) -> None:
        """Fails if a recorded answer was never asked for.

        Raises:
            ReplayMiss: the text tells how many, and the first of them.
        """
        unasked = [line for line in self.lines if id(line) not in self._used]
        if unasked:
            first = "\n".join(_pretty(unasked[0]["request"])[:SHOWN])
            raise ReplayMiss(f"{len(unasked)} answers of {self.path} were never asked for; the first is to:\n{first}")

    def _miss(self, record: dict[str, Any]) -> str:
        head = f"{self.path} holds {len(self.lines)} recorded answers, and none to this request"
        if not self.lines:
            return f"{head}; record it with record({str(self.path)!r}, model)"
        asked = _pretty(record)
        matcher = difflib.SequenceMatcher(b="\n".join(asked))

        def likeness(line: dict[str, Any]) -> float:
            matcher.set_seq1("\n".join(_pretty(line["request"])))
            return matcher.quick_ratio()

        nearest = max(self.lines, key=likeness)
        diff = list(difflib.unified_diff(_pretty(nearest["request"]), asked, "recorded", "asked", lineterm="", n=2))
        more = [f"... {len(diff) - SHOWN} lines more"] if len(diff) > SHOWN else []
        return "\n".join([f"{head}; the nearest one differs so:", *diff[:SHOWN], *more])

    def __repr__(self) -> str:
        return f"<replay of {self.path}: {len(self.lines)} answers>"


def _key(record: dict[str, Any]) -> str:
    return json.dumps(record, sort_keys=True)


def _pretty(record: dict[str, Any]) -> list[str]:
    return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False).splitlines()


def _is_event(event: dict[str, Any]) -> bool:
    [(name, given)] = event.items()
    return name in EVENTS and set(given) <= {field.name for field in fields(EVENTS[name])}


def _error(given: dict[str, Any]) -> ModelError:
    kind = getattr(errors, str(given["is"]), ModelError)
    if not (isinstance(kind, type) and issubclass(kind, ModelError)):
        kind = ModelError
    error: ModelError = kind(given["text"], **{name: given[name] for name in _ERROR_FIELDS if name in given})
    return error


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        text = read_regular(path)
    except FileUnreadable as error:
        raise FileUnreadable(f"the recording cannot be read: {error}; make it with record(...)") from None
    rows = text.split("\n")
    if rows[-1].strip() and not _is_whole(rows[-1].encode()):
        warnings.warn(f"the last line of {path} is torn, and is left out: the answer in it was not whole", stacklevel=4)
        del rows[-1]
    lines: list[dict[str, Any]] = []
    for number, row in enumerate(rows, 1):
        if not row.strip():
            continue
        line = _recorded(row)
        if line is None:
            raise FileUnreadable(f"{path}, line {number}, is no recorded answer; remove it or record again")
        lines.append(line)
    return lines


def _recorded(row: str) -> dict[str, Any] | None:
    """A line as what was recorded, if it is that."""
    try:
        line: dict[str, Any] = json.loads(row)
        known = {"model", "request", "events"} <= line.keys() and all(map(_is_event, line["events"]))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return None
    return line if known else None


def record(path: str | Path, model: Model | str, *, append: bool = False) -> Recorder:
    """A model that asks `model` and writes each answer to a file of JSON lines.

    Args:
        path: the file. The first answer makes it anew, so that recording again replaces the case.
        model: a model or model string.
        append: whether what was recorded before is kept.
    """
    return Recorder(path, model, append=append)


def replay(path: str | Path) -> Replayer:
    """A model that answers from what `record` wrote.

    Raises:
        FileUnreadable: there is no such recording, or a line of it is none.
    """
    return Replayer(path)
