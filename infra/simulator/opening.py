"""When each line is open, and how local days lie on the time axis.

Instants are microseconds since 1970-01-01T00:00:00Z, as whole numbers, so that they compare exactly. The
local zone is Europe/London. Nothing here knows about calls.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import holidays

LONDON = ZoneInfo("Europe/London")
SECOND = 1_000_000
HOUR = 3600 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Hours(NamedTuple):
    """An opening: the instants at which a line opens and closes."""

    opens: int
    closes: int


def instant(day: date, at: time = time(0)) -> int:
    """Give the instant of a local wall-clock time, in microseconds; of two, the first."""
    return (datetime.combine(day, at, LONDON) - _EPOCH) // timedelta(microseconds=1)


def local(when: int) -> datetime:
    """Give the local wall-clock time of an instant in microseconds."""
    return (_EPOCH + timedelta(microseconds=when)).astimezone(LONDON)


class Calendar:
    """Opening hours by line and local day, and bank holidays of England and Wales."""

    def __init__(self) -> None:
        self._holidays = holidays.country_holidays("GB", subdiv="ENG")

    def is_bank_holiday(self, day: date) -> bool:
        """Say whether the day is a bank holiday in England and Wales."""
        return day in self._holidays

    def hours(self, line: str, day: date) -> Hours | None:
        """Give the opening of a line on a local day, or None when it stays closed.

        The 3rd line, CSMT, is assumed to work Monday to Friday from 9:00 to 17:00.
        """
        weekday, holiday = day.weekday(), self.is_bank_holiday(day)
        if line in ("PVS", "CSMT"):
            if holiday or weekday == 6 or (weekday == 5 and line == "CSMT"):
                return None
            return Hours(instant(day, time(9)), instant(day, time(13 if weekday == 5 else 17)))
        if holiday or weekday >= 5:
            return Hours(instant(day, time(9)), instant(day, time(17, 30)))
        return Hours(instant(day, time(8)), instant(day, time(20)))
