"""Record what a model said once, and replay it without the model: by the request, to the word.

    model = record("case.jsonl", "anthropic:claude-sonnet-4-5")     # asks, and writes down
    model = replay("case.jsonl")                                    # answers from what is written
    with recorded("case.jsonl"): ...                                # all models of the runs within; `replayed` answers for all

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
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import IO, Any

from graphflow import errors
from graphflow.compaction.room import readers_of, window_of
from graphflow.errors import FileUnreadable, ModelError, ReplayMiss
from graphflow.messages.message import to_json_value
from graphflow.model.reply import Reply, ReplyBuilder
from graphflow.model.resolve import open_model
from graphflow.model.seam import (
    CallDelta,
    Cited,
    Finished,
    Kept,
    LogprobsDelta,
    Model,
    ModelEvent,
    Opened,
    RefusalDelta,
    Request,
    Restarted,
    Retried,
    Switched,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from graphflow.model.settings import Settings
from graphflow.model.stand_ins import standing_in
from graphflow.model.turns import AssistantTurn
from graphflow.providers.streams import aclosing
from graphflow.redaction import scrub, scrubbed
from graphflow.regular import read_regular

Json = dict[str, Any]

_RECORDED = (
    TextDelta,
    ThinkingDelta,
    RefusalDelta,
    CallDelta,
    Kept,
    UsageDelta,
    LogprobsDelta,
    Cited,
    Opened,
    Restarted,
    Finished,
)
EVENTS: dict[str, Any] = {kind.__name__: kind for kind in _RECORDED}
"""What a recording holds; retries and switches are how an answer was come by, not part of it."""
MAX_DIFF_LINES = 60
"""Lines of a difference that are shown."""


# -- plain data ------------------------------------------------------------------------------------
def request_record(request: Request) -> Json:
    """A request as plain data, without what is the default: what recordings are found by."""
    text = json.dumps(scrubbed(_plain(request)), sort_keys=True)
    record: Json = json.loads(text)
    return record


def _plain(value: Any) -> Any:
    if isinstance(value, Request):
        record = _plain_fields(value)
        record.pop("restart", None)  # it says who watches, not what is asked
        settings = record.pop("settings", {})
        return record | settings  # beside the rest: recordings are older than `Request.settings`
    if isinstance(value, Settings):
        return _plain_fields(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {"is": type(value).__name__, **_plain_fields(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return value  # half a character, too: the next event may hold its other half
    return to_json_value(value)


def _plain_fields(value: Any) -> Json:
    """The fields of a dataclass that are not as they are by default."""
    record: Json = {}
    for field in fields(value):
        # Whose a turn is says nothing of what is asked, and recordings are older.
        is_whose = field.name == "model" and isinstance(value, AssistantTurn)
        if field.init and not is_whose and not _is_default(value, field):
            record[field.name] = _plain(getattr(value, field.name))
    return record


def _is_default(value: object, field: Field[Any]) -> bool:
    default = field.default
    if field.default_factory is not MISSING:
        default = field.default_factory()
    return default is not MISSING and getattr(value, field.name) == default


# -- recording -------------------------------------------------------------------------------------
@dataclass(slots=True)
class FileStart:
    """How far the file of a recording is; recorders that write into one file share it.

    Attributes:
        is_made: whether it was begun, so that what is there stays.
        answers: how many answers were written.
    """

    is_made: bool = False
    answers: int = 0


class Recorder:
    """A model that writes down what another one answers."""

    def __init__(
        self, path: str | Path, model: Model | str, *, append: bool, start: FileStart | None = None
    ) -> None:
        self.path = Path(path)
        self._start = start or FileStart(append)
        self.model = open_model(model) if isinstance(model, str) else model
        self.name = self.model.name

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Of what is recorded: the models of which nobody will know what an answer costs."""
        return getattr(self.model, "unpriced", ())

    @property
    def context_window(self) -> int | None:
        """Tokens that what is recorded reads and writes at most."""
        return window_of(self.model)

    @property
    def readers(self) -> Sequence[str]:
        """The models that may be asked, as turns name them."""
        return readers_of(self.model)

    def prepare(self) -> None:
        """Opens the model, if that is still to be done."""
        prepare = getattr(self.model, "prepare", None)
        if prepare is not None:
            prepare()

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
            is_finished = bool(events) and isinstance(events[-1], Finished)
            if is_finished or error is not None:
                self._write(request, events, error)

    def _write(self, request: Request, events: list[ModelEvent], error: ModelError | None) -> None:
        row = scrubbed(_answer_record(self.name, request, events, error))
        append, self._start.is_made = self._start.is_made, True
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            line = (json.dumps(row) + "\n").encode()
            _append(self.path, line, keep=append)
            self._start.answers += 1
        except OSError as problem:  # an answer that was given is not taken away by it
            warnings.warn(
                f"the answer could not be written to {self.path}: {problem}", stacklevel=2
            )

    def __repr__(self) -> str:
        return f"<recorder of {self.name} into {self.path}>"


