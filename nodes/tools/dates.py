"""Dates and times: now, later, between, and elsewhere. Days and months count on the wall calendar, hours on the clock."""

from __future__ import annotations

import calendar
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field

from graphflow import Message, Tool, ToolError, factory, tool
from graphflow.errors import DeclarationError

When = Annotated[str, Field(min_length=1, max_length=64)]
Zone = Annotated[str, Field(max_length=64)]
Count = Annotated[int, Field(ge=-100_000, le=100_000)]


class Moment(Message):
    """A moment, or a day if it has no time: ISO 8601, its weekday, ISO week and zone."""

    iso: str
    weekday: str
    week: int
    zone: str = ""


class Span(Message):
    """What lies between two moments: in all, and as the calendar counts it. Negative if the second is the earlier one."""

    days: float
    seconds: int
    calendar: str


def system_clock() -> datetime:
    """What time it is, from the system's clock."""
    return datetime.now(UTC)


@factory
def dates(
    *, zone: str = "UTC", clock: Callable[[], datetime] = system_clock
) -> tuple[Tool[Any, Any], ...]:
    """Tools for dates: now, shift_date, between_dates, convert_zone.

    Args:
        zone: the zone that is meant where none is named.
        clock: tells what time it is, with a zone.
    """
    try:
        zone_of(zone)
    except ToolError as error:
        raise DeclarationError(f"dates(zone={zone!r}): {error}") from None

    @tool
    def now(zone: Zone = zone) -> Moment:
        """Tell today's date and the time.

        Args:
            zone: where, for example Europe/Paris or UTC.
        """
        return shown(clock().astimezone(zone_of(zone)).replace(microsecond=0))

    return now, shift_date, between_dates, _converter(zone)


def _converter(home: str) -> Tool[Any, Any]:
    @tool
    def convert_zone(when: When, to: Zone, zone: Zone = home) -> Moment:
        """Tell what time a moment is elsewhere.

        Args:
            when: the moment, for example 2026-03-01T14:30.
            to: the zone to tell it in, for example Asia/Tokyo.
            zone: the zone it is given in, if it does not say so itself.
        """
        moment = moment_of(when)
        if not isinstance(moment, datetime):
            raise ToolError(
                f"{when!r} has no time, and a day is not the same everywhere; write 2026-03-01T14:30"
            )
        try:
            if moment.tzinfo is None:
                moment = existing(moment.replace(tzinfo=zone_of(zone)))
            return shown(moment.astimezone(zone_of(to)))
        except OverflowError:
            raise ToolError(
                f"{when!r} would be outside of the years 1 to 9999 there; take another moment"
            ) from None

    return convert_zone


@tool
def shift_date(
    when: When,
    years: Count = 0,
    months: Count = 0,
    weeks: Count = 0,
    days: Count = 0,
    hours: Count = 0,
    minutes: Count = 0,
    zone: Zone = "",
) -> Moment:
    """Add to a date or a moment, or take away with negative numbers. January 31 and a month is the last day of February.

    Args:
        when: a date (2026-03-01) or a moment (2026-03-01T14:30, perhaps with +02:00).
        years: years to add.
        months: months to add, after the years.
        weeks: weeks to add, after the months.
        days: days to add.
        hours: hours to add, as a clock counts them: over a change of summer time, too.
        minutes: minutes to add.
        zone: the zone of a moment that names none; without it, every day has 24 hours.
    """
    moment = moment_of(when)
    if isinstance(moment, datetime) and moment.tzinfo is None and zone:
        moment = existing(moment.replace(tzinfo=zone_of(zone)))
    if (hours or minutes) and not isinstance(moment, datetime):
        raise ToolError(f"{when!r} has no time to add hours to; write {when}T00:00")
    try:
        moment = _months_later(moment, 12 * years + months)
        moment += timedelta(weeks=weeks, days=days)
        time = timedelta(hours=hours, minutes=minutes)
        if isinstance(moment, datetime) and moment.tzinfo is not None:
            # Hours are added in UTC: Python adds them to what the wall clock shows, though both ends are aware.
            at = existing(moment).astimezone(UTC) + time
            return shown(at.astimezone(moment.tzinfo))
        return shown(moment + time)
    except (OverflowError, ValueError):
        raise ToolError(f"{when!r} would leave the years 1 to 9999; add less") from None


