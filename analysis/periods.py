"""Periods as people write them: `2026`, `2026-Q4`, `2026-11`, `2026-W47`, `2026-11-23`.

They are local (Europe/London). This module knows no table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")


@dataclass(frozen=True)
class Period:
    """One local period.

    Attributes:
        grain: day, week, month, quarter or year, as in the marts.
        first_day: Its first local date.
        written: As it was written.
    """

    grain: str
    first_day: date
    written: str

    @property
    def start(self) -> datetime:
        """The instant, in UTC, at which it begins: `period_start` in the marts."""
        day = self.first_day
        return datetime(day.year, day.month, day.day, tzinfo=LONDON).astimezone(UTC)


def read_period(text: str) -> Period:
    """Read a period.

    Raises:
        ValueError: It is none; the message says how to write one.
    """
    try:
        if match := re.fullmatch(r"(\d{4})", text):
            return Period("year", date(int(text), 1, 1), text)
        if match := re.fullmatch(r"(\d{4})-Q([1-4])", text):
            return Period("quarter", date(int(match[1]), 3 * int(match[2]) - 2, 1), text)
        if match := re.fullmatch(r"(\d{4})-(\d{2})", text):
            return Period("month", date(int(match[1]), int(match[2]), 1), text)
        if match := re.fullmatch(r"(\d{4})-W(\d{2})", text):
            return Period("week", date.fromisocalendar(int(match[1]), int(match[2]), 1), text)
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return Period("day", date.fromisoformat(text), text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no period of the calendar: {error}.") from error
    raise ValueError(
        f"{text!r} is not a period. Write a year (2026), a quarter (2026-Q4), a month (2026-11), "
        "a week (2026-W47) or a day (2026-11-23)."
    )
