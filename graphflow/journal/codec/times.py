"""Times: dates, times of day, moments, durations. Their zones come back as the very kind of zone that they were.

"2026-01-31T08:00:00"                                     no zone
"2026-01-31T08:00:00+02:00"                               a fixed offset of Python's own
{"at": "2026-01-31T08:00:00", "zone": "Europe/Berlin"}    a zone of the tz database; with "fold": 1 the second time around
{"at": "...", "offset": 7200}                             pydantic's own zone, which is what it reads out of texts
{"at": "...", "offset": 7200, "name": "CEST"}             a fixed offset with a name
"""

from __future__ import annotations

from datetime import (
    date,
    datetime,
    time,
    timedelta,
    timezone,
    tzinfo,
)
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic_core import TzInfo

from graphflow.journal.codec.coding import (
    Coding,
    Misfit,
    class_name,
)
from graphflow.journal.codec.scalars import ExactTextCoding
from graphflow.journal.stored import Json
from graphflow.messages.types import type_name

_MICROSECOND = timedelta(microseconds=1)
_FIELDS = frozenset({"at", "zone", "offset", "name", "fold"})


class MomentCoding(Coding):
    """Moments, and times of day."""

    __slots__ = ("_moment",)

    def __init__(self, known: type[datetime] | type[time]) -> None:
        super().__init__(known)
        self._moment = known

    def encode(self, value: object, depth: int) -> Json:
        value = self.checked(value, self._moment)
        zone = value.tzinfo
        if zone is None or _is_plain(zone):
            text = value.isoformat()
            return {"at": text, "fold": 1} if value.fold else text
        data: dict[str, Json] = {"at": value.replace(tzinfo=None).isoformat(), **_zone_data(zone)}
        if value.fold:
            data["fold"] = 1
        return data

    def decode(self, data: Json, depth: int) -> object:
        if type(data) is str:
            return self._of_text(data)
        if type(data) is not dict or not _FIELDS.issuperset(data):
            raise self.illegible(data)
        text = data.get("at")
        fold = data.get("fold", 0)
        if type(text) is not str or type(fold) is not int or fold not in (0, 1):
            raise self.illegible(data)
        moment = self._of_text(text).replace(fold=fold)
        if "zone" not in data and "offset" not in data:
            return moment
        return moment.replace(tzinfo=self._zone_of(data))

    def _of_text(self, text: str) -> datetime | time:
        try:
            return self._moment.fromisoformat(text)
        except ValueError:
            raise self.illegible(text) from None

    def _zone_of(self, data: dict[str, Json]) -> tzinfo:
        try:
            return _zone_of(data)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OverflowError):
            raise Misfit(type_name(self.kind), "a time zone that is not known here") from None


def _is_plain(zone: tzinfo) -> bool:
    """Whether a zone is an offset of Python's own that has no name."""
    if type(zone) is not timezone:
        return False
    # Two zones of one offset are equal, whatever their names are.
    nameless = timezone(_offset(zone))
    return zone.tzname(None) == nameless.tzname(None)


def _offset(zone: tzinfo) -> timedelta:
    return zone.utcoffset(None) or timedelta()


def _zone_data(zone: tzinfo) -> dict[str, Json]:
    known = type(zone)
    if known is ZoneInfo and isinstance(zone, ZoneInfo) and zone.key:
        return {"zone": zone.key}
    if known is TzInfo:
        return {"offset": _offset(zone) // timedelta(seconds=1)}
    if known is timezone:
        return {"offset": _offset(zone) // _MICROSECOND, "name": zone.tzname(None)}
    raise Misfit(
        "a time zone of the standard library",
        class_name(known),
        "send a time with a timezone or a ZoneInfo",
    )


def _zone_of(data: dict[str, Json]) -> tzinfo:
    if "zone" in data:
        return ZoneInfo(data["zone"])  # type: ignore[arg-type]  # what is not text raises TypeError
    if "name" not in data:
        return TzInfo(data["offset"])  # type: ignore[arg-type]  # what is not a number raises TypeError
    offset = timedelta(microseconds=data["offset"])  # type: ignore[arg-type]  # the same
    return timezone(offset, data["name"])  # type: ignore[arg-type]  # the same


class DurationCoding(Coding):
    """Durations: whole microseconds."""

    __slots__ = ()

    def encode(self, value: object, depth: int) -> Json:
        value = self.checked(value, timedelta)
        return value // _MICROSECOND

    def decode(self, data: Json, depth: int) -> object:
        if type(data) is not int:
            raise self.illegible(data)
        try:
            return timedelta(microseconds=data)
        except OverflowError:
            raise self.illegible(data) from None


def times() -> dict[type, Coding]:
    """The codings of the classes of the calendar and the clock, by class."""
    return {
        datetime: MomentCoding(datetime),
        time: MomentCoding(time),
        date: ExactTextCoding(date, date, date.isoformat, date.fromisoformat),
        timedelta: DurationCoding(timedelta),
    }
