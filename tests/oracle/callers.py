"""Callers who call again: repeat callers of a period, and answered calls after which nobody called again.

Counted from the definitions alone, call by call: a window is looked at anew for every day, and every later call
of a caller is looked for anew for every answered call.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from enum import Enum

from tests.oracle.calls import Call
from tests.oracle.periods import LONDON, local_midnight, periods

ROLLING_DAYS = {"rolling_7d": 7, "rolling_14d": 14, "rolling_28d": 28}
CALLER_GRAINS = ("day", "week", "month", *ROLLING_DAYS)
RESOLUTION_DAYS = (1, 3, 7, 14, 28)


class Verdict(Enum):
    """What is known of an answered call at an instant."""

    RESOLVED = "the caller did not call again"
    NOT_RESOLVED = "the caller called again"
    IMMATURE = "it is too early to say"
    WITHOUT_NUMBER = "nobody can ever say"


def spans(grain: str, first: datetime, as_of: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Every period from that of `first` to the last that begins, or a window whose last day begins, before `as_of`.

    A rolling window ends with a local day; there is one for every day, however few of its days have calls.
    """
    length = ROLLING_DAYS.get(grain)
    if length is None:
        yield from periods(grain, first, as_of)
        return
    day = local_date(first)
    while local_midnight(day) < as_of:
        yield local_midnight(day - timedelta(days=length - 1)), local_midnight(day + timedelta(days=1))
        day += timedelta(days=1)


def local_date(instant: datetime) -> date:
    """The London date of an instant."""
    return instant.astimezone(LONDON).date()


def callers_by_line(calls: Sequence[Call]) -> dict[str, Counter[str | None]]:
    """For each line, and for ALL, how often each caller called; callers without a number together as None."""
    counted: dict[str, Counter[str | None]] = defaultdict(Counter)
    for call in calls:
        if not call.is_test:
            counted[call.line][call.caller] += 1
            counted["ALL"][call.caller] += 1
    return counted


def verdicts(calls: Sequence[Call], as_of: datetime) -> dict[str, dict[int, Verdict]]:
    """For each answered call, by call_id, what is known of it for each number of days."""
    received: dict[str, list[datetime]] = defaultdict(list)
    for call in calls:
        if call.caller is not None and not call.is_test:
            received[call.caller].append(call.received_at)
    for instants in received.values():
        instants.sort()

    def verdict(call: Call, days: int) -> Verdict:
        if call.caller is None:
            return Verdict.WITHOUT_NUMBER
        until = None if call.ended_at is None else call.ended_at + timedelta(hours=24 * days)
        if until is None or until > as_of:
            return Verdict.IMMATURE
        instants = received[call.caller]
        again = bisect_right(instants, until) > bisect_right(instants, call.received_at)
        return Verdict.NOT_RESOLVED if again else Verdict.RESOLVED

    return {
        call.call_id: {days: verdict(call, days) for days in RESOLUTION_DAYS}
        for call in calls
        if call.outcome == "answered" and not call.is_test
    }
