"""The secrets of a run at work: what comes into the walk is masked here, before anybody has seen it.

Rules:
1. A message is masked once, where it enters: the run's input, a node's answer, what a call is given, an answer from outside,
   what code says or keeps. Models, journal and replay see the same text from there on.
2. An error is masked in place, so that it stays what it is; where its class makes the text anew, another one stands for it.
   Local variables of what raised are let go: a traceback that shows them would show what the code had revealed.
3. Each text that was changed is told of, by names and places.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from graphflow.errors import OutputInvalid, SecretInError
from graphflow.events import SecretMasked
from graphflow.messages.masking import masked
from graphflow.messages.message import error_text
from graphflow.model.masking import masked_turns
from graphflow.model.turns import Turn
from graphflow.runtime.run_record import RunRecord
from graphflow.secrets.mask import SecretPlace
from graphflow.secrets.opened import OpenSecrets
from graphflow.secrets.secret import Secret

V = TypeVar("V")
Stamp = tuple[float, int, int]
"""When and where something was masked: the time, the frame, the activation."""
MaskedPlaces = list[tuple[str, str]]
"""What the secrets in a message are called, and the way to each."""
CLEAN_KEPT = 8
"""Texts of models that are not looked through again when they come as answers of nodes."""
MOST_PLACES = 100
"""MaskedPlaces that one event tells of, at most."""


def without_secrets(
    secrets: OpenSecrets, value: V, where: str, node: str
) -> tuple[V, MaskedPlaces]:
    """A message without secrets, and where they stood.

    Raises:
        OutputInvalid: it holds itself, or is nested too deeply to be looked through.
    """
    places: MaskedPlaces = []

    def mask(text: str, path: str) -> str:
        # The path is made of keys. They may hold secrets, too, and were masked before what is below them.
        return secrets.mask(text, lambda found: places.append((found.name, f"{path}:{found.at}")))

    try:
        return masked(value, mask), places
    except RecursionError:
        raise OutputInvalid(
            f"the {where} of {node!r} is nested too deeply to be looked through for secrets; make it flatter"
        ) from None


class RunMask:
    """What masks the texts of one run.

    Args:
        secrets: what is masked.
        run: who is told of it.
        early: what was masked in the message of the run, which is told when the run has begun.
    """

    __slots__ = ("_clean", "_early", "_run", "secrets")

    def __init__(self, secrets: OpenSecrets, run: RunRecord[Any], early: MaskedPlaces) -> None:
        self.secrets = secrets
        self._run = run
        self._early: list[tuple[str, MaskedPlaces]] = [("input", early)]
        self._clean: deque[str] = deque(maxlen=CLEAN_KEPT)

    def secret(self, name: str) -> Secret:
        """A secret for code to use."""
        return self.secrets.secret(name)

    def value(self, value: V, where: str, stamp: Stamp, node: str) -> V:
        """A message without secrets; the same object if there are none in it.

        Raises:
            OutputInvalid: it holds itself, or is nested too deeply to be looked through.
        """
        if any(value is text for text in self._clean):
            return value
        clean, places = without_secrets(self.secrets, value, where, node)
        if places:
            self.tell(where, places, stamp, node)
        return clean

    def note_clean(self, text: str) -> None:
        """Remembers a text that was masked while it came: an agent answers with the very text of its model."""
        self._clean.append(text)

    def noting(self, stamp: Stamp, node: str) -> Callable[[str, SecretPlace], None]:
        """Tells of secrets that somebody else has masked."""

        def note(where: str, found: SecretPlace) -> None:
            self.tell(where, [(found.name, f":{found.at}")], stamp, node)

        return note

    def tell(self, where: str, places: MaskedPlaces, stamp: Stamp, node: str) -> None:
        """Tells that secrets were masked."""
        shown = places[:MOST_PLACES]
        names = tuple(name for name, _ in shown)
        ways = tuple(way for _, way in shown)
        event = SecretMasked(*stamp, node, where, names, ways)
        self._run.tell(event)

    def turns(self, turns: Sequence[Turn], stamp: Stamp, node: str) -> Sequence[Turn]:
        """What was said before, without secrets: it may have been said when nobody knew of them."""
        return masked_turns(turns, self.secrets, self.noting(stamp, node))

    # -- before the run begins ---------------------------------------------------------------------
    def early_value(self, value: V, where: str) -> V:
        """The same as `value`; it is told when the run has begun."""
        clean, places = without_secrets(self.secrets, value, where, self._run.graph)
        self._early.append((where, places))
        return clean

    def early_turns(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """The same as `turns`; it is told when the run has begun."""
        places: MaskedPlaces = []
        self._early.append(("turns", places))

        def note(_: str, found: SecretPlace) -> None:
            way = f":{found.at}"
            places.append((found.name, way))

        return masked_turns(turns, self.secrets, note)

    def tell_early(self) -> None:
        """Tells of what was masked before the run began."""
        for where, places in self._early:
            if places:
                self.tell(where, places, (0.0, 0, 0), "")
        self._early = []

    # -- errors ------------------------------------------------------------------------------------
    def error(self, error: BaseException, stamp: Stamp, node: str) -> BaseException:
        """The error without secrets: itself, or what stands for it."""
        result = error
        for each in list(_chain(error)):
            traceback.clear_frames(each.__traceback__)
            self._mask_parts(each, stamp, node)
            text = error_text(each)
            if self.secrets.mask(text) is text and self.secrets.mask(repr(each)) == repr(each):
                continue
            kind = type(each).__name__
            stand_in = SecretInError(kind, self.secrets.mask(text))
            if each is error:
                result = stand_in
            else:
                _unlink(error, each)
        return result

    def _mask_parts(self, error: BaseException, stamp: Stamp, node: str) -> None:
        """Masks what an error carries: its arguments, its attributes, its notes."""
        clean = self.value(error.args, "error", stamp, node)
        if clean is not error.args:
            error.args = clean
        for name, part in list(vars(error).items()):
            if isinstance(part, BaseException):
                continue
            changed = self.value(part, "error", stamp, node)
            if changed is not part:
                setattr(error, name, changed)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and all that it came of."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        todo += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            todo += each.exceptions


def _unlink(error: BaseException, part: BaseException) -> None:
    """Takes an error out of the chain of those that came of it."""
    for each in list(_chain(error)):
        if each.__cause__ is part:
            each.__cause__ = None
        if each.__context__ is part:
            each.__context__ = None