def _answer_record(
    model: str, request: Request, events: list[ModelEvent], error: ModelError | None
) -> Json:
    """One line of a recording: the request and what came of it."""
    record: Json = {"model": model, "request": request_record(request)}
    recorded: list[Json] = []
    for event in without_secrets(_with_one_usage(events)):
        name = type(event).__name__
        if name in EVENTS:
            recorded.append({name: _plain_fields(event)})
    record["events"] = recorded
    if error is not None:
        record["error"] = _error_record(error)
    return record


_ERROR_FIELDS = {
    "provider": "provider",
    "status": "status",
    "code": "provider_code",
    "type": "type",
    "request_id": "request_id",
    "retry_after": "retry_after",
}
"""What is recorded of an error, with the attribute that has it."""


def _error_record(error: ModelError) -> Json:
    record: Json = {"is": type(error).__name__, "text": str(error)}
    for name, attribute in _ERROR_FIELDS.items():
        value = getattr(error, attribute)
        if value not in (None, ""):
            record[name] = value
    return record


def _append(path: Path, line: bytes, *, keep: bool) -> None:
    """Adds a whole line, or nothing: a part of one would be glued to what is written next.

    Raises:
        OSError: it cannot be written.
    """
    mode = "r+b" if keep and path.exists() else "wb"
    with path.open(mode, buffering=0) as sink:
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
    warnings.warn(
        f"the last line of {path} was torn, and is left out: the answer in it was not whole",
        stacklevel=5,
    )
    return whole


def _is_whole(row: bytes) -> bool:
    """Whether a line without an end holds all of an answer."""
    try:
        json.loads(row)
    except (ValueError, RecursionError):
        return False
    return True


_FURTHER_TRY = (Retried, Switched, Restarted)


def _with_one_usage(events: list[ModelEvent]) -> list[ModelEvent]:
    """The events of the last try; where several were paid for, with one usage that is the sum, as a live run counts them."""
    if not any(isinstance(event, _FURTHER_TRY) for event in events):
        return events
    builder = ReplyBuilder()
    for event in events:
        builder.add(event)
    answer: list[ModelEvent] = []
    end: list[ModelEvent] = []
    for event in _last_try(events):
        if isinstance(event, Finished):
            end.append(event)
        elif not isinstance(event, UsageDelta):
            answer.append(event)
    if not builder.empty:
        answer.append(_usage_of(builder.whole()))
    return answer + end


def _last_try(events: list[ModelEvent]) -> list[ModelEvent]:
    """The events behind the last `Restarted`: what came before it is void."""
    start = 0
    for position, event in enumerate(events):
        if isinstance(event, Restarted):
            start = position + 1
    return events[start:]


def _usage_of(reply: Reply) -> UsageDelta:
    return UsageDelta(
        reply.input_tokens,
        reply.output_tokens,
        reply.usd,
        cache_read_tokens=reply.cache_read_tokens,
        cache_write_tokens=reply.cache_write_tokens,
        reasoning_tokens=reply.reasoning_tokens,
    )


_DeltaEvent = TextDelta | ThinkingDelta | CallDelta | RefusalDelta


def without_secrets(events: list[ModelEvent]) -> list[ModelEvent]:
    """The events; pieces of one part that spell a secret only together become one piece without it."""
    cleaned: list[ModelEvent | None] = list(events)
    for positions in _positions_by_part(events):
        text = "".join(_text(events[position]) for position in positions)
        clean = scrub(text)
        if clean == text:
            continue
        for position in positions:
            cleaned[position] = None
        first = positions[0]
        cleaned[first] = _with_text(events[first], clean)
    return [event for event in cleaned if event is not None]


def _positions_by_part(events: list[ModelEvent]) -> list[list[int]]:
    """Where the pieces of each part stand among the events."""
    parts: dict[tuple[str, int], list[int]] = {}
    for position, event in enumerate(events):
        if not isinstance(event, _DeltaEvent):
            continue
        kind = type(event).__name__
        index = getattr(event, "index", 0)
        parts.setdefault((kind, index), []).append(position)
    return list(parts.values())


def _text(event: Any) -> str:
    return str(event.arguments if isinstance(event, CallDelta) else event.text)


def _with_text(event: Any, text: str) -> ModelEvent:
    field = "arguments" if isinstance(event, CallDelta) else "text"
    changed: ModelEvent = replace(event, **{field: text})
    return changed


