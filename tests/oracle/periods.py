"""Local periods of Europe/London as instants: where one begins, and where the next does.

Exists so that the nights on which the clocks change are decided once. Days and longer periods are cut on
local dates; 15 minutes, 30 minutes and hours are cut in UTC, which is the same because London is a whole
number of hours from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")
MINUTES = {"15min": 15, "30min": 30, "hour": 60}
GRAINS = (*MINUTES, "day", "week", "month", "quarter", "year")


def first_day(grain: str, day: date) -> date:
    """First local date of the day, week, month, quarter or year that holds a local date."""
    match grain:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=day.month - (day.month - 1) % 3, day=1)
        case "year":
            return day.replace(month=1, day=1)
    raise ValueError(f"{grain} is not a grain of local dates")


def local_midnight(day: date) -> datetime:
    """The instant, in UTC, at which a local date begins."""
    return datetime(day.year, day.month, day.day, tzinfo=LONDON).astimezone(UTC)


def period_start(grain: str, instant: datetime) -> datetime:
    """The instant, in UTC, at which the period that holds an instant begins."""
    if grain in MINUTES:
        whole = instant.astimezone(UTC).replace(second=0, microsecond=0)
        return whole - timedelta(minutes=whole.minute % MINUTES[grain])
    return local_midnight(first_day(grain, instant.astimezone(LONDON).date()))


def next_start(grain: str, start: datetime) -> datetime:
    """The instant, in UTC, at which the period ends that begins at `start`."""
    if grain in MINUTES:
        return start + timedelta(minutes=MINUTES[grain])
    day = start.astimezone(LONDON).date()
    longest = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}[grain]
    after = first_day(grain, day + timedelta(days=longest))
    return local_midnight(after)


def periods(grain: str, first: datetime, as_of: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Every period from that of `first` to the last that begins before `as_of`, as (start, end)."""
    start = period_start(grain, first)
    while start < as_of:
        end = next_start(grain, start)
        yield start, end
        start = end
