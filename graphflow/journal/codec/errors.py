"""Errors as JSON data and back: by the name of their class, their text and their fields.

    ServerError("busy", status=503)
    {"kind": "ServerError", "home": "graphflow", "text": "busy", "fields": {"status": 503, "type": "", ...}}

Rules:
1. What comes back has the class name and the text that were recorded, always. Its class is that of graphflow or of Python;
   else the one class of that name that is loaded here; else one that is made up (`RecordedError`), which is still of the
   nearest class of graphflow's and of Python's that its own was (`bases`), so that whoever catches those catches it.
2. Nothing is imported, and nobody's `__init__` or `__new__` runs.
3. Fields are recorded where they are data. Live objects are not, and neither are runs.
4. Everything is bounded: texts, fields, causes, the errors of a group. An error may hold whatever a node has put into it.
5. Secrets are taken out, as they are wherever errors are shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TypeAlias, cast

from graphflow.declaration.options import Retry
from graphflow.errors import DeclarationError, ModelError, Unreadable, Unstorable
from graphflow.journal.codec.loaded_errors import (
    LONGEST_NAME,
    TEXT,
    ErrorClass,
    bare_error,
    bare_group,
    bases_of,
    class_with_text,
    error_class,
    home_of,
    is_made_here,
    made_up,
    recorded_class,
)
from graphflow.journal.codec.packing import is_json, is_text
from graphflow.journal.codec.replies import decode_reply, encode_reply
from graphflow.journal.stored import Json
from graphflow.messages.message import error_text
from graphflow.model.reply import Reply
from graphflow.plain import text_of
from graphflow.redaction import scrub, scrubbed

Fields: TypeAlias = "dict[str, object]"

LONGEST_TEXT = 100_000
"""Characters of a text of an error, and of a note."""
LONGEST_SECRET = 10_000
"""Characters that a text is read beyond its end, so that no secret is cut before it is found."""
LARGEST_FIELD = 500_000
"""Characters of a field, about; one that holds more is left out."""
MOST_PARTS = 10_000
"""Parts of a field; one that has more is left out."""
MOST_ERRORS = 100
"""Errors that are recorded with one: causes, those of groups, and theirs."""
DEEPEST = 20
"""Levels of causes and groups."""
MOST_NOTES = 20
MOST_FIELDS = 100

UNSEEN = frozenset({"run", TEXT})
"""Attributes that are no part of an error's record: what a walk attaches, and what is recorded elsewhere."""
LIVE = frozenset({"ledger", "partial", "retry"})
"""Attributes that errors of graphflow always have, and that are None where they hold what is not data."""
RETRY = ("attempts", "wait_s", "factor", "max_wait_s", "jitter")
"""The numbers of a `Retry`. Its `on` has no say in the retry that an error asks for."""
MEMBERS: Mapping[ErrorClass, tuple[str, ...]] = {
    OSError: ("errno", "strerror", "filename", "filename2"),
    ImportError: ("msg", "name", "path"),
    SyntaxError: ("msg", "filename", "lineno", "offset", "text", "end_lineno", "end_offset"),
    SystemExit: ("code",),
    StopIteration: ("value",),
    NameError: ("name",),
    AttributeError: ("name",),
    UnicodeEncodeError: ("encoding", "object", "start", "end", "reason"),
    UnicodeDecodeError: ("encoding", "start", "end", "reason"),
    UnicodeTranslateError: ("object", "start", "end", "reason"),
}
"""What errors of Python's hold that is not in their `__dict__`."""


# -- to data ---------------------------------------------------------------------------------------
def encode_error(error: BaseException) -> Json:
    """An error as JSON data. It never fails, whatever an error holds."""
    return _Encoder().record(error, DEEPEST)