# -- replaying -------------------------------------------------------------------------------------
class Replayer:
    """A model that answers from a recording.

    Attributes:
        asked: how many requests it has answered.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.lines = _read(self.path)
        self.name = "replay"
        if self.lines:
            self.name = str(self.lines[0]["model"])
        self.asked = 0
        self._left: dict[str, list[Json]] = {}
        self._used: set[int] = set()
        for line in self.lines:
            key = _key(line["request"])
            self._left.setdefault(key, []).append(line)

    async def stream(self, request: Request) -> AsyncIterator[ModelEvent]:
        """Yields what was recorded for this request.

        Raises:
            ReplayMiss: nothing was; the text shows how the nearest recorded request differs.
        """
        record = request_record(request)
        answers = self._left.get(_key(record))
        if not answers:
            raise ReplayMiss(self._miss(record))
        line = answers[0]
        if len(answers) > 1:  # the last one answers for good
            del answers[0]
        self.asked += 1
        self._used.add(id(line))
        for event in line["events"]:
            [(name, given)] = event.items()
            kind = EVENTS[name]
            yield kind(**given)
        if "error" in line:
            raise _error(line["error"])

    def done(self) -> None:
        """Fails if a recorded answer was never asked for.

        Raises:
            ReplayMiss: the text tells how many, and the first of them.
        """
        unasked = [line for line in self.lines if id(line) not in self._used]
        if not unasked:
            return
        request = unasked[0]["request"]
        first = "\n".join(_pretty(request)[:MAX_DIFF_LINES])
        count = len(unasked)
        raise ReplayMiss(
            f"{count} answers of {self.path} were never asked for; the first one answers:\n{first}"
        )

    def _miss(self, record: Json) -> str:
        """The text of a miss: how the nearest recorded request differs."""
        count = len(self.lines)
        head = f"{self.path} holds {count} recorded answers, and none of them is to this request"
        if not self.lines:
            return f"{head}; record it with record({str(self.path)!r}, model)"
        asked = _pretty(record)
        recorded = self._nearest(asked)
        diff = [*difflib.unified_diff(recorded, asked, "recorded", "asked", lineterm="", n=2)]
        shown = diff[:MAX_DIFF_LINES]
        left_out = len(diff) - len(shown)
        if left_out:
            shown.append(f"... {left_out} lines more")
        return "\n".join([f"{head}; this is how the nearest one differs:", *shown])

    def _nearest(self, asked: list[str]) -> list[str]:
        """The recorded request that is most like the one that was asked."""
        matcher = difflib.SequenceMatcher(b="\n".join(asked))

        def likeness(request: list[str]) -> float:
            matcher.set_seq1("\n".join(request))
            return matcher.quick_ratio()

        return max((_pretty(line["request"]) for line in self.lines), key=likeness)

    def __repr__(self) -> str:
        return f"<replay of {self.path}: {len(self.lines)} answers>"


def _key(record: Json) -> str:
    return json.dumps(record, sort_keys=True)


def _pretty(record: Json) -> list[str]:
    return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False).splitlines()


def _error(record: Json) -> ModelError:
    # Only names of our own model errors count: a recording is data, and names nothing else.
    kind = getattr(errors, str(record["is"]), ModelError)
    if not (isinstance(kind, type) and issubclass(kind, ModelError)):
        kind = ModelError
    given: Json = {}
    for name, attribute in _ERROR_FIELDS.items():
        if name in record:
            given[attribute] = record[name]
    error: ModelError = kind(record["text"], **given)
    return error


# -- the file --------------------------------------------------------------------------------------
def _read(path: Path) -> list[Json]:
    try:
        text = read_regular(path)
    except FileUnreadable as error:
        raise FileUnreadable(
            f"the recording cannot be read: {error}; make it with record(...)"
        ) from None
    rows = text.split("\n")
    if rows[-1].strip() and not _is_whole(rows[-1].encode()):
        warnings.warn(
            f"the last line of {path} is torn, and is left out: the answer in it was not whole",
            stacklevel=4,
        )
        del rows[-1]
    lines: list[Json] = []
    for number, row in enumerate(rows, 1):
        if not row.strip():
            continue
        line = _parse_line(row)
        if line is None:
            raise FileUnreadable(
                f"{path}, line {number}, is not a recorded answer; remove it or record again"
            )
        lines.append(line)
    return lines


def _parse_line(row: str) -> Json | None:
    """A line as what was recorded, if it is that."""
    try:
        line: Json = json.loads(row)
        is_whole = {"model", "request", "events"} <= line.keys()
        is_known = is_whole and all(map(_is_known_event, line["events"]))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return None
    return line if is_known else None


def _is_known_event(event: Json) -> bool:
    [(name, given)] = event.items()
    if name not in EVENTS:
        return False
    known = {field.name for field in fields(EVENTS[name])}
    return set(given) <= known


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
        FileUnreadable: there is no such recording, or a line of it is not a recorded answer.
    """
    return Replayer(path)


# -- all models of a run ---------------------------------------------------------------------------
@contextmanager
def recorded(path: str | Path) -> Iterator[FileStart]:
    """Writes down what all models say to the runs that begin within the block, whichever their nodes name.

    Args:
        path: the file of JSON lines; the first answer makes it anew.

    Yields:
        How far it is.
    """
    recorders: dict[str | int, Recorder] = {}
    start = FileStart()

    def listen(named: Model | str) -> Model:
        key = named if isinstance(named, str) else id(named)
        if key not in recorders:
            recorders[key] = Recorder(path, named, append=False, start=start)
        return recorders[key]

    with standing_in(listen):
        yield start


@contextmanager
def replayed(path: str | Path) -> Iterator[None]:
    """Answers in place of all models from what `recorded` wrote, in the runs that begin within the block.

    Raises:
        FileUnreadable: there is no such recording, or a line of it is not a recorded answer.
    """
    replayer = replay(path)
    with standing_in(lambda _: replayer):
        yield
