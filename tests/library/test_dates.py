"""Dates: the clock is given, months end when they end, and the hour of spring is not invented."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphflow.errors import DeclarationError
from nodes.tools.dates import between_dates, dates, shift_date
from tests.library.using import asked, named, refusal, use

TOOLS = dates(clock=lambda: datetime(2026, 12, 31, 23, 30, tzinfo=UTC))


def test_a_model_asks_for_the_day_in_two_places() -> None:
    assert json.loads(asked(TOOLS, "now")[1]) == {
        "iso": "2026-12-31T23:30:00+00:00",
        "weekday": "Thursday",
        "week": 53,
        "zone": "UTC",
    }
    assert (
        json.loads(asked(TOOLS, "now", zone="Asia/Tokyo")[1])["iso"] == "2027-01-01T08:30:00+09:00"
    )
    ok, text = asked(TOOLS, "now", zone="Mars")
    assert (ok, "no zone 'Mars'" in text) == (False, True)


@pytest.mark.parametrize(
    ("when", "added", "iso"),
    [
        ("2026-01-31", {"months": 1}, "2026-02-28"),
        ("2024-02-29", {"years": 1}, "2025-02-28"),
        ("2026-03-31", {"months": -1, "days": 1}, "2026-03-01"),
        ("2026-12-31", {"days": 1}, "2027-01-01"),
        ("2026-03-01T10:00", {"hours": -11}, "2026-02-28T23:00:00"),
        ("2026-03-28T12:00", {"days": 1, "zone": "Europe/Paris"}, "2026-03-29T12:00:00+02:00"),
        ("2026-03-28T12:00", {"hours": 24, "zone": "Europe/Paris"}, "2026-03-29T13:00:00+02:00"),
        ("2026-10-25T02:30:00+02:00", {"minutes": 30}, "2026-10-25T03:00:00+02:00"),
        ("20260301", {"weeks": 1}, "2026-03-08"),
        ("2026-W10-1", {}, "2026-03-02"),
    ],
)
def test_adding(when: str, added: dict[str, Any], iso: str) -> None:
    assert use(shift_date, when=when, **added).iso == iso


@pytest.mark.parametrize(
    ("when", "added", "why"),
    [
        ("2026-02-30", {}, "is not a date"),
        ("tomorrow", {}, "is not a date"),
        ("\0", {}, "is not a date"),
        ("9999-12-31", {"days": 1}, "1 to 9999"),
        ("0001-01-01", {"months": -1}, "1 to 9999"),
        ("2026-01-01", {"years": 100_000}, "1 to 9999"),
        ("2026-01-01", {"hours": 1}, "no time"),
        ("2026-03-29T02:30", {"zone": "Europe/Paris"}, "does not exist"),
        ("2026-03-28T02:30", {"days": 1, "zone": "Europe/Paris"}, "does not exist"),
        ("2026-03-28T02:30", {"zone": "../../etc/passwd"}, "no zone"),
        ("2026-01-01", {"years": 100_001}, "less than or equal"),
    ],
)
def test_what_cannot_be_added(when: str, added: dict[str, Any], why: str) -> None:
    assert why in refusal(shift_date, when=when, **added)


def test_what_lies_between() -> None:
    span = use(between_dates, start="2024-02-29", end="2026-03-01")
    assert (span.days, span.calendar) == (731, "2 years 1 day")
    assert use(between_dates, start="2026-03-01", end="2026-01-31").calendar == "-1 month 1 day"
    moments = use(between_dates, start="2026-03-01T00:00+01:00", end="2026-03-01T00:00+00:00")
    assert (moments.seconds, moments.calendar) == (3600, "less than a day")
    assert use(between_dates, start="2026-01-01", end="2026-01-01").calendar == "0 days"
    assert "both or neither" in refusal(between_dates, start="2026-01-01", end="2026-01-01T00:00")
    assert "zone" in refusal(between_dates, start="2026-01-01T00:00Z", end="2026-01-01T00:00")


def test_elsewhere() -> None:
    convert = named(dates(zone="America/New_York"))["convert_zone"]
    assert (
        use(convert, when="2026-07-01T09:00", to="Europe/Paris").iso == "2026-07-01T15:00:00+02:00"
    )
    assert (
        use(convert, when="2026-07-01T09:00Z", to="Asia/Kolkata").iso == "2026-07-01T14:30:00+05:30"
    )
    assert "no time" in refusal(convert, when="2026-07-01", to="UTC")
    assert refusal(convert, when="9999-12-31T23:59", to="Asia/Tokyo")
    with pytest.raises(DeclarationError, match="no zone"):
        dates(zone="Nowhere")


@settings(max_examples=150, deadline=None)
@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)), st.integers(-50_000, 50_000))
def test_days_there_and_back(day: date, days: int) -> None:
    later = use(shift_date, when=day.isoformat(), days=days).iso
    assert date.fromisoformat(later) == day + timedelta(days=days)
    assert use(between_dates, start=day.isoformat(), end=later).days == days