@tool
def between_dates(start: When, end: When) -> Span:
    """Tell how much time lies between two dates or moments.

    Args:
        start: the first date (2026-03-01) or moment (2026-03-01T14:30+01:00).
        end: the second one, of the same kind.
    """
    one = moment_of(start)
    other = moment_of(end)
    if isinstance(one, datetime) != isinstance(other, datetime):
        raise ToolError(
            f"{start!r} and {end!r}: one has a time and one has none; give both or neither"
        )
    if (_zone(one) is None) != (_zone(other) is None):
        raise ToolError(
            f"{start!r} and {end!r}: one has a zone and one has none; give both or neither"
        )
    seconds = round((other - one).total_seconds())
    sign = "-" if seconds < 0 else ""
    # The calendar counts forwards only: from 31 January, a month back and a month on are not the same days.
    first, last = sorted((one, other))
    days = round(seconds / 86_400, 6)
    return Span(days=days, seconds=seconds, calendar=sign + _calendar(first, last))


def moment_of(when: str) -> date | datetime:
    """A date, or a moment, from ISO 8601.

    Raises:
        ToolError: it is neither.
    """
    text = when.strip()
    for reads in (date.fromisoformat, datetime.fromisoformat):
        try:
            return reads(text)
        except ValueError:
            continue
    raise ToolError(
        f"{when!r} is not a date; write 2026-03-01, 2026-03-01T14:30 or 2026-03-01T14:30+01:00, and check the day"
    )


def zone_of(name: str) -> tzinfo:
    """A time zone by its name in the IANA database.

    Raises:
        ToolError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ToolError(
            f"there is no zone {name!r}; write one such as UTC, Europe/Paris or America/New_York"
        ) from None


def existing(moment: datetime) -> datetime:
    """The moment, if the clocks showed it: in the hour that is left out in spring, they did not.

    Raises:
        ToolError: they did not.
    """
    on_the_clock = moment.astimezone(UTC).astimezone(moment.tzinfo)
    if on_the_clock.replace(tzinfo=None) != moment.replace(tzinfo=None):
        raise ToolError(
            f"{moment:%Y-%m-%dT%H:%M} does not exist in {moment.tzinfo}: the clocks go forward; take an hour later"
        )
    return moment


def _months_later(moment: date, months: int) -> date:
    total = moment.year * 12 + moment.month - 1 + months  # since the year 0, January being 0
    year, month = divmod(total, 12)
    month += 1
    if not 1 <= year <= 9999:
        raise OverflowError
    _, last = calendar.monthrange(year, month)
    day = min(moment.day, last)
    return moment.replace(year=year, month=month, day=day)


def _calendar(first: date, last: date) -> str:
    years = last.year - first.year
    months = 12 * years + last.month - first.month
    if _later(first, months) > last:  # the last month is not complete
        months -= 1
    days = (last - _later(first, months)).days
    parts = ((months // 12, "year"), (months % 12, "month"), (days, "day"))
    counts = [_counted(count, word) for count, word in parts if count]
    if not counts:
        return "0 days" if first == last else "less than a day"
    return " ".join(counts)


def _counted(count: int, word: str) -> str:
    if count > 1:
        word += "s"
    return f"{count} {word}"


def _later(first: date, months: int) -> date:
    return _months_later(first, max(0, months))


def shown(moment: date) -> Moment:
    """A date or moment as a model is shown it."""
    zone = _zone(moment)
    return Moment(
        iso=moment.isoformat(),
        weekday=calendar.day_name[moment.weekday()],
        week=moment.isocalendar().week,
        zone="" if zone is None else str(zone),
    )


def _zone(moment: date) -> tzinfo | None:
    return moment.tzinfo if isinstance(moment, datetime) else None