class _Encoder:
    """One error on its way into a record, with all that it carries."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        """The errors that are recorded already: causes may go round in a ring."""

    def record(self, error: BaseException, depth: int) -> Json:
        self.seen.add(id(error))
        own = recorded_class(error)
        name = own.__name__[:LONGEST_NAME]
        text = _bounded(error_text(error))
        data: dict[str, Json] = {"kind": text_of(name), "text": text}
        home = home_of(own)
        if home:
            data["home"] = home
        elif bases := bases_of(own):
            data["bases"] = bases
        _put_fields(error, data)
        if isinstance(error, BaseExceptionGroup):
            data["message"] = _bounded(error.message)
            inner = self._more(error.exceptions, depth)
            data["errors"] = [self.record(each, depth - 1) for each in inner]
        else:
            _put_args(error, text, data)
        if notes := _notes(error):
            data["notes"] = notes
        if error.__cause__ is not None:
            for cause in self._more([error.__cause__], depth):
                data["cause"] = self.record(cause, depth - 1)
        return data

    def _more(self, others: Sequence[BaseException], depth: int) -> Iterator[BaseException]:
        """Those of other errors that are recorded with one."""
        for other in others:
            if depth > 0 and len(self.seen) < MOST_ERRORS and id(other) not in self.seen:
                yield other


def _put_fields(error: BaseException, data: dict[str, Json]) -> None:
    """Puts into a record what an error holds, as far as it is data."""
    fields: dict[str, object] = {}
    tuples: dict[str, object] = {}
    for name, value in _attributes(error):
        if _is_data(value):
            fields[name] = value
        elif type(value) is tuple and _is_data(list(value)):
            tuples[name] = list(value)
        elif name in LIVE:
            fields[name] = None
    if fields:
        data["fields"] = cast("Json", scrubbed(fields))
    if tuples:  # JSON would make lists of them
        data["tuples"] = cast("Json", scrubbed(tuples))
    _put_live(error, data)


def _put_live(error: BaseException, data: dict[str, Json]) -> None:
    """Puts in what errors of graphflow hold that is not plain data, and has a form of its own."""
    retry = vars(error).get("retry")
    if isinstance(retry, Retry):
        data["retry"] = {name: getattr(retry, name) for name in RETRY}
    partial = vars(error).get("partial")
    if isinstance(partial, Reply):
        with suppress(Unstorable):  # it is a help, and no help is worth losing the error for
            data["partial"] = encode_reply(partial)


def _put_args(error: BaseException, text: str, data: dict[str, Json]) -> None:
    """Puts in what an error was made with, where that is more than its text."""
    args = list(error.args)
    if _is_data(args, LONGEST_TEXT):
        clean = scrubbed(args)
        if clean != [text]:
            data["args"] = clean


def _attributes(error: BaseException) -> Iterator[tuple[str, object]]:
    # Copied: an error may be at work in another thread, and get a field meanwhile.
    own = [*islice(vars(error).items(), MOST_FIELDS)]
    for name, value in own:
        if name not in UNSEEN and not name.startswith("__") and is_text(name):
            yield name, value
    for kind, name in _members(error):
        value = _member(kind, error, name)
        if value is not None:
            yield name, value


def _members(error: BaseException) -> Iterator[tuple[ErrorClass, str]]:
    """The names of what an error holds outside of its `__dict__`, each with the class that declares it."""
    for kind, names in MEMBERS.items():
        if isinstance(error, kind):
            for name in names:
                yield kind, name


def _member(kind: ErrorClass, error: BaseException, name: str) -> object:
    try:
        return vars(kind)[name].__get__(error)
    except (TypeError, AttributeError):  # it was never set
        return None


def _notes(error: BaseException) -> list[Json]:
    notes = getattr(error, "__notes__", ())
    if not isinstance(notes, (list, tuple)):
        return []
    return [_bounded(note) for note in notes[:MOST_NOTES] if isinstance(note, str)]


def _bounded(text: str) -> str:
    """A text without secrets, and not too long."""
    if len(text) <= LONGEST_TEXT:
        return text_of(scrub(text))
    # A secret at the end of what is read may be cut, and is not found then: so the end is thrown away.
    beginning = text[: LONGEST_TEXT + LONGEST_SECRET]
    clean = scrub(beginning)
    end = min(LONGEST_TEXT - 3, len(clean) - LONGEST_SECRET)
    return text_of(f"{clean[:end]}...")


def _is_data(value: object, largest: int = LARGEST_FIELD) -> bool:
    """Whether a value is JSON data, and not too much of it."""
    parts = [value]
    size = 0
    for part in parts:  # it grows while it is gone through
        inner = _inner(part)
        if isinstance(part, str):
            size += len(part)
        if size > largest or len(parts) + len(inner) > MOST_PARTS:
            return False
        parts += inner
    return is_json(value)


def _inner(part: object) -> Collection[object]:
    if isinstance(part, dict):
        return part.values()
    if isinstance(part, list):
        return part
    return ()


# -- from data -------------------------------------------------------------------------------------
def decode_error(data: Json) -> BaseException:
    """The error that was encoded, or one that stands for it (`RecordedError`).

    Raises:
        Unreadable: this is not a record of an error.
    """
    return _decoded(data, DEEPEST)


def _decoded(data: Json, depth: int) -> BaseException:
    record = _mapping(data)
    kind = record.get("kind")
    text = record.get("text")
    if not isinstance(kind, str) or not isinstance(text, str):
        raise Unreadable("error", "", "a kind and a text", type(data).__name__)
    error = _of_record(kind, text, record, depth)
    notes = [note for note in _list(record.get("notes")) if isinstance(note, str)]
    if notes:
        _set(error, "__notes__", notes)
    if depth and "cause" in record:
        cause = _decoded(record["cause"], depth - 1)
        _set(error, "__cause__", cause)
    return error


def _of_record(kind: str, text: str, record: Mapping[str, Json], depth: int) -> BaseException:
    inner: list[BaseException] = []
    if depth:
        errors = _list(record.get("errors"))
        inner = [_decoded(each, depth - 1) for each in errors]
    home = str(record.get("home", ""))
    own = error_class(kind, home)
    bases = [str(name) for name in _list(record.get("bases"))]
    if own is not None and not home and bases_of(own) != bases:
        # Another library's class has the name as well. Whoever catches that one has not meant this error.
        own = None
    if own is not None:
        error = _known(own, record, text, inner)
        if error is not None:
            return error
    return _unknown(made_up(kind, bases), record, text, inner)


def _known(
    own: ErrorClass, record: Mapping[str, Json], text: str, inner: Sequence[BaseException]
) -> BaseException | None:
    """An error of a class that is known here; None where it cannot be made, or not with this text."""
    error = _made(own, record, text, inner)
    if error is None or _has_text(error, text):
        return error
    # Its text was cut, or it is made of something that is not data. Most classes show what they were made with.
    if not inner:
        _set(error, "args", (text,))
        if _has_text(error, text):
            return error
    like = class_with_text(own)
    if like is None:
        return None
    return _made(like, record, text, inner)


def _unknown(
    own: ErrorClass, record: Mapping[str, Json], text: str, inner: Sequence[BaseException]
) -> BaseException:
    error = _made(own, record, text, inner)
    if error is None:
        plain = made_up(own.__name__, [])
        error = _made(plain, record, text, [])
    assert error is not None  # a class without bases of its own can always be made
    return error


def _has_text(error: BaseException, text: str) -> bool:
    try:
        return str(error) == text
    except Exception:
        return False


def _made(
    own: ErrorClass, record: Mapping[str, Json], text: str, inner: Sequence[BaseException]
) -> BaseException | None:
    """An error of a class, with what is recorded of it."""
    if issubclass(own, BaseExceptionGroup):
        message = str(record.get("message", ""))
        error = bare_group(own, message, inner)
    else:
        error = bare_error(own)
    if error is None:
        return None
    # A group has its args of its message and its errors already.
    if not isinstance(error, BaseExceptionGroup):
        args: Sequence[Json] = [text]
        if "args" in record:
            args = _list(record["args"])
        _set(error, "args", tuple(args))
    fields = _fields_in(record)
    if issubclass(own, ModelError) and "code" in fields:  # as it was called before 0.2
        fields["provider_code"] = fields.pop("code")
    if is_made_here(own):
        fields[TEXT] = text
    _set_fields(error, fields)
    return error


def _fields_in(record: Mapping[str, Json]) -> Fields:
    fields: Fields = {**_mapping(record.get("fields"))}
    for name, items in _mapping(record.get("tuples")).items():
        fields[name] = tuple(_list(items))
    if "partial" in record:
        fields["partial"] = decode_reply(record["partial"])
    if "retry" in record:
        fields["retry"] = _retry(record["retry"])
    return fields


def _set_fields(error: BaseException, fields: Fields) -> None:
    """Sets attributes without anybody's code."""
    for kind, name in _members(error):
        value = fields.pop(name, None)
        if value is not None:
            _set_member(kind, error, name, value)
    own = {name: value for name, value in fields.items() if not name.startswith("__")}
    vars(error).update(own)


def _set(error: BaseException, name: str, value: object) -> None:
    """Sets what every error has, past a `__setattr__` of somebody's own."""
    BaseException.__setattr__(error, name, value)


def _set_member(kind: ErrorClass, error: BaseException, name: str, value: object) -> None:
    try:
        vars(kind)[name].__set__(error, value)
    except (TypeError, AttributeError):
        return  # it is of another kind than this version of Python has there


def _retry(data: Json) -> Retry | None:
    numbers = {name: value for name, value in _mapping(data).items() if name in RETRY}
    try:
        return Retry(**numbers)  # type: ignore[arg-type]  # what is not a number is refused there
    except (DeclarationError, TypeError):
        return None


def _mapping(data: Json) -> Mapping[str, Json]:
    return data if isinstance(data, dict) else {}


def _list(data: Json) -> Sequence[Json]:
    return data if isinstance(data, list) else ()
