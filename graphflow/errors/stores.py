"""What goes wrong with what is kept of runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from graphflow.errors.root import GraphflowError


class StoreError(GraphflowError):
    """What is kept of runs could not be read or written."""


class StoreUnreadable(StoreError, OSError):
    """There is no store at an address, or it was written by another program or by a newer version of this one."""


class StoreUnreachable(StoreError, ConnectionError):
    """A database is not there, the connection to it was lost, or another process kept it locked for too long."""

    retryable = True


class StoreFull(StoreError, OSError):
    """There is no room for what was to be written. Everything that was acknowledged before is kept."""


class KeyInvalid(StoreError, ValueError):
    """What was given as the key of a store is not one: 32 bytes, or their base64 text. It is shown nowhere."""


class StoreLocked(StoreError, PermissionError):
    """A store is encrypted, and the key is missing or is another one. Nothing was changed."""


class StoreUnencrypted(StoreError, ValueError):
    """A key was given for a store that was begun without one. Nothing was changed."""


class SealBroken(StoreError, ValueError):
    """Something encrypted is not as it was written, or was moved there from another place. It stays where it is."""


class RunUnknown(StoreError, LookupError):
    """A store holds no run of that id."""


class RunExists(StoreError, ValueError):
    """A run of that id is in the store already."""


class AnswerExists(StoreError, ValueError):
    """A question of a run was answered already. The first answer counts.

    Attributes:
        by: who gave it; "" if nobody said.
        at: when, in seconds since 1970.
    """

    def __init__(self, run: str, question: str, by: str, at: float) -> None:
        self.by = by
        self.at = at
        who = f" by {by}" if by else ""
        when = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
        super().__init__(
            f"question {question!r} of run {run!r} was answered{who} at {when}; the first answer counts, this one was not kept"
        )


class RunOwned(StoreError):
    """Somebody else is working on a run.

    Attributes:
        holder: who it is.
        left_s: for how many seconds, if it does not renew its lease.
    """

    retryable = True

    def __init__(self, run: str, holder: str, left_s: float) -> None:
        self.holder = holder
        self.left_s = left_s
        super().__init__(
            f"run {run!r} is owned by {holder} for another {left_s:.0f} s, or longer if that goes on working; try again after that"
        )


class LeaseLost(StoreError):
    """Somebody else has taken a run over, because its lease was not renewed in time. Nothing more is written here."""


class RunDamaged(StoreError, ValueError):
    """Rows of a run are missing, or are not as they were written. Those before them can be used.

    Attributes:
        position: the number of the first row that cannot be used.
    """

    def __init__(self, run: str, position: int, problem: str) -> None:
        self.position = position
        super().__init__(
            f"run {run!r} is damaged at row {position}: {problem}; the rows before it can be used"
        )


class Unstorable(StoreError, TypeError):
    """A value cannot be written so that it comes back as it is. Nothing was written.

    Attributes:
        type: the declared type of the whole value.
        path: where in the value it is: `.items[3].when`; empty for the value itself.
        wanted: what is declared there.
        found: what is there.
    """

    def __init__(self, type: str, path: str, wanted: str, found: str, remedy: str = "") -> None:
        self.type = type
        self.path = path
        self.wanted = wanted
        self.found = found
        where = f" at {path}" if path else ""
        advice = f"; {remedy}" if remedy else ""
        super().__init__(
            f"a value of type {type} cannot be stored:{where} expected {wanted}, found {found}{advice}"
        )


class GraphUnstorable(StoreError, TypeError):
    """A graph declares messages that cannot be written so that they come back. No run of it is kept in a store."""


class Unreadable(StoreError, ValueError):
    """What was written does not fit its type, which has changed since. `run` says whose run it is, if it is another graph's.

    Attributes:
        type: the type of the whole value, as it is declared now.
        path: where in the value it is: `.items[3].when`; empty for the value itself.
        wanted: what belongs there.
        found: what was written there.
    """

    def __init__(self, type: str, path: str, wanted: str, found: str, run: str = "") -> None:
        self.type = type
        self.path = path
        self.wanted = wanted
        self.found = found
        where = f" at {path}" if path else ""
        super().__init__(
            f"{run}a stored value of type {type} cannot be read:{where} expected {wanted}, found {found}; "
            "go on with the version of the type that it was written by, or give new fields a default"
        )


class RecordedError(GraphflowError):
    """An error that was read from a journal and whose class is not known here: raised as a class of its recorded name."""


class RecordInvalid(StoreError, ValueError):
    """Something cannot be recorded, as it is not data, or what was read is not a record of what was expected."""


class Diverged(StoreError, ValueError):
    """A record of a run does not fit the graph: the graph has changed, or the record is of another one.

    Attributes:
        path: names of the frames from the outermost to the one where they part.
        recorded: what the record tells.
        found: what the graph does there now.
        node: the node that it is about; "" if it is about none.
    """

    def __init__(self, path: Sequence[str], recorded: str, found: str, node: str = "") -> None:
        self.path = tuple(path)
        self.node = node
        self.recorded = recorded
        self.found = found
        frames = " > ".join(self.path)
        super().__init__(
            f"in {frames!r} the record tells of {recorded}, and the graph has {found} there; "
            "resume it with the graph that it was begun with, or declare how the old messages become new ones"
        )


class PlaceUnknown(StoreError, LookupError):
    """Nothing of that name stands in the record of a run, or several things do."""


class RowDiffers(StoreError, ValueError):
    """A row of a run that is replayed would be written in another way now.

    Attributes:
        row: its number in the run.
        recorded: what it says.
        found: what it would say.
    """

    def __init__(self, run: str, row: int, recorded: str, found: str) -> None:
        self.row = row
        self.recorded = recorded
        self.found = found
        super().__init__(
            f"run {run!r} is not the same when it is replayed: row {row} says {_beginning(recorded)}, "
            f"and would say {_beginning(found)} now; replay it with the types that it was written by"
        )


def _beginning(text: str) -> str:
    """A text, as much of it as an error shows."""
    return text if len(text) <= 200 else f"{text[:197]}..."
