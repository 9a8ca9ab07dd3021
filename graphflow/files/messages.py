"""Messages in a file: names, types and bounds of fields, of which frozen pydantic models are made.

messages:
  Question: {fields: {text: str}}
  Finding:
    description: What one source says.
    fields:
      claim: {type: str, min_length: 1, description: One sentence.}
      score: {type: float, ge: 0, le: 1, default: 0.5}
nodes:
  researcher: {kind: agent, input: Question, output: "list[Finding]"}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from functools import partial
from keyword import iskeyword

from pydantic import ValidationError

from graphflow.files.document import PlainMapping
from graphflow.files.message_types import (
    DeclaredMessage,
    FieldEntry,
    declaration_of,
    message_of,
)
from graphflow.files.problems import AlreadyReported, FileProblems
from graphflow.messages.message import Message, error_text
from graphflow.messages.types import Type, arms, origin_of

MESSAGES = "messages"
"""The key of a graph that declares messages."""
_NUMBERS = (int, float, Decimal)
_MOMENTS = (date, time, timedelta)
_BOUNDED: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("gt", "ge", "lt", "le"), (*_NUMBERS, *_MOMENTS)),
    "multiple_of": _NUMBERS,
    **dict.fromkeys(("min_length", "max_length"), (str, bytes, list, tuple, set, frozenset, dict)),
    "pattern": (str,),
}
"""The classes whose values can be held against a bound."""
TypeReading = Callable[[object], Type]


class MessageReader:
    """The messages of one file, each made when it is first named.

    Args:
        problems: where what is wrong is reported.
        declared: what the file holds.
        is_incomplete: whether a file that is included could not be read, and may have declared more.
    """

    def __init__(
        self, problems: FileProblems, declared: PlainMapping, is_incomplete: bool = False
    ) -> None:
        self.problems = problems
        self._is_incomplete = is_incomplete
        self.entries: PlainMapping = {}
        entries = declared.get(MESSAGES)
        if isinstance(entries, Mapping):
            self.entries = entries
        self._made: dict[str, type[Message]] = {}
        self._failed: set[str] = set()
        self._in_progress: list[str] = []

    def give_up(self, name: str) -> None:
        """Makes no message of that name: what is wrong with its entry is reported already."""
        self._failed.add(name)

    def make_all(self, read_type: TypeReading) -> None:
        """Makes every message that can be made, and reports why the others cannot."""
        for name in self.entries:
            if isinstance(name, str):
                make = partial(self.find, name, read_type)
                self.problems.attempt(make)

    def find(self, name: str, read_type: TypeReading) -> type[Message] | None:
        """The message of that name, if the file declares one.

        Raises:
            AlreadyReported: it does, and the entry is wrong.
        """
        if name in self._failed:
            raise AlreadyReported(name)
        if name in self._made:
            return self._made[name]
        if name not in self.entries:
            # It may be declared in what could not be read.
            if self._is_incomplete:
                raise AlreadyReported(name)
            return None
        if name in self._in_progress:
            way = " > ".join([*self._in_progress, name])
            raise self.problems.error(
                f"message {name!r} contains itself ({way}); write such a model as a class in a module"
            )
        self._in_progress.append(name)
        try:
            # Another message names it: it stands elsewhere in the file.
            with self.problems.at(MESSAGES, name):
                self._made[name] = self._message(name, self.entries[name], read_type)
        except Exception:
            self._failed.add(name)
            raise
        finally:
            self._in_progress.remove(name)
        return self._made[name]

    def _message(self, name: str, entry: FieldEntry, read_type: TypeReading) -> type[Message]:
        if not name.isidentifier() or iskeyword(name):
            raise self.problems.error(
                f"a message cannot be named {name!r}; give it a name as a class has: Question"
            )
        declared = DeclaredMessage(entry.get("description", ""), {}, {})
        fields = entry.get("fields", {})
        # Each is tried, so that all that is wrong is found at once.
        for field, given in fields.items():
            read = partial(self._read_field, name, field, given, read_type, declared)
            self.problems.attempt(read)
        if len(declared.types) < len(fields):
            raise AlreadyReported(name)
        return message_of(name, declared)

    def _read_field(
        self,
        name: str,
        field: str,
        given: object,
        read_type: TypeReading,
        declared: DeclaredMessage,
    ) -> None:
        """Adds one field to those that are declared."""
        with self.problems.within("fields", field):
            self._check_name(name, field)
            entry = _entry_of(given)
            if "type" not in entry:
                raise self.problems.error(
                    f"field {field!r} of {name!r} has no type; write type: str, for example"
                )
            # Of a field that is its type alone, there is nothing below it.
            inner = ("type",) if isinstance(given, Mapping) else ()
            with self.problems.within(*inner):
                kind = read_type(entry["type"])
            bound = _useless_bound(kind, entry)
            if bound:
                text = entry["type"]
                raise self.problems.error(
                    f"{bound} of {field!r} means nothing for the type {text}; leave it out", bound
                )
            # Alone, so that what is wrong is told where it stands.
            alone = DeclaredMessage("", {field: entry}, {field: kind})
            self._try(name, field, alone)
        declared.fields[field] = entry
        declared.types[field] = kind

    def _check_name(self, message: str, field: str) -> None:
        is_word = field.isidentifier() and not iskeyword(field)
        # Of pydantic's own: a field called `copy` or `model_dump` would hide the method.
        is_taken = hasattr(Message, field) or field.startswith(("_", "model_"))
        if not is_word or is_taken:
            raise self.problems.error(
                f"a field of {message!r} cannot be named {field!r}; give it another name"
            )

    def _try(self, name: str, field: str, alone: DeclaredMessage) -> None:
        try:
            message_of(name, alone)
        except ValidationError as error:
            why = error.errors()[0]["msg"]
            raise self.problems.error(
                f"the default of {field!r} of {name!r} is not of its type or bounds: {why}"
            ) from None
        except Exception as error:  # pydantic has several for a bound that does not fit a type
            *_, why = error_text(error).strip().splitlines()
            raise self.problems.error(f"{field!r} of {name!r} cannot be: {why.strip()}") from None


def _entry_of(given: object) -> FieldEntry:
    """What is said of a field: its type alone, or a mapping with it."""
    if not isinstance(given, Mapping):
        return {"type": given}
    return dict(given)


def _useless_bound(kind: Type, entry: FieldEntry) -> str:
    """A bound that no value of the type can be held against; empty: there is none.

    Pydantic would find out with the first value only.
    """
    for bound, classes in _BOUNDED.items():
        if bound in entry and not _can_be_bounded(kind, classes):
            return bound
    return ""


def _can_be_bounded(kind: Type, classes: tuple[type, ...]) -> bool:
    for arm in arms(kind):
        base = origin_of(arm) or arm
        # Any and Literal are no classes; nothing is ever held against a bound.
        if not isinstance(base, type) or base is type(None):
            continue
        if not issubclass(base, classes):
            return False
    return True


# -- what is written -------------------------------------------------------------------------------
def written_messages(found: dict[str, type], type_text: Callable[[Type], str]) -> dict[str, object]:
    """The messages of a graph as its file declares them.

    Args:
        found: those whose names the file has; what their fields are made of is added.
        type_text: writes a type, and adds what it names to `found`.
    """
    texts: dict[str, object] = {}
    while len(texts) < len(found):
        missing = [name for name in found if name not in texts]
        name = missing[0]
        declared = declaration_of(found[name])
        texts[name] = _written(declared, type_text)
    if not texts:
        return {}
    return {MESSAGES: texts}


def _written(declared: DeclaredMessage, type_text: Callable[[Type], str]) -> dict[str, object]:
    entry: dict[str, object] = {}
    if declared.description:
        entry["description"] = declared.description
    fields: dict[str, object] = {}
    for name, field in declared.fields.items():
        text = type_text(declared.types[name])
        fields[name] = {**field, "type": text}
        if len(field) == 1:
            fields[name] = text
    entry["fields"] = fields
    return entry
